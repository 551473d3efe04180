// @ts-check
/** Colours, filters, and what stands back or stands out. */
import { colourAt, lut, unit } from "../core/colour.js";
import { between } from "./centres.js";
import { showNear } from "./near.js";
import { packed, paletteOf } from "./palette.js";
import { column, DIM, FADED, HIDDEN, NONE, PLAIN, selectionSize, STRONG } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */
/** @typedef {import("./state.js").Column} Column */
/** @typedef {import("./state.js").Words} Words */

/** The levels of a column that are switched off; "" stands for clips without a word.
 *  @param {MapState} s @param {Words} c
 *  @returns {Set<number>} */
export const hiddenOf = (s, c) => new Set((s.get("hidden")[c.name] ?? []).map((/** @type {string} */ word) => (word ? c.levels.indexOf(word) : NONE)));

/** All levels of a column but some, clips without a word among them.
 *  @param {Words} c @param {(level: number) => boolean} but
 *  @returns {Set<number>} */
export const othersOf = (c, but) => new Set([...c.levels.keys(), ...(c.of.includes(NONE) ? [NONE] : [])].filter((l) => !but(l)));

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

/** Marks the clips that a column leaves out.
 *  @param {MapState} s @param {Column} c @param {number} mark */
function leaveOut(s, c, mark) {
  const { n, state } = s;
  if (c.kind === "category") {
    const hidden = hiddenOf(s, c);
    if (hidden.size) for (let i = 0; i < n; i++) if (hidden.has(c.of[i])) state[i] = mark;
    return;
  }
  const kept = s.get("kept")[c.name];
  if (!kept) return;
  const lo = kept[0] ?? -Infinity, hi = kept[1] ?? Infinity;
  for (let i = 0; i < n; i++) if (!(c.of[i] >= lo && c.of[i] < hi)) state[i] = mark;
}

/** @param {MapState} s */
export function filter(s) {
  s.state.fill(PLAIN);
  for (const c of s.columns) leaveOut(s, c, s.get("fade") ? FADED : HIDDEN);
  if (s.near.length) showNear(s);
  s.centres = between(s, s.part);
  shade(s);
  for (const fn of s.after) fn();
}

/** What stands back and what stands out.
 *  @param {MapState} s */
export function shade(s) {
  const c = column(s), { n, state, hits } = s, of = c?.of, lit = c?.kind === "category" && s.lit !== null && hiddenOf(s, c).has(s.lit) ? null : s.lit, some = selectionSize(s) > 0 ? s.chosen : null;
  let shown = 0;
  for (let i = 0; i < n; i++) {
    if (state[i] <= FADED) continue;
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
  const hidden = { ...s.get("hidden"), [c.name]: [...levels].sort((a, b) => a - b).map((l) => c.levels[l] ?? "") };
  if (!levels.size) delete hidden[c.name];
  s.push({ hidden });
  recolour(s);
}

/** Only this class, or all again where it already stands alone.
 *  @param {MapState} s @param {Words} c @param {number} level @param {Set<number>} off what was hidden before */
function isolate(s, c, level, off) {
  const others = othersOf(c, (l) => l === level), alone = !off.has(level) && off.size === others.size;
  s.lastToggle = null;
  setHidden(s, c, alone ? new Set() : others);
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
