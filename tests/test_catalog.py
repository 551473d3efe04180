"""Every data set of the catalogue: found in its folders, split as its authors say, and guarded against tests that were trained on."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from c2vl_kit.data import catalog
from c2vl_kit.data.catalog import DATASETS, get_dataset, get_split, keep_split
from c2vl_kit.data.splits import Halves, Listed, Rule, Split, make_split, read_split
from c2vl_kit.data.prepare import check
from c2vl_kit.data.guards import find_overlap, guard_overlap, strict_split
from c2vl_kit.data.near import near_duplicates
from c2vl_kit.data.prepare import prepare
from c2vl_kit.data.splits import semi_supervised
from c2vl_kit.data.guards import zero_shot_split
from c2vl_kit.readers.driveact import write_driveact
from c2vl_kit.readers.ntu import write_ntu
from c2vl_kit.readers.kinect import write_nwucla, write_utd
from c2vl_kit.readers.kinect import MSR_EXCLUDED, write_msr, write_sbu, write_sysu
from c2vl_kit.readers.pku import write_pku
from c2vl_kit.data.lists import (
    CLASS_SPLITS, MSR_SUBSETS, NTU60_TRAIN, NTU120_TRAIN, SBU_FOLDS, ntu_missing, shuffled)
from c2vl_kit.data.build import build_store
from c2vl_kit.data.store import Store
from c2vl_kit.core import InputError, md_text
from c2vl_kit.skeleton import KINECT20, MSR20, NTU25, OPENPOSE25, SBU15, UTD20, Clip, interpolate_missing


def made(name, layout=KINECT20, T=6, M=1, seed=0, **facts) -> Clip:
    """A cloud of joints, 3 m away; the name seeds it."""
    rng = np.random.default_rng([seed, *name.encode()])
    x = rng.normal(0, 0.3, (T, M, layout.V, 3)) + [0, 1, 3]
    return Clip(name=name, joints=x.astype(np.float32), layout=layout, **facts)


def sentence(job, *words) -> str:
    """Run a job that must fail with one sentence for the user that holds all `words`."""
    with pytest.raises(InputError) as e:
        job()
    said = str(e.value)
    assert "\n" not in said and said.endswith((".", "?")), said
    for word in words:
        assert str(word) in said, said
    return said


def build(folder, clips, dataset) -> Store:
    return build_store(folder, clips, dataset=dataset, progress=False)[0]


# ---------------------------------------------------------------- what the catalogue says


def test_every_data_set_describes_itself():
    assert len({d.name for d in DATASETS}) == len(DATASETS) == 11
    for d in DATASETS:
        card = d._repr_markdown_()
        assert md_text(d.title) in card and d.licence in card and d.sure and d.rules and d.splits, d.name
        assert len(set(d.classes)) == len(d.classes) and set(d.labels or ()) <= set(range(len(d.classes)))
        assert len(card) < 4000, d.name  # sixty draws share two rows


def test_counts_add_up():
    for d in DATASETS:
        for name, rule in d.rules.items():
            if rule.counts and d.expected:
                assert sum(rule.counts) == d.expected, (d.name, name)
            if isinstance(rule, Rule):
                assert (rule.train is None) != (rule.test is None), (d.name, name)


@pytest.mark.parametrize("name", [d.name for d in DATASETS])
def test_the_sides_of_a_split_share_nothing(name, tmp_path):
    """On invented clips that cover every subject, camera and setup."""
    d = get_dataset(name)
    layout = d.layout or KINECT20
    people = (*range(1, 41), 102, 203, 103, 201, 402, 304)
    facts = [
        dict(subject=s, camera=c, setup=u, label=s % max(1, len(d.classes))) for s in people for c in (1, 2, 3) for u in (1, 2, 290 + c)
    ]
    clips = [made(f"clip{i}", layout, T=2, **f) for i, f in enumerate(facts)]
    store = build(tmp_path / "store", clips, name)
    for split_name, rule in list(d.rules.items())[:: max(1, len(d.rules) // 6)]:
        if isinstance(rule, Listed):
            sentence(lambda n=split_name: get_split(store, n), "prepare it again")
            continue
        split = get_split(store, split_name)
        assert not set(split.train) & set(split.tests["official"]), split_name
        assert set(split.tests["clean"]) == set(split.tests["official"])
        if not isinstance(rule, Rule) or not rule.labels:
            assert len(split.train) + len(split.tests["official"]) == len(store)


def test_ntu_missing_lists_fit_the_published_counts():
    """A subject's session gives 180 recordings: with the missing ones added, every published count is a multiple of that."""
    missing = ntu_missing(120)
    assert (len(ntu_missing(60)), len(missing)) == (302, 535)
    assert {int(n[1:4]) for n in missing - ntu_missing(60)} <= set(range(18, 33)) and {int(n[-3:]) for n in missing} <= set(range(1, 121))
    for split, trains in (("xsub", lambda n: int(n[9:12]) in NTU120_TRAIN), ("xset", lambda n: int(n[1:4]) % 2 == 0)):
        train, test = catalog.NTU120.rules[split].counts
        out = sum(map(trains, missing))
        assert (train + out) % 180 == 0 == (test + 535 - out) % 180 and train + test == 113_945
    assert len(NTU60_TRAIN) == 20 and len(NTU120_TRAIN) == 53 and NTU60_TRAIN < NTU120_TRAIN


