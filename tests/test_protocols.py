"""Protocols: joints mapped by name, fine-tuning, few labels, damage, anchors; test labels decide nothing; probes against scikit-learn."""

import sys

import numpy as np
import pytest
import torch

from c2vl_kit.core import InputError
from c2vl_kit.data.build import build_store
from c2vl_kit.data.mapping import StoreView, joint_map, map_joints
from c2vl_kit.data.simulate import retarget
from c2vl_kit.data.splits import make_split, read_split
from c2vl_kit.evaluate import few_labels as few_labels_page
from c2vl_kit.evaluate import fusion, probes
from c2vl_kit.evaluate.anchors import beside, read_anchors
from c2vl_kit.evaluate.features import Features
from c2vl_kit.evaluate.few_labels import FewShot, few_labels, few_shot, prototypes
from c2vl_kit.evaluate.finetune import FineTune, fine_tune, own_score, run_features, transfer
from c2vl_kit.evaluate.fusion import evaluate_views, fused_scores
from c2vl_kit.evaluate.outcome import bootstrap
from c2vl_kit.evaluate.probes import ProbeConfig, fit_linear, knn, linear_probe, standardizer
from c2vl_kit.evaluate.robustness import DAMAGES, Damage, robustness, shake, turn
from c2vl_kit.evaluate.scores import Score
from c2vl_kit.methods import simclr
from c2vl_kit.methods.supervised import classify
from c2vl_kit.readers.checks import check_bodies
from c2vl_kit.readers.kinect import read_utd
from c2vl_kit.readers.ntu import read_ntu
from c2vl_kit.skeleton import KINECT20, NTU25, OPENPOSE25, SBU15, UTD20
from c2vl_kit.train.pretrain import pretrain
from c2vl_kit.train.runview import RunView

QUICK = FineTune(updates=4, batch_size=6, device="cpu")


@pytest.fixture(scope="module")
def world(tiny_clips, tmp_path_factory):
    """(store, split, a run pre-trained for a moment)."""
    folder = tmp_path_factory.mktemp("protocols")
    store, _ = build_store(folder / "store", tiny_clips, dataset="simulated", progress=False)
    split = make_split(store, "subject", train=[1, 2], test=[3, 4])
    train = {"epochs": 2, "batch_size": 6, "device": "cpu", "amp": "off"}
    config = simclr.small(frames=8, backbone={"width": 4, "dim": 16}, train=train)
    return store, split, pretrain(simclr, store, split, folder / "run", config, progress=False)


class Relabelled(StoreView):
    """The same store, but for the labels of some clips."""

    def __init__(self, store, new: dict):
        super().__init__(store, lambda clip: clip, "")
        self.checksum, self.labels = store.checksum, np.array(store.labels)
        for name, label in new.items():
            self.labels[store.names.index(name)] = label


def poisoned(store, split):
    """Every test clip is given another class."""
    return Relabelled(store, {n: (store[n].label + 1) % 3 for names in split.tests.values() for n in names})


# ---------------------------------------------------------------- joints by name


def lengths(clip, names):
    """Median length of each bone, between joints found by name."""
    at = [[clip.layout.index(j) for j in pair] for pair in names]
    return [np.nanmedian(np.linalg.norm(clip.joints[:, 0, a] - clip.joints[:, 0, b], axis=-1)) for a, b in at]


def test_real_recordings_keep_their_bones_on_another_layout(data_root):
    clips = [read_utd(p) for p in sorted((data_root / "utd_mhad").rglob("*_skeleton.mat"))[:4]]
    moved = [map_joints(c, KINECT20) for c in clips]
    bones = [(KINECT20.joints[a], KINECT20.joints[b]) for a, b in KINECT20.bones]
    for before, after in zip(clips, moved, strict=True):
        assert lengths(before, bones) == lengths(after, bones)
        assert np.array_equal(map_joints(after, UTD20).joints, before.joints, equal_nan=True)
    assert check_bodies(moved).verdict("order") is None and not check_bodies(moved).wrong
    mixed = [c.replace(layout=KINECT20) for c in clips]  # the same names over joints in another order
    assert check_bodies(mixed).verdict("order") == "wrong"


