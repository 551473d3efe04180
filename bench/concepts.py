"""What the words alone carry: text-only accuracy on training clips, whole subjects (or cameras) held out in turn; tests are not looked at.

    python bench/concepts.py runs/table-utd-mhad --by subject      (a folder that bench/spine.py or c2vl embed has filled)
"""
import argparse
import sys
from pathlib import Path

import numpy as np

from c2vl_kit.concepts.prompts import PromptStore
from c2vl_kit.concepts.quality import leakage_probe
from c2vl_kit.concepts.space import ConceptSpace
from c2vl_kit.data.catalog import get_split
from c2vl_kit.data.store import Store
from c2vl_kit.core import InputError


def nearest(space: ConceptSpace, train: list[str], test: list[str], label: dict) -> float:
    "Share of test clips whose nearest training clip, by cosine of the sentences' vectors, has their label."
    a, b = (s.language / np.linalg.norm(s.language, axis=1, keepdims=True) for s in (space.subset(train), space.subset(test)))
    return float(np.mean([label[train[i]] == label[n] for i, n in zip((b @ a.T).argmax(1), test)]))


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path)
    p.add_argument("--by", choices=("subject", "camera"), default="subject")
    args = p.parse_args()
    store, prompts = Store.open(args.folder / "store"), PromptStore(args.folder / "prompts.jsonl")
    names = get_split(store).train
    space = ConceptSpace.load(args.folder / "space").subset(names)
    label, group = (dict(zip(store.names, column.tolist())) for column in (store.labels, store.column(args.by)))
    rows = {"bag of words": [], "vectors as they are": [], "centred": [], "whitened": []}
    for held in sorted({group[n] for n in names}):
        train, test = [n for n in names if group[n] != held], [n for n in names if group[n] == held]
        rows["bag of words"].append(leakage_probe(prompts, train, [label[n] for n in train], test, [label[n] for n in test]))
        for key, s in (("vectors as they are", space), ("centred", space.centred(train)), ("whitened", space.whitened(train))):
            rows[key].append(nearest(s, train, test, label))
    print(f"{store.dataset}, training clips, {args.by}s held out in turn, percent\n\n| | each | mean |\n|---|---|---|")
    for key, values in rows.items():
        print(f"| {key} | {', '.join(f'{100 * v:.1f}' for v in values)} | {100 * np.mean(values):.1f} |")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as why:
        print(f"concepts: {why}", file=sys.stderr)
        sys.exit(2)
