"""Every method on every backbone, small: what the tests of a single step share."""

import numpy as np
import torch

from c2vl_kit.concepts.space import ConceptSpace
from c2vl_kit.data.augment import Augment
from c2vl_kit.data.loader import ClipSet
from c2vl_kit.methods import c2vl, crosclr, distil, ikem, mmcl, simclr, skeletonclr, supervised
from c2vl_kit.models.zoo import Backbone
from c2vl_kit.skeleton import NTU25
from c2vl_kit.train.task import Progress, generator_for, seeded

N, T, V = 12, 8, NTU25.V
NAMES = tuple(f"clip{i:02d}" for i in range(N))


class Short(Backbone):
    """Of ten blocks the first, and one that is wider and skips frames: a step of all ten takes too long here."""

    def make(self, layout, in_channels=3):
        net = super().make(layout, in_channels)
        for name in {"blocks", "units"} & set(dict(net.named_children())):
            setattr(net, name, torch.nn.ModuleList(getattr(net, name)[i] for i in (0, 4)))
        return net


BACKBONES = {
    "stgcn": Short("stgcn", width=4, dim=8, dropout=0.0), "ctrgcn": Short("ctrgcn", width=4, dim=8),
    "gru": Short("gru", width=4, layers=1), "transformer": Short("transformer", width=8, dim=8, layers=1, dropout=0.0),
}  # fmt: skip
EVERYTHING = Augment(crop=0.6, crosclr_crop=3, shear=0.2, rotate=30, tilt=5, tilt_z=8, jitter=0.01, scale=0.1, flip=True,
                     motion_scale=0.2, mask=0.2)  # fmt: skip
TURNING = ("joint", "acceleration", "angular-velocity")


class Teacher(torch.nn.Module):
    """What `distil.Teacher` is, with fresh weights instead of a run's."""

    forward = distil.Teacher.forward

    def __init__(self, backbone, views):
        super().__init__()
        self.encoder = torch.nn.ModuleDict({v: backbone.make(NTU25) for v in views})
        self.views, self.dims = tuple(views), dict.fromkeys(views, 8)
        self.heads = torch.nn.ModuleDict({v: torch.nn.Linear(net.dim, 8) for v, net in self.encoder.items()})
        self.layout, self.timeline, self.checksum = NTU25, (True, False), "fresh"
        self.requires_grad_(False).eval()


def clips(persons: int) -> ClipSet:
    """Clips of one or two persons; nobody in one of them, somebody only in the second place in another."""
    x = 0.3 * torch.randn(N, 3, T, V, persons, generator=generator_for(0, "clips"))
    present = torch.ones(N, persons, dtype=torch.bool)
    present[::2, 1:], present[1, :1], present[4] = False, persons == 1, persons == 1
    return ClipSet(x * present[:, None, None, None], present, NAMES, NTU25, T, "centre", frames_raw=torch.arange(20, 20 + N))


def space() -> ConceptSpace:
    draw = np.random.default_rng(3)
    return ConceptSpace(NAMES, *(draw.standard_normal((N, d)).astype(np.float32) for d in (6, 6)))


def settings(backbone: Backbone, persons: int, **more) -> dict:
    return dict(frames=T, persons=persons, backbone=backbone, augment=EVERYTHING, true_timeline=True,
                train={"epochs": 10, "batch_size": N // 2}, **more)  # fmt: skip


def make_c2vl(s, **loss):
    config = c2vl.small(pull=0.1, self_space="centre", loss={"intra": True, "alpha_max": 0.8, "perplexity": 3.0, **loss}).replace(**s)
    return c2vl.C2VL(NTU25, space(), config)


def make_mmcl(s):
    config = mmcl.small(align="vision").replace(**s)
    told = mmcl.Instruction.from_space(space())
    return mmcl.MMCL(NTU25, {n: i % 3 for i, n in enumerate(NAMES)}, 3, told, space(), config)


BANK, STUDENTS = dict(queue=24, projection=8), dict(queue=24, views=("joint", "bone+rotation-axis"))
SWITCHES = dict(teacher="ema", cross="v-l", disentangle_negatives=True, positives="topk", weight="agreement", schedule="self-to-cross",
                self_sim="target")  # fmt: skip
MAKE = {
    "c2vl": make_c2vl,
    "c2vl, all switches": lambda s: make_c2vl(s, **SWITCHES),
    "simclr": lambda s: simclr.SimCLR(NTU25, simclr.small().replace(**s)),
    "skeletonclr": lambda s: skeletonclr.MoCo(NTU25, skeletonclr.small(**BANK).replace(**s)),
    "crosclr": lambda s: crosclr.CrosSCLR(NTU25, crosclr.small(**BANK, cross_epoch=1, views=("joint", "motion")).replace(**s)),
    "ikem": lambda s: ikem.IKEM(NTU25, ikem.small(**BANK, cross_epoch=1, views=TURNING).replace(**s)),
    "distil": lambda s: distil.Distill(NTU25, Teacher(s["backbone"], ("joint", "angular-velocity")), distil.small(**STUDENTS).replace(**s)),
    "supervised": lambda s: supervised.Supervised(NTU25, {n: i % 3 for i, n in enumerate(NAMES)}, 3, supervised.small().replace(**s)),
    "mmcl": make_mmcl,
}  # fmt: skip
NOW = Progress(2, 10, 1, 2)  # the second step of an epoch in which views exchange


def task_of(method: str, backbone: str, persons: int):
    with seeded(0, "init"):
        return MAKE[method](settings(BACKBONES[backbone], persons)).train()
