"""How many clips a second C2VL and SkeletonCLR train here, side by side with a plain loop, all within one run.

    python bench/train.py [--methods c2vl skeletonclr] [--backbones stgcn16 stgcn64 ctrgcn] [--persons 1 2] [--ways plain kit compiled]
                          [--precision float32 bf16] [--batch 128] [--frames 50] [--steps 8] [--rounds 3] [--json FILE]

The plain loop is written from the formulas. Every clip is augmented by itself in numpy inside a DataLoader. The graph convolution is a
1x1 convolution to three subsets and a sum over them; CTR-GCN goes subset by subset and branch by branch. Both persons of a clip are
always computed, and the loss goes to the host after each step. The kit's rows are `run_epoch`, with all that a training does in a step.
Weights, clips, optimiser, batch and bank are equal, without dropout. Of the clips with two places for persons a share of --two has
somebody in the second one (NTU-60: 11 of 60 classes, 0.18).

Ways are measured in turn, round after round, and the best round counts. On a CPU with one thread the clock is process time. The share of
the peak counts useful operations alone (persons who are there; three passes for what is trained, one for a key encoder) against a matrix
product measured in the same rounds. The share of data is what fetching a batch and augmenting it takes of a step.
"""
import argparse
import json
import math
import os
import platform
import shutil
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from methods import plain_stgcn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from c2vl_kit.concepts.space import ConceptSpace
from c2vl_kit.core import write_json_atomic
from c2vl_kit.data.loader import ClipSet
from c2vl_kit.methods import c2vl, skeletonclr
from c2vl_kit.models.zoo import MODELS, count_flops
from c2vl_kit.skeleton import NTU25
from c2vl_kit.train.config import TrainConfig, make_optimiser
from c2vl_kit.train.task import generator_for, seeded
from c2vl_kit.train.trainer import run_epoch

WAYS, PRECISIONS, BACKBONES = ("plain", "kit", "compiled"), ("float32", "bf16"), ("stgcn16", "stgcn64", "ctrgcn")
AFTER = 10  # epochs that count as done: batch norms no longer average plainly, C2VL's targets are soft


# ---------------------------------------------------------------------------------------------- clips and tasks
def make_clips(n: int, frames: int, persons: int, two: float, seed: int = 0) -> ClipSet:
    "Random walks; a share `two` of the clips has somebody in the second place."
    g = generator_for(seed, "clips")
    x = torch.randn(n, 3, 1, NTU25.V, persons, generator=g) + 0.05 * torch.randn(n, 3, frames, NTU25.V, persons, generator=g).cumsum(2)
    present = torch.ones(n, persons, dtype=torch.bool)
    present[:, 1:] = torch.rand(n, persons - 1, generator=g) < two
    names = tuple(f"clip{i:05d}" for i in range(n))
    return ClipSet(x * present[:, None, None, None], present, names, NTU25, frames, "centre", frames_raw=torch.full((n,), frames))


def make_task(method: str, backbone: str, clips: ClipSet, train: dict, width: int = 512, queue: int = 32768):
    "A task with fresh weights, always the same."
    how = dict(frames=clips.frames, persons=clips.persons, backbone=MODELS[backbone].replace(dropout=0.0), train=train)
    with seeded(0, "init"):
        if method == "skeletonclr":
            return skeletonclr.MoCo(NTU25, skeletonclr.MoCoConfig(queue=queue).replace(**how))
        words = np.random.default_rng(0).standard_normal((len(clips), width)).astype(np.float32)
        loss = dict(intra=True, perplexity=min(8.0, train["batch_size"] / 2), alpha_max=0.8)
        return c2vl.C2VL(NTU25, ConceptSpace(clips.names, words), c2vl.published(loss=loss).replace(**how))


# ---------------------------------------------------------------------------------------------- the plain loop
class Samples(Dataset):
    "One clip after the other, augmented in numpy: mirrored crop and shear, twice; or a part of the clip, resized and turned."

    def __init__(self, clips: ClipSet, method: str):
        self.x, self.method, self.draw = clips.x.cpu().numpy(), method, None

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        x, self.draw = self.x[i], self.draw or np.random.default_rng()  # every worker its own
        views = [self.sheared(x), self.sheared(x)] if self.method == "skeletonclr" else [self.turned(x)]
        return i, *(np.ascontiguousarray(v, np.float32) for v in views)

    def sheared(self, x):
        T, pad = x.shape[1], x.shape[1] // 6
        x = np.concatenate([x[:, :pad][:, ::-1], x, x[:, -pad:][:, ::-1]], 1)
        start = self.draw.integers(0, 2 * pad + 1)
        matrix = self.draw.uniform(-0.5, 0.5, (3, 3))
        np.fill_diagonal(matrix, 1)
        return np.dot(x[:, start : start + T].transpose(1, 2, 3, 0), matrix).transpose(3, 0, 1, 2)

    def turned(self, x):
        T = x.shape[1]
        part = self.draw.uniform(0.5, 1) * T
        place = np.clip(self.draw.uniform(0, T - part) + (np.arange(T) + 0.5) * part / T - 0.5, 0, T - 1)
        low = place.astype(int)
        share = (place - low)[:, None, None]
        x = x[:, low] * (1 - share) + x[:, np.minimum(low + 1, T - 1)] * share
        matrix = np.eye(3)
        for axis, angle in enumerate(self.draw.uniform(-0.3, 0.3, 3)):
            i, j = (axis + 1) % 3, (axis + 2) % 3
            turn = np.eye(3)
            turn[i, i] = turn[j, j] = np.cos(angle)
            turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
            matrix = turn @ matrix
        return np.einsum("dc,ctvm->dtvm", matrix, x)


