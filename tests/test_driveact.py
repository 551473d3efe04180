"""Drive&Act: columns by name, pieces by the table, and every damaged file a sentence."""

import random
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from c2vl_kit.readers.driveact import (
    DRIVEACT_CLASSES, driveact_splits, mean_per_class_accuracy, read_driveact, write_driveact)
from c2vl_kit.core import InputError
from c2vl_kit.skeleton import OPENPOSE25, Clip

RUN = "vp3/run2_2018-05-08-10-15-00.ids_1"
HEAD = "participant_id,file_id,annotation_id,frame_start,frame_end,activity,chunk_id\n"


def whole(T=60, seed=0) -> Clip:
    """Joints somewhere before the mirror, some of them missing."""
    x = np.random.default_rng(seed).normal(0, 0.2, (T, 1, 25, 3)) + [0, 0, -1]
    x[:, 0, [11, 14, 20]] = np.nan
    x[5:8] = np.nan
    return Clip("whole", x.astype(np.float32), OPENPOSE25)


def table(folder: Path, rows=None, name="midlevel.chunks_90.csv", head=HEAD) -> Path:
    looking = '"looking_or_moving_around (e.g. searching)"'
    rows = rows or [(3, RUN, 0, 0, 20, "eating", 0), (3, RUN, 0, 20, 30, "eating", 1), (3, RUN, 1, 35, 60, looking, 0)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(head + "".join(",".join(map(str, r)) + "\n" for r in rows))
    return folder / name


def invented(folder: Path) -> tuple[Path, Path]:
    """A recording and its table, laid out as the data set is."""
    pose = write_driveact(whole(), folder / "openpose_3d" / "vp3" / f"{RUN[4:]}.openpose.3d.csv")
    return pose, table(folder / "activities_3s" / "inner_mirror")


def fuzz_seeds(folder: Path) -> list:
    """(file, reader of one path) pairs: the recording, and the table of a good recording."""
    pose, activities = invented(folder)
    return [(pose, partial(read_driveact, activities=activities)), (activities, partial(_by_table, pose=pose))]


def _by_table(activities, pose):
    """`read_driveact` with the table as its first argument."""
    return read_driveact(pose, activities=activities)


def sentence(job, *words) -> str:
    with pytest.raises(InputError) as e:
        job()
    said = str(e.value)
    assert "\n" not in said and said.endswith((".", "?")), said
    for word in words:
        assert str(word) in said, said
    return said


def test_pieces(tmp_path):
    pose, _ = invented(tmp_path)
    got = list(read_driveact(pose))
    assert [c.name for c in got] == [f"vp3_run2_2018-05-08-10-15-00_a{a:03d}_c{c:03d}" for a, c in ((0, 0), (0, 1), (1, 0))]
    assert [(c.T, c.label_name, c.subject, c.repetition, c.fps) for c in got] == [
        (20, "eating", 3, 2, 30.0),
        (10, "eating", 3, 2, 30.0),
        (25, "looking or moving around", 3, 2, 30.0),
    ]
    assert all(DRIVEACT_CLASSES["midlevel"][c.label] == c.label_name and c.layout is OPENPOSE25 for c in got)
    for c, (a, b) in zip(got, ((0, 20), (20, 30), (35, 60))):
        assert np.array_equal(np.isnan(c.joints), np.isnan(whole().joints[a:b]))
        assert np.allclose(np.nan_to_num(c.joints), np.nan_to_num(whole().joints[a:b]), atol=1e-5)
        assert np.array_equal(c.confidence > 0, c.mask)


def test_columns_in_any_order(tmp_path):
    pose, activities = invented(tmp_path)
    order = [*OPENPOSE25.joints[::-1], "background"]
    other = write_driveact(whole(), tmp_path / "elsewhere" / pose.name, order)
    assert len(other.read_text().split("\n")[0].split(",")) == 106
    assert [c.digest for c in read_driveact(other, activities)] == [c.digest for c in read_driveact(pose)]
    crlf = tmp_path / "crlf" / pose.name
    crlf.parent.mkdir()
    crlf.write_bytes(b"\xef\xbb\xbf" + pose.read_bytes().replace(b"\n", b"\r\n"))
    assert [c.digest for c in read_driveact(crlf, activities)] == [c.digest for c in read_driveact(pose)]


def test_a_missing_joint_is_nan_and_never_a_place(tmp_path):
    pose, _ = invented(tmp_path)
    lines = pose.read_text().split("\n")
    column = lines[0].split(",").index("neck_p")
    for frame, value in ((1, "0"), (2, "nan"), (3, "1e-3")):
        words = lines[frame + 1].split(",")
        words[column] = value
        lines[frame + 1] = ",".join(words)
    pose.write_text("\n".join(lines))
    seen = next(read_driveact(pose)).mask[:, 0, OPENPOSE25.index("neck")]
    assert seen[:5].tolist() == [True, False, False, True, True]


def test_a_broken_piece_stops_nothing(tmp_path):
    pose, _ = invented(tmp_path)
    good = (3, RUN, 9, 40, 50, "writing", 0)
    rows = [
        (3, RUN, 0, 50, 70, "eating", 0),  # beyond the end
        (3, RUN, 1, 0, 10, "flying", 0),  # no class
        (3, RUN, 2, 5, 8, "eating", 0),  # nobody seen
        (3, RUN, 3, 5, 99999999, "eating", 0),
        good,
        good,  # twice
        (4, RUN.replace("vp3", "vp4"), 0, 0, 10, "eating", 0),  # another recording
    ]
    got = list(read_driveact(pose, table(tmp_path, rows)))
    said = [str(r) if isinstance(r, InputError) else r.name for r in got]
    assert [isinstance(r, Clip) for r in got] == [False, False, False, False, True, False]
    for text, words in zip(said, ("frames 50 to 70", "none of the 34 classes", "no body in any", "0 to 59", "a009", "twice")):
        assert words in text and "\n" not in text


def test_companions_are_found_or_asked_for(tmp_path):
    pose, activities = invented(tmp_path)
    assert len(list(read_driveact(pose, activities.parent))) == 3
    for part, p in (("train", 0), ("val", 1), ("test", 2)):
        rows = [(p, f"vp{p}/x.ids_1", 0, 0, 9, "eating", 0)] if p else None
        table(tmp_path / "parts", rows, f"midlevel.chunks_90.split_0.{part}.csv")
    assert len(list(read_driveact(pose, tmp_path / "parts"))) == 3
    sentence(lambda: list(read_driveact(pose, tmp_path)), "holds neither")
    activities.unlink()
    activities.parent.rmdir()
    sentence(lambda: list(read_driveact(pose)), "activities_3s/inner_mirror")
    other_camera = table(tmp_path, [(3, RUN.replace("ids_1", "kinect_color"), 0, 0, 9, "eating", 0)])
    sentence(lambda: list(read_driveact(pose, other_camera)), "inner mirror")


def test_splits(tmp_path):
    for level in DRIVEACT_CLASSES:
        for k in range(3):
            for part, p in (("train", 1), ("val", 2), ("test", 3 + k)):
                rows = [(p, f"vp{p}/run1_x.ids_1", a, 0, 90, "eating", 0) for a in range(4)]
                table(tmp_path, rows, f"{level}.chunks_90.split_{k}.{part}.csv")
        splits = driveact_splits(tmp_path, level)
        assert sorted(splits) == [0, 1, 2] and all(set(s) == {"train", "val", "test"} for s in splits.values())
        assert splits[2]["test"] == tuple(f"vp5_run1_x_a{a:03d}_c000" for a in range(4))
    (tmp_path / "midlevel.chunks_90.split_2.val.csv").unlink()
    sentence(lambda: driveact_splits(tmp_path), "split_2.val.csv does not exist")


def test_object_and_location_columns_are_allowed(tmp_path):
    pose, _ = invented(tmp_path)
    head = HEAD.replace("activity,", "activity,object,location,")
    t = table(tmp_path, [(3, RUN, 0, 0, 20, "eating", "food", "codriver_seat", 0)], head=head)
    assert next(read_driveact(pose, t)).label_name == "eating"


def test_mean_per_class_accuracy():
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 5, 200), rng.integers(0, 5, 200)
    by_hand = [sum(p == t for t, p in zip(true, predicted) if t == c) / sum(t == c for t in true) for c in sorted(set(true.tolist()))]
    assert np.isclose(mean_per_class_accuracy(true, predicted), sum(by_hand) / len(by_hand))
    sentence(lambda: mean_per_class_accuracy([], []), "one answer for each label")


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: s[: len(s) // 2], "frame line"),
        (lambda s: s.replace("nose_x", "nose_y", 1), "no column 'nose_x'"),
        (lambda s: s.replace("\n3,", "\n2,", 1), "rising order"),
        (lambda s: s.replace("\n59,", "\n1e300,", 1), "rising order"),
        (lambda s: s.replace("\n0,0.0000", "\n-1,0.0000", 1), "rising order"),
        (lambda s: s.split("\n")[0] + "\n", "holds no frame"),
        (lambda s: s.replace("\n4,", "\n4,1,", 1), "expected 102 numbers"),
        (lambda s: s.replace(",60\n", ",600\n", 1), "0 to 100"),
        (lambda s: s.replace(",60\n", ",inf\n", 1), "0 to 100"),
        (lambda s: ",".join("x" * 300_000) + "\n", "no column"),
        (lambda s: "\x00" * 1000, "no column"),
        (lambda s: "", "empty"),
        (lambda s: s.encode("utf-16").decode("latin-1"), "UTF-16"),
    ],
)
def test_hostile_recordings(tmp_path, change, words):
    pose, activities = invented(tmp_path)
    text = change(pose.read_text())
    pose.write_bytes(text.encode("latin-1"))
    start = time.perf_counter()
    sentence(lambda: list(read_driveact(pose, activities)), pose.name, words)
    assert time.perf_counter() - start < 3


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: s.replace("chunk_id", "chunk"), "no column 'chunk_id'"),
        (lambda s: s.replace(",20,eating", ",-20,eating", 1), "not five whole numbers"),
        (lambda s: s.replace(",20,eating", ",²,eating", 1), "not five whole numbers"),
        (lambda s: s.replace("3,vp3", "3,,vp3", 1), "8 entries, expected 7"),
        (lambda s: s.replace("eating", '"' + "x" * 200_000, 1), "line"),
        (lambda s: s.split("\n")[0], "holds no activity"),
        (lambda s: s.replace("vp3/", "vp3/\u202e"), "no recording"),
        (lambda s: s.replace("vp3/run2", "vp3/run3"), "in no line of the table"),
        (lambda s: '"', "no column"),
    ],
)
def test_hostile_tables(tmp_path, change, words):
    pose, activities = invented(tmp_path)
    activities.write_text(change(activities.read_text()), encoding="utf-8")
    sentence(lambda: list(read_driveact(pose, activities)), words)