def test_small_lists():
    assert sum(map(len, SBU_FOLDS)) == 21 == len(frozenset().union(*SBU_FOLDS))
    assert {a for s in MSR_SUBSETS.values() for a in s} == set(range(1, 21)) and len(MSR_EXCLUDED) == 10
    assert CLASS_SPLITS["ntu60-48-12"].unseen == (3, 5, 9, 12, 15, 40, 42, 47, 51, 56, 58, 59)
    assert CLASS_SPLITS["ntu120-110-10"].unseen == (4, 13, 37, 43, 49, 65, 88, 95, 99, 106)
    assert CLASS_SPLITS["pku-46-5"].unseen == (1, 9, 20, 34, 50)
    assert shuffled(["b", "a", "a"], 3) == shuffled(["a", "b"], 3)


def test_sysu_draws_are_those_of_every_machine():
    draws = [catalog.SYSU.rules[f"xsub-{k}"] for k in range(30)]
    assert all(isinstance(r, Halves) and r.counts == (240, 240) for r in draws)
    assert shuffled(range(1, 41), 0)[:5] == SYSU_FIRST
    assert len({tuple(sorted(shuffled(range(1, 41), k)[:20])) for k in range(30)}) == 30


SYSU_FIRST = [16, 31, 10, 39, 35]


# ---------------------------------------------------------------- where the files are


def tree_nw_ucla(root):
    return [write_nwucla(made(f"a01_s0{s}_e00_v0{v}", label=0), folder(root / f"all_sqe/{v}")).stem for s in (1, 2) for v in (1, 3)]


def tree_utd_mhad(root):
    return [write_utd(made(f"a1_s{s}_t1", UTD20), folder(root / "Skeleton")).name[:8] for s in (1, 2)]


def tree_ntu60(root):
    names = [f"S001C00{c}P00{p}R001A001" for c in (1, 2) for p in (1, 3)]
    for name in [*names, "S018C001P001R001A061", "S001C002P005R002A008"]:  # of NTU-120 alone; on the missing list
        write_ntu(made(name, NTU25), folder(root / "nturgb+d_skeletons"))
    return names


def tree_ntu120(root):
    return [*tree_ntu60(root), "S018C001P001R001A061"]


def tree_pku(root, whos, left):
    names = []
    for who in whos:
        clips = [made(f"{who}C034L001", NTU25, label=33), made(f"{who}C008L002", NTU25, label=7)]
        skeletons, labels = write_pku(clips, root / "tmp")
        for path, where in ((skeletons, "PKU_Skeleton_Renew"), (labels, "Train_Label_PKU_final")):
            path.rename(folder(root / where) / path.name)
        names += [c.name for c in clips]
    (root / "read_me.txt").write_text("0002-L is a video\n")
    return names


def tree_pku_1(root):
    return tree_pku(root, ["F002V001", "F003V002", "F291V002"], "0291")


def tree_pku_2(root):
    return tree_pku(root, ["A001N001V001", "A001N002V002", "A002N011V003"], "N02")


def tree_sysu(root):
    clips = [made(f"actor{a:02}_video{k}") for a in range(40) for k in (1, 2)]
    for clip in clips:
        write_sysu(clip, folder(root / "3DvideoNorm"))
    return [c.name for c in clips]


