"""What `trials.py` runs: every study is a list of jobs, and the later rounds of a study take the best of the round before.

A job is a dictionary of settings. `side="out-2"` trains without the third group of the training list (its subjects or cameras, in
order) and is tested on that group; `side="test"` trains on the whole list and looks at the test lists.
"""
import hashlib
import json
import statistics
from pathlib import Path

from c2vl_kit.core import InputError

OUT = Path("nbs/results/jobs")
EPOCHS = {"nw-ucla": 40, "utd-mhad": 60}
GROUPS = {"nw-ucla": 2, "utd-mhad": 4}  # cameras, subjects of the training list
RULES, LMM = "rules", "lmm"


def key_of(job: dict) -> str:
    return hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()[:12]


def jobs_of(study: str) -> list[dict]:
    "All jobs of a study; none yet where it waits for the round before."
    try:
        return list(STUDIES[study]())
    except InputError:
        return []


def finished(study: str) -> list[dict]:
    return [json.loads(p.read_text()) for j in jobs_of(study) if (p := OUT / study / f"{key_of(j)}.json").exists()]


def best(study: str, most: int, keep: tuple[str, ...] = (), **where) -> list[str]:
    "The forms with the highest linear probe on held-out clips, mean over all jobs of the study; `keep` come first."
    jobs = [j for j in STUDIES[study]() if all(j.get(k) == v for k, v in where.items())]
    missing = sum(not (OUT / study / f"{key_of(j)}.json").exists() for j in jobs)
    if missing:
        raise InputError(f"{missing} of {len(jobs)} jobs of {study} are not done: run that first")
    scores: dict[str, list[float]] = {}
    for j in jobs:
        found = json.loads((OUT / study / f"{key_of(j)}.json").read_text())["figures"]
        scores.setdefault(j["form"], []).append(found["linear validation"])
    ranked = sorted(scores, key=lambda f: -statistics.mean(scores[f]))
    return [*keep, *[f for f in ranked if f not in keep][:most]]


# ---------------------------------------------------------------- when does softening pay?

def soft(**loss) -> dict:
    "Settings of the soft target as flat changes; the share grows along a line."
    return {f"loss.{k}": v for k, v in loss.items()}


FORMS = {
    "hard": soft(alpha_max=0.0),
    "inter .3": soft(intra=False, alpha_max=0.3),
    "inter .6": soft(intra=False, alpha_max=0.6),
    "inter .9": soft(intra=False, alpha_max=0.9),
    "intra 6": soft(intra=True, inter=False, alpha_max=0.5, perplexity=6.0),
    "both 6": soft(intra=True, alpha_max=0.6, perplexity=6.0),
    "ema .9": soft(intra=False, alpha_max=0.9, teacher="ema"),
    "confidence, inter .6": soft(intra=False, alpha_max=0.6, weight="confidence"),
    "topk": soft(alpha_max=0.0, positives="topk"),
    "cycle .6": soft(intra=False, cross="cycle", alpha_max=0.6),
    "self-to-cross 6": soft(intra=True, alpha_max=0.6, perplexity=6.0, schedule="self-to-cross"),
    "intra 12": soft(intra=True, inter=False, alpha_max=0.5, perplexity=12.0),
    "intra 3": soft(intra=True, inter=False, alpha_max=0.5, perplexity=3.0),
    "confidence": soft(alpha_max=0.0, weight="confidence"),
    "ema .6": soft(intra=False, alpha_max=0.6, teacher="ema"),
}


def softening(data: str, form: str, wrong: float, seed: int, side: str, words: str = LMM) -> dict:
    return {"data": data, "words": words, "form": form, "changes": FORMS[form], "wrong": wrong, "seed": seed, "side": side}


def softening_screen():
    "Round one: every form once, 40 % of the pairs wrong."
    for data in ("nw-ucla", "utd-mhad"):
        for form in FORMS:
            yield softening(data, form, 0.4, 0, "out-0")


def softening_second():
    "Round two: the best five beside hard targets, all other groups, another seed; the rules' words too."
    forms = best("softening-screen", 5, ("hard",))
    for data, groups in GROUPS.items():
        for group in range(1, groups):
            for form in forms:
                yield softening(data, form, 0.4, group, f"out-{group}")
    for data in GROUPS:
        for form in forms:
            yield softening(data, form, 0.4, 0, "out-0", RULES)


def softening_test():
    "Round three: the best three beside hard targets on the test lists, five seeds."
    forms = best("softening-second", 3, ("hard",))
    for wrong in (0.4, 0.0, 0.6, 0.2):
        for data in GROUPS:
            for seed in range(5):
                for form in forms:
                    yield softening(data, form, wrong, seed, "test")


# ---------------------------------------------------------------- a fair family

