// @ts-check
/** Pointing, picking, selecting, searching. */
import { showList } from "./list.js";
import { showNear } from "./near.js";
import { shade } from "./shade.js";
import { NONE, selectionSize, visible } from "./state.js";

/** @typedef {import("./state.js").MapState} MapState */

/** @param {MapState} s @param {number} i a clip, or -1 */
export function point(s, i) {
  if (i === s.over) return;
  s.over = i;
  s.cardFor = -1;
  s.linked = [];
  clearInterval(s.beat);
  const name = i < 0 ? null : s.names[i];
  s.root.dataset.hover = name ?? "";
  if (name === null) s.tip.hide();
  s.push({ hovered: name ?? "" });
  s.bus.emit("hover", { name });
  if (name !== null && !s.cards.has(name) && s.get("asks")) s.push({ asked: [name] });
  s.face.redraw();
}

/** @param {MapState} s @param {number} i @param {MouseEvent | KeyboardEvent} e with Ctrl or Shift: as the second */
export function pick(s, i, e) {
  const was = s.get("picked"), two = (e.ctrlKey || e.metaKey || e.shiftKey) && was.length && was.at(-1) !== s.names[i];
  const picked = two ? [was.at(-1), s.names[i]] : [s.names[i]];
  s.push({ picked });
  s.pair = picked.map((name) => s.index.get(name) ?? -1);
  s.root.dataset.picked = picked.join("\n");
  s.frame.say(`picked ${picked.join(" and ")}`);
  s.bus.emit("pick", { names: picked });
  showNear(s);
}

/** @param {MapState} s */
export function readSelection(s) {
  s.chosen.fill(0);
  for (const name of s.get("selection")) {
    const i = s.index.get(name);
    if (i !== undefined) s.chosen[i] = 1;
  }
  showList(s);
}

/** @param {MapState} s @param {Iterable<number>} list points @param {boolean} tell linked widgets */
export function choose(s, list, tell = true) {
  const selection = Array.from(list, (i) => s.names[i]);
  s.push({ selection });
  readSelection(s);
  shade(s);
  s.frame.say(`${selection.length} clips selected`);
  if (tell) s.bus.emit("select", { names: selection });
}

/** @param {MapState} s @param {number} i */
export const flip = (s, i) => choose(s, [...s.chosen.keys()].filter((j) => (j === i ? !s.chosen[j] : s.chosen[j])));

/** @param {string} text */
const fold = (text) => text.normalize("NFKC").toLowerCase();

/** A byte for each clip: whether a name, a word or a sentence of it holds the text.
 *  @param {MapState} s @param {string} wanted folded */
function hitsOf(s, wanted) {
  s.lower ??= { sentences: s.get("sentences").map(fold), names: s.names.map(fold), words: s.columns.map((c) => (c.kind === "category" ? c.levels.map(fold) : null)) };
  const { names, sentences, words } = s.lower, { n, moments, said, columns } = s, hits = new Uint8Array(n);
  const inSentence = Uint8Array.from(sentences, (text) => Number(text.includes(wanted)));
  const inWord = words.map((list) => list && Uint8Array.from(list, (w) => Number(w.includes(wanted))));
  for (let i = 0; i < n; i++) {
    let hit = names[i].includes(wanted) ? 1 : 0;
    for (let k = 0; k < moments && !hit; k++) {
      const at = said[i * moments + k];
      if (at) hit = inSentence[at - 1];
    }
    for (let c = 0; c < columns.length && !hit; c++) hit = columns[c].of[i] === NONE ? 0 : inWord[c]?.[columns[c].of[i]] ?? 0;
    hits[i] = hit;
  }
  return hits;
}

/** @param {MapState} s @param {string} query */
export function find(s, query) {
  const wanted = fold(query ?? "").trim(), { search, hitCount, take } = s.ui;
  s.hits = wanted ? hitsOf(s, wanted) : null;
  const found = s.hits ? s.hits.reduce((a, b) => a + b, 0) : 0;
  if (search.value !== (query ?? "")) search.value = query ?? "";
  search.placeholder = s.get("hint") || "search prompts";
  hitCount.textContent = wanted ? `${found.toLocaleString("en")} found` : "";
  take.hidden = !found;
  s.root.dataset.hits = wanted ? String(found) : "";
  shade(s);
}

/** Selects what was found.
 *  @param {MapState} s */
export function takeHits(s) {
  const { hits } = s;
  if (hits) choose(s, [...hits.keys()].filter((i) => hits[i] && visible(s, i)));
}

/** The clips that N and P step through: the selection, what was found, or all.
 *  @param {MapState} s */
export function pool(s) {
  const within = s.hits ?? (selectionSize(s) ? s.chosen : null);
  return [...Array(s.n).keys()].filter((i) => visible(s, i) && (!within || within[i]));
}
