// @ts-check
/** What other widgets and Python say. */
import { keepAddress } from "../core/address.js";
import { hearLinked } from "../core/link.js";
import { onTheme } from "../core/theme.js";
import { choose, find, readSelection } from "./choose.js";
import { refresh } from "./controls.js";
import { showList } from "./list.js";
import { look } from "./look.js";
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

const MOST = 40;   // clips of a lasso that an address names

/** What the address says of a map: its space, colours, words, view, and the clips that are picked or chosen.
 *  @param {MapState} s
 *  @returns {Record<string, import("../core/address.js").Part>} */
function partsOf(s) {
  const first = { colour: s.get("colour_by"), at: round(s.get("at")) };
  /** @param {number[]} list */
  const named = (list) => list.map((i) => s.names[i]);
  return {
    space: {
      tell: () => (round(s.get("at")) === first.at ? [] : [s.spaces[Math.round(s.get("at"))].name]),
      take([name]) {
        const k = s.spaces.findIndex((space) => space.name === name);
        if (k >= 0) jump(s, k);
      },
    },
    colour: {
      tell: () => (s.get("colour_by") === first.colour ? [] : [s.get("colour_by")]),
      take([name]) {
        if (!s.columns.some((c) => c.name === name)) return;
        s.push({ colour_by: name });
        s.ui.colour.set(name);
        recolour(s);
      },
    },
    find: {
      tell: () => (s.get("query") ? [s.get("query")] : []),
      take([query]) {
        s.push({ query });
        find(s, query);
      },
    },
    near: {
      tell: () => named(s.pair),
      take(names) {
        const at = known(s, names);
        s.push({ picked: named(at) });
        showPicked(s, at);
      },
    },
    lasso: {
      tell: () => (s.get("selection").length > MOST ? [] : s.get("selection")),
      take: (names) => choose(s, known(s, names)),
    },
    view: {
      tell() {
        const { x, y, zoom } = s.view;
        return x === 0.5 && y === 0.5 && zoom === 1 ? [] : [x, y, zoom].map((v) => v.toFixed(3));
      },
      take(values) {
        const [x, y, zoom] = values.map(Number);
        if ([x, y, zoom].every(Number.isFinite)) look(s, { x, y, zoom });
      },
    },
  };
}

/** @param {MapState} s */
export function share(s) {
  s.noted = keepAddress(s.model, partsOf(s), s.ends);
}

/** @param {MapState} s */
export function linkUp(s) {
  hearWidgets(s);
  hearPython(s);
  s.frame.end(onTheme(() => recolour(s)));
}
