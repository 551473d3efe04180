"""The names at the top of the package: light to import, all there, and one meaning each in whatever order things are imported."""

import importlib
import os
import subprocess
import sys

import import_rule
import pytest

import c2vl_kit


def in_a_new_process(code: str) -> str:
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_is_light():
    """0.1 s is meant; 1 s is tested, as the machine may be busy. What makes it slow is named: no module of others comes along."""
    code = "import sys, time; t = time.perf_counter(); import c2vl_kit; dir(c2vl_kit); print(time.perf_counter() - t, *sys.modules)"
    seconds, *modules = in_a_new_process(code).split()
    assert float(seconds) < 1
    assert not {"torch", "numpy", *import_rule.HEAVY} & {m.split(".")[0] for m in modules}
    assert [m for m in modules if m.startswith("c2vl_kit")] == ["c2vl_kit"]


@pytest.mark.parametrize("name", c2vl_kit.NAMES)
def test_each_name_is_there(name):
    value = getattr(c2vl_kit, name)
    assert value.__module__ == f"c2vl_kit.{c2vl_kit.NAMES[name]}", "the table names the module that defines it"
    assert value is getattr(importlib.import_module(value.__module__), name)
    assert name in importlib.import_module(value.__module__).__all__


def test_dir_shows_names_and_floors(root):
    floors = {f.parent.name for f in (root / "c2vl_kit").glob("*/__init__.py")}
    assert set(c2vl_kit.FLOORS) == floors
    assert {*c2vl_kit.NAMES, *floors, "__version__"} <= set(dir(c2vl_kit))
    assert not set(c2vl_kit.NAMES) & floors, "a folder of the same name would hide it"


def test_star_and_unknown_names():
    assert in_a_new_process("from c2vl_kit import *; print(Clip.__name__, callable(evaluate))") == "Clip True"
    with pytest.raises(AttributeError, match="no attribute 'pretrian'"):
        c2vl_kit.pretrian  # noqa: B018
    with pytest.raises(ImportError, match="pretrian"):
        from c2vl_kit import pretrian  # noqa: F401


@pytest.mark.parametrize(
    "first",
    ["", "import c2vl_kit.evaluate.probes", "from c2vl_kit.evaluate.features import extract", "from c2vl_kit import evaluate"],
)
def test_evaluate_is_floor_and_function_in_any_order(first):
    """The folder `evaluate` and the function `evaluate` share a name: the folder can be called."""
    code = f"""
{first}
from c2vl_kit import evaluate
import c2vl_kit.evaluate.probes
from c2vl_kit.evaluate import probes
assert evaluate is c2vl_kit.evaluate and evaluate.probes is probes
got = []
probes.evaluate = lambda *args, **kwargs: got.append((args, kwargs))
evaluate("run", "store", split="s")
print(got)"""
    assert in_a_new_process(code) == "[(('run', 'store'), {'split': 's'})]"
