// @ts-check
/** The card of a cell: both clips, what was said of them, and the numbers. */
import { momentAt } from "../core/clips.js";
import { fmt } from "../core/colour.js";
import { h, sayAt } from "../core/dom.js";
import { drawCard } from "../core/skeleton.js";
import { calm } from "../core/theme.js";
import { entropy, kinds, probability, WORDS } from "./state.js";

/** @typedef {import("./state.js").HeatState} HeatState */
/** @typedef {import("./state.js").Cell} Cell */

const W = 150, TALL = 96;

/** @param {HeatState} s @param {import("../core/clips.js").Clip} clip */
function little(s, clip) {
  const ratio = s.face.ratio || 1, canvas = h("canvas", { class: "c2vl-card", width: W * ratio, height: TALL * ratio, "aria-hidden": "true" }), ctx = canvas.getContext("2d");
  const paint = () => {
    if (!ctx) return;
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, W, TALL);
    drawCard(ctx, clip, s.ticks % clip.T, 0, 0, W, TALL, s.frame.theme());
  };
  return { canvas, paint };
}

/** One clip of the cell, and what paints it.
 *  @param {HeatState} s @param {number} i @param {"row" | "column"} what */
function half(s, i, what) {
  const clip = s.cards.of(s.names[i]), texts = s.get("texts")[i], word = s.get("classes")[i], small = clip && little(s, clip);
  const said = texts?.length ? h("p", { dir: "auto", "data-role": `${what}-prompt` }) : null, skeleton = (what === "row") === (s.set.direction === 0);
  const el = h("div", {}, h("span", {}, `${what}: ${skeleton ? "skeleton" : "words"} of`), h("b", { dir: "auto", "data-role": `${what}-name` }, s.names[i]),
    word ? h("span", { dir: "auto" }, word) : null, small?.canvas, said);
  const paint = () => {
    small?.paint();
    if (said) sayAt(said, texts, clip ? momentAt(s.ticks % clip.T, clip.T, texts.length) : Math.floor(s.ticks / 8) % texts.length);
  };
  return { el, paint, moves: !!small || !!said };
}

/** @param {HeatState} s @param {Cell} cell */
function valuesOf(s, { row, column, kind: shown }) {
  const H = entropy(s, shown)[row], before = Math.max(0, s.clock.index - 1);
  const lines = column < 0 ? [] : kinds(s).map((kind) => {
    const v = probability(s, kind, row, column), d = v - probability(s, kind, row, column, before), change = s.get("difference") ? ` (${d < 0 ? "−" : "+"}${fmt(Math.abs(d))})` : null;
    return h("div", { class: kind === shown ? "c2vl-now" : "", "data-value": kind }, h("span", {}, `${WORDS[kind]} `), fmt(v), change);
  });
  return h("div", { class: "c2vl-values", "data-role": "values" }, lines,
    h("div", {}, h("span", {}, `row entropy (${shown}) `), `${H.toFixed(2)} nats, as ${Math.exp(H).toFixed(1)} clips`));
}

/** Where the card stands, in client pixels.
 *  @param {HeatState} s @param {Cell} over
 *  @returns {[number, number]} */
function placeOf(s, { kind, row, column }) {
  const p = s.panels.find((q) => q.kind === kind) ?? s.panels[0], cell = p.side * s.look.zoom / s.n, outer = s.face.canvas.getBoundingClientRect();
  const x = column < 0 ? p.side : (s.place[column] - s.look.x + 0.5) * cell;
  return [outer.left + p.x + x, outer.top + p.y + (s.place[row] - s.look.y + 0.5) * cell];
}

/** @param {HeatState} s @param {Cell} over */
export function card(s, over) {
  const id = [over.row, over.column, over.kind, s.clock.index, s.get("which"), s.get("sort"), kinds(s), s.get("difference"), s.cards.size].join("/");
  if (id === s.cardFor && !s.tip.el.hidden) return;
  s.cardFor = id;
  const halves = [half(s, over.row, "row"), ...(over.column < 0 || over.column === over.row ? [] : [half(s, over.column, "column")])];
  const paint = () => { for (const one of halves) one.paint(); };
  paint();
  s.tip.show(...placeOf(s, over), [h("div", { class: "c2vl-pair" }, halves.map((one) => one.el)), valuesOf(s, over)]);
  clearInterval(s.beat);
  if (!calm() && halves.some((one) => one.moves)) s.beat = setInterval(() => { s.ticks += 1; paint(); }, 180);
}
