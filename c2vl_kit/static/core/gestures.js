// @ts-check
/** Mouse, pen and fingers on a picture. Left drag = drag; right, middle or shift drag = pan; wheel (once focused, or with Ctrl) and
 *  pinch = zoom. What a second finger or a scrolling page ends is cancelled, not dropped. Places are in the element's pixels. */

/** @typedef {{drag?(dx: number, dy: number, e: PointerEvent): void, drop?(e: PointerEvent): void, cancel?(): void,
 *  pan?(dx: number, dy: number, e: PointerEvent): void, zoom?(factor: number, x?: number, y?: number): void,
 *  hover?(x: number, y: number, e: PointerEvent): void, leave?(): void, tap?(x: number, y: number, e: PointerEvent): void,
 *  twice?(x: number, y: number, e: PointerEvent): void}} Gestures */

class Hand {
  /** @param {HTMLElement} el @param {Gestures} on */
  constructor(el, on) {
    this.el = el;
    this.on = on;
    /** @type {Map<number, {x: number, y: number}>} */
    this.down = new Map();
    this.moved = 0;
    this.gap = 0;
    this.lastTap = -Infinity;
    this.pans = false;
    this.begun = false;
    this.ended = false;
  }
  /** @param {MouseEvent} e
   *  @returns {[number, number]} */
  at(e) {
    const box = this.el.getBoundingClientRect();
    return [e.clientX - box.left, e.clientY - box.top];
  }
  spread() {
    const [a, b] = [...this.down.values()];
    return { gap: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  }
  /** @param {PointerEvent} e */
  pointerdown(e) {
    if (e.pointerType !== "touch") this.el.focus({ preventScroll: true });   // a finger may be about to scroll the page
    this.el.setPointerCapture(e.pointerId);
    const [x, y] = this.at(e);
    this.down.set(e.pointerId, { x, y });
    if (this.down.size === 1) {
      this.moved = 0;
      this.begun = this.ended = false;
      this.pans = e.button !== 0 || e.shiftKey;
    }
    if (this.down.size === 2) {
      if (this.begun) this.on.cancel?.();
      this.ended = true;
      this.gap = this.spread().gap;
    }
    if (e.button === 1) e.preventDefault();
  }
  /** @param {PointerEvent} e */
  pointermove(e) {
    const [x, y] = this.at(e), was = this.down.get(e.pointerId);
    if (!was) { this.on.hover?.(x, y, e); return; }
    const dx = x - was.x, dy = y - was.y;
    this.moved += Math.abs(dx) + Math.abs(dy);
    if (this.down.size === 1) this.one(e, { x, y }, dx, dy);
    else if (this.down.size === 2) this.two(e, { x, y });
  }
  /** @param {PointerEvent} e @param {{x: number, y: number}} to @param {number} dx @param {number} dy */
  one(e, to, dx, dy) {
    if (this.moved > 3 && !this.begun) {
      this.begun = true;
      const scrolls = e.pointerType === "touch" && Math.abs(dy) > Math.abs(dx);
      if (scrolls && getComputedStyle(this.el).touchAction === "pan-y") this.ended = true;
    }
    this.down.set(e.pointerId, to);
    if (this.moved <= 3 || this.ended) return;
    if (this.pans) this.on.pan?.(dx, dy, e);
    else this.on.drag?.(dx, dy, e);
  }
  /** @param {PointerEvent} e @param {{x: number, y: number}} to */
  two(e, to) {
    const before = this.spread();
    this.down.set(e.pointerId, to);
    const after = this.spread();
    this.on.pan?.(after.x - before.x, after.y - before.y, e);
    if (this.gap > 10 && after.gap > 10) this.on.zoom?.(after.gap / this.gap, after.x, after.y);
    this.gap = after.gap;
    this.moved = 99;
  }
  /** @param {PointerEvent} e */
  pointerup(e) {
    if (!this.down.delete(e.pointerId)) return;
    if (this.down.size === 2) this.gap = this.spread().gap;
    if (this.down.size || this.ended) return;
    if (this.moved > 3) { this.on.drop?.(e); return; }
    if (e.pointerType === "touch") this.el.focus({ preventScroll: true });
    if (e.button !== 0) return;
    const [x, y] = this.at(e), now = performance.now();
    if (now - this.lastTap < 350 && this.on.twice) this.on.twice(x, y, e);
    else this.on.tap?.(x, y, e);
    this.lastTap = now;
  }
  /** @param {PointerEvent} e */
  pointercancel(e) {
    if (!this.down.delete(e.pointerId)) return;
    this.ended = true;
    this.on.cancel?.();
  }
  /** @param {PointerEvent} e */
  pointerleave(e) { if (!this.down.size && e.pointerType !== "touch") this.on.leave?.(); }   // a lifted finger leaves its card
  /** @param {MouseEvent} e */
  contextmenu(e) { e.preventDefault(); }
  /** @param {WheelEvent} e */
  wheel(e) {
    if (!this.on.zoom || (document.activeElement !== this.el && !e.ctrlKey)) return;   // an unfocused picture lets the page scroll
    e.preventDefault();
    const lines = e.deltaMode === 1 ? 16 : 1;
    this.on.zoom(Math.exp(-Math.max(-120, Math.min(120, e.deltaY * lines)) / 400), ...this.at(e));
  }
}

const EVENTS = /** @type {const} */ (["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerleave", "contextmenu", "wheel"]);

/** @param {HTMLElement} el @param {Gestures} on
 *  @returns {() => void} what stops it */
export function gestures(el, on) {
  const hand = new Hand(el, on);
  const heard = EVENTS.map((name) => /** @type {const} */ ([name, (/** @type {any} */ e) => hand[name](e)]));
  for (const [name, fn] of heard) el.addEventListener(name, fn, { passive: false });
  return () => { for (const [name, fn] of heard) el.removeEventListener(name, fn); };
}
