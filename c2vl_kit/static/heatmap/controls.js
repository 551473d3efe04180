// @ts-check
/** The controls around the matrices, and what each of them does. */
import { button, colourBar, helpOf, select, slider, tooltip } from "../core/controls.js";
import { h } from "../core/dom.js";
import { frameButtons } from "../core/frame.js";
import { surface } from "../core/surface.js";
import { svgOf } from "../core/svg.js";
import { drawCurves } from "./curves.js";
import { draw } from "./draw.js";
import { look } from "./look.js";
import { identities, inOrder, kinds, readOrder, words, WORDS } from "./state.js";

/** @typedef {import("./state.js").HeatState} HeatState */

/** @type {Record<string, string>} */
const MEANING = { hard: "only its own clip is right", intra: "clips whose descriptions are alike", inter: "what the model says the other way round",
  mixed: "the target in force", model: "what the model answers" };
/** @type {[string, string][]} */
const HELP = [["Space", "play, pause"], [", . Home End", "epochs"], ["← → ↑ ↓", "go from cell to cell"], ["Enter, click", "show both clips in the player"],
  ["1 … 5", "one matrix alone, or all"], ["D", "difference to the previous epoch"], ["S", "next sorting"], ["wheel, + −", "zoom (click the picture first)"],
  ["drag", "move"], ["0", "whole matrix"]];

/** Sets every control to what the model says.
 *  @param {HeatState} s */
export function refresh(s) {
  const now = kinds(s), { ui } = s;
  for (const b of ui.kinds) {
    const kind = b.dataset.kind ?? "";
    b.hidden = !s.set.blocks[kind];
    b.set(now.includes(kind));
  }
  ui.diff.set(s.get("difference"));
  ui.diff.disabled = s.epochs.length < 2;
  ui.sorts.set(s.get("sort"));
  ui.which.set(s.get("which"));
  ui.stage.style.setProperty("--stage", `${s.get("height")}px`);
  Object.assign(s.root.dataset, { sort: s.get("sort"), difference: s.get("difference"), kinds: now.join(" "), which: s.get("which"), theme: s.frame.theme().dark ? "dark" : "light" });
  dial(s);
  if (s.over && !now.includes(s.over.kind)) s.over.kind = now[0];
  s.redraw();
}

/** What changes with the epoch, but the pictures.
 *  @param {HeatState} s */
export function dial(s) {
  const d = s.set.change, before = s.epochs[Math.max(0, s.clock.index - 1)], { bar, time, told } = s.ui;
  bar.set(s.get("difference") ? { scale: "diverging", lo: -d, hi: d, label: `change since epoch ${before}` } : { scale: "viridis", lo: s.get("lo"), hi: 1, label: "probability (log)" });
  time.set(s.clock.index);
  told.textContent = words(s);
  s.root.dataset.epoch = String(s.epochs[s.clock.index]);
  s.root.dataset.alpha = (s.get("alphas")[s.clock.index] ?? 0).toFixed(3);
  s.root.dataset.identity = identities(s).join(" ");
}

/** @param {HeatState} s */
export function sortAgain(s) {
  readOrder(s);
  refresh(s);
}

/** @param {HeatState} s @param {string} key @param {any} value */
function change(s, key, value) {
  s.push({ [key]: value });
  refresh(s);
}

/** @param {HeatState} s @param {string} kind */
function toggleKind(s, kind) {
  const now = kinds(s), next = now.includes(kind) ? now.filter((k) => k !== kind) : [...now, kind];
  const elsewhere = s.get("kinds").filter((/** @type {string} */ k) => !s.set.blocks[k]);
  if (next.length) change(s, "kinds", inOrder([...elsewhere, ...next]));
}

/** One matrix alone, or all again.
 *  @param {HeatState} s @param {string} kind */
export function solo(s, kind) {
  const now = kinds(s);
  if (s.set.blocks[kind]) change(s, "kinds", now.length === 1 && now[0] === kind ? inOrder(Object.keys(s.set.blocks)) : [kind]);
}

/** @param {HeatState} s @param {string} sort */
export function sortBy(s, sort) {
  s.push({ sort });
  sortAgain(s);
  s.noted();
}

/** @param {HeatState} s */
export function nextSort(s) {
  const all = Object.keys(s.get("orders"));
  sortBy(s, all[(all.indexOf(s.get("sort")) + 1) % all.length]);
}

/** @param {HeatState} s */
function matrixControls(s) {
  const kindButtons = Object.keys(WORDS).map((kind, k) => {
    const b = button({ text: WORDS[kind], label: `${kind}: ${MEANING[kind]}`, role: `kind-${kind}`, key: String(k + 1), pressed: true, onClick: () => toggleKind(s, kind) });
    b.dataset.kind = kind;
    return b;
  });
  return {
    kinds: kindButtons,
    which: select({ label: "matrix of", role: "set", options: [], value: 0, onChange: (v) => change(s, "which", Number(v)) }),
    sorts: select({ label: "sort clips by", role: "sort", options: [], value: "", onChange: (v) => sortBy(s, v) }),
    diff: button({ text: "Δ", label: "difference to the previous epoch", role: "difference", key: "D", pressed: false, onClick: () => change(s, "difference", !s.get("difference")) }),
    reset: button({ icon: "reset", label: "whole matrix", role: "reset", key: "0", onClick: () => look(s, { x: 0, y: 0, zoom: 1 }) }),
  };
}

/** @param {HeatState} s */
function timeControls(s) {
  return {
    play: button({ icon: "play", label: "play", role: "play", key: "Space", onClick: () => s.clock.toggle() }),
    time: slider({ label: "epoch", role: "epoch", text: () => words(s), onInput: (v) => s.clock.stop(v) }),
    told: h("span", { class: "c2vl-time", "data-role": "told" }),
  };
}

/** Matrices, axes and curves as SVG.
 *  @param {HeatState} s */
function linesOf(s) {
  const { face, strip } = s;
  return svgOf([{ draw: (ctx, w, tall) => draw(s, ctx, w, tall), w: face.w, tall: face.h }, { draw: (ctx, w, tall) => drawCurves(s, ctx, w, tall), w: strip.w, tall: strip.h }]);
}

/** Builds everything around the matrices, and the picture.
 *  @param {HeatState} s */
export function build(s) {
  const stage = h("div", { class: "c2vl-stage", "data-role": "stage" }), matrices = matrixControls(s), time = timeControls(s), { help, ask } = helpOf(HELP);
  const bar = colourBar({ role: "bar" }), curves = h("div", { class: "c2vl-curves" }), frame = frameButtons(s.root, () => s.face.canvas, "soft-targets", undefined, () => linesOf(s));
  s.root.append(h("div", { class: "c2vl-row" }, Object.values(matrices), Object.values(frame), ask), help, stage, h("div", { class: "c2vl-row" }, Object.values(time), bar), curves);
  s.ui = { stage, ...matrices, ...time, ask, bar };
  s.face = surface(stage, (ctx, w, tall) => draw(s, ctx, w, tall), { label: "matrices of soft targets; press ? for keys", role: "canvas" });
  s.strip = surface(curves, (ctx, w, tall) => drawCurves(s, ctx, w, tall), { label: "α and perplexity over the epochs; drag to move the clock", role: "curves" });
  s.strip.canvas.tabIndex = -1;
  s.tip = tooltip(s.root);
}
