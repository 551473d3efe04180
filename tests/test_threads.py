"""Threads: the command line lets them sleep while they wait, and a choice that was made for this machine reaches a run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from c2vl_kit.app.doctor import bench
from c2vl_kit.core import InputError
from c2vl_kit.data.build import build_store
from c2vl_kit.data.catalog import get_split
from c2vl_kit.methods import skeletonclr
from c2vl_kit.train.config import chosen_here, machine_kind
from c2vl_kit.train.pretrain import pretrain

GRU = {"name": "gru", "width": 8, "layers": 1, "dim": None, "partition": None, "persons": None}


def test_the_command_line_sets_the_policy_before_torch_loads():
    """And leaves alone what you have set."""
    code = """
import sys
from c2vl_kit.app import cli
assert "torch" not in sys.modules
cli.main([])
import os, torch
print("POLICY", os.environ["OMP_WAIT_POLICY"])
"""
    for given, policy in ({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active"):
        env = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"} | given
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd=Path(__file__).parents[1])
        assert done.returncode == 0 and f"POLICY {policy}" in done.stdout, done.stderr


def test_pretrain_takes_the_threads_of_this_machine_and_records_them(tiny_clips, tmp_path, monkeypatch):
    """Written by `bench`; a number of your own comes first, `off` ignores the file, another machine's choice does not count."""
    file = tmp_path / "machine.json"
    monkeypatch.setenv("C2VL_MACHINE", str(file))
    made = bench(seconds=0.2, batch=2, frames=8)
    assert chosen_here()["threads"] == made.chosen.threads and len(made.rows) >= 2
    file.write_text(json.dumps({"machine": machine_kind(), "threads": 3}))
    store, _ = build_store(tmp_path / "store", tiny_clips, dataset="simulated", progress=False)
    split = get_split(store)
    train = {"epochs": 1, "batch_size": 4, "warmup_epochs": 0, "device": "cpu"}
    config = skeletonclr.small().replace(frames=8, queue=8, projection=8, backbone=GRU, train=train)

    def threads(name: str, **changes):
        run = pretrain(skeletonclr, store, split, tmp_path / name, config.replace(train=changes), progress=False)
        return run.config["train"]["threads"]

    assert (threads("theirs"), threads("mine", threads=1)) == (3, 1)
    monkeypatch.setenv("C2VL_MACHINE", "off")
    assert threads("off") is None and threads("theirs") == 3  # the run goes on with another choice, and keeps what it was begun with
    monkeypatch.setenv("C2VL_MACHINE", str(file))
    file.write_text(json.dumps({"machine": "64 cores, AVX2, torch 2.6", "threads": 64}))
    assert chosen_here() == {}
    file.write_text("[]")
    with pytest.raises(InputError, match="make it again, `c2vl doctor --bench`"):
        chosen_here()
