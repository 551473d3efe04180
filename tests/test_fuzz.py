"""Damaged files, six hundred for each reader: always clips that pass their check, or one sentence that names the file.

The seeds come from the readers' own tests (`fuzz_seeds`), the damage and the cage from fuzz.py. A failure names seed, number and kind of
the mutation and leaves the damaged file in the test's folder. `C2VL_FUZZ=20` makes twenty times as many mutations.
"""

import ctypes
import importlib
import inspect
import json
import os
import pkgutil
import re
import shutil
import time
from collections import Counter
from functools import partial

import numpy as np
import pytest
from fuzz import BYTES, GROUPS, Job, Limits, Mutation, Tally, clips_of, fuzz, fuzz_all, groups_for, hostile_pickles, mutation

import c2vl_kit.readers
from c2vl_kit.readers import ntu, ntu_fast
from c2vl_kit.readers.kinect import read_nwucla, write_nwucla
from c2vl_kit.readers.pku import read_pku_split
from c2vl_kit.core import InputError
from c2vl_kit.skeleton import KINECT20, NTU25, Clip

SHARE = int(os.environ.get("C2VL_FUZZ", "1"))
MUTATIONS = 600 * SHARE  # for each reader, shared among its seeds
MODULES = ("test_formats_ntu", "test_kinect", "test_mocap", "test_driveact", "test_exchange")
BYTE_DAMAGE = {f.__name__ for f in BYTES}


# ---------------------------------------------------------------- what a format itself says, so that damage to it must be noticed


def same(first, clips) -> bool:
    """Whether the clips are among those of the undamaged file, number for number."""
    return {(c.name, c.digest) for c in clips} <= {(c.name, c.digest) for c in first}


def noticed(original: bytes, first, m: Mutation, clips) -> str | None:
    """Formats with an end or a checksum: damaged bytes give the same clips or none."""
    if not clips or same(first, clips):
        return None
    kinds = set(m.kind.split("+"))
    packed = original[:2] == b"PK" or (original[124:128] == b"\x00\x01IM" and original[128:132] == b"\x0f\0\0\0")
    if packed and kinds <= BYTE_DAMAGE:
        return "damaged bytes under a checksum gave another clip"
    ended = packed or original[:1] in (b"\x80", b"{")
    if ended and kinds == {"truncate"}:
        return "a file without its end gave another clip"
    return None


def first_number(pattern: bytes):
    """Formats that say their number of frames: a clip has as many."""

    def law(original, first, m, clips):
        if (said := noticed(original, first, m, clips)) or not clips:
            return said
        found = re.search(pattern, m.data)
        if found is None or int(found[1]) != clips[0].T:
            return f"the file says {found and found[1][:30]} frames, the clip has {clips[0].T}"
        return "a file without its end gave another clip" if m.kind == "truncate" and not same(first, clips) else None

    return law


def json_frames(original, first, m, clips):
    """As many frames as the json holds."""
    if (said := noticed(original, first, m, clips)) or not clips:
        return said
    try:
        n = len(json.loads(m.data)["skeletons"])
    except (ValueError, TypeError, LookupError):
        return "a clip out of what is no such json"
    return None if n == clips[0].T else f"{n} frames in the json, {clips[0].T} in the clip"


def unmarked(data: bytes) -> bytes:
    """Without byte-order marks at the beginning, which are no part of a text."""
    return re.sub(rb"^(?:\xef\xbb\xbf)+", b"", data)


def lines_each(pattern: bytes, lines: int):
    """Formats of so many matching lines a frame: no line is lost or read twice."""

    def law(original, first, m, clips):
        if (said := noticed(original, first, m, clips)) or not clips:
            return said
        n = sum(re.fullmatch(pattern, line.strip()) is not None for line in unmarked(m.data).split(b"\n"))
        return None if n == lines * clips[0].T else f"{n} lines in the file, {clips[0].T} frames in the clip"

    return law


def label_lines(original, first, m, clips):
    """PKU-MMD: the clip of line L is as long as that line says, and of its class."""
    lines = [line for line in unmarked(m.data).split(b"\n") if line.strip()]
    for c in clips:
        label, start, end = (int(v) for v in lines[int(c.name.rpartition("L")[2]) - 1].split(b",")[:3])
        if (c.T, c.label) != (end - start + 1, label - 1):
            return f"{c.name} has {c.T} frames and label {c.label}, its line says {start} to {end} and class {label}"
    return None


