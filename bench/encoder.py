"""What one training step of the small ST-GCN costs on one core: process time, best of four, and ratios against float32 with dim 256.

    python bench/encoder.py [--frames 32] [--batch 64]
"""
import argparse
import time

import torch

from c2vl_kit.models.stgcn import STGCN
from c2vl_kit.skeleton import KINECT20


def step_seconds(dim: int, bf16: bool, frames: int, batch: int) -> float:
    "Forward and backward once, the best of four."
    net, x, best = STGCN(KINECT20, width=16, dim=dim, dropout=0.0), torch.randn(batch, 3, frames, KINECT20.V, 1), float("inf")
    for _ in range(5):  # the first warms up
        start = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            y = net(x)
        y.float().sum().backward()
        best = min(best, time.process_time() - start)
    return best


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--frames", type=int, default=32)
    p.add_argument("--batch", type=int, default=64)
    args = p.parse_args()
    torch.set_num_threads(1)
    base = None
    print("| dim | precision | ms per step | times as fast |\n|---|---|---|---|")
    for dim, bf16 in ((256, False), (256, True), (128, False), (128, True)):
        seconds = step_seconds(dim, bf16, args.frames, args.batch)
        base = base or seconds
        print(f"| {dim} | {'bf16' if bf16 else 'float32'} | {1000 * seconds:.0f} | {base / seconds:.2f} |", flush=True)
