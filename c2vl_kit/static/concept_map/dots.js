// @ts-check
/** Points written straight into the pixels of a canvas: a redraw of 100,000 takes milliseconds. */
import { h } from "../core/dom.js";
import { DIM, STRONG } from "./state.js";

/** @typedef {{off: Int32Array, alpha: Uint8Array, spots: [number, number, number][]}} Spots offsets within the picture */
/** @typedef {{reach: number, inside: Spots, edge: Spots, ring: Spots}} Stamp its inside, its soft edge, a ring of paper around it */

/** @param {[number, number, number][]} spots x, y, alpha @param {number} wide
 *  @returns {Spots} */
function flat(spots, wide) {
  return { off: Int32Array.from(spots, ([x, y]) => y * wide + x), alpha: Uint8Array.from(spots, (spot) => spot[2]), spots };
}

/** The pixels of a dot.
 *  @param {number} r radius @param {number} wide pixels of a row
 *  @returns {Stamp} */
function stamp(r, wide) {
  /** @type {[number, number, number][][]} */
  const [inside, edge, ring] = [[], [], []];
  const reach = Math.ceil(r + 2);
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) {
      const d = Math.hypot(x, y), cover = Math.min(1, Math.max(0, r + 0.5 - d)), halo = 0.8 * Math.min(1, Math.max(0, r + 1.3 - d));
      if (cover > 0.92) inside.push([x, y, 255]);
      else if (cover > 0.08) edge.push([x, y, Math.round(cover * 255)]);
      if (halo > 0.1 && cover <= 0.92) ring.push([x, y, Math.round(halo * 255)]);
    }
  }
  return { reach, inside: flat(inside, wide), edge: flat(edge, wide), ring: flat(ring, wide) };
}

export class Picture {
  constructor() {
    /** @type {ImageData | null} */
    this.data = null;
    this.pixels = new Uint32Array(0);
    this.w = this.h = this.paper = 0;
    /** @type {HTMLCanvasElement | undefined} */
    this.layer = undefined;
    /** @type {Map<string, Stamp>} */
    this.stamps = new Map();
  }
  /** An empty picture as large as the canvas.
   *  @param {CanvasRenderingContext2D} ctx @param {number} paper its colour */
  begin(ctx, paper) {
    const { width, height } = ctx.canvas;
    if (!this.data || this.w !== width || this.h !== height) {
      this.data = ctx.createImageData(width, height);
      this.pixels = new Uint32Array(this.data.data.buffer);
      [this.w, this.h] = [width, height];
    }
    this.paper = paper;
    this.pixels.fill(paper);
  }
  /** @param {number} r in quarters of a pixel */
  stampOf(r) {
    const id = `${r}/${this.w}`, made = this.stamps.get(id) ?? stamp(r, this.w);
    if (this.stamps.size > 40) this.stamps.clear();
    this.stamps.set(id, made);
    return made;
  }
  /** @param {number} p @param {number} colour @param {number} a alpha */
  blend(p, colour, a) {
    const d = this.pixels[p], s = a + (a >> 7), t = 256 - s;   // red and blue in one go, green in another
    const redBlue = (((colour & 0xff00ff) * s + (d & 0xff00ff) * t) >>> 8) & 0xff00ff, green = (((colour & 0xff00) * s + (d & 0xff00) * t) >>> 8) & 0xff00;
    this.pixels[p] = (0xff000000 | redBlue | green) >>> 0;
  }
  /** A dot at the border of the picture.
   *  @param {number} px @param {number} py @param {Stamp} shape @param {number} colour */
  clipped(px, py, { inside }, colour) {
    for (const [dx, dy] of inside.spots) {
      const x = px + dx, y = py + dy;
      if (x >= 0 && y >= 0 && x < this.w && y < this.h) this.pixels[y * this.w + x] = colour;
    }
  }
  /** All points of one state, in order. Rims only where points are few, and not around those that stand back.
   *  @param {import("./state.js").MapState} map @param {number} pass which state @param {Uint32Array} inks @param {number} radius
   *  @returns {number} how many */
  dots(map, pass, inks, radius) {
    const { state, screen, order, n } = map, { ratio } = map.face, { w, h, pixels } = this, shape = this.stampOf(radius), { reach, ring, edge } = shape;
    const io = shape.inside.off, rims = n <= 5000 && pass > DIM, soft = n <= 20000;
    let drawn = 0;
    for (let k = 0; k < n; k++) {
      const i = order[k], x = screen[i * 2];
      if (state[i] !== pass || Number.isNaN(x)) continue;
      const px = Math.round(x * ratio), py = Math.round(screen[i * 2 + 1] * ratio);
      if (px < -reach || py < -reach || px >= w + reach || py >= h + reach) continue;
      drawn += 1;
      const c = inks[i], p = py * w + px;
      if (px < reach || py < reach || px >= w - reach || py >= h - reach) { this.clipped(px, py, shape, c); continue; }
      if (rims) for (let j = 0; j < ring.off.length; j++) this.blend(p + ring.off[j], this.paper, ring.alpha[j]);
      for (let j = 0; j < io.length; j++) pixels[p + io[j]] = c;
      if (soft) for (let j = 0; j < edge.off.length; j++) this.blend(p + edge.off[j], c, edge.alpha[j]);
    }
    return drawn;
  }
  /** The points that stand out, over what is drawn already; returns how many.
   *  @param {CanvasRenderingContext2D} ctx @param {import("./state.js").MapState} map @param {number} paper @param {number} radius */
  over(ctx, map, paper, radius) {
    if (!map.state.includes(STRONG)) return 0;
    this.begin(ctx, paper & 0xffffff);   // clear, so that the rest shines through
    const drawn = this.dots(map, STRONG, map.colours, radius);
    this.layer ??= h("canvas");
    [this.layer.width, this.layer.height] = [this.w, this.h];
    const layer = this.layer.getContext("2d");
    if (this.data) layer?.putImageData(this.data, 0, 0);
    ctx.drawImage(this.layer, 0, 0, map.face.w, map.face.h);
    return drawn;
  }
  /** @param {CanvasRenderingContext2D} ctx */
  end(ctx) { if (this.data) ctx.putImageData(this.data, 0, 0); }
}
