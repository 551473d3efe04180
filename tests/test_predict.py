"""From a run and a folder of recordings: labels, neighbours, words, intervals; and what is refused."""

import csv
import io
import json
import shutil
import weakref
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from c2vl_kit.app.predict import Predictor, features_of, predict, prepared
from c2vl_kit.app.search import describe, search
from c2vl_kit.app.steps import show_step
from c2vl_kit.app.stream import Interval, detection_map, predict_stream
from c2vl_kit.concepts.prompts import PromptStore, prompts_from
from c2vl_kit.concepts.sentences import read_sentences
from c2vl_kit.concepts.space import embed, load_fresh
from c2vl_kit.concepts.vectors import unit_rows
from c2vl_kit.core import InputError
from c2vl_kit.data.build import build_store
from c2vl_kit.data.catalog import get_split, keep_split
from c2vl_kit.data.loader import ClipSet
from c2vl_kit.data.splits import make_split
from c2vl_kit.data.simulate import SimulatorConfig, simulated
from c2vl_kit.evaluate.features import Features, KeptProbe
from c2vl_kit.evaluate.probes import evaluate
from c2vl_kit.methods import c2vl, simclr, supervised
from c2vl_kit.methods.supervised import classify
from c2vl_kit.models.quick import quick
from c2vl_kit.models.stgcn import STGCN, calibrate
from c2vl_kit.models.zoo import Backbone
from c2vl_kit.readers.arrays import write_npz
from c2vl_kit.readers.bvh import write_bvh
from c2vl_kit.readers.common import example_clip
from c2vl_kit.readers.kinect import write_msr, write_nwucla, write_utd
from c2vl_kit.readers.mocap import retarget_roles
from c2vl_kit.readers.ntu import write_ntu
from c2vl_kit.readers.pku import intervals, write_pku
from c2vl_kit.readers.pyskl import write_pyskl
from c2vl_kit.readers.recordings import read_any
from c2vl_kit.readers.tables import write_csv
from c2vl_kit.skeleton import COCO17, KINECT20, MSR20, NTU25, UTD20, Clip
from c2vl_kit.train.pretrain import pretrain
from fuzz import Job, fuzz


class WordTower:
    """Stands for a text model: a word is a direction."""

    name, checksum, dim, precision = "toy", "0" * 64, 96, "float32"

    def encode(self, texts, batch_size=64, progress=False):
        places = [[zlib.crc32(w.encode()) % 96 for w in t.lower().strip(".").split()] for t in texts]
        return unit_rows(np.stack([np.eye(96, dtype=np.float32)[p].sum(0) for p in places]))


