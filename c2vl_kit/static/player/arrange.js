// @ts-check
/** Which clips stand where, and what stands around them. */
import { h } from "../core/dom.js";
import { select } from "../core/controls.js";
import { PART_TINT } from "../core/skeleton.js";
import { readLibrary, scalarOf, titleOf } from "./state.js";
import { dial } from "./time.js";

/** @typedef {import("./state.js").Player} Player */
/** @typedef {import("../core/controls.js").Select} Select */
/** @typedef {import("../core/controls.js").Option} Option */

/** @param {Player} s
 *  @returns {Option[]} */
export function colourings(s) {
  const own = ["left / right", "body part", "person"].map((label, i) => ({ value: ["side", "part", "person"][i], label: `colour: ${label}` }));
  return [...own, ...s.scalars.map((one) => ({ value: one.name, label: `colour: ${one.name}` }))];
}

/** @param {Player} s */
export function load(s) {
  readLibrary(s);
  s.ui.colours.fill(colourings(s), s.get("colour_by"));
  arrange(s);
}

/** @param {Player} s @param {number[]} shown numbers of clips */
export function show(s, shown) {
  s.push({ shown });
  arrange(s);
}

/** One list for each place; those that can stay do, and keep the keyboard.
 *  @param {Player} s @param {Option[]} names */
function chooseFrom(s, names) {
  const { chooser } = s.ui, lists = () => /** @type {Select[]} */ ([...chooser.children]);
  const of = chooser.hidden ? "" : JSON.stringify([s.panels.length, names]);
  const focused = lists().indexOf(/** @type {Select} */ (document.activeElement));
  /** @param {number} n */
  const list = (n) => select({ label: s.panels.length > 1 ? `clip ${n + 1}` : "clip", role: "clip", options: names,
    onChange: (v) => show(s, s.panels.map((q, k) => (k === n ? Number(v) : q.at))) });
  if (of !== s.listed) chooser.replaceChildren(...(of ? s.panels.map((_, n) => list(n)) : []));
  s.listed = of;
  s.panels.forEach((p, n) => { lists()[n]?.set(p.at); });
  if (focused < 0 || chooser.contains(document.activeElement)) return;
  (lists()[Math.min(focused, lists().length - 1)] ?? s.face.canvas).focus({ preventScroll: true });
}

/** @param {Player} s */
function tellClips(s) {
  const { titles, prompts } = s.ui;
  titles.replaceChildren(...s.panels.map(({ clip }) => h("div", { "data-clip": clip.name }, h("b", { dir: "auto" }, titleOf(clip)), h("span", { dir: "auto" }, clip.facts))));
  prompts.hidden = !s.panels.some((p) => p.clip.prompts?.length);
  prompts.classList.toggle("c2vl-stacked", s.panels.length > 1);
  prompts.replaceChildren(...s.panels.map((p) => {
    if (!p.clip.prompts?.length) return h("p", {}, h("small", {}, "no prompts"));
    p.count = h("small");
    p.words = h("span", { dir: "auto" });
    return h("p", { "data-role": "prompt" }, p.count, p.words);
  }));
  s.face.canvas.setAttribute("aria-label", `skeletons of ${s.panels.map((p) => titleOf(p.clip)).join(" and ")}; press ? for keys`);
}

/** @param {Player} s */
export function arrange(s) {
  const shown = s.get("shown").filter((/** @type {number} */ i) => s.clips[i]), { clock } = s;
  s.panels = shown.map((/** @type {number} */ at) => ({ at, clip: s.clips[at], points: null, said: -2, f: 0, box: [], view: [], near: null, words: null, count: null }));
  s.hover = null;
  s.tip.hide();
  if (!s.panels.length) { s.face.redraw(); return; }
  const { fps } = s.panels[0].clip, stretch = s.get("align") === "stretch";
  clock.set({ fps, frames: Math.max(1, ...s.panels.map(({ clip }) => (stretch ? clip.T : Math.ceil(clip.T * fps / clip.fps - 1e-6)))) });
  if (!clock.playing) clock.seek(s.get("frame"));   // a shorter clip ends earlier
  s.ui.chooser.hidden = s.clips.length <= s.panels.length;
  chooseFrom(s, s.clips.map((c, i) => ({ value: i, label: titleOf(c) })));
  tellClips(s);
  s.known = "";
  s.shownIndex = -1;
  s.ui.scrub.set(clock.index, clock.frames - 1);
  dial(s);
  refresh(s);
  s.noted();
}

/** @param {Player} s @param {string} by @param {import("../core/theme.js").Theme} theme
 *  @returns {import("../core/controls.js").Item[]} */
function keyItems(s, by, theme) {
  if (scalarOf(s) || by === "person") return [];
  if (by === "part") return Object.entries(PART_TINT).map(([part, tint]) => ({ key: part, label: part, colour: theme[tint] }));
  const sides = /** @type {const} */ ([["left", "left side"], ["right", "right side"], ["trunk", "trunk"]]);
  return sides.map(([key, label]) => ({ key, label, colour: theme[key] }));
}

/** Legends and colour bar.
 *  @param {Player} s @param {import("../core/theme.js").Theme} theme @param {number} most persons @param {Set<number>} hidden */
function tellColours(s, theme, most, hidden) {
  const by = s.get("colour_by"), active = scalarOf(s), { key, people, bar } = s.ui;
  key.set(keyItems(s, by, theme));
  if (s.panels.some((p) => p.clip.seen.includes(2))) {
    key.hidden = false;
    key.append(h("span", { class: "c2vl-item" }, h("span", { class: "c2vl-dot c2vl-hollow" }), "not seen (place guessed)"));
  }
  /** @param {number} m */
  const tint = (m) => (by === "person" ? theme.persons[m % theme.persons.length] : m ? theme.faint : theme.ink);
  people.set(most > 1 ? Array.from({ length: most }, (_, m) => ({ key: m, label: `person ${m + 1}`, colour: tint(m) })) : [], hidden);
  bar.set(active ? { ...active, label: active.unit ? `${active.name} (${active.unit})` : active.name } : null);
}

/** Sets every control to what the model says.
 *  @param {Player} s */
export function refresh(s) {
  const by = s.get("colour_by"), hidden = new Set(s.get("hidden")), { ui } = s;
  ui.speeds.set(s.clock.speed);
  ui.loop.set(s.clock.loop);
  ui.colours.set(by);
  ui.trails.set(!!s.get("trails"));
  ui.ghosts.set(!!s.get("ghosts"));
  ui.grid.set(s.get("grid"));
  ui.follow.set(s.get("follow"));
  ui.views.set(s.camera.view);
  ui.stage.style.setProperty("--stage", `${s.get("height")}px`);
  s.root.dataset.colour = by;
  const theme = s.frame.theme(), most = Math.max(1, ...s.panels.map((p) => p.clip.M));
  const now = JSON.stringify([by, most, [...hidden], theme.dark, s.panels.map((p) => p.at)]);
  if (now !== s.known) {
    s.known = now;
    tellColours(s, theme, most, hidden);
  }
  s.face.redraw();
}
