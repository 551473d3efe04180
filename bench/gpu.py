"""What a GPU makes of this kit, in six minutes: epochs of an NTU-60-sized set beside the plain loop, parity with the CPU, exact repeat.

    python bench/gpu.py [--out bench/results/gpu.json] [--minutes 6]
    python bench/gpu.py --rehearse          on the CPU, at a hundredth of the size

Needs torch, numpy and this package with what its training needs. The file is written anew, whole, after every row, so whoever stops
it (SIGTERM, Ctrl-C) has every row that was reached. Rows for which there is no time left, or no GPU, stay empty and say so.

- **epochs**: 40,091 clips x 64 frames x 25 joints x 2 persons on the device; seconds of an epoch from some steps of `run_epoch` in the
  middle of a training, minutes of 100 epochs, times the plain loop of bench/train.py (on a few thousand of the clips), peak memory.
- **parity**: the first 20 losses of every method, once on the CPU and once on the GPU, float32 without TF32, no augmentation and no
  dropout, as each device draws numbers of its own.
- **repeat**: are the losses of two GPU trainings of one seed the same bits?
"""
import argparse
import json
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn
from train import HEAD, Clock, Kit, Loop, Row, left_out, line, machine, make_clips, peak, useful_flops

from c2vl_kit.concepts.space import ConceptSpace
from c2vl_kit.core import write_json_atomic
from c2vl_kit.data.augment import Augment
from c2vl_kit.data.loader import ClipSet
from c2vl_kit.methods import c2vl, crosclr, distil, ikem, mmcl, simclr, skeletonclr, supervised
from c2vl_kit.models.zoo import Backbone
from c2vl_kit.skeleton import NTU25
from c2vl_kit.train.config import TrainConfig, make_optimiser
from c2vl_kit.train.task import seeded
from c2vl_kit.train.trainer import run_epoch

CLIPS, FRAMES, PERSONS, LOSSES = 40_091, 64, 2, 20
EPOCHS = [  # method, backbone, way, precision; what matters most comes first
    ("c2vl", "stgcn64", "kit", "bf16"), ("c2vl", "stgcn64", "plain", "float32"), ("skeletonclr", "stgcn16", "kit", "bf16"),
    ("skeletonclr", "stgcn16", "plain", "float32"), ("c2vl", "stgcn64", "compiled", "bf16"), ("c2vl", "stgcn64", "kit", "float32"),
    ("c2vl", "ctrgcn", "kit", "bf16"), ("c2vl", "ctrgcn", "plain", "float32"), ("skeletonclr", "stgcn64", "kit", "bf16"),
    ("c2vl", "stgcn16", "kit", "bf16"), ("skeletonclr", "stgcn64", "plain", "float32"), ("c2vl", "stgcn64", "plain", "bf16"),
]  # fmt: skip


class Report:
    "Rows as they come: printed, and written as one whole file each time."

    def __init__(self, file: Path | None, told: dict, seconds: float):
        self.file, self.told, self.rows, self.end = file, told, [], time.monotonic() + seconds

    @property
    def left(self) -> float:
        return self.end - time.monotonic()

    def add(self, kind: str, row: dict, text: str = "") -> None:
        self.rows.append({"row": kind, **row})
        print(text or f"| {kind} | " + " | ".join(f"{k} {v}" for k, v in row.items()) + " |", flush=True)
        self.write(stopped=False)

    def write(self, stopped: bool) -> None:
        if self.file:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_json_atomic(self.file, self.told | {"stopped": stopped, "seconds_left": round(self.left, 1), "rows": self.rows})


# ---------------------------------------------------------------------------------------------- epochs
def epochs(report: Report, clips: ClipSet, args, device) -> None:
    "Each of EPOCHS; the kit's rows on the whole set, the plain ones on as many clips as their steps take."
    plain, clock = {}, Clock(device, args.workers)
    most = {p: peak(device, p, clock) for p in ("float32", "bf16")}
    report.add("peak", {p: f"{v / 1e12:.2f} TFLOP/s" for p, v in most.items()})
    print(f"\n{HEAD}")
    few = ClipSet(clips.x[: args.batch * args.steps].cpu(), clips.present[: args.batch * args.steps].cpu(),
                  clips.names[: args.batch * args.steps], NTU25, clips.frames, "centre",
                  frames_raw=clips.frames_raw[: args.batch * args.steps].cpu())  # fmt: skip
    for method, backbone, way, precision in EPOCHS:
        row = Row(method, backbone, PERSONS, way, precision, note=left_out(way, precision, device))
        if args.rehearse:
            row.note = "left out in a rehearsal" if way == "compiled" else ""
        if not row.note and report.left < (90 if way == "compiled" else 30):
            row.note = "no time left"
        if not row.note:
            try:
                epoch_row(row, few if way == "plain" else clips, few, args, device, clock, most)
            except Exception as error:  # the rows that follow are worth having
                row.note = failed(error)
        if row.clips_per_second and (way, precision) == ("plain", "float32"):
            plain[method, backbone] = row.clips_per_second
        if row.clips_per_second and (method, backbone) in plain:
            row.times_plain = row.clips_per_second / plain[method, backbone]
        seconds = len(clips) / row.clips_per_second if row.clips_per_second else None
        told = asdict(row) | {"seconds_per_epoch": seconds, "minutes_for_100_epochs": seconds and 100 * seconds / 60}
        more = f" epoch {seconds:,.1f} s, 100 epochs {100 * seconds / 60:,.1f} min" if seconds else ""
        report.add("epochs", told, line(row) + more)
    for row in report.rows:  # the kit's row may stand before its plain one
        key = row.get("method"), row.get("backbone")
        if row["row"] == "epochs" and row["times_plain"] is None and row["clips_per_second"] and key in plain:
            row["times_plain"] = row["clips_per_second"] / plain[key]
            print(f"{' '.join(key)}, {row['way']}, {row['precision']}: {row['times_plain']:.1f} times the plain loop")
    report.write(stopped=False)


