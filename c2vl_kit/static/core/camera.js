// @ts-check
/** From metres to pixels. `project` of the package's stills does the same in Python. */

/** @typedef {{yaw?: number, pitch?: number, zoom?: number, pan?: number[]}} CameraState degrees; parts of the shorter side */
/** @typedef {{centre: number[], half: number[], front?: number[], fit?: number[]}} Aim half: [across, up] */

/** @type {Record<string, [number, number]>} */
export const VIEWS = { "three-quarter": [25, 12], front: [0, 0], side: [90, 0], back: [180, 0], top: [0, 90] };

export class Camera {
  /** @param {CameraState} state */
  constructor(state = {}) {
    this.yaw = this.pitch = 0;
    this.zoom = 1;
    this.pan = [0, 0];
    this.centre = this.right = this.up = this.toward = [0, 0, 0];
    this.x = this.y = this.w = this.h = this.side = this.far = this.scale = 0;
    this.load(state);
  }
  /** @param {CameraState} state */
  load({ yaw = 25, pitch = 12, zoom = 1, pan = [0, 0] } = {}) { Object.assign(this, { yaw, pitch, zoom, pan: [...pan] }); }
  state() {
    /** @param {number} x */
    const cut = (x) => Math.round(x * 1e4) / 1e4;
    return { yaw: cut(this.yaw), pitch: cut(this.pitch), zoom: cut(this.zoom), pan: this.pan.map(cut) };
  }
  /** @param {string} name */
  preset(name) { if (VIEWS[name]) [this.yaw, this.pitch] = VIEWS[name]; }
  get view() { return Object.keys(VIEWS).find((k) => VIEWS[k][0] === this.yaw && VIEWS[k][1] === this.pitch) ?? ""; }
  /** @param {number} dx @param {number} dy */
  orbit(dx, dy) {
    this.yaw = ((((this.yaw - dx * 0.5 + 180) % 360) + 360) % 360) - 180;
    this.pitch = Math.max(-90, Math.min(90, this.pitch + dy * 0.5));
  }
  /** @param {number} factor @param {number} [x] @param {number} [y] what lies under this place stays there */
  zoomBy(factor, x, y) {
    const was = this.zoom;
    this.zoom = Math.max(0.2, Math.min(12, was * factor));
    if (x === undefined || y === undefined || !this.side) return;
    const grow = this.zoom / was;
    [x - this.x - this.w / 2, y - this.y - this.h / 2].forEach((p, c) => { this.pan[c] = p / this.side * (1 - grow) + this.pan[c] * grow; });
  }
  /** @param {number} dx @param {number} dy */
  panBy(dx, dy) {
    const s = this.side || 400;
    this.pan = [this.pan[0] + dx / s, this.pan[1] + dy / s];
  }
  /** Looks at a scene within a rectangle of pixels.
   *  @param {Aim} scene @param {number} x @param {number} y @param {number} w @param {number} tall */
  aim({ centre, half, front = [0, 1], fit = half }, x, y, w, tall) {
    const turn = this.yaw * Math.PI / 180, tilt = this.pitch * Math.PI / 180, c = Math.cos(turn), s = Math.sin(turn);
    const vx = front[0] * c - front[1] * s, vz = front[1] * c + front[0] * s, ct = Math.cos(tilt), st = Math.sin(tilt);
    Object.assign(this, { centre, x, y, w, h: tall, side: Math.min(w, tall) });
    this.right = [vz, 0, -vx];
    this.up = [-vx * st, ct, -vz * st];
    this.toward = [vx * ct, st, vz * ct];
    this.scale = this.zoom * 0.88 * Math.min(w / 2 / fit[0], tall / 2 / (fit[1] + 0.3 * fit[0]));   // room for a little tilt and depth
    this.far = 6 * Math.hypot(fit[0], fit[1]);
    return this;
  }
  /** Writes px, py, depth behind out[k]; returns the pixels of a metre there.
   *  @param {number} x @param {number} y @param {number} z @param {number[] | Float32Array} out @param {number} k */
  put(x, y, z, out, k) {
    const dx = x - this.centre[0], dy = y - this.centre[1], dz = z - this.centre[2], r = this.right, u = this.up, t = this.toward;
    const depth = dx * t[0] + dy * t[1] + dz * t[2], px = this.scale * this.far / Math.max(0.2 * this.far, this.far - depth);
    out[k] = this.x + this.w / 2 + this.pan[0] * this.side + (dx * r[0] + dy * r[1] + dz * r[2]) * px;
    out[k + 1] = this.y + this.h / 2 + this.pan[1] * this.side - (dx * u[0] + dy * u[1] + dz * u[2]) * px;
    out[k + 2] = depth;
    return px;
  }
  /** @param {number[]} p
   *  @returns {number[]} px, py, depth, pixels of a metre */
  project(p) {
    const out = [0, 0, 0, 0];
    out[3] = this.put(p[0], p[1], p[2], out, 0);
    return out;
  }
}