WRAPPED = {  # what the readers of the seeds read
    "columns": "read_ntu_columns",
    "_amc_of": "read_asf",
    "pku_split": "read_pku_split",
    "_by_labels": "read_npy, labels",
    "_by_table": "read_driveact, table",
    "read_pku_by_labels": "read_pku, labels",
    "read_ntu_both_ways": "read_ntu, both ways",
}
NAMED_INSIDE = {"read_pyskl", "read_ctrgcn", "read_npz", "read_npy"}  # the file says how its clips are called
LAWS = {
    "read_ntu": first_number(rb"^(?:\xef\xbb\xbf)*\s*(\d+)"),
    "read_ntu_both_ways": first_number(rb"^(?:\xef\xbb\xbf)*\s*(\d+)"),
    "read_bvh": first_number(rb"Frames:\s*(\d+)"),
    "read_nwucla": json_frames,
    "read_msr": lines_each(rb".+", 20),
    "read_sbu": lines_each(rb".+", 1),
    "read_amc": lines_each(rb"\d+", 1),
    "read_pku_by_labels": label_lines,
}


# ---------------------------------------------------------------- every reader


def reader_name(reader) -> str:
    while isinstance(reader, partial):
        reader = reader.func
    return reader.__name__


def seeds_of(module: str, folder) -> list:
    """(file, reader) pairs of one test module, each file in its own folder."""
    folder.mkdir(parents=True)
    return (importlib.import_module(module).fuzz_seeds if isinstance(module, str) else module)(folder)


def seeds_of_reader(pairs) -> Counter:
    return Counter(reader_name(r) for _, r in pairs)


@pytest.fixture(scope="module", autouse=True)
def compiled():
    """The scanner for NTU files, compiled before any child is forked, which could not load the compiler in its cage."""
    return ntu_fast.scanner.load()


def read_ntu_both_ways(path):
    """The compiled scanner and the careful reader give the same clip, or the same sentence."""
    answers = []
    for scan in (ntu_fast.scanner.load(), None):
        before, ntu_fast.scanner = ntu_fast.scanner, lambda scan=scan: scan
        try:
            answers.append(ntu.read_ntu(path))
        except InputError as e:
            answers.append(e)
        finally:
            ntu_fast.scanner = before
    fast, slow = (a.digest if isinstance(a, Clip) else str(a) for a in answers)
    assert fast == slow, f"{fast}, and read carefully {slow}"
    if isinstance(answers[0], InputError):
        raise answers[0]
    return answers[0]


def ntu_both_ways(folder):
    (folder / "ntu").mkdir(parents=True)
    x = np.random.default_rng(0).normal(0, 0.3, (3, 2, 25, 3)).astype(np.float32)
    x[1, 1] = np.nan
    return [(ntu.write_ntu(Clip("S001C001P001R001A050", x, NTU25), folder / "ntu"), read_ntu_both_ways)]


def pku_split(path):
    """`read_pku_split` as a reader of clips."""
    train, test = read_pku_split(path)
    assert train and test and not set(train) & set(test)
    return Clip(path.stem, np.ones((1, 1, 25, 3), np.float32), NTU25)


def lists(folder):
    (folder / "cross-subject.txt").write_text("Training videos:\nA01N01-L, A01N01-M, A01N02-R\nTest videos:\nA02N03-L, A02N03-M,\n")
    return [(folder / "cross-subject.txt", pku_split)]


SEEN = {}  # reader -> (Tally, groups of damage its files must have been tried with); told at the end of the run
LEAST = 10  # mutations of each group


def table() -> str:
    """What every reader was tried with, and what it answered."""
    heads = ("mutations", *GROUPS, "a clip", "refused", "slowest ms", "memory MB")
    lines = [f"{'reader':20} " + " ".join(f"{h:>11}" for h in heads)]
    for name, (t, groups) in sorted(SEEN.items()):
        cells = [t.kinds[""], *(t.kinds[g] if g in groups else "-" for g in GROUPS), t.clips, t.refused]
        cells += [f"{1000 * t.slowest:.0f}", f"{t.grown / 2**20:.0f}"]
        lines.append(f"{name:20} " + " ".join(f"{c:>11}" for c in cells))
    return "\n".join(lines)


@pytest.fixture(scope="module", autouse=True)
def told(at_the_end):
    yield
    if SEEN:
        at_the_end("damaged files", table())


