// @ts-check
/** Mouse, fingers and keys. */
import { VIEWS } from "../core/camera.js";
import { onKeys, slides } from "../core/dom.js";
import { gestures } from "../core/gestures.js";
import { nearest } from "../core/skeleton.js";
import { faster, flip, look, moved, nextColour, resetCamera, setLoop } from "./controls.js";
import { sayJoint } from "./tell.js";

/** @typedef {import("./state.js").Player} Player */
/** @typedef {import("./state.js").Hit} Hit */

/** @param {Player} s @param {number} x @param {number} y */
const panelAt = (s, x, y) => s.panels.find(({ box }) => box.length && x >= box[0] && x < box[0] + box[2] && y >= box[1] && y < box[1] + box[3]);

/** @param {Player} s @param {number} x @param {number} y @param {number} reach
 *  @returns {Hit | null} */
function find(s, x, y, reach) {
  const panel = panelAt(s, x, y), hit = panel?.points ? nearest(panel.points, x, y, reach, panel.clip.V) : null;
  return panel && hit ? { ...hit, panel } : null;
}

/** @param {Hit | null} a @param {Hit | null} b */
const sameJoint = (a, b) => a?.panel === b?.panel && a?.m === b?.m && a?.v === b?.v;

/** @param {Player} s @param {string | null} name */
function enter(s, name) {
  if (name === s.over) return;
  s.over = name;
  s.bus.emit("hover", { name });
}

/** @param {Player} s @param {number} x @param {number} y @param {number} reach */
function point(s, x, y, reach) {
  const hit = find(s, x, y, reach);
  enter(s, panelAt(s, x, y)?.clip.name ?? null);
  if (sameJoint(hit, s.hover)) return;
  s.hover = hit;
  if (!hit) s.tip.hide();
  s.face.redraw();
}

/** @param {Player} s */
function leave(s) {
  s.hover = null;
  s.tip.hide();
  s.face.redraw();
  enter(s, null);
}

/** @param {Player} s @param {Hit | null} hit marked, or no longer */
function mark(s, hit) {
  const was = s.get("picked"), again = hit && was.person === hit.m && was.joint === hit.v;
  s.push({ picked: hit && !again ? { person: hit.m, joint: hit.v, name: hit.panel.clip.layout.joints[hit.v], clip: hit.panel.clip.name } : {} });
  s.face.redraw();
}

/** All joints that are drawn, in every panel.
 *  @param {Player} s
 *  @returns {Hit[]} */
function drawnJoints(s) {
  return s.panels.flatMap((panel) => {
    const { M, V } = panel.clip, { points } = panel;
    const all = Array.from({ length: M * V }, (_, k) => ({ panel, m: Math.floor(k / V), v: k % V }));
    return points ? all.filter(({ m, v }) => !Number.isNaN(points[(m * V + v) * 3])) : [];
  });
}

/** @param {Player} s @param {number} by */
function nextJoint(s, by) {
  const all = drawnJoints(s);
  if (!all.length) return;
  const at = all.findIndex((j) => sameJoint(j, s.hover)), first = by > 0 ? 0 : all.length - 1;
  s.hover = all[at < 0 ? first : (at + by + all.length) % all.length];
  sayJoint(s, s.hover);
  s.face.redraw();
}

/** @param {Player} s
 *  @returns {() => void} what stops it */
function hear(s) {
  const { camera } = s;
  return gestures(s.face.canvas, {
    drag(dx, dy) { camera.orbit(dx, dy); moved(s); },
    pan(dx, dy) { camera.panBy(dx, dy); moved(s); },
    zoom(factor, x = 0, y = 0) {
      const view = panelAt(s, x, y)?.view;
      if (view) [camera.x, camera.y, camera.w, camera.h] = view;
      camera.zoomBy(factor, x, y);
      moved(s);
    },
    hover: (x, y) => point(s, x, y, 14),
    leave: () => leave(s),
    tap(x, y, e) {
      const touch = e.pointerType === "touch", hit = find(s, x, y, touch ? 24 : 14);
      if (touch) point(s, x, y, 24);
      mark(s, hit);
    },
    twice: () => resetCamera(s),
  });
}

/** @param {Player} s
 *  @returns {import("../core/dom.js").Keys} */
function keysOf(s) {
  const { clock, camera, ui } = s;
  /** @param {number} dx @param {number} dy */
  const orbit = (dx, dy) => () => { camera.orbit(dx, dy); moved(s); };
  /** @param {number} factor */
  const zoom = (factor) => () => { camera.zoomBy(factor); moved(s); };
  /** @param {number} n */
  const step = (n) => (/** @type {KeyboardEvent} */ e) => clock.step(e.shiftKey ? 10 * n : n);
  const views = Object.keys(VIEWS).map((name, i) => [i + 1, () => look(s, name)]);
  return {
    " ": () => clock.toggle(), k: () => clock.toggle(), ArrowLeft: step(-1), ArrowRight: step(1), Home: () => clock.stop(0), End: () => clock.stop(clock.frames - 1),
    ",": () => faster(s, -1), ".": () => faster(s, 1), "<": () => faster(s, -1), ">": () => faster(s, 1),
    a: orbit(10, 0), d: orbit(-10, 0), w: orbit(0, 10), s: orbit(0, -10), "+": zoom(1.2), "=": zoom(1.2), "-": zoom(1 / 1.2),
    0: () => resetCamera(s), c: () => nextColour(s), l: () => setLoop(s), g: () => flip(s, "grid"), f: () => flip(s, "follow"),
    t: () => ui.trails.click(), o: () => ui.ghosts.click(), "?": () => ui.ask.click(), Escape: () => leave(s),
    n: () => nextJoint(s, 1), p: () => nextJoint(s, -1), Enter: () => { if (s.hover) mark(s, s.hover); }, ...Object.fromEntries(views),
  };
}

/** @param {Player} s */
export function interact(s) {
  s.ends.push(hear(s), onKeys(s.root, keysOf(s), (e, on) => slides(e, on) && !e.shiftKey));
}
