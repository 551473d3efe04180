// @ts-check
/** Where points lie over each other their density is drawn: how many there are, in the mean of their colours. */
import { h } from "../core/dom.js";
import { PLAIN } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */

const CELL = 3, MANY = 0.5, FEW = 0.35;   // pixels; points per pixel, where the points are

export class Density {
  constructor() {
    this.w = this.h = 0;
    this.sums = new Float32Array(0);    // four of each cell: points, and their red, green and blue
    this.spare = new Float32Array(0);
    this.small = h("canvas");
    this.picture = /** @type {ImageData | null} */ (null);
  }
  /** @param {number} w @param {number} tall */
  fit(w, tall) {
    const across = Math.max(1, Math.ceil(w / CELL)), down = Math.max(1, Math.ceil(tall / CELL));
    if (across !== this.w || down !== this.h) {
      [this.w, this.h, this.picture] = [across, down, null];
      [this.sums, this.spare] = [new Float32Array(across * down * 4), new Float32Array(across * down * 4)];
      [this.small.width, this.small.height] = [across, down];
    }
    this.sums.fill(0);
  }
  /** Sums the points of each cell; returns how many lie on a pixel where the points are, and how many there are.
   *  @param {MapState} s @param {boolean} tinted their colours, too */
  count({ n, screen, state, colours, faded }, tinted) {
    const { w, h: tall, sums } = this;
    let drawn = 0, square = 0;
    for (let i = 0; i < n; i++) {
      const x = screen[i * 2] / CELL, y = screen[i * 2 + 1] / CELL;
      if (!(x >= 0 && y >= 0 && x < w && y < tall) || state[i] > PLAIN) continue;
      const k = ((y | 0) * w + (x | 0)) * 4;
      square += 2 * sums[k] + 1;
      sums[k] += 1;
      drawn += 1;
      if (!tinted) continue;
      const c = state[i] === PLAIN ? colours[i] : faded[i];
      sums[k + 1] += c & 255;
      sums[k + 2] += (c >>> 8) & 255;
      sums[k + 3] += (c >>> 16) & 255;
    }
    return { drawn, crowd: drawn ? square / drawn / (CELL * CELL) : 0 };
  }
  /** A soft edge: each cell takes from its neighbours, across and then down. */
  soften() {
    const { sums, spare } = this, last = sums.length - 4, row = this.w * 4;
    spare.set(sums);
    for (let k = 4; k < last; k++) spare[k] = (sums[k - 4] + 2 * sums[k] + sums[k + 4]) * 0.25;
    for (let k = row; k < sums.length - row; k++) sums[k] = (spare[k - row] + 2 * spare[k] + spare[k + row]) * 0.25;
  }
  /** Draws what was counted with colours.
   *  @param {CanvasRenderingContext2D} ctx @param {number} paper */
  draw(ctx, paper) {
    this.soften();
    const small = this.small.getContext("2d"), { sums } = this;
    this.picture ??= small?.createImageData(this.w, this.h) ?? null;
    if (!small || !this.picture) return;
    const pixels = new Uint32Array(this.picture.data.buffer), [pr, pg, pb] = [paper & 255, (paper >>> 8) & 255, (paper >>> 16) & 255];
    let most = 1;
    for (let k = 0; k < sums.length; k += 4) if (sums[k] > most) most = sums[k];
    const full = 0.72 / Math.log1p(most);
    for (let i = 0, k = 0; i < pixels.length; i++, k += 4) {
      const p = sums[k];
      if (p < 0.02) { pixels[i] = paper; continue; }
      const t = (0.28 + full * Math.log1p(p)) * Math.min(1, p * 4), u = t / p, v = 1 - t;
      pixels[i] = ((255 << 24) | ((sums[k + 3] * u + pb * v) << 16) | ((sums[k + 2] * u + pg * v) << 8) | (sums[k + 1] * u + pr * v)) >>> 0;
    }
    small.putImageData(this.picture, 0, 0);
    ctx.imageSmoothingEnabled = true;
    ctx.drawImage(this.small, 0, 0, this.w, this.h, 0, 0, this.w * CELL, this.h * CELL);
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
