// @ts-check
/** What a page shows stands behind the # of its address, so that it can be sent and comes back after a reload: `#clip=a&frame=12&epoch=40`.
 *  A notebook's address is left alone. */
import { SHARED } from "./shared.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {{tell(): (string | number)[], take(values: string[], sent: boolean): void}} Part `tell` gives nothing where
 *  there is nothing to say; sent: a link on the page was followed */

const said = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");

/** @param {string} key @param {Part} part */
function write(key, part) {
  const all = said();
  all.delete(key);
  for (const value of part.tell()) all.append(key, String(value));
  const to = `#${all}`;
  if (to === location.hash || (to === "#" && !location.hash)) return;
  history.replaceState(null, "", to === "#" ? location.pathname + location.search : to);
}

/** Takes what the address says of a widget, and says there what the widget shows. Of several widgets of a page the first has a key.
 *  @param {Model} model @param {Record<string, Part>} parts @param {(() => void)[]} ends gets what stops it
 *  @returns {() => void} to be called when something changed */
export function keepAddress(model, parts, ends) {
  if (!model.offline || location.protocol === "about:") return () => {};
  const mine = Object.entries(parts).filter(([key]) => !SHARED.keys.has(key));
  for (const [key] of mine) SHARED.keys.add(key);
  /** @param {boolean} sent */
  const read = (sent) => {
    const all = said();
    for (const [key, part] of mine) if (all.has(key)) part.take(all.getAll(key), sent);
  };
  const take = () => read(true);
  let waiting = 0;
  const note = () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { for (const [key, part] of mine) write(key, part); }, 150);
  };
  read(false);
  addEventListener("hashchange", take);
  ends.push(() => {
    clearTimeout(waiting);
    removeEventListener("hashchange", take);
    for (const [key] of mine) SHARED.keys.delete(key);
  });
  return note;
}
