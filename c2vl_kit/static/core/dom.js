// @ts-check
/** Elements. Strings from data only ever become text nodes or attribute values, never markup. */
import { isDark, onTheme, themeOf } from "./theme.js";

/** @typedef {{root: HTMLElement, theme: typeof themeOf, say(text: string): void, end(fn: () => void): void, close(): void}} Root */

/** @param {Element} el @param {any} child */
function add(el, child) {
  if (Array.isArray(child)) for (const one of child) add(el, one);
  else if (child !== null && child !== undefined && child !== false) el.append(child instanceof Node ? child : document.createTextNode(String(child)));
}

/** An element. Attributes: class, style {…}, onclick fn, "data-x", aria-x, true or false; children: text, nodes, lists, null.
 *  @template {keyof HTMLElementTagNameMap} K
 *  @param {K} tag
 *  @param {Record<string, any> | null} [attrs]
 *  @param {...any} children
 *  @returns {HTMLElementTagNameMap[K]} */
export function h(tag, attrs, ...children) {
  const el = document.createElement(tag);
  for (const [k, v] of Object.entries(attrs ?? {})) {
    if (v === null || v === undefined || v === false) continue;
    if (typeof v === "function") el.addEventListener(k.replace(/^on/, ""), v);
    else if (k.startsWith("on") || k === "innerHTML") throw new Error(`h(): ${k} takes a function`);
    else if (k === "style") Object.assign(el.style, v);
    else el.setAttribute(k, v === true ? "" : v);
  }
  add(el, children);
  return el;
}

/** Empties el and puts the widget's root there: theme, aria label, keys not taken by JupyterLab.
 *  @param {HTMLElement} el @param {string} cls @param {string} label
 *  @returns {Root} */
export function rootOf(el, cls, label) {
  /** @type {(() => void)[]} */
  const ends = [];
  const live = h("div", { class: "c2vl-live", "aria-live": "polite", role: "status" });
  const root = h("div", { class: `c2vl ${cls}`, role: "group", "aria-label": label, "data-lm-suppress-shortcuts": "true" }, live);
  const paint = () => { root.dataset.theme = isDark() ? "dark" : "light"; };
  paint();
  ends.push(onTheme(paint));
  el.replaceChildren(root);
  return {
    root,
    theme: themeOf,
    say(text) { live.textContent = text; },
    end(fn) { ends.push(fn); },
    close() {
      for (const fn of ends.splice(0)) fn();
      root.remove();
    },
  };
}

/** @typedef {Record<string, (e: KeyboardEvent) => void>} Keys */

/** Keys of a widget; what is typed, chosen or pressed elsewhere stays there. Returns what stops the listening.
 *  @param {HTMLElement} root @param {Keys} keys
 *  @param {(e: KeyboardEvent, on: HTMLElement) => boolean} elsewhere the widget's own exceptions */
export function onKeys(root, keys, elsewhere) {
  /** @param {KeyboardEvent} e */
  const heard = (e) => {
    const on = /** @type {HTMLElement} */ (e.target);
    if (e.ctrlKey || e.metaKey || e.altKey || on.tagName === "SELECT") return;
    if (on.tagName === "BUTTON" && (e.key === " " || e.key === "Enter")) return;
    if (elsewhere(e, on)) return;
    const act = keys[e.key.length === 1 ? e.key.toLowerCase() : e.key];
    if (!act) return;
    e.preventDefault();
    e.stopPropagation();
    act(e);
  };
  root.addEventListener("keydown", heard);
  return () => root.removeEventListener("keydown", heard);
}

/** A range input keeps its own keys.
 *  @param {KeyboardEvent} e @param {HTMLElement} on */
export const slides = (e, on) => on instanceof HTMLInputElement && on.type === "range" && /^(Arrow|Home|End|Page)/.test(e.key);

const UNSAID = "nothing was said here";

/** Writes the text at a moment, or that nothing was said; returns it.
 *  @param {HTMLElement} el @param {string[]} texts @param {number} at */
export function sayAt(el, texts, at) {
  el.textContent = texts[at] || UNSAID;
  el.classList.toggle("c2vl-unsaid", !texts[at]);
  return el.textContent;
}
