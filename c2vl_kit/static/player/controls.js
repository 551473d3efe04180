// @ts-check
/** The row of controls, and what each of them does. */
import { VIEWS } from "../core/camera.js";
import { button, colourBar, helpOf, legend, select, slider, tooltip } from "../core/controls.js";
import { h } from "../core/dom.js";
import { frameButtons } from "../core/frame.js";
import { surface } from "../core/surface.js";
import { svgOf } from "../core/svg.js";
import { colourings, refresh } from "./arrange.js";
import { buildCurve, curveControls } from "./curve.js";
import { draw } from "./draw.js";
import { titleOf } from "./state.js";
import { timeText } from "./time.js";

/** @typedef {import("./state.js").Player} Player */

const SPEEDS = [0.25, 0.5, 1, 2, 4];
/** @type {[string, string][]} */
const HELP = [["Space", "play, pause"], ["← →", "one frame (Shift: ten)"], ["Home End", "first, last frame"], [", .", "slower, faster"], ["A D W S", "turn"],
  ["+ −", "zoom"], ["1 … 5", Object.keys(VIEWS).join(", ")], ["0", "reset the view"], ["C", "next colouring"], ["L G F", "loop, grid, follow"],
  ["T O", "trails, ghosts"], ["N P Enter", "next, previous joint; mark it"], ["drag", "turn (Shift or right button: move)"],
  ["wheel, pinch", "zoom (click the picture first)"], ["click a joint", "mark it"]];

/** @param {Player} s @param {string} key @param {any} value */
export function change(s, key, value) {
  s.push({ [key]: value });
  refresh(s);
}
/** @param {Player} s @param {string} key */
export const flip = (s, key) => change(s, key, !s.get(key));

/** @param {Player} s @param {number} speed */
function setSpeed(s, speed) {
  s.clock.set({ speed });
  change(s, "speed", speed);
}
/** @param {Player} s @param {number} n steps */
export function faster(s, n) {
  const gap = SPEEDS.map((v) => Math.abs(v - s.clock.speed)), at = gap.indexOf(Math.min(...gap));
  setSpeed(s, SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, at + n))]);
}
/** @param {Player} s */
export function setLoop(s) {
  s.clock.set({ loop: !s.clock.loop });
  change(s, "loop", s.clock.loop);
}
/** The camera stands elsewhere.
 *  @param {Player} s */
export function moved(s) {
  s.ui.views.set(s.camera.view);
  s.face.redraw();
  clearTimeout(s.cameraTimer);
  s.cameraTimer = setTimeout(() => s.push({ camera: s.camera.state() }), 120);
}
/** @param {Player} s @param {string} name */
export function look(s, name) {
  s.camera.preset(name);
  moved(s);
}
/** @param {Player} s */
export function resetCamera(s) {
  s.camera.load(s.home);
  moved(s);
}
/** @param {Player} s */
export function nextColour(s) {
  const all = colourings(s).map((o) => o.value);
  change(s, "colour_by", all[(all.indexOf(s.get("colour_by")) + 1) % all.length]);
}
/** @param {Player} s @param {number} m */
function togglePerson(s, m) {
  const off = new Set(s.get("hidden"));
  if (!off.delete(m)) off.add(m);
  change(s, "hidden", [...off].sort());
}

/** @param {Player} s */
function timeControls(s) {
  const { clock } = s;
  const play = button({ icon: "play", label: "play", role: "play", key: "Space", onClick: () => clock.toggle() });
  const back = button({ icon: "prev", label: "one frame back", role: "back", key: "ArrowLeft", onClick: () => clock.step(-1) });
  const ahead = button({ icon: "next", label: "one frame ahead", role: "ahead", key: "ArrowRight", onClick: () => clock.step(1) });
  const scrub = slider({ label: "frame", role: "scrub", text: () => timeText(s), onInput: (v) => clock.stop(v) });
  return { play, back, ahead, scrub, time: h("span", { class: "c2vl-time", "data-role": "time" }) };
}

