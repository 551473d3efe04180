// @ts-check
/** The picture: points, ways, names, marks, the lasso. */
import { card } from "./card.js";
import { Density, isCrowded } from "./density.js";
import { Picture } from "./dots.js";
import { drawNames, write } from "./labels.js";
import { scaleOf } from "./look.js";
import { drawNear } from "./near.js";
import { packed } from "./palette.js";
import { DIM, FADED, HIDDEN, PLAIN, STRONG } from "./state.js";

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
    if (!(i >= 0) || state[i] <= FADED) continue;
    ctx.moveTo(from[i * 2] * sx + bx, by - from[i * 2 + 1] * sy);
    ctx.lineTo(to[i * 2] * sx + bx, by - to[i * 2 + 1] * sy);
  }
  ctx.stroke();
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

/** All points, or their density with those that stand out upon it; returns how many.
 *  @param {Ctx} ctx @param {MapState} s @param {Picture} picture @param {Density} density @param {Theme} theme */
function drawPoints(ctx, s, picture, density, theme) {
  const { w, h: tall } = s.face, paper = packed(theme.panel), r = radius(s), strong = Math.round(r * 4.8) / 4;
  density.fit(w, tall);
  const was = s.crowded, { drawn, crowd } = density.count(s, was);
  s.crowded = isCrowded(s, crowd);
  s.stats.crowd = crowd;
  if (was !== s.crowded) {
    s.root.dataset.density = String(s.crowded);
    s.ui.denseTool.set(s.crowded);
  }
  if (!s.crowded) {
    picture.begin(ctx, paper);
    const dots = picture.dots(s, FADED, s.faded, r) + picture.dots(s, DIM, s.faded, r) + picture.dots(s, PLAIN, s.colours, r) + picture.dots(s, STRONG, s.colours, strong);
    picture.end(ctx);
    return dots;
  }
  if (!was) {   // the colours were not counted yet
    density.fit(w, tall);
    density.count(s, true);
  }
  density.draw(ctx, paper);
  return drawn + picture.over(ctx, s, paper, strong);
}

/** @param {MapState} s
 *  @returns {import("../core/surface.js").Draw} */
export function drawer(s) {
  const picture = new Picture(), density = new Density();
  return (ctx, w, tall) => {
    if (!s.face) return;   // the first call comes while the surface is being made
    const began = performance.now(), theme = s.frame.theme(), scale = scaleOf(s);
    if (theme.dark !== (s.root.dataset.theme === "dark")) s.root.dataset.theme = theme.dark ? "dark" : "light";
    project(s, scale);
    const drawn = drawPoints(ctx, s, picture, density, theme);
    if (s.part < 1 && s.from !== s.to) ways(ctx, s, scale, theme);
    drawNear(ctx, s);
    drawNames(ctx, s, w, tall, scale, theme);
    marks(ctx, s, theme, radius(s) / s.face.ratio);
    if (s.lasso) drawLasso(ctx, s.lasso, theme);
    if (s.over >= 0) card(s);
    s.stats = { ...s.stats, ms: performance.now() - began, drawn };
  };
}
