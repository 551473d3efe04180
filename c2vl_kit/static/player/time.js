// @ts-check
/** The clock: what changes with the frame, and what the model is told of it. */
import { sayAt } from "../core/dom.js";
import { local, titleOf } from "./state.js";

/** @typedef {import("./state.js").Player} Player */

/** @param {Player} s */
export function timeText({ clock }) {
  return `frame ${clock.index} / ${clock.frames - 1} · ${(clock.index / clock.fps).toFixed(2)} / ${(clock.frames / clock.fps).toFixed(2)} s`;
}

/** @param {Player} s */
function pushFrame(s) {
  const { clock } = s;
  if (s.get("frame") !== clock.index || s.get("playing") !== clock.playing) s.push({ frame: clock.index, playing: clock.playing });
}

/** The prompt of this moment below each clip; returns what is new.
 *  @param {Player} s */
function sayMoments(s) {
  /** @type {string[]} */
  const heard = [];
  for (const p of s.panels) {
    if (!p.words || !p.count || !p.clip.prompts) continue;
    const at = p.clip.moment(local(s, p.clip, s.clock.index));
    if (at === p.said) continue;
    const words = sayAt(p.words, p.clip.prompts, at);
    if (p.said !== -2) heard.push(s.panels.length > 1 ? `${titleOf(p.clip)}: ${words}` : words);
    p.said = at;
    p.count.textContent = `moment ${at + 1} / ${p.clip.prompts.length}`;
  }
  return heard;
}

/** Everything that changes with the frame, but the picture.
 *  @param {Player} s */
export function dial(s) {
  if (s.clock.index === s.shownIndex) return;
  s.shownIndex = s.clock.index;
  s.ui.scrub.set(s.clock.index);
  s.ui.time.textContent = timeText(s);
  s.root.dataset.frame = String(s.clock.index);
  const heard = sayMoments(s);
  if (heard.length && !s.clock.playing) s.frame.say(heard.join("; "));   // for those who hear it, while it stands still
}

/** Pictures per second while playing, for those who measure.
 *  @param {Player} s */
function rate(s) {
  const now = performance.now(), span = now - s.since;
  if (span > 500) {
    if (s.since && span < 1500) s.root.dataset.fps = (s.count * 1000 / span).toFixed(1);
    s.since = now;
    s.count = 0;
  }
  s.count += 1;
}

/** @param {Player} s */
function ticked(s) {
  if (s.root.isConnected) {
    dial(s);
    s.face.now();
    rate(s);
  }
  if (performance.now() - s.told <= 100) return;
  s.told = performance.now();
  pushFrame(s);
}

/** @param {Player} s */
export function showPlaying(s) {
  const word = s.clock.playing ? "pause" : "play";
  s.ui.play.set(undefined, word, word);
}

/** @param {Player} s
 *  @returns {() => void} what stops it */
export function keepTime(s) {
  return s.clock.on((_, what) => {
    if (what === "tick") { ticked(s); return; }
    if (what === "play" || what === "pause") {
      showPlaying(s);
      s.root.dataset.playing = String(s.clock.playing);
      s.since = 0;
    }
    dial(s);
    s.face.redraw();
    if (what === "set") return;
    pushFrame(s);
    s.noted();
  });
}
