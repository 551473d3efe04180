"""How time and memory grow: neighbours, near copies and the linear probe, and the steps from clips to a concept space.

    python bench/growth.py [--tasks knn nearest near rows index probe prepare caption embed space prompts] [--sizes 1000 4000 16000]
                           [--out runs/growth.json] [--device cpu] [--tower auto]

Every row runs in a process of its own. Processor time is what the exponents are fitted to, because a busy machine stretches the
other. Memory is what a task adds to its process: the highest resident size minus that before it began. Rows are written as they come;
the same call goes on where it was stopped. `rows` is the exact search for candidates of near copies, `index` the same with an approximate
index. 64000 is a size like the others. It takes time and disk, so nothing runs it unasked.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

D, RAW, CLASSES = 256, 3000, 60  # size of a feature; numbers of 50 frames × 20 joints; classes of the probe


def features(n: int, size: int, prefix: str, seed: int):
    """Clustered vectors with their classes."""
    from c2vl_kit.evaluate.features import Features

    rng, y = np.random.default_rng(seed), np.arange(n) % CLASSES
    centres = np.random.default_rng(0).standard_normal((CLASSES, size), np.float32)
    x = rng.standard_normal((n, size), np.float32)
    x *= 2
    x += centres[y]
    return Features(tuple(f"{prefix}{i}" for i in range(n)), x), y


def sides(n: int, size: int):
    """n clips that train and a quarter as many that test."""
    train, y = features(n, size, "a", 1)
    return train, y, {"official": features(n // 4, size, "b", 2)}


def sized(n: int) -> dict:
    """Options of the simulator for about n clips."""
    each = n / 24
    repetitions = max(1, min(99, round(each**0.5 / 3)))
    return {"classes": 24, "repetitions": repetitions, "subjects": round(each / repetitions)}


def job_of(folder: Path, n: int):
    from c2vl_kit.app.job import Job

    return Job(folder / f"clips-{n}")


def store_of(folder: Path, n: int):
    """The store of n simulated clips; made, unmeasured, if `prepare` has not done it."""
    job = job_of(folder, n)
    if not (job.store / "store.json").exists():
        prepare(n, folder, None)()
    return job.open_store()


# task → (items, folder, options) → what is measured; what it needs is made before


def knn(n, folder, how):
    from c2vl_kit.evaluate.probes import knn

    given = sides(n, D)
    return lambda: knn(*given, device=how.device)


def nearest(n, folder, how):
    from c2vl_kit.evaluate.probes import knn

    given = sides(n, RAW)
    return lambda: knn(*given, 1, "euclidean", how.device)


def probe(n, folder, how):
    from c2vl_kit.evaluate.probes import ProbeConfig, linear_probe

    given = sides(n, D)
    return lambda: linear_probe(*given, ProbeConfig(epochs=20, lr_steps=(15,)), how.device)


def near(n, folder, how):
    from c2vl_kit.data.catalog import get_split
    from c2vl_kit.data.near import near_duplicates

    store = store_of(folder, n)
    return lambda: near_duplicates(store, get_split(store))


def poses(n):
    """Descriptors as `near` compares them, 8 moments of two people's 25 joints: a gallery, and half as many queries."""
    return features(n, 1200, "a", 1)[0].x, features(n // 2, 1200, "b", 2)[0].x


def rows(n, folder, how):
    from c2vl_kit.data.near import nearest_rows

    gallery, queries = poses(n)
    return lambda: nearest_rows(queries, gallery, 6)


def index(n, folder, how):
    import pynndescent

    gallery, queries = poses(n)
    pynndescent.NNDescent(gallery[:200], random_state=0, n_jobs=1).query(queries[:2], k=6)  # compiled before
    return lambda: pynndescent.NNDescent(gallery, random_state=0, n_jobs=1).query(queries, k=6)


def prepare(n, folder, how):
    from c2vl_kit.app.steps import prepare_step

    return lambda: prepare_step(job_of(folder, n), "simulated", None, sized(n), overwrite=True)


def caption(n, folder, how):
    from c2vl_kit.concepts.kinematic import caption

    store, file = store_of(folder, n), job_of(folder, n).root / "kinematic.jsonl"
    file.unlink(missing_ok=True)
    return lambda: caption(store, file, progress=False)


def embed(n, folder, how):
    from c2vl_kit.concepts.cache import EmbeddingCache
    from c2vl_kit.concepts.prompts import PromptStore
    from c2vl_kit.concepts.towers import TextTower

    store_of(folder, n)
    job, tower = job_of(folder, n), TextTower.load(how.tower)
    answers = list(dict.fromkeys(p.answer for p in PromptStore(job.prompts)))
    tower.encode(answers[:64])
    return lambda: EmbeddingCache(job.root / f"vectors-{time.time_ns()}").embed(answers, tower)


class AnyTower:
    """Vectors that mean nothing, so that `space` is measured without the text encoder, which `embed` measures."""

    name, checksum, dim = "random", "0" * 64, 384

    def encode(self, texts, batch_size=64):
        x = np.random.default_rng(len(texts)).standard_normal((len(texts), self.dim), np.float32)
        return x / np.linalg.norm(x, axis=1, keepdims=True)


def space(n, folder, how):
    from c2vl_kit.concepts.cache import EmbeddingCache
    from c2vl_kit.concepts.prompts import PromptStore
    from c2vl_kit.concepts.space import ConceptSpace

    store_of(folder, n)
    job, tower = job_of(folder, n), AnyTower()
    prompts, cache = PromptStore(job.prompts), EmbeddingCache(job.root / "any-vectors")
    ConceptSpace.build(prompts, tower, cache)
    return lambda: ConceptSpace.build(prompts, tower, cache).save(job.root / "measured-space")


def prompts(n, folder, how):
    from c2vl_kit.concepts.prompts import PromptStore

    file, rng, held = folder / f"prompts-{n}.jsonl", np.random.default_rng(0), []
    said = [f"The person moves the {part} {k} cm {way}." for part in ("left hand", "right hand", "head", "left foot") for k in range(400)
            for way in ("up", "down", "forward", "back", "to the side")]
    head = {"question": "What does the person do?", "source": "rules", "settings": {"moments": 16, "widen": 2}, "time": "2026-01-01"}
    with open(file, "w") as f:
        for clip in range(n):
            for moment, k in enumerate(rng.integers(len(said), size=16)):
                f.write(json.dumps({"clip": f"S{clip:06d}", "moment": moment, "answer": said[k], "leaks_labels": False, **head}) + "\n")
    return lambda: held.append(PromptStore(file))


TASKS = {f.__name__: f for f in (knn, nearest, near, rows, index, probe, prepare, caption, embed, space, prompts)}


def resident(key: str) -> float:
    """MB of this process: VmRSS is now, VmHWM the most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) / 1024


def one(task: str, n: int, folder: Path, how) -> dict:
    """A row, measured in this process."""
    import torch

    torch.set_num_threads(1)
    run = TASKS[task](n, folder, how)
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest resident size so far
    before, start, cpu = resident("VmRSS"), time.perf_counter(), time.process_time()
    run()
    row = {"task": task, "items": n, "seconds": time.perf_counter() - start, "processor_seconds": time.process_time() - cpu,
           "added_mb": resident("VmHWM") - before, "peak_mb": resident("VmHWM")}
    return {k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}


def exponent(rows: list[dict], key: str) -> str:
    """b in value ∝ items^b over the rows of a task."""
    points = [(np.log(r["items"]), np.log(r[key])) for r in rows if r[key] >= (5 if key == "added_mb" else 0.02)]
    return f"{np.polyfit(*np.array(points).T, 1)[0]:.2f}" if len(points) > 1 else "–"


def table(rows: list[dict]) -> str:
    """Markdown."""
    lines = ["| task | items | processor s | s | added MB | exponent of time | of memory |", "|---|---|---|---|---|---|---|"]
    for task in TASKS:
        mine = sorted((r for r in rows if r["task"] == task), key=lambda r: r["items"])
        for r in mine:
            last = r is mine[-1]
            fits = f"{exponent(mine, 'processor_seconds')} | {exponent(mine, 'added_mb')}" if last else " | "
            numbers = f"{r['processor_seconds']:,.1f} | {r['seconds']:,.1f} | {r['added_mb']:,.0f}"
            lines.append(f"| {task} | {r['items']:,} | {numbers} | {fits} |")
    return "\n".join(lines)


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tasks", nargs="*", default=list(TASKS), choices=list(TASKS))
    p.add_argument("--sizes", nargs="*", type=int, default=[1000, 4000, 16000])
    p.add_argument("--out", type=Path, default=Path("runs/growth.json"))
    p.add_argument("--device", default="cpu")
    p.add_argument("--tower", default="auto")
    p.add_argument("--one", nargs=2, metavar=("TASK", "ITEMS"), help=argparse.SUPPRESS)
    how = p.parse_args()
    folder = how.out.parent / f"{how.out.stem}-files"
    if how.one:
        print(json.dumps(one(how.one[0], int(how.one[1]), folder, how)))
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    kept = json.loads(how.out.read_text()) if how.out.exists() else {"rows": []}
    rows = kept["rows"]
    facts = {"machine": platform.processor() or platform.machine(), "python": platform.python_version(), "device": how.device}
    for n in sorted(how.sizes):
        for task in how.tasks:
            if any(r["task"] == task and r["items"] == n for r in rows):
                continue
            call = [sys.executable, __file__, "--out", how.out, "--device", how.device, "--tower", how.tower, "--one", task, str(n)]
            done = subprocess.run(call, capture_output=True, text=True, env=os.environ | {"C2VL_QUIET": "1"})
            if done.returncode:
                print(f"{task} at {n:,}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
                continue
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{task} at {n:,}: {rows[-1]['processor_seconds']:.1f} s of a core, {rows[-1]['added_mb']:.0f} MB", flush=True)
            how.out.write_text(json.dumps({**facts, "rows": rows}, indent=1) + "\n")
    print(f"\n{table(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
