// @ts-check
/** What other widgets and Python say: what another one points at is marked, what it picks is shown. */
import { onTheme } from "../core/theme.js";
import { arrange, load, refresh, show } from "./arrange.js";

/** @typedef {import("./state.js").Player} Player */

/** @param {Player} s @param {string[]} names */
function askFor(s, names) {
  const at = names.map((name) => s.clips.findIndex((c) => c.name === name));
  if (at.some((i) => i < 0)) { s.push({ wanted: names }); return; }
  if (at.length) show(s, at);
  s.push({ wanted: [] });
}

/** @param {Player} s */
function hearWidgets(s) {
  s.bus.on("pick", ({ names }) => askFor(s, names));
  s.bus.on("select", ({ names }) => { if (names.length) askFor(s, names.slice(0, 2)); });
  s.bus.on("hover", ({ name }) => {
    for (const t of /** @type {HTMLElement[]} */ ([...s.ui.titles.children])) t.classList.toggle("c2vl-marked", name !== null && t.dataset.clip === name);
  });
}

/** @param {Player} s */
function hearPython(s) {
  const { clock, listen } = s;
  listen("library", () => load(s));   // a new library is several traits; this one is set last
  listen("shown align", () => { if (s.get("library") === s.loaded) arrange(s); });
  listen("frame", () => { if (s.get("frame") !== clock.index) clock.seek(s.get("frame")); });
  listen("playing", () => { if (s.get("playing") !== clock.playing) clock.toggle(); });
  listen("speed", () => { clock.set({ speed: s.get("speed") }); refresh(s); });
  listen("loop", () => { clock.set({ loop: s.get("loop") }); refresh(s); });
  listen("camera", () => { s.camera.load(s.get("camera")); refresh(s); });
  listen("colour_by hidden trails trail_joints ghosts grid follow scale front height picked smooth", () => refresh(s));
}

/** @param {Player} s */
export function linkUp(s) {
  hearWidgets(s);
  hearPython(s);
  s.frame.end(onTheme(() => { s.known = ""; refresh(s); }));
}
