// @ts-check
/** What happens over time, under the scrubber: speed or height of a joint, or the words of each moment. A line follows the clock. */
import { fmt } from "../core/colour.js";
import { h } from "../core/dom.js";
import { surface } from "../core/surface.js";
import { gestures } from "../core/gestures.js";
import { select } from "../core/controls.js";
import { local, shownFrame } from "./state.js";

/** @typedef {import("./state.js").Player} Player */
/** @typedef {import("./state.js").Panel} Panel */
/** @typedef {import("../core/theme.js").Theme} Theme */
/** @typedef {CanvasRenderingContext2D} Ctx */

const KINDS = [{ value: "speed", label: "curve: speed" }, { value: "height", label: "curve: height" }, { value: "words", label: "curve: words" }, { value: "", label: "no curve" }];
const LEFT = 8;   // half a thumb of the scrubber

/** Metres a second of joint j between two frames; NaN where it was not there.
 *  @param {import("../core/clips.js").Clip} clip @param {number} t @param {number} j within a frame */
function speedAt({ xyz, seen, M, V, fps }, t, j) {
  const a = (t - 1) * M * V + j, b = t * M * V + j;
  if (t < 1 || !seen[a] || !seen[b]) return NaN;
  return Math.hypot(xyz[b * 3] - xyz[a * 3], xyz[b * 3 + 1] - xyz[a * 3 + 1], xyz[b * 3 + 2] - xyz[a * 3 + 2]) * fps;
}

/** Metres above the floor of joint j.
 *  @param {import("../core/clips.js").Clip} clip @param {number} t @param {number} j */
function heightAt({ xyz, seen, M, V, floor }, t, j) {
  const k = t * M * V + j;
  return seen[k] ? xyz[k * 3 + 1] - floor : NaN;
}

/** The joint that is pointed at or marked; without one all of them.
 *  @param {Player} s @param {Panel} panel
 *  @returns {number[]} within a frame */
function jointsOf(s, { clip }) {
  const { hover } = s, picked = s.get("picked"), { V, M } = clip;
  const one = hover ?? (picked.joint === undefined ? null : { m: picked.person, v: picked.joint });
  if (one && one.m < M && one.v < V) return [one.m * V + one.v];
  return Array.from({ length: M * V }, (_, j) => j);
}

/** What the curve is about.
 *  @param {Player} s @param {Panel} panel */
function nameOf(s, panel) {
  const joints = jointsOf(s, panel), { joints: names } = panel.clip.layout;
  return joints.length === 1 ? names[joints[0] % panel.clip.V] : "all joints";
}

/** A value for each frame of a clip: the mean over its joints.
 *  @param {Player} s @param {Panel} panel */
export function curveOf(s, panel) {
  const { clip } = panel, joints = jointsOf(s, panel), at = s.curve === "height" ? heightAt : speedAt;
  const values = Float32Array.from({ length: clip.T }, (_, t) => {
    const there = joints.map((j) => at(clip, t, j)).filter((v) => !Number.isNaN(v));
    return there.length ? there.reduce((a, b) => a + b, 0) / there.length : NaN;
  });
  if (s.curve === "speed" && clip.T > 1) values[0] = values[1];
  return values;
}

/** Pixels across at frame f of the clock.
 *  @param {Player} s @param {number} f @param {number} w */
const across = (s, f, w) => LEFT + f / Math.max(1, s.clock.frames - 1) * (w - 2 * LEFT);

/** Where frame t of a clip is on the clock.
 *  @param {Player} s @param {Panel} panel @param {number} t */
function clockFrame(s, { clip }, t) {
  const last = local(s, clip, s.clock.frames - 1);
  return last > 0 ? t / last * (s.get("align") === "stretch" ? s.clock.frames - 1 : last * s.clock.fps / clip.fps) : 0;
}

/** @param {Ctx} ctx @param {Player} s @param {Panel} panel @param {Float32Array} values @param {number} most @param {number} w @param {number} tall */
function drawLine(ctx, s, panel, values, most, w, tall) {
  let begun = false;
  ctx.beginPath();
  values.forEach((v, t) => {
    const x = across(s, clockFrame(s, panel, t), w), y = tall - 4 - v / most * (tall - 18);
    if (Number.isNaN(v)) begun = false;
    else if (begun) ctx.lineTo(x, y);
    else { ctx.moveTo(x, y); begun = true; }
  });
  ctx.stroke();
}

/** @param {Ctx} ctx @param {Player} s @param {number} w @param {number} tall @param {Theme} theme */
function drawValues(ctx, s, w, tall, theme) {
  const all = s.panels.map((panel) => curveOf(s, panel)), known = all.flatMap((v) => Array.from(v)).filter((v) => !Number.isNaN(v));
  const most = Math.max(1e-6, ...known), unit = s.curve === "height" ? "m" : "m/s";
  ctx.lineWidth = 1.6;
  all.forEach((values, i) => {
    ctx.strokeStyle = theme.persons[i % theme.persons.length];
    ctx.setLineDash(i % 2 ? [5, 3] : []);
    drawLine(ctx, s, s.panels[i], values, most, w, tall);
  });
  ctx.setLineDash([]);
  s.drawn = { values: all, says: `${unit} · max ${most.toFixed(2)} · ${s.panels.length ? nameOf(s, s.panels[0]) : ""}` };
  sayValue(s);
  s.strip.canvas.dataset.most = most.toFixed(4);
}

/** What the curves are at the clock, beside what they are at most.
 *  @param {Player} s */