def test_mutations_end_well(tmp_path):
    """A few hundred here; the fuzz test drives the same seeds much longer."""
    rng = random.Random(0)
    for path, reader in fuzz_seeds(tmp_path):
        good = path.read_bytes()
        for _ in range(150):
            b = bytearray(good)
            at = rng.randrange(len(b))
            how = rng.randrange(3)
            if how == 0:
                b[at] = rng.randrange(256)
            elif how == 1:
                del b[at : at + rng.choice((1, 20, 400))]
            else:
                b[at:at] = rng.choice((b"\x00", b",", b'"', b"\xff\xfe", b"nan", b"99999999", b"-1", b"\n"))
            path.write_bytes(bytes(b))
            try:
                for c in reader(path):
                    assert isinstance(c, InputError) or c.check()
            except InputError as e:
                assert "\n" not in str(e)
        path.write_bytes(good)


def test_three_splits_give_one_balanced_accuracy(tmp_path):
    """Recordings and tables of the true form; an encoder that has learnt nothing is enough."""
    from test_catalog import tree_drive_act

    from c2vl_kit.data.catalog import get_split
    from c2vl_kit.data.prepare import prepare
    from c2vl_kit.evaluate.outcome import OverSplits
    from c2vl_kit.evaluate.probes import ProbeConfig, evaluate
    from c2vl_kit.models.stgcn import STGCN

    tree_drive_act(tmp_path / "raw")
    names = [tmp_path / f"raw/activities_3s/inner_mirror/midlevel.chunks_90.split_2.{part}.csv" for part in ("val", "test")]
    for file, text in zip(names, [n.read_text() for n in names[::-1]]):  # another person is tested
        file.write_text(text)
    store, _ = prepare("drive-act", tmp_path / "raw", tmp_path / "store", progress=False)
    view = dict(frames=16, persons=1, pipeline="centre", stream="joint")
    how = dict(view=view, probe=ProbeConfig(epochs=2, holdout=0), device="cpu", progress=False, prompts=None)
    splits = [get_split(store, f"split{k}") for k in range(3)]
    with pytest.raises(InputError, match="one for each split"):
        OverSplits.of([evaluate(STGCN(OPENPOSE25, width=4), store, splits[1], **how)] * 2)
    for k, split in enumerate(splits):
        assert len(split.train) == (4, 6, 6)[k] and len(split.tests["official"]) == (4, 2, 2)[k]
    results = [evaluate(STGCN(OPENPOSE25, width=4), store, split, **how) for split in splits]
    over = OverSplits.of(results)
    each = []
    for r in results:
        table = np.array(r["linear"]["official"]["last"].confusion)
        true, guess = (np.repeat(side, table.ravel()) for side in np.indices(table.shape).reshape(2, -1))
        each.append(mean_per_class_accuracy(true, guess))
    assert over.values["linear last"] == pytest.approx(each)
    assert over.figure("linear last") == pytest.approx((np.mean(each), np.std(each, ddof=1)))
    assert "balanced accuracy" in over._repr_markdown_() and over.choices["data"] == "drive-act"
