// @ts-check
/** From positions to pixels: where the map is looked at. */
import { round } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */

/** Pixels of the whole map across and up. A wide stage may stretch it a little: its axes have no unit.
 *  @param {MapState} s */
function frameOf({ face, view }) {
  const sx = face.w * 0.9, sy = face.h * 0.9, most = 1.6;
  return [Math.min(sx, sy * most) * view.zoom, Math.min(sy, sx * most) * view.zoom];
}

/** x · sx + bx and by − y · sy are pixels.
 *  @param {MapState} s */
export function scaleOf(s) {
  const [sx, sy] = frameOf(s);
  return { sx, sy, bx: s.face.w / 2 - s.view.x * sx, by: s.face.h / 2 + s.view.y * sy };
}

/** @param {MapState} s @param {{x: number, y: number, zoom: number}} next */
export function look(s, next) {
  s.view = { x: Math.max(-0.2, Math.min(1.2, next.x)), y: Math.max(-0.2, Math.min(1.2, next.y)), zoom: Math.max(0.5, Math.min(400, next.zoom)) };
  s.root.dataset.zoom = s.view.zoom.toFixed(3);
  clearTimeout(s.viewTimer);
  s.viewTimer = setTimeout(() => s.push({ view: { x: round(s.view.x), y: round(s.view.y), zoom: round(s.view.zoom) } }), 120);
  s.face.redraw();
}

/** @param {MapState} s @param {number} dx @param {number} dy pixels */
export function move(s, dx, dy) {
  const [sx, sy] = frameOf(s);
  look(s, { ...s.view, x: s.view.x - dx / sx, y: s.view.y + dy / sy });
}

/** @param {MapState} s @param {number} factor @param {number} px @param {number} py what lies there stays there */
export function zoom(s, factor, px = s.face.w / 2, py = s.face.h / 2) {
  const was = frameOf(s), dx = px - s.face.w / 2, dy = py - s.face.h / 2, ux = s.view.x + dx / was[0], uy = s.view.y - dy / was[1];
  const z = Math.max(0.5, Math.min(400, s.view.zoom * factor)), grow = z / s.view.zoom;
  look(s, { x: ux - dx / (was[0] * grow), y: uy + dy / (was[1] * grow), zoom: z });
}

/** Moves the map where a clip is out of sight.
 *  @param {MapState} s @param {number} i */
export function bring(s, i) {
  const { sx, sy, bx, by } = scaleOf(s), x = s.xy[i * 2] * sx + bx, y = by - s.xy[i * 2 + 1] * sy;
  if (x < 10 || y < 10 || x > s.face.w - 10 || y > s.face.h - 10) look(s, { ...s.view, x: s.xy[i * 2], y: s.xy[i * 2 + 1] });
}
