// @ts-check
/** What all widgets of a browser page share, however often this script was loaded: groups that are linked, clocks, how many pushes to
 *  a model are under way, and which keys of the address are taken. */

/** @typedef {{hear(topic: string, data: any, from: string): void}} Hearer */

/** @type {{groups: Map<string, Set<Hearer>>, clocks: Map<string, any>, pushing: number, keys: Set<string>}} */
export const SHARED = sharedOf(/** @type {any} */ (globalThis), Symbol.for("c2vl-kit"));

/** @param {any} page @param {symbol} key */
function sharedOf(page, key) {
  page[key] ??= { groups: new Map(), clocks: new Map(), pushing: 0, keys: new Set() };
  page[key].keys ??= new Set();   // made by an older script
  return page[key];
}
