"""Experiments on real recordings as small, resumable jobs: which settings, which words, which method.

    python bench/trials.py prepare --data utd-mhad --root path/utd_mhad
    python bench/trials.py run softening-screen            (goes on where it stopped; --most 20 stops after so many jobs; start it in
                                                            as many processes as you have cores: each takes a job that nobody has)
    python bench/trials.py list                            (the studies, their jobs and how many are done)
    python bench/trials.py cost                            (measured operations of each method's training, for results/cost.json)

A job is a dictionary of settings, see studies.py. Its figures stand in OUT/STUDY/<hash of the settings>.json, a few hundred bytes that
are kept in the project, so that nothing is lost with a machine. The pages results/softening and results/naming show them.
"""
import argparse
import fcntl
import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from studies import EPOCHS, LMM, OUT, RULES, STUDIES, TRIALS, finished, jobs_of, key_of
from torch.utils.flop_counter import FlopCounterMode

from c2vl_kit.app.family import open_data
from c2vl_kit.concepts.kinematic import caption
from c2vl_kit.concepts.scaling import fit_scaling
from c2vl_kit.concepts.space import ConceptSpace, embed
from c2vl_kit.concepts.towers import TextTower
from c2vl_kit.concepts.wordsets import QUESTIONS, read_words
from c2vl_kit.core import InputError, write_json_atomic
from c2vl_kit.data.catalog import get_dataset, get_split
from c2vl_kit.data.loader import ClipSet
from c2vl_kit.data.guards import zero_shot_split
from c2vl_kit.data.lists import ClassSplit
from c2vl_kit.data.mapping import map_joints
from c2vl_kit.data.splits import Split
from c2vl_kit.data.store import Store
from c2vl_kit.evaluate.features import extract, raw_features
from c2vl_kit.evaluate.groups import name_by_groups
from c2vl_kit.evaluate.probes import linear_probe, retrieval
from c2vl_kit.evaluate.zeroshot import generalised, name_by_words, name_clips
from c2vl_kit.methods import c2vl, crosclr, simclr, skeletonclr, supervised
from c2vl_kit.models.stgcn import calibrate
from c2vl_kit.train.task import seeded
from c2vl_kit.train.pretrain import pretrain
from c2vl_kit.train.runview import RunView, how_prepared

METHODS = {"c2vl": c2vl, "simclr": simclr, "skeletonclr": skeletonclr, "crosclr": crosclr, "supervised": supervised}
GROUPED_BY = {"nw-ucla": "camera", "utd-mhad": "subject"}
UNSEEN = {"nw-ucla": 2, "utd-mhad": 5}  # classes left out in a draw
BASE = Path("runs/trials")


# ---------------------------------------------------------------- one job

def split_of(job: dict, store: Store) -> Split:
    split, (side, _, number) = get_split(store), job["side"].partition("-")
    if side == "test":
        return split
    if side == "unseen":
        count = len(store.label_names)
        drawn = np.random.default_rng([int(number), 5]).choice(count, UNSEEN[job["data"]], replace=False)
        classes = ClassSplit(f"draw-{number}", (store.dataset,), count, tuple(sorted(drawn.tolist())), "drawn at random")
        return zero_shot_split(store, classes, split).split
    groups = store.column(GROUPED_BY[job["data"]])[store.rows(split.train)]
    held = groups == np.unique(groups)[int(number)]
    train, rest = (tuple(n for n, out in zip(split.train, held, strict=True) if out == side) for side in (False, True))
    return Split(split.dataset, f"{split.name}-{job['side']}", train, {"validation": rest})


def space_of(words: str, base: Path) -> ConceptSpace:
    return ConceptSpace.load(base / "words" / words.replace(":", "-").replace(",", "+") / "space")


def spoilt(space: ConceptSpace, store: Store, share: float | str, seed: int) -> ConceptSpace:
    "A share of the clips gets the vectors of a clip of another class (labels are used for that alone); or all get noise."
    if not share:
        return space
    if share == "noise":
        x = np.random.default_rng([seed, 11]).standard_normal(space.language.shape).astype(np.float32)
        language = x / np.linalg.norm(x, axis=1, keepdims=True)
    else:
        rng, label = np.random.default_rng([seed, 7]), dict(zip(store.names, np.asarray(store.labels).tolist(), strict=True))
        y = np.array([label[n] for n in space.names])
        chosen, source = rng.permutation(len(y))[: round(share * len(y))], np.arange(len(y))
        for i in chosen:
            source[i] = rng.choice(np.flatnonzero(y != y[i]))
        language = space.language[source]
    return ConceptSpace(space.names, language=language, info={**space.info, "wrong": share, "wrong_seed": seed})


def configured(job: dict):
    config = METHODS[job.get("method", "c2vl")].small()
    for key, value in job["changes"].items():
        part, _, name = key.rpartition(".")
        config = config.replace(**({part: {name: value}} if part else {name: value}))
    return config.replace(train={"epochs": job.get("epochs", EPOCHS[job["data"]]), "seed": job["seed"], "threads": 1, "device": "cpu",
                                 "save_every": 1000})


