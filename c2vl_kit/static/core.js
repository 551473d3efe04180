/* What every widget of the kit shares: drawing, time, pointing, linking, and the controls around a picture.

Plain top-level names, no import and no export: Python joins `core.js + WIDGET.js + "export default {render: renderWIDGET};"` into the
ES module of a live widget, and the same text goes into offline pages. A widget is ONE function `renderWIDGET({model, el})` that
returns a function which ends it. A widget's file keeps its helpers inside that function or gives them its own prefix.
Strings from data (names, prompts) only ever become text nodes or attribute values, never markup.

MODEL (same in both worlds: anywidget's)
  offlineModel(state)            get(k) set(k, v) save_changes() on("change:k", fn) off(name?, fn?); {"$b64": …} becomes a DataView
  bytes(view, Type, count?, at?) DataView | ArrayBuffer | typed array | base64 string → Type (Float32Array, Int16Array, Uint8Array …)
  talk(model, ends)              → {push({trait: value}), listen("trait trait", fn)}: a widget does not hear what it pushed itself; fn(true) where no widget pushed it,
                                 so it came from Python; ends gets what stops the listening
  mountOffline(renders)          draws every element of a page with data-c2vl-widget="player" data-state="ID" from the JSON script of that ID
LINK (in the browser, no kernel)
  link(group, name)              → {group, name, on(topic, fn(data, from)) → off, emit(topic, data), move(group), close()}; "" = alone
                                 topics: "hover" {name | null}, "pick" {names: [a, b]}, "select" {names}; a member never hears itself
  joinGroup(model, name)         the same, following the model's trait `group`
TIME
  new Clock({frames, fps, speed, loop})   .frame (float) .index (int) .playing; play() pause() toggle() seek(f) step(n) set({…})
                                 on(fn(clock, what)) → off; what: "tick" | "seek" | "play" | "pause" | "set"
  sharedClock(key, init)         one Clock per key on the page, e.g. for two views of one widget
DOM AND CONTROLS (keyboard reachable, aria labels, data-role for tests)
  h(tag, attrs, ...children)     element; attrs: class, style {…}, onclick fn, "data-x", aria-x, true/false; children: text, nodes, lists, null
  rootOf(el, cls, label)         empties el, puts the widget's root there: theme, aria label, keys not taken by JupyterLab → {root, theme(), say(text), end(fn), close()}
  icon(name), button({icon, label, text, role, key, pressed, onClick}) (.set(pressed, icon, label)), slider({label, role, min, max, step, value, text, onInput}) (.set(v), .input)
  select({label, role, options: [{value, label}], value, onChange}) (.set(v), .fill(options, v)), legend({label, role, items: [{key, label, colour, count}], off, onToggle}) (.set(items, off))
  colourBar({role}) (.set({scale, lo, hi, label} | null)), tooltip(root) (.show(x, y, content), .hide()); x, y in client pixels
  surface(parent, draw(ctx, w, h), {label, role}) → {canvas, ctx, w, h, redraw(), now(), end()}; sharp on any screen, redrawn at most once a picture
  gestures(el, {drag(dx, dy, e), drop(e), cancel(), pan(dx, dy), zoom(factor, x, y), hover(x, y, e), leave(), tap(x, y, e), twice(x, y, e)}) → off; x, y in el's pixels
                                 left drag = drag, right / middle / shift drag = pan, wheel (once focused, or with Ctrl) and pinch = zoom; what a second finger or a scrolling page ends is cancelled, not dropped
COLOUR AND NUMBERS
  OKABE_ITO, category(i, dark), themeOf(el) → {dark, ink, soft, faint, paper, line, accent, left, right, trunk, persons: […]}, onTheme(fn) → off
  lut("viridis" | "diverging" | "grey") → Uint8Array(768); colourAt(table, u 0…1) → css; unit(v, lo, hi) → 0…1 | NaN; fmt(v, digits)
SKELETONS
  decodeClips(metas, data, layouts) → clips {…meta, layout, xyz Float32Array (T,M,V,3), seen Uint8Array (T,M,V: 0 none 1 seen 2 guessed), centre, half [across, up], floor,
                                 frame(f, smooth) → {xyz, seen, M, V}, moment(f) → index of the prompt}; boundsOf(xyz, seen)
  new Camera({yaw, pitch, zoom, pan: [x, y]})   degrees; .aim({centre, half, front, floor}, x, y, w, h) then .project([x, y, z]) → [px, py, depth, px per metre];
                                 orbit(dx, dy) zoomBy(f) panBy(dx, dy) preset(name) load(state) state(); VIEWS: front, side, back, top, three-quarter
  drawSkeleton(ctx, frame, layout, camera, {colours(m, v) → css, theme, persons: [bool], size, alpha, joints, halo: css, mark: {m, v}}) → Float32Array (M·V·3: px, py, depth; NaN where not drawn)
  drawGrid(ctx, scene, camera, theme), nearest(points, x, y, reach, V) → {m, v} | null, sideColours(layout, theme) / partColours / personColours → (m, v) → css
  drawCard(ctx, clip, f, x, y, w, h, theme)   a small skeleton for hover cards and lists
  momentAt(f, T, n) → index of the text among n, -1 for none; sayAt(el, texts, at) → what it now says, UNSAID where the text is empty
*/

