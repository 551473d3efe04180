"""Shared by all tests: where real recordings lie, a quiet environment, and one tiny simulated store."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
from signals import heed  # noqa: E402

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # bits are compared, with those of other processes too
os.environ.setdefault("C2VL_MACHINE", "off")  # what `c2vl doctor --bench` chose on this machine is no part of a test
heed()  # a job in the background ignores Ctrl-C, and so would every process that a test starts and interrupts


TOLD = []  # (title, text)


@pytest.fixture(scope="session")
def at_the_end():
    """Tests that measure say so below the run: at_the_end(title, text)."""
    return lambda title, text: TOLD.append((title, text))


def pytest_sessionfinish(session):
    """What a worker of pytest-xdist was told goes to the process that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["told"] = TOLD


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """A worker has ended."""
    TOLD.extend(tuple(t) for t in getattr(node, "workeroutput", {}).get("told", ()))


def pytest_terminal_summary(terminalreporter):
    for title, text in TOLD:
        terminalreporter.section(title)
        terminalreporter.line(text)
    skipped = [r.longrepr[2].removeprefix("Skipped: ") for r in terminalreporter.stats.get("skipped", []) if isinstance(r.longrepr, tuple)]
    for reason in sorted(set(skipped)):
        terminalreporter.line(f"skipped {skipped.count(reason)}: {reason}")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


class Recordings(type(Path())):
    """The folder of real recordings: asking for a data set that is not in it skips the test and says so."""

    def __truediv__(self, key) -> Path:
        found = Path(self) / key
        if not (Path(self) / Path(key).parts[0]).exists():
            pytest.skip(f"C2VL_DATA holds no {Path(key).parts[0]}: put these recordings there to run this on them")
        return found


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real recordings (nw_ucla/, utd_mhad/, ntu_samples/ ...); skips where it, or the part asked for, is absent."""
    folder = os.environ.get("C2VL_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set C2VL_DATA to the folder of real recordings (nw_ucla/, utd_mhad/, ntu_samples/ ...) to run this on them")
    return Recordings(folder)


@pytest.fixture(scope="session")
def tiny_clips() -> list:
    """3 classes × 4 subjects × 2 repetitions of simulated motions: 24 clips with a label and a subject each."""
    from c2vl_kit.data.simulate import SimulatorConfig, simulate

    return simulate(SimulatorConfig(classes=3, subjects=4, repetitions=2, seed=0)).clips


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of 1 MB of its own; skips where this user may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", folder], capture_output=True, text=True)
    except OSError as why:
        pytest.skip(f"a full disk needs a small file system, and there is no mount here ({why})")
    if done.returncode:
        pytest.skip(f"a full disk needs a small file system, and mounting one failed ({done.stderr.strip().splitlines()[-1]})")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
