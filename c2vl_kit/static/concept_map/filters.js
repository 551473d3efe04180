// @ts-check
/** Filters: a small histogram for each column. A click on a bar, or a drag over several, keeps those clips alone. */
import { button } from "../core/controls.js";
import { colourAt, fmt, lut } from "../core/colour.js";
import { h } from "../core/dom.js";
import { paletteOf } from "./palette.js";
import { filter, hiddenOf, othersOf, recolour, setHidden } from "./shade.js";
import { column, FADED, NONE } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */
/** @typedef {import("./state.js").Column} Column */
/** @typedef {{c: Column, bars: number, of: Uint8Array, all: Uint32Array, now: Uint32Array, el: HTMLElement, canvas: HTMLCanvasElement,
 *  told: HTMLElement, undo: HTMLElement, from: number, to: number}} Bars of: the bar of each clip; from, to: kept, or -1 where all are */

const BINS = 24, MOST_BARS = 120, NO_BAR = 255, TALL = 44;

/** The bar of every clip.
 *  @param {MapState} s @param {Column} c */
function barsOf({ n }, c) {
  const of = new Uint8Array(n).fill(NO_BAR), wide = c.kind === "number" ? (c.hi - c.lo) / BINS || 1 : 1;
  for (let i = 0; i < n; i++) {
    const v = c.of[i];
    if (c.kind === "category") { if (v !== NONE) of[i] = v; }
    else if (!Number.isNaN(v)) of[i] = Math.min(BINS - 1, Math.max(0, Math.floor((v - c.lo) / wide)));
  }
  return of;
}

/** Which bars are kept, as the model says.
 *  @param {MapState} s @param {Bars} b */
function readKept(s, b) {
  const { c } = b;
  [b.from, b.to] = [-1, -1];
  if (c.kind === "category") {
    const hidden = hiddenOf(s, c), shown = c.levels.map((_, l) => l).filter((l) => !hidden.has(l));
    if (hidden.size && shown.length) [b.from, b.to] = [shown[0], shown[shown.length - 1]];
    return;
  }
  const kept = s.get("kept")[c.name], wide = (c.hi - c.lo) / BINS || 1;
  /** @param {number} v */
  const at = (v) => Math.max(0, Math.min(BINS - 1, Math.round((v - c.lo) / wide)));
  if (kept) [b.from, b.to] = [kept[0] === null ? 0 : at(kept[0]), kept[1] === null ? BINS - 1 : Math.max(0, at(kept[1]) - 1)];
}

/** @param {Bars} b @param {number} k */
function nameOf({ c }, k) {
  if (c.kind === "category") return c.levels[k];
  const wide = (c.hi - c.lo) / BINS || 1;
  return `${fmt(c.lo + k * wide)} to ${fmt(c.lo + (k + 1) * wide)}`;
}

/** What is kept, in words.
 *  @param {Bars} b */
function tell(b) {
  const { c, from, to } = b, n = b.now.reduce((sum, k) => sum + k, 0).toLocaleString("en");
  if (from < 0) return `${n} clips`;
  const edge = c.kind === "category" ? (from === to ? c.levels[from] : `${c.levels[from]} … ${c.levels[to]}`) : `${nameOf(b, from).split(" to ")[0]} to ${nameOf(b, to).split(" to ")[1]}`;
  return `${edge}: ${n}`;
}

/** Keeps bars from a to b; all of them where a is -1.
 *  @param {MapState} s @param {Bars} b @param {number} from @param {number} to */
function keep(s, b, from, to) {
  const { c } = b, [lo, hi] = from <= to ? [from, to] : [to, from];
  if (c.kind === "category") {
    setHidden(s, c, from < 0 ? new Set() : othersOf(c, (l) => l >= lo && l <= hi));
    return;
  }
  const kept = { ...s.get("kept") }, wide = (c.hi - c.lo) / BINS || 1;
  if (from < 0 || (lo === 0 && hi === BINS - 1)) delete kept[c.name];
  else kept[c.name] = [lo === 0 ? null : c.lo + lo * wide, hi === BINS - 1 ? null : c.lo + (hi + 1) * wide];
  s.push({ kept });
  filter(s);
}

/** @param {MapState} s @param {Bars} b */
function paint(s, b) {
  const { canvas, all, now, bars, c } = b, ctx = canvas.getContext("2d"), ratio = s.face.ratio || 1, w = canvas.clientWidth;
  if (!ctx || !w) return;
  canvas.width = Math.round(w * ratio);
  canvas.height = TALL * ratio;
  ctx.scale(ratio, ratio);
  const theme = s.frame.theme(), most = Math.max(1, ...all), step = w / bars, gap = step > 3 ? 1 : 0, table = lut("viridis");
  const palette = c.kind === "category" && c === column(s) ? paletteOf(c, theme.dark) : null;
  for (let k = 0; k < bars; k++) {
    const high = Math.max(all[k] ? 1.5 : 0, all[k] / most * (TALL - 2)), part = all[k] ? now[k] / all[k] : 0;
    ctx.fillStyle = theme.line;
    ctx.fillRect(k * step, TALL - high, step - gap, high);
    ctx.fillStyle = palette?.[k] ?? (c.kind === "number" && c === column(s) ? colourAt(table, (k + 0.5) / bars) : theme.accent);
    ctx.fillRect(k * step, TALL - high * part, step - gap, high * part);
  }
  if (b.from < 0) return;
  ctx.strokeStyle = theme.ink;
  ctx.lineWidth = 1.5;
  ctx.strokeRect(b.from * step + 0.75, 0.75, (b.to - b.from + 1) * step - gap - 1.5, TALL - 1.5);
}

