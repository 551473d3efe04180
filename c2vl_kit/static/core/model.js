// @ts-check
/** The model behind a widget: anywidget's in a notebook, `offlineModel` on a page of its own. */
import { replacePoster } from "./poster.js";
import { SHARED } from "./shared.js";

/** @typedef {(...given: any[]) => void} Heard */
/** @typedef {{get(k: string): any, set(k: string, v: any): void, save_changes(): void, on(name: string, fn: Heard): void,
 *  off(name?: string, fn?: Heard): void, offline?: boolean}} Model offline: of a page of its own */
/** @typedef {{push(change: Record<string, any>): void, listen(keys: string, fn: (python: boolean) => void): void}} Talk */
/** @typedef {(of: {model: Model, el: HTMLElement}) => () => void} Render */

/** Raw bytes as numbers; copied only where they lie askew.
 *  @template T
 *  @param {any} view DataView, ArrayBuffer, typed array or base64 text
 *  @param {{new (buffer: any, at?: number, count?: number): T, BYTES_PER_ELEMENT: number}} Type
 *  @param {number} [count]
 *  @returns {T} */
export function bytes(view, Type, count, at = 0) {
  let raw = view;
  if (typeof raw === "string") raw = Uint8Array.from(atob(raw), (c) => c.charCodeAt(0));
  if (raw instanceof ArrayBuffer) raw = new Uint8Array(raw);
  if (!raw) return new Type(0);
  const from = raw.byteOffset + at;
  const n = count ?? Math.floor((raw.byteLength - at) / Type.BYTES_PER_ELEMENT);
  if (from % Type.BYTES_PER_ELEMENT === 0) return new Type(raw.buffer, from, n);
  return new Type(raw.buffer.slice(from, from + n * Type.BYTES_PER_ELEMENT));
}

/** @param {any} v */
function opened(v) {
  return v && typeof v === "object" && typeof v.$b64 === "string" ? new DataView(bytes(v.$b64, Uint8Array).buffer) : v;
}

/** @param {any} a @param {any} b */
function same(a, b) {
  return a === b || (typeof a === "object" && typeof b === "object" && !(a instanceof DataView) && JSON.stringify(a) === JSON.stringify(b));
}

/** @param {Record<string, any>} state
 *  @returns {Model} */
export function offlineModel(state) {
  const values = Object.fromEntries(Object.entries(state).map(([k, v]) => [k, opened(v)]));
  /** @type {Map<string, Heard[]>} */
  const heard = new Map();
  /** @param {string} name */
  const of = (name) => [...(heard.get(name) ?? [])];
  const model = {
    offline: true,
    /** @param {string} k */
    get: (k) => values[k],
    /** @param {string} k @param {any} v */
    set(k, v) {
      if (same(values[k], v)) return;
      values[k] = v;
      for (const fn of of(`change:${k}`)) fn(model, v);
      for (const fn of of("change")) fn(model);
    },
    save_changes() {},
    send() {},
    /** @param {string} name @param {Heard} fn */
    on(name, fn) { heard.set(name, [...of(name), fn]); },
    /** @param {string} [name] @param {Heard} [fn] */
    off(name, fn) {
      if (!name) heard.clear();
      else heard.set(name, fn ? of(name).filter((f) => f !== fn) : []);
    },
  };
  return model;
}

/** A widget takes its poster's place, and does not hear what it pushed itself; `fn(true)` where no widget pushed it, so that it came from Python.
 *  @param {Model} model @param {(() => void)[]} ends gets what stops the listening
 *  @returns {Talk} */
export function talk(model, ends) {
  let pushing = 0;
  if (!model.offline) ends.push(replacePoster(model));
  return {
    push(change) {
      pushing += 1;
      SHARED.pushing = (SHARED.pushing ?? 0) + 1;
      try {
        for (const [k, v] of Object.entries(change)) model.set(k, v);
        model.save_changes();
      } finally {
        pushing -= 1;
        SHARED.pushing -= 1;
      }
    },
    listen: (keys, fn) => keys.split(" ").forEach((key) => {
      const heard = () => { if (!pushing) fn(!SHARED.pushing); };
      model.on(`change:${key}`, heard);
      ends.push(() => model.off(`change:${key}`, heard));
    }),
  };
}

/** Draws every element of a page with data-c2vl-widget="player" data-state="ID" from the JSON script of that ID.
 *  @param {Record<string, Render>} renders */
export function mountOffline(renders) {
  for (const el of document.querySelectorAll("[data-c2vl-widget]")) {
    const { state, c2vlWidget } = /** @type {HTMLElement} */ (el).dataset;
    const model = offlineModel(JSON.parse(document.getElementById(state ?? "")?.textContent ?? "{}"));
    Object.assign(el, { c2vlModel: model });
    renders[c2vlWidget ?? ""]({ model, el: /** @type {HTMLElement} */ (el) });
  }
}
