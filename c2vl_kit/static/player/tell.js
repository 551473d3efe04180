// @ts-check
/** What is said of a joint: the card beside it, and the line for who listens. */
import { fmt } from "../core/colour.js";
import { h } from "../core/dom.js";
import { scalarOf, shownFrame, titleOf, valueAt } from "./state.js";

/** @typedef {import("./state.js").Player} Player */
/** @typedef {import("./state.js").Hit} Hit */

/** @param {Hit} hit */
function placeOf({ panel, m, v }) {
  const { clip } = panel, j = (shownFrame(panel) * clip.M + m) * clip.V + v;
  return { seen: clip.seen[j], metres: [0, 1, 2].map((c) => clip.xyz[j * 3 + c].toFixed(3)).join(", ") };
}

/** @param {string} name @param {any} value */
const row = (name, value) => h("div", {}, h("span", {}, `${name} `), value);

/** @param {Player} s @param {Hit} hit */
function scalarRows(s, { panel, m, v }) {
  const sure = s.scalars.find((one) => one.name === "confidence"), by = scalarOf(s), f = shownFrame(panel);
  const rows = sure?.of[panel.at] ? [row("confidence", fmt(valueAt(sure, panel, f, m, v)))] : [];
  if (!by || by === sure) return rows;
  const value = valueAt(by, panel, f, m, v), unit = by.unit && !Number.isNaN(value) ? ` ${by.unit}` : "";
  return [...rows, row(by.name, fmt(value) + unit)];
}

/** The card beside the joint that is pointed at; it follows the joint while playing.
 *  @param {Player} s @param {Hit} hit */
export function tell(s, hit) {
  const { panel, m, v } = hit, { clip, points } = panel, k = (m * clip.V + v) * 3, at = placeOf(hit);
  if (!at.seen || !points) {
    s.hover = null;
    s.tip.hide();
    return;
  }
  const box = s.face.canvas.getBoundingClientRect();
  s.tip.show(box.left + points[k], box.top + points[k + 1], [h("b", {}, `${v} ${clip.layout.joints[v]}`), clip.M > 1 ? row("person", m + 1) : null,
    row("xyz", `${at.metres} m`), at.seen === 2 ? row("not seen,", "place guessed") : null, ...scalarRows(s, hit)]);
}

/** @param {Player} s @param {Hit} hit */
export function sayJoint(s, hit) {
  const { panel, m, v } = hit, { clip } = panel, at = placeOf(hit);
  const clipText = s.panels.length > 1 ? `${titleOf(clip)}, ` : "", person = clip.M > 1 ? `person ${m + 1}, ` : "";
  s.frame.say(`${clipText}${person}${clip.layout.joints[v]}: ${at.metres} metres${at.seen === 2 ? ", place guessed" : ""}`);
}
