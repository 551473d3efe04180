"""The command `c2vl` as a user meets it: bad input in one sentence, and the whole path on a few simulated clips.

The demo, its interruption and one refusal run as processes of their own; the rest in this one, which has everything imported.
"""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from inside import c2vl

from c2vl_kit.data.catalog import get_split, keep_split
from c2vl_kit.data.splits import make_split, semi_supervised
from c2vl_kit.readers.ntu import NTU_CLASSES
from c2vl_kit.data.lists import CLASS_SPLITS
from c2vl_kit.data.simulate import SimulatorConfig, retarget, simulate
from c2vl_kit.data.build import build_store
from c2vl_kit.data.store import Store
from c2vl_kit.data.streams import STREAMS
from c2vl_kit.data.pipelines import LEGACY_PIPELINES, PIPELINES
from c2vl_kit.skeleton import NTU25

C2VL = Path(sys.executable).parent / "c2vl"
SMALL = ["--classes", "3", "--subjects", "4", "--repetitions", "2"]
TINY = [*SMALL, "--epochs", "2", "--frames", "16", "--width", "4", "--batch-size", "8"]


def start(*args, cwd: Path) -> subprocess.Popen:
    """Starts the command in `cwd` without waiting for it."""
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen([C2VL, *map(str, args)], cwd=cwd, env=env, stdout=pipe, stderr=pipe, text=True)


def process(*args, cwd: Path) -> subprocess.CompletedProcess:
    """Runs the command in `cwd`, as a process of its own."""
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run([C2VL, *map(str, args)], cwd=cwd, env=env, capture_output=True, text=True, timeout=600)


def everything(folder: Path) -> dict[str, int]:
    """Each file and folder below, with the time of its last change."""
    return {str(f.relative_to(folder)): f.stat().st_mtime_ns for f in folder.rglob("*") if f.is_file()}


def refused(*args, cwd: Path, mentions: tuple = (), by=c2vl) -> str:
    """Asserts: exit code 2, one line on stderr that names what is wrong, and nothing made or changed. Returns that line."""
    before = everything(cwd), sorted(cwd.iterdir())
    done = by(*args, cwd=cwd)
    assert done.returncode == 2, done.stdout + done.stderr
    assert re.fullmatch(r"c2vl: [^\n]+\n", done.stderr), done.stderr
    for word in mentions:
        assert str(word) in done.stderr, done.stderr
    assert (everything(cwd), sorted(cwd.iterdir())) == before, "something was left behind"
    return done.stderr


# raw files, good and bad, written here


def ucla(folder: Path, name: str = "a01_s01_e00_v01", frames: int = 8, change=lambda joints: joints) -> Path:
    """A small NW-UCLA file: a body that sways."""
    joints = np.tile(np.random.default_rng(0).uniform(-0.5, 0.5, (1, 20, 3)), (frames, 1, 1))
    joints[:, :, 0] += np.linspace(0, 0.2, frames)[:, None]
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"file_name": name, "skeletons": change(joints).tolist(), "label": int(name[1:3])}))
    return file


def utd(folder: Path, name: str = "a1_s1_t1") -> Path:
    """A small UTD-MHAD file."""
    from scipy.io import savemat

    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / f"{name}_skeleton.mat", {"d_skel": np.random.default_rng(0).uniform(-0.5, 0.5, (20, 3, 8))})
    return folder / f"{name}_skeleton.mat"


def ntu(folder: Path, name: str = "S001C001P001R001A001", bodies: int = 1) -> Path:
    """A small NTU file."""
    lines = ["4"]
    for _ in range(4):
        lines.append(str(bodies))
        for _ in range(bodies):
            lines += ["72057594037931101 0 1 1 1 1 0 0.02 -0.1 2", "25", *["0.2 0.3 3.5 250 200 950 550 0.1 0.1 -0.1 0.9 2"] * 25]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.skeleton").write_text("\n".join(lines) + "\n")
    return folder / f"{name}.skeleton"


