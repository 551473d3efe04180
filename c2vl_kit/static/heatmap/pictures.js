// @ts-check
/** Matrices as small canvases, one pixel a cell. */
import { lut, unit } from "../core/colour.js";
import { block, LEAST, valueIn } from "./state.js";

/** @typedef {import("./state.js").HeatState} HeatState */

const MOST = 400;

/** @param {Uint8Array} table @param {number} i */
const packed = (table, i) => ((255 << 24) | (table[i * 3 + 2] << 16) | (table[i * 3 + 1] << 8) | table[i * 3]) >>> 0;

/** A colour for each of the 65,536 steps: logarithmic, the same for every matrix and epoch.
 *  @param {HeatState} s */
function inksOf(s) {
  const lo = s.get("lo");
  if (s.inks && s.inks.lo === lo) return s.inks.table;
  const colours = lut("viridis"), low = Math.log(lo);
  const table = Uint32Array.from({ length: 65536 }, (_, q) => packed(colours, q ? Math.round(255 * unit(LEAST - (q - 1) / 65534 * LEAST, low, 0)) : 0));
  s.inks = { lo, table };
  return table;
}

/** @param {HeatState} s @param {string} kind @param {Uint32Array} out */
function paintValues(s, kind, out) {
  const { n, order } = s, now = block(s, kind, s.clock.index), ink = inksOf(s);
  for (let r = 0; r < n; r++) {
    for (let c = 0; c < n; c++) {
      const i = order[r], j = order[c];
      out[r * n + c] = now ? ink[now[i * n + j]] : ink[i === j ? 65535 : 0];
    }
  }
}

/** @param {HeatState} s @param {string} kind @param {Uint32Array} out */
function paintChange(s, kind, out) {
  const { n, order } = s, e = s.clock.index, now = block(s, kind, e), was = block(s, kind, Math.max(0, e - 1)), table = lut("diverging"), most = s.set.change;
  for (let r = 0; r < n; r++) {
    for (let c = 0; c < n; c++) {
      const i = order[r], j = order[c];
      out[r * n + c] = packed(table, Math.round(255 * unit(valueIn(now, i, j, n) - valueIn(was, i, j, n), -most, most)));
    }
  }
}

/** The picture of a matrix at the epoch shown.
 *  @param {HeatState} s @param {string} kind */
export function pictureOf(s, kind) {
  const change = s.get("difference"), id = `${s.get("which")}/${kind}/${s.clock.index}/${change}`, made = s.pictures.get(id);
  if (made) return made;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = s.n;
  const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")), picture = ctx.createImageData(s.n, s.n);
  (change ? paintChange : paintValues)(s, kind, new Uint32Array(picture.data.buffer));
  ctx.putImageData(picture, 0, 0);
  if (s.pictures.size > MOST) for (const old of [...s.pictures.keys()].slice(0, MOST / 2)) s.pictures.delete(old);
  s.pictures.set(id, canvas);
  return canvas;
}
