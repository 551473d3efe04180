"""A training that is killed and resumed ends with the same bits as one that was not: real processes, real signals.

Most processes are forked from one that has everything imported; one starts from nothing, and one below nohup.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

import pytest
import torch
from nursery import Nursery

from c2vl_kit.core import InputError
from c2vl_kit.train.runs import Run

# What the processes run: python -c CHILD <run folder> <epochs at which to wait for a signal> [<save_every>].
# A small ST-GCN with batch norm and dropout, augmentation from the generator, AdamW with warm-up: everything that carries state.
CHILD = '''
import sys, time
from pathlib import Path
import torch
from c2vl_kit.data.loader import ClipSet
from c2vl_kit.models.stgcn import STGCN
from c2vl_kit.skeleton import KINECT20
from c2vl_kit.train.runs import Run
from c2vl_kit.train.task import Task, generator_for, seeded
from c2vl_kit.train.trainer import TrainConfig, Trainer

out, wait_in = Path(sys.argv[1]), int(sys.argv[2])


class TwoViews(Task):
    def __init__(self, encoder):
        super().__init__(encoder)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def loss(self, batch, progress, generator):
        if progress.epoch == wait_in and progress.step == 1:      # half an epoch done: say so, and wait for the signal
            (out.parent / f"{out.name}.waiting").touch()
            for _ in range(15000):
                if (out.parent / f"{out.name}.go").exists(): break
                time.sleep(0.02)
        noise = lambda: 0.02 * torch.randn(batch.x.shape, generator=generator)
        a, b = (torch.nn.functional.normalize(self.encoder(batch.x + noise(), batch.present), dim=1) for _ in range(2))
        loss = torch.nn.functional.cross_entropy(a @ b.T / 0.1, torch.arange(len(a)))
        return loss, {"alike": (a * b).sum(1).mean().detach()}

    def after_step(self, progress):
        self.seen += 1


def shrink(x, generator):
    return x * (0.8 + 0.4 * torch.rand(len(x), 1, 1, 1, 1, generator=generator))


x = torch.randn(48, 3, 8, 20, 1, generator=generator_for(7, "clips"))
clips = ClipSet(x, torch.ones(48, 1, dtype=torch.bool), tuple(f"clip{i:02d}" for i in range(48)), KINECT20, 8, "centre")
every = sys.argv[3] if len(sys.argv) > 3 else 1
config = TrainConfig(epochs=4, batch_size=16, lr=3e-3, warmup_epochs=1, threads=1, device="cpu", save_every=every)
torch.rand(int(time.time()) % 100)                               # whatever was drawn before must not matter
with seeded(config.seed, "init"):
    task = TwoViews(STGCN(KINECT20, width=4, dim=16))
run = Run.create(out, {"train": config.to_dict()}, resume=True)
Trainer(task, clips, config, run, augment=shrink).fit()
'''


NURSERY = Nursery(CHILD[: CHILD.index("\n\n")])
ENV = dict(os.environ, OMP_NUM_THREADS="1", C2VL_QUIET="1")


@pytest.fixture(scope="module", autouse=True)
def nursery():
    yield
    NURSERY.close()


def child(folder, wait_in=-1, *every):
    """Start the training in a process of its own."""
    return NURSERY.start(CHILD, folder, wait_in, *every)


def finish(process, code=0):
    """Wait for a process, check how it ended, and return what it said."""
    assert process.wait(timeout=300) == code, process.said()
    return process.said()


def until_waiting(process, folder):
    """Wait until the training says that it is in the middle of the epoch it was told to stop in."""
    flag, deadline = folder.parent / f"{folder.name}.waiting", time.monotonic() + 300
    while not flag.exists():
        assert process.poll() is None, "it ended before the epoch it was to be stopped in"
        assert time.monotonic() < deadline, "the training did not get to the epoch it was to be stopped in"
        time.sleep(0.02)


def flat(state, where=""):
    """A nested state as one dictionary of leaves."""
    for key, value in state.items():
        if isinstance(value, dict):
            yield from flat(value, f"{where}{key}/")
        else:
            yield f"{where}{key}", value


def same(a, b):
    """Nothing but the bits: weights, buffers and the optimiser's averages of two runs."""
    one, two = (dict(flat(r.load_checkpoint())) for r in (a, b))
    assert list(one) == list(two)
    assert any(k.startswith("optimiser/") for k in one) and any(k.startswith("model/") for k in one)
    for key, value in one.items():
        assert torch.equal(value, two[key]) if torch.is_tensor(value) else value == two[key], key


