// @ts-check
/** The clips nearest to the one that is picked, in every space: a list with small moving skeletons, and lines on the map. */
import { h } from "../core/dom.js";
import { drawCard } from "../core/skeleton.js";
import { calm } from "../core/theme.js";
import { column, FADED, NONE, placesOf, wordOf } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */

const MOST = 5, SIDE = 44;
/** @type {number[][]} how the lines of each space are broken */
const DASHES = [[], [6, 4], [2, 3], [9, 3, 2, 3]];

/** The clips whose vectors are most alike, as Python found them.
 *  @param {MapState} s @param {number} i @param {number} from where the space begins */
function byVectors(s, i, from) {
  return Array.from(s.table.subarray(from + i * MOST, from + (i + 1) * MOST)).filter((j) => j !== NONE && s.state[j] > FADED);
}

/** The clips that lie nearest on the map.
 *  @param {MapState} s @param {number} i @param {Float32Array} at positions */
function byPlace({ n, state }, i, at) {
  const x = at[i * 2], y = at[i * 2 + 1], far = new Float64Array(MOST).fill(Infinity), found = new Int32Array(MOST).fill(-1);
  for (let j = 0; j < n; j++) {
    const dx = at[j * 2] - x, dy = at[j * 2 + 1] - y, d = dx * dx + dy * dy;
    if (!(d < far[MOST - 1]) || j === i || state[j] <= FADED) continue;   // NaN: not in this space
    let k = MOST - 1;
    for (; k > 0 && far[k - 1] > d; k--) { far[k] = far[k - 1]; found[k] = found[k - 1]; }
    far[k] = d;
    found[k] = j;
  }
  return Array.from(found).filter((j) => j >= 0);
}

/** @param {MapState} s @param {number} i @param {number} k which space */
function nearestIn(s, i, k) {
  const { near } = s.spaces[k];
  return near >= 0 ? byVectors(s, i, near) : byPlace(s, i, placesOf(s, k));
}

/** @param {MapState} s @param {number} j */
function lineOf(s, j) {
  const c = column(s), ratio = s.face.ratio || 1, clip = s.cards.of(s.names[j]);
  const canvas = clip ? h("canvas", { class: "c2vl-small", width: SIDE * ratio, height: SIDE * ratio, "aria-hidden": "true" }) : null, ctx = canvas?.getContext("2d");
  /** @param {number} tick */
  const paint = (tick) => {
    if (!clip || !ctx) return;
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, SIDE, SIDE);
    drawCard(ctx, clip, tick % clip.T, 0, 0, SIDE, SIDE, s.frame.theme());
  };
  const el = h("button", { type: "button", class: "c2vl-line c2vl-beside", "data-role": "near", "data-name": s.names[j] }, canvas,
    h("span", {}, h("b", { dir: "auto" }, s.names[j]), c ? h("span", { dir: "auto" }, wordOf(c, j)) : null));
  return { el, paint };
}

/** The key of a space's lines, and where the list comes from.
 *  @param {MapState} s @param {number} k */
function headOf(s, k) {
  const how = s.spaces[k].near >= 0 ? "by vectors" : "on the map", swatch = h("canvas", { width: 26, height: 10, "aria-hidden": "true" }), ctx = swatch.getContext("2d");
  if (ctx) stroke(ctx, s, k, [[1, 5], [25, 5]]);
  return h("div", { class: "c2vl-near-head" }, swatch, `${s.spaces[k].name}, ${how}`);
}

/** @param {CanvasRenderingContext2D} ctx @param {MapState} s @param {number} k @param {[number, number][]} points in pairs */
function stroke(ctx, s, k, points) {
  const theme = s.frame.theme();
  ctx.strokeStyle = theme.persons[k % theme.persons.length];
  ctx.lineWidth = 1.8;
  ctx.setLineDash(DASHES[k % DASHES.length]);
  ctx.beginPath();
  points.forEach(([x, y], at) => { if (at % 2) ctx.lineTo(x, y); else ctx.moveTo(x, y); });
  ctx.stroke();
  ctx.setLineDash([]);
}

/** @param {MapState} s */
function stop(s) {
  clearInterval(s.nearBeat);
  s.nearBeat = 0;
}

/** Nothing is near any more.
 *  @param {MapState} s */
export function clearNear(s) {
  stop(s);
  s.near = [];
  s.ui.near.hidden = true;
  s.root.dataset.near = "";
  s.face?.redraw();
}

/** Finds and lists what is near the clip that was picked last.
 *  @param {MapState} s */
export function showNear(s) {
  const i = s.pair.at(-1) ?? -1, began = performance.now();
  if (i < 0 || s.n < 2) { clearNear(s); return; }
  stop(s);
  s.near = s.spaces.map((_, k) => nearestIn(s, i, k));
  s.stats.near = performance.now() - began;
  s.nearOf = i;
  const lines = s.near.map((list) => list.map((j) => lineOf(s, j)));
  s.ui.nearTitle.textContent = `nearest to ${s.names[i]}`;
  s.ui.nearList.replaceChildren(...lines.flatMap((of, k) => (of.length ? [headOf(s, k), ...of.map((line) => line.el)] : [])));
  s.ui.near.hidden = false;
  s.root.dataset.near = s.near.map((list) => list.map((j) => s.names[j]).join(" ")).join("\n");
  const missing = [...new Set([i, ...s.near.flat()])].map((j) => s.names[j]).filter((name) => !s.cards.has(name));
  if (missing.length && s.get("asks")) s.push({ asked: missing });
  let tick = 0;
  const paint = () => { for (const line of lines.flat()) line.paint(tick); tick += 1; };
  paint();
  if (!calm()) s.nearBeat = setInterval(paint, 180);
  s.face?.redraw();
}

/** Lines from the picked clip to what is near it.
 *  @param {CanvasRenderingContext2D} ctx @param {MapState} s */
export function drawNear(ctx, s) {
  const { screen, nearOf } = s, x = screen[nearOf * 2], y = screen[nearOf * 2 + 1];
  if (!s.near.length || Number.isNaN(x)) return;
  s.near.forEach((list, k) => {
    /** @type {[number, number][]} */
    const points = list.filter((j) => !Number.isNaN(screen[j * 2])).flatMap((j) => [[x, y], [screen[j * 2], screen[j * 2 + 1]]]);
    stroke(ctx, s, k, points);
  });
}
