// @ts-check
/** What all widgets of a browser page share, however often this script was loaded: groups that are linked, clocks, and how many
 *  pushes to a model are under way. */

/** @typedef {{hear(topic: string, data: any, from: string): void}} Hearer */

/** @type {{groups: Map<string, Set<Hearer>>, clocks: Map<string, any>, pushing: number}} */
export const SHARED = sharedOf(/** @type {any} */ (globalThis), Symbol.for("c2vl-kit"));

/** @param {any} page @param {symbol} key */
function sharedOf(page, key) {
  page[key] ??= { groups: new Map(), clocks: new Map(), pushing: 0 };
  return page[key];
}
