// @ts-check
/** The controls around the map, and what each of them does. */
import { button, colourBar, helpOf, legend, select, slider, tooltip } from "../core/controls.js";
import { h } from "../core/dom.js";
import { frameButtons } from "../core/frame.js";
import { surface } from "../core/surface.js";
import { choose, find, pick, point, showList, takeHits } from "./choose.js";
import { drawer } from "./draw.js";
import { look } from "./look.js";
import { jump, morph, play } from "./move.js";
import { clearNear } from "./near.js";
import { light, recolour, setHidden, toggleLevel } from "./shade.js";
import { column } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */

/** @type {[string, string][]} */
const HELP = [["drag", "move"], ["wheel, pinch", "zoom (click the map first)"], ["Shift drag, L", "lasso"], ["click", "show in the player (Ctrl: as the second)"],
  ["← → ↑ ↓", "move"], ["+ − 0", "zoom, whole map"], ["N P", "next, previous clip"], ["Enter", "show it in the player"], ["X", "select it, or not"],
  [", .", "previous, next space"], ["Space", "play through the spaces"], ["/", "search"], ["double click, Alt click", "only this class (in the legend)"], ["T", "class names"], ["Esc", "no selection"]];

/** Sets every control to what the model says.
 *  @param {MapState} s */
export function refresh(s) {
  const lasso = s.get("tool") === "lasso";
  s.ui.lassoTool.set(lasso);
  s.ui.nameTool.set(s.get("show_names"));
  s.ui.stage.style.setProperty("--stage", `${s.get("height")}px`);
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
    nameTool: button({ text: "Aa", label: "class names on the map", role: "names", key: "T", pressed: true, onClick: () => change(s, "show_names", !s.get("show_names")) }),
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

/** @param {MapState} s */
function listControls(s) {
  const title = h("b", { "data-role": "selected" }), list = h("div", { class: "c2vl-list", "data-role": "list" });
  return { title, list, clear: button({ text: "clear", label: "select nothing", role: "clear", onClick: () => choose(s, []) }) };
}

/** The list of what is near; its lines point and pick.
 *  @param {MapState} s */
function nearControls(s) {
  const nearTitle = h("b", { dir: "auto" }), nearList = h("div", { class: "c2vl-near-list" });
  const close = button({ text: "×", label: "no neighbours", role: "near-close", onClick: () => clearNear(s) });
  /** @param {Event} e */
  const clipOf = (e) => s.index.get(/** @type {HTMLElement | null} */ (/** @type {Element} */ (e.target).closest("[data-name]"))?.dataset.name ?? "");
  nearList.addEventListener("click", (e) => {
    const i = clipOf(e);
    if (i !== undefined) pick(s, i, e);
  });
  for (const name of ["pointerover", "focusin"]) nearList.addEventListener(name, (e) => point(s, clipOf(e) ?? -1));
  for (const name of ["pointerleave", "focusout"]) nearList.addEventListener(name, () => point(s, -1));
  const near = h("div", { class: "c2vl-near", "data-role": "near-box", hidden: true }, h("div", { class: "c2vl-row" }, nearTitle, close), nearList);
  return { near, nearTitle, nearList };
}

/** Builds everything around the picture, and the picture.
 *  @param {MapState} s */
export function build(s) {
  const stage = h("div", { class: "c2vl-stage", "data-role": "stage" }), space = spaceControls(s), search = searchControls(s), looks = lookControls(s);
  const classes = classControls(s), lists = listControls(s), nears = nearControls(s), { help, ask } = helpOf(HELP);
  const frame = frameButtons(s.root, () => s.face.canvas, "concept-map");
  const side = h("div", { class: "c2vl-side" }, h("div", { class: "c2vl-row" }, classes.count, classes.all, classes.none), classes.key, classes.bar,
    h("div", { class: "c2vl-row" }, lists.title, lists.clear), lists.list, nears.near);
  s.root.append(h("div", { class: "c2vl-row" }, Object.values(search), Object.values(looks), Object.values(frame), ask), help, h("div", { class: "c2vl-both" }, stage, side),
    h("div", { class: "c2vl-row" }, space.roam, space.chooser, space.way, space.note));
  s.ui = { stage, ...space, ...search, ...looks, ...classes, ...lists, ...nears, ask };
  s.face = surface(stage, drawer(s), { label: "map of clips; press ? for keys", role: "canvas" });
  s.tip = tooltip(s.root);
}
