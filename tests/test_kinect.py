"""PKU-MMD, SYSU, SBU and MSR-Action3D: names that join, real counts, sides and lengths, and seeds for the fuzzer."""

import json
import random
import re
import zipfile
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fuzz import mutation

from c2vl_kit.readers.common import read_all
from c2vl_kit.readers.kinect import (
    MSR_CLASSES, MSR_EXCLUDED, SBU_CLASSES, SYSU_CLASSES, read_msr, read_sbu, read_sysu, write_msr,
    write_sbu, write_sysu)
from c2vl_kit.readers.pku import PKU2_LABELS, PKU_CLASSES, pku_video, read_pku, read_pku_split, write_pku
from c2vl_kit.core import InputError
from c2vl_kit.skeleton import KINECT20, MSR20, NTU25, SBU15, Clip


def made(name, layout, T=5, M=1, seed=0, **facts) -> Clip:
    """A cloud of joints, 3 m away."""
    x = np.random.default_rng(seed).normal(0, 0.3, (T, M, layout.V, 3)) + [0, 1, 3]
    return Clip(name=name, joints=x.astype(np.float32), layout=layout, **facts)


def pku_video_of_two(prefix, seed=0) -> list:
    """Two invented instances of one video, the second with two people."""
    return [made(f"{prefix}C034L001", NTU25, label=33, seed=seed), made(f"{prefix}C014L002", NTU25, T=4, M=2, label=13, seed=seed + 1)]


def read_pku_by_labels(path) -> list:
    """`read_pku` called with the label file; the skeletons lie beside it."""
    return read_pku(Path(path).with_suffix(".skeleton"), labels=path)


def fuzz_seeds(folder: Path) -> list:
    """(good file, reader) for each format; each in a folder of its own, companions beside it."""
    seeds = []
    skeletons, labels = write_pku(pku_video_of_two("F002V001"), folder / "pku1", pause=2)
    labels.rename(skeletons.with_suffix(".label"))
    seeds.append((skeletons, read_pku))
    skeletons, labels = write_pku(pku_video_of_two("A001N002V003", seed=2), folder / "pku2", pause=2)
    skeletons.rename(labels.with_suffix(".skeleton"))
    seeds.append((labels, read_pku_by_labels))
    sysu = write_sysu(made("ann_video3", KINECT20), folder / "sysu")
    seeds.append((sysu.rename(sysu.with_name("ann_video3.mat")), read_sysu))
    sbu = write_sbu(made("s01s02_05_001", SBU15, M=2), folder / "sbu")
    seeds.append((sbu.rename(sbu.with_name("s01s02_05_001.txt")), read_sbu))
    (folder / "msr").mkdir()
    seeds.append((write_msr(made("a01_s01_e01", MSR20), folder / "msr"), read_msr))
    return seeds


def test_the_seeds_are_good(tmp_path):
    names = []
    for path, reader in fuzz_seeds(tmp_path):
        got = reader(path)
        names += [c.check().name for c in (got if isinstance(got, list) else [got])]
    assert names == [
        *("F002V001C034L001", "F002V001C014L002", "A001N002V003C034L001", "A001N002V003C014L002"),
        *("ann_video3", "s01s02_05_001", "a01_s01_e01"),
    ]


# ---------------------------------------------------------------- PKU-MMD


@pytest.fixture(scope="module")
def published(data_root) -> list:
    """The 6,952 clip names of C2VL's published prompts."""
    with zipfile.ZipFile(data_root / "c2vl_prompts" / "pkuv2_language.zip") as z:
        return list(json.loads(z.read("pkuv2_language.json")))


def test_published_prompts_are_named_as_the_reader_names(published, tmp_path):
    """L is the line of the label file: 1, 2, … in each of 1,009 videos; classes are the 41 of part II."""
    videos = defaultdict(dict)
    for name in published:
        videos[pku_video(name)][int(name[-3:])] = int(re.search(r"C(\d{3})", name)[1])
    assert len(published) == 6952 and len(videos) == 1009
    assert all(sorted(lines) == list(range(1, len(lines) + 1)) for lines in videos.values())
    assert {c - 1 for lines in videos.values() for c in lines.values()} == set(PKU2_LABELS)
    for video in random.Random(0).sample(sorted(videos), 8):
        lines = [videos[video][n] for n in sorted(videos[video])]
        rows = (" ".join(f"{v:.6f}" for v in np.arange(150) / 100 + t) for t in range(len(lines)))
        (tmp_path / f"{video}.txt").write_text("\n".join(rows) + "\n")
        (tmp_path / f"{video}.label").write_text("".join(f"{c},{t},{t},2\n" for t, c in enumerate(lines, 1)))
        clips = read_pku(tmp_path / f"{video}.txt")
        assert {c.name for c in clips} == {n for n in published if pku_video(n) == video}
        assert [c.label for c in clips] == [c - 1 for c in lines]


