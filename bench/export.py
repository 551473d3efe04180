"""ONNX of every named backbone at its full size, with one person and with two, beside torch on the CPU.

    python bench/export.py                   a table: seconds to write, size, difference from torch, clips per second
    python bench/export.py --models stgcn16  one of them

Weights are a little off their start, so no part is hidden by a zero. Needs pip install "c2vl_kit[export]".
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from c2vl_kit.core import as_size
from c2vl_kit.evaluate.export import Portable, as_onnx, captured, difference
from c2vl_kit.models.zoo import MODELS, shaken
from c2vl_kit.skeleton import NTU25


def speed(call, given, clips: int, tries: int = 3) -> float:
    """Clips per second, the best of some tries."""
    took = []
    for _ in range(tries):
        start = time.perf_counter()
        call(given)
        took.append(time.perf_counter() - start)
    return clips / min(took)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--clips", type=int, default=8)
    args = parser.parse_args()
    print("| model | persons | written in | size | largest difference | features' spread | torch, clips/s | onnxruntime, clips/s |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for name in args.models:
        for M in (1, 2):
            torch.manual_seed(0)
            x = torch.randn(args.clips, 3, args.frames, NTU25.V, M)
            x[1, ..., 1:] = 0
            net = Portable(shaken(MODELS[name].make(NTU25), x), {"stream": "joint"}).eval()
            with tempfile.TemporaryDirectory() as folder:
                file, start = Path(folder) / "encoder.onnx", time.perf_counter()
                again = as_onnx(captured(net, {"joints": x}), file, ("features",))
                took, size = time.perf_counter() - start, as_size(file.stat().st_size)
                differs = max(difference(net, again, {"joints": x[:n]}) for n in (1, 3, args.clips))
                rates = [speed(call, given, args.clips) for call, given in ((net, x), (again, {"joints": x}))]
            spread = float(np.std(net(x)[0].numpy()))
            print(f"| {name} | {M} | {took:.0f} s | {size} | {differs:.1e} | {spread:.2g} | {rates[0]:.0f} | {rates[1]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
