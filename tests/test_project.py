"""The project itself: what is declared, what the checks catch, and the wheel in an environment of its own."""

import configparser
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import check
import import_rule
import in_step
import lint_notebooks
import pytest
import readme
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import c2vl_kit

EXTRAS = {"browser", "lab", "demo", "video", "server", "scale", "track", "export", "hub", "docs", "dev"}


@pytest.fixture(scope="module")
def settings(root):
    ini = configparser.ConfigParser(delimiters=["="], interpolation=None)
    ini.read(root / "settings.ini", encoding="utf-8")
    return ini["DEFAULT"]


def requirements(settings) -> dict[str, list[Requirement]]:
    keys = [k for k in settings if k == "requirements" or k.endswith("_requirements")]
    return {k.removesuffix("requirements").rstrip("_"): [Requirement(r) for r in settings[k].split()] for k in keys}


# what is declared


def test_extras_are_the_designed_ones(settings):
    assert set(requirements(settings)) - {""} == EXTRAS


def test_nbdev_reads_the_same_requirements(settings, root, monkeypatch):
    monkeypatch.chdir(root)
    from nbdev.config import get_config

    cfg = get_config()
    for extra, wanted in requirements(settings).items():
        key = f"{extra}_requirements" if extra else "requirements"
        assert [str(Requirement(r)) for r in cfg.get(key).split()] == [str(r) for r in wanted]


def test_nbdev_caps(settings):
    dev = {r.name: r.specifier for r in requirements(settings)["dev"]}
    assert str(dev["nbdev"]) == "==2.4.14"
    assert dev["fastcore"].contains("1.14.5") and not dev["fastcore"].contains("2.0") and not dev["fastcore"].contains("1.12.2")
    assert dev["execnb"].contains("0.1.18") and not dev["execnb"].contains("0.2")
    assert not dev["ghapi"].contains("2.0")


def test_constraints_pin_everything_used(settings, root):
    lines = [line for line in (root / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines)
    pins = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}
    assert len(pins) == len(lines), "a package is pinned twice"
    assert pins["torch"] == "2.13.0"
    for wanted in sum(requirements(settings).values(), []):
        assert wanted.specifier.contains(pins[canonicalize_name(wanted.name)]), f"{wanted} is not met by its pin"


def test_version_is_said_once(settings, root):
    assert c2vl_kit.__version__ == settings["version"] == importlib.metadata.version("c2vl_kit")
    assert f"## {settings['version']}" in (root / "CHANGELOG.md").read_text()


def test_build_system_only(root):
    assert set(tomllib.loads((root / "pyproject.toml").read_text())) == {"build-system"}
    assert "pkg_resources" not in (root / "setup.py").read_text()


def test_ci_runs_make_test(root):
    assert re.search(r"^make test$", (root / ".ci/run").read_text(), re.MULTILINE)
    assert os.access(root / ".ci/run", os.X_OK)


def test_workflow_runs_what_ci_runs(root):
    assert re.search(r"run: \.ci/run$", (root / ".github/workflows/checks.yml").read_text(), re.MULTILINE)


def test_fast_is_a_part_of_all(root):
    assert set(check.FAST) - {"quick"} <= set(check.ALL), "what make fast looks at, make test looks at too"
    assert all((root / file).is_file() for file in check.QUICK_TESTS)


