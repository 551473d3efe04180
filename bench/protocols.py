"""What pre-training is worth after it: fine-tuning, few labels, few shots, another data set, damaged clips.

    python bench/protocols.py prepare --data nw-ucla --root path/nw_ucla --base runs/protocols
    python bench/protocols.py prepare --data utd-mhad --root path/utd_mhad --base runs/protocols
    python bench/protocols.py run --base runs/protocols          (goes on where it stopped; --minutes 50, --part 0/2)
    python bench/protocols.py table                              (OUT/table.md, of the jobs that are done)
    python bench/protocols.py rehearse                           (the simulator, the smallest sizes, everything once)

C2VL and SimCLR pre-train once for each data set and seed, and every protocol takes that run. "From scratch" is the same protocol with
encoders of the same shape that have learnt nothing. Draw d of the labels goes with seed d. A job's figures stand in OUT/<key>.json,
whole or not at all.
"""
import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from studies import EPOCHS, LMM, key_of
from trials import prepare, space_of

from c2vl_kit.concepts.kinematic import caption
from c2vl_kit.concepts.space import embed
from c2vl_kit.concepts.towers import TextTower
from c2vl_kit.core import InputError, write_json_atomic, write_whole
from c2vl_kit.data.build import build_store
from c2vl_kit.data.catalog import get_dataset, get_split
from c2vl_kit.data.mapping import map_joints
from c2vl_kit.data.simulate import SimulatorConfig, retarget, simulate
from c2vl_kit.data.store import Store
from c2vl_kit.evaluate.few_labels import few_labels, few_shot
from c2vl_kit.evaluate.finetune import FineTune, fine_tune, own_score, transfer
from c2vl_kit.evaluate.outcome import Outcome, chosen_test
from c2vl_kit.evaluate.robustness import robustness
from c2vl_kit.evaluate.scores import interval
from c2vl_kit.evaluate.zeroshot import name_clips
from c2vl_kit.methods import c2vl, simclr
from c2vl_kit.skeleton import UTD20
from c2vl_kit.train.pretrain import pretrain
from c2vl_kit.train.runs import Run
from c2vl_kit.train.runview import RunView

OUT, BASE = Path("nbs/results/jobs/protocols"), Path("runs/protocols")
WHO = {"scratch": "from scratch", "simclr": "SimCLR", "c2vl": "C2VL"}
PROTOCOLS = ("fine-tune", "few labels", "few-shot", "transfer", "robustness")
OTHER = {"nw-ucla": "utd-mhad", "utd-mhad": "nw-ucla", "sim-a": "sim-b", "sim-b": "sim-a"}


@dataclass(frozen=True)
class Size:
    """How much of everything; `small` is the rehearsal."""

    seeds: int = 5
    epochs: int | None = None  # None: as the other studies
    settings: FineTune = FineTune(device="cpu")
    percents: tuple = (1, 5, 10, 20)
    small: dict | None = None  # changes of the methods' preset


FULL = Size()
TOY = Size(2, 2, FineTune(updates=6, batch_size=12, device="cpu"), (50,), {"frames": 8, "backbone": {"width": 4, "dim": 16}})


def jobs(data: tuple[str, ...], size: Size) -> list[dict]:
    "Seed by seed, so that a stopped study has whole seeds."
    return [{"protocol": p, "data": d, "who": w, "seed": s, "updates": size.settings.updates, "percents": list(size.percents),
             "epochs": size.epochs or EPOCHS[d]} for s in range(size.seeds) for d in data for p in PROTOCOLS for w in WHO]


# ---------------------------------------------------------------- one job

def pretrained(job: dict, base: Path, size: Size, store: Store) -> Run:
    "The run that all protocols of a data set, method and seed share; from scratch takes the shape of C2VL's."
    name = "simclr" if job["who"] == "simclr" else "c2vl"
    method, given, split = {"simclr": simclr, "c2vl": c2vl}[name], {}, get_split(store)
    train = {"epochs": job["epochs"], "seed": job["seed"], "threads": 1, "device": "cpu", "save_every": 10}
    if name == "c2vl":
        whole = space_of(LMM, base / job["data"])
        given["space"] = whole.subset(tuple(n for n in split.train if n not in whole.silent))
    shape = {"backbone": c2vl.small().backbone, **(size.small or {})}
    config = method.small().replace(**shape).replace(train=train)
    return pretrain(method, store, split, base / job["data"] / "runs" / f"{name}-{job['seed']}", config, progress=False, **given)


def outcomes(job: dict, base: Path, size: Size, tower: TextTower | None) -> list[Outcome]:
    data, seed, learnt = job["data"], job["seed"], job["who"] != "scratch"
    store = Store.open(base / data / "store", verify=False)
    split, run = get_split(store), pretrained(job, base, size, store)
    out = base / data / "tuned" / f"{job['who']}-{seed}"
    how = dict(learnt=learnt, seed=seed)
    if job["protocol"] == "fine-tune":
        tuned = fine_tune(run, store, split, out / "all", size.settings, progress=False, **how)
        return [Outcome.of("fine-tune", {}, {"all labels": [own_score(tuned, store, split)]})]
    if job["protocol"] == "few labels":
        return [few_labels(run, store, split, out, size.percents, (seed,), size.settings, **how)]
    if job["protocol"] == "few-shot":
        return [few_shot(run, store, split, **how)]
    if job["protocol"] == "robustness":
        return [robustness(run, store, split, **how)]
    other = Store.open(base / OTHER[data] / "store", verify=False)
    there = get_split(other)
    found = [transfer(run, other, there, out / f"to-{OTHER[data]}", size.settings, **how)]
    if job["who"] == "c2vl" and tower is not None and OTHER[data] in OTHER:
        found.append(named(run, other, there, tower))
    return found


