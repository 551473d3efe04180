"""Every setting from the command line: names, files, seeds, runs and their names, answers as JSON, completion, trackers."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from c2vl_kit.app.cli import COMMANDS, main
from c2vl_kit.app.commands import completion, parse
from c2vl_kit.core import InputError
from c2vl_kit.methods.settings import METHODS, config_of, defaults_of, method_named, settings_of, settings_table

ROOT = Path(__file__).resolve().parents[1]
SMALL = ["--classes", "3", "--subjects", "4", "--repetitions", "2"]
TINY = ["--epochs", "1", "--frames", "16", "--width", "4", "--batch-size", "8"]


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A job with a store and a concept space."""
    folder = tmp_path_factory.mktemp("settings")
    for command in (["prepare", *SMALL], ["embed"]):
        assert main([*command, "--out", str(folder / "job"), "--quiet"]) == 0
    return folder


@pytest.fixture
def c2vl(job, monkeypatch, capfd):
    """Runs the command in the job's folder, in this process; gives exit code, what it printed, and its complaint."""

    def run(*args):
        monkeypatch.chdir(job)
        capfd.readouterr()
        return main([str(a) for a in args]), *capfd.readouterr()

    return run


def test_the_table_of_settings_is_in_step():
    """What the help tells without torch is what the classes say."""
    kept = json.loads((ROOT / "c2vl_kit/static/settings.json").read_text(encoding="utf-8"))
    assert kept == settings_table(), "run `python tools/settings.py`"


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_of_every_method_arrives(method):
    """Each is set alone, by a word, to what it is; and the tree that comes out is the preset."""
    words = {name: "none" if value is None else ",".join(map(str, value)) if isinstance(value, list) else str(value)
             for name, value in defaults_of(method).items() if value is not None or "None" in settings_of(method)[name].kinds}
    typed = [f"--{name.replace('_', '-')}={word}" for name, word in words.items()]
    args = parse(COMMANDS, ["pretrain", "--method", method, *typed])
    given = {name: words[0] if isinstance(words, list) else words for name, words in args.settings.items()}
    assert len(given) == len(typed) > 40
    assert config_of({"method": method, **given}) == method_named(method).small()


def test_a_file_goes_in_and_comes_out(c2vl, job):
    asked = ["pretrain", "--method", "simclr", "--print-config", "--seed", "3"]
    code, printed, _ = c2vl(*asked, "--tau", "0.2", "--train.lr-steps", "30,40", "--train.schedule", "step", "--train.nesterov")
    told = json.loads(printed)
    assert code == 0 and told["method"] == "simclr" and told["config"]["tau"] == 0.2 and told["config"]["train"]["lr_steps"] == [30, 40]
    (job / "run.json").write_text(printed)
    assert c2vl("pretrain", "--config", "run.json", "--print-config")[1] == printed
    train = "train:\n  lr_steps: [30, 40]\n  schedule: step\n  nesterov: yes\n  seed: 3\n  lr: 2e-3\n"
    (job / "run.yaml").write_text(f"method: simclr\ntau: 0.2\n{train}")
    assert c2vl("pretrain", "--config", "run.yaml", "--print-config")[1] == printed
    (job / "bad.yaml").write_text("train:\n  lt: 1\n")
    code, said, why = c2vl("pretrain", "--config", "bad.yaml")
    assert (code, said) == (2, "") and "did you mean train.lr?" in why and why.count("\n") == 1


@pytest.mark.parametrize("words, says", [
    ("pretain", "did you mean pretrain?"), ("pretrain --epoch 3", "did you mean --epochs?"),
    ("pretrain --method simcrl", "did you mean simclr?"),
    ("pretrain --train.lt 1", "did you mean --train.lr?"), ("pretrain --train.lr fast", "train.lr takes a number, got 'fast'"),
    ("pretrain --method simclr --loss.k 3", "simclr has no setting loss.k: c2vl has"), ("pretrain up", "has no use for up"),
    ("pretrain --backbone.name lstm", "unknown backbone"), ("pretrain --track paper", "paper"),
    ("pretrain --processes 2 --seed 0 1", "one seed"), ("demo --seed 0 1", "one seed"), ("runs gone", "no folder gone"),
    ("pretrain --data nothing/here --out job", "nothing/here"),
])
def test_what_is_wrong_is_one_sentence(c2vl, words, says):
    code, printed, why = c2vl(*words.split())
    assert code == 2 and printed == "" and says in why and why.startswith("c2vl: ") and why.count("\n") == 1, why


