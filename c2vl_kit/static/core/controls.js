// @ts-check
/** Controls around a picture: reachable by keyboard, with aria labels, and data-role for tests. */
import { fmt, lut } from "./colour.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {HTMLButtonElement & {set(pressed?: boolean, icon?: string, label?: string): void}} Button */
/** @typedef {HTMLInputElement & {set(v: number, most?: number): void}} Slider */
/** @typedef {{value: any, label: string}} Option */
/** @typedef {HTMLSelectElement & {set(v: any): void, fill(options: Option[], v: any): void}} Select */
/** @typedef {{key: any, label: string, colour: string, count?: number}} Item */
/** @typedef {HTMLDivElement & {set(items: Item[], off?: Set<any>): void}} Legend */
/** @typedef {{scale: string, lo: number, hi: number, label?: string}} Scale */
/** @typedef {HTMLDivElement & {set(of: Scale | null): void}} ColourBar */
/** @typedef {{el: HTMLElement, show(x: number, y: number, content: any): void, hide(): void}} Tip */

/** @param {{icon?: string, label: string, text?: string, role: string, key?: string, pressed?: boolean, onClick(): void}} of
 *  @returns {Button} */
export function button({ icon: picture, label, text, role, key, pressed, onClick }) {
  const el = /** @type {Button} */ (h("button", { type: "button", class: "c2vl-button", "data-role": role, onclick: onClick, "aria-keyshortcuts": key }));
  el.set = (on, image = picture, name = label) => {
    el.replaceChildren(...(image ? [icon(image)] : []), ...(text ? [document.createTextNode(text)] : []));
    el.setAttribute("aria-label", name);
    el.title = key ? `${name} (${key})` : name;
    if (on !== undefined) el.setAttribute("aria-pressed", String(!!on));
  };
  el.set(pressed);
  return el;
}

/** @param {{label: string, role: string, min?: number, max?: number, step?: number, value?: number, text?(v: number): string, onInput?(v: number): void}} of
 *  @returns {Slider} */
export function slider({ label, role, min = 0, max = 1, step = 1, value = 0, text = (v) => String(v), onInput }) {
  const told = () => { input.setAttribute("aria-valuetext", text(Number(input.value))); onInput?.(Number(input.value)); };
  const input = /** @type {Slider} */ (h("input", { type: "range", class: "c2vl-slider", "aria-label": label, "data-role": role, min, max, step, value, oninput: told }));
  input.value = String(value);
  input.title = label;
  input.set = (v, most) => {
    if (most !== undefined && Number(input.max) !== most) input.max = String(most);
    if (Number(input.value) !== v) input.value = String(v);
    input.setAttribute("aria-valuetext", text(Number(v)));
  };
  return input;
}

/** @param {{label: string, role: string, options: Option[], value?: any, onChange?(v: string): void}} of
 *  @returns {Select} */
export function select({ label, role, options, value, onChange }) {
  const el = /** @type {Select} */ (h("select", { class: "c2vl-select", "aria-label": label, title: label, "data-role": role, onchange: () => onChange?.(el.value) }));
  el.fill = (list, chosen) => {
    el.replaceChildren(...list.map((o) => h("option", { value: o.value }, o.label)));
    el.set(chosen);
  };
  el.set = (v) => { el.value = String(v); };
  el.fill(options, value);
  return el;
}

/** @param {{label: string, role: string, items?: Item[], off?: Set<any>, onToggle?(key: any, e: MouseEvent): void}} of
 *  @returns {Legend} */
