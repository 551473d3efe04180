"""Nothing in a training step asks an accelerator for a number, or sends it one: every method, every backbone, one and two persons.

The tasks stand on torch's meta device. A copy from there cannot be had, so what would make a GPU wait fails by itself or is seen.
"""

from contextlib import nullcontext

import pytest
import torch
from stepping import BACKBONES, EVERYTHING, MAKE, NOW, clips, task_of
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from c2vl_kit.data.streams import STREAMS, stream
from c2vl_kit.skeleton import NTU25
from c2vl_kit.train.config import TrainConfig, make_optimiser
from c2vl_kit.train.guards import Watch
from c2vl_kit.train.trainer import Means

META = torch.device("meta")
ASKS = tuple(f"aten.{name}" for name in ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_unique2"))


class Waits(AssertionError):
    """An operator for which an accelerator would wait."""


def tensors(things) -> list[torch.Tensor]:
    """Those among arguments and lists of arguments."""
    found = []
    for t in things:
        if isinstance(t, torch.Tensor):
            found.append(t)
        elif isinstance(t, list | tuple):
            found += [u for u in t if isinstance(u, torch.Tensor)]
    return found


class NoSync(TorchDispatchMode):
    """Fails where the device is asked for a number, and where the host makes or sends one."""

    host = False  # True: the host may do sums of its own

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name, kwargs = str(func), kwargs or {}
        given = tensors([*args, *kwargs.values()])
        near = [t for t in given if not t.is_meta]
        if len(near) < len(given) and name.startswith(ASKS):
            raise Waits(f"{name} asks the device")
        if name.startswith("aten.index") and any(t.dtype == torch.bool for t in tensors(args[1:2])):
            raise Waits(f"{name} with a mask asks the device how many there are")
        out = func(*args, **kwargs)
        made = tensors([out])
        if near and any(t.is_meta for t in made) and (name.startswith(("aten._to_copy", "aten.copy")) or any(t.ndim for t in near)):
            raise Waits(f"{name} sends {tuple(near[0].shape)} from the host")
        if not self.host and any(not t.is_meta for t in made):
            raise Waits(f"{name} makes a tensor on the host")
        return out


class OnMeta(torch.Generator):
    """Stands for a generator of the meta device, which has none."""

    device = META


class Calls(TorchFunctionMode):
    """Draws without a generator; sees lists that become tensors, which happens below the other mode."""

    strict = False

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if isinstance(kwargs.get("generator"), OnMeta):
            kwargs = {k: v for k, v in kwargs.items() if k != "generator"}
        index = args[1] if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__) else ()
        index = index if isinstance(index, tuple) else (index,)
        listed = any(isinstance(i, list) or hasattr(i, "__array_interface__") for i in index)
        if self.strict and (listed or func in (torch.tensor, torch.as_tensor) and not isinstance(args[0], torch.Tensor)):
            raise Waits(f"{func.__name__} sends {index or args[0]} from the host")
        return func(*args, **kwargs)


def step(task, batch, watch, means, optimiser, mode, calls):
    loss, numbers = task.loss(batch, NOW, OnMeta())
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    gradients = [p.grad for p in task.parameters() if p.grad is not None]
    watch.look(NOW.step, batch, loss, gradients)
    mode.host, calls.strict = True, False  # optimisers count their steps on the host
    optimiser.step()
    mode.host, calls.strict = False, True
    task.after_step(NOW)
    means.add(loss=loss, **numbers)


@pytest.fixture(scope="module", autouse=True)
def tables():
    """Tables of joints go to a device once."""
    x = torch.zeros(2, 3, 8, NTU25.V, 2, device=META)
    with Calls():
        EVERYTHING(x, OnMeta(), NTU25)
        for name in STREAMS:
            stream(x, NTU25, name)


CASES = [(method, backbone, 2) for method in MAKE for backbone in BACKBONES] + [(method, "stgcn", 1) for method in MAKE]


@pytest.mark.parametrize(("method", "backbone", "persons"), CASES)
def test_no_step_waits(method, backbone, persons, monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # the meta device has none
    task = task_of(method, backbone, persons).to(META)
    optimiser = make_optimiser(task, TrainConfig(optimiser="adamw" if persons == 1 else "sgd"))
    batches = clips(persons).to(META).batches(6, 0, 0)
    watch, means, mode = Watch(META, "here"), Means(), NoSync()
    with Calls() as calls:
        task.ready(next(batches), NOW, OnMeta())  # names become numbers once for a set
        calls.strict = True
        with mode:
            step(task, next(batches), watch, means, optimiser, mode, calls)


FAULTS = {
    "item": lambda x: x.sum().item(), "bool": lambda x: bool((x > 0).all()), "mask": lambda x: x[x > 0],
    "nonzero": lambda x: (x > 0).nonzero(),
    "made on the host": lambda x: torch.zeros(3), "a wave from the host": lambda x: torch.arange(3.0).to(x.device),
    "numbers": lambda x: torch.tensor([1, 2], device=x.device), "a list": lambda x: x[:, [0, 2]],
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_waits_is_seen(fault):
    x = torch.ones(2, 3, device=META)
    with Calls() as calls, NoSync():
        calls.strict = True
        with pytest.raises(Waits):
            FAULTS[fault](x)
