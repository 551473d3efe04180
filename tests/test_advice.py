"""Every command that the kit advises exists, with those options, and changes what was wrong. Progress, plans and pages of the command."""

import ast
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from inside import Done, c2vl

from c2vl_kit.app.cli import command_parser
from c2vl_kit.app.family import family
from c2vl_kit.app.members import MEMBERS
from c2vl_kit.progress import Meter, lines_to
from c2vl_kit.core import InputError

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = "prepare|caption|embed|pretrain|evaluate|report|show|bench|demo|doctor|runs|completion|predict|search|describe|features|export"
TINY = ["--epochs", "2", "--frames", "16", "--width", "4", "--batch-size", "8"]


def texts(path: Path) -> list[tuple[int, str]]:
    """(line, text) of every string of a module that is no docstring; what an f-string fills in is X."""
    tree, found = ast.parse(path.read_text(encoding="utf-8")), []
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node) if part is not node}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            said = "".join(p.value if isinstance(p, ast.Constant) else "X" for p in node.values)
            found.append((node.lineno, said))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            found.append((node.lineno, node.value))
    return found


def advised() -> list[tuple[str, str]]:
    """(where, command) of every command in the kit's sentences, its help, its pages and its README."""
    found = []
    for path in sorted((ROOT / "c2vl_kit").rglob("*.py")):
        if path.name != "_modidx.py":
            for kind in (r"`(c2vl [^`]*)`", rf"(?m)^ *(c2vl (?:{COMMANDS})\b.*)$"):
                found += [(f"{path.name}:{line}", c) for line, said in texts(path) for c in re.findall(kind, said)]
    prose = {p.name: p.read_text(encoding="utf-8") for p in (ROOT / "README.md", ROOT / "CONTRIBUTING.md")}
    for page in sorted((ROOT / "nbs").rglob("*.ipynb")):
        cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
        prose[page.name] = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    for name, text in prose.items():
        found += [(name, c) for c in re.findall(r"`(c2vl [^`]*)`", text)]
        found += [(name, c) for c in re.findall(rf"^(c2vl (?:{COMMANDS})\b[^|\n]*)$", text, re.M)]
    return [(where, c) for where, c in found if not re.search(r"c2vl (COMMAND|argv|--help|--version)", c)]


def test_every_advised_command_is_one():
    said, wrong, parser = advised(), [], command_parser()
    assert len(said) > 40
    for where, command in said:
        words = [w for w in shlex.split(command.split("  #")[0]) if w not in ("…", "...")]
        words = ["1" if w in ("N", "PERCENT") else w for w in words[1:]]
        if len(words) == 1 and where.endswith((".md", ".ipynb")):  # a name in prose
            continue
        try:
            parser.parse_args(words)
        except (InputError, SystemExit) as why:
            wrong.append(f"{where}: {command}: {why}")
    assert not wrong, "\n".join(wrong)


