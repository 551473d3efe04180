"""What one training step of each backbone costs on one core: process time, best of several, one person per clip.

    python bench/encoder.py [--frames 32] [--batch 64] [--only NAME …]

The baseline of every ratio is the first row: `stgcn16`, features of 256, float32, on the same clips. Passes are forward and
backward without an optimiser. The rows `… dim 128` and `… bf16` are the two ways to make the small ST-GCN cheaper; the other rows
are the backbones of `list_models()`.
"""
import argparse
import time

import torch

from c2vl_kit.models.zoo import MODELS, Backbone, count_flops, count_parameters
from c2vl_kit.skeleton import KINECT20, Layout

SMALL = Backbone("stgcn", width=16, dropout=0.0)
ROWS = {  # name → (backbone, bfloat16)
    "stgcn16": (SMALL, False), "stgcn16 bf16": (SMALL, True), "stgcn16 dim 128": (SMALL.replace(dim=128), False),
    "stgcn16 dim 128 bf16": (SMALL.replace(dim=128), True), "ctrgcn width 16 dim 128": (Backbone("ctrgcn", width=16, dim=128), False),
    "bigru width 128": (Backbone("gru", width=128), False),
    **{n: (b.replace(dropout=0.0), False) for n, b in MODELS.items() if n != "stgcn16"},
}


def step_seconds(net: torch.nn.Module, x: torch.Tensor, bf16: bool, seconds: float = 8.0) -> float:
    "Forward and backward once, the best of four, or of as many as fit into some seconds (at least two)."
    times, begun = [], time.process_time()
    while len(times) < 2 or len(times) < 5 and time.process_time() - begun < seconds:  # the first warms up
        start = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            y = net(x)
        y.float().sum().backward()
        times.append(time.process_time() - start)
    return min(times[1:])


def rows(names: list[str], frames: int, batch: int, layout: Layout = KINECT20):
    "One row per name: parameters, operations, milliseconds, and the ratio to the first."
    base = None
    for name in names:
        backbone, bf16 = ROWS[name]
        torch.manual_seed(0)
        net, x = backbone.make(layout), torch.randn(batch, 3, frames, layout.V, 1)
        seconds = step_seconds(net, x, bf16)
        base = base or seconds
        yield name, count_parameters(net), count_flops(backbone, layout, frames), 1000 * seconds, seconds / base


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--frames", type=int, default=32)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--only", nargs="+", default=[], metavar="NAME", help=f"some of: {', '.join(ROWS)}")
    args = p.parse_args()
    if unknown := [n for n in args.only if n not in ROWS]:
        p.error(f"no row is called {unknown[0]!r}: there are {', '.join(ROWS)}")
    torch.set_num_threads(1)
    chosen = ["stgcn16", *(n for n in ROWS if n != "stgcn16" and (not args.only or n in args.only))]
    print(f"{args.batch} clips, {args.frames} frames, {KINECT20.V} joints, one person, one thread; baseline stgcn16, float32\n")
    print("| backbone | parameters | MFLOP a clip, forward | ms per step | times the baseline |\n|---|---|---|---|---|")
    for name, parameters, flops, ms, ratio in rows(chosen, args.frames, args.batch):
        print(f"| {name} | {parameters:,} | {flops / 1e6:,.0f} | {ms:,.0f} | {ratio:.2f} |", flush=True)
