// @ts-check
/** Texts that leave the page: as a file, or on the clipboard. */
import { h } from "./dom.js";

/** Hands a text to the browser's downloads.
 *  @param {string} text @param {string} name of the file @param {string} type */
export function saveText(text, name, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Copies a text, also where the browser keeps its clipboard from pages in frames.
 *  @param {string} text @param {HTMLElement} near where a field may stand for a moment
 *  @returns {Promise<boolean>} whether it worked */
export const copyText = async (text, near) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = h("textarea", { "aria-hidden": "true", class: "c2vl-live" });
    field.value = text;
    near.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
};
