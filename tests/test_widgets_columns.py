"""What a map does with columns and captions: filters, words on regions, density, the list of a lasso; by real mouse, keys and fingers."""

# ruff: noqa: F811  (pytest's fixtures are imported by the names that tests ask for)
import json

import numpy as np
import pytest
from browser import browser, open_html, page, settle, watched  # noqa: F401
from live import Live

from c2vl_kit.viz.concept_map import ConceptMap, clip_columns, map_page, map_state

MAP = "document.querySelector('[data-c2vl-widget]')"
N = 60
NAMES = [f"clip{i:02d}" for i in range(N)]
MOVES = ["waves the left hand", "kicks with the right leg", "sits down slowly"]


@pytest.fixture(scope="module")
def state():
    """Three islands with a move each; the move is said in the second moment, the first is the same for all."""
    rng, of = np.random.default_rng(0), np.arange(N) % 3
    xy = np.array([[0, 0], [4, 0], [2, 3]])[of] + rng.uniform(-0.5, 0.5, (N, 2))
    said = {n: ["Somebody stands there.", f"Somebody {MOVES[k]}."] for n, k in zip(NAMES, of)}
    columns = {"camera": [1 + i % 2 for i in range(N)], "agreement": [i / N for i in range(N)],
               "prediction": {n: "right" if i % 4 else "wrong" for i, n in enumerate(NAMES[:40])}}
    labels = [("wave", "kick", "sit")[k] for k in of]
    return lambda **how: map_state((NAMES, xy), labels=labels, columns=columns, prompts=said, align=False, **how)


def see(tab, tmp_path, state):
    open_html(tab, map_page(state), tmp_path)
    settle(tab)


def get(tab, trait):
    return tab.evaluate(f"{MAP}.c2vlModel.get('{trait}')")


def role(tab, name):
    return tab.locator(f"[data-role={name}]")


def root(tab, key):
    return tab.get_attribute(".c2vl-map", f"data-{key}") or ""


def place(tab, name):
    settle(tab)
    x, y = tab.evaluate(f"(name) => {MAP}.c2vl.place(name)", name)
    return None if x is None or x != x else (x, y)


def pixel(tab, name):
    x, y = place(tab, name)
    return tab.evaluate(f"""([x, y]) => {{ const f = {MAP}.c2vl.face, box = f.canvas.getBoundingClientRect();
        return [...f.ctx.getImageData(Math.round((x - box.left) * f.ratio), Math.round((y - box.top) * f.ratio), 1, 1).data]; }}""", [x, y])


def bar(tab, column, part):
    """Where a part of a histogram's width is, in the middle of its height."""
    box = tab.locator(f"[data-column='{column}'] canvas").bounding_box()
    return box["x"] + box["width"] * part, box["y"] + box["height"] / 2


def labels(tab):
    return tab.evaluate(f"{MAP}.c2vl.stats.labels")


# ---------------------------------------------------------------- size

@pytest.mark.parametrize("width, least", [(1200, 880), (1700, 1250), (400, 350)])
def test_the_map_takes_the_width_of_the_page(browser, tmp_path, state, width, least):
    with watched(browser, viewport={"width": width, "height": 900}) as tab:
        see(tab, tmp_path, state())
        box = role(tab, "canvas").bounding_box()
        assert box["width"] >= least and box["height"] >= 320 and tab.evaluate("document.documentElement.scrollWidth") <= width
        role(tab, "filter-button").click()
        assert tab.evaluate("document.documentElement.scrollWidth") <= width


# ---------------------------------------------------------------- filters

def test_a_click_and_a_drag_on_a_histogram_keep_clips(page, tmp_path, state):
    see(page, tmp_path, state())
    assert not role(page, "filters").is_visible()
    page.focus("[data-role=canvas]")
    page.keyboard.press("f")
    assert [f.get_attribute("data-column") for f in role(page, "filter").all()] == ["class", "camera", "agreement", "prediction"]
    before = pixel(page, NAMES[1])
    page.mouse.click(*bar(page, "camera", 0.25))
    assert get(page, "hidden") == {"camera": ["2"]} and root(page, "shown") == "30" and place(page, NAMES[1]) is None
    page.mouse.move(*bar(page, "agreement", 0.01))
    page.mouse.down()
    page.mouse.move(*bar(page, "agreement", 0.3))
    assert int(root(page, "shown")) < 20                                              # at once, while dragging
    page.mouse.move(*bar(page, "agreement", 0.49), steps=3)
    page.mouse.up()
    lo, hi = get(page, "kept")["agreement"]
    assert lo is None and 0.45 < hi < 0.52
    kept = [i for i in range(0, N, 2) if i / N < hi]
    assert root(page, "shown") == str(len(kept)) and role(page, "filter-count").inner_text() == f"{len(kept)} of {N} clips"
    bars = page.locator("[data-column=class]").get_attribute("data-now").split()
    assert sum(map(int, bars)) == len(kept)                                           # the others count what is left
    role(page, "fade").click()
    settle(page)
    now = pixel(page, NAMES[1])
    assert now != before and sum(now) > sum(before) and root(page, "shown") == str(len(kept))
    page.mouse.move(*place(page, NAMES[1]))
    assert get(page, "hovered") != NAMES[1]                                           # seen, but not there
    page.locator("[data-column=camera] [data-role=unfilter]").click()
    assert get(page, "hidden") == {}
    role(page, "filter-reset").click()
    assert get(page, "kept") == {} and root(page, "shown") == str(N)
    page.mouse.click(*bar(page, "prediction", 0.75))
    assert root(page, "shown") == str(sum(i % 4 == 0 for i in range(40)))             # and nobody of whom nothing is known
    page.mouse.click(*bar(page, "prediction", 0.75))
    assert root(page, "shown") == str(N)                                              # the same bar again: all


