"""`c2vl caption` as a user meets it: the skeleton, a tiny model and a misbehaving server answer; `c2vl embed` takes what they said."""
import importlib.util
import json
import re
import signal
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
import test_lmm
from test_cli import SMALL, everything, start

from c2vl_kit.app.cli import main
from c2vl_kit.concepts.prompts import PromptStore
from c2vl_kit.concepts.answers import get_question
from c2vl_kit.concepts.server import Usage
from c2vl_kit.concepts.space import ConceptSpace

tiny_llava = test_lmm.llava  # a fixture: the folder of a tiny model with random weights
needs_video = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason='needs PyAV: pip install "c2vl_kit[video]"')
KEY = "sk-proj-AbC123xyz789SECRETsecret"


@dataclass
class Done:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def c2vl(monkeypatch, capfd):
    """Runs the command in a folder, in this process: a new one for each would spend its time importing."""

    def run(*args, cwd):
        monkeypatch.chdir(cwd)
        capfd.readouterr()
        return Done(main([str(a) for a in args]), *capfd.readouterr())

    return run


@pytest.fixture
def refused(c2vl):
    """Asserts: exit code 2, one line that names what is wrong, and nothing made or changed. Returns that line."""

    def run(*args, cwd, mentions):
        before = everything(cwd), sorted(cwd.iterdir())
        done = c2vl(*args, cwd=cwd)
        assert done.returncode == 2 and re.fullmatch(r"c2vl: [^\n]+\n", done.stderr), done.stdout + done.stderr
        assert all(str(word) in done.stderr for word in mentions), done.stderr
        assert (everything(cwd), sorted(cwd.iterdir())) == before, "something was left behind"
        return done.stderr

    return run


