"""One step of three-view CrosSCLR in stage two against plain implementations of the same formulas; clips with one person in two slots.

    python bench/methods.py [--frames 50] [--batch 32] [--queue 32768] [--repeats 4]

A step is two augmentations, three streams each, queries, keys, loss, backward, SGD, moving averages and the memory banks. The plain
implementation is written from the formulas: view by view, person by person (empty slots are encoded and then left out of the mean), the
graph convolution as a 1x1 convolution to three subsets and a sum over them, and every direction of the exchange computed on its own. The
row between has this kit's ST-GCN, called person by person. Equal weights, equal random numbers: losses must agree to 1e-5, before and
after an optimiser step. A second table has the exchange alone: all directions together against one call for each.
Process time on one core, best of the repeats, taken in turn.
"""
import argparse
import copy
import time

import torch
from torch.nn import functional as F

from c2vl_kit.data.loader import Batch
from c2vl_kit.data.streams import stream
from c2vl_kit.losses.exchange import VARIANTS, cross_view_loss, exchange_loss
from c2vl_kit.methods.crosclr import CrosSCLR, CrosSCLRConfig
from c2vl_kit.models.zoo import Backbone
from c2vl_kit.skeleton import NTU25
from c2vl_kit.train.task import Progress, generator_for, seeded

STAGE_TWO = Progress(5, 10)


def one_person_clips(batch: int, frames: int) -> Batch:
    "Random walks of one person; the second slot is empty."
    x = torch.zeros(batch, 3, frames, NTU25.V, 2)
    x[..., 0] = torch.randn(batch, 3, 1, NTU25.V) + 0.05 * torch.randn(batch, 3, frames, NTU25.V).cumsum(2)
    return Batch(x, torch.tensor([[True, False]] * batch), tuple(f"clip{i}" for i in range(batch)), torch.arange(batch))


def plain_stgcn(net, body):
    "ST-GCN as one reads it: body (N, 3, T, V) of one person -> (N, D)."
    n, c, t, v = body.shape
    x = net.norm(body.permute(0, 3, 1, 2).reshape(n, v * c, t)).view(n, v, c, t).permute(0, 2, 3, 1)
    for block in net.blocks:
        a = block.graph.adjacency * block.graph.importance
        y = block.graph.conv(x)
        y = torch.einsum("nkctv,kvw->nctw", y.view(n, len(a), -1, *y.shape[2:]), a)
        y = block.norm2(block.time(F.relu(block.norm1(y))))
        x = F.relu(y if block.residual is None else y + block.residual(x))
    return x.mean((2, 3))


def kit_stgcn(net, body):
    "This kit's ST-GCN for one person."
    return net(body[..., None])


def per_person(encode, net, x, present):
    "Every slot encoded by itself; the mean is over those who are there."
    features = torch.stack([encode(net, x[..., m]) for m in range(x.shape[-1])], 1)
    there = present.to(features.dtype)[..., None]
    return (features * there).sum(1) / there.sum(1)


def direction(z_u, key_u, queue_u, z_v, queue_v, tau):
    "The paper's form, k = 1, with context: what view u learns from view v."
    z_u, key_u, queue_u, z_v, queue_v = (F.normalize(x, dim=1) for x in (z_u, key_u, queue_u, z_v, queue_v))
    own, s_u, s_v = (z_u * key_u).sum(1) / tau, z_u @ queue_u.T, z_v @ queue_v.T
    both = s_u * s_v / tau
    found = both.gather(1, s_v.topk(1, 1).indices)
    up = torch.logsumexp(torch.cat([own[:, None], found], 1), 1)
    return (torch.logsumexp(torch.cat([own[:, None], both], 1), 1) - up).mean()


class Plain:
    "The step written out; weights and banks are taken from a task of the kit."

    def __init__(self, task, encode):
        self.task, self.encode, c = task, encode, task.config
        self.queues, self.pointer = {v: task.bank[v].clone() for v in task.views}, 0
        self.tau, self.momentum = c.tau, c.momentum

    def loss(self, batch, progress, generator):
        t = self.task
        query, key = (t.config.augment(batch.x, generator, t.layout) for _ in range(2))
        z, self.keys = {}, {}
        for v in t.views:
            with torch.no_grad():
                for new, old in ((t.encoder[v], t.key_encoder[v]), (t.heads[v], t.key_heads[v])):
                    for p, q in zip(old.parameters(), new.parameters(), strict=True):
                        p.mul_(self.momentum).add_(q, alpha=1 - self.momentum)
                self.keys[v] = t.key_heads[v](per_person(self.encode, t.key_encoder[v], stream(key, t.layout, v), batch.present))
            z[v] = t.heads[v](per_person(self.encode, t.encoder[v], stream(query, t.layout, v), batch.present))
        givers = {u: [v for v in t.views if v != u] for u in t.views}
        q = self.queues
        return sum(sum(direction(z[u], self.keys[u], q[u], z[v], q[v], self.tau) for v in givers[u]) / len(givers[u]) for u in t.views), {}

    def after_step(self, progress):
        for v, keys in self.keys.items():
            for i, row in enumerate(F.normalize(keys, dim=1)):
                self.queues[v][(self.pointer + i) % len(self.queues[v])] = row
        self.pointer += len(keys)


