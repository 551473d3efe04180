"""The report: one file that loads nothing, shows foreign text as text, and is made whatever is missing."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from browser import browser, open_html, settle, watched  # noqa: F401

from c2vl_kit.concepts.prompts import Prompt, PromptStore
from c2vl_kit.concepts.space import ConceptSpace
from c2vl_kit.data.catalog import get_split
from c2vl_kit.data.simulate import SimulatorConfig, simulate
from c2vl_kit.data.build import build_store
from c2vl_kit.evaluate.probes import ProbeConfig, evaluate
from c2vl_kit.methods import c2vl
from c2vl_kit.methods.c2vl import small
from c2vl_kit.train.pretrain import pretrain
from c2vl_kit.core import InputError
from c2vl_kit.train.runs import Run
from c2vl_kit.viz.material import gather
from c2vl_kit.viz.report import report

EVIL = "<script>alert('x')</script><img src=http://evil.example/x onerror=alert(1)>"
VOID = {"meta", "br", "img", "link", "input", "hr", "path", "circle", "rect", "use", "image"}


class Page(HTMLParser):
    """Collects tags with their attributes, and tags that are never closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.wrong = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A whole tiny job: store, concept space, two epochs of pre-training, results; with its descriptions."""
    folder = tmp_path_factory.mktemp("job")
    made = simulate(SimulatorConfig(classes=3, subjects=4, repetitions=2))
    store, _ = build_store(folder / "store", made.clips, dataset="simulated", progress=False)
    draw = np.random.default_rng(0)
    middle = draw.normal(size=(3, 8))
    vectors = (middle[store.labels] + 0.3 * draw.normal(size=(len(store), 8))).astype(np.float32)
    ConceptSpace(store.names, vectors).save(folder / "space")
    split = get_split(store)
    config = small(frames=8, backbone={"width": 4, "dim": 16}, train={"epochs": 2, "batch_size": 6})
    pretrain(c2vl, store, split, folder / "run", config, space=ConceptSpace.load(folder / "space"), progress=False)
    evaluate(folder / "run", store, split, probe=ProbeConfig(epochs=3), progress=False)
    return folder, made.descriptions


@pytest.fixture(scope="module")
def full(job):
    """The report of the tiny job, with one hostile description in it."""
    folder, said = job
    name = next(iter(said))
    said = {**said, name: [EVIL + f" {i}" for i in range(16)]}
    return report(folder / "run", prompts=said, clip=name, out=folder / "full.html").read_text(encoding="utf-8")


def sections(html):
    """Section id -> whether it says that something is missing."""
    return {k: "class='note'" in body for k, body in re.findall(r"<section id='(\w+)'>(.*?)</section>", html, flags=re.S)}


def test_everything_is_shown(full):
    assert sections(full) == dict.fromkeys(
        ("results", "clip", "mistakes", "explorer", "map", "targets", "curves", "confusion", "neighbours", "provenance"), False)
    for word in ("linear probe", "1-NN on raw joints", "always the most frequent class", "retrieval", "official", "clean", "split hash",
                 "store checksum", "pre-training seed", "best on held-out training clips"):
        assert word in full, word


def test_loads_nothing(full):
    page = Page(full)
    scripts = [attrs for tag, attrs in page.tags if tag == "script"]
    assert sorted({a["type"] for a in scripts}) == ["application/json", "module"] and not any("src" in a for a in scripts)
    assert not {"link", "iframe", "object", "embed", "audio", "video", "base"} & {tag for tag, _ in page.tags}
    for tag, attrs in page.tags:
        for key, value in attrs.items():
            assert not key.startswith("on"), (tag, key)
            if key in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
                assert value.startswith(("#", "data:image/")), (tag, key, value[:60])
    full = re.sub(r"<script.*?</script>", "", full, flags=re.S)
    styles = "".join(re.findall(r"<style>.*?</style>", full, flags=re.S)) + "".join(a.get("style") or "" for _, a in page.tags)
    assert "@import" not in styles
    assert all(target.startswith("#") for target in re.findall(r"url\(['\"]?([^)]*)", styles))
    assert "default-src 'none'" in full
    text = re.sub(r"data:image/[^'\"]*", "", full).replace("src=http://evil.example", "").replace("http://www.w3.org/2000/svg", "")
    assert "http://" not in text and "https://" not in text


def test_well_formed_with_unique_ids(full):
    page = Page(full)
    assert not page.wrong and not page.open
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for target in re.findall(r"(?:href=['\"]|url\()#([^'\")]+)", full):
        assert target in ids or target.startswith("clip="), target                          # a clip is played


def test_foreign_text_stays_text(full):
    assert "<script>" not in full and "<img src=http" not in full
    assert full.count("<script") == 1 + full.count('<script type="application/json"')
    assert "&lt;script&gt;alert" in full


def test_every_picture_has_a_sentence(full):
    pictures = [a for tag, a in Page(full).tags if tag in ("svg", "img")]
    assert len(pictures) > 10
    assert all((a.get("aria-label") or a.get("alt", "")).strip() for a in pictures)


def test_small_and_for_phones(full):
    assert len(full.encode()) < 4_000_000
    assert "width=device-width" in full and "prefers-color-scheme:dark" in full
    assert full.count("class='scroll'") >= 1


def test_hostile_class_names_and_settings(job, tmp_path):
    folder, _ = job
    run = Run.create(tmp_path / "run", {"method": EVIL, "dataset": EVIL, "stream": "joint", "split": {"name": EVIL, "hash": EVIL}})
    results = json.loads((folder / "run" / "results.json").read_text())
    results["label_names"] = [EVIL, "$\\frac{a}{", "c"]
    results["info"]["notes"] = [EVIL]
    results["rows"][0]["scores"]["table"][EVIL] = results["rows"][0]["scores"]["table"]["clean"]
    (run.path / "results.json").write_text(json.dumps(results))
    html = report(run.path).read_text(encoding="utf-8")
    assert "<script" not in html and "<img src=http" not in html
    assert not Page(html).wrong


def test_an_empty_answer_keeps_its_time(job):
    folder, said = job
    name, prompts = next(iter(said)), PromptStore()
    prompts.append(Prompt(name, m, "what?", text, "test") for m, text in ((0, "walks"), (1, ""), (2, "sits"), (3, "rises")))
    html = report(folder / "run", prompts=prompts, clip=name, out=folder / "quiet.html", explore=0).read_text(encoding="utf-8")
    shown = re.findall(r"<li><time>(\S+) s</time>(.*?)</li>", html)
    assert [w for _, w in shown] == ["walks"] * 2 + ["<i>nothing was said here</i>"] * 2 + ["sits"] * 2 + ["rises"] * 2


@pytest.mark.parametrize("gone", ["store", "space", "targets.safetensors", "results.json", "log.jsonl"])
def test_a_missing_piece_costs_one_sentence(job, tmp_path, gone, monkeypatch):
    folder, said = job
    monkeypatch.setattr(ConceptSpace, "umap", lambda self, seed=0: getattr(self, self.modalities[0])[:, :2])
    for part in folder.iterdir():
        if part.name in ("store", "space") and part.name != gone:
            (tmp_path / part.name).symlink_to(part)
    (tmp_path / "run").mkdir()
    for part in (folder / "run").iterdir():
        if part.name not in (gone, "report.html"):
            (tmp_path / "run" / part.name).symlink_to(part)
    html = report(tmp_path / "run", prompts=said).read_text(encoding="utf-8")
    silent = {k for k, missing in sections(html).items() if missing}
    expected = {"store": {"clip", "explorer", "map", "neighbours"}, "space": {"map", "neighbours"}, "targets.safetensors": {"targets"},
                "results.json": {"results", "confusion"}, "log.jsonl": {"curves"}}
    assert silent == expected[gone] | ({"mistakes"} if gone == "store" else set())


def test_damaged_pieces_are_named(job, tmp_path):
    run = Run.create(tmp_path / "run", {"method": "c2vl"})
    (run.path / "results.json").write_text('{"rows": [')
    (run.path / "targets.safetensors").write_bytes(b"no tensors")
    (tmp_path / "store").mkdir()
    found = gather(run.path)
    assert {"results", "targets", "store"} <= set(found.missing)
    html = report(run.path).read_text(encoding="utf-8")
    assert "results.json" in html and "targets.safetensors" in html


def test_no_run_and_nothing_half_made(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        report(tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())
    run = Run.create(tmp_path / "run", {"method": "c2vl"})
    report(run.path)
    assert not list(run.path.glob("*.tmp-*"))


def test_it_says_first_what_it_is_and_nothing_twice(full, job):
    head = full[full.index("<h1>"):full.index("<nav")]
    assert head.index("C2VL teaches") < head.index("class='lead'") and re.search(r"began on \d+ \w+ \d{4}, (no )?commit", head)
    assert full.count("official = clean") == 1 and ">official<" not in full                  # one column where both are one


def test_other_seeds_are_thin_lines(job, tmp_path):
    folder, _ = job
    config = json.loads((folder / "run" / "config.json").read_text())
    for seed, kept in ((0, config), (1, {**config, "seed": 1, "train": {**config["train"], "seed": 1}})):
        run = tmp_path / ("run" if not seed else "run-seed1")
        run.mkdir()
        (run / "config.json").write_text(json.dumps(kept))
        (run / "log.jsonl").write_bytes((folder / "run" / "log.jsonl").read_bytes())
    assert "Thin lines are seeds 1." in report(tmp_path / "run", explore=0).read_text(encoding="utf-8")


def test_on_paper_in_the_dark_and_on_a_phone(browser, full, tmp_path):  # noqa: F811
    """Print opens what is folded and stretches no canvas; no panel is white in the dark; no text is below 11 px at 400 px."""
    texts = """() => Math.min(...[...document.querySelectorAll('main section:not(#explorer) *')].filter((e) => e.checkVisibility() &&
        [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && !(e instanceof SVGTitleElement)).map((e) => {
        const size = parseFloat(getComputedStyle(e).fontSize), svg = e.closest('svg');
        return svg && svg.viewBox.baseVal.width ? size * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : size; }))"""
    white = """() => [...document.querySelectorAll('main :is(figure, figure div, img)')].filter((e) =>
        getComputedStyle(e).backgroundColor === 'rgb(255, 255, 255)').length"""
    with watched(browser, viewport={"width": 400, "height": 900}, color_scheme="dark") as tab:
        open_html(tab, full, tmp_path)
        settle(tab)
        assert tab.evaluate(texts) >= 11 and tab.evaluate("document.documentElement.scrollWidth") <= 400
        assert tab.evaluate(white) == 0
        tab.set_viewport_size({"width": 1000, "height": 900})
        tab.emulate_media(media="print")
        settle(tab)
        assert tab.evaluate("[...document.querySelectorAll('details pre')].every((e) => e.getBoundingClientRect().height > 20)")
        shapes = tab.evaluate("[...document.querySelectorAll('.c2vl-canvas')]"
                              ".map((c) => [c.width / c.height, c.clientWidth / c.clientHeight])")
        assert shapes and all(abs(a / b - 1) < .02 for a, b in shapes)
        assert not tab.locator("nav").is_visible() and not tab.locator(".c2vl-button").first.is_visible()
        assert not tab.locator("#explorer .gallery").is_visible()                  # its surest are printed under "Mistakes"