def film(file, shade: int):
    """A second of a bright square that wanders over a dim wall."""
    import av

    file.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(file), "w") as out:
        stream = out.add_stream("mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for t in range(20):
            picture = np.full((64, 96, 3), shade, np.uint8)
            picture[20:44, 4 * t : 4 * t + 16] = 230
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A job with a store of simulated clips, and a video of each beside it."""
    folder = tmp_path_factory.mktemp("recorded")
    assert main(["prepare", *SMALL, "--out", str(folder / "job")]) == 0
    names = PromptStore(folder / "job/prompts.jsonl").names
    if importlib.util.find_spec("av"):
        for i, name in enumerate(names):
            film(folder / f"video/{name}.mp4", 20 + 3 * i)
    return folder, tuple(names)


def whole(file, names, questions: int = 1, moments: int = 16):
    """Every line once, none torn."""
    data = file.read_bytes()
    lines = [json.loads(line) for line in data.splitlines()]
    keys = Counter((p["clip"], p["moment"], p["question"]) for p in lines)
    assert data.endswith(b"\n") and set(keys.values()) == {1} and len(keys) == len(names) * moments * questions
    assert {k[0] for k in keys} == set(names)
    return lines


def test_the_skeleton_answers_and_embed_takes_its_answers(c2vl, recorded, tmp_path):
    folder, names = recorded
    ask = ["caption", "--out", "job", "--captions", tmp_path / "said.jsonl", "--question", "motion", "--question", "part:left arm",
           "--moments", 4]
    first = c2vl(*ask, "--only", f"{names[0]}*", cwd=folder)
    assert first.returncode == 0 and "8 answers about 1 clips" in first.stdout and first.stderr == "", first.stderr
    done = c2vl(*ask, cwd=folder)
    assert done.returncode == 0 and f"{len(names) * 8:,} answers about {len(names)} clips" in done.stdout, done.stdout
    whole(tmp_path / "said.jsonl", names, questions=2, moments=4)
    spaces = {}
    for pooling in ("mean", "medoid"):
        out = tmp_path / pooling
        out.mkdir()
        (out / "store").symlink_to(folder / "job/store")
        done = c2vl("embed", "--out", out, "--captions", tmp_path / "said.jsonl", "--pooling", pooling, cwd=folder)
        assert done.returncode == 0, done.stderr
        spaces[pooling] = ConceptSpace.load(out / "space")
        assert spaces[pooling].info["language"]["pooling"] == pooling
    assert not np.allclose(spaces["mean"].language, spaces["medoid"].language, atol=1e-3)


def test_embed_takes_finished_prompts_as_they_are_and_refuses_unfinished_ones(c2vl, refused, recorded, tmp_path):
    folder, names = recorded
    (tmp_path / "job").mkdir()
    (tmp_path / "job/store").symlink_to(folder / "job/store")
    ask = ["caption", "--out", "job", "--question", "part:right arm"]
    assert c2vl(*ask, "--only", names[3], cwd=tmp_path).returncode == 0
    refused("embed", "--out", "job", cwd=tmp_path, mentions=(f"lacks {(len(names) - 1) * 16} answers",))
    assert c2vl(*ask, cwd=tmp_path).returncode == 0
    before = (tmp_path / "job/prompts.jsonl").read_bytes()
    done = c2vl("embed", "--out", "job", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "job/prompts.jsonl").read_bytes() == before  # nothing was added to somebody else's answers
    whole(tmp_path / "job/prompts.jsonl", names)


@needs_video
def test_a_model_answers_about_videos(c2vl, refused, recorded, tiny_llava, tmp_path):
    folder, names = recorded
    ask = ["caption", "--out", "job", "--captioner", tiny_llava, "--video", "video", "--pattern", "{name}.mp4",
           "--captions", tmp_path / "said.jsonl", "--question", "c2vl", "--question", "what is he raising ?",
           "--moments", 2, "--tokens", 4, "--device", "cpu"]
    assert c2vl(*ask, "--only", names[0], cwd=folder).returncode == 0
    begun = (tmp_path / "said.jsonl").read_bytes()
    done = c2vl(*ask, cwd=folder)
    assert done.returncode == 0 and "answers about" in done.stdout, done.stderr
    lines = whole(tmp_path / "said.jsonl", names, questions=2, moments=2)
    assert (tmp_path / "said.jsonl").read_bytes().startswith(begun)
    assert {p["source"] for p in lines} == {f"lmm {tiny_llava.name}"}
    assert {p["question"] for p in lines} == {get_question("c2vl").text, "what is he raising ?"}
    assert str(folder) not in (tmp_path / "said.jsonl").read_text()
    refused(*ask[:3], "--captions", tmp_path / "said.jsonl", cwd=folder,
            mentions=(f"holds answers of 'lmm {tiny_llava.name}'", "--captions"))


@pytest.fixture
def web():
    """A server of tests/test_server.py."""
    pytest.importorskip("httpx", reason='needs httpx: pip install "c2vl_kit[server]"')
    import threading

    import test_server

    made = []

    def make(script):
        web = test_server.Web(("127.0.0.1", 0), test_server.Handler)
        vars(web).update(script=script, latency=0.02, lock=threading.Lock(), requests=[], tries=Counter(), now=0, most=0)
        threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        made.append(web)
        return web, f"http://127.0.0.1:{web.server_port}/v1"

    yield make
    for web in made:
        web.shutdown()
        web.server_close()


@needs_video
def test_a_server_answers_is_killed_and_goes_on(c2vl, recorded, web, tmp_path, monkeypatch):
    folder, names = recorded
    monkeypatch.setenv("MY_KEY", KEY)
    server, address = web(lambda n, attempt: "telltale" if attempt % 20 else "broken")  # each repetition waits a second
    file = tmp_path / "said.jsonl"
    ask = ["caption", "--out", "job", "--captioner", address, "--model", "a-model", "--video", "video", "--pattern", "{name}.mp4",
           "--captions", file, "--question", "motion", "--key-env", "MY_KEY", "--concurrency", 3, "--prices", 2.5, 10]
    job = start(*ask, cwd=folder)
    until = time.monotonic() + 300
    while len(server.requests) < 40 and job.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    job.send_signal(signal.SIGKILL)
    said = job.communicate()
    kept = file.read_bytes()
    kept = kept[: kept.rfind(b"\n") + 1]
    assert 10 < kept.count(b"\n") < len(names) * 16
    done = c2vl(*ask, cwd=folder)
    assert done.returncode == 0, done.stderr
    lines = whole(file, names)
    assert file.read_bytes().startswith(kept) and {p["answer"] for p in lines} == {"You sent Bearer [key]."}
    bill = Usage.read(tmp_path / "said-ledger.jsonl", (2.5, 10.0))
    assert len(lines) <= bill.answers <= len(lines) + 64 and "tokens · cost" in done.stdout and "repeated: 500" in done.stdout
    asked = len(server.requests)
    assert c2vl(*ask, cwd=folder).returncode == 0 and len(server.requests) == asked  # nothing is asked twice
    texts = [*said, done.stdout, done.stderr, *(f.read_text() for f in tmp_path.iterdir())]
    assert {a for *_, a, _ in server.requests} == {f"Bearer {KEY}"} and not any(KEY[:10] in t for t in texts)


@needs_video
def test_a_server_that_says_no_is_one_sentence(c2vl, refused, recorded, web, tmp_path, monkeypatch):
    folder, names = recorded
    monkeypatch.setenv("MY_KEY", KEY)
    _, address = web(lambda n, attempt: "denied")
    ask = ["caption", "--out", "job", "--model", "a-model", "--video", "video", "--pattern", "{name}.mp4",
           "--captions", tmp_path / "said.jsonl"]
    done = c2vl(*ask, "--captioner", address, "--key-env", "MY_KEY", cwd=folder)
    assert done.returncode == 2 and "refuses the key in MY_KEY (401)" in done.stderr and done.stderr.count("\n") == 1
    assert KEY[:10] not in done.stdout + done.stderr and not (tmp_path / "said.jsonl").exists()
    refused(*ask, "--captioner", "http://127.0.0.1:9/v1", "--key-env", "none", "--tries", 1, "--only", names[0], cwd=folder,
            mentions=("no connection",))


@pytest.mark.parametrize("args, words", [
    (["--captioner", "org/model"], ("--video is missing",)),
    (["--captioner", "http://localhost:1/v1", "--video", "."], ("--model is missing",)),
    (["--captioner", "./no-such-model", "--video", "."], ("no-such-model",)),
    (["--captioner", "http://localhost:1/v1", "--video", "gone", "--model", "m"], ("--video gone is no folder",)),
    (["--captioner", "http://localhost:1/v1", "--video", ".", "--model", "m", "--key-env", "sk-abc"], ("NAME of an environment variable",)),
    (["--captioner", "http://localhost:1/v1", "--video", ".", "--model", "m", "--pattern", "{clip}.avi"], ("write {name}",)),
    (["--captioner", "http://me:secret@localhost:1/v1", "--video", ".", "--model", "m"], ("bare address",)),
    (["--tokens", 5], ("--tokens means nothing to --captioner kinematic", "a model or a server")),
    (["--question", "class"], ("cannot answer --question 'class'",)),
    (["--question", "part:tail"], ("tail",)),
    (["--moments", 0], ("moments",)),
    (["--only", "z*"], ("fits none of the 24 clips",)),
    ([], ("holds answers of 'simulator'", "--captions")),
])
def test_what_cannot_work_is_refused(refused, recorded, args, words):
    said = refused("caption", "--out", "job", *args, cwd=recorded[0], mentions=words)
    assert "sk-abc" not in said and "secret" not in said


def test_caption_wants_a_store_and_embed_a_pooling_that_there_is(refused, recorded, tmp_path):
    refused("caption", "--out", "gone", cwd=tmp_path, mentions=("c2vl prepare NAME ROOT --out gone",))
    refused("embed", "--out", "job", "--pooling", "attention", cwd=recorded[0], mentions=("attention", "medoid"))