def test_citation_says_what_settings_say(settings, root):
    said = yaml.safe_load((root / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(said), "the format asks for these"
    assert (str(said["version"]), said["license"], said["repository-code"]) == (settings["version"], "Apache-2.0", settings["git_url"])


# what the checks catch: each is shown something wrong


def notebook(*cells: tuple[str, str], outputs=(), metadata=None) -> dict:
    made = []
    for n, (kind, text) in enumerate(cells):
        cell = {"cell_type": kind, "id": f"c{n}", "metadata": {}, "source": text.splitlines(True)}
        made.append(cell | ({"execution_count": None, "outputs": list(outputs)} if kind == "code" else {}))
    kernel = {"kernelspec": {"display_name": "python3", "language": "python", "name": "python3"}}
    return {"cells": made, "metadata": kernel | (metadata or {}), "nbformat": 4, "nbformat_minor": 5}


TITLE = ("markdown", "# Page\n\n> one line")


def lint_of(tmp_path, nb, name="01_page.ipynb") -> str:
    (tmp_path / "nbs").mkdir(exist_ok=True)
    file = tmp_path / "nbs" / name
    file.write_text(json.dumps(nb))
    return "\n".join(lint_notebooks.lint(file))


DEFAULT = ("code", "#| default_exp page")
END = [("markdown", "## What you may change\n\nNothing."), ("markdown", "## Pitfalls\n\n- None.")]
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.mark.parametrize(
    "nb, complaint",
    [
        (notebook(DEFAULT, TITLE), ""),
        (notebook(DEFAULT, ("markdown", "Page")), "# Title"),
        (notebook(DEFAULT, ("markdown", "# Page\n\nwords")), "> subtitle"),
        (notebook(DEFAULT, ("markdown", "# Page\n\n> one line\n\nmore")), "begin a new cell"),
        (notebook(DEFAULT, TITLE, ("code", "#| export\n" + "x = 1\n\n" * 46), *END), "cell 3 is an export cell of 46 lines, 45 at most"),
        (notebook(DEFAULT, TITLE, ("code", "#| export\n" + "x = 1\n\n" * 45), *END), ""),
        (notebook(DEFAULT, TITLE, ("code", "x = '" + "o" * 105 + "'")), "cell 3 has a line of 111 characters, 110 at most"),
        (notebook(DEFAULT, TITLE, ("code", "x = '" + "o" * 104 + "'")), ""),
        (notebook(DEFAULT, TITLE, ("code", "#| export\nx = 1")), "headings `## What you may change` and `## Pitfalls`"),
        (notebook(DEFAULT, TITLE, ("code", "#| export\nx = 1"), *END, ("markdown", "## More")), "does not end with the headings"),
        (notebook(DEFAULT, TITLE, ("code", "#| export\nx = 1"), *END[::-1]), "does not end with the headings"),
        (notebook(DEFAULT, TITLE, ("code", "#| export\nfrom os import *")), "import *"),
        (notebook(DEFAULT, TITLE, *[("code", "1")] * 3), "1 markdown cells for 4 code cells"),
        (notebook(DEFAULT, TITLE, metadata={"widgets": {}}), "widget state"),
        (notebook(("code", "#| default_exp other"), TITLE), "named after the module page"),
        (notebook(DEFAULT, TITLE, outputs=[{"output_type": "display_data", "data": {WIDGET_VIEW: {}}}]), "widget view"),
        (notebook(DEFAULT, TITLE, outputs=[{"output_type": "stream", "name": "stdout", "text": ["/home/someone/x"]}]), "/home/someone/"),
        (notebook(DEFAULT, TITLE, outputs=[{"output_type": "stream", "name": "stderr", "text": ["x"]}]), "stderr"),
        (notebook(DEFAULT, TITLE, outputs=[{"output_type": "error", "ename": "E"}]), "traceback"),
        (notebook(DEFAULT, TITLE, outputs=[{"output_type": "execute_result", "execution_count": 3, "data": {}}]), "execution_count"),
        (notebook(DEFAULT, TITLE, outputs=[{"output_type": "stream", "name": "stdout", "text": ["x" * 310_000]}]), "300 at most"),
    ],
)
def test_lint_catches(tmp_path, nb, complaint):
    found = lint_of(tmp_path, nb)
    assert complaint in found if complaint else not found


def test_lint_spares_the_pages_in_the_list(tmp_path, monkeypatch):
    """By the name without its number, for the rule named alone."""
    monkeypatch.setattr(lint_notebooks, "exempt", lambda: {"cell": ["page"], "ending": ["other"]})
    found = lint_of(tmp_path, notebook(DEFAULT, TITLE, ("code", "#| export\n" + "x = 1\n" * 46)))
    assert "46 lines" not in found and "does not end" in found


def small_package(tmp_path, **modules: str) -> Path:
    """A project of pages data/10_low, data/11_next and viz/20_high with the given code in each."""
    names = {"low": ("data/10_low", "data/low.py"), "next": ("data/11_next", "data/next.py"), "high": ("viz/20_high", "viz/high.py")}
    for key, (page, file) in names.items():
        (tmp_path / "nbs" / page).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "nbs" / f"{page}.ipynb").write_text("{}")
        target = tmp_path / "c2vl_kit" / file
        target.parent.mkdir(parents=True, exist_ok=True)
        for folder in (target.parent, tmp_path / "c2vl_kit"):
            (folder / "__init__.py").touch()
        target.write_text(modules.get(key, ""))
    return tmp_path


@pytest.mark.parametrize(
    "modules, complaint",
    [
        ({"high": "from c2vl_kit.data.low import f", "next": "from .low import f"}, ""),
        ({"low": "from c2vl_kit.viz.high import f"}, "data/10 data.low imports viz/20 viz.high"),
        ({"low": "def f():\n    from ..viz.high import g"}, "data/10 data.low imports viz/20 viz.high"),
        ({"low": "from . import next"}, "data/10 data.low imports data/11 data.next"),
        ({"low": "import importlib\nimportlib.import_module('c2vl_kit.viz.high')"}, "data/10 data.low imports viz/20 viz.high"),
        ({"high": "from fastcore.test import test_eq"}, "development tool"),
        ({"high": "from c2vl_kit.gone import f"}, "is no room"),
    ],
)
def test_import_rule_catches(tmp_path, modules, complaint):
    found = "\n".join(import_rule.back_imports(small_package(tmp_path, **modules)))
    assert complaint in found if complaint else not found


def test_light_import_rule_catches(tmp_path):
    project = small_package(tmp_path, low="import torch", high="import matplotlib")
    found = "\n".join(import_rule.heavy_imports(project))
    assert "c2vl_kit.data.low: needs torch" in found and "c2vl_kit.viz.high: needs matplotlib" in found


LIGHT_JOB = """
import sys
absent = set(sys.argv[1].split(","))
class Without:  # a finder that does not find the absent packages
    def __init__(self, finder): self.finder = finder
    def __getattr__(self, name): return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in absent else self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
import numpy as np
from c2vl_kit.concepts.space import ConceptSpace
from c2vl_kit.data.catalog import get_split
from c2vl_kit.data.simulate import SimulatorConfig, simulate
from c2vl_kit.data.build import build_store
from c2vl_kit.data.store import Store
from c2vl_kit.evaluate.probes import evaluate
from c2vl_kit.methods import c2vl
from c2vl_kit.methods.c2vl import small
from c2vl_kit.train.pretrain import pretrain
made = simulate(SimulatorConfig(classes=2, subjects=4, repetitions=2))
store, _ = build_store("store", made.clips, dataset="simulated", progress=False)
vectors = np.random.default_rng(0).normal(size=(len(store), 8)).astype("float32")
split = get_split(store)
config = small(frames=16, backbone={"width": 4}, train={"epochs": 1, "batch_size": 8})
run = pretrain(c2vl, store, split, "run", config, space=ConceptSpace(store.names, vectors))
evaluate(run, store, split)
assert not absent & set(sys.modules)
"""


def test_training_and_evaluation_need_no_heavy_package(tmp_path):
    heavy = ",".join(import_rule.HEAVY)
    done = subprocess.run([sys.executable, "-c", LIGHT_JOB, heavy], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/results.json").exists()


def test_in_step_catches(tmp_path, root):
    shutil.copy(root / "settings.ini", tmp_path)
    (tmp_path / "nbs").mkdir()
    page = notebook(DEFAULT, TITLE, ("code", "#| export\nx = 1"))
    (tmp_path / "nbs/01_page.ipynb").write_text(json.dumps(page, indent=1, sort_keys=True) + "\n")
    bin_ = Path(sys.executable).parent
    subprocess.run([bin_ / "nbdev_export"], cwd=tmp_path, check=True, capture_output=True)
    assert in_step.differences(tmp_path) == []
    module = tmp_path / "c2vl_kit/page.py"
    (tmp_path / "c2vl_kit/gone.py").write_text(module.read_text())
    module.write_text(module.read_text() + "y = 2\n")
    page["cells"][0]["execution_count"] = 7
    (tmp_path / "nbs/01_page.ipynb").write_text(json.dumps(page, indent=1, sort_keys=True) + "\n")
    found = "\n".join(in_step.differences(tmp_path))
    assert "c2vl_kit/page.py differs" in found and "c2vl_kit/gone.py is written by no notebook" in found
    assert "nbs/01_page.ipynb differs" in found


def test_readme_links_are_addresses(tmp_path):
    (tmp_path / "nbs/images").mkdir(parents=True)
    (tmp_path / "nbs/images/a.svg").touch()
    (tmp_path / "LICENSE").touch()
    text = '![x](images/a.svg) [l](../LICENSE#top) <img src="images/a.svg"> [web](https://example.org/x) [here](#part)'
    moved = (
        '![x](https://home/raw/main/nbs/images/a.svg) [l](https://home/blob/main/LICENSE#top) '
        '<img src="https://home/raw/main/nbs/images/a.svg"> [web](https://example.org/x) [here](#part)'
    )
    assert readme.relink(text, "https://home", tmp_path) == moved
    with pytest.raises(SystemExit, match="not there"):
        readme.relink("[x](gone.ipynb)", "https://home", tmp_path)


# the wheel, alone


@pytest.fixture(scope="module")
def installed(root, tmp_path_factory):
    """A fresh environment whose only c2vl_kit is the wheel; the packages it needs are borrowed from this environment by a .pth file."""
    work = tmp_path_factory.mktemp("wheel")
    source = work / "source"
    unwanted = shutil.ignore_patterns(".git", ".venv", "runs", "*.egg-info", "__pycache__", ".ipynb_checkpoints", "build", "dist")
    shutil.copytree(root, source, ignore=unwanted)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", work / "dist", source]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    venv.create(work / "venv", with_pip=False)
    python = work / "venv/bin/python"
    wheel = next((work / "dist").glob("*.whl"))
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True, capture_output=True)
    inside = next((work / "venv/lib").glob("python*/site-packages"))
    (inside / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python, inside, next((work / "dist").glob("*.tar.gz"))


def run_clean(command: list, cwd: Path) -> subprocess.CompletedProcess:
    env = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120)


def test_wheel_imports_outside_the_checkout(installed, root, tmp_path):
    python, inside, _ = installed
    modules = [f"c2vl_kit.{m}" for m in import_rule.rooms(root)]
    code = f"import importlib, c2vl_kit; [importlib.import_module(m) for m in {modules!r}]; print(c2vl_kit.__file__)"
    done = run_clean([python, "-c", code], tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(inside)


def test_wheel_holds_all_files(installed, root):
    _, inside, sdist = installed
    package = [f.relative_to(root) for f in (root / "c2vl_kit").rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    missing = sorted(str(f) for f in package if not (inside / f).exists())
    assert not missing, f"not in the wheel: {missing}"
    listed = subprocess.run(["tar", "tzf", sdist], capture_output=True, text=True, check=True).stdout
    for file in ("settings.ini", "constraints.txt", "LICENSE", "README.md", "nbs/index.ipynb", "nbs/app/14_cli.ipynb"):
        assert f"/{file}\n" in listed, f"not in the source distribution: {file}"


def test_wheel_command_runs(installed, tmp_path):
    python, _, _ = installed
    done = run_clean([python.parent / "c2vl", "doctor"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert c2vl_kit.__version__ in done.stdout


OWN_DATA = """
import re, sys
from pathlib import Path
from scipy.io import loadmat
from c2vl_kit import build_store
from c2vl_kit.data.catalog import keep_split
from c2vl_kit.data.splits import make_split
from c2vl_kit.readers.arrays import from_numpy

def read(path):
    action, person, take = map(int, re.findall(r"[0-9]+", Path(path).stem))
    x = loadmat(path)["d_skel"].transpose(2, 0, 1)  # frames, joints, x y z in metres
    names = {1: "swipe left", 4: "clap", 22: "jog", 27: "squat"}
    return from_numpy(x, "utd20", Path(path).stem, sorted(names).index(action), names[action], person, repetition=take)

store, report = build_store("mine/store", sorted(Path(sys.argv[1]).glob("*.mat")), read, dataset="mine", progress=False)
keep_split(make_split(store, by="subject", train=[1, 2, 3, 4], name="people"), store)
print(len(store), len(report.quarantined))
"""
WITHOUT_TORCH = """
import json, sys
import numpy as np, onnxruntime
told = json.load(open("encoder.json"))
session = onnxruntime.InferenceSession("encoder.onnx")
x = np.random.default_rng(0).normal(size=(3, *session.get_inputs()[0].shape[1:])).astype(np.float32)
found = session.run(None, {"joints": x})
assert "torch" not in sys.modules and "c2vl_kit" not in sys.modules
print(found[0].shape[0], found[1].shape[1], *told["classes"], sep="|")
"""
PIPELINE = """
import sys
from pathlib import Path
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from c2vl_kit import Store
from c2vl_kit.data.catalog import get_split
from c2vl_kit.evaluate.estimator import SkeletonEncoder
store = Store.open("mine/store")
split = get_split(store, "people")
train, test = ([store[n] for n in names] for names in (split.train, split.tests["official"]))
model = make_pipeline(SkeletonEncoder("mine/run"), LogisticRegression(max_iter=1000)).fit(train, [c.label_name for c in train])
print(model.score(test, [c.label_name for c in test]))
"""


def test_a_new_users_hour(installed, data_root, tmp_path):
    """From files of one's own to a store, words, a run, labels for new files, a search, an export and a scikit-learn pipeline."""
    source = data_root / "utd_mhad"
    if not source.is_dir():
        pytest.skip("C2VL_DATA holds no utd_mhad/")
    pytest.importorskip("onnxruntime", reason='needs ONNX: pip install "c2vl_kit[export]"')
    python, own, new = installed[0], tmp_path / "recordings", tmp_path / "new"
    own.mkdir(), new.mkdir()
    for file in source.rglob("*_skeleton.mat"):
        action, person, take = map(int, re.findall(r"[0-9]+", file.stem))
        if action in (1, 4, 22, 27) and take < 3:  # with names that no data set gives
            shutil.copy(file, (new if person == 8 else own) / f"act{action}-person{person}-take{take}.mat")

    def does(*words, code=0):
        words = [python.parent / "c2vl", *words] if words[0] != "-c" else [python, *words]
        done = run_clean(words, tmp_path)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    assert does("-c", OWN_DATA, own).split() == [str(len(list(own.iterdir()))), "0"]
    does("embed", "--out", "mine")
    does("pretrain", "--out", "mine", "--split", "people", "--epochs", "12", "--frames", "16", "--width", "8", "--batch-size", "16", "--lr",
         "3e-3", "--threads", "1", "--quiet")
    rows = json.loads(does("evaluate", "--out", "mine", "--json"))["rows"]
    assert rows[0]["scores"]["table"]["official"]["last"]["accuracy"] > 0.6  # of four classes
    (new / "torn.mat").write_bytes(b"MATLAB 5.0")
    told = json.loads(does("predict", "new", "--run", "mine", "--csv", "labels.csv", "--json", code=1))
    assert len(told["rows"]) == 8 and list(told["failed"]) == ["new/torn.mat"]
    truth = {"1": "swipe left", "4": "clap", "22": "jog", "27": "squat"}
    right = [r["label"] == truth[re.findall("[0-9]+", r["name"])[0]] for r in told["rows"]]
    assert sum(right) >= 4 and all(0.25 <= r["probability"] <= 1 and r["near"] and r["words"] for r in told["rows"])
    assert len((tmp_path / "labels.csv").read_text().splitlines()) == 10
    hits = json.loads(does("search", "mine", "The person is bending both knees.", "--k", "3", "--html", "hits.html", "--json"))["hits"]
    assert len(hits) == 3 and (tmp_path / "hits.html").stat().st_size > 10_000
    does("export", "mine", "--to", "encoder.onnx")
    count, outputs, *classes = does("-c", WITHOUT_TORCH).strip().split("|")
    assert (count, outputs, sorted(classes)) == ("3", "4", sorted(truth.values()))
    assert float(does("-c", PIPELINE)) > 0.6


# however it was started

BACKGROUND = dict(preexec_fn=lambda: [signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGHUP)])


@pytest.mark.skipif(os.name != "posix", reason="signals are inherited on POSIX only")
def test_pages_find_signals_as_usual_in_the_background(tmp_path, root):
    """What nbdev_test runs below a job that ignores Ctrl-C: a cell, and a program that the cell starts."""
    code = ("import signal, subprocess, sys\n"
            "ask = 'import signal; print(*(signal.getsignal(s) != signal.SIG_IGN for s in (signal.SIGINT, signal.SIGHUP)))'\n"
            "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
            "assert subprocess.check_output([sys.executable, '-c', ask], text=True).split() == ['True', 'True']")
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": code, "execution_count": None, "outputs": []}
    page = tmp_path / "page.ipynb"
    page.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    command = [sys.executable, "tools/test_notebooks.py", str(page)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, **BACKGROUND)
    assert done.returncode == 0 and "1 notebooks ran" in done.stdout, done.stdout + done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals are inherited on POSIX only")
def test_the_stores_page_presses_ctrl_c_in_the_background(tmp_path, root):
    """The very cell, in a process that ignores SIGINT."""
    cells = ["".join(c["source"]) for c in json.loads((root / "nbs/data/01_build.ipynb").read_text(encoding="utf-8"))["cells"]]
    writes = next(c for c in cells if '(tmp/"slow.py").write_text' in c)
    code = f"""
import json, os, subprocess, sys
from pathlib import Path
import numpy as np
from fastcore.test import test_eq
tmp = Path({str(tmp_path)!r})
for i in range(30):
    joints = np.random.default_rng(i).uniform(-0.5, 0.5, (8, 20, 3)).tolist()
    name = f"a01_s01_e{{i:02}}_v01"
    (tmp/f"{{name}}.json").write_text(json.dumps(dict(file_name=name, skeletons=joints, label=1)))
{writes}
stopped = again(STOP="2")
assert stopped.returncode != 0 and "files are kept in" in stopped.stderr, (stopped.returncode, stopped.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, **BACKGROUND)
    assert done.returncode == 0, done.stderr
