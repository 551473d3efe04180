"""Everything that checks the project, in order, each step timed.

    python tools/check.py              all steps
    python tools/check.py pages ruff   only these
    python tools/check.py --fast       what is looked at before each commit, in a minute

Every step runs even if an earlier one failed. The light ones run two at a time, then the pages and pytest, which take both cores
of a small machine each. pytest comes last, so its closing line closes the output. The exit code is 1 if any step failed.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from signals import heed

ROOT = Path(__file__).resolve().parents[1]
PY, BIN = sys.executable, Path(sys.executable).parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
QUIET = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "MPLBACKEND": "Agg", "PYTHONUNBUFFERED": "1"}
# Coverage is counted where Python itself reports lines (3.12 and newer). Below that it makes the tests much slower: ask for it
# with COVERAGE=1 in the environment.
MONITORED = sys.version_info >= (3, 12)
COVERAGE = ["--cov", "--cov-report=term"] if MONITORED or os.environ.get("COVERAGE") else []
COUNTING = {"COVERAGE_CORE": "sysmon"} if MONITORED else {}
QUICK_TESTS = [f"tests/test_{name}.py" for name in ("losses", "transforms", "prompts", "data", "top")]
# The longest files come first, so that no core waits for the other at the end.
LONGEST = [f"tests/test_{name}.py" for name in (
    "scale", "cli", "jupyterlab", "distributed", "compile", "family", "fuzz", "resume", "widgets_explorer", "widgets_player", "methods",
    "store", "export", "server", "prompts", "killed_captioning", "kills")]
SPREAD = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
PYTHON_FILES = ["c2vl_kit", "tests", "tools", "bench", "setup.py"]

# name → (what it checks, command, environment, seconds it may take)
STEPS = {
    "step": ("notebooks clean, package in step", [PY, "tools/in_step.py"], {}, 180),
    "readme": ("README.md in step with index.ipynb", [PY, "tools/readme.py", "--check"], {}, 60),
    "pages": ("notebook lint", [PY, "tools/lint_notebooks.py"], {}, 60),
    "house": ("names, classes, cells and prose no worse", [PY, "tools/house.py", "--check"], {}, 60),
    "rooms": ("import direction, light imports", [PY, "tools/import_rule.py"], ONE_THREAD, 180),
    "ruff": ("ruff", [BIN / "ruff", "check", "--no-cache", *(f for f in PYTHON_FILES if (ROOT / f).exists())], {}, 60),
    "scripts": ("scripts of the widgets: lengths, types, lint (the last two with Node)", [PY, "tools/scripts.py"], {}, 180),
    "types": ("types of the package (basedpyright)", [PY, "tools/check_types.py"], {}, 600),
    "quick": ("the quick tests", [PY, "-m", "pytest", "-q", *QUICK_TESTS], ONE_THREAD, 120),
    "notebooks": ("nbdev_test", [PY, "tools/test_notebooks.py"], ONE_THREAD, 1110),
    "pytest": ("pytest", [PY, "-m", "pytest", "-q", *SPREAD, *COVERAGE, *LONGEST, "tests"], ONE_THREAD | COUNTING, 1800),
}
FAST = ["types", "pages", "ruff", "quick"]  # two at a time; types and quick take about as long as each other
ALL = [name for name in STEPS if name != "quick"]  # pytest runs the quick tests too
HEAVY = ["notebooks", "pytest"]  # have two workers themselves
RUNNING: set[subprocess.Popen] = set()


def run(name: str, out=None) -> tuple[bool, float]:
    """Runs one step in its own process group, ends the whole group when time is up. Returns (passed, seconds).

    What it says goes to the terminal, or to the open file `out`.
    """
    what, command, extra, limit = STEPS[name]
    print(f"\n=== {name}: {what}", flush=True, file=out)
    start = time.perf_counter()
    pipes = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out and subprocess.STDOUT}
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | QUIET | extra, start_new_session=True, **pipes)
    RUNNING.add(process)
    try:
        passed = process.wait(timeout=limit) == 0
    except subprocess.TimeoutExpired:
        print(f"{name}: stopped after its limit of {limit} s", flush=True, file=out)
        passed = False
    finally:
        end_group(process)
        RUNNING.discard(process)
    return passed, time.perf_counter() - start


def end_group(process: subprocess.Popen) -> None:
    """Ends whatever is left of a step, its workers too: asked first, then made to."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=5)
        os.killpg(process.pid, signal.SIGKILL)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def aside(name: str) -> tuple[bool, float]:
    """Runs one step beside others and says what it said when it ends."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out:
        result = run(name, out)
        out.seek(0)
        print(out.read() + f"--- {name}: {'ok' if result[0] else 'FAILED'}, {result[1]:.1f} s", flush=True)
    return result


def two_at_a_time(names: list[str]) -> dict[str, tuple[bool, float]]:
    """Name → (passed, seconds) of steps that take a core each; types, the longest, begins. Ctrl-C ends those that run."""
    order = sorted(names, key=lambda name: name != "types")
    with ThreadPoolExecutor(2) as pool:
        try:
            found = dict(zip(order, pool.map(aside, order)))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(RUNNING):
                end_group(process)
            raise
    return {name: found[name] for name in names}


def fast() -> int:
    """The quick steps."""
    results = two_at_a_time(FAST)
    failed = [name for name, (passed, _) in results.items() if not passed]
    if failed:
        print(f"\nFAILED: {', '.join(failed)}", file=sys.stderr, flush=True)
    return bool(failed)


def main(chosen: list[str]) -> int:
    unknown = [name for name in chosen if name not in STEPS]
    if unknown:
        print(f"no step {unknown[0]!r}; the steps are: {', '.join(STEPS)}", file=sys.stderr)
        return 2
    asked = [n for n in STEPS if n in (chosen or ALL)]
    results = two_at_a_time([n for n in asked if n not in HEAVY])
    for name in [n for n in asked if n in HEAVY]:
        if name == "pytest" and results:
            print("\n=== so far", flush=True)
            for earlier, (passed, seconds) in results.items():
                print(f"{'ok    ' if passed else 'FAILED'} {seconds:6.1f} s  {earlier}: {STEPS[earlier][0]}", flush=True)
        results[name] = run(name)
        if name != "pytest":
            print(f"--- {name}: {'ok' if results[name][0] else 'FAILED'}, {results[name][1]:.1f} s", flush=True)
    failed = [name for name, (passed, _) in results.items() if not passed]
    if failed:
        print(f"\nFAILED: {', '.join(failed)}. Run one alone: make test STEPS={failed[0]}", file=sys.stderr, flush=True)
    return bool(failed)


if __name__ == "__main__":
    heed()
    try:
        sys.exit(fast() if sys.argv[1:] == ["--fast"] else main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
