"""Settings of SkeletonCLR, tried on training clips alone: some of them train, the others validate, and the tests are never looked at.

    python bench/contrast.py --data nw-ucla --root path/nw_ucla --holdout camera
    python bench/contrast.py --data utd-mhad --root path/utd_mhad --holdout subject --epochs 60

Each row is the family's encoder, input and optimiser (`FamilyConfig`) with one thing changed. Resumable: every try has a run folder under
OUT. One seed, so differences of a few points are noise.
"""
import argparse
import sys
from pathlib import Path

from c2vl_kit.data.augment import CROSCLR, MILD, Augment
from c2vl_kit.data.catalog import get_split
from c2vl_kit.data.splits import holdout
from c2vl_kit.data.store import Store
from c2vl_kit.app.family import open_data
from c2vl_kit.app.members import FamilyConfig
from c2vl_kit.evaluate.probes import evaluate
from c2vl_kit.methods import skeletonclr
from c2vl_kit.core import InputError
from c2vl_kit.train.pretrain import pretrain

BASE = dict(augment=MILD, queue=256, momentum=0.99, tau=0.07)
TRIES = {
    "crosclr": dict(augment=CROSCLR),
    "base": {},
    "strong": dict(augment=Augment(crop=0.5, rotate=30.0, shear=0.5, jitter=0.01, scale=0.1)),
    "momentum 0.9": dict(momentum=0.9),
    "tau 0.2": dict(tau=0.2),
    "lr 5e-3": dict(train={"lr": 5e-3}),
    "queue 512": dict(queue=512),
}
COLUMNS = {"linear": "last", "retrieval": "k=1", "untrained encoder, linear": "last", "raw joints 1-NN": "k=1"}


def one(name: str, store: Store, split, out: Path, epochs: int) -> list[str]:
    "Train and evaluate one try; percent of the columns."
    shared = FamilyConfig().shared(epochs, 0)
    changes = {**BASE, **TRIES[name]}
    shared["train"] |= changes.pop("train", {})
    run = pretrain(skeletonclr, store, split, out / name.replace(" ", "-"), skeletonclr.small(**shared, **changes), progress=False)
    found = evaluate(run, store, split, device="cpu", progress=False, prompts=None)
    tables = {r.protocol: next(iter(r.scores.table.values())) for r in found.rows}
    return [f"{100 * tables[p][figure].accuracy:.1f}" for p, figure in COLUMNS.items()]


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", default="nw-ucla", help="catalogue name")
    p.add_argument("--root", help="folder with the raw recordings")
    p.add_argument("--out", help="folder of the runs (default runs/contrast-DATA)")
    p.add_argument("--holdout", default="camera", help="what validates: camera, subject[:fraction[:seed]]")
    p.add_argument("--epochs", type=int, default=40)
    p.add_argument("--tries", help=f"comma separated; default all: {', '.join(TRIES)}")
    args = p.parse_args()
    tries = args.tries.split(",") if args.tries else list(TRIES)
    if unknown := [t for t in tries if t not in TRIES]:
        raise InputError(f"there is no try {unknown[0]!r}: there are {', '.join(TRIES)}.")
    base = Path(args.out or f"runs/contrast-{args.data}")
    store = open_data(args.data, args.root, base)
    by, *rest = args.holdout.split(":")
    split = holdout(get_split(store), store, by, *(cast(v) for cast, v in zip((float, int), rest)))
    print(f"{args.data}, {args.holdout} held out: {len(split.train)} clips train, {args.epochs} epochs, joint view, seed 0; per cent\n")
    print("| try | " + " | ".join(COLUMNS) + " |\n" + "|---" * (len(COLUMNS) + 1) + "|", flush=True)
    for name in tries:
        print(f"| {name} | " + " | ".join(one(name, store, split, base / f"{by}-{args.epochs}", args.epochs)) + " |", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as why:
        print(f"contrast: {why}", file=sys.stderr)
        sys.exit(2)
