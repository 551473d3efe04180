// @ts-check
/** The matrices side by side, with row entropies, marks and names; and α over the epochs. */
import { card } from "./card.js";
import { pictureOf } from "./pictures.js";
import { entropy, groupOf, kinds, WORDS } from "./state.js";

/** @typedef {import("./state.js").HeatState} HeatState */
/** @typedef {import("./state.js").Panel} Panel */
/** @typedef {import("../core/theme.js").Theme} Theme */
/** @typedef {CanvasRenderingContext2D} Ctx */
/** @typedef {[string, number, number]} Run a word, from, to */
/** @typedef {{ctx: Ctx, s: HeatState, p: Panel, theme: Theme, cell: number, across(r: number): number, down(r: number): number}} Pen */

export const STRIP = 16;
const HEAD = 34, GAP = 10;

/** The largest squares that fit.
 *  @param {HeatState} s @param {number} w @param {number} tall */
function arrange(s, w, tall) {
  const list = kinds(s), named = list.length === 1 && w > 420 && groupOf(s).length ? 120 : 0;
  let best = { side: -Infinity, columns: 1, rows: 1 };
  for (let columns = 1; columns <= list.length; columns++) {
    const rows = Math.ceil(list.length / columns);
    const side = Math.floor(Math.min((w - GAP) / columns - GAP - STRIP - named, (tall - GAP) / rows - GAP - HEAD));
    if (side > best.side) best = { side, columns, rows };
  }
  const wide = best.side + STRIP + GAP + named, high = best.side + HEAD + GAP, side = Math.max(20, best.side);
  const left = Math.max(GAP, (w - best.columns * wide - GAP) / 2 + GAP / 2), top = Math.max(GAP / 2, (tall - best.rows * high) / 2);
  s.panels = list.map((kind, k) => ({ kind, x: left + (k % best.columns) * wide + named, y: top + Math.floor(k / best.columns) * high + HEAD, side, named }));
}

/** Runs of one word in the order shown.
 *  @param {HeatState} s
 *  @returns {Run[]} */
function runsOf(s) {
  const list = groupOf(s);
  /** @type {Run[]} */
  const runs = [];
  if (!list.length) return runs;
  s.order.forEach((i, at) => {
    const last = runs.at(-1);
    if (last && last[0] === list[i]) last[2] = at + 1;
    else runs.push([list[i], at, at + 1]);
  });
  return runs;
}

/** @param {Pen} pen @param {Float32Array} H */
function drawHead({ ctx, s, p, theme }, H) {
  const mean = H.reduce((a, b) => a + b, 0) / Math.max(1, s.n);
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.fillStyle = theme.ink;
  ctx.font = "600 13px system-ui, sans-serif";
  ctx.fillText(WORDS[p.kind], p.x, p.y - 19, p.side);
  ctx.fillStyle = theme.soft;
  ctx.font = "11px system-ui, sans-serif";
  ctx.fillText(`H ${mean.toFixed(2)} · ${Math.exp(mean).toFixed(1)} clips`, p.x, p.y - 5, p.side + STRIP);
}

/** @param {Pen} pen @param {Run[]} runs */
function drawRuns({ ctx, s, theme, cell, across, down }, runs) {
  if (runs.length < 2 || runs.length > s.n / 2) return;
  ctx.strokeStyle = s.get("difference") ? theme.soft : "rgba(255,255,255,.75)";
  ctx.lineWidth = runs.length > 12 ? 0.6 : 1;
  for (const [, a, b] of runs) ctx.strokeRect(across(a), down(a), (b - a) * cell, (b - a) * cell);
}

/** A bar for the entropy of every row.
 *  @param {Pen} pen @param {Float32Array} H */
function drawEntropies({ ctx, s, p, theme, cell, down }, H) {
  const first = Math.max(0, Math.floor(s.look.y)), last = Math.min(s.n, Math.ceil(s.look.y + s.n / s.look.zoom)), most = Math.log(Math.max(2, s.n));
  ctx.fillStyle = theme.accent;
  for (let r = first; r < last; r++) ctx.fillRect(p.x + p.side + 3, down(r), (STRIP - 3) * Math.min(1, H[s.order[r]] / most), Math.max(1, cell * 0.8));
}

/** @param {Pen} pen @param {number} row @param {number} column */
function drawBox({ ctx, s, cell, across, down }, row, column) {
  const size = Math.max(cell, 5), off = (size - cell) / 2;
  for (const [colour, width] of /** @type {[string, number][]} */ ([["#000000", 4], ["#ffffff", 2]])) {
    ctx.strokeStyle = colour;
    ctx.lineWidth = width;
    ctx.strokeRect(across(s.place[column]) - off, down(s.place[row]) - off, size, size);
  }
}