def clips_of(store: Store, names: tuple[str, ...], how: dict) -> ClipSet:
    return ClipSet.load(store, names, how["frames"], how["persons"], how["pipeline"], progress=False)


def features_of(run, store: Store, names: tuple[str, ...]):
    "Those of a run's first encoder."
    view = RunView.of(run)
    name = next(iter(view.table))
    how = how_prepared(view, name)
    return extract(view.encoders[name], clips_of(store, names, how), stream=how["stream"])


def untaught(job: dict, store: Store, names: tuple[str, ...], train: tuple[str, ...]):
    "Features that nothing was learnt for: the joints themselves, or an encoder with fresh weights and calibrated batch norms."
    config = c2vl.small()
    how = {k: getattr(config, k) for k in ("frames", "persons", "pipeline")}
    if job["method"] == "raw":
        return raw_features(clips_of(store, names, how))
    with seeded(job["seed"], "init"):
        net = config.backbone.make(store.layout)
    seen = clips_of(store, train, how)
    return extract(calibrate(net, seen.x, seen.present), clips_of(store, names, how))


def everyone(split: Split) -> tuple[str, ...]:
    return tuple(dict.fromkeys(n for names in (split.train, *split.tests.values()) for n in names))


def figures(features, store: Store, split: Split) -> dict:
    "Linear probe and 1-NN on every test list."
    parts = {"train": split.train, **split.tests}
    label = dict(zip(store.names, np.asarray(store.labels).tolist(), strict=True))
    sides = {k: (features.subset(names), np.array([label[n] for n in names])) for k, names in parts.items()}
    x, y = sides.pop("train")
    found = {"linear": linear_probe(x, y, sides), "1-NN": retrieval(x, y, sides)}
    return {f"{protocol} {test}": round(value, 4) for protocol, scores in found.items()
            for test, accuracies in scores.table.items() for value in [accuracies["last" if protocol == "linear" else "k=1"].accuracy]}


def named_from_words(job: dict, run, store: Store, split: Split, words: ConceptSpace, scaling, tower: TextTower, modality: str) -> dict:
    "Label-free naming of the first test list; unseen classes among themselves, and among all."
    test, found = next(iter(split.tests)), {}
    label = dict(zip(store.names, np.asarray(store.labels).tolist(), strict=True))
    tests = split.tests[test]
    among = sorted({label[n] for n in tests}) if test == "unseen" else list(range(len(store.label_names)))
    classes = [store.label_names[i] for i in among]
    d = get_dataset(job["data"])
    terms = replace(d, plain=())
    for kind, every in (("name", terms.phrases("{}")), ("trying", terms.phrases()), ("plain", d.phrases())):
        phrases = {i: every[i] for i in among}
        named = name_clips(run, store, tests, phrases, tower, modality)
        alone = name_by_words(words, tests, [among.index(label[n]) for n in tests], list(phrases.values()), tower, scaling, classes)
        found |= {f"naming {kind}": round(named.top(1), 4), f"naming {kind}, top 5": round(named.top(5), 4),
                  f"naming {kind}, words alone": round(alone.accuracy, 4)}
        if test == "unseen":
            of_all = name_clips(run, store, tests + split.tests["seen"], every, tower, modality)
            found |= {f"naming {kind}, among all, {k}": round(v, 4) for k, v in generalised(of_all, classes).items()}
        else:
            told = words.subset(tuple(n for n in split.train if n not in words.silent))
            for prior in (None, "equal"):
                grouped = name_by_groups(run, store, told, tests, list(phrases.values()), tower, prior, modality)
                found[f"naming {kind}, groups, prior {prior}"] = round(grouped.accuracy, 4)
    return found


def named_elsewhere(job: dict, run, base: Path, tower: TextTower, modality: str) -> dict:
    "Naming of the other data set's test clips, joints found by name, from phrases alone."
    other = next(d for d in EPOCHS if d != job["data"])
    if job["side"] != "test" or not (base / other / "store").exists():
        return {}
    store = Store.open(base / other / "store", verify=False)
    tests = get_split(store).tests["official"]
    named = name_clips(run, map_joints(store, RunView.of(run).layout), tests, get_dataset(other).phrases(), tower, modality)
    return {f"naming {other}": round(named.top(1), 4), f"naming {other}, top 5": round(named.top(5), 4)}