/** Counts what is shown, and draws it.
 *  @param {MapState} s @param {Bars} b */
function refresh(s, b) {
  readKept(s, b);
  b.now.fill(0);
  for (let i = 0; i < s.n; i++) if (s.state[i] > FADED && b.of[i] !== NO_BAR) b.now[b.of[i]] += 1;
  b.told.textContent = tell(b);
  b.undo.hidden = b.from < 0;
  b.el.dataset.kept = b.from < 0 ? "" : `${b.from} ${b.to}`;
  b.el.dataset.now = b.now.join(" ");
  for (const [k, v] of [["valuemax", b.bars - 1], ["valuenow", Math.max(0, b.from)], ["valuetext", tell(b)]]) b.canvas.setAttribute(`aria-${k}`, String(v));
  paint(s, b);
}

/** Click, drag and keys on a histogram.
 *  @param {MapState} s @param {Bars} b */
function hear(s, b) {
  const { canvas } = b;
  let start = -1, moved = false, alone = false;
  /** @param {PointerEvent} e */
  const at = (e) => Math.max(0, Math.min(b.bars - 1, Math.floor((e.clientX - canvas.getBoundingClientRect().left) / canvas.clientWidth * b.bars)));
  canvas.addEventListener("pointerdown", (e) => {
    canvas.setPointerCapture(e.pointerId);
    [start, moved] = [at(e), false];
    alone = b.from === start && b.to === start;
  });
  canvas.addEventListener("pointermove", (e) => {
    const k = at(e);
    if (start < 0) { b.told.textContent = `${nameOf(b, k)}: ${b.now[k].toLocaleString("en")} of ${b.all[k].toLocaleString("en")}`; return; }
    if (k === start && !moved) return;
    moved = true;
    keep(s, b, start, k);
  });
  canvas.addEventListener("pointerup", () => {
    if (start >= 0 && !moved) keep(s, b, alone ? -1 : start, start);
    start = -1;
  });
  canvas.addEventListener("pointercancel", () => { start = -1; });
  canvas.addEventListener("pointerleave", () => { b.told.textContent = tell(b); });
  canvas.addEventListener("keydown", (e) => {
    const by = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0, off = e.key === "Escape" || e.key === "Delete" || e.key === "Backspace";
    if (!by && !off) return;
    e.preventDefault();
    e.stopPropagation();
    if (off) keep(s, b, -1, -1);
    else if (b.from < 0) keep(s, b, by > 0 ? 0 : b.bars - 1, by > 0 ? 0 : b.bars - 1);
    else if (e.shiftKey) keep(s, b, b.from, Math.max(b.from, Math.min(b.bars - 1, b.to + by)));
    else if (b.from + by >= 0 && b.to + by < b.bars) keep(s, b, b.from + by, b.to + by);
  });
}

/** @param {MapState} s @param {Column} c
 *  @returns {Bars} */
function make(s, c) {
  const bars = c.kind === "number" ? BINS : c.levels.length, of = barsOf(s, c), all = new Uint32Array(bars);
  for (const k of of) if (k !== NO_BAR) all[k] += 1;
  const told = h("span", { dir: "auto" }), undo = button({ text: "×", label: `all of ${c.name}`, role: "unfilter", onClick: () => keep(s, b, -1, -1) });
  const canvas = h("canvas", { tabindex: 0, role: "slider", "aria-label": `filter by ${c.name}`, "aria-valuemin": 0, "data-role": "bars" });
  const el = h("div", { class: "c2vl-filter", "data-role": "filter", "data-column": c.name }, h("div", {}, h("b", { dir: "auto" }, c.name), undo), canvas, told);
  const b = { c, bars, of, all, now: new Uint32Array(bars), el, canvas, told, undo, from: -1, to: -1 };
  hear(s, b);
  return b;
}

/** Builds the histograms when they are first looked at, and keeps them in step.
 *  @param {MapState} s */
export function filters(s) {
  /** @type {Bars[]} */
  let made = [];
  const { filters: box, bars, filterTool, filterCount } = s.ui;
  const show = () => {
    const on = s.get("filtering");
    s.ui.fade.set(s.get("fade"));
    filterTool.hidden = !s.columns.length;
    filterTool.set(on);
    box.hidden = !on;
    s.root.dataset.filters = String(on);
    if (!on) return;
    if (made[0]?.of.length !== s.n || made.some((b) => !s.columns.includes(b.c))) {
      made = s.columns.filter((c) => c.kind === "number" || c.levels.length <= MOST_BARS).map((c) => make(s, c));
      bars.replaceChildren(...made.map((b) => b.el));
    }
    filterCount.textContent = s.ui.count.textContent;
    for (const b of made) refresh(s, b);
  };
  s.after.push(show);
  const watch = new ResizeObserver(() => { for (const b of made) paint(s, b); });
  watch.observe(bars);
  s.ends.push(() => watch.disconnect());
}

/** All clips again.
 *  @param {MapState} s */
export function unfilter(s) {
  s.push({ kept: {}, hidden: {} });
  recolour(s);
}
