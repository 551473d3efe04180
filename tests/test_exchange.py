"""Other toolboxes' files and a user's own: round trips, hostile files, and seeds for the fuzz tests."""

import builtins
import collections
import copyreg
import functools
import os
import pickle
import struct
import subprocess
import sys
import time
import warnings
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from c2vl_kit.readers import arrays, ctrgcn, pyskl, tables
from c2vl_kit.data.build import build_store
from c2vl_kit.core import InputError
from c2vl_kit.skeleton import COCO17, KINECT20, NTU25, Clip

FACTS = ("name", "label", "label_name", "subject", "camera", "setup", "repetition", "fps")


def person(name, layout=NTU25, T=9, M=1, seed=0, **facts) -> Clip:
    rng = np.random.default_rng(seed)
    at = np.linspace(0, 1.7, layout.V)[:, None] * [0.1, 1, 0.05] + [0, 0.1, 3]
    x = at + rng.normal(0, 0.02, (T, M, layout.V, 3)) + np.arange(M)[:, None, None] * [0.8, 0, 0]
    return Clip(name, x.astype(np.float32), layout, **facts)


def people() -> list[Clip]:
    first = person("S001C002P003R002A050", M=2, label=49, label_name="punch or slap", setup=1, camera=2, subject=3, repetition=2)
    x = first.joints.copy()
    x[:3, 1], x[4, 0, 7] = np.nan, np.nan
    second = person("S017C003P008R001A001", T=14, seed=1, label=0, label_name="drink water", setup=17, camera=3, subject=8, repetition=1)
    return [first.replace(joints=x), second, person("my own clip", T=1, seed=2, label=2, label_name="juggle", subject=4)]


def same(a: Clip, b: Clip, facts=FACTS):
    assert [getattr(a, k) for k in facts] == [getattr(b, k) for k in facts]
    assert a.layout == b.layout and a.digest == b.digest


def dump(path: Path, value, protocol=2) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def annotation(clip: Clip, dtype=np.float16) -> dict:
    x = np.nan_to_num(clip.joints).swapaxes(0, 1).astype(dtype)
    return dict(frame_dir=clip.name, label=clip.label, keypoint=x, total_frames=clip.T)


def numpy_words(clip: Clip) -> dict:
    """Names and splits as numpy keeps them."""
    entry = annotation(clip) | dict(frame_dir=np.str_(clip.name), label=np.array(clip.label))
    splits = dict(a=np.array([clip.name]), b=np.array([clip.name], object), c=[np.str_(clip.name)], d=np.array([clip.name.encode()]))
    return dict(split=splits, annotations=[entry])


