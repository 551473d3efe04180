"""Raw recordings to a store: real counts, and what bad input says and leaves behind."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from c2vl_kit.data.prepare import check, prepare
from c2vl_kit.data.catalog import get_dataset, get_split
from c2vl_kit.data.splits import holdout
from c2vl_kit.readers.common import read_all
from c2vl_kit.readers.ntu import read_ntu, write_ntu
from c2vl_kit.readers.kinect import read_nwucla, read_utd, write_nwucla, write_utd
from c2vl_kit.data.build import build_store
from c2vl_kit.data.store import Store
from c2vl_kit.core import InputError
from c2vl_kit.skeleton import KINECT20, NTU25, UTD20, Clip, get_layout

SAMPLES = ("S001C001P001R001A001", "S001C001P001R001A011", "S001C001P001R001A050", "S002C001P003R001A003")


def made(name, layout=KINECT20, T=6, M=1, seed=0, **facts) -> Clip:
    """A cloud of joints, 3 m away."""
    x = np.random.default_rng(seed).normal(0, 0.3, (T, M, layout.V, 3)) + [0, 1, 3]
    return Clip(name=name, joints=x.astype(np.float32), layout=layout, **facts)


def three_formats(folder: Path) -> dict:
    """One good invented file of each format, with its reader."""
    return {
        write_nwucla(made("a01_s01_e00_v01", label=0), folder): read_nwucla,
        write_utd(made("a3_s2_t1", UTD20), folder): read_utd,
        write_ntu(made("S001C001P001R001A050", NTU25, M=2), folder): read_ntu,
    }


def sentence(job, *words) -> str:
    """Run a job that must fail with one sentence for the user that holds all `words`."""
    with pytest.raises(InputError) as e:
        job()
    said = str(e.value)
    assert "\n" not in said and said.endswith((".", "?")), said
    for word in words:
        assert str(word) in said, said
    return said


def unchanged(folder: Path):
    """A snapshot of names and sizes below a folder."""
    return sorted((str(p.relative_to(folder)), p.stat().st_size) for p in folder.rglob("*") if p.is_file()) + [
        str(p.relative_to(folder)) for p in sorted(folder.rglob("*")) if p.is_dir()
    ]


# ---------------------------------------------------------------- real recordings


@pytest.fixture(scope="module")
def ucla(data_root, tmp_path_factory):
    return prepare("nw-ucla", data_root / "nw_ucla", tmp_path_factory.mktemp("ucla") / "store", progress=False)


@pytest.fixture(scope="module")
def utd(data_root, tmp_path_factory):
    return prepare("utd-mhad", data_root / "utd_mhad", tmp_path_factory.mktemp("utd") / "store", progress=False)


def test_nw_ucla_is_complete_and_its_split_is_official(ucla):
    store, report = ucla
    assert (len(store), report.found, report.quarantined) == (1484, 1484, {})
    split = get_split(store)
    assert (split.name, len(split.train), len(split.tests["official"]), len(split.tests["clean"])) == ("xview", 1020, 464, 369)
    dropped = set(split.tests["official"]) - set(split.tests["clean"])
    assert {n[:3] for n in dropped} == {"a02", "a03"} and sum(n.startswith("a02") for n in dropped) == 50
    assert check(store).startswith("**Northwestern-UCLA")
    assert store.label_names[6] == "donning" and set(store.labels.tolist()) == set(range(10))
    assert len(set(store.column("subject"))) == 10 and set(store.column("camera")) == {1, 2, 3}
    assert (store.column("T").min(), store.column("T").max()) == (1, 201)
    assert sum(int((~c.mask).sum()) for c in store) == 12  # the exact zeros of two clips


def test_nw_ucla_clips_equal_their_files(ucla, data_root):
    store, _ = ucla
    for name in store.names[::97]:
        raw = np.array(json.loads((data_root / f"nw_ucla/all_sqe/{name}.json").read_text())["skeletons"], np.float32)
        raw[(raw == 0).all(-1)] = np.nan
        np.testing.assert_array_equal(store[name].joints[:, 0], raw)
    assert store["a02_s09_e04_v02"].T == 1


def test_utd_mhad_is_complete_and_its_split_is_official(utd):
    store, report = utd
    assert (len(store), report.quarantined) == (861, {})
    split = get_split(store, "xsub")
    assert (len(split.train), len(split.tests["official"]), len(split.tests["clean"])) == (431, 430, 430)
    check(store)
    assert set(store.labels.tolist()) == set(range(27)) and set(store.column("subject")) == set(range(1, 9))
    assert all(c.mask.all() for c in store)


@pytest.mark.parametrize("which", ["ucla", "utd"])
def test_y_is_up_and_nobody_is_mirrored(which, request):
    """What the pages say about axes: the head is above the ankles, and left × up points where the toes point."""
    store, _ = request.getfixturevalue(which)
    L = store.layout
    pose = np.stack([np.nanmean(c.joints[:, 0], axis=0) for c in store])

    def at(role):
        return pose[:, list(L.point(role))].mean(1)

    up = at("head") - (at("left ankle") + at("right ankle")) / 2
    assert (up[:, 1] > np.abs(up[:, [0, 2]]).max(1)).mean() > 0.98 and 1.2 < up[:, 1].mean() < 1.6
    front = np.cross(at("left shoulder") - at("right shoulder"), at("chest") - at("hips"))
    toes = at("left foot") - at("left ankle") + at("right foot") - at("right ankle")
    assert ((front * toes).sum(-1) > 0).mean() > 0.98


def test_holdout_keeps_tests_out(ucla):
    store, _ = ucla
    split = get_split(store)
    inner = holdout(split, store, by="subject", fraction=0.25)
    subjects = dict(zip(store.names, store.column("subject").tolist(), strict=True))
    held = {subjects[n] for n in inner.tests["validation"]}
    assert held and not held & {subjects[n] for n in inner.train}
    assert set(inner.train) | set(inner.tests["validation"]) <= set(split.train)
    assert inner.hash == holdout(split, store, by="subject", fraction=0.25).hash != split.hash


def test_ntu_samples(data_root, tmp_path):
    store, report = prepare("ntu60", data_root / "ntu_samples", tmp_path / "store", progress=False)
    assert store.names == SAMPLES and not report.quarantined
    two = store["S001C001P001R001A050"]
    assert (two.M, two.T, two.label, two.label_name) == (2, 74, 49, "punch or slap")
    assert two.mask.all() and two.confidence is not None and set(np.unique(two.confidence)) <= {0.0, 0.5, 1.0}
    assert [store[n].M for n in SAMPLES] == [1, 1, 2, 1]
    sentence(lambda: check(store), "is not the complete ntu60: clips is 4, expected 56,578")
    assert "differs" in check(store, strict=False)


def test_ntu_numbers_are_those_of_the_file(data_root):
    """Against a reader as simple as it can be: one line after the other."""
    path = data_root / "ntu_samples" / f"{SAMPLES[2]}.skeleton"
    lines, at, expected = path.read_text().splitlines(), 1, []
    for _ in range(int(lines[0])):
        bodies, at, frame = int(lines[at]), at + 1, []
        for _ in range(bodies):
            frame.append([[float(v) for v in line.split()[:3]] for line in lines[at + 2 : at + 27]])
            at += 27
        expected.append(frame)
    np.testing.assert_array_equal(read_ntu(path).joints, np.array(expected, np.float32))


def test_mat_reader_equals_scipy(data_root):
    from scipy.io import loadmat

    for path in sorted((data_root / "utd_mhad").rglob("*.mat"))[::20]:
        raw = loadmat(path)["d_skel"]
        np.testing.assert_array_equal(read_utd(path).joints[:, 0], raw.transpose(2, 0, 1).astype(np.float32))


def test_same_files_same_store_by_one_process_or_two(data_root, tmp_path):
    """Order, table and numbers do not depend on the number of processes, and a broken file is set aside in both."""
    files = sorted((data_root / "nw_ucla").rglob("*.json"))[:90]
    bad = tmp_path / "a01_s01_e99_v01.json"
    bad.write_bytes(files[0].read_bytes()[:1000])
    files.insert(40, bad)
    one, report = build_store(tmp_path / "one", files, read_nwucla, "nw-ucla", progress=False)
    two, same = build_store(tmp_path / "two", files, read_nwucla, "nw-ucla", progress=False, workers=2)
    assert one.checksum == two.checksum and report == same and list(report.quarantined) == [str(bad)]


RAW = [("nw_ucla", ".json", read_nwucla), ("utd_mhad", ".mat", read_utd), ("ntu_samples", ".skeleton", read_ntu)]


@pytest.mark.parametrize("folder, ending, reader", RAW)
def test_a_real_recording_cut_anywhere_is_one_sentence(data_root, tmp_path, folder, ending, reader):
    source = next(p for p in sorted((data_root / folder).rglob("*")) if p.suffix == ending)
    data, copy = source.read_bytes(), tmp_path / source.name
    for keep in random.Random(0).sample(range(len(data) - 2), 12):
        copy.write_bytes(data[:keep])
        sentence(lambda: reader(copy), copy, "download it again")


# ---------------------------------------------------------------- broken recordings (invented ones, no data needed)


def test_garbage_never_gets_past_a_reader(tmp_path):
    """Flip, drop, double random bytes of each format: a clip or one sentence, never anything else."""
    from scipy.io import savemat

    rnd, files = random.Random(1), three_formats(tmp_path)
    (tmp_path / "plain").mkdir()  # uncompressed MATLAB files have no checksum of their own
    plain = tmp_path / "plain/a3_s2_t1_skeleton.mat"
    savemat(plain, {"d_skel": np.ones((20, 3, 6))})
    for path, reader in {**files, plain: read_utd}.items():
        data = path.read_bytes()
        for _ in range(60):
            b, at = bytearray(data), rnd.randrange(len(data))
            kind = rnd.randrange(3)
            if kind == 0:
                b[at] = rnd.randrange(256)
            elif kind == 1:
                del b[at : at + rnd.randrange(1, 60)]
            else:
                b[at:at] = b[at : at + rnd.randrange(1, 60)]
            path.write_bytes(b)
            try:
                assert isinstance(reader(path), Clip)
            except InputError as e:
                assert str(path) in str(e) and "\n" not in str(e)


@pytest.mark.parametrize("change", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"\x00" * 50, lambda b: b"hello"])
def test_truncated_or_foreign_files(tmp_path, change):
    for path, reader in three_formats(tmp_path).items():
        path.write_bytes(change(path.read_bytes()))
        sentence(lambda path=path, reader=reader: reader(path), path)
        path.unlink()
        sentence(lambda path=path, reader=reader: reader(path), path, "does not exist")


def test_a_folder_in_place_of_a_file(tmp_path):
    (tmp_path / "a01_s01_e00_v01.json").mkdir()
    sentence(lambda: read_nwucla(tmp_path / "a01_s01_e00_v01.json"), "cannot be read")


def test_clips_of_nan_and_without_a_body(tmp_path):
    p = tmp_path / "a01_s01_e00_v01.json"
    p.write_text(json.dumps(dict(skeletons=[[[float("nan")] * 3] * 20] * 4)))
    sentence(lambda: read_nwucla(p), p, "no body in any of its 4 frames")
    p.write_text(json.dumps(dict(skeletons=[[[0, 0, 0]] * 20] * 4)))
    sentence(lambda: read_nwucla(p), p, "no body in any of its 4 frames")
    n = tmp_path / "S001C001P001R001A001.skeleton"
    n.write_text("3\n0\n0\n0\n")
    sentence(lambda: read_ntu(n), n, "no body in any of its 3 frames")


@pytest.mark.parametrize("value", [1e39, 5000.0, "x", True, {}])
def test_values_that_are_no_coordinates(tmp_path, value):
    p = tmp_path / "a01_s01_e00_v01.json"
    frames = np.ones((3, 20, 3)).tolist()
    frames[1][4][2] = value
    p.write_text(json.dumps(dict(skeletons=frames)))
    if value is True:  # json has no way to tell them apart once numpy has seen them; a body of ones is harmless
        read_nwucla(p)
    else:
        sentence(lambda: read_nwucla(p), p)


def test_body_ids_are_integers(tmp_path):
    """Two people whose IDs differ in the last of 17 digits stay two."""
    clip = made("S001C001P001R001A050", NTU25, T=4, M=2)
    ids = [72057594037932185, 72057594037932186]
    assert float(ids[0]) == float(ids[1])
    np.testing.assert_allclose(read_ntu(write_ntu(clip, tmp_path, ids)).joints, clip.joints, atol=1e-5)


def test_a_body_that_leaves_and_returns_keeps_its_frames(tmp_path):
    clip = made("S001C001P001R001A001", NTU25, T=8)
    x = clip.joints.copy()
    x[3:5] = np.nan
    back = read_ntu(write_ntu(clip.replace(joints=x), tmp_path))
    np.testing.assert_array_equal(np.isnan(back.joints), np.isnan(x))


def test_read_all_leaves_real_bugs_alone(tmp_path):
    def buggy(path):
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        list(read_all([tmp_path / "x"], buggy))


# ---------------------------------------------------------------- bad input to prepare, build, open, split


def test_no_folder_empty_folder_wrong_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("words")
    before = unchanged(tmp_path)
    out = tmp_path / "jobs" / "deep" / "store"
    sentence(lambda: prepare("nw-ucla", tmp_path / "nowhere", out), tmp_path / "nowhere", "does not exist", "give the folder")
    sentence(lambda: prepare("nw-ucla", tmp_path / "empty", out), tmp_path / "empty", "no file named")
    sentence(lambda: prepare("utd-mhad", tmp_path / "notes.txt", out), "notes.txt is a file")
    sentence(lambda: prepare("ucla", tmp_path, out), "'ucla'", "nw-ucla, utd-mhad, ntu60")
    sentence(lambda: prepare("simulated", tmp_path / "empty", out), "no raw files")
    assert unchanged(tmp_path) == before


def test_nothing_usable_leaves_nothing(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/a01_s01_e00_v01.json").write_text("{")
    before = unchanged(tmp_path)
    said = sentence(lambda: prepare("nw-ucla", tmp_path / "raw", tmp_path / "jobs" / "store", progress=False), "none of the 1 clips")
    assert "a01_s01_e00_v01.json" in said and unchanged(tmp_path) == before


def test_broken_ones_are_quarantined_and_the_rest_is_built(tmp_path):
    raw = tmp_path / "raw"
    (raw / "copy").mkdir(parents=True)
    for v in (1, 2, 3):
        write_nwucla(made(f"a01_s01_e00_v{v:02}", label=0, seed=v), raw)
    write_nwucla(made("a01_s01_e00_v01", label=0, seed=9), raw / "copy")  # a name a second time
    (raw / "a02_s01_e00_v01.json").write_text('{"skeletons": [[')
    (raw / "a03_s01_e00_v01.json").write_text(json.dumps(dict(skeletons=[[[0, 0, 0]] * 20])))
    store, report = prepare("nw-ucla", raw, tmp_path / "store", progress=False)
    assert store.names == ("a01_s01_e00_v01", "a01_s01_e00_v02", "a01_s01_e00_v03") and report.found == 6
    why = {str(Path(k).relative_to(raw)): v for k, v in report.quarantined.items()}
    assert set(why) == {"copy/a01_s01_e00_v01.json", "a02_s01_e00_v01.json", "a03_s01_e00_v01.json"}
    assert "already read from" in why["copy/a01_s01_e00_v01.json"] and "no body" in why["a03_s01_e00_v01.json"]
    assert json.loads((tmp_path / "store/report.json").read_text())["quarantined"] == report.quarantined


def test_ntu_missing_list_is_left_out_and_listed(tmp_path):
    name = sorted(get_dataset("ntu60").missing)[0]
    (tmp_path / "raw").mkdir()
    for n in (name, "S001C001P001R001A001", "S018C001P001R001A061"):  # the last is of NTU-120
        write_ntu(made(n, NTU25), tmp_path / "raw")
    store, report = prepare("ntu60", tmp_path / "raw", tmp_path / "store", progress=False)
    assert store.names == ("S001C001P001R001A001",) and report.missing == [name]


def toy(path, n=4, **kw):
    clips = [made(f"c{i}", seed=i, label=i % 2, label_name="ab"[i % 2], subject=i) for i in range(n)]
    return build_store(path, clips, progress=False, **kw)[0]


def test_wrong_checksum_and_other_damage(tmp_path):
    toy(tmp_path / "s")
    joints, table = tmp_path / "s/joints.npy", tmp_path / "s/store.json"
    good, text = joints.read_bytes(), table.read_text()
    bad = bytearray(good)
    bad[-1] ^= 1
    for data, words in ((bytes(bad), "checksum is wrong"), (good[:-4], "damaged"), (good + b"0000", None), (b"", "damaged")):
        joints.write_bytes(data)
        if words:
            sentence(lambda: Store.open(tmp_path / "s"), tmp_path / "s", words, "again", "build_store(…, overwrite=True)")
    joints.write_bytes(good)
    for changed, words in (
        (text.replace('"c1"', '"c9"'), "checksum is wrong"),
        (text.replace('"label"', '"lable"'), "lacks a part"),
        (text[:200], "not complete json"),
        ("[]", "not a store's table"),
        (text.replace('"version": 1', '"version": 7'), "store format 7"),
    ):
        table.write_text(changed)
        sentence(lambda: Store.open(tmp_path / "s"), tmp_path / "s", words)
    table.unlink()
    sentence(lambda: Store.open(tmp_path / "s"), "is not a store")
    sentence(lambda: Store.open(tmp_path / "nowhere"), "does not exist")
    table.write_text(text)
    assert len(Store.open(tmp_path / "s")) == 4


def test_unknown_split_layout_clip_column(tmp_path):
    store = toy(tmp_path / "s", dataset="nw-ucla")
    sentence(lambda: get_split(store, "xset"), "no split named 'xset'", "xview")
    sentence(lambda: get_split(store), "both sides need clips")
    sentence(lambda: get_layout("kinect21"), "kinect21")
    sentence(lambda: toy(tmp_path / "t", layout="kinect21"), "kinect21")
    sentence(lambda: toy(tmp_path / "t", layout="ntu25"), "none of the 4 clips", "its layout is kinect20")
    sentence(lambda: store["zz"], "no clip named 'zz'")
    sentence(lambda: store.column("zz"), "no column 'zz'")
    sentence(lambda: get_split(toy(tmp_path / "u")), "no data set named ''")
    assert not (tmp_path / "t").exists()


def test_an_existing_folder_is_safe(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.png").write_text("meow")
    (tmp_path / "file").write_text("words")
    toy(tmp_path / "s")
    before = unchanged(tmp_path)
    sentence(lambda: toy(tmp_path / "photos", overwrite=True), "is not a store, so it is left alone")
    sentence(lambda: toy(tmp_path / "file", overwrite=True), "left alone")
    sentence(lambda: toy(tmp_path / "s"), "already holds a store")
    sentence(lambda: toy(tmp_path / "file" / "s"), "cannot be written")
    assert unchanged(tmp_path) == before
    assert len(toy(tmp_path / "s", n=2, overwrite=True)) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "photos", "s"]


def test_a_failing_build_keeps_the_old_store(tmp_path):
    toy(tmp_path / "s")
    before = unchanged(tmp_path)

    def clips():
        yield made("one")
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError):
        build_store(tmp_path / "s", clips(), overwrite=True, progress=False)
    assert unchanged(tmp_path) == before and len(Store.open(tmp_path / "s")) == 4


BUILD = """
import sys, time
sys.path[:0] = sys.argv[2:]
from test_data import made
from c2vl_kit.data.build import build_store
from c2vl_kit.data.store import Store
def clips():
    for i in range(10**6):
        yield made(f"c{i}"); time.sleep(.02)
        if i == 3: print("ready", flush=True)
