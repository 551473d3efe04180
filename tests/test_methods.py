"""The contrastive family: every preset constructs, every task is sound, a killed run ends with the same bits, two people help."""

import copy
import importlib.util
import json
import signal
import time

import pytest
import torch
from nursery import Nursery

from c2vl_kit.data.splits import Split
from c2vl_kit.data.catalog import get_split
from c2vl_kit.data.prepare import prepare
from c2vl_kit.data.loader import Batch, ClipSet
from c2vl_kit.data.build import build_store
from c2vl_kit.data.store import Store
from c2vl_kit.data.streams import stream
from c2vl_kit.evaluate.features import extract
from c2vl_kit.evaluate.fusion import evaluate_views
from c2vl_kit.methods import crosclr, distil, ikem, mmcl, skeletonclr, supervised
from c2vl_kit.models.zoo import Backbone
from c2vl_kit.core import InputError
from c2vl_kit.skeleton import KINECT20, NTU25, SBU15
from c2vl_kit.train.runs import Run
from c2vl_kit.train.task import Progress, check_task, generator_for, seeded
from c2vl_kit.train.pretrain import pretrain
from c2vl_kit.train.runview import RunView, how_prepared

TINY = dict(frames=8, backbone={"name": "stgcn", "width": 4, "dim": 16, "dropout": 0.25}, queue=24,
            train={"epochs": 2, "batch_size": 8, "lr": 3e-3, "warmup_epochs": 1, "device": "cpu", "amp": "off", "threads": 1})
METHODS = {"skeletonclr": (skeletonclr, skeletonclr.MoCo), "crosclr": (crosclr, crosclr.CrosSCLR), "ikem": (ikem, ikem.IKEM)}
STAGES = {"stage one": Progress(0, 10), "stage two": Progress(5, 10)}


@pytest.fixture(scope="module")
def store(tiny_clips, tmp_path_factory) -> Store:
    return build_store(tmp_path_factory.mktemp("data") / "store", tiny_clips, dataset="simulated", progress=False)[0]


@pytest.fixture(scope="module")
def split(store) -> Split:
    subjects = dict(zip(store.names, store.column("subject").tolist()))
    last = max(subjects.values())
    return Split("simulated", "xsub", tuple(n for n in store.names if subjects[n] < last),
                 {"official": tuple(n for n in store.names if subjects[n] == last)})


@pytest.fixture(scope="module")
def teacher(store, split, tmp_path_factory) -> Run:
    """Three views, one head for all: the published form."""
    config = ikem.small(views=("joint", "motion", "bone"), projection=8).replace(**TINY, shared_head=True)
    return pretrain(ikem, store, split, tmp_path_factory.mktemp("teacher") / "run", config, progress=False)