const SHARED = (globalThis[Symbol.for("c2vl-kit")] ??= { groups: new Map(), clocks: new Map() });

// ---------------------------------------------------------------- model

function bytes(view, Type, count, at = 0) {
  if (typeof view === "string") view = Uint8Array.from(atob(view), (c) => c.charCodeAt(0));
  if (view instanceof ArrayBuffer) view = new Uint8Array(view);
  if (!view) return new Type(0);
  const from = view.byteOffset + at;
  const n = count ?? Math.floor((view.byteLength - at) / Type.BYTES_PER_ELEMENT);
  if (from % Type.BYTES_PER_ELEMENT === 0) return new Type(view.buffer, from, n);
  return new Type(view.buffer.slice(from, from + n * Type.BYTES_PER_ELEMENT));
}

function offlineModel(state) {
  const values = {}, heard = new Map();
  const open = (v) => {
    if (v && typeof v === "object" && typeof v.$b64 === "string") {
      const raw = bytes(v.$b64, Uint8Array);
      return new DataView(raw.buffer);
    }
    return v;
  };
  for (const [k, v] of Object.entries(state)) values[k] = open(v);
  const same = (a, b) => a === b || (typeof a === "object" && typeof b === "object" && !(a instanceof DataView)
    && JSON.stringify(a) === JSON.stringify(b));
  const model = {
    get: (k) => values[k],
    set(k, v) {
      if (same(values[k], v)) return;
      values[k] = v;
      for (const fn of [...(heard.get("change:" + k) ?? [])]) fn(model, v);
      for (const fn of [...(heard.get("change") ?? [])]) fn(model);
    },
    save_changes() {},
    send() {},
    on(name, fn) { heard.set(name, [...(heard.get(name) ?? []), fn]); },
    off(name, fn) {
      if (!name) heard.clear();
      else heard.set(name, fn ? (heard.get(name) ?? []).filter((f) => f !== fn) : []);
    },
  };
  return model;
}

function talk(model, ends) {
  let pushing = 0;
  return {
    push(change) {
      pushing += 1;
      SHARED.pushing = (SHARED.pushing ?? 0) + 1;
      try {
        for (const [k, v] of Object.entries(change)) model.set(k, v);
        model.save_changes();
      } finally {
        pushing -= 1;
        SHARED.pushing -= 1;
      }
    },
    listen: (keys, fn) => keys.split(" ").forEach((key) => {
      const heard = () => { if (!pushing) fn(!SHARED.pushing); };
      model.on("change:" + key, heard);
      ends.push(() => model.off("change:" + key, heard));
    }),
  };
}

function mountOffline(renders) {
  for (const el of document.querySelectorAll("[data-c2vl-widget]")) {
    const model = offlineModel(JSON.parse(document.getElementById(el.dataset.state).textContent));
    el.c2vlModel = model;
    renders[el.dataset.c2vlWidget]({ model, el });
  }
}

// ---------------------------------------------------------------- link

function link(group, name = "") {
  const heard = new Map();
  const member = {
    group: "", name,
    on(topic, fn) {
      heard.set(topic, [...(heard.get(topic) ?? []), fn]);
      return () => heard.set(topic, heard.get(topic).filter((f) => f !== fn));
    },
    emit(topic, data) {
      for (const other of SHARED.groups.get(member.group) ?? []) if (other !== member) other.hear(topic, data, name);
    },
    hear(topic, data, from) { for (const fn of heard.get(topic) ?? []) fn(data, from); },
    move(to) {
      SHARED.groups.get(member.group)?.delete(member);
      member.group = to || "";
      if (!member.group) return;
      if (!SHARED.groups.has(member.group)) SHARED.groups.set(member.group, new Set());
      SHARED.groups.get(member.group).add(member);
    },
    close() { member.move(""); heard.clear(); },
  };
  member.move(group);
  return member;
}

function joinGroup(model, name) {
  const member = link(model.get("group"), name), follow = () => member.move(model.get("group")), close = member.close;
  model.on("change:group", follow);
  member.close = () => { model.off("change:group", follow); close(); };
  return member;
}

// ---------------------------------------------------------------- time

