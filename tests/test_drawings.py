"""Stick figures over real HTTP: what arrives is what was drawn, and the answers stand in the prompt store like all others."""

import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from c2vl_kit.concepts.drawings import ABOUT, COLOURS, FOUR, Drawings
from c2vl_kit.concepts.kinematic import caption
from c2vl_kit.concepts.prompts import PromptStore
from c2vl_kit.concepts.server import ServerCaptioner
from c2vl_kit.core import InputError
from c2vl_kit.data.build import build_store

pytest.importorskip("httpx", reason='needs httpx: pip install "c2vl_kit[server]"')


class Sees(BaseHTTPRequestHandler):
    """Answers with the question and with how many pixels of each side's colour are in the picture."""

    def do_POST(self):
        from PIL import Image

        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        parts = body["messages"][-1]["content"]
        url = next(p["image_url"]["url"] for p in parts if p["type"] == "image_url")
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")).astype(int)
        seen = {k: int((np.abs(picture - c).sum(-1) < 90).sum()) for k, c in COLOURS.items()}
        asked = next(p["text"] for p in parts if p["type"] == "text")
        self.server.seen.append((picture.shape, seen, asked))
        said = f"A stick figure shows {seen['left']} blue and {seen['right']} orange."
        choice = {"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        answer = json.dumps({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 9}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def web():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sees)
    server.seen = []
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("by", ("time", "motion"))
def test_a_server_is_shown_stick_figures_and_asked_the_four_questions(web, tiny_clips, tmp_path, by):
    store, _ = build_store(tmp_path / "store", tiny_clips[:3], dataset="simulated", progress=False)
    asked = tuple(f"{ABOUT} {q}" for q in FOUR)
    how = {"frames": Drawings(figures=4, size=96, by=by), "asked": asked, "moments": 1, "key_env": None}
    with pytest.raises(InputError, match="384 pixels would be sent with 336"):
        ServerCaptioner(f"http://127.0.0.1:{web.server_port}/v1", "sees", **how)
    server = ServerCaptioner(f"http://127.0.0.1:{web.server_port}/v1", "sees", size=384, **how)
    prompts = caption(store, tmp_path / "p.jsonl", server, progress=False)
    assert len(web.seen) == len(prompts) == 12 and {q for _, _, q in web.seen} == set(asked)
    for shape, seen, _ in web.seen:
        assert shape[1] == 4 * shape[0] and min(seen.values()) > 15, (shape, seen)  # four figures, both sides and the trunk
    again = PromptStore(tmp_path / "p.jsonl")
    assert {p.clip for p in again} == set(store.names) and all(p.answer.startswith("A stick figure shows") for p in again)
    caption(store, tmp_path / "p.jsonl", server, progress=False)
    assert len(web.seen) == 12  # nothing is asked twice
