// @ts-check
/** The picture: panels side by side under one camera. */
import { drawGrid, drawSkeleton } from "../core/skeleton.js";
import { followCurve } from "./curve.js";
import { local, painter, scalarOf } from "./state.js";
import { tell } from "./tell.js";

/** @typedef {import("./state.js").Player} Player */
/** @typedef {import("./state.js").Panel} Panel */
/** @typedef {import("../core/clips.js").Frame} Frame */
/** @typedef {import("../core/theme.js").Theme} Theme */
/** @typedef {CanvasRenderingContext2D} Ctx */

/** @param {Player} s @param {number} w @param {number} tall
 *  @returns {[number, number, number, number, number][]} x, y, w, h, columns of each panel */
function boxes(s, w, tall) {
  const n = s.panels.length || 1, columns = Math.max(1, Math.min(n, Math.floor(w / 170))), rows = Math.ceil(n / columns);
  return s.panels.map((_, i) => [(i % columns) * w / columns, Math.floor(i / columns) * tall / rows, w / columns, tall / rows, columns]);
}

/** The middle of all bodies on the ground.
 *  @param {import("../core/clips.js").Clip} clip @param {Frame} frame */
function middleOf(clip, { xyz, seen, M, V }) {
  let n = 0, x = 0, z = 0;
  for (let m = 0; m < M; m++) {
    const j = m * V + clip.layout.centre;
    if (!seen[j]) continue;
    n += 1;
    x += xyz[j * 3];
    z += xyz[j * 3 + 2];
  }
  return n ? [x / n, z / n] : null;
}

/** How far bodies reach from their middle.
 *  @param {import("../core/clips.js").Clip} clip */
function nearOf(clip) {
  let across = 0.01;
  for (let t = 0; t < clip.T; t++) {
    const { xyz, seen, M, V } = clip.frame(t), middle = middleOf(clip, { xyz, seen, M, V });
    if (!middle) continue;
    for (let j = 0; j < seen.length; j++) if (seen[j]) across = Math.max(across, Math.hypot(xyz[j * 3] - middle[0], xyz[j * 3 + 2] - middle[1]));
  }
  return [across, clip.half[1]];
}

/** @param {Player} s @param {Panel} panel @param {Frame} frame */
function sceneOf(s, panel, frame) {
  const { clip } = panel;
  if (!s.get("follow")) return clip;
  panel.near ??= nearOf(clip);
  const middle = middleOf(clip, frame);
  return { ...clip, half: panel.near, centre: middle ? [middle[0], clip.centre[1], middle[1]] : clip.centre };
}

/** One joint's way up to frame `end`, paler the older.
 *  @param {Ctx} ctx @param {Player} s @param {Panel} panel @param {number} m @param {number} v @param {number} end */
function drawTrail(ctx, s, { clip }, m, v, end) {
  const { M, V } = clip, length = s.get("trails"), from = [0, 0, 0], to = [0, 0, 0];
  for (let t = Math.max(1, end - length + 1); t <= end; t++) {
    const a = ((t - 1) * M + m) * V + v, b = (t * M + m) * V + v;
    if (!clip.seen[a] || !clip.seen[b]) continue;
    s.camera.put(clip.xyz[a * 3], clip.xyz[a * 3 + 1], clip.xyz[a * 3 + 2], from, 0);
    s.camera.put(clip.xyz[b * 3], clip.xyz[b * 3 + 1], clip.xyz[b * 3 + 2], to, 0);
    ctx.globalAlpha = 0.75 * (1 - (end - t) / length);
    ctx.beginPath();
    ctx.moveTo(from[0], from[1]);
    ctx.lineTo(to[0], to[1]);
    ctx.stroke();
  }
}

/** @param {Ctx} ctx @param {Player} s @param {Panel} panel @param {import("../core/skeleton.js").Paint} paint @param {boolean[]} persons */
function drawTrails(ctx, s, panel, paint, persons) {
  const { clip } = panel, picked = s.get("picked"), chosen = s.get("trail_joints");
  const joints = chosen.length ? chosen : clip.layout.tips, end = Math.min(clip.T - 1, Math.floor(panel.f + 1e-6));
  ctx.lineCap = "round";
  ctx.lineWidth = 2;
  for (let m = 0; m < clip.M; m++) {
    if (!persons[m]) continue;
    const own = picked.joint !== undefined && picked.person === m ? [picked.joint] : [];
    for (const v of new Set([...joints, ...own])) {
      ctx.strokeStyle = paint(m, v);
      drawTrail(ctx, s, panel, m, v, end);
    }
  }
  ctx.globalAlpha = 1;
}