def tree_drive_act(root):
    head = "participant_id,file_id,annotation_id,frame_start,frame_end,activity,chunk_id\n"
    lines = {
        p: [f"{p},vp{p}/run1_x.ids_1,{k},{10 * k},{10 * k + 10},{a},0\n" for k, a in enumerate(("eating", "drinking"))] for p in range(1, 6)
    }
    for p in lines:
        write_driveact(made("x", OPENPOSE25, T=30, seed=p), folder(root / f"openpose_3d/vp{p}") / "run1_x.ids_1.openpose.3d.csv")
    tables = folder(root / "activities_3s/inner_mirror")
    folder(root / "activities_3s/kinect_ir").joinpath("midlevel.chunks_90.csv").write_text(head)
    (tables / "midlevel.chunks_90.csv").write_text(head + "".join(x for each in lines.values() for x in each))
    for k in range(3):
        parts = {"train": (1, 2, 3), "val": (4,), "test": (5,)} if k else {"train": (1, 2), "val": (3,), "test": (4, 5)}
        for part, people in parts.items():
            (tables / f"midlevel.chunks_90.split_{k}.{part}.csv").write_text(head + "".join(x for p in people for x in lines[p]))
    return [f"vp{p}_run1_x_a{k:03d}_c000" for p in lines for k in (0, 1)]


def tree_sbu(root):
    names = [f"s01s02_01_00{k}" for k in (1, 2)] + ["s02s03_02_001"]
    for name in names:
        write_sbu(made(name, SBU15, M=2), folder(root))
    return names


def tree_msr(root):
    names = [f"a02_s0{s}_e01" for s in (1, 2)] + ["a01_s03_e01"]
    for name in [*names, "a13_s09_e02"]:
        write_msr(made(name, MSR20), folder(root))
    (root / "a02_s01_e01_skeleton.txt").write_text("1 2 3 4\n")  # the other kind of skeletons: not asked for
    return names


def folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


TREES = {
    "nw-ucla": tree_nw_ucla, "utd-mhad": tree_utd_mhad, "ntu60": tree_ntu60, "ntu120": tree_ntu120, "pku-mmd-1": tree_pku_1,
    "pku-mmd-2": tree_pku_2, "sysu-3d-hoi": tree_sysu, "drive-act": tree_drive_act, "sbu": tree_sbu, "msr-action3d": tree_msr,
}  # fmt: skip


def test_every_data_set_with_files_has_a_tree():
    assert set(TREES) == {d.name for d in DATASETS if d.reader is not None}


@pytest.mark.parametrize("name", TREES)
def test_a_tree_becomes_a_store_with_its_split(name, tmp_path):
    names = TREES[name](tmp_path / "raw" / "deep")
    (tmp_path / "raw" / "README.txt").write_text("hello\n")
    d = get_dataset(name)
    store, report = prepare(name, tmp_path / "raw", tmp_path / "store", progress=False, workers=1)
    assert set(store.names) == set(names) and not report.quarantined, report.quarantined
    assert store.dataset == name and store.layout.name == d.layout.name and report.expected == d.expected
    assert report.missing == {"ntu60": ["S001C002P005R002A008"], "ntu120": ["S001C002P005R002A008"], "msr-action3d": ["a13_s09_e02"]}.get(
        name, []
    )
    assert report.found == len(report.read) + len(report.missing) + len(report.quarantined)  # what was set aside was found
    split = get_split(store)
    assert split.train and split.tests["official"] and split.name == d.splits[0]
    assert all(d.classes[l] == store.label_names[l] for l in set(store.labels.tolist()))
    sentence(lambda: check(store), f"is not the complete {name}")
    assert "| layout |" in check(store, strict=False)


@pytest.mark.parametrize("name", TREES)
def test_wrong_roots(name, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for root, word in (("gone", "does not exist"), ("file", "is a file"), ("empty", "lies under")):
        sentence(lambda r=root: prepare(name, tmp_path / r, tmp_path / "store"), root, word)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "file"]


