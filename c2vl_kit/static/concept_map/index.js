// @ts-check
/** The concept map: up to 100,000 clips as points, several spaces with a morph between them. el.c2vl = {face, place(name) → [x, y] in client
 *  pixels, stats} is there for tests and for pages that embed a map. */
import { build, refresh } from "./controls.js";
import { interact } from "./interact.js";
import { linkUp, load, share, showPicked } from "./link.js";
import { play, stop } from "./move.js";
import { known, MapState } from "./state.js";

/** @type {import("../core/model.js").Render} */
export function renderConceptMap({ model, el }) {
  const s = new MapState(model, el);
  build(s);
  interact(s);
  linkUp(s);
  s.view = { ...s.view, ...model.get("view") };
  s.root.dataset.zoom = s.view.zoom.toFixed(3);
  load(s);
  showPicked(s, known(s, model.get("picked")));
  refresh(s);
  play(s, model.get("playing") && s.spaces.length > 1);
  share(s);
  /** @param {string} name */
  const place = (name) => {
    const box = s.face.canvas.getBoundingClientRect(), i = s.index.get(name) ?? NaN;
    return [box.left + s.screen[i * 2], box.top + s.screen[i * 2 + 1]];
  };
  Object.assign(el, { c2vl: { face: s.face, place, get stats() { return s.stats; } } });
  return () => {
    for (const fn of s.ends) fn();
    stop(s);
    clearTimeout(s.dwell);
    clearTimeout(s.viewTimer);
    clearInterval(s.beat);
    clearInterval(s.nearBeat);
    s.bus.close();
    s.face.end();
    s.frame.close();
  };
}