def failed(error: Exception) -> str:
    "An error in one line."
    return f"failed: {type(error).__name__}: {error}".split("\n")[0][:160]


class Some:
    "The first steps of an epoch over the whole set."

    def __init__(self, clips, steps):
        self.clips, self.count = clips, steps

    def __len__(self):
        return len(self.clips)

    def batches(self, batch_size, seed, epoch):
        return (b for _, b in zip(range(self.count), self.clips.batches(batch_size, seed, epoch)))


def epoch_row(row: Row, clips: ClipSet, few: ClipSet, args, device, clock, most) -> None:
    "Time some steps; fills the row."
    case = row.method, row.backbone
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    if row.way == "plain":
        run = Loop(case, row.precision, device, args, clips)
    else:
        run = Kit(case, row.way, row.precision, device, args, clips)
        run.clips = Some(run.clips, args.steps)
    run.steps()
    row.first_seconds = round(time.perf_counter() - start, 2)
    begin = clock()
    run.steps()
    row.clips_per_second = args.batch * args.steps / (clock() - begin)
    row.share_of_peak = row.clips_per_second * useful_flops(case, few) / most[row.precision]
    row.peak_memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


# ---------------------------------------------------------------------------------------------- parity and repeat
class Teacher(nn.Module):
    "What `distil.Teacher` is, with fresh weights instead of a run's."

    forward = distil.Teacher.forward

    def __init__(self, backbone):
        super().__init__()
        self.views, self.dims = ("joint", "motion"), {"joint": 8, "motion": 8}
        self.layout, self.timeline, self.checksum = NTU25, (False, False), ""
        self.encoder = nn.ModuleDict({v: backbone.make(NTU25) for v in self.views})
        self.heads = nn.ModuleDict({v: nn.Linear(net.dim, 8) for v, net in self.encoder.items()})
        self.requires_grad_(False).eval()


def small_tasks(clips: ClipSet) -> dict:
    "method -> a function that makes its task, small, without anything drawn by chance."
    how = dict(frames=clips.frames, persons=2, backbone=Backbone(width=8, dim=32, dropout=0.0), augment=Augment(), train={"batch_size": 8})
    draw, labels = np.random.default_rng(0), {n: i % 3 for i, n in enumerate(clips.names)}
    space = ConceptSpace(clips.names, *(draw.standard_normal((len(clips), 16)).astype(np.float32) for _ in range(2)))
    bank, two = dict(queue=64, projection=16), dict(views=("joint", "motion"), cross_epoch=0)
    soft = dict(intra=True, perplexity=3.0, alpha_max=0.8)
    return {
        "c2vl": lambda: c2vl.C2VL(NTU25, space, c2vl.small(loss=soft).replace(**how)),
        "simclr": lambda: simclr.SimCLR(NTU25, simclr.small().replace(**how)),
        "skeletonclr": lambda: skeletonclr.MoCo(NTU25, skeletonclr.small(**bank).replace(**how)),
        "crosclr": lambda: crosclr.CrosSCLR(NTU25, crosclr.small(**bank, **two).replace(**how)),
        "ikem": lambda: ikem.IKEM(NTU25, ikem.small(**bank, **two).replace(**how)),
        "distil": lambda: distil.Distill(NTU25, Teacher(how["backbone"]), distil.small(queue=64).replace(**how)),
        "supervised": lambda: supervised.Supervised(NTU25, labels, 3, supervised.small().replace(**how)),
        "mmcl": lambda: mmcl.MMCL(NTU25, labels, 3, mmcl.Instruction.from_space(space), space, mmcl.small(align="vision").replace(**how)),
    }


