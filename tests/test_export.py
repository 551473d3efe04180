"""An encoder outside the kit: ONNX and torch.export say what torch says, and the page of thirty lines needs no kit."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from c2vl_kit.core import InputError
from c2vl_kit.data.build import build_store
from c2vl_kit.data.catalog import get_split
from c2vl_kit.evaluate.estimator import SkeletonEncoder
from c2vl_kit.evaluate.export import Portable, as_onnx, captured, difference, export_run, missing_packages
from c2vl_kit.methods import supervised
from c2vl_kit.models.stgcn import find_present
from c2vl_kit.models.zoo import Backbone, shaken
from c2vl_kit.skeleton import KINECT20
from c2vl_kit.train.pretrain import pretrain

needs_onnx = pytest.mark.skipif(bool(missing_packages()), reason='needs onnx, onnxscript and onnxruntime: pip install "c2vl_kit[export]"')

TINY = {
    "stgcn": dict(width=4, dim=8),
    "ctrgcn": dict(width=4, dim=8),
    "gru": dict(width=4, layers=2),
    "transformer": dict(width=8, dim=8, layers=1),
}


def encoder(name: str, persons: str, M: int) -> nn.Module:
    """A tiny one with weights off their start. Of ten blocks, two kinds stay: the first, and one with a stride."""
    slots = {"slots": M} if persons == "legacy" and name in ("ctrgcn", "gru") else {}
    torch.manual_seed(0)
    net = Backbone(name, persons=persons, **TINY[name], **slots).make(KINECT20)
    for row in ("blocks", "units"):
        if hasattr(net, row):
            setattr(net, row, nn.ModuleList(getattr(net, row)[i] for i in (0, 4)))
            net.dim = 2 * TINY[name]["width"]
    return shaken(net, torch.randn(4, 3, 6, KINECT20.V, M)).eval()


class All(nn.Module):
    """Several as one graph, since the setting up takes longest: the first looks at one person, the rest at two."""

    def __init__(self, parts: list[Portable]):
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, joints):
        return tuple(part(joints if i else joints[..., :1])[0] for i, part in enumerate(self.parts))


@needs_onnx
@pytest.mark.parametrize("name", TINY)
@torch.no_grad()
def test_onnx_says_what_torch_says(name, tmp_path):
    """One person and two; two as published where that is another path."""
    legacy = [(2, "legacy")] * (name in ("gru", "transformer"))
    nets = [encoder(name, persons, M) for M, persons in [(1, "masked"), (2, "masked"), *legacy]]
    every = All([Portable(net, {"stream": "joint"}) for net in nets]).eval()
    x = torch.randn(5, 3, 6, KINECT20.V, 2)
    x[1, ..., 1:], x[2, ..., 1], x[3] = 0, 0, 0
    want = [nets[0](x[..., :1]), *(net(x, find_present(x)) for net in nets[1:])]
    for a, b in zip(every(x), want, strict=True):
        assert torch.allclose(a, b, atol=1e-5), "absent persons count"
        assert a.std() > 1e-3, "features that are all alike prove nothing"
    again = as_onnx(captured(every, {"joints": x}), tmp_path / "m.onnx", ("one", "two", "legacy")[: len(nets)])
    for n in (1, 2, 5):
        assert difference(every, again, {"joints": x[:n]}) <= 1e-4


@pytest.fixture(scope="module")
def run(tiny_clips, tmp_path_factory):
    """Two streams at the recorded speed, two persons, a classifier."""
    folder = tmp_path_factory.mktemp("export")
    store, _ = build_store(folder / "store", tiny_clips, dataset="simulated", progress=False)
    config = supervised.small(frames=12, persons=2, views=("motion+bone",), true_timeline=True)
    config = config.replace(train={"epochs": 2, "batch_size": 8, "threads": 1})
    config = config.replace(backbone={"name": "transformer", "width": 8, "dim": 8, "layers": 1})
    return pretrain(supervised, store, get_split(store), folder / "run", config, progress=False), tiny_clips


@pytest.mark.parametrize("format", [pytest.param("onnx", marks=needs_onnx), "torch"])
def test_a_run_is_written_with_its_classifier(run, format, tmp_path):
    run, clips = run
    made = export_run(run, tmp_path / "encoder.bin", format)
    told = json.loads(made.json.read_text())
    assert told["outputs"] == ["features", "scores"] and made.differs <= 1e-4
    assert told["inputs"]["joints"] == {"shape": ["clips", 3, 12, 20, 2], "dtype": "float32"}
    assert told["inputs"]["frames_raw"] == {"shape": ["clips"], "dtype": "int64"}
    assert told["classes"] == list(SkeletonEncoder(run).classes_)
    assert [s["step"] for s in told["preparation"]["steps"]][-2:] == ["face", "resample"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["encoder.bin", "encoder.json"]


def test_a_missing_package_is_said_before_anything_is_done(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match=r"ONNX needs .*onnxscript.*c2vl_kit\[export\]"):
        export_run(run[0], tmp_path / "encoder.onnx")
    assert not list(tmp_path.iterdir())


ALONE = """
import sys
from pathlib import Path
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("c2vl_kit", "torch", "scipy", "sklearn"): raise ImportError(name)
sys.meta_path.insert(0, Blocker())
exec(sys.argv[1])
found, action = features(Path(sys.argv[2]))
np.save(Path(sys.argv[2]) / "found.npy", found)
print(action)
"""


@needs_onnx
def test_thirty_lines_need_no_kit(tiny_clips, root, tmp_path):
    """The page's own cell, where torch and the kit cannot be imported, on a recording with a gap and empty ends."""
    page = json.loads((root / "nbs/tutorials/03_without_the_kit.ipynb").read_text())
    cell = next("".join(c["source"]) for c in page["cells"] if "def prepare(" in "".join(c["source"]))
    assert len([line for line in cell.splitlines() if line.strip()]) <= 40
    store, _ = build_store(tmp_path / "store", tiny_clips, dataset="simulated", progress=False)
    config = supervised.small(frames=12, train={"epochs": 2, "batch_size": 8, "threads": 1})
    config = config.replace(backbone={"name": "gru", "width": 4, "layers": 1, "dim": None})
    run = pretrain(supervised, store, get_split(store), tmp_path / "run", config, progress=False)
    export_run(run, tmp_path / "encoder.onnx")
    recording = tiny_clips[3].joints.copy()
    recording[:2], recording[-1], recording[8:12, 0, 5] = np.nan, np.nan, np.nan
    np.save(tmp_path / "recording.npy", recording)
    done = subprocess.run([sys.executable, "-c", ALONE, cell, str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    kit = SkeletonEncoder(run)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), kit.transform([recording]), atol=1e-4)
    assert done.stdout.strip() == kit.predict([recording])[0]
    assert Path(tmp_path / "encoder.json").is_file()
