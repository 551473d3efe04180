"""A store that is killed, locked out, interrupted, starved: the next build continues, and the bytes are those of an unbroken one."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from c2vl_kit.data import loader
from c2vl_kit.data import build as builds
from c2vl_kit.readers.ntu import write_ntu
from c2vl_kit.data.loader import ClipSet
from c2vl_kit.data.build import build_store
from c2vl_kit.data.store import Store
from c2vl_kit.data.streams import stream
from c2vl_kit.data.pipelines import Pipeline
from c2vl_kit.evaluate.features import extract, raw_features
from c2vl_kit.models.stgcn import STGCN
from c2vl_kit.core import InputError
from c2vl_kit.skeleton import KINECT20, NTU25, Clip
from c2vl_kit.train.task import Task, seeded
from c2vl_kit.train.config import TrainConfig
from c2vl_kit.train.trainer import Trainer
from slow_readers import made, slow

HERE = Path(__file__).resolve().parent
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")


# ---------------------------------------------------------------- a process to kill


BUILD = """
import resource, sys
from functools import partial
from pathlib import Path
sys.path[:0] = [{here!r}, {root!r}]
import slow_readers
from c2vl_kit.core import InputError
from c2vl_kit.data import build as builds
builds.JOURNAL_EVERY = 0.05
files = sorted(Path({raw!r}).iterdir())
if {limit}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, -1))
print("ready", flush=True)
try:
    made, report = builds.build_store({out!r}, files, {reader}, "ntu60", workers={workers})
    print(made.checksum)
except InputError as e:
    print(e)
    sys.exit(2)