def test_sentences_quote_the_commands_they_advise():
    """Outside of backticks a command could not be found by the test above; a bare name is no advice."""
    bare = []
    for path in sorted((ROOT / "c2vl_kit").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and node.exc is not None:
                text = "".join(n.value for n in ast.walk(node.exc) if isinstance(n, ast.Constant) and isinstance(n.value, str))
                if re.search(rf"c2vl (?:{COMMANDS})\b", re.sub(r"`[^`]*`", "", text)):
                    bare.append(f"{path.name}:{node.lineno}: {text}")
    assert not [b for b in bare if not re.search("the same c2vl caption command", b)], "\n".join(bare)


def test_options_that_sentences_name_exist():
    commands = command_parser()._subparsers._group_actions[0].choices.values()
    known = {option for command in commands for option in command._option_string_actions} | {"--version"}
    for path in sorted((ROOT / "c2vl_kit").rglob("*.py")):
        if path.name in ("_modidx.py", "runs.py"):  # runs.py asks git
            continue
        for line, said in texts(path):
            for option in re.findall(r"(?<![\w-])(--[a-z][a-z.-]+[a-z])(?![\w(-])", said):
                css = " " not in said or any(mark in said for mark in ("var(", "{--", ";--"))
                assert option in known or css, f"{path.name}:{line}: {option} in {said[:90]!r}"


def follow(sentence: str, cwd: Path, **fill) -> Done:
    """Runs the command in a sentence, placeholders filled in."""
    (command,) = re.findall(r"`(c2vl [^`]*)`", sentence)
    return c2vl(*[str(fill.get(w, w)) for w in shlex.split(command)[1:]], cwd=cwd)


def test_advice_is_followed_from_nothing_to_figures(tmp_path, data_root):
    """Each step before its time names the step that is missing; on real recordings, and never the simulator in their place."""
    raw = data_root / "utd_mhad"
    said = c2vl("embed", "--out", "my job", cwd=tmp_path)
    assert said.returncode == 2 and "`c2vl prepare NAME ROOT --out 'my job'`" in said.stderr and "02_your_own_data" in said.stderr
    said = c2vl("embed", "--data", "utd-mhad", "--out", "my job", cwd=tmp_path)
    assert "`c2vl prepare utd-mhad ROOT --out 'my job'`" in said.stderr and not list(tmp_path.iterdir())
    (tmp_path / "few").mkdir()
    for a in (1, 2, 3):
        for s in (1, 2, 3, 4):
            for file in raw.rglob(f"a{a}_s{s}_t1_skeleton.mat"):
                shutil.copy(file, tmp_path / "few")
    done = follow(said.stderr, tmp_path, ROOT="few")
    assert done.returncode == 0 and "of utd-mhad in my job/store" in done.stdout, done.stderr


def test_advice_is_followed_on_simulated_clips(tmp_path):
    done = c2vl("prepare", "simulated", "--classes", 3, "--subjects", 4, "--repetitions", 2, "--out", "job", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = c2vl("pretrain", "--out", "job", cwd=tmp_path)
    assert follow(said.stderr, tmp_path).returncode == 0 and (tmp_path / "job/space").is_dir()
    said = c2vl("evaluate", "--out", "job", cwd=tmp_path)
    assert said.returncode == 2 and "has no run" in said.stderr and "`c2vl pretrain --out job`" in said.stderr
    vectors = tmp_path / "job/space/space.safetensors"
    vectors.write_bytes(vectors.read_bytes()[:-9])
    said = c2vl("pretrain", "--out", "job", *TINY, cwd=tmp_path)
    assert said.returncode == 2 and follow(said.stderr, tmp_path).returncode == 0
    done = c2vl("pretrain", "--out", "job", *TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("training ")]
    assert 2 <= len(lines) <= 10 and lines[-1].startswith("training 100 %: 2 of 2 epochs") and "loss" in lines[-1], done.stdout
    assert "\r" not in done.stdout + done.stderr and done.stderr == ""
    joints = tmp_path / "job/store/joints.npy"
    joints.unlink()
    said = c2vl("evaluate", "--out", "job", cwd=tmp_path)
    assert "`c2vl prepare simulated --out job --overwrite`" in said.stderr
    assert follow(said.stderr, tmp_path).returncode == 0
    said = c2vl("evaluate", "--out", "job", cwd=tmp_path)  # other clips than the run's by now
    assert said.returncode == 2 and said.stderr.count("\n") == 1 and "--allow-other-store-or-split" in said.stderr
    facts = json.loads((tmp_path / "job/run/config.json").read_text())
    assert facts["store_checksum"][:12] in said.stderr and facts["split"]["hash"] in said.stderr
    assert not (tmp_path / "job/run/results.json").exists()
    done = c2vl("evaluate", "--out", "job", "--allow-other-store-or-split", cwd=tmp_path)
    assert done.returncode == 0 and "Careful" in done.stdout and not (tmp_path / "job/run/results.json").exists(), done.stderr
    assert len(list((tmp_path / "job/run").glob("results-*.json"))) == 1


# pages


def test_nothing_is_written_beside_a_recording(tmp_path, data_root):
    raw = tmp_path / "raw"
    raw.mkdir()
    file = next((data_root / "utd_mhad").rglob("*_skeleton.mat"))
    shutil.copy(file, raw)
    for cwd, name in ((tmp_path, f"raw/{file.name}"), (raw, file.name)):
        done = c2vl("show", name, "--no-open", cwd=cwd)
        assert done.returncode == 0 and "temporary" in done.stdout, done.stderr
        page = Path(re.match(r"page: (.*?) \(", done.stdout)[1])
        assert page.is_file() and not page.is_relative_to(tmp_path) and [p.name for p in raw.iterdir()] == [file.name]
        shutil.rmtree(page.parent)
    done = c2vl("show", f"raw/{file.name}", "--no-open", "--page", "mine.html", cwd=tmp_path)
    assert done.stdout == "page: mine.html\n" and (tmp_path / "mine.html").is_file()


def test_no_job_is_made_among_the_recordings(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/a01_s01_e00_v01.json").write_text("{}")
    for command in (["prepare", "nw-ucla", ".", "--out", "job"], ["demo", "--data", "nw-ucla", "--root", "."],
                    ["bench", "family", "--root", "."]):
        done = c2vl(*command, cwd=tmp_path / "raw")
        assert done.returncode == 2 and "among the raw recordings" in done.stderr, done.stderr
        assert [p.name for p in (tmp_path / "raw").iterdir()] == ["a01_s01_e00_v01.json"]


# progress


def test_a_meter_writes_a_line_every_tenth_into_a_log_file():
    code = ("from c2vl_kit.progress import Meter\n"
            "with Meter(250, 'reading', 'clip', show=True, delay=0) as meter:\n    for _ in meter.over(range(250)): pass")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [re.match(r"reading +(\d+) %: (\d+) of 250 clips", line).groups() for line in done.stderr.splitlines()] == [
        (f"{10 * k}", f"{25 * k}") for k in range(1, 11)]
    quiet = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=os.environ | {"C2VL_QUIET": "1"})
    assert quiet.stderr == done.stdout == ""


def test_a_meter_draws_a_bar_on_a_terminal():
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    code = "from c2vl_kit.progress import Meter\nwith Meter(3, 'reading', delay=0) as meter:\n    for _ in meter.over(range(3)): pass"
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, stderr=theirs, stdout=subprocess.DEVNULL, check=True)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "reading: 100%" in shown and "3/3" in shown and "\r" in shown


def test_unasked_a_meter_is_silent_in_a_log_file():
    file = io.StringIO()
    with lines_to(file), Meter(3, "reading", delay=0) as meter:
        for _ in meter.over(range(3)):
            pass
    assert file.getvalue() == ""


# plans


@pytest.mark.parametrize("asked, word", [
    (["--members", "untrained,byol"], "byol"), (["--seeds", "0"], "seeds"), (["--workers", "-1"], "workers"),
    (["--budget", "0"], "budget"), (["--data", "kinetics"], "kinetics"),
])
def test_a_bench_is_refused_before_a_store_is_built(tmp_path, asked, word):
    done = c2vl("bench", "family", "--data", "simulated", "--out", "table", *asked, cwd=tmp_path)
    assert done.returncode == 2 and word in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not list(tmp_path.iterdir())


def test_a_bench_says_its_plan_and_each_job(tmp_path, tiny_clips):
    from c2vl_kit.data.build import build_store
    from tests.test_family import TINY as FAMILY

    build_store(tmp_path / "store", tiny_clips, dataset="simulated", progress=False)
    told = []
    family("simulated", None, tmp_path, 2, FAMILY, ["supervised"], workers=0, say=told.append)
    assert told[0].startswith("2 jobs: 1 methods × 2 seeds") and re.search(r"about \d+:\d\d of training", told[1])
    assert [line for line in told if "begins" in line] == ["supervised seed 0 begins", "supervised seed 1 begins"]
    assert told[-1].endswith("2 of 2 jobs done")
    with pytest.raises(InputError, match=f"the family is {', '.join(MEMBERS)}"):
        family("simulated", None, tmp_path / "no", 1, FAMILY, ["byol"])
    assert not (tmp_path / "no").exists()


def test_a_bench_says_every_so_often_what_runs(tmp_path, tiny_clips):
    from c2vl_kit.data.catalog import get_split
    from c2vl_kit.data.build import build_store
    from c2vl_kit.app.members import Work, run_all
    from tests.test_family import TINY as FAMILY

    store, _ = build_store(tmp_path / "store", tiny_clips, dataset="simulated", progress=False)
    told, plan = [], [Work("supervised", seed, tmp_path, get_split(store), FAMILY.replace(budget=6)) for seed in (0, 1)]
    run_all(plan, 0, told.append, every=0.2)
    assert any(re.match(r"running: supervised seed \d \(epoch \d\); \d of 2 jobs done, 0:\d\d gone", line) for line in told), told
