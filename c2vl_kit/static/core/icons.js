// @ts-check
/** Small pictures of buttons, as paths in a box of 16 × 16. */

/** @type {Record<string, string>} */
const ICONS = {
  play: "M4 2.5v11l9-5.5z",
  pause: "M4 2.5h3v11H4zM9 2.5h3v11H9z",
  prev: "M3 3h2v10H3zM13 3v10L6 8z",
  next: "M11 3h2v10h-2zM3 3v10l7-5z",
  loop: "M8 2.5V.5L11.5 3.5 8 6.5v-2A3.7 3.7 0 0 0 5 10.3l-1.3 1.3A5.6 5.6 0 0 1 8 2.5zM12.3 4.4A5.6 5.6 0 0 1 8 13.5v2l-3.5-3L8 9.5v2a3.7 3.7 0 0 0 3-5.8z",
  grid: "M1 4h14v1.2H1zM1 10.8h14V12H1zM4 1h1.2v14H4zM10.8 1H12v14h-1.2z",
  reset: "M8 3V.5L3.8 4 8 7.5V5a3.5 3.5 0 1 1-3.5 3.5h-2A5.5 5.5 0 1 0 8 3z",
  trail: "M1 12c3 0 3-7 6-7s2 4 4 4 2-2 4-5v3c-2 3-2.500 4-4 4-3 0-2-4-4-4S5 14 1 14z",
  ghost: "M3 14V7a5 5 0 0 1 10 0v7l-2-1.5L9.500 14 8 12.500 6.500 14 5 12.500z",
  follow: "M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM7.300 0h1.400v3H7.300zM7.300 13h1.400v3H7.300zM0 7.300h3v1.400H0zM13 7.300h3v1.400h-3z",
  search: "M6.500 1a5.500 5.500 0 0 1 4.300 8.900l4 4-1 1-4-4A5.500 5.500 0 1 1 6.500 1zm0 1.500a4 4 0 1 0 0 8 4 4 0 0 0 0-8z",
  help: "M5 5a3 3 0 1 1 4.200 2.800c-.3.2-.4.4-.4.8V10H7.200V8.600c0-1 .5-1.600 1.200-2A1.400 1.400 0 1 0 6.600 5zM7.200 11.500h1.600v1.700H7.200z",
  lasso: "M8 2c4 0 7 2 7 4.500S12 11 8 11c-.8 0-1.500 0-2.200-.2.5 1.600-.3 3.200-2.300 3.700l-.4-1.200c1.500-.4 1.800-1.500 1-2.900C2.200 9.600 1 8.200 1 6.500 1 4 4 2 8 2zm0 1.400c-3.200 0-5.600 1.400-5.600 3.100S4.800 9.600 8 9.600s5.600-1.400 5.600-3.100S11.200 3.400 8 3.400z",
  save: "M7.200 1h1.600v6.200L11 5l1.100 1.100L8 10.200 3.900 6.100 5 5l2.200 2.200zM2 9.500h1.600v3.900h8.800V9.500H14V15H2z",
  full: "M1 1h5v1.600H2.600V6H1zM10 1h5v5h-1.600V2.600H10zM1 10h1.600v3.400H6V15H1zM13.400 10H15v5h-5v-1.600h3.400z",
};

/** @param {string} name */
export function icon(name) {
  const ns = "http://www.w3.org/2000/svg", svg = document.createElementNS(ns, "svg"), path = document.createElementNS(ns, "path");
  for (const [k, v] of [["viewBox", "0 0 16 16"], ["width", "16"], ["height", "16"], ["aria-hidden", "true"]]) svg.setAttribute(k, v);
  path.setAttribute("d", ICONS[name] ?? "");
  svg.append(path);
  return svg;
}
