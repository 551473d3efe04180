"""A training stops where it must: numbers that are none, a full disk, folders that are no runs. One sentence, and nothing half-made."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch

from c2vl_kit.core import InputError
from c2vl_kit.data.loader import ClipSet
from c2vl_kit.skeleton import KINECT20
from c2vl_kit.train.runs import Run, load_tensors, save_tensors
from c2vl_kit.train.task import Task, generator_for, seeded
from c2vl_kit.train.guards import NotFinite, Stopped, Watch
from c2vl_kit.train.config import TrainConfig, make_optimiser
from c2vl_kit.train.trainer import Trainer, run_epoch

CONFIG = TrainConfig(epochs=3, batch_size=8, lr=3e-3, warmup_epochs=1, device="cpu", threads=1)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.fc, self.drop = torch.nn.BatchNorm1d(60), torch.nn.Linear(60, 16), torch.nn.Dropout(0.2)

    def forward(self, x, present=None):
        return self.drop(self.fc(self.norm(x.mean((2, 4)).flatten(1))))


class TwoViews(Task):
    """Also holds a memory bank; `at` is called with (self, progress) after each step."""

    at = None

    def __init__(self):
        with seeded(0, "init"):
            super().__init__(Net())
        self.register_buffer("bank", torch.zeros(4))

    def loss(self, batch, progress, generator):
        a, b = (self.encoder(batch.x + 0.1 * torch.randn(batch.x.shape, generator=generator)) for _ in range(2))
        return torch.nn.functional.cross_entropy(a @ b.T, torch.arange(len(a))), {"size": a.detach().norm()}

    def after_step(self, progress):
        if self.at:
            self.at(progress)

    def describe(self):
        return {"task": "TwoViews"}


def clips(n=24) -> ClipSet:
    x = torch.randn(n, 3, 6, 20, 1, generator=generator_for(1, "clips"))
    return ClipSet(x, torch.ones(n, 1, dtype=torch.bool), tuple(f"clip{i:02d}" for i in range(n)), KINECT20, 6, "centre")


def bits(run_or_task) -> dict:
    state = run_or_task.load_checkpoint()["model"] if isinstance(run_or_task, Run) else run_or_task.state_dict()
    return {k: v.clone() for k, v in state.items()}


def equal(a: dict, b: dict) -> bool:
    return list(a) == list(b) and all(torch.equal(a[k], b[k]) for k in a)


def test_nan_in_a_clip_names_the_clip(tmp_path):
    ill = clips()
    for i in (5, 17):
        ill.x[i, 1, 2, 3] = float("nan")
    run = Run.create(tmp_path / "run", {"method": "toy"})
    with pytest.raises(NotFinite) as stop:
        Trainer(TwoViews(), ill, CONFIG, run).fit()
    assert stop.value.clips and set(stop.value.clips) <= {"clip05", "clip17"}
    said = str(stop.value)
    assert f"not finite in clip {stop.value.clips[0]}" in said and "the loss is nan" in said
    assert f"the checkpoint after epoch 0 is kept in {run.path}" in said and "mend or leave out these clips" in said
    assert all(v.isfinite().all() for v in bits(run).values())


@pytest.mark.parametrize("every", [1, 50])  # as on a CPU, and as on a GPU, where the flag is read seldom
def test_a_gradient_that_is_no_number_never_reaches_the_weights(monkeypatch, every):
    class Steep(TwoViews):
        def loss(self, batch, progress, generator):
            loss, numbers = super().loss(batch, progress, generator)
            if progress.step == 1:
                loss = loss + (self.encoder.fc.weight * 0).abs().sqrt().sum()  # adds 0, and its slope is nan
            return loss, numbers

    before = Watch.__init__
    monkeypatch.setattr(Watch, "__init__", lambda self, device, where: before(self, device, where, every))
    task, config = Steep(), CONFIG.replace(optimiser="sgd", momentum=0.0, weight_decay=0.0)
    seen = []
    task.at = lambda progress: seen.append(task.encoder.fc.weight.detach().clone())
    with pytest.raises(NotFinite, match="step 2: a gradient is not finite .the coordinates are finite; the clips of this step: clip"):
        run_epoch(task, clips(), make_optimiser(task, config), config, 0)
    assert len(seen) == (1 if every == 1 else 3) and all(w.isfinite().all() for w in (*seen, task.encoder.fc.weight))
    if every > 1:
        assert torch.equal(seen[0], seen[1])  # the bad step moved nothing


@pytest.mark.parametrize("spoil, name", [(lambda t: t.bank.fill_(float("nan")), "buffer bank"),
                                         (lambda t: t.encoder.norm.running_var.fill_(float("inf")), "buffer encoder.norm.running_var")])
@pytest.mark.parametrize("save_every", [1, "0.00001 min"])
def test_nan_in_a_buffer_is_never_saved(tmp_path, spoil, name, save_every):
    task = TwoViews()
    task.at = lambda progress: spoil(task) if progress.epoch == 1 and progress.step == 1 else None
    run = Run.create(tmp_path / "run", {"method": "toy"})
    with pytest.raises(NotFinite, match=f"the {name} has numbers that are not finite; the checkpoint after epoch 1"):
        Trainer(task, clips(), CONFIG.replace(save_every=save_every), run).fit()
    assert run.load_checkpoint()["epoch"] == 1 and all(v.isfinite().all() for v in bits(run).values())


def test_a_full_disk_keeps_the_last_checkpoint_and_the_same_call_goes_on(small_disk, tmp_path):
    whole = Run.create(tmp_path / "whole", {"method": "toy"})
    Trainer(TwoViews(), clips(), CONFIG, whole).fit()
    run = Run.create(small_disk / "run", {"method": "toy"})
    task, filler = TwoViews(), small_disk / "filler"

    def fill(progress):
        if progress.epoch == 1 and not filler.exists():
            with open(filler, "wb", buffering=0) as f, pytest.raises(OSError):
                while True:
                    f.write(b"0" * 4096)

    task.at = fill
    with pytest.raises(InputError) as stop:
        Trainer(task, clips(), CONFIG, run).fit()
    said = str(stop.value)
    assert "cannot be written (no room on the disk" in said and str(run.path) in said and "the same call goes on" in said
    assert not [p for p in small_disk.rglob("*") if ".tmp-" in p.name or p.name == "lock"]
    assert run.load_checkpoint()["epoch"] == 1
    filler.unlink()
    Trainer(TwoViews(), clips(), CONFIG, run).fit()
    assert equal(bits(run), bits(whole)) and [r["epoch"] for r in run.history()] == [1, 2, 3]


def test_a_full_disk_says_how_much_a_checkpoint_needs(small_disk):
    run = Run.create(small_disk / "run", {"method": "toy"})
    run.save_checkpoint({"model": {"w": torch.ones(50_000)}, "epoch": 1})
    with pytest.raises(InputError, match=r"at least 4\.0 MB needed, .* free in .*; make room: the checkpoint before it stands, and the"):
        run.save_checkpoint({"model": {"w": torch.ones(1_000_000)}, "epoch": 2})
    assert run.load_checkpoint()["epoch"] == 1
    with pytest.raises(InputError, match="no room on the disk"):
        Run.create(small_disk / "other", {"method": "x" * 2_000_000})
    assert not (small_disk / "other").exists()


def test_checkpoints_follow_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        save_tensors(tmp_path / "a.safetensors", {"x": torch.ones(2)}, {})
    finally:
        os.umask(before)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o644


def test_a_header_that_is_no_json(tmp_path):
    import safetensors.torch

    for told in ("{", "[1]", "{" * 50_000, "null"):
        (tmp_path / "a.safetensors").write_bytes(safetensors.torch.save({"x": torch.ones(2)}, {"c2vl_kit": told}))
        with pytest.raises(InputError, match=r"a\.safetensors"):
            load_tensors(tmp_path / "a.safetensors")


BROKEN = ["{}", "[]", "7", "null", "", "[" * 100_000, '{"split": [1]}', '{"method": 3}', '{"encoders": {"joint": 1}}', "\xff"]


@pytest.mark.parametrize("text", BROKEN)
def test_a_run_folder_that_is_none_is_one_sentence(tmp_path, text):
    run = Run.create(tmp_path / "run", {"method": "toy"})
    Trainer(TwoViews(), clips(), CONFIG, run).fit(1)
    (run.path / "config.json").write_text(text, encoding="latin-1")
    from c2vl_kit.train.runview import RunView

    with pytest.raises(InputError, match=r"config\.json|says nothing of its encoders"):
        assert RunView(run.path).encoders


def test_a_width_of_ten_million_costs_no_memory(tmp_path):
    from c2vl_kit.models.zoo import Backbone
    from c2vl_kit.train.runview import RunView

    net = Backbone("stgcn", width=4, dim=8)
    entry = {"stream": "joint", "prefix": "encoder.", "in_channels": 3, "backbone": net.to_dict()}
    head = {"layout": KINECT20.to_dict(), "encoders": {"joint": entry}}
    run = Run.create(tmp_path / "run", head)
    run.save_checkpoint({"model": {f"encoder.{k}": v for k, v in net.make(KINECT20).state_dict().items()}, "epoch": 1})
    assert list(RunView(run.path).encoders) == ["joint"]
    for width, words in ((10**7, "width of a backbone must be 65,536 at most"), (60_000, "does not fit its encoder")):
        head["encoders"]["joint"]["backbone"]["width"] = width
        (run.path / "config.json").write_text(json.dumps(head))
        with pytest.raises(InputError, match=words):
            assert RunView(run.path).encoders


def test_settings_that_differ_are_all_listed_with_a_way_on(tmp_path):
    old = {"train": {"lr": 0.1, "epochs": 4}, "config": {"train": {"lr": 0.1, "epochs": 4}, "width": 4}}
    new = {"train": {"lr": 0.2, "epochs": 9}, "config": {"train": {"lr": 0.2, "epochs": 9}, "width": 8}}
    Run.create(tmp_path / "run", old)
    with pytest.raises(InputError) as said:
        Run.create(tmp_path / "run", new, resume=True)
    text = str(said.value)
    for part in ("train.lr=0.2 (it was made with 0.1)", "train.epochs=9 (it was made with 4)", "width=8 (it was made with 4)",
                 "--overwrite", "set them back", "another folder", "and more epochs go on from there"):
        assert text.count(part) == 1, (part, text)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="POSIX signals")
def test_handlers_are_put_back_and_only_a_training_catches_signals(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    task = TwoViews()
    task.at = lambda progress: os.kill(os.getpid(), signal.SIGTERM) if (progress.epoch, progress.step) == (1, 2) else None  # the last step
    run = Run.create(tmp_path / "run", {"method": "toy"})
    with pytest.raises(Stopped) as stop:
        Trainer(task, clips(), CONFIG, run).fit()
    assert stop.value.code == 143 and signal.getsignal(signal.SIGTERM) is before
    assert run.load_checkpoint()["epoch"] == 2 and "middle" not in run.load_checkpoint()  # the epoch was done
    task.at = None
    whole = Run.create(tmp_path / "whole", {"method": "toy"})
    Trainer(TwoViews(), clips(), CONFIG, whole).fit()
    Trainer(TwoViews(), clips(), CONFIG, run).fit()
    assert equal(bits(run), bits(whole))


@pytest.mark.parametrize("module", ["c2vl_kit", "c2vl_kit.app.cli"])
def test_python_m_is_the_command(module, tmp_path):
    done = subprocess.run([sys.executable, "-m", module, "evaluate", "--out", tmp_path], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("c2vl: ") and "Traceback" not in done.stderr


METHODS = ("c2vl", "simclr", "skeletonclr", "crosclr", "ikem", "distil", "supervised", "mmcl")


@pytest.fixture(scope="module")
def data(tiny_clips, tmp_path_factory):
    """(store, split, words): three of four subjects are trained on."""
    import numpy as np

    from c2vl_kit.concepts.space import ConceptSpace
    from c2vl_kit.data.splits import Split
    from c2vl_kit.data.build import build_store

    store, _ = build_store(tmp_path_factory.mktemp("data") / "store", tiny_clips, dataset="simulated", progress=False)
    subjects = dict(zip(store.names, store.column("subject").tolist()))
    split = Split("simulated", "xsub", tuple(n for n in store.names if subjects[n] < max(subjects.values())), {"official": ()})
    words = np.random.default_rng(0).normal(size=(len(store.names), 12)).astype(np.float32)
    return store, split, ConceptSpace(store.names, words / np.linalg.norm(words, axis=1, keepdims=True))


def trained(method, data, folder):
    """A tiny run of a method: two epochs of four steps."""
    from c2vl_kit.methods import c2vl, crosclr, distil, ikem, mmcl, simclr, skeletonclr, supervised
    from c2vl_kit.train.pretrain import pretrain

    store, split, space = data
    train = {"epochs": 2, "batch_size": 4, "lr": 3e-3, "warmup_epochs": 1, "device": "cpu", "amp": "off", "threads": 1}
    tiny = dict(frames=8, backbone={"width": 4, "dim": 16, "dropout": 0.25}, train=train)
    if method == "c2vl":
        return pretrain(c2vl, store, split, folder / method, c2vl.small(**tiny), space=space, progress=False)
    if method in ("supervised", "simclr"):
        room = {"supervised": supervised, "simclr": simclr}[method]
        return pretrain(room, store, split, folder / method, room.small(**tiny), progress=False)
    if method == "mmcl":
        told = mmcl.Instruction.from_space(space)
        return pretrain(mmcl, store, split, folder / method, mmcl.small(**tiny), instruction=told, progress=False)
    if method == "distil":
        teacher = trained("ikem", data, folder.parent / "teacher")
        students = distil.small(views=("joint+motion",)).replace(**tiny)
        return pretrain(distil, store, split, folder / method, students, teacher=teacher, seed=2, progress=False)
    room = {"skeletonclr": skeletonclr, "crosclr": crosclr, "ikem": ikem}[method]
    views = {} if method == "skeletonclr" else {"views": ("joint", "motion")}
    return pretrain(room, store, split, folder / method, room.small(**views).replace(**tiny, queue=12), progress=False)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_on_from_the_middle_of_an_epoch_to_the_same_bits(method, data, tmp_path, monkeypatch):
    from c2vl_kit.train import trainer

    whole = trained(method, data, tmp_path / "whole")
    plain = trainer.lr_at

    def called_away(config, progress):  # asked once a step, by every method
        if (progress.epoch, progress.step) == (1, 1):
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(config, progress)

    if method == "distil":
        trained("ikem", data, tmp_path / "teacher")
    with monkeypatch.context() as patched, pytest.raises(Stopped):
        patched.setattr(trainer, "lr_at", called_away)
        trained(method, data, tmp_path / "stopped")
    run = Run.open(tmp_path / "stopped" / method)
    state = run.load_checkpoint()
    assert (state["epoch"], state["middle"]["step"]) == (1, 2)
    trained(method, data, tmp_path / "stopped")
    a, b = whole.load_checkpoint(), run.load_checkpoint()
    assert equal(a["model"], b["model"]) and set(a["optimiser"]) == set(b["optimiser"])
    assert all(torch.equal(x, b["optimiser"][k][n]) for k, s in a["optimiser"].items() for n, x in s.items())
    logs = [[{k: v for k, v in r.items() if k != "seconds"} for r in r.history()] for r in (whole, run)]
    assert logs[0] == logs[1] and len(logs[0]) == 2
