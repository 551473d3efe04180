// @ts-check
/** What every widget has: its picture as a file, and the whole screen. */
import { button } from "./controls.js";
import { h } from "./dom.js";

/** @typedef {(ctx: CanvasRenderingContext2D, canvas: HTMLCanvasElement) => void} Add draws what stands over the canvas */

/** Hands a file to the browser's downloads.
 *  @param {Blob} blob @param {string} name */
function handOver(blob, name) {
  const address = URL.createObjectURL(blob);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** A PNG of the canvas.
 *  @param {HTMLCanvasElement} shown @param {string} name @param {Add} [add] */
function save(shown, name, add) {
  const copy = h("canvas", { width: shown.width, height: shown.height }), ctx = copy.getContext("2d");
  ctx?.drawImage(shown, 0, 0);
  if (ctx) add?.(ctx, copy);
  copy.toBlob((blob) => { if (blob) handOver(blob, `${name}.png`); });
}

/** @param {HTMLElement} root */
function toggleFull(root) {
  if (document.fullscreenElement === root) document.exitFullscreen();
  else root.requestFullscreen().catch(() => {});   // a frame may forbid it
}

/** @param {HTMLElement} root @param {() => HTMLCanvasElement} canvas @param {string} name of the file @param {Add} [add]
 *  @param {() => string} [lines] the picture as SVG, where that makes sense */
export function frameButtons(root, canvas, name, add, lines) {
  const onClick = () => { if (lines) handOver(new Blob([lines()], { type: "image/svg+xml" }), `${name}.svg`); };
  const picture = button({ icon: "save", label: "save the picture (PNG)", role: "save", onClick: () => save(canvas(), name, add) });
  const vector = button({ text: "SVG", label: "save the picture as lines (SVG)", role: "save-svg", onClick });
  vector.hidden = !lines;
  const full = button({ icon: "full", label: "full screen", role: "full", pressed: false, onClick: () => toggleFull(root) });
  full.hidden = !document.fullscreenEnabled;
  root.addEventListener("fullscreenchange", () => {
    const on = document.fullscreenElement === root;
    full.set(on, "full", on ? "leave the full screen" : "full screen");
    root.dataset.full = String(on);
  });
  return { picture, vector, full };
}
