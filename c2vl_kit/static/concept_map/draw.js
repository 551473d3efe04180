// @ts-check
/** The picture: points, ways, names of clusters, marks, the lasso. */
import { card } from "./card.js";
import { Picture } from "./dots.js";
import { scaleOf } from "./look.js";
import { drawNear } from "./near.js";
import { packed } from "./shade.js";
import { column, DIM, HIDDEN, PLAIN, STRONG } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */
/** @typedef {import("../core/theme.js").Theme} Theme */
/** @typedef {CanvasRenderingContext2D} Ctx */
/** @typedef {ReturnType<typeof scaleOf>} Scale */

/** @param {MapState} s @param {Scale} scale */
function project({ n, state, screen, xy }, { sx, sy, bx, by }) {
  for (let i = 0; i < n; i++) {
    if (state[i] === HIDDEN) { screen[i * 2] = NaN; continue; }
    screen[i * 2] = xy[i * 2] * sx + bx;
    screen[i * 2 + 1] = by - xy[i * 2 + 1] * sy;
  }
}

/** Where the marked clips come from and go to.
 *  @param {Ctx} ctx @param {MapState} s @param {Scale} scale @param {Theme} theme */
function ways(ctx, s, { sx, sy, bx, by }, theme) {
  const { from, to, state } = s, selected = s.get("selection").slice(0, 300).map((/** @type {string} */ name) => s.index.get(name));
  ctx.lineWidth = 1;
  ctx.strokeStyle = theme.soft;
  ctx.beginPath();
  for (const i of new Set([s.over, ...s.pair, ...s.linked, ...selected])) {
    if (!(i >= 0) || state[i] === HIDDEN) continue;
    ctx.moveTo(from[i * 2] * sx + bx, by - from[i * 2 + 1] * sy);
    ctx.lineTo(to[i * 2] * sx + bx, by - to[i * 2 + 1] * sy);
  }
  ctx.stroke();
}

/** Text with a rim of paper.
 *  @param {Ctx} ctx @param {string} text @param {number} x @param {number} y @param {Theme} theme */
export function write(ctx, text, x, y, theme, alpha = 1) {
  ctx.lineWidth = 4;
  ctx.strokeStyle = theme.panel;
  ctx.globalAlpha = alpha;
  ctx.strokeText(text, x, y);
  ctx.globalAlpha = 1;
  ctx.fillStyle = theme.ink;
  ctx.fillText(text, x, y);
}

/** Names at the clusters, those of the largest first; none over another.
 *  @param {Ctx} ctx @param {MapState} s @param {number} w @param {number} tall @param {Scale} scale @param {Theme} theme */
function nameClusters(ctx, s, w, tall, { sx, sy, bx, by }, theme) {
  const c = column(s);
  /** @type {string[]} */
  const shown = [];
  /** @type {{x: number, y: number, half: number}[]} */
  const taken = [];
  ctx.font = "600 12px system-ui, sans-serif";
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.lineJoin = "round";
  for (const spot of c?.kind === "category" ? s.centres.filter((one) => one !== null).sort((a, b) => b.weight - a.weight) : []) {
    const x = spot.x * sx + bx, y = by - spot.y * sy, word = c?.kind === "category" ? c.levels[spot.level] : "";
    const text = word.length > 26 ? `${word.slice(0, 25)}…` : word, half = ctx.measureText(text).width / 2 + 3;
    if (x < -half || x > w + half || y < -20 || y > tall + 20 || (s.lit !== null && s.lit !== spot.level)) continue;
    const cx = Math.max(half + 2, Math.min(w - half - 2, x));
    const lift = [-14, 14, -29, 29, 0, -44, 44].find((d) => !taken.some((b) => Math.abs(b.x - cx) < b.half + half && Math.abs(b.y - y - d) < 14));
    if (lift === undefined) continue;
    const cy = Math.max(9, Math.min(tall - 9, y + lift));
    taken.push({ x: cx, y: cy, half });
    shown.push(word);
    write(ctx, text, cx, cy, theme, 0.88);
  }
  s.root.dataset.names = shown.join("\n");
}

/** @param {Ctx} ctx @param {MapState} s @param {number} i @param {number} r @param {number} width @param {Theme} theme */
function ring(ctx, s, i, r, width, theme, text = "") {
  const x = s.screen[i * 2], y = s.screen[i * 2 + 1];
  if (x === undefined || Number.isNaN(x)) return;
  for (const [colour, line] of /** @type {[string, number][]} */ ([[theme.paper, width + 2.5], [theme.ink, width]])) {
    ctx.beginPath();
    ctx.arc(x, y, r + 4, 0, 6.2832);
    ctx.lineWidth = line;
    ctx.strokeStyle = colour;
    ctx.stroke();
  }
  if (!text) return;
  ctx.font = "700 12px system-ui, sans-serif";
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  write(ctx, text, x + r + 8, y, theme);
}

/** @param {Ctx} ctx @param {MapState} s @param {Theme} theme @param {number} r */
function marks(ctx, s, theme, r) {
  s.pair.forEach((i, k) => { ring(ctx, s, i, r, 2, theme, s.pair.length > 1 ? "AB"[k] : ""); });
  for (const i of s.linked) ring(ctx, s, i, r, 2, theme);
  if (s.over >= 0) ring(ctx, s, s.over, r, 2.5, theme);
}

/** @param {Ctx} ctx @param {[number, number][]} lasso @param {Theme} theme */
function drawLasso(ctx, lasso, theme) {
  ctx.beginPath();
  for (const [x, y] of lasso) ctx.lineTo(x, y);
  ctx.closePath();
  ctx.fillStyle = theme.dark ? "rgba(86,180,233,.18)" : "rgba(0,114,178,.14)";
  ctx.fill();
  ctx.lineWidth = 1.5;
  ctx.strokeStyle = theme.accent;
  ctx.setLineDash([5, 4]);
  ctx.stroke();
  ctx.setLineDash([]);
}

/** The radius of a point in pixels of the screen, in quarters.
 *  @param {MapState} s */
function radius(s) {
  const { w, h, ratio } = s.face, auto = Math.max(1, Math.min(4.5, Math.sqrt(w * h / Math.max(s.n, 1)) * 0.16)) * Math.min(3, s.view.zoom ** 0.3);
  return Math.round((s.get("size") || auto) * ratio * 4) / 4;
}

/** @param {MapState} s
 *  @returns {import("../core/surface.js").Draw} */
export function drawer(s) {
  const picture = new Picture();
  return (ctx, w, tall) => {
    if (!s.face) return;   // the first call comes while the surface is being made
    const began = performance.now(), theme = s.frame.theme(), scale = scaleOf(s), r = radius(s);
    if (theme.dark !== (s.root.dataset.theme === "dark")) s.root.dataset.theme = theme.dark ? "dark" : "light";
    picture.begin(ctx, packed(theme.panel));
    project(s, scale);
    const drawn = picture.dots(s, DIM, s.faded, r) + picture.dots(s, PLAIN, s.colours, r) + picture.dots(s, STRONG, s.colours, Math.round(r * 4.8) / 4);
    picture.end(ctx);
    if (s.part < 1 && s.from !== s.to) ways(ctx, s, scale, theme);
    drawNear(ctx, s);
    if (s.get("show_names")) nameClusters(ctx, s, w, tall, scale, theme);
    marks(ctx, s, theme, r / s.face.ratio);
    if (s.lasso) drawLasso(ctx, s.lasso, theme);
    if (s.over >= 0) card(s);
    s.stats = { ...s.stats, ms: performance.now() - began, drawn };
  };
}
