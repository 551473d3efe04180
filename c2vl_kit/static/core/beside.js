// @ts-check
/** Cards that do not cover what they speak of. */

/** Puts a card beside a place of a picture: on the side with the most room, left or right first, and never over the place itself.
 *  @param {HTMLElement} root what the card is positioned in @param {HTMLElement} picture @param {HTMLElement} card
 *  @param {number} x @param {number} y in the picture's pixels @param {number} gap pixels that stay free around the place */
export function beside(root, picture, card, x, y, gap) {
  const outer = root.getBoundingClientRect(), inner = picture.getBoundingClientRect(), w = card.offsetWidth, tall = card.offsetHeight;
  const px = inner.left - outer.left + x, py = inner.top - outer.top + y, wide = outer.width, high = Math.max(outer.height, inner.height);
  /** @param {number} v @param {number} size @param {number} most */
  const within = (v, size, most) => Math.max(4, Math.min(most - size - 4, v));
  const across = within(px - w / 2, w, wide), down = within(py - tall / 2, tall, high);
  const ways = [{ room: wide - px - gap - w, left: px + gap, top: down }, { room: px - gap - w, left: px - gap - w, top: down }].filter((way) => way.room >= 4);
  const [side] = ways.sort((a, b) => b.room - a.room), below = high - py > py;
  const place = side ?? { left: across, top: below ? py + gap : py - gap - tall };
  card.style.left = `${place.left}px`;
  card.style.top = `${place.top}px`;
}