def test_real_bodies_of_25_joints_become_bodies_of_20(data_root):
    clips = [read_ntu(p) for p in sorted((data_root / "ntu_samples").glob("*.skeleton"))]
    moved = [map_joints(c, "kinect20") for c in clips]
    limbs = [(f"{s} {a}", f"{s} {b}") for s in ("left", "right") for a, b in (("elbow", "wrist"), ("knee", "ankle"), ("hip", "knee"))]
    assert all(lengths(a, limbs) == lengths(b, limbs) for a, b in zip(clips, moved, strict=True))
    assert not check_bodies(moved).wrong
    assert 1 < check_bodies(moved).numbers["bones"] < 1.6


@pytest.mark.parametrize(("source", "target", "lacking"), [
    (KINECT20, NTU25, "neck, left hand tip, left thumb, right hand tip, right thumb"),
    (OPENPOSE25, KINECT20, "left hand, left foot, right hand, right foot"),
    (SBU15, KINECT20, "left wrist, right wrist, left ankle, right ankle"),
])  # fmt: skip
def test_joints_that_cannot_be_had_are_named(source, target, lacking):
    with pytest.raises(InputError) as why:
        joint_map(source, target)
    for joint in lacking.split(", "):
        assert joint in str(why.value)
    made = joint_map(source, target, "leave")
    assert set(made.lacking) == set(lacking.split(", "))


def test_a_mapped_store_gives_the_features_of_the_other_order(world, tmp_path):
    store, split, run = world
    other, _ = build_store(tmp_path / "utd", [retarget(c, UTD20) for c in store], dataset="simulated", progress=False)
    view = RunView(run)
    assert np.array_equal(run_features(view, map_joints(other, KINECT20), split.train).x, run_features(view, store, split.train).x)
    assert not np.array_equal(run_features(view, other, split.train).x, run_features(view, store, split.train).x)
    allowed = dict(allow_other_store_or_split=True, device="cpu", progress=False)
    table = probes.evaluate(run, map_joints(other, KINECT20), split, tmp_path / "results.json", **allowed)
    assert table["linear"].table == probes.evaluate(run, store, split, tmp_path / "own.json", device="cpu")["linear"].table
    outcome = transfer(run, other, split, tmp_path / "tuned", QUICK)
    assert set(outcome.values) == {"linear", "1-NN", "fine-tune"} and outcome.choices["joints"] == "utd20 → kinect20"


# ---------------------------------------------------------------- fine-tuning


def weights(run, part="encoder"):
    return {k: v for k, v in run.load_checkpoint()["model"].items() if k.startswith(part) and "running" not in k and "num_" not in k}


def test_fine_tuning_begins_with_the_runs_weights(world, tmp_path):
    store, split, run = world
    still = FineTune(updates=1, batch_size=6, lr=1e-9, device="cpu")
    begun, fresh = (fine_tune(run, store, split, tmp_path / str(b), still, learnt=b, seed=3, progress=False) for b in (True, False))
    own = weights(run)
    assert all(torch.allclose(v, own[k], atol=1e-6) for k, v in weights(begun).items())
    assert not all(torch.allclose(v, own[k], atol=1e-3) for k, v in weights(fresh).items())


def test_a_fine_tuned_run_is_a_run_like_any_other(world, tmp_path):
    store, split, run = world
    tuned = fine_tune(run, store, split, tmp_path / "tuned", QUICK, progress=False)
    scores = classify(tuned.path, store, split.tests["official"])["joint"]
    assert torch.allclose(scores.exp().sum(1), torch.ones(len(scores), dtype=torch.float64))
    table = evaluate_views(tuned, store, split, tmp_path / "r.json", progress=False)
    assert table["own classifier joint"]["official"]["last"] == own_score(tuned, store, split, "official")
    again = fine_tune(tuned, store, split, tmp_path / "again", QUICK, progress=False)  # and can be tuned further
    assert again.config["init"]["method"] == "supervised"


def test_fine_tuning_refuses_other_data_and_another_start(world, tmp_path):
    store, split, run = world
    other = make_split(store, "subject", train=[3, 4], test=[1, 2])
    with pytest.raises(InputError, match="may have been trained on"):
        fine_tune(run, store, other, tmp_path / "no", QUICK)
    first = fine_tune(run, store, split, tmp_path / "out", QUICK, progress=False)
    with pytest.raises(InputError, match="cannot resume"):
        fine_tune(first, store, split, tmp_path / "out", QUICK, progress=False)


