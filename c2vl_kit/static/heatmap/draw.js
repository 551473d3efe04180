// @ts-check
/** The matrices side by side, with row entropies, marks and names. */
import { nameAxes, roomFor, runsOf } from "./axes.js";
import { card } from "./card.js";
import { pictureOf } from "./pictures.js";
import { entropy, identities, kinds, WORDS } from "./state.js";

/** @typedef {import("./state.js").HeatState} HeatState */
/** @typedef {import("./state.js").Panel} Panel */
/** @typedef {import("../core/theme.js").Theme} Theme */
/** @typedef {CanvasRenderingContext2D} Ctx */
/** @typedef {import("./axes.js").Run} Run */
/** @typedef {{ctx: Ctx, s: HeatState, p: Panel, theme: Theme, cell: number, across(r: number): number, down(r: number): number}} Pen */

export const STRIP = 16;
const HEAD = 34, GAP = 10;

/** The largest squares that fit, with names left of the first and below the last.
 *  @param {HeatState} s @param {Ctx} ctx @param {Run[]} runs @param {number} w @param {number} tall */
function arrange(s, ctx, runs, w, tall) {
  const list = kinds(s), { left, below } = roomFor(s, ctx, runs, w, tall);
  let best = { side: -Infinity, columns: 1, rows: 1 };
  for (let columns = 1; columns <= list.length; columns++) {
    const rows = Math.ceil(list.length / columns);
    const side = Math.floor(Math.min((w - GAP - left) / columns - GAP - STRIP, (tall - GAP - below) / rows - GAP - HEAD));
    if (side > best.side) best = { side, columns, rows };
  }
  const wide = best.side + STRIP + GAP, high = best.side + HEAD + GAP, side = Math.max(20, best.side);
  const from = Math.max(GAP, (w - left - best.columns * wide - GAP) / 2 + GAP / 2), top = Math.max(GAP / 2, (tall - below - best.rows * high) / 2);
  s.panels = list.map((kind, k) => ({ kind, x: left + from + (k % best.columns) * wide, y: top + Math.floor(k / best.columns) * high + HEAD, side,
    left: k % best.columns ? 0 : left, below: k + best.columns < list.length ? 0 : below }));
}

/** @param {Pen} pen @param {Float32Array} H */
function drawHead({ ctx, s, p, theme }, H) {
  const mean = H.reduce((a, b) => a + b, 0) / Math.max(1, s.n);
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.fillStyle = theme.ink;
  ctx.font = "600 13px system-ui, sans-serif";
  ctx.fillText(WORDS[p.kind], p.x, p.y - 19, p.side);
  const lost = identities(s).includes(p.kind);
  ctx.fillStyle = lost ? theme.right : theme.soft;
  ctx.font = `${lost ? "600 " : ""}11px system-ui, sans-serif`;
  ctx.fillText(lost ? "the identity: nothing is soft" : `H ${mean.toFixed(2)} · ${Math.exp(mean).toFixed(1)} clips`, p.x, p.y - 5, p.side + STRIP);
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
  nameAxes(s, ctx, p, runs, theme);
}

/** @param {HeatState} s @param {Ctx} ctx @param {number} w @param {number} tall */
export function draw(s, ctx, w, tall) {
  if (!s.face) return;   // the first call comes while the surface is being made
  const began = performance.now(), theme = s.frame.theme(), runs = runsOf(s);
  ctx.fillStyle = theme.panel;
  ctx.fillRect(0, 0, w, tall);
  s.axes = { rows: [], columns: [] };
  arrange(s, ctx, runs, w, tall);
  for (const p of s.panels) drawPanel(ctx, s, p, runs, theme);
  if (s.over) card(s, s.over);
  s.stats = { ms: performance.now() - began };
}
