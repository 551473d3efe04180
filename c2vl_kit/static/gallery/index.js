// @ts-check
/** The mistakes of a run: a card for each, with what the clip is, what it was taken for, and how surely. A click plays it. */
import { Cards, momentAt } from "../core/clips.js";
import { fmt } from "../core/colour.js";
import { select } from "../core/controls.js";
import { h, rootOf, sayAt } from "../core/dom.js";
import { hearLinked, joinGroup } from "../core/link.js";
import { talk } from "../core/model.js";
import { drawCard } from "../core/skeleton.js";
import { calm, onTheme } from "../core/theme.js";

/** @typedef {import("../core/model.js").Model} Model */
/** @typedef {{name: string, true: string, predicted: string, probability: number, of_true: number, words: string[]}} Mistake */
/** @typedef {{el: HTMLButtonElement, paint(): void, of: Mistake}} Card */

const W = 150, TALL = 110;
/** @type {Record<string, (a: Mistake, b: Mistake) => number>} */
const ORDERS = { "surest first": (a, b) => b.probability - a.probability, "nearly right first": (a, b) => b.of_true - a.of_true, "by class": (a, b) => a.true.localeCompare(b.true) };

class Gallery {
  /** @param {Model} model @param {HTMLElement} el */
  constructor(model, el) {
    this.model = model;
    this.frame = rootOf(el, "c2vl-gallery", "mistakes of the run");
    this.root = this.frame.root;
    this.bus = joinGroup(model, "gallery");
    /** @type {(() => void)[]} */
    this.ends = [];
    const { push, listen } = talk(model, this.ends);
    this.push = push;
    this.listen = listen;
    this.clips = new Cards();
    this.clips.learn(model.get("card_metas"), model.get("card_layouts"), model.get("card_data"));
    /** @type {Mistake[]} */
    this.rows = model.get("rows");
    this.names = this.rows.map((row) => row.name);
    /** @type {Card[]} */
    this.cards = [];
    this.order = "surest first";
    this.only = "";
    this.beat = 0;
    this.ticks = 0;
    this.list = h("div", { class: "c2vl-cards", "data-role": "cards" });
    this.count = h("span", { class: "c2vl-time", "data-role": "count" });
  }
}

/** @param {Gallery} s @param {Mistake} row
 *  @returns {Card} */
function cardOf(s, row) {
  const ratio = Math.min(2, devicePixelRatio || 1), clip = s.clips.of(row.name), ctx = clip && h("canvas", { class: "c2vl-card", width: W * ratio, height: TALL * ratio, "aria-hidden": "true" }).getContext("2d");
  const said = row.words.length ? h("q", { dir: "auto", "data-role": "words" }) : null, sure = `${Math.round(100 * row.probability)} %`;
  const el = h("button", { type: "button", class: "c2vl-mistake", "data-clip": row.name, "aria-label": `${row.true}, taken for ${row.predicted}, ${sure}: play ${row.name}`,
    onclick: () => pick(s, row.name), onpointerenter: () => enter(s, row.name), onpointerleave: () => enter(s, null), onfocus: () => enter(s, row.name), onblur: () => enter(s, null) },
  ctx?.canvas, h("b", { dir: "auto" }, row.true), h("span", { class: "c2vl-taken", dir: "auto" }, `→ ${row.predicted} `, h("i", {}, sure)),
  h("span", { class: "c2vl-sure" }, h("i", { style: { width: sure.replace(" ", "") } })), h("small", {}, `own class ${fmt(100 * row.of_true, 2)} %`), said, h("small", { dir: "auto" }, row.name));
  const paint = () => {
    const at = clip ? Math.floor(clip.T / 2 + s.ticks) % clip.T : 0;
    if (said) sayAt(said, row.words, momentAt(at, clip ? clip.T : 1, row.words.length));
    if (!ctx || !clip) return;
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, W, TALL);
    drawCard(ctx, clip, at, 0, 0, W, TALL, s.frame.theme());
  };
  paint();
  return { el, paint, of: row };
}

/** @param {Gallery} s @param {string | null} name pointed at: its card moves */
function enter(s, name) {
  clearInterval(s.beat);
  s.root.dataset.hover = name ?? "";
  s.bus.emit("hover", { name });
  const card = s.cards.find(({ of }) => of.name === name);
  if (card && !calm()) s.beat = setInterval(() => { s.ticks += 1; card.paint(); }, 120);
}

/** @param {Gallery} s @param {string[]} names */
function mark(s, names) {
  s.root.dataset.picked = names.join("\n");
  for (const { el, of } of s.cards) el.setAttribute("aria-pressed", String(names.includes(of.name)));
}

/** @param {Gallery} s @param {string} name */
function pick(s, name) {
  s.push({ picked: [name] });
  mark(s, [name]);
  s.bus.emit("pick", { names: [name] });
}

/** @param {Gallery} s */
function arrange(s) {
  const shown = s.cards.filter(({ of }) => !s.only || of.true === s.only).sort((a, b) => ORDERS[s.order](a.of, b.of));
  s.list.replaceChildren(...shown.map((card) => card.el));
  s.count.textContent = `${s.model.get("wrong")} of ${s.model.get("tested")} wrong${shown.length < s.model.get("wrong") ? `, ${shown.length} shown` : ""}`;
  s.root.dataset.order = s.order;
  s.root.dataset.only = s.only;
}

/** @type {import("../core/model.js").Render} */
export function renderGallery({ model, el }) {
  const s = new Gallery(model, el), classes = [...new Set(s.rows.map((row) => row.true))].sort();
  s.cards = s.rows.map((row) => cardOf(s, row));
  const orders = select({ label: "order", role: "order", options: Object.keys(ORDERS).map((value) => ({ value, label: value })), value: s.order, onChange: (v) => { s.order = v; arrange(s); } });
  const only = select({ label: "class", role: "only", options: [{ value: "", label: "all classes" }, ...classes.map((value) => ({ value, label: value }))], value: "",
    onChange: (v) => { s.only = v; arrange(s); } });
  s.root.append(h("div", { class: "c2vl-row" }, orders, only, s.count), s.list);
  arrange(s);
  const known = (/** @type {string[]} */ names) => names.flatMap((name) => { const i = s.names.indexOf(name); return i < 0 ? [] : [i]; });
  hearLinked(s, known, { pointed() {}, picked: (_, names) => mark(s, names), selected() {} });
  s.listen("picked", () => mark(s, s.model.get("picked")));
  s.frame.end(onTheme(() => { for (const card of s.cards) card.paint(); }));
  return () => {
    for (const fn of s.ends) fn();
    clearInterval(s.beat);
    s.bus.close();
    s.frame.close();
  };
}
