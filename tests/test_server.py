"""A server that misbehaves on purpose, over real HTTP on the loopback: every line once, every wait bounded, the key nowhere."""

import base64
import io
import json
import logging
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from c2vl_kit.concepts.quality import quality
from c2vl_kit.concepts.kinematic import caption
from c2vl_kit.concepts.prompts import PromptStore
from c2vl_kit.concepts.server import ServerCaptioner, Usage
from c2vl_kit.core import InputError

pytest.importorskip("httpx", reason='needs httpx: pip install "c2vl_kit[server]"')
KEY = "sk-proj-AbC123xyz789SECRETsecret"


class Clips:
    """What `caption` needs of a store: names, and something with a name behind each."""

    def __init__(self, n: int):
        self.names = tuple(f"clip{i:03d}" for i in range(n))

    def __getitem__(self, name: str):
        return SimpleNamespace(name=name)


def coded(clip, moments):
    """Pictures of twelve light or dark squares: the number of the line, which survives JPEG."""
    numbers = [int(clip.name[4:]) * 16 + m for m in moments]
    bits = [np.array([n >> b & 1 for b in range(12)], np.uint8).reshape(2, 6) for n in numbers]
    return [np.repeat(np.kron(175 * b + 40, np.ones((16, 16), np.uint8))[..., None], 3, 2) for b in bits]


def decoded(body: dict) -> int:
    """The number that a picture shows."""
    from PIL import Image

    url = next(p["image_url"]["url"] for p in body["messages"][0]["content"] if p["type"] == "image_url")
    x = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))[8::16, 8::16, 0] > 127
    return int(sum(int(v) << b for b, v in enumerate(x.ravel())))


def said(n: int) -> str:
    """What the server answers about picture n: long enough to fill a file's buffer now and then."""
    return f"Person {n // 16} at moment {n % 16} " + "moves on " * (n * 7 % 900)


