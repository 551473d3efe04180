"""The quickstart's three seeds: own sentences, dealt-out sentences, an untrained encoder and raw joints, from one label a class.

    python bench/quickstart.py [--seeds 0 1 2] [--people 0] [--out DIR]

The set-up is the tutorial's. `--people` simulates other people (the set-up was chosen on `--people 7`, so that nothing was chosen on
the people of the page). Prints one line a run and the table at the end; about a minute and a half a run on one core.
"""
import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from c2vl_kit.concepts.prompts import PromptStore, prompts_from
from c2vl_kit.concepts.space import embed
from c2vl_kit.data.build import build_store
from c2vl_kit.data.simulate import SimulatorConfig, simulate
from c2vl_kit.data.splits import Split, semi_supervised
from c2vl_kit.evaluate.probes import evaluate
from c2vl_kit.methods import c2vl
from c2vl_kit.train.pretrain import pretrain

TRAIN, TEST = ({1, 3, 5, 7}, {1, 2}), ({2, 4, 6, 8, 9, 10, 11, 12}, {3})  # people and cameras
ROWS = {"own": "linear", "untrained": "untrained encoder, linear", "raw joints": "raw joints 1-NN"}


def data(job: Path, people: int):
    "Store, split and concept space of the tutorial."
    made = simulate(SimulatorConfig(classes=28, subjects=12, repetitions=1, cameras=3, seed=people))
    side = lambda who, where: [c for c in made.clips if c.subject in who and c.camera in where]
    train, test = side(*TRAIN), side(*TEST)
    store, _ = build_store(job / "store", train + test, dataset="simulated", progress=False)
    split = Split("simulated", "new-camera", tuple(c.name for c in train), {"clean": tuple(c.name for c in test)})
    prompts = PromptStore(job / "prompts.jsonl")
    prompts.append(prompts_from({c.name: made.descriptions[c.name] for c in train}, "simulator"))
    return store, split, embed(store, job, captions=prompts, names=split.train, progress=False)


def figures(run, store, split, seed: int) -> dict:
    "Accuracies of a run's rows in per cent, from one label a class and from all labels."
    few = semi_supervised(split, store, 12.5, draw=seed)
    one = evaluate(run, store, few, seed=seed, cut_from=split, prompts=None, progress=False)
    every = evaluate(run, store, split, seed=seed, prompts=None, progress=False)
    score = lambda results, row: round(100 * results[row]["clean"][{"raw joints 1-NN": "k=1"}.get(row, "last")].accuracy, 1)
    return {name: [score(one, row), score(every, row)] for name, row in ROWS.items()}


def main() -> None:
    "Run everything and print it."
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--people", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    job = args.out or Path(tempfile.mkdtemp(prefix="quickstart-"))
    store, split, space = data(job, args.people)
    table = {}
    for seed in args.seeds:
        for name, words in (("own", space), ("shuffled", space.shuffled(seed))):
            config = c2vl.small(train={"epochs": 20, "batch_size": 32, "threads": 1, "seed": seed})
            run = pretrain(c2vl, store, split, job / f"{name}-{seed}", config, space=words, progress=False)
            found = figures(run, store, split, seed)
            table.setdefault(name, []).append(found["own"])
            for row in ("untrained", "raw joints") if name == "own" else ():
                table.setdefault(row, []).append(found[row])
            print(seed, name, found, flush=True)
    for row, values in table.items():
        mean, sd = np.mean(values, 0), np.std(values, 0, ddof=1)
        print(f"{row}: one label a class {mean[0]:.1f} ± {sd[0]:.1f}, all labels {mean[1]:.1f} ± {sd[1]:.1f}")
    print(json.dumps(table))


if __name__ == "__main__":
    main()
