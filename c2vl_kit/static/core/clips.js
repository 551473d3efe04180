// @ts-check
/** Clips as they travel: 16-bit coordinates and a byte of presence for each joint. */
import { bytes } from "./model.js";

/** @typedef {{xyz: Float32Array, seen: Uint8Array, M: number, V: number}} Frame seen: 0 no, 1 yes, 2 its place is guessed */
/** @typedef {{joints: string[], parents: number[], side: string[], part: string[], tips: number[], head: number, centre: number}} Layout */
/** @typedef {{name: string, title?: string, facts?: string, prompts?: string[], T: number, M: number, V: number, fps: number, at: number,
 *  step: number, offset: number[], layout: number, front?: number[]}} Meta */
/** @typedef {Omit<Meta, "layout"> & {layout: Layout, xyz: Float32Array, seen: Uint8Array, centre: number[], half: number[], floor: number,
 *  frame(f: number, smooth?: boolean): Frame, moment(f: number): number}} Clip */

/** Where bodies are at all: the middle, half the way across and up, and the floor.
 *  @param {Float32Array} xyz @param {Uint8Array} seen */
export function boundsOf(xyz, seen) {
  const lo = [Infinity, Infinity, Infinity], hi = [-Infinity, -Infinity, -Infinity];
  for (let j = 0; j < seen.length; j++) {
    if (!seen[j]) continue;
    for (let c = 0; c < 3; c++) {
      const x = xyz[j * 3 + c];
      if (x < lo[c]) lo[c] = x;
      if (x > hi[c]) hi[c] = x;
    }
  }
  if (lo[0] > hi[0]) return { centre: [0, 0, 0], half: [1, 1], floor: 0 };
  const centre = lo.map((x, c) => (x + hi[c]) / 2);
  let across = 0;
  for (let j = 0; j < seen.length; j++) if (seen[j]) across = Math.max(across, Math.hypot(xyz[j * 3] - centre[0], xyz[j * 3 + 2] - centre[2]));
  const tall = (hi[1] - lo[1]) / 2, least = 0.02 * Math.max(across, tall) + 1e-6;
  return { centre, half: [Math.max(across, least), Math.max(tall, least)], floor: lo[1] };
}

/** Which of n texts belongs to frame f of T: moments are equal parts of a clip; -1 where there are none.
 *  @param {number} f @param {number} T @param {number} n */
export const momentAt = (f, T, n) => (n ? Math.min(n - 1, Math.floor((f + 0.5) / T * n)) : -1);

/** Reads frames of one clip, also between two.
 *  @param {Float32Array} xyz @param {Uint8Array} seen @param {number} T @param {number} M @param {number} V
 *  @returns {(f: number, smooth?: boolean) => Frame} */
function reader(xyz, seen, T, M, V) {
  const size = M * V, mix = new Float32Array(size * 3);
  return (f, smooth = false) => {
    const a = Math.min(T - 1, Math.max(0, Math.floor(f + 1e-6))), b = Math.min(T - 1, a + 1), part = smooth ? f - a : 0;
    const here = xyz.subarray(a * size * 3, (a + 1) * size * 3), flags = seen.subarray(a * size, (a + 1) * size);
    if (part < 1e-3 || a === b) return { xyz: here, seen: flags, M, V };
    for (let j = 0; j < size; j++) {
      const go = seen[b * size + j] ? part : 0;
      for (let c = 0; c < 3; c++) {
        const k = j * 3 + c;
        mix[k] = here[k] + (xyz[b * size * 3 + k] - here[k]) * go;
      }
    }
    return { xyz: mix, seen: flags, M, V };
  };
}

/** @param {Meta[]} metas @param {any} data @param {Layout[]} layouts
 *  @returns {Clip[]} */
export function decodeClips(metas, data, layouts) {
  return metas.map((meta) => {
    const { T, M, V, at, step, offset } = meta, n = T * M * V, raw = bytes(data, Int16Array, n * 3, at);
    const xyz = new Float32Array(n * 3), seen = bytes(data, Uint8Array, n, at + n * 6);
    for (let j = 0; j < n * 3; j++) xyz[j] = raw[j] * step + offset[j % 3];
    return { ...meta, layout: layouts[meta.layout], xyz, seen, ...boundsOf(xyz, seen), frame: reader(xyz, seen, T, M, V),
      moment: (/** @type {number} */ f) => momentAt(f, T, meta.prompts?.length ?? 0) };
  });
}

/** Clips by name that are decoded when they are first looked at, for hover cards. */
export class Cards {
  constructor() {
    /** @type {Map<string, {meta: Meta, layouts: Layout[], data: any, clip: Clip | null}>} */
    this.known = new Map();
  }
  /** @param {Meta[]} metas @param {Layout[]} layouts @param {any} data */
  learn(metas, layouts, data) { for (const meta of metas) this.known.set(meta.name, { meta, layouts, data, clip: null }); }
  /** @param {string} name */
  has(name) { return this.known.has(name); }
  get size() { return this.known.size; }
  /** @param {string} name */
  of(name) {
    const card = this.known.get(name);
    if (card && !card.clip) [card.clip] = decodeClips([card.meta], card.data, card.layouts);
    return card?.clip ?? null;
  }
}
