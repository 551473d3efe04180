"""Two people, SBU Kinect Interaction: does the encoder use where they stand, and what is lost when each is centred by itself?

    python bench/two_persons.py --root path/sbu [--folds 5] [--epochs 20] [--width 8] [--frames 16] [--method supervised|skeletonclr]

One model, one schedule, one seed per fold; only the preparation of the clips differs. "together": the clip is shifted by the first
person's hips and turned, all persons at once. "each start": each person's own hips of the first frame are at the origin as well. "each
frame": each person's own centre is at the origin in every frame, as CrosSCLR and IKEM prepare NTU. The splits are the data set's five folds
by pairs of people; supervised figures are the classifier's own, last epoch; SkeletonCLR's are a linear probe on its frozen features.
"""
import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from c2vl_kit.data.augment import Augment
from c2vl_kit.data.catalog import get_dataset, get_split
from c2vl_kit.data.prepare import prepare
from c2vl_kit.data.loader import ClipSet
from c2vl_kit.data.store import Store
from c2vl_kit.data.pipelines import CENTRE_FACING, Pipeline
from c2vl_kit.data.placing import centre_each
from c2vl_kit.evaluate.features import extract
from c2vl_kit.evaluate.probes import linear_probe
from c2vl_kit.methods import skeletonclr
from c2vl_kit.methods import supervised
from c2vl_kit.core import InputError
from c2vl_kit.train.task import seeded
from c2vl_kit.train.trainer import Trainer


def centre_starts(clip):
    "Each person's own hips are at the origin in the first frame that has them."
    joints = clip.joints.copy()
    for m in range(clip.M):
        hips = joints[:, m, list(clip.layout.point("hips"))].mean(axis=1)
        known = np.flatnonzero(~np.isnan(hips).any(axis=1))
        if len(known):
            joints[:, m] -= hips[known[0]]
    return clip.replace(joints=joints)


PREPARATIONS = {
    "together": CENTRE_FACING,
    "each start": Pipeline("each start", (*CENTRE_FACING.steps, centre_starts), "relative position at the start removed"),
    "each frame": Pipeline("each frame", (*CENTRE_FACING.steps, centre_each), "relative position removed"),
}


def accuracy(store, split, how: str, epochs: int, method: str = "supervised", width: int = 8, frames: int = 16, seed: int = 0) -> float:
    "Train on one fold; accuracy on its test clips."
    test = split.tests["official"]
    sets = [ClipSet.load(store, names, frames, 2, PREPARATIONS[how], progress=False) for names in (split.train, test)]
    labels = dict(zip(store.names, np.asarray(store.labels).tolist()))
    changes = dict(frames=frames, persons=2, backbone={"width": width, "dim": 8 * width, "dropout": 0.0},
                   train={"epochs": epochs, "batch_size": 32, "seed": seed, "device": "cpu", "threads": 1})
    with seeded(seed, "init"):
        if method == "supervised":
            config = supervised.small(augment=Augment(crop=0.8, rotate=30.0, scale=0.1, flip=True), **changes)
            task = supervised.Supervised(store.layout, {n: labels[n] for n in split.train}, len(store.label_names), config)
        else:
            config = skeletonclr.small(queue=128, **changes)
            task = skeletonclr.SkeletonCLR(store.layout, config)
    Trainer(task, sets[0], config.train, progress=False).fit()
    if method == "supervised":
        batch = sets[1].take(range(len(test)))
        with torch.no_grad():
            answers = task.eval().scores(batch.x, batch)["joint"].argmax(1).numpy()
        return float((answers == [labels[n] for n in test]).mean())
    f, y = [extract(task.encoder["joint"], s) for s in sets], [np.array([labels[n] for n in s.names]) for s in sets]
    return linear_probe(f[0], y[0], {"official": (f[1], y[1])})["official"]["last"].accuracy


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--root", required=True, help="folder of the recordings")
    for name, default in (("folds", 5), ("epochs", 20), ("width", 8), ("frames", 16)):
        p.add_argument(f"--{name}", type=int, default=default)
    p.add_argument("--method", choices=("supervised", "skeletonclr"), default="supervised")
    args = p.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        prepare("sbu", args.root, Path(folder) / "store", progress=False)
        store, found = Store.open(Path(folder) / "store"), {how: [] for how in PREPARATIONS}
        splits = get_dataset("sbu").splits[: args.folds]
        print(f"| preparation | {' | '.join(splits)} | mean | sd |\n|---{'|---' * (len(splits) + 2)}|")
        for how, values in found.items():
            settings = (how, args.epochs, args.method, args.width, args.frames)
            values += [100 * accuracy(store, get_split(store, name), *settings) for name in splits]
            sd = np.std(values, ddof=1) if len(values) > 1 else float("nan")
            print(f"| {how} | {' | '.join(f'{v:.1f}' for v in values)} | {np.mean(values):.1f} | {sd:.1f} |", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as why:
        print(f"two_persons: {why}", file=sys.stderr)
        sys.exit(2)
