"""What a mask hides is not seen, whichever door it comes through; and a class number that no table can hold is refused at all of them."""

import json

import numpy as np
import pytest

from c2vl_kit.concepts.frames import person_box
from c2vl_kit.concepts.quality import leakage_probe
from c2vl_kit.concepts.space import ConceptSpace
from c2vl_kit.readers.driveact import mean_per_class_accuracy
from c2vl_kit.readers.arrays import from_numpy
from c2vl_kit.readers.tables import read_csv
from c2vl_kit.readers.ctrgcn import write_ctrgcn
from c2vl_kit.data.build import build_store
from c2vl_kit.data.store import Store
from c2vl_kit.data.transforms import resample
from c2vl_kit.evaluate.features import Features
from c2vl_kit.evaluate.probes import knn, majority, words_alone
from c2vl_kit.methods.supervised import Supervised
from c2vl_kit.core import MOST_CLASSES, InputError, known_labels, unmasked
from c2vl_kit.skeleton import KINECT20, Clip, facing, interpolate_missing
from c2vl_kit.viz.pack import Scalar, player_state
from c2vl_kit.viz.strips import from_tensor

T, V, FILLER = 12, 20, -9999.0


def body(seed=0):
    return np.random.default_rng(seed).normal(size=(T, V, 3))


def masked(fill=FILLER, dtype=float):
    """Joint 7 was not seen in frames 3 to 5: masked, with a filler beneath."""
    x = body().astype(dtype)
    m = np.ma.array(x, mask=np.zeros(x.shape, bool))
    m[3:6, 7] = np.ma.masked
    m.data[3:6, 7] = fill
    return m


def same(a: Clip, b: Clip):
    np.testing.assert_array_equal(a.joints, b.joints)
    assert (a.confidence is None) == (b.confidence is None)
    if a.confidence is not None:
        np.testing.assert_array_equal(a.confidence, b.confidence)


# ---------------------------------------------------------------- masks


@pytest.mark.parametrize("fill", [FILLER, 1.5, 0.0, np.inf])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_a_masked_array_is_its_filled_twin(fill, dtype):
    m = masked(fill, dtype)
    clip = from_numpy(m, KINECT20, "a")
    same(clip, from_numpy(m.filled(np.nan), KINECT20, "a"))
    assert not clip.mask[3:6, 0, 7].any() and clip.mask.sum() == T * V - 3


def test_integers_lists_and_people_with_masks():
    ints = np.ma.array(np.arange(T * V * 3).reshape(T, V, 3), mask=masked().mask)
    same(from_numpy(ints, KINECT20, "a", unit="cm"), from_numpy(ints.astype(float).filled(np.nan), KINECT20, "a", unit="cm"))
    m = masked()
    same(from_numpy(list(m), KINECT20, "a"), from_numpy(m.filled(np.nan), KINECT20, "a"))  # a list of masked frames
    two = np.ma.stack([m, m + 1], axis=1)
    same(from_numpy(two, KINECT20, "a"), from_numpy(two.filled(np.nan), KINECT20, "a"))
    pixels = np.ma.masked_equal(np.where(m.mask, -1.0, 500 + 100 * body())[..., :2], -1)
    size = (1080, 1920)
    same(from_numpy(pixels, KINECT20, "a", img_shape=size), from_numpy(pixels.filled(np.nan), KINECT20, "a", img_shape=size))


def test_masked_confidence_is_no_confidence():
    sure = np.ma.array(np.full((T, V), 0.9), mask=masked().mask[..., 0])
    sure.data[3:6, 7] = 1e6
    clip = from_numpy(masked(), KINECT20, "a", confidence=sure)
    same(clip, from_numpy(masked(), KINECT20, "a", confidence=sure.filled(np.nan)))
    assert clip.confidence[4, 0, 7] == 0 and clip.confidence.max() == np.float32(0.9)