/** @param {Player} s */
function lookControls(s) {
  const speedNames = ["¼", "½", "1", "2", "4"].map((text, i) => ({ value: SPEEDS[i], label: `${text}×` }));
  const viewNames = [{ value: "", label: "view: free" }, ...Object.keys(VIEWS).map((k) => ({ value: k, label: `view: ${k}` }))];
  /** @param {string} key @param {number} most */
  const amount = (key, most) => () => change(s, key, s.get(key) ? 0 : most);
  return {
    speeds: select({ label: "speed", role: "speed", options: speedNames, value: 1, onChange: (v) => setSpeed(s, Number(v)) }),
    loop: button({ icon: "loop", label: "loop", role: "loop", key: "L", pressed: true, onClick: () => setLoop(s) }),
    views: select({ label: "view", role: "view", options: viewNames, value: "", onChange: (v) => look(s, v) }),
    reset: button({ icon: "reset", label: "reset the view", role: "reset", key: "0", onClick: () => resetCamera(s) }),
    colours: select({ label: "colour by", role: "colour", options: colourings(s), value: "side", onChange: (v) => change(s, "colour_by", v) }),
    trails: button({ icon: "trail", label: "trails", role: "trails", key: "T", pressed: false, onClick: amount("trails", 20) }),
    ghosts: button({ icon: "ghost", label: "ghosts of earlier moments", role: "ghosts", key: "O", pressed: false, onClick: amount("ghosts", 4) }),
    grid: button({ icon: "grid", label: "ground grid", role: "grid", key: "G", pressed: true, onClick: () => flip(s, "grid") }),
    follow: button({ icon: "follow", label: "keep the bodies in the middle", role: "follow", key: "F", pressed: false, onClick: () => flip(s, "follow") }),
  };
}

/** The titles, which stand over the canvas, within a saved picture.
 *  @param {Player} s @param {CanvasRenderingContext2D} ctx @param {number} ratio */
function writeTitles(s, ctx, ratio) {
  const theme = s.frame.theme();
  if (ratio !== 1) ctx.scale(ratio, ratio);
  for (const { clip, box: [x, y, w] } of s.panels) {
    ctx.fillStyle = theme.ink;
    ctx.font = "600 13px system-ui, sans-serif";
    ctx.fillText(titleOf(clip), x + 8, y + 18, w - 16);
    ctx.fillStyle = theme.soft;
    ctx.font = "12px system-ui, sans-serif";
    ctx.fillText(clip.facts ?? "", x + 8, y + 34, w - 16);
  }
}

/** The still picture as SVG.
 *  @param {Player} s */
function linesOf(s) {
  const { w, h: tall } = s.face;
  return svgOf([{ draw: (ctx) => { draw(s, ctx, w, tall); writeTitles(s, ctx, 1); }, w, tall }]);
}

/** Builds everything around the picture, and the picture.
 *  @param {Player} s */
export function build(s) {
  const chooser = h("div", { class: "c2vl-row", "data-role": "chooser" }), stage = h("div", { class: "c2vl-stage", "data-role": "stage" });
  const titles = h("div", { class: "c2vl-titles" }), prompts = h("div", { class: "c2vl-prompts", "data-role": "prompts" });
  const time = timeControls(s), looks = lookControls(s), curve = curveControls(s), { help, ask } = helpOf(HELP);
  const frame = frameButtons(s.root, () => s.face.canvas, "player", (ctx) => writeTitles(s, ctx, s.face.ratio), () => linesOf(s));
  const key = legend({ label: "colours", role: "legend" });
  const people = legend({ label: "persons", role: "persons", onToggle: (m) => togglePerson(s, m) });
  const bar = colourBar({ role: "bar" });
  s.root.append(chooser, stage, h("div", { class: "c2vl-row" }, time.back, time.play, time.ahead, time.scrub, time.time), curve.curveBox,
    h("div", { class: "c2vl-row" }, Object.values(looks), curve.curves, frame.picture, frame.vector, frame.full, ask), help, h("div", { class: "c2vl-row" }, key, people, bar), prompts);
  s.ui = { ...time, ...looks, ...curve, chooser, stage, titles, prompts, ask, key, people, bar };
  s.face = surface(stage, (ctx, w, tall) => draw(s, ctx, w, tall), { label: "skeletons; press ? for keys", role: "canvas" });
  stage.append(titles);
  buildCurve(s);
  s.tip = tooltip(s.root);
}
