"""The family runner: two processes, a teacher before its students, a kill in the middle, and the same figures afterwards."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from c2vl_kit.concepts.space import ConceptSpace
from c2vl_kit.data.simulate import SimulatorConfig, simulate
from c2vl_kit.data.build import build_store
from c2vl_kit.app.family import family
from c2vl_kit.app.members import MEMBERS, FamilyConfig, Work, plan_jobs
from c2vl_kit.evaluate.features import Features
from c2vl_kit.evaluate.fusion import fit_weights, fold_of, fused_scores
from c2vl_kit.evaluate.scores import Results
from c2vl_kit.core import InputError

TINY = FamilyConfig(budget=2, batch_size=8, frames=8, width=2, dim=4, amp="off", folds_by="subject")


def toy(base: Path) -> Path:
    """A job folder with a tiny store and toy word vectors, so that no tower is needed."""
    motions = simulate(SimulatorConfig(classes=3, subjects=4, repetitions=2, seed=0))
    store, _ = build_store(base / "store", motions.clips, dataset="simulated", progress=False)
    words = np.random.default_rng(0).normal(size=(len(store), 6))
    ConceptSpace(store.names, language=words, info={"language": {"tower": "toy"}}).save(base / "space")
    return base


def figures(folder: Path) -> dict:
    """What a job found, without times."""
    results = Results.load(folder / "results.json")
    return {r.protocol: {t: {f: s.accuracy for f, s in figs.items()} for t, figs in r.scores.table.items()} for r in results.rows}


def test_whole_family(tmp_path):
    base = toy(tmp_path / "toy")
    table = family("simulated", None, base, 1, TINY, workers=0, say=lambda line: None)
    references = {"majority class", "raw joints"}  # the words behind the vectors are not there, so what they say alone is left out
    assert {r["member"] for r in table.rows} == {m.title for m in MEMBERS.values()} | references
    for row in table.rows:
        assert row["cells"], row
    assert all(o["tests"]["official"]["verdict"] != "no figures" for o in table.orderings)
    assert json.loads((base / "table.json").read_text())["orderings"] == json.loads(json.dumps(list(table.orderings)))
    shown = [line.split(" | ") for line in (base / "table.md").read_text().splitlines()]
    lines = {line[0].removeprefix("| "): line for line in shown if line[0].startswith("| ") and len(line) == 10}
    cells = {(r["member"], r["line"]): r["cells"]["official|linear"]["mean"] for r in table.rows if "official|linear" in r["cells"]}
    assert set(lines) == {"method", "---"} | {m.title for m in MEMBERS.values()}
    assert lines["method"][2:8] == ["joint", "motion", "bone", "fused, equal", "fused, fitted", "own classifier"]
    assert lines["C2VL, each view alone"][4] == f"{100 * cells['C2VL, each view alone', 'bone']:.1f}"
    one = "1 student of IKEM, 3 views"
    assert lines[one][2:6] == ["", "", "", f"{100 * cells[one, 'joint+motion+bone']:.1f} †"]
    own = figures(base / "jobs/students-3-s0")
    assert "fused fitted" in own and "linear bone" in own


def test_teacher_first(tmp_path):
    plan = plan_jobs(tmp_path, None, TINY, ["student-9ch"], 2)
    assert [(w.member, w.seed) for w in plan] == [("ikem-3", 0), ("student-9ch", 0), ("ikem-3", 1), ("student-9ch", 1)]
    assert [w.ready for w in plan] == [True, False, True, False]


SCRIPT = """
import sys
from tests.test_family import TINY
from c2vl_kit.app.family import family
if __name__ == "__main__":
    family("simulated", None, sys.argv[1], 1, TINY.replace(budget=int(sys.argv[2])), sys.argv[3].split(","), workers=2)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_stopped_and_gone_on(tmp_path):
    base, script = toy(tmp_path / "toy"), tmp_path / "go.py"
    script.write_text(SCRIPT)
    root = Path(__file__).resolve().parents[1]
    ask = [sys.executable, str(script), str(base), "12", "ikem-3,student-9ch"]
    run = subprocess.Popen(ask, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, start_new_session=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    saved = base / "jobs/ikem-3-s0/run/log.jsonl"
    deadline = time.time() + 300
    while not (saved.is_file() and len(saved.read_text().splitlines()) >= 6) and run.poll() is None and time.time() < deadline:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)  # nothing can be tidied up
    run.wait()
    assert not (base / "jobs/student-9ch-s0/results.json").exists()
    config = TINY.replace(budget=12)
    family("simulated", None, base, 1, config, ["ikem-3", "student-9ch"], workers=0, say=lambda line: None)
    whole = tmp_path / "whole"
    shutil.copytree(base / "store", whole / "store")
    family("simulated", None, whole, 1, config, ["ikem-3", "student-9ch"], workers=0, say=lambda line: None)
    for job in ("ikem-3-s0", "student-9ch-s0"):
        assert figures(base / "jobs" / job) == figures(whole / "jobs" / job)


