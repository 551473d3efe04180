// @ts-check
/** Which space the points are in, and the way between two. */
import { calm } from "../core/theme.js";
import { between, centresOf } from "./centres.js";
import { placesOf, round } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */

const MORPH_MS = 900, DWELL_MS = 1300;

/** Positions between `from` and `to`; a clip that is in one of them only stays where it is known.
 *  @param {MapState} s */
function mix({ xy, from, to, part }) {
  if (part >= 1 || from === to) { xy.set(to); return; }
  for (let j = 0; j < xy.length; j++) {
    const a = from[j], b = to[j], hasA = !Number.isNaN(a), hasB = !Number.isNaN(b);
    if (hasA && hasB) xy[j] = a + (b - a) * part;
    else xy[j] = part < 0.5 ? a : b;
  }
}

/** @param {MapState} s @param {number} at */
function told(s, at) {
  const near = Math.round(at), { note, way, chooser } = s.ui;
  way.set(round(at));
  chooser.set(near);
  note.textContent = s.spaces[near]?.note ?? "";
  note.hidden = !note.textContent;
  s.root.dataset.at = String(round(at));
  if (s.get("at") !== round(at)) s.push({ at: round(at) });
  s.face?.redraw();
}

/** @param {MapState} s */
export function stop(s) {
  cancelAnimationFrame(s.morphing);
  s.morphing = 0;
}

/** @param {MapState} s @param {number} at 0 … spaces − 1, a fraction lies between two */
export function jump(s, at) {
  stop(s);
  const last = s.spaces.length - 1, a = Math.max(0, Math.min(last, Math.floor(at))), b = Math.min(last, a + 1);
  [s.from, s.to, s.part] = [placesOf(s, a), placesOf(s, b), Math.max(0, Math.min(1, at - a))];
  if (s.part === 0) { s.to = s.from; s.part = 1; }
  mix(s);
  s.centres = between(s, s.part);
  told(s, at);
}

/** Moves all points to another space, in a second.
 *  @param {MapState} s @param {number} k */
export function morph(s, k) {
  if (!s.spaces[k]) return;
  if (calm()) { jump(s, k); return; }
  stop(s);
  const startAt = s.get("at"), begin = performance.now();
  s.from = Float32Array.from(s.xy);
  s.to = placesOf(s, k);
  const before = s.centres, after = centresOf(s, s.to);
  /** @param {number} now */
  const step = (now) => {
    const t = Math.min(1, Math.max(0, (now - begin) / MORPH_MS));
    s.part = t * t * (3 - 2 * t);
    mix(s);
    s.centres = after.map((c, l) => {
      const was = before[l];
      return c && was ? { ...c, x: was.x + (c.x - was.x) * s.part, y: was.y + (c.y - was.y) * s.part } : c;
    });
    s.root.dataset.at = String(round(startAt + (k - startAt) * s.part));
    s.ui.way.set(Number(s.root.dataset.at));
    s.face.now();
    if (t < 1) { s.morphing = requestAnimationFrame(step); return; }
    s.morphing = 0;
    s.from = s.to;
    told(s, k);
    s.frame.say(`${s.spaces[k].name} space`);
  };
  s.morphing = requestAnimationFrame(step);
}

/** From space to space until it is stopped.
 *  @param {MapState} s @param {boolean} on */
export function play(s, on) {
  clearTimeout(s.dwell);
  s.ui.roam.set(on, on ? "pause" : "play", on ? "stop" : "play through the spaces");
  if (s.get("playing") !== on) s.push({ playing: on });
  s.root.dataset.playing = String(on);
  if (!on) return;
  const next = () => {
    morph(s, (Math.round(s.get("at")) + 1) % s.spaces.length);
    s.dwell = setTimeout(next, MORPH_MS + DWELL_MS);
  };
  next();
}