def fuzz_seeds(folder: Path) -> list:
    """Small good files of every format of this room, with readers of one path (for tests/test_fuzz.py)."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = people()
    flat = dict(frame_dir="v1", label=3, total_frames=4, img_shape=(720, 1280), keypoint=np.full((1, 4, 17, 2), 99, "f2"),
                keypoint_score=np.ones((1, 4, 17), "f2"))
    short = [c.replace(joints=c.joints[:3, :1, :20], layout=KINECT20) for c in clips]
    read_short = partial(ctrgcn.read_ctrgcn, layout="kinect20")
    seeds = [
        (pyskl.write_pyskl(clips[:2], folder / "own.pkl", {"a": [clips[0].name]}), pyskl.read_pyskl),
        (dump(folder / "pyskl2.pkl", dict(split={"a": [clips[0].name]}, annotations=[annotation(clips[0])])), pyskl.read_pyskl),
        (dump(folder / "pyskl5.pkl", dict(split={}, annotations=[annotation(clips[0])]), 5), partial(pyskl.read_pyskl, split=None)),
        (dump(folder / "flat.pkl", [flat], 4), pyskl.read_pyskl),
        (dump(folder / "words.pkl", numpy_words(clips[0]), 4), pyskl.read_pyskl),
        (ctrgcn.write_ctrgcn(short[:2], short[2:], folder / "ctr.npz", frames=8), read_short),
        (ctrgcn.write_ctrgcn(short[:2], short[2:], folder / "ctr_small.npz", frames=8, compress=True), read_short),
        (arrays.write_npz(clips[0], folder), arrays.read_npz),
        (tables.write_csv(short[0], folder), partial(tables.read_csv, layout=KINECT20)),
    ]
    np.save(folder / "plain.npy", short[1].joints)
    seeds.append((folder / "plain.npy", partial(arrays.read_npz, layout="kinect20")))
    np.save(folder / "train_data.npy", np.nan_to_num(clips[0].joints).transpose(3, 0, 2, 1)[None])
    labels = dump(folder / "train_label.pkl", ([clips[0].name + ".skeleton"], [49]))
    seeds.append((folder / "train_data.npy", partial(ctrgcn.read_npy, labels=labels)))
    seeds.append((labels, partial(_by_labels, folder / "train_data.npy")))
    rows = ["frame;joint;x;y;z"] + [f"{t};{j};{t / 9:.3f};{v / 15:.3f};1" for t in range(3) for v, j in enumerate(KINECT20.joints)]
    (folder / "long.csv").write_text("\n".join(rows))
    seeds.append((folder / "long.csv", partial(tables.read_csv, layout=KINECT20)))
    return seeds


def _by_labels(array, labels):
    return ctrgcn.read_npy(array, labels)


def test_seeds_are_good_files(tmp_path):
    for path, reader in fuzz_seeds(tmp_path / "seeds"):
        got = reader(path)
        got = [got] if isinstance(got, Clip) else list(got)
        assert got and all(isinstance(c, Clip) for c in got), (path, got)


# ------------------------------------------------------------------ round trips


def test_there_and_back(tmp_path):
    clips = people()
    for a, b in zip(clips, pyskl.read_pyskl(pyskl.write_pyskl(clips, tmp_path / "a.pkl")), strict=True):
        same(a, b)
    for clip in clips:
        same(clip, arrays.read_npz(arrays.write_npz(clip, tmp_path)))
        facts = {k: getattr(clip, k) for k in FACTS[1:]}
        same(clip, tables.read_csv(tables.write_csv(clip, tmp_path), NTU25, **facts))
    ctr = [c.replace(joints=np.where(np.isnan(c.joints) & ~np.isnan(c.joints).all((2, 3), keepdims=True), 1, c.joints)) for c in clips]
    path = ctrgcn.write_ctrgcn(ctr[:2], ctr[2:], tmp_path / "a.npz", frames=20)
    for a, b in zip(ctr, ctrgcn.read_ctrgcn(path), strict=True):
        same(a, b, ("name", "label", "fps"))


def test_a_store_travels(tmp_path):
    clips = [c.replace(label=i) for i, c in enumerate(people())]
    clips = [c.replace(name=f"clip {i}") for i, c in enumerate(clips)]
    store, _ = build_store(tmp_path / "store", clips, progress=False)
    file = pyskl.write_pyskl(store, tmp_path / "s.pkl")
    back, report = build_store(tmp_path / "back", [file], pyskl.read_pyskl, progress=False)
    assert back.checksum == store.checksum and len(report.read) == len(clips) and not report.quarantined
    path = ctrgcn.write_ctrgcn(store, [], tmp_path / "s.npz", frames=20)
    assert [c.name for c in ctrgcn.read_ctrgcn(path)] == list(store.names)


def test_python_and_pyskl_can_read_what_is_written(tmp_path):
    clips = people()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        top = pickle.loads(pyskl.write_pyskl(clips, tmp_path / "a.pkl", {"x_train": [clips[0].name]}, half=True).read_bytes())
    assert top["split"] == {"x_train": [clips[0].name]} and b"_core" not in (tmp_path / "a.pkl").read_bytes()
    for clip, a in zip(clips, top["annotations"], strict=True):
        assert a["keypoint"].shape == (clip.M, clip.T, 25, 3) and a["keypoint"].dtype == np.float16 and a["keypoint"].flags.c_contiguous
        assert (a["frame_dir"], a["label"], a["total_frames"]) == (clip.name, clip.label, clip.T) and "keypoint_score" not in a
        assert np.abs(a["keypoint"] - np.nan_to_num(clip.joints).swapaxes(0, 1)).max() < 2e-3


def test_ctrgcn_file_is_what_its_feeder_expects(tmp_path):
    clips = people()
    with np.load(ctrgcn.write_ctrgcn(clips[:2], clips[2:], tmp_path / "a.npz", frames=300, classes=60)) as z:
        assert z["x_train"].shape == (2, 300, 150) and z["x_train"].dtype == np.float32 and z["y_train"].shape == (2, 60)
        x = z["x_train"].reshape(2, 300, 2, 25, 3)
        assert np.where(z["y_train"] > 0)[1].tolist() == [49, 0]
        assert np.array_equal(x[1, :14, 0], clips[1].joints[:, 0]) and not x[1, 14:].any() and not x[0, :3, 1].any()


def test_nothing_half_made_stays(tmp_path):
    clips = people()
    for fails in (
        lambda: pyskl.write_pyskl([*clips, clips[0]], tmp_path / "a"),
        lambda: pyskl.write_pyskl(clips, tmp_path / "a", {"s": ["nobody"]}),
        lambda: ctrgcn.write_ctrgcn(clips, [], tmp_path / "a", frames=5),
        lambda: ctrgcn.write_ctrgcn([clips[0].replace(label=None)], [], tmp_path / "a"),
        lambda: tables.write_csv(clips[0].replace(name="../up"), tmp_path / "in"),
    ):
        with pytest.raises(InputError):
            fails()
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_real_recordings_travel(data_root, tmp_path):
    from c2vl_kit.readers.ntu import read_ntu
    from c2vl_kit.readers.kinect import read_nwucla

    ntu = [read_ntu(p) for p in sorted((data_root / "ntu_samples").glob("*.skeleton"))]
    ucla = [read_nwucla(p) for p in sorted((data_root / "nw_ucla").rglob("*.json"))[::50]]
    for clips in (ntu, ucla):
        bare = [c.replace(confidence=None) for c in clips]
        for a, b in zip(bare, pyskl.read_pyskl(pyskl.write_pyskl(bare, tmp_path / "a.pkl")), strict=True):
            same(a, b)
        for a, b in zip(bare, pyskl.read_pyskl(pyskl.write_pyskl(bare, tmp_path / "h.pkl", half=True)), strict=True):
            assert np.array_equal(a.mask, b.mask) and np.nanmax(np.abs(a.joints - b.joints)) < 2e-3
        path = ctrgcn.write_ctrgcn(bare, [], tmp_path / "a.npz")
        for a, b in zip(bare, ctrgcn.read_ctrgcn(path, clips[0].layout), strict=True):
            assert a.mask[: b.T].sum() == a.mask.sum() and np.array_equal(a.joints[: b.T][a.mask[: b.T]], b.joints[a.mask[: b.T]])
        for a in clips[:3]:
            same(a, arrays.read_npz(arrays.write_npz(a, tmp_path)))
            same(a, tables.read_csv(tables.write_csv(a, tmp_path), a.layout, **{k: getattr(a, k) for k in FACTS[1:]}))


# ------------------------------------------------------------------ hostile pickles


class Call:
    def __init__(self, f, *args):
        self.r = f, args

    def __reduce_ex__(self, protocol):
        return self.r


def _raw(*parts) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


def hostile(marker: str) -> dict:
    touch = f"touch {marker}"
    code = f"open({marker!r}, 'w')"
    array = np.zeros(3)
    state = array.__reduce__()[2]
    made = {
        "os.system": pickle.dumps(Call(os.system, touch)),
        "subprocess": pickle.dumps(Call(subprocess.call, ["touch", marker])),
        "eval": pickle.dumps(Call(builtins.eval, code), 2),
        "exec": pickle.dumps(Call(builtins.exec, code), 4),
        "partial": pickle.dumps(functools.partial(os.system, touch)),
        "getattr": pickle.dumps(Call(getattr, Call(__import__, "os"), "system")),
        "numpy.load": pickle.dumps(Call(np.load, marker, None, True)),
        "numpy f2py/exec": _raw(b"cnumpy.testing._private.utils\nrunstring\n(X", struct.pack("<I", len(code)), code.encode(), b"}tR"),
        "text GLOBAL": b"cos\nsystem\n(S'" + touch.encode() + b"'\ntR.",
        "INST": b"(S'" + touch.encode() + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'" + touch.encode() + b"'\no.",
        "NEWOBJ": _raw(b"cos\nsystem\n)\x81"),
        "ndarray called": _raw(b"cnumpy\nndarray\n(K\x03tR"),
        "BUILD on a dict": _raw(b"}}b"),
        "object array": pickle.dumps(np.array([Call(os.system, touch)], dtype=object)),
        "object dtype, empty": pickle.dumps(np.zeros(0, object)),
        "structured dtype": pickle.dumps(np.zeros(1, [("a", "O")])),
        "persistent id": b"Pos.system\n.",
        "extension": b"\x80\x02\x82\x01.",
        "copyreg": pickle.dumps(Call(copyreg._reconstructor, Path, object, None)),
        "dotted name": _raw(b"\x8c\x05numpy\x8c\x0fndarray.__new__\x93)R"),
        "list called": _raw(b"cbuiltins\nlist\n(K\x03tR"),
        "defaultdict of a function": pickle.dumps(collections.defaultdict(functools.partial(os.system, touch))),
        "text type of nothing": _raw(b"cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n(X\x02\0\0\0O8\x89\x88tRC\x08aaaaaaaatR"),
        "objects among texts": pickle.dumps(np.array(["a", Call(os.system, touch)], dtype=object)),
        "module with a stand-in's name": _raw(b"\x8c\x08builtins\x8c\x04eval\x93X", struct.pack("<I", len(code)), code.encode(), b"\x85R"),
    }
    reconstruct, args, _ = array.__reduce__()
    for name, lie in {
        "shape": (state[0], (10**9,), *state[2:]),
        "shape overflow": (state[0], (2**32, 2**32), *state[2:]),
        "negative": (state[0], (-1,), *state[2:]),
        "text shape": (state[0], ("a",), *state[2:]),
        "no state": (),
        "list as data": (*state[:4], [1, 2, 3]),
        "short": (*state[:4], b"123"),
    }.items():
        made[f"array state: {name}"] = pickle.dumps([_Stateful(reconstruct, args, lie)])
    return made


class _Stateful:
    def __init__(self, *r):
        self.r = r

    def __reduce_ex__(self, protocol):
        return self.r


def test_hostile_pickles_are_refused_and_do_nothing(tmp_path):
    marker = tmp_path / "marker"
    cases = hostile(str(marker))
    assert len(cases) > 25
    for name, data in cases.items():
        for whole in (data, pickle.dumps({"split": {}, "annotations": []}, 2)[:-1] + data[2:] if data[:1] == b"\x80" else data):
            path = tmp_path / "bad.pkl"
            path.write_bytes(whole)
            for reader in (lambda p: list(pyskl.read_pyskl(p)), pyskl.pyskl_splits, lambda p: list(ctrgcn.read_npy(p, p))):
                with pytest.raises(InputError) as e:
                    reader(path)
                assert str(path) in str(e.value) and str(e.value).endswith("."), name
    assert not marker.exists()
    pickle.loads(cases["os.system"])  # the file was no dud: Python's own loader falls for it
    assert marker.exists()


def test_names_that_are_refused_are_named(tmp_path):
    path = tmp_path / "bad.pkl"
    path.write_bytes(pickle.dumps({"annotations": [Call(os.system, "true")]}))
    with pytest.raises(InputError, match=r"asks for 'posix.system'.*nothing was run"):
        list(pyskl.read_pyskl(path))


def limited(code: str, *args) -> float:
    """Run Python under 3 GB of address space and 60 s; returns the growth of its memory in MB."""
    head = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30)); "
    head += "from c2vl_kit.readers import arrays, ctrgcn, pyskl, tables; "
    head += "from c2vl_kit.core import InputError\nfrom c2vl_kit.skeleton import *\n"
    head += "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
    tail = "\nprint((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)"
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", head + code + tail, *map(str, args)], capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    return float(done.stdout.split()[-1])


REFUSES = "\ntry: list(pyskl.read_pyskl(sys.argv[1])); sys.exit(3)\nexcept InputError as e: assert len(str(e)) < 600"


def test_bombs_stay_small(tmp_path):
    key = b"\x8c\x01a"
    bombs = {
        "memo of 2**31 places": _raw(b"Nr\xff\xff\xff\x7f0N"),
        "BINBYTES8 of 2**62": _raw(b"\x8e", struct.pack("<Q", 2**62)),
        "BYTEARRAY8 of 2**62": _raw(b"\x96", struct.pack("<Q", 2**62)),
        "LONG4 of 2**31": _raw(b"\x8b\xff\xff\xff\x7f"),
        "frame of 2**62": _raw(b"\x95", struct.pack("<Q", 2**62)),
        "tuples nested a million deep as a key": _raw(b"})", b"\x85" * 1_000_000, b"Ns"),
        "lists nested a million deep": _raw(b"]" * 1_000_000, b"a" * 999_999),
        "five million lists": _raw(b"](", b"]" * 5_000_000, b"e"),
        "marks": _raw(b"(" * 5_000_000),
        "billion laughs": _raw(b"](", key, key, b"e\x94", *(b"](h" + bytes([i]) + b"h" + bytes([i]) + b"e\x94" for i in range(60))),
        "digits": b"I" + b"9" * 3_000_000 + b"\n.",
    }
    for name, data in bombs.items():
        path = tmp_path / "bomb.pkl"
        path.write_bytes(data)
        start = time.perf_counter()
        assert limited(REFUSES, path) < 8 * len(data) / 1e6 + 30, name
        assert time.perf_counter() - start < 40, name


def test_one_array_used_a_thousand_times(tmp_path):
    big = np.ones((1, 1000, 25, 3), np.float32)
    entries = [dict(frame_dir=f"c{i}", label=0, total_frames=1000, keypoint=big) for i in range(3000)]
    path = dump(tmp_path / "again.pkl", dict(split={}, annotations=entries), 4)
    got = list(pyskl.read_pyskl(path))
    assert sum(isinstance(c, Clip) for c in got) < 20 and "again and again" in str(got[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory a process used")
def test_a_large_pickle_streams(tmp_path):
    clips = (person(f"c{i}", T=300, M=2) for i in range(600))  # 108 MB as float32
    path = pyskl.write_pyskl(clips, tmp_path / "large.pkl")
    assert path.stat().st_size > 100e6
    grown = limited("\nassert sum(isinstance(c, Clip) for c in pyskl.read_pyskl(sys.argv[1])) == 600", path)
    assert grown < 180  # the file's pages, mapped, and one clip
    assert limited("\nassert pyskl.pyskl_splits(sys.argv[1]) == {}", path) < 30


# ------------------------------------------------------------------ texts that numpy keeps


NAMES = ("clip0", "clip1", "clip2", "Übung 3")
LIKE = {  # how names may be kept -> one name, many names
    "a tuple": (str, tuple),
    "numpy's str_": (np.str_, lambda names: [np.str_(n) for n in names]),
    "an array of texts": (np.str_, np.array),
    "a big-endian array": (lambda n: np.array(n, ">U30")[()], lambda names: np.array(names, ">U30")),
    "an array of objects": (str, lambda names: np.array(names, object)),
    "an array of str_ as objects": (np.str_, lambda names: np.array([np.str_(n) for n in names], object)),
    "bytes": (lambda n: np.bytes_(n.encode()), lambda names: np.array([n.encode() for n in names], "S12")),
    "arrays without axes": (np.array, lambda names: np.array(names, "U9")),
    "long texts": (lambda n: np.str_(n + 80 * "x"), lambda names: np.array([n + 80 * "x" for n in names], "U100")),
}


def as_numpy_1(data: bytes) -> bytes:
    """The same pickle with the module names of numpy before 2."""
    for new, old in ((b"numpy._core.multiarray", b"numpy.core.multiarray"), (b"numpy._core.numeric", b"numpy.core.numeric")):
        data = data.replace(b"\x8c" + bytes([len(new)]) + new, b"\x8c" + bytes([len(old)]) + old).replace(b"c" + new, b"c" + old)
    return data[:2] + data[11:] if data[2:3] == b"\x95" else data  # without the frame, whose length changed


def pickled(one, many, protocol, name=str) -> bytes:
    """Four annotations and three splits."""
    entries = []
    for i, n in enumerate(map(name, NAMES)):
        x = person(n, COCO17, T=5, seed=i).joints.swapaxes(0, 1)
        entries.append({"frame_dir": one(n), "label": i, "keypoint": x, "total_frames": 5, "label_name": one("wave")})
    names = [name(n) for n in NAMES]
    return pickle.dumps({"split": {"train": many(names[:3]), np.str_("val"): many(names[3:])}, "annotations": entries}, protocol)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("how", LIKE)
def test_names_and_splits_of_numpy_are_data(tmp_path, how, protocol):
    one, many = LIKE[how]
    name = (lambda n: n + 80 * "x") if how == "long texts" else str
    keep = (lambda n: np.str_(n)) if how == "long texts" else one
    want, path = tmp_path / "plain.pkl", tmp_path / "a.pkl"
    want.write_bytes(pickled(str, list, 4, name))
    many = (lambda names: np.array(names, "U100")) if how == "long texts" else many
    for data in (good := pickled(keep, many, protocol, name), as_numpy_1(good)):
        path.write_bytes(data)
        names = tuple(map(name, NAMES))
        assert pyskl.pyskl_splits(path) == pyskl.pyskl_splits(want) == {"train": names[:3], "val": names[3:]}
        for a, b in zip(pyskl.read_pyskl(path, COCO17), pyskl.read_pyskl(want, COCO17), strict=True):
            same(a, b)
            assert a.label_name == "wave" and type(a.name) is str
        assert [c.name for c in pyskl.read_pyskl(path, COCO17, split="val")] == [names[3]]
    assert b"numpy.core.multiarray" in as_numpy_1(good) and b"numpy._core" not in as_numpy_1(good)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_label_files_with_names_of_numpy(tmp_path, protocol):
    clips = people()[:2]
    x = np.stack([np.nan_to_num(c.joints[:9, :1]).transpose(3, 0, 2, 1) for c in clips])
    np.save(tmp_path / "train_data.npy", x)
    for names in (np.array([c.name for c in clips]), np.array([c.name for c in clips], object), [np.str_(c.name) for c in clips]):
        dump(tmp_path / "train_label.pkl", (names, np.array([49, 0])), protocol)
        assert [c.name for c in ctrgcn.read_npy(tmp_path / "train_data.npy")] == [c.name for c in clips]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", [set, frozenset])
def test_a_set_is_refused_with_its_sentence(tmp_path, kind, protocol):
    path = dump(tmp_path / "a.pkl", dict(split={"train": kind(NAMES)}, annotations=[]), protocol)
    for reader in (pyskl.pyskl_splits, lambda p: list(pyskl.read_pyskl(p))):
        with pytest.raises(InputError) as e:
            reader(path)
        said = str(e.value)
        assert "it holds a set, which has no order" in said and "sorted(" in said and "do not trust" not in said


def test_a_defaultdict_is_a_dictionary(tmp_path):
    splits = collections.defaultdict(list, {"train": ["a"]})
    for protocol in (2, 4, 5):
        path = dump(tmp_path / "a.pkl", dict(split=splits, annotations=[annotation(people()[1])]), protocol)
        assert pyskl.pyskl_splits(path) == {"train": ("a",)}


def test_texts_that_are_none_and_places_for_numbers(tmp_path):
    entry = annotation(people()[1])
    path = tmp_path / "a.pkl"
    bad_character = np.frombuffer(struct.pack("<I", 0x110000), "<i4")  # numpy keeps 32 bits; no character has this number
    data = pickle.dumps(dict(split={"s": bad_character}, annotations=[entry]), 4).replace(b"\x8c\x02i4", b"\x8c\x02U1")
    path.write_bytes(data)
    with pytest.raises(InputError, match="bytes that are no characters"):
        pyskl.pyskl_splits(path)
    half = np.frombuffer(struct.pack("<I", 0xD800), "<i4")  # half of a character beyond the first 65,536
    path.write_bytes(pickle.dumps(dict(split={"s": half}, annotations=[entry]), 4).replace(b"\x8c\x02i4", b"\x8c\x02U1"))
    with pytest.raises(InputError, match="bytes that are no characters"):
        pyskl.pyskl_splits(path)
    for keypoint in (entry["keypoint"].astype("U8"), np.full((1, 9, 25, 3), "1", object)):
        (said,) = pyskl.read_pyskl(dump(path, [entry | dict(keypoint=keypoint)], 4))
        assert isinstance(said, InputError) and "keypoint of texts, expected numbers" in str(said)
    odd = (np.array([["a"]]), np.arange(3), "a", np.array([1, "a"], object), [1])
    for splits in (*({"s": v} for v in odd), np.array(["a"]), {1: ["a"]}):
        with pytest.raises(InputError, match="'split' that does not lead|something else than texts"):
            pyskl.pyskl_splits(dump(path, dict(split=splits, annotations=[entry]), 4))


def test_texts_make_no_bombs(tmp_path):
    names = np.array(["x"] * 300_000, "S1")  # 300 kB in the file, many times that as Python's texts
    splits = {f"s{i}": names for i in range(2000)}
    path = dump(tmp_path / "a.pkl", dict(split=splits, annotations=[annotation(people()[1])]), 4)
    assert limited("\ntry: pyskl.pyskl_splits(sys.argv[1]); sys.exit(3)\nexcept InputError as e: assert len(str(e)) < 600", path) < 60
    objects = np.array(["x"] * 300_000, object)
    path = dump(tmp_path / "b.pkl", dict(split={f"s{i}": objects for i in range(2000)}, annotations=[annotation(people()[1])]), 4)
    assert limited("\ntry: pyskl.pyskl_splits(sys.argv[1]); sys.exit(3)\nexcept InputError as e: assert len(str(e)) < 600", path) < 60


# ------------------------------------------------------------------ hostile archives


def _npz(path, how=zipfile.ZIP_STORED, **members) -> Path:
    with zipfile.ZipFile(path, "w", how) as z:
        for name, data in members.items():
            z.writestr(name + ".npy", data)
    return path


def _npy(shape, dtype="<f4", data=b"") -> bytes:
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + data


def test_archives_that_lie(tmp_path):
    y = _npy((1, 2), "<f8", np.eye(2)[:1].tobytes())
    zeros = bytes(60_000_000)
    lies = {
        "a shape of terabytes": dict(x_train=_npy((10**6, 300, 150)), y_train=y),
        "a negative shape": dict(x_train=_npy((-1, 300, 150)), y_train=y),
        "an overflowing shape": dict(x_train=_npy((2**40, 2**40, 150)), y_train=y),
        "objects": dict(x_train=_npy((1,), "|O", pickle.dumps(1)), y_train=y),
        "a header that is a program": dict(x_train=b"\x93NUMPY\x01\x00" + (9000).to_bytes(2, "little") + b"(" * 9000, y_train=y),
        "no numbers": dict(x_train=b"hello", y_train=y),
        "an empty part": dict(x_train=b"", y_train=y),
    }
    for name, members in lies.items():
        with pytest.raises(InputError) as e:
            list(ctrgcn.read_ctrgcn(_npz(tmp_path / "lie.npz", **members)))
        assert "lie.npz" in str(e.value), name
    x, joints = _npy((1, 10**5, 150), data=zeros), _npy((2 * 10**5, 25, 3), data=zeros)
    bomb = _npz(tmp_path / "bomb.npz", zipfile.ZIP_DEFLATED, x_train=x, y_train=y, joints=joints)
    packed = _npz(tmp_path / "lzma.npz", zipfile.ZIP_LZMA, x_train=_npy((1, 1, 150), data=bytes(600)), y_train=y)
    for reader, path in ((ctrgcn.read_ctrgcn, bomb), (partial(arrays.read_npz, layout=NTU25), bomb), (ctrgcn.read_ctrgcn, packed)):
        with pytest.raises(InputError):
            list(reader(path))


def test_a_flipped_bit_is_noticed_before_a_clip_leaves(tmp_path):
    clips = people()
    for compress in (False, True):
        path = ctrgcn.write_ctrgcn(clips[:2], clips[2:], tmp_path / "a.npz", frames=20, compress=compress)
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 16
        path.write_bytes(data)
        with pytest.raises(InputError, match="damaged|cut off"):
            next(ctrgcn.read_ctrgcn(path))


def test_a_frame_rate_that_is_no_number_is_refused(tmp_path):
    clip = people()[1]
    np.savez(tmp_path / "a.npz", joints=clip.joints, fps=np.nan)
    for read in (lambda: arrays.from_numpy(clip.joints, NTU25, "a", fps=np.nan), lambda: arrays.read_npz(tmp_path / "a.npz", NTU25)):
        with pytest.raises(InputError, match="nan frames per second"):
            read()


def test_read_npz_has_a_limit_by_name(tmp_path):
    path = arrays.write_npz(people()[1], tmp_path)
    with pytest.raises(InputError, match="raise limit="):
        arrays.read_npz(path, limit=1000)


# ------------------------------------------------------------------ annotations


def test_broken_annotations_do_not_stop_the_others(tmp_path):
    good, other = annotation(people()[1]), annotation(people()[2])
    x = good["keypoint"]
    changes = [
        dict(label=60), dict(label="0"), dict(label=True), dict(keypoint=None), dict(total_frames=15), dict(keypoint=x[..., :1]),
        dict(keypoint_score=np.ones((1, 3, 25))), dict(keypoint=np.full_like(x, np.inf)), dict(frame_dir="S001C001P001R001A002"),
    ]
    bad = [good | dict(frame_dir=f"bad {i}") | change for i, change in enumerate(changes)] + [7, good]
    path = dump(tmp_path / "a.pkl", dict(split={"s": [other["frame_dir"], "nobody"]}, annotations=[good, *bad, other]))
    got = list(pyskl.read_pyskl(path, classes=[str(i) for i in range(60)]))
    assert [c.name for c in got if isinstance(c, Clip)] == [good["frame_dir"], "S001C001P001R001A002", other["frame_dir"]]
    assert sum(isinstance(c, InputError) for c in got) == len(bad) - 1
    only = list(pyskl.read_pyskl(tmp_path / "a.pkl", split="s"))
    assert [type(c) for c in only][-2:] == [Clip, InputError] and "'nobody'" in str(only[-1])


def test_two_dimensional_annotations(tmp_path):
    uv = np.random.default_rng(0).uniform(1, 700, (2, 5, 17, 2)).astype(np.float32)
    uv[0, 1, 3] = 0
    entry = dict(frame_dir="v", label=1, total_frames=5, keypoint=uv, keypoint_score=np.full((2, 5, 17), 0.5, np.float32))
    (clip,) = pyskl.read_pyskl(dump(tmp_path / "a.pkl", [entry | dict(img_shape=(720, 1280))]))
    assert clip.layout == COCO17 and np.isnan(clip.joints[1, 0, 3]).all() and clip.mask.sum() == 2 * 5 * 17 - 1
    assert np.nanmax(np.abs(clip.joints[..., 1])) <= 1 and (clip.confidence == 0.5).all()
    (error,) = pyskl.read_pyskl(dump(tmp_path / "b.pkl", [entry]))
    assert isinstance(error, InputError) and "img_shape=(height, width)" in str(error)
    back = pickle.loads(pyskl.write_pyskl([clip], tmp_path / "c.pkl", img_shape=(720, 1280)).read_bytes())["annotations"][0]
    assert np.abs(back["keypoint"] - uv).max() < 1e-3 and np.array_equal(back["keypoint_score"], entry["keypoint_score"])


def test_reading_is_not_slower_than_it_looks(tmp_path):
    clips = [person(f"c{i}", T=60) for i in range(300)]
    path = pyskl.write_pyskl(clips, tmp_path / "a.pkl")
    start = time.perf_counter()
    assert sum(1 for _ in pyskl.read_pyskl(path)) == 300
    assert time.perf_counter() - start < 5




def laughs(depth=40) -> bytes:
    """A list of ten lists of ten lists …: small in the file and in memory, endless as text or as a hash."""
    parts = [b"]q\x00"] + [b"]q" + bytes([i]) + b"(" + (b"h" + bytes([i - 1])) * 10 + b"e" for i in range(1, depth)]
    return b"".join(parts)


PLACES = ["module", "function", "element type", "label", "total_frames", "img_shape", "frame_dir", "fps", "split", "top", "layout"]


@pytest.mark.parametrize("where", PLACES)
def test_endless_lists_are_not_spelled_out(tmp_path, where):
    entry = dict(frame_dir="a", label=0, total_frames=2, img_shape=(10, 10), fps=30.0, layout="coco17")
    entry["keypoint"] = np.ones((1, 2, 17, 2), np.float32)
    if where in entry:
        entry[where] = "HERE"
    text = {"split": "HERE", "annotations": [entry]} if where == "split" else "HERE" if where == "top" else [entry]
    data = pyskl.pickled(text)
    if where in ("module", "function", "element type"):
        data = {
            "module": b"](HEREX\x01\0\0\0a\x93e",
            "function": b"](X\x01\0\0\0aHERE\x93e",
            "element type": b"](cnumpy\ndtype\nHERE\x85Re",
        }[where]
    data = data.replace(pyskl.pickled("HERE"), laughs()).replace(b"HERE", laughs())
    path = tmp_path / "laughs.pkl"
    path.write_bytes(b"\x80\x04" + data + b".")
    start = time.perf_counter()
    try:
        said = [str(e) for e in pyskl.read_pyskl(path) if isinstance(e, InputError)]
    except InputError as e:
        said = [str(e)]
    assert (said and len(said[0]) < 500) or where in ("fps", "layout")
    assert time.perf_counter() - start < 5


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux how much memory a process used")
def test_an_archive_that_understates_its_size(tmp_path):
    """Deflated data of 200 MB, said to be as small as the array it begins with."""
    good = _npy((2, 25, 3), data=np.ones(150, "<f4").tobytes())
    path = _npz(tmp_path / "lie.npz", zipfile.ZIP_DEFLATED, joints=good + bytes(200_000_000))
    data = path.read_bytes()
    for size in (len(good), len(good) + 1):
        path.write_bytes(data.replace(struct.pack("<I", len(good) + 200_000_000), struct.pack("<I", size)))
        read = "\ntry: arrays.read_npz(sys.argv[1], NTU25); sys.exit(3)\nexcept InputError as e: assert 'lie.npz' in str(e)"
        assert limited(read, path) < 30


@pytest.mark.parametrize("up", ["y", "-y", "z", "-z"])
def test_axes_stay_right_handed_and_infinities_stay_visible(up):
    x = people()[1].joints.astype(float)
    clip = arrays.from_numpy(x, NTU25, "a", up=up)
    axis = {"y": 1, "z": 2}[up[-1]]
    assert np.allclose(clip.joints[..., 1], x[..., axis] * (-1 if up[0] == "-" else 1), atol=1e-6)
    turn = np.linalg.lstsq(x.reshape(-1, 3), clip.joints.reshape(-1, 3), rcond=None)[0]
    assert np.isclose(np.linalg.det(turn), 1, atol=1e-4)
    x[0, 0, 0, 0] = np.inf
    with pytest.raises(InputError, match="infinite"):
        arrays.from_numpy(x, NTU25, "a", up=up)
