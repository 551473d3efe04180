"""A training that is killed and resumed ends with the same bits as one that was not: real processes, real signals."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from c2vl_kit.core import InputError
from c2vl_kit.train.runs import Run

# What the processes run: python -c CHILD <run folder> <epochs at which to wait for a signal>.
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
            time.sleep(60)
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
config = TrainConfig(epochs=4, batch_size=16, lr=3e-3, warmup_epochs=1, threads=1, device="cpu")
torch.rand(int(time.time()) % 100)                               # whatever was drawn before must not matter
with seeded(config.seed, "init"):
    task = TwoViews(STGCN(KINECT20, width=4, dim=16))
run = Run.create(out, {"train": config.to_dict()}, resume=True)
Trainer(task, clips, config, run, augment=shrink).fit()
'''


def child(folder, wait_in=-1):
    """Start the training in a process of its own."""
    env = dict(os.environ, OMP_NUM_THREADS="1", C2VL_QUIET="1")
    return subprocess.Popen([sys.executable, "-c", CHILD, str(folder), str(wait_in)], env=env, stderr=subprocess.PIPE, text=True)


def finish(process, code=0):
    """Wait for a process, check how it ended, and return what it said."""
    _, said = process.communicate(timeout=120)
    assert process.returncode == code, said
    return said


def until_waiting(process, folder):
    """Wait until the training says that it is in the middle of the epoch it was told to stop in."""
    flag, deadline = folder.parent / f"{folder.name}.waiting", time.monotonic() + 120
    while not flag.exists():
        assert process.poll() is None, process.stderr.read()
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
    finish(child(tmp_path / "run"))
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
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InputError, match="it is damaged"):
        run.load_checkpoint()
