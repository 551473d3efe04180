// @ts-check
/** Drawing bodies. */
import { Camera } from "./camera.js";
import { themeOf } from "./theme.js";

/** @typedef {import("./clips.js").Clip} Clip */
/** @typedef {import("./clips.js").Frame} Frame */
/** @typedef {import("./clips.js").Layout} Layout */
/** @typedef {import("./theme.js").Theme} Theme */
/** @typedef {(m: number, v: number) => string} Paint the colour of joint v of person m */
/** @typedef {{theme?: Theme, persons?: boolean[], size?: number, alpha?: number, joints?: boolean, mark?: {m: number, v: number} | null,
 *  colours?: Paint, thin?: number, body?: number, halo?: string | null}} Look */
/** @typedef {[number, number, number, number]} Stroke depth, person, joint, parent in the frame or -1 for the joint itself */
/** @typedef {{ctx: CanvasRenderingContext2D, frame: Frame, layout: Layout, points: Float32Array, strokes: Stroke[], bone: number, headR: number,
 *  theme: Theme, colours: Paint}} Pen */

/** Other bodies stand back.
 *  @param {string} hex @param {Theme} theme */
function paler(hex, theme) {
  /** @param {string} text @param {number} k */
  const at = (text, k) => parseInt(text.slice(k, k + 2), 16);
  return `#${[1, 3, 5].map((k) => Math.round(at(hex, k) * 0.55 + at(theme.panel, k) * 0.45).toString(16).padStart(2, "0")).join("")}`;
}

/** @param {string[]} own @param {Theme} theme
 *  @returns {Paint} */
function firstAndOthers(own, theme) {
  const others = own.map((c) => paler(c, theme));
  return (m, v) => (m ? others : own)[v];
}

/** @typedef {"left" | "right" | "leftLeg" | "rightLeg" | "head" | "faint" | "trunk"} Tint */
/** @type {Record<string, Tint>} */
export const PART_TINT = { "left arm": "left", "right arm": "right", "left leg": "leftLeg", "right leg": "rightLeg", head: "head", trunk: "faint" };
/** @param {Layout} layout @param {Theme} theme */
export const sideColours = (layout, theme) => firstAndOthers(layout.side.map((s) => theme[/** @type {Tint} */ (s)] ?? theme.trunk), theme);
/** @param {Layout} layout @param {Theme} theme */
export const partColours = (layout, theme) => firstAndOthers(layout.part.map((p) => theme[PART_TINT[p]] ?? theme.trunk), theme);
/** @param {Layout} _ @param {Theme} theme
 *  @returns {Paint} */
export const personColours = (_, theme) => (m) => theme.persons[m % theme.persons.length];

/** The floor, in cells of half a metre or one that fits.
 *  @param {CanvasRenderingContext2D} ctx @param {{centre: number[], half: number[], floor: number}} scene @param {Camera} camera @param {Theme} theme */
export function drawGrid(ctx, scene, camera, theme) {
  const reach = Math.max(0.5, Math.ceil(scene.half[0] * 2.4) / 2), large = reach > 16 ? reach / 10 : 1;
  const cell = reach > 4 ? large : scene.half[0] < 0.4 ? scene.half[0] / 2 : 0.5;
  const n = Math.ceil(reach / cell), [cx, , cz] = scene.centre, x0 = Math.round(cx / cell) * cell, z0 = Math.round(cz / cell) * cell;
  const a = [0, 0, 0], b = [0, 0, 0], far = n * cell;
  ctx.lineWidth = 1;
  ctx.strokeStyle = theme.line;
  ctx.beginPath();
  for (let i = -n; i <= n; i++) {
    for (const [p, q] of [[[x0 + i * cell, z0 - far], [x0 + i * cell, z0 + far]], [[x0 - far, z0 + i * cell], [x0 + far, z0 + i * cell]]]) {
      camera.put(p[0], scene.floor, p[1], a, 0);
      camera.put(q[0], scene.floor, q[1], b, 0);
      ctx.moveTo(a[0], a[1]);
      ctx.lineTo(b[0], b[1]);
    }
  }
  ctx.stroke();
}

/** Puts all joints on the canvas and lists what is to be drawn, the farthest first.
 *  @param {Frame} frame @param {Layout} layout @param {Camera} camera @param {Float32Array} points
 *  @param {boolean[] | undefined} persons @param {boolean} joints */
function strokesOf({ M, V, xyz, seen }, layout, camera, points, persons, joints) {
  /** @type {Stroke[]} */
  const strokes = [];
  for (let m = 0; m < M; m++) {
    if (persons && persons[m] === false) continue;
    for (let v = 0; v < V; v++) {
      const j = m * V + v;
      if (!seen[j]) continue;
      camera.put(xyz[j * 3], xyz[j * 3 + 1], xyz[j * 3 + 2], points, j * 3);
      if (joints) strokes.push([points[j * 3 + 2] + 0.01, m, v, -1]);
      const parent = layout.parents[v], k = m * V + parent;
      if (parent !== v && seen[k]) strokes.push([NaN, m, v, k]);
    }
  }
  for (const s of strokes) if (s[3] >= 0) s[0] = (points[(s[1] * V + s[2]) * 3 + 2] + points[s[3] * 3 + 2]) / 2;
  return strokes.sort((a, b) => a[0] - b[0]);
}

/** A rim, so that both ends of a colour scale stand out from the paper.
 *  @param {Pen} pen @param {string} colour */
