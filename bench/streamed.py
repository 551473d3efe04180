"""Training on a set of clips ten times as large as the memory that the process may take.

    python bench/streamed.py [--free 256] [--times 10] [--out runs/streamed] [--batch 32]

A child process trains one epoch. Before it loads a clip it may take only --free MB more (RLIMIT_DATA), and nothing tells it to
stream: it finds out itself. The set is --times as large. Printed are the memory that belongs to the process alone (RssAnon) when
training begins and at its highest, and the speed beside a resident set of the same shape and a tenth of the size. The store is made
once, of noisy copies.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

FRAMES, PERSONS, JOINTS = 50, 2, 20
CLIP = 4 * 3 * FRAMES * PERSONS * JOINTS  # bytes


def copies(count: int):
    """Simulated motions with noise of their own."""
    from c2vl_kit.data.simulate import SimulatorConfig, simulate

    some = simulate(SimulatorConfig(classes=12, subjects=2, repetitions=2)).clips
    for i in range(count):
        c = some[i % len(some)]
        noise = np.random.default_rng(i).normal(0, 0.01, c.joints.shape).astype(np.float32)
        yield c.replace(name=f"{c.name}_{i:06d}", joints=c.joints + noise)


def status(key: str) -> int:
    """MB of this process."""
    return int(next(s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith(key)).split()[1]) // 1024


def child(how) -> dict:
    """One epoch under the limit, or resident without one."""
    import resource

    import torch

    from c2vl_kit.data.loader import ClipSet
    from c2vl_kit.data.splits import Split
    from c2vl_kit.data.store import Store
    from c2vl_kit.methods import simclr
    from c2vl_kit.train.pretrain import pretrain

    torch.set_num_threads(1)
    store, run = Store.open(how.out / "store", verify=False), how.out / f"run-{how.child}-{time.time_ns()}"
    names = store.names if how.child == "streamed" else store.names[: len(store) // how.times]
    small = {"frames": FRAMES, "persons": PERSONS, "train": {"epochs": 1, "batch_size": how.batch, "threads": 1}}
    config = simclr.small().replace(**small)
    few = Split("simulated", "few", store.names[: 2 * how.batch], {})
    pretrain(simclr, store, few, run.with_suffix(".warm"), config, progress=False)  # libraries are loaded, threads stand
    if how.child == "streamed":
        most = status("VmData") + how.free
        resource.setrlimit(resource.RLIMIT_DATA, (most << 20,) * 2)
    began, seen, over = status("RssAnon"), [], threading.Event()
    watch = threading.Thread(target=lambda: [seen.append(status("RssAnon")) for _ in iter(lambda: over.wait(0.2), True)], daemon=True)
    watch.start()
    load, start = ClipSet.load.__func__, {}

    def timed(cls, *args, **given):
        clips = load(cls, *args, **given)
        start.update(at=time.process_time(), resident=clips.resident)
        return clips

    ClipSet.load = classmethod(timed)
    pretrain(simclr, store, Split("simulated", "all", names, {}), run, config, progress=False)
    took = time.process_time() - start["at"]
    over.set()
    memory = {"rss_before_mb": began, "rss_most_mb": max(seen, default=began)}
    speed = {"clips_per_processor_second": round(len(names) / took, 1)}
    return {"set_mb": len(names) * CLIP >> 20, "resident": start["resident"], **memory, **speed}


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--free", type=int, default=256, help="MB that the process may take beyond what it has")
    p.add_argument("--times", type=int, default=10)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--out", type=Path, default=Path("runs/streamed"))
    p.add_argument("--child", choices=("streamed", "resident"), help=argparse.SUPPRESS)
    how = p.parse_args()
    if how.child:
        print(json.dumps(child(how)))
        return 0
    from c2vl_kit.data.build import build_store

    count = -(-how.times * how.free * 2**20 // CLIP)
    if not (how.out / "store" / "store.json").exists():
        build_store(how.out / "store", copies(count), dataset="simulated", progress=False)
    rows = {}
    for kind in ("streamed", "resident"):
        call = [sys.executable, __file__, "--free", str(how.free), "--times", str(how.times), "--batch", str(how.batch), "--out", how.out]
        done = subprocess.run([*call, "--child", kind], capture_output=True, text=True)
        rows[kind] = json.loads(done.stdout.splitlines()[-1]) if not done.returncode else {"failed": done.stderr.strip()[-300:]}
    (how.out / "streamed.json").write_text(json.dumps({"free_mb": how.free, **rows}, indent=1) + "\n")
    print(f"{how.free} MB free, a set of {count:,} clips\n")
    print("| | set, MB | held in memory | own memory before, MB | at most, MB | clips per second of a core |\n|---|---|---|---|---|---|")
    for kind, r in rows.items():
        cells = r.values() if "failed" not in r else [r["failed"]]
        print(f"| {kind} | {' | '.join(map(str, cells))} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
