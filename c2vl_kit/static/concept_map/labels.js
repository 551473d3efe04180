// @ts-check
/** Names on the map: those of classes, or the words that set a region apart. None lies over another; one that had to give way has a line. */
import { column, FADED, placesOf } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */
/** @typedef {{x: number, y: number, text: string, word: string, weight: number}} Wish where a name would like to stand, in pixels */
/** @typedef {Wish & {cx: number, cy: number, half: number}} Label where it stands */
/** @typedef {import("../core/theme.js").Theme} Theme */
/** @typedef {{sx: number, sy: number, bx: number, by: number}} Scale */

const HIGH = 15, FINE_FROM = 2.2, LETTERS = { wide: 34, narrow: 20 }, NARROW = 560;

/** As many terms as fit, or the beginning of the first.
 *  @param {string} text terms with " · " between them @param {number} w pixels of the picture */
function shorten(text, w) {
  const most = w < NARROW ? LETTERS.narrow : LETTERS.wide, terms = text.split(" · ");
  while (terms.length > 1 && terms.join(" · ").length > most) terms.pop();
  const kept = terms.join(" · ");
  return kept.length > most ? `${kept.slice(0, most - 1)}…` : kept;
}

/** Places around a point to try, the nearest first.
 *  @param {number} half */
function* around(half) {
  yield [0, -14];
  yield [0, 14];
  yield [half + 9, 0];
  yield [-half - 9, 0];
  yield [0, 0];
  for (const r of [30, 48, 70, 96]) for (let k = 0; k < 8; k++) yield [Math.cos(k * 0.785 - 1.57) * (r + half * 0.6), Math.sin(k * 0.785 - 1.57) * r];
}

/** Gives every wish a place of its own, the weightiest first; who finds none is left out.
 *  @param {CanvasRenderingContext2D} ctx @param {Wish[]} wishes @param {number} w @param {number} tall
 *  @returns {Label[]} */
export function lay(ctx, wishes, w, tall) {
  /** @type {Label[]} */
  const taken = [];
  for (const wish of wishes.sort((a, b) => b.weight - a.weight)) {
    const { x, y } = wish;
    if (x < 0 || x > w || y < 0 || y > tall) continue;
    const text = shorten(wish.text, w), half = ctx.measureText(text).width / 2 + 3;
    for (const [dx, dy] of around(half)) {
      const cx = Math.max(half + 2, Math.min(w - half - 2, x + dx)), cy = Math.max(9, Math.min(tall - 9, y + dy));
      if (taken.some((b) => Math.abs(b.cx - cx) < b.half + half && Math.abs(b.cy - cy) < HIGH)) continue;
      taken.push({ ...wish, text, cx, cy, half });
      break;
    }
  }
  return taken;
}

/** Text with a rim of paper.
 *  @param {CanvasRenderingContext2D} ctx @param {string} text @param {number} x @param {number} y @param {Theme} theme */
export function write(ctx, text, x, y, theme, alpha = 1) {
  ctx.lineWidth = 4;
  ctx.strokeStyle = theme.panel;
  ctx.globalAlpha = alpha;
  ctx.strokeText(text, x, y);
  ctx.globalAlpha = 1;
  ctx.fillStyle = theme.ink;
  ctx.fillText(text, x, y);
}

/** A line from a name that had to give way to what it names.
 *  @param {CanvasRenderingContext2D} ctx @param {Label} l @param {Theme} theme */
function lead(ctx, { x, y, cx, cy, half }, theme) {
  const ex = Math.max(cx - half, Math.min(cx + half, x)), ey = cy + (y > cy ? 7 : -7);
  if (Math.hypot(ex - x, ey - y) < 14) return;
  ctx.lineWidth = 1.2;
  ctx.strokeStyle = theme.soft;
  ctx.beginPath();
  ctx.moveTo(ex, ey);
  ctx.lineTo(x, y);
  ctx.stroke();
  ctx.beginPath();
  ctx.arc(x, y, 2.2, 0, 6.2832);
  ctx.fillStyle = theme.soft;
  ctx.fill();
}

/** Which region each clip is in.
 *  @param {MapState} s @param {number} space @param {number} fine @param {import("./state.js").Region[]} regions */
function membersOf(s, space, fine, regions) {
  const key = `${space}/${fine}`, known = s.members.get(key);
  if (known) return known;
  const at = placesOf(s, space), of = new Uint16Array(s.n);
  for (let i = 0; i < s.n; i++) {
    let best = Infinity;
    for (let k = 0; k < regions.length; k++) {
      const d = (at[i * 2] - regions[k].cx) ** 2 + (at[i * 2 + 1] - regions[k].cy) ** 2;
      if (d < best) { best = d; of[i] = k; }
    }
  }
  s.members.set(key, of);
  return of;
}

/** The regions of the space that is shown, as fine as the zoom; those whose clips are hidden are left out.
 *  @param {MapState} s @param {Scale} scale
 *  @returns {Wish[]} */
function regionWishes(s, { sx, sy, bx, by }) {
  if (s.part < 1) return [];   // on the way between two spaces
  const space = Math.round(Number(s.root.dataset.at ?? 0)), fine = s.view.zoom < FINE_FROM ? 0 : 1;
  const regions = s.regions.filter((r) => r.space === space && r.fine === fine);
  if (!regions.length) return [];
  const of = membersOf(s, space, fine, regions), shown = new Uint32Array(regions.length), at = placesOf(s, space);
  for (let i = 0; i < s.n; i++) if (s.state[i] > FADED && !Number.isNaN(at[i * 2])) shown[of[i]] += 1;
  return regions.flatMap((r, k) => (shown[k] > 0.2 * r.n ? [{ x: r.x * sx + bx, y: by - r.y * sy, text: r.words, word: r.words, weight: shown[k] }] : []));
}

/** @param {MapState} s @param {Scale} scale
 *  @returns {Wish[]} */
function classWishes(s, { sx, sy, bx, by }) {
  const c = column(s);
  if (c?.kind !== "category") return [];
  return s.centres.flatMap((spot) => {
    if (!spot || (s.lit !== null && s.lit !== spot.level)) return [];
    const word = c.levels[spot.level];
    return [{ x: spot.x * sx + bx, y: by - spot.y * sy, text: word, word, weight: spot.weight }];
  });
}

/** @param {CanvasRenderingContext2D} ctx @param {MapState} s @param {number} w @param {number} tall @param {Scale} scale @param {Theme} theme */
export function drawNames(ctx, s, w, tall, scale, theme) {
  const words = s.get("show_words"), names = s.get("show_names");
  ctx.font = `${words ? 500 : 600} 12px system-ui, sans-serif`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.lineJoin = "round";
  const wishes = words ? regionWishes(s, scale) : names ? classWishes(s, scale) : [], labels = lay(ctx, wishes, w, tall);
  for (const l of labels) lead(ctx, l, theme);
  for (const l of labels) write(ctx, l.text, l.cx, l.cy, theme, 0.88);
  s.stats.labels = labels;
  s.root.dataset.names = labels.map((l) => l.word).join("\n");
}