def grid(**choices) -> dict[str, dict]:
    "Every combination of the choices, by a name made of them."
    found = {"": {}}
    for key, values in choices.items():
        key = key.replace("__", ".")
        found = {f"{name} {key.split('.')[-1]} {v}".strip(): {**made, key: v} for name, made in found.items() for v in values}
    return found


TRIALS = {  # eight for each
    "c2vl": grid(train__lr=(1e-3, 2e-3), augment__mask=(0.0, 0.2), head=("linear", "mlp")),
    "simclr": grid(train__lr=(1e-3, 2e-3), augment__mask=(0.2, 0.4), tau=(0.1, 0.3)),
    "skeletonclr": grid(train__lr=(1e-3, 2e-3), augment__mask=(0.0, 0.2), tau=(0.07, 0.2)),
    "supervised": grid(train__lr=(1e-3, 2e-3), augment__mask=(0.0, 0.2), smoothing=(0.0, 0.1)),
    "crosclr": grid(train__lr=(1e-3, 2e-3), augment__mask=(0.0, 0.2), tau=(0.07, 0.2)),
}


def contest(data: str, method: str, form: str, seed: int, side: str, **more) -> dict:
    words = {"words": LMM, "wrong": 0.0} if method == "c2vl" else {}
    return {"data": data, "method": method, "form": form, "changes": TRIALS[method][form], "seed": seed, "side": side, **words, **more}


def short(data: str, part: int) -> int:
    "A rung of the trials: every method gets a quarter, then half, of its epochs."
    return EPOCHS[data] // part


def fair_trials():
    "Round one: every setting once, a quarter of the epochs."
    for method, forms in TRIALS.items():
        for data in GROUPS:
            for form in forms:
                yield contest(data, method, form, 0, "out-0", epochs=short(data, 4))


def fair_second():
    "Round two: each method's best two with half of the epochs, on another group and another seed."
    for data in GROUPS:
        for method in TRIALS:
            for form in best("fair-trials", 2, data=data, method=method):
                yield contest(data, method, form, 1, "out-1", epochs=short(data, 2))


def winner(data: str, method: str) -> str:
    return best("fair-second", 1, data=data, method=method)[0]


def fair_test():
    "The test lists, once: each method's winner, five seeds, equal updates."
    for seed in range(5):
        for data in GROUPS:
            for method in TRIALS:
                yield contest(data, method, winner(data, method), seed, "test")


def fair_controls():
    "What the same probes say where nothing was learnt: the joints, an encoder with fresh weights."
    for data in GROUPS:
        yield {"data": data, "method": "raw", "form": "joints", "seed": 0, "side": "test"}
        for seed in range(5):
            yield {"data": data, "method": "untrained", "form": "calibrated", "seed": seed, "side": "test"}


def fair_noise():
    "C2VL with vectors that say nothing in place of words."
    for seed in range(5):
        for data in GROUPS:
            yield contest(data, "c2vl", winner(data, "c2vl"), seed, "test", wrong="noise")


def fair_cost():
    "Equal cost: as many passes through the encoder as SimCLR makes in its epochs. Forward is one pass, backward two."
    passes = {"simclr": 6, "c2vl": 3, "skeletonclr": 4, "crosclr": 12}  # a clip's, each epoch; a key encoder runs forward alone
    for seed in range(5):
        for data in GROUPS:
            for method in ("c2vl", "skeletonclr", "crosclr"):
                epochs = EPOCHS[data] * passes["simclr"] // passes[method]
                yield contest(data, method, winner(data, method), seed, "test", epochs=epochs)


def fair_curve():
    "The same with twice and four times the updates, three seeds."
    for data in GROUPS:
        for times in (2, 4):
            for seed in range(3):
                for method in ("c2vl", "simclr", "skeletonclr", "crosclr"):
                    yield contest(data, method, winner(data, method), seed, "test", epochs=times * EPOCHS[data])


# ---------------------------------------------------------------- names from words

def naming():
    "Which answers teach names: all four, purpose, arms and purpose, the rules' sentences, both as two modalities."
    for words in (LMM, RULES, f"{LMM}:purpose", f"{LMM}:arms,purpose", f"{LMM}+{RULES}"):
        for seed in range(3):
            for data in GROUPS:
                yield softening(data, "hard", 0.0, seed, "test", words)


def unseen():
    "Classes that no training clip shows: ten draws of five (UTD-MHAD) or two (NW-UCLA)."
    for draw in range(10):
        for data in GROUPS:
            yield softening(data, "hard", 0.0, draw, f"unseen-{draw}")


STUDIES = {"softening-screen": softening_screen, "softening-second": softening_second, "softening-test": softening_test,
           "fair-trials": fair_trials, "fair-second": fair_second, "fair-test": fair_test, "fair-curve": fair_curve,
           "fair-controls": fair_controls, "fair-noise": fair_noise, "fair-cost": fair_cost, "naming": naming, "unseen": unseen}