@pytest.mark.parametrize("said, why", (
    (["--set", "lr=abc"], "lr must be of the kind of 0.002, got 'abc'"),
    (["--set", "frames=2.5"], "frames must be of the kind of 32, got 2.5"),
    (["--set", "amp=true"], "amp must be of the kind of 'bf16', got True"),
    (["--set", "folds_by=3"], "folds_by must be a word, got 3"),
    (["--set", "speed=3"], "has no setting 'speed'"),
    (["--budget", "0"], "the budget must be at least 1 epoch"),
))
def test_bad_settings_of_the_bench_get_one_sentence(root, tmp_path, said, why):
    command = [sys.executable, str(root / "bench" / "family.py"), "--data", "simulated", "--out", str(tmp_path / "out"), *said]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ, OMP_NUM_THREADS="1"))
    assert done.returncode == 2 and why in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "out").exists()


def test_finished_results_of_other_settings_are_refused(tmp_path):
    base = toy(tmp_path / "toy")
    family("simulated", None, base, 1, TINY, ["untrained"], workers=0, say=lambda line: None)
    with pytest.raises(InputError, match="made with config.width=2, not 4"):
        family("simulated", None, base, 1, TINY.replace(width=4), ["untrained"], workers=0)
    assert Work("untrained", 0, base, None, TINY).done


@pytest.mark.parametrize("seed", range(10))
def test_fitted_weights_are_at_least_as_likely_as_equal_ones(seed):
    rng = np.random.default_rng(seed)
    views, clips, classes = rng.integers(2, 6), rng.integers(20, 80), rng.integers(2, 8)
    y = rng.integers(0, classes, clips)
    scores = {str(v): torch.from_numpy(rng.normal(size=(clips, classes)) + rng.uniform(0, 3) * np.eye(classes)[y]) for v in range(views)}
    w = fit_weights(scores, y)
    assert min(w.values()) >= 0 and abs(sum(w.values()) - 1) < 1e-9

    def cost(weights):  # at its best temperature
        z = sum(weights[v] * s for v, s in scores.items())
        return min(torch.nn.functional.cross_entropy(t * z, torch.from_numpy(y)).item() for t in np.geomspace(0.05, 40, 200))

    assert cost(w) <= cost(dict.fromkeys(scores, 1 / len(scores))) + 1e-4
    for other in rng.dirichlet(np.ones(views), 20):
        assert cost(w) <= cost(dict(zip(scores, other, strict=True))) + 1e-4


def test_no_test_clip_chooses_weights():
    rng = np.random.default_rng(0)
    names, y = tuple(f"a{i}" for i in range(60)), np.arange(60) % 3
    test, t = tuple(f"b{i}" for i in range(30)), np.arange(30) % 3
    views = {v: (Features(names, rng.normal(size=(60, 5)) + y[:, None]), Features(test, rng.normal(size=(30, 5)) + t[:, None]))
             for v in "xy"}

    def facts(truth):
        rows = fused_scores({v: (a, {"official": (b, truth)}) for v, (a, b) in views.items()}, y, fold=fold_of(names, y, 3))
        return rows["fused fitted"].facts

    assert facts(t) == facts(2 - t)


def test_other_data_under_finished_jobs(tmp_path):
    base = toy(tmp_path / "toy")
    family("simulated", None, base, 1, TINY, ["mmcl", "c2vl"], workers=0, say=lambda line: None)
    with pytest.raises(InputError, match="holds simulated, not utd-mhad"):
        family("utd-mhad", None, base, 1, TINY, ["mmcl"], workers=0)
    words = ConceptSpace.load(base / "space")
    ConceptSpace(words.names, language=np.roll(words.language, 1, 0), info=words.info).save(base / "space")
    with pytest.raises(InputError, match="made with other words than those of"):
        family("simulated", None, base, 1, TINY, ["c2vl"], workers=0)
