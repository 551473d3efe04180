// @ts-check
/** What a map knows: clips as points, several spaces, columns of words and numbers. The rest lives in the model; see `ConceptMap` in
 *  viz.concept_map. */
import { Cards } from "../core/clips.js";
import { fmt } from "../core/colour.js";
import { rootOf } from "../core/dom.js";
import { joinGroup } from "../core/link.js";
import { bytes, talk } from "../core/model.js";

/** @typedef {import("../core/model.js").Model} Model */
/** @typedef {import("../core/controls.js").Button} Button */
/** @typedef {import("../core/controls.js").Select} Select */
/** @typedef {{name: string, note: string, near: number, raw: Uint16Array, at: Float32Array | null}} Space near: where its list of
 *  nearest clips begins, or -1 */
/** @typedef {{name: string, kind: "category", levels: string[], at: number, of: Uint16Array}} Words */
/** @typedef {{name: string, kind: "number", lo: number, hi: number, at: number, of: Float32Array}} Numbers */
/** @typedef {Words | Numbers} Column */
/** @typedef {{x: number, y: number, level: number, weight: number}} Centre where most of a class lies */
/** @typedef {{space: number, fine: number, cx: number, cy: number, x: number, y: number, n: number, words: string}} Region clips that lie
 *  together, and the words that set them apart; its clips are nearest to (cx, cy), its name stands at (x, y) */
/** @typedef {{stage: HTMLElement, chooser: Select, way: import("../core/controls.js").Slider, roam: Button, colour: Select,
 *  search: HTMLInputElement, hitCount: HTMLElement, take: Button, lassoTool: Button, nameTool: Button, reset: Button, ask: Button,
 *  note: HTMLElement, key: import("../core/controls.js").Legend, all: Button, none: Button, bar: import("../core/controls.js").ColourBar,
 *  count: HTMLElement, title: HTMLElement, clear: Button, list: HTMLElement, inner: HTMLElement, exports: HTMLElement, wordTool: Button, denseTool: Button,
 *  filterTool: Button, filters: HTMLElement, bars: HTMLElement, fade: Button, filterCount: HTMLElement,
 *  near: HTMLElement, nearTitle: HTMLElement, nearList: HTMLElement}} Controls */

export const NONE = 65535;
export const HIDDEN = 0;
export const FADED = 1;         // filtered out, but still to be seen
export const DIM = 2;
export const PLAIN = 3;
export const STRONG = 4;

export class MapState {
  // what is loaded
  n = 0;
  /** @type {string[]} */
  names = [];
  /** @type {Map<string, number>} */
  index = new Map();
  /** @type {Space[]} */
  spaces = [];
  /** @type {Column[]} */
  columns = [];
  said = new Uint32Array(0);   // (n, moments) number of the sentence + 1, or 0
  moments = 0;
  telling = new Uint16Array(0);    // which moment of a clip says most
  /** @type {Region[]} */
  regions = [];
  /** @type {Map<string, Uint16Array>} */
  members = new Map();         // space and fineness → which of its regions each clip is in
  cards = new Cards();
  /** @type {{sentences: string[], names: string[], words: (string[] | null)[]} | null} */
  lower = null;                // all that can be searched, folded
  order = new Uint32Array(0);  // in which points are drawn
  // where the points are: between two spaces
  xy = /** @type {Float32Array} */ (new Float32Array(0));
  from = /** @type {Float32Array} */ (new Float32Array(0));
  to = /** @type {Float32Array} */ (new Float32Array(0));
  part = 1;
  morphing = 0;
  dwell = 0;
  /** @type {(Centre | null)[]} */
  centres = [];
  view = { x: 0.5, y: 0.5, zoom: 1 };
  viewTimer = 0;
  // how they look
  state = new Uint8Array(0);
  colours = new Uint32Array(0);
  faded = new Uint32Array(0);
  screen = new Float32Array(0);   // pixels, NaN where hidden
  // what is chosen
  chosen = new Uint8Array(0);
  /** @type {Uint8Array | null} */
  hits = null;
  /** @type {number | null} */
  lit = null;                     // the class the legend points at
  over = -1;
  /** @type {number[]} */
  linked = [];
  /** @type {number[]} */
  pair = [];
  noted = () => {};               // tells the address
  /** @type {[number, number][] | null} */
  lasso = null;
  cardFor = -1;
  /** @type {number[][]} */
  near = [];                      // in each space the clips nearest to `nearOf`
  nearOf = -1;
  nearBeat = 0;
  table = new Uint16Array(0);     // nearest clips as Python found them
  /** @type {{level: number, time: number, off: Set<number>} | null} */
  lastToggle = null;
  beat = 0;
  crowded = false;                // so many points over each other that their density is drawn
  /** @type {(() => void)[]} */
  after = [];                     // called when other clips are shown
  stats = { ms: 0, drawn: 0, near: 0, crowd: 0, labels: /** @type {import("./labels.js").Label[]} */ ([]) };
  ui = /** @type {Controls} */ (/** @type {unknown} */ (null));
  face = /** @type {import("../core/surface.js").Surface} */ (/** @type {unknown} */ (null));
  tip = /** @type {import("../core/controls.js").Tip} */ (/** @type {unknown} */ (null));
  /** @param {Model} model @param {HTMLElement} el */
  constructor(model, el) {
    this.model = model;
    this.frame = rootOf(el, "c2vl-map", "map of clips");
    this.root = this.frame.root;
    this.bus = joinGroup(model, "map");
    /** @type {(() => void)[]} */
    this.ends = [];
    const { push, listen } = talk(model, this.ends);
    /** @param {Record<string, any>} change */
    this.push = (change) => { push(change); this.noted(); };
    this.listen = listen;
  }
  /** @param {string} key */
  get(key) { return this.model.get(key); }
}

