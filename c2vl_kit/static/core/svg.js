// @ts-check
/** A pen with the part of a canvas's language that the widgets speak; it writes SVG, so that one function draws both. */

/** @typedef {{fillStyle: string, strokeStyle: string, lineWidth: number, lineCap: string, globalAlpha: number, font: string, textAlign: string,
 *  textBaseline: string, dash: number[], turn: string, open: number}} Look */

/** @param {number} x */
const n = (x) => String(Math.round(x * 100) / 100);
/** @param {string} text */
const safe = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`).replace(/[^\t\n\r -\uFFFD\u{10000}-\u{10FFFF}]/gu, "");
/** @param {string} name @param {Record<string, string | number>} attributes */
const tag = (name, attributes) => `<${name} ${Object.entries(attributes).map(([k, v]) => `${k}="${typeof v === "number" ? n(v) : v}"`).join(" ")}`;
/** What another element of the picture is called. @param {string} id */
const local = (id) => ["url", `(#${id})`].join("");
/** @type {Record<string, string>} */
const ANCHORS = { right: "end", center: "middle" };

export class SvgPen {
  /** @param {number} w @param {number} tall */
  constructor(w, tall) {
    this.w = w;
    this.tall = tall;
    /** @type {string[]} */
    this.out = [];
    this.path = "";
    /** @type {Look[]} */
    this.kept = [];
    this.clips = 0;
    this.fillStyle = this.strokeStyle = "#000000";
    this.lineWidth = this.globalAlpha = 1;
    this.lineCap = "butt";
    this.font = "11px sans-serif";
    this.textAlign = "left";
    this.textBaseline = "alphabetic";
    this.turn = "";
    this.open = 0;
    this.imageSmoothingEnabled = true;
    /** @type {number[]} */
    this.dash = [];
    this.ruler = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  }
  /** @param {string} element */
  put(element) { this.out.push(this.turn ? `<g transform="${this.turn.trim()}">${element}</g>` : element); }
  get ink() { return `fill="${this.fillStyle}"${this.globalAlpha < 1 ? ` opacity="${n(this.globalAlpha)}"` : ""}`; }
  get line() {
    const dash = this.dash.length ? ` stroke-dasharray="${this.dash.map(n).join(" ")}"` : "", pale = this.globalAlpha < 1 ? ` opacity="${n(this.globalAlpha)}"` : "";
    return `fill="none" stroke="${this.strokeStyle}" stroke-width="${n(this.lineWidth)}" stroke-linecap="${this.lineCap}"${dash}${pale}`;
  }
  save() {
    const { fillStyle, strokeStyle, lineWidth, lineCap, globalAlpha, font, textAlign, textBaseline, dash, turn, open } = this;
    this.kept.push({ fillStyle, strokeStyle, lineWidth, lineCap, globalAlpha, font, textAlign, textBaseline, dash, turn, open });
    this.open = 0;
  }
  restore() {
    this.out.push("</g>".repeat(this.open));
    Object.assign(this, this.kept.pop());
  }
  /** @param {number} x @param {number} y */
  translate(x, y) { this.turn += ` translate(${n(x)} ${n(y)})`; }
  /** @param {number} angle */
  rotate(angle) { this.turn += ` rotate(${n(angle * 180 / Math.PI)})`; }
  beginPath() { this.path = ""; }
  /** @param {number} x @param {number} y */
  moveTo(x, y) { this.path += `M${n(x)} ${n(y)}`; }
  /** @param {number} x @param {number} y */
  lineTo(x, y) { this.path += `${this.path ? "L" : "M"}${n(x)} ${n(y)}`; }
  closePath() { this.path += "Z"; }
  /** @param {number} x @param {number} y @param {number} w @param {number} h */
  rect(x, y, w, h) { this.path += `M${n(x)} ${n(y)}h${n(w)}v${n(h)}h${n(-w)}Z`; }
  /** Whole circles alone.
   *  @param {number} x @param {number} y @param {number} r */
  arc(x, y, r) { this.path += `M${n(x - r)} ${n(y)}a${n(r)} ${n(r)} 0 1 0 ${n(2 * r)} 0a${n(r)} ${n(r)} 0 1 0 ${n(-2 * r)} 0`; }
  stroke() { if (this.path) this.put(`<path d="${this.path}" ${this.line}/>`); }
  fill() { if (this.path) this.put(`<path d="${this.path}" ${this.ink}/>`); }
  clip() {
    const id = `c2vl-clip-${this.clips++}`;
    this.out.push(`<clipPath id="${id}"><path d="${this.path}"${this.turn ? ` transform="${this.turn.trim()}"` : ""}/></clipPath>${tag("g", { "clip-path": local(id) })}>`);
    this.open += 1;
  }
  /** @param {number[]} dash */
  setLineDash(dash) { this.dash = dash; }
  clearRect() {}
  /** @param {number} x @param {number} y @param {number} w @param {number} h */
  fillRect(x, y, w, h) { this.put(`<rect x="${n(x)}" y="${n(y)}" width="${n(w)}" height="${n(h)}" ${this.ink}/>`); }
  /** @param {number} x @param {number} y @param {number} w @param {number} h */
  strokeRect(x, y, w, h) { this.put(`<rect x="${n(x)}" y="${n(y)}" width="${n(w)}" height="${n(h)}" ${this.line}/>`); }
  /** @param {string} text @param {number} x @param {number} y @param {number} [most] pixels */
  fillText(text, x, y, most) {
    const anchor = ANCHORS[this.textAlign] ?? "start", size = /(\d+)px/.exec(this.font)?.[1] ?? "11", bold = /^[67]00/.test(this.font) ? ' font-weight="600"' : "";
    const down = this.textBaseline === "middle" ? 0.35 * Number(size) : 0, tight = most && this.measureText(text).width > most ? ` textLength="${n(most)}" lengthAdjust="spacingAndGlyphs"` : "";
    this.put(`<text x="${n(x)}" y="${n(y + down)}" font-size="${size}"${bold} text-anchor="${anchor}"${tight} ${this.ink}>${safe(text)}</text>`);
  }
  /** @param {string} text */
  measureText(text) {
    this.ruler.font = this.font;
    return this.ruler.measureText(text);
  }
  /** @param {HTMLCanvasElement} image @param {number} sx @param {number} sy @param {number} sw @param {number} sh
   *  @param {number} x @param {number} y @param {number} w @param {number} h */
  drawImage(image, sx, sy, sw, sh, x, y, w, h) {
    const part = document.createElement("canvas"), k = Math.max(1, Math.min(8, Math.round(w / sw))), ctx = part.getContext("2d");
    part.width = Math.round(sw * k);
    part.height = Math.round(sh * k);
    if (!ctx) return;
    ctx.imageSmoothingEnabled = false;
    ctx.drawImage(image, sx, sy, sw, sh, 0, 0, part.width, part.height);
    this.put(`${tag("image", { x, y, width: w, height: h, preserveAspectRatio: "none", style: "image-rendering:pixelated", href: part.toDataURL() })}/>`);
  }
  toString() {
    const head = `xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${n(this.w)} ${n(this.tall)}" width="${n(this.w)}" height="${n(this.tall)}"`;
    return `<svg ${head} font-family="system-ui, sans-serif">${this.out.join("")}</svg>`;
  }
}

/** What functions draw for a canvas, one under the other, as SVG.
 *  @param {{draw: (ctx: any, w: number, tall: number) => void, w: number, tall: number}[]} parts */
export function svgOf(parts) {
  const pen = new SvgPen(Math.max(...parts.map((p) => p.w)), parts.reduce((sum, p) => sum + p.tall, 0));
  let y = 0;
  for (const { draw, w, tall } of parts) {
    pen.save();
    pen.translate(0, y);
    draw(pen, w, tall);
    pen.restore();
    y += tall;
  }
  return String(pen);
}
