"""What a training step costs with more or fewer CPU threads, which spin while they wait or sleep: alone, and beside busy processes.

    python bench/threads.py [--busy 2] [--steps 6] [--rounds 3]

A row is one way to wait (`OMP_WAIT_POLICY`) with one number of threads. Each time is the mean of a few steps, the best of several
rounds. A step is forward, backward and AdamW of the small ST-GCN. Fair share is what one thread needs of a processor, times
(busy + 1) / cores: the time it would take if everybody got the same. What ran beside it from the start is said in the first line.
"""
import argparse
import json
import os
import subprocess
import sys
import time


def measure(threads: int, steps: int) -> dict:
    "Milliseconds of wall clock and of processors per step."
    import torch

    torch.set_num_threads(threads)
    NET.step()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        NET.step()
    return {"wall": 1e3 * (time.perf_counter() - wall) / steps, "cpu": 1e3 * (time.process_time() - cpu) / steps}


class Net:
    def __init__(self, batch: int = 16, frames: int = 32):
        import torch

        from c2vl_kit.models.zoo import Backbone
        from c2vl_kit.skeleton import KINECT20

        torch.manual_seed(0)
        self.net, self.x = Backbone("stgcn", width=16).make(KINECT20), torch.randn(batch, 3, frames, KINECT20.V, 1)
        self.optimiser = torch.optim.AdamW(self.net.parameters())

    def step(self) -> None:
        self.optimiser.zero_grad()
        self.net(self.x).square().mean().backward()
        self.optimiser.step()


def work() -> None:
    "A process that measures what it is told on stdin."
    global NET
    NET = Net()
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(**json.loads(line))), flush=True)


def start(policy: str) -> subprocess.Popen:
    env = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY")}
    env |= {"OMP_WAIT_POLICY": policy} if policy != "default" else {}
    one = subprocess.Popen([sys.executable, __file__, "--work"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
    assert one.stdout.readline() == "ready\n"
    return one


def ask(one: subprocess.Popen, **told) -> dict:
    one.stdin.write(json.dumps(told) + "\n")
    one.stdin.flush()
    return json.loads(one.stdout.readline())


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--busy", type=int, default=2, help="processes that compute all the time (default: 2)")
    p.add_argument("--steps", type=int, default=6, help="steps of one measurement (default: 6)")
    p.add_argument("--rounds", type=int, default=3, help="measurements, of which the best counts (default: 3)")
    p.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.work:
        return work()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f} before it began, {args.busy} busy processes in the last columns\n", flush=True)
    counts = sorted({1, max(1, cores // 2), cores})
    team = {policy: start(policy) for policy in ("default", "passive")}
    best: dict = {}
    for busy in (0, args.busy):
        for _ in range(args.rounds):
            loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
            try:
                for policy, one in team.items():
                    for threads in counts:
                        got = ask(one, threads=threads, steps=args.steps)
                        key = policy, threads, bool(busy)
                        print(f"{policy}, {threads} threads, {busy} busy: {got['wall']:,.0f} ms", file=sys.stderr, flush=True)
                        best[key] = min(best.get(key, got), got, key=lambda t: t["wall"])
            finally:
                for loop in loops:
                    loop.kill()
                    loop.wait()
    for one in team.values():
        one.kill()
        one.wait()
    quickest = min(t["wall"] for (_, _, busy), t in best.items() if not busy)
    fair = min(t["cpu"] for (_, threads, _), t in best.items() if threads == 1) * max(1, (args.busy + 1) / cores)
    print("| waiting | threads | ms a step | times the quickest | ms of processors | beside busy ones | times the fair share |")
    print("|---|---|---|---|---|---|---|")
    for policy in team:
        for threads in counts:
            alone, beside = best[policy, threads, False], best[policy, threads, True]
            print(f"| {policy} | {threads} | {alone['wall']:,.0f} | {alone['wall'] / quickest:.2f} | {alone['cpu']:,.0f} | "
                  f"{beside['wall']:,.0f} | {beside['wall'] / fair:.2f} |")


if __name__ == "__main__":
    main()
