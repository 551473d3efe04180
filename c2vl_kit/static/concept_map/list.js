// @ts-check
/** The clips that are selected: all of them in a list of which only what is in sight is built, and ways to take them along. */
import { button } from "../core/controls.js";
import { h } from "../core/dom.js";
import { copyText, saveText } from "../core/files.js";
import { column, tellingOf, wordOf } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */

const HIGH = 56, AHEAD = 6;   // pixels of a line; lines built beyond those in sight

/** @param {MapState} s @param {number} i a clip @param {number} k its place in the list */
function lineOf(s, i, k) {
  const c = column(s), words = tellingOf(s, i);
  return h("button", { type: "button", class: "c2vl-line c2vl-listed", style: { top: `${k * HIGH}px` }, "data-role": "listed", "data-name": s.names[i], "data-at": k, title: words || null },
    h("b", { dir: "auto" }, s.names[i]), h("small", { dir: "auto" }, c ? h("bdi", {}, wordOf(c, i), words ? " · " : "") : null, words));
}

/** Builds the lines in sight.
 *  @param {MapState} s @param {number[]} clips */
function fill(s, clips) {
  const { list, inner } = s.ui, first = Math.max(0, Math.floor(list.scrollTop / HIGH) - AHEAD), last = Math.min(clips.length, Math.ceil((list.scrollTop + list.clientHeight) / HIGH) + AHEAD);
  /** @type {Map<number, HTMLElement>} */
  const there = new Map([...inner.children].map((el) => [Number(/** @type {HTMLElement} */ (el).dataset.at), /** @type {HTMLElement} */ (el)]));
  for (const [k, el] of there) if ((k < first || k >= last) && el !== document.activeElement) { el.remove(); there.delete(k); }
  for (let k = first; k < last; k++) {
    if (there.has(k)) continue;
    const el = lineOf(s, clips[k], k), next = [...inner.children].find((other) => Number(/** @type {HTMLElement} */ (other).dataset.at) > k);
    inner.insertBefore(el, next ?? null);
  }
}

/** @param {MapState} s */
const selected = (s) => s.get("selection").flatMap((/** @type {string} */ name) => s.index.get(name) ?? []);

/** @param {MapState} s */
export function showList(s) {
  const clips = selected(s), { clear, list, inner, title, exports } = s.ui;
  s.root.dataset.selected = String(s.get("selection").length);
  clear.hidden = list.hidden = exports.hidden = !clips.length;
  title.textContent = clips.length ? `${clips.length.toLocaleString("en")} selected` : "";
  inner.replaceChildren();
  inner.style.height = `${clips.length * HIGH}px`;
  list.scrollTop = 0;
  fill(s, clips);
}

/** What is known of the selected clips, as text.
 *  @param {MapState} s */
function asJson(s) {
  const clips = selected(s).map((/** @type {number} */ i) => {
    const facts = Object.fromEntries(s.columns.map((c) => [c.name, c.kind === "number" ? (Number.isNaN(c.of[i]) ? null : c.of[i]) : c.levels[c.of[i]] ?? null]));
    return { name: s.names[i], ...(s.moments ? { sentence: tellingOf(s, i) } : {}), columns: facts };
  });
  return `${JSON.stringify({ selection: clips, space: s.spaces[Math.round(s.get("at"))]?.name ?? "" }, null, 1)}\n`;
}

/** The list, and what stands above and below it.
 *  @param {MapState} s */
export function listControls(s) {
  const title = h("b", { "data-role": "selected" }), inner = h("div", { class: "c2vl-inner" }), list = h("div", { class: "c2vl-list", "data-role": "list" }, inner);
  const names = () => `${selected(s).map((/** @type {number} */ i) => s.names[i]).join("\n")}\n`;
  const copy = async () => s.frame.say(await copyText(names(), s.root) ? "names copied" : "the browser forbids copying; take the file");
  const exports = h("div", { class: "c2vl-row", "data-role": "exports", hidden: true },
    button({ text: "copy", label: "copy the names", role: "copy-names", onClick: copy }),
    button({ text: "txt", label: "names as a file", role: "save-names", onClick: () => saveText(names(), "selection.txt", "text/plain") }),
    button({ text: "JSON", label: "names, columns and sentences as JSON", role: "save-json", onClick: () => saveText(asJson(s), "selection.json", "application/json") }));
  const more = () => fill(s, selected(s)), watch = new ResizeObserver(more);
  list.addEventListener("scroll", more);
  watch.observe(list);
  s.ends.push(() => watch.disconnect());
  return { title, list, inner, exports };
}