build_store(sys.argv[1], clips(), overwrite=True, progress=False)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_build_leaves_the_old_store_and_is_cleaned_up(tmp_path, how):
    toy(tmp_path / "s")
    here = Path(__file__).resolve().parent
    job = subprocess.Popen([sys.executable, "-c", BUILD, str(tmp_path / "s"), str(here), str(here.parent)],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert job.stdout.readline() == b"ready\n"
    job.send_signal(how)
    job.wait(20)
    assert len(Store.open(tmp_path / "s")) == 4
    left = [p.name for p in tmp_path.iterdir() if p.name != "s"]
    assert left == ([] if how == signal.SIGINT else ["s.partial"])
    toy(tmp_path / "s", n=3, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_a_swap_that_was_cut_in_two_is_undone(tmp_path):
    """The process died after the old store was moved aside and before the new one was in its place."""
    toy(tmp_path / "s")
    job = subprocess.Popen([sys.executable, "-c", ""])
    job.wait()
    os.replace(tmp_path / "s", tmp_path / f"s.old-{job.pid}")
    sentence(lambda: toy(tmp_path / "s"), "already holds a store")
    assert len(Store.open(tmp_path / "s")) == 4


def test_round_trip_random_access_and_read_only(tmp_path):
    clips = [made(f"k{i}", NTU25, T=1 + i, M=1 + i % 2, seed=i, label=i % 3, label_name="xyz"[i % 3], setup=i, fps=15.0) for i in range(9)]
    clips[4] = clips[4].replace(confidence=np.full((5, 1, 25), 0.5, np.float32))
    store, _ = build_store(tmp_path / "s", iter(clips), progress=False)
    store = Store.open(tmp_path / "s")
    for c in reversed(clips):
        back = store[c.name]
        np.testing.assert_array_equal(back.joints, c.joints)
        assert (back.digest, back.label, back.label_name, back.setup, back.fps, back.subject) == (
            c.digest, c.label, c.label_name, c.setup, 15.0, None)
    assert (store["k4"].confidence == 0.5).all() and (store["k3"].confidence == 1).all()
    with pytest.raises(ValueError):
        store["k0"].joints[0] = 0
    assert store.rows(["k8", "k0"]).tolist() == [8, 0] and [c.name for c in store] == list(store.names)


def test_a_store_travels_to_another_process(tmp_path):
    import pickle

    store = toy(tmp_path / "s")
    data = pickle.dumps(store)
    assert len(data) < 1000 and pickle.loads(data)["c2"].digest == store["c2"].digest


def test_a_large_store_opens_and_reads_fast(tmp_path):
    """5,000 clips: a clip costs well under a millisecond, opening without verifying well under a second."""
    x = made("x", T=20).joints
    store, _ = build_store(tmp_path / "s", (Clip(name=f"n{i}", joints=x, layout=KINECT20) for i in range(5000)), progress=False)
    start = time.perf_counter()
    store = Store.open(tmp_path / "s", verify=False)
    opened = time.perf_counter() - start
    names = random.Random(0).sample(store.names, 500)
    start = time.perf_counter()
    assert all(store[n].T == 20 for n in names)
    assert opened < 1 and (time.perf_counter() - start) / 500 < 1e-3


def test_prepare_does_not_change_the_raw_folder(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for path in three_formats(raw):
        before = unchanged(raw)
        name = {".json": "nw-ucla", ".mat": "utd-mhad", ".skeleton": "ntu60"}[path.suffix]
        prepare(name, raw, tmp_path / name, progress=False)
        assert unchanged(raw) == before
    shutil.rmtree(raw)
    assert len(Store.open(tmp_path / "ntu60")) == 1
