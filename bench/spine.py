"""The README table: C2VL, its controls and its references on real recordings, three seeds, one budget for all rows.

    python bench/spine.py --data nw-ucla --root path/nw_ucla      (or: make table DATA=nw-ucla ROOT=path/nw_ucla)

Resumable: what is finished is not done again, what was stopped goes on from its last epoch. Every figure stands in
OUT/<row>-s<seed>/results.json with its split hash, store checksum and seed; OUT/table.md is made from those files.
With --holdout camera (or subject) the training split alone is split again, and the tests are never looked at: that is how
settings were chosen. The GPU budget (--budget full) takes the preset `full` instead of `small`.

All clips are captioned, test clips too, but only so that a classifier can try to name the class from the prompts alone (the rows "prompts
alone", from the same results.json as the rows above them). Vectors are made for training clips only, and pre-training sees nothing else.
"""
import argparse
import json
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from c2vl_kit.concepts.kinematic import Kinematic
from c2vl_kit.concepts.space import ConceptSpace, describe
from c2vl_kit.data.catalog import get_split
from c2vl_kit.data.splits import holdout
from c2vl_kit.data.store import Store
from c2vl_kit.app.family import open_data
from c2vl_kit.evaluate.scores import Results, over_seeds
from c2vl_kit.evaluate.probes import evaluate
from c2vl_kit.methods import c2vl
from c2vl_kit.methods.c2vl import C2VLConfig, published, small
from c2vl_kit.core import InputError, differences, sha256_of, write_json_atomic
from c2vl_kit.train.pretrain import pretrain
from c2vl_kit.train.guards import MAY_CHANGE

EPOCHS = {"nw-ucla": 40, "utd-mhad": 80}  # small budget; equal for all rows of a table
ROWS = ("hard", "c2vl", "shuffled", "random")
TITLES = {
    "majority": "majority class", "raw": "1-NN on raw resampled joints", "untrained": "untrained encoder",
    "hard": "CLIP-style hard targets", "c2vl": "**C2VL**", "shuffled": "control: prompts shuffled between clips",
    "random": "control: random vectors", "own words": "prompts alone, no skeleton: bag of words",
    "shuffled words": "prompts alone, shuffled between clips", "random vectors": "prompts alone, random vectors instead",
}
REFERENCES = {"majority": "majority", "raw": "raw joints 1-NN", "untrained": "untrained encoder, linear"}
ALONE = ("own words", "shuffled words", "random vectors")  # figures of the protocol "prompts alone"


def settings(args) -> C2VLConfig:
    "The one configuration of the table, with --set PART.KEY=VALUE applied."
    if args.budget == "full":
        config = published(train={"device": "cuda"})
    else:
        config = small(train={"epochs": EPOCHS.get(args.data, 60), "threads": 1, "device": "cpu", "amp": args.amp})
    for text in args.set:
        key, _, value = text.partition("=")
        part, _, name = key.rpartition(".")
        try:
            value = json.loads(value)
        except ValueError:
            pass
        config = config.replace(**({part: {name: value}} if part else {name: value}))
    return config


def check_made(folder: Path, config: C2VLConfig, split, store: str) -> None:
    "InputError where finished results were made with other settings, or another split or store, than the ones asked for."
    made = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    old = {"config": made["config"], "split": made["split"]["hash"], "store": made["store_checksum"]}
    if found := next(iter(differences(old, {"config": config.to_dict(), "split": split.hash, "store": store}, MAY_CHANGE)), None):
        raise InputError(f"{folder} holds results made with {found[0]}={found[1]}, not {found[2]}: give another --out, or remove it.")


def job(row: str, seed: int, out: str, base: str, split, config: C2VLConfig, alone: bool) -> tuple[str, int, float]:
    "One line of the table for one seed: pre-train, evaluate."
    start = time.time()
    folder, data = Path(out) / f"{row}-s{seed}", Store.open(Path(base) / "store", verify=False)
    if row == "hard":
        config = config.replace(loss={"alpha_max": 0.0})
    if (folder / "results.json").exists():
        check_made(folder, config.replace(train={"seed": seed}), split, data.checksum)
    else:
        concepts = ConceptSpace.load(Path(base) / "space").subset(split.train)
        if row in ("shuffled", "random"):
            concepts = getattr(concepts, row)(seed)
        run = pretrain(c2vl, data, split, folder, config, space=concepts, seed=seed, progress=None if alone else False)
        evaluate(run, data, split, seed=seed, device=config.train.device, progress=False, prompts=Path(base) / "prompts.jsonl")
    return row, seed, time.time() - start


def collect(out: Path, seeds: int) -> tuple[list[dict], list[str]]:
    "Rows of the table with mean and sd of every figure, and the tests they were measured on."
    rows, tests = [], []

    def add(key, found, figures):
        cells = over_seeds(found)
        rows.append({"row": key, "seeds": len(found), "cells": {f"{test}|{name}": cells[(protocol, test, figure)][:2]
                     for test in tests for name, (protocol, figure) in figures.items() if (protocol, test, figure) in cells}})

    done = {row: [Results.load(p) for s in range(seeds) if (p := out / f"{row}-s{s}" / "results.json").exists()] for row in ROWS}
    base = next((v for v in (done["c2vl"], *done.values()) if v), None)
    if base is None:
        return [], []
    counted = base[0].rows[0].scores.table  # test -> figures; a clean list as long as the official one is the official one
    sizes = {test: next(iter(figures.values())).clips for test, figures in counted.items()}
    tests = [test for test in sizes if test == "official" or sizes[test] != sizes.get("official")]
    for key, protocol in REFERENCES.items():
        add(key, base, {"k=1": (protocol, "k=1")} if key == "raw" else
            {"linear": (protocol, "last")} if key == "majority" else {"linear": (protocol, "last"), "best": (protocol, "best")})
    for row in ROWS:
        if done[row]:
            add(row, done[row], {"linear": ("linear", "last"), "best": ("linear", "best"), "k=1": ("retrieval", "k=1")})
    for figure in ALONE:
        add(figure, base, {"linear": ("prompts alone", figure)})
    return [r for r in rows if r["cells"]], tests


