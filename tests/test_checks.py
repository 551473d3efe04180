"""Axes, sides and joint order of data from outside: what a store says of them, on made-up people and on every real set."""

import json
import warnings

import numpy as np
import pytest

from c2vl_kit.readers.arrays import from_numpy, own_layout, read_npz
from c2vl_kit.readers.tables import read_csv, write_csv
from c2vl_kit.data.build import build_store
from c2vl_kit.data.store import Store
from c2vl_kit.skeleton import KINECT20
from c2vl_kit.core import InputError

AXES = {  # what may go wrong with positions (T, M, V, 3) -> the check that must see it
    "left-handed": (lambda x: x * np.float32([1, 1, -1]), "side"),
    "left-handed in x": (lambda x: x * np.float32([-1, 1, 1]), "side"),
    "upside down": (lambda x: x * np.float32([1, -1, -1]), "up"),
    "z taken for y": (lambda x: x[..., [0, 2, 1]] * np.float32([1, 1, -1]), "up"),
    "y taken for z": (lambda x: x[..., [0, 2, 1]] * np.float32([1, -1, 1]), "up"),
    "reversed joints": (lambda x: x[:, :, ::-1], "order"),
}


def built(tmp_path, clips, name="store"):
    """(store, report, warnings) of some clips."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        store, report = build_store(tmp_path / name, clips, progress=False)
    return store, report, [str(w.message) for w in said]


def spoiled(clips, how):
    return [c.replace(joints=np.ascontiguousarray(AXES[how][0](c.joints))) for c in clips]


def share(store, what):
    return store.bodies.numbers[what][0]


def test_a_good_store_is_not_warned_about(tmp_path, tiny_clips):
    store, report, said = built(tmp_path, tiny_clips)
    assert not said and not store.bodies.wrong
    assert store.bodies.verdict("side") == store.bodies.verdict("up") == "good"
    assert share(store, "knees") > 0.95 and share(store, "up") > 0.95 and store.bodies.numbers["knees"][1] > 50
    assert "Left and right fit" in str(report) and "Left and right fit" in store._repr_markdown_()


@pytest.mark.parametrize("how", AXES)
def test_wrong_axes_are_said_and_kept(tmp_path, tiny_clips, how):
    store, report, said = built(tmp_path, spoiled(tiny_clips, how))
    what = AXES[how][1]
    assert [w for w, v, _ in store.bodies.findings if v == "wrong"] == [what]
    assert len(said) == 1 and said[0] in str(report) and "wrong?" in store._repr_markdown_()
    fix = {"side": "mirror='z'", "order": "in reverse order", "up": "up='"}[what]
    assert fix in said[0]
    again = Store.open(tmp_path / "store")                                  # kept in the store and in its report
    assert again.bodies == store.bodies
    assert json.loads((tmp_path / "store" / "report.json").read_text())["bodies"] == store.bodies.to_dict()


def test_the_advice_is_the_right_one(tmp_path, tiny_clips):
    """Doing what the sentence says gives a store without a warning."""
    def entered(change, **how):
        clips = [from_numpy(change(c.joints), KINECT20, c.name, **how) for c in tiny_clips]
        store, _, said = built(tmp_path, clips, f"s{len(list(tmp_path.iterdir()))}")
        return store, said
    for change, how, says in [
        (lambda x: x * [1, 1, -1], dict(mirror="z"), "mirror='z'"),
        (lambda x: x * [1, -1, -1], dict(up="-y"), "up='-y'"),
        (lambda x: x[..., [0, 2, 1]] * [1, -1, 1], dict(up="z"), "up='z'"),
        (lambda x: x[..., [0, 2, 1]] * [1, 1, -1], dict(up="-z"), "up='-z'"),
        (lambda x: x[..., [0, 2, 1]], dict(up="z", mirror="z"), "mirror='z'"),     # z up and left-handed
    ]:
        _, said = entered(change)
        assert any(says in s for s in said), says
        store, said = entered(change, **how)
        assert not said and share(store, "knees") > 0.95
        np.testing.assert_allclose(store[tiny_clips[0].name].joints, tiny_clips[0].joints, atol=1e-5)
    _, said = entered(lambda x: x, up="z")                                  # up="z" on data whose y is up
    assert len(said) == 1 and "leave out up='z'" in said[0]
    for lying in (lambda x: x[..., [1, 0, 2]] * [1, -1, 1], lambda x: x[..., [1, 0, 2]] * [-1, 1, 1]):
        _, said = entered(lying)                                            # x points up, or down: the line that is given mends it
        assert len(said) == 1 and "turn them with x[..., [1, 0, 2]]" in said[0]
        line = said[0].split("turn them with ")[1].split("; in a")[0]
        _, said = entered(lambda x, lying=lying, line=line: eval(line, {"x": lying(x)}))
        assert not said


def test_mirror_at_every_door(tmp_path, tiny_clips):
    clip = tiny_clips[0]
    turned = clip.replace(joints=clip.joints * np.float32([1, 1, -1]))
    assert from_numpy(turned.joints, KINECT20, "a", mirror="z").digest == clip.digest
    assert read_csv(write_csv(turned, tmp_path), KINECT20, mirror="z").digest == clip.digest
    np.savez(tmp_path / "a.npz", joints=turned.joints)
    assert read_npz(tmp_path / "a.npz", KINECT20, mirror="z").digest == clip.digest
    x = from_numpy(turned.joints, KINECT20, "a", mirror="x").joints         # the same body, turned round by half a turn
    np.testing.assert_allclose(x, clip.joints * [-1, 1, -1], atol=1e-6)
    for bad in ("y", "Z", True):
        with pytest.raises(InputError, match="mirror"):
            from_numpy(clip.joints, KINECT20, "a", mirror=bad)


def test_another_layout_with_as_many_joints_is_named(tmp_path, tiny_clips):
    from c2vl_kit.skeleton import MSR20, UTD20
    for wrong in (UTD20, MSR20):
        store, _, said = built(tmp_path, [c.replace(layout=wrong) for c in tiny_clips], wrong.name)
        assert len(said) == 1 and "in the order of layout 'kinect20'" in said[0]


def test_where_nothing_can_be_known_nothing_is_claimed(tmp_path, tiny_clips):
    hands = own_layout("hands3", {"head": "head", "left hand": "head", "right hand": "head"})
    three = [KINECT20.index(j) for j in hands.joints]
    legless = own_layout("bust6", {"neck": "neck", "head": "neck", "left shoulder": "neck", "right shoulder": "neck", "left hip": "neck",
                                   "right hip": "neck"})
    six = [KINECT20.index(j) for j in ("shoulder centre", "head", *legless.joints[2:])]
    cases = {
        "flat": [c.replace(joints=c.joints * np.float32([1, 1, 0])) for c in tiny_clips],
        "one frame": [tiny_clips[0].replace(joints=tiny_clips[0].joints[:1])],
        "hands": [c.replace(joints=np.ascontiguousarray(c.joints[:, :, three]), layout=hands) for c in tiny_clips],
        "no limbs": [c.replace(joints=np.ascontiguousarray(c.joints[:, :, six] * np.float32([1, 1, -1])), layout=legless)
                     for c in tiny_clips],
    }
    for name, clips in cases.items():
        store, _, said = built(tmp_path, clips, name)
        assert not said, (name, said)
        assert store.bodies.verdict("side") == "unsure", name
    lost = [says for what, _, says in Store.open(tmp_path / "hands").bodies.findings if what == "points"]
    assert len(lost) == 1 and "hips" in lost[0] and "left shoulder" in lost[0] and "'facing'" in lost[0]


def test_half_of_the_recordings_mirrored(tmp_path, tiny_clips):
    clips = [*tiny_clips[::2], *spoiled(tiny_clips[1::2], "left-handed")]
    store, _, said = built(tmp_path, clips)
    assert len(said) == 1 and "Some recordings are mirrored" in said[0] and f"{len(tiny_clips) // 2} of {len(clips)} clips" in said[0]


def test_a_build_in_two_halves_says_the_same(tmp_path, tiny_clips):
    """The check looks at what was stored, so a store made by several processes or continued after a stop has the same answer."""
    (tmp_path / "csv").mkdir()
    files = [write_csv(c, tmp_path / "csv") for c in tiny_clips[::3]]
    one, a = build_store(tmp_path / "one", files, _read, progress=False)
    two, b = build_store(tmp_path / "two", files, _read, progress=False, workers=2)
    assert a == b and one.bodies == two.bodies and one.checksum == two.checksum


def _read(path):
    return read_csv(path, KINECT20)


def spread(files, n):
    files = sorted(files)
    return files[:: max(1, len(files) // n)]


def real(root, name):
    from c2vl_kit.readers import asf, bvh, kinect, ntu
    pattern, reader, n = {
        "nw_ucla": ("all_sqe/*.json", kinect.read_nwucla, 50), "utd_mhad": ("Skeleton/*.mat", kinect.read_utd, 60),
        "sbu": ("*/*/*/skeleton_pos.txt", kinect.read_sbu, 30), "ntu_samples": ("*.skeleton", ntu.read_ntu, 9),
        "msr_action3d_samples": ("*.txt", kinect.read_msr, 9), "hdm05_samples": ("*.amc", asf.read_amc, 9),
        "bvh_samples": ("*run*.bvh", bvh.read_bvh, 9),
    }[name]
    return [reader(f) for f in spread((root / name).glob(pattern), n)]


@pytest.mark.parametrize("name", ["nw_ucla", "utd_mhad", "sbu", "ntu_samples", "msr_action3d_samples", "hdm05_samples", "bvh_samples"])
def test_real_recordings(data_root, tmp_path, name):
    """As recorded: no warning. Mirrored, turned, reversed: the right one, and the shares are the complement."""
    clips = real(data_root, name)
    store, _, said = built(tmp_path, clips)
    assert not said and store.bodies.verdict("side") == store.bodies.verdict("up") == "good"
    for how in ("left-handed", "upside down", "y taken for z", "reversed joints"):
        bad, _, said = built(tmp_path, spoiled(clips, how), how)
        assert len(said) == 1 and bad.bodies.verdict(AXES[how][1]) == "wrong", how
    mirrored = Store.open(tmp_path / "left-handed")
    for what in {"knees", "feet", "forearms"} & set(store.bodies.numbers):
        assert abs(share(store, what) + share(mirrored, what) - 1) < 0.01


def test_knees_of_a_real_set(data_root, tmp_path):
    """Knees bend forward: about 95 % of bent knees by the right-hand rule on UTD-MHAD, about 5 % when it is mirrored."""
    clips = real(data_root, "utd_mhad")
    store, _, _ = built(tmp_path, clips)
    mirrored, _, _ = built(tmp_path, spoiled(clips, "left-handed"), "mirrored")
    assert store.bodies.numbers["knees"][1] > 150
    assert 0.92 < share(store, "knees") <= 1 and 0 <= share(mirrored, "knees") < 0.08


def test_class_names_without_labels_are_numbered(tmp_path, tiny_clips):
    """Motion capture names its classes and numbers none: a store numbers them and says so."""
    from c2vl_kit.readers.bvh import read_bvh, write_bvh

    (tmp_path / "bvh").mkdir()
    files = []
    for i, style in enumerate(("normal", "happy", "tired")):
        for action in ("walk", "run", "wave-left-hand"):
            clip = tiny_clips[i].replace(name=f"dataset-1_{action}_{style}_{i:03d}")
            files.append(write_bvh(clip, tmp_path / "bvh"))
    store, report = build_store(tmp_path / "store", files, read_bvh, dataset="bandai", progress=False)
    assert store.label_names == ("run", "walk", "wave left hand")                       # in alphabetical order
    assert sorted(store.labels) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert all(store[n].label_name == store.label_names[store[n].label] for n in store.names)
    assert "3 names were numbered in alphabetical order" in str(report) and "classes=" in str(report)
    again = Store.open(tmp_path / "store")
    assert list(again.labels) == list(store.labels)


def test_names_beside_labels_are_not_guessed(tmp_path, tiny_clips):
    a, b = tiny_clips[0], tiny_clips[-1].replace(label=None, label_name="something new")
    store, report = build_store(tmp_path / "store", [a, b], progress=False)
    assert list(store.labels) == [a.label, -1]
    assert "1 clips have a class name and no label ('something new')" in str(report) and "classes=" in str(report)
    plain, report = build_store(tmp_path / "plain", [c.replace(label=None, label_name=None) for c in tiny_clips[:3]], progress=False)
    assert set(plain.labels) == {-1} and not report.notes
