// @ts-check
/** The skeleton player: clips on a canvas, one clock, one camera. el.c2vl = {clock, camera, face, panels} is there for tests and for
 *  pages that embed a player. */
import { load } from "./arrange.js";
import { build } from "./controls.js";
import { interact } from "./interact.js";
import { linkUp, share } from "./link.js";
import { Player } from "./state.js";
import { keepTime, showPlaying } from "./time.js";

/** @type {import("../core/model.js").Render} */
export function renderPlayer({ model, el }) {
  const s = new Player(model, el);
  build(s);
  s.ends.push(keepTime(s));
  interact(s);
  linkUp(s);
  s.clock.set({ speed: model.get("speed"), loop: model.get("loop") });
  load(s);
  share(s);
  s.root.dataset.playing = String(s.clock.playing);
  if (model.get("playing")) s.clock.play();
  else showPlaying(s);
  Object.assign(el, { c2vl: { clock: s.clock, camera: s.camera, face: s.face, get panels() { return s.panels; } } });
  return () => {
    for (const fn of s.ends) fn();
    clearTimeout(s.cameraTimer);
    s.bus.close();
    s.face.end();
    s.frame.close();
  };
}
