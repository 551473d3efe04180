/* The skeleton player: clips on a canvas, one clock, one camera. State lives in the model; see `SkeletonPlayer` in viz.player.
   el.c2vl = {clock, camera, face, panels} is there for tests and for pages that embed a player. */

function renderPlayer({ model, el }) {
  const SPEEDS = [0.25, 0.5, 1, 2, 4];
  const ui = rootOf(el, "c2vl-player", "skeleton player"), { root } = ui;
  const bus = joinGroup(model, "player");
  const clock = sharedClock(model.get("key"), {});
  const camera = new Camera(model.get("camera"));
  let clips = [], scalars = [], panels = [], hover = null, told = 0, known = "", listed = "";

  // ---- state to the model and back
  const ends = [];
  const { push, listen } = talk(model, ends);
  let cameraTimer = 0;
  const pushCamera = () => { clearTimeout(cameraTimer); cameraTimer = setTimeout(() => push({ camera: camera.state() }), 120); };
  const moved = () => { views.set(viewName()); face.redraw(); pushCamera(); };
  const viewName = () => Object.keys(VIEWS).find((k) => VIEWS[k][0] === camera.yaw && VIEWS[k][1] === camera.pitch) ?? "";

  // ---- what can be chosen
  const change = (key, value) => { push({ [key]: value }); refresh(); };
  const flip = (key) => change(key, !model.get(key));
  const setSpeed = (v) => { clock.set({ speed: v }); push({ speed: v }); refresh(); };
  const faster = (n) => {
    const at = SPEEDS.reduce((best, s, i) => (Math.abs(s - clock.speed) < Math.abs(SPEEDS[best] - clock.speed) ? i : best), 0);
    setSpeed(SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, at + n))]);
  };
  const setLoop = () => { clock.set({ loop: !clock.loop }); push({ loop: clock.loop }); refresh(); };
  const look = (name) => { camera.preset(name); moved(); };
  const home = model.get("camera");
  const resetCamera = () => { camera.load(home); moved(); };
  const nextColour = () => { const all = colourings().map((o) => o.value); change("colour_by", all[(all.indexOf(model.get("colour_by")) + 1) % all.length]); };
  const colourings = () => [{ value: "side", label: "colour: left / right" }, { value: "part", label: "colour: body part" }, { value: "person", label: "colour: person" },
    ...scalars.map((s) => ({ value: s.name, label: `colour: ${s.name}` }))];
  const togglePerson = (m) => {
    const off = new Set(model.get("hidden"));
    off.has(m) ? off.delete(m) : off.add(m);
    change("hidden", [...off].sort());
  };
  const show = (shown) => { push({ shown }); arrange(); };

  // ---- the picture and what stands around it
  const chooser = h("div", { class: "c2vl-row", "data-role": "chooser" });
  const stage = h("div", { class: "c2vl-stage", "data-role": "stage" });
  const titles = h("div", { class: "c2vl-titles" });
  const play = button({ icon: "play", label: "play", role: "play", key: "Space", onClick: () => clock.toggle() });
  const back = button({ icon: "prev", label: "one frame back", role: "back", key: "ArrowLeft", onClick: () => clock.step(-1) });
  const ahead = button({ icon: "next", label: "one frame ahead", role: "ahead", key: "ArrowRight", onClick: () => clock.step(1) });
  const scrub = slider({ label: "frame", role: "scrub", text: () => timeText(), onInput: (v) => { clock.pause(); clock.seek(v); } });
  const time = h("span", { class: "c2vl-time", "data-role": "time" });
  const speeds = select({ label: "speed", role: "speed", options: SPEEDS.map((s) => ({ value: s, label: `${{ 0.25: "¼", 0.5: "½" }[s] ?? s}×` })), value: 1, onChange: (v) => setSpeed(Number(v)) });
  const loop = button({ icon: "loop", label: "loop", role: "loop", key: "L", pressed: true, onClick: setLoop });
  const views = select({ label: "view", role: "view", options: [{ value: "", label: "view: free" }, ...Object.keys(VIEWS).map((k) => ({ value: k, label: `view: ${k}` }))], value: "", onChange: look });
  const reset = button({ icon: "reset", label: "reset the view", role: "reset", key: "0", onClick: resetCamera });
  const colours = select({ label: "colour by", role: "colour", options: colourings(), value: "side", onChange: (v) => change("colour_by", v) });
  const trails = button({ icon: "trail", label: "trails", role: "trails", key: "T", pressed: false, onClick: () => change("trails", model.get("trails") ? 0 : 20) });
  const ghosts = button({ icon: "ghost", label: "ghosts of earlier moments", role: "ghosts", key: "O", pressed: false, onClick: () => change("ghosts", model.get("ghosts") ? 0 : 4) });
  const grid = button({ icon: "grid", label: "ground grid", role: "grid", key: "G", pressed: true, onClick: () => flip("grid") });
  const follow = button({ icon: "follow", label: "keep the bodies in the middle", role: "follow", key: "F", pressed: false, onClick: () => flip("follow") });
  const help = h("div", { class: "c2vl-help", "data-role": "help", hidden: true }, [["Space", "play, pause"], ["← →", "one frame (Shift: ten)"], ["Home End", "first, last frame"],
    [", .", "slower, faster"], ["A D W S", "turn"], ["+ −", "zoom"], ["1 … 5", Object.keys(VIEWS).join(", ")], ["0", "reset the view"], ["C", "next colouring"], ["L G F", "loop, grid, follow"],
    ["T O", "trails, ghosts"], ["N P Enter", "next, previous joint; mark it"], ["drag", "turn (Shift or right button: move)"], ["wheel, pinch", "zoom (click the picture first)"], ["click a joint", "mark it"]].map(([k, what]) => h("div", {}, h("kbd", {}, k), what)));
  const ask = button({ icon: "help", label: "keys", role: "help-button", key: "?", pressed: false, onClick: () => { help.hidden = !help.hidden; ask.set(!help.hidden); } });
  const key = legend({ label: "colours", role: "legend" });
  const people = legend({ label: "persons", role: "persons", onToggle: (m) => togglePerson(m) });
  const bar = colourBar({ role: "bar" });
  const prompts = h("div", { class: "c2vl-prompts", "data-role": "prompts" });
  root.append(chooser, stage, h("div", { class: "c2vl-row" }, back, play, ahead, scrub, time), h("div", { class: "c2vl-row" }, speeds, loop, views, reset, colours, trails, ghosts, grid, follow, ask),
    help, h("div", { class: "c2vl-row" }, key, people, bar), prompts);
  const face = surface(stage, draw, { label: "skeletons; press ? for keys", role: "canvas" });
  stage.append(titles);
  const tip = tooltip(root);

  // ---- time
  const local = (clip, f) => (model.get("align") === "stretch" ? (clock.frames > 1 ? f * (clip.T - 1) / (clock.frames - 1) : 0) : Math.min(clip.T - 1, f * clip.fps / clock.fps));
  const timeText = () => `frame ${clock.index} / ${clock.frames - 1} · ${(clock.index / clock.fps).toFixed(2)} / ${(clock.frames / clock.fps).toFixed(2)} s`;
  const pushFrame = () => { if (model.get("frame") !== clock.index || model.get("playing") !== clock.playing) push({ frame: clock.index, playing: clock.playing }); };
  let shownIndex = -1;
  const dial = () => {   // everything that changes with the frame, but the picture
    if (clock.index === shownIndex) return;
    shownIndex = clock.index;
    const heard = [];
    scrub.set(clock.index);
    time.textContent = timeText();
    root.dataset.frame = clock.index;
    panels.forEach((p) => {
      if (!p.words) return;
      const at = p.clip.moment(local(p.clip, clock.index));
      if (at === p.said) return;
      const words = sayAt(p.words, p.clip.prompts, at);
      if (p.said !== -2) heard.push(panels.length > 1 ? `${p.clip.title || p.clip.name}: ${words}` : words);
      p.said = at;
      p.count.textContent = `moment ${at + 1} / ${p.clip.prompts.length}`;
    });
    if (heard.length && !clock.playing) ui.say(heard.join("; "));   // for those who hear it, while it stands still
  };
  let count = 0, since = 0;
  const rate = () => {   // pictures per second while playing, for those who measure
    const now = performance.now();
    if (now - since > 500) { if (since && now - since < 1500) root.dataset.fps = (count * 1000 / (now - since)).toFixed(1); since = now; count = 0; }
    count += 1;
  };
  ends.push(clock.on((_, what) => {
    if (what === "tick") {
      if (root.isConnected) { dial(); face.now(); rate(); }
      if (performance.now() - told > 100) { told = performance.now(); pushFrame(); }
      return;
    }
    if (what === "play" || what === "pause") {
      play.set(undefined, clock.playing ? "pause" : "play", clock.playing ? "pause" : "play");
      root.dataset.playing = clock.playing;
      since = 0;
    }
    dial();
    face.redraw();
    if (what !== "set") pushFrame();
  }));

  // ---- which clips stand where
  let loaded = null;
  function load() {
    loaded = model.get("library");
    const values = model.get("values"), layouts = model.get("layouts");
    clips = decodeClips(model.get("metas"), model.get("data"), layouts);
    scalars = model.get("scalars").map((s) => ({
      ...s, of: Object.fromEntries(Object.entries(s.clips).map(([i, at]) => [i, bytes(values, Int16Array, clips[i].T * clips[i].M * clips[i].V, at)])),
    }));
    colours.fill(colourings(), model.get("colour_by"));
    arrange();
  }
  function chooseFrom(names) {   // one list for each place; those that can stay do, and keep the keyboard
    const of = chooser.hidden ? "" : JSON.stringify([panels.length, names]), focused = [...chooser.children].indexOf(document.activeElement);
    if (of !== listed) chooser.replaceChildren(...(of ? panels.map((_, n) => select({ label: panels.length > 1 ? `clip ${n + 1}` : "clip", role: "clip", options: names,
      onChange: (v) => show(panels.map((q, k) => (k === n ? Number(v) : q.at))) })) : []));
    listed = of;
    panels.forEach((p, n) => chooser.children[n]?.set(p.at));
    if (focused >= 0 && !chooser.contains(document.activeElement)) (chooser.children[Math.min(focused, chooser.children.length - 1)] ?? face.canvas).focus({ preventScroll: true });
  }
  const valueAt = (s, panel, f, m, v) => {
    const all = s.of[panel.at], { M, V, T } = panel.clip;
    if (!all) return NaN;
    const raw = all[(Math.min(T - 1, Math.max(0, Math.floor(f + 1e-6))) * M + m) * V + v];
    return raw === -32768 ? NaN : s.ends[0] + (raw + 32767) / 65534 * (s.ends[1] - s.ends[0]);
  };
  function arrange() {
    const shown = model.get("shown").filter((i) => clips[i]);
    panels = shown.map((at) => ({ at, clip: clips[at], points: null, said: -2 }));
    hover = null;
    tip.hide();
    if (!panels.length) { face.redraw(); return; }
    const fps = panels[0].clip.fps, stretch = model.get("align") === "stretch";
    clock.set({ fps, frames: Math.max(1, ...panels.map(({ clip }) => (stretch ? clip.T : Math.ceil(clip.T * fps / clip.fps - 1e-6)))) });
    if (!clock.playing) clock.seek(model.get("frame"));   // a shorter clip ends earlier
    const names = clips.map((c, i) => ({ value: i, label: c.title || c.name }));
    chooser.hidden = clips.length <= panels.length;
    chooseFrom(names);
    titles.replaceChildren(...panels.map(({ clip }) => h("div", { "data-clip": clip.name }, h("b", { dir: "auto" }, clip.title || clip.name), h("span", { dir: "auto" }, clip.facts))));
    prompts.hidden = !panels.some((p) => p.clip.prompts?.length);
    prompts.classList.toggle("c2vl-stacked", panels.length > 1);
    prompts.replaceChildren(...panels.map((p) => {
      if (!p.clip.prompts?.length) return h("p", {}, h("small", {}, "no prompts"));
      p.count = h("small");
      p.words = h("span", { dir: "auto" });
      return h("p", { "data-role": "prompt" }, p.count, p.words);
    }));
    face.canvas.setAttribute("aria-label", `skeletons of ${panels.map((p) => p.clip.title || p.clip.name).join(" and ")}; press ? for keys`);
    known = "";
    shownIndex = -1;
    scrub.set(clock.index, clock.frames - 1);
    dial();
    refresh();
  }
  function refresh() {
    const by = model.get("colour_by"), active = scalars.find((s) => s.name === by), hidden = new Set(model.get("hidden"));
    speeds.set(clock.speed);
    loop.set(clock.loop);
    colours.set(by);
    trails.set(!!model.get("trails"));
    ghosts.set(!!model.get("ghosts"));
    grid.set(model.get("grid"));
    follow.set(model.get("follow"));
    views.set(viewName());
    stage.style.setProperty("--stage", `${model.get("height")}px`);
    root.dataset.colour = by;
    const theme = ui.theme(), most = Math.max(1, ...panels.map((p) => p.clip.M));
    const now = JSON.stringify([by, most, [...hidden], theme.dark, panels.map((p) => p.at)]);
    if (now !== known) {
      known = now;
      key.set(active ? [] : by === "part" ? Object.entries(PART_TINT).map(([part, tint]) => ({ key: part, label: part, colour: theme[tint] }))
        : by === "person" ? [] : [["left", "left side"], ["right", "right side"], ["trunk", "trunk"]].map(([k, label]) => ({ key: k, label, colour: theme[k] })));
      if (panels.some((p) => p.clip.seen.includes(2))) {
        key.hidden = false;
        key.append(h("span", { class: "c2vl-item" }, h("span", { class: "c2vl-dot c2vl-hollow" }), "not seen (place guessed)"));
      }
      people.set(most > 1 ? Array.from({ length: most }, (_, m) => ({ key: m, label: `person ${m + 1}`, colour: by === "person" ? theme.persons[m % theme.persons.length] : m ? theme.faint : theme.ink })) : [], hidden);
      bar.set(active ? { scale: active.scale, lo: active.lo, hi: active.hi, label: active.unit ? `${active.name} (${active.unit})` : active.name } : null);
    }
    face.redraw();
  }

  // ---- drawing
  function boxes(w, tall) {
    const n = panels.length || 1, columns = Math.max(1, Math.min(n, Math.floor(w / 170))), rows = Math.ceil(n / columns);
    return panels.map((_, i) => [(i % columns) * w / columns, Math.floor(i / columns) * tall / rows, w / columns, tall / rows, columns]);
  }
  function sceneOf(panel, frame) {
    const { clip } = panel;
    if (!model.get("follow")) return clip;
    panel.near ??= nearOf(clip);
    const middle = middleOf(clip, frame);
    return { ...clip, half: panel.near, centre: middle ? [middle[0], clip.centre[1], middle[1]] : clip.centre };
  }
  function middleOf(clip, { xyz, seen, M, V }) {
    let n = 0, x = 0, z = 0;
    for (let m = 0; m < M; m++) { const j = m * V + clip.layout.centre; if (seen[j]) { n += 1; x += xyz[j * 3]; z += xyz[j * 3 + 2]; } }
    return n ? [x / n, z / n] : null;
  }
  function nearOf(clip) {
    let across = 0.01;
    for (let t = 0; t < clip.T; t++) {
      const frame = clip.frame(t), middle = middleOf(clip, frame);
      for (let j = 0; middle && j < frame.seen.length; j++) if (frame.seen[j]) across = Math.max(across, Math.hypot(frame.xyz[j * 3] - middle[0], frame.xyz[j * 3 + 2] - middle[1]));
    }
    return [across, clip.half[1]];
  }
  function painter(panel, f, theme) {
    const { layout } = panel.clip, by = model.get("colour_by"), active = scalars.find((s) => s.name === by);
    if (active) { const table = lut(active.scale); return (m, v) => colourAt(table, unit(valueAt(active, panel, f, m, v), active.lo, active.hi)); }
    return (by === "part" ? partColours : by === "person" ? personColours : sideColours)(layout, theme);
  }
  function drawTrails(ctx, panel, f, paint, persons) {
    const { clip } = panel, { M, V, T } = clip, length = model.get("trails"), picked = model.get("picked"), from = [0, 0, 0], to = [0, 0, 0];
    const joints = model.get("trail_joints").length ? model.get("trail_joints") : clip.layout.tips, end = Math.min(T - 1, Math.floor(f + 1e-6));
    ctx.lineCap = "round";
    ctx.lineWidth = 2;
    for (let m = 0; m < M; m++) {
      for (const v of persons[m] ? new Set([...joints, ...(picked.joint !== undefined && picked.person === m ? [picked.joint] : [])]) : []) {
        ctx.strokeStyle = paint(m, v);
        for (let t = Math.max(1, end - length + 1); t <= end; t++) {
          const a = ((t - 1) * M + m) * V + v, b = (t * M + m) * V + v;
          if (!clip.seen[a] || !clip.seen[b]) continue;
          camera.put(clip.xyz[a * 3], clip.xyz[a * 3 + 1], clip.xyz[a * 3 + 2], from, 0);
          camera.put(clip.xyz[b * 3], clip.xyz[b * 3 + 1], clip.xyz[b * 3 + 2], to, 0);
          ctx.globalAlpha = 0.75 * (1 - (end - t) / length);
          ctx.beginPath();
          ctx.moveTo(from[0], from[1]);
          ctx.lineTo(to[0], to[1]);
          ctx.stroke();
        }
      }
    }
    ctx.globalAlpha = 1;
  }
  function draw(ctx, w, tall) {
    const theme = ui.theme(), hidden = new Set(model.get("hidden")), picked = model.get("picked"), places = boxes(w, tall), frames = panels.map((p) => {
      p.f = local(p.clip, clock.frame);
      return p.clip.frame(p.f, clock.playing && model.get("smooth"));
    });
    if (theme.dark !== (root.dataset.theme === "dark")) root.dataset.theme = theme.dark ? "dark" : "light";
    ctx.fillStyle = theme.panel;
    ctx.fillRect(0, 0, w, tall);
    const scenes = panels.map((p, i) => sceneOf(p, frames[i])), sizes = scenes.map((s) => Math.hypot(...s.half));
    const together = model.get("scale") === "same" || (model.get("scale") === "auto" && Math.max(...sizes) < 2.5 * Math.min(...sizes));
    const fit = together ? [0, 1].map((c) => Math.max(...scenes.map((s) => s.half[c]))) : null;
    panels.forEach((panel, i) => {
      const [x, y, bw, bh] = places[i], { clip } = panel, persons = Array.from({ length: clip.M }, (_, m) => !hidden.has(m)), head = bh > 200 ? 38 : 0;
      ctx.save();
      ctx.beginPath();
      ctx.rect(x, y, bw, bh);
      ctx.clip();
      const front = model.get("front") === "body" ? panels[0].clip.front : [0, 1];
      camera.aim({ ...scenes[i], front, fit: fit ?? scenes[i].half }, x, y + head, bw, bh - head);
      panel.box = [x, y, bw, bh];
      panel.view = [x, y + head, bw, bh - head];
      if (model.get("grid")) drawGrid(ctx, scenes[i], camera, theme);
      const paint = painter(panel, panel.f, theme), n = model.get("ghosts"), gap = Math.max(1, Math.round(clip.fps * 0.2)), body = Math.min(1.7, 2 * clip.half[1]);
      for (let k = n; k > 0; k--) {
        const then = Math.floor(panel.f + 1e-6) - k * gap;
        if (then >= 0) drawSkeleton(ctx, clip.frame(then), clip.layout, camera, { theme, persons, colours: painter(panel, then, theme), alpha: 0.36 * (1 - (k - 0.5) / n) + 0.06, joints: false, thin: 0.8, body });
      }
      if (model.get("trails")) drawTrails(ctx, panel, panel.f, paint, persons);
      const mark = hover?.panel === panel ? hover : picked.joint === undefined ? null : { m: picked.person, v: picked.joint };
      panel.points = drawSkeleton(ctx, frames[i], clip.layout, camera, { theme, persons, colours: paint, mark, body, halo: scalars.some((s) => s.name === model.get("colour_by")) ? theme.faint : null });
      if (x) { ctx.fillStyle = theme.line; ctx.fillRect(x, y, 1, bh); }
      if (y) { ctx.fillStyle = theme.line; ctx.fillRect(x, y, bw, 1); }
      ctx.restore();
    });
    const columns = places[0]?.[4] ?? 1;
    if (titles.dataset.columns !== String(columns)) { titles.dataset.columns = columns; titles.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`; }
    if (hover) tell();
  }

  // ---- pointing
  const panelAt = (x, y) => panels.find(({ box }) => box && x >= box[0] && x < box[0] + box[2] && y >= box[1] && y < box[1] + box[3]);
  function find(x, y, reach) {
    const panel = panelAt(x, y);
    const hit = panel?.points ? nearest(panel.points, x, y, reach, panel.clip.V) : null;
    return hit ? { ...hit, panel } : null;
  }
  function tell() {   // the card beside the joint that is pointed at; it follows the joint while playing
    const { panel, m, v } = hover, { clip } = panel, f = Math.min(clip.T - 1, Math.floor(panel.f + 1e-6)), j = (f * clip.M + m) * clip.V + v, k = (m * clip.V + v) * 3;
    if (!clip.seen[j]) { hover = null; tip.hide(); return; }
    const box = face.canvas.getBoundingClientRect(), row = (name, value) => h("div", {}, h("span", {}, `${name} `), value);
    const sure = scalars.find((s) => s.name === "confidence"), by = scalars.find((s) => s.name === model.get("colour_by")), at = [0, 1, 2].map((c) => clip.xyz[j * 3 + c].toFixed(3));
    tip.show(box.left + panel.points[k], box.top + panel.points[k + 1], [h("b", {}, `${v} ${clip.layout.joints[v]}`), clip.M > 1 ? row("person", m + 1) : null,
      row("xyz", `${at.join(", ")} m`), clip.seen[j] === 2 ? row("not seen,", "place guessed") : null, sure?.of[panel.at] ? row("confidence", fmt(valueAt(sure, panel, f, m, v))) : null,
      by && by !== sure ? row(by.name, fmt(valueAt(by, panel, f, m, v)) + (by.unit && !Number.isNaN(valueAt(by, panel, f, m, v)) ? ` ${by.unit}` : "")) : null]);
  }
  let over = null;
  const point = (x, y, reach) => {
    const hit = find(x, y, reach), name = panelAt(x, y)?.clip.name ?? null;
    if (name !== over) { over = name; bus.emit("hover", { name }); }
    if (hit?.panel === hover?.panel && hit?.m === hover?.m && hit?.v === hover?.v) return;
    hover = hit;
    if (!hit) tip.hide();
    face.redraw();
  };
  const leave = () => { hover = null; tip.hide(); face.redraw(); if (over !== null) { over = null; bus.emit("hover", { name: null }); } };
  function mark(hit) {
    const was = model.get("picked"), again = hit && was.person === hit.m && was.joint === hit.v;
    push({ picked: hit && !again ? { person: hit.m, joint: hit.v, name: hit.panel.clip.layout.joints[hit.v], clip: hit.panel.clip.name } : {} });
    face.redraw();
  }
  function nextJoint(by) {   // through all joints that are drawn, in every panel
    const all = panels.flatMap((panel) => Array.from({ length: panel.clip.M * panel.clip.V }, (_, k) => ({ panel, m: Math.floor(k / panel.clip.V), v: k % panel.clip.V })))
      .filter(({ panel, m, v }) => panel.points && !Number.isNaN(panel.points[(m * panel.clip.V + v) * 3]));
    if (!all.length) return;
    const at = all.findIndex((j) => j.panel === hover?.panel && j.m === hover.m && j.v === hover.v);
    hover = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : (at + by + all.length) % all.length];
    const { panel, m, v } = hover, { clip } = panel, f = Math.min(clip.T - 1, Math.floor(panel.f + 1e-6)), j = (f * clip.M + m) * clip.V + v;
    ui.say(`${panels.length > 1 ? `${clip.title || clip.name}, ` : ""}${clip.M > 1 ? `person ${m + 1}, ` : ""}${clip.layout.joints[v]}: ${[0, 1, 2].map((c) => clip.xyz[j * 3 + c].toFixed(3)).join(", ")} metres${clip.seen[j] === 2 ? ", place guessed" : ""}`);
    face.redraw();
  }
  ends.push(gestures(face.canvas, {
    drag(dx, dy) { camera.orbit(dx, dy); moved(); },
    pan(dx, dy) { camera.panBy(dx, dy); moved(); },
    zoom(factor, x, y) { const view = panelAt(x, y)?.view; if (view) [camera.x, camera.y, camera.w, camera.h] = view; camera.zoomBy(factor, x, y); moved(); },
    hover(x, y) { point(x, y, 14); },
    leave,
    tap(x, y, e) {
      const hit = find(x, y, e.pointerType === "touch" ? 24 : 14);
      if (e.pointerType === "touch") point(x, y, 24);
      mark(hit);
    },
    twice: resetCamera,
  }));
  const orbitBy = (dx, dy) => { camera.orbit(dx, dy); moved(); };
  const keys = {
    " ": () => clock.toggle(), k: () => clock.toggle(), ArrowLeft: (e) => clock.step(e.shiftKey ? -10 : -1), ArrowRight: (e) => clock.step(e.shiftKey ? 10 : 1),
    Home: () => { clock.pause(); clock.seek(0); }, End: () => { clock.pause(); clock.seek(clock.frames - 1); }, ",": () => faster(-1), ".": () => faster(1), "<": () => faster(-1), ">": () => faster(1),
    a: () => orbitBy(10, 0), d: () => orbitBy(-10, 0), w: () => orbitBy(0, 10), s: () => orbitBy(0, -10), "+": () => { camera.zoomBy(1.2); moved(); }, "=": () => { camera.zoomBy(1.2); moved(); }, "-": () => { camera.zoomBy(1 / 1.2); moved(); },
    0: resetCamera, c: nextColour, l: setLoop, g: () => flip("grid"), f: () => flip("follow"), t: () => trails.click(), o: () => ghosts.click(), "?": () => ask.click(), Escape: leave,
    n: () => nextJoint(1), p: () => nextJoint(-1), Enter: () => hover && mark(hover),
  };
  Object.keys(VIEWS).forEach((name, i) => { keys[i + 1] = () => look(name); });
  const onKey = (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.tagName === "SELECT") return;
    if (e.target.tagName === "BUTTON" && (e.key === " " || e.key === "Enter")) return;
    if (e.target.type === "range" && /^(Arrow|Home|End|Page)/.test(e.key) && !e.shiftKey) return;
    const act = keys[e.key.length === 1 ? e.key.toLowerCase() : e.key];
    if (!act) return;
    e.preventDefault();
    e.stopPropagation();
    act(e);
  };
  root.addEventListener("keydown", onKey);

  // ---- linked widgets: what another one points at is marked, what it picks is shown
  const byName = (names) => names.map((name) => clips.findIndex((c) => c.name === name));
  const askFor = (names) => {
    const at = byName(names);
    if (at.every((i) => i >= 0)) { if (at.length) show(at); push({ wanted: [] }); } else push({ wanted: names });
  };
  bus.on("pick", ({ names }) => askFor(names));
  bus.on("select", ({ names }) => { if (names.length) askFor(names.slice(0, Math.max(1, Math.min(names.length, 2)))); });
  bus.on("hover", ({ name }) => { for (const t of titles.children) t.classList.toggle("c2vl-marked", name !== null && t.dataset.clip === name); });

  // ---- what Python changes
  listen("library", load);   // a new library is several traits; this one is set last
  listen("shown align", () => { if (model.get("library") === loaded) arrange(); });
  listen("frame", () => { if (model.get("frame") !== clock.index) clock.seek(model.get("frame")); });
  listen("playing", () => { if (model.get("playing") !== clock.playing) clock.toggle(); });
  listen("speed", () => { clock.set({ speed: model.get("speed") }); refresh(); });
  listen("loop", () => { clock.set({ loop: model.get("loop") }); refresh(); });
  listen("camera", () => { camera.load(model.get("camera")); refresh(); });
  listen("colour_by hidden trails trail_joints ghosts grid follow scale front height picked smooth", refresh);
  ui.end(onTheme(() => { known = ""; refresh(); }));

  clock.set({ speed: model.get("speed"), loop: model.get("loop") });
  load();
  root.dataset.playing = clock.playing;
  if (model.get("playing")) clock.play();
  else play.set(undefined, clock.playing ? "pause" : "play", clock.playing ? "pause" : "play");
  el.c2vl = { clock, camera, face, get panels() { return panels; } };
  return () => { ends.forEach((fn) => fn()); clearTimeout(cameraTimer); bus.close(); face.end(); ui.close(); };
}