class Clock {
  constructor({ frames = 1, fps = 30, speed = 1, loop = true } = {}) {
    Object.assign(this, { frames, fps, speed, loop, frame: 0, playing: false, heard: new Set(), wake: 0, last: 0 });
    this.tick = this.tick.bind(this);
  }
  get index() { return Math.min(this.frames - 1, Math.max(0, Math.floor(this.frame + 1e-6))); }
  on(fn) { this.heard.add(fn); return () => { this.heard.delete(fn); if (!this.heard.size) { this.pause(); this.forget?.(); } }; }
  tell(what) { for (const fn of [...this.heard]) fn(this, what); }
  set(change) { Object.assign(this, change); this.frame = Math.min(this.frame, this.frames - 1); this.tell("set"); }
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
  toggle() { this.playing ? this.pause() : this.play(); }
  seek(f) { this.frame = Math.min(this.frames - 1, Math.max(0, f)); this.tell("seek"); }
  step(n) {
    this.pause();
    const to = this.index + n;
    this.seek(this.loop ? ((to % this.frames) + this.frames) % this.frames : to);
  }
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

function sharedClock(key, init) {
  if (!key) return new Clock(init);
  if (!SHARED.clocks.has(key)) SHARED.clocks.set(key, Object.assign(new Clock(init), { forget: () => SHARED.clocks.delete(key) }));
  return SHARED.clocks.get(key);
}

// ---------------------------------------------------------------- colour and numbers

const OKABE_ITO = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000"];
const SCALES = {
  viridis: "44015448186a472d7b4240863b528b33638d2c728e26828e21918c1fa08828ae803fbc735ec96284d44baddc30d8e219fde725",
  diverging: "0530611752902a71b23f8ec06bacd19bc9e0c2ddece0ecf3f7f6f6fbe5d8fbccb4f5aa89e48066d05548ba2832930e2667001f",
  grey: "f4f4f4111111",
};
const TABLES = {};

function lut(name) {
  if (TABLES[name]) return TABLES[name];
  const hex = SCALES[name] ?? SCALES.viridis, stops = hex.match(/../g).map((two) => parseInt(two, 16)), last = stops.length / 3 - 1;
  const table = new Uint8Array(768);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * last, a = Math.min(last - 1, Math.floor(at)), part = at - a;
    for (let c = 0; c < 3; c++) table[i * 3 + c] = Math.round(stops[a * 3 + c] * (1 - part) + stops[a * 3 + 3 + c] * part);
  }
  return (TABLES[name] = table);
}

const unit = (v, lo, hi) => (hi > lo ? Math.min(1, Math.max(0, (v - lo) / (hi - lo))) : Number.isNaN(v) ? NaN : 0.5);

function colourAt(table, u) {
  if (Number.isNaN(u)) return "#9a9a9a";
  const i = Math.round(Math.min(1, Math.max(0, u)) * 255) * 3;
  return `rgb(${table[i]},${table[i + 1]},${table[i + 2]})`;
}

function category(i, dark = false) {
  const n = OKABE_ITO.length, colour = OKABE_ITO[i % n], round = Math.floor(i / n);
  const base = colour === "#000000" && dark ? "#DDDDDD" : colour;
  if (!round) return base;
  const mix = [0.45, -0.35, 0.7][(round - 1) % 3];   // lighter, darker, lighter still: 32 names apart by shade
  return "#" + [1, 3, 5].map((at) => {
    const c = parseInt(base.slice(at, at + 2), 16);
    return Math.round(mix > 0 ? c + (255 - c) * mix : c * (1 + mix)).toString(16).padStart(2, "0");
  }).join("");
}

function fmt(v, digits = 3) {
  if (v === null || v === undefined || Number.isNaN(v)) return "–";
  const size = Math.abs(v);
  if (size && (size < 1e-3 || size >= 1e6)) return v.toExponential(2);
  return String(Number(size >= 1000 ? v.toFixed(0) : v.toPrecision(digits)));
}

const LIGHT = {
  dark: false, ink: "#1d2733", soft: "#5a6672", faint: "#8a949e", paper: "#ffffff", panel: "#f5f7f9", line: "#d3d8de", accent: "#0072B2",
  left: "#0072B2", right: "#D55E00", trunk: "#5A5A5A", head: "#5A5A5A", leftLeg: "#56B4E9", rightLeg: "#E69F00",
  persons: ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"],
};
const DARK = {
  dark: true, ink: "#e8edf2", soft: "#aab4be", faint: "#8a949e", paper: "#14191f", panel: "#1d242c", line: "#38424d", accent: "#56B4E9",
  left: "#56B4E9", right: "#F08A3C", trunk: "#C4CBD2", head: "#C4CBD2", leftLeg: "#9AD4F5", rightLeg: "#F3C14B",
  persons: ["#56B4E9", "#F08A3C", "#2FC79A", "#E29BC4", "#F3C14B", "#9AD4F5"],
};

function isDark() {
  const body = document.body, forced = document.documentElement.dataset.theme;
  if (body?.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  if (forced === "dark" || forced === "light") return forced === "dark";
  if (body?.classList.contains("vscode-dark")) return true;
  if (body?.classList.contains("vscode-light")) return false;
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

const themeOf = () => (isDark() ? DARK : LIGHT);

function onTheme(fn) {
  const media = matchMedia("(prefers-color-scheme: dark)"), watch = new MutationObserver(fn);
  media.addEventListener("change", fn);
  watch.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "class"] });
  watch.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  return () => { media.removeEventListener("change", fn); watch.disconnect(); };
}

// ---------------------------------------------------------------- DOM and controls

function h(tag, attrs, ...children) {
  const el = document.createElement(tag);
  for (const [k, v] of Object.entries(attrs ?? {})) {
    if (v === null || v === undefined || v === false) continue;
    if (typeof v === "function") el.addEventListener(k.replace(/^on/, ""), v);
    else if (k.startsWith("on") || k === "innerHTML") throw new Error(`h(): ${k} takes a function`);
    else if (k === "style") Object.assign(el.style, v);
    else el.setAttribute(k, v === true ? "" : v);
  }
  const add = (child) => {
    if (Array.isArray(child)) child.forEach(add);
    else if (child !== null && child !== undefined && child !== false) el.append(child instanceof Node ? child : document.createTextNode(String(child)));
  };
  children.forEach(add);
  return el;
}