def step(method, task, optimiser, batch, seed) -> float:
    "One step; its loss."
    loss, _ = method.loss(batch, STAGE_TWO, generator_for(seed, "augment"))
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    method.after_step(STAGE_TWO)
    return loss.item()


def together(z, keys, bank, variant):
    "All directions in one call."
    return exchange_loss(z, keys, bank, variant=variant)[0]


def one_by_one(z, keys, bank, variant):
    "A call for each direction; the mean over those who give, the sum over those who receive."
    pairs = [(u, v) for u in z for v in z if u != v]
    return sum(cross_view_loss(z[u], keys[u], bank[u], z[v], bank[v], variant=variant) for u, v in pairs) / (len(z) - 1)


def exchange_table(batch: int, queue: int, repeats: int) -> None:
    "Forward and backward of the exchange alone."
    print("\n| exchange | together, ms | one by one, ms | ratio | apart |\n|---|---|---|---|---|")
    for views in (2, 3, 6):
        z, keys, bank = ({f"view{i}": torch.randn(n, 128) for i in range(views)} for n in (batch, batch, queue))
        z = {v: t.requires_grad_() for v, t in z.items()}
        for variant in VARIANTS:
            best, found = [float("inf")] * 2, [0.0] * 2
            for _ in range(repeats):
                for i, way in enumerate((together, one_by_one)):
                    start = time.process_time()
                    loss = way(z, keys, bank, variant)
                    loss.backward()
                    best[i], found[i] = min(best[i], time.process_time() - start), loss.item()
            cells = f"{1e3 * best[0]:.0f} | {1e3 * best[1]:.0f} | {best[1] / best[0]:.2f} | {abs(found[0] - found[1]):.1e}"
            print(f"| {views} views, {variant} | {cells} |")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("frames", 50), ("batch", 32), ("queue", 32768), ("repeats", 4)):
        p.add_argument(f"--{name}", type=int, default=default)
    args = p.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    batch = one_person_clips(args.batch, args.frames)
    backbone = Backbone(width=16, dim=256, dropout=0.0)
    config = CrosSCLRConfig(frames=args.frames, persons=2, backbone=backbone, queue=args.queue, variant="paper")
    with seeded(0, "init"):
        first = CrosSCLR(NTU25, config)
    tasks = [copy.deepcopy(first) for _ in range(3)]
    methods = {"this kit": tasks[0], "plain, this kit's ST-GCN": Plain(tasks[1], kit_stgcn), "plain": Plain(tasks[2], plain_stgcn)}
    optimisers = [torch.optim.SGD([*t.encoder.parameters(), *t.heads.parameters()], 0.01) for t in tasks]
    best, losses = dict.fromkeys(methods, float("inf")), {name: [] for name in methods}
    for seed in range(args.repeats):
        for (name, method), task, optimiser in zip(methods.items(), tasks, optimisers, strict=True):
            start = time.process_time()
            losses[name].append(step(method, task, optimiser, batch, seed))
            best[name] = min(best[name], time.process_time() - start)
    print("| step | seconds | times this kit's | loss of the first two steps |\n|---|---|---|---|")
    for name, seconds in best.items():
        print(f"| {name} | {seconds:.2f} | {seconds / best['this kit']:.2f} | {losses[name][0]:.6f}, {losses[name][1]:.6f} |")
    apart = max(abs(losses[name][i] - losses["this kit"][i]) for name in methods for i in (0, 1))
    ratio = best["plain"] / best["this kit"]
    print(f"\nratio {ratio:.2f}, losses apart by {apart:.1e}")
    exchange_table(args.batch, args.queue, args.repeats)
    if apart > 1e-5 * max(1.0, losses["this kit"][0]) or ratio < 2:
        raise SystemExit("the step must be at least twice as fast as the plain one, at a loss equal to 1e-5")


if __name__ == "__main__":
    main()
