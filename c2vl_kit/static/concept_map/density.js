// @ts-check
/** Where points lie over each other their density is drawn: how many there are, in the mean of their colours. */
import { h } from "../core/dom.js";
import { PLAIN } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */

const CELL = 3, MANY = 0.5, FEW = 0.35;   // pixels; points per pixel, where the points are

export class Density {
  constructor() {
    this.w = this.h = 0;
    this.sums = /** @type {Float32Array[]} */ ([]);   // points, and their red, green and blue
    this.spare = new Float32Array(0);
    this.small = h("canvas");
    this.picture = /** @type {ImageData | null} */ (null);
  }
  /** @param {number} w @param {number} tall */
  fit(w, tall) {
    [this.w, this.h] = [Math.max(1, Math.ceil(w / CELL)), Math.max(1, Math.ceil(tall / CELL))];
    const size = this.w * this.h;
    if (this.sums[0]?.length !== size || this.small.width !== this.w) {
      this.sums = [0, 1, 2, 3].map(() => new Float32Array(size));
      this.spare = new Float32Array(size);
      [this.small.width, this.small.height] = [this.w, this.h];
      this.picture = null;
    }
    this.sums[0].fill(0);
  }
  /** Counts the points of each cell; returns how many lie on a pixel where the points are, and how many there are.
   *  @param {MapState} s */
  count(s) {
    const { n, screen, state } = s, { w, h: tall } = this, points = this.sums[0];
    let drawn = 0, square = 0;
    for (let i = 0; i < n; i++) {
      const x = screen[i * 2] / CELL, y = screen[i * 2 + 1] / CELL;
      if (!(x >= 0 && y >= 0 && x < w && y < tall) || state[i] > PLAIN) continue;
      const k = (y | 0) * w + (x | 0);
      square += 2 * points[k] + 1;
      points[k] += 1;
      drawn += 1;
    }
    return { drawn, crowd: drawn ? square / drawn / (CELL * CELL) : 0 };
  }
  /** The colours of the points.
   *  @param {MapState} s */
  colour({ n, screen, state, colours, faded }) {
    const { w, h: tall, sums } = this, [, red, green, blue] = sums;
    for (const sum of [red, green, blue]) sum.fill(0);
    for (let i = 0; i < n; i++) {
      const x = screen[i * 2] / CELL, y = screen[i * 2 + 1] / CELL;
      if (!(x >= 0 && y >= 0 && x < w && y < tall) || state[i] > PLAIN) continue;
      const k = (y | 0) * w + (x | 0), c = state[i] === PLAIN ? colours[i] : faded[i];
      red[k] += c & 255;
      green[k] += (c >>> 8) & 255;
      blue[k] += (c >>> 16) & 255;
    }
  }
  /** A soft edge: each cell takes from its neighbours, across and then down.
   *  @param {Float32Array} sum */
  soften(sum) {
    const { w, h: tall, spare } = this, last = w * tall - 1;
    spare[0] = sum[0];
    spare[last] = sum[last];
    for (let k = 1; k < last; k++) spare[k] = (sum[k - 1] + 2 * sum[k] + sum[k + 1]) / 4;
    for (let k = w; k <= last - w; k++) sum[k] = (spare[k - w] + 2 * spare[k] + spare[k + w]) / 4;
  }
  /** @param {CanvasRenderingContext2D} ctx @param {MapState} s @param {number} paper @param {number} width @param {number} tall */
  draw(ctx, s, paper, width, tall) {
    this.colour(s);
    for (const sum of this.sums) this.soften(sum);
    const small = this.small.getContext("2d"), [points, red, green, blue] = this.sums;
    this.picture ??= small?.createImageData(this.w, this.h) ?? null;
    if (!small || !this.picture) return;
    const pixels = new Uint32Array(this.picture.data.buffer), most = Math.log1p(points.reduce((a, b) => Math.max(a, b), 0)) || 1;
    const [pr, pg, pb] = [paper & 255, (paper >>> 8) & 255, (paper >>> 16) & 255];
    for (let k = 0; k < pixels.length; k++) {
      const p = points[k];
      if (p < 0.02) { pixels[k] = paper; continue; }
      const t = Math.min(1, 0.12 + 0.88 * Math.log1p(p) / most) * Math.min(1, p * 4), u = t / p, v = 1 - t;
      pixels[k] = ((255 << 24) | ((blue[k] * u + pb * v) << 16) | ((green[k] * u + pg * v) << 8) | (red[k] * u + pr * v)) >>> 0;
    }
    small.putImageData(this.picture, 0, 0);
    ctx.imageSmoothingEnabled = true;
    ctx.drawImage(this.small, 0, 0, this.w, this.h, 0, 0, this.w * CELL, this.h * CELL);
    ctx.clearRect(width, 0, CELL, tall + CELL);
  }
}

/** Whether density is drawn: as the reader says, or where many points lie over each other.
 *  @param {MapState} s @param {number} crowd points per pixel */
export function isCrowded(s, crowd) {
  const says = s.get("density");
  return says === "on" || (says !== "off" && crowd > (s.crowded ? FEW : MANY));
}

/** Draws the other way; what would come of itself is left to itself.
 *  @param {MapState} s */
export function flipDensity(s) {
  const want = !s.crowded, alone = s.stats.crowd > (want ? FEW : MANY);
  s.push({ density: want === alone ? "auto" : want ? "on" : "off" });
  s.face.redraw();
}
