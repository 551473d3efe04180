// @ts-check
/** The card of the clip that is pointed at: its words, and a small skeleton that moves. */
import { beside } from "../core/beside.js";
import { momentAt } from "../core/clips.js";
import { h, sayAt } from "../core/dom.js";
import { drawCard } from "../core/skeleton.js";
import { calm } from "../core/theme.js";
import { sentencesOf, wordOf } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */

const W = 150, TALL = 110;

/** A canvas with a clip that `paint(t)` draws at frame t.
 *  @param {MapState} s @param {import("../core/clips.js").Clip} clip */
function little(s, clip) {
  const ratio = s.face.ratio || 1, canvas = h("canvas", { class: "c2vl-card", width: W * ratio, height: TALL * ratio, "data-role": "card-skeleton", "aria-hidden": "true" });
  const ctx = canvas.getContext("2d");
  /** @param {number} t */
  const paint = (t) => {
    if (!ctx) return;
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, W, TALL);
    drawCard(ctx, clip, t, 0, 0, W, TALL, s.frame.theme());
  };
  return { canvas, paint };
}

/** @param {MapState} s @param {number} i */
function fill(s, i) {
  const clip = s.cards.of(s.names[i]), texts = sentencesOf(s, i), small = clip && little(s, clip);
  const words = h("p", { dir: "auto", "data-role": "card-prompt" });
  const rows = s.columns.slice(0, 6).map((c) => h("div", {}, h("span", {}, `${c.name} `), h("bdi", {}, wordOf(c, i))));
  let ticks = 0;
  const paint = () => {
    const t = clip ? ticks % clip.T : 0;
    small?.paint(t);
    if (texts.length) sayAt(words, texts, clip ? momentAt(t, clip.T, texts.length) : Math.floor(ticks / 8) % texts.length);
    ticks += 1;
  };
  const content = [h("b", { dir: "auto", "data-role": "card-name" }, s.names[i]), ...rows, small?.canvas, texts.length ? words : null];
  return { content, paint, moves: (clip && clip.T > 1) || texts.length > 1 };
}

/** @param {MapState} s */
export function card(s) {
  const box = s.face.canvas.getBoundingClientRect(), x = s.screen[s.over * 2], y = s.screen[s.over * 2 + 1];
  if (!(x >= 0 && y >= 0 && x <= s.face.w && y <= s.face.h)) { s.tip.hide(); return; }
  if (s.cardFor === s.over && !s.tip.el.hidden && !s.morphing) return;
  s.cardFor = s.over;
  const { content, paint, moves } = fill(s, s.over);
  clearInterval(s.beat);
  s.tip.show(box.left + x, box.top + y, content);
  paint();
  beside(s.root, s.face.canvas, s.tip.el, x, y, 16);
  if (!calm() && moves) s.beat = setInterval(paint, 180);
}
