// @ts-check
/** Colours of words, and colours as pixels. */
import { category } from "../core/colour.js";

const GREYS = { dark: ["#b8c2cc", "#e4e8ec", "#7d8894", "#f4f6f8"], light: ["#66727f", "#a9b1b9", "#3c444c", "#ced3d8"] };

/** A colour as one little-endian pixel.
 *  @param {string} css "#rrggbb" or "rgb(r,g,b)" */
export function packed(css) {
  const [r, g, b] = css[0] === "#" ? [1, 3, 5].map((k) => parseInt(css.slice(k, k + 2), 16)) : (css.match(/\d+/g) ?? []).map(Number);
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

/** Seven hues in four shades; no yellow, no black.
 *  @param {number} level @param {boolean} dark */
function hueOf(level, dark) {
  const hue = level % 7, shade = Math.floor(level / 7) % 4;
  return hue < 6 ? category(hue + 8 * shade, dark) : GREYS[dark ? "dark" : "light"][shade];
}

/** @type {Record<string, string>} */
const VERDICTS = { right: "#009E73", wrong: "#D55E00" };

/** The colours of a column's words; right and wrong have their own.
 *  @param {import("./state.js").Words} c @param {boolean} dark */
export function paletteOf(c, dark) {
  const judges = c.levels.every((word) => word in VERDICTS);
  return c.levels.map((word, l) => (judges ? VERDICTS[word] : hueOf(l, dark)));
}