def losses(make, clips: ClipSet, device, steps: int = LOSSES) -> list[float]:
    "The losses of so many steps from one start."
    found, config = [], TrainConfig(batch_size=8, epochs=2, lr=1e-4, warmup_epochs=0, amp="off", tf32=False, device=str(device))
    with seeded(0, "init"):
        task = make().to(device)
    plain = task.loss

    def kept(*given):
        loss, numbers = plain(*given)
        found.append(loss.detach())
        return loss, numbers

    task.loss = kept
    run_epoch(task, Some(clips.to(device), steps), make_optimiser(task, config), config, 0)
    return torch.stack(found).double().cpu().tolist()


def parity(report: Report, args, device) -> None:
    "Every method on both devices; then one method twice on the GPU."
    torch.backends.cudnn.allow_tf32 = False
    clips = make_clips(8 * args.losses, 16, 2, 0.3)
    tasks = small_tasks(clips)
    for method, make in tasks.items():
        if report.left < 5:
            report.add("parity", {"method": method, "note": "no time left"})
            continue
        try:
            here, there = (losses(make, clips, d, args.losses) for d in (torch.device("cpu"), device))
        except Exception as error:  # the other methods are worth having
            report.add("parity", {"method": method, "note": failed(error)})
            continue
        worst = max(abs(a - b) / max(1.0, abs(a)) for a, b in zip(here, there))
        note = "" if device.type == "cuda" else "no GPU here: the CPU against itself"
        report.add("parity", {"method": method, "apart": worst, "cpu": here, "device": there, "note": note},
                   f"| parity | {method} | {len(here)} losses, apart by {worst:.1e} | {note} |")  # fmt: skip
    for method in ("c2vl", "skeletonclr"):
        if report.left < 5:
            report.add("repeat", {"method": method, "note": "no time left"})
            continue
        a, b = (losses(tasks[method], clips, device, args.losses) for _ in range(2))
        apart = max(abs(x - y) for x, y in zip(a, b))
        note = "" if device.type == "cuda" else "no GPU here: the CPU"
        report.add("repeat", {"method": method, "same_bits": a == b, "apart": apart, "note": note},
                   f"| repeat | {method} | same bits: {a == b}, apart by {apart:.1e} | {note} |")  # fmt: skip


# ---------------------------------------------------------------------------------------------- the whole
def settings() -> SimpleNamespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=Path, help="write all rows into this file, whole after every row")
    p.add_argument("--minutes", type=float, default=6.0, help="no row begins that would end later (default: 6)")
    p.add_argument("--rehearse", action="store_true", help="on the CPU, at a hundredth of the size")
    p.add_argument("--workers", type=int, help="processes of the plain loop's DataLoader (default: 4, rehearsing 0)")
    args = p.parse_args()
    sizes = dict(batch=4, steps=1, queue=512, losses=3, clips=CLIPS // 100) if args.rehearse else dict(batch=128, steps=20, queue=32768)
    args.workers = args.workers if args.workers is not None else 0 if args.rehearse else 4
    return SimpleNamespace(**{"losses": LOSSES, "clips": CLIPS, **sizes, **vars(args)})


def stop(number, frame):
    raise SystemExit(0 if number == signal.SIGALRM else 128 + number)


def not_reached(report: Report) -> None:
    "Empty rows for what was still to come."
    keys = ("method", "backbone", "way", "precision")
    there = {tuple(r[k] for k in keys) for r in report.rows if r["row"] == "epochs"}
    rest = [asdict(Row(m, b, PERSONS, w, p, note="not reached")) for m, b, w, p in EPOCHS if (m, b, w, p) not in there]
    report.rows += [{"row": "epochs", **row} for row in rest]
    report.write(stopped=True)


def main() -> None:
    args = settings()
    there = torch.cuda.is_available() and not args.rehearse
    device = torch.device("cuda" if there else "cpu")
    told = {"machine": machine(device), "settings": {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items()}}
    if not there and not args.rehearse:
        told["note"] = "no GPU here: every row stays empty"
    report = Report(args.out, told, 60 * args.minutes)
    print(json.dumps(told["machine"]), told.get("note", ""), sep="\n", flush=True)
    report.write(stopped=False)
    if "note" in told:
        return
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 60 * args.minutes)
    try:
        parity(report, args, device)
        start = time.perf_counter()
        clips = make_clips(args.clips, FRAMES, PERSONS, 0.18).to(device)
        size, took = 4 * clips.x.numel() / 1e9, time.perf_counter() - start
        report.add("set", {"clips": len(clips), "shape": list(clips.x.shape[1:]), "gigabytes": round(size, 2), "seconds": round(took, 1)})
        epochs(report, clips, args, device)
    except (SystemExit, KeyboardInterrupt):
        print(f"stopped after {len(report.rows)} rows", flush=True)
        not_reached(report)
        raise


if __name__ == "__main__":
    sys.exit(main())
