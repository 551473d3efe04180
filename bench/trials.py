"""Experiments on real recordings as small, resumable jobs: which settings, which words, which method.

    python bench/trials.py prepare --data utd-mhad --root path/utd_mhad
    python bench/trials.py run softening-screen            (goes on where it stopped; --most 20 stops after so many jobs)
    python bench/trials.py list                            (the studies, their jobs and how many are done)

A job is a dictionary of settings, see studies.py. Its figures stand in OUT/STUDY/<hash of the settings>.json, a few hundred bytes that
are kept in the project, so that nothing is lost with a machine. The pages results/softening and results/naming show them.
"""
import argparse
import os
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from studies import EPOCHS, LMM, OUT, RULES, STUDIES, finished, jobs_of, key_of

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
from c2vl_kit.data.splits import Split
from c2vl_kit.data.store import Store
from c2vl_kit.evaluate.features import extract
from c2vl_kit.evaluate.groups import name_by_groups
from c2vl_kit.evaluate.probes import linear_probe, retrieval
from c2vl_kit.evaluate.zeroshot import generalised, name_by_words, name_clips
from c2vl_kit.methods import c2vl, crosclr, simclr, skeletonclr, supervised
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


def mixed_up(space: ConceptSpace, store: Store, share: float, seed: int) -> ConceptSpace:
    "A share of the clips gets the vectors of a clip of another class; labels are used for the damage alone."
    if not share:
        return space
    rng, label = np.random.default_rng([seed, 7]), dict(zip(store.names, np.asarray(store.labels).tolist(), strict=True))
    y = np.array([label[n] for n in space.names])
    chosen, source = rng.permutation(len(y))[: round(share * len(y))], np.arange(len(y))
    for i in chosen:
        source[i] = rng.choice(np.flatnonzero(y != y[i]))
    return ConceptSpace(space.names, language=space.language[source], info={**space.info, "wrong": share, "wrong_seed": seed})


def configured(job: dict):
    config = METHODS[job.get("method", "c2vl")].small()
    for key, value in job["changes"].items():
        part, _, name = key.rpartition(".")
        config = config.replace(**({part: {name: value}} if part else {name: value}))
    return config.replace(train={"epochs": job.get("epochs", EPOCHS[job["data"]]), "seed": job["seed"], "threads": 1, "device": "cpu",
                                 "save_every": 1000})


def figures(run, store: Store, split: Split) -> dict:
    "Linear probe and 1-NN on every test list."
    view = RunView.of(run)
    name = next(iter(view.table))
    how = how_prepared(view, name)
    parts = {"train": split.train, **split.tests}
    every = tuple(dict.fromkeys(n for names in parts.values() for n in names))
    features = extract(view.encoders[name], ClipSet.load(store, every, how["frames"], how["persons"], how["pipeline"], progress=False),
                       stream=how["stream"])
    label = dict(zip(store.names, np.asarray(store.labels).tolist(), strict=True))
    sides = {k: (features.subset(names), np.array([label[n] for n in names])) for k, names in parts.items()}
    x, y = sides.pop("train")
    found = {"linear": linear_probe(x, y, sides), "1-NN": retrieval(x, y, sides)}
    return {f"{protocol} {test}": round(value, 4) for protocol, scores in found.items()
            for test, accuracies in scores.table.items() for value in [accuracies["last" if protocol == "linear" else "k=1"].accuracy]}


def named_from_words(job: dict, run, store: Store, split: Split, words: ConceptSpace, scaling, tower: TextTower) -> dict:
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
        named = name_clips(run, store, tests, phrases, tower)
        alone = name_by_words(words, tests, [among.index(label[n]) for n in tests], list(phrases.values()), tower, scaling, classes)
        found |= {f"naming {kind}": round(named.top(1), 4), f"naming {kind}, top 5": round(named.top(5), 4),
                  f"naming {kind}, words alone": round(alone.accuracy, 4)}
        if test == "unseen":
            of_all = name_clips(run, store, tests + split.tests["seen"], every, tower)
            found |= {f"naming {kind}, among all, {k}": round(v, 4) for k, v in generalised(of_all, classes).items()}
        else:
            told = words.subset(tuple(n for n in split.train if n not in words.silent))
            for prior in (None, "equal"):
                grouped = name_by_groups(run, store, told, tests, list(phrases.values()), tower, prior)
                found[f"naming {kind}, groups, prior {prior}"] = round(grouped.accuracy, 4)
    return found


def do(job: dict, base: Path, tower: TextTower | None) -> dict:
    began, store = time.process_time(), Store.open(base / job["data"] / "store", verify=False)
    split, folder = split_of(job, store), Path(tempfile.mkdtemp())
    try:
        given = {}
        if job.get("method", "c2vl") == "c2vl":
            whole = space_of(job["words"], base / job["data"])
            clean = whole.subset(tuple(n for n in split.train if n not in whole.silent))
            given["space"] = mixed_up(clean, store, job["wrong"], job["seed"])
        run = pretrain(METHODS[job.get("method", "c2vl")], store, split, folder / "run", configured(job), progress=False, **given)
        trained, found = time.process_time() - began, figures(run, store, split)
        log = {k: round(float(v), 4) for k, v in run.history()[-1].items() if k.startswith(("loss", "scale", "perplexity", "own"))}
        if given and tower is not None and not job["side"].startswith("out-"):  # held-out training clips choose settings: no names there
            found |= named_from_words(job, run, store, split, whole, fit_scaling(clean, "language", configured(job).concept_scaling), tower)
        return {"job": job, "figures": found, "log": log, "train": len(split.train), "split": split.hash, "store": store.checksum[:12],
                "seconds": {"train": round(trained, 1), "all": round(time.process_time() - began, 1)}, "torch": torch.__version__}
    finally:
        shutil.rmtree(folder)


# ---------------------------------------------------------------- the command line

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
    p.add_argument("what", choices=("prepare", "run", "list"))
    p.add_argument("study", nargs="?", choices=tuple(STUDIES))
    p.add_argument("--data", choices=tuple(EPOCHS))
    p.add_argument("--root", help="folder with the raw recordings")
    p.add_argument("--base", type=Path, default=BASE, help="folder for stores and vectors")
    p.add_argument("--most", type=int, default=10**6, help="stop after so many jobs")
    p.add_argument("--part", default="0/1", help="take every n-th job, such as 1/2: two processes share a study with 0/2 and 1/2")
    p.add_argument("--minutes", type=float, default=1e6, help="start no job after so many minutes")
    args = p.parse_args()
    if args.what == "list":
        print("\n".join(f"{s}: {len(finished(s))} of {len(jobs_of(s)) or 'later'} done" for s in STUDIES))
        return 0
    if args.what == "prepare":
        prepare(args.data, args.root, args.base)
        return 0
    if args.study is None:
        raise InputError(f"name a study: {', '.join(STUDIES)}")
    torch.set_num_threads(1)
    os.environ.setdefault("C2VL_QUIET", "1")
    tower, began, done = TextTower.load("auto"), time.time(), 0
    part, parts = (int(x) for x in args.part.split("/"))
    for job in [j for i, j in enumerate(STUDIES[args.study]()) if i % parts == part]:
        path = OUT / args.study / f"{key_of(job)}.json"
        if path.exists() or not (args.base / job["data"] / "store").exists():
            continue
        if done == args.most or time.time() - began > 60 * args.minutes:
            break
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