def test_pku_without_labels_or_with_the_other_part(tmp_path):
    tree_pku_2(tmp_path / "raw")
    sentence(lambda: prepare("pku-mmd-1", tmp_path / "raw", tmp_path / "store"), "it holds part 2, so prepare pku-mmd-2")
    sentence(lambda: get_dataset("pku-mmd"), "pku-mmd-1 or pku-mmd-2")
    for label in (tmp_path / "raw/Train_Label_PKU_final").iterdir():
        label.unlink()
    sentence(lambda: prepare("pku-mmd-2", tmp_path / "raw", tmp_path / "store"), "holds skeletons of pku-mmd-2 but no labels")


def test_pku_reads_the_split_files_of_the_download(tmp_path):
    tree_pku_1(tmp_path / "raw")
    (tmp_path / "raw/cross-subject.txt").write_text("Training videos:\n0002-L, 0291-M\nTest videos:\n0003-M\n")
    (tmp_path / "raw/cross_subject_v2.txt").write_text("Training videos:\nA01N01-L\nTest videos:\nA01N02-M\n")  # the other part's
    store, _ = prepare("pku-mmd-1", tmp_path / "raw", tmp_path / "store", progress=False)
    assert {n[1:4] for n in get_split(store).tests["official"]} == {"003"}
    assert {n[1:4] for n in get_split(store, "xview").tests["official"]} == {"002"}
    (tmp_path / "raw/cross-subject.txt").write_text("nothing of use\n")
    with pytest.warns(UserWarning, match="is not a split of PKU-MMD"):
        store, _ = prepare("pku-mmd-1", tmp_path / "raw", tmp_path / "store", overwrite=True, progress=False)
    assert {n[1:4] for n in get_split(store).tests["official"]} == {"291"}


def test_drive_act_validation_is_neither_trained_nor_tested_on(tmp_path):
    tree_drive_act(tmp_path / "raw")
    store, _ = prepare("drive-act", tmp_path / "raw", tmp_path / "store", progress=False)
    sides = {k: {n[:3] for n in names} for k, names in {"train": get_split(store).train, **get_split(store).tests}.items()}
    assert sides == {"train": {"vp1", "vp2"}, "official": {"vp4", "vp5"}, "clean": {"vp4", "vp5"}, "validation": {"vp3"}}
    assert {n[:3] for n in get_split(store, "split2").tests["official"]} == {"vp5"}


def test_sysu_halves(tmp_path):
    tree_sysu(tmp_path / "raw")
    store, _ = prepare("sysu-3d-hoi", tmp_path / "raw", tmp_path / "store", progress=False)
    by_subject, by_clip = get_split(store, "xsub-3"), get_split(store, "half-3")
    assert len(by_subject.train) == len(by_clip.train) == 40
    assert not {n[:7] for n in by_subject.train} & {n[:7] for n in by_subject.tests["official"]}
    assert sum(n.endswith("video1") for n in by_clip.train) == 20
    assert get_split(store, "xsub-4").hash != by_subject.hash == get_split(store, "xsub-3").hash


def test_msr_subsets(tmp_path):
    tree_msr(tmp_path / "raw")
    store, _ = prepare("msr-action3d", tmp_path / "raw", tmp_path / "store", progress=False)
    assert set(get_split(store, "as1").train) == {"a02_s01_e01"} and set(get_split(store, "xsub").train) == {"a02_s01_e01", "a01_s03_e01"}
    assert get_split(store, "xsub-557").tests["official"] == ("a02_s02_e01",)


# ---------------------------------------------------------------- splits as files


@pytest.fixture
def toy(tmp_path) -> Store:
    return build(tmp_path / "toy", [made(f"c{i}", T=3, subject=i % 5 + 1, camera=i % 2, label=i % 3) for i in range(30)], "own")


def test_a_split_travels_as_a_file(toy, tmp_path):
    split = make_split(toy, train=[1, 2], test=[4], name="mine")
    assert (len(split.train), len(split.tests["official"])) == (12, 6)
    again = read_split(split.to_file(tmp_path / "mine.json"), toy)
    assert again == split and again.hash == split.hash
    keep_split(split, toy)
    assert get_split(toy) == get_split(toy, "mine") == split  # the only one there is
    other = build(tmp_path / "other", [made("x")], "own")
    sentence(lambda: read_split(tmp_path / "mine.json", other), "has no clip named")
    sentence(lambda: keep_split(replace(split, name="../mine"), toy), "cannot be a file's name")
    sentence(lambda: get_split(toy, "../mine"), "own has no split named '../mine'; choose one of mine")
    sentence(lambda: make_split(toy, by="age"), "choose subject, camera, setup or repetition")
    sentence(lambda: make_split(toy, train=[1], test=[1, 2]), "subject 1 is named for training and for testing")
    sentence(lambda: make_split(toy, train=[]), "0 training")
    sentence(lambda: make_split(toy, by="setup", train=[1]), "it has none")