/** A fixed order that favours no class.
 *  @param {number} n */
function shuffled(n) {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1, seed = 12345; i > 0; i--) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const j = seed % (i + 1), was = order[i];
    order[i] = order[j];
    order[j] = was;
  }
  return order;
}

/** Reads points, columns and words from the model, and forgets what was pointed at.
 *  @param {MapState} s */
export function readLibrary(s) {
  s.names = s.get("names");
  const n = s.names.length, raw = bytes(s.get("positions"), Uint16Array), values = s.get("values");
  s.n = n;
  s.index = new Map(s.names.map((name, i) => [name, i]));
  s.spaces = s.get("spaces").map((/** @type {any} */ one, /** @type {number} */ k) => ({ near: -1, ...one, raw: raw.subarray(k * n * 2, (k + 1) * n * 2), at: null }));
  s.columns = s.get("columns").map((/** @type {any} */ c) => ({ ...c, of: c.kind === "number" ? bytes(values, Float32Array, n, c.at) : bytes(values, Uint16Array, n, c.at) }));
  s.moments = s.get("moments");
  s.said = bytes(s.get("said"), Uint32Array);
  s.table = bytes(s.get("near"), Uint16Array);
  s.telling = bytes(s.get("telling"), Uint16Array);
  s.regions = s.get("regions") ?? [];
  s.members.clear();
  s.lower = null;
  s.cards = new Cards();
  s.cards.learn(s.get("card_metas"), s.get("card_layouts"), s.get("card_data"));
  s.order = shuffled(n);
  [s.state, s.chosen] = [new Uint8Array(n), new Uint8Array(n)];
  [s.colours, s.faded] = [new Uint32Array(n), new Uint32Array(n)];
  [s.screen, s.xy] = [new Float32Array(n * 2), new Float32Array(n * 2)];
  s.hits = s.lit = s.lasso = null;
  s.over = -1;
  s.linked = [];
  s.pair = [];
  s.part = 1;
}

/** The column that colours the points.
 *  @param {MapState} s
 *  @returns {Column | undefined} */
export const column = (s) => s.columns.find((c) => c.name === s.get("colour_by")) ?? s.columns[0];

/** @param {Column} c @param {number} i */
export function wordOf(c, i) {
  if (c.kind === "number") return fmt(c.of[i]);
  return c.of[i] === NONE ? "–" : c.levels[c.of[i]];
}

/** All that was said of a clip, moment by moment.
 *  @param {MapState} s @param {number} i
 *  @returns {string[]} */
export function sentencesOf(s, i) {
  const all = s.get("sentences"), said = s.said.subarray(i * s.moments, (i + 1) * s.moments);
  return Array.from(said).filter((at) => at).map((at) => all[at - 1]);
}

/** The sentence of a clip that says most about it.
 *  @param {MapState} s @param {number} i */
export function tellingOf(s, i) {
  const at = s.said[i * s.moments + (s.telling[i] ?? 0)];
  return (at && s.get("sentences")[at - 1]) || sentencesOf(s, i).find(Boolean) || "";
}

/** Positions in a space, 0 … 1; NaN where a clip is not in it.
 *  @param {MapState} s @param {number} k */
export function placesOf(s, k) {
  const space = s.spaces[k];
  space.at ??= Float32Array.from(space.raw, (v) => (v === NONE ? NaN : v / 65534));
  return space.at;
}

/** @param {MapState} s @param {number} i */
export const visible = (s, i) => s.state[i] > FADED && !Number.isNaN(s.xy[i * 2]);

/** Numbers of the clips this map knows.
 *  @param {MapState} s @param {string[]} names
 *  @returns {number[]} */
export const known = (s, names) => names.flatMap((name) => s.index.get(name) ?? []);

/** @param {MapState} s
 *  @returns {number} */
export const selectionSize = (s) => s.get("selection").length;

/** @param {number} x */
export const round = (x) => Math.round(x * 1000) / 1000;