def test_frames_are_counted_from_one_and_the_end_belongs(tmp_path):
    x = np.arange(1, 11)[:, None] + np.arange(150) / 1000
    x[:, 75:] = 0
    (tmp_path / "0007-M.txt").write_text("\n".join(" ".join(f"{v:.6f}" for v in row) for row in x))
    (tmp_path / "label").mkdir()
    (tmp_path / "label" / "0007-M.txt").write_text("1,3,5,2\n51,10,10,1\n")
    a, b = read_pku(tmp_path / "0007-M.txt")
    assert (a.name, a.T, a.M, b.name, b.T) == ("F007V002C001L001", 3, 1, "F007V002C051L002", 1)
    np.testing.assert_allclose(a.joints[:, 0, 0, 0], [3, 4, 5])
    np.testing.assert_allclose(b.joints[0, 0, 24, 2], 10.074, rtol=1e-6)
    assert (a.setup, a.subject, a.camera, a.repetition, a.label_name) == (7, None, 2, 1, "bow")


@pytest.mark.parametrize("where", ["label", "Label", "Train_Label_PKU_final", "Label_PKUMMD/Train_Label_PKU_final"])
def test_labels_are_found_beside(tmp_path, where):
    skeletons, labels = write_pku(pku_video_of_two("A001N002V003"), tmp_path / "made")
    (tmp_path / "skeleton").mkdir()
    (tmp_path / where).mkdir(parents=True)
    skeletons = skeletons.rename(tmp_path / "skeleton" / skeletons.name)
    labels.rename(tmp_path / where / labels.name)
    assert len(read_pku(skeletons)) == 2
    travelling = partial(read_pku, labels=tmp_path / where, part=2)
    assert [c.name for _, c in read_all([skeletons], lambda p: travelling(p)[0])] == ["A001N002V003C034L001"]


def test_a_body_that_is_never_there_is_left_out(tmp_path):
    clip = made("A001N002V003C034L001", NTU25, M=2, label=33)
    x = clip.joints.copy()
    x[:, 0] = np.nan
    skeletons, _ = write_pku([clip.replace(joints=x)], tmp_path)
    (got,) = read_pku(skeletons)
    assert got.M == 1
    np.testing.assert_allclose(got.joints[:, 0], clip.joints[:, 1], atol=1e-6)
    skeletons, _ = write_pku([clip.replace(joints=np.zeros_like(x))], tmp_path)
    assert [type(r) for r in read_pku(skeletons)] == [InputError]


def test_labels_cannot_make_clips_without_end(tmp_path):
    skeletons, labels = write_pku(pku_video_of_two("A001N002V003"), tmp_path, pause=2)
    labels.write_text("34,1,13,2\n" * 900)
    got = read_pku(skeletons)
    assert len(got) == 900 and sum(isinstance(r, Clip) for r in got) <= 4
    labels.write_text("34,1,13,2\n" * 2000)
    with pytest.raises(InputError, match="is not a label file"):
        read_pku(skeletons)


def test_split_files_of_both_habits(tmp_path):
    for name, ids in (("cross-subject.txt", ("0002-L", "0003-M")), ("cross_subject_v2.txt", ("A01N01-L", "A26N13-R"))):
        (tmp_path / name).write_text(f"Training videos:\n{ids[0]}, \nValidataion videos:\n{ids[1]}\n")
        assert read_pku_split(tmp_path / name) == ((ids[0],), (ids[1],))
    good = (tmp_path / "cross-subject.txt").read_bytes()
    for i in range(400):
        (tmp_path / "bad.txt").write_bytes(mutation(good, "split", i).data)
        try:
            train, test = read_pku_split(tmp_path / "bad.txt")
        except InputError as e:
            assert "bad.txt" in str(e) and str(e).endswith(".") and str(e).isprintable()
        else:
            assert train and test and not set(train) & set(test)


# ---------------------------------------------------------------- SBU, MSR-Action3D: all the real files there are


@pytest.fixture(scope="module")
def sbu(data_root) -> list:
    return [read_sbu(p) for p in sorted((data_root / "sbu").rglob("skeleton_pos.txt"))]


def across(c: Clip, m: int, *roles) -> np.ndarray:
    return sum(c.joints[:, m, c.layout.index(f"left {r}")] - c.joints[:, m, c.layout.index(f"right {r}")] for r in roles)


def test_sbu_is_complete(sbu):
    assert len(sbu) == 282 and sum(c.T for c in sbu) == 6822 and {c.M for c in sbu} == {2}
    assert (min(c.T for c in sbu), max(c.T for c in sbu)) == (10, 46) and {c.fps for c in sbu} == {15.0}
    assert [n for _, n in sorted(Counter(c.label for c in sbu).items())] == [42, 43, 40, 41, 18, 21, 39, 38]
    assert len({c.subject for c in sbu}) == 21 and len({c.name for c in sbu}) == 282
    assert all(c.mask.all() for c in sbu)