function rootOf(el, cls, label) {
  const ends = [], live = h("div", { class: "c2vl-live", "aria-live": "polite", role: "status" });
  const root = h("div", { class: `c2vl ${cls}`, role: "group", "aria-label": label, "data-lm-suppress-shortcuts": "true" }, live);
  const paint = () => { root.dataset.theme = isDark() ? "dark" : "light"; };
  paint();
  ends.push(onTheme(paint));
  el.replaceChildren(root);
  return {
    root, theme: themeOf,
    say(text) { live.textContent = text; },
    end(fn) { ends.push(fn); },
    close() { ends.splice(0).forEach((fn) => fn()); root.remove(); },
  };
}

const ICONS = {   // paths in a 16 × 16 box
  play: "M4 2.5v11l9-5.5z", pause: "M4 2.5h3v11H4zM9 2.5h3v11H9z", prev: "M3 3h2v10H3zM13 3v10L6 8z", next: "M11 3h2v10h-2zM3 3v10l7-5z",
  loop: "M8 2.5V.5L11.5 3.5 8 6.5v-2A3.7 3.7 0 0 0 5 10.3l-1.3 1.3A5.6 5.6 0 0 1 8 2.5zM12.3 4.4A5.6 5.6 0 0 1 8 13.5v2l-3.5-3L8 9.5v2a3.7 3.7 0 0 0 3-5.8z",
  grid: "M1 4h14v1.2H1zM1 10.8h14V12H1zM4 1h1.2v14H4zM10.8 1H12v14h-1.2z", reset: "M8 3V.5L3.8 4 8 7.5V5a3.5 3.5 0 1 1-3.5 3.5h-2A5.5 5.5 0 1 0 8 3z",
  trail: "M1 12c3 0 3-7 6-7s2 4 4 4 2-2 4-5v3c-2 3-2.500 4-4 4-3 0-2-4-4-4S5 14 1 14z", ghost: "M3 14V7a5 5 0 0 1 10 0v7l-2-1.5L9.500 14 8 12.500 6.500 14 5 12.500z",
  follow: "M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM7.300 0h1.400v3H7.300zM7.300 13h1.400v3H7.300zM0 7.300h3v1.400H0zM13 7.300h3v1.400h-3z",
  search: "M6.500 1a5.500 5.500 0 0 1 4.300 8.900l4 4-1 1-4-4A5.500 5.500 0 1 1 6.500 1zm0 1.500a4 4 0 1 0 0 8 4 4 0 0 0 0-8z", help: "M5 5a3 3 0 1 1 4.200 2.800c-.3.2-.4.4-.4.8V10H7.200V8.600c0-1 .5-1.600 1.200-2A1.400 1.400 0 1 0 6.600 5zM7.200 11.500h1.600v1.700H7.200z",
  lasso: "M8 2c4 0 7 2 7 4.500S12 11 8 11c-.8 0-1.500 0-2.200-.2.5 1.600-.3 3.200-2.300 3.700l-.4-1.200c1.500-.4 1.800-1.500 1-2.900C2.200 9.600 1 8.200 1 6.500 1 4 4 2 8 2zm0 1.400c-3.200 0-5.600 1.400-5.600 3.100S4.800 9.600 8 9.600s5.600-1.400 5.600-3.100S11.200 3.400 8 3.400z",
};

function icon(name) {
  const ns = "http://www.w3.org/2000/svg", svg = document.createElementNS(ns, "svg"), path = document.createElementNS(ns, "path");
  for (const [k, v] of [["viewBox", "0 0 16 16"], ["width", "16"], ["height", "16"], ["aria-hidden", "true"]]) svg.setAttribute(k, v);
  path.setAttribute("d", ICONS[name] ?? "");
  svg.append(path);
  return svg;
}

function button({ icon: picture, label, text, role, key, pressed, onClick }) {
  const el = h("button", { type: "button", class: "c2vl-button", "data-role": role, onclick: onClick, "aria-keyshortcuts": key });
  el.set = (on, image = picture, name = label) => {
    el.replaceChildren(...[image && icon(image), text && document.createTextNode(text)].filter(Boolean));
    el.setAttribute("aria-label", name);
    el.title = key ? `${name} (${key})` : name;
    if (on !== undefined) el.setAttribute("aria-pressed", String(!!on));
  };
  el.set(pressed);
  return el;
}

function slider({ label, role, min = 0, max = 1, step = 1, value = 0, text = (v) => String(v), onInput }) {
  const input = h("input", { type: "range", class: "c2vl-slider", "aria-label": label, "data-role": role, min, max, step, value,
    oninput: () => { input.setAttribute("aria-valuetext", text(Number(input.value))); onInput?.(Number(input.value)); } });
  input.value = value;
  input.title = label;
  input.input = input;
  input.set = (v, most) => {
    if (most !== undefined && Number(input.max) !== most) input.max = most;
    if (Number(input.value) !== v) input.value = v;
    input.setAttribute("aria-valuetext", text(Number(v)));
  };
  return input;
}

