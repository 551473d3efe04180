"""Test clips that may have been trained on: another store or split than the run's is refused everywhere, and said where it is allowed."""

import json
import re
import warnings

import numpy as np
import pytest

from c2vl_kit.concepts.space import ConceptSpace
from c2vl_kit.data.splits import Split
from c2vl_kit.data.catalog import get_split
from c2vl_kit.data.loader import ClipSet
from c2vl_kit.data.build import build_store
from c2vl_kit.data.store import Store
from c2vl_kit.evaluate.features import extract, raw_features
from c2vl_kit.evaluate.fusion import evaluate_views
from c2vl_kit.evaluate.probes import ProbeConfig, evaluate, knn
from c2vl_kit.evaluate.scores import Results
from c2vl_kit.methods import skeletonclr
from c2vl_kit.methods import c2vl
from c2vl_kit.methods.c2vl import small
from c2vl_kit.train.pretrain import pretrain
from c2vl_kit.models.zoo import Backbone
from c2vl_kit.core import InputError
from c2vl_kit.train.runs import Run
from c2vl_kit.viz.concept_map import Places
from c2vl_kit.viz.explorer import explorer_states
from c2vl_kit.viz.material import gather
from c2vl_kit.viz.report import report

QUICK = {"probe": ProbeConfig(epochs=2), "device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def job(tmp_path_factory, tiny_clips):
    """A folder with store, space and a run of one epoch."""
    folder = tmp_path_factory.mktemp("job")
    store, _ = build_store(folder / "store", tiny_clips, dataset="simulated", progress=False)
    split = get_split(store)
    words = np.random.default_rng(0).normal(size=(len(store), 8)).astype(np.float32)
    ConceptSpace(store.names, words).save(folder / "space")
    config = small(frames=8, backbone={"width": 2, "dim": 8}, train={"epochs": 1, "batch_size": 6})
    pretrain(c2vl, store, split, folder / "run", config, space=ConceptSpace.load(folder / "space"), progress=False)
    evaluate(folder / "run", store, split, **QUICK)
    return folder


@pytest.fixture(scope="module")
def store(job):
    return Store.open(job / "store")


@pytest.fixture(scope="module")
def split(store):
    return get_split(store)


@pytest.fixture(scope="module")
def moved(tmp_path_factory, tiny_clips):
    """The same clips by name, mirrored: another store, the same split."""
    clips = [c.replace(joints=c.joints * np.float32([-1, 1, 1])) for c in tiny_clips]
    return build_store(tmp_path_factory.mktemp("moved") / "store", clips, dataset="simulated", progress=False)[0]


def turned(split) -> Split:
    """Every clip that is tested was trained on."""
    return Split(split.dataset, "turned", split.tests["official"], {"official": split.train})


def test_another_split_or_store_is_refused_with_both_hashes(job, store, split, moved, tmp_path):
    other = turned(split)
    before = (job / "run/results.json").read_bytes()
    for judge in (evaluate, evaluate_views):
        how = QUICK if judge is evaluate else {"device": "cpu", "progress": False}
        with pytest.raises(InputError, match=f"{split.hash}.*{other.hash}"):
            judge(job / "run", store, other, tmp_path / "no.json", **how)
        with pytest.raises(InputError, match=f"{store.checksum[:12]}.*{moved.checksum[:12]}"):
            judge(job / "run", moved, get_split(moved), tmp_path / "no.json", **how)
    assert not (tmp_path / "no.json").exists() and (job / "run/results.json").read_bytes() == before


def test_a_fused_run_of_other_data_is_refused(job, store, split, moved, tmp_path):
    config = skeletonclr.small(frames=8, backbone={"width": 2, "dim": 8}, train={"epochs": 1, "batch_size": 6}, queue=12)
    run = pretrain(skeletonclr, moved, get_split(moved), tmp_path / "run", config, progress=False)
    with pytest.raises(InputError, match=f"{moved.checksum[:12]}.*{store.checksum[:12]}"):
        evaluate_views({"mine": job / "run", "theirs": run}, store, split, progress=False)


def test_a_part_of_the_runs_split_is_known_to_be_clear(job, store, split):
    half = Split(split.dataset, "half", split.train[::2], split.tests)
    assert evaluate(job / "run", store, half, job / "half.json", cut_from=split, **QUICK).info["notes"] == []
    with pytest.raises(InputError, match=f"{split.hash}.*{half.hash}"):  # nobody said that it is a part
        evaluate(job / "run", store, half, job / "half.json", **QUICK)
    with pytest.raises(InputError, match=f"{len(split.train)} test clips of turned were trained on"):
        evaluate(job / "run", store, turned(split), cut_from=split, **QUICK)
    with pytest.raises(InputError, match=f"{split.hash}.*{half.hash}"):  # the whole it is said to be a part of is not the run's
        evaluate(job / "run", store, half, cut_from=half, **QUICK)


def test_allowed_in_so_many_words_it_is_said_and_kept_apart(job, store, split, moved):
    own = Results.load(job / "run/results.json")
    found = evaluate(job / "run", moved, get_split(moved), allow_other_store_or_split=True, **QUICK)
    assert len(found.info["notes"]) == 1 and store.checksum[:12] in found.info["notes"][0] and moved.checksum[:12] in found.info["notes"][0]
    assert Results.load(job / "run/results.json") == own, "the run's own figures stay"
    (apart,) = (job / "run").glob("results-*.json")
    assert Results.load(apart) == found and moved.checksum[:12] in apart.name
    apart.unlink()


def test_features_of_two_stores_or_encoders_are_not_probed_together(store, split, moved):
    sets = {s.checksum: ClipSet.load(s, s.names, 8, 1, "facing", progress=False) for s in (store, moved)}
    mine, theirs = (raw_features(clips) for clips in sets.values())
    y = {n: int(label) for n, label in zip(store.names, store.labels)}
    train, test = mine.subset(split.train), split.tests["official"]
    truth = np.array([y[n] for n in test])
    labels = np.array([y[n] for n in split.train])
    assert knn(train, labels, {"official": (mine.subset(test), truth)}, 1)["official"]["k=1"].clips == len(test)
    with pytest.raises(InputError, match=f"of store {moved.checksum[:12]}, the training's of store {store.checksum[:12]}"):
        knn(train, labels, {"official": (theirs.subset(test), truth)}, 1)
    one, two = (extract(Backbone(width=w, dim=8).make(store.layout, 3), sets[store.checksum]) for w in (2, 4))
    with pytest.raises(InputError, match=f"of weights {two.info['weights']}, the training's of weights {one.info['weights']}"):
        knn(one.subset(split.train), labels, {"official": (two.subset(test), truth)}, 1)


def test_the_report_and_the_explorer_say_that_the_store_is_another(job, store, moved, tmp_path, monkeypatch):
    flat = lambda spaces, seed=0: {k: Places(f.names, np.asarray(f.x)[:, :2]) for k, f in spaces.items()}  # UMAP takes a minute to compile
    monkeypatch.setattr(ConceptSpace, "umap", lambda self, seed=0: getattr(self, self.modalities[0])[:, :2])
    monkeypatch.setattr("c2vl_kit.viz.explorer.places", lambda spaces, seed=0: flat(spaces) if isinstance(spaces, dict) else {})
    html = report(job / "run", store=moved, out=tmp_path / "page.html", explore=0).read_text(encoding="utf-8")
    head = html[: html.index("</header>")]
    assert f"`{moved.checksum[:12]}`, is not the one this run was trained on, `{store.checksum[:12]}`" in head
    assert "is not the one this run" not in report(job / "run", out=tmp_path / "own.html", explore=0).read_text(encoding="utf-8")
    with pytest.warns(UserWarning, match="cannot say which clips were trained on"):
        states = explorer_states(job / "run", moved, {}, ConceptSpace.load(job / "space"))
    assert set(states["concept_map"]["split"].values()) == {"not known"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        known = explorer_states(job / "run", store, {}, ConceptSpace.load(job / "space"))["concept_map"]["split"]
    assert {n for n, side in known.items() if side == "train"} == set(get_split(store).train)


def test_a_split_that_was_made_anew_colours_no_map(job, store, tmp_path):
    """The store keeps a split of the run's name with other clips."""
    names = store.names
    first = Split("simulated", "mine", names[:12], {"official": names[12:]})
    other = Split("simulated", "mine", names[12:], {"official": names[:12]})
    other.to_file(store.path / "splits" / "mine.json")
    facts = json.loads((job / "run/config.json").read_text(encoding="utf-8"))
    facts["split"] = {"name": "mine", "hash": first.hash, "train": 12}
    run = Run.create(tmp_path / "run", facts)
    found = gather(run.path, store=job / "store", explore=0)
    (store.path / "splits" / "mine.json").unlink()
    assert found.split is None and first.hash in found.missing["split"] and other.hash in found.missing["split"]


def test_figures_of_another_training_are_named(job, store, split, tmp_path):
    facts = json.loads((job / "run/config.json").read_text(encoding="utf-8"))
    facts["store_checksum"] = "0" * 64
    run = Run.create(tmp_path / "run", facts)
    (run.path / "results.json").write_bytes((job / "run/results.json").read_bytes())
    html = report(run.path, explore=0).read_text(encoding="utf-8")
    assert re.search(rf"figures were made for a run trained on store `{store.checksum[:12]}`.*trained on `000000000000`", html)
    assert Results.load(run.path / "results.json").belongs_to(Run.open(job / "run"))
    assert not Results.load(run.path / "results.json").belongs_to(run)


def test_finished_rows_of_the_bench_are_compared_with_the_store(root, job, store, split):
    import importlib.util

    spec = importlib.util.spec_from_file_location("bench_spine", root / "bench" / "spine.py")
    spine = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(spine)
    config = small(frames=8, backbone={"width": 2, "dim": 8}, train={"epochs": 1, "batch_size": 6})
    spine.check_made(job / "run", config, split, store.checksum)
    with pytest.raises(InputError, match="holds results made with store="):
        spine.check_made(job / "run", config, split, "0" * 64)
