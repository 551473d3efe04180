// @ts-check
/** Colours and numbers as text. */

const OKABE_ITO = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000"];
/** @type {Record<string, string>} */
const SCALES = {
  viridis: "44015448186a472d7b4240863b528b33638d2c728e26828e21918c1fa08828ae803fbc735ec96284d44baddc30d8e219fde725",
  diverging: "0530611752902a71b23f8ec06bacd19bc9e0c2ddece0ecf3f7f6f6fbe5d8fbccb4f5aa89e48066d05548ba2832930e2667001f",
  grey: "f4f4f4111111",
};
/** @type {Record<string, Uint8Array>} */
const TABLES = {};

/** 256 colours of a scale, three bytes each.
 *  @param {string} name "viridis", "diverging" or "grey" */
export function lut(name) {
  if (TABLES[name]) return TABLES[name];
  const stops = ((SCALES[name] ?? SCALES.viridis).match(/../g) ?? []).map((two) => parseInt(two, 16));
  const last = stops.length / 3 - 1, table = new Uint8Array(768);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * last, a = Math.min(last - 1, Math.floor(at)), part = at - a;
    for (let c = 0; c < 3; c++) table[i * 3 + c] = Math.round(stops[a * 3 + c] * (1 - part) + stops[a * 3 + 3 + c] * part);
  }
  TABLES[name] = table;
  return table;
}

/** Where a value lies between two, 0 … 1; NaN stays.
 *  @param {number} v @param {number} lo @param {number} hi */
export function unit(v, lo, hi) {
  if (hi > lo) return Math.min(1, Math.max(0, (v - lo) / (hi - lo)));
  return Number.isNaN(v) ? NaN : 0.5;
}

/** @param {Uint8Array} table @param {number} u 0 … 1 */
export function colourAt(table, u) {
  if (Number.isNaN(u)) return "#9a9a9a";
  const i = Math.round(Math.min(1, Math.max(0, u)) * 255) * 3;
  return `rgb(${table[i]},${table[i + 1]},${table[i + 2]})`;
}

/** A colour for the i-th name: eight hues, each in four shades.
 *  @param {number} i */
export function category(i, dark = false) {
  const n = OKABE_ITO.length, colour = OKABE_ITO[i % n], round = Math.floor(i / n);
  const base = colour === "#000000" && dark ? "#DDDDDD" : colour;
  if (!round) return base;
  const mix = [0.45, -0.35, 0.7][(round - 1) % 3];   // lighter, darker, lighter still
  const shade = [1, 3, 5].map((at) => {
    const c = parseInt(base.slice(at, at + 2), 16);
    return Math.round(mix > 0 ? c + (255 - c) * mix : c * (1 + mix)).toString(16).padStart(2, "0");
  });
  return `#${shade.join("")}`;
}

/** @param {number | null | undefined} v */
export function fmt(v, digits = 3) {
  if (v === null || v === undefined || Number.isNaN(v)) return "–";
  const size = Math.abs(v);
  if (size && (size < 1e-3 || size >= 1e6)) return v.toExponential(2);
  return String(Number(size >= 1000 ? v.toFixed(0) : v.toPrecision(digits)));
}