/** The bodies of earlier moments.
 *  @param {Ctx} ctx @param {Player} s @param {Panel} panel @param {Theme} theme @param {boolean[]} persons @param {number} body */
function drawGhosts(ctx, s, panel, theme, persons, body) {
  const { clip } = panel, n = s.get("ghosts"), gap = Math.max(1, Math.round(clip.fps * 0.2));
  for (let k = n; k > 0; k--) {
    const then = Math.floor(panel.f + 1e-6) - k * gap;
    if (then < 0) continue;
    const alpha = 0.36 * (1 - (k - 0.5) / n) + 0.06;
    drawSkeleton(ctx, clip.frame(then), clip.layout, s.camera, { theme, persons, colours: painter(s, panel, then, theme), alpha, joints: false, thin: 0.8, body });
  }
}

/** @param {Player} s @param {Panel} panel */
function markOf(s, panel) {
  if (s.hover?.panel === panel) return s.hover;
  const picked = s.get("picked");
  return picked.joint === undefined ? null : { m: picked.person, v: picked.joint };
}

/** @param {Ctx} ctx @param {Player} s @param {Panel} panel @param {Frame} frame @param {import("../core/camera.js").Aim & {floor: number}} scene
 *  @param {number[] | null} fit what all panels have to hold, where they share one scale @param {number[]} place @param {Theme} theme */
function drawPanel(ctx, s, panel, frame, scene, fit, [x, y, w, tall], theme) {
  const { clip } = panel, hidden = s.get("hidden"), persons = Array.from({ length: clip.M }, (_, m) => !hidden.includes(m)), head = tall > 200 ? 38 : 0;
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, w, tall);
  ctx.clip();
  const front = s.get("front") === "body" ? s.panels[0].clip.front : [0, 1];
  s.camera.aim({ ...scene, front, fit: fit ?? scene.half }, x, y + head, w, tall - head);
  panel.box = [x, y, w, tall];
  panel.view = [x, y + head, w, tall - head];
  if (s.get("grid")) drawGrid(ctx, scene, s.camera, theme);
  const colours = painter(s, panel, panel.f, theme), body = Math.min(1.7, 2 * clip.half[1]);
  drawGhosts(ctx, s, panel, theme, persons, body);
  if (s.get("trails")) drawTrails(ctx, s, panel, colours, persons);
  const halo = scalarOf(s) ? theme.faint : null;
  panel.points = drawSkeleton(ctx, frame, clip.layout, s.camera, { theme, persons, colours, mark: markOf(s, panel), body, halo });
  ctx.fillStyle = theme.line;
  if (x) ctx.fillRect(x, y, 1, tall);
  if (y) ctx.fillRect(x, y, w, 1);
  ctx.restore();
}

/** One size for all where that is asked for, or where their sizes are alike.
 *  @param {Player} s @param {{half: number[]}[]} scenes */
function fitOf(s, scenes) {
  const sizes = scenes.map((one) => Math.hypot(...one.half)), scale = s.get("scale");
  const together = scale === "same" || (scale === "auto" && Math.max(...sizes) < 2.5 * Math.min(...sizes));
  return together ? [0, 1].map((c) => Math.max(...scenes.map((one) => one.half[c]))) : null;
}

/** @param {Player} s @param {Ctx} ctx @param {number} w @param {number} tall */
export function draw(s, ctx, w, tall) {
  const theme = s.frame.theme(), places = boxes(s, w, tall), smooth = s.clock.playing && s.get("smooth");
  const frames = s.panels.map((p) => {
    p.f = local(s, p.clip, s.clock.frame);
    return p.clip.frame(p.f, smooth);
  });
  if (theme.dark !== (s.root.dataset.theme === "dark")) s.root.dataset.theme = theme.dark ? "dark" : "light";
  ctx.fillStyle = theme.panel;
  ctx.fillRect(0, 0, w, tall);
  const scenes = s.panels.map((p, i) => sceneOf(s, p, frames[i])), fit = fitOf(s, scenes);
  s.panels.forEach((panel, i) => { drawPanel(ctx, s, panel, frames[i], scenes[i], fit, places[i], theme); });
  const columns = String(places[0]?.[4] ?? 1), { titles } = s.ui;
  if (titles.dataset.columns !== columns) {
    titles.dataset.columns = columns;
    titles.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
  }
  followCurve(s, theme);
  if (s.hover) tell(s, s.hover);
}
