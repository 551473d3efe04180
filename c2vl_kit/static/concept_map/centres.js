// @ts-check
/** Where the name of each class stands: amid most of its clips. */
import { column, FADED, NONE } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */
/** @typedef {import("./state.js").Words} Words */
/** @typedef {import("./state.js").Centre} Centre */

const MOST_NAMED = 80, G = 24;

/** @param {number} v */
const fieldOf = (v) => Math.min(G - 1, Math.max(0, Math.floor(v * G)));

/** Clips of each class in each of G × G fields.
 *  @param {MapState} s @param {Words} c @param {Float32Array} at @param {number} stride */
function count(s, c, at, stride) {
  /** @type {(Uint16Array | null)[]} */
  const fields = c.levels.map(() => null);
  const total = new Uint32Array(c.levels.length), { n, state } = s;
  for (let i = 0; i < n; i += stride) {
    const l = c.of[i], x = at[i * 2];
    if (l === NONE || state[i] <= FADED || Number.isNaN(x)) continue;
    let own = fields[l];
    if (!own) own = fields[l] = new Uint16Array(G * G);
    own[fieldOf(at[i * 2 + 1]) * G + fieldOf(x)] += 1;
    total[l] += 1;
  }
  return { fields, total };
}

/** @param {Uint16Array} f @param {number} x @param {number} y */
function around(f, x, y) {
  let sum = f[y * G + x];
  for (let dy = -1; dy <= 1; dy++) {
    for (let dx = -1; dx <= 1; dx++) if (x + dx >= 0 && x + dx < G && y + dy >= 0 && y + dy < G) sum += f[(y + dy) * G + x + dx];
  }
  return sum;
}

/** The fullest field, its neighbours counted with it.
 *  @param {Uint16Array} f */
function fullest(f) {
  let most = -1, where = 0;
  for (let k = 0; k < G * G; k++) {
    const sum = f[k] ? around(f, k % G, Math.floor(k / G)) : -1;
    if (sum > most) { most = sum; where = k; }
  }
  return { gx: where % G, gy: Math.floor(where / G), x: 0, y: 0, n: 0 };
}

/** The fullest of the fields for each class, and the mean of what is around it.
 *  @param {MapState} s @param {Float32Array} at positions
 *  @returns {(Centre | null)[]} */
export function centresOf(s, at) {
  const c = column(s), { n, state } = s;
  if (c?.kind !== "category" || c.levels.length > MOST_NAMED) return [];
  const stride = Math.max(1, Math.floor(n / 20000)), { fields, total } = count(s, c, at, stride), best = fields.map((f) => f && fullest(f));
  for (let i = 0; i < n; i += stride) {
    const b = c.of[i] === NONE || state[i] <= FADED ? null : best[c.of[i]], x = at[i * 2], y = at[i * 2 + 1];
    if (!b || Number.isNaN(x) || Math.abs(fieldOf(x) - b.gx) > 1 || Math.abs(fieldOf(y) - b.gy) > 1) continue;
    b.x += x;
    b.y += y;
    b.n += 1;
  }
  return best.map((b, level) => (b?.n ? { x: b.x / b.n, y: b.y / b.n, level, weight: total[level] } : null));
}

/** The same on the way from one space to another.
 *  @param {MapState} s @param {number} p 0 … 1 */
export function between(s, p) {
  if (p >= 1 || s.from === s.to) return centresOf(s, s.to);
  const a = centresOf(s, s.from), b = centresOf(s, s.to);
  return a.map((c, l) => {
    const to = b[l];
    return c && to ? { ...c, x: c.x + (to.x - c.x) * p, y: c.y + (to.y - c.y) * p } : c ?? to;
  });
}
