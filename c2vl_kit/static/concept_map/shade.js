// @ts-check
/** Colours, filters, and what stands back or stands out. */
import { category, colourAt, lut, unit } from "../core/colour.js";
import { between } from "./centres.js";
import { showNear } from "./near.js";
import { column, DIM, HIDDEN, NONE, PLAIN, selectionSize, STRONG } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */
/** @typedef {import("./state.js").Column} Column */
/** @typedef {import("./state.js").Words} Words */

const GREYS = { dark: ["#b8c2cc", "#e4e8ec", "#7d8894", "#f4f6f8"], light: ["#66727f", "#a9b1b9", "#3c444c", "#ced3d8"] };

/** A colour as one little-endian pixel.
 *  @param {string} css "#rrggbb" or "rgb(r,g,b)" */
export function packed(css) {
  const [r, g, b] = css[0] === "#" ? [1, 3, 5].map((k) => parseInt(css.slice(k, k + 2), 16)) : (css.match(/\d+/g) ?? []).map(Number);
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

/** Seven hues in four shades; no yellow, no black.
 *  @param {number} level @param {boolean} dark */
function hueOf(level, dark) {
  const hue = level % 7, shade = Math.floor(level / 7) % 4;
  return hue < 6 ? category(hue + 8 * shade, dark) : GREYS[dark ? "dark" : "light"][shade];
}

/** @type {Record<string, string>} */
const VERDICTS = { right: "#009E73", wrong: "#D55E00" };

/** The colours of a column's words; right and wrong have their own.
 *  @param {Words} c @param {boolean} dark */
function paletteOf(c, dark) {
  const judges = c.levels.every((word) => word in VERDICTS);
  return c.levels.map((word, l) => (judges ? VERDICTS[word] : hueOf(l, dark)));
}

/** The levels of a column that are switched off.
 *  @param {MapState} s @param {Words} c
 *  @returns {Set<number>} */
export const hiddenOf = (s, c) => new Set((s.get("hidden")[c.name] ?? []).map((/** @type {string} */ word) => c.levels.indexOf(word)));

/** @param {MapState} s @param {Column | undefined} c @param {import("../core/theme.js").Theme} theme */
function paint({ colours, n }, c, theme) {
  const none = packed("#9a9a9a");
  if (c?.kind === "number") {
    const table = lut("viridis"), palette = Uint32Array.from({ length: 256 }, (_, i) => packed(colourAt(table, i / 255)));
    for (let i = 0; i < n; i++) {
      const u = unit(c.of[i], c.lo, c.hi);
      colours[i] = Number.isNaN(u) ? none : palette[Math.round(u * 255)];
    }
  } else if (c) {
    const palette = paletteOf(c, theme.dark).map(packed);
    for (let i = 0; i < n; i++) colours[i] = c.of[i] === NONE ? none : palette[c.of[i]];
  } else colours.fill(packed(theme.accent));
}

/** The same colours, a third of them on paper.
 *  @param {MapState} s @param {number} paper */
function fade({ colours, faded, n }, paper) {
  /** @param {number} p @param {number} shift */
  const mixed = (p, shift) => (((p >>> shift) & 255) * 84 + ((paper >>> shift) & 255) * 172) >>> 8;
  for (let i = 0; i < n; i++) faded[i] = ((255 << 24) | (mixed(colours[i], 16) << 16) | (mixed(colours[i], 8) << 8) | mixed(colours[i], 0)) >>> 0;
}

/** @param {MapState} s @param {Column | undefined} c @param {boolean} dark */
function showKey(s, c, dark) {
  const { key, bar, all, none, colour } = s.ui;
  colour.set(c?.name ?? "");
  bar.set(c?.kind === "number" ? { scale: "viridis", lo: c.lo, hi: c.hi, label: c.name } : null);
  all.hidden = none.hidden = c?.kind !== "category";
  s.root.dataset.colour = c?.name ?? "";
  if (c?.kind !== "category") { key.set([]); return; }
  const counts = new Uint32Array(c.levels.length);
  for (let i = 0; i < s.n; i++) if (c.of[i] !== NONE) counts[c.of[i]] += 1;
  const palette = paletteOf(c, dark);
  key.set(c.levels.map((word, l) => ({ key: l, label: word, colour: palette[l], count: counts[l] })), hiddenOf(s, c));
}

/** @param {MapState} s */
export function recolour(s) {
  const c = column(s), theme = s.frame.theme();
  paint(s, c, theme);
  fade(s, packed(theme.panel));
  showKey(s, c, theme.dark);
  filter(s);
}

/** @param {MapState} s */
function filter(s) {
  s.state.fill(PLAIN);
  for (const c of s.columns) {
    if (c.kind !== "category") continue;
    const hidden = hiddenOf(s, c);
    if (hidden.size) for (let i = 0; i < s.n; i++) if (hidden.has(c.of[i])) s.state[i] = HIDDEN;
  }
  if (s.near.length) showNear(s);
  s.centres = between(s, s.part);
  shade(s);
}

/** What stands back and what stands out.
 *  @param {MapState} s */
export function shade(s) {
  const c = column(s), { n, state, hits } = s, of = c?.of, lit = c?.kind === "category" && s.lit !== null && hiddenOf(s, c).has(s.lit) ? null : s.lit, some = selectionSize(s) > 0 ? s.chosen : null;
  let shown = 0;
  for (let i = 0; i < n; i++) {
    if (state[i] === HIDDEN) continue;
    shown += 1;
    if (lit !== null && of) state[i] = of[i] === lit ? STRONG : DIM;
    else if (hits) state[i] = hits[i] ? STRONG : DIM;
    else if (some) state[i] = some[i] ? STRONG : DIM;
    else state[i] = PLAIN;
  }
  s.ui.count.textContent = shown === n ? `${n.toLocaleString("en")} clips` : `${shown.toLocaleString("en")} of ${n.toLocaleString("en")} clips`;
  s.root.dataset.shown = String(shown);
  s.face?.redraw();
}

/** @param {MapState} s @param {Words} c @param {Set<number>} levels */
export function setHidden(s, c, levels) {
  const hidden = { ...s.get("hidden"), [c.name]: [...levels].sort((a, b) => a - b).map((l) => c.levels[l]) };
  if (!levels.size) delete hidden[c.name];
  s.push({ hidden });
  recolour(s);
}

/** Only this class, or all again where it already stands alone.
 *  @param {MapState} s @param {Words} c @param {number} level @param {Set<number>} off what was hidden before */
function isolate(s, c, level, off) {
  const others = c.levels.map((_, l) => l).filter((l) => l !== level), alone = !off.has(level) && off.size === others.length;
  s.lastToggle = null;
  setHidden(s, c, new Set(alone ? [] : others));
}

/** Hides or shows a class; a second click soon after the first, or one with Alt, shows it alone.
 *  @param {MapState} s @param {number} level @param {MouseEvent} e */
export function toggleLevel(s, level, e) {
  const c = column(s), was = s.lastToggle;
  if (c?.kind !== "category") return;
  const hidden = hiddenOf(s, c), off = new Set(hidden), byMouse = e.detail > 0;
  if (e.altKey) { isolate(s, c, level, off); return; }
  if (byMouse && was?.level === level && e.timeStamp - was.time < 350) { isolate(s, c, level, was.off); return; }
  s.lastToggle = byMouse ? { level, time: e.timeStamp, off } : null;
  if (!hidden.delete(level)) hidden.add(level);
  setHidden(s, c, hidden);
}

/** The class that the legend points at.
 *  @param {MapState} s @param {string | undefined} level */
export function light(s, level) {
  const now = level === undefined ? null : Number(level);
  if (now === s.lit) return;
  s.lit = now;
  shade(s);
}
