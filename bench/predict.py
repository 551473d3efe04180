"""Labels for files, beside the plain way: clips a second of `predict`, and of one eager call for each clip; frames a second of a stream.

    python bench/predict.py                                   (600 simulated clips, as the kit's own .npz)
    python bench/predict.py --root path/nw_ucla --most 600    (recordings of your own, layout kinect20)

The run is ST-GCN 16 with one person, 32 frames and a feature of 128, as the preset `small` has it. It is trained for one epoch, because
weights do not change the speed. Both ways read the same files from disk, prepare them alike and give the same labels, which is checked.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from c2vl_kit.app.predict import Predictor, predict
from c2vl_kit.app.stream import predict_stream
from c2vl_kit.core import InputError
from c2vl_kit.data.build import build_store
from c2vl_kit.data.catalog import get_split
from c2vl_kit.data.pipelines import to_array
from c2vl_kit.data.simulate import SimulatorConfig, simulate
from c2vl_kit.methods import supervised
from c2vl_kit.methods.supervised import load_task
from c2vl_kit.readers.arrays import write_npz
from c2vl_kit.readers.recordings import read_any, recordings_in
from c2vl_kit.train.pretrain import pretrain


def make_run(folder: Path):
    "A labelled run on a few simulated clips."
    clips = simulate(SimulatorConfig(classes=8, subjects=4, repetitions=2)).clips
    store, _ = build_store(folder / "store", clips, dataset="simulated", progress=False)
    config = supervised.small(train=dict(epochs=1, batch_size=16))
    return pretrain(supervised, store, get_split(store), folder / "run", config, progress=False)


def simulated_files(folder: Path, most: int) -> list[Path]:
    "Simulated clips as files."
    for clip in simulate(SimulatorConfig(classes=8, subjects=5, repetitions=-(-most // 40), seed=1)).clips[:most]:
        write_npz(clip, folder)
    return sorted(folder.iterdir())


@torch.no_grad()
def plainly(run, files: list[Path]) -> list[str]:
    "What eight lines of Python do: read, prepare, one call of the network for each clip."
    task, said = load_task(run), []
    for file in files:
        for clip in read_any(file):
            x = torch.from_numpy(to_array(clip, task.config.frames, 1, task.config.pipeline))[None]
            scores = task.classifier["joint"](task.encoder["joint"](x))
            said.append(run.config["classes"][int(scores.argmax())])
    return said


def timed(work, *args, **kw):
    "Result, wall seconds, and CPU seconds of this process and of those that it started and that have ended."
    cpu, wall = sum(os.times()[:4]), time.perf_counter()
    made = work(*args, **kw)
    return made, time.perf_counter() - wall, sum(os.times()[:4]) - cpu


def line(what: str, count: int, wall: float, cpu: float, unit: str = "clips") -> None:
    print(f"{what:<38} {count / wall:8.0f} {unit}/s   {count / cpu:8.0f} {unit} per CPU second", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="folder of recordings with layout kinect20 (default: simulated ones)")
    parser.add_argument("--most", type=int, default=600, help="files")
    parser.add_argument("--tries", type=int, default=3, help="the best counts")
    args = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with tempfile.TemporaryDirectory() as tmp:
        run = make_run(Path(tmp))
        (Path(tmp) / "new").mkdir()
        files = list(recordings_in([args.root]))[: args.most] if args.root else simulated_files(Path(tmp) / "new", args.most)
        print(f"{len(files)} files, {cores} cores, torch {torch.__version__}")
        torch.set_num_threads(1)  # processes read beside it
        eyes = Predictor(run)
        eyes.probe  # noqa: B018  fitted now, as an evaluated run has it
        found, wall, cpu = min((timed(predict, eyes, files, words=0, progress=False) for _ in range(args.tries)), key=lambda t: t[1])
        line("predict", len(found), wall, cpu)
        few, ways = files[: max(1, len(files) // 10)], []
        for threads in sorted({1, cores}):
            torch.set_num_threads(threads)
            ways += [timed(plainly, run, few) for _ in range(args.tries)]
        said, alone, spent = min(ways, key=lambda t: t[1])
        line("one eager call for each clip", len(said), alone, spent)
        ratio = (len(found) / wall) / (len(said) / alone)
        print(f"predict is {ratio:.1f} times as fast ({(len(found) / cpu) / (len(said) / spent):.1f} times by CPU seconds)")
        same = np.mean([a == r.label for a, r in zip(said, found)])
        if same < 0.99:
            raise InputError(f"only {same:.1%} of the labels agree: the two ways do not do the same")
        torch.set_num_threads(1)
        long = np.concatenate([c.joints for f in few for c in read_any(f)])[:600]
        for hop in (6, 1):
            _, wall, cpu = timed(lambda hop=hop: list(predict_stream(eyes, long, window=60, hop=hop)))
            line(f"stream on one core, a look every {hop}", len(long), wall, cpu, "frames")


if __name__ == "__main__":
    main()
