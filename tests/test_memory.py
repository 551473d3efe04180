"""What must not grow with the number of clips: preparing, prompts, and training on a set larger than the memory."""

import os
import subprocess
import sys
import tracemalloc
import weakref

import numpy as np
import pytest

from c2vl_kit.app.job import Job
from c2vl_kit.app.steps import prepare_step
from c2vl_kit.concepts.prompts import Prompt, PromptStore
from c2vl_kit.data import build, simulate
from c2vl_kit.data.near import nearest_rows

SIZE = {"classes": 6, "subjects": 2, "repetitions": 2, "cameras": 2, "wrong_pairs": 0.25}


def test_prepare_holds_no_simulated_clip(tmp_path, monkeypatch):
    held, most, take = [], [0], build.StoreWriter.take

    def counted(writer, source, clip):
        held.append(weakref.ref(clip.joints))
        most[0] = max(most[0], sum(ref() is not None for ref in held))
        return take(writer, source, clip)

    monkeypatch.setattr(build.StoreWriter, "take", counted)
    store = prepare_step(Job(tmp_path), "simulated", None, SIZE)
    assert len(held) == len(store) == 48 and most[0] <= 3

    whole = simulate.simulate(simulate.SimulatorConfig(**SIZE))
    said = PromptStore(tmp_path / "prompts.jsonl")
    assert {n: said.answers(n) for n in said.names} == whole.descriptions
    assert all(store[c.name].digest == c.digest for c in whole.clips) and len(whole.wrong) == 12


def test_candidates_of_near_copies_keep_no_table_of_distances():
    x = np.random.default_rng(0).standard_normal((4000, 8)).astype(np.float32)
    tracemalloc.start()
    found = nearest_rows(x, x, 3, block=1 << 20)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.shape == (4000, 3) and (found == np.arange(4000)[:, None]).any(1).all()
    assert most < 40e6  # 128 MB if every block stayed


def test_an_answer_takes_few_bytes(tmp_path):
    clips, answers = 1500, [f"She raises hand number {i}." for i in range(200)]
    file = tmp_path / "prompts.jsonl"
    made = (Prompt(f"clip{n:05d}", k, "What?", answers[(7 * n + k) % 200], "rules", {"a": [1]}, "2026") for n in range(clips)
            for k in range(16))
    assert PromptStore(file).append(made) == 16 * clips
    tracemalloc.start()
    store = PromptStore(file)
    now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert now < 60 * 16 * clips, f"{now / 16 / clips:.0f} bytes for each answer"
    assert most < now + (1 << 20), "the file was read at once"
    assert len(store) == 16 * clips and store.answers("clip00003")[:2] == [answers[21], answers[22]]


def test_prompts_come_back_as_they_were_given(tmp_path):
    given = [
        Prompt("b", 1, "q", "one", "rules", {"k": 1}, "t1"),
        Prompt("a", 0, "q", "two", "rules", {"k": True}, "t2", True),
        Prompt("b", 0, "q", "three", "a model", {}, "t1"),
        Prompt("b", 1, "q", "four", "rules", {"k": 1}, "t3"),  # takes the place of the first
    ]
    store = PromptStore()
    store.append(given)
    assert list(store) == [given[2], given[3], given[1]] and store.names == ("b", "a") and len(store) == 3
    assert [type(p.settings.get("k")) for p in store] == [type(None), int, bool]
    assert store.leaks_labels and not store.select(names=["b"]).leaks_labels
    next(iter(store)).settings["k"] = 7  # belongs to that prompt alone
    assert list(store) == [given[2], given[3], given[1]]


LIMITED = """
import resource, sys
from pathlib import Path
import torch
from c2vl_kit.data.loader import ClipSet, free_memory
from c2vl_kit.data.store import Store
torch.set_num_threads(1)
store, MB = Store.open(sys.argv[1], verify=False), 2**20
ClipSet.load(store, store.names[:4], 64, resident=False, workers=1, folder=sys.argv[2])  # threads have started
used = next(int(s.split()[1]) for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("VmData:")) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + 40 * MB,) * 2)
print(free_memory(torch.device("cpu")) // MB)
how = dict(frames=2250, persons=4, workers=1, folder=sys.argv[2])
clips = ClipSet.load(store, store.names, **how)
print(clips.resident, 4 * clips.x.numel() // MB, sum(float(b.x.sum()) != 0 for b in clips.batches(1, seed=0, epoch=0)))
try:
    ClipSet.load(store, store.names, resident=True, **how)
except MemoryError:
    print("no room")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of a process are set on Linux alone")
def test_a_set_ten_times_the_memory_is_streamed(tmp_path):
    store, _ = build.build_store(tmp_path / "store", simulate.simulate(simulate.SimulatorConfig(6, 4, 8)).clips, progress=False)
    done = subprocess.run([sys.executable, "-c", LIMITED, store.path, tmp_path / "prepared"], capture_output=True, text=True,
                          env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    free, facts, refused = done.stdout.splitlines()
    resident, size, batches = facts.split()
    assert 30 <= int(free) <= 40 and resident == "False" and int(size) >= 395 and int(batches) == 192 and refused == "no room"