def test_damaged_split_files(toy, tmp_path):
    """A thousand seeded mutations: the same split, or one sentence."""
    good = make_split(toy, train=[1, 2], name="mine")
    text, path, rng = good.to_file(tmp_path / "s.json").read_bytes(), tmp_path / "s.json", np.random.default_rng(0)
    for _ in range(1000):
        b = bytearray(text)
        for _ in range(rng.integers(1, 4)):
            at, how = int(rng.integers(max(1, len(b)))), rng.integers(4)
            if how == 0 and b:
                b[at] ^= 1 << int(rng.integers(8))
            elif how == 1:
                del b[at : at + int(rng.integers(1, 40))]
            elif how == 2:
                b[at:at] = rng.choice([b'"', b"[", b"null", b"1e999", b"\xff", b"{}", b"NaN"])
            else:
                b = b[:at] or b[:1]
        path.write_bytes(b)
        try:
            assert read_split(path, toy).hash == good.hash
        except InputError as e:
            assert "\n" not in str(e) and len(str(e)) < 400, str(e)
    for wrong in (
        [],
        {},
        {"dataset": 1, "name": 2, "hash": "x", "train": [1], "tests": {}},
        dict(good.to_dict(), train="abc"),
        dict(good.to_dict(), tests=[]),
    ):
        path.write_text(json.dumps(wrong))
        sentence(lambda: read_split(path), "s.json")
    path.write_text("[" * 100_000)
    sentence(lambda: read_split(path), "s.json")


def test_semi_supervised_is_balanced_nested_and_stable(tmp_path):
    sizes = [300, 40, 7, 1]
    clips = [made(f"c{c}_{i}", T=1, label=c, subject=1) for c, n in enumerate(sizes) for i in range(n)] + [
        made("t", T=1, label=0, subject=2)
    ]
    store = build(tmp_path / "s", clips, "own")
    split = make_split(store, train=[1])
    before = set()
    for percent in (1, 5, 10, 20, 50):
        few = semi_supervised(split, store, percent)
        got = [sum(n.startswith(f"c{c}_") for n in few.train) for c in range(4)]
        assert got == [max(1, int(percent * n / 100 + 0.5)) for n in sizes], percent
        assert before <= set(few.train) and few.tests == split.tests
        before = set(few.train)
    assert len({semi_supervised(split, store, 5, draw).hash for draw in range(5)}) == 5
    assert semi_supervised(split, store, 0.5).train and semi_supervised(split, store, 10).name == "subject-1-semi-10-0"
    code = (
        "import sys; from c2vl_kit.data.store import Store; from c2vl_kit.data.splits import *\n"
        "s = Store.open(sys.argv[1]); print(semi_supervised(make_split(s, train=[1]), s, 5, 2).hash)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, store.path], capture_output=True, text=True, env=os.environ | {"PYTHONHASHSEED": "7"}, check=True
    )
    assert run.stdout.strip() == semi_supervised(split, store, 5, 2).hash
    small = build(tmp_path / "small", [made(f"c{c}_{i}", T=1, label=c, subject=1 + (i == 15)) for c in range(18) for i in range(16)], "own")
    assert len(semi_supervised(make_split(small, train=[1]), small, 10).train) == 36  # of 270: 1.5 of each class become 2
    for percent in (0, 100, -1):
        sentence(lambda p=percent: semi_supervised(split, store, p), "percent is")
    bare = build(tmp_path / "bare", [made("a", subject=1), made("b", subject=2)], "own")
    sentence(lambda: semi_supervised(make_split(bare, train=[1]), bare, 10), "1 training clips have no label, a among them")


