"""Everything shows itself in notebooks; names of clips, classes, data sets and files come from people and must stay text there."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import c2vl_kit
from c2vl_kit.core import md_text
from c2vl_kit.skeleton import KINECT20, Clip, make_layout, filmstrip_svg

EVIL = "<img src=x onerror=alert(1)>|**b** `c`\n# d"
TEXT_ONLY = {"Augment", "Markdown", "FilmStrip", "InlinePage", "PromptCard", "LiveView"}  # numbers, or made elsewhere


def clip(name=EVIL, frames=6, **facts):
    rng = np.random.default_rng(0)
    x = np.float32(rng.normal(0, 0.3, (frames, 1, 20, 3)) + [0, 1, 3])
    return Clip(name, x, KINECT20, **facts)


def evil_layout():
    return make_layout(EVIL, {EVIL: EVIL, "left <b>": EVIL})


def scores():
    from c2vl_kit.evaluate.scores import Score, Scores

    return Scores({EVIL: {EVIL: Score(0.5, 0.5, 2, ((1, 0), (1, 0)), (0,))}})


def results():
    from c2vl_kit.evaluate.scores import Result, Results

    return Results((Result(EVIL, scores(), EVIL, EVIL, "abc", "0123456789ab", 0),), (EVIL,), {"notes": [EVIL]})


def store(folder):
    from c2vl_kit.data.build import build_store

    clips = [clip(f"c{i} {EVIL}".replace("\n", " "), label=i % 2, label_name=EVIL) for i in range(2)]
    return build_store(folder / "store", [c.replace(joints=c.joints + i) for i, c in enumerate(clips)], dataset=EVIL, progress=False)


def made(folder):
    """(class, what shows itself) of every class with a repr for notebooks, each with a bad name wherever one can stand."""
    from c2vl_kit.app.doctor import Diagnosis, Finding
    from c2vl_kit.concepts.quality import Quality
    from c2vl_kit.concepts.prompts import PromptStore, prompts_from
    from c2vl_kit.concepts.server import Usage
    from c2vl_kit.concepts.space import ConceptSpace
    from c2vl_kit.concepts.study import Coherence
    from c2vl_kit.data.mapping import JointMap
    from c2vl_kit.evaluate.anchors import Anchor, Beside
    from c2vl_kit.evaluate.mistakes import Mistake, Mistakes
    from c2vl_kit.evaluate.outcome import Outcome, OverSplits, PerClass
    from c2vl_kit.evaluate.zeroshot import Naming, Ranks
    from c2vl_kit.concepts.towers import ImageTower, TextTower
    from c2vl_kit.data.guards import Overlap, ZeroShot
    from c2vl_kit.data.splits import Split
    from c2vl_kit.data.catalog import get_dataset
    from c2vl_kit.readers.checks import BodyCheck
    from c2vl_kit.readers.ntu import NtuColumns
    from c2vl_kit.readers.report import ReadReport
    from c2vl_kit.data.loader import ClipSet
    from c2vl_kit.readers.asf import AsfSkeleton
    from c2vl_kit.readers.bvh import Bvh
    from c2vl_kit.data.near import NearReport
    from c2vl_kit.data.simulate import SimulatorConfig, simulate
    from c2vl_kit.data.pipelines import Pipeline, compare_pipelines
    from c2vl_kit.data.transforms import trim
    from c2vl_kit.app.family import FamilyTable
    from c2vl_kit.app.predict import Prediction, Predictions
    from c2vl_kit.app.runlist import RunList, RunRow
    from c2vl_kit.app.search import Description, Found, Hit
    from c2vl_kit.app.stream import DetectionMap
    from c2vl_kit.evaluate.estimator import SkeletonEncoder
    from c2vl_kit.evaluate.export import Exported
    from c2vl_kit.evaluate.features import Features
    from c2vl_kit.models.zoo import ModelTable
    from c2vl_kit.train.runs import Run
    from c2vl_kit.viz.soft_targets import TargetRecord

    built, report = store(folder)
    prompts = PromptStore()
    prompts.append(prompts_from({EVIL: [EVIL, EVIL]}, EVIL, EVIL))
    split = Split(EVIL, EVIL, ("a",), {EVIL: ("b",)})
    tower = SimpleNamespace(name=EVIL, dim=3, max_length=4, pooling="mean", device="cpu", precision="float32", checksum="0" * 12)
    sims = simulate(SimulatorConfig(classes=2, subjects=2, repetitions=1))
    sims.clips[0] = sims.clips[0].replace(label_name=EVIL)
    head = {"dataset": EVIL, "split": EVIL, "split_hash": "abc", "words": EVIL, "clips": {EVIL: 2},
            "config": dict(width=1, dim=2, frames=3, persons=1, lr=0.1, batch_size=2, budget=1, equal="updates")}
    row = {"member": EVIL, "line": "", "passes": "–", "seconds": None, "cells": {f"{EVIL}|linear": {"mean": 0.5, "sd": 0.0, "seeds": 1}}}
    space = ConceptSpace((EVIL, "b"), np.eye(2, dtype=np.float32), info={"language": {"tower": EVIL}, "control": EVIL})
    run = Run.create(folder / "run <b>", {"method": EVIL, "train": {"optimiser": EVIL}})
    return {
        "Store": built, "ReadReport": report, "BodyCheck": BodyCheck(1, {}, (("points", "note", EVIL),)), "Clip": clip(label_name=EVIL),
        "Layout": evil_layout(), "Split": split, "ZeroShot": ZeroShot(SimpleNamespace(unseen=(1,), seen=(0,), source=EVIL), split, (1, 1)),
        "Overlap": Overlap(EVIL, EVIL, (EVIL,), (), (EVIL,), 3),
        "NearReport": NearReport(EVIL, EVIL, {EVIL: EVIL}, {}, np.array([0.1, 0.2])),
        "Dataset": get_dataset("nw-ucla").__class__(**{**vars(get_dataset("nw-ucla")), "title": EVIL, "name": EVIL, "licence": EVIL,
                                                       "pattern": EVIL, "classes": (EVIL,)}),
        "JointMap": JointMap(evil_layout(), make_layout("b", {"x": "x"}), ((0,),)),
        "Outcome": Outcome.of(EVIL, {EVIL: EVIL}, {EVIL: [scores()[EVIL][EVIL]]}), "PerClass": PerClass(scores()[EVIL][EVIL], (EVIL, EVIL)),
        "Beside": Beside(EVIL, EVIL, EVIL, ((EVIL, 1.0),), (Anchor(EVIL, EVIL, EVIL, EVIL, EVIL, 1.0, EVIL, "R", EVIL),)),
        "Mistakes": Mistakes((Mistake(EVIL, EVIL, EVIL, 0.5, 0.5),), {EVIL: EVIL}, EVIL),
        "OverSplits": OverSplits({EVIL: EVIL}, {EVIL: (0.5, 0.6)}),
        "Scores": scores(), "Results": results(), "FamilyTable": FamilyTable(head, (EVIL,), (row,), ()),
        "Features": Features(("a", "b"), np.eye(2), {EVIL: EVIL}), "Usage": (lambda u: (u.again.update([EVIL]), u)[1])(Usage()),
        "TextTower": SimpleNamespace(_repr_markdown_=lambda: TextTower._repr_markdown_(tower)),
        "ImageTower": SimpleNamespace(_repr_markdown_=lambda: ImageTower._repr_markdown_(tower)),
        "Pipeline": Pipeline(EVIL, (trim,), EVIL), "Comparison": compare_pipelines(clip(), [Pipeline(EVIL, (trim,), "")]),
        "ModelTable": ModelTable((dict(name=EVIL, dim=1, parameters=1, flops=1, ms=None),), EVIL),
        "TargetRecord": TargetRecord(("a",), (1,), (0.1,), {EVIL: np.ones((1, 1, 1))}, EVIL), "ClipSet": ClipSet.load(
            built, built.names, frames=4, progress=False), "PromptStore": prompts, "ConceptSpace": space,
        "Quality": Quality(1, 1, 1, 2.0, {EVIL: 1}, {EVIL: EVIL}, EVIL), "Coherence": Coherence(((EVIL, 2, 0.5, EVIL, 0.1),)),
        "Naming": Naming((EVIL,), np.ones((1, 2)), np.array([0]), (EVIL, "b")), "Ranks": Ranks(np.array([1]), np.array([2])),
        "Predictions": Predictions((Prediction(EVIL, EVIL, EVIL, 0.5, *[((EVIL, 0.5),)] * 3),), {EVIL: EVIL}, (EVIL,)),
        "Found": Found(EVIL, (Hit(EVIL, EVIL, 0.5, None, 0, 1, EVIL),), (clip(),), (EVIL,)),
        "Description": Description(EVIL, ((0, 1, EVIL),), ((EVIL, 0.5),), (EVIL,)), "DetectionMap": DetectionMap(1, {EVIL: 1}, 0.5),
        "RunList": RunList(EVIL, (RunRow(EVIL, EVIL, EVIL, 0, 1, 2, 0.5, {EVIL: 0.5}, EVIL, EVIL, {}, {EVIL: EVIL}),)),
        "SkeletonEncoder": SkeletonEncoder(EVIL), "Exported": Exported(built.path / "store.json", Path(EVIL), (EVIL,), 0.0),
        "Run": run, "Simulated": sims, "Diagnosis": Diagnosis((Finding(EVIL, EVIL, EVIL),)),
        "Bvh": Bvh(Path(EVIL), (EVIL, None), (0, 0), np.eye(3)[:2], ((), ()), np.zeros((2, 0)), 30.0),
        "AsfSkeleton": AsfSkeleton(Path(EVIL), ("root", EVIL), (0, 0), 2 * np.eye(3)[:2], np.stack([np.eye(3)] * 2),
                                   ("xyz", "xyz"), ((), ()), ((), ()), 1.0, True),
        "NtuColumns": SimpleNamespace(
            _repr_markdown_=lambda: NtuColumns._repr_markdown_(SimpleNamespace(clip=clip(), ids=np.array([1])))),
        "ReadReport 2": ReadReport(EVIL, 1, [], {EVIL: EVIL}, notes=[EVIL], bodies={"findings": [["up", "wrong", EVIL]]}),
    }


def shown(thing):
    return [getattr(thing, m)() for m in ("_repr_markdown_", "_repr_html_") if hasattr(thing, m)]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_name_becomes_markup(tmp_path):
    bad = []
    for name, thing in made(tmp_path).items():
        texts = shown(thing)
        assert texts, name
        for text in texts:
            if "<img" in text or "run <b>" in text:
                bad.append(name)
            if "_repr_html_" not in dir(thing) and re.search(r"(?m)^# d", text):
                bad.append(f"{name}: a line break gets through")
    assert not bad


def test_every_class_that_shows_itself_is_looked_at(tmp_path):
    """A new class with a repr for notebooks must be added to `made` or `TEXT_ONLY`; a base is looked at through its child."""
    found = {}
    for info in pkgutil.walk_packages(c2vl_kit.__path__, "c2vl_kit."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        found |= {n: c for n, c in inspect.getmembers(module, inspect.isclass)
                  if c.__module__ == info.name and not n.startswith("_") and (hasattr(c, "_repr_markdown_") or hasattr(c, "_repr_html_"))}
    source = Path(__file__).read_text(encoding="utf-8")
    looked_at = [c for n, c in found.items() if n in TEXT_ONLY or f'"{n}":' in source or f'"{n} ' in source]
    assert not [n for n, c in found.items() if not any(issubclass(child, c) for child in looked_at)]


def test_tables_keep_their_columns(tmp_path):
    """A bar or a line break in a name neither adds a column nor ends the table."""
    rows = [line for line in results()._repr_markdown_().splitlines() if line.startswith("|")]
    assert len({len(re.split(r"(?<!\\)\|", r)) for r in rows}) == 1 and len(rows) == 3


def test_the_terminal_shows_the_name_itself():
    from c2vl_kit.app.job import plain_text

    assert plain_text(f"| a | {md_text('x|y <b> *z* [1] $2$')} |\n|---|---|").split("  ")[-1].strip() == "x|y <b> *z* [1] $2$"
    assert plain_text(md_text("a|b & <c>")) == "a|b & <c>"


def lengths(svg):
    """(centre, width) of the captions under each moment, by the widest common font (DejaVu Sans, 11 px)."""
    found = []
    for x, text in re.findall(r"<text x='([\d.]+)' y='[\d.]+' text-anchor='middle' font-size='11'[^>]*>([^<]*)<", svg):
        found.append((float(x), width(text)))
    return found


def width(text):
    font = pytest.importorskip("matplotlib.ft2font").FT2Font(
        str(Path(pytest.importorskip("matplotlib").get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"))
    font.set_size(11, 72)
    font.set_text(text.replace("&#x27;", "'"), 0.0)
    return font.get_width_height()[0] / 64


@pytest.mark.parametrize("moments", [3, 8, 16])
def test_captions_keep_apart(moments):
    """Eight moments with a sentence each: no line reaches its neighbour's column, whatever the words."""
    said = ["swinging towards the other side, quickly and repeatedly, as if waving", "The right foot is raised off the ground",
            "MMMM WWWW mmmmmm wwwwww MMMMMMMM", "Donaudampfschiffahrtsgesellschaftskapitän", "iiii llll i l", "both hands meet", "…", ""]
    svg = filmstrip_svg(clip("a", 40), moments, captions=[said[i % len(said)] for i in range(moments)])
    cell = 960 / moments
    lines = lengths(svg)
    assert len(lines) >= moments // 2
    assert max(w for _, w in lines) <= cell - 4


def test_times_keep_apart():
    """Thirty moments: a time under some of them, none over its neighbour."""
    svg = filmstrip_svg(clip("a", 300), 30)
    at = [float(x) for x, t in re.findall(r"<text x='([\d.]+)'[^>]*font-size='12' fill='#5A5A5A'>([^<]+ s)<", svg)]
    assert len(at) >= 10 and min(np.diff(at)) >= 50
