// @ts-check
/** Names that have little room. */

/** @param {string} text @param {number} most @param {(text: string) => number} width @param {(keep: number) => string} cut */
function longest(text, most, width, cut) {
  let keep = text.length - 1;
  while (keep > 1 && width(cut(keep)) > most) keep -= 1;
  return cut(keep);
}

/** Names cut to a width that stay different: where two would read alike, their middles go.
 *  @param {string[]} names @param {number} most @param {(text: string) => number} width
 *  @returns {Map<string, string>} */
export function cutNames(names, most, width) {
  const all = [...new Set(names)], fits = (/** @type {string} */ text) => width(text) <= most;
  const ends = new Map(all.map((text) => [text, fits(text) ? text : longest(text, most, width, (n) => `${text.slice(0, n).trimEnd()}…`)]));
  const shown = [...ends.values()], alike = (/** @type {string} */ text) => shown.indexOf(text) !== shown.lastIndexOf(text);
  return new Map(all.map((text) => {
    const end = ends.get(text) ?? text;
    if (!alike(end)) return [text, end];
    return [text, longest(text, most, width, (n) => `${text.slice(0, Math.floor(n / 3))}…${text.slice(text.length - (n - Math.floor(n / 3)))}`)];
  }));
}

/** Places in ascending order, moved as little as keeps them a gap apart between two ends.
 *  @param {number[]} wanted @param {number} gap @param {number} lo @param {number} hi */
export function spread(wanted, gap, lo, hi) {
  /** @type {number[]} */
  const at = [];
  for (const y of wanted) at.push(Math.max(y, at.length ? at[at.length - 1] + gap : lo));
  let end = hi;
  for (let i = at.length - 1; i >= 0; i--) {
    at[i] = Math.min(at[i], end);
    end = at[i] - gap;
  }
  return at;
}