def test_sbu_is_in_metres_upright_and_not_mirrored(sbu):
    x = np.concatenate([c.joints for c in sbu])
    bone = lambda a, b: np.linalg.norm(x[:, :, SBU15.index(a)] - x[:, :, SBU15.index(b)], axis=-1)
    for a, b, low, high in (("left hip", "left knee", 0.36, 0.49), ("right knee", "right foot", 0.34, 0.47), ("neck", "torso", 0.18, 0.25)):
        assert low < np.percentile(bone(a, b), 5) and np.percentile(bone(a, b), 95) < high
    slope = np.polyfit(np.log(x[:, :, 2, 2]).ravel(), np.log(bone("neck", "torso")).ravel(), 1)[0]
    assert abs(slope) < 0.1  # no bone grows with the distance: nothing is left of a projection
    assert (x[:, :, 0, 1] > x[:, :, 2, 1]).mean() > 0.99
    facing = []
    for c in sbu:
        for m in (0, 1):
            front = np.cross(across(c, m, "shoulder", "hip"), c.joints[:, m, 1] - c.joints[:, m, 2])
            facing += [np.median((front * (c.joints[:, 1 - m, 2] - c.joints[:, m, 2]))[:, [0, 2]].sum(-1)) > 0] if c.label != 1 else []
    assert np.mean(facing) > 0.98


def test_sbu_classes_are_what_the_bodies_do(sbu):
    """Hands that shake, bodies that hug, feet that kick: the order of the class names."""
    found = defaultdict(list)
    for c in sbu:
        torso = np.linalg.norm(c.joints[:, 0, 2] - c.joints[:, 1, 2], axis=-1)
        near = lambda v, c=c: np.linalg.norm(c.joints[:, 0, v] - c.joints[:, 1, v], axis=-1).min()
        rise = max(np.ptp(c.joints[:, m, v, 1]) for m in (0, 1) for v in (11, 14))
        found[c.label_name].append((torso[-1] - torso[0], torso.min(), near(8), near(5), rise))
    middle = {k: np.median(v, axis=0) for k, v in found.items()}
    assert middle["approaching"][0] < -0.5 and middle["departing"][0] > 0.5
    assert middle["hugging"][1] == min(m[1] for m in middle.values()) and middle["hugging"][1] < 0.3
    assert middle["shaking hands"][2] < 0.1 and middle["shaking hands"][3] > 0.8
    assert middle["kicking"][4] == max(m[4] for m in middle.values()) and middle["kicking"][4] > 0.6


def test_sbu_round_trip(sbu, tmp_path):
    for c in sbu[::50]:
        again = read_sbu(write_sbu(c, tmp_path))
        np.testing.assert_allclose(again.joints, c.joints, atol=2e-6)
        assert (again.name, again.label, again.subject, again.repetition) == (c.name, c.label, c.subject, c.repetition)


def test_msr_real_files(data_root, tmp_path):
    clips = [read_msr(p) for p in sorted((data_root / "msr_action3d_samples").glob("*.txt"))]
    assert [(c.name, c.T, c.label_name) for c in clips] == [
        *(("a01_s01_e01", 54, "high arm wave"), ("a01_s01_e02", 43, "high arm wave")),
        *(("a12_s01_e01", 49, "side boxing"), ("a12_s01_e02", 36, "side boxing")),
    ]
    for c in clips:
        at = lambda n, c=c: c.joints[:, 0, MSR20.index(n)]
        assert (c.confidence >= 0).all() and c.confidence.max() == 1 and c.mask.all()
        for bone, low, high in (("knee", 0.5, 0.65), ("ankle", 0.4, 0.46), ("elbow", 0.24, 0.3), ("wrist", 0.25, 0.31)):
            top = {"knee": "hip", "ankle": "knee", "elbow": "shoulder", "wrist": "elbow"}[bone]
            two = [np.linalg.norm(at(f"{s} {bone}") - at(f"{s} {top}"), axis=-1).mean() for s in ("left", "right")]
            assert low < min(two) and max(two) < high and max(two) / min(two) < 1.03
        front = np.cross(across(c, 0, "shoulder", "hip"), at("shoulder centre") - at("hip centre")).mean(0)
        toes = sum(at(f"{s} foot") - at(f"{s} ankle") for s in ("left", "right")).mean(0)
        assert front[[0, 2]] @ toes[[0, 2]] > 0 and (at("head")[:, 1] > at("left foot")[:, 1] + 1).all()
        way = [np.linalg.norm(np.diff(at(f"{s} hand"), axis=0), axis=-1).sum() for s in ("left", "right")]
        assert way[1] > 1.5 * way[0]  # the right hand waves, the right hand boxes
        again = read_msr(write_msr(c, tmp_path))
        np.testing.assert_allclose(again.joints, c.joints, atol=1e-6)
        np.testing.assert_allclose(again.confidence, c.confidence, atol=1e-6)


def test_class_lists():
    assert [len(x) for x in (PKU_CLASSES, PKU2_LABELS, SYSU_CLASSES, SBU_CLASSES, MSR_CLASSES, MSR_EXCLUDED)] == [51, 41, 12, 8, 20, 10]
    assert all(len(set(x)) == len(x) for x in (PKU_CLASSES, SYSU_CLASSES, SBU_CLASSES, MSR_CLASSES, MSR_EXCLUDED))
    assert all(re.fullmatch(r"a\d\d_s\d\d_e\d\d", n) for n in MSR_EXCLUDED)
