"""Captioning spread over two local workers: one is killed, the driver is killed, and the file still holds every line exactly once."""

import collections
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from c2vl_kit.concepts.kinematic import Kinematic, caption
from c2vl_kit.concepts.prompts import PromptStore
from c2vl_kit.concepts.scale import quiet_stderr, caption_with_ray, embed_with_ray
from c2vl_kit.data.simulate import SimulatorConfig, simulate
from c2vl_kit.data.build import build_store
from c2vl_kit.core import InputError

ray = pytest.importorskip("ray", reason='needs Ray: pip install "c2vl_kit[scale]"')


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers on this machine, no dashboard, no reports, nothing left behind."""
    before = dict(os.environ)
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
    with quiet_stderr():
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR", configure_logging=False,
                 _node_ip_address="127.0.0.1", object_store_memory=100_000_000, _temp_dir=str(tmp_path_factory.mktemp("r")))
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not find the tests
    yield
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    ray.shutdown()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    clips = simulate(SimulatorConfig(classes=5, subjects=2, repetitions=1)).clips
    return build_store(tmp_path_factory.mktemp("clips") / "store", clips, dataset="simulated", progress=False)[0]


@pytest.fixture(scope="module")
def plain(store, tmp_path_factory):
    return caption(store, tmp_path_factory.mktemp("plain") / "prompts.jsonl", Kinematic(), progress=False)


class Mortal(Kinematic):
    """The kinematic captioner, with an accident: what `accident(clip, moment)` does before the answer about a moment."""

    def __call__(self, clip, todo=None):
        for p in super().__call__(clip, todo):
            self.accident(clip, p.moment)
            yield p


def mortal(accident):
    captioner = Mortal()
    object.__setattr__(captioner, "accident", accident)
    return captioner


def lines_of(path: Path) -> list[dict]:
    data = path.read_bytes()
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def check_complete(path: Path, plain: PromptStore):
    """Every line once, and the very answers that one process gives."""
    found = lines_of(path)
    assert len(found) == len({(p["clip"], p["moment"]) for p in found}) == len(plain)
    assert PromptStore(path).checksum == plain.checksum


def test_one_of_two_workers_is_killed(cluster, store, plain, tmp_path):
    marker, victim = tmp_path / "killed", store.names[4]

    def accident(clip, moment):
        with open(tmp_path / "pids", "a") as pids:
            pids.write(f"{os.getpid()}\n")
        if clip.name == victim and moment == 7 and not marker.exists():
            marker.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)

    caption_with_ray(store, tmp_path / "prompts.jsonl", functools.partial(mortal, accident), workers=2, progress=False)
    pids = (tmp_path / "pids").read_text().split()
    assert marker.read_text() in pids and len(set(pids)) >= 2 and str(os.getpid()) not in pids
    check_complete(tmp_path / "prompts.jsonl", plain)
    assert ray.is_initialized()  # what was running before is left running


def test_a_clip_that_kills_every_worker_ends_the_run_and_only_it_is_lost(cluster, store, plain, tmp_path):
    victim = store.names[-1]

    def accident(clip, moment):
        if clip.name == victim:
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(InputError, match="the workers gave up .* run again to go on") as caught:
        caption_with_ray(store, tmp_path / "prompts.jsonl", functools.partial(mortal, accident), workers=2, retries=1, progress=False)
    assert "\n" not in str(caught.value)
    kept = lines_of(tmp_path / "prompts.jsonl")
    assert victim not in {p["clip"] for p in kept} and len(kept) >= 16 * (len(store) - 3)
    caption(store, tmp_path / "prompts.jsonl", Kinematic(), progress=False)  # one process goes on where many stopped
    assert lines_of(tmp_path / "prompts.jsonl")[: len(kept)] == kept
    check_complete(tmp_path / "prompts.jsonl", plain)


def test_an_error_in_a_worker_is_a_sentence_here_and_the_answers_before_it_are_kept(cluster, store, tmp_path):
    def accident(clip, moment):
        if clip.name == store_names[2] and moment == 5:
            raise InputError(f"{clip.name}.avi is not there: give an existing video file")

    store_names = store.names
    with pytest.raises(InputError, match=rf"^{store.names[2]}.avi is not there: give an existing video file$"):
        caption_with_ray(store, tmp_path / "prompts.jsonl", functools.partial(mortal, accident), workers=1, progress=False)
    assert [p["moment"] for p in lines_of(tmp_path / "prompts.jsonl") if p["clip"] == store.names[2]] == [0, 1, 2, 3, 4]
    counts = collections.Counter(p["clip"] for p in lines_of(tmp_path / "prompts.jsonl"))
    assert [counts[n] for n in store.names] == [5 if n == store.names[2] else 16 for n in store.names]  # others were asked
    with pytest.raises(InputError, match="no body part 'tail'"):
        caption_with_ray(store, tmp_path / "none.jsonl", functools.partial(Kinematic, parts=("tail",)), progress=False)
    with pytest.raises(InputError, match="give another file"):
        caption_with_ray(store, tmp_path / "prompts.jsonl", functools.partial(Kinematic, still=0.5), progress=False)


class Letters:
    """A tower that counts letters, and notes how much it was asked."""

    name, checksum, dim = "letters", "ab" * 32, 26

    def __init__(self, notes: Path):
        self.notes = notes

    def encode(self, texts, batch_size=64):
        with open(self.notes, "a") as notes:
            notes.write("".join(f"{t}\n" for t in texts))
        return np.array([[t.count(chr(97 + i)) + 0.01 for i in range(26)] for t in texts], np.float32)


def test_embedding_is_spread_and_nothing_is_embedded_twice(cluster, tmp_path):
    from c2vl_kit.concepts.cache import EmbeddingCache

    texts = [f"person {i % 60} raises {'both hands' if i % 2 else 'a foot'}" for i in range(240)]
    local = EmbeddingCache(tmp_path / "local").embed(texts, Letters(tmp_path / "local.txt"))
    factory = functools.partial(Letters, tmp_path / "notes.txt")
    assert embed_with_ray(texts, tmp_path / "cache", factory, together=13) == 60
    asked = (tmp_path / "notes.txt").read_text().splitlines()
    assert sorted(asked) == sorted(set(texts))
    assert np.array_equal(EmbeddingCache(tmp_path / "cache").embed(texts, factory()), local)
    assert (tmp_path / "notes.txt").read_text().splitlines() == asked  # all of it was there


DRIVER = """
import functools, sys
sys.path.insert(0, sys.argv[1])
import time, test_scale
from c2vl_kit.concepts.scale import caption_with_ray
from c2vl_kit.data.build import build_store
from c2vl_kit.data.store import Store
import ray
ray.cloudpickle.register_pickle_by_value(test_scale)
slow = functools.partial(test_scale.mortal, lambda clip, moment: time.sleep(.03))
caption_with_ray(Store.open(sys.argv[2]), sys.argv[3], slow, workers=1, progress=False)
"""


def processes_of(place: str) -> list[int]:
    """Processes that name a folder in their command line."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            found += [int(proc.name)] if place.encode() in (proc / "cmdline").read_bytes() else []
        except OSError:
            pass
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes through /proc")
def test_the_driver_is_killed_and_the_next_one_goes_on(cluster, store, plain, tmp_path):
    """With a Ray of its own: it goes when the driver goes, and what had come in is kept."""
    out, here, before = tmp_path / "prompts.jsonl", Path(__file__).resolve().parent, set(Path("/tmp").glob("c2vl-ray-*"))
    job = subprocess.Popen([sys.executable, "-c", DRIVER, str(here), str(store.path), str(out)], cwd=here.parent,
                           stderr=subprocess.PIPE, env={k: v for k, v in os.environ.items() if not k.startswith("RAY_")})
    while job.poll() is None and not (out.exists() and out.read_bytes().count(b"\n") >= 32):
        time.sleep(0.02)
    assert job.poll() is None, job.stderr.read().decode()[-800:]
    places = [p for p in set(Path("/tmp").glob("c2vl-ray-*")) - before if any(f.name.endswith(f"_{job.pid}") for f in p.iterdir())]
    assert len(places) == 1 and processes_of(str(places[0]))
    job.kill()
    job.wait()
    assert job.stderr.read() == b""  # Ray is quiet
    data = out.read_bytes()
    whole = data[: data.rfind(b"\n") + 1].splitlines()
    assert 32 <= len(whole) < len(plain)
    caption_with_ray(store, out, Kinematic, workers=1, progress=False)
    assert out.read_bytes().splitlines()[: len(whole)] == whole
    check_complete(out, plain)
    until = time.monotonic() + 90
    while processes_of(str(places[0])) and time.monotonic() < until:
        time.sleep(0.2)
    assert not processes_of(str(places[0]))  # nothing is left running
    shutil.rmtree(places[0], ignore_errors=True)