def some(norm, x, rows):
    "A batch norm of some channels of a wider one."
    return F.batch_norm(x, None, None, norm.weight[rows], norm.bias[rows], True)


def plain_ctrgcn(net, x):
    "CTR-GCN as one reads it: subset by subset, branch by branch."
    n, c, t, v = x.shape
    x = net.norm(x.permute(0, 3, 1, 2).reshape(n, v * c, t)).view(n, v, c, t).permute(0, 2, 3, 1)
    for unit in net.units:
        y = 0
        for g, a in zip(unit.graphs, unit.A):
            left, right = (F.conv2d(x, w.weight[..., None], w.bias).mean(2) for w in (g.collector, g.sender))
            relation = g.refine(torch.tanh(left[..., :, None] - right[..., None, :])) * unit.alpha + a
            y = y + torch.einsum("ncuv,nctv->nctu", relation, g.value(x))
        y = F.relu(unit.norm(y) + unit.shortcut(x))
        look, q = unit.time, unit.time.near.in_channels
        out = []
        for i, branch in enumerate((look.near, look.wide, look.largest)):
            rows = slice(i * q, (i + 1) * q)
            h = F.relu(some(look.entry_norm, F.conv2d(y, look.entry.weight[rows], look.entry.bias[rows]), rows))
            out.append(some(look.norm, branch(h), rows))
        y = torch.cat([*out, some(look.norm, look.now(y), slice(3 * q, 4 * q))], 1)
        x = F.relu(y if unit.residual is None else y + unit.residual(x))
    return x.mean((2, 3))


def plain_features(net, x):
    "Every place for a person is encoded, and all are averaged: (N, 3, T, V, M) -> (N, D)."
    n, c, t, v, m = x.shape
    encode = plain_ctrgcn if hasattr(net, "units") else plain_stgcn
    return encode(net, x.permute(0, 4, 1, 2, 3).reshape(n * m, c, t, v)).view(n, m, -1).mean(1)


class Plain:
    "The loop, step by step; weights are those of a task of the kit."

    def __init__(self, task, method, device):
        self.task, self.method, self.device, self.queue, self.pointer = task, method, device, None, 0
        if method == "skeletonclr":
            self.queue = task.bank["joint"].clone()

    def loss(self, i, *views):
        t = self.task
        if self.method == "skeletonclr":
            return self.moco(*views)
        s, own = F.normalize(t.heads["language"](plain_features(t.encoder["joint"], views[0])).float(), dim=1), t.concept_language[i]
        m = F.normalize(own, dim=1)
        logits, alpha = s @ m.T * t.scales["language"](), 0.08
        same, total = (m @ m.T / t.tau_s["language"]).softmax(1).float(), 0
        for a, b in ((logits, logits.T), (logits.T, logits)):
            answer, other = F.log_softmax(a, 1), F.softmax(b, 1).detach()
            target = (1 - alpha) * torch.eye(len(a), device=a.device) + alpha * (same + other) / 2
            total = total + F.kl_div(answer, target, reduction="batchmean") / 2
        return total

    def moco(self, query, key):
        t, c = self.task, self.task.config
        with torch.no_grad():
            for new, old in ((t.encoder, t.key_encoder), (t.heads, t.key_heads)):
                for p, q in zip(old.parameters(), new.parameters(), strict=True):
                    p.data = p.data * c.momentum + q.data * (1 - c.momentum)
            k = F.normalize(t.key_heads["joint"](plain_features(t.key_encoder["joint"], key)), dim=1)
        z = F.normalize(t.heads["joint"](plain_features(t.encoder["joint"], query)), dim=1)
        positive = torch.einsum("nc,nc->n", z, k)[:, None]
        logits = torch.cat([positive, torch.einsum("nc,kc->nk", z, self.queue.clone().to(z.dtype))], 1) / c.tau
        n, place = len(k), self.pointer
        self.queue[place : place + n] = k[: len(self.queue) - place].to(self.queue)
        self.pointer = (place + n) % len(self.queue)
        return F.cross_entropy(logits.float(), torch.zeros(n, dtype=torch.long, device=self.device))