"""


def build(raw, out, reader="slow_readers.slow", workers=2, limit=0) -> subprocess.Popen:
    """A process that builds; it has printed `ready` when this returns."""
    code = BUILD.format(here=str(HERE), root=str(HERE.parent), raw=str(raw), out=str(out), reader=reader, workers=workers, limit=limit)
    job = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert job.stdout.readline() == "ready\n", job.stderr.read()
    return job


def wait_for(true, seconds=120):
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def progress_of(out) -> int:
    """Files that the unfinished build of `out` has done."""
    journal = out.with_name(out.name + ".partial") / "journal"
    lines = journal.read_bytes().splitlines(keepends=True)[1:] if journal.exists() else []
    whole = [line for line in lines if line.endswith(b"\n")]
    return json.loads(whole[-1])["done"] if whole else 0


def family(pid) -> list[int]:
    """A process and all that descend from it."""
    parents = {}
    for p in Path("/proc").iterdir():
        if p.name.isdecimal():
            try:
                parents[int(p.name)] = int((p / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """1,000 small files, one of them broken."""
    folder = tmp_path_factory.mktemp("raw")
    for i in range(999):
        write_ntu(made(f"S001C001P{1 + i // 60:03}R{1 + i % 5:03}A{1 + i % 60:03}", T=1 + i % 3, M=1 + i % 2, seed=i), folder)
    (folder / "S009C001P001R001A001.skeleton").write_text("5\n1\n")
    return folder


@pytest.fixture(scope="module")
def unbroken(raw, tmp_path_factory):
    """The store that every interrupted build must come to."""
    out, reader = tmp_path_factory.mktemp("unbroken") / "s", partial(slow, wait=0, extra=1)
    return build_store(out, sorted(raw.iterdir()), reader, "ntu60", progress=False)[0]


def same_bytes(a: Path, b: Path):
    """Two stores are equal to the byte."""
    assert sorted(p.name for p in a.iterdir()) == sorted(p.name for p in b.iterdir())
    for p in a.iterdir():
        assert p.read_bytes() == (b / p.name).read_bytes(), p.name


READER = "partial(slow_readers.slow, extra=1)"


# ---------------------------------------------------------------- killed, interrupted, starved


@on_linux
def test_ten_kills_at_random_moments(raw, unbroken, tmp_path):
    """kill -9 of the building process, ten times and more; each build goes on where the last one was, and none leaves a process behind."""
    out, rnd, done, heirs = tmp_path / "s", random.Random(0), [0], []
    while len(done) <= 10 or done[-1] <= 20 and len(done) < 40:  # on a busy machine ten may be killed before they come to much
        job = build(raw, out, READER)
        time.sleep(rnd.uniform(0.1, 0.5))
        heirs += family(job.pid)[1:]
        job.kill()
        job.wait(120)
        assert not out.exists()
        done.append(progress_of(out))
    assert done == sorted(done) and done[-1] > 20, done
    said, spoken = build(raw, out, READER).communicate(timeout=300)
    assert said.strip() == unbroken.checksum and f"continuing a build that was stopped: {done[-1]:,} of 1,000 files are done" in spoken
    same_bytes(out, unbroken.path)
    assert [p.name for p in tmp_path.iterdir()] == ["s"]
    assert len(Store.open(out)) > 999 and len(json.loads((out / "report.json").read_text())["quarantined"]) == 1
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in heirs), 60)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_keeps_what_was_read_and_says_so(raw, unbroken, tmp_path, workers):
    out = tmp_path / "s"
    job = build(raw, out, READER, workers)
    wait_for(lambda: progress_of(out) > 10)
    job.send_signal(signal.SIGINT)
    said = job.communicate(timeout=120)[1].strip().splitlines()[-1]
    kept = r"KeyboardInterrupt: stopped; (\d+) of 1,000 files are kept in .*s\.partial, and the same call goes on from there\."
    n = int(re.fullmatch(kept, said)[1])
    assert progress_of(out) == n > 10 and not out.exists()
    assert build(raw, out, READER, 3 - workers).communicate(timeout=300)[0].strip() == unbroken.checksum  # other workers, same job
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_a_full_disk_is_one_sentence_and_keeps_what_was_read(raw, unbroken, tmp_path):
    """A limit on the size of files stands for the disk."""
    out = tmp_path / "deep" / "s"
    job = build(raw, out, READER, limit=100_000)
    said, spoken = job.communicate(timeout=300)
    assert job.returncode == 2 and "Traceback" not in spoken
    assert said.strip() == f"{out} cannot be written (file too large); make room, and the same call goes on from what is kept."
    assert progress_of(out) > 10
    assert build(raw, out, READER).communicate(timeout=300)[0].strip() == unbroken.checksum


def test_nothing_is_kept_where_nothing_was_read(raw, tmp_path):
    job = build(raw, tmp_path / "deep" / "s", limit=100)
    said, _ = job.communicate(timeout=300)
    assert "cannot be written (file too large); choose another place or make room." in said and not list(tmp_path.iterdir())


def stopped_build(raw, out) -> int:
    """A build that was killed half-way; how many files it has done."""
    job = build(raw, out, READER)
    wait_for(lambda: progress_of(out) > 30)
    job.kill()
    job.communicate(timeout=120)
    return progress_of(out)


def test_damage_to_what_a_kill_left(raw, unbroken, tmp_path):
    """A torn last line is ignored, what lies beyond the journal is cut off, arrays that were cut start the build anew."""
    reader, files, out = partial(slow, extra=1), sorted(raw.iterdir()), tmp_path / "s"
    stopped_build(raw, out)
    with open(tmp_path / "s.partial/journal", "ab") as f:
        f.write(b'{"done":999,"at":')
    with open(tmp_path / "s.partial/store/joints.npy", "ab") as f:
        f.write(b"rubbish")
    assert build_store(out, files, reader, "ntu60", progress=False, workers=2)[0].checksum == unbroken.checksum
    stopped_build(raw, tmp_path / "t")
    os.truncate(tmp_path / "t.partial/store/joints.npy", 1000)
    assert build_store(tmp_path / "t", files, reader, "ntu60", progress=False, workers=2)[0].checksum == unbroken.checksum


def test_another_job_starts_anew(raw, tmp_path, capfd):
    """Other options of the reader, other sources, a source that was touched: nothing of the stopped build is used."""
    files, fast, out = sorted(raw.iterdir()), partial(slow, wait=0, extra=1), tmp_path / "s"
    stopped_build(raw, out)
    few, report = build_store(out, files[:40], partial(slow, extra=1), "ntu60")
    assert report.found == len(few) >= 40 and "of other sources or options" in capfd.readouterr().err
    assert few.checksum == build_store(tmp_path / "few", files[:40], fast, "ntu60", progress=False)[0].checksum
    job = [builds.job_identity([builds.stamp(f) for f in files], fast, "ntu60", None)]
    job.append(builds.job_identity([builds.stamp(f) for f in files], fast, "ntu120", None))
    job.append(builds.job_identity([builds.stamp(f) for f in files], fast, "ntu60", NTU25))
    job.append(builds.job_identity([builds.stamp(f) for f in files], partial(slow, wait=0), "ntu60", None))
    os.utime(files[7])
    job.append(builds.job_identity([builds.stamp(f) for f in files], fast, "ntu60", None))
    assert len(set(job)) == len(job)


def test_a_companion_that_changed_is_another_job(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("1")
    reader = partial(slow, extra=tmp_path / "labels")
    before = builds.job_identity([], reader, "", None)
    assert before == builds.job_identity([], partial(slow, extra=tmp_path / "labels"), "", None)
    (tmp_path / "labels/b.txt").write_text("2")
    assert before != builds.job_identity([], reader, "", None)


def test_two_processes_do_not_build_one_store(raw, unbroken, tmp_path):
    out = tmp_path / "s"
    first = build(raw, out, READER)
    wait_for(lambda: progress_of(out) > 5)
    second = build(raw, out, READER)
    said, spoken = second.communicate(timeout=120)
    assert second.returncode == 2 and "Traceback" not in spoken
    assert said.strip() == f"{out} is being built by another process ({first.pid}); wait until it has finished, or stop it."
    assert first.communicate(timeout=300)[0].strip() == unbroken.checksum
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_two_threads_do_not_build_one_store(tmp_path):
    going, go_on = threading.Event(), threading.Event()

    def clips():
        yield made("one")
        going.set()
        go_on.wait(120)

    job = threading.Thread(target=lambda: build_store(tmp_path / "s", clips(), progress=False))
    job.start()
    going.wait(120)
    with pytest.raises(InputError, match="is being built by another process"):
        build_store(tmp_path / "s", [made("two")], progress=False)
    go_on.set()
    job.join()
    assert Store.open(tmp_path / "s").names == ("one",)


def test_a_folder_that_no_build_made_is_left_alone(tmp_path):
    (tmp_path / "s.partial").mkdir()
    (tmp_path / "s.partial/journal.txt").write_text("dear diary")
    with pytest.raises(InputError, match="no build made it; move it away"):
        build_store(tmp_path / "s", [made("one")], progress=False)
    assert (tmp_path / "s.partial/journal.txt").read_text() == "dear diary"


def test_a_kill_after_the_last_rename_leaves_a_store(raw, unbroken, tmp_path):
    """All that is left to do then is to clean up."""
    out = tmp_path / "s"
    stopped_build(raw, out)
    os.replace(tmp_path / "s.partial/store", tmp_path / "elsewhere")
    with pytest.raises(InputError, match="nothing to build"):
        build_store(out, [], progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["elsewhere"]
    os.replace(tmp_path / "elsewhere", out)
    (tmp_path / "s.partial").mkdir()
    (tmp_path / "s.partial/lock").write_text("1")  # killed while it cleaned up
    with pytest.raises(InputError):
        build_store(out, [made("one")], progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_a_stop_at_the_very_end_loses_nothing(raw, unbroken, tmp_path, monkeypatch):
    """All files are read, the arrays are closed, the table is not written yet."""
    files, reader = sorted(raw.iterdir()), partial(slow, wait=0, extra=1)

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(builds, "write_json_atomic", stopped)
        with pytest.raises(KeyboardInterrupt, match="1,000 of 1,000 files are kept"):
            build_store(tmp_path / "s", files, reader, "ntu60", progress=False)
    monkeypatch.setattr(builds, "read_all", lambda paths, *_: (_ for _ in paths))  # would fail on any file
    assert build_store(tmp_path / "s", files, reader, "ntu60", progress=False)[0].checksum == unbroken.checksum


def test_a_file_given_twice_and_a_reader_that_finds_nothing(raw, tmp_path):
    files = sorted(raw.iterdir())[:4]
    made_, report = build_store(tmp_path / "s", [files[0], files[0], files[1], files[0]], partial(slow, wait=0), progress=False)
    assert len(made_) == 2 and report.found == 4 and [k.count("(again)") for k in report.quarantined] == [0, 1]


@on_linux
def test_a_build_streams_through_memory(tmp_path):
    """315 MB of clips pass through all processes together with less than that."""
    for i in range(1400):
        (tmp_path / f"c{i:05}").touch()
    (tmp_path / "raw").mkdir()
    for p in tmp_path.glob("c*"):
        p.rename(tmp_path / "raw" / p.name)
    job, peak = build(tmp_path / "raw", tmp_path / "s", "slow_readers.large"), 0
    while job.poll() is None:
        total = 0
        for pid in family(job.pid):
            try:
                total += int(re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024
            except (OSError, TypeError):
                continue
        peak = max(peak, total)
        time.sleep(0.02)
    assert job.returncode == 0 and len(Store.open(tmp_path / "s", verify=False)) == 1400
    assert 0 < peak < 400e6, f"{peak / 1e6:.0f} MB"


# ---------------------------------------------------------------- access


def test_a_clip_of_a_large_store_costs_microseconds(tmp_path):
    x, conf = made("x", T=20).joints, np.ones((20, 1, 25), np.float32)
    clips = (Clip(name=f"n{i}", joints=x, layout=NTU25, confidence=conf) for i in range(20_000))
    path = build_store(tmp_path / "s", clips, progress=False)[0].path
    start = time.perf_counter()
    opened = Store.open(path, verify=False)
    assert time.perf_counter() - start < 1.5
    took = []
    for name in random.Random(0).sample(opened.names, 2000):
        start = time.perf_counter()
        clip = opened[name]
        took.append(time.perf_counter() - start)
    assert np.median(took) < 50e-6, np.median(took)
    for part in (clip.joints, clip.confidence):
        with pytest.raises(ValueError):
            part[0] = 0
    assert " MB, 4% of the array padded to 2 × 300 frames" in opened._repr_markdown_()


# ---------------------------------------------------------------- loader: streamed is resident


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    clips = [made(f"k{i:03}", T=2 + i % 17, M=1 + i % 2, seed=i, layout=KINECT20, label=i % 4) for i in range(150)]
    return build_store(tmp_path_factory.mktemp("shelf") / "store", clips, dataset="toy", progress=False)[0]


def equal(a, b):
    """Two batches are the same, bit for bit."""
    assert a.names == b.names
    return all(torch.equal(getattr(a, k), getattr(b, k)) for k in ("x", "present", "index", "frames_raw"))


def test_streamed_is_resident(shelf, tmp_path):
    how = dict(frames=16, persons=2, pipeline="facing", progress=False)
    whole = ClipSet.load(shelf, shelf.names, **how)
    assert whole.resident and whole.file is None
    for workers in (1, 2):
        shared = ClipSet.load(shelf, shelf.names, resident=True, workers=workers, **how)
        mapped = ClipSet.load(shelf, shelf.names, resident=False, workers=workers, folder=tmp_path / str(workers), **how)
        assert not mapped.resident and len(list((tmp_path / str(workers)).iterdir())) == 2
        assert torch.equal(whole.x, shared.x) and torch.equal(whole.x, mapped.x) and torch.equal(whole.present, mapped.present)
        for seed, epoch, size, drop in ((0, 0, 32, True), (3, 7, 64, False), (3, 8, 1000, True)):
            pairs = list(zip(*(c.batches(size, seed, epoch, drop) for c in (whole, mapped)), strict=True))
            assert pairs and all(equal(a, b) for a, b in pairs)
        assert equal(whole.take([5, 3, 149]), mapped.take(torch.tensor([5, 3, 149])))
        np.testing.assert_array_equal(raw_features(whole).x, raw_features(mapped).x)
    assert not hasattr(mapped, "labels") and not hasattr(mapped.take([0]), "labels")


def test_frames_raw(shelf, tmp_path, monkeypatch):
    """Every batch says how long its clips were when they were recorded, resident and streamed, whole and in parts."""
    long = dict(zip(shelf.names, shelf.column("T").tolist()))
    some = shelf.names[100:20:-1]
    for resident in (True, False):
        clips = ClipSet.load(shelf, some, 8, 2, pipeline="B", resident=resident, folder=tmp_path, progress=False)
        assert clips.frames_raw.dtype == torch.int64 and clips.frames_raw.tolist() == [long[n] for n in some]
        for b in clips.batches(32, 1, 2, drop_last=False):
            assert b.frames_raw.tolist() == [long[n] for n in b.names]
        assert clips.take([7, 3]).frames_raw.tolist() == [long[some[7]], long[some[3]]]
        assert clips.subset(some[9:4:-1]).take([1]).frames_raw.tolist() == [long[some[8]]]
        assert clips.to("cpu").frames_raw is not None
        moved = stream(b.x, clips.layout, "motion", b.frames_raw)
        torch.testing.assert_close(moved[0], stream(b.x, clips.layout, "motion")[0] * 8 / long[b.names[0]])
    monkeypatch.setattr(loader, "fits_in_memory", lambda *size: False)
    part = clips.subset(some[:5])  # of a streamed set that does not fit, in a file of its own
    assert part.file is not None and part.frames_raw.tolist() == [long[n] for n in some[:5]]


def test_prepared_files_of_before(shelf, tmp_path):
    """The counts come from the store: a file that was prepared by an earlier version is opened as it is, not made again."""
    how = dict(frames=8, persons=2, resident=False, folder=tmp_path, progress=False)
    file = ClipSet.load(shelf, shelf.names, **how).file
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([file.name, file.with_suffix(".present.npy").name])
    before = file.stat().st_mtime_ns
    again = ClipSet.load(shelf, shelf.names, **how)
    assert file.stat().st_mtime_ns == before and again.frames_raw.tolist() == shelf.column("T").tolist()


def test_a_set_without_counts(shelf):
    """A set made by hand knows none, and neither do its batches."""
    made = loader.ClipSet(torch.zeros(4, 3, 2, 20, 1), torch.ones(4, 1, dtype=torch.bool), tuple("abcd"), KINECT20, 2, "centre")
    assert made.take([0]).frames_raw is None and made.subset("ba").frames_raw is None and made.to("cpu").frames_raw is None
    streamed = replace(made, goes_to=torch.device("cpu"))
    assert [b.frames_raw for b in streamed.batches(2, 0, 0)] == [None, None]


class Alike(Task):
    """Two noisy views of a clip should look alike: enough to train on."""

    def loss(self, batch, progress, generator):
        noise = [0.02 * torch.randn(batch.x.shape, generator=generator) for _ in range(2)]
        a, b = (torch.nn.functional.normalize(self.encoder(batch.x + n, batch.present), dim=1) for n in noise)
        return torch.nn.functional.cross_entropy(a @ b.T / 0.1, torch.arange(len(a))), {}


def test_training_on_a_streamed_set_is_the_same_training(shelf, tmp_path):
    """Loss for loss, weight for weight, feature for feature."""
    runs = []
    for resident in (True, False):
        clips = ClipSet.load(shelf, shelf.names[:64], 8, 2, resident=resident, folder=tmp_path, progress=False)
        with seeded(0, "init"):
            task = Alike(STGCN(KINECT20, width=4, dim=16))
        trainer = Trainer(task, clips, TrainConfig(epochs=2, batch_size=32, warmup_epochs=1, threads=1, device="cpu"), progress=False)
        trainer.fit()
        runs.append(([r["loss"] for r in trainer.history], task.state_dict(), extract(task.encoder, clips).x))
    (losses, weights, x), (same, others, y) = runs
    assert losses == same and all(torch.equal(weights[k], others[k]) for k in weights) and np.array_equal(x, y)


def test_auto_streams_what_does_not_fit(shelf, monkeypatch):
    free = {"bytes": 10**12}
    monkeypatch.setattr(loader, "free_memory", lambda device: free["bytes"])
    monkeypatch.setattr(loader, "SMALL_SET", 0)
    assert ClipSet.load(shelf, shelf.names, 8, progress=False).resident
    free["bytes"] = 10**6
    tight = ClipSet.load(shelf, shelf.names, 30, progress=False)
    assert not tight.resident and tight.file.parent == shelf.path.parent / "prepared"
    small, large = tight.subset(shelf.names[7:9][::-1]), tight.subset(shelf.names[::-1][:140])
    assert small.resident and not large.resident and large.file != tight.file
    whole = ClipSet.load(shelf, shelf.names, 30, resident=True, progress=False)
    assert torch.equal(small.x, whole.x[[8, 7]]) and equal(large.take([0, 3]), whole.subset(large.names).take([0, 3]))
    assert torch.equal(large.present, whole.present.flip(0)[:140])


def test_a_prepared_file_is_known_by_all_that_made_it(shelf, tmp_path):
    def load(**change):
        how = dict(names=shelf.names, frames=8, persons=1, pipeline="centre") | change
        return ClipSet.load(shelf, resident=False, folder=tmp_path, progress=False, **how).file

    first = load()
    others = [load(frames=9), load(persons=2), load(pipeline="facing"), load(names=shelf.names[:-1]), load(names=shelf.names[::-1])]
    assert len({first, *others}) == 6 and load() == first
    mine = Pipeline("centre", (lambda clip: clip,))
    with pytest.raises(InputError, match="put the step into a .py file"):
        load(pipeline=mine)


def test_an_interrupted_preparation_leaves_nothing(shelf, tmp_path, monkeypatch):
    def broken(clip, *_):
        if clip.name == "k100":
            raise KeyboardInterrupt
        return np.ones((3, 8, 20, 1), np.float32)

    monkeypatch.setattr(loader, "to_array", broken)
    monkeypatch.setattr(loader, "code_digest", lambda f: ["f"])
    with pytest.raises(KeyboardInterrupt):
        ClipSet.load(shelf, shelf.names, 8, resident=False, folder=tmp_path / "p", progress=False)
    assert not (tmp_path / "p").exists()


def test_no_room_for_prepared_clips_is_one_sentence(shelf, tmp_path):
    code = f"""