def test_clips_and_stores_keep_what_a_mask_says(tmp_path):
    """Somebody's own `read` function may hand over a clip with a masked array inside."""
    m = masked(dtype=np.float32)[:, None]
    sure = np.ma.array(np.full((T, 1, V), 0.5, np.float32), mask=m.mask[..., 0])
    clip = Clip("a", m, KINECT20, confidence=sure)
    same(clip, Clip("a", m.filled(np.nan), KINECT20, confidence=sure.filled(0)))
    store, _ = build_store(tmp_path / "s", [clip], progress=False)
    same(store["a"], Clip("a", m.filled(np.nan), KINECT20, confidence=sure.filled(0)))


def test_the_other_doors():
    m = masked(dtype=np.float32)
    nan = m.filled(np.nan)
    np.testing.assert_array_equal(interpolate_missing(m[:, None]), interpolate_missing(nan[:, None]))
    np.testing.assert_array_equal(facing(m[:, None], KINECT20, 0), facing(nan[:, None], KINECT20, 0))
    np.testing.assert_array_equal(resample(m, 5), resample(nan, 5))
    assert person_box(m[4, :, :2] * 100) == person_box(nan[4, :, :2] * 100)
    same(from_tensor(m.transpose(2, 0, 1)[..., None], KINECT20), from_tensor(nan.transpose(2, 0, 1)[..., None], KINECT20))
    clip = from_numpy(body(), KINECT20, "a")
    a, b = (player_state(clip, scalars={"speed": Scalar(x[..., 0])}) for x in (m, nan))
    assert a["values"] == b["values"] and a["scalars"] == b["scalars"]
    row = np.ma.array([[1.0, FILLER]], mask=[[0, 1]])
    for make in (lambda x: Features(("a",), x), lambda x: ConceptSpace(("a",), language=x)):
        with pytest.raises(InputError, match="a"):
            make(row)


def test_masked_labels_are_no_labels():
    y = np.ma.array([0, 1, 999], mask=[0, 0, 1])
    with pytest.raises(InputError, match="1 of 3 labels are missing, the first at place 2"):
        known_labels(y, "y")
    assert known_labels(np.ma.array([0, 1]), "y").tolist() == [0, 1] and known_labels(["a", "b"], "y").tolist() == ["a", "b"]
    x, names = np.eye(3, 4, dtype=np.float32), ("a", "b", "c")
    with pytest.raises(InputError, match="'c' has no label"):
        knn(Features(names, x), y, {"t": (Features(("d",), x[:1]), np.array([0]))}, 1)
    said = {n: [f"{n} waves"] for n in "abcd"}
    with pytest.raises(InputError, match="labels_train"):
        leakage_probe(said, names, y, ("d",), [0])
    with pytest.raises(InputError, match="predicted"):
        mean_per_class_accuracy([0, 1, 1], y)


def test_tables_of_pandas_with_na(tmp_path):
    pd = pytest.importorskip("pandas")
    x = body(3)
    x[3:6, 7] = np.nan
    flat = pd.DataFrame(x.reshape(T, -1)).astype("Float64")  # pandas' own numbers, NA where NaN was
    assert flat.isna().to_numpy().sum() == 9
    same(from_numpy(flat.to_numpy().reshape(T, V, 3), KINECT20, "a"), from_numpy(x, KINECT20, "a"))
    same(from_numpy(np.asarray(flat.astype(object)).reshape(T, V, 3), KINECT20, "a"), from_numpy(x, KINECT20, "a"))
    facts = pd.DataFrame({"label": [3, pd.NA], "subject": [7, None], "label_name": ["wave", pd.NA]}).astype({"label": "Int64"})
    first, second = (from_numpy(x, KINECT20, "a", **row) for row in facts.to_dict("records"))
    assert (first.label, first.subject, first.label_name) == (3, 7, "wave")  # 7.0 in the table: pandas makes floats of a column with gaps
    assert (second.label, second.subject, second.label_name) == (None, None, None)
    names = [f"{j}_{a}" for j in KINECT20.joints for a in "xyz"]
    for na in ("", "NA", "<NA>", "#N/A", "nan"):
        pd.DataFrame(x.reshape(T, -1), columns=names).to_csv(tmp_path / "t.csv", index=False, na_rep=na)
        np.testing.assert_allclose(read_csv(tmp_path / "t.csv", KINECT20).joints[:, 0], x.astype(np.float32), rtol=1e-6)