function sayValue(s) {
  const { values, says } = s.drawn;
  const now = s.panels.map((panel, i) => (values[i] ? fmt(values[i][shownFrame(panel)]) : "–")).join(" and ");
  const text = s.curve === "words" ? "" : `${now} ${says}`;
  if (s.ui.curveSays.textContent !== text) s.ui.curveSays.textContent = text;
}

/** The moments of a clip as fields with what was said.
 *  @param {Ctx} ctx @param {Player} s @param {Panel} panel @param {number} y @param {number} w @param {number} tall @param {Theme} theme */
function drawWords(ctx, s, panel, y, w, tall, theme) {
  const { clip } = panel, texts = clip.prompts ?? [], n = texts.length, now = clip.moment(local(s, clip, s.clock.index));
  texts.forEach((text, k) => {
    const [a, b] = [k, k + 1].map((at) => across(s, Math.min(s.clock.frames - 1, clockFrame(s, panel, Math.max(0, at * clip.T / n - 0.5))), w));
    ctx.fillStyle = k === now ? theme.accent : k % 2 ? theme.line : theme.paper;
    ctx.fillRect(a, y, b - a - 1, tall);
    ctx.save();
    ctx.beginPath();
    ctx.rect(a, y, b - a - 3, tall);
    ctx.clip();
    ctx.fillStyle = k === now && !theme.dark ? "#ffffff" : k === now ? theme.paper : text ? theme.ink : theme.faint;
    ctx.fillText(text || "–", a + 3, y + tall / 2 + 4);
    ctx.restore();
  });
}

/** The line where the clock is.
 *  @param {Player} s */
function placeNeedle({ clock, strip, ui }) {
  const far = clock.frame / Math.max(1, clock.frames - 1) * (strip.w - 2 * LEFT);
  ui.needle.style.transform = `translateX(${(LEFT + far).toFixed(1)}px)`;
}

/** @param {Player} s @param {Ctx} ctx @param {number} w @param {number} tall */
function drawCurve(s, ctx, w, tall) {
  const theme = s.frame.theme(), row = (tall - 4) / Math.max(1, s.panels.length);
  ctx.clearRect(0, 0, w, tall);
  if (!s.strip) return;   // the first call comes while the surface is being made
  placeNeedle(s);
  ctx.font = "11px system-ui, sans-serif";
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  if (s.curve === "words") s.panels.forEach((panel, i) => { drawWords(ctx, s, panel, 2 + i * row, w, row - 1, theme); });
  else drawValues(ctx, s, w, tall, theme);
}

/** Moves the line to where the clock is; draws anew only where something else changed.
 *  @param {Player} s @param {Theme} theme */
export function followCurve(s, theme) {
  const { strip, hover } = s;
  if (!strip || !s.curve) return;
  placeNeedle(s);
  sayValue(s);
  const picked = s.get("picked"), moments = s.curve === "words" ? s.panels.map((p) => p.said).join() : "";
  const now = [s.curve, strip.w, theme.dark, s.get("align"), s.panels.map((p) => p.at).join(), hover?.m, hover?.v, picked.person, picked.joint, moments].join("/");
  if (now === s.drawnCurve) return;
  s.drawnCurve = now;
  strip.redraw();
}

/** @param {Player} s @param {string} kind */
function showCurve(s, kind) {
  s.curve = kind;
  s.ui.curveBox.hidden = !kind;
  s.root.dataset.curve = kind;
  s.drawnCurve = "";
  s.face.redraw();
}

/** Puts the strip under the scrubber, unless that is short.
 *  @param {Player} s */
function align(s) {
  const outer = s.root.getBoundingClientRect(), bar = s.ui.scrub.getBoundingClientRect(), pad = parseFloat(getComputedStyle(s.root).paddingLeft) + 1;
  const under = bar.width > 0.55 * outer.width, { style } = s.ui.curveBox;
  style.marginLeft = under ? `${bar.left - outer.left - pad}px` : "";
  style.marginRight = under ? `${outer.right - bar.right - pad}px` : "";
}

/** The strip and what chooses its curve. A press or a drag on it moves the clock.
 *  @param {Player} s */
export function curveControls(s) {
  const needle = h("div", { class: "c2vl-needle", "data-role": "needle" }), curveSays = h("div", { class: "c2vl-curve-says", "data-role": "curve-says" });
  const curveBox = h("div", { class: "c2vl-curve", "data-role": "curve-box" }, needle, curveSays);
  const curves = select({ label: "curve under the scrubber", role: "curve", options: KINDS, value: "speed", onChange: (v) => showCurve(s, v) });
  return { needle, curveSays, curveBox, curves };
}

/** @param {Player} s */
export function buildCurve(s) {
  s.strip = surface(s.ui.curveBox, (ctx, w, tall) => drawCurve(s, ctx, w, tall), { label: "curve over time; drag to move the clock", role: "curve-canvas" });
  s.strip.canvas.tabIndex = -1;
  const seek = (/** @type {PointerEvent} */ e) => {
    const box = s.strip.canvas.getBoundingClientRect(), f = (e.clientX - box.left - LEFT) / Math.max(1, box.width - 2 * LEFT) * (s.clock.frames - 1);
    s.clock.stop(Math.round(Math.min(s.clock.frames - 1, Math.max(0, f))));
  };
  const stop = gestures(s.strip.canvas, { drag: (_dx, _dy, e) => seek(e), tap: (_x, _y, e) => seek(e) });
  const watch = new ResizeObserver(() => align(s));
  watch.observe(s.ui.scrub);
  s.ends.push(stop, () => s.strip.end(), () => watch.disconnect());
  s.root.dataset.curve = s.curve;
}
