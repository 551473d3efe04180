// @ts-check
/** What a heat-map knows: matrices of soft targets, one for each recorded epoch. A probability travels as 16 bits of its logarithm. The
 *  rest lives in the model; see `SoftTargetHeatmap` in viz.soft_targets. */
import { Cards } from "../core/clips.js";
import { Clock } from "../core/clock.js";
import { rootOf } from "../core/dom.js";
import { joinGroup } from "../core/link.js";
import { bytes, talk } from "../core/model.js";

/** @typedef {import("../core/model.js").Model} Model */
/** @typedef {import("../core/controls.js").Button} Button */
/** @typedef {import("../core/controls.js").Select} Select */
/** @typedef {import("../core/surface.js").Surface} Surface */
/** @typedef {"hard" | "intra" | "inter" | "mixed" | "model"} Kind of matrix */
/** @typedef {{label: string, blocks: Record<string, number[]>, change: number, direction: number}} Matrices blocks: where each epoch begins */
/** @typedef {{kind: string, row: number, column: number}} Cell column -1: the row's entropy */
/** @typedef {{kind: string, x: number, y: number, side: number, left: number, below: number}} Panel left, below: room for names */
/** @typedef {{word: string, text: string, at: number}} Named a name on an axis, and how far along it */
/** @typedef {{stage: HTMLElement, kinds: Button[], which: Select, sorts: Select, diff: Button, reset: Button, ask: Button, play: Button,
 *  time: import("../core/controls.js").Slider, told: HTMLElement, bar: import("../core/controls.js").ColourBar}} Controls */

export const LEAST = Math.log(1e-6);
/** @type {Record<string, string>} */
export const WORDS = { hard: "hard I", intra: "intra S", inter: "inter C", mixed: "mixed Y", model: "model P" };
const PROBABILITY = Float32Array.from({ length: 65536 }, (_, q) => (q ? Math.exp(LEAST - (q - 1) / 65534 * LEAST) : 0));
const SURPRISE = PROBABILITY.map((p) => (p ? -p * Math.log(p) : 0));

export class HeatState {
  // what is loaded
  n = 0;
  /** @type {string[]} */
  names = [];
  /** @type {Map<string, number>} */
  index = new Map();
  data = new Uint16Array(0);
  cards = new Cards();
  /** @type {number[]} */
  order = [];              // which clip stands where
  /** @type {number[]} */
  place = [];              // where a clip stands
  /** @type {Map<string, Float32Array>} */
  entropies = new Map();
  /** @type {Map<string, HTMLCanvasElement>} */
  pictures = new Map();
  /** @type {{lo: number, table: Uint32Array} | null} */
  inks = null;
  // how it is looked at
  look = { x: 0, y: 0, zoom: 1 };
  windowTimer = 0;
  /** @type {Panel[]} */
  panels = [];
  /** @type {{rows: Named[], columns: Named[]}} */
  axes = { rows: [], columns: [] };
  /** @type {Cell | null} */
  over = null;
  /** @type {number[]} */
  linked = [];
  /** @type {number[]} */
  pair = [];
  /** @type {Set<number>} */
  marked = new Set();
  cardFor = "";
  beat = 0;
  ticks = 0;
  stats = { ms: 0 };
  noted = () => {};   // tells the address
  ui = /** @type {Controls} */ (/** @type {unknown} */ (null));
  face = /** @type {Surface} */ (/** @type {unknown} */ (null));
  strip = /** @type {Surface} */ (/** @type {unknown} */ (null));
  tip = /** @type {import("../core/controls.js").Tip} */ (/** @type {unknown} */ (null));
  /** @param {Model} model @param {HTMLElement} el */
  constructor(model, el) {
    this.model = model;
    this.frame = rootOf(el, "c2vl-heat", "soft targets over epochs");
    this.root = this.frame.root;
    this.bus = joinGroup(model, "heatmap");
    this.clock = new Clock({ fps: 3 });
    /** @type {(() => void)[]} */
    this.ends = [];
    const { push, listen } = talk(model, this.ends);
    this.push = push;
    this.listen = listen;
  }
  /** @param {string} key */
  get(key) { return this.model.get(key); }
  /** @returns {number[]} */
  get epochs() { return this.model.get("epochs"); }
  /** @returns {Matrices} */
  get set() { return this.model.get("sets")[this.model.get("which")] ?? this.model.get("sets")[0]; }
  redraw() {
    this.face?.redraw();
    this.strip?.redraw();
  }
}

