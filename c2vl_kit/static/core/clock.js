// @ts-check
/** Time: frames that go by, or stand still. */
import { SHARED } from "./shared.js";

/** @typedef {"tick" | "seek" | "play" | "pause" | "set"} What */
/** @typedef {{frames?: number, fps?: number, speed?: number, loop?: boolean}} Pace */

export class Clock {
  /** @param {Pace} pace */
  constructor({ frames = 1, fps = 30, speed = 1, loop = true } = {}) {
    this.frames = frames;
    this.fps = fps;
    this.speed = speed;
    this.loop = loop;
    this.frame = 0;   // a fraction lies between two
    this.playing = false;
    /** @type {Set<(clock: Clock, what: What) => void>} */
    this.heard = new Set();
    this.wake = 0;
    this.last = 0;
    /** @type {(() => void) | undefined} */
    this.forget = undefined;
    this.tick = this.tick.bind(this);
  }
  get index() { return Math.min(this.frames - 1, Math.max(0, Math.floor(this.frame + 1e-6))); }
  /** @param {(clock: Clock, what: What) => void} fn
   *  @returns {() => void} what stops it */
  on(fn) {
    this.heard.add(fn);
    return () => {
      this.heard.delete(fn);
      if (!this.heard.size) { this.pause(); this.forget?.(); }
    };
  }
  /** @param {What} what */
  tell(what) { for (const fn of [...this.heard]) fn(this, what); }
  /** @param {Pace} change */
  set(change) {
    Object.assign(this, change);
    this.frame = Math.min(this.frame, this.frames - 1);
    this.tell("set");
  }
  play() {
    if (this.playing || this.frames < 2) return;
    if (!this.loop && this.index >= this.frames - 1) this.frame = 0;
    this.playing = true;
    this.last = 0;
    this.wake = requestAnimationFrame(this.tick);
    this.tell("play");
  }
  pause() {
    if (!this.playing) return;
    this.playing = false;
    cancelAnimationFrame(this.wake);
    this.frame = this.index;
    this.tell("pause");
  }
  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }
  /** @param {number} f */
  seek(f) {
    this.frame = Math.min(this.frames - 1, Math.max(0, f));
    this.tell("seek");
  }
  /** @param {number} f stands still there */
  stop(f) {
    this.pause();
    this.seek(f);
  }
  /** @param {number} n */
  step(n) {
    this.pause();
    const to = this.index + n;
    this.seek(this.loop ? ((to % this.frames) + this.frames) % this.frames : to);
  }
  /** @param {number} now */
  tick(now) {
    if (!this.playing) return;
    const seconds = this.last ? Math.min(0.25, (now - this.last) / 1000) : 0;   // a tab that slept does not jump
    this.last = now;
    this.frame += seconds * this.fps * this.speed;
    if (this.frame >= this.frames) {
      if (this.loop) this.frame %= this.frames;
      else { this.frame = this.frames - 1; this.tell("tick"); this.pause(); return; }
    }
    this.wake = requestAnimationFrame(this.tick);
    this.tell("tick");
  }
}

/** One clock for each key on a browser page, for two views of one widget.
 *  @param {string} key @param {Pace} init
 *  @returns {Clock} */
export function sharedClock(key, init) {
  if (!key) return new Clock(init);
  if (!SHARED.clocks.has(key)) SHARED.clocks.set(key, Object.assign(new Clock(init), { forget: () => SHARED.clocks.delete(key) }));
  return SHARED.clocks.get(key);
}
