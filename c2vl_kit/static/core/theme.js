// @ts-check
/** Light and dark. */

/** @typedef {Record<"ink" | "soft" | "faint" | "paper" | "panel" | "line" | "accent" | "left" | "right" | "trunk" | "head" | "leftLeg" | "rightLeg",
 *  string> & {dark: boolean, persons: string[]}} Theme */

/** @type {Theme} */
const LIGHT = {
  dark: false, ink: "#1d2733", soft: "#5a6672", faint: "#8a949e", paper: "#ffffff", panel: "#f5f7f9", line: "#d3d8de", accent: "#0072B2",
  left: "#0072B2", right: "#D55E00", trunk: "#5A5A5A", head: "#5A5A5A", leftLeg: "#56B4E9", rightLeg: "#E69F00",
  persons: ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"],
};
/** @type {Theme} */
const DARK = {
  dark: true, ink: "#e8edf2", soft: "#aab4be", faint: "#8a949e", paper: "#14191f", panel: "#1d242c", line: "#38424d", accent: "#56B4E9",
  left: "#56B4E9", right: "#F08A3C", trunk: "#C4CBD2", head: "#C4CBD2", leftLeg: "#9AD4F5", rightLeg: "#F3C14B",
  persons: ["#56B4E9", "#F08A3C", "#2FC79A", "#E29BC4", "#F3C14B", "#9AD4F5"],
};

export function isDark() {
  const { body, documentElement } = document, forced = documentElement.dataset.theme;
  if (body?.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  if (forced === "dark" || forced === "light") return forced === "dark";
  if (body?.classList.contains("vscode-dark")) return true;
  if (body?.classList.contains("vscode-light")) return false;
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

export const themeOf = () => (isDark() ? DARK : LIGHT);

/** Calls when the page turns light or dark.
 *  @param {() => void} fn
 *  @returns {() => void} what stops it */
export function onTheme(fn) {
  const media = matchMedia("(prefers-color-scheme: dark)"), watch = new MutationObserver(fn);
  media.addEventListener("change", fn);
  watch.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "class"] });
  watch.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  return () => { media.removeEventListener("change", fn); watch.disconnect(); };
}

/** Who asks for calm gets no movement. */
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