def test_histograms_by_keys(page, tmp_path, state):
    see(page, tmp_path, state() | {"filtering": True})
    page.locator("[data-column=class] canvas").focus()
    at = lambda: page.locator("[data-column=class]").get_attribute("data-kept")
    for key, kept in (("ArrowRight", "0 0"), ("ArrowRight", "1 1"), ("Shift+ArrowRight", "1 2"), ("ArrowLeft", "0 1"), ("Escape", "")):
        page.keyboard.press(key)
        assert at() == kept, key
    assert get(page, "view") == {}                                                     # the map stood still


def test_a_finger_filters(browser, tmp_path, state):
    with watched(browser, viewport={"width": 400, "height": 900}, has_touch=True) as tab:
        see(tab, tmp_path, state() | {"filtering": True})
        tab.touchscreen.tap(*bar(tab, "class", 0.5))
        assert root(tab, "shown") == "20" and tab.locator("[data-column=class]").get_attribute("data-kept") == "1 1"


def test_filters_reach_python_and_python_filters(page, tmp_path, state):
    widget = ConceptMap((NAMES, np.random.default_rng(0).random((N, 2))), columns={"agreement": [i / N for i in range(N)]}, align=False)
    live = Live(page, widget, tmp_path)
    widget.kept, widget.filtering = {"agreement": [0.5, None]}, True
    live.flush()
    assert root(page, "shown") == "30"
    page.locator("[data-column=agreement] canvas").focus()
    page.keyboard.press("Escape")
    live.flush()
    assert widget.kept == {}


def test_hiding_a_class_leaves_the_others_as_they_were(page, tmp_path, state):
    see(page, tmp_path, state() | {"show_names": False})
    before = pixel(page, NAMES[1])
    page.locator("[data-role=legend] [data-key]", has_text="wave").click()
    assert root(page, "shown") == "40" and pixel(page, NAMES[1]) == before             # the pointer is still on the class
    page.mouse.move(5, 5)
    assert pixel(page, NAMES[1]) == before


# ---------------------------------------------------------------- words

def test_words_stand_on_regions_apart_from_each_other(page, tmp_path, state):
    see(page, tmp_path, state())
    assert set(root(page, "names").split("\n")) == {"wave", "kick", "sit"}
    page.focus("[data-role=canvas]")                                                   # the wheel is the map's, too
    page.keyboard.press("w")
    settle(page)
    told = root(page, "names")
    assert get(page, "show_words") and not get(page, "show_names") and len(told.split("\n")) >= 3
    assert "left hand" in told and "right leg" in told and "somebody" not in told and "stands" not in told
    boxes = labels(page)
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            assert abs(a["cx"] - b["cx"]) >= a["half"] + b["half"] or abs(a["cy"] - b["cy"]) >= 15
    page.mouse.move(*place(page, NAMES[1]))
    for _ in range(3):
        page.mouse.wheel(0, -120)
    settle(page)
    assert labels(page) and root(page, "names") != told                                # finer regions, those in sight
    page.keyboard.press("0")
    page.locator("[data-role=legend] [data-key]", has_text="wave").click()
    settle(page)
    assert "left hand" not in root(page, "names")                                      # its clips are hidden


def test_names_in_a_crowd_give_way_with_a_line(page, tmp_path):
    names, rng = [f"c{i}" for i in range(80)], np.random.default_rng(0)
    xy = rng.normal(size=(80, 2)) * 0.02
    xy[0], xy[1] = (-1, -1), (1, 1)
    see(page, tmp_path, map_state((names, xy), labels=[f"a class of many letters {i % 9}" for i in range(80)], align=False))
    found = labels(page)
    far = [b for b in found if abs(b["cy"] - b["y"]) > 25 or abs(b["cx"] - b["x"]) > b["half"] + 25]
    assert len(found) == 9 and far                                                     # all there, some led by a line


# ---------------------------------------------------------------- density