def cut(file: Path) -> Path:
    """Keeps the first half of a file."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return file


def nan_clip(joints):
    joints[:] = np.nan
    return joints


# bad raw input


@pytest.mark.parametrize("by", [process, c2vl])
def test_no_folder(tmp_path, by):
    """A process of its own says and leaves what the same call says and leaves in this one."""
    refused("prepare", "--data", "nw-ucla", "--root", "gone", "--out", "job", cwd=tmp_path, mentions=("gone",), by=by)


def test_root_not_given(tmp_path):
    refused("prepare", "--data", "nw-ucla", "--out", "job", cwd=tmp_path, mentions=("--root",))


def test_empty_folder(tmp_path):
    (tmp_path / "raw").mkdir()
    refused("prepare", "--data", "utd-mhad", "--root", "raw", "--out", "job", cwd=tmp_path, mentions=("raw",))


@pytest.mark.parametrize("data, write", [("nw-ucla", ucla), ("utd-mhad", utd), ("ntu60", ntu)])
def test_truncated_file(tmp_path, data, write):
    file = cut(write(tmp_path / "raw"))
    refused("prepare", "--data", data, "--root", "raw", "--out", "job", cwd=tmp_path, mentions=(file.name,))


def test_nan_clip(tmp_path):
    ucla(tmp_path / "raw", change=nan_clip)
    refused("prepare", "--data", "nw-ucla", "--root", "raw", "--out", "job", cwd=tmp_path, mentions=("a01_s01_e00_v01",))


def test_clip_without_body(tmp_path):
    ntu(tmp_path / "raw", bodies=0)
    refused("prepare", "--data", "ntu60", "--root", "raw", "--out", "job", cwd=tmp_path, mentions=("S001C001P001R001A001",))


def test_broken_clips_are_listed_and_the_rest_is_built(tmp_path):
    raw = tmp_path / "raw"
    ucla(raw, "a01_s01_e00_v01"), ucla(raw, "a02_s01_e00_v03")
    cut(ucla(raw, "a03_s01_e00_v01"))
    ucla(raw, "a04_s01_e00_v01", change=nan_clip)
    ucla(raw / "again", "a01_s01_e00_v01")
    done = c2vl("prepare", "--data", "nw-ucla", "--root", "raw", "--out", "job", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 clips of nw-ucla")
    left = [line for line in done.stdout.splitlines() if "left out" in line]
    assert len(left) == 3 and all(any(name in line for line in left) for name in ("a01_s01_e00_v01", "a03_s01_e00_v01", "a04_s01_e00_v01"))
    report = json.loads((tmp_path / "job/store/report.json").read_text())
    assert len(report["quarantined"]) == 3


def test_only_duplicates_of_one_name_keep_the_first(tmp_path):
    ucla(tmp_path / "raw/one"), ucla(tmp_path / "raw/two")
    done = c2vl("prepare", "--data", "nw-ucla", "--root", "raw", "--out", "job", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("1 clips")
    assert "a01_s01_e00_v01" in done.stdout and "left out" in done.stdout


# bad options


@pytest.mark.parametrize(
    "args, word",
    [
        (["dance"], "dance"),
        (["prepare", "--data", "kinetics"], "kinetics"),
        (["prepare", "--rot", "x"], "--rot"),
        (["demo", "--epochs", "many"], "many"),
        (["demo", "--epochs", "0"], "epochs"),
        (["demo", "--targets", "soft"], "soft"),
        (["demo", "--preset", "huge"], "huge"),
        (["demo", "--stream", "sound"], "sound"),
        (["demo", "--pipeline", "upside"], "upside"),
        (["demo", "--config", "gone.json"], "gone.json"),
        (["demo", "--split", "xmoon"], "xmoon"),
        (["demo", "--device", "abacus"], "abacus"),
        (["demo", "--classes", "0"], "classes"),
        (["demo", "--wrong-pairs", "3"], "wrong"),
        (["embed", "--out", "gone"], "gone"),
        (["pretrain", "--out", "gone"], "gone"),
        (["evaluate", "--out", "gone"], "gone"),
        (["report", "--out", "gone"], "gone"),
    ],
)
def test_bad_option(tmp_path, args, word):
    refused(*args, cwd=tmp_path, mentions=(word,))


# a job whose parts are wrong


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """A job that has a store and a concept space."""
    folder = tmp_path_factory.mktemp("embedded")
    for command in (["prepare", *SMALL], ["embed"]):
        done = c2vl(*command, "--out", "job", cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def job(embedded, tmp_path):
    """A copy of that job to spoil; returns the folder it lies in."""
    shutil.copytree(embedded / "job", tmp_path / "job")
    return tmp_path


def test_prepare_asks_for_the_data(tmp_path):
    """The simulator is no default: advice that leaves out the data must not fill a folder with invented clips."""
    refused("prepare", "--out", "job", cwd=tmp_path, mentions=("which data?", "c2vl prepare simulated", "nw-ucla", "Your own data"))
    refused("prepare", "--root", "raw", "--out", "job", cwd=tmp_path, mentions=("which data?",))
    refused("prepare", "nw-ucla", "--data", "ntu60", "--out", "job", cwd=tmp_path, mentions=("nw-ucla", "ntu60", "name one"))
    assert not list(tmp_path.iterdir())
    said = c2vl("prepare", "--help", cwd=tmp_path).stdout
    assert "default: simulated" not in said and "default: simulated" in c2vl("embed", "--help", cwd=tmp_path).stdout
    done = c2vl("prepare", "simulated", "--classes", "2", "--subjects", "2", "--repetitions", "1", "--out", "job", cwd=tmp_path)
    assert done.returncode == 0 and "4 clips of simulated" in done.stdout


def test_store_is_not_overwritten_unasked(job):
    refused("prepare", *SMALL, "--out", "job", cwd=job, mentions=("--overwrite",))


def test_wrong_checksum(job):
    joints = job / "job/store/joints.npy"
    data = bytearray(joints.read_bytes())
    data[-1] ^= 1
    joints.write_bytes(data)
    for command in ("pretrain", "demo"):
        refused(command, "--out", "job", cwd=job, mentions=("checksum",))


def test_truncated_store(job):
    cut(job / "job/store/joints.npy")
    refused("pretrain", "--out", "job", cwd=job, mentions=("joints.npy",))


def test_unknown_split(job):
    refused("pretrain", "--out", "job", "--split", "xmoon", cwd=job, mentions=("xmoon", "xsub"))


def test_zero_shot_classes_of_another_data_set(job):
    refused("pretrain", "--out", "job", "--zero-shot", "ntu60-55-5", cwd=job, mentions=("simulated", "ntu60-55-5"))


def test_clips_that_another_job_tests_are_not_trained_on(job):
    """Refused in one sentence that says both ways out; taken out when asked to, and the split is kept for the later steps."""
    store = Store.open(job / "job/store")
    shutil.copytree(job / "job/store", job / "other/store")
    keep_split(make_split(store, "subject", train=[2, 3], test=[1], name="turned"), Store.open(job / "other/store"))
    own = get_split(store)
    tested = [n for n, s in zip(store.names, store.column("subject")) if s == 1]
    both = [n for n in own.train if n in tested]
    assert 0 < len(both) < len(own.train)
    asked = ["pretrain", "--out", "job", "--tested-on", "other", "--test-split", "turned", *TINY[TINY.index("--epochs") :]]
    said = refused(*asked, cwd=job, mentions=(f"{len(both)} of the {len(tested)} test clips", "--leave-out-overlap"))
    words = re.search(r"--allow-overlap '(.*)'", said)[1]
    refused(*asked, "--allow-overlap", words.upper(), cwd=job)
    done = c2vl(*asked, "--leave-out-overlap", cwd=job)
    assert done.returncode == 0, done.stderr
    name = f"{own.name}-less-{len(both)}"
    assert f"{len(own.train) - len(both)} training clips of split {name}" in done.stdout
    assert set(get_split(store, name).train) == set(own.train) - set(both)
    done = c2vl("evaluate", "--out", "job", cwd=job)
    assert done.returncode == 0 and name in done.stdout and "Careful" not in done.stdout, done.stderr
    done = c2vl(*asked, "--allow-overlap", words, "--overwrite", cwd=job)
    assert done.returncode == 0 and f"{len(own.train)} training clips of split {own.name} " in done.stdout, done.stderr


def test_unknown_layout(job):
    file = job / "job/store/store.json"
    table = json.loads(file.read_text())
    table["layout"]["joints"] = table["layout"]["joints"][:3]
    file.write_text(json.dumps(table))
    refused("pretrain", "--out", "job", cwd=job)


def test_prompts_for_unknown_clips(job):
    prompts = (job / "job/prompts.jsonl").read_text().splitlines()
    stranger = prompts[0].replace(json.loads(prompts[0])["clip"], "a99_s99_e99_v99")
    (job / "strangers.jsonl").write_text("\n".join([*prompts, stranger]) + "\n")
    refused("embed", "--out", "job", "--captions", "strangers.jsonl", cwd=job, mentions=("a99_s99_e99_v99",))


def test_prompts_file_missing_or_broken(job):
    refused("embed", "--out", "job", "--captions", "gone.jsonl", cwd=job, mentions=("gone.jsonl",))
    (job / "broken.jsonl").write_text("{not json\n{neither\n")
    refused("embed", "--out", "job", "--captions", "broken.jsonl", cwd=job, mentions=("broken.jsonl",))


def test_unknown_tower(job):
    refused("embed", "--out", "job", "--tower", "./no-such-model", cwd=job, mentions=("no-such-model",))


def test_other_data_in_the_folder(job):
    refused("demo", "--data", "nw-ucla", "--root", ".", "--out", "job", cwd=job, mentions=("simulated", "nw-ucla"))


# the whole path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A tiny demo that ran to its end, and what it said."""
    folder = tmp_path_factory.mktemp("finished")
    busy = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    start = busy()
    done = process("demo", "--out", "job", *TINY, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert busy() - start < 90, "seconds of computing; the clock would also count what else the machine does"
    return folder, done


def test_demo_ends_with_a_table_and_the_report(finished):
    folder, done = finished
    assert done.stderr == ""
    lines = done.stdout.strip().splitlines()
    assert lines[-1] == "report: job/run/report.html"
    assert re.match(r"A linear probe on the frozen features names .* the best reference \(", lines[-2])
    for protocol in ("linear", "majority", "raw joints 1-NN"):
        assert any(line.startswith(protocol) for line in lines), done.stdout
    page = (folder / "job/run/report.html").read_text(encoding="utf-8")
    assert len(page) > 20_000 and not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", page)


def test_demo_makes_every_part(finished):
    folder, _ = finished
    job = folder / "job"
    assert {p.name for p in job.iterdir()} == {"store", "prompts.jsonl", "space", "embeddings", "run"}
    for name in ("config.json", "environment.json", "log.jsonl", "checkpoints", "results.json", "targets.safetensors", "report.html"):
        assert (job / "run" / name).exists(), name
    assert not [p for p in job.rglob("*") if ".tmp-" in p.name]
    row = json.loads((job / "run/results.json").read_text())["rows"][0]
    assert row["split"] == "xsub" and re.fullmatch(r"[0-9a-f]{12}", row["split_hash"]) and row["store_checksum"] and row["seed"] == 0


def test_finished_demo_makes_nothing_twice(finished):
    folder, first = finished
    contents = lambda: {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    before = contents()
    again = c2vl("demo", "--out", "job", *TINY, cwd=folder)
    assert again.returncode == 0, again.stderr
    assert contents() == before
    said = [[line for line in run.stdout.splitlines() if " %: " not in line] for run in (first, again)]  # less what was slow
    table = said[0][next(i for i, line in enumerate(said[0]) if line.startswith("[5/5]")) + 2 :]
    assert table and said[1][-len(table) :] == table


def test_changed_settings_are_refused(finished):
    folder, _ = finished
    refused("pretrain", "--out", "job", "--epochs", "3", cwd=folder, mentions=("job/run",))


def test_steps_one_by_one_and_same_seed_same_numbers(finished, job):
    """Another folder, another process, single steps: the same parameters bit for bit and the same figures."""
    for command in (["pretrain", *TINY[TINY.index("--epochs") :]], ["evaluate"]):
        done = c2vl(*command, "--out", "job", cwd=job)
        assert done.returncode == 0, done.stderr
    for file in ("results.json", "checkpoints/last.safetensors"):
        ours, theirs = ((f / "job/run" / file).read_bytes() for f in (job, finished[0]))
        assert ours == theirs, f"{file} differs"


def test_semi_supervised_probes(finished):
    """A share of the labels, the same for everybody; figures in a file of their own."""
    folder, _ = finished
    before = (folder / "job/run/results.json").read_bytes()
    done = c2vl("evaluate", "--out", "job", "--labels", "50", cwd=folder)
    assert done.returncode == 0 and "Careful" not in done.stdout, done.stderr
    store = Store.open(folder / "job/store")
    split = semi_supervised(get_split(store), store, 50)
    assert f"{len(split.train)} training clips keep their label" in done.stdout and len(split.train) < len(get_split(store).train)
    every = len(get_split(store).train)
    assert f"{len(split.train) / every:.1%} of {every}: 50 % of each class, rounded to whole clips (halves up, at least one)" in done.stdout
    assert "rounded to whole clips" in " ".join(c2vl("evaluate", "--help", cwd=folder).stdout.split())
    rows = json.loads((folder / f"job/run/results-{split.name}.json").read_text())["rows"]
    assert {row["split_hash"] for row in rows} == {split.hash}
    assert (folder / "job/run/results.json").read_bytes() == before
    refused("evaluate", "--out", "job", "--labels", "0", cwd=folder, mentions=("percent",))


def test_help_lists_what_there_is(tmp_path):
    for command in ("pretrain", "demo"):
        words = re.sub(r"\s+", " ", c2vl(command, "--help", cwd=tmp_path).stdout)
        assert f"what the encoder sees of the joints: {', '.join(STREAMS)}" in words
        assert f"how clips are centred and turned: {', '.join(p.name for p in (*PIPELINES, *LEGACY_PIPELINES))}" in words


def test_zero_shot_run(tmp_path):
    """An NTU job trains on seen classes alone; its probes leave the unseen ones out."""
    store = build_store(tmp_path / "job/store", seen_and_unseen(), dataset="ntu60", progress=False)[0]
    for command in (["embed"], ["pretrain", "--zero-shot", "ntu60-55-5", *TINY[TINY.index("--epochs") :]], ["evaluate"]):
        done = c2vl(*command, "--out", "job", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        if command == ["evaluate"]:
            assert "test clips of unseen classes are left out" in done.stdout and "Careful" not in done.stdout
    split = get_split(store, "xsub-ntu60-55-5")
    unseen = CLASS_SPLITS["ntu60-55-5"].unseen
    label = dict(zip(store.names, store.labels.tolist()))
    assert split.train and split.tests["unseen"] and not {label[n] for n in split.train} & set(unseen)
    rows = json.loads((tmp_path / "job/run/results.json").read_text())["rows"]
    assert all("unseen" not in row["scores"] for row in rows)


def seen_and_unseen() -> list:
    """Four classes of NTU-60, two of them unseen in the 55/5 split; two people who train and one who tests."""
    unseen = list(CLASS_SPLITS["ntu60-55-5"].unseen[:2])
    labels = [c for c in range(60) if c not in CLASS_SPLITS["ntu60-55-5"].unseen][:2] + unseen
    made = simulate(SimulatorConfig(classes=4, subjects=3, repetitions=1)).clips
    place = {c: i for i, c in enumerate(sorted({clip.label for clip in made}))}
    clips = []
    for clip in made:
        label, subject = labels[place[clip.label]], (1, 2, 3)[clip.subject - 1]
        name = f"S001C001P{subject:03}R{clip.repetition:03}A{label + 1:03}"
        clips.append(retarget(clip, NTU25, name).replace(label=label, label_name=NTU_CLASSES[label], subject=subject, camera=1, setup=1))
    return clips


def test_report_alone(finished):
    folder, _ = finished
    page = folder / "job/run/report.html"
    page.unlink()
    done = c2vl("report", "--out", "job", cwd=folder)
    said = [line for line in done.stdout.splitlines() if not re.match(r"(report|preparing) +\d+ %: ", line)]  # progress, on a slow machine
    assert (done.returncode, said, page.exists()) == (0, ["report: job/run/report.html"], True), done.stderr


def test_interrupted_demo_goes_on(job):
    """Twice in the middle of its training; store and words are there from before."""
    many = [*SMALL, "--epochs", "400", "--frames", "16", "--width", "4", "--batch-size", "8"]
    process = start("demo", "--out", "job", *many, cwd=job)
    log, limit = job / "job/run/log.jsonl", time.monotonic() + 400
    while time.monotonic() < limit and process.poll() is None and not (log.exists() and len(log.read_text().splitlines()) > 3):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130, out + err
    assert err.splitlines()[-1].startswith("c2vl: stopped") and "Traceback" not in err
    epochs = len(log.read_text().splitlines())
    process = start("demo", "--out", "job", *many, cwd=job)
    while time.monotonic() < limit and process.poll() is None and len(log.read_text().splitlines()) <= epochs + 1:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130 and "made before" in out
    numbers = [json.loads(line)["epoch"] for line in log.read_text().splitlines()]
    assert len(numbers) > epochs and numbers == list(range(1, len(numbers) + 1)), "epochs were repeated or lost"


def test_help_is_quick_and_light(tmp_path):
    code = ("import sys, c2vl_kit.app.cli as c; c.command_parser().format_help(); "
            "print([m for m in ('torch', 'matplotlib') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    times = []
    for _ in range(3):
        start = time.perf_counter()
        assert "example" in process("--help", cwd=tmp_path).stdout
        times.append(time.perf_counter() - start)
    assert min(times) < 2


def test_doctor(tmp_path):
    done = c2vl("doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    for word in ("python", "torch", "device", "text tower", "free disk", "nbdev"):
        assert word in done.stdout
