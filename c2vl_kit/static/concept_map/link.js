// @ts-check
/** What other widgets and Python say. */
import { hearLinked } from "../core/link.js";
import { onTheme } from "../core/theme.js";
import { choose, find, readSelection } from "./choose.js";
import { refresh } from "./controls.js";
import { showList } from "./list.js";
import { jump, morph, play } from "./move.js";
import { showNear } from "./near.js";
import { recolour, shade } from "./shade.js";
import { known, readLibrary, round } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */

/** @param {MapState} s */
export function load(s) {
  readLibrary(s);
  const { colour, chooser, way, roam, wordTool } = s.ui;
  colour.fill(s.columns.map((c) => ({ value: c.name, label: `colour: ${c.name}` })), s.get("colour_by"));
  colour.hidden = s.columns.length < 2;
  chooser.fill(s.spaces.map((space, k) => ({ value: k, label: `space: ${space.name}` })), 0);
  wordTool.hidden = !s.regions.length;
  chooser.hidden = way.hidden = roam.hidden = s.spaces.length < 2;
  way.set(s.get("at"), s.spaces.length - 1);
  jump(s, s.get("at"));
  readSelection(s);
  find(s, s.get("query"));
  recolour(s);
}

/** Marks what is picked.
 *  @param {MapState} s @param {number[]} pair */
export function showPicked(s, pair) {
  s.pair = pair;
  s.root.dataset.picked = pair.map((i) => s.names[i]).join("\n");
  showNear(s);
}

/** @param {MapState} s */
function hearWidgets(s) {
  hearLinked(s, (names) => known(s, names), {
    pointed(at) {
      s.linked = at;
      s.face.redraw();
    },
    picked: (at) => showPicked(s, at),
    selected(at, names) { if (at.length || !names.length) choose(s, at, false); },   // others' clips say nothing here
  });
}

/** @param {MapState} s */
function hearPython(s) {
  const { listen } = s;
  listen("library", () => load(s));   // new points are several traits; this one is set last
  listen("at", () => {
    const at = s.get("at");
    if (round(at) !== Number(s.root.dataset.at)) (Number.isInteger(at) && s.root.isConnected ? morph : jump)(s, at);
  });
  listen("colour_by hidden kept fade", () => { recolour(s); showList(s); });
  listen("filtering", () => { for (const fn of s.after) fn(); });
  listen("selection", (python) => {
    readSelection(s);
    shade(s);
    if (python) s.bus.emit("select", { names: s.get("selection") });
  });
  listen("picked", (python) => {
    const names = s.get("picked");
    if (python) s.bus.emit("pick", { names, quiet: true });
    showPicked(s, known(s, names));
  });
  listen("query", () => find(s, s.get("query")));
  listen("playing", () => play(s, s.get("playing")));
  listen("view", () => {
    s.view = { ...s.view, ...s.get("view") };
    s.root.dataset.zoom = s.view.zoom.toFixed(3);
    s.face.redraw();
  });
  listen("fetched", () => {
    const { metas, layouts } = s.get("fetched");
    s.cards.learn(metas ?? [], layouts ?? [], s.get("fetched_data"));
    s.cardFor = -1;
    if (s.near.length) showNear(s);
    s.face.redraw();
  });
  listen("tool show_names show_words density size height", () => refresh(s));
}

/** @param {MapState} s */
export function linkUp(s) {
  hearWidgets(s);
  hearPython(s);
  s.frame.end(onTheme(() => recolour(s)));
}