function select({ label, role, options, value, onChange }) {
  const el = h("select", { class: "c2vl-select", "aria-label": label, title: label, "data-role": role, onchange: () => onChange?.(el.value) });
  el.fill = (list, chosen) => { el.replaceChildren(...list.map((o) => h("option", { value: o.value }, o.label))); el.set(chosen); };
  el.set = (v) => { el.value = String(v); };
  el.fill(options, value);
  return el;
}

function legend({ label, role, items = [], off = new Set(), onToggle }) {
  const el = h("div", { class: "c2vl-legend", role: "group", "aria-label": label, "data-role": role });
  el.set = (list, hidden = new Set()) => {
    const focused = el.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
    el.hidden = !list.length;
    el.replaceChildren(...list.map((item) => {
      const inside = [h("span", { class: "c2vl-dot", style: { background: item.colour } }), h("span", { dir: "auto" }, item.label),
        item.count === undefined ? null : h("small", {}, item.count)];
      if (!onToggle) return h("span", { class: "c2vl-item", "data-key": item.key }, inside);
      return h("button", { type: "button", class: "c2vl-item", "data-key": item.key, "aria-pressed": String(!hidden.has(item.key)),
        "aria-label": `${item.label}: ${hidden.has(item.key) ? "hidden, show" : "shown, hide"}`, onclick: () => onToggle(item.key) }, inside);
    }));
    if (focused !== undefined) [...el.children].find((c) => c.dataset.key === focused)?.focus({ preventScroll: true });
  };
  el.set(items, off);
  return el;
}

function colourBar({ role } = {}) {
  const strip = h("canvas", { width: 256, height: 1, class: "c2vl-bar", "aria-hidden": "true" });
  const low = h("span"), middle = h("b", { dir: "auto" }), high = h("span");
  const el = h("div", { class: "c2vl-colourbar", role: "img", "data-role": role, hidden: true }, strip, h("div", { class: "c2vl-ticks" }, low, middle, high));
  el.set = (of) => {
    el.hidden = !of;
    if (!of) return;
    const table = lut(of.scale), ctx = strip.getContext("2d"), picture = ctx.createImageData(256, 1);
    for (let i = 0; i < 256; i++) picture.data.set([table[i * 3], table[i * 3 + 1], table[i * 3 + 2], 255], i * 4);
    ctx.putImageData(picture, 0, 0);
    low.textContent = fmt(of.lo);
    high.textContent = fmt(of.hi);
    middle.textContent = of.label ?? "";
    el.setAttribute("aria-label", `colours for ${of.label ?? "values"} from ${fmt(of.lo)} to ${fmt(of.hi)}`);
  };
  return el;
}

function tooltip(root) {
  const el = h("div", { class: "c2vl-tip", role: "tooltip", "data-role": "tip", hidden: true });
  root.append(el);
  return {
    el,
    show(x, y, content) {
      el.replaceChildren(...[content].flat().filter(Boolean).map((c) => (c instanceof Node ? c : document.createTextNode(String(c)))));
      el.hidden = false;
      const box = root.getBoundingClientRect(), w = el.offsetWidth, tall = el.offsetHeight;
      let left = x - box.left + 14, top = y - box.top + 14;
      if (left + w > box.width - 4) left = Math.max(4, x - box.left - w - 14);
      if (top + tall > box.height - 4) top = Math.max(4, y - box.top - tall - 14);
      el.style.left = `${left}px`;
      el.style.top = `${top}px`;
    },
    hide() { el.hidden = true; },
  };
}

function surface(parent, draw, { label, role } = {}) {
  const canvas = h("canvas", { class: "c2vl-canvas", tabindex: 0, role: "img", "aria-label": label, "data-role": role });
  parent.append(canvas);
  const face = { canvas, ctx: canvas.getContext("2d"), w: 0, h: 0, drawn: 0 };
  let waiting = 0;
  face.now = () => {
    cancelAnimationFrame(waiting);
    waiting = 0;
    if (!face.w || !face.h) return;
    face.ctx.setTransform(face.ratio, 0, 0, face.ratio, 0, 0);
    draw(face.ctx, face.w, face.h);
    face.drawn += 1;
  };
  face.redraw = () => { waiting ||= requestAnimationFrame(face.now); };
  const fit = () => {
    const w = parent.clientWidth, tall = parent.clientHeight, ratio = Math.min(2, devicePixelRatio || 1);
    if (w === face.w && tall === face.h && ratio === face.ratio) return;
    Object.assign(face, { w, h: tall, ratio });
    canvas.width = Math.round(w * ratio);
    canvas.height = Math.round(tall * ratio);
    face.now();
  };
  const watch = new ResizeObserver(fit);
  watch.observe(parent);
  const off = onTheme(face.redraw);
  fit();
  face.end = () => { watch.disconnect(); off(); cancelAnimationFrame(waiting); };
  return face;
}

