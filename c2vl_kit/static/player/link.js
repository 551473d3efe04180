// @ts-check
/** What other widgets and Python say: what another one points at is marked, what it picks is shown. */
import { keepAddress } from "../core/address.js";
import { calm, onTheme } from "../core/theme.js";
import { arrange, load, refresh, show } from "./arrange.js";

/** @typedef {import("./state.js").Player} Player */

/** @param {Player} s @param {string[]} names */
function askFor(s, names) {
  const at = names.map((name) => s.clips.findIndex((c) => c.name === name));
  if (at.some((i) => i < 0)) { s.push({ wanted: names }); return; }
  if (at.length) show(s, at);
  s.push({ wanted: [] });
}

/** Somebody was sent here: the player comes into sight and plays.
 *  @param {Player} s */
function comeAndPlay(s) {
  const still = calm();
  s.root.scrollIntoView({ block: "nearest", behavior: still ? "auto" : "smooth" });
  if (!still) s.clock.play();
}

/** @param {Player} s */
function hearWidgets(s) {
  s.bus.on("pick", ({ names, quiet }) => {
    askFor(s, names);
    if (names.length && !quiet) comeAndPlay(s);
  });
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

/** What the address says of a player: its clips and the frame.
 *  @param {Player} s */
export function share(s) {
  s.noted = keepAddress(s.model, {
    clip: {
      tell: () => s.panels.map((p) => p.clip.name),
      take(names, sent) {
        const at = names.map((name) => s.clips.findIndex((c) => c.name === name)).filter((i) => i >= 0);
        if (at.length && at.join() !== s.get("shown").join()) show(s, at);
        if (at.length && sent) comeAndPlay(s);
      },
    },
    frame: {
      tell: () => [s.clock.index],
      take: ([frame]) => { if (Number(frame) >= 0 && Number(frame) !== s.clock.index) s.clock.stop(Math.floor(Number(frame))); },
    },
  }, s.ends);
}

/** @param {Player} s */
export function linkUp(s) {
  hearWidgets(s);
  hearPython(s);
  s.frame.end(onTheme(() => { s.known = ""; refresh(s); }));
}