def test_help_tells_the_defaults_of_the_method(capfd):
    for words, lr in ((["--method", "simclr"], "0.002"), (["--method=skeletonclr", "--preset", "full"], "0.1")):
        with pytest.raises(SystemExit):
            main(["pretrain", "--help-all", *words])
        said = " ".join(capfd.readouterr().out.split())
        assert f"highest learning rate (default: {lr})" in said and "settings of" in said and "loss.perplexity" not in said
    with pytest.raises(SystemExit):
        main(["pretrain", "--help"])
    assert "train.warmup" not in capfd.readouterr().out.split("example:")[0]


def test_help_imports_nothing_heavy(tmp_path):
    code = ("import sys\nfrom c2vl_kit.app.cli import main\n"
            "try: main(['pretrain', '--help-all', '--method', 'ikem'])\nexcept SystemExit: pass\n"
            "print([m for m in ('torch', 'matplotlib', 'numpy', 'yaml') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_methods_seeds_names_and_the_list_of_runs(c2vl, job):
    """Each run has a folder of its own; the list says what was trained, and evaluates to the same figures as the run's file."""
    code, printed, why = c2vl("pretrain", "--out", "job", "--method", "simclr", "--seed", "0", "1", *TINY, "--json")
    made = json.loads(printed)
    assert code == 0 and why == "" and [m["run"] for m in made] == ["job/run-simclr", "job/run-simclr-seed1"]
    assert made[0]["loss"] != made[1]["loss"] and made[1]["seed"] == 1
    for words in (["--name", "warm", "--init", "job/run-simclr", "--method", "simclr"], ["--method", "supervised"],
                  ["--method", "mmcl"], [],
                  ["--method", "crosclr"], ["--method", "ikem", "--views", "joint,bone"], ["--method", "skeletonclr", "--queue", "16"]):
        code, printed, why = c2vl("pretrain", "--out", "job", *words, *TINY, "--quiet")
        assert (code, printed, why) == (0, "", ""), why
    code, printed, why = c2vl("pretrain", "--out", "job", "--method", "distil", "--teacher", "job/run-skeletonclr", *TINY, "--quiet")
    assert (code, why) == (0, ""), why
    assert json.loads((job / "job/run-warm/config.json").read_text())["init"]["run"] == "run-simclr"
    code, printed, _ = c2vl("evaluate", "--out", "job", "--name", "simclr", "warm", "--json")
    assert code == 0 and len(json.loads(printed)) == 2
    code, printed, _ = c2vl("runs", "job", "--json")
    rows = {r["run"]: r for r in json.loads(printed)}
    assert set(rows) == {"run", "run-simclr", "run-simclr-seed1", "run-warm", "run-supervised", "run-mmcl", "run-crosclr", "run-ikem",
                         "run-skeletonclr", "run-distil"}
    figures = json.loads((job / "job/run-warm/results.json").read_text())["rows"][0]
    score = next(iter(figures["scores"]["table"].values()))["last"]["accuracy"]
    assert rows["run-warm"]["figures"][figures["protocol"]] == score and rows["run"]["method"] == "c2vl" and rows["run"]["figures"] == {}
    assert rows["run-simclr"]["loss"] == made[0]["loss"]
    assert "run-simclr-seed1" in c2vl("runs", "job")[1]
    code, _, why = c2vl("evaluate", "--out", "job", "--name", "gone")
    assert code == 2 and "simclr-seed1" in why


def test_a_store_of_your_own_by_its_folder(c2vl, job):
    shutil.copytree(job / "job/store", job / "mine/dance")
    code, printed, why = c2vl("pretrain", "--data", "mine/dance", "--method", "simclr", *TINY, "--json")
    assert code == 0 and json.loads(printed)["run"] == "runs/dance/run-simclr", why
    assert (job / "runs/dance/store").resolve() == (job / "mine/dance").resolve()
    code, _, why = c2vl("pretrain", "--data", "mine/dance", "--out", "job", "--method", "simclr", *TINY)
    assert code == 2 and "another store" in why


def complete(shell: str, script: Path, *words: str) -> list[str]:
    """What the shell offers for the last word."""
    line = " ".join(f"'{w}'" for w in ("c2vl", *words))
    if shell == "bash":
        code = f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _c2vl; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        return subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True).stdout.split()
    code = (f"compdef() {{ :; }}; compadd() {{ [[ $1 == -- ]] && shift; print -l -- $@; }}; _files() {{ :; }}; source {script}; "
            f"words=({line}); CURRENT={len(words) + 1}; _c2vl")
    return subprocess.run(["zsh", "-f", "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion(shell, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell} here")
    script = tmp_path / "script"
    script.write_text(completion(COMMANDS, shell))
    assert {"pretrain", "prepare"} <= set(complete(shell, script, "pre"))
    assert {"--train.lr", "--train.lr-steps"} <= set(complete(shell, script, "pretrain", "--train.lr"))
    assert set(complete(shell, script, "pretrain", "--method", "")) == set(METHODS)
    assert "cosine" in complete(shell, script, "pretrain", "--train.schedule", "")
    assert complete(shell, script, "show", "") == []  # files


def test_tensorboard_reads_back_every_epoch(c2vl, job):
    """Real event files of a run that was stopped and went on: each epoch once, with the numbers of the log."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    asked = ["pretrain", "--out", "job", "--method", "simclr", "--name", "told", *TINY, "--track", "tensorboard", "--quiet"]
    assert c2vl(*asked)[0] == 0
    assert c2vl(*asked, "--epochs", "3")[0] == 0
    log = [json.loads(line) for line in (job / "job/run-told/log.jsonl").read_text().splitlines()]
    events = EventAccumulator(str(job / "job/run-told/tensorboard")).Reload()
    assert [s.step for s in events.Scalars("loss")] == [r["epoch"] for r in log] == [1, 2, 3]
    assert [s.value for s in events.Scalars("loss")] == pytest.approx([r["loss"] for r in log], rel=1e-6)


def test_trackio_reads_back_every_epoch(job, tmp_path):
    """In a process of its own: Trackio takes its folder when it is imported."""
    pytest.importorskip("trackio")
    env = os.environ | {"TRACKIO_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    words = ["pretrain", "--out", "job", "--method", "simclr", "--name", "kept", *TINY, "--epochs", "2", "--track", "trackio", "--quiet"]
    code = f"""from c2vl_kit.app.cli import main
assert main({words!r}) == 0
import json
from trackio.sqlite_storage import SQLiteStorage
print(json.dumps(SQLiteStorage.get_logs("job", "run-kept")))"""
    done = subprocess.run([sys.executable, "-c", code], cwd=job, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    log = [json.loads(line) for line in (job / "job/run-kept/log.jsonl").read_text().splitlines()]
    assert [(t["step"], t["loss"]) for t in told] == [(r["epoch"], r["loss"]) for r in log]


def test_without_the_package_a_tracker_says_how_to_get_it(c2vl):
    if find_spec("tensorboard"):
        pytest.skip("tensorboard is here")
    code, _, why = c2vl("pretrain", "--out", "job", "--track", "tensorboard", *TINY)
    assert code == 2 and "c2vl_kit[track]" in why


def test_a_function_becomes_a_command(tmp_path, monkeypatch, capfd):
    """An entry of the table is enough: parameters become options, with their comments as help."""
    from c2vl_kit.app.commands import answer_of, call, tell

    (tmp_path / "greeting.py").write_text('def greet(\n    names: list[str],  # whom\n    words: int = 1,  # how often\n'
                                          '    run: str = "",  # what follows\n'
                                          '    loud: bool = False,  # in capitals\n    progress: bool = True,\n):\n'
                                          '    said = " ".join(names * words) + run\n    return said.upper() if loud else said\n')
    monkeypatch.syspath_prepend(tmp_path)
    table = {"greet": call("greeting:greet", "say hello", "c2vl greet you")}
    assert "greeting" not in sys.modules
    args = parse(table, ["greet", "you", "me", "--words", "2", "--run", "!", "--loud"])
    assert tell(answer_of(table["greet"].run(args))) == 0 and capfd.readouterr().out == "YOU ME YOU ME!\n"
    with pytest.raises(SystemExit):
        parse(table, ["greet", "--help"])
    said = capfd.readouterr().out
    assert "how often (default: 1)" in said and "--progress" not in said
    with pytest.raises(InputError, match="'twice' is no int"):
        parse(table, ["greet", "you", "--words", "twice"])
