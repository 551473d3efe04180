"""The explorer of a small run in a real browser: three widgets that answer each other on a page without a network."""

import re

# ruff: noqa: F811  (pytest's fixtures are imported by the names that tests ask for)
import numpy as np
import pytest
from browser import browser, open_html, page, watched  # noqa: F401

from c2vl_kit.concepts.prompts import Prompt, PromptStore
from c2vl_kit.concepts.space import ConceptSpace
from c2vl_kit.data.catalog import get_split
from c2vl_kit.data.simulate import SimulatorConfig, simulate
from c2vl_kit.data.build import build_store
from c2vl_kit.data.store import Store
from c2vl_kit.evaluate.mistakes import mistakes
from c2vl_kit.evaluate.probes import ProbeConfig, evaluate
from c2vl_kit.methods import c2vl
from c2vl_kit.methods.c2vl import small
from c2vl_kit.train.pretrain import pretrain
from c2vl_kit.viz.concept_map import map_state
from c2vl_kit.viz.explorer import Explorer, explorer_fragment, explorer_states
from c2vl_kit.viz.pack import player_state
from c2vl_kit.viz.widget import widget_page
from c2vl_kit.viz.report import report
from c2vl_kit.viz.soft_targets import heatmap_state

EVIL = "</script><script>window.ran=1</script>"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A whole tiny job with recorded targets: its run, and hostile prompts of its clips."""
    folder = tmp_path_factory.mktemp("job")
    made = simulate(SimulatorConfig(classes=3, subjects=4, repetitions=2))
    store, _ = build_store(folder / "store", made.clips, dataset="simulated", progress=False)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3, 8))[store.labels] + 0.4 * rng.normal(size=(len(store), 8))
    space = ConceptSpace(store.names, vectors.astype(np.float32))
    space.save(folder / "space")
    config = small(frames=8, backbone={"width": 4, "dim": 16}, train={"epochs": 4, "batch_size": 6})
    run = pretrain(c2vl, store, get_split(store), folder / "run", config, space=space, record_targets=1, progress=False)
    evaluate(run, store, get_split(store), probe=ProbeConfig(epochs=1), progress=False)
    return run, {name: [EVIL if i == 0 else f"moment {i} of {name}" for i in range(4)] for name in store.names}


@pytest.fixture(scope="module")
def job(trained):
    """Its explorer."""
    run, said = trained
    return Explorer(run, prompts=said)


def of(page, kind, trait):
    return page.evaluate(f"document.querySelector('[data-c2vl-widget={kind}]').c2vlModel.get('{trait}')")


def see(page, tmp_path, explorer):
    open_html(page, explorer.to_html(), tmp_path)
    page.wait_for_timeout(200)


def heat_cell(page, row, column, kind="model"):
    return page.evaluate("([r, c, k]) => document.querySelector('[data-c2vl-widget=heatmap]').c2vl.place(r, c, k)", [row, column, kind])


def test_cell_to_map_to_two_players(page, tmp_path, job):
    page.set_viewport_size({"width": 1300, "height": 1300})
    see(page, tmp_path, job)
    a, b = job.heatmap.names[1], job.heatmap.names[-2]
    page.mouse.move(*heat_cell(page, a, b))
    assert page.get_attribute(".c2vl-map", "data-linked").split("\n") == [a, b]
    page.mouse.click(*heat_cell(page, a, b))
    metas = of(page, "player", "metas")
    assert [metas[i]["name"] for i in of(page, "player", "shown")] == [a, b] == of(page, "concept_map", "picked")
    titles = page.locator(".c2vl-player .c2vl-titles b").all_inner_texts()
    assert titles == [a, b] and page.locator(".c2vl-player [data-role=prompt]").count() == 2


def test_map_to_heatmap_and_player(page, tmp_path, job):
    page.set_viewport_size({"width": 1300, "height": 1300})
    see(page, tmp_path, job)
    role = lambda name: page.locator(f".c2vl-map [data-role={name}]")
    role("search").fill(job.heatmap.names[3])
    page.keyboard.press("Enter")
    assert of(page, "concept_map", "selection") == [job.heatmap.names[3]] and page.get_attribute(".c2vl-heat", "data-marked") == "1"
    role("listed").first.hover()
    assert page.get_attribute(".c2vl-heat", "data-linked") == job.heatmap.names[3]
    role("listed").first.click()
    assert of(page, "heatmap", "picked") == [job.heatmap.names[3]]
    metas = of(page, "player", "metas")
    assert [metas[i]["name"] for i in of(page, "player", "shown")] == [job.heatmap.names[3]]
    spaces = role("space").locator("option").all_inner_texts()
    assert spaces == ["space: language", "space: skeleton, untrained", "space: skeleton, trained"]


def test_two_explorers_in_one_notebook_leave_each_other_alone(page, tmp_path, trained, job):
    run, said = trained
    both = {**{f"a{k}": v for k, v in job.states.items()}, **{f"b{k}": v for k, v in Explorer(run, prompts=said).states.items()}}
    groups = {key: how["group"] for key, how in both.items()}
    assert len(set(groups.values())) == 2 and "" not in groups.values()
    page.set_viewport_size({"width": 1300, "height": 2600})
    body = "".join(explorer_fragment({k[1:]: v for k, v in both.items() if k[0] == which}) for which in "ab")
    open_html(page, widget_page(body, list(job.states), "two"), tmp_path)
    page.wait_for_timeout(200)
    a, b = job.heatmap.names[1], job.heatmap.names[-2]
    page.mouse.click(*heat_cell(page, a, b))
    assert page.evaluate("[...document.querySelectorAll('.c2vl-map')].map((e) => e.dataset.picked)") == [f"{a}\n{b}", ""]


def test_answers_of_a_store_stand_at_their_moments(trained):
    run, said = trained
    name, prompts = next(iter(said)), PromptStore()
    prompts.append(Prompt(name, m, "what?", text, "test") for m, text in ((1, "walks"), (3, "sits")))
    states = explorer_states(run, prompts=prompts)
    meta = next(m for m in player_state(**states["player"])["metas"] if m["name"] == name)
    assert meta["prompts"] == ["", "walks", "", "sits"]
    heat = heatmap_state(**states["heatmap"])
    assert heat["texts"][heat["names"].index(name)] == meta["prompts"]
    spots = map_state(**states["concept_map"])
    said = np.frombuffer(spots["said"], "<u4").reshape(-1, spots["moments"])[spots["names"].index(name)]
    assert [spots["sentences"][k - 1] for k in said] == meta["prompts"]


@pytest.mark.parametrize("width", [400, 1300])
def test_fits_the_screen_and_runs_nothing(browser, tmp_path, job, width):
    with watched(browser, viewport={"width": width, "height": 900}, color_scheme="dark") as tab:
        see(tab, tmp_path, job)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.evaluate("window.ran") is None and tab.locator("script").count() == 5
        tops = [tab.locator(f".c2vl-{kind}").bounding_box()["y"] for kind in ("heat", "map")]
        assert (abs(tops[0] - tops[1]) < 5) == (width > 1200)


def test_inside_a_report(page, tmp_path, trained, job):
    run, said = trained
    page.set_viewport_size({"width": 1100, "height": 1300})
    page.goto(report(run.path, prompts=said, out=tmp_path / "report.html").as_uri())
    page.wait_for_timeout(200)
    a, b = job.heatmap.names[0], job.heatmap.names[-1]
    page.locator("#explorer").scroll_into_view_if_needed()
    page.mouse.move(*heat_cell(page, a, b))
    assert page.get_attribute(".c2vl-map", "data-linked").split("\n") == [a, b]
    page.mouse.click(*heat_cell(page, a, b))
    assert page.locator(".c2vl-player .c2vl-titles b").all_inner_texts() == [a, b]
    assert page.evaluate("window.ran") is None and page.evaluate("document.documentElement.scrollWidth") <= 1100


def test_the_policy_lets_no_other_script_run(browser, tmp_path, job):
    file = tmp_path / "page.html"
    foreign = "<script>window.ran = 1</script><img src=x onerror='window.ran = 2'>"
    file.write_text(job.to_html().replace("</body>", f"{foreign}</body>"), encoding="utf-8")
    tab = browser.new_context(offline=True).new_page()
    refused = []
    tab.on("console", lambda m: refused.append(m.text))
    tab.goto(file.as_uri())
    tab.wait_for_timeout(300)
    assert tab.evaluate("window.ran") is None and tab.locator(".c2vl-player").count() == 1
    assert any("Content Security Policy" in text for text in refused)
    tab.context.close()


def test_no_address_of_any_kind_in_the_page(job):
    assert not re.search(r"(src|href)\s*=|https?://(?!www\.w3\.org/2000/svg)|@import|url\(", job.to_html())


def test_the_frame_rate_is_the_recorded_one(trained):
    """Clips are thinned to keep the page light; what is said of them is about the recording, and a minute stays a minute."""
    run, _ = trained
    store = Store.open(run.path.parent / "store")
    states = explorer_states(run, frames=7)
    metas = player_state(**states["player"])["metas"]
    assert any(m["T"] == 7 for m in metas)
    for m in metas:
        clip = store[m["name"]]
        assert f"{clip.seconds:.2f} s at 30 fps" in m["facts"]
        assert (f"7 of {clip.T} frames" in m["facts"]) == (m["T"] == 7 < clip.T)
        assert abs(m["T"] / m["fps"] - clip.seconds) < 1e-6


def test_right_and_wrong_predictions_colour_the_map(page, tmp_path, trained):
    run, said = trained
    store = Store.open(run.path.parent / "store")
    true = {n: store[n].label_name for n in store.names}
    words = sorted(set(true.values()))
    wrong = {n: next(w for w in words if w != true[n]) for n in store.names[:3]}
    open_html(page, widget_page(explorer_fragment(explorer_states(run, prompts=said, predicted=true | wrong)),
                                ["heatmap", "concept_map", "player"], "judged"), tmp_path)
    page.locator(".c2vl-map [data-role=colour]").select_option("prediction")
    entries = page.locator(".c2vl-map [data-role=legend] [data-key]")
    assert entries.all_inner_texts() == [f"right\n{len(true) - 3}", "wrong\n3"]
    page.wait_for_timeout(300)
    page.mouse.move(2, 2)
    look = """(name) => { const w = document.querySelector('[data-c2vl-widget=concept_map]').c2vl, [x, y] = w.place(name);
        const box = w.face.canvas.getBoundingClientRect(), at = [x - box.left, y - box.top].map((v) => Math.round(v * w.face.ratio));
        return [...w.face.ctx.getImageData(...at, 1, 1).data].slice(0, 3); }"""
    page.locator(".c2vl-map [data-role=names]").click()                     # no names over the points
    page.locator(".c2vl-map [data-role=none]").click()
    page.locator(".c2vl-map [data-role=legend] [data-key]", has_text="wrong").click()
    assert page.get_attribute(".c2vl-map", "data-shown") == "3"
    page.wait_for_timeout(100)
    assert page.evaluate(look, next(iter(wrong))) == [213, 94, 0]


def test_mistakes_play_where_they_are_clicked(page, tmp_path, trained, job):
    """Every mistake has a card with both classes, the probability and the words; a click plays the clip; lists sort and choose."""
    run, _ = trained
    found = mistakes(run, Store.open(run.path.parent / "store"))
    page.set_viewport_size({"width": 1300, "height": 1400})
    see(page, tmp_path, job)
    cards, root = page.locator(".c2vl-mistake"), ".c2vl-gallery"
    assert cards.count() == len(found) > 0
    first = found.rows[0]
    text = cards.first.inner_text()
    assert first.true in text and f"→ {first.predicted} {round(100 * first.probability)} %" in text and first.name in text
    assert EVIL in text or f"of {first.name}" in text                                       # what was said at this moment
    assert cards.first.locator("canvas").evaluate("c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v)")
    cards.last.hover()
    assert page.get_attribute(".c2vl-map", "data-linked") == found.rows[-1].name == page.get_attribute(root, "data-hover")
    cards.last.click()
    assert page.locator(".c2vl-player .c2vl-titles b").all_inner_texts() == [found.rows[-1].name]
    assert page.get_attribute(".c2vl-player", "data-playing") == "true" and cards.last.get_attribute("aria-pressed") == "true"
    page.locator(f"{root} [data-role=only]").select_option(first.true)
    assert cards.count() == sum(r.true == first.true for r in found.rows)
    page.locator(f"{root} [data-role=only]").select_option("")
    page.locator(f"{root} [data-role=order]").select_option("nearly right first")
    assert cards.first.get_attribute("data-clip") == max(found.rows, key=lambda r: r.of_true).name
    assert page.evaluate("window.ran") is None
