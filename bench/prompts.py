"""C2VL's published prompts: what a text-only probe finds in them, and what embedding each distinct sentence once is worth.

    python bench/prompts.py --prompts path/pkuv2_language.zip [--out runs/pku-prompts] [--pooling mean ...] [--all]

Unseen subjects (train N001–N010, test N011–N013) and unseen view (train V002, V003, test V001), 41 classes. Resumable: vectors stay
in OUT/embeddings. --all embeds every answer, repeated ones too, for the ratio (slow); without it the ratio is measured on every
16th clip.
"""
import argparse
import sys
import time
from pathlib import Path

import numpy as np

from c2vl_kit.concepts.quality import leakage_probe
from c2vl_kit.concepts.published import parse_c2vl_name, read_c2vl
from c2vl_kit.concepts.space import POOLINGS, ConceptSpace
from c2vl_kit.concepts.study import vector_probe
from c2vl_kit.concepts.cache import EmbeddingCache
from c2vl_kit.concepts.towers import TextTower
from c2vl_kit.core import InputError


def sides(names, kind: str):
    "Training and test clips with their classes: unseen subjects, or unseen view."
    parts = {n: parse_c2vl_name(n) for n in names}
    trains = {n: p["subject"] <= 10 if kind == "subject" else p["camera"] >= 2 for n, p in parts.items()}
    train, test = ([n for n in names if trains[n] == side] for side in (True, False))
    return train, [parts[n]["label"] for n in train], test, [parts[n]["label"] for n in test]


def ratio(texts: list[str], tower: TextTower) -> tuple[float, float, int]:
    "Seconds for every answer, seconds for every distinct answer, number of distinct ones; both in this run, warmed up."
    tower.encode(texts[:64])
    clock = []
    for batch in (texts, list(dict.fromkeys(texts))):
        start = time.perf_counter()
        tower.encode(batch)
        clock.append(time.perf_counter() - start)
    return clock[0], clock[1], len(set(texts))


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--prompts", required=True, help="pkuv2_language.zip as C2VL publishes it")
    p.add_argument("--out", type=Path, default=Path("runs/pku-prompts"))
    p.add_argument("--tower", default="auto")
    p.add_argument("--pooling", nargs="*", default=list(POOLINGS), choices=POOLINGS)
    p.add_argument("--all", action="store_true", help="measure the ratio on all answers")
    args = p.parse_args()
    prompts, tower, cache = read_c2vl(args.prompts), TextTower.load(args.tower), EmbeddingCache(args.out / "embeddings")
    start = time.perf_counter()
    kinds = dict.fromkeys(["mean", *args.pooling])
    spaces = {kind: ConceptSpace.build(prompts, tower, cache, progress=True, pooling=kind) for kind in kinds}
    facts = spaces["mean"].info["language"]
    took = time.perf_counter() - start
    print(f"{facts['items']:,} answers, {facts['distinct']:,} distinct, each met {tower.name} at most once; {took:.0f} s")
    spaces["mean"].save(args.out / "space")
    print("\n| text-only probe, 41 classes | unseen subjects | unseen view |\n|---|---|---|")
    splits = [sides(prompts.names, kind) for kind in ("subject", "camera")]
    print("| majority class |" + "|".join(f" {100 * np.mean(np.array(s[3]) == np.bincount(s[1]).argmax()):.1f} " for s in splits) + "|")
    print("| bag of words |" + "|".join(f" {100 * leakage_probe(prompts, *s):.1f} " for s in splits) + "|", flush=True)
    for kind, space in spaces.items():
        print(f"| {tower.name}, {kind} |" + "|".join(f" {100 * vector_probe(space, *s):.1f} " for s in splits) + "|", flush=True)
    for name, space in (("shuffled", spaces["mean"].shuffled(0)), ("random vectors", spaces["mean"].random(0))):
        print(f"| control: {name} |" + "|".join(f" {100 * vector_probe(space, *s):.1f} " for s in splits) + "|", flush=True)
    names = prompts.names if args.all else prompts.names[::16]
    every, once, distinct = ratio([a for n in names for a in prompts.answers(n)], tower)
    print(f"\nembedding {len(names) * 16:,} answers: all {every:.1f} s, {distinct:,} distinct {once:.1f} s, ratio {every / once:.2f}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as why:
        print(f"prompts: {why}", file=sys.stderr)
        sys.exit(2)