def two_people(layout=KINECT20, n=6) -> Batch:
    """Clips with two persons, one person, and one whose first slot is empty."""
    x = 0.3 * torch.randn(n, 3, 8, layout.V, 2, generator=generator_for(0, "people"))
    present = torch.tensor([[True, True], [True, False], [False, True]] * (n // 3))
    return Batch(x * present[:, None, None, None], present, tuple(f"clip{i}" for i in range(n)), torch.arange(n), torch.arange(20, 20 + n))


@pytest.mark.parametrize("legacy", (False, True))
@pytest.mark.parametrize("preset", ("small", "published"))
@pytest.mark.parametrize("method", METHODS)
def test_presets_construct_and_survive_json(method, preset, legacy):
    module, task = METHODS[method]
    config = getattr(module, preset)(legacy=legacy)
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.reinit_keys == config.repeat_augment == legacy
    assert config.shared_head == (legacy and method != "ikem")
    for layout in (KINECT20, NTU25):
        built = task(layout, config.replace(queue=config.train.batch_size))
        assert set(built.encoder_table()) == set(config.views) == set(built.bank.views)
    if preset == "published":
        assert (config.train.epochs, config.queue, config.tau, config.momentum, config.frames) == (300, 32768, 0.07, 0.999, 50)
        assert (config.train.optimiser, config.train.lr, config.train.lr_steps) == ("sgd", 0.1, (250,))
        assert config.pipeline == ("A-legacy" if legacy else "A")
    assert getattr(config, "legacy_streams", None) is (legacy if method == "ikem" else None)


@pytest.mark.parametrize("one", (False, True))
def test_students_presets_construct(teacher, one):
    config = distil.published(one, legacy=True, queue=128)
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config
    task = distil.Distill(KINECT20, distil.Teacher(teacher), config)
    assert sum(e["in_channels"] for e in task.encoder_table().values()) == 9
    sound = distil.Distill(KINECT20, distil.Teacher(teacher), distil.small())
    assert task.train().teacher.training and not sound.train().teacher.training
    for legacy in (False, True):
        config = distil.published(one, legacy=legacy)
        assert config.pipeline == ("A-legacy" if legacy else "A")
        assert config.train_mode_teacher == config.bone_queue == config.repeat_augment == config.legacy_streams == legacy
        assert (config.backbone.persons, config.backbone.partition) == (("legacy", "legacy-hop1") if legacy else (None, None))


def test_mmcl_published_switches():
    old, new = mmcl.published(legacy=True), mmcl.published()
    assert (old.pipeline, old.standardise, old.replicas, old.backbone.persons) == ("B-legacy", False, 2, "legacy")
    assert (new.pipeline, new.standardise, new.replicas, new.backbone.persons) == ("B", True, 1, None)
    assert supervised.published().pipeline == "B"


def test_students_repeat_their_augmentations_where_asked(teacher):
    batch, losses = two_people(), {}
    for repeat in (False, True):
        config = distil.small(repeat_augment=repeat).replace(**TINY, persons=2)
        with seeded(0, "init"):
            task = distil.Distill(KINECT20, distil.Teacher(teacher), config).eval()
        with torch.no_grad():
            losses[repeat] = [task.loss(batch, Progress(e, 2, step=3), generator_for(0, "augment", e))[0].item() for e in (0, 1)]
    assert losses[True][0] == losses[True][1] and losses[False][0] != losses[False][1]


def test_legacy_streams_reach_students_and_features(store, split, tmp_path):
    config = ikem.small(views=("joint", "bone"), projection=8, legacy_streams=True).replace(**TINY)
    run = pretrain(ikem, store, split, tmp_path / "run", config, progress=False)
    how = how_prepared(RunView(run), "bone")
    assert how["legacy_streams"] and "true_timeline" not in how
    clips, net = ClipSet.load(store, split.train, 8, 1, "facing", progress=False), RunView(run).encoders["bone"]
    with torch.no_grad():
        want = net(stream(clips.x, KINECT20, "bone", legacy=True), clips.present).numpy()
    assert abs(extract(net, clips, stream="bone", legacy_streams=True).x - want).max() < 1e-5
    assert abs(extract(net, clips, stream="bone").x - want).max() > 1e-3
    results = evaluate_views(run, store, split, views=["bone"], progress=False)
    assert results.info["view"]["bone"]["legacy_streams"] and abs(results.info["feature_std"] - want.std(0).mean()) < 1e-4
    student = distil.Distill(KINECT20, distil.Teacher(run), distil.small(legacy_streams=True).replace(**TINY))
    batch = clips.take(range(4))
    assert torch.equal(student.streams(batch.x, batch)["bone"], stream(batch.x, KINECT20, "bone", legacy=True))


def test_a_classifier_knows_its_own_training_clips(store, split, tmp_path):
    """In evaluation mode, after eighty steps: batch norms have settled, or every clip would get one answer."""
    brief = TINY["train"] | {"epochs": 40, "lr": 5e-3, "save_every": 20}
    config = supervised.small().replace(frames=16, backbone={"width": 4, "dim": 16}, train=brief)
    run = pretrain(supervised, store, split, tmp_path / "run", config, progress=False)
    label = dict(zip(store.names, store.labels.tolist()))
    answers = supervised.classify(run, store, split.train, progress=False)["joint"].argmax(1).tolist()
    right = sum(a == label[n] for a, n in zip(answers, split.train)) / len(answers)
    assert right > 0.75 > 2 / len(store.label_names), right


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("legacy", (False, True))
@pytest.mark.parametrize("method", METHODS)
def test_check_task(method, legacy, stage):
    module, task = METHODS[method]
    config = module.small(legacy=legacy).replace(**TINY, persons=2, projection=8, true_timeline=True)
    with seeded(0, "init"):
        built = task(KINECT20, config)
    numbers = check_task(built, two_people(), STAGES[stage])
    assert numbers["feature_std"] > 0


def test_check_task_distill(teacher):
    for views in (("joint", "bone"), ("joint+motion+bone",)):
        config = distil.small(views=views).replace(**TINY, persons=2)
        with seeded(0, "init"):
            task = distil.Distill(KINECT20, distil.Teacher(teacher), config)
        assert check_task(task, two_people())["loss"] > 0


@pytest.mark.parametrize("name", ("stgcn", "ctrgcn", "gru", "transformer"))
def test_any_backbone(name):
    wide = {"gru": {"width": 8}, "ctrgcn": {"width": 8, "dim": 32}, "transformer": {"width": 16}}.get(name, {"width": 4, "dim": 16})
    config = crosclr.small(views=("joint", "motion")).replace(**TINY | {"backbone": Backbone(name, **wide)}, persons=2, projection=8)
    with seeded(0, "init"):
        task = crosclr.CrosSCLR(SBU15, config)
    check_task(task, two_people(SBU15), STAGES["stage two"])


@pytest.mark.parametrize("count", (2, 3, 6))
def test_any_number_of_views(count):
    views = ikem.SIX[:count]
    with seeded(0, "init"):
        task = ikem.IKEM(KINECT20, ikem.small(views=views).replace(**TINY, projection=8))
    batch = two_people()
    one = Batch(batch.x[..., :1], batch.present[:, :1], batch.names, batch.index)
    numbers = check_task(task, one, STAGES["stage two"])
    assert sum(">" in k for k in numbers) == count * (count - 1) and sum("ikem" in k for k in numbers) == count


def test_queue_holds_what_a_list_would(store, split):
    clips = ClipSet.load(store, split.train, 8, 1, "facing", progress=False)
    with seeded(0, "init"):
        task = crosclr.CrosSCLR(KINECT20, crosclr.small(views=("joint", "bone")).replace(**TINY, projection=8))
    kept = {v: list(task.bank[v]) for v in task.views}
    for step, batch in enumerate(clips.batches(5, 0, 0)):
        task.loss(batch, Progress(0, 2, step, 3), generator_for(0, "augment"))
        rows = {v: torch.nn.functional.normalize(k, dim=1) for v, k in task.waiting.items()}
        task.after_step(Progress(0, 2, step, 3))
        for v in task.views:
            for i, row in enumerate(rows[v]):
                kept[v][(5 * step + i) % 24] = row
    for v in task.views:
        assert torch.allclose(task.bank[v], torch.stack(kept[v]), atol=1e-6)


def test_runs_are_read_back(teacher, store, split, tmp_path):
    assert list(RunView(teacher).encoders) == ["joint", "motion", "bone"]
    assert how_prepared(RunView(teacher), "bone") == {"frames": 8, "persons": 1, "pipeline": "facing", "stream": "bone"}
    config = distil.small(views=("joint+motion+bone",)).replace(**TINY)
    once = pretrain(distil, store, split, tmp_path / "once", config, teacher=teacher, seed=2, progress=False)
    pretrain(distil, store, split, tmp_path / "half", config, teacher=teacher, seed=2, progress=False, stop_after=1)
    half = pretrain(distil, store, split, tmp_path / "half", config, teacher=teacher, seed=2, progress=False)
    a, b = (r.load_checkpoint()["model"] for r in (once, half))
    assert all(torch.equal(a[k], b[k]) for k in a)
    other = pretrain(ikem, store, split, tmp_path / "other", ikem.small(views=("joint", "motion", "bone"), projection=8).replace(**TINY),
                          seed=9, progress=False)
    with pytest.raises(InputError, match="cannot resume"):
        pretrain(distil, store, split, tmp_path / "half", config, teacher=other, seed=2, progress=False)


def test_a_teacher_of_other_clips_is_refused_unless_cleared(teacher, store, split, tiny_clips, tmp_path):
    config = distil.small(views=("joint",)).replace(**TINY)
    elsewhere, _ = build_store(tmp_path / "store", tiny_clips, dataset="elsewhere", progress=False)
    fewer = Split("simulated", "fewer", split.train[:12], split.tests)
    for data, part, named in ((elsewhere, split, "elsewhere, split xsub"), (store, fewer, "simulated, split fewer"),
                              (elsewhere, fewer, "elsewhere, split fewer")):
        with pytest.raises(InputError, match=f"was trained on simulated, split xsub .* train one on {named}"):
            pretrain(distil, data, part, tmp_path / "no", config, teacher=teacher, progress=False)
    assert not (tmp_path / "no").exists()
    run = pretrain(distil, elsewhere, fewer, tmp_path / "run", config, teacher=teacher, cleared=True, progress=False)
    assert run.config["dataset"] == "elsewhere" and len(run.history()) == 2


def test_a_step_equals_the_plain_one(root):
    spec = importlib.util.spec_from_file_location("bench_methods", root / "bench" / "methods.py")
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    clips = bench.one_person_clips(6, 8)
    batch = Batch(clips.x.double(), clips.present, clips.names, clips.index)
    backbone = Backbone(width=4, dim=16, dropout=0.0)
    config = crosclr.CrosSCLRConfig(frames=8, persons=2, backbone=backbone, queue=15, momentum=0.9, variant="paper")
    with seeded(0, "init"):
        ours = crosclr.CrosSCLR(NTU25, config).double()
    theirs = copy.deepcopy(ours)
    optimisers = [torch.optim.SGD([*t.encoder.parameters(), *t.heads.parameters()], 0.05) for t in (ours, theirs)]
    plain = bench.Plain(theirs, bench.plain_stgcn)
    for seed in range(4):
        a = bench.step(ours, ours, optimisers[0], batch, seed)
        b = bench.step(plain, theirs, optimisers[1], batch, seed)
        assert a == pytest.approx(b, abs=1e-8)


# What the processes run: CHILD <store> <run folder> <epoch in which to wait for a signal>.
CHILD = '''
import sys, time
from pathlib import Path
import torch
from c2vl_kit.data.splits import Split
from c2vl_kit.data.build import build_store
from c2vl_kit.data.store import Store
from c2vl_kit.methods import ikem
from types import SimpleNamespace
from c2vl_kit.train.pretrain import pretrain

store, out, wait_in = Store.open(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])


class Waiting(ikem.IKEM):
    def compare(self, seen, progress):
        if progress.epoch == wait_in and progress.step == 1:
            (out.parent / f"{out.name}.waiting").touch()
            time.sleep(600)
        return super().compare(seen, progress)


config = ikem.small(views=("joint", "motion", "angular-velocity"), projection=8).replace(
    frames=8, backbone={"width": 4, "dim": 16, "dropout": 0.25}, queue=24, cross_epoch=1,
    train={"epochs": 3, "batch_size": 8, "lr": 3e-3, "device": "cpu", "amp": "off", "threads": 1})
torch.rand(int(time.time()) % 100)  # whatever was drawn before must not matter
split = Split("simulated", "all", tuple(store.names), {"official": ()})
pretrain(SimpleNamespace(Task=Waiting), store, split, out, config, progress=False)
'''


NURSERY = Nursery(CHILD[: CHILD.index("\n\n")])


@pytest.fixture(scope="module", autouse=True)
def nursery():
    yield
    NURSERY.close()


def child(store, out, wait_in=-1):
    return NURSERY.start(CHILD, store.path, out, wait_in)


def finish(process, code=0):
    assert process.wait(timeout=300) == code, process.said()


def flat(state, where=""):
    for key, value in state.items():
        yield from flat(value, f"{where}{key}/") if isinstance(value, dict) else [(f"{where}{key}", value)]


def test_killed_in_stage_two_and_resumed_equal_bit_for_bit(store, tmp_path):
    whole, killed = child(store, tmp_path / "whole"), child(store, tmp_path / "killed", 1)
    deadline = time.monotonic() + 300
    while not (tmp_path / "killed.waiting").exists():
        assert killed.poll() is None, killed.said()
        assert time.monotonic() < deadline, "the training did not get to its second epoch"
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    finish(killed, -signal.SIGKILL)
    assert Run.open(tmp_path / "killed").load_checkpoint()["epoch"] == 1
    finish(child(store, tmp_path / "killed"))
    finish(whole)
    a, b = (Run.open(tmp_path / name) for name in ("whole", "killed"))
    one, two = (dict(flat(r.load_checkpoint())) for r in (a, b))
    assert list(one) == list(two) and any("bank.keys" in k for k in one) and any("key_encoder" in k for k in one)
    for key, value in one.items():
        assert torch.equal(value, two[key]) if torch.is_tensor(value) else value == two[key], key
    logs = [[{k: v for k, v in record.items() if k != "seconds"} for record in run.history()] for run in (a, b)]
    assert logs[0] == logs[1] and len(logs[0]) == 3


def test_a_bank_smaller_than_a_batch_is_refused_before_anything_is_made(store, split, tmp_path):
    config = skeletonclr.small().replace(**TINY | {"queue": 4})
    with pytest.raises(InputError, match="a bank of 4 keys cannot hold a batch of 8"):
        pretrain(skeletonclr, store, split, tmp_path / "run", config, progress=False)
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="at least two views"):
        pretrain(crosclr, store, split, tmp_path / "run", crosclr.small(views=("joint",)).replace(**TINY), progress=False)
    assert not (tmp_path / "run").exists()


def test_two_people_are_used(data_root, root, tmp_path):
    """SBU, one fold: the same model with each person centred by themselves loses what passes between the two."""
    folder = data_root / "sbu"
    if not folder.is_dir():
        pytest.skip("C2VL_DATA holds no sbu/")
    spec = importlib.util.spec_from_file_location("bench_two_persons", root / "bench" / "two_persons.py")
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    store, _ = prepare("sbu", folder, tmp_path / "store", progress=False)
    split = get_split(store)
    together, apart = (bench.accuracy(store, split, how, epochs=10, width=8, frames=16) for how in ("together", "each frame"))
    assert together > 0.5 and together > apart


def test_a_live_view_watches_every_method(tiny_clips, tmp_path):
    """Methods with an encoder per view, too: the first view's neighbours."""
    from c2vl_kit.data.loader import ClipSet
    from c2vl_kit.viz.live import LiveView

    store, _ = build_store(tmp_path / "store", tiny_clips, dataset="simulated", progress=False)
    split = get_split(store)
    live = LiveView(ClipSet.load(store, split.train, 8, progress=False), dict(zip(store.names, store.labels)), every=1)
    settings = dict(frames=8, views=("motion", "joint"), queue=16, backbone=Backbone(width=4, dim=16, dropout=0.0))
    pretrain(skeletonclr, store, split, tmp_path / "run", skeletonclr.small(**settings, train={"epochs": 2, "batch_size": 6}),
                         progress=False, callbacks=[live])
    assert live.epoch == 2 and len(live.series["knn"]) == 2 and all(0 <= v <= 1 for v in live.series["knn"])
