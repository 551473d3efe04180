// @ts-check
/** Mouse, fingers, keys, and the clock. */
import { fmt } from "../core/colour.js";
import { onKeys, slides } from "../core/dom.js";
import { gestures } from "../core/gestures.js";
import { dial, nextSort, solo } from "./controls.js";
import { hearCurves } from "./curves.js";
import { STRIP } from "./draw.js";
import { bring, slide, zoomAt } from "./look.js";
import { kinds, probability, WORDS } from "./state.js";

/** @typedef {import("./state.js").HeatState} HeatState */
/** @typedef {import("./state.js").Cell} Cell */

/** @param {HeatState} s @param {number} x @param {number} y
 *  @returns {Cell | null} */
function cellAt(s, x, y) {
  const p = s.panels.find((q) => x >= q.x && x < q.x + q.side + STRIP && y >= q.y && y < q.y + q.side);
  if (!p) return null;
  const cell = p.side * s.look.zoom / s.n, r = Math.floor((y - p.y) / cell + s.look.y), c = Math.floor((x - p.x) / cell + s.look.x);
  if (r < 0 || r >= s.n) return null;
  if (x >= p.x + p.side) return { kind: p.kind, row: s.order[r], column: -1 };
  return c < 0 || c >= s.n ? null : { kind: p.kind, row: s.order[r], column: s.order[c] };
}

/** @param {HeatState} s @param {Cell} cell */
const namesOf = (s, cell) => [...new Set([cell.row, cell.column].filter((i) => i >= 0))].map((i) => s.names[i]);

/** @param {HeatState} s @param {Cell | null} cell */
function point(s, cell) {
  const same = cell?.row === s.over?.row && cell?.column === s.over?.column;
  if (same && cell?.kind === s.over?.kind) return;
  s.over = cell;
  if (!cell) {
    s.tip.hide();
    clearInterval(s.beat);
    s.cardFor = "";
  }
  s.face.redraw();
  if (same) return;
  s.linked = [];
  s.ticks = 0;
  const both = cell ? namesOf(s, cell) : [];
  s.root.dataset.hover = both.join("\n");
  s.push({ cell: cell ? { row: s.names[cell.row], column: cell.column < 0 ? "" : s.names[cell.column], kind: cell.kind } : {} });
  s.bus.emit("hover", { name: both[0] ?? null, names: both });
  const missing = both.filter((name) => !s.cards.has(name));
  if (missing.length && s.get("asks")) s.push({ asked: missing });
}

/** @param {HeatState} s @param {Cell} cell */
function pick(s, cell) {
  s.pair = cell.column < 0 ? [cell.row] : [cell.row, cell.column];
  const picked = s.pair.map((i) => s.names[i]);
  s.push({ picked });
  s.root.dataset.picked = picked.join("\n");
  s.frame.say(`picked ${picked.join(" and ")}`);
  s.noted();
  s.bus.emit("pick", { names: picked });
  s.face.redraw();
}

/** To the next cell by keyboard.
 *  @param {HeatState} s @param {number} dr @param {number} dc */
function go(s, dr, dc) {
  const { over, order, n } = s;
  /** @param {number} i @param {number} d */
  const step = (i, d) => order[Math.max(0, Math.min(n - 1, (i < 0 ? 0 : s.place[i]) + d))];
  const cell = over ? { kind: over.kind, row: step(over.row, dr), column: step(over.column, dc) } : { kind: kinds(s)[0], row: order[0], column: order[0] };
  bring(s, cell.row, cell.column);
  point(s, cell);
  s.frame.say(`row ${s.names[cell.row]}, column ${s.names[cell.column]}: ${fmt(probability(s, cell.kind, cell.row, cell.column))}`);
}

/** @param {HeatState} s
 *  @returns {() => void} what stops it */
function hear(s) {
  const shift = (/** @type {number} */ dx, /** @type {number} */ dy) => slide(s, dx, dy);
  return gestures(s.face.canvas, {
    drag: shift,
    pan: shift,
    zoom: (factor, x, y) => zoomAt(s, factor, x, y),
    hover: (x, y) => point(s, cellAt(s, x, y)),
    leave: () => point(s, null),
    tap(x, y, e) {
      const cell = cellAt(s, x, y);
      if (e.pointerType === "touch") point(s, cell);
      if (cell) pick(s, cell);
    },
  });
}

/** @param {HeatState} s
 *  @returns {import("../core/dom.js").Keys} */
function keysOf(s) {
  const { clock, ui } = s, alone = Object.keys(WORDS).map((kind, k) => [k + 1, () => solo(s, kind)]);
  return {
    " ": () => clock.toggle(), ",": () => clock.step(-1), ".": () => clock.step(1), Home: () => clock.stop(0), End: () => clock.stop(clock.frames - 1),
    ArrowUp: () => go(s, -1, 0), ArrowDown: () => go(s, 1, 0), ArrowLeft: () => go(s, 0, -1), ArrowRight: () => go(s, 0, 1),
    Enter: () => { if (s.over) pick(s, s.over); }, d: () => ui.diff.click(), 0: () => ui.reset.click(), s: () => nextSort(s),
    "+": () => zoomAt(s, 1.4), "=": () => zoomAt(s, 1.4), "-": () => zoomAt(s, 1 / 1.4), "?": () => ui.ask.click(), Escape: () => point(s, null),
    ...Object.fromEntries(alone),
  };
}

/** @param {HeatState} s
 *  @returns {() => void} what stops it */
function keepTime(s) {
  const { clock } = s;
  return clock.on((_, what) => {
    if (what === "play" || what === "pause") {
      const word = clock.playing ? "pause" : "play";
      s.ui.play.set(undefined, word, word);
      s.root.dataset.playing = String(clock.playing);
    }
    if (what === "set") return;
    const moved = s.get("epoch") !== clock.index;
    if (moved || s.get("playing") !== clock.playing) s.push({ epoch: clock.index, playing: clock.playing });
    if (!moved && what === "tick") return;
    dial(s);
    s.noted();
    s.redraw();
  });
}

/** @param {HeatState} s */
export function interact(s) {
  s.ends.push(keepTime(s), hear(s), hearCurves(s), onKeys(s.root, keysOf(s), slides));
}