def losses(run):
    return [(r["epoch"], r["loss"], r["alike"], r["lr"]) for r in run.history()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Run:
    """Four epochs in one go."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    finish(child(folder))
    return Run.open(folder)


def test_same_seed_twice(whole, tmp_path):
    """The second time in a process that nothing was forked from."""
    subprocess.run([sys.executable, "-c", CHILD, tmp_path / "run", "-1"], env=ENV, check=True, timeout=300)
    again = Run.open(tmp_path / "run")
    same(whole, again)
    assert losses(whole) == losses(again)
    assert [r["epoch"] for r in again.history()] == [1, 2, 3, 4]


def stop(folder, wait_in, number):
    """Train until the middle of an epoch, send a signal there, and return what the process said."""
    process = child(folder, wait_in)
    until_waiting(process, folder)
    process.send_signal(number)
    said = finish(process, -number)
    assert Run.open(folder).load_checkpoint()["epoch"] == wait_in
    assert [r["epoch"] for r in Run.open(folder).history()] == list(range(1, wait_in + 1))
    (folder.parent / f"{folder.name}.waiting").unlink()
    return said


def test_killed_twice_and_resumed(whole, tmp_path):
    folder = tmp_path / "run"
    stop(folder, 0, signal.SIGKILL)  # before a single epoch is done
    stop(folder, 2, signal.SIGKILL)

    # what the worst moments for a kill would have left: a line ahead of the checkpoint, one cut short, and half a checkpoint aside
    with open(folder / "log.jsonl", "a") as log:
        log.write(json.dumps({"epoch": 3, "loss": 0.0}) + '\n{"epoch": 4, "lo')
    aside = folder / "checkpoints" / "last.safetensors.tmp-4194305"
    aside.write_bytes(b"half a file")

    finish(child(folder))
    same(whole, Run.open(folder))
    assert losses(whole) == losses(Run.open(folder))
    assert not aside.exists()


def test_interrupted_and_resumed(whole, tmp_path):
    said = stop(tmp_path / "run", 2, signal.SIGINT)
    assert "the checkpoint after epoch 2 is kept" in said
    finish(child(tmp_path / "run"))
    same(whole, Run.open(tmp_path / "run"))
    assert losses(whole) == losses(Run.open(tmp_path / "run"))


def test_damaged_checkpoint_is_a_sentence(whole, tmp_path):
    run = Run.create(tmp_path / "run", whole.config)
    run.save_checkpoint(whole.load_checkpoint())
    file = run.path / "checkpoints" / "last.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="it is damaged"):
        run.load_checkpoint()
    for place in (len(data) // 2, len(data) - 1, data.index(b'"epoch') + 2, data.index(b"sha256:") + 9):  # numbers, facts, checksum
        changed = bytearray(data)
        changed[place] ^= 1
        file.write_bytes(changed)
        with pytest.raises(InputError, match="it is damaged"):
            run.load_checkpoint()


@pytest.mark.parametrize("damage", ["cut", "altered", "gone", "empty"])
def test_the_checkpoint_before_a_damaged_one_is_used_and_said(whole, tmp_path, damage):
    folder = tmp_path / "run"
    stop(folder, 3, signal.SIGKILL)
    last = folder / "checkpoints" / "last.safetensors"
    data = bytearray(last.read_bytes())
    data[-9] ^= 4
    data[-900] ^= 4
    last.write_bytes({"cut": data[:-1], "altered": data, "empty": b"", "gone": b""}[damage])
    if damage == "gone":
        last.unlink()
    with pytest.warns(UserWarning, match=r"The checkpoint before it is used, after epoch 2\.") if damage != "gone" else nullcontext():
        assert Run.open(folder).load_checkpoint()["epoch"] == 2
    said = finish(child(folder))
    assert damage == "gone" or "The checkpoint before it is used, after epoch 2." in said
    same(whole, Run.open(folder))
    assert losses(whole) == losses(Run.open(folder))


def test_the_last_checkpoint_is_never_away(tmp_path):
    """Who looks while checkpoints are saved always finds one; two processes may ask for it at any moment."""
    run, missed, done = Run.create(tmp_path / "run", {"method": "c2vl"}), [], threading.Event()
    run.save_checkpoint({"epoch": 0})

    def look():
        while not done.is_set():
            if not (run.path / "checkpoints" / "last.safetensors").exists():
                missed.append(1)

    watcher = threading.Thread(target=look)
    watcher.start()
    for epoch in range(1, 40):
        run.save_checkpoint({"epoch": epoch})
    done.set()
    watcher.join()
    names = sorted(p.name for p in (run.path / "checkpoints").iterdir())
    assert not missed and names == ["before.safetensors", "last.safetensors"]
    assert [run.load_checkpoint(n)["epoch"] for n in ("last", "before")] == [39, 38]


def told_to_stop(folder, wait_in, number, *every):
    """Send a signal in the middle of an epoch, let the step go on, and return what the process said."""
    process = child(folder, wait_in, *every)
    until_waiting(process, folder)
    process.send_signal(number)
    (folder.parent / f"{folder.name}.go").touch()
    said = finish(process, 143)
    for flag in ("go", "waiting"):
        (folder.parent / f"{folder.name}.{flag}").unlink()
    return said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_ends_the_step_saves_and_leaves_with_143(whole, tmp_path, number):
    folder = tmp_path / "run"
    for epoch in (0, 2) if number == signal.SIGTERM else (2,):
        said = told_to_stop(folder, epoch, number)
        kept = f"the checkpoint after epoch {epoch}, step 2 of the next, is kept in {folder}"
        assert f"stopped by {signal.Signals(number).name}; {kept}" in said
        assert Run.open(folder).load_checkpoint()["middle"]["step"] == 2
    finish(child(folder))
    same(whole, Run.open(folder))
    assert losses(whole) == losses(Run.open(folder))
    assert not [p for p in folder.rglob("*") if ".tmp-" in p.name or p.name == "lock"]


def test_an_ignored_signal_stays_ignored(whole, tmp_path):
    """As under nohup."""
    folder = tmp_path / "run"
    command = ["nohup", sys.executable, "-c", CHILD, str(folder), "1"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=ENV)
    until_waiting(process, folder)
    process.send_signal(signal.SIGHUP)
    (folder.parent / "run.go").touch()
    assert process.wait(timeout=300) == 0
    same(whole, Run.open(folder))


def test_minutes_between_checkpoints_save_in_the_middle(whole, tmp_path):
    folder = tmp_path / "run"
    process = child(folder, 2, "0.0001 min")
    until_waiting(process, folder)
    process.send_signal(signal.SIGKILL)
    finish(process, -signal.SIGKILL)
    assert Run.open(folder).load_checkpoint()["middle"]["step"] == 1  # the first of three steps was done
    (folder.parent / "run.waiting").unlink()
    finish(child(folder))
    same(whole, Run.open(folder))
    assert losses(whole) == losses(Run.open(folder))


def test_two_processes_do_not_train_into_one_folder(whole, tmp_path):
    folder = tmp_path / "run"
    first = child(folder, 2)
    until_waiting(first, folder)
    said = finish(child(folder), 1)
    assert f"InputError: {folder} is being trained by another process ({first.pid}); wait until it has finished, or stop it" in said
    with pytest.raises(InputError, match="is being trained by another process"):
        Run.create(folder, whole.config, overwrite=True)
    (folder.parent / "run.go").touch()
    finish(first)
    same(whole, Run.open(folder))
    assert losses(whole) == losses(Run.open(folder))
