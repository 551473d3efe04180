"""Kill trainings at random steps, go on each time with the same call, and count the tensors that differ from a run nobody killed.

    python bench/kills.py                                  (30 kills of each case; some minutes on two cores)
    python bench/kills.py --kills 5 --cases c2vl,two       (fewer)

A case is a method in one process, or `two`: C2VL in two processes that share every batch, one of which is killed. SIGKILL comes
within a step drawn from the next two epochs, so it also hits a checkpoint that is being written. Weights, buffers, the optimiser's
averages and the log are compared bit by bit. The exit code is 1 where anything differs, or where the other process of two
does not end within a minute. `--json FILE` keeps the rows.
"""
import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.distributed import TCPStore
from torch.optim.optimizer import register_optimizer_step_post_hook

from c2vl_kit.concepts.space import ConceptSpace
from c2vl_kit.data.build import build_store
from c2vl_kit.data.catalog import get_split
from c2vl_kit.data.simulate import SimulatorConfig, simulate
from c2vl_kit.data.store import Store
from c2vl_kit.methods import c2vl, crosclr, distil, ikem
from c2vl_kit.train.pretrain import pretrain
from c2vl_kit.train.runs import Run

CASES = ("c2vl", "crosclr", "ikem", "distil", "two")
STEPS = 4  # of an epoch: 24 training clips in batches of 6
TINY = {"frames": 8, "backbone": {"width": 4, "dim": 16, "dropout": 0.25}}  # dropout: its random numbers must go on too
FORK = multiprocessing.get_context("fork")


def prepare(folder: Path) -> None:
    "A store, and the teacher of `distil`."
    motions = simulate(SimulatorConfig(classes=3, subjects=4, repetitions=4, seed=0))
    build_store(folder / "store", motions.clips, dataset="simulated", progress=False)
    train("ikem", folder, folder / "teacher", 2)


def train(case: str, folder: Path, out: Path, epochs: int) -> None:
    "One case from where its run stands to the end."
    store = Store.open(folder / "store")
    split, how = get_split(store), {"progress": False}
    settings = {"epochs": epochs, "batch_size": 6, "lr": 3e-3, "device": "cpu", "threads": 1, "amp": "off"}
    if case in ("c2vl", "two"):
        words = np.random.default_rng(0).normal(size=(len(store.names), 12)).astype(np.float32)
        how["space"] = ConceptSpace(store.names, words / np.linalg.norm(words, axis=1, keepdims=True))
    if case == "distil":
        how["teacher"] = folder / "teacher"
    room = {"c2vl": c2vl, "two": c2vl, "crosclr": crosclr, "ikem": ikem, "distil": distil}[case]
    config = room.small().replace(**TINY, train=settings)
    if room is not c2vl:
        config = config.replace(queue=12, views=("joint", "motion"))
    pretrain(room, store, split, out, config, **how)


def child(case: str, folder: Path, out: Path, epochs: int, steps, rank: int, port: int) -> None:
    "What a forked process does; `steps` counts what the first process has done."
    sys.stderr = open(os.devnull, "w")
    if port:
        told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ |= {k: str(v) for k, v in told.items()} | {"TORCHELASTIC_USE_AGENT_STORE": "True"}
    if not rank:
        register_optimizer_step_post_hook(lambda *_: setattr(steps, "value", steps.value + 1))
    train(case, folder, out, epochs)


def start(case: str, folder: Path, out: Path, epochs: int) -> tuple[list, object, object]:
    "The processes of a case, their counter of steps, and what keeps their addresses."
    steps = FORK.Value("i", 0)
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False) if case == "two" else None
    rest = [(rank, store.port if store else 0) for rank in range(2 if store else 1)]
    started = [FORK.Process(target=child, args=(case, folder, out, epochs, steps, *r)) for r in rest]
    for process in started:
        process.start()
    return started, steps, store


def finish(case: str, folder: Path, out: Path, epochs: int) -> None:
    "Train to the end."
    started, _, store = start(case, folder, out, epochs)  # the store must live as long as they do
    for process in started:
        process.join()
    del store


def killed(case: str, folder: Path, out: Path, epochs: int, draw: random.Random) -> float | None:
    "Train until a random step, kill; seconds until all had ended. None: the end came first."
    started, steps, store = start(case, folder, out, epochs)
    target, victim = draw.randint(1, 2 * STEPS), draw.choice(started)
    while steps.value < target and started[0].is_alive():
        time.sleep(0.002)
    time.sleep(draw.random() * 0.05)
    if not started[0].is_alive():
        return None
    began = time.monotonic()
    os.kill(victim.pid, signal.SIGKILL)
    for process in started:
        process.join(60)
        process.kill()
    del store
    return time.monotonic() - began


def numbers(folder: Path) -> dict:
    "Everything a run must give again, by name."
    run = Run.open(folder)
    state = run.load_checkpoint()
    found = {f"model/{k}": v for k, v in state["model"].items()}
    found |= {f"optimiser/{k}/{n}": v for k, s in state["optimiser"].items() for n, v in s.items()}
    for record in run.history():
        found |= {f"log/{record['epoch']}/{k}": torch.tensor(float(v)) for k, v in record.items() if k not in ("seconds", "epoch")}
    return found


def case_row(case: str, folder: Path, kills: int, seed: int) -> dict:
    "One case: the whole run, then one that is killed so many times."
    draw, epochs, ends = random.Random(f"{case} {seed}"), kills + 6, []
    whole, out = folder / f"{case}-whole", folder / f"{case}-killed"
    finish(case, folder, whole, epochs)
    while len(ends) < kills and (seconds := killed(case, folder, out, epochs, draw)) is not None:
        ends.append(seconds)
    finish(case, folder, out, epochs)
    a, b = numbers(whole), numbers(out)
    differ = [k for k in {**a, **b} if k not in a or k not in b or not torch.equal(a[k], b[k])]
    return {"case": case, "kills": len(ends), "epochs": epochs, "tensors": len(a), "differ": len(differ),
            "first": differ[:3], "slowest_end_s": round(max(ends, default=0.0), 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--cases", default=",".join(CASES), help="some of " + ", ".join(CASES))
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--json", type=Path, help="file for the rows")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        begin = FORK.Process(target=prepare, args=(Path(folder),))
        begin.start()
        begin.join()
        for case in args.cases.split(","):
            rows.append(row := case_row(case, Path(folder), args.kills, args.seed))
            told = "{case}: {kills} kills in {epochs} epochs, {differ} of {tensors} tensors differ, slowest end {slowest_end_s} s"
            print(told.format(**row), *row["first"], flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return int(any(r["differ"] or r["slowest_end_s"] > 60 for r in rows))


if __name__ == "__main__":
    sys.exit(main())
