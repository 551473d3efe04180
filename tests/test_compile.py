"""The whole loss of every method is one graph, and its value and gradients are those of the plain loss."""

import shutil

import pytest
import torch
from stepping import EVERYTHING, MAKE, N, NOW, clips, task_of

from c2vl_kit.core import InputError
from c2vl_kit.data.augment import draw_all
from c2vl_kit.skeleton import NTU25
from c2vl_kit.train.config import TrainConfig, compiled
from c2vl_kit.train.guards import FIRST
from c2vl_kit.train.task import Progress, Task, generator_for
from c2vl_kit.train.trainer import Trainer

CASES = [*((m, "transformer", 2) for m in MAKE), *(("supervised", b, p) for b in ("stgcn", "ctrgcn", "gru") for p in (1, 2))]


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def both(method, backbone, persons, backend):
    """Loss and gradients, plain and compiled."""
    answers = []
    for quick in (False, True):
        task, batch = task_of(method, backbone, persons), next(clips(persons).batches(N // 2, 0, 0))
        loss, numbers = (compiled(task, backend) if quick else task.loss)(batch, NOW, generator_for(0, "a"))
        loss.backward()
        gradients = torch.cat([p.grad.flatten() for p in task.parameters() if p.grad is not None])
        answers.append((loss.detach(), gradients, {k: float(v) for k, v in numbers.items()}, dict(task.named_buffers())))
    return answers


@pytest.mark.parametrize(("method", "backbone", "persons"), CASES)
def test_one_graph(method, backbone, persons):
    (a, ga, told, one), (b, gb, same, two) = both(method, backbone, persons, "eager")
    assert torch.allclose(a, b, rtol=1e-5) and torch.allclose(ga, gb, rtol=1e-5, atol=1e-5 * ga.abs().max())
    assert told == pytest.approx(same, rel=1e-4, abs=1e-5)
    assert all(torch.allclose(one[k].float(), two[k].float(), atol=1e-5) for k in one)


@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="inductor needs a C++ compiler")
def test_one_fused_graph():
    (a, ga, *_), (b, gb, *_) = both("supervised", "transformer", 2, "inductor")
    assert torch.allclose(a, b, rtol=1e-5) and torch.allclose(ga, gb, rtol=1e-4, atol=1e-5 * ga.abs().max())


def test_graphs_are_not_made_again():
    """Neither names, nor the epoch's share, nor how many persons are there: after two graphs there are no more."""
    made = []

    def count(graph, example):
        made.append(len(example))
        return graph.forward

    task, everybody = task_of("c2vl", "transformer", 2), clips(2)
    task.loss(next(everybody.batches(4, 0, 0)), NOW, generator_for(0, "a"))  # tables of joints go to the device
    loss = compiled(task, count)
    for epoch in range(4):
        for step, batch in enumerate(everybody.batches(4, 0, epoch)):
            loss(batch, Progress(epoch, 10, step, 3), generator_for(0, "a", epoch))
            task.after_step(NOW)
    assert 1 <= len(made) <= 2


def test_numbers_drawn_before_are_the_same():
    x = clips(2).x
    a, b = generator_for(0, "a"), generator_for(0, "a")
    for augment in (EVERYTHING, EVERYTHING.replace(crosclr_crop=0), EVERYTHING.replace(crop=1.0, flip=False, motion_scale=0.0)):
        assert torch.equal(augment(x, a, NTU25), augment(x, draw_all(augment, x, b), NTU25))
    assert torch.equal(a.get_state(), b.get_state())


def test_the_trainer_compiles_after_the_first_averages(monkeypatch):
    """Ten plain steps, then the graph; the weights are those of a plain training."""
    calls = []

    def eager(task, graphs):
        quick = compiled(task, "eager")
        return lambda *args: (calls.append(args[1]), quick(*args))[1]

    monkeypatch.setattr("c2vl_kit.train.trainer.compiled", eager)
    ends = []
    for how in ("off", "on"):
        task = task_of("supervised", "stgcn", 1)
        config = TrainConfig(epochs=4, batch_size=4, lr=1e-3, device="cpu", amp="off", compile=how, warmup_epochs=0)
        Trainer(task, clips(1), config, progress=False).fit()
        ends.append(task.state_dict())
    assert len(calls) == 12 - FIRST and calls[0].epoch * 3 + calls[0].step == FIRST
    assert all(torch.allclose(ends[0][k].float(), v.float(), atol=1e-4) for k, v in ends[1].items())


def test_a_loss_in_one_part_is_refused():
    class Whole(Task):
        def loss(self, batch, progress, generator):
            return batch.x.sum(), {}

    with pytest.raises(InputError, match="write ready and terms"):
        compiled(Whole(torch.nn.Identity()))


def test_several_processes_do_not_compile():
    from types import SimpleNamespace

    from c2vl_kit.train.trainer import refuse_few

    with pytest.raises(InputError, match="2 processes cannot train a compiled loss: set compile='off'"):
        refuse_few(9, TrainConfig(compile="on"), SimpleNamespace(size=2))
    refuse_few(9, TrainConfig(compile="on"), SimpleNamespace(size=1))
