// @ts-check
/** α beside the perplexity of every matrix, over the recorded epochs. A perplexity of 1 is the identity: nothing about that target is soft. */
import { fmt } from "../core/colour.js";
import { gestures } from "../core/gestures.js";
import { spread } from "../core/text.js";
import { identities, kinds, perplexity, WORDS } from "./state.js";

/** @typedef {import("./state.js").HeatState} HeatState */
/** @typedef {import("../core/theme.js").Theme} Theme */
/** @typedef {CanvasRenderingContext2D} Ctx */
/** @typedef {{x: number, y: number, w: number, h: number}} Box */

const FONT = "11px system-ui, sans-serif";
/** @type {Record<string, number>} which colour of the theme's */
const TINT = { intra: 0, inter: 1, mixed: 2, model: 3 };

/** @param {number} w @param {number} tall
 *  @returns {{alpha: Box, many: Box}} */
function boxes(w, tall) {
  const share = w < 520 ? 0.3 : 0.24, says = w < 520 ? 54 : 150, h = tall - 36;
  return { alpha: { x: 32, y: 18, w: share * w - 44, h }, many: { x: share * w + 24, y: 18, w: w * (1 - share) - 28 - says, h } };
}

/** Pixels across at the e-th moment.
 *  @param {HeatState} s @param {Box} box @param {number} e */
function across(s, box, e) {
  const when = s.epochs, first = when[0], last = when[when.length - 1];
  return box.x + (last > first ? (when[e] - first) / (last - first) : 0.5) * box.w;
}

/** Pixels down for a perplexity: its logarithm, so that the entropy is linear.
 *  @param {HeatState} s @param {Box} box @param {number} p */
const down = (s, box, p) => box.y + box.h * (1 - Math.log(Math.max(1, p)) / Math.log(Math.max(2, s.n)));

/** @param {HeatState} s @param {Ctx} ctx @param {Box} box @param {string} title @param {Theme} theme */
function frame(s, ctx, box, title, theme) {
  const { epochs } = s, floor = box.y + box.h, now = across(s, box, s.clock.index);
  ctx.lineWidth = 1;
  ctx.strokeStyle = theme.line;
  ctx.strokeRect(box.x, box.y, box.w, box.h);
  ctx.fillStyle = theme.soft;
  ctx.textBaseline = "alphabetic";
  ctx.textAlign = "left";
  ctx.fillText(title, box.x, box.y - 6);
  ctx.fillText(String(epochs[0]), box.x, floor + 13);
  ctx.textAlign = "right";
  if (epochs.length > 1) ctx.fillText(`epoch ${epochs[epochs.length - 1]}`, box.x + box.w, floor + 13);
  ctx.fillStyle = theme.ink;
  ctx.fillRect(now - 0.5, box.y, 1, box.h);
}

/** @param {Ctx} ctx @param {[number, number][]} points @param {string} colour */
function line(ctx, points, colour) {
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.lineWidth = 1.8;
  ctx.beginPath();
  points.forEach(([x, y], i) => {
    if (i) ctx.lineTo(x, y);
    else ctx.moveTo(x, y);
  });
  ctx.stroke();
  for (const [x, y] of points) ctx.fillRect(x - 1.5, y - 1.5, 3, 3);
}

/** @param {HeatState} s @param {Ctx} ctx @param {Box} box @param {Theme} theme */
function drawAlpha(s, ctx, box, theme) {
  /** @type {number[]} */
  const alphas = s.get("alphas") ?? [], most = Math.max(0.05, ...alphas), now = alphas[s.clock.index] ?? 0;
  /** @param {number} a */
  const y = (a) => box.y + box.h * (1 - a / most);
  frame(s, ctx, box, `α ${fmt(now, 2)}`, theme);
  ctx.textAlign = "right";
  ctx.fillStyle = theme.soft;
  ctx.fillText(fmt(most, 2), box.x - 4, box.y + 8);
  ctx.fillText("0", box.x - 4, box.y + box.h);
  line(ctx, alphas.map((a, e) => [across(s, box, e), y(a)]), theme.accent);
  ctx.beginPath();
  ctx.arc(across(s, box, s.clock.index), y(now), 4, 0, 6.2832);
  ctx.fillStyle = theme.right;
  ctx.fill();
}

/** Lines at 1, 2, 5, 10 … clips, and the band where a target is the identity.
 *  @param {HeatState} s @param {Ctx} ctx @param {Box} box @param {Theme} theme */
