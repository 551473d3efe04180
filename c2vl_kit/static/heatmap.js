/* Soft targets over epochs: what the loss asked for and what the model answered, as matrices on one locked colour scale. State lives
   in the model; see `SoftTargetHeatmap` in viz.soft_targets. A probability travels as 16 bits of its logarithm.
   el.c2vl = {face, clock, place(row, column, kind) → client pixels, value(kind, row, column, epoch?), entropy(kind) → Float32Array} is there for tests. */

function renderHeatmap({ model, el }) {
  const LEAST = Math.log(1e-6), WORDS = { hard: "hard I", intra: "intra S", inter: "inter C", mixed: "mixed Y", model: "model P" };
  const MEANING = { hard: "only its own clip is right", intra: "clips whose descriptions are alike", inter: "what the model says the other way round", mixed: "the target in force", model: "what the model answers" };
  const PROBABILITY = Float32Array.from({ length: 65536 }, (_, q) => (q ? Math.exp(LEAST - (q - 1) / 65534 * LEAST) : 0));
  const ui = rootOf(el, "c2vl-heat", "soft targets over epochs"), { root } = ui;
  const bus = joinGroup(model, "heatmap"), clock = new Clock({ fps: 3 }), ends = [], calm = matchMedia("(prefers-reduced-motion: reduce)");
  let face = null, names = [], index = new Map(), n = 0, data = new Uint16Array(0), cards = new Map(), panels = [], over = null, linked = [], pair = [], marked = new Set();
  let look = { x: 0, y: 0, zoom: 1 }, order = [], place = [], cache = new Map(), stats = { ms: 0 };

  const { push, listen } = talk(model, ends);

  // ---- what is loaded
  const epochs = () => model.get("epochs");
  const set = () => model.get("sets")[model.get("which")] ?? model.get("sets")[0];
  function load() {
    names = model.get("names");
    n = names.length;
    index = new Map(names.map((name, i) => [name, i]));
    data = bytes(model.get("data"), Uint16Array);
    cards = new Map();
    learn(model.get("card_metas"), model.get("card_layouts"), model.get("card_data"));
    clock.set({ frames: Math.max(1, epochs().length) });
    which.fill(model.get("sets").map((s, k) => ({ value: k, label: s.label })), model.get("which"));
    which.hidden = model.get("sets").length < 2;
    sorts.fill(Object.keys(model.get("orders")).map((k) => ({ value: k, label: `sort: ${k}` })), model.get("sort"));
    time.set(model.get("epoch"), epochs().length - 1);
    play.disabled = time.disabled = epochs().length < 2;
    over = null;
    linked = [];
    sortAgain();
  }
  function learn(metas, layouts, raw) { for (const meta of metas) cards.set(meta.name, { meta, layouts, raw, clip: null }); }
  function cardOf(i) {
    const card = cards.get(names[i]);
    if (card && !card.clip) [card.clip] = decodeClips([card.meta], card.raw, card.layouts);
    return card?.clip ?? null;
  }
  function block(kind, e) {   // (N, N) of one matrix at one recorded epoch; null: the identity
    const at = set().blocks[kind]?.[e];
    return at === undefined || at < 0 ? null : data.subarray(at, at + n * n);
  }
  const valueIn = (b, i, j) => (b ? PROBABILITY[b[i * n + j]] : i === j ? 1 : 0);
  const valueOf = (kind, i, j, e = clock.index) => valueIn(block(kind, e), i, j);
  function entropy(kind, e = clock.index) {   // nats, one for each row
    const id = `h/${model.get("which")}/${kind}/${e}`;
    if (!cache.has(id)) {
      const b = block(kind, e), out = new Float32Array(n);
      if (b) for (let i = 0; i < n; i++) { let sum = 0; for (let j = 0; j < n; j++) { const p = PROBABILITY[b[i * n + j]]; if (p) sum -= p * Math.log(p); } out[i] = sum; }
      cache.set(id, out);
    }
    return cache.get(id);
  }
  const kinds = () => {   // of what was chosen, what this set has; all of it where that is nothing
    const here = inOrder(Object.keys(set().blocks)), some = here.filter((k) => model.get("kinds").includes(k));
    return some.length ? some : here;
  };
  const groupOf = () => ({ class: model.get("classes"), cluster: model.get("clusters") })[model.get("sort")] ?? [];
  function sortAgain() {
    order = model.get("orders")[model.get("sort")] ?? names.map((_, i) => i);
    place = new Array(n);
    order.forEach((i, at) => { place[i] = at; });
    for (const id of [...cache.keys()]) if (id.startsWith("p/")) cache.delete(id);
    refresh();
  }

  // ---- controls
  const change = (key, v) => { push({ [key]: v }); refresh(); };
  const stage = h("div", { class: "c2vl-stage", "data-role": "stage" });
  const kindButtons = Object.keys(WORDS).map((kind, k) => {
    const b = button({ text: WORDS[kind], label: `${kind}: ${MEANING[kind]}`, role: `kind-${kind}`, key: String(k + 1), pressed: true, onClick: () => toggleKind(kind) });
    b.dataset.kind = kind;
    return b;
  });
  const inOrder = (list) => Object.keys(WORDS).filter((k) => list.includes(k));
  function toggleKind(kind) {
    const now = kinds(), next = now.includes(kind) ? now.filter((k) => k !== kind) : [...now, kind];
    if (next.length) change("kinds", inOrder([...model.get("kinds").filter((k) => !set().blocks[k]), ...next]));
  }
  const solo = (kind) => { if (set().blocks[kind]) change("kinds", kinds().length === 1 && kinds()[0] === kind ? inOrder(Object.keys(set().blocks)) : [kind]); };
  const which = select({ label: "matrix of", role: "set", options: [], value: 0, onChange: (v) => { push({ which: Number(v) }); refresh(); } });
  const sorts = select({ label: "sort clips by", role: "sort", options: [], value: "", onChange: (v) => { push({ sort: v }); sortAgain(); } });
  const diff = button({ text: "Δ", label: "difference to the previous epoch", role: "difference", key: "D", pressed: false, onClick: () => change("difference", !model.get("difference")) });
  const reset = button({ icon: "reset", label: "whole matrix", role: "reset", key: "0", onClick: () => window_({ x: 0, y: 0, zoom: 1 }) });
  const help = h("div", { class: "c2vl-help", "data-role": "help", hidden: true }, [["Space", "play, pause"], [", . Home End", "epochs"], ["← → ↑ ↓", "go from cell to cell"], ["Enter, click", "show both clips in the player"], ["1 … 5", "one matrix alone, or all"],
    ["D", "difference to the previous epoch"], ["S", "next sorting"], ["wheel, + −", "zoom (click the picture first)"], ["drag", "move"], ["0", "whole matrix"]].map(([k, what]) => h("div", {}, h("kbd", {}, k), what)));
  const ask = button({ icon: "help", label: "keys", role: "help-button", key: "?", pressed: false, onClick: () => { help.hidden = !help.hidden; ask.set(!help.hidden); } });
  const play = button({ icon: "play", label: "play", role: "play", key: "Space", onClick: () => clock.toggle() });
  const time = slider({ label: "epoch", role: "epoch", text: () => words(), onInput: (v) => { clock.pause(); clock.seek(v); } });
  const told = h("span", { class: "c2vl-time", "data-role": "told" });
  const bar = colourBar({ role: "bar" }), alphaBox = h("div", { class: "c2vl-alpha" });
  root.append(h("div", { class: "c2vl-row" }, kindButtons, which, sorts, diff, reset, ask), help, stage, h("div", { class: "c2vl-row" }, play, time, told, alphaBox, bar));
  const words = () => `epoch ${epochs()[clock.index]} · α = ${(model.get("alphas")[clock.index] ?? 0).toFixed(2)}`;
  face = surface(stage, draw, { label: "matrices of soft targets; press ? for keys", role: "canvas" });
  const strip = surface(alphaBox, drawAlpha, { label: "α over the epochs", role: "alpha" });
  strip.canvas.tabIndex = -1;
  const tip = tooltip(root);

  function refresh() {
    const theme = ui.theme();
    for (const b of kindButtons) { b.hidden = !set().blocks[b.dataset.kind]; b.set(kinds().includes(b.dataset.kind)); }
    diff.set(model.get("difference"));
    diff.disabled = epochs().length < 2;
    sorts.set(model.get("sort"));
    which.set(model.get("which"));
    stage.style.setProperty("--stage", `${model.get("height")}px`);
    Object.assign(root.dataset, { sort: model.get("sort"), difference: model.get("difference"), kinds: kinds().join(" "), which: model.get("which"), theme: theme.dark ? "dark" : "light" });
    dial();
    if (over) over.kind = kinds().includes(over.kind) ? over.kind : kinds()[0];
    redraw();
  }
  function dial() {
    const d = set().change;
    bar.set(model.get("difference") ? { scale: "diverging", lo: -d, hi: d, label: `change since epoch ${epochs()[Math.max(0, clock.index - 1)]}` } : { scale: "viridis", lo: model.get("lo"), hi: 1, label: "probability (log)" });
    time.set(clock.index);
    told.textContent = words();
    root.dataset.epoch = epochs()[clock.index];
    root.dataset.alpha = (model.get("alphas")[clock.index] ?? 0).toFixed(3);
  }
  const redraw = () => { face?.redraw(); strip?.redraw(); };
  ends.push(clock.on((_, what) => {
    if (what === "play" || what === "pause") {
      play.set(undefined, clock.playing ? "pause" : "play", clock.playing ? "pause" : "play");
      root.dataset.playing = clock.playing;
    }
    if (what === "set") return;
    const moved = model.get("epoch") !== clock.index;
    if (moved || model.get("playing") !== clock.playing) push({ epoch: clock.index, playing: clock.playing });
    if (moved || what !== "tick") { dial(); redraw(); }
  }));

  // ---- drawing
  const packed = (table, i) => ((255 << 24) | (table[i * 3 + 2] << 16) | (table[i * 3 + 1] << 8) | table[i * 3]) >>> 0;
  let scale = null;
  function inks() {   // a colour for each of the 65,536 steps: logarithmic, the same for every matrix and epoch
    const lo = model.get("lo");
    if (scale?.lo === lo) return scale.table;
    const table = lut("viridis"), low = Math.log(lo);
    scale = { lo, table: Uint32Array.from({ length: 65536 }, (_, q) => packed(table, q ? Math.round(255 * unit(LEAST - (q - 1) / 65534 * LEAST, low, 0)) : 0)) };
    return scale.table;
  }
  function pictureOf(kind) {
    const e = clock.index, change = model.get("difference"), id = `p/${model.get("which")}/${kind}/${e}/${change}`;
    if (cache.has(id)) return cache.get(id);
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = n;
    const ctx = canvas.getContext("2d"), picture = ctx.createImageData(n, n), out = new Uint32Array(picture.data.buffer), now = block(kind, e), was = block(kind, Math.max(0, e - 1));
    const ink = inks(), table = lut("diverging"), most = set().change;
    for (let r = 0; r < n; r++) for (let c = 0; c < n; c++) {
      const i = order[r], j = order[c], k = i * n + j;
      if (!change) { out[r * n + c] = now ? ink[now[k]] : ink[i === j ? 65535 : 0]; continue; }
      out[r * n + c] = packed(table, Math.round(255 * unit(valueIn(now, i, j) - valueIn(was, i, j), -most, most)));
    }
    ctx.putImageData(picture, 0, 0);
    if (cache.size > 400) for (const old of [...cache.keys()].slice(0, 200)) cache.delete(old);
    cache.set(id, canvas);
    return canvas;
  }
  const HEAD = 34, STRIP = 16, GAP = 10;
  function arrange(w, tall) {
    const list = kinds(), named = list.length === 1 && w > 420 && groupOf().length ? 120 : 0;
    let best = null;
    for (let columns = 1; columns <= list.length; columns++) {
      const rows = Math.ceil(list.length / columns), side = Math.floor(Math.min((w - GAP) / columns - GAP - STRIP - named, (tall - GAP) / rows - GAP - HEAD));
      if (!best || side > best.side) best = { side, columns, rows };
    }
    const wide = best.side + STRIP + GAP + named, high = best.side + HEAD + GAP, left = Math.max(GAP, (w - best.columns * wide - GAP) / 2 + GAP / 2), top = Math.max(GAP / 2, (tall - best.rows * high) / 2);
    panels = list.map((kind, k) => ({ kind, x: left + (k % best.columns) * wide + named, y: top + Math.floor(k / best.columns) * high + HEAD, side: Math.max(20, best.side), named }));
  }
  function groups(list) {   // runs of one word in the order shown: [word, from, to)
    const out = [];
    order.forEach((i, at) => { if (out.length && out.at(-1)[0] === list[i]) out.at(-1)[2] = at + 1; else out.push([list[i], at, at + 1]); });
    return out;
  }
  function draw(ctx, w, tall) {
    if (!face) return;
    const began = performance.now(), theme = ui.theme();
    ctx.fillStyle = theme.panel;
    ctx.fillRect(0, 0, w, tall);
    arrange(w, tall);
    const span = n / look.zoom, list = groupOf(), runs = list.length ? groups(list) : [];
    for (const p of panels) {
      const cell = p.side / span, H = entropy(p.kind), mean = H.reduce((a, b) => a + b, 0) / Math.max(1, n);
      ctx.textAlign = "left";
      ctx.textBaseline = "alphabetic";
      ctx.fillStyle = theme.ink;
      ctx.font = "600 13px system-ui, sans-serif";
      ctx.fillText(WORDS[p.kind], p.x, p.y - 19, p.side);
      ctx.fillStyle = theme.soft;
      ctx.font = "11px system-ui, sans-serif";
      ctx.fillText(`H ${mean.toFixed(2)} · ${Math.exp(mean).toFixed(1)} clips`, p.x, p.y - 5, p.side + STRIP);
      ctx.imageSmoothingEnabled = false;
      ctx.drawImage(pictureOf(p.kind), look.x, look.y, span, span, p.x, p.y, p.side, p.side);
      ctx.save();
      ctx.beginPath();
      ctx.rect(p.x, p.y, p.side + STRIP, p.side);
      ctx.clip();
      const at = (r) => (r - look.x) * cell + p.x, down = (r) => (r - look.y) * cell + p.y;
      if (runs.length > 1 && runs.length <= n / 2) {
        ctx.strokeStyle = model.get("difference") ? theme.soft : "rgba(255,255,255,.75)";
        ctx.lineWidth = runs.length > 12 ? 0.6 : 1;
        for (const [, a, b] of runs) ctx.strokeRect(at(a), down(a), (b - a) * cell, (b - a) * cell);
      }
      const first = Math.max(0, Math.floor(look.y)), last = Math.min(n, Math.ceil(look.y + span)), most = Math.log(Math.max(2, n));
      ctx.fillStyle = theme.accent;
      for (let r = first; r < last; r++) ctx.fillRect(p.x + p.side + 3, down(r), (STRIP - 3) * Math.min(1, H[order[r]] / most), Math.max(1, cell * 0.8));
      for (const i of marked) { ctx.fillStyle = theme.right; ctx.fillRect(p.x, down(place[i]), 4, cell); ctx.fillRect(at(place[i]), p.y, cell, 4); }
      if (pair.length) box(ctx, at(place[pair.at(-1)]), down(place[pair[0]]), cell, theme, 2);
      const rows = over ? [over.row] : linked, cols = over ? [over.column] : linked;
      ctx.fillStyle = theme.dark ? "rgba(255,255,255,.28)" : "rgba(255,255,255,.34)";
      for (const i of rows) ctx.fillRect(p.x, down(place[i]), p.side, cell);
      for (const j of cols) if (j >= 0) ctx.fillRect(at(place[j]), p.y, cell, p.side);
      if (over && over.column >= 0) box(ctx, at(place[over.column]), down(place[over.row]), cell, theme, 2);
      ctx.restore();
      if (p.named) nameRows(ctx, p, runs, cell, theme);
    }
    if (over) card();
    stats = { ms: performance.now() - began };
  }
  function box(ctx, x, y, cell, theme, line) {
    const size = Math.max(cell, 5), off = (size - cell) / 2;
    for (const [colour, width] of [["#000000", line + 2], ["#ffffff", line]]) { ctx.strokeStyle = colour; ctx.lineWidth = width; ctx.strokeRect(x - off, y - off, size, size); }
  }
  function nameRows(ctx, p, runs, cell, theme) {
    ctx.fillStyle = theme.ink;
    ctx.font = "11px system-ui, sans-serif";
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    let free = -Infinity;
    for (const [word, a, b] of runs) {
      const y = ((a + b) / 2 - look.y) * cell + p.y, text = String(word);
      if (y < p.y || y > p.y + p.side || y < free + 12) continue;
      ctx.fillText(text.length > 20 ? text.slice(0, 19) + "…" : text, p.x - 6, y);
      free = y;
    }
  }
  function drawAlpha(ctx, w, tall) {
    const theme = ui.theme(), alphas = model.get("alphas") ?? [], when = epochs(), last = Math.max(1, when.at(-1) - when[0]), most = Math.max(0.05, ...alphas);
    const x = (e) => 6 + (when[e] - when[0]) / last * (w - 12), y = (a) => tall - 6 - a / most * (tall - 12);
    ctx.clearRect(0, 0, w, tall);
    ctx.strokeStyle = theme.line;
    ctx.lineWidth = 1;
    ctx.strokeRect(0.5, 0.5, w - 1, tall - 1);
    ctx.strokeStyle = theme.accent;
    ctx.lineWidth = 1.6;
    ctx.beginPath();
    alphas.forEach((a, e) => (e ? ctx.lineTo(x(e), y(a)) : ctx.moveTo(x(e), y(a))));
    ctx.stroke();
    ctx.fillStyle = theme.right;
    ctx.beginPath();
    ctx.arc(x(clock.index), y(alphas[clock.index] ?? 0), 4, 0, 6.2832);
    ctx.fill();
    ctx.fillStyle = theme.soft;
    ctx.font = "10px system-ui, sans-serif";
    ctx.fillText("α", 4, 11);
  }

  // ---- the card: both clips and prompts
  let beat = 0, ticks = 0, cardFor = "", paint = () => {};
  const skeletonFirst = () => set().direction === 0;
  function card() {
    const p = panels.find((q) => q.kind === over.kind) ?? panels[0], cell = p.side * look.zoom / n, outer = face.canvas.getBoundingClientRect();
    const x = outer.left + p.x + (over.column < 0 ? p.side : (place[over.column] - look.x + 0.5) * cell), y = outer.top + p.y + (place[over.row] - look.y + 0.5) * cell;
    const id = [over.row, over.column, over.kind, clock.index, model.get("which"), model.get("sort"), kinds(), model.get("difference"), cards.size].join("/");
    if (id === cardFor && !tip.el.hidden) return;
    cardFor = id;
    const texts = model.get("texts"), classes = model.get("classes"), ratio = face.ratio || 1, canvases = [], paragraphs = [];
    const half = (i, what) => {
      const clip = cardOf(i), canvas = clip ? h("canvas", { class: "c2vl-card", width: 150 * ratio, height: 96 * ratio, "aria-hidden": "true" }) : null, p_ = texts[i]?.length ? h("p", { dir: "auto", "data-role": `${what}-prompt` }) : null;
      if (canvas) canvases.push([canvas, clip]);
      if (p_) paragraphs.push([p_, texts[i], clip]);
      return h("div", {}, h("span", {}, (what === "row") === skeletonFirst() ? `${what}: skeleton of` : `${what}: words of`), h("b", { dir: "auto", "data-role": `${what}-name` }, names[i]), classes[i] ? h("span", { dir: "auto" }, classes[i]) : null, canvas, p_);
    };
    const H = entropy(over.kind)[over.row], e = clock.index;
    const values = over.column < 0 ? [] : kinds().map((kind) => {
      const v = valueOf(kind, over.row, over.column), d = v - valueOf(kind, over.row, over.column, Math.max(0, e - 1));
      return h("div", { class: kind === over.kind ? "c2vl-now" : "", "data-value": kind }, h("span", {}, `${WORDS[kind]} `), fmt(v), model.get("difference") ? ` (${d < 0 ? "−" : "+"}${fmt(Math.abs(d))})` : null);
    });
    const content = [h("div", { class: "c2vl-pair" }, half(over.row, "row"), over.column < 0 || over.column === over.row ? null : half(over.column, "column")),
      h("div", { class: "c2vl-values", "data-role": "values" }, values, h("div", {}, h("span", {}, `row entropy (${over.kind}) `), `${H.toFixed(2)} nats, as ${Math.exp(H).toFixed(1)} clips`))];
    paint = () => {
      for (const [canvas, clip] of canvases) {
        const ctx = canvas.getContext("2d");
        ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
        ctx.clearRect(0, 0, 150, 96);
        drawCard(ctx, clip, ticks % clip.T, 0, 0, 150, 96, ui.theme());
      }
      for (const [p_, list, clip] of paragraphs) sayAt(p_, list, clip ? momentAt(ticks % clip.T, clip.T, list.length) : Math.floor(ticks / 8) % list.length);
    };
    paint();
    tip.show(x, y, content);
    clearInterval(beat);
    if (!calm.matches && (canvases.length || paragraphs.length)) beat = setInterval(() => { ticks += 1; paint(); }, 180);
  }

  // ---- pointing
  function cellAt(x, y) {
    const p = panels.find((q) => x >= q.x && x < q.x + q.side + STRIP && y >= q.y && y < q.y + q.side);
    if (!p) return null;
    const cell = p.side * look.zoom / n, r = Math.floor((y - p.y) / cell + look.y), c = Math.floor((x - p.x) / cell + look.x);
    if (r < 0 || r >= n) return null;
    if (x >= p.x + p.side) return { kind: p.kind, row: order[r], column: -1 };
    return c < 0 || c >= n ? null : { kind: p.kind, row: order[r], column: order[c] };
  }
  const namesOf = (cell) => [...new Set([cell.row, cell.column].filter((i) => i >= 0))].map((i) => names[i]);
  function point(cell) {
    const same = cell?.row === over?.row && cell?.column === over?.column;
    if (same && cell?.kind === over?.kind) return;
    over = cell;
    if (!cell) { tip.hide(); clearInterval(beat); cardFor = ""; }
    face.redraw();
    if (same) return;
    linked = [];
    ticks = 0;
    const both = cell ? namesOf(cell) : [];
    root.dataset.hover = both.join("\n");
    push({ cell: cell ? { row: names[cell.row], column: cell.column < 0 ? "" : names[cell.column], kind: cell.kind } : {} });
    bus.emit("hover", { name: both[0] ?? null, names: both });
    const missing = both.filter((name) => !cards.has(name));
    if (missing.length && model.get("asks")) push({ asked: missing });
  }
  function pick(cell) {
    const picked = cell.column < 0 ? [names[cell.row]] : [names[cell.row], names[cell.column]];
    pair = picked.map((name) => index.get(name));
    push({ picked });
    root.dataset.picked = picked.join("\n");
    ui.say(`picked ${picked.join(" and ")}`);
    bus.emit("pick", { names: picked });
    face.redraw();
  }
  let windowTimer = 0;
  function window_(to) {
    const zoom = Math.max(1, Math.min(n / 4, to.zoom)), span = n / zoom, keep = (v) => Math.max(0, Math.min(n - span, v));
    look = { zoom, x: keep(to.x), y: keep(to.y) };
    root.dataset.zoom = zoom.toFixed(3);
    clearTimeout(windowTimer);
    windowTimer = setTimeout(() => push({ window: { ...look } }), 120);
    cardFor = "";
    face.redraw();
  }
  function zoomAt(factor, px, py) {
    const p = panels.find((q) => px >= q.x && px < q.x + q.side && py >= q.y && py < q.y + q.side), cell = (p ?? panels[0]).side * look.zoom / n, span = n / look.zoom;
    const [cx, cy] = p ? [(px - p.x) / cell, (py - p.y) / cell] : [span / 2, span / 2], zoom = Math.max(1, Math.min(n / 4, look.zoom * factor)), grow = look.zoom / zoom;
    window_({ zoom, x: look.x + cx * (1 - grow), y: look.y + cy * (1 - grow) });
  }
  const slide = (dx, dy) => { const cell = panels[0].side * look.zoom / n; window_({ ...look, x: look.x - dx / cell, y: look.y - dy / cell }); };
  ends.push(gestures(face.canvas, {
    drag: slide, pan: slide, zoom: zoomAt,
    hover(x, y) { point(cellAt(x, y)); },
    leave() { point(null); },
    tap(x, y, e) { const cell = cellAt(x, y); if (e.pointerType === "touch") point(cell); if (cell) pick(cell); },
  }));
  function go(dr, dc) {
    const now = over ?? { kind: kinds()[0], row: order[0], column: order[0] }, step = (i, d) => order[Math.max(0, Math.min(n - 1, (i < 0 ? 0 : place[i]) + d))];
    const cell = over ? { kind: now.kind, row: step(now.row, dr), column: step(now.column, dc) } : now, span = n / look.zoom;
    const into = (v, from) => (v < from ? v : v + 1 > from + span ? v + 1 - span : from);
    if (look.zoom > 1) window_({ ...look, y: into(place[cell.row], look.y), x: into(place[cell.column], look.x) });
    point(cell);
    ui.say(`row ${names[cell.row]}, column ${names[cell.column]}: ${fmt(valueOf(cell.kind, cell.row, cell.column))}`);
  }
  const keys = {
    " ": () => clock.toggle(), ",": () => clock.step(-1), ".": () => clock.step(1), Home: () => { clock.pause(); clock.seek(0); }, End: () => { clock.pause(); clock.seek(clock.frames - 1); },
    ArrowUp: () => go(-1, 0), ArrowDown: () => go(1, 0), ArrowLeft: () => go(0, -1), ArrowRight: () => go(0, 1), Enter: () => over && pick(over), d: () => diff.click(), 0: () => reset.click(),
    s: () => { const all = Object.keys(model.get("orders")); push({ sort: all[(all.indexOf(model.get("sort")) + 1) % all.length] }); sortAgain(); },
    "+": () => zoomAt(1.4, -1, -1), "=": () => zoomAt(1.4, -1, -1), "-": () => zoomAt(1 / 1.4, -1, -1), "?": () => ask.click(), Escape: () => point(null),
  };
  Object.keys(WORDS).forEach((kind, k) => { keys[k + 1] = () => solo(kind); });
  const onKey = (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.tagName === "SELECT") return;
    if (e.target.tagName === "BUTTON" && (e.key === " " || e.key === "Enter")) return;
    if (e.target.type === "range" && /^(Arrow|Home|End|Page)/.test(e.key)) return;
    const act = keys[e.key.length === 1 ? e.key.toLowerCase() : e.key];
    if (!act) return;
    e.preventDefault();
    e.stopPropagation();
    act(e);
  };
  root.addEventListener("keydown", onKey);

  // ---- linked widgets
  const known = (list) => list.map((name) => index.get(name)).filter((i) => i !== undefined);
  bus.on("hover", ({ name, names: both }) => { linked = known(both ?? (name === null ? [] : [name])); root.dataset.linked = linked.map((i) => names[i]).join("\n"); face.redraw(); });
  bus.on("pick", ({ names: both }) => { pair = known(both); push({ picked: pair.map((i) => names[i]) }); root.dataset.picked = pair.map((i) => names[i]).join("\n"); face.redraw(); });
  bus.on("select", ({ names: wanted }) => { marked = new Set(known(wanted)); root.dataset.marked = marked.size; face.redraw(); });

  // ---- what Python changes
  listen("library", load);   // a new record is several traits; this one is set last
  listen("epoch", () => clock.seek(model.get("epoch")));
  listen("playing", () => { if (model.get("playing") !== clock.playing) clock.toggle(); });
  listen("sort", sortAgain);
  listen("window", () => { const to = model.get("window"); look = { ...look, ...to }; face.redraw(); });
  listen("picked", (python) => { pair = known(model.get("picked")); root.dataset.picked = model.get("picked").join("\n"); if (python) bus.emit("pick", { names: model.get("picked") }); face.redraw(); });
  listen("fetched", () => { const f = model.get("fetched"); learn(f.metas ?? [], f.layouts ?? [], model.get("fetched_data")); cardFor = ""; face.redraw(); });
  listen("difference kinds which height", refresh);
  ui.end(onTheme(refresh));

  look = { ...look, ...model.get("window") };
  load();
  clock.seek(model.get("epoch"));
  pair = known(model.get("picked"));
  root.dataset.playing = false;
  if (model.get("playing")) clock.play();
  const placeOf = (row, column, kind = kinds()[0]) => {
    const p = panels.find((q) => q.kind === kind), cell = p.side * look.zoom / n, outer = face.canvas.getBoundingClientRect();
    return [outer.left + p.x + (place[index.get(column)] - look.x + 0.5) * cell, outer.top + p.y + (place[index.get(row)] - look.y + 0.5) * cell];
  };
  el.c2vl = { face, clock, place: placeOf, value: (kind, a, b, e) => valueOf(kind, index.get(a), index.get(b), e), entropy, get stats() { return stats; }, get order() { return order.map((i) => names[i]); } };
  return () => { ends.forEach((fn) => fn()); clock.pause(); clearInterval(beat); clearTimeout(windowTimer); bus.close(); face.end(); strip.end(); ui.close(); };
}
