// @ts-check
/** The controls around the map, and what each of them does. */
import { button, colourBar, helpOf, legend, select, slider, tooltip } from "../core/controls.js";
import { h } from "../core/dom.js";
import { frameButtons } from "../core/frame.js";
import { surface } from "../core/surface.js";
import { choose, find, pick, point, takeHits } from "./choose.js";
import { flipDensity } from "./density.js";
import { drawer } from "./draw.js";
import { filters, unfilter } from "./filters.js";
import { listControls, showList } from "./list.js";
import { look } from "./look.js";
import { jump, morph, play } from "./move.js";
import { clearNear } from "./near.js";
import { light, recolour, setHidden, toggleLevel } from "./shade.js";
import { column } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */

/** @type {[string, string][]} */
const HELP = [["drag", "move"], ["wheel, pinch", "zoom (click the map first)"], ["Shift drag, L", "lasso"], ["click", "show in the player (Ctrl: as the second)"],
  ["← → ↑ ↓", "move"], ["+ − 0", "zoom, whole map"], ["N P", "next, previous clip"], ["Enter", "show it in the player"], ["X", "select it, or not"],
  [", .", "previous, next space"], ["Space", "play through the spaces"], ["/", "search"], ["double click, Alt click", "only this class (in the legend)"], ["T", "class names"], ["W", "words of regions"], ["F", "filters: click or drag over bars"], ["D", "density or points"], ["Esc", "no selection"]];

/** Sets every control to what the model says.
 *  @param {MapState} s */
export function refresh(s) {
  const lasso = s.get("tool") === "lasso";
  s.ui.lassoTool.set(lasso);
  s.ui.nameTool.set(s.get("show_names") && !s.get("show_words"));
  s.ui.wordTool.set(s.get("show_words"));
  s.root.style.setProperty("--stage", s.get("height") ? `${s.get("height")}px` : "");
  s.face.canvas.style.cursor = lasso ? "crosshair" : "";
  s.face.canvas.style.touchAction = lasso ? "none" : "";
  s.root.dataset.tool = s.get("tool");
  s.face.redraw();
}

/** @param {MapState} s @param {string} key @param {any} value */
function change(s, key, value) {
  s.push({ [key]: value });
  refresh(s);
}

/** One kind of names, or none.
 *  @param {MapState} s @param {string} one @param {string} other */
function names(s, one, other) {
  const on = !s.get(one);
  s.push({ [one]: on, ...(on ? { [other]: false } : {}) });
  refresh(s);
}

/** @param {MapState} s */
function spaceControls(s) {
  const note = h("span", { class: "c2vl-time c2vl-note", "data-role": "note", dir: "auto" });
  const chooser = select({ label: "space", role: "space", options: [], value: 0, onChange: (v) => { play(s, false); morph(s, Number(v)); } });
  const way = slider({ label: "way between the spaces", role: "morph", max: 1, step: 0.01, text: (v) => s.spaces[Math.round(v)]?.name ?? "",
    onInput: (v) => { play(s, false); jump(s, v); } });
  const roam = button({ icon: "play", label: "play through the spaces", role: "roam", key: "Space", pressed: false, onClick: () => play(s, !s.get("playing")) });
  return { chooser, way, roam, note };
}

/** @param {MapState} s */
function searchControls(s) {
  const search = h("input", { type: "search", class: "c2vl-search", placeholder: "search prompts", "aria-label": "search in prompts, names and classes", "data-role": "search", dir: "auto",
    oninput: () => { s.push({ query: search.value }); find(s, search.value); },
    onkeydown: (/** @type {KeyboardEvent} */ e) => { if (e.key === "Enter") takeHits(s); } });
  const hitCount = h("span", { class: "c2vl-time", "data-role": "hit-count", "aria-live": "polite" });
  const take = button({ text: "select", label: "select what was found", role: "take", onClick: () => takeHits(s) });
  return { search, hitCount, take };
}

/** @param {MapState} s */
function lookControls(s) {
  const byColumn = (/** @type {string} */ v) => {
    s.push({ colour_by: v });
    s.lit = null;
    recolour(s);
    showList(s);
  };
  return {
    colour: select({ label: "colour by", role: "colour", options: [], value: "", onChange: byColumn }),
    lassoTool: button({ icon: "lasso", label: "lasso: draw around clips", role: "lasso", key: "L", pressed: false,
      onClick: () => change(s, "tool", s.get("tool") === "lasso" ? "move" : "lasso") }),
    nameTool: button({ text: "Aa", label: "class names on the map", role: "names", key: "T", pressed: true, onClick: () => names(s, "show_names", "show_words") }),
    wordTool: button({ text: "words", label: "words that set regions apart", role: "words", key: "W", pressed: false, onClick: () => names(s, "show_words", "show_names") }),
    denseTool: button({ text: "density", label: "density instead of points", role: "density", key: "D", pressed: false, onClick: () => flipDensity(s) }),
    filterTool: button({ text: "filter", label: "filters", role: "filter-button", key: "F", pressed: false,
      onClick: () => { s.push({ filtering: !s.get("filtering") }); for (const fn of s.after) fn(); } }),
    reset: button({ icon: "reset", label: "whole map", role: "reset", key: "0", onClick: () => look(s, { x: 0.5, y: 0.5, zoom: 1 }) }),
  };
}