def test_density_where_points_lie_over_each_other(page, tmp_path, at_the_end):
    rng, n = np.random.default_rng(0), 100_000
    level = rng.integers(0, 8, n)
    xy = rng.normal(size=(8, 2))[level] * 3 + rng.normal(size=(n, 2)) * 0.5
    see(page, tmp_path, map_state(([f"c{i}" for i in range(n)], xy), labels=[f"class {k}" for k in level], align=False))
    assert root(page, "density") == "true" and role(page, "density").get_attribute("aria-pressed") == "true"
    draw = lambda how: page.evaluate(f"""() => {{ const w = {MAP}.c2vl; {MAP}.c2vlModel.set('density', '{how}');
        return [...Array(40)].map(() => (w.face.now(), w.stats.ms)); }}""")
    points, times = draw("off"), draw("auto")
    at_the_end("concept map", f"density of 100,000 points drawn in {np.median(times):.1f} ms (median of 40, best {min(times):.1f}); "
               f"as points {np.median(points):.1f} ms (best {min(points):.1f})")
    assert min(times) <= max(16, 3 * min(points)) and page.evaluate(f"{MAP}.c2vl.stats.drawn") > 99_000
    page.mouse.move(*place(page, "c123"))
    assert get(page, "hovered") != ""
    role(page, "density").click()
    settle(page)
    assert get(page, "density") == "off" and root(page, "density") == "false"
    role(page, "density").click()
    assert get(page, "density") == "auto"                                              # what it would do alone is left to it
    page.evaluate(f"{MAP}.c2vlModel.set('view', {{x: 0.5, y: 0.5, zoom: 40}})")
    settle(page)
    assert root(page, "density") == "false"                                            # zoomed in, points are apart


def test_what_is_selected_stands_upon_the_density(page, tmp_path, state):
    see(page, tmp_path, state() | {"density": "on", "show_names": False, "colour_by": "camera"})
    plain = pixel(page, NAMES[0])
    role(page, "search").fill(NAMES[0])
    settle(page)
    assert root(page, "density") == "true" and pixel(page, NAMES[0]) != plain


# ---------------------------------------------------------------- the list

def test_the_whole_selection_scrolls_with_the_most_telling_sentences(page, tmp_path, state):
    see(page, tmp_path, state())
    role(page, "search").fill("somebody")
    page.keyboard.press("Enter")
    assert len(get(page, "selection")) == N
    listed = role(page, "listed")
    assert listed.count() < N and "waves the left hand" in listed.first.inner_text()     # not "stands there", which all do
    box = role(page, "list").bounding_box()
    page.mouse.move(box["x"] + 30, box["y"] + 30)
    page.mouse.wheel(0, 1e5)
    page.wait_for_timeout(150)
    assert listed.last.get_attribute("data-name") == NAMES[-1] and listed.count() < N
    listed.last.click()
    assert get(page, "picked") == [NAMES[-1]]


def test_the_selection_leaves_as_names_and_json(browser, tmp_path, state):
    allowed = ["clipboard-read", "clipboard-write"]
    with watched(browser, viewport={"width": 1000, "height": 800}, accept_downloads=True, permissions=allowed) as tab:
        see(tab, tmp_path, state() | {"selection": NAMES[2:5]})
        for button, file in (("save-names", "selection.txt"), ("save-json", "selection.json")):
            with tab.expect_download() as got:
                role(tab, button).click()
            assert got.value.suggested_filename == file
            text = got.value.path().read_text(encoding="utf-8")
            if file.endswith("txt"):
                assert text.split() == NAMES[2:5]
        made = json.loads(text)
        assert [c["name"] for c in made["selection"]] == NAMES[2:5] and made["selection"][0]["sentence"] == f"Somebody {MOVES[2]}."
        assert made["selection"][0]["columns"]["class"] == "sit" and made["selection"][0]["columns"]["camera"] == "1"
        role(tab, "copy-names").click()
        tab.wait_for_timeout(100)
        assert tab.evaluate("navigator.clipboard.readText()").split() == NAMES[2:5]


# ---------------------------------------------------------------- cards

@pytest.mark.parametrize("width", [400, 1000])
def test_a_card_never_covers_its_clip(browser, tmp_path, state, width):
    with watched(browser, viewport={"width": width, "height": 900}) as tab:
        see(tab, tmp_path, state())
        for name in NAMES[::6]:
            x, y = place(tab, name)
            tab.mouse.move(x, y)
            settle(tab)
            box = role(tab, "tip").bounding_box()
            assert get(tab, "hovered"), name
            inside = box["x"] - 8 < x < box["x"] + box["width"] + 8 and box["y"] - 8 < y < box["y"] + box["height"] + 8
            assert not inside and box["x"] >= 0 and box["x"] + box["width"] <= width


def test_what_a_recording_says_becomes_columns(tiny_clips):
    names = [c.name for c in tiny_clips]
    found = clip_columns({c.name: c for c in tiny_clips}, [*names, "elsewhere"])
    assert found["subject"] == [*(c.subject for c in tiny_clips), None] and "setup" not in found