def test_few_labels_draws_are_stored_and_found_again(world, tmp_path):
    store, split, run = world
    first = few_labels(run, store, split, tmp_path, (50,), 2, QUICK)
    files = sorted((tmp_path / "lists").glob("*.json"))
    assert [read_split(f, store).hash for f in files] == first.choices["lists"].split()
    logs = {p: p.read_text() for p in tmp_path.rglob("log.jsonl")}  # with the seconds of every epoch
    assert few_labels(run, store, split, tmp_path, (50,), 2, QUICK).values == first.values
    assert logs and logs == {p: p.read_text() for p in tmp_path.rglob("log.jsonl")}


# ---------------------------------------------------------------- test labels decide nothing


@pytest.fixture
def fitted(monkeypatch):
    """What every linear fit and every episode ends with, in order."""
    kept = []

    def keep(*args, **more):
        kept.append(fit_linear(*args, **more))
        return kept[-1]

    def keep_prototypes(*args):
        made = prototypes(*args)
        kept.extend(map(torch.from_numpy, made))
        return made

    for module in (probes, fusion):
        monkeypatch.setattr(module, "fit_linear", keep)
    monkeypatch.setattr(few_labels_page, "prototypes", keep_prototypes)
    return kept


@pytest.mark.parametrize("protocol", ["few labels", "few-shot", "robustness", "transfer", "evaluate_views"])
def test_a_poisoned_test_label_changes_no_fitted_parameter(protocol, world, fitted, tmp_path):
    store, split, run = world
    shots = FewShot(ways=2, episodes=3)

    def play(store, folder):
        fitted.clear()
        return {
            "few labels": lambda: few_labels(run, store, split, folder, (50,), 1, QUICK),
            "few-shot": lambda: few_shot(run, store, split, shots),
            "robustness": lambda: robustness(run, store, split, DAMAGES[:1]),
            "transfer": lambda: transfer(run, store, split, folder / "t", QUICK),
            "evaluate_views": lambda: evaluate_views(run, store, split, folder / "r.json", progress=False),
        }[protocol](), list(fitted)

    (clean, a), (bad, b) = play(store, tmp_path / "clean"), play(poisoned(store, split), tmp_path / "bad")
    assert a and len(a) == len(b) and all(map(torch.equal, a, b))
    if protocol != "evaluate_views":
        assert clean.values != bad.values  # the figures do change
    for before in tmp_path.glob("clean/**/config.json"):
        after = tmp_path / "bad" / before.parent.relative_to(tmp_path / "clean")
        one, two = (RunView(p).checkpoint["model"] for p in (before.parent, after))
        assert one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


def toy(classes=4, n=200, d=12, seed=0):
    rng = np.random.default_rng(seed)
    y, centres = np.arange(n) % classes, rng.normal(size=(classes, d))
    made = [Features(tuple(f"{s}{i}" for i in range(n)), centres[y] + 1.5 * rng.normal(size=(n, d))) for s in ("train", "test")]
    return *made, y


def test_a_test_label_of_an_unknown_class_changes_no_fitted_parameter(fitted):
    (train, test, y), short = toy(n=60), ProbeConfig(epochs=5, lr_steps=())
    strange = np.where(np.arange(len(y)) == 5, 9, y)
    for truth in (y, strange):
        linear_probe(train, y, {"official": (test, truth)}, short)
        fused_scores({v: (train, {"official": (test, truth)}) for v in "ab"}, y, short)
    half = len(fitted) // 2
    assert all(map(torch.equal, fitted[:half], fitted[half:]))


# ---------------------------------------------------------------- against scikit-learn


def test_the_probe_reaches_the_optimum_of_logistic_regression():
    """Mean cross-entropy + λ/2·‖W‖², bias included: LogisticRegression with C = 1/(λN) and a column of ones instead of an intercept."""
    from sklearn.linear_model import LogisticRegression

    train, test, y = toy()
    scale, lam, n = standardizer(train.x), 1e-2, len(y)
    config = ProbeConfig(epochs=300, batch_size=n, weight_decay=lam, lr_steps=(240,), holdout=0)
    weights = fit_linear(torch.from_numpy(scale(train.x)), torch.from_numpy(y), 4, config)[-1].numpy()
    ones = [np.column_stack([scale(f.x).astype(np.float64), np.ones(n)]) for f in (train, test)]
    other = LogisticRegression(C=1 / (lam * n), fit_intercept=False, tol=1e-9, max_iter=5000).fit(ones[0], y)
    assert np.abs(weights - other.coef_).max() < 1e-5  # of weights up to 2
    mine = linear_probe(train, y, {"t": (test, y)}, config)["t"]["last"]
    assert mine == Score.of(other.predict(ones[1]), y, 4, y)