/** The legend; pointing at a class makes the others stand back.
 *  @param {MapState} s */
function classControls(s) {
  const key = legend({ label: "classes: show or hide", role: "legend", onToggle: (level, e) => toggleLevel(s, level, e) });
  /** @param {(levels: string[]) => Iterable<number>} off */
  const hide = (off) => () => {
    const c = column(s);
    if (c?.kind === "category") setHidden(s, c, new Set(off(c.levels)));
  };
  for (const name of ["pointerover", "focusin"]) {
    key.addEventListener(name, (e) => {
      const at = /** @type {HTMLElement | null} */ (/** @type {Element} */ (e.target).closest?.("[data-key]"));
      light(s, at?.dataset.key);
    });
  }
  for (const name of ["pointerleave", "focusout"]) key.addEventListener(name, () => light(s, undefined));
  return {
    key,
    all: button({ text: "all", label: "show all", role: "all", onClick: hide(() => []) }),
    none: button({ text: "none", label: "hide all", role: "none", onClick: hide((levels) => levels.keys()) }),
    bar: colourBar({ role: "bar" }),
    count: h("span", { class: "c2vl-time", "data-role": "count" }),
  };
}

/** Lines that point and pick.
 *  @param {MapState} s @param {HTMLElement} box */
function lively(s, box) {
  /** @param {Event} e */
  const clipOf = (e) => s.index.get(/** @type {HTMLElement | null} */ (/** @type {Element} */ (e.target).closest("[data-name]"))?.dataset.name ?? "");
  box.addEventListener("click", (e) => {
    const i = clipOf(e);
    if (i !== undefined) pick(s, i, e);
  });
  for (const name of ["pointerover", "focusin"]) box.addEventListener(name, (e) => point(s, clipOf(e) ?? -1));
  for (const name of ["pointerleave", "focusout"]) box.addEventListener(name, () => point(s, -1));
}

/** The histograms, and what stands above them.
 *  @param {MapState} s */
function filterControls(s) {
  const bars = h("div", { class: "c2vl-bars" }), filterCount = h("b", { "data-role": "filter-count", "aria-live": "polite" });
  const fade = button({ text: "fade", label: "fade what is filtered out instead of hiding it", role: "fade", pressed: false,
    onClick: () => { s.push({ fade: !s.get("fade") }); recolour(s); } });
  const all = button({ text: "reset", label: "all clips again", role: "filter-reset", onClick: () => unfilter(s) });
  return { bars, filterCount, fade, filters: h("div", { class: "c2vl-filters", "data-role": "filters", hidden: true }, h("div", { class: "c2vl-row" }, filterCount, fade, all), bars) };
}

/** The list of what is near; its lines point and pick.
 *  @param {MapState} s */
function nearControls(s) {
  const nearTitle = h("b", { dir: "auto" }), nearList = h("div", { class: "c2vl-near-list" });
  const close = button({ text: "×", label: "no neighbours", role: "near-close", onClick: () => clearNear(s) });
  lively(s, nearList);
  const near = h("div", { class: "c2vl-near", "data-role": "near-box", hidden: true }, h("div", { class: "c2vl-row" }, nearTitle, close), nearList);
  return { near, nearTitle, nearList };
}

/** Builds everything around the picture, and the picture.
 *  @param {MapState} s */
export function build(s) {
  const stage = h("div", { class: "c2vl-stage", "data-role": "stage" }), space = spaceControls(s), search = searchControls(s), looks = lookControls(s);
  const classes = classControls(s), lists = listControls(s), nears = nearControls(s), sieve = filterControls(s), { help, ask } = helpOf(HELP);
  const clear = button({ text: "clear", label: "select nothing", role: "clear", onClick: () => choose(s, []) });
  lively(s, lists.list);
  const frame = frameButtons(s.root, () => s.face.canvas, "concept-map");
  const side = h("div", { class: "c2vl-side" }, h("div", { class: "c2vl-row" }, classes.count, classes.all, classes.none), classes.key, classes.bar,
    h("div", { class: "c2vl-row" }, lists.title, clear), lists.list, lists.exports, nears.near);
  s.root.append(h("div", { class: "c2vl-row" }, Object.values(search), Object.values(looks), Object.values(frame), ask), help, sieve.filters, h("div", { class: "c2vl-both" }, stage, side),
    h("div", { class: "c2vl-row" }, space.roam, space.chooser, space.way, space.note));
  s.ui = { stage, ...space, ...search, ...looks, ...classes, ...lists, ...nears, ...sieve, clear, ask };
  s.face = surface(stage, drawer(s), { label: "map of clips; press ? for keys", role: "canvas" });
  s.tip = tooltip(s.root);
  filters(s);
}