/** Selected, picked, linked and pointed at.
 *  @param {Pen} pen */
function drawMarks(pen) {
  const { ctx, s, p, theme, cell, across, down } = pen, { over, pair, linked, place } = s;
  ctx.fillStyle = theme.right;
  for (const i of s.marked) {
    ctx.fillRect(p.x, down(place[i]), 4, cell);
    ctx.fillRect(across(place[i]), p.y, cell, 4);
  }
  if (pair.length) drawBox(pen, pair[0], pair[pair.length - 1]);
  ctx.fillStyle = theme.dark ? "rgba(255,255,255,.28)" : "rgba(255,255,255,.34)";
  for (const i of over ? [over.row] : linked) ctx.fillRect(p.x, down(place[i]), p.side, cell);
  for (const j of over ? [over.column] : linked) if (j >= 0) ctx.fillRect(across(place[j]), p.y, cell, p.side);
  if (over && over.column >= 0) drawBox(pen, over.row, over.column);
}

/** @param {Pen} pen @param {Run[]} runs */
function nameRows({ ctx, s, p, theme, cell }, runs) {
  ctx.fillStyle = theme.ink;
  ctx.font = "11px system-ui, sans-serif";
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  let free = -Infinity;
  for (const [word, a, b] of runs) {
    const y = ((a + b) / 2 - s.look.y) * cell + p.y, text = String(word);
    if (y < p.y || y > p.y + p.side || y < free + 12) continue;
    ctx.fillText(text.length > 20 ? `${text.slice(0, 19)}…` : text, p.x - 6, y);
    free = y;
  }
}

/** @param {Ctx} ctx @param {HeatState} s @param {Panel} p @param {Run[]} runs @param {Theme} theme */
function drawPanel(ctx, s, p, runs, theme) {
  const span = s.n / s.look.zoom, cell = p.side / span, H = entropy(s, p.kind);
  const pen = { ctx, s, p, theme, cell, across: (/** @type {number} */ r) => (r - s.look.x) * cell + p.x, down: (/** @type {number} */ r) => (r - s.look.y) * cell + p.y };
  drawHead(pen, H);
  ctx.imageSmoothingEnabled = false;
  ctx.drawImage(pictureOf(s, p.kind), s.look.x, s.look.y, span, span, p.x, p.y, p.side, p.side);
  ctx.save();
  ctx.beginPath();
  ctx.rect(p.x, p.y, p.side + STRIP, p.side);
  ctx.clip();
  drawRuns(pen, runs);
  drawEntropies(pen, H);
  drawMarks(pen);
  ctx.restore();
  if (p.named) nameRows(pen, runs);
}

/** @param {HeatState} s @param {Ctx} ctx @param {number} w @param {number} tall */
export function draw(s, ctx, w, tall) {
  if (!s.face) return;   // the first call comes while the surface is being made
  const began = performance.now(), theme = s.frame.theme(), runs = runsOf(s);
  ctx.fillStyle = theme.panel;
  ctx.fillRect(0, 0, w, tall);
  arrange(s, w, tall);
  for (const p of s.panels) drawPanel(ctx, s, p, runs, theme);
  if (s.over) card(s, s.over);
  s.stats = { ms: performance.now() - began };
}

/** @param {HeatState} s @param {Ctx} ctx @param {number} w @param {number} tall */
export function drawAlpha(s, ctx, w, tall) {
  const theme = s.frame.theme(), when = s.epochs, last = Math.max(1, (when.at(-1) ?? 0) - when[0]);
  /** @type {number[]} */
  const alphas = s.get("alphas") ?? [];
  const most = Math.max(0.05, ...alphas);
  const x = (/** @type {number} */ e) => 6 + (when[e] - when[0]) / last * (w - 12), y = (/** @type {number} */ a) => tall - 6 - a / most * (tall - 12);
  ctx.clearRect(0, 0, w, tall);
  ctx.strokeStyle = theme.line;
  ctx.lineWidth = 1;
  ctx.strokeRect(0.5, 0.5, w - 1, tall - 1);
  ctx.strokeStyle = theme.accent;
  ctx.lineWidth = 1.6;
  ctx.beginPath();
  alphas.forEach((a, e) => { ctx.lineTo(x(e), y(a)); });
  ctx.stroke();
  ctx.fillStyle = theme.right;
  ctx.beginPath();
  ctx.arc(x(s.clock.index), y(alphas[s.clock.index] ?? 0), 4, 0, 6.2832);
  ctx.fill();
  ctx.fillStyle = theme.soft;
  ctx.font = "10px system-ui, sans-serif";
  ctx.fillText("α", 4, 11);
}
