// @ts-check
/** Names on the axes: a bracket for each run of a class and its name beside it, no two on one another. */
import { cutNames, spread } from "../core/text.js";
import { groupOf } from "./state.js";

/** @typedef {import("./state.js").HeatState} HeatState */
/** @typedef {import("./state.js").Panel} Panel */
/** @typedef {import("./state.js").Named} Named */
/** @typedef {CanvasRenderingContext2D} Ctx */
/** @typedef {[string, number, number]} Run a word, from, to */

const GAP = 13, LINE = 5;
export const AXIS_FONT = "11px system-ui, sans-serif";

/** Runs of one word in the order shown.
 *  @param {HeatState} s
 *  @returns {Run[]} */
export function runsOf(s) {
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

/** Room for the names to the left and below, in pixels.
 *  @param {HeatState} s @param {Ctx} ctx @param {Run[]} runs @param {number} w @param {number} tall */
export function roomFor(s, ctx, runs, w, tall) {
  if (runs.length < 2 || runs.length > s.n / 2) return { left: 0, below: 0 };
  ctx.font = AXIS_FONT;
  const need = Math.max(...runs.map(([word]) => ctx.measureText(word).width)) + LINE + 6;
  return { left: Math.round(Math.min(need, 130, 0.2 * w)), below: Math.round(Math.min(need, 100, 0.16 * tall)) };
}

/** The runs within the window and where their names stand; of too many the longest.
 *  @param {HeatState} s @param {Run[]} runs @param {number} from first row or column of the window @param {number} side pixels
 *  @returns {{word: string, a: number, b: number, at: number}[]} */
function placed(s, runs, from, side) {
  const cell = side * s.look.zoom / s.n, inside = (/** @type {number} */ v) => Math.max(0, Math.min(side, (v - from) * cell));
  let seen = runs.map(([word, a, b]) => ({ word, a: inside(a), b: inside(b), at: 0 })).filter(({ a, b }) => b - a > 1);
  const fit = Math.max(1, Math.floor(side / GAP));
  if (seen.length > fit) {
    const chosen = new Set([...seen].sort((p, q) => q.b - q.a - (p.b - p.a)).slice(0, fit));
    seen = seen.filter((one) => chosen.has(one));
  }
  const places = spread(seen.map(({ a, b }) => (a + b) / 2), GAP, GAP / 2, side - GAP / 2);
  return seen.map((one, i) => ({ ...one, at: places[i] }));
}

/** Names along one side. The pen's origin is the corner of the matrix; x goes along the axis where `turned`.
 *  @param {Ctx} ctx @param {ReturnType<typeof placed>} list @param {number} room @param {import("../core/theme.js").Theme} theme @param {boolean} turned
 *  @returns {Named[]} */
function write(ctx, list, room, theme, turned) {
  const cut = cutNames(list.map((one) => one.word), room - LINE - 6, (text) => ctx.measureText(text).width);
  /** @param {number} far from the matrix @param {number} along
   *  @returns {[number, number]} */
  const spot = (far, along) => (turned ? [along, far] : [-far, along]);
  ctx.strokeStyle = theme.faint;
  ctx.lineWidth = 1;
  for (const { a, b, at } of list) {
    ctx.beginPath();
    ctx.moveTo(...spot(2, a + 1));
    ctx.lineTo(...spot(2, b - 1));
    ctx.moveTo(...spot(2, (a + b) / 2));
    ctx.lineTo(...spot(LINE + 1, at));
    ctx.stroke();
  }
  ctx.fillStyle = theme.ink;
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  return list.map(({ word, at }) => {
    const text = cut.get(word) ?? word;
    ctx.save();
    ctx.translate(...spot(LINE + 3, at));
    if (turned) ctx.rotate(-Math.PI / 2);
    ctx.fillText(text, 0, 0);
    ctx.restore();
    return { word, text, at };
  });
}

/** @param {HeatState} s @param {Ctx} ctx @param {Panel} p @param {Run[]} runs @param {import("../core/theme.js").Theme} theme */
export function nameAxes(s, ctx, p, runs, theme) {
  ctx.font = AXIS_FONT;
  if (p.left) {
    ctx.save();
    ctx.translate(p.x, p.y);
    s.axes.rows = write(ctx, placed(s, runs, s.look.y, p.side), p.left, theme, false);
    ctx.restore();
  }
  if (!p.below) return;
  ctx.save();
  ctx.translate(p.x, p.y + p.side);
  s.axes.columns = write(ctx, placed(s, runs, s.look.x, p.side), p.below, theme, true);
  ctx.restore();
}