def test_the_published_settings_come_near_the_same_answers():
    """100 epochs of SGD without a penalty stop before the optimum: 95 % of the answers are the same, accuracies within 2 points."""
    from sklearn.linear_model import LogisticRegression

    train, test, y = toy(n=400)
    scale = standardizer(train.x)
    weights = fit_linear(torch.from_numpy(scale(train.x)), torch.from_numpy(y), 4, ProbeConfig())[-1]
    mine = torch.nn.functional.linear(torch.from_numpy(scale(test.x)), weights[:, :-1], weights[:, -1]).argmax(1)
    other = LogisticRegression(C=1e4, max_iter=5000).fit(scale(train.x), y).predict(scale(test.x))
    assert (mine.numpy() == other).mean() > 0.95
    assert abs((mine.numpy() == y).mean() - (other == y).mean()) <= 0.02


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbours_equal_scikit_learns(metric):
    from sklearn.neighbors import KNeighborsClassifier

    train, test, y = toy()
    other = KNeighborsClassifier(1, metric=metric).fit(train.x, y).predict(test.x)
    assert knn(train, y, {"t": (test, y)}, 1, metric)["t"]["k=1"] == Score.of(other, y, 4, y)


# ---------------------------------------------------------------- damage, intervals, anchors


def test_damage_is_seeded_and_the_pipeline_turns_bodies_back(world):
    store, split, run = world
    kinds = [Damage("none", shake, " cm", (0,)), Damage("noise", shake, " cm", (30,)), Damage("turned", turn, "°", (90,))]
    one, two = (robustness(run, store, split, kinds, seed=1) for _ in range(2))
    assert one.values == two.values
    assert one.values["none 0 cm"] == one.values["clean"] == one.values["turned 90°"]


def test_the_interval_is_that_of_clips_drawn_one_by_one():
    rng, truth = np.random.default_rng(0), np.repeat([0, 1, 2], [60, 30, 10])
    guess = np.where(rng.random(100) < 0.7, truth, (truth + 1) % 3)
    drawn = [rng.integers(0, 100, 100) for _ in range(4000)]
    plain = [(guess[i] == truth[i]).mean() for i in drawn]
    classes = [np.mean([(guess[i] == c)[truth[i] == c].mean() for c in np.unique(truth[i])]) for i in drawn]
    found = bootstrap(Score.of(guess, truth, 3, range(3)), draws=4000)
    assert np.allclose(found["accuracy"], np.quantile(plain, [0.025, 0.975]), atol=0.015)
    assert np.allclose(found["mean_class"], np.quantile(classes, [0.025, 0.975]), atol=0.015)


def test_every_anchor_has_a_source_and_a_mark(root):
    anchors = read_anchors(root / "bench" / "anchors.json")
    assert all(a.source and a.mark in {"R", "P", "3P", "M"} for a in anchors)
    keys = [(a.method, a.streams, a.protocol, a.data, a.split, a.source) for a in anchors]
    assert len(set(keys)) == len(keys)
    best = {(a.method, a.data, a.split): a.value for a in anchors if a.protocol == "supervised"}
    assert best["MMCL", "nw-ucla", "xview"] == 97.5
    mine = beside({"mine": 0.5}, anchors, "transfer from ntu120, shared classes, top 1", data="utd-mhad", split="all")
    assert {a.value for a in mine.anchors if a.method == "MMCL"} == {54.97}


def test_the_table_of_protocols_pairs_seeds(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "bench"))
    import protocols

    def job(who, seed, value):
        return {"job": {"data": "nw-ucla", "protocol": "fine-tune", "who": who, "seed": seed}, "figures": {"all labels": value}}

    done = [job(w, s, v + 0.1 * s) for w, v in (("scratch", 0.5), ("simclr", 0.6), ("c2vl", 0.7)) for s in range(2)]
    line = protocols.table(done).splitlines()[2]
    assert "| 75.0 (" in line and "+20.0 (+20.0 … +20.0)" in line and "+10.0 (+10.0 … +10.0)" in line
    sys.modules.pop("protocols")