def test_found_counts_every_file(tmp_path):
    """Four recordings, of which one is on the data set's own list and one is cut off."""
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("a01_s01_e01", "a02_s02_e01", "a13_s09_e02"):
        write_msr(made(name, MSR20), raw)
    (raw / "a03_s03_e01_skeleton3D.txt").write_text("1 2 3 1\n")
    _, report = prepare("msr-action3d", raw, tmp_path / "store", progress=False)
    assert (report.found, len(report.read), len(report.missing), len(report.quarantined)) == (4, 2, 1, 1)
    assert report.found == len(list(raw.iterdir())) and json.loads((tmp_path / "store" / "report.json").read_text())["found"] == 4
    for file in raw.glob("a0*"):
        file.unlink()
    sentence(lambda: prepare("msr-action3d", raw, tmp_path / "none", progress=False), "nothing to build")
    assert not (tmp_path / "none").exists()


def test_zero_shot_trains_on_no_unseen_class(tmp_path):
    clips = [made(f"S001C001P{p:03}R001A{a:03}", NTU25, T=2, label=a - 1, subject=p, camera=1) for p in (1, 3) for a in range(1, 121)]
    store = build(tmp_path / "s", clips, "ntu120")
    for name, classes in CLASS_SPLITS.items():
        if "ntu120" not in classes.datasets:
            sentence(lambda n=name: zero_shot_split(store, n), f"ntu120 has no class split named {name!r}; choose one of ntu120-110-10")
            continue
        zero = zero_shot_split(store, name, "xsub")
        label = dict(zip(store.names, store.labels.tolist(), strict=True))
        assert {label[n] for n in zero.split.train} == set(zero.seen) and {label[n] for n in zero.split.tests["unseen"]} == set(zero.unseen)
        assert {label[n] for n in zero.split.tests["seen"]} == set(zero.seen) and zero.occur == (len(zero.seen), len(zero.unseen))
        assert all(n[9:12] == "001" for n in zero.split.train) and all(n[9:12] == "003" for n in zero.split.tests["unseen"])


# ---------------------------------------------------------------- guards


@pytest.fixture
def both_ntu(tmp_path):
    names = [f"S{s:03}C{c:03}P{p:03}R001A001" for s in (1, 2) for c in (1, 2, 3) for p in (1, 3)]

    def ntu(name):
        return made(name, NTU25, T=2, label=int(name[-3:]) - 1, subject=int(name[9:12]), camera=int(name[5:8]), setup=int(name[1:4]))

    small = build(tmp_path / "small", [ntu(n) for n in names], "ntu60")
    renamed = replace(ntu(names[2]), name="S020C002P045R001A062", subject=45, setup=20)  # an NTU-60 test clip under a new name
    large = build(tmp_path / "large", [*(ntu(n) for n in names), ntu("S018C001P001R001A061"), renamed], "ntu120")
    return small, large


def test_guard_counts_by_name_and_by_content(both_ntu):
    small, large = both_ntu
    pretraining, target = get_split(large, "xsub"), get_split(small, "xview")
    said = sentence(
        lambda: guard_overlap(pretraining, target, large, small),
        "2 of the 4 test clips of ntu60 xview are in the pre-training set of ntu120 xsub (2 by name, 2 by content)",
    )
    words = said.split("allow_overlap='")[1].split("'")[0]
    assert words == "2 test clips of ntu60 xview are in the pre-training set"
    assert len(guard_overlap(pretraining, target, large, small, allow_overlap=words).clips) == 2
    for wrong in ("yes", "true", words.replace("2", "3"), words.upper()):
        sentence(lambda w=wrong: guard_overlap(pretraining, target, large, small, allow_overlap=w), "or say allow_overlap=")
    free = pretraining.without(find_overlap(pretraining, target, large, small).names)
    assert not guard_overlap(free, target, large, small).clips and free.hash != pretraining.hash
    asked = Split("ntu60", "one", (), {"official": ("S001C002P001R001A001",)})
    assert find_overlap(pretraining, asked).names == ("S001C002P001R001A001",)
    assert set(find_overlap(pretraining, asked, large, small).names) == {"S001C002P001R001A001", "S020C002P045R001A062"}
    sentence(lambda: pretraining.without(pretraining.train), "no training clip left")


def test_guard_finds_renamed_copies(both_ntu, tmp_path):
    small, _ = both_ntu
    target = get_split(small, "xview")
    stolen = small[target.tests["official"][0]]
    mine = build(
        tmp_path / "mine",
        [replace(stolen, name="walk1", subject=1), made("walk2", NTU25, subject=1), made("walk3", NTU25, subject=2)],
        "own",
    )
    pretraining = make_split(mine, train=[1])
    assert not find_overlap(pretraining, target).clips  # names alone cannot tell
    found = find_overlap(pretraining, target, mine, small)
    assert (found.by_name, found.by_content, found.names) == ((), (stolen.name,), ("walk1",))
    same_names = Split("own", "s", ("S001C001P001R001A001",), {"official": ()})
    assert not find_overlap(same_names, target).clips  # another family: a name says nothing