function gestures(el, on) {
  const down = new Map();
  let moved = 0, start = null, gap = 0, lastTap = -Infinity, begun = false, ended = false;
  const at = (e) => { const box = el.getBoundingClientRect(); return [e.clientX - box.left, e.clientY - box.top]; };
  const spread = () => { const [a, b] = [...down.values()]; return { gap: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 }; };
  const handlers = {
    pointerdown(e) {
      if (e.pointerType !== "touch") el.focus({ preventScroll: true });   // a finger may be about to scroll the page
      el.setPointerCapture(e.pointerId);
      const [x, y] = at(e);
      down.set(e.pointerId, { x, y });
      if (down.size === 1) { moved = 0; begun = ended = false; start = { pan: e.button !== 0 || e.shiftKey }; }
      if (down.size === 2) { if (begun) on.cancel?.(); ended = true; ({ gap } = spread()); }
      if (e.button === 1) e.preventDefault();
    },
    pointermove(e) {
      const [x, y] = at(e), was = down.get(e.pointerId);
      if (!was) { on.hover?.(x, y, e); return; }
      const dx = x - was.x, dy = y - was.y;
      moved += Math.abs(dx) + Math.abs(dy);
      if (down.size === 1) {
        if (moved > 3 && !begun) {
          begun = true;
          if (e.pointerType === "touch" && Math.abs(dy) > Math.abs(dx) && getComputedStyle(el).touchAction === "pan-y") ended = true;   // the page scrolls
        }
        down.set(e.pointerId, { x, y });
        if (moved > 3 && !ended) { if (start.pan) on.pan?.(dx, dy, e); else on.drag?.(dx, dy, e); }
      } else if (down.size === 2) {
        const before = spread();
        down.set(e.pointerId, { x, y });
        const after = spread();
        on.pan?.(after.x - before.x, after.y - before.y, e);
        if (gap > 10 && after.gap > 10) on.zoom?.(after.gap / gap, after.x, after.y);
        gap = after.gap;
        moved = 99;
      }
    },
    pointerup(e) {
      if (!down.delete(e.pointerId)) return;
      if (down.size === 2) ({ gap } = spread());
      if (down.size || ended) return;
      if (moved > 3) { on.drop?.(e); return; }
      if (e.pointerType === "touch") el.focus({ preventScroll: true });
      const [x, y] = at(e), now = performance.now();
      if (e.button === 0) { if (now - lastTap < 350 && on.twice) on.twice(x, y, e); else on.tap?.(x, y, e); lastTap = now; }
    },
    pointercancel(e) { if (down.delete(e.pointerId)) { ended = true; on.cancel?.(); } },
    pointerleave(e) { if (!down.size && e.pointerType !== "touch") on.leave?.(); },   // a lifted finger leaves its card
    contextmenu(e) { e.preventDefault(); },
    wheel(e) {
      if (!on.zoom || (document.activeElement !== el && !e.ctrlKey)) return;   // an unfocused picture lets the page scroll
      e.preventDefault();
      const lines = e.deltaMode === 1 ? 16 : 1;
      on.zoom(Math.exp(-Math.max(-120, Math.min(120, e.deltaY * lines)) / 400), ...at(e));
    },
  };
  for (const [name, fn] of Object.entries(handlers)) el.addEventListener(name, fn, { passive: false });
  return () => { for (const [name, fn] of Object.entries(handlers)) el.removeEventListener(name, fn); };
}

// ---------------------------------------------------------------- skeletons

function boundsOf(xyz, seen) {
  const lo = [Infinity, Infinity, Infinity], hi = [-Infinity, -Infinity, -Infinity];
  for (let j = 0; j < seen.length; j++) {
    if (!seen[j]) continue;
    for (let c = 0; c < 3; c++) { const x = xyz[j * 3 + c]; if (x < lo[c]) lo[c] = x; if (x > hi[c]) hi[c] = x; }
  }
  if (lo[0] > hi[0]) return { centre: [0, 0, 0], half: [1, 1], floor: 0 };
  const centre = lo.map((x, c) => (x + hi[c]) / 2);
  let across = 0;
  for (let j = 0; j < seen.length; j++) if (seen[j]) across = Math.max(across, Math.hypot(xyz[j * 3] - centre[0], xyz[j * 3 + 2] - centre[2]));
  const tall = (hi[1] - lo[1]) / 2, least = 0.02 * Math.max(across, tall) + 1e-6;
  return { centre, half: [Math.max(across, least), Math.max(tall, least)], floor: lo[1] };
}

function decodeClips(metas, data, layouts) {
  return metas.map((meta) => {
    const { T, M, V, at, step, offset } = meta, n = T * M * V, raw = bytes(data, Int16Array, n * 3, at);
    const xyz = new Float32Array(n * 3), seen = bytes(data, Uint8Array, n, at + n * 6);
    for (let j = 0; j < n * 3; j++) xyz[j] = raw[j] * step + offset[j % 3];
    const clip = { ...meta, layout: layouts[meta.layout], xyz, seen, ...boundsOf(xyz, seen) }, size = M * V, mix = new Float32Array(size * 3);
    clip.frame = (f, smooth = false) => {
      const a = Math.min(T - 1, Math.max(0, Math.floor(f + 1e-6))), b = Math.min(T - 1, a + 1), part = smooth ? f - a : 0;
      const here = xyz.subarray(a * size * 3, (a + 1) * size * 3), flags = seen.subarray(a * size, (a + 1) * size);
      if (part < 1e-3 || a === b) return { xyz: here, seen: flags, M, V };
      for (let j = 0; j < size; j++) {
        const go = seen[b * size + j] ? part : 0;
        for (let c = 0; c < 3; c++) { const k = j * 3 + c; mix[k] = here[k] + (xyz[b * size * 3 + k] - here[k]) * go; }
      }
      return { xyz: mix, seen: flags, M, V };
    };
    clip.moment = (f) => momentAt(f, T, clip.prompts?.length ?? 0);
    return clip;
  });
}