function ground(s, ctx, box, theme) {
  const floor = box.y + box.h;
  ctx.fillStyle = theme.dark ? "rgba(240,138,60,.28)" : "rgba(213,94,0,.16)";
  ctx.fillRect(box.x, floor - 4, box.w, 8);
  ctx.textAlign = "right";
  let free = floor + 20;
  for (const p of [1, 2, 5, 10, 20, 50, 100, 200, 500].filter((v) => v <= s.n)) {
    const y = down(s, box, p);
    if (free - y < 12) continue;
    ctx.fillStyle = theme.line;
    ctx.fillRect(box.x, y, box.w, 1);
    ctx.fillStyle = theme.soft;
    ctx.fillText(String(p), box.x - 4, y + 4);
    free = y;
  }
}

/** What stands at the right end of a curve.
 *  @param {HeatState} s @param {string} kind @param {boolean} wide */
function saysOf(s, kind, wide) {
  const p = perplexity(s, kind, s.clock.index), [name, letter] = WORDS[kind].split(" ");
  if (identities(s).includes(kind)) return wide ? `${name} ${letter} = identity` : `${letter} = I`;
  return wide ? `${name} ${letter} ${fmt(p)} · H ${Math.log(p).toFixed(2)}` : `${letter} ${fmt(p, 2)}`;
}

/** @param {HeatState} s @param {Ctx} ctx @param {Box} box @param {Theme} theme @param {boolean} wide */
function drawMany(s, ctx, box, theme, wide) {
  const shown = kinds(s), last = s.clock.index, lost = identities(s);
  frame(s, ctx, box, wide ? "perplexity: clips that a row shares (1 = identity)" : "clips a row shares", theme);
  ground(s, ctx, box, theme);
  /** @param {string} kind */
  const colour = (kind) => (kind in TINT ? theme.persons[TINT[kind]] : theme.faint);
  for (const kind of shown) line(ctx, s.epochs.map((_, e) => [across(s, box, e), down(s, box, perplexity(s, kind, e))]), colour(kind));
  const order = [...shown].sort((a, b) => perplexity(s, b, last) - perplexity(s, a, last));
  const places = spread(order.map((kind) => down(s, box, perplexity(s, kind, last))), 14, box.y + 2, box.y + box.h + 12);
  ctx.textAlign = "left";
  order.forEach((kind, i) => {
    const y = down(s, box, perplexity(s, kind, last));
    ctx.beginPath();
    ctx.arc(across(s, box, last), y, lost.includes(kind) ? 5.5 : 4, 0, 6.2832);
    ctx.fillStyle = lost.includes(kind) ? theme.right : colour(kind);
    ctx.fill();
    ctx.fillRect(box.x + box.w + 6, places[i] - 4, 8, 8);
    ctx.fillStyle = lost.includes(kind) ? theme.right : theme.ink;
    ctx.font = lost.includes(kind) ? `600 ${FONT}` : FONT;
    ctx.fillText(saysOf(s, kind, wide), box.x + box.w + 18, places[i] + 4);
    ctx.font = FONT;
  });
}

/** @param {HeatState} s @param {Ctx} ctx @param {number} w @param {number} tall */
export function drawCurves(s, ctx, w, tall) {
  if (!s.strip) return;   // the first call comes while the surface is being made
  const theme = s.frame.theme(), { alpha, many } = boxes(w, tall);
  ctx.fillStyle = theme.paper;
  ctx.fillRect(0, 0, w, tall);
  ctx.font = FONT;
  drawAlpha(s, ctx, alpha, theme);
  drawMany(s, ctx, many, theme, w >= 520);
}

/** A press or a drag on the curves moves the clock to the nearest moment.
 *  @param {HeatState} s
 *  @returns {() => void} what stops it */
export function hearCurves(s) {
  const { strip, clock } = s;
  const seek = (/** @type {PointerEvent} */ e) => {
    const x = e.clientX - strip.canvas.getBoundingClientRect().left, { alpha, many } = boxes(strip.w, strip.h), box = x < many.x - 12 ? alpha : many;
    const far = s.epochs.map((_, k) => Math.abs(across(s, box, k) - x));
    clock.stop(far.indexOf(Math.min(...far)));
  };
  return gestures(strip.canvas, { drag: (_dx, _dy, e) => seek(e), tap: (_x, _y, e) => seek(e) });
}
