"""C2VL's published prompts and what a text-only probe finds in them; a captioner that is killed while it writes."""

import os
import signal
import subprocess
import sys
import time
import warnings
import zipfile

import numpy as np
import pytest

from c2vl_kit.concepts.prompts import Prompt, PromptStore
from c2vl_kit.concepts.quality import leakage_probe
from c2vl_kit.concepts.published import parse_c2vl_name, read_c2vl
from c2vl_kit.core import InputError


@pytest.fixture(scope="module")
def published(data_root):
    path = data_root / "c2vl_prompts" / "pkuv2_language.zip"
    if not path.is_file():
        pytest.skip("c2vl_prompts/pkuv2_language.zip is not in the data folder")
    return read_c2vl(path)


def test_published_file_has_6952_clips_of_16_answers(published):
    parts = [parse_c2vl_name(n) for n in published.names]
    assert len(published.names) == 6952 and len(published) == 6952 * 16
    assert {p["subject"] for p in parts} == set(range(1, 14)) and {p["camera"] for p in parts} == {1, 2, 3}
    assert len({p["label"] for p in parts}) == 41
    assert published.missing(published.names) == {} and not published.leaks_labels


@pytest.mark.parametrize(("kind", "anchor"), [("subject", 0.333), ("camera", 0.420)])
def test_leakage_anchor(published, kind, anchor):
    """Train subjects 1–10, test 11–13: 33.3 %. Train views 2 and 3, test view 1: 42.0 %."""
    parts = {n: parse_c2vl_name(n) for n in published.names}
    is_train = (lambda p: p["subject"] <= 10) if kind == "subject" else (lambda p: p["camera"] >= 2)
    train = [n for n, p in parts.items() if is_train(p)]
    test = [n for n, p in parts.items() if not is_train(p)]
    accuracy = leakage_probe(published, train, [parts[n]["label"] for n in train], test, [parts[n]["label"] for n in test])
    assert accuracy == pytest.approx(anchor, abs=0.006)


def test_import_writes_a_store_that_reads_back(published, data_root, tmp_path):
    again = read_c2vl(data_root / "c2vl_prompts" / "pkuv2_language.zip", tmp_path / "prompts.jsonl")
    read = PromptStore(tmp_path / "prompts.jsonl")
    assert read.checksum == again.checksum == published.checksum


WRITER = """
import sys, time
from c2vl_kit.concepts.prompts import Prompt, PromptStore

def captions():
    for k in range(10**6):
        if k % 500 == 499:
            time.sleep(0.01)
        yield Prompt(f"clip{k // 16:05d}", k % 16, "?", "He moves " * (1 + k % 60), "writer")

print("writing", flush=True)
PromptStore(sys.argv[1]).append(captions())
"""


@pytest.mark.skipif(os.name != "posix", reason="kills a process by signal")
def test_a_killed_writer_leaves_a_store_that_goes_on(tmp_path):
    path = tmp_path / "prompts.jsonl"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    writer.stdout.readline()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (path.exists() and path.stat().st_size > 200_000):
        time.sleep(0.02)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store = PromptStore(path)
    done = len(store)
    assert done > 100
    todo = store.missing([f"clip{k:05d}" for k in range(done // 16 + 2)])
    store.append(Prompt(n, m, "?", "again", "second") for n, moments in todo.items() for m in moments)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(PromptStore(path)) == (done // 16 + 2) * 16


def test_every_cut_of_a_file_opens(tmp_path):
    """Whatever byte the crash fell on: whole lines are kept, at most the last one is lost."""
    path = tmp_path / "prompts.jsonl"
    PromptStore(path).append(Prompt("clip", k, "wer?", f"Er läuft – {k} „schnell“\u2028", "hand") for k in range(4))
    data = path.read_bytes()
    for cut in np.random.default_rng(0).integers(0, len(data), 60):
        path.write_bytes(data[:cut])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            store = PromptStore(path)
        assert len(store) - data[:cut].count(b"\n") in (0, 1)  # one more where only the newline is missing
        store.append([Prompt("other", 0, "", "new", "hand")])
        assert PromptStore(path).answers("other") == ["new"]


def test_unknown_clips_are_refused_by_the_store(tmp_path, tiny_clips):
    from c2vl_kit.data.build import build_store

    store, _ = build_store(tmp_path / "store", tiny_clips, dataset="simulated", progress=False)
    prompts = PromptStore()
    prompts.append(Prompt(c.name, 0, "", "He moves.", "hand") for c in tiny_clips)
    assert prompts.check(store) is prompts
    prompts.append([Prompt("nobody", 0, "", "He moves.", "hand")])
    with pytest.raises(InputError, match="'nobody'"):
        prompts.check(store)


def test_published_prompts_that_are_no_such_thing(tmp_path, monkeypatch):
    """Nested without end, a member that is not what its header says, a bomb: one sentence each."""
    deep = tmp_path / "deep.json"
    deep.write_text('{"a": ' * 100_000 + "1" + "}" * 100_000)
    with pytest.raises(InputError, match="cannot be read as json"):
        read_c2vl(deep)
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("prompts.json", "[" + "0," * 2_000_000 + "0]")
    assert bomb.stat().st_size < 20_000
    monkeypatch.setattr("c2vl_kit.concepts.published.MOST_BYTES", 1_000_000)
    with pytest.raises(InputError, match="at most 1,000,000 are read"):
        read_c2vl(bomb)
    damaged = bytearray(bomb.read_bytes())
    damaged[60:80] = b"\xff" * 20
    (tmp_path / "damaged.zip").write_bytes(damaged)
    monkeypatch.setattr("c2vl_kit.concepts.published.MOST_BYTES", 2**29)
    with pytest.raises(InputError, match="cannot be read as json"):
        read_c2vl(tmp_path / "damaged.zip")
