"""How fast the widgets draw in a headless browser without a graphics card, each beside its plotly twin in the same run.

    python bench/widgets.py [player] [map]        # JSON lines; more parts by name

player   300 frames × 2 persons × 25 joints: pictures per second while playing (median and best of one-second windows: the browser draws at
         most 60, and other work on the machine takes from it), time of one picture, size of the page. The twin is a plotly page of the same
         clip (3D lines, one frame per moment), played as fast as it can; its pictures are counted by plotly's own frame event.
map      100,000 clips of 60 classes: one redraw of all of them (plain, with a class standing out, zoomed in), one step of a morph,
         one search through names, one look for the clip under the pointer, the clips near one in both spaces, and the size of the
         page. The twin is a plotly page of the same points (scattergl, which also draws in software here); its time is a change of
         both axes until plotly says it is drawn.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from browser import launch, missing  # noqa: E402

from c2vl_kit.skeleton import NTU25, Clip  # noqa: E402
from c2vl_kit.viz.player import player_page; from c2vl_kit.viz.pack import player_state  # noqa: E402


def clip(frames: int = 300, bodies: int = 2) -> Clip:
    "Bodies whose joints swing, so that every picture differs."
    t, v = np.arange(frames)[:, None, None] / 30, np.arange(25)[None, None]
    x = np.stack([0.3 * np.sin(2 * t + v), np.broadcast_to(0.07 * v, t.shape[:2] + (25,)), 0.3 * np.cos(2 * t + v)], axis=-1)
    return Clip("large", np.concatenate([x + (0.9 * m, 0, 0) for m in range(bodies)], axis=1).astype(np.float32), NTU25)


def opened(browser, folder: Path, html: str):
    "A tab of 1000 × 800 pixels with the page, and the page's size in megabytes."
    file = folder / "page.html"
    file.write_text(html, encoding="utf-8")
    tab = browser.new_context(viewport={"width": 1000, "height": 800}, offline=True).new_page()
    tab.goto(file.as_uri())
    return tab, file.stat().st_size / 1e6


def ours(browser, folder: Path, seconds: float) -> dict:
    tab, size = opened(browser, folder, player_page(player_state(clip(), colour_by="person")))
    tab.focus("[data-role=canvas]")
    tab.keyboard.press("Space")
    tab.wait_for_timeout(1000)
    counts = [tab.evaluate(SECOND) for _ in range(round(seconds))]
    cost = tab.evaluate(
        """() => { const w = document.querySelector('[data-c2vl-widget]').c2vl; w.clock.pause(); const begin = performance.now();
        for (let i = 0; i < 200; i++) { w.clock.frame = i; w.face.now(); } w.face.ctx.getImageData(0, 0, 1, 1);"""
        " return (performance.now() - begin) / 200; }")
    tab.context.close()
    return {"fps": round(float(np.median(counts)), 1), "fps_best": round(max(counts), 1), "ms_per_picture": round(cost, 2),
            "page_mb": round(size, 3)}


SECOND = (  # pictures in one second
    "new Promise((done) => { const face = document.querySelector('[data-c2vl-widget]').c2vl.face, from = face.drawn,"
    """ begin = performance.now();
    setTimeout(() => done((face.drawn - from) * 1000 / (performance.now() - begin)), 1000); })""")


def plotly_page(c: Clip) -> str:
    "The twin: the same bodies as 3D lines with one plotly frame per moment."
    import plotly.graph_objects as go

    order = [j for child, parent in c.layout.bones for j in (child, parent, child)]
    gaps = np.arange(2, len(order), 3)

    def traces(t):
        x = c.joints[t][:, order]
        x[:, gaps] = np.nan
        return [go.Scatter3d(x=b[:, 0], y=b[:, 2], z=b[:, 1], mode="lines+markers", marker={"size": 3}) for b in x]

    figure = go.Figure(traces(0), frames=[go.Frame(data=traces(t), name=str(t)) for t in range(c.T)])
    figure.update_layout(width=960, height=600, scene={"aspectmode": "data"})
    return figure.to_html(include_plotlyjs=True, auto_play=False)


def twin(browser, folder: Path, seconds: float) -> dict:
    tab, size = opened(browser, folder, plotly_page(clip()))
    tab.wait_for_selector(".js-plotly-plot canvas", timeout=120_000, state="attached")
    tab.wait_for_timeout(3000)
    fps = tab.evaluate(f"""new Promise((done) => {{ const plot = document.querySelector('.js-plotly-plot'); let count = 0, begin = 0;
        plot.on('plotly_animatingframe', () => {{ const now = performance.now(); if (!begin) begin = now; else count += 1;
            if (now - begin > {seconds * 1000}) done(count * 1000 / (now - begin)); }});
        setTimeout(() => done(begin ? count * 1000 / (performance.now() - begin) : 0), {seconds * 4000});
        Plotly.animate(plot, null, {{ frame: {{ duration: 0, redraw: true }}, transition: {{ duration: 0 }}, mode: 'immediate' }}); }})""")
    tab.context.close()
    return {"fps": round(fps, 2), "page_mb": round(size, 2)}


def player(browser, folder: Path, seconds: float) -> dict:
    mine, theirs = ours(browser, folder, seconds), twin(browser, folder, seconds)
    return {"what": "player, 300 frames × 2 persons × 25 joints", "player": mine, "plotly": theirs,
            "times_faster": round(mine["fps"] / max(theirs["fps"], 0.01), 1),
            "times_smaller": round(theirs["page_mb"] / mine["page_mb"], 1), "load": round(os.getloadavg()[0], 1)}


def crowd(n: int = 100_000, classes: int = 60):
    "Points of many classes: names, classes, positions in two spaces."
    rng = np.random.default_rng(0)
    level, centres = rng.integers(0, classes, n), rng.normal(size=(classes, 2)) * 4
    names = [f"clip{i:06d}" for i in range(n)]
    xy = [centres[level] @ turn + rng.normal(size=(n, 2)) * 0.6 for turn in (np.eye(2), np.array([[0, 1], [1, 0.3]]))]
    return names, [f"class {c}" for c in level], xy


REDRAWS = """(prepare) => { const el = document.querySelector('[data-c2vl-widget]'), w = el.c2vl, times = []; el.c2vlModel.set(...prepare);
    w.face.now();
    for (let i = 0; i < 60; i++) { w.face.now(); times.push(w.stats.ms); }
    return times; }"""
MORPH = (
    """() => { const el = document.querySelector('[data-c2vl-widget]'), slider = el.querySelector('[data-role=morph]'), times = [];
    for (let i = 1; i < 40; i++) { const begin = performance.now(); slider.value = i / 40; slider.dispatchEvent(new Event('input'));"""
    """ el.c2vl.face.now();
        times.push(performance.now() - begin); }
    return times; }""")
SEARCH = (
    """() => { const box = document.querySelector('[data-role=search]'), times = [];
    for (const text of ['clip0001', 'class 7', 'nothing', '99']) { const begin = performance.now(); box.value = text;"""
    """ box.dispatchEvent(new Event('input'));
        times.push(performance.now() - begin); }
    return times; }""")
POINT = (
    """() => { const canvas = document.querySelector('[data-role=canvas]'), box = canvas.getBoundingClientRect(), times = [];
    for (let i = 0; i < 60; i++) { const begin = performance.now();
        canvas.dispatchEvent(new PointerEvent('pointermove', { clientX: box.left + 20 + i * 9, clientY: box.top + 200 }));"""
    """ times.push(performance.now() - begin); }
    return times; }""")


NEAR = """() => document.querySelector('[data-c2vl-widget]').c2vl.stats.near"""


def near(tab) -> list[float]:
    "Milliseconds to find what is near a clip in both spaces, after a real click on one."
    box, times = tab.locator("[data-role=canvas]").bounding_box(), []
    for i in range(12):
        tab.mouse.click(box["x"] + 60 + 40 * i, box["y"] + box["height"] / 2)
        times.append(tab.evaluate(NEAR))
    return times


def concept_map(browser, folder: Path, seconds: float) -> dict:
    from c2vl_kit.viz.concept_map import map_page, map_state

    names, words, (a, b) = crowd()
    tab, size = opened(browser, folder, map_page(map_state({"one": (names, a), "two": (names, b)}, labels=words, align=False)))
    tab.wait_for_selector("[data-role=canvas]")
    settings = {"all": ["size", 0], "one class stands out": ["query", "class 7"], "zoomed in": ["view", {"x": 0.5, "y": 0.5, "zoom": 6}]}
    mine = {f"redraw_ms, {what}": tab.evaluate(REDRAWS, change) for what, change in settings.items()}
    mine |= {"morph_step_ms": tab.evaluate(MORPH), "search_ms": tab.evaluate(SEARCH), "point_ms": tab.evaluate(POINT)}
    tab.evaluate(REDRAWS, ["query", ""])
    mine["near_ms"] = near(tab)
    tab.context.close()
    return {"what": f"map, {len(names):,} clips", "map": {k: round(float(np.median(v)), 1) for k, v in mine.items()}
            | {"redraw_ms, all, best": round(min(mine["redraw_ms, all"]), 1), "page_mb": round(size, 2)},
            "plotly": scatter_twin(browser, folder, a, words), "load": round(os.getloadavg()[0], 1)}


def scatter_twin(browser, folder: Path, xy: np.ndarray, words: list[str]) -> dict:
    "The same points as one plotly scattergl."
    import plotly.graph_objects as go

    code = np.unique(words, return_inverse=True)[1]
    points = go.Scattergl(x=xy[:, 0], y=xy[:, 1], mode="markers", marker={"size": 3, "color": code}, text=words)
    figure = go.Figure(points, layout={"width": 760, "height": 480})
    tab, size = opened(browser, folder, figure.to_html(include_plotlyjs=True))
    tab.wait_for_selector(".js-plotly-plot canvas", timeout=120_000, state="attached")
    tab.wait_for_timeout(3000)
    times = tab.evaluate("""async () => { const plot = document.querySelector('.js-plotly-plot'), times = [];
        for (let i = 0; i < 12; i++) { const begin = performance.now();
            await Plotly.relayout(plot, { 'xaxis.range': [-10 - i * 0.1, 10], 'yaxis.range': [-10 - i * 0.1, 10] });
            const gl = [...plot.querySelectorAll('canvas')].map((c) => c.getContext('webgl') ?? c.getContext('webgl2')).find((g) => g);
            if (gl) gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
            times.push(performance.now() - begin); }
        return times; }""")
    tab.context.close()
    return {"redraw_ms": round(float(np.median(times)), 1), "page_mb": round(size, 2)}


PARTS = {"player": player, "map": concept_map}


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("parts", nargs="*", default=list(PARTS), help=f"which of {', '.join(PARTS)}; all without a name")
    p.add_argument("--seconds", type=float, default=6, help="how long each is measured")
    args = p.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        p.error(f"unknown part {min(unknown)!r}; choose among {', '.join(PARTS)}")
    if reason := missing():
        print(reason)
        return 1
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = launch(playwright)
        for part in args.parts:
            print(json.dumps(PARTS[part](browser, Path(folder), args.seconds), ensure_ascii=False))
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