def test_a_split_passes_its_own_guard_only_when_clean(tmp_path):
    clips = [made(f"a01_s01_e0{k}_v0{v}", label=0, camera=v) for k in range(3) for v in (1, 2, 3)]
    clips[-1] = replace(clips[-1], joints=clips[1].joints)  # the copy's defect
    store = build(tmp_path / "s", clips, "nw-ucla")
    split = get_split(store)
    sentence(lambda: guard_overlap(split, split, store, store), "1 of the 3 test clips")
    clean = replace(split, tests={"clean": split.tests["clean"]})
    assert guard_overlap(clean, clean, store, store).tests == 2


# ---------------------------------------------------------------- near copies


def swing(T=60, seed=0, layout=KINECT20) -> np.ndarray:
    """Joints that swing, each in its own way, (T, V, 3)."""
    r = np.random.default_rng(seed)
    t, V = np.arange(T)[:, None, None] / 30, layout.V
    return np.float32(r.normal(0, 0.4, (V, 3)) + 0.2 * np.sin(2 * np.pi * (r.uniform(0.2, 1.2, (V, 3)) * t + r.uniform(size=(V, 3)))))


def at_rate(x, step):
    t = np.arange(0, len(x) - 1 + 1e-9, step)
    i = np.minimum(t.astype(int), len(x) - 2)
    f = (t - i).reshape(-1, *[1] * (x.ndim - 1))
    return x[i] * (1 - f) + x[i + 1] * f


def copies(layout):
    """Ways to copy a recording, (T, …, V, 3) -> the same."""
    noise = np.random.default_rng(0)

    def mirror(x):
        return x[..., layout.mirror, :] * [-1, 1, 1]

    return {
        "noise": lambda x: x + noise.normal(0, 0.001, x.shape), "trimmed": lambda x: x[3:], "shifted": lambda x: x + [0.1, 0, 0],
        "25fps": lambda x: at_rate(x, 1.2), "rounded": lambda x: x.round(3), "mirrored": mirror,
        "float": lambda x: np.float32(np.float16(x)), "all": lambda x: mirror(at_rate(x[3:], 1.2)) + [0, 0, 0.1],
    }  # fmt: skip


def test_near_copies_of_every_kind_and_nothing_else(tmp_path):
    train = {f"train{i}": swing(50 + i % 30, i) for i in range(40)}
    tests = {f"honest{i}": swing(55, 100 + i) for i in range(20)}
    tests |= {f"{kind}{i}": how(train[f"train{i}"]) for i, (kind, how) in enumerate(copies(KINECT20).items())} | {
        "same39": train["train39"]
    }
    clips = [Clip(n, np.float32(x)[:, None], KINECT20, subject=1 + (n in tests)) for n, x in {**train, **tests}.items()]
    store = build(tmp_path / "s", clips, "own")
    split = make_split(store, train=[1])
    report = near_duplicates(store, split)
    assert report.exact == {"same39": "train39"}
    assert {n: where for n, (where, _, _) in report.near.items()} == {
        n: "train" + n.lstrip("abcdefghijklmnopqrstuvwxyz").removeprefix("25fps") for n in tests if "honest" not in n and n != "same39"
    }
    assert {n for n, (_, _, how) in report.near.items() if how == "mirrored"} == {"mirrored5", "all7"}
    assert report.gap[0] < 0.03 < 0.2 < report.gap[1]
    assert set(strict_split(split, report).tests["strict"]) == {n for n in tests if "honest" in n}
    assert "█" in report._repr_markdown_() and "8 near ones" in report._repr_markdown_()
    sentence(lambda: strict_split(split, replace(report, split="other")), "make a report of this split")