const VIEWS = { "three-quarter": [25, 12], front: [0, 0], side: [90, 0], back: [180, 0], top: [0, 90] };

class Camera {
  constructor(state = {}) { this.load(state); }
  load({ yaw = 25, pitch = 12, zoom = 1, pan = [0, 0] } = {}) { Object.assign(this, { yaw, pitch, zoom, pan: [...pan] }); }
  state() {
    const cut = (x) => Math.round(x * 1e4) / 1e4;
    return { yaw: cut(this.yaw), pitch: cut(this.pitch), zoom: cut(this.zoom), pan: this.pan.map(cut) };
  }
  preset(name) { if (VIEWS[name]) [this.yaw, this.pitch] = VIEWS[name]; }
  orbit(dx, dy) {
    this.yaw = ((((this.yaw - dx * 0.5 + 180) % 360) + 360) % 360) - 180;
    this.pitch = Math.max(-90, Math.min(90, this.pitch + dy * 0.5));
  }
  zoomBy(factor, x, y) {
    const was = this.zoom;
    this.zoom = Math.max(0.2, Math.min(12, was * factor));
    if (x === undefined || !this.side) return;
    const grow = this.zoom / was;   // the point under the pointer stays there
    [x - this.x - this.w / 2, y - this.y - this.h / 2].forEach((p, c) => { this.pan[c] = p / this.side * (1 - grow) + this.pan[c] * grow; });
  }
  panBy(dx, dy) { const s = this.side || 400; this.pan = [this.pan[0] + dx / s, this.pan[1] + dy / s]; }
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
  put(x, y, z, out, k) {
    const dx = x - this.centre[0], dy = y - this.centre[1], dz = z - this.centre[2], r = this.right, u = this.up, t = this.toward;
    const depth = dx * t[0] + dy * t[1] + dz * t[2], px = this.scale * this.far / Math.max(0.2 * this.far, this.far - depth);
    out[k] = this.x + this.w / 2 + this.pan[0] * this.side + (dx * r[0] + dy * r[1] + dz * r[2]) * px;
    out[k + 1] = this.y + this.h / 2 + this.pan[1] * this.side - (dx * u[0] + dy * u[1] + dz * u[2]) * px;
    out[k + 2] = depth;
    return px;
  }
  project(p) { const out = [0, 0, 0, 0]; out[3] = this.put(p[0], p[1], p[2], out, 0); return out; }
}

function paler(hex, theme) {   // other bodies stand back
  const at = (text, k) => parseInt(text.slice(k, k + 2), 16);
  return "#" + [1, 3, 5].map((k) => Math.round(at(hex, k) * 0.55 + at(theme.panel, k) * 0.45).toString(16).padStart(2, "0")).join("");
}
const sideColours = (layout, theme) => {
  const own = layout.side.map((s) => theme[s] ?? theme.trunk), others = own.map((c) => paler(c, theme));
  return (m, v) => (m ? others : own)[v];
};
const PART_TINT = { "left arm": "left", "right arm": "right", "left leg": "leftLeg", "right leg": "rightLeg", head: "head", trunk: "faint" };
const partColours = (layout, theme) => {
  const own = layout.part.map((p) => theme[PART_TINT[p]] ?? theme.trunk), others = own.map((c) => paler(c, theme));
  return (m, v) => (m ? others : own)[v];
};
const personColours = (layout, theme) => (m) => theme.persons[m % theme.persons.length];

function drawGrid(ctx, scene, camera, theme) {
  const reach = Math.max(0.5, Math.ceil(scene.half[0] * 2.4) / 2), cell = reach > 16 ? reach / 10 : reach > 4 ? 1 : scene.half[0] < 0.4 ? scene.half[0] / 2 : 0.5;
  const n = Math.ceil(reach / cell), [cx, , cz] = scene.centre, x0 = Math.round(cx / cell) * cell, z0 = Math.round(cz / cell) * cell, a = [0, 0, 0], b = [0, 0, 0];
  ctx.lineWidth = 1;
  ctx.strokeStyle = theme.line;
  ctx.beginPath();
  for (let i = -n; i <= n; i++) {
    const far = n * cell;
    for (const [p, q] of [[[x0 + i * cell, z0 - far], [x0 + i * cell, z0 + far]], [[x0 - far, z0 + i * cell], [x0 + far, z0 + i * cell]]]) {
      camera.put(p[0], scene.floor, p[1], a, 0);
      camera.put(q[0], scene.floor, q[1], b, 0);
      ctx.moveTo(a[0], a[1]);
      ctx.lineTo(b[0], b[1]);
    }
  }
  ctx.stroke();
}

