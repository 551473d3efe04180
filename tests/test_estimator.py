"""An encoder among scikit-learn's estimators, in a folder, and on a hub that lives on the loopback."""

import base64
import hashlib
import json
import os
import pickle
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
import yaml
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

from c2vl_kit.core import InputError
from c2vl_kit.data.build import build_store
from c2vl_kit.data.catalog import get_split
from c2vl_kit.data.loader import ClipSet
from c2vl_kit.evaluate.estimator import SkeletonEncoder, encode, head_of
from c2vl_kit.evaluate.features import extract
from c2vl_kit.evaluate.pretrained import model_card, save_folder
from c2vl_kit.evaluate.probes import ProbeConfig, linear_probe
from c2vl_kit.methods import simclr, supervised
from c2vl_kit.train.pretrain import pretrain
from c2vl_kit.train.runview import RunView

TRAIN = {"epochs": 1, "batch_size": 8, "threads": 1}
NET = {"name": "transformer", "width": 8, "dim": 12, "layers": 1}


@pytest.fixture(scope="module")
def made(tiny_clips, tmp_path_factory):
    """A store, its split, and a run of SimCLR."""
    folder = tmp_path_factory.mktemp("estimator")
    store, _ = build_store(folder / "store", tiny_clips, dataset="simulated", progress=False)
    split = get_split(store)
    config = simclr.small(frames=12, train=TRAIN).replace(backbone=NET)
    return store, split, pretrain(simclr, store, split, folder / "run", config, progress=False)


@pytest.fixture(scope="module")
def sides(made):
    """Training clips and names of their classes, test clips and theirs."""
    store, split, _ = made
    parts = [[store[n] for n in names] for names in (split.train, split.tests["official"])]
    return [x for part in parts for x in (part, [c.label_name for c in part])]


# scikit-learn's manner


