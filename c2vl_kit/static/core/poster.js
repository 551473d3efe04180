// @ts-check
/** In a notebook a still picture stands above each widget, for readers without a kernel. While the widget lives it is hidden. */

/** @typedef {import("./model.js").Model} Model */

/** @param {Model} model
 *  @returns {HTMLElement[]} */
function postersOf(model) {
  const id = model.get("poster");
  if (!id) return [];
  return /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-c2vl-poster]")].filter((el) => /** @type {HTMLElement} */ (el).dataset.c2vlPoster === id));
}

/** Hides what stands in for this widget; where the kernel goes, the words of it come back.
 *  @param {Model} model
 *  @returns {() => void} what shows it again */
export function replacePoster(model) {
  /** @param {"live" | "gone" | "still"} state */
  const show = (state) => { for (const el of postersOf(model)) el.dataset.shows = state; };
  const gone = () => show("gone");
  show("live");
  model.on("comm_live_update", gone);
  model.on("comm:close", gone);
  return () => {
    model.off("comm_live_update", gone);
    model.off("comm:close", gone);
    show("still");
  };
}
