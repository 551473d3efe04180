"""How many answers the rules give and how many sentences the text tower reads in a second, on one thread, and what `embed` takes.

    python bench/words.py [--clips 48] [--sentences 96] [--precision float32 bf16] [--workers 2]

Speeds of one process are per second of processor time, so other work counts little; the rows with several processes and of the
whole of `embed` are by the clock. A row of the tower is the best of three; `cosine` is the worst of its sentences with float32.
"""
import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from c2vl_kit.concepts.kinematic import Kinematic, caption
from c2vl_kit.concepts.space import embed
from c2vl_kit.concepts.towers import TextTower, by_length, text_vectors, token_ids
from c2vl_kit.data.build import build_store
from c2vl_kit.data.simulate import SimulatorConfig, simulate


def encode(tower: TextTower, ids: list, tokens: float) -> tuple[np.ndarray, float]:
    "Vectors, and the best of three times: seconds of the processor."
    best, out = float("inf"), np.zeros((len(ids), tower.dim), np.float32)
    batches = by_length([len(row) for row in ids], 64, tokens)
    with torch.inference_mode():
        for _ in range(3):
            start = time.process_time()
            for batch in batches:
                out[batch] = text_vectors(tower, [ids[i] for i in batch])
            best = min(best, time.process_time() - start)
    return out, best


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--clips", type=int, default=48)
    p.add_argument("--sentences", type=int, default=96)
    p.add_argument("--precision", nargs="+", default=["float32", "bf16"])
    p.add_argument("--workers", type=int, default=2)
    args = p.parse_args()
    torch.set_num_threads(1)
    print(f"{args.clips} clips, load {os.getloadavg()[0]:.1f} before it began\n", flush=True)
    clips = simulate(SimulatorConfig(classes=8, subjects=-(-args.clips // 8), repetitions=1)).clips[: args.clips]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store, _ = build_store(root / "store", clips, dataset="simulated", progress=False)
        start = time.process_time()
        told = sum(len(Kinematic().answers(store[name])) for name in store.names)
        print(f"rules, one process: {told / (time.process_time() - start):,.0f} answers/s", flush=True)
        for workers in sorted({1, args.workers}):
            start = time.perf_counter()
            prompts = caption(store, root / f"{workers}.jsonl", progress=False, workers=workers)
            print(f"caption, workers={workers}: {told / (time.perf_counter() - start):,.0f} answers/s by the clock", flush=True)
        distinct = sorted({a for n in store.names for a in prompts.answers(n)})
        some, first = distinct[:: max(1, len(distinct) // args.sentences)], None
        for precision in args.precision:
            tower = TextTower.load("minilm", "cpu", precision=precision)
            ids = token_ids(tower, some)
            for label, tokens in ("64 sentences at once", float("inf")), ("at most 2,048 tokens", 2048):
                vectors, seconds = encode(tower, ids, tokens)
                first = vectors.copy() if first is None else first
                print(f"tower, {precision}, {label}: {len(ids) / seconds:,.0f} sentences/s of {np.mean([len(i) for i in ids]):.0f} "
                      f"tokens, cosine {float((vectors * first).sum(1).min()):.6f}", flush=True)
        start, names = time.perf_counter(), store.names[: max(2, args.clips // 4)]
        embed(store, root / "job", prompts, "minilm", names, progress=False)
        few = len({a for n in names for a in prompts.answers(n)})
        print(f"embed, loading the tower: {few / (time.perf_counter() - start):,.0f} distinct sentences/s by the clock")


if __name__ == "__main__":
    main()
