// @ts-check
/** What a player knows. Everything else lives in the model; see `SkeletonPlayer` in viz.player. */
import { Camera } from "../core/camera.js";
import { decodeClips } from "../core/clips.js";
import { sharedClock } from "../core/clock.js";
import { colourAt, lut, unit } from "../core/colour.js";
import { rootOf } from "../core/dom.js";
import { joinGroup } from "../core/link.js";
import { bytes, talk } from "../core/model.js";
import { partColours, personColours, sideColours } from "../core/skeleton.js";

/** @typedef {import("../core/clips.js").Clip} Clip */
/** @typedef {import("../core/model.js").Model} Model */
/** @typedef {import("../core/controls.js").Button} Button */
/** @typedef {{name: string, unit?: string, scale: string, lo: number, hi: number, ends: number[], of: Record<number, Int16Array>}} Scalar */
/** @typedef {{at: number, clip: Clip, points: Float32Array | null, said: number, f: number, box: number[], view: number[],
 *  near: number[] | null, words: HTMLElement | null, count: HTMLElement | null}} Panel a clip in its place */
/** @typedef {{panel: Panel, m: number, v: number}} Hit a joint of a panel */
/** @typedef {{chooser: HTMLElement, stage: HTMLElement, titles: HTMLElement, prompts: HTMLElement, time: HTMLElement, play: Button,
 *  scrub: import("../core/controls.js").Slider, speeds: import("../core/controls.js").Select, loop: Button,
 *  views: import("../core/controls.js").Select, colours: import("../core/controls.js").Select, trails: Button, ghosts: Button, grid: Button,
 *  follow: Button, ask: Button, key: import("../core/controls.js").Legend, people: import("../core/controls.js").Legend,
 *  bar: import("../core/controls.js").ColourBar,
 *  needle: HTMLElement, curveSays: HTMLElement, curveBox: HTMLElement, curves: import("../core/controls.js").Select}} Controls */

export class Player {
  /** @type {Clip[]} */
  clips = [];
  /** @type {Scalar[]} */
  scalars = [];
  /** @type {Panel[]} */
  panels = [];
  /** @type {Hit | null} */
  hover = null;
  /** @type {string | null} */
  over = null;        // the clip the pointer is on
  loaded = NaN;       // which library
  known = "";         // what the legends show
  listed = "";        // what the chooser offers
  shownIndex = -1;
  told = 0;           // when Python was last told the frame
  curve = "speed";         // what stands under the scrubber
  drawnCurve = "";
  /** @type {{values: Float32Array[], says: string}} what the strip shows */
  drawn = { values: [], says: "" };
  noted = () => {};        // tells the address
  count = 0;
  since = 0;
  cameraTimer = 0;
  ui = /** @type {Controls} */ (/** @type {unknown} */ (null));
  face = /** @type {import("../core/surface.js").Surface} */ (/** @type {unknown} */ (null));
  strip = /** @type {import("../core/surface.js").Surface} */ (/** @type {unknown} */ (null));
  tip = /** @type {import("../core/controls.js").Tip} */ (/** @type {unknown} */ (null));
  /** @param {Model} model @param {HTMLElement} el */
  constructor(model, el) {
    this.model = model;
    this.frame = rootOf(el, "c2vl-player", "skeleton player");
    this.root = this.frame.root;
    this.bus = joinGroup(model, "player");
    this.clock = sharedClock(model.get("key"), {});
    this.camera = new Camera(model.get("camera"));
    this.home = model.get("camera");
    /** @type {(() => void)[]} */
    this.ends = [];
    const { push, listen } = talk(model, this.ends);
    this.push = push;
    this.listen = listen;
  }
  /** @param {string} key */
  get(key) { return this.model.get(key); }
}

/** Reads the clips and their scalars from the model.
 *  @param {Player} s */
export function readLibrary(s) {
  s.loaded = s.get("library");
  const values = s.get("values");
  s.clips = decodeClips(s.get("metas"), s.get("data"), s.get("layouts"));
  s.scalars = s.get("scalars").map((/** @type {any} */ one) => ({
    ...one,
    of: Object.fromEntries(Object.entries(one.clips).map(([i, at]) => {
      const { T, M, V } = s.clips[Number(i)];
      return [i, bytes(values, Int16Array, T * M * V, at)];
    })),
  }));
}

/** The frame of a clip at frame f of the clock.
 *  @param {Player} s @param {Clip} clip @param {number} f */
export function local(s, clip, f) {
  if (s.get("align") === "stretch") return s.clock.frames > 1 ? f * (clip.T - 1) / (s.clock.frames - 1) : 0;
  return Math.min(clip.T - 1, f * clip.fps / s.clock.fps);
}

/** The whole frame a panel shows.
 *  @param {Panel} panel */
export const shownFrame = (panel) => Math.min(panel.clip.T - 1, Math.floor(panel.f + 1e-6));

/** The scalar that colours the joints, if one does.
 *  @param {Player} s */
export const scalarOf = (s) => s.scalars.find((one) => one.name === s.get("colour_by"));

/** @param {Scalar} scalar @param {Panel} panel @param {number} f @param {number} m @param {number} v */
export function valueAt(scalar, panel, f, m, v) {
  const all = scalar.of[panel.at], { M, V, T } = panel.clip;
  if (!all) return NaN;
  const raw = all[(Math.min(T - 1, Math.max(0, Math.floor(f + 1e-6))) * M + m) * V + v];
  return raw === -32768 ? NaN : scalar.ends[0] + (raw + 32767) / 65534 * (scalar.ends[1] - scalar.ends[0]);
}

/** The colours of a panel's joints at frame f.
 *  @param {Player} s @param {Panel} panel @param {number} f @param {import("../core/theme.js").Theme} theme
 *  @returns {import("../core/skeleton.js").Paint} */
export function painter(s, panel, f, theme) {
  const { layout } = panel.clip, by = s.get("colour_by"), active = scalarOf(s);
  if (active) {
    const table = lut(active.scale);
    return (m, v) => colourAt(table, unit(valueAt(active, panel, f, m, v), active.lo, active.hi));
  }
  if (by === "part") return partColours(layout, theme);
  return (by === "person" ? personColours : sideColours)(layout, theme);
}

/** What is said of a clip.
 *  @param {Clip} clip */
export const titleOf = (clip) => clip.title || clip.name;