function drawSkeleton(ctx, frame, layout, camera, options = {}) {
  const { theme = themeOf(), persons, size = 1, alpha = 1, joints = true, mark } = options;
  const colours = options.colours ?? sideColours(layout, theme);
  const { M, V, xyz, seen } = frame, points = new Float32Array(M * V * 3).fill(NaN), drawn = [], thin = options.thin ?? 1;
  let px = camera.scale;
  for (let m = 0; m < M; m++) {
    if (persons && persons[m] === false) continue;
    for (let v = 0; v < V; v++) {
      const j = m * V + v;
      if (seen && !seen[j]) continue;
      px = camera.put(xyz[j * 3], xyz[j * 3 + 1], xyz[j * 3 + 2], points, j * 3);
      if (joints) drawn.push([points[j * 3 + 2] + 0.01, m, v, -1]);
      const parent = layout.parents[v], k = m * V + parent;
      if (parent !== v && (!seen || seen[k])) drawn.push([NaN, m, v, k]);
    }
  }
  for (const d of drawn) if (d[3] >= 0) d[0] = (points[(d[1] * V + d[2]) * 3 + 2] + points[d[3] * 3 + 2]) / 2;
  drawn.sort((a, b) => a[0] - b[0]);
  const metre = Math.min(camera.scale * (options.body ?? 1.7) / 1.7, 700), bone = Math.max(1.4, Math.min(7, 0.024 * metre)) * size * thin;
  ctx.save();
  ctx.globalAlpha = alpha;
  ctx.lineCap = "round";
  if (options.halo) {   // a rim, so that both ends of a colour scale stand out from the paper
    ctx.strokeStyle = ctx.fillStyle = options.halo;
    ctx.lineWidth = bone + 2;
    ctx.beginPath();
    for (const [, m, v, k] of drawn) {
      const j = (m * V + v) * 3;
      if (k >= 0 && !(seen && (seen[m * V + v] === 2 || seen[k] === 2))) { ctx.moveTo(points[j], points[j + 1]); ctx.lineTo(points[k * 3], points[k * 3 + 1]); }
    }
    ctx.stroke();
    ctx.beginPath();
    for (const [, m, v, k] of drawn) {
      const j = (m * V + v) * 3;
      if (k < 0 && v === layout.head) { ctx.moveTo(points[j], points[j + 1]); ctx.arc(points[j], points[j + 1], Math.max(bone * 1.2, 0.062 * metre * size) + 1, 0, 6.2832); }
    }
    ctx.fill();
  }
  for (const [, m, v, k] of drawn) {
    const j = m * V + v, guessed = seen && (seen[j] === 2 || (k >= 0 && seen[k] === 2)), x = points[j * 3], y = points[j * 3 + 1];
    if (k >= 0) {
      ctx.beginPath();
      ctx.setLineDash(guessed ? [bone * 1.2, bone * 2.2] : []);
      ctx.strokeStyle = colours(m, v);
      ctx.lineWidth = bone * (guessed ? 0.7 : 1);
      ctx.moveTo(x, y);
      ctx.lineTo(points[k * 3], points[k * 3 + 1]);
      ctx.stroke();
      continue;
    }
    const marked = mark && mark.m === m && mark.v === v, r = (v === layout.head ? Math.max(bone * 1.2, 0.062 * metre * size) : bone * 0.95) * (marked ? 1.5 : 1);
    ctx.beginPath();
    ctx.setLineDash([]);
    ctx.arc(x, y, Math.max(1.2, r), 0, 6.2832);
    if (seen && seen[j] === 2) {   // not seen: hollow, its place is guessed
      ctx.fillStyle = theme.paper;
      ctx.fill();
      ctx.lineWidth = Math.max(1.2, bone * 0.4);
      ctx.strokeStyle = colours(m, v);
      ctx.stroke();
    } else {
      ctx.fillStyle = colours(m, v);
      ctx.fill();
    }
    if (marked) {
      ctx.beginPath();
      ctx.arc(x, y, r + 3, 0, 6.2832);
      ctx.lineWidth = 2;
      ctx.strokeStyle = theme.ink;
      ctx.stroke();
    }
  }
  ctx.restore();
  return points;
}

function nearest(points, x, y, reach, V) {
  let best = reach * reach, found = null;
  for (let j = 0; j * 3 < points.length; j++) {
    const dx = points[j * 3] - x, dy = points[j * 3 + 1] - y, d = dx * dx + dy * dy;
    if (d < best || (d === best && found && points[j * 3 + 2] > points[(found.m * V + found.v) * 3 + 2])) { best = d; found = { m: Math.floor(j / V), v: j % V }; }
  }
  return found;
}

const UNSAID = "nothing was said here";

function momentAt(f, T, n) { return n ? Math.min(n - 1, Math.floor((f + 0.5) / T * n)) : -1; }   // moments are equal parts of a clip

function sayAt(el, texts, at) {
  el.textContent = texts[at] || UNSAID;
  el.classList.toggle("c2vl-unsaid", !texts[at]);
  return el.textContent;
}

function drawCard(ctx, clip, f, x, y, w, tall, theme = themeOf()) {
  const camera = new Camera({ pitch: 8 }).aim(clip, x, y, w, tall);
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, w, tall);
  ctx.clip();
  drawSkeleton(ctx, clip.frame(f), clip.layout, camera, { theme, thin: 0.9 });
  ctx.restore();
}