def named(run: Run, other: Store, there, tower: TextTower) -> Outcome:
    "Name the other set's test clips from class phrases; no label and no clip of that set was seen."
    test = chosen_test(there)
    phrases = get_dataset(other.dataset).phrases()
    got = name_clips(run, map_joints(other, RunView.of(run).layout), there.tests[test], phrases, tower)
    return Outcome("transfer", {}, {"named from words": (got.accuracy,)}, {})


def do(job: dict, base: Path, size: Size, tower: TextTower | None) -> dict:
    began, figures, choices = time.process_time(), {}, {}
    for outcome in outcomes(job, base, size, tower):
        figures |= {k: round(statistics.mean(v), 4) for k, v in outcome.values.items()}
        choices |= outcome.choices
    return {"job": job, "figures": figures, "choices": {k: v for k, v in choices.items() if k != "run"},
            "seconds": round(time.process_time() - began, 1), "torch": torch.__version__}


# ---------------------------------------------------------------- the table

def table(done: list[dict]) -> str:
    "Mean over seeds with Student's 95 % interval, and C2VL's paired differences."
    values: dict[tuple, dict] = {}
    for d in done:
        job = d["job"]
        for condition, value in d["figures"].items():
            row = values.setdefault((job["data"], job["protocol"], condition), {})
            row.setdefault(job["who"], {})[job["seed"]] = 100 * value
    head = ["data", "protocol", "condition", *WHO.values(), "C2VL − scratch", "C2VL − SimCLR", "seeds"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for (data, protocol, condition), row in sorted(values.items(), key=lambda x: (x[0][0], PROTOCOLS.index(x[0][1]))):
        mine = row.get("c2vl", {})
        cells = [spread(list(row.get(w, {}).values())) for w in WHO]
        for rival in ("scratch", "simclr"):
            both = sorted(mine.keys() & row.get(rival, {}).keys())
            cells.append(spread([mine[s] - row[rival][s] for s in both], "+"))
        where = f"{data} → {OTHER[data]}" if protocol == "transfer" else data
        lines.append(f"| {' | '.join([where, protocol, condition, *cells, str(len(mine))])} |")
    return "\n".join(lines) + "\n"


def spread(values: list[float], sign: str = "") -> str:
    if not values:
        return "–"
    mean, low, high = (round(v, 1) + 0.0 for v in interval(values))  # and no -0.0
    return f"{mean:{sign}.1f}" if len(values) < 2 else f"{mean:{sign}.1f} ({low:{sign}.1f} … {high:{sign}.1f})"


# ---------------------------------------------------------------- the command line

def simulated(base: Path) -> tuple[str, ...]:
    "Two small sets of made-up motions, their joints in two orders, with the rules' words."
    for number, data in enumerate(("sim-a", "sim-b")):
        if (base / data / "store").exists():
            continue
        clips = simulate(SimulatorConfig(classes=5, subjects=6, repetitions=2, seed=number)).clips
        clips = [retarget(c, UTD20) for c in clips] if number else clips
        store, _ = build_store(base / data / "store", clips, dataset="simulated", progress=False)
        folder = base / data / "words" / LMM
        embed(store, folder, caption(store, folder / "prompts.jsonl"), TextTower.load("auto"), progress=False)
    return "sim-a", "sim-b"


def run(data: tuple[str, ...], base: Path, out: Path, size: Size, minutes: float = 1e6, part: tuple[int, int] = (0, 1)) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("C2VL_QUIET", "1")
    tower, began = TextTower.load("auto"), time.time()
    for job in jobs(data, size):
        if job["seed"] % part[1] != part[0]:  # a seed's runs are shared, so one process does all of it
            continue
        path = out / f"{key_of(job)}.json"
        if path.exists():
            continue
        if time.time() - began > 60 * minutes:
            break
        found = do(job, base, size, tower)
        write_json_atomic(path, found)
        print(*(job[k] for k in ("data", "protocol", "who", "seed")), found["figures"], found["seconds"], flush=True)


def finished(out: Path) -> list[dict]:
    return [json.loads(p.read_text()) for p in sorted(out.glob("*.json"))]


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=("prepare", "run", "table", "rehearse"))
    p.add_argument("--data", choices=tuple(EPOCHS))
    p.add_argument("--root", help="folder with the raw recordings")
    p.add_argument("--base", type=Path, default=BASE, help="folder for stores, vectors and runs")
    p.add_argument("--out", type=Path, default=OUT, help="folder for the figures of finished jobs")
    p.add_argument("--minutes", type=float, default=1e6, help="start no job after so many minutes")
    p.add_argument("--part", default="0/1", help="take every n-th seed, such as 1/2: two processes share the work with 0/2 and 1/2")
    args = p.parse_args()
    if args.what == "prepare":
        prepare(args.data, args.root, args.base)
        return 0
    if args.what == "rehearse":
        base = Path(tempfile.mkdtemp(prefix="c2vl-protocols-"))
        run(simulated(base), base, base / "jobs", TOY)
        print(table(finished(base / "jobs")))
        return 0
    if args.what == "run":
        there = tuple(d for d in EPOCHS if (args.base / d / "store").exists())
        if len(there) < len(EPOCHS):
            raise InputError("both data sets are needed, because each is the other's transfer: prepare them first")
        run(there, args.base, args.out, FULL, args.minutes, tuple(int(x) for x in args.part.split("/")))
    if done := finished(args.out):
        write_whole(args.out / "table.md", table(done))
        print(table(done))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as why:
        print(f"protocols: {why}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("protocols: stopped; the same command goes on after the jobs that are done.", file=sys.stderr)
        sys.exit(130)
