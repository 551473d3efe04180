"""A batch in parts has the loss and the gradients of the whole; quick settings give the same training, and resume goes on exactly."""

import copy
import json
import sys
from pathlib import Path

import pytest
import torch
from stepping import MAKE, N, NOW, clips, task_of
from torch import nn

from c2vl_kit.app.doctor import Bench, Row, bench
from c2vl_kit.core import InputError
from c2vl_kit.data.augment import Augment
from c2vl_kit.methods.mmcl import MMCL
from c2vl_kit.models.zoo import Backbone
from c2vl_kit.skeleton import NTU25
from c2vl_kit.train.config import TrainConfig, chosen_here, compiled, optimiser_state
from c2vl_kit.train.guards import refuse_differences
from c2vl_kit.train.parts import descend, refuse_parts
from c2vl_kit.train.task import Task, generator_for, seeded
from c2vl_kit.train.trainer import Trainer, run_epoch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import gpu  # noqa: E402
import train as plain_loop  # noqa: E402

NORMS = nn.modules.batchnorm._BatchNorm
EXACT = dict(batch_size=N // 2, device="cpu", amp="off", threads=1)


def step(task, batch, **settings):
    """Loss, numbers, gradients and state after one step of `descend`."""
    loss, numbers = descend(task, task.loss, batch, NOW, generator_for(0, "a"), TrainConfig(**EXACT, **settings))
    gradients = {n: p.grad for n, p in task.named_parameters() if p.grad is not None}
    task.after_step(NOW)
    return {"loss": loss.detach(), **numbers, **gradients, **task.state_dict()}


@pytest.mark.parametrize("method", MAKE)
def test_parts_have_loss_gradients_and_banks_of_the_whole(method):
    """In float64, batch norms with fixed statistics; two persons, some absent, by a list of bodies."""
    task = task_of(method, "transformer", 2).double()
    for m in task.modules():
        m.training = m.training and not isinstance(m, NORMS)
    batch = next(clips(2).batches(7, 0, 0))  # no multiple of three
    batch = type(batch)(**{**vars(batch), "x": batch.x.double()})
    assert batch.bodies is not None and task.adds_up == (method == "supervised")
    task.adds_up = False  # a mean over clips can be cached too
    found = [step(copy.deepcopy(task), batch, accumulate=parts) for parts in (None, 3)]
    assert list(found[0]) == list(found[1]) and len([k for k in found[0] if k.startswith("encoder")]) > 5
    worst = max(float(((a - b).abs() / (1 + a.abs())).max()) for a, b in zip(found[0].values(), found[1].values()) if a.numel())
    assert worst < 1e-9, worst


def small(**more):
    """ST-GCN of width 4 with dropout, and a loss that is a mean over clips."""
    with seeded(0, "init"):
        task = Each(Backbone("stgcn", width=4, dim=8, dropout=0.3).make(NTU25))
    return task, TrainConfig(epochs=2, lr=0.01, warmup_epochs=0, **{**EXACT, **more})


class Each(Task):
    def loss(self, batch, progress, generator):
        return self.encoder(batch.x, batch.present).square().mean(1).add(1).log().mean(), {"one": torch.ones(())}


def test_batch_norm_and_dropout_of_parts_are_those_of_parts():
    """Statistics of a part, running averages once a part, the same dropout in both passes: as if parts were encoded one by one."""
    task, _ = small()
    batch, other = next(clips(1).batches(6, 0, 0)), copy.deepcopy(task)
    with seeded(3, "a"):
        found = step(task, batch, accumulate=3, batch_norm="own")
    with seeded(3, "a"):
        features = torch.cat([other.encoder(batch.x[i : i + 2], batch.present[i : i + 2]) for i in (0, 2, 4)])
    features.square().mean(1).add(1).log().mean().backward()
    for n, p in other.named_parameters():
        assert torch.allclose(found[n], p, rtol=1e-5) and torch.allclose(task.get_parameter(n).grad, p.grad, rtol=1e-4, atol=1e-7), n
    for n, b in other.named_buffers():
        assert torch.allclose(b.float(), task.get_buffer(n).float(), rtol=1e-5), n


def test_a_mean_over_clips_adds_up_without_a_second_pass():
    task = task_of("supervised", "transformer", 2)
    task.config = task.config.replace(augment=Augment().to_dict())  # parts would draw other numbers
    for m in task.modules():
        m.training = m.training and not isinstance(m, NORMS)
    calls, batch = [], next(clips(2).batches(N // 2, 0, 0))
    for net in task.encoders():
        net.register_forward_hook(lambda net, args, out: calls.append(len(out)))
    whole, parts = (step(copy.deepcopy(task), batch, accumulate=k) for k in (None, 3))
    assert calls.count(2) == 3 * len(task.encoders()) and not MMCL.adds_up
    assert all(torch.allclose(whole[k].float(), parts[k].float(), rtol=1e-4, atol=1e-6) for k in whole)


def left(task, config, kept):
    """Train one step and keep the state, as a stop in the middle of an epoch does."""
    trainer = Trainer(task, clips(1), config, progress=False)

    def on_step(now, middle):
        kept.update(copy.deepcopy(trainer.state() | {"middle": middle()}))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_epoch(task, trainer.clips, trainer.optimiser, config, 0, on_step=on_step)


@pytest.mark.parametrize("settings", [dict(accumulate=2, batch_norm="own"), dict(channels_last=True, fused=True)])
def test_an_epoch_left_in_its_middle_goes_on_to_the_same_bits(settings):
    ends, kept = [], {}
    left(*small(**settings), kept)
    assert kept["middle"]["step"] == 1
    for stopped in (False, True):
        task, config = small(**settings)
        trainer = Trainer(task, clips(1), config, progress=False)
        if stopped:
            trainer.load(kept)
        for epoch in range(2):
            middle = trainer.middle if epoch == 0 else None
            run_epoch(task, trainer.clips, trainer.optimiser, config, epoch, middle=middle)
        averages = {f"{n} {k}": v for n, s in optimiser_state(trainer.optimiser).items() for k, v in s.items()}
        ends.append(task.state_dict() | averages)
    assert all(torch.equal(v, ends[1][k]) for k, v in ends[0].items())


def test_quick_settings_change_nothing_but_last_digits_and_may_change_in_a_run():
    ends = []
    for settings in ({}, dict(fused=True, channels_last=True)):
        task, config = small(**settings)
        trainer = Trainer(task, clips(1), config, progress=False)
        losses = [r["loss"] for r in trainer.fit()]
        ends.append((losses, trainer.optimiser.param_groups[0]["fused"], task.encoder.blocks[4].time.weight.stride()))
    assert ends[0][0] == pytest.approx(ends[1][0], rel=1e-3) and (ends[0][1], ends[1][1]) == (None, True)
    assert ends[0][2] != ends[1][2]
    plain, quick = (TrainConfig(fused=f, channels_last=f).to_dict() for f in (None, True))
    refuse_differences("it", plain, quick)
    with pytest.raises(InputError, match="accumulate=2"):
        refuse_differences("it", plain, {**plain, "accumulate": 2})
    old = {k: v for k, v in plain.items() if k not in ("fused", "tf32", "channels_last", "accumulate")}
    refuse_differences("it", old, plain)  # a run of an earlier version goes on


def test_what_cannot_be_taken_in_parts_says_so():
    task, config = small()
    own = config.replace(accumulate=3)
    with pytest.raises(InputError, match="would see 2 clips at once, not 6: set batch_norm='own'"):
        Trainer(task, clips(1), own, progress=False)
    refuse_parts(task, own.replace(batch_norm="own"))

    class Trained(Each):
        def loss(self, batch, progress, generator):
            return self.encoder(batch.x.clone().requires_grad_(), batch.present).mean(), {}

    with pytest.raises(InputError, match="Trained trains what its encoder looks at"):
        step(Trained(task.encoder), next(clips(1).batches(6, 0, 0)), accumulate=3)
    with pytest.raises(InputError, match="cannot be taken in 4 parts"):
        TrainConfig(batch_size=6, accumulate=4)
    with pytest.raises(InputError, match="leave accumulate out"):
        TrainConfig(accumulate=2, compile="graphs")


def test_graphs_give_the_loss_and_are_asked_for(monkeypatch):
    marks = []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: marks.append(1))
    task, batch = task_of("supervised", "transformer", 1), next(clips(1).batches(6, 0, 0))
    torch._dynamo.reset()
    quick = compiled(task, "eager", graphs=True)
    plain, graph = (f(batch, NOW, generator_for(0, "a"))[0] for f in (task.loss, quick))
    assert torch.allclose(plain, graph, rtol=1e-5) and len(marks) == 1


def test_the_bench_chooses_and_pretrain_is_told(tmp_path, monkeypatch):
    rows = [Row("cpu", 1, "off", 9.0), Row("cpu", 2, "off", 5.0), Row("cpu", 2, "off", 4.0, "fused"),
            Row("cpu", 2, "off", 4.9, "channels_last"), Row("cpu", 2, "bf16", 9.0)]  # fmt: skip
    assert Bench(tuple(rows)).chosen == rows[1] and Bench(tuple(rows)).quick == ("fused",)
    file = tmp_path / "machine.json"
    monkeypatch.setenv("C2VL_MACHINE", str(file))
    made = bench(seconds=0.2, batch=2, frames=8)
    assert {r.how for r in made.rows} == {"", "fused", "channels_last"}
    kept = json.loads(file.read_text())
    assert chosen_here() == {"threads": made.chosen.threads, **{k: True for k in made.quick}} and kept["threads"] == made.chosen.threads


@pytest.mark.parametrize("backbone", ["stgcn16", "ctrgcn"])
def test_the_plain_loop_of_the_bench_computes_what_the_kit_computes(backbone):
    data = plain_loop.make_clips(4, 8, 2, 1.0)
    task = plain_loop.make_task("c2vl", backbone, data, {"batch_size": 4}).train()
    net, batch = task.encoder["joint"], next(data.batches(4, 0, 0))
    for m in getattr(net, "units", []):  # as published they start at nothing
        m.norm.weight.data.fill_(1.0)
        m.alpha.data.fill_(0.5)
    with torch.no_grad():
        assert torch.allclose(net(batch.x, batch.who), plain_loop.plain_features(net, batch.x), rtol=1e-3, atol=1e-4)
    assert plain_loop.Samples(data, "skeletonclr")[0][2].shape == plain_loop.Samples(data, "c2vl")[1][1].shape == data.x.shape[1:]


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without a GPU is told")
def test_the_bench_of_a_gpu_leaves_rows_empty_without_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(tmp_path / "gpu.json")])
    gpu.main()
    told = json.loads((tmp_path / "gpu.json").read_text())
    assert told["rows"] == [] and told["note"] == "no GPU here: every row stays empty" and told["note"] in capsys.readouterr().out
