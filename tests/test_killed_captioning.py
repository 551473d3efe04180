"""kill -9 at twenty random moments of a captioning run on this machine: every line once, none torn, nothing lost, no answer changed.

The same for a run that asks a server stands in test_server.py, and for one that is spread with Ray in test_scale.py.
"""
import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from c2vl_kit.concepts.kinematic import Kinematic, caption
from c2vl_kit.concepts.prompts import PromptStore
from c2vl_kit.data.simulate import SimulatorConfig, simulate

CLIPS = 600  # far more than twenty short runs describe


class Many:
    """What `caption` needs of a store: a few simulated clips under many names."""

    def __init__(self, count: int = CLIPS):
        self.clips = simulate(SimulatorConfig(classes=6, subjects=2, repetitions=1)).clips
        self.names = tuple(f"clip{i:04d}" for i in range(count))

    def __getitem__(self, name: str):
        return self.clips[int(name[4:]) % len(self.clips)].replace(name=name)


NURSERY = """
import os, sys, traceback
sys.path.insert(0, sys.argv[1])
import test_killed_captioning as t
clips = t.Many()
while sys.stdin.readline():
    pid = os.fork()
    if not pid:
        try:
            t.caption(clips, sys.argv[2], t.Kinematic(parts=("left arm", "head")), progress=False)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes by signal")
def test_twenty_kills(tmp_path):
    path, dice, had, torn, grew = tmp_path / "prompts.jsonl", random.Random(20), 0, 0, 0
    command = [sys.executable, "-c", NURSERY, str(Path(__file__).parent), str(path)]
    # One process imports everything and forks a fresh one for each run: a real process to kill, without twenty times the imports.
    nursery = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])

    def size() -> int:
        return path.stat().st_size if path.exists() else 0

    def begin() -> int:  # -> its process id
        nursery.stdin.write("go\n")
        nursery.stdin.flush()
        return int(nursery.stdout.readline())

    for i in range(20):
        pid, before, until = begin(), size(), time.monotonic() + 120
        if i % 3:  # while it writes: after some bytes and a moment
            some = before + dice.randrange(1, 60_000)
            while size() < some and time.monotonic() < until:
                time.sleep(0.0005)
            time.sleep(dice.uniform(0, 0.03))
        else:  # any time: perhaps before the file is open, or while what is there is read
            time.sleep(dice.uniform(0, 0.2))
        os.kill(pid, signal.SIGKILL)
        assert int(nursery.stdout.readline()) == signal.SIGKILL, "the run was over before it was killed"
        data = path.read_bytes() if path.exists() else b""
        found = [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
        keys = {(p["clip"], p["moment"], p["question"]) for p in found}
        assert len(keys) == len(found) >= had  # none twice, and nothing that was there is lost
        grew, had = grew + (len(found) > had), len(found)
        if i % 5 == 4:  # the kernel writes our lines whole; a power cut does not: half of the last one is left
            with open(path, "r+b") as file:
                file.truncate(len(data) - dice.randrange(2, len(data.splitlines()[-1])))
            had -= data.endswith(b"\n")
        torn += path.exists() and not path.read_bytes().endswith(b"\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a torn end is announced
        left = PromptStore(path)
    captioner, clips = Kinematic(parts=("left arm", "head")), Many()
    todo = sum(len(m) for q in captioner.questions for m in left.missing(clips.names, 16, q).values())
    assert grew >= 10 and torn >= 4 and 0 < todo == CLIPS * 16 * 2 - len(left)

    begin()  # and one that is let be: it asks exactly what is missing
    assert int(nursery.stdout.readline()) == 0
    nursery.stdin.close()
    assert nursery.wait(120) == 0
    data = path.read_bytes()
    lines = [json.loads(line) for line in data.splitlines()]  # fails on a torn one
    assert data.endswith(b"\n") and len(lines) == CLIPS * 16 * 2
    wanted = {(n, m, q) for n in clips.names for m in range(16) for q in captioner.questions}
    assert {(p["clip"], p["moment"], p["question"]) for p in lines} == wanted
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store = PromptStore(path)
    some = clips.names[:: CLIPS // 12]
    assert store.select(names=some).checksum == caption(clips, tmp_path / "whole.jsonl", captioner, some, progress=False).checksum
    print(f"20 kills, {torn} of them with a line cut in the middle; {had:,} of {len(lines):,} lines before the last run")


SPREAD = """
import sys
sys.path.insert(0, sys.argv[1])
import test_killed_captioning as t
t.caption(t.Many(120), sys.argv[2], progress=False, workers=2)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
def test_processes_write_the_same_file_and_leave_with_their_caller(tmp_path):
    """Stopped by Ctrl-C, then killed, then let be: whole lines each time, no process left behind, and the lines of a single process."""
    path, one = tmp_path / "prompts.jsonl", tmp_path / "one.jsonl"
    caption(Many(120), one, progress=False, workers=1)
    command = [sys.executable, "-c", SPREAD, str(Path(__file__).parent), str(path)]
    for way, left in ((signal.SIGINT, 100_000), (signal.SIGKILL, 400_000)):
        run = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[1])
        until = time.monotonic() + 300
        while (path.stat().st_size if path.exists() else 0) < left and time.monotonic() < until:
            time.sleep(0.005)
        helpers = [int(pid) for pid in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()]
        run.send_signal(way)
        assert run.wait(120) != 0, "it was over before it was stopped"
        assert len(helpers) == 2
        while any(alive(pid) for pid in helpers) and time.monotonic() < until:
            time.sleep(0.05)
        assert not any(alive(pid) for pid in helpers)
        there = said(path)
        assert left <= path.stat().st_size < one.stat().st_size and there == said(one)[: len(there)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a torn end is announced
        caption(Many(120), path, progress=False, workers=2)
    assert said(path) == said(one)


def said(path: Path) -> list[dict]:
    """Everything but the time that stands in the whole lines."""
    data = path.read_bytes()
    return [{**json.loads(line), "time": ""} for line in data[: data.rfind(b"\n") + 1].splitlines()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