# ---------------------------------------------------------------------------------------------- measuring
@dataclass
class Row:
    "One way to train, and what it reached; None where it was not measured, and `note` says why."

    method: str
    backbone: str
    persons: int
    way: str
    precision: str
    clips_per_second: float | None = None
    times_plain: float | None = None  # against the plain loop in float32 of the same run
    share_of_peak: float | None = None
    share_in_data: float | None = None
    first_seconds: float | None = None  # the first round, which compiles
    peak_memory: int | None = None  # bytes on a GPU
    note: str = ""


class Clock:
    "Seconds, of the processor where one thread computes, else of the wall; waits for a GPU."

    def __init__(self, device: torch.device, workers: int = 0):
        self.device, self.own = device, device.type == "cpu" and torch.get_num_threads() == 1 and not workers

    def __call__(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.process_time() if self.own else time.perf_counter()


def cast(device, precision):
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def peak(device, precision, clock, seconds: float = 0.5) -> float:
    "Operations a second of a square matrix product, the best of several."
    n, kind = (8192 if device.type == "cuda" else 1024), torch.bfloat16 if precision == "bf16" else torch.float32
    a, best, spent = torch.randn(n, n, device=device, dtype=kind), math.inf, 0.0
    while spent < seconds:
        start = clock()
        a @ a
        took = clock() - start
        best, spent = min(best, took), spent + took
    return 2 * n**3 / best


def left_out(way, precision, device) -> str:
    "Why a row makes no sense on this machine; '' where it does."
    if way == "compiled" and device.type == "cpu" and not (shutil.which("g++") or shutil.which("clang++")):
        return "no C++ compiler"
    if precision == "bf16" and device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        return "no bf16"
    if precision == "bf16" and device.type == "cpu" and not torch.cpu._is_avx512_bf16_supported():
        return "no bf16 instructions"
    return ""


class Kit:
    "`run_epoch` over a few batches."

    def __init__(self, case, way, precision, device, args, clips):
        self.clips, self.epoch = clips.to(device), AFTER
        amp, compile = "bf16" if precision == "bf16" else "off", "on" if way == "compiled" else "off"
        self.config = TrainConfig(batch_size=args.batch, epochs=100, lr=1e-3, amp=amp, compile=compile, device=str(device))
        self.task = make_task(*case, clips, dict(batch_size=args.batch), queue=args.queue).to(device)
        self.optimiser, self.device = make_optimiser(self.task, self.config), device

    def steps(self) -> float:  # the mean loss
        self.epoch += 1
        return run_epoch(self.task, self.clips, self.optimiser, self.config, self.epoch)["loss"]

    def data_seconds(self, clock) -> float:
        "Fetching and augmenting all batches of an epoch, without training."
        a, g, draws = self.task.config.augment, generator_for(0, "a", device=self.device), 2 if hasattr(self.task, "bank") else 1
        start = clock()
        for batch in self.clips.batches(self.config.batch_size, 0, 0):
            for _ in range(draws):
                a(batch.x, g, NTU25)
        return clock() - start


class Loop:
    "The plain loop over the same number of batches."

    def __init__(self, case, precision, device, args, clips):
        self.precision, self.device, self.waited = precision, device, 0.0
        task = make_task(*case, clips, dict(batch_size=args.batch), queue=args.queue).to(device).train()
        self.plain = Plain(task, case[0], device)
        self.optimiser = torch.optim.AdamW([p for p in task.parameters() if p.requires_grad], 1e-3)
        self.loader = DataLoader(Samples(clips, case[0]), args.batch, shuffle=True, drop_last=True, num_workers=args.workers,
                                 persistent_workers=args.workers > 0)  # fmt: skip

    def steps(self) -> float:
        losses, self.waited = [], 0.0
        loaded, clock = iter(self.loader), Clock(self.device, self.loader.num_workers)
        while True:
            start = clock()
            parts = next(loaded, None)
            self.waited += clock() - start
            if parts is None:
                return sum(losses) / len(losses)
            i, *views = (p.to(self.device) for p in parts)
            with cast(self.device, self.precision):
                loss = self.plain.loss(i, *views)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            losses.append(loss.item())

    def data_seconds(self, clock) -> float:  # of the last round
        return self.waited


def useful_flops(case, clips) -> float:
    "Operations of a training step for one clip: forward and twice that backward, a key encoder forward, for persons who are there."
    method, backbone = case
    passes = 4 if method == "skeletonclr" else 3
    return passes * count_flops(MODELS[backbone], NTU25, clips.frames) * clips.present.sum().item() / len(clips)


def measure(case, persons, args, device, tell=lambda rows: None) -> list[Row]:
    "All ways of one method, backbone and number of persons, in turn."
    clips = make_clips(args.batch * args.steps, args.frames, persons, args.two)
    rows, runs, clock = [], {}, Clock(device, args.workers)
    for way in args.ways:
        for precision in args.precision:
            rows.append(row := Row(*case, persons, way, precision, note=left_out(way, precision, device)))
            if row.note:
                continue
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            start = time.perf_counter()
            try:
                make = (Loop, (case, precision)) if way == "plain" else (Kit, (case, way, precision))
                run = make[0](*make[1], device, args, clips)
                run.steps()  # warms up and compiles
            except torch.OutOfMemoryError:
                row.note = "out of memory"
                continue
            row.first_seconds = round(time.perf_counter() - start, 2)
            row.peak_memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
            runs[len(rows) - 1] = run
    best, waits, most = dict.fromkeys(runs, math.inf), {}, {}
    for _ in range(args.rounds):
        for precision in args.precision:
            most[precision] = max(most.get(precision, 0.0), peak(device, precision, clock))
        for k, run in runs.items():
            start = clock()
            run.steps()
            took, data = clock() - start, run.data_seconds(clock)
            if took < best[k]:
                best[k], waits[k] = took, data
    base = next((best[k] for k in runs if (rows[k].way, rows[k].precision) == ("plain", "float32")), None)
    flops = useful_flops(case, clips)
    for k in runs:
        row, row.clips_per_second = rows[k], len(clips) / best[k]
        row.times_plain = base / best[k] if base else None
        row.share_of_peak, row.share_in_data = row.clips_per_second * flops / most[row.precision], waits[k] / best[k]
    return rows


def line(row: Row) -> str:
    "A row of the printed table."
    def show(value, form):
        return "–" if value is None else format(value, form)

    cells = [row.method, row.backbone, row.persons, row.way, row.precision,
             show(row.clips_per_second, ",.1f"), show(row.times_plain, ".2f"), show(row.share_of_peak, ".1%"),
             show(row.share_in_data, ".1%"), show(row.first_seconds, ".0f"), row.note]  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


HEAD = ("| method | backbone | persons | way | precision | clips/s | times plain | of peak | in data | first round, s | |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|")  # fmt: skip


def machine(device) -> dict:
    "What decides the figures besides."
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {"device": str(device), "name": name, "torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version(),
            "threads": torch.get_num_threads(), "cores": os.cpu_count(), "capability": torch.backends.cpu.get_cpu_capability(),
            "load": os.getloadavg()[0]}  # fmt: skip


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, known in (("methods", ("c2vl", "skeletonclr")), ("backbones", BACKBONES), ("ways", WAYS), ("precision", PRECISIONS)):
        p.add_argument(f"--{name}", nargs="+", default=list(known), choices=known)
    p.add_argument("--persons", nargs="+", type=int, default=[1, 2], choices=(1, 2))
    sizes = dict(batch=128, frames=50, steps=8, rounds=3, queue=32768, threads=0, workers=0)
    told = {"threads": "CPU threads; 0: torch's choice", "workers": "processes of the plain loop's DataLoader"}
    for name, default in sizes.items():
        p.add_argument(f"--{name}", type=int, default=default, help=told.get(name))
    p.add_argument("--two", type=float, default=0.18, help="share of clips with a second person (default: 0.18)")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--json", type=Path, help="write all rows into this file, whole after every case")
    return p


def main() -> None:
    args = parser().parse_args()
    torch.set_num_threads(args.threads or torch.get_num_threads())
    device, rows = torch.device(args.device), []
    told = {"machine": machine(device), "settings": {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items()}}
    print(json.dumps(told["machine"]), "", HEAD, sep="\n", flush=True)
    for case in ((m, b) for m in args.methods for b in args.backbones):
        for persons in args.persons:
            for row in (found := measure(case, persons, args, device)):
                print(line(row), flush=True)
            rows += found
            if args.json:
                write_json_atomic(args.json, told | {"rows": [asdict(r) for r in rows]})
    for persons, aim in ((1, 3), (2, 2)):
        best = {}
        for r in rows:
            if r.persons == persons and r.way != "plain" and r.times_plain:
                best[r.method, r.backbone] = max(best.get((r.method, r.backbone), 0.0), r.times_plain)
        if best:
            reached = ", ".join(f"{m} {b} {t:.2f}" for (m, b), t in best.items())
            print(f"\n{persons} person(s): best of the kit's ways against the plain loop: {reached} (aim {aim})")


if __name__ == "__main__":
    sys.exit(main())
