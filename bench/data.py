"""How fast reading, storing and augmenting are, as ratios against a stated baseline measured in the same run.

    python bench/data.py [reading|store|augment ...] [--root FOLDER] [--clips 40000]

Each section prints one table. Baselines are written here, in the plainest form of what reference code does.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path


JOINT_KEYS = ("x", "y", "z", "depthX", "depthY", "colorX", "colorY", "orientationW", "orientationX", "orientationY", "orientationZ",
              "trackingState")
BODY_KEYS = ("bodyID", "clipedEdges", "handLeftConfidence", "handLeftState", "handRightConfidence", "handRightState", "isResticted",
             "leanX", "leanY", "trackingState")


def _dictionary_reader(path):
    "The baseline: one dictionary of floats a joint, line by line, then an array (T, M, 25, 3), bodies in the order of each frame."
    import numpy as np

    with open(path) as f:
        frames = []
        for _ in range(int(f.readline())):
            bodies = []
            for _ in range(int(f.readline())):
                body = {k: float(v) for k, v in zip(BODY_KEYS, f.readline().split())}
                body["numJoint"] = int(f.readline())
                body["jointInfo"] = []
                for _ in range(body["numJoint"]):
                    body["jointInfo"].append({k: float(v) for k, v in zip(JOINT_KEYS, f.readline().split())})
                bodies.append(body)
            frames.append(bodies)
    x = np.zeros((len(frames), max(map(len, frames)), 25, 3), np.float32)
    for t, bodies in enumerate(frames):
        for m, body in enumerate(bodies):
            for v, joint in enumerate(body["jointInfo"]):
                x[t, m, v] = [joint["x"], joint["y"], joint["z"]]
    return x


def _sensor_like(folder, count=8, seed=0):
    "Invented NTU files with numbers as long as the sensor's: walks of 25 joints, one or two people, 40 to 120 frames."
    import numpy as np
    from c2vl_kit.readers.ntu import write_ntu
    from c2vl_kit.skeleton import NTU25, Clip

    rng = np.random.default_rng(seed)
    for i in range(count):
        T, M = int(rng.integers(40, 121)), 1 + i % 2
        x = np.cumsum(rng.normal(0, 0.01, (T, M, 25, 3)), 0) + rng.normal(0, 0.4, (M, 25, 3)) + [0, 0, 3]
        path = write_ntu(Clip(f"S001C001P001R001A{i + 1:03}", x.astype(np.float32), NTU25), folder)
        lines = path.read_text().splitlines()
        for n, line in enumerate(lines):
            if line.count(" ") == 11:  # a joint: an orientation too
                lines[n] = " ".join([*line.split()[:7], *(f"{q:.7g}" for q in rng.uniform(-1, 1, 4)), "2"])
        path.write_text("\n".join(lines) + "\n")
    return sorted(folder.iterdir())


def _cpu_ms(readers, files, rounds):
    "Median over the rounds of CPU milliseconds per file; the readers take turns, so that other work on the machine meets all alike."
    import statistics

    times = {name: [] for name in readers}
    for _ in range(rounds):
        for name, (read, repeat) in readers.items():
            start = time.thread_time()
            for path in files * repeat:
                read(path)
            times[name].append(1e3 * (time.thread_time() - start) / len(files) / repeat)
    return {name: statistics.median(t) for name, t in times.items()}


def _change_seconds(cache):
    "CPU seconds that a process spends on the change to compiled code, with numba's cache in the folder `cache`."
    code = "import time; from c2vl_kit.readers.ntu_fast import scanner; s = time.process_time(); scanner.load(); "
    code += "print(time.process_time() - s)"
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    return float(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True).stdout)


def reading(args):
    "Reading `.skeleton` files: the fast reader against a line-by-line dictionary reader."
    import numpy as np
    from c2vl_kit.readers import ntu, ntu_fast

    scan = ntu_fast.scanner.load()

    def slow(path):
        ntu_fast.scanner.code, ntu_fast.scanner.files = None, 0
        ntu.read_ntu(path)
        ntu_fast.scanner.code = scan

    readers = {"dictionaries, line by line": (_dictionary_reader, 1), "read_ntu, the first 200 files (numpy)": (slow, 2)}
    if scan:
        readers["read_ntu, from then on (compiled)"] = (ntu.read_ntu, 8)
    readers["read_ntu_columns, all 12 columns" + (" (compiled)" if scan else "")] = (ntu.read_ntu_columns, 4 if scan else 1)
    with tempfile.TemporaryDirectory() as folder:
        files = sorted(Path(args.root).rglob("*.skeleton"))[:40] if args.root else _sensor_like(Path(folder))
        if not files:
            sys.exit(f"bench: {args.root} holds no .skeleton files")
        for path in files:  # the same float32 values, body by body
            base, wide = _dictionary_reader(path), ntu.read_ntu_columns(path, max_bodies=20)
            slots = [np.flatnonzero(here) for here in wide.present]
            for t, here in enumerate(slots):
                ours = np.nan_to_num(wide.clip.joints[t, here])
                assert sorted(x.tobytes() for x in ours) == sorted(x.tobytes() for x in base[t, : len(here)] + 0), path
            assert ntu.read_ntu(path, max_bodies=20).digest == wide.clip.digest, path
        ms = _cpu_ms(readers, files, rounds=7)
        size = sum(p.stat().st_size for p in files) / len(files) / 1e3
        cold, warm = (_change_seconds(folder) for _ in range(2)) if scan else (0, 0)
    base = ms["dictionaries, line by line"]
    kind = "real" if args.root else "invented"
    print(f"Reading {len(files)} {kind} NTU files of {size:.0f} kB in the mean, one core, equal float32 values\n")
    print("| reader | CPU ms per file | times as fast |\n|---|---|---|")
    for name, value in ms.items():
        print(f"| {name} | {value:.2f} | {base / value:.1f} |")
    gain = 1e-3 * (ms["read_ntu, the first 200 files (numpy)"] - ms.get("read_ntu, from then on (compiled)", 0))
    if scan:
        print(f"\nThe change to compiled code costs {warm:.2f} s a process, {cold:.2f} s the first time on a machine;")
        print(f"{warm / gain:.0f} files pay for it, {cold / gain:.0f} the first time.\n")
    else:
        print("\nno compiled code: numba is absent, or has no folder for its cache\n")


STORE_BUILD = """
import sys, time
from pathlib import Path
from c2vl_kit.readers.ntu import read_ntu
from c2vl_kit.data.build import build_store
from c2vl_kit.data.store import Store
start = time.perf_counter()
store, report = build_store(sys.argv[2], sorted(Path(sys.argv[1]).iterdir()), read_ntu, dataset="ntu60", progress=False)
print(time.perf_counter() - start, store.checksum, len(report.quarantined))
"""


def _ntu_shaped(folder, count, distinct=300, seed=0):
    "`count` NTU names over a few hundred invented files: 30 to 300 frames (80 in the mean), two people in 18 % (as in NTU RGB+D)."
    import numpy as np
    from c2vl_kit.readers.ntu import write_ntu
    from c2vl_kit.skeleton import NTU25, Clip

    rng, files, frames = np.random.default_rng(seed), [], 0
    (folder / "files").mkdir(parents=True)
    (folder / "names").mkdir()
    for i in range(min(distinct, count)):
        T, M = int(np.clip(rng.lognormal(4.28, 0.42), 30, 300)), 1 + int(rng.random() < 0.18)
        x = np.cumsum(rng.normal(0, 0.01, (T, M, 25, 3)), 0) + rng.normal(0, 0.4, (M, 25, 3)) + [0, 0, 3]
        path = write_ntu(Clip(f"S001C001P001R001A{1 + i % 60:03}", x.astype(np.float32), NTU25), folder / "files")
        path.write_text(path.read_text().replace(" 0 0 0 0 2\n", " -0.2059419 0.05349901 0.9692109 -0.1239193 2\n"))  # as long as real ones
        files.append(path.rename(path.with_suffix(f".{i}")))
        frames += T
    for i in range(count):
        a, r, c, p, s = 1 + i % 60, 1 + i // 60 % 2, 1 + i // 120 % 3, 1 + i // 360 % 40, 1 + i // 14_400
        os.link(files[i % len(files)], folder / "names" / f"S{s:03}C{c:03}P{p:03}R{r:03}A{a:03}.skeleton")
    return folder / "names", frames / len(files), sum(f.stat().st_size for f in files) / len(files)


def _memory(pid):
    "Resident bytes of a process and of all that descend from it, shared pages counted in each."
    total = 0
    try:
        with open(f"/proc/{pid}/status") as f:
            total += next((int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS")), 0)
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += sum(_memory(child) for child in (task / "children").read_text().split())
    except OSError:  # it has just ended
        pass
    return total


def _build_apart(raw, out, kill_at=None):
    "Build in a process of its own: (seconds, peak bytes, its output); killed with SIGKILL when `kill_at` files are done."
    start, peak = time.perf_counter(), 0
    job = subprocess.Popen([sys.executable, "-c", STORE_BUILD, str(raw), str(out)], stdout=subprocess.PIPE, text=True)
    journal = out.with_name(out.name + ".partial") / "journal"
    while job.poll() is None:
        peak = max(peak, _memory(job.pid))
        if kill_at is not None and journal.exists():
            lines = [line for line in journal.read_bytes().splitlines(keepends=True)[1:] if line.endswith(b"\n")]
            if lines and json.loads(lines[-1])["done"] >= kill_at:
                job.kill()
        time.sleep(0.1)
    return time.perf_counter() - start, peak, job.communicate()[0].split()


def _access(path, cold, touch, count=2000):
    "Median and 99th percentile of seconds for a random clip, with its numbers read or not; cold: the file's pages dropped first."
    from c2vl_kit.data.store import Store

    if cold:
        for file in path.glob("*.npy"):
            with open(file, "rb") as f:
                os.fsync(f.fileno())
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    opened, took = Store.open(path, verify=False), []
    for name in random.Random(0).sample(opened.names, min(count, len(opened))):
        start = time.perf_counter()
        clip = opened[name]
        if touch:
            clip.joints.sum()
        took.append(time.perf_counter() - start)
    return sorted(took)[len(took) // 2], sorted(took)[len(took) * 99 // 100]


def store(args):
    "A store of many NTU-shaped clips: time, peak memory, size, random access, kill -9."
    from c2vl_kit.data.store import Store

    with tempfile.TemporaryDirectory(prefix="c2vl-bench-") as work:
        raw, frames, size = _ntu_shaped(Path(work) / "raw", args.clips)
        whole, killed = Path(work) / "whole", Path(work) / "killed"
        seconds, peak, (built, checksum, bad) = _build_apart(raw, whole)
        before, peak_killed, _ = _build_apart(raw, killed, kill_at=args.clips // 2)
        assert not killed.exists(), "the build was over before it could be killed: take more --clips"
        after, peak_after, (_, again, _) = _build_apart(raw, killed)
        start = time.perf_counter()
        opened = Store.open(whole, verify=False)
        plain = time.perf_counter() - start
        start = time.perf_counter()
        Store.open(whole)
        checked = time.perf_counter() - start
        folder = sum(f.stat().st_size for f in whole.iterdir())
        padded = len(opened) * 3 * 300 * 25 * 2 * 4
        access = {k: _access(whole, *k) for k in ((True, False), (False, False), (True, True), (False, True))}
    rows = [
        ("clips; frames in the mean; kB of text each", f"{len(opened):,}; {frames:.0f}; {size / 1e3:.0f}", ""),
        (f"build, {len(os.sched_getaffinity(0))} cores", f"{float(built):.1f} s, {len(opened) / float(built):,.0f} clips/s", ""),
        ("peak memory of all processes together", f"{max(peak, peak_killed, peak_after) / 1e6:,.0f} MB", "< 1,000 MB"),
        ("killed (SIGKILL) half-way, continued", f"{before:.1f} s + {after:.1f} s, against {seconds:.1f} s unbroken", ""),
        ("checksum after the kill", "the same" if again == checksum and bad == "0" else "DIFFERENT", "the same"),
        ("open; open and verify every byte", f"{plain:.2f} s; {checked:.2f} s", "< 1 s"),
    ]
    for (cold, touch), (median, late) in access.items():
        what = f"random clip, {'its numbers read too, ' if touch else ''}{'cold' if cold else 'warm'}"
        rows.append((what, f"{median * 1e6:.0f} µs (99 %: {late * 1e6:.0f})", "" if touch else "< 50 µs"))
    rows.append(("size", f"{folder / 1e6:,.0f} MB, {folder / padded:.0%} of the padded array ({padded / 1e6:,.0f} MB)", "≤ 50 %"))
    print("| store | measured | asked for |\n|---|---|---|")
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))


def _feeder_crop_and_shear(clip, start, matrix, gamma=6):
    "One clip (3, T, V, M) as a reference feeder augments it: mirrored ends, T frames from `start`, then every position times a matrix."
    import numpy as np

    T = clip.shape[1]
    ends = T // gamma
    padded = np.concatenate([clip[:, :ends][:, ::-1], clip, clip[:, T - ends :][:, ::-1]], axis=1)
    return np.dot(padded[:, start : start + T].transpose(1, 2, 3, 0), matrix).transpose(3, 0, 1, 2)


def augment(args):
    "Batched augmentation against the per-sample numpy crop and shear of reference feeders."
    import statistics
    import time

    import numpy as np
    import torch

    from c2vl_kit.data.augment import CROSCLR, crosclr_crop, shear

    torch.set_num_threads(1)
    N, T = 128, 50
    x = torch.randn(N, 3, T, 25, 2, generator=torch.Generator().manual_seed(0))
    stored, rng = x.numpy(), np.random.default_rng(0)

    def feeder():
        "Numbers drawn clip by clip, as the feeders do; a list of clips, not yet a batch."
        out = []
        for clip in stored:
            matrix = rng.uniform(-0.5, 0.5, (3, 3))
            np.fill_diagonal(matrix, 1)
            out.append(_feeder_crop_and_shear(np.array(clip), rng.integers(0, 17), matrix))
        return out

    def collated():
        "The same with what a DataLoader and the training loop add: one batch, float32."
        return torch.stack([torch.from_numpy(np.ascontiguousarray(c)) for c in feeder()]).float()

    generator = torch.Generator().manual_seed(1)
    ways = {"reference feeder, clip by clip": feeder, "the same, collated to a float32 batch": collated,
            "c2vl_kit, one batch": lambda: CROSCLR(x, generator), "  its crop": lambda: crosclr_crop(x, 6, generator),
            "  its shear": lambda: shear(x, 0.5, generator), "(copying the batch once)": x.clone}
    took = {name: [] for name in ways}
    for _ in range(5):  # the ways take turns, so that a busy machine disturbs them alike; each runs some batches in a row, as training does
        for name, way in ways.items():
            for call in range(10):
                start = time.process_time()
                way()
                if call > 1:
                    took[name].append(1e3 * (time.process_time() - start))
    best, usual = ({name: f(t) for name, t in took.items()} for f in (min, statistics.median))

    # the same random numbers through both
    drawn = torch.Generator().manual_seed(2)
    starts = torch.randint(0, 17, (N, 1), generator=drawn)
    off = (torch.rand(N, 3, 3, generator=drawn) - 0.5).double().numpy()
    eye = np.eye(3)
    slow = np.stack([_feeder_crop_and_shear(c, int(s), eye + o * (1 - eye)) for c, s, o in zip(stored, starts, off)])
    difference = np.abs(CROSCLR(x, torch.Generator().manual_seed(2)).numpy() - slow).max()

    first = "reference feeder, clip by clip"
    print(f"crop (γ = 6) and shear (β = 0.5) of {N} clips of (3, {T}, 25, 2), one core, 40 batches, processor time;")
    print("read both columns: best is the machine undisturbed, the median is what a shared machine gave\n")
    print(f"{'':40}{'best ms':>9}{'ratio':>8}{'median ms':>12}{'ratio':>8}")
    for name in ways:
        print(f"{name:40}{best[name]:9.2f}{best[first] / best[name]:7.1f}×{usual[name]:12.2f}{usual[first] / usual[name]:7.1f}×")
    print(f"\nlargest difference of the results from the same random numbers: {difference:.1e} (at most 1e-5)")
    assert difference < 1e-5


SECTIONS = {"reading": reading, "store": store, "augment": augment}

if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="none: all")
    p.add_argument("--root", help="folder with NTU .skeleton files; none: invented ones")
    p.add_argument("--clips", type=int, default=40_000, help="clips in the store")
    args = p.parse_args()
    for section in args.sections or SECTIONS:
        SECTIONS[section](args)
