// @ts-check
/** What other widgets and Python say. */
import { onTheme } from "../core/theme.js";
import { refresh, sortAgain } from "./controls.js";
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
  s.bus.on("hover", ({ name, names }) => {
    s.linked = known(s, names ?? (name === null ? [] : [name]));
    s.root.dataset.linked = s.linked.map((i) => s.names[i]).join("\n");
    s.face.redraw();
  });
  s.bus.on("pick", ({ names }) => {
    s.pair = known(s, names);
    const picked = s.pair.map((i) => s.names[i]);
    s.push({ picked });
    s.root.dataset.picked = picked.join("\n");
    s.face.redraw();
  });
  s.bus.on("select", ({ names }) => {
    s.marked = new Set(known(s, names));
    s.root.dataset.marked = String(s.marked.size);
    s.face.redraw();
  });
}

/** @param {HeatState} s */
function hearPython(s) {
  const { clock, listen } = s;
  listen("library", () => load(s));   // a new record is several traits; this one is set last
  listen("epoch", () => clock.seek(s.get("epoch")));
  listen("playing", () => { if (s.get("playing") !== clock.playing) clock.toggle(); });
  listen("sort", () => sortAgain(s));
  listen("window", () => {
    s.look = { ...s.look, ...s.get("window") };
    s.face.redraw();
  });
  listen("picked", (python) => {
    const names = s.get("picked");
    s.pair = known(s, names);
    s.root.dataset.picked = names.join("\n");
    if (python) s.bus.emit("pick", { names });
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

/** @param {HeatState} s */
export function linkUp(s) {
  hearWidgets(s);
  hearPython(s);
  s.frame.end(onTheme(() => refresh(s)));
}