def test_near_copies_with_gaps_two_people_and_single_frames(tmp_path):
    pair = np.stack([swing(40, 1), swing(40, 2) + [1, 0, 0]], 1)
    holes = pair.copy()
    holes[5:9, 1, 3], holes[:, 0, 7] = np.nan, np.nan
    one = swing(1, 3)[:, None]
    clips = [Clip(n, np.float32(x), KINECT20, subject=s) for n, x, s in (
        ("pair", pair, 1), ("one", one, 1), ("other", swing(40, 9)[:, None], 1), ("holes", holes, 1),
        ("pair2", pair + [0, 0, 1], 2), ("one2", one + 0.001, 2), ("holes2", holes[2:], 2),
        ("new", swing(40, 8)[:, None], 2), ("one3", swing(1, 7)[:, None], 2),
    )]  # fmt: skip
    store = build(tmp_path / "s", clips, "own")
    report = near_duplicates(store, make_split(store, train=[1]))
    found = {n: w for n, (w, _, _) in report.near.items()}
    assert found.pop("holes2") in ("holes", "pair") and found.pop("pair2") in ("pair", "holes") and found == {"one2": "one"}, found


@pytest.mark.parametrize(
    "name, raw, official, exact, found", [("nw-ucla", "nw_ucla", 464, 95, 0.93), ("utd-mhad", "utd_mhad", 430, 0, 0.99)]
)
def test_near_copies_on_real_recordings(name, raw, official, exact, found, data_root, tmp_path):
    """Nothing is accused that is honest, and planted copies are found, in ten seconds."""
    store, _ = prepare(name, data_root / raw, tmp_path / "store", progress=False)
    split = get_split(store)
    start = time.process_time()
    report = near_duplicates(store, split)
    assert time.process_time() - start < 10  # of one core; 2 s on the machine where this was written
    assert (len(report.distances), len(report.exact), report.near) == (official, exact, {})
    assert set(report.exact) == set(split.tests["official"]) - set(split.tests["clean"]) and report.gap[1] > 0.07
    rng = np.random.default_rng(1)
    sources = [n for n in rng.permutation(split.train) if store[n].T >= 12]
    planted, whence = [], {}
    for k, (kind, how) in enumerate(copies(store.layout).items()):
        for n in sources[20 * k : 20 * k + 20]:
            x = np.float32(how(interpolate_missing(np.array(store[n].joints))))
            planted.append(Clip(f"{kind}_{n}", x, store.layout))
            whence[f"{kind}_{n}"] = n
    both = build(tmp_path / "planted", [*(store[n] for n in split.train), *planted], name)
    report = near_duplicates(both, replace(split, tests={"official": tuple(whence)}))
    got = report.near | {n: (w, 0, "") for n, w in report.exact.items()}
    assert len(got) >= found * len(whence), len(got) / len(whence)
    twins = both.digests
    assert all(w == whence[n] or twins[w] == twins[whence[n]] or how == "mirrored" for n, (w, _, how) in got.items())


# ---------------------------------------------------------------- real recordings, and the command


def test_sbu_is_complete_and_its_folds_are_official(data_root, tmp_path):
    store, report = prepare("sbu", data_root / "sbu", tmp_path / "store", progress=False)
    assert (len(store), report.found, report.quarantined) == (282, 282, {})
    check(store)
    folds = [get_split(store, f"fold{k}").tests["official"] for k in range(1, 6)]
    assert [len(f) for f in folds] == [55, 52, 56, 54, 65] and len({n for f in folds for n in f}) == 282


def test_msr_samples(data_root, tmp_path):
    store, report = prepare("msr-action3d", data_root / "msr_action3d_samples", tmp_path / "store", progress=False)
    assert store.names == ("a01_s01_e01", "a01_s01_e02", "a12_s01_e01", "a12_s01_e02") and not report.quarantined
    sentence(lambda: get_split(store), "both sides need clips")


def test_prepare_says_found_expected_missing_quarantined(tmp_path):
    tree_ntu60(tmp_path / "raw")
    (tmp_path / "raw/S001C003P001R001A001.skeleton").write_text("broken\n")
    command = [Path(sys.executable).parent / "c2vl", "prepare", "ntu60", "raw", "--out", "job", "--workers", "1", "--no-progress"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert "found 6: 4 read of 56,578 expected, 1 missing by the data set's own list, 1 quarantined" in done.stdout
    assert (
        "left out: S001C003P001R001A001.skeleton" in done.stdout
        and "differs" in done.stdout
        and "split xview, test official" in done.stdout
    )