function drawHalo({ ctx, frame: { V, seen }, layout, points, strokes, bone, headR }, colour) {
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.lineWidth = bone + 2;
  ctx.beginPath();
  for (const [, m, v, k] of strokes) {
    const j = (m * V + v) * 3;
    if (k < 0 || seen[m * V + v] === 2 || seen[k] === 2) continue;
    ctx.moveTo(points[j], points[j + 1]);
    ctx.lineTo(points[k * 3], points[k * 3 + 1]);
  }
  ctx.stroke();
  ctx.beginPath();
  for (const [, m, v, k] of strokes) {
    const j = (m * V + v) * 3;
    if (k >= 0 || v !== layout.head) continue;
    ctx.moveTo(points[j], points[j + 1]);
    ctx.arc(points[j], points[j + 1], headR + 1, 0, 6.2832);
  }
  ctx.fill();
}

/** @param {Pen} pen @param {Stroke} stroke */
function drawBone({ ctx, frame: { V, seen }, points, bone, colours }, [, m, v, k]) {
  const j = m * V + v, guessed = seen[j] === 2 || seen[k] === 2;
  ctx.beginPath();
  ctx.setLineDash(guessed ? [bone * 1.2, bone * 2.2] : []);
  ctx.strokeStyle = colours(m, v);
  ctx.lineWidth = bone * (guessed ? 0.7 : 1);
  ctx.moveTo(points[j * 3], points[j * 3 + 1]);
  ctx.lineTo(points[k * 3], points[k * 3 + 1]);
  ctx.stroke();
}

/** A dot; hollow where the joint was not seen and its place is guessed.
 *  @param {Pen} pen @param {Stroke} stroke @param {boolean} marked */
function drawJoint({ ctx, frame: { V, seen }, layout, points, bone, headR, theme, colours }, [, m, v], marked) {
  const j = m * V + v, x = points[j * 3], y = points[j * 3 + 1], r = (v === layout.head ? headR : bone * 0.95) * (marked ? 1.5 : 1);
  ctx.beginPath();
  ctx.setLineDash([]);
  ctx.arc(x, y, Math.max(1.2, r), 0, 6.2832);
  ctx.fillStyle = seen[j] === 2 ? theme.paper : colours(m, v);
  ctx.fill();
  if (seen[j] === 2) {
    ctx.lineWidth = Math.max(1.2, bone * 0.4);
    ctx.strokeStyle = colours(m, v);
    ctx.stroke();
  }
  if (!marked) return;
  ctx.beginPath();
  ctx.arc(x, y, r + 3, 0, 6.2832);
  ctx.lineWidth = 2;
  ctx.strokeStyle = theme.ink;
  ctx.stroke();
}

/** Draws the bodies of a frame; returns px, py, depth for each joint (NaN where not drawn).
 *  @param {CanvasRenderingContext2D} ctx @param {Frame} frame @param {Layout} layout @param {Camera} camera @param {Look} [look]
 *  @returns {Float32Array} (M · V · 3) */
export function drawSkeleton(ctx, frame, layout, camera, look = {}) {
  const { theme = themeOf(), persons, size = 1, alpha = 1, joints = true, mark, thin = 1, body = 1.7, halo } = look;
  const points = new Float32Array(frame.M * frame.V * 3).fill(NaN);
  const strokes = strokesOf(frame, layout, camera, points, persons, joints);
  const metre = Math.min(camera.scale * body / 1.7, 700), bone = Math.max(1.4, Math.min(7, 0.024 * metre)) * size * thin;
  const headR = Math.max(bone * 1.2, 0.062 * metre * size), colours = look.colours ?? sideColours(layout, theme);
  const pen = { ctx, frame, layout, points, strokes, bone, headR, theme, colours };
  ctx.save();
  ctx.globalAlpha = alpha;
  ctx.lineCap = "round";
  if (halo) drawHalo(pen, halo);
  for (const stroke of strokes) {
    if (stroke[3] >= 0) drawBone(pen, stroke);
    else drawJoint(pen, stroke, !!mark && mark.m === stroke[1] && mark.v === stroke[2]);
  }
  ctx.restore();
  return points;
}

/** The joint nearest to a place within reach; of two at one place the one in front.
 *  @param {Float32Array} points @param {number} x @param {number} y @param {number} reach @param {number} V */
export function nearest(points, x, y, reach, V) {
  let best = reach * reach, found = -1;
  for (let j = 0; j * 3 < points.length; j++) {
    const dx = points[j * 3] - x, dy = points[j * 3 + 1] - y, d = dx * dx + dy * dy;
    if (d < best || (d === best && found >= 0 && points[j * 3 + 2] > points[found * 3 + 2])) { best = d; found = j; }
  }
  return found < 0 ? null : { m: Math.floor(found / V), v: found % V };
}

/** A small skeleton for hover cards and lists.
 *  @param {CanvasRenderingContext2D} ctx @param {Clip} clip @param {number} f @param {number} x @param {number} y @param {number} w @param {number} tall */
export function drawCard(ctx, clip, f, x, y, w, tall, theme = themeOf()) {
  const camera = new Camera({ pitch: 8 }).aim(clip, x, y, w, tall);
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, w, tall);
  ctx.clip();
  drawSkeleton(ctx, clip.frame(f), clip.layout, camera, { theme, thin: 0.9 });
  ctx.restore();
}
