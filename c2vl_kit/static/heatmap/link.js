// @ts-check
/** What other widgets and Python say. */
import { keepAddress } from "../core/address.js";
import { hearLinked } from "../core/link.js";
import { onTheme } from "../core/theme.js";
import { refresh, sortAgain, sortBy } from "./controls.js";
import { known, readLibrary } from "./state.js";

/** @typedef {import("./state.js").HeatState} HeatState */

/** @param {HeatState} s */
export function load(s) {
  readLibrary(s);
  const { which, sorts, time, play } = s.ui, sets = s.get("sets"), count = s.epochs.length;
  s.clock.set({ frames: Math.max(1, count) });
  which.fill(sets.map((/** @type {any} */ one, /** @type {number} */ k) => ({ value: k, label: one.label })), s.get("which"));
  which.hidden = sets.length < 2;
  sorts.fill(Object.keys(s.get("orders")).map((k) => ({ value: k, label: `sort: ${k}` })), s.get("sort"));
  time.set(s.get("epoch"), count - 1);
  play.disabled = time.disabled = count < 2;
  s.entropies.clear();
  sortAgain(s);
}

/** @param {HeatState} s */
function hearWidgets(s) {
  hearLinked(s, (names) => known(s, names), {
    pointed(at) {
      s.linked = at;
      s.face.redraw();
    },
    picked(at) {
      s.pair = at;
      s.noted();
      s.face.redraw();
    },
    selected(at) {
      s.marked = new Set(at);
      s.root.dataset.marked = String(at.length);
      s.face.redraw();
    },
  });
}

/** @param {HeatState} s */
function hearPython(s) {
  const { clock, listen } = s;
  listen("library", () => load(s));   // a new record is several traits; this one is set last
  listen("epoch", () => clock.seek(s.get("epoch")));
  listen("playing", () => { if (s.get("playing") !== clock.playing) clock.toggle(); });
  listen("sort", () => sortAgain(s));
  listen("epoch sort picked", () => s.noted());
  listen("window", () => {
    s.look = { ...s.look, ...s.get("window") };
    s.face.redraw();
  });
  listen("picked", (python) => {
    const names = s.get("picked");
    s.pair = known(s, names);
    s.root.dataset.picked = names.join("\n");
    if (python) s.bus.emit("pick", { names, quiet: true });
    s.face.redraw();
  });
  listen("fetched", () => {
    const { metas, layouts } = s.get("fetched");
    s.cards.learn(metas ?? [], layouts ?? [], s.get("fetched_data"));
    s.cardFor = "";
    s.face.redraw();
  });
  listen("difference kinds which height", () => refresh(s));
}

/** What the address says of a heat-map: the epoch, the order, the pair that is picked.
 *  @param {HeatState} s
 *  @returns {Record<string, import("../core/address.js").Part>} */
function partsOf(s) {
  return {
    epoch: {
      tell: () => [s.epochs[s.clock.index]],
      take([epoch]) {
        const at = s.epochs.indexOf(Number(epoch));
        if (at >= 0) s.clock.stop(at);
      },
    },
    sort: {
      tell: () => [s.get("sort")],
      take([sort]) { if (s.get("orders")[sort]) sortBy(s, sort); },
    },
    pair: {
      tell: () => s.pair.map((i) => s.names[i]),
      take(names) {
        s.pair = known(s, names);
        const picked = s.pair.map((i) => s.names[i]);
        s.push({ picked });
        s.root.dataset.picked = picked.join("\n");
        s.face.redraw();
      },
    },
  };
}

/** @param {HeatState} s */
export function share(s) {
  s.noted = keepAddress(s.model, partsOf(s), s.ends);
}

/** @param {HeatState} s */
export function linkUp(s) {
  hearWidgets(s);
  hearPython(s);
  s.frame.end(onTheme(() => refresh(s)));
}