def table(rows: list[dict], tests: list[str]) -> str:
    "Markdown: mean ± sd over seeds, in percent."
    heads = [f"{test}: {name}" for test in tests for name in ("linear, last", "linear, held-out best", "1-NN")]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for r in rows:
        cells = []
        for test in tests:
            for name in ("linear", "best", "k=1"):
                mean, sd = r["cells"].get(f"{test}|{name}", (None, None))
                fixed = r["row"] in ("majority", "raw", "own words")
                cells.append("" if mean is None else f"{100 * mean:.1f}" + ("" if fixed or sd != sd else f" ± {100 * sd:.1f}"))
        lines.append(f"| {TITLES[r['row']]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdict(rows: list[dict], tests: list[str]) -> str:
    "C2VL in one sentence for each test, beside the best of all references; what is not pre-trained is one."
    said = []
    for test in tests:
        at = {(r["row"], key.split("|")[1]): cell[0] for r in rows for key, cell in r["cells"].items() if key.split("|")[0] == test}
        base = {key: mean for key, mean in at.items() if key[0] not in ROWS}
        if base and (mine := at.get(("c2vl", "linear"))) is not None:
            top = max(base, key=base.get)
            said.append(f"{test}: the linear probe of C2VL names {100 * mine:.1f} %, {100 * abs(mine - base[top]):.1f} points "
                        f"{'above' if mine > base[top] else 'below'} the best reference ({TITLES[top[0]]}: {100 * base[top]:.1f} %).")
    return "\n".join(said)


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", default="nw-ucla", help="catalogue name: nw-ucla or utd-mhad")
    p.add_argument("--root", help="folder with the raw recordings")
    p.add_argument("--out", help="folder of the table (default runs/table-DATA)")
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--rows", default=",".join(ROWS), help="which pre-trained rows, comma separated")
    p.add_argument("--workers", type=int, default=2, help="runs side by side, one core each")
    p.add_argument("--budget", choices=("small", "full"), default="small")
    p.add_argument("--amp", choices=("bf16", "off"), default="bf16", help="bf16 is faster on CPUs that have it, see bench/encoder.py")
    p.add_argument("--holdout", help="choose settings on training data alone: camera, subject[:fraction[:seed]]")
    p.add_argument("--plain", action="store_true", help="the captioner's shorter sentences; give a folder of its own")
    p.add_argument("--set", action="append", default=[], metavar="PART.KEY=VALUE", help="change a setting, e.g. train.lr=0.002")
    args = p.parse_args()
    if unknown := sorted(set(args.rows.split(",")) - set(ROWS)):
        raise InputError(f"there is no row {unknown[0]!r}: the rows are {', '.join(ROWS)}.")
    base = Path(args.out or f"runs/table-{args.data}{'' if args.budget == 'small' else '-' + args.budget}")
    out, config = base, settings(args)  # refuse before anything is built
    if min(args.seeds, args.workers) < 1:
        raise InputError(f"--seeds and --workers must be at least 1, got {args.seeds} and {args.workers}.")
    count = args.seeds * len(args.rows.split(","))
    print(f"{count} jobs: {args.rows} with {args.seeds} seeds each, {args.workers} side by side", flush=True)
    store = open_data(args.data, args.root, base)
    split = get_split(store)
    describe(store, base, split.train, True, captioner=Kinematic(detail=not args.plain))
    if args.holdout:
        by, *rest = args.holdout.split(":")
        split = holdout(split, store, by, *(cast(v) for cast, v in zip((float, int), rest)))
    if args.holdout or args.set:
        out = base / "tries" / sha256_of(json.dumps([args.holdout, args.budget, sorted(args.set)]))[:10]
    head = {"asked": vars(args), "config": config.to_dict(), "split": split.name, "hash": split.hash, "store": store.checksum}
    write_json_atomic(out / "settings.json", head)
    jobs = [(row, seed) for seed in range(args.seeds) for row in args.rows.split(",")]
    with ProcessPoolExecutor(args.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        alone = args.workers == 1
        tasks = [pool.submit(job, *j, str(out), str(base), split, config, alone) for j in jobs]
        try:
            for task in as_completed(tasks):
                row, seed, seconds = task.result()
                print(f"{row} seed {seed}: {seconds:.0f} s", flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    rows, tests = collect(out, args.seeds)
    write_json_atomic(out / "table.json", {**head, "rows": [{**r, "cells": {k: list(v) for k, v in r["cells"].items()}} for r in
                      [{**r, "cells": {k: (m, None if s != s else s) for k, (m, s) in r["cells"].items()}} for r in rows]]})
    text = f"{table(rows, tests)}\n\n{verdict(rows, tests)}".rstrip()
    (out / "table.md").write_text(text + "\n", encoding="utf-8")
    print(f"\n{args.data} {split.name} {split.hash}, {out}\n\n{text}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as why:
        print(f"spine: {why}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("spine: stopped; the same command goes on from the last epochs.", file=sys.stderr)
        sys.exit(130)
