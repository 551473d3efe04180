"""A finished run can be made longer, and that too survives being stopped."""

import math

import pytest
import torch

from c2vl_kit.core import InputError
from c2vl_kit.data.build import build_store
from c2vl_kit.data.catalog import get_split
from c2vl_kit.methods import crosclr
from c2vl_kit.train.pretrain import pretrain
from c2vl_kit.train.runs import Run


@pytest.fixture(scope="module")
def train(tiny_clips, tmp_path_factory):
    """train(folder, epochs, **more): a tiny CrosSCLR, whose views exchange in the second half of the plan."""
    store, _ = build_store(tmp_path_factory.mktemp("longer") / "store", tiny_clips, dataset="simulated", progress=False)

    def go(folder, epochs, schedule="cosine", **more):
        settings = {"epochs": epochs, "batch_size": 6, "lr": 3e-3, "warmup_epochs": 1, "device": "cpu", "threads": 1, "schedule": schedule}
        tiny = dict(frames=8, backbone={"width": 4, "dim": 16}, queue=12, train=settings)
        config = crosclr.small(views=("joint", "motion")).replace(**tiny)
        return pretrain(crosclr, store, get_split(store), folder, config, progress=False, **more)

    return go


def test_longer_run_begins_its_schedule_again_and_stopped_ends_with_the_same_bits(train, tmp_path):
    for folder in (tmp_path / "whole", tmp_path / "stopped"):
        train(folder, 2)
        with pytest.warns(UserWarning, match="goes on after epoch 2 up to 5: the learning rate rises again and falls to zero"):
            train(folder, 5, stop_after=3 if folder.name == "stopped" else None)
    train(tmp_path / "stopped", 5)
    a, b = (Run.open(tmp_path / name) for name in ("whole", "stopped"))
    one, two = (r.load_checkpoint()["model"] for r in (a, b))
    assert all(torch.equal(one[k], two[k]) for k in one) and a.config == b.config
    assert a.config["train"]["epochs"] == 5 and a.config["train"]["restarts"] == [2]
    records = a.history()
    assert [r["epoch"] for r in records] == [1, 2, 3, 4, 5] and all(math.isfinite(r["loss"]) for r in records)
    rates = [r["lr"] for r in records]
    assert rates[1] < rates[0] and rates[2] > rates[1] and rates[4] < rates[3]
    assert ["joint>motion" in r for r in records] == [False, True, True, True, True]  # stage two does not end
    with pytest.warns(UserWarning, match="goes on after epoch 5 up to 6"):
        assert train(tmp_path / "whole", 6).config["train"]["restarts"] == [2, 5]


def test_only_a_finished_run_is_made_longer_and_nothing_else_may_change(train, tmp_path):
    train(tmp_path / "run", 3, stop_after=2)
    with pytest.raises(InputError, match="train to the end of the plan, and more epochs go on from there"):
        train(tmp_path / "run", 5)
    train(tmp_path / "run", 3)
    with pytest.raises(InputError, match="schedule='constant'"):
        train(tmp_path / "run", 5, "constant")
    assert Run.open(tmp_path / "run").config["train"]["epochs"] == 3