SMALL = dict(frames=16, backbone={"width": 4, "dim": 32})


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A job with words, and a labelled run beside them."""
    root = tmp_path_factory.mktemp("job")
    pairs = list(simulated(SimulatorConfig(classes=3, subjects=4, repetitions=3)))
    store, _ = build_store(root / "store", [c for c, _ in pairs], dataset="simulated", progress=False)
    prompts = PromptStore(root / "prompts.jsonl")
    prompts.append(prompts_from({c.name: words for c, words in pairs}, "simulator"))
    embed(store, root, prompts, WordTower(), progress=False)
    config = supervised.small(**SMALL, train=dict(epochs=5, batch_size=8, threads=1))
    pretrain(supervised, store, get_split(store), root / "run", config, progress=False)
    return root


@pytest.fixture(scope="module")
def store(job):
    from c2vl_kit.data.store import Store

    return Store.open(job / "store")


@pytest.fixture(scope="module")
def concepts(job, store):
    """The same job with a run of C2VL."""
    root = job.with_name("concepts")
    shutil.copytree(job, root, ignore=shutil.ignore_patterns("run"))
    config = c2vl.small(**SMALL, train=dict(epochs=6, batch_size=8, threads=1))
    pretrain(c2vl, store, get_split(store), root / "run", config, space=load_fresh(root), progress=False)
    return root


# Any recording --------------------------------------------------------------------------------------------------------------------------


WRITERS = [
    ("own.npz", write_npz, KINECT20), ("table.csv", write_csv, NTU25), ("wave_skeleton.mat", write_utd, UTD20),
    ("free.json", write_nwucla, KINECT20), ("a01_s01_e01_skeleton3D.txt", write_msr, MSR20),
    ("S001C001P001R001A001.skeleton", write_ntu, NTU25),
    ("walk.bvh", write_bvh, KINECT20),
]


@pytest.mark.parametrize("name, write, layout", WRITERS, ids=[w[0].split(".")[1] for w in WRITERS])
def test_every_kind_is_recognised_and_shown(tmp_path, name, write, layout):
    clip = example_clip(name.split(".")[0].removesuffix("_skeleton3D").removesuffix("_skeleton"), layout, T=20, label=0)
    write(clip, tmp_path)
    (made,) = tmp_path.iterdir()
    assert made.name == name
    (read,) = read_any(made)
    assert read.T == clip.T and read.V >= layout.V - 1
    if write is not write_bvh:  # which turns joints into angles
        np.testing.assert_allclose(read.joints, clip.joints, atol=1e-3)
    assert show_step(made, [], tmp_path / "page.html").stat().st_size > 10_000


def test_a_file_of_many_clips_and_one_that_is_none(tmp_path, tiny_clips):
    write_pyskl(tiny_clips[:3], tmp_path / "many.pkl")
    assert [c.name for c in read_any(tmp_path / "many.pkl", "kinect20")] == [c.name for c in tiny_clips[:3]]
    (tmp_path / "notes.txt").write_text("hello there\n")
    with pytest.raises(InputError, match="has 2 words in its first line"):
        list(read_any(tmp_path / "notes.txt"))
    with pytest.raises(InputError, match="ends in .mov, which is no recording"):
        (tmp_path / "a.mov").write_bytes(b"x")
        list(read_any(tmp_path / "a.mov"))


@pytest.mark.parametrize("name, write, layout", WRITERS, ids=[w[0].split(".")[1] for w in WRITERS])
def test_a_damaged_file_is_a_clip_or_a_sentence(tmp_path, name, write, layout):
    write(example_clip(name.split(".")[0].removesuffix("_skeleton3D").removesuffix("_skeleton"), layout, T=6, label=0), tmp_path)
    (made,) = tmp_path.iterdir()
    mine = made.rename(tmp_path / f"mine{made.suffix}")  # a name that says nothing
    (tmp_path.with_name(f"{tmp_path.name}-cage")).mkdir()
    broken = fuzz(Job(mine, read_any, 80), tmp_path.with_name(f"{tmp_path.name}-cage"))
    assert not broken, "\n".join(map(str, broken))


# Labels ---------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(store, tmp_path_factory):
    """Recordings without a label: six that are right, three that are not."""
    folder = tmp_path_factory.mktemp("new")
    for name in get_split(store).tests["official"][::3]:
        write_npz(store[name].replace(label=None, label_name=None), folder)
    (folder / "torn.json").write_text('{"skeletons": [[')
    (folder / "sub").mkdir()
    (folder / "sub" / "empty.skeleton").write_text("")
    write_npz(example_clip("picture", COCO17), folder)
    return folder


def test_labels_are_the_classifiers_and_each_failure_is_named(job, store, folder):
    names = get_split(store).tests["official"][::3]
    found = predict(job / "run", folder, progress=False)
    assert [r.name for r in found] == sorted(names)
    want = classify(job / "run", store, sorted(names))["joint"].exp().numpy()
    classes = Predictor(job / "run").classes
    assert [r.label for r in found] == [classes[i] for i in want.argmax(1)]
    np.testing.assert_allclose([r.probability for r in found], want.max(1), atol=1e-4)
    assert {Path(f).name for f in found.failed} == {"torn.json", "empty.skeleton", "picture.npz"}
    told = next(why for file, why in found.failed.items() if file.endswith("picture.npz"))
    assert "has the layout coco17 (17 joints), and the run was trained on kinect20 (20)" in told


def test_joints_by_name_where_one_asks_and_a_note_says_so(job, store, folder):
    plain, found = (predict(job / "run", folder, progress=False, joints=how) for how in ("same", "by-name"))
    one = {r.name: r for r in found}
    assert set(one) == {r.name for r in plain} | {"picture"} and {Path(f).name for f in found.failed} == {"torn.json", "empty.skeleton"}
    assert all(one[r.name].label == r.label and abs(one[r.name].probability - r.probability) < 1e-5 for r in plain)
    said, = (note for note in found.notes if "coco17" in note)
    assert "moved onto kinect20, joints by name." in said and not any("coco17" in n for n in plain.notes)
    assert one["picture"].label == predict(job / "run", [retarget_roles(example_clip("picture", COCO17), store.layout)]).rows[0].label
    features = features_of(job / "run", folder, joints="by-name", progress=False)
    assert "picture" in features.names and said in features.info["notes"]
    eyes = Predictor(job / "run", joints="by-name")
    notes = [predict(eyes, [clip], words=0).notes for clip in (example_clip("picture", COCO17), store[store.names[0]])]
    assert said in notes[0] and said not in notes[1]                                 # of these clips, not of earlier ones
    with pytest.raises(InputError, match="joints must be same or by-name, got 'any'"):
        predict(job / "run", folder, joints="any")


def test_tables(job, folder, tmp_path):
    found = predict(job / "run", folder, progress=False)
    rows = list(csv.DictReader(io.StringIO(found.to_csv(tmp_path / "t.csv"))))
    assert len(rows) == len(found) + 3 and sum(bool(r["error"]) for r in rows) == 3
    assert json.loads(found.to_json(tmp_path / "t.json"))["predictions"][0]["label"] == rows[0]["label"]
    assert (tmp_path / "t.csv").read_text() == found.to_csv()
    assert found._repr_markdown_().count("- failed: ") == 3


def test_processes_and_batches_change_nothing(job, folder):
    one, two = (predict(job / "run", folder, workers=w, batch_size=b, progress=False) for w, b in ((1, 64), (2, 2)))
    assert [r.label for r in one] == [r.label for r in two] and one.failed == two.failed
    np.testing.assert_allclose([r.probability for r in one], [r.probability for r in two], atol=1e-5)


def test_no_store_is_needed_once_the_run_was_evaluated(job, store, folder, tmp_path):
    shutil.copytree(job / "run", tmp_path / "run", ignore=shutil.ignore_patterns("probe.safetensors"))
    bare = predict(tmp_path / "run", folder, progress=False)
    assert not bare.rows[0].near and any("evaluate the run" in n for n in bare.notes)
    evaluate(job / "run", store, get_split(store), device="cpu", progress=False)
    shutil.copy(job / "run" / "probe.safetensors", tmp_path / "run")
    near = predict(tmp_path / "run", folder, near=2, progress=False)
    train = set(get_split(store).train)
    assert all(len(r.near) == 2 and {n for n, _ in r.near} <= train and r.near[0][1] >= r.near[1][1] for r in near)
    clip = store[get_split(store).train[0]]
    assert predict(tmp_path / "run", clip, progress=False).rows[0].near[0][0] == clip.name  # itself


def test_a_run_without_labels_answers_with_its_probe(store, folder, tmp_path):
    split = get_split(store)
    config = simclr.small(**SMALL, train=dict(epochs=2, batch_size=8, threads=1))
    run = pretrain(simclr, store, split, tmp_path / "alone", config, progress=False)
    with pytest.raises(InputError, match="has no classifier and no probe: evaluate it first"):
        predict(run, folder, progress=False)
    results = evaluate(run, store, split, device="cpu", progress=False)
    truth = {n: store[n].label_name for n in store.names}
    official = split.tests["official"]
    found = predict(run, [store[n] for n in official], progress=False)
    right = np.mean([r.label == truth[r.name] for r in found])
    assert right == pytest.approx(results["linear"]["official"]["last"].accuracy)
    # beside a store, a run that was never evaluated fits the same probe
    (tmp_path / "alone" / "probe.safetensors").rename(tmp_path / "kept")
    shutil.copytree(store.path, tmp_path / "store")
    again = predict(run, [store[n] for n in official], progress=False)
    assert [r.label for r in again] == [r.label for r in found]
    one, two = KeptProbe.load(tmp_path / "kept"), KeptProbe.load(run.path / "probe.safetensors")
    np.testing.assert_array_equal(one.weights, two.weights)
    # a probe of other weights is not used, and a run that starts anew takes it away
    longer = config.replace(train={"epochs": 3})
    run = pretrain(simclr, store, split, run.path, longer, overwrite=True, progress=False)
    assert not (run.path / "probe.safetensors").exists()
    one.save(run.path / "probe.safetensors")
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(InputError, match="evaluate it first"):
        predict(run, folder, progress=False)


def test_features_for_other_programs(job, store, folder, tmp_path):
    found = features_of(job / "run", folder, progress=False)
    assert len(found.info["failed"]) == 3 and found.dim == 32
    back = np.load(found.export(tmp_path / "f.npz"))
    assert tuple(back["names"]) == found.names and np.array_equal(back["x"], found.x)
    with pytest.raises(InputError, match="pyarrow" if not has("pyarrow") else "end its name"):
        found.export(tmp_path / ("f.parquet" if not has("pyarrow") else "f.xls"))
    assert isinstance(features_of(job / "run", store, progress=False), Features)


def has(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


@pytest.mark.parametrize("layout, persons", [(KINECT20, 1), (NTU25, 2)])
def test_quick_encoders_say_the_same(layout, persons):
    torch.manual_seed(0)
    x = torch.randn(6, 3, 20, layout.V, persons)
    x[0, ..., -1] = 0
    net = calibrate(STGCN(layout, width=8, dim=32), x)
    with torch.inference_mode():
        want, got = net(x), quick(net)(x)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4 * float(want.abs().max()))
    other = Backbone("gru").make(layout, 3).eval()
    assert quick(other) is other


def test_a_set_is_a_dataset(store):
    clips = ClipSet.load(store, store.names[:5], frames=8, progress=False)
    assert isinstance(clips, torch.utils.data.Dataset) and len(clips) == 5
    got = list(torch.utils.data.DataLoader(clips, batch_size=2))
    assert [n for b in got for n in b["name"]] == list(clips.names)
    assert torch.equal(torch.cat([b["x"] for b in got]), clips.x) and torch.equal(clips[-1]["x"], clips.x[-1])


# Words ----------------------------------------------------------------------------------------------------------------------------------


def test_words_of_new_clips(concepts, store, folder):
    found = predict(concepts / "run", folder, words=2, progress=False)
    told = set(read_sentences(concepts).texts)
    assert all(len(r.words) == 2 and {w for w, _ in r.words} <= told for r in found)
    assert found.notes == ()


def test_search_by_words_by_skeleton_and_by_both(concepts, job, store, tmp_path):
    name = store.names[4]
    query = PromptStore(concepts / "prompts.jsonl").answers(name)[3]
    said = search(concepts / "store", query, k=36, by="captions", tower=WordTower())
    mine = next(h for h in said.hits if h.name == name)
    assert mine.caption == pytest.approx(1, abs=1e-2) == said.hits[0].caption and mine.skeleton is None
    assert 0 <= mine.start < mine.stop <= store[name].T / store[name].fps + 1e-6
    seen = search(concepts / "run", query, k=3, by="skeleton", tower=WordTower())
    assert all(h.caption is None and h.stop > h.start for h in seen.hits)
    assert [h.skeleton for h in seen.hits] == sorted((h.skeleton for h in seen.hits), reverse=True)
    both = search(concepts, query, k=3, tower=WordTower())
    page = both.to_html(tmp_path / "found.html")
    assert both.hits[0].name in page and (tmp_path / "found.html").is_file()
    assert json.loads(both.to_json())["query"] == query
    labelled = search(job, query, k=2, tower=WordTower())  # its run has no concepts
    assert labelled.hits and any("was not asked" in n for n in labelled.notes)
    with pytest.raises(InputError, match="did not make this concept space"):
        other = WordTower()
        other.checksum = "1" * 64
        search(job, query, tower=other)


def test_describe(concepts, job, folder):
    file = next(folder.glob("sim*.npz"))
    said = describe(file, moments=8)
    assert said.spans[0][0] == 0 and all(a[1] == b[0] and a[2] != b[2] for a, b in zip(said.spans, said.spans[1:]))
    assert len(describe(file, concepts / "run", k=4).near) == 4
    assert describe(file, job / "run").notes


# Streams --------------------------------------------------------------------------------------------------------------------------------


def test_a_stream_is_live_and_holds_one_window(job, store):
    alive, most, drawn = [0], [], [0]

    class Frame(np.ndarray):
        pass

    def camera():
        for clip in (store[n] for n in store.names[:6]):
            for x in clip.joints:
                drawn[0] += 1
                frame = x.copy().view(Frame)
                alive[0] += 1
                weakref.finalize(frame, lambda: alive.__setitem__(0, alive[0] - 1))
                most.append(alive[0])
                yield frame

    eyes = Predictor(job / "run")
    live = predict_stream(eyes, camera(), window=30, hop=10, merge=False)
    first = next(live)
    assert drawn[0] == 30 and (first.start, first.stop) == (0, 20)
    rest = list(live)
    assert max(most) <= 32 and rest[-1].stop == drawn[0]
    assert all(a.stop == b.start for a, b in zip([first, *rest], rest))


def test_a_recording_of_pku_becomes_intervals(tmp_path):
    clips = [example_clip(f"A001N001V001C{k:03d}L{i:03d}", NTU25, T=40, label=k - 1) for i, k in enumerate((1, 2, 1, 2), 1)]
    for clip in clips:  # the second class has its hands up
        if clip.label:
            clip.joints[:, :, [6, 7, 10, 11], 1] += 0.9
    made = [
        c.replace(name=f"{c.name[:-4]}L{i}{j}", joints=c.joints + 0.01 * j, subject=j % 2, label_name="ab"[c.label])
        for j in range(4) for i, c in enumerate(clips)
    ]
    store, _ = build_store(tmp_path / "store", made, progress=False)
    split = make_split(store, by="subject", train=[0])
    keep_split(split, store)
    how = dict(frames=16, pipeline="centre", backbone={"width": 4, "dim": 16})
    config = simclr.small(**how, train=dict(epochs=1, batch_size=8, threads=1))
    run = pretrain(simclr, store, split, tmp_path / "run", config, progress=False)  # its probe is fitted below
    file, labels = write_pku(clips, tmp_path / "raw", pause=30)
    (long,) = read_any(file)
    assert long.T == 4 * 70 and isinstance(long, Clip)
    truth = [Interval(a - 1, b, "ab"[k - 1]) for k, a, b in intervals(labels)]
    found = list(predict_stream(run, long, window=20, hop=4))
    assert {i.label for i in found} <= {"a", "b"} and all(a.stop <= b.start for a, b in zip(found, found[1:]))
    covered = np.zeros(long.T, bool)  # the actions, and no more than a hop of the pauses
    for one in found:
        covered[one.start : one.stop] = True
    acted = np.zeros(long.T, bool)
    for one in truth:
        acted[one.start : one.stop] = True
    assert covered[acted].all() and (covered & ~acted).sum() <= 4 * 2 * 4
    assert 0 <= detection_map({"v": found}, {"v": truth}).value <= 1
    assert detection_map({"v": truth}, {"v": truth}).value == 1


def test_average_precision_is_that_of_a_plain_loop():
    rng = np.random.default_rng(0)
    for _ in range(20):
        def some(n):
            starts = rng.integers(0, 200, n)
            return [Interval(int(a), int(a + rng.integers(5, 40)), "x", float(rng.random())) for a in starts]

        truth, found = {"v": some(6), "w": some(3)}, {"v": some(8), "w": some(8)}
        flat = sorted(((i.score, k, i) for k, every in found.items() for i in every), key=lambda p: -p[0])
        used, hits = set(), []
        for _, k, i in flat:
            best = max((t for t in truth[k] if (k, t) not in used), key=i.overlap, default=None)
            ok = best is not None and i.overlap(best) >= 0.3
            used |= {(k, best)} if ok else set()
            hits.append(ok)
        precision = [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits))]
        naive = sum(max(precision[n:]) for n, hit in enumerate(hits) if hit) / 9
        assert detection_map(found, truth, 0.3).value == pytest.approx(naive)


# On real recordings ---------------------------------------------------------------------------------------------------------------------


def test_files_of_a_data_set_under_other_names(data_root, tmp_path):
    source = sorted((data_root / "utd_mhad" / "Skeleton").glob("a1_s1_t*.mat"))[0]
    shutil.copy(source, tmp_path / "mine.mat")
    (named,), (free,) = read_any(source), read_any(tmp_path / "mine.mat")
    np.testing.assert_array_equal(named.joints, free.joints)
    assert named.label == 0 and free.label is None
    assert prepared(free, UTD20, {"frames": 8, "persons": 1, "pipeline": "facing"}).shape == (3, 8, 20, 1)
