"""Several processes train as one does: the same loss and gradients for every method, one log, one sentence when one is killed."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from c2vl_kit.core import InputError
from c2vl_kit.train.distributed import launch
from c2vl_kit.train.runs import Run

# All take two steps of every method together, and the first process takes them alone on the whole batch. In float64, as sums in
# another order give other last digits. Seven is no multiple of two or three. Some clips have a second person.
STEPS = r'''
import copy, json, sys
import numpy as np, torch
from c2vl_kit.concepts.space import ConceptSpace
from c2vl_kit.data.loader import Batch, bodies_of
from c2vl_kit.methods import c2vl, crosclr, distil, ikem, mmcl, simclr, skeletonclr, supervised
from c2vl_kit.skeleton import KINECT20
from c2vl_kit.train.distributed import team_here
from c2vl_kit.train.guards import first_averages
from c2vl_kit.train.runview import RunView, fresh_encoder
from c2vl_kit.train.task import Progress, generator_for, seeded

torch.set_num_threads(1)
teacher, out = sys.argv[1:3]
team, n = team_here(), 7
names = tuple(f"clip{i}" for i in range(n))
words = np.random.default_rng(0).normal(size=(n, 16)).astype(np.float32)
space = ConceptSpace(names, words / np.linalg.norm(words, axis=1, keepdims=True))
labels = {name: i % 3 for i, name in enumerate(names)}
tiny = dict(frames=8, persons=2, backbone={"width": 4, "dim": 16, "dropout": 0.0})
queue, two = dict(queue=12, momentum=0.9), ("joint", "motion")
said = RunView(teacher)
said.__dict__["encoders"] = {v: fresh_encoder(said, v).eval() for v in said.table}  # opening them would cost seconds here
tasks = {
    "c2vl": lambda: c2vl.C2VL(KINECT20, space, c2vl.small(**tiny, loss={"intra": True, "perplexity": 3, "teacher": "ema", "ema": 0.9})),
    "simclr": lambda: simclr.SimCLR(KINECT20, simclr.small(**tiny)),
    "skeletonclr": lambda: skeletonclr.MoCo(KINECT20, skeletonclr.small(**tiny, **queue)),
    "crosclr": lambda: crosclr.CrosSCLR(KINECT20, crosclr.small(**tiny, **queue, views=two)),
    "ikem": lambda: ikem.IKEM(KINECT20, ikem.small(**tiny, **queue, views=two)),
    "distil": lambda: distil.Distill(KINECT20, distil.Teacher(said), distil.small(**tiny, queue=12, views=("joint+motion",))),
    "supervised": lambda: supervised.Supervised(KINECT20, labels, 3, supervised.small(**tiny)),
    "mmcl": lambda: mmcl.MMCL(KINECT20, labels, 3, mmcl.Instruction.from_space(space), space, mmcl.small(**tiny, align="language")),
    "ctrgcn": lambda: simclr.SimCLR(KINECT20, simclr.small(**{**tiny, "backbone": {"name": "ctrgcn", "width": 8, "dim": 16}})),
}


def steps(task, shared):
    "Losses, logged numbers, gradients and the state after each of two steps, as one row of numbers each."
    found = []
    with first_averages(task) as before:
        for step in range(2):
            now, generator = Progress(step, 2), generator_for(0, "augment", step)
            x = torch.randn(n, 3, 8, 20, 2, generator=generator_for(step, "x")).double()
            present = torch.tensor([[True, i % 3 == 0] for i in range(n)])
            bodies = bodies_of(present) if step else None  # a loader lists who is there
            batch = Batch(x * present[:, None, None, None], present, names, torch.arange(n), bodies=bodies)
            before(step)
            with team.sharing(task, None) if shared else torch.enable_grad():
                loss, numbers = task.loss(batch, now, generator)
            task.zero_grad()
            loss.backward()
            if shared:
                team.average(task, None)
            found += [loss, *numbers.values()] + [p.grad for p in task.parameters() if p.grad is not None]
            with torch.no_grad():
                for p in task.parameters():
                    p.grad is not None and p.sub_(0.01 * p.grad)
            task.after_step(now)
            found += [v for v in task.state_dict().values()]
    return [t.detach().double().flatten() for t in found]


worst = {}
for name, make in tasks.items():
    with seeded(0, "init"):
        task = make().double().train()
    alone = copy.deepcopy(task)
    mine = steps(task, True)
    if team.rank:
        continue
    whole = steps(alone, False)
    assert [t.shape for t in whole] == [t.shape for t in mine], name
    worst[name] = max(float(((a - b).abs() / (1 + a.abs())).max()) for a, b in zip(whole, mine))
if not team.rank:
    open(out, "w").write(json.dumps(worst))
'''


@pytest.fixture(scope="module")
def quiet():
    """No thread of a child waits for work by spinning."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    yield
    os.environ.pop("OMP_NUM_THREADS") if before is None else os.environ.update(OMP_NUM_THREADS=before)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, tiny_clips):
    """A SkeletonCLR run that has seen one epoch, and the store it saw."""
    from c2vl_kit.data.build import build_store
    from c2vl_kit.data.catalog import get_split
    from c2vl_kit.methods import skeletonclr
    from c2vl_kit.train.pretrain import pretrain

    folder = tmp_path_factory.mktemp("teacher")
    store, _ = build_store(folder / "store", tiny_clips, dataset="simulated", progress=False)
    train = {"epochs": 1, "batch_size": 6, "device": "cpu", "threads": 1}
    config = skeletonclr.small(queue=12).replace(frames=8, persons=2, backbone={"width": 4, "dim": 16}, train=train)
    return pretrain(skeletonclr, store, get_split(store), folder / "run", config, progress=False), store


