// @ts-check
/** Soft targets over epochs: what the loss asked for and what the model answered, as matrices on one locked colour scale. el.c2vl = {face, clock,
 *  place(row, column, kind) → client pixels, value(kind, row, column, epoch?), entropy(kind) → Float32Array, perplexity(kind), axes} is there for tests. */
import { build } from "./controls.js";
import { interact } from "./interact.js";
import { linkUp, load, share } from "./link.js";
import { entropy, HeatState, kinds, known, perplexity, probability } from "./state.js";

/** @param {HeatState} s */
function hooks(s) {
  /** @param {string} row @param {string} column @param {string} kind */
  const place = (row, column, kind = kinds(s)[0]) => {
    const p = s.panels.find((q) => q.kind === kind) ?? s.panels[0], cell = p.side * s.look.zoom / s.n, outer = s.face.canvas.getBoundingClientRect();
    const [r, c] = known(s, [row, column]);
    return [outer.left + p.x + (s.place[c] - s.look.x + 0.5) * cell, outer.top + p.y + (s.place[r] - s.look.y + 0.5) * cell];
  };
  /** @param {string} kind @param {string} a @param {string} b @param {number} [e] */
  const value = (kind, a, b, e) => probability(s, kind, known(s, [a])[0], known(s, [b])[0], e);
  return {
    face: s.face, clock: s.clock, place, value,
    entropy: (/** @type {string} */ kind, /** @type {number | undefined} */ e) => entropy(s, kind, e),
    perplexity: (/** @type {string} */ kind, e = s.clock.index) => perplexity(s, kind, e),
    get axes() { return s.axes; },
    get stats() { return s.stats; },
    get order() { return s.order.map((i) => s.names[i]); },
  };
}

/** @type {import("../core/model.js").Render} */
export function renderHeatmap({ model, el }) {
  const s = new HeatState(model, el);
  build(s);
  interact(s);
  linkUp(s);
  s.look = { ...s.look, ...model.get("window") };
  load(s);
  s.clock.seek(model.get("epoch"));
  s.pair = known(s, model.get("picked"));
  s.root.dataset.playing = "false";
  share(s);
  if (model.get("playing")) s.clock.play();
  Object.assign(el, { c2vl: hooks(s) });
  return () => {
    for (const fn of s.ends) fn();
    s.clock.pause();
    clearInterval(s.beat);
    clearTimeout(s.windowTimer);
    s.bus.close();
    s.face.end();
    s.strip.end();
    s.frame.close();
  };
}
