"""The embedding cache under several processes, and under one that is killed without warning."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

WORKER = """
import sys, time, hashlib
import numpy as np
from c2vl_kit.concepts.cache import EmbeddingCache

class Tower:
    name, checksum, dim = "hash", "h" * 64, 8
    def encode(self, texts, batch_size=64, progress=False):
        time.sleep({pause})
        x = np.array([list(hashlib.sha256(t.encode()).digest()[:8]) for t in texts], np.float32) + 1
        return x / np.linalg.norm(x, axis=1, keepdims=True)

if __name__ == "__main__":
    folder, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    print("ready", flush=True)
    x = EmbeddingCache(folder, shard=5).embed([f"sentence {{i}}" for i in range(first, last)], Tower())
    np.save(f"{{folder}}-{{first}}-{{last}}.npy", x)
"""


@pytest.fixture
def start(tmp_path: Path):
    """Start a process that embeds sentences first…last into one folder."""
    running = []

    def start(folder, first, last, pause=0.0):
        script = tmp_path / f"worker-{pause}.py"
        script.write_text(WORKER.format(pause=pause))
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, script, folder, str(first), str(last)]
        running.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def test_processes_share_a_folder(tmp_path, start):
    folder = tmp_path / "cache"
    workers = [start(folder, first, last) for first, last in ((0, 60), (20, 80), (0, 60))]
    assert [w.wait(timeout=120) for w in workers] == [0, 0, 0]
    a, b = np.load(f"{folder}-0-60.npy"), np.load(f"{folder}-20-80.npy")
    np.testing.assert_array_equal(a[20:], b[:40])
    assert not list(folder.rglob("*.tmp-*"))


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is a POSIX signal")
def test_killed_process_leaves_whole_shards(tmp_path, start):
    folder = tmp_path / "cache"
    worker = start(folder, 0, 200, pause=0.1)
    deadline = time.monotonic() + 60
    while len(list(folder.rglob("*.safetensors"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    saved = len(list(folder.rglob("*.safetensors")))
    assert 3 <= saved < 40
    assert start(folder, 0, 200).wait(timeout=120) == 0
    assert np.load(f"{folder}-0-200.npy").shape == (200, 8)
    assert len(list(folder.rglob("*.safetensors"))) == 40, "the shards of the killed process were used again"