def test_unmasked_leaves_plain_arrays_alone():
    x = body()
    assert unmasked(x) is x
    assert unmasked([[1, 2], [3, 4]]).dtype.kind == "i"
    with pytest.raises(ValueError):
        unmasked([[1.0], [1.0, 2.0]])


# ---------------------------------------------------------------- labels


BAD = [2.5, 1_000_000, MOST_CLASSES, -1, "3", True, 10**30]


@pytest.mark.parametrize("label", BAD)
def test_a_clip_with_an_impossible_label_enters_no_store(tmp_path, label):
    good = Clip("good", body()[:, None].astype(np.float32), KINECT20, label=0)
    with pytest.raises(InputError, match="the label"):
        good.replace(label=label).check()
    store, report = build_store(tmp_path / "s", [good, good.replace(name="bad", label=label)], progress=False)
    assert store.names == ("good",) and "number the classes 0, 1, 2" in report.quarantined["bad"]
    assert not [p for p in tmp_path.iterdir() if p.name != "s"]


def test_the_largest_label_is_fine(tmp_path):
    clip = Clip("a", body()[:, None].astype(np.float32), KINECT20, label=np.int64(MOST_CLASSES - 1))
    store, _ = build_store(tmp_path / "s", [clip], progress=False)
    assert store.labels.tolist() == [MOST_CLASSES - 1] and len(store.label_names) == MOST_CLASSES
    assert "class" in store._repr_markdown_()


@pytest.mark.parametrize("label", [2.5, 1_000_000])
def test_doors_of_labels(tmp_path, label):
    x = body()
    with pytest.raises(InputError, match="label"):
        from_numpy(x, KINECT20, "a", label=label)
    clip = Clip("a", x[:, None].astype(np.float32), KINECT20, label=label)
    with pytest.raises(InputError, match="label"):
        write_ctrgcn([clip], [], tmp_path / "x.npz")
    with pytest.raises(InputError, match="classes=1000000"):
        write_ctrgcn([clip.replace(label=0)], [], tmp_path / "x.npz", classes=1_000_000)
    features = Features(("a", "b"), np.eye(2, dtype=np.float32))
    other = Features(("c",), np.eye(1, 2, dtype=np.float32))
    for train, test in (([0, label], [0]), ([0, 1], [label])):
        for probe in (majority, lambda *a: knn(*a, 1)):
            with pytest.raises(InputError, match="label"):
                probe(features, np.array(train), {"t": (other, np.array(test))})
        with pytest.raises(InputError, match="label"):
            words_alone({n: ["one", "two"] for n in "abc"}, ("a", "b"), train, {"t": (("c",), test)})
    with pytest.raises(InputError, match="label"):
        Supervised(KINECT20, {"a": 0, "b": label}, 3)
    assert not list(tmp_path.iterdir())


def test_supervised_of_a_million_classes_is_refused():
    with pytest.raises(InputError, match="label"):
        Supervised(KINECT20, {"a": 0}, 1_000_000)


@pytest.mark.parametrize("label", [2.5, 1_000_000])
def test_a_store_of_an_earlier_version_says_which_clip(tmp_path, label):
    """Such labels were taken once; nothing may ask for terabytes when they are met."""
    clips = [Clip(n, body()[:, None].astype(np.float32), KINECT20, label=i) for i, n in enumerate("ab")]
    store, _ = build_store(tmp_path / "s", clips, progress=False)
    head = json.loads((store.path / "store.json").read_text())
    head["table"]["label"][1] = label
    (store.path / "store.json").write_text(json.dumps(head))
    old = Store.open(store.path, verify=False)
    for ask in (lambda: old.labels, lambda: old.label_names, old._repr_markdown_):
        with pytest.raises(InputError, match="clip"):
            ask()


@pytest.mark.parametrize("fact,value", [("subject", 2.5), ("camera", float("nan")), ("label_name", float("nan")), ("repetition", "two")])
def test_facts_that_json_cannot_hold_do_not_end_a_build(tmp_path, fact, value):
    good = Clip("good", body()[:, None].astype(np.float32), KINECT20, label=0)
    store, report = build_store(tmp_path / "s", [good, good.replace(name="bad", **{fact: value})], progress=False)
    assert store.names == ("good",) and "bad" in report.quarantined
