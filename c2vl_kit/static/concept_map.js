/* The concept map: up to 100,000 clips as points, several spaces with a morph between them. State lives in the model; see
   `ConceptMap` in viz.concept_map. Points are written straight into the pixels of the canvas; a redraw of 100,000 takes milliseconds.
   el.c2vl = {face, place(name) → [x, y] in client pixels, show(name), stats} is there for tests and for pages that embed a map. */

function renderConceptMap({ model, el }) {
  const NONE = 65535, MOST_NAMED = 80, MOST_LISTED = 100, MORPH_MS = 900, DWELL_MS = 1300;
  const HIDDEN = 0, DIM = 1, PLAIN = 2, STRONG = 3;
  const ui = rootOf(el, "c2vl-map", "map of clips"), { root } = ui;
  const bus = joinGroup(model, "map"), ends = [], calm = matchMedia("(prefers-reduced-motion: reduce)");
  let names = [], index = new Map(), spaces = [], columns = [], said = new Uint32Array(0), moments = 0, cards = new Map(), n = 0;
  let xy = new Float32Array(0), from = null, to = null, part = 1, order = new Uint32Array(0), centres = [], state = new Uint8Array(0);
  let colours = new Uint32Array(0), faded = new Uint32Array(0), face = null, chosen = new Uint8Array(0), hits = null, lit = null, screen = new Float32Array(0), view = { x: 0.5, y: 0.5, zoom: 1 };
  let over = -1, linked = [], pair = [], lasso = null, lower = null, stats = { ms: 0, drawn: 0 }, morphing = 0, dwell = 0;

  const { push, listen } = talk(model, ends);

  // ---- what is loaded
  function load() {
    names = model.get("names");
    n = names.length;
    index = new Map(names.map((name, i) => [name, i]));
    const raw = bytes(model.get("positions"), Uint16Array);
    spaces = model.get("spaces").map((s, k) => ({ ...s, raw: raw.subarray(k * n * 2, (k + 1) * n * 2), at: null }));
    const values = model.get("values");
    columns = model.get("columns").map((c) => ({ ...c, of: c.kind === "number" ? bytes(values, Float32Array, n, c.at) : bytes(values, Uint16Array, n, c.at) }));
    moments = model.get("moments");
    said = bytes(model.get("said"), Uint32Array);
    lower = null;
    cards = new Map();
    learn(model.get("card_metas"), model.get("card_layouts"), model.get("card_data"));
    order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1, seed = 12345; i > 0; i--) {   // any fixed order that favours no class
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const j = seed % (i + 1), was = order[i];
      order[i] = order[j];
      order[j] = was;
    }
    [state, chosen, colours, faded, screen, xy] = [new Uint8Array(n), new Uint8Array(n), new Uint32Array(n), new Uint32Array(n), new Float32Array(n * 2), new Float32Array(n * 2)];
    hits = lit = from = to = lasso = null;
    over = -1;
    linked = [];
    part = 1;
    colour.fill(columns.map((c) => ({ value: c.name, label: `colour: ${c.name}` })), model.get("colour_by"));
    colour.hidden = columns.length < 2;
    chooser.fill(spaces.map((s, k) => ({ value: k, label: `space: ${s.name}` })), 0);
    chooser.hidden = way.hidden = roam.hidden = spaces.length < 2;
    way.set(model.get("at"), spaces.length - 1);
    jump(model.get("at"));
    readSelection();
    find(model.get("query"));
    recolour();
  }
  function learn(metas, layouts, data) { for (const meta of metas) cards.set(meta.name, { meta, layouts, data, clip: null }); }
  function cardOf(i) {
    const card = cards.get(names[i]);
    if (card && !card.clip) [card.clip] = decodeClips([card.meta], card.data, card.layouts);
    return card?.clip ?? null;
  }
  const column = () => columns.find((c) => c.name === model.get("colour_by")) ?? columns[0];
  const wordOf = (c, i) => (c.kind === "number" ? fmt(c.of[i]) : c.of[i] === NONE ? "–" : c.levels[c.of[i]]);
  const sentence = (i, k) => { const at = said[i * moments + k]; return at ? model.get("sentences")[at - 1] : null; };
  const sentencesOf = (i) => Array.from({ length: moments }, (_, k) => sentence(i, k)).filter((s) => s !== null);
  function placesOf(k) {
    const space = spaces[k];
    if (!space.at) {
      space.at = new Float32Array(n * 2);
      for (let j = 0; j < n * 2; j++) space.at[j] = space.raw[j] === NONE ? NaN : space.raw[j] / 65534;
    }
    return space.at;
  }

  // ---- which space, and the way between two
  const round = (x) => Math.round(x * 1000) / 1000;
  function mix() {   // positions between `from` and `to`; a clip that is in one of them only stays where it is known
    if (part >= 1 || from === to) { xy.set(to); return; }
    for (let j = 0; j < n * 2; j++) {
      const a = from[j], b = to[j];
      xy[j] = a === a ? (b === b ? a + (b - a) * part : part < 0.5 ? a : NaN) : part < 0.5 ? NaN : b;
    }
  }
  function jump(at) {   // at: 0 … spaces − 1, a fraction lies between two
    stop();
    const last = spaces.length - 1, a = Math.max(0, Math.min(last, Math.floor(at))), b = Math.min(last, a + 1);
    [from, to, part] = [placesOf(a), placesOf(b), Math.max(0, Math.min(1, at - a))];
    if (part === 0) { to = from; part = 1; }
    mix();
    centres = between(part);
    told(at);
  }
  function told(at) {
    const near = Math.round(at);
    way.set(round(at));
    chooser.set(near);
    note.textContent = spaces[near]?.note ?? "";
    note.hidden = !note.textContent;
    root.dataset.at = round(at);
    if (model.get("at") !== round(at)) push({ at: round(at) });
    face?.redraw();
  }
  function stop() { cancelAnimationFrame(morphing); morphing = 0; }
  function morph(k) {
    if (!spaces[k] || k === undefined) return;
    if (calm.matches) { jump(k); return; }
    stop();
    const startAt = model.get("at"), begin = performance.now();
    from = Float32Array.from(xy);
    to = placesOf(k);
    const before = centres, after = centresOf(to);
    const step = (now) => {
      const t = Math.min(1, Math.max(0, (now - begin) / MORPH_MS));
      part = t * t * (3 - 2 * t);
      mix();
      centres = after.map((c, l) => (c && before[l] ? { ...c, x: before[l].x + (c.x - before[l].x) * part, y: before[l].y + (c.y - before[l].y) * part } : c));
      root.dataset.at = round(startAt + (k - startAt) * part);
      way.set(Number(root.dataset.at));
      face.now();
      if (t < 1) { morphing = requestAnimationFrame(step); return; }
      morphing = 0;
      from = to;
      told(k);
      say(`${spaces[k].name} space`);
    };
    morphing = requestAnimationFrame(step);
  }
  function play(on) {
    clearTimeout(dwell);
    roam.set(on, on ? "pause" : "play", on ? "stop" : "play through the spaces");
    if (model.get("playing") !== on) push({ playing: on });
    root.dataset.playing = on;
    if (!on) return;
    const next = () => {
      morph((Math.round(model.get("at")) + 1) % spaces.length);
      dwell = setTimeout(next, MORPH_MS + DWELL_MS);
    };
    next();
  }

  // ---- colours, filters, names at the clusters
  const packed = (css) => {   // "#rrggbb" or "rgb(r,g,b)" → one little-endian pixel
    const [r, g, b] = css[0] === "#" ? [1, 3, 5].map((k) => parseInt(css.slice(k, k + 2), 16)) : css.match(/\d+/g).map(Number);
    return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
  };
  const hueOf = (level, dark) => {   // seven hues in four shades; no yellow, no black
    const hue = level % 7, shade = Math.floor(level / 7) % 4;
    return hue < 6 ? category(hue + 8 * shade, dark) : (dark ? ["#b8c2cc", "#e4e8ec", "#7d8894", "#f4f6f8"] : ["#66727f", "#a9b1b9", "#3c444c", "#ced3d8"])[shade];
  };
  const hiddenOf = (c) => new Set((model.get("hidden")[c.name] ?? []).map((word) => c.levels.indexOf(word)));
  function recolour() {
    const c = column(), theme = ui.theme();
    if (c?.kind === "number") {
      const table = lut("viridis"), palette = Uint32Array.from({ length: 256 }, (_, i) => packed(colourAt(table, i / 255))), none = packed("#9a9a9a");
      for (let i = 0; i < n; i++) { const u = unit(c.of[i], c.lo, c.hi); colours[i] = Number.isNaN(u) ? none : palette[Math.round(u * 255)]; }
    } else if (c) {
      const palette = c.levels.map((_, l) => packed(hueOf(l, theme.dark))), none = packed("#9a9a9a");
      for (let i = 0; i < n; i++) colours[i] = c.of[i] === NONE ? none : palette[c.of[i]];
    } else colours.fill(packed(theme.accent));
    const paper = packed(theme.panel), mixed = (p, shift) => (((p >>> shift) & 255) * 84 + ((paper >>> shift) & 255) * 172) >>> 8;
    for (let i = 0; i < n; i++) faded[i] = ((255 << 24) | (mixed(colours[i], 16) << 16) | (mixed(colours[i], 8) << 8) | mixed(colours[i], 0)) >>> 0;
    colour.set(c?.name ?? "");
    bar.set(c?.kind === "number" ? { scale: "viridis", lo: c.lo, hi: c.hi, label: c.name } : null);
    const hidden = c?.kind === "category" ? hiddenOf(c) : new Set(), dark = theme.dark;
    if (c?.kind === "category") {
      const counts = new Uint32Array(c.levels.length);
      for (let i = 0; i < n; i++) if (c.of[i] !== NONE) counts[c.of[i]] += 1;
      key.set(c.levels.map((word, l) => ({ key: l, label: word, colour: hueOf(l, dark), count: counts[l] })), hidden);
    } else key.set([]);
    all.hidden = none.hidden = c?.kind !== "category";
    root.dataset.colour = c?.name ?? "";
    filter();
  }
  function filter() {
    state.fill(PLAIN);
    for (const c of columns) {
      if (c.kind !== "category") continue;
      const hidden = hiddenOf(c);
      if (hidden.size) for (let i = 0; i < n; i++) if (hidden.has(c.of[i])) state[i] = HIDDEN;
    }
    centres = between(part);
    shade();
  }
  function shade() {   // what stands back and what stands out
    const some = selectionSize() > 0, level = lit, c = column();
    let shown = 0;
    for (let i = 0; i < n; i++) {
      if (state[i] === HIDDEN) continue;
      shown += 1;
      const stands = level !== null ? c.of[i] === level : hits ? hits[i] : some ? chosen[i] : 2;
      state[i] = stands === 2 ? PLAIN : stands ? STRONG : DIM;
    }
    count.textContent = shown === n ? `${n.toLocaleString("en")} clips` : `${shown.toLocaleString("en")} of ${n.toLocaleString("en")} clips`;
    root.dataset.shown = shown;
    face?.redraw();
  }
  function centresOf(at) {   // where most of a class lies: the fullest of 24 × 24 fields, and the mean of what is around it
    const c = column();
    if (c?.kind !== "category" || c.levels.length > MOST_NAMED || !at) return [];
    const G = 24, fields = c.levels.map(() => null), total = new Uint32Array(c.levels.length), stride = Math.max(1, Math.floor(n / 20000));
    const fieldOf = (v) => Math.min(G - 1, Math.max(0, Math.floor(v * G)));
    for (let i = 0; i < n; i += stride) {
      const l = c.of[i], x = at[i * 2];
      if (l === NONE || state[i] === HIDDEN || x !== x) continue;
      fields[l] ??= new Uint16Array(G * G);
      fields[l][fieldOf(at[i * 2 + 1]) * G + fieldOf(x)] += 1;
      total[l] += 1;
    }
    const best = fields.map((f) => {
      if (!f) return null;
      let most = -1, where = 0;
      for (let y = 0; y < G; y++) for (let x = 0; x < G; x++) {
        let sum = f[y * G + x];
        if (!sum) continue;
        for (let dy = -1; dy <= 1; dy++) for (let dx = -1; dx <= 1; dx++) if (x + dx >= 0 && x + dx < G && y + dy >= 0 && y + dy < G) sum += f[(y + dy) * G + x + dx];
        if (sum > most) { most = sum; where = y * G + x; }
      }
      return { gx: where % G, gy: Math.floor(where / G), x: 0, y: 0, n: 0 };
    });
    for (let i = 0; i < n; i += stride) {
      const b = c.of[i] === NONE || state[i] === HIDDEN ? null : best[c.of[i]], x = at[i * 2], y = at[i * 2 + 1];
      if (!b || x !== x || Math.abs(fieldOf(x) - b.gx) > 1 || Math.abs(fieldOf(y) - b.gy) > 1) continue;
      b.x += x;
      b.y += y;
      b.n += 1;
    }
    return best.map((b, l) => (b?.n ? { x: b.x / b.n, y: b.y / b.n, level: l, weight: total[l] } : null));
  }
  function between(p) {
    if (p >= 1 || from === to) return centresOf(to);
    const a = centresOf(from), b = centresOf(to);
    return a.map((c, l) => (c && b[l] ? { ...c, x: c.x + (b[l].x - c.x) * p, y: c.y + (b[l].y - c.y) * p } : c ?? b[l]));
  }

  // ---- choosing
  const selectionSize = () => model.get("selection").length;
  function readSelection() {
    chosen.fill(0);
    for (const name of model.get("selection")) if (index.has(name)) chosen[index.get(name)] = 1;
    showList();
  }
  function choose(list, tell = true) {   // list of point numbers
    const selection = Array.from(list, (i) => names[i]);
    push({ selection });
    readSelection();
    shade();
    say(`${selection.length} clips selected`);
    if (tell) bus.emit("select", { names: selection });
  }
  function showList() {
    const selection = model.get("selection"), c = column();
    root.dataset.selected = selection.length;
    clear.hidden = list.hidden = !selection.length;
    title.textContent = selection.length ? `${selection.length.toLocaleString("en")} selected` : "";
    list.replaceChildren(...selection.slice(0, MOST_LISTED).filter((name) => index.has(name)).map((name) => {
      const i = index.get(name), words = sentencesOf(i).find(Boolean);
      return h("button", { type: "button", class: "c2vl-line", "data-role": "listed", "data-name": name, onclick: (e) => pick(i, e), onpointerenter: () => point(i), onfocus: () => point(i),
        onpointerleave: unpoint, onblur: unpoint }, h("b", { dir: "auto" }, name), c ? h("span", { dir: "auto" }, wordOf(c, i)) : null, words ? h("small", { dir: "auto" }, words) : null);
    }), selection.length > MOST_LISTED ? h("small", {}, `and ${(selection.length - MOST_LISTED).toLocaleString("en")} more`) : "");
  }
  function pick(i, e) {
    const was = model.get("picked"), two = e && (e.ctrlKey || e.metaKey || e.shiftKey) && was.length && was.at(-1) !== names[i];
    const picked = two ? [was.at(-1), names[i]] : [names[i]];
    push({ picked });
    pair = picked.map((name) => index.get(name));
    root.dataset.picked = picked.join("\n");
    say(`picked ${picked.join(" and ")}`);
    bus.emit("pick", { names: picked });
    face.redraw();
  }
  const fold = (text) => text.normalize("NFKC").toLowerCase();
  function find(query) {
    const wanted = fold(query ?? "").trim();
    hits = null;
    let found = 0;
    if (wanted) {
      lower ??= { sentences: model.get("sentences").map(fold), names: names.map(fold), words: columns.map((c) => c.levels?.map(fold)) };
      const sentence = Uint8Array.from(lower.sentences, (s) => s.includes(wanted)), words = lower.words.map((l) => l && Uint8Array.from(l, (w) => w.includes(wanted)));
      hits = new Uint8Array(n);
      for (let i = 0; i < n; i++) {
        let hit = lower.names[i].includes(wanted) ? 1 : 0;
        for (let k = 0; k < moments && !hit; k++) { const at = said[i * moments + k]; if (at) hit = sentence[at - 1]; }
        for (let c = 0; c < words.length && !hit; c++) if (words[c] && columns[c].of[i] !== NONE) hit = words[c][columns[c].of[i]];
        hits[i] = hit;
        found += hit;
      }
    }
    if (search.value !== (query ?? "")) search.value = query ?? "";
    search.placeholder = model.get("hint") || "search prompts";
    hitCount.textContent = wanted ? `${found.toLocaleString("en")} found` : "";
    take.hidden = !found;
    root.dataset.hits = wanted ? found : "";
    shade();
  }

  // ---- controls
  const change = (k, v) => { push({ [k]: v }); refresh(); };
  const toggleLevel = (level) => {
    const c = column(), hidden = hiddenOf(c);
    hidden.has(Number(level)) ? hidden.delete(Number(level)) : hidden.add(Number(level));
    setHidden(c, hidden);
  };
  const setHidden = (c, levels) => {
    const hidden = { ...model.get("hidden"), [c.name]: [...levels].sort((a, b) => a - b).map((l) => c.levels[l]) };
    if (!levels.size) delete hidden[c.name];
    push({ hidden });
    recolour();
  };
  const say = (text) => ui.say(text);
  const setTool = (tool) => change("tool", tool);
  const stage = h("div", { class: "c2vl-stage", "data-role": "stage" });
  const chooser = select({ label: "space", role: "space", options: [], value: 0, onChange: (v) => { play(false); morph(Number(v)); } });
  const way = slider({ label: "way between the spaces", role: "morph", max: 1, step: 0.01, text: (v) => spaces[Math.round(v)]?.name ?? "", onInput: (v) => { play(false); jump(v); } });
  const roam = button({ icon: "play", label: "play through the spaces", role: "roam", key: "Space", pressed: false, onClick: () => play(!model.get("playing")) });
  const colour = select({ label: "colour by", role: "colour", options: [], value: "", onChange: (v) => { push({ colour_by: v }); lit = null; recolour(); showList(); } });
  const search = h("input", { type: "search", class: "c2vl-search", placeholder: "search prompts", "aria-label": "search in prompts, names and classes", "data-role": "search", dir: "auto",
    oninput: () => { push({ query: search.value }); find(search.value); }, onkeydown: (e) => { if (e.key === "Enter" && hits) takeHits(); } });
  const hitCount = h("span", { class: "c2vl-time", "data-role": "hit-count", "aria-live": "polite" });
  const visible = (i) => state[i] !== HIDDEN && xy[i * 2] === xy[i * 2];
  const takeHits = () => choose([...hits.keys()].filter((i) => hits[i] && visible(i)));
  const take = button({ text: "select", label: "select what was found", role: "take", onClick: takeHits });
  const lassoTool = button({ icon: "lasso", label: "lasso: draw around clips", role: "lasso", key: "L", pressed: false, onClick: () => setTool(model.get("tool") === "lasso" ? "move" : "lasso") });
  const nameTool = button({ text: "Aa", label: "class names on the map", role: "names", key: "T", pressed: true, onClick: () => change("show_names", !model.get("show_names")) });
  const reset = button({ icon: "reset", label: "whole map", role: "reset", key: "0", onClick: () => look({ x: 0.5, y: 0.5, zoom: 1 }) });
  const help = h("div", { class: "c2vl-help", "data-role": "help", hidden: true }, [["drag", "move"], ["wheel, pinch", "zoom (click the map first)"], ["Shift drag, L", "lasso"], ["click", "show in the player (Ctrl: as the second)"],
    ["← → ↑ ↓", "move"], ["+ − 0", "zoom, whole map"], ["N P", "next, previous clip"], ["Enter", "show it in the player"], ["X", "select it, or not"], [", .", "previous, next space"], ["Space", "play through the spaces"],
    ["/", "search"], ["T", "class names"], ["Esc", "no selection"]].map(([k, what]) => h("div", {}, h("kbd", {}, k), what)));
  const ask = button({ icon: "help", label: "keys", role: "help-button", key: "?", pressed: false, onClick: () => { help.hidden = !help.hidden; ask.set(!help.hidden); } });
  const note = h("span", { class: "c2vl-time c2vl-note", "data-role": "note", dir: "auto" });
  const key = legend({ label: "classes: show or hide", role: "legend", onToggle: toggleLevel });
  const all = button({ text: "all", label: "show all", role: "all", onClick: () => setHidden(column(), new Set()) });
  const none = button({ text: "none", label: "hide all", role: "none", onClick: () => setHidden(column(), new Set(column().levels.keys())) });
  const bar = colourBar({ role: "bar" });
  const count = h("span", { class: "c2vl-time", "data-role": "count" });
  const title = h("b", { "data-role": "selected" });
  const clear = button({ text: "clear", label: "select nothing", role: "clear", onClick: () => choose([]) });
  const list = h("div", { class: "c2vl-list", "data-role": "list" });
  const side = h("div", { class: "c2vl-side" }, h("div", { class: "c2vl-row" }, count, all, none), key, bar, h("div", { class: "c2vl-row" }, title, clear), list);
  root.append(h("div", { class: "c2vl-row" }, search, hitCount, take, colour, lassoTool, nameTool, reset, ask), help, h("div", { class: "c2vl-both" }, stage, side),
    h("div", { class: "c2vl-row" }, roam, chooser, way, note));
  face = surface(stage, draw, { label: "map of clips; press ? for keys", role: "canvas" });
  const tip = tooltip(root);
  for (const name of ["pointerover", "focusin"]) key.addEventListener(name, (e) => light(e.target.closest?.("[data-key]")?.dataset.key));
  for (const name of ["pointerleave", "focusout"]) key.addEventListener(name, () => light(undefined));
  function light(level) {
    const now = level === undefined ? null : Number(level);
    if (now !== lit) { lit = now; shade(); }
  }
  function refresh() {
    lassoTool.set(model.get("tool") === "lasso");
    nameTool.set(model.get("show_names"));
    stage.style.setProperty("--stage", `${model.get("height")}px`);
    face.canvas.style.cursor = model.get("tool") === "lasso" ? "crosshair" : "";
    face.canvas.style.touchAction = model.get("tool") === "lasso" ? "none" : "";
    root.dataset.tool = model.get("tool");
    face.redraw();
  }

  // ---- looking
  const frameOf = (w, tall) => {   // a wide stage may stretch the map a little: its axes have no unit
    const sx = w * 0.9, sy = tall * 0.9, most = 1.6;
    return [Math.min(sx, sy * most) * view.zoom, Math.min(sy, sx * most) * view.zoom];
  };
  let viewTimer = 0;
  function look(next) {
    view = { x: Math.max(-0.2, Math.min(1.2, next.x)), y: Math.max(-0.2, Math.min(1.2, next.y)), zoom: Math.max(0.5, Math.min(400, next.zoom)) };
    root.dataset.zoom = view.zoom.toFixed(3);
    clearTimeout(viewTimer);
    viewTimer = setTimeout(() => push({ view: { x: round(view.x), y: round(view.y), zoom: round(view.zoom) } }), 120);
    face.redraw();
  }
  const move = (dx, dy) => { const [sx, sy] = frameOf(face.w, face.h); look({ ...view, x: view.x - dx / sx, y: view.y + dy / sy }); };
  function zoom(factor, px = face.w / 2, py = face.h / 2) {
    const was = frameOf(face.w, face.h), ux = view.x + (px - face.w / 2) / was[0], uy = view.y - (py - face.h / 2) / was[1];
    const z = Math.max(0.5, Math.min(400, view.zoom * factor)), grow = z / view.zoom;
    look({ x: ux - (px - face.w / 2) / (was[0] * grow), y: uy + (py - face.h / 2) / (was[1] * grow), zoom: z });
  }

  // ---- drawing
  let picture = null, pixels = null;
  const stamps = new Map();
  function stampOf(r, wide) {   // the pixels of a dot, as offsets: a ring of paper around it (few points), its inside, its soft edge
    const id = `${r}/${wide}`;
    if (stamps.has(id)) return stamps.get(id);
    if (stamps.size > 40) stamps.clear();
    const reach = Math.ceil(r + 2), inside = [], edge = [], ring = [];
    for (let y = -reach; y <= reach; y++) for (let x = -reach; x <= reach; x++) {
      const d = Math.hypot(x, y), cover = Math.min(1, Math.max(0, r + 0.5 - d)), halo = 0.8 * Math.min(1, Math.max(0, r + 1.3 - d));
      if (cover > 0.92) inside.push([x, y, 255]);
      else if (cover > 0.08) edge.push([x, y, Math.round(cover * 255)]);
      if (halo > 0.1 && cover <= 0.92) ring.push([x, y, Math.round(halo * 255)]);
    }
    const flat = (spots) => ({ off: Int32Array.from(spots, ([x, y]) => y * wide + x), alpha: Uint8Array.from(spots, (s) => s[2]), spots });
    const shape = { reach, inside: flat(inside), edge: flat(edge), ring: flat(ring) };
    stamps.set(id, shape);
    return shape;
  }
  function blend(p, colour, a) {
    const d = pixels[p], s = a + (a >> 7), t = 256 - s;   // red and blue in one go, green in another
    pixels[p] = (0xff000000 | ((((colour & 0xff00ff) * s + (d & 0xff00ff) * t) >>> 8) & 0xff00ff) | ((((colour & 0xff00) * s + (d & 0xff00) * t) >>> 8) & 0xff00)) >>> 0;
  }
  function dots(pass, shape, W, H, inks, paper, simple) {   // rims only where points are few, and not around those that stand back
    const rims = n <= 5000 && pass !== DIM;
    const ratio = face.ratio, { reach, inside, edge, ring } = shape, io = inside.off, il = io.length;
    let drawn = 0;
    for (let k = 0; k < n; k++) {
      const i = order[k];
      if (state[i] !== pass) continue;
      const x = screen[i * 2], y = screen[i * 2 + 1];
      if (x !== x) continue;
      const px = Math.round(x * ratio), py = Math.round(y * ratio);
      if (px < -reach || py < -reach || px >= W + reach || py >= H + reach) continue;
      drawn += 1;
      const c = inks[i], p = py * W + px;
      if (px < reach || py < reach || px >= W - reach || py >= H - reach) {
        for (const [dx, dy] of inside.spots) if (px + dx >= 0 && py + dy >= 0 && px + dx < W && py + dy < H) pixels[p + dy * W + dx] = c;
        continue;
      }
      if (rims) for (let j = 0; j < ring.off.length; j++) blend(p + ring.off[j], paper, ring.alpha[j]);
      for (let j = 0; j < il; j++) pixels[p + io[j]] = c;
      if (!simple) for (let j = 0; j < edge.off.length; j++) blend(p + edge.off[j], c, edge.alpha[j]);
    }
    return drawn;
  }
  function draw(ctx, w, tall) {
    if (!face) return;   // the first call comes while the surface is being made
    const began = performance.now(), theme = ui.theme(), W = ctx.canvas.width, H = ctx.canvas.height, paper = packed(theme.panel);
    if (theme.dark !== (root.dataset.theme === "dark")) root.dataset.theme = theme.dark ? "dark" : "light";
    if (!picture || picture.width !== W || picture.height !== H) { picture = ctx.createImageData(W, H); pixels = new Uint32Array(picture.data.buffer); }
    pixels.fill(paper);
    const [sx, sy] = frameOf(w, tall), bx = w / 2 - view.x * sx, by = tall / 2 + view.y * sy;
    for (let i = 0; i < n; i++) {
      if (state[i] === HIDDEN) { screen[i * 2] = NaN; continue; }
      screen[i * 2] = xy[i * 2] * sx + bx;
      screen[i * 2 + 1] = by - xy[i * 2 + 1] * sy;
    }
    const auto = Math.max(1, Math.min(4.5, Math.sqrt(w * tall / Math.max(n, 1)) * 0.16)) * Math.min(3, view.zoom ** 0.3);
    const r = Math.round((model.get("size") || auto) * face.ratio * 4) / 4, shape = stampOf(r, W), simple = n > 20000;
    let drawn = dots(DIM, shape, W, H, faded, paper, simple);
    drawn += dots(PLAIN, shape, W, H, colours, paper, simple);
    drawn += dots(STRONG, stampOf(Math.round(r * 4.8) / 4, W), W, H, colours, paper, simple);
    ctx.putImageData(picture, 0, 0);
    if (part < 1 && from !== to) ways(ctx, sx, sy, bx, by, theme);
    if (model.get("show_names")) nameClusters(ctx, w, tall, sx, sy, bx, by, theme);
    marks(ctx, theme, r / face.ratio);
    if (lasso) {
      ctx.beginPath();
      lasso.forEach(([x, y], k) => (k ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
      ctx.closePath();
      ctx.fillStyle = theme.dark ? "rgba(86,180,233,.18)" : "rgba(0,114,178,.14)";
      ctx.fill();
      ctx.lineWidth = 1.5;
      ctx.strokeStyle = theme.accent;
      ctx.setLineDash([5, 4]);
      ctx.stroke();
      ctx.setLineDash([]);
    }
    if (over >= 0) card();
    stats = { ms: performance.now() - began, drawn };
  }
  function ways(ctx, sx, sy, bx, by, theme) {   // where the marked clips come from and go to
    const marked = [...new Set([over, ...pair, ...linked, ...model.get("selection").slice(0, 300).map((name) => index.get(name))])].filter((i) => i >= 0 && state[i] !== HIDDEN);
    ctx.lineWidth = 1;
    ctx.strokeStyle = theme.soft;
    ctx.beginPath();
    for (const i of marked) {
      ctx.moveTo(from[i * 2] * sx + bx, by - from[i * 2 + 1] * sy);
      ctx.lineTo(to[i * 2] * sx + bx, by - to[i * 2 + 1] * sy);
    }
    ctx.stroke();
  }
  function nameClusters(ctx, w, tall, sx, sy, bx, by, theme) {
    const c = column(), taken = [];
    if (c?.kind !== "category") { root.dataset.names = ""; return; }
    const shown = [];
    ctx.font = "600 12px system-ui, sans-serif";
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    ctx.lineJoin = "round";
    for (const spot of centres.filter((s) => s).sort((a, b) => b.weight - a.weight)) {
      const x = spot.x * sx + bx, y = by - spot.y * sy, word = c.levels[spot.level], text = word.length > 26 ? word.slice(0, 25) + "…" : word, half = ctx.measureText(text).width / 2 + 3;
      if (x < -half || x > w + half || y < -20 || y > tall + 20 || (lit !== null && lit !== spot.level)) continue;
      const cx = Math.max(half + 2, Math.min(w - half - 2, x));
      const lift = [-14, 14, -29, 29, 0, -44, 44].find((d) => !taken.some((b) => Math.abs(b.x - cx) < b.half + half && Math.abs(b.y - y - d) < 14));
      if (lift === undefined) continue;
      const cy = Math.max(9, Math.min(tall - 9, y + lift));
      taken.push({ x: cx, y: cy, half });
      shown.push(word);
      ctx.lineWidth = 4;
      ctx.strokeStyle = theme.panel;
      ctx.globalAlpha = 0.88;
      ctx.strokeText(text, cx, cy);
      ctx.globalAlpha = 1;
      ctx.fillStyle = theme.ink;
      ctx.fillText(text, cx, cy);
    }
    root.dataset.names = shown.join("\n");
  }
  function marks(ctx, theme, r) {
    const ring = (i, width, text) => {
      const x = screen[i * 2], y = screen[i * 2 + 1];
      if (x !== x || x === undefined) return;
      for (const [colour, line] of [[theme.paper, width + 2.5], [theme.ink, width]]) {
        ctx.beginPath();
        ctx.arc(x, y, r + 4, 0, 6.2832);
        ctx.lineWidth = line;
        ctx.strokeStyle = colour;
        ctx.stroke();
      }
      if (!text) return;
      ctx.font = "700 12px system-ui, sans-serif";
      ctx.textAlign = "left";
      ctx.textBaseline = "middle";
      ctx.lineWidth = 4;
      ctx.strokeStyle = theme.panel;
      ctx.strokeText(text, x + r + 8, y);
      ctx.fillStyle = theme.ink;
      ctx.fillText(text, x + r + 8, y);
    };
    pair.forEach((i, k) => { if (i >= 0) ring(i, 2, pair.length > 1 ? "AB"[k] : ""); });
    linked.forEach((i) => ring(i, 2));
    if (over >= 0) ring(over, 2.5);
  }

  // ---- the card of the clip that is pointed at
  let cardFor = -1, beat = 0, ticks = 0;
  function card() {
    const box = face.canvas.getBoundingClientRect(), x = screen[over * 2], y = screen[over * 2 + 1];
    if (x !== x || x < 0 || y < 0 || x > face.w || y > face.h) { tip.hide(); return; }
    if (cardFor === over && !tip.el.hidden) { if (!morphing) return; }
    cardFor = over;
    const i = over, clip = cardOf(i), texts = sentencesOf(i), ratio = face.ratio || 1;
    const canvas = clip ? h("canvas", { class: "c2vl-card", width: 150 * ratio, height: 110 * ratio, "data-role": "card-skeleton", "aria-hidden": "true" }) : null;
    const words = h("p", { dir: "auto", "data-role": "card-prompt" });
    const rows = columns.slice(0, 6).map((c) => h("div", {}, h("span", {}, `${c.name} `), h("bdi", {}, wordOf(c, i))));
    tip.show(box.left + x, box.top + y, [h("b", { dir: "auto", "data-role": "card-name" }, names[i]), ...rows, canvas, texts.length ? words : null]);
    const paint = () => {
      const t = clip ? ticks % clip.T : 0;
      if (canvas) {
        const ctx = canvas.getContext("2d");
        ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
        ctx.clearRect(0, 0, 150, 110);
        drawCard(ctx, clip, t, 0, 0, 150, 110, ui.theme());
      }
      if (texts.length) sayAt(words, texts, clip ? momentAt(t, clip.T, texts.length) : Math.floor(ticks / 8) % texts.length);
    };
    ticks = 0;
    clearInterval(beat);
    paint();
    tip.show(box.left + x, box.top + y, [...tip.el.childNodes]);   // now that its size is known
    if (!calm.matches && (clip?.T > 1 || texts.length > 1)) beat = setInterval(() => { ticks += 1; paint(); }, 180);
  }
  function point(i) {
    if (i === over) return;
    over = i;
    cardFor = -1;
    linked = [];
    clearInterval(beat);
    const name = i < 0 ? null : names[i];
    root.dataset.hover = name ?? "";
    if (i < 0) tip.hide();
    push({ hovered: name ?? "" });
    bus.emit("hover", { name });
    if (i >= 0 && !cards.has(name) && model.get("asks")) push({ asked: [name] });
    face.redraw();
  }
  const unpoint = () => point(-1);
  function nearPoint(x, y, reach) {
    let best = reach * reach, found = -1;
    for (let i = 0; i < n; i++) {
      const dx = screen[i * 2] - x, dy = screen[i * 2 + 1] - y, d = dx * dx + dy * dy;
      if (d < best && (state[i] !== DIM || d * 4 < best)) { best = d; found = i; }
    }
    return found;
  }
  function inside() {   // which points lie in the lasso
    const xs = lasso.map((p) => p[0]), ys = lasso.map((p) => p[1]), [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)], found = [];
    for (let i = 0; i < n; i++) {
      const x = screen[i * 2], y = screen[i * 2 + 1];
      if (!(x >= x0 && x <= x1 && y >= y0 && y <= y1)) continue;
      let odd = false;
      for (let a = 0, b = xs.length - 1; a < xs.length; b = a++) {
        if ((ys[a] > y) !== (ys[b] > y) && x < (xs[b] - xs[a]) * (y - ys[a]) / (ys[b] - ys[a]) + xs[a]) odd = !odd;
      }
      if (odd) found.push(i);
    }
    return found;
  }
  const drawing = (dx, dy, e) => {
    const box = face.canvas.getBoundingClientRect(), x = e.clientX - box.left, y = e.clientY - box.top;
    lasso ??= [[x - dx, y - dy]];
    const [lx, ly] = lasso.at(-1);
    if (Math.hypot(x - lx, y - ly) > 3) lasso.push([x, y]);
    face.redraw();
  };
  let wasLasso = false;
  ends.push(gestures(face.canvas, {
    drag(dx, dy, e) { if (model.get("tool") === "lasso" || wasLasso) { wasLasso = true; drawing(dx, dy, e); } else move(dx, dy); },
    pan(dx, dy, e) { if (e.shiftKey || wasLasso) { wasLasso = true; drawing(dx, dy, e); } else move(dx, dy); },
    drop() { wasLasso = false; if (lasso) { const found = lasso.length > 2 ? inside() : []; lasso = null; choose(found); } },
    cancel() { wasLasso = false; lasso = null; face.redraw(); },
    zoom,
    hover(x, y) { point(nearPoint(x, y, 12)); },
    leave: unpoint,
    tap(x, y, e) {
      const i = nearPoint(x, y, e.pointerType === "touch" ? 24 : 12);
      if (e.pointerType === "touch") point(i);
      if (i >= 0) pick(i, e);
    },
  }));
  function step(by) {   // the next clip of the selection, of what was found, or of all
    const pool = [...Array(n).keys()].filter((i) => visible(i) && (hits ? hits[i] : selectionSize() ? chosen[i] : true));
    if (!pool.length) return;
    const at = pool.indexOf(over), i = pool[at < 0 ? (by > 0 ? 0 : pool.length - 1) : (at + by + pool.length) % pool.length];
    const [sx, sy] = frameOf(face.w, face.h), x = face.w / 2 + (xy[i * 2] - view.x) * sx, y = face.h / 2 - (xy[i * 2 + 1] - view.y) * sy;
    if (x < 10 || y < 10 || x > face.w - 10 || y > face.h - 10) look({ ...view, x: xy[i * 2], y: xy[i * 2 + 1] });
    point(i);
    say(`${names[i]}${column() ? `, ${wordOf(column(), i)}` : ""}`);
  }
  const flip = (i) => choose([...chosen.keys()].filter((j) => (j === i ? !chosen[j] : chosen[j])));
  const keys = {
    ArrowLeft: () => move(40, 0), ArrowRight: () => move(-40, 0), ArrowUp: () => move(0, 40), ArrowDown: () => move(0, -40), "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8),
    0: () => reset.click(), l: () => lassoTool.click(), t: () => nameTool.click(), n: () => step(1), p: () => step(-1), Enter: (e) => over >= 0 && pick(over, e), x: () => over >= 0 && flip(over),
    ",": () => morph(Math.max(0, Math.round(model.get("at")) - 1)), ".": () => morph(Math.min(spaces.length - 1, Math.round(model.get("at")) + 1)), " ": () => spaces.length > 1 && roam.click(),
    "/": () => search.focus(), "?": () => ask.click(), Escape: () => { lasso = null; unpoint(); if (selectionSize()) choose([]); if (hits) { push({ query: "" }); find(""); } face.redraw(); },
  };
  const onKey = (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.tagName === "SELECT") return;
    if (e.target.tagName === "INPUT" && e.key !== "Escape") return;
    if (e.target.tagName === "BUTTON" && (e.key === " " || e.key === "Enter")) return;
    const act = keys[e.key.length === 1 ? e.key.toLowerCase() : e.key];
    if (!act) return;
    e.preventDefault();
    e.stopPropagation();
    act(e);
  };
  root.addEventListener("keydown", onKey);

  // ---- linked widgets
  const known = (list) => list.map((name) => index.get(name)).filter((i) => i !== undefined);
  bus.on("hover", ({ name, names: both }) => {
    linked = known(both ?? (name === null ? [] : [name]));
    root.dataset.linked = linked.map((i) => names[i]).join("\n");
    face.redraw();
  });
  bus.on("pick", ({ names: both }) => {
    pair = known(both);
    root.dataset.picked = pair.map((i) => names[i]).join("\n");
    push({ picked: pair.map((i) => names[i]) });
    face.redraw();
  });
  bus.on("select", ({ names: wanted }) => { const found = known(wanted); if (found.length || !wanted.length) choose(found, false); });   // others' clips say nothing here

  // ---- what Python changes
  listen("library", load);   // new points are several traits; this one is set last
  listen("at", () => { const at = model.get("at"); if (round(at) !== Number(root.dataset.at)) (Number.isInteger(at) && root.isConnected ? morph : jump)(at); });
  listen("colour_by hidden", () => { recolour(); showList(); });
  listen("selection", (python) => { readSelection(); shade(); if (python) bus.emit("select", { names: model.get("selection") }); });
  listen("picked", (python) => { pair = known(model.get("picked")); root.dataset.picked = model.get("picked").join("\n"); if (python) bus.emit("pick", { names: model.get("picked") }); face.redraw(); });
  listen("query", () => find(model.get("query")));
  listen("playing", () => play(model.get("playing")));
  listen("view", () => { view = { ...view, ...model.get("view") }; root.dataset.zoom = view.zoom.toFixed(3); face.redraw(); });
  listen("fetched", () => { const f = model.get("fetched"); learn(f.metas ?? [], f.layouts ?? [], model.get("fetched_data")); cardFor = -1; face.redraw(); });
  listen("tool show_names size height", refresh);
  ui.end(onTheme(recolour));

  view = { ...view, ...model.get("view") };
  root.dataset.zoom = view.zoom.toFixed(3);
  load();
  pair = known(model.get("picked"));
  root.dataset.picked = model.get("picked").join("\n");
  refresh();
  play(model.get("playing") && spaces.length > 1);
  const place = (name) => { const box = face.canvas.getBoundingClientRect(), i = index.get(name); return [box.left + screen[i * 2], box.top + screen[i * 2 + 1]]; };
  el.c2vl = { face, place, get stats() { return stats; } };
  return () => { ends.forEach((fn) => fn()); stop(); clearTimeout(dwell); clearTimeout(viewTimer); clearInterval(beat); bus.close(); face.end(); ui.close(); };
}