def do(job: dict, base: Path, tower: TextTower | None) -> dict:
    began, store = time.process_time(), Store.open(base / job["data"] / "store", verify=False)
    split, folder = split_of(job, store), Path(tempfile.mkdtemp())
    try:
        given, method = {}, job.get("method", "c2vl")
        if method in ("raw", "untrained"):
            run, history, features = None, [], untaught(job, store, everyone(split), split.train)
        else:
            if method == "c2vl":
                spaces = {source: space_of(source, base / job["data"]) for source in job["words"].split("+")}
                silent = {n for s in spaces.values() for n in s.silent}
                clean = {k: s.subset(tuple(n for n in split.train if n not in silent)) for k, s in spaces.items()}
                source, whole = next(iter(spaces.items()))
                given["space"] = spoilt(clean[source], store, job["wrong"], job["seed"]) if len(spaces) == 1 else clean
            run = pretrain(METHODS[method], store, split, folder / "run", configured(job), progress=False, **given)
            history, features = run.history(), features_of(run, store, everyone(split))
        trained, found = time.process_time() - began, figures(features, store, split)
        log = {k: round(float(v), 4) for r in history[-1:] for k, v in r.items() if k.startswith(("loss", "scale", "perplexity", "own"))}
        if given and tower is not None and not job["side"].startswith("out-"):  # held-out training clips choose settings: no names there
            scaling = fit_scaling(clean[source], "language", configured(job).concept_scaling)
            modality = "language" if len(spaces) == 1 else source
            found |= named_from_words(job, run, store, split, whole, scaling, tower, modality)
            found |= named_elsewhere(job, run, base, tower, modality)
        return {"job": job, "figures": found, "log": log, "train": len(split.train), "split": split.hash, "store": store.checksum[:12],
                "seconds": {"train": round(trained, 1), "all": round(time.process_time() - began, 1)}, "torch": torch.__version__}
    finally:
        shutil.rmtree(folder)


def cost(base: Path) -> dict:
    "Measured floating-point operations of one more epoch, forward and backward, for each clip, in 10^9, by method."
    found, data = {}, "utd-mhad"
    store = Store.open(base / data / "store", verify=False)
    split = replace(get_split(store), train=get_split(store).train[:128])
    for method, forms in TRIALS.items():
        given, counts = {"space": space_of(LMM, base / data).subset(split.train)} if method == "c2vl" else {}, []
        for epochs in (1, 2):
            folder, job = Path(tempfile.mkdtemp()), {"data": data, "method": method, "changes": next(iter(forms.values())), "seed": 0}
            try:
                with FlopCounterMode(display=False) as counter:
                    run = folder / "run"
                    pretrain(METHODS[method], store, split, run, configured({**job, "epochs": epochs}), progress=False, **given)
            finally:
                shutil.rmtree(folder)
            counts.append(counter.get_total_flops())
        found[method] = round((counts[1] - counts[0]) / len(split.train) / 1e9, 3)
    return found


# ---------------------------------------------------------------- the command line

@contextmanager
def claimed(path: Path, base: Path):
    "Is this job ours to do? No where it is done, or another process is at it; a killed one's claim ends with it."
    (base / "claims").mkdir(parents=True, exist_ok=True)
    with open(base / "claims" / f"{path.parent.name}-{path.stem}", "w") as claim:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield not path.exists()


def prepare(data: str, root: str | None, base: Path) -> None:
    "The store and a concept space for each kind of words; all clips get vectors, jobs take those of their training clips."
    store, tower = open_data(data, root, base / data), TextTower.load("auto")
    kinds = {LMM: tuple(QUESTIONS), **{f"{LMM}:{q}": (q,) for q in QUESTIONS}, f"{LMM}:arms,purpose": ("arms", "purpose")}
    for words, questions in kinds.items():
        folder = base / data / "words" / words.replace(":", "-").replace(",", "+")
        if not (folder / "space").exists():
            embed(store, folder, read_words(data, questions), tower)
    folder = base / data / "words" / RULES
    if not (folder / "space").exists():
        embed(store, folder, caption(store, folder / "prompts.jsonl"), tower)


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=("prepare", "run", "list", "cost"))
    p.add_argument("study", nargs="?", choices=tuple(STUDIES))
    p.add_argument("--data", choices=tuple(EPOCHS))
    p.add_argument("--root", help="folder with the raw recordings")
    p.add_argument("--base", type=Path, default=BASE, help="folder for stores and vectors")
    p.add_argument("--most", type=int, default=10**6, help="stop after so many jobs")
    p.add_argument("--minutes", type=float, default=1e6, help="start no job after so many minutes")
    args = p.parse_args()
    if args.what == "list":
        print("\n".join(f"{s}: {len(finished(s))} of {len(jobs_of(s)) or 'later'} done" for s in STUDIES))
        return 0
    if args.what == "cost":
        write_json_atomic(OUT.parent / "cost.json", found := cost(args.base))
        print(found)
        return 0
    if args.what == "prepare":
        prepare(args.data, args.root, args.base)
        return 0
    if args.study is None:
        raise InputError(f"name a study: {', '.join(STUDIES)}")
    torch.set_num_threads(1)
    os.environ.setdefault("C2VL_QUIET", "1")
    tower, began, done = TextTower.load("auto"), time.time(), 0
    for job in STUDIES[args.study]():
        path = OUT / args.study / f"{key_of(job)}.json"
        if not (args.base / job["data"] / "store").exists():
            continue
        if done == args.most or time.time() - began > 60 * args.minutes:
            break
        with claimed(path, args.base) as mine:
            if not mine:
                continue
            found, done = do(job, args.base, tower), done + 1
            write_json_atomic(path, found)
        print(job["form"], job.get("words", job.get("method")), job["side"], found["figures"], found["seconds"], flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as why:
        print(f"trials: {why}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("trials: stopped; the same command goes on after the jobs that are done.", file=sys.stderr)
        sys.exit(130)