/** Reads names, matrices and cards from the model, and forgets what was pointed at.
 *  @param {HeatState} s */
export function readLibrary(s) {
  s.names = s.get("names");
  s.n = s.names.length;
  s.index = new Map(s.names.map((name, i) => [name, i]));
  s.data = bytes(s.get("data"), Uint16Array);
  s.cards = new Cards();
  s.cards.learn(s.get("card_metas"), s.get("card_layouts"), s.get("card_data"));
  s.over = null;
  s.linked = [];
}

/** (n, n) of one matrix at one recorded epoch; null: the identity.
 *  @param {HeatState} s @param {string} kind @param {number} e */
export function block(s, kind, e) {
  const at = s.set.blocks[kind]?.[e];
  return at === undefined || at < 0 ? null : s.data.subarray(at, at + s.n * s.n);
}

/** @param {Uint16Array | null} b @param {number} i @param {number} j @param {number} n */
export function valueIn(b, i, j, n) {
  if (!b) return i === j ? 1 : 0;
  return PROBABILITY[b[i * n + j]];
}

/** @param {HeatState} s @param {string} kind @param {number} i @param {number} j */
export const probability = (s, kind, i, j, e = s.clock.index) => valueIn(block(s, kind, e), i, j, s.n);

/** The entropy of every row, in nats.
 *  @param {HeatState} s @param {string} kind */
export function entropy(s, kind, e = s.clock.index) {
  const id = `${s.get("which")}/${kind}/${e}`, made = s.entropies.get(id);
  if (made) return made;
  const b = block(s, kind, e), { n } = s, out = new Float32Array(n);
  for (let i = 0; b && i < n; i++) {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += SURPRISE[b[i * n + j]];
    out[i] = sum;
  }
  s.entropies.set(id, out);
  return out;
}

/** Among how many clips a row of the matrix shares its mass: e to the mean entropy.
 *  @param {HeatState} s @param {string} kind @param {number} e */
export function perplexity(s, kind, e) {
  const H = entropy(s, kind, e);
  return Math.exp(H.reduce((a, b) => a + b, 0) / Math.max(1, s.n));
}

/** Soft targets that are, at this moment, none: the identity and no more.
 *  @param {HeatState} s */
export const identities = (s) => kinds(s).filter((kind) => kind !== "hard" && kind !== "model" && perplexity(s, kind, s.clock.index) < 1.05);

/** @param {string[]} list */
export const inOrder = (list) => Object.keys(WORDS).filter((k) => list.includes(k));

/** Of the matrices that were chosen those this set has; all of it where that is none.
 *  @param {HeatState} s */
export function kinds(s) {
  const here = inOrder(Object.keys(s.set.blocks)), some = here.filter((k) => s.get("kinds").includes(k));
  return some.length ? some : here;
}

/** The word of each clip that the order goes by.
 *  @param {HeatState} s
 *  @returns {string[]} */
export function groupOf(s) {
  const sort = s.get("sort");
  if (sort === "class") return s.get("classes");
  return sort === "cluster" ? s.get("clusters") : [];
}

/** Puts the clips in the order that is asked for.
 *  @param {HeatState} s */
export function readOrder(s) {
  s.order = s.get("orders")[s.get("sort")] ?? s.names.map((_, i) => i);
  s.place = new Array(s.n);
  s.order.forEach((i, at) => { s.place[i] = at; });
  s.pictures.clear();
}

/** Numbers of the clips that are known here.
 *  @param {HeatState} s @param {string[]} names
 *  @returns {number[]} */
export const known = (s, names) => names.flatMap((name) => s.index.get(name) ?? []);

/** @param {HeatState} s */
export const words = (s) => [`epoch ${s.epochs[s.clock.index]} · α = ${(s.get("alphas")[s.clock.index] ?? 0).toFixed(2)}`,
  ...identities(s).map((kind) => `${WORDS[kind]} = identity`)].join(" · ");