def completion(content, finish="stop", **message) -> bytes:
    choice = {"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 7}}).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        web, body = self.server, json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        n = decoded(body)
        with web.lock:
            web.requests.append((time.monotonic(), n, self.path, self.headers.get("Authorization"), body))
            web.tries[n] += 1
            attempt, web.now = web.tries[n], web.now + 1
            web.most = max(web.most, web.now)
        time.sleep(web.latency)
        with web.lock:
            web.now -= 1
        try:
            getattr(self, web.script(n, attempt))(n)
        except OSError:  # the client has gone
            self.close_connection = True

    do_GET = do_POST

    def send(self, status, body, length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def good(self, n):
        self.send(200, completion(said(n)))

    def empty(self, n):
        self.send(200, completion(None))

    def refusal(self, n):
        self.send(200, completion(None, refusal="I'm sorry, I can't describe people."))

    def filtered(self, n):
        self.send(400, b'{"error": {"code": "content_filter", "message": "filtered"}}')

    def long(self, n):
        self.send(200, completion(said(n), "length"))

    def slow(self, n):
        time.sleep(1.5)
        self.good(n)

    def drip(self, n):
        """A byte now and then: never silent for long, never done."""
        self.send(200, b"", length=1000)
        for _ in range(60):
            self.wfile.write(b" ")
            time.sleep(0.05)
        self.close_connection = True

    def drip_header(self, n):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for i in range(60):
            self.wfile.write(f"X-{i}: x\r\n".encode())
            time.sleep(0.05)
        self.close_connection = True

    def busy(self, n):
        self.send(429, b'{"error": "busy"}')

    def busy_for(self, n):
        self.send(429, b'{"error": "busy"}', Retry_After=self.server.retry_after)

    def broken(self, n):
        self.send(500, b"<html>" + (self.headers.get("Authorization") or "").encode())

    def reset(self, n):
        self.send(200, completion(said(n))[:30], length=3000)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def cut(self, n):
        self.send(200, completion(said(n))[:40], length=3000)
        self.close_connection = True

    def no_json(self, n):
        self.send(200, completion(said(n))[:-9])

    def odd(self, n):
        self.send(200, b'{"object": "text", "choices": [{"text": "He sits."}]}')

    def huge(self, n):
        self.send(200, completion("x" * 5_000_000))
        self.close_connection = True

    def bad_request(self, n):
        self.send(400, b'{"error": {"message": "images are too\\n  many"}}')

    def denied(self, n):
        error = {"message": f"Incorrect API key {KEY}, i.e. {KEY[:12]}…", "echo": self.headers.get("Authorization")}
        self.send(401, json.dumps({"error": error}).encode())

    def forbidden(self, n):
        self.send(403, f"no: {KEY}".encode())

    def absent(self, n):
        self.send(404, json.dumps({"detail": f"no model for {KEY[3:20]}"}).encode())

    def telltale(self, n):
        self.send(200, completion(f"You sent {self.headers.get('Authorization')}.", KEY))

    def elsewhere(self, n):
        self.send(307, b"", Location=f"http://127.0.0.1:{self.server.other}/v1/chat/completions?key={KEY}")

    def log_message(self, *words):
        pass


class Web(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 64

    def handle_error(self, request, client_address):
        pass


@pytest.fixture
def web():
    """A server whose `script(n, attempt)` names what it does with picture n."""
    made = []

    def make(script=lambda n, attempt: "good", latency=0.005, **more):
        web = Web(("127.0.0.1", 0), Handler)
        vars(web).update(script=script, latency=latency, lock=threading.Lock(), requests=[], tries=Counter(), now=0, most=0, **more)
        web.url = f"http://127.0.0.1:{web.server_port}/v1"
        threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        made.append(web)
        return web

    yield make
    for web in made:
        web.shutdown()
        web.server_close()


def captioner(web, **changes) -> ServerCaptioner:
    settings = dict(asked=("motion",), concurrency=4, backoff=0.01, longest_wait=0.2, timeout=5.0, key_env="TEST_KEY")
    return ServerCaptioner(getattr(web, "url", web), "a-model", coded, **settings | changes)


def lines_of(path: Path) -> list[dict]:
    """Every line of a prompt file, parsed; fails on a torn one."""
    data = path.read_bytes()
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def check_complete(path: Path, clips: Clips, right=said):
    """Every line once, none torn, each with the answer to its own picture."""
    found = lines_of(path)
    keys = Counter((p["clip"], p["moment"], p["question"]) for p in found)
    assert len(found) == len(clips.names) * 16 and set(keys.values()) == {1}
    assert all(p["answer"] == right(int(p["clip"][4:]) * 16 + p["moment"]).strip() for p in found if p["answer"])


ONCE = {"good": 1, "empty": 1, "refusal": 1, "filtered": 1, "long": 1}
TWICE = {"slow": "timed out", "drip": "timed out", "drip_header": "timed out", "busy": "429", "busy_for": "429", "broken": "500",
         "reset": "connection broke", "cut": "connection broke", "no_json": "no JSON", "odd": "another form of answer",
         "huge": "over 1024 kB"}


def test_everything_that_can_go_wrong_once(web, tmp_path):
    ways = [*ONCE, *TWICE]
    server = web(lambda n, attempt: ways[n % 16] if attempt == 1 else "good", retry_after="0.1")
    clips, c = Clips(3), captioner(server, timeout=0.6, ledger=tmp_path / "bill.jsonl", prices=(1.0, 2.0))
    assert len(ways) == 16
    prompts = caption(clips, tmp_path / "prompts.jsonl", c, progress=False)
    expected = {n: 1 if ways[n % 16] in ONCE else 2 for n in range(48)}
    assert dict(server.tries) == expected and c.usage.requests == sum(expected.values()) == len(server.requests)
    assert c.usage.again == Counter(why for why in TWICE.values() for _ in range(3))
    assert (c.usage.answers, c.usage.empty, c.usage.refused, c.usage.cut, c.usage.unanswered) == (48, 6, 6, 3, 0)
    assert 1 < server.most <= 4
    found = {(p.clip, p.moment): p.answer for p in prompts}
    assert len(lines_of(tmp_path / "prompts.jsonl")) == len(found) == 48
    other = {"empty": "", "filtered": "", "refusal": "I'm sorry, I can't describe people."}
    for i, name in enumerate(clips.names):
        for m, way in enumerate(ways):
            assert found[name, m] == other.get(way, said(i * 16 + m).strip())
    assert quality(prompts).faults["refusal"] == 3 and quality(prompts).faults["empty"] == 6
    bill = Usage.read(tmp_path / "bill.jsonl", (1.0, 2.0))
    assert bill == c.usage and bill.uncounted == 3 and bill.cost == pytest.approx(45 * (100 + 14) / 1e6)
    assert [e["moment"] for e in map(json.loads, open(tmp_path / "bill.jsonl")) if e["finish"] == "length"] == [ways.index("long")] * 3
    again = caption(clips, tmp_path / "prompts.jsonl", c, progress=False)
    silent = [n for n in range(48) if ways[n % 16] in ("empty", "filtered")]
    assert sorted(n for _, n, *_ in server.requests[sum(expected.values()) :]) == silent  # what was empty, and nothing else
    assert {p.answer for p in again if p.moment in (ways.index("empty"), ways.index("filtered"))} == {said(n).strip() for n in silent}
    caption(clips, tmp_path / "prompts.jsonl", c, progress=False)
    assert len(server.requests) == sum(expected.values()) + len(silent)  # nothing is asked twice


def test_what_is_missing_is_asked_and_nothing_else(web, tmp_path):
    """A server that fails some questions for good: the rest is kept, and the next run asks exactly those."""
    server = web(lambda n, attempt: "broken" if n % 5 == 0 and attempt <= 3 else "good")
    clips, c = Clips(3), captioner(server, tries=3)
    with pytest.raises(InputError, match=r"left 10 questions unanswered after 3 tries each \(500 30×\); what was answered") as caught:
        caption(clips, tmp_path / "prompts.jsonl", c, progress=False)
    assert str(caught.value).count("\n") == 0 and len(lines_of(tmp_path / "prompts.jsonl")) == 38
    assert server.tries == Counter({n: 3 if n % 5 == 0 else 1 for n in range(48)})
    caption(clips, tmp_path / "prompts.jsonl", c, progress=False)
    assert server.tries == Counter({n: 4 if n % 5 == 0 else 1 for n in range(48)})
    check_complete(tmp_path / "prompts.jsonl", clips)


def test_waits_double_and_are_bounded(web, tmp_path):
    server = web(lambda n, attempt: "busy" if n == 3 and attempt < 6 else "good")
    caption(Clips(1), tmp_path / "prompts.jsonl", captioner(server, backoff=0.08, longest_wait=0.32), progress=False)
    at = [t for t, n, *_ in server.requests if n == 3]
    gaps = [b - a for a, b in zip(at, at[1:])]
    assert len(gaps) == 5
    for gap, most in zip(gaps, (0.08, 0.16, 0.32, 0.32, 0.32)):
        assert most / 2 <= gap < most + 2.0, gaps  # the upper side leaves room for a busy machine


def test_a_busy_server_is_left_alone_for_as_long_as_it_says(web, tmp_path):
    server = web(lambda n, attempt: "busy_for" if n == 4 and attempt == 1 else "good", retry_after="0.7", latency=0.001)
    caption(Clips(2), tmp_path / "prompts.jsonl", captioner(server, longest_wait=5.0, concurrency=2), progress=False)
    at = sorted(t for t, *_ in server.requests)
    first = [t for t, n, *_ in server.requests if n == 4]
    assert 0.65 <= first[1] - first[0] < 4.0
    assert max(b - a for a, b in zip(at, at[1:])) > 0.5  # nobody else asked in the meantime
    check_complete(tmp_path / "prompts.jsonl", Clips(2))


def test_an_unreasonable_wait_is_cut(web, tmp_path):
    server = web(lambda n, attempt: "busy_for", retry_after="86400")
    began = time.monotonic()
    with pytest.raises(InputError, match=r"16 questions unanswered after 3 tries each \(429 48×\)"):
        caption(Clips(1), tmp_path / "prompts.jsonl", captioner(server, longest_wait=0.1, tries=3), progress=False)
    assert time.monotonic() - began < 15 and set(server.tries.values()) == {3}


def test_a_server_that_is_down_ends_the_run(tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{s.getsockname()[1]}/v1"
    began = time.monotonic()
    with pytest.raises(InputError, match=r"in a row, so the run was stopped \(no connection"):
        caption(Clips(200), tmp_path / "prompts.jsonl", captioner(url, tries=2), progress=False)
    assert time.monotonic() - began < 20 and not (tmp_path / "prompts.jsonl").exists()


def test_a_server_that_never_makes_sense_ends_the_run(web, tmp_path):
    server = web(lambda n, attempt: "no_json")
    with pytest.raises(InputError, match="in a row, so the run was stopped"):
        caption(Clips(50), tmp_path / "prompts.jsonl", captioner(server, tries=2), progress=False)
    assert 32 * 2 <= len(server.requests) <= 45 * 2


@pytest.mark.parametrize("way, words", [
    ("bad_request", r"answers 400 and says “images are too many”; the request does not suit"),
    ("denied", r"refuses the key in TEST_KEY \(401\)"), ("forbidden", r"refuses the key in TEST_KEY \(403\)"),
    ("absent", r"answers 404; check that base_url"), ("elsewhere", r"sends requests on to 127\.0\.0\.1 \(307\)")])
def test_what_no_second_try_would_change_is_given_up(web, tmp_path, monkeypatch, caplog, capfd, way, words):
    """One sentence, few requests, what was answered is kept, and the key is nowhere."""
    monkeypatch.setenv("TEST_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    other = web()
    server = web(lambda n, attempt: way if n >= 8 else "good", other=other.server_port)
    c = captioner(server, ledger=tmp_path / "bill.jsonl")
    with pytest.raises(InputError, match=words) as caught:
        caption(Clips(9), tmp_path / "prompts.jsonl", c, progress=False)
    assert len(server.requests) <= 8 + 4 and set(server.tries.values()) == {1} and not other.requests
    assert {a for *_, a, _ in server.requests} == {f"Bearer {KEY}"}
    assert sorted(p["moment"] for p in lines_of(tmp_path / "prompts.jsonl")) == list(range(8))
    everything = [str(caught.value), repr(caught.value), repr(c), str(c.settings), repr(vars(c)), caplog.text, *capfd.readouterr()]
    everything += traceback.format_exception(caught.value)
    frames = traceback.StackSummary.extract(traceback.walk_tb(caught.tb), capture_locals=True)
    frames = [f for f in frames if f"{os.sep}concepts{os.sep}" in f.filename]  # the test's own frames know the key
    everything += [str(f.locals) for f in frames]
    everything += [f.read_text() for f in tmp_path.rglob("*") if f.is_file()]
    assert frames and not any(KEY[i : i + 10] in text for text in everything for i in range(len(KEY) - 9))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_the_key_stays_out_of_answers_files_and_other_machines(web, tmp_path, monkeypatch, caplog, capfd):
    monkeypatch.setenv("TEST_KEY", KEY + "\n")
    caplog.set_level(logging.DEBUG)
    server = web(lambda n, attempt: "broken" if attempt == 1 else "telltale")
    c = captioner(server, ledger=tmp_path / "bill.jsonl")
    prompts = caption(Clips(1), tmp_path / "prompts.jsonl", c, progress=False)
    assert {p.answer for p in prompts} == {"You sent Bearer [key]."}
    texts = [f.read_text() for f in tmp_path.rglob("*") if f.is_file()]
    texts += [caplog.text, *capfd.readouterr(), repr(c), repr(c.usage), c.usage._repr_markdown_()]
    assert len(texts) == 8 and not any(KEY[:10] in t for t in texts)
    with pytest.raises(InputError, match="over plain http"):
        next(captioner("http://192.0.2.1:8000/v1").many([(SimpleNamespace(name="clip000"), None)]))
    monkeypatch.delenv("TEST_KEY")
    caption(Clips(1), tmp_path / "free.jsonl", captioner(web()), progress=False)


@pytest.mark.parametrize("url, value", [("http://192.0.2.1:8000/v1", KEY), ("https://192.0.2.1/v1", KEY + " ä")])
def test_a_key_that_is_refused_is_in_no_local_variable(monkeypatch, url, value):
    """Some tracebacks list local variables: IPython's Verbose mode, pytest -l, error collectors."""
    monkeypatch.setenv("TEST_KEY", value)
    with pytest.raises(InputError, match="TEST_KEY") as caught:
        next(captioner(url).many([(SimpleNamespace(name="clip000"), None)]))
    frames = traceback.StackSummary.extract(traceback.walk_tb(caught.tb), capture_locals=True)
    frames = [f for f in frames if f"{os.sep}concepts{os.sep}" in f.filename]
    assert len(frames) >= 2 and not any(KEY[:10] in str(f.locals) for f in frames) and KEY[:10] not in str(caught.value)


NOTEBOOK = ("%xmode Verbose", "import os, sys; sys.path.insert(0, HERE); import test_server as t",
            "clips = t.Clips(1); c = t.captioner(URL); c",
            "prompts = t.caption(clips, OUT, c); prompts", "[c.usage, c.settings, vars(c), prompts.answers('clip000')[:2]]", "c.usage",
            "t.caption(t.Clips(2), OUT, c)", "%whos")


def test_an_executed_notebook_holds_no_key(web, tmp_path, monkeypatch):
    """The whole file is searched: outputs, and a traceback that lists variables."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("TEST_KEY", KEY)
    server = web(lambda n, attempt: "denied" if n >= 16 else "broken" if attempt == 1 else "telltale")
    says = {"HERE": str(Path(__file__).parent), "URL": server.url, "OUT": str(tmp_path / "prompts.jsonl")}
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in NOTEBOOK])
    page.cells.insert(0, nbformat.v4.new_code_cell("\n".join(f"{k} = {v!r}" for k, v in says.items())))
    where = {"metadata": {"path": str(Path(__file__).parents[1])}}
    nbclient.NotebookClient(page, timeout=120, allow_errors=True, kernel_name="python3", resources=where).execute()
    text = nbformat.writes(page)
    errors = [o for cell in page.cells for o in cell.outputs if o.output_type == "error"]
    assert [e.ename for e in errors] == ["InputError"], [e.evalue for e in errors]
    assert "refuses the key in TEST_KEY (401)" in errors[0].evalue, errors[0].evalue
    assert "Bearer [key]" in text and "16 answers" in text
    assert not any(KEY[i : i + 10] in text for i in range(len(KEY) - 9))


def test_a_server_without_a_key_gets_none(web, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = web()
    caption(Clips(1), tmp_path / "prompts.jsonl", captioner(server, key_env=None), progress=False)
    assert {a for *_, a, _ in server.requests} == {None}
    denying = web(lambda n, attempt: "denied")
    with pytest.raises(InputError, match="refuses a request without a key: set TEST_KEY"):
        caption(Clips(1), tmp_path / "none.jsonl", captioner(denying), progress=False)


def test_no_more_pictures_than_fit(web):
    """Whoever takes one answer and stops pays for a handful, not for the whole store; leaving ends the requests."""
    server, read = web(), []

    def frames(clip, moments):
        read.append(clip.name)
        return coded(clip, moments)

    clips = Clips(60)
    answers = captioner(server, concurrency=3).replace(frames=frames).many((clips[n], None) for n in clips.names)
    next(answers)
    time.sleep(0.6)
    assert len(server.requests) <= 2 * 3 + 1 and len(read) == 1 and server.most <= 3
    began = time.monotonic()
    answers.close()
    assert time.monotonic() - began < 3
    settled = len(server.requests)
    time.sleep(0.2)
    assert len(server.requests) == settled
    assert not [t for t in threading.enumerate() if t.name == "server captioner"]


def test_inside_a_running_event_loop(web, tmp_path):
    """A notebook has a loop already."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    async def cell():
        return caption(Clips(1), tmp_path / "prompts.jsonl", captioner(web()), progress=False)

    with ThreadPoolExecutor(1) as own:  # this thread may have a loop of its own already, left by another test's browser
        assert len(own.submit(asyncio.run, cell()).result(60)) == 16


def test_pictures_that_cannot_be_read_end_the_run_with_what_was_answered(web, tmp_path):
    def frames(clip, moments):
        if clip.name == "clip002":
            raise InputError("clip002_rgb.avi is not there: give an existing video file")
        return coded(clip, moments)

    c = ServerCaptioner(web().url, "m", frames, asked=("motion",), key_env=None)
    with pytest.raises(InputError, match="clip002_rgb.avi is not there"):
        caption(Clips(4), tmp_path / "prompts.jsonl", c, progress=False)
    assert len(lines_of(tmp_path / "prompts.jsonl")) == 32


def test_without_httpx_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(InputError, match=r"c2vl_kit\[server\]"):
        caption(Clips(1), tmp_path / "prompts.jsonl", captioner("http://127.0.0.1:9/v1"), progress=False)


def work(url: str, folder: str, clips: int):
    """What the processes below do."""
    caption(Clips(clips), Path(folder) / "prompts.jsonl", captioner(url), progress=False)


def test_control_c_leaves_what_was_answered(web, tmp_path):
    server, clips = web(latency=0.05), Clips(30)
    here = Path(__file__).parent
    script = f"import sys; sys.path.insert(0, {str(here)!r}); import test_server as t; t.work({server.url!r}, {str(tmp_path)!r}, 30)"
    job = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, cwd=here.parent, env=os.environ | {"TEST_KEY": KEY})
    while len(server.requests) < 20 and job.poll() is None:
        time.sleep(0.01)
    job.send_signal(signal.SIGINT)
    began = time.monotonic()
    errors = job.communicate(timeout=30)[1].decode()
    assert time.monotonic() - began < 10 and "KeyboardInterrupt" in errors and KEY not in errors
    kept = lines_of(tmp_path / "prompts.jsonl")
    assert 10 <= len(kept) <= len(server.requests) < 300
    caption(clips, tmp_path / "prompts.jsonl", captioner(server, concurrency=16), progress=False)
    check_complete(tmp_path / "prompts.jsonl", clips)
    assert lines_of(tmp_path / "prompts.jsonl")[: len(kept)] == kept


NURSERY = """
import os, sys, traceback
sys.path.insert(0, sys.argv[1])
import PIL.JpegImagePlugin, httpx, test_server
while sys.stdin.readline():
    pid = os.fork()
    if not pid:
        try:
            test_server.work(sys.argv[2], sys.argv[3], int(sys.argv[4]))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


def test_twenty_kills(web, tmp_path):
    """kill -9 at twenty random moments of a captioning run; afterwards the store has every line once and none torn."""
    clips, server, dice = Clips(50), web(latency=0.04), random.Random(20)
    path, killed, torn, had = tmp_path / "prompts.jsonl", 0, 0, 0
    command = [sys.executable, "-c", NURSERY, str(Path(__file__).parent), server.url, str(tmp_path), str(len(clips.names))]
    # One process imports everything and forks a fresh one for each run: a real process to kill, without twenty times the imports.
    nursery = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])

    def run(kill_after=None, busy=False) -> int:
        asked = len(server.requests)
        nursery.stdin.write("go\n")
        nursery.stdin.flush()
        pid = int(nursery.stdout.readline())
        if kill_after is not None:
            while busy and len(server.requests) == asked:
                time.sleep(0.001)
            time.sleep(kill_after)
            os.kill(pid, signal.SIGKILL)
        return int(nursery.stdout.readline())

    for i in range(20):  # every fourth moment may lie before the first request, or before the file is open
        killed += run(dice.uniform(0.0, 0.6), busy=i % 4 != 3) == signal.SIGKILL
        data = path.read_bytes() if path.exists() else b""
        whole = [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
        torn += not data.endswith(b"\n") and bool(data)
        keys = {(p["clip"], p["moment"]) for p in whole}
        assert len(keys) == len(whole) >= had  # none twice, and nothing that was there is lost
        had = len(whole)
    before = len(server.requests)
    assert killed == 20 and 100 < had < 800
    assert run() == 0
    nursery.stdin.close()
    assert nursery.wait(20) == 0
    check_complete(path, clips)
    store = PromptStore(path)
    assert store.torn == "" and store.missing(clips.names, 16, store.questions[0]) == {}
    assert len(server.requests) - before == 800 - had  # the last run asked exactly what was missing
    print(f"20 kills, {torn} of them in the middle of a line; {had} lines before the last run, {before} requests for them")


def test_the_page_and_the_package_hold_no_key(root):
    pattern = re.compile(r"sk-[A-Za-z0-9]{20,}")
    for name in ("chat", "server"):
        page = next((root / "nbs/concepts").glob(f"*_{name}.ipynb"))
        for file in (page, root / "c2vl_kit" / "concepts" / f"{name}.py"):
            assert not pattern.search(file.read_text())