class Rows(SkeletonEncoder):
    """Takes scikit-learn's tables, so that its checks can be asked: a row's numbers are the places of a clip's joints."""

    def _rows(self, X, reset=False):
        X = validate_data(self, X, reset=reset, dtype=np.float32)
        run = RunView(self.run)
        x = torch.zeros(len(X), 3 * 12 * run.layout.V)
        x[:, : X.shape[1]] = torch.from_numpy(X)
        present, names = torch.ones(len(X), 1, dtype=torch.bool), tuple(map(str, range(len(X))))
        return ClipSet(x.view(len(X), 3, 12, -1, 1), present, names, run.layout, 12, run.config["pipeline"])

    def fit_transform(self, X, y=None):
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        return super().fit_transform(self._rows(X, reset=True), y)

    def transform(self, X):
        return super().transform(self._rows(X))

    def predict_log_proba(self, X):
        head_of(self)  # NotFittedError comes first
        return super().predict_log_proba(self._rows(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.allow_nan, tags.target_tags.required = True, False, True
        tags.classifier_tags.poor_score = True  # features of motion promise nothing on blobs
        return tags


NOT_OURS = {
    "check_transformers_unfitted": "a transformer must refuse before fit: these features come from a run, so nothing is left to fit",
    "check_methods_subset_invariance": "asks for equality to 1e-7: float32 features differ by the size of a batch in the last digits",
}


@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_pass_where_they_apply(made, at_the_end):
    rows = Rows(made[2].path, epochs=5)
    told = check_estimator(rows, expected_failed_checks=NOT_OURS, on_fail=None, on_skip=None)
    failed = {r["check_name"]: r["exception"] for r in told if r["status"] == "failed"}
    assert not failed, failed
    count = {s: sum(r["status"] == s for r in told) for s in ("passed", "xfail", "skipped")}
    assert count["passed"] >= 45
    at_the_end("scikit-learn's estimator checks", f"{count}, expected to fail: {sorted(NOT_OURS)}")


def test_it_is_the_kits_own_probe(made, sides):
    store, split, run = made
    train, y, test, truth = sides
    model = SkeletonEncoder(run, epochs=30, lr=1.0).fit(train, y)
    clips = ClipSet.load(store, store.names, 12, 1, run.config["pipeline"])
    x = extract(RunView(run).encoders["joint"], clips)
    np.testing.assert_allclose(model.transform(train), x.subset(split.train).x, atol=1e-5)
    label = {n: store.label_names[i] for n, i in zip(store.names, store.labels)}
    number = {n: i for i, n in enumerate(sorted(set(label.values())))}
    numbers = [np.array([number[label[n]] for n in names]) for names in (split.train, split.tests["official"])]
    config = ProbeConfig(epochs=30, lr=1.0, lr_steps=(24,))
    scores = linear_probe(x.subset(split.train), numbers[0], {"t": (x.subset(split.tests["official"]), numbers[1])}, config)
    assert model.score(test, truth) == scores["t"]["last"].accuracy


def test_pipeline_grid_clone_and_pickle(made, sides):
    train, y, test, _ = sides
    first = SkeletonEncoder(str(made[2].path), epochs=5)
    pipe = make_pipeline(first, StandardScaler()).fit(train, y)
    assert pipe.transform(test).shape == (len(test), 12)
    search = GridSearchCV(first, {"lr": [1.0, 3.0], "epochs": [3]}, cv=2).fit(train, y)
    assert search.best_estimator_.epochs == 3 and set(search.predict(test)) <= set(y)
    copy = clone(search.best_estimator_)
    assert not hasattr(copy, "head_") and copy.get_params() == search.best_estimator_.get_params()
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert (again.predict(test) == search.predict(test)).all()
    named = first.set_output(transform="pandas").fit(train, y).transform(test)
    assert named.columns[0] == "skeletonencoder0"


def test_all_inputs_are_prepared_as_the_runs_own(made, sides):
    store, split, run = made
    test = sides[2]
    want = encode(run, test)
    ready = ClipSet.load(store, split.tests["official"], 12, 1, run.config["pipeline"])
    np.testing.assert_allclose(encode(run, ready), want, atol=1e-5)
    ragged = [c.joints for c in test]
    np.testing.assert_allclose(encode(run, ragged), want, atol=1e-5)
    short = min(map(len, ragged))
    one = np.stack([x[:short] for x in ragged])
    np.testing.assert_allclose(encode(run, one), encode(run, [x[:short] for x in ragged]), atol=1e-5)
    for wrong, said in (
        (ClipSet.load(store, ready.names, 9, 1, "centre"), "holds 9 frames"),
        (one[:, :, :, :5], "layout kinect20 has 20 joints"),
        ([test[0].replace(joints=test[0].joints[:, :, :5])], "has 5 joints"),
        (test[0], "list of Clip"),
        ("clips.npy", "list of Clip"),
    ):
        with pytest.raises(InputError, match=said):
            encode(run, wrong)


def test_a_supervised_run_predicts_without_fit(made, sides, tmp_path):
    store, split, _ = made
    config = supervised.small(frames=12, train=TRAIN).replace(backbone=NET)
    run = pretrain(supervised, store, split, tmp_path / "run", config, progress=False)
    want = supervised.classify(run, store, split.tests["official"])["joint"]
    for source in (run, save_folder(run, tmp_path / "folder")):
        model = SkeletonEncoder(source)
        np.testing.assert_allclose(model.predict_log_proba(sides[2]), want, atol=1e-4)
        assert tuple(model.classes_) == store.label_names


# a folder


def test_a_folder_is_all_it_takes(made, sides, tmp_path):
    """In a process of its own, after the run is gone from sight: the folder is moved first."""
    train, y, test, _ = sides
    model = SkeletonEncoder(made[2], epochs=5).fit(train, y)
    model.save_pretrained(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    again = SkeletonEncoder.from_pretrained(tmp_path / "b")
    assert (again.predict(test) == model.predict(test)).all()
    np.testing.assert_array_equal(again.transform(test), model.transform(test))
    files = [f for f in (tmp_path / "b").rglob("*") if f.is_file()]
    assert {f.suffix for f in files} == {".json", ".jsonl", ".md", ".safetensors"}, "no pickle, nothing else"
    told = yaml.safe_load((tmp_path / "b/README.md").read_text().split("---")[1])
    assert told["library_name"] == "c2vl_kit"
    held = json.loads((tmp_path / "b/config.json").read_text())
    assert held["layout"]["name"] == "kinect20" and held["pipeline"] and held["pretrained"]


def test_saving_loses_nothing(made, tmp_path):
    _, _, run = made
    before = {f: f.read_bytes() for f in run.path.rglob("*") if f.is_file()}
    for where in (run.path, run.path / "config.json"):
        with pytest.raises(InputError):
            SkeletonEncoder(run).save_pretrained(where)
    assert before == {f: f.read_bytes() for f in run.path.rglob("*") if f.is_file()}
    with pytest.raises(InputError, match="no run folder"):
        SkeletonEncoder.from_pretrained(tmp_path)
    with pytest.raises(InputError, match="no folder here"):
        SkeletonEncoder.from_pretrained("no/such/folder")


def test_names_from_data_do_not_become_markup(made):
    run = RunView(made[2])
    evil = "<img src=x onerror=alert(1)> [a](javascript:b) | `c`\n# d"
    run.config = {**run.config, "dataset": evil, "method": evil + '"\n---\nx: y', "split": {"name": evil, "hash": evil}}
    card = model_card(run)
    head, body = card.split("\n---\n", 1)
    assert yaml.safe_load(head.removeprefix("---"))["tags"][2].startswith("<img") and "x" not in yaml.safe_load(head.removeprefix("---"))
    assert not any(bad in body for bad in ("<img", "[a](", "\n# d"))


# a hub on the loopback


COMMIT = "c" * 40


class Hub(BaseHTTPRequestHandler):
    """As much of a hub as an upload and a download need; files are kept in the server's memory."""

    protocol_version = "HTTP/1.1"

    def _answer(self, body=b"{}", code=200, **headers):
        body = json.dumps(body).encode() if isinstance(body, dict | list) else body
        self.send_response(code)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self):
        hub, path = self.server, self.path.partition("?")[0]
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        hub.asked.append((path, self.headers.get("Authorization")))
        if path == "/api/repos/create":
            return self._answer({"url": f"http://127.0.0.1:{hub.server_port}/me/moves", "id": "me/moves"})
        if "/preupload/" in path:
            how = {"uploadMode": "regular", "shouldIgnore": False}
            return self._answer({"files": [{"path": f["path"], **how} for f in json.loads(text)["files"]]})
        if "/commit/" in path:
            for line in map(json.loads, text.splitlines()):
                if line["key"] == "file":
                    hub.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            url = f"http://127.0.0.1/me/moves/commit/{COMMIT}"
            return self._answer({"success": True, "commitOid": COMMIT, "commitUrl": url, "hookOutput": ""})
        return self._answer({"errors": [], "warnings": []})

    def do_GET(self):
        hub, path = self.server, self.path.partition("?")[0]
        name = path.partition("/me/moves/resolve/")[2].partition("/")[2]
        if name in hub.files:
            data = hub.files[name]
            return self._answer(data, ETag=f'"{hashlib.sha1(data).hexdigest()}"', X_Repo_Commit=COMMIT)
        siblings = [{"rfilename": f, "size": len(d)} for f, d in hub.files.items()]
        if "/tree/" in path:
            return self._answer([{"type": "file", "path": f, "size": len(d), "oid": "0" * 40} for f, d in hub.files.items()])
        if path.startswith("/api/models/me/moves"):
            return self._answer({"id": "me/moves", "sha": COMMIT, "siblings": siblings, "private": False, "tags": [], "downloads": 0})
        return self._answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")

    do_HEAD = do_GET

    def log_message(self, *args):
        pass


ON_THE_HUB = """
import sys
import numpy as np
from c2vl_kit.evaluate.estimator import SkeletonEncoder
from c2vl_kit.core import InputError
x = np.load(sys.argv[2])
SkeletonEncoder.from_pretrained(sys.argv[1]).push_to_hub("me/moves", token="hf_secret")
np.save(sys.argv[2] + ".found.npy", SkeletonEncoder.from_pretrained("me/moves", token="hf_secret").transform(x))
try: SkeletonEncoder.from_pretrained("me/nothing", token="hf_secret")
except InputError as why: print(why)
"""


def test_a_hub_takes_it_and_gives_it_back(made, sides, tmp_path):
    hub = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    hub.files, hub.asked = {}, []
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    try:
        save_folder(made[2], tmp_path / "folder")
        x = np.stack([c.joints[:10] for c in sides[2]])
        np.save(tmp_path / "x.npy", x)
        places = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
        env = {k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE" and "proxy" not in k.lower()} | places
        command = [sys.executable, "-c", ON_THE_HUB, tmp_path / "folder", tmp_path / "x.npy"]
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)
    finally:
        hub.shutdown()
        hub.server_close()
    assert done.returncode == 0, done.stderr + str(hub.asked)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy.found.npy"), encode(made[2], x))
    assert set(hub.files) == {f.relative_to(tmp_path / "folder").as_posix() for f in (tmp_path / "folder").rglob("*") if f.is_file()}
    assert "me/nothing is no folder here, and the hub gave none" in done.stdout
    assert b"hf_secret" not in b"".join(hub.files.values())
    assert any(auth == "Bearer hf_secret" for _, auth in hub.asked)