@pytest.mark.parametrize("processes", [2, 3])
def test_loss_gradients_and_banks_of_every_method_are_those_of_one_process(processes, teacher, tmp_path, quiet):
    import json

    (tmp_path / "steps.py").write_text(STEPS)
    assert launch([str(tmp_path / "steps.py"), str(teacher[0].path), str(tmp_path / "worst.json")], processes) == 0
    worst = json.loads((tmp_path / "worst.json").read_text())
    assert len(worst) == 9 and max(worst.values()) < 1e-9, worst


TRAINING = ["--epochs", "12", "--batch-size", "6", "--frames", "8", "--backbone", "gru", "--width", "4", "--threads", "1", "--device",
            "cpu"]


@pytest.fixture(scope="module")
def job(teacher, tmp_path_factory):
    """The folder of a job with words; give it a name, and it has a run of its own."""
    import numpy as np

    from c2vl_kit.concepts.space import ConceptSpace

    store, folder = teacher[1], tmp_path_factory.mktemp("jobs")
    words = np.random.default_rng(0).normal(size=(len(store.names), 12)).astype(np.float32)
    space = ConceptSpace(store.names, words / np.linalg.norm(words, axis=1, keepdims=True))

    def made(name):
        (folder / name).mkdir()
        os.symlink(store.path, folder / name / "store")
        space.save(folder / name / "space")
        return folder / name

    return made


def command(job: Path, *more: str, by=("-m", "c2vl_kit"), **how):
    """`c2vl pretrain` in a process of its own; what it says on stderr is kept."""
    words = [sys.executable, *by, "pretrain", "--out", job, *TRAINING, *more]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **how)


def said(process, code: int, within: float = 300) -> list[str]:
    """The kit's sentences of a process that ends with this code; a hanging one is stopped."""
    try:
        _, text = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        process.terminate()
        raise
    assert process.returncode == code, text
    return [line for line in text.splitlines() if line.startswith("c2vl: ")]


def wait_for_epoch(job: Path, epoch: int, process) -> None:
    deadline = time.monotonic() + 300
    while not (job / "run" / "log.jsonl").exists() or f'"epoch": {epoch},' not in (job / "run" / "log.jsonl").read_text():
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.02)


def process_of(rank: int, job: Path) -> int:
    """The process of this rank that trains into a job's folder."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words, told = ((folder / f).read_bytes().split(b"\0") for f in ("cmdline", "environ"))
        except OSError:  # it has ended, or is not ours
            continue
        if str(job).encode() in words and f"RANK={rank}".encode() in told:
            return int(folder.name)
    raise AssertionError(f"no process of rank {rank}")


def weights(job: Path) -> dict:
    state = Run.open(job / "run").load_checkpoint()
    averages = {f"{k}/{n}": t for k, s in state["optimiser"].items() for n, t in s.items()}
    return {"epoch": torch.tensor(state["epoch"])} | state["model"] | averages


@pytest.fixture(scope="module")
def whole(job, quiet):
    """What two processes that torchrun has started come to without being stopped."""
    folder = job("whole")
    by = ("-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "c2vl_kit")
    assert not said(command(folder, by=by), 0)
    return weights(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_stopped_and_killed_processes_end_with_one_sentence_and_the_same_command_goes_on_to_the_same_bits(job, whole, quiet):
    folder = job("killed")
    process = command(folder, "--processes", "2")
    wait_for_epoch(folder, 1, process)
    process.send_signal(signal.SIGTERM)
    (sentence,) = said(process, 143)
    assert sentence.startswith("c2vl: stopped by SIGTERM; the checkpoint after epoch "), sentence

    process = command(folder, "--processes", "2")
    wait_for_epoch(folder, 5, process)
    os.kill(process_of(0, folder), signal.SIGKILL)
    (sentence,) = said(process, 137, within=120)
    kept = r"the checkpoint after epoch \d+ is kept in .*, and the same call goes on from there"
    assert re.fullmatch(f"c2vl: another process of this training has ended; {kept}", sentence), sentence

    assert not said(command(folder, "--processes", "2"), 0)
    assert [r["epoch"] for r in Run.open(folder / "run").history()] == list(range(1, 13))
    a, b = whole, weights(folder)
    assert list(a) == list(b) and all(torch.equal(a[k], b[k]) for k in a)


def test_one_process_and_two_learn_the_same(job, whole, quiet):
    folder = job("alone")
    from c2vl_kit.app.cli import main

    assert main(["pretrain", "--out", str(folder), *TRAINING]) == 0
    ends = Run.open(folder / "run").history(), Run.open(folder.parent / "whole" / "run").history()
    assert len(ends[0]) == len(ends[1]) == 12
    for a, b in zip(*(e[:3] for e in ends)):  # rounding grows with the epochs
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)


def test_batch_norm_is_a_known_word():
    from c2vl_kit.train.config import TrainConfig

    with pytest.raises(InputError, match="batch_norm must be 'own' or None"):
        TrainConfig(batch_norm="sync")