export function legend({ label, role, items = [], off = new Set(), onToggle }) {
  const el = /** @type {Legend} */ (h("div", { class: "c2vl-legend", role: "group", "aria-label": label, "data-role": role }));
  /** @param {Item} item @param {Set<any>} hidden */
  const entry = (item, hidden) => {
    const inside = [h("span", { class: "c2vl-dot", style: { background: item.colour } }), h("span", { dir: "auto" }, item.label),
      item.count === undefined ? null : h("small", {}, item.count)];
    if (!onToggle) return h("span", { class: "c2vl-item", "data-key": item.key }, inside);
    return h("button", { type: "button", class: "c2vl-item", "data-key": item.key, "aria-pressed": String(!hidden.has(item.key)),
      "aria-label": `${item.label}: ${hidden.has(item.key) ? "hidden, show" : "shown, hide"}`, onclick: (/** @type {MouseEvent} */ e) => onToggle(item.key, e) }, inside);
  };
  el.set = (list, hidden = new Set()) => {
    const at = /** @type {HTMLElement | null} */ (document.activeElement), focused = at && el.contains(at) ? at.dataset.key : undefined;
    el.hidden = !list.length;
    el.replaceChildren(...list.map((item) => entry(item, hidden)));
    const again = focused === undefined ? null : [...el.children].find((c) => /** @type {HTMLElement} */ (c).dataset.key === focused);
    /** @type {HTMLElement | null | undefined} */ (again)?.focus({ preventScroll: true });
  };
  el.set(items, off);
  return el;
}

/** @param {{role: string}} of
 *  @returns {ColourBar} */
export function colourBar({ role }) {
  const strip = h("canvas", { width: 256, height: 1, class: "c2vl-bar", "aria-hidden": "true" });
  const low = h("span"), middle = h("b", { dir: "auto" }), high = h("span");
  const el = /** @type {ColourBar} */ (h("div", { class: "c2vl-colourbar", role: "img", "data-role": role, hidden: true }, strip,
    h("div", { class: "c2vl-ticks" }, low, middle, high)));
  el.set = (of) => {
    el.hidden = !of;
    const ctx = strip.getContext("2d");
    if (!of || !ctx) return;
    const table = lut(of.scale), picture = ctx.createImageData(256, 1);
    for (let i = 0; i < 256; i++) picture.data.set([table[i * 3], table[i * 3 + 1], table[i * 3 + 2], 255], i * 4);
    ctx.putImageData(picture, 0, 0);
    low.textContent = fmt(of.lo);
    high.textContent = fmt(of.hi);
    middle.textContent = of.label ?? "";
    el.setAttribute("aria-label", `colours for ${of.label ?? "values"} from ${fmt(of.lo)} to ${fmt(of.hi)}`);
  };
  return el;
}

/** A card beside a place of the picture, in client pixels.
 *  @param {HTMLElement} root
 *  @returns {Tip} */
export function tooltip(root) {
  const el = h("div", { class: "c2vl-tip", role: "tooltip", "data-role": "tip", hidden: true });
  root.append(el);
  return {
    el,
    show(x, y, content) {
      el.replaceChildren(...[content].flat().filter(Boolean).map((c) => (c instanceof Node ? c : document.createTextNode(String(c)))));
      el.hidden = false;
      const box = root.getBoundingClientRect(), w = el.offsetWidth, tall = el.offsetHeight;
      let left = x - box.left + 14, top = y - box.top + 14;
      if (left + w > box.width - 4) left = Math.max(4, x - box.left - w - 14);
      if (top + tall > box.height - 4) top = Math.max(4, y - box.top - tall - 14);
      el.style.left = `${left}px`;
      el.style.top = `${top}px`;
    },
    hide() { el.hidden = true; },
  };
}

/** What the keys do, and the button that shows it.
 *  @param {[string, string][]} rows */
export function helpOf(rows) {
  const help = h("div", { class: "c2vl-help", "data-role": "help", hidden: true }, rows.map(([k, what]) => h("div", {}, h("kbd", {}, k), what)));
  const onClick = () => { help.hidden = !help.hidden; ask.set(!help.hidden); };
  const ask = button({ icon: "help", label: "keys", role: "help-button", key: "?", pressed: false, onClick });
  return { help, ask };
}
