// @ts-check
/** A canvas that fills its parent: sharp on any screen, redrawn at most once a picture. */
import { h } from "./dom.js";
import { onTheme } from "./theme.js";

/** @typedef {(ctx: CanvasRenderingContext2D, w: number, h: number) => void} Draw */

export class Surface {
  /** @param {HTMLElement} parent @param {Draw} draw @param {{label: string, role: string}} of */
  constructor(parent, draw, { label, role }) {
    this.canvas = h("canvas", { class: "c2vl-canvas", tabindex: 0, role: "img", "aria-label": label, "data-role": role });
    parent.append(this.canvas);
    this.ctx = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.w = 0;
    this.h = 0;
    this.ratio = 1;
    this.drawn = 0;   // how many pictures
    this.waiting = 0;
    this.parent = parent;
    this.draw = draw;
    this.now = this.now.bind(this);
    this.redraw = this.redraw.bind(this);
    this.watch = new ResizeObserver(() => this.fit());
    this.watch.observe(parent);
    this.off = onTheme(this.redraw);
  }
  now() {
    cancelAnimationFrame(this.waiting);
    this.waiting = 0;
    if (!this.w || !this.h) return;
    this.ctx.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    this.draw(this.ctx, this.w, this.h);
    this.drawn += 1;
  }
  redraw() { this.waiting ||= requestAnimationFrame(this.now); }
  fit() {
    const w = this.parent.clientWidth, tall = this.parent.clientHeight, ratio = Math.min(2, devicePixelRatio || 1);
    if (w === this.w && tall === this.h && ratio === this.ratio) return;
    Object.assign(this, { w, h: tall, ratio });
    this.canvas.width = Math.round(w * ratio);
    this.canvas.height = Math.round(tall * ratio);
    this.now();
  }
  end() {
    this.watch.disconnect();
    this.off();
    cancelAnimationFrame(this.waiting);
  }
}

/** @param {HTMLElement} parent @param {Draw} draw @param {{label: string, role: string}} of */
export function surface(parent, draw, of) {
  const face = new Surface(parent, draw, of);
  face.fit();
  return face;
}