@pytest.mark.parametrize("module", (*MODULES, ntu_both_ways, lists))
def test_no_damaged_file_breaks_a_reader(module, tmp_path):
    """At least 600 mutations for each reader, of every group that its kind of file can suffer."""

    def tell(job, tally):
        name = reader_name(job.reader)
        name = WRAPPED.get(name, name)
        seen, groups = SEEN.get(name, (Tally(), set()))
        SEEN[name] = seen.add(tally), groups | groups_for(job.path.read_bytes())

    pairs = seeds_of(module, tmp_path / "seeds")
    count = {name: max(150, -(-MUTATIONS // n)) for name, n in seeds_of_reader(pairs).items()}
    jobs = []
    for n, (path, reader) in enumerate(pairs):
        name = reader_name(reader)
        jobs.append(Job(path, reader, count[name], tmp_path / "seeds", str(n), name not in NAMED_INSIDE, LAWS.get(name, noticed)))
    failures = [f for found in fuzz_all(jobs, tmp_path, tell=tell).values() for f in found]
    assert not failures, f"{len(failures)} failures\n" + "\n".join(map(str, failures[:30]))
    for name in {WRAPPED.get(n, n) for n in count}:
        tally, groups = SEEN[name]
        assert tally.kinds[""] >= MUTATIONS and tally.clips + tally.refused == tally.kinds[""], (name, tally)
        assert {"cut off", "flipped", "inserted", "huge counts", "NaN"} <= groups, (name, groups)
        assert min(tally.kinds[g] for g in groups) >= LEAST * SHARE, (name, tally.kinds)


FREE_NAMES = {
    "read_sysu",
    "read_bvh",
    "read_amc",
    "_amc_of",
    "read_npz",
    "read_csv",
    "read_npy",
    "_by_labels",
}  # clips are called as files are
ODD_NAMES = {
    "digits of another script": lambda name: name.translate({48 + d: 0x660 + d for d in range(10)}),
    "two lines": lambda name: f"a\n{name}",
    "no ending": lambda name: name.split(".")[0],
    "capitals": str.upper,
    "blanks": lambda name: f" {name}",
    "braces and percent": lambda name: "{0}%s" + name,
    "very long": lambda name: "x" * 200 + name,
    "no characters": lambda name: os.fsdecode(b"\xff\xfe" + name.encode()),
}


@pytest.mark.parametrize("module", MODULES)
def test_odd_file_names(module, tmp_path):
    """A good file under another name: a clip that knows what the name says, or a sentence."""
    for n, (path, reader) in enumerate(seeds_of(module, tmp_path / "seeds")):
        first = clips_of(reader(path), 100)
        for what, change in ODD_NAMES.items():
            other = path.with_name(change(path.name))
            if other.exists():
                continue
            shutil.copy(path, other)
            try:
                clips = clips_of(reader(other), 100)
            except InputError as e:
                assert str(e), (path.name, what)
                continue
            finally:
                other.unlink()
            for clip in clips:
                facts = [(clip.subject, clip.camera, clip.setup) for clip in (clip, *first) if isinstance(clip, Clip)]
                assert not isinstance(clip, Clip) or clip.check() and facts[0] in ((None, None, None), *facts[1:]), (
                    n,
                    path.name,
                    what,
                    clip,
                )
                assert reader_name(reader) in FREE_NAMES or clip.name.isascii(), (n, path.name, what, clip)



# steps that readers share: they take bytes, lines or files already opened, and are fuzzed through the readers
STEPS = {"read_blocks", "read_bytes", "read_motion", "read_recording", "read_table", "read_text", "read_together"}
DOORS = {"read_any", "read_archive", "read_json", "read_mat", "read_skeleton", "read_txt"}  # damaged in test_predict.py
DOORS |= {"read_poses"}  # damaged in test_poses.py


def test_every_reader_is_fuzzed(tmp_path):
    """Every `read_…` of the reader rooms stands among the seeds."""
    pairs = [pair for n, m in enumerate((*MODULES, lists)) for pair in seeds_of(m, tmp_path / str(n))]
    fuzzed = {WRAPPED.get(name, name) for name in seeds_of_reader(pairs)}
    readers = set()
    for room in pkgutil.iter_modules(c2vl_kit.readers.__path__):
        module = importlib.import_module(f"c2vl_kit.readers.{room.name}")
        functions = [(n, f) for n, f in vars(module).items() if n.startswith("read_") and inspect.isfunction(f)]
        readers |= {n for n, f in functions if f.__module__ == module.__name__}
    readers -= {"read_all", *STEPS, *DOORS}
    assert readers <= fuzzed, sorted(readers - fuzzed)


# ---------------------------------------------------------------- the cage catches what it must


def good_file(folder):
    """A small NW-UCLA file in a folder of its own."""
    (folder / "good").mkdir()
    x = np.random.default_rng(0).normal(0, 0.3, (2, 1, 20, 3)).round(3).astype(np.float32)
    return write_nwucla(Clip("a01_s01_e00_v01", x, KINECT20, label=0), folder / "good")


def when_damaged(misdeed, good: bytes):
    """A reader that reads the good file well, and does `misdeed(path, clip or None, error or None)` with others."""

    def reader(path):
        if path.read_bytes() == good:
            return read_nwucla(path)
        try:
            clip, error = read_nwucla(path), None
        except InputError as e:
            clip, error = None, e
        return misdeed(path, clip, error)

    return reader


def forever(*_):
    while True:
        pass


def hoard(*_):
    np.ones(14 << 20)
    return np.ones(1)


def huge(*_):
    return np.ones(1 << 40)


def shout(path, clip, error):
    raise InputError(f"{path} is bad.\nVery bad.")


def mumble(path, clip, error):
    raise InputError("something is wrong.")


def raise_(error):
    raise error


def is_far(path, clip, error):
    return Clip(path.stem, np.full((1, 1, 20, 3), np.float32(1000)), KINECT20)


def long_clip(path, clip, error):
    return Clip(path.stem, np.ones((30_000, 1, 20, 3), np.float32), KINECT20)


BAD = {
    "raised KeyError": lambda *_: {}["x"],
    "raised SystemExit": lambda *_: raise_(SystemExit(3)),
    "raised RecursionError": lambda *_: eval("f(f)", {"f": lambda f: f(f)}),
    "of processor time": forever,
    "hung for": lambda *_: time.sleep(60),
    "killed the process (SIGSEGV)": lambda *_: ctypes.string_at(0),
    "ended the process": lambda *_: os._exit(0),
    "memory grew by": hoard,
    "MemoryError": huge,
    "several lines": shout,
    "names no file": mumble,
    "may: open": lambda path, *_: (path.parent.parent / "out").write_text("x"),
    "may: os.system": lambda *_: os.system("true"),
    "may: os.mkdir": lambda path, *_: (path.parent / "new").mkdir(),
    "returned NoneType": lambda *_: None,
    "gave a int": lambda *_: [1],
    "neither a clip": lambda *_: [],
    "fails its check": is_far,
    "from": long_clip,
    "is named 'other'": lambda path, clip, error: Clip("other", np.ones((1, 1, 20, 3), np.float32), KINECT20),
    "two clips of one name": lambda path, *_: [Clip(path.stem, np.ones((1, 1, 20, 3), np.float32), KINECT20)] * 2,
    "warned: overflow": lambda path, *_: (np.full(1, 1e99).astype(np.float32), read_nwucla(path))[1],
    "has the label True": lambda path, *_: Clip(path.stem, np.ones((1, 1, 20, 3), np.float32), KINECT20, label=True),
    "frames in the json": lambda path, clip, error: raise_(error) if error else clip.replace(joints=clip.joints[:1]),
}


@pytest.mark.parametrize("what", BAD)
def test_the_cage_catches(what, tmp_path):
    limits = Limits(seconds=0.3, wall=0.5 if "hung" in what else 30, memory=32 << 20)
    good = good_file(tmp_path)
    job = Job(good, when_damaged(BAD[what], good.read_bytes()), 40, law=json_frames, limits=limits)
    failures = fuzz(job, tmp_path, most=2)
    assert failures and any(what in f.what for f in failures), "\n".join(map(str, failures))
    first = failures[0]
    assert first.saved.read_bytes() == first.mutation.data == mutation(job.path.read_bytes(), job.seed, first.mutation.index).data
    assert len(list(tmp_path.iterdir())) == 2  # the seed's folder and the failures; nothing a bad reader wrote


def test_damage_is_the_same_every_time(tmp_path):
    data = good_file(tmp_path).read_bytes()
    twice = [[mutation(data, "7", i) for i in order] for order in (range(300), range(299, -1, -1))]
    assert twice[0] == twice[1][::-1]
    assert len({m.data for m in twice[0]}) > 250 and len({m.kind for m in twice[0]}) > 30
    assert mutation(data, "8", 0) != mutation(data, "7", 0)


def test_hostile_pickles_are_many():
    assert len(set(hostile_pickles())) > 80 and any(b"system" in p for p in hostile_pickles())