import resource, sys
from c2vl_kit.data.loader import ClipSet
from c2vl_kit.data.build import build_store
from c2vl_kit.data.store import Store
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, -1))
s = Store.open({str(shelf.path)!r})
try: ClipSet.load(s, s.names, resident=False, folder={str(tmp_path / "p")!r})
except ValueError as e: print(e)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=HERE.parent)
    why = r".*p/[0-9a-f]{24}\.npy cannot be written \(file too large\); make room, or give another folder=\.\n"
    assert re.fullmatch(why, said.stdout), said
    assert not (tmp_path / "p").exists()


def test_a_loop_that_is_left_early_ends_its_thread(shelf, tmp_path):
    clips = ClipSet.load(shelf, shelf.names, 8, resident=False, folder=tmp_path, progress=False)
    batches = clips.batches(4, 0, 0)
    next(batches)
    batches.close()
    assert not any(t.name.startswith("clips-ahead") for t in threading.enumerate())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_streamed_to_a_gpu_is_resident_there(shelf, tmp_path):
    whole = ClipSet.load(shelf, shelf.names, 16, 2, device="cuda", resident=True, progress=False)
    mapped = ClipSet.load(shelf, shelf.names, 16, 2, device="cuda", resident=False, folder=tmp_path, progress=False)
    assert whole.x.is_cuda and not mapped.x.is_cuda and mapped.device.type == "cuda"
    for a, b in zip(whole.batches(32, 0, 0), mapped.batches(32, 0, 0), strict=True):
        assert b.x.is_cuda and b.present.is_cuda and equal(a, b)
