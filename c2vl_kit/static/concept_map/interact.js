// @ts-check
/** Mouse, fingers and keys. */
import { onKeys } from "../core/dom.js";
import { gestures } from "../core/gestures.js";
import { choose, find, flip, pick, point, pool } from "./choose.js";
import { bring, move, zoom } from "./look.js";
import { morph } from "./move.js";
import { clearNear } from "./near.js";
import { column, DIM, FADED, selectionSize, wordOf } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */

/** The point nearest to a place; those that stand back have to be nearer.
 *  @param {MapState} s @param {number} x @param {number} y @param {number} reach */
function nearPoint({ n, screen, state }, x, y, reach) {
  let best = reach * reach, found = -1;
  for (let i = 0; i < n; i++) {
    const dx = screen[i * 2] - x, dy = screen[i * 2 + 1] - y, d = dx * dx + dy * dy;
    if (d < best && state[i] > FADED && (state[i] !== DIM || d * 4 < best)) { best = d; found = i; }
  }
  return found;
}

/** Which points lie in the lasso.
 *  @param {MapState} s @param {[number, number][]} lasso */
function inside({ n, screen, state }, lasso) {
  const xs = lasso.map((p) => p[0]), ys = lasso.map((p) => p[1]), found = [];
  const x0 = Math.min(...xs), x1 = Math.max(...xs), y0 = Math.min(...ys), y1 = Math.max(...ys);
  for (let i = 0; i < n; i++) {
    const x = screen[i * 2], y = screen[i * 2 + 1];
    if (!(x >= x0 && x <= x1 && y >= y0 && y <= y1) || state[i] <= FADED) continue;
    let odd = false;
    for (let a = 0, b = xs.length - 1; a < xs.length; b = a++) {
      if ((ys[a] > y) !== (ys[b] > y) && x < (xs[b] - xs[a]) * (y - ys[a]) / (ys[b] - ys[a]) + xs[a]) odd = !odd;
    }
    if (odd) found.push(i);
  }
  return found;
}

/** @param {MapState} s @param {number} dx @param {number} dy @param {PointerEvent} e */
function drawLasso(s, dx, dy, e) {
  const box = s.face.canvas.getBoundingClientRect(), x = e.clientX - box.left, y = e.clientY - box.top;
  s.lasso ??= [[x - dx, y - dy]];
  const [lx, ly] = s.lasso[s.lasso.length - 1];
  if (Math.hypot(x - lx, y - ly) > 3) s.lasso.push([x, y]);
  s.face.redraw();
}

/** @param {MapState} s
 *  @returns {() => void} what stops it */
function hear(s) {
  let lassoes = false;   // one that was begun stays one
  /** @param {number} dx @param {number} dy @param {PointerEvent} e @param {boolean} begins */
  const draws = (dx, dy, e, begins) => {
    lassoes ||= begins;
    if (lassoes) drawLasso(s, dx, dy, e);
    else move(s, dx, dy);
  };
  return gestures(s.face.canvas, {
    drag: (dx, dy, e) => draws(dx, dy, e, s.get("tool") === "lasso"),
    pan: (dx, dy, e) => draws(dx, dy, e, e.shiftKey),
    drop() {
      const { lasso } = s;
      lassoes = false;
      s.lasso = null;
      if (lasso) choose(s, lasso.length > 2 ? inside(s, lasso) : []);
    },
    cancel() {
      lassoes = false;
      s.lasso = null;
      s.face.redraw();
    },
    zoom: (factor, x, y) => zoom(s, factor, x, y),
    hover: (x, y) => point(s, nearPoint(s, x, y, 12)),
    leave: () => point(s, -1),
    tap(x, y, e) {
      const touch = e.pointerType === "touch", i = nearPoint(s, x, y, touch ? 24 : 12);
      if (touch) point(s, i);
      if (i >= 0) pick(s, i, e);
    },
  });
}

/** The next clip of the selection, of what was found, or of all.
 *  @param {MapState} s @param {number} by */
function step(s, by) {
  const all = pool(s), c = column(s);
  if (!all.length) return;
  const at = all.indexOf(s.over), first = by > 0 ? 0 : all.length - 1, i = all[at < 0 ? first : (at + by + all.length) % all.length];
  bring(s, i);
  point(s, i);
  s.frame.say(`${s.names[i]}${c ? `, ${wordOf(c, i)}` : ""}`);
}

/** @param {MapState} s */
function giveUp(s) {
  s.lasso = null;
  point(s, -1);
  clearNear(s);
  if (selectionSize(s)) choose(s, []);
  if (s.hits) {
    s.push({ query: "" });
    find(s, "");
  }
  s.face.redraw();
}

/** @param {MapState} s
 *  @returns {import("../core/dom.js").Keys} */
function keysOf(s) {
  const { ui } = s, last = () => s.spaces.length - 1, now = () => Math.round(s.get("at"));
  return {
    ArrowLeft: () => move(s, 40, 0), ArrowRight: () => move(s, -40, 0), ArrowUp: () => move(s, 0, 40), ArrowDown: () => move(s, 0, -40),
    "+": () => zoom(s, 1.25), "=": () => zoom(s, 1.25), "-": () => zoom(s, 0.8), 0: () => ui.reset.click(), l: () => ui.lassoTool.click(), t: () => ui.nameTool.click(),
    w: () => ui.wordTool.click(), d: () => ui.denseTool.click(), f: () => ui.filterTool.click(),
    n: () => step(s, 1), p: () => step(s, -1), Enter: (e) => { if (s.over >= 0) pick(s, s.over, e); }, x: () => { if (s.over >= 0) flip(s, s.over); },
    ",": () => morph(s, Math.max(0, now() - 1)), ".": () => morph(s, Math.min(last(), now() + 1)), " ": () => { if (last() > 0) ui.roam.click(); },
    "/": () => ui.search.focus(), "?": () => ui.ask.click(), Escape: () => giveUp(s),
  };
}

/** @param {MapState} s */
export function interact(s) {
  s.ends.push(hear(s), onKeys(s.root, keysOf(s), (e, on) => on.tagName === "INPUT" && e.key !== "Escape"));
}
