// @ts-check
/** Which part of the matrices is looked at. */

/** @typedef {import("./state.js").HeatState} HeatState */

/** @param {HeatState} s @param {number} zoom */
const within = (s, zoom) => Math.max(1, Math.min(s.n / 4, zoom));

/** @param {HeatState} s @param {{x: number, y: number, zoom: number}} to */
export function look(s, to) {
  const zoom = within(s, to.zoom), span = s.n / zoom;
  /** @param {number} v */
  const keep = (v) => Math.max(0, Math.min(s.n - span, v));
  s.look = { zoom, x: keep(to.x), y: keep(to.y) };
  s.root.dataset.zoom = zoom.toFixed(3);
  clearTimeout(s.windowTimer);
  s.windowTimer = setTimeout(() => s.push({ window: { ...s.look } }), 120);
  s.cardFor = "";
  s.face.redraw();
}

/** @param {HeatState} s @param {number} factor @param {number} px @param {number} py what lies there stays there; -1: the middle does */
export function zoomAt(s, factor, px = -1, py = -1) {
  const p = s.panels.find((q) => px >= q.x && px < q.x + q.side && py >= q.y && py < q.y + q.side), span = s.n / s.look.zoom, cell = (p ?? s.panels[0]).side / span;
  const [cx, cy] = p ? [(px - p.x) / cell, (py - p.y) / cell] : [span / 2, span / 2], zoom = within(s, s.look.zoom * factor), grow = s.look.zoom / zoom;
  look(s, { zoom, x: s.look.x + cx * (1 - grow), y: s.look.y + cy * (1 - grow) });
}

/** @param {HeatState} s @param {number} dx @param {number} dy pixels */
export function slide(s, dx, dy) {
  const cell = s.panels[0].side * s.look.zoom / s.n;
  look(s, { ...s.look, x: s.look.x - dx / cell, y: s.look.y - dy / cell });
}

/** Moves the window where a cell is outside it.
 *  @param {HeatState} s @param {number} row @param {number} column */
export function bring(s, row, column) {
  const span = s.n / s.look.zoom;
  /** @param {number} v @param {number} from */
  const into = (v, from) => (v < from ? v : Math.max(from, v + 1 - span));
  if (s.look.zoom > 1) look(s, { ...s.look, y: into(s.place[row], s.look.y), x: into(s.place[column], s.look.x) });
}
