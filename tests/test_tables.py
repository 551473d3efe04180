"""Tables as people really have them: row counters, two columns for one thing, decimal commas, frames that come twice; and arrays turned."""

import io
import re

import numpy as np
import pytest

from c2vl_kit.readers.arrays import from_numpy, own_layout
from c2vl_kit.readers.tables import read_csv
from c2vl_kit.data.build import build_store
from c2vl_kit.skeleton import KINECT20, NTU25, Clip
from c2vl_kit.core import InputError

ARM = own_layout("arm", {"hip": "hip", "chest": "hip", "hand": "chest"})
AXES = [f"{j}_{a}" for j in ARM.joints for a in "xyz"]


def moving(T=4, M=2, V=3, seed=0) -> np.ndarray:
    """(T, M, V, 3): people 0.9 m apart who move by centimetres."""
    rng = np.random.default_rng(seed)
    body = np.linspace(0, 1.6, V)[:, None] * [0.1, 1, 0.05] + [0, 0.1, 2.5]
    return (body + np.cumsum(rng.normal(0, 0.02, (T, M, V, 3)), 0) + np.arange(M)[:, None, None] * [0.9, 0, 0]).round(4)


X = moving()


def wide(x=X, frame="frame", person="person", index=None, sep=",", first=0) -> str:
    """One row for each frame and person; `index`: the name of pandas' row counter."""
    head = [n for n in (index, frame, person) if n is not None] + AXES
    rows = []
    for row, (t, m) in enumerate(np.ndindex(x.shape[:2])):
        front = [v for n, v in ((index, row), (frame, t + first), (person, m)) if n is not None]
        rows.append(sep.join(map(str, [*front, *x[t, m].ravel()])))
    return "\n".join([sep.join(head), *rows]) + "\n"


def long(x=X[:, :1], index=None, frame="frame", joint="joint", person=None, sep=",") -> str:
    """One row for each joint."""
    head = [n for n in (index, frame, person, joint, "x", "y", "z") if n is not None]
    rows = []
    for row, (t, m, v) in enumerate(np.ndindex(x.shape[:3])):
        front = [f for n, f in ((index, row), (frame, t), (person, m), (joint, ARM.joints[v])) if n is not None]
        rows.append(sep.join(map(str, [*front, *x[t, m, v]])))
    return "\n".join([sep.join(head), *rows]) + "\n"


@pytest.fixture
def read(tmp_path):
    def read(text, layout=ARM, **how) -> Clip:
        (tmp_path / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_csv(tmp_path / "t.csv", layout, **how)

    return read


def sentence(job, *words) -> str:
    with pytest.raises(InputError) as e:
        job()
    said = str(e.value)
    assert "\n" not in said and said.endswith("."), said
    for word in words:
        assert str(word) in said, said
    return said


def equals(clip, x):
    np.testing.assert_array_equal(clip.joints, x.astype(np.float32))


# ---------------------------------------------------------------- a name beats a guess


@pytest.mark.parametrize("index", ["", "Unnamed: 0", "index", "level_0", "row", "rownames", "Row ID", "id", "#"])
@pytest.mark.parametrize("sep", [",", ";", "\t"])
def test_a_row_counter_is_no_frame_and_no_person(read, index, sep):
    equals(read(wide(index=index, sep=sep)), X)
    equals(read(long(index=index, sep=sep)), X[:, :1])
    equals(read(long(X, index=index, person="person", sep=sep)), X)
    gap = X[[0, 1, 1, 3]].copy()
    gap[2] = np.nan
    rows = wide(index=index, sep=sep).splitlines()
    equals(read("\n".join(rows[:5] + rows[7:])), gap)  # frame 2 was taken out: the gap stays


@pytest.mark.parametrize("index", ["", "index", "Unnamed: 0", "id"])
def test_a_row_counter_alone_is_refused_where_it_cannot_be_the_frame(read, index):
    sentence(lambda: read(wide(index=index, frame=None)), "one row for each person and frame but no column 'frame'")
    sentence(lambda: read(long(index=index, frame=None)), "one row for each joint but no column 'frame'")
    equals(read(wide(X[:, :1], index=index, frame=None, person=None)), X[:, :1])  # one person: each row is a frame
    bare = wide(X[:, :1], index=index, frame=None, person=None).replace("hip_x", "x0").replace("hip_y", "y0")
    equals(read(bare, columns="order"), X[:, :1])


def test_people_without_frames_are_refused(read):
    sentence(lambda: read(wide(frame=None)), "no column 'frame'")
    equals(read(wide(X[:, :1], frame=None)), X[:, :1])


def test_an_index_that_kept_its_numbers_still_tells_the_gaps(read):
    """A table of one person whose bad rows were taken out in pandas: the counter is the only trace of them."""
    rows = wide(X[:, :1], index="", frame=None, person=None).splitlines()
    got = read("\n".join(rows[:2] + rows[4:]))
    assert got.mask.all((1, 2)).tolist() == [True, False, False, True]


@pytest.mark.parametrize("other", ["frame_id", "Frame No", "frameidx"])
def test_two_frames_must_agree(read, other):
    rows = [line.split(",") for line in wide().splitlines()]
    agree = "\n".join(",".join([other if i == 0 else str(int(r[0]) + 7), *r]) for i, r in enumerate(rows))
    equals(read(agree), X)  # they may begin at different numbers
    part = "\n".join(",".join([other if i == 0 else str(i), *r]) for i, r in enumerate(rows))
    sentence(lambda: read(part), f"two columns for the frame, '{other}' and 'frame', which disagree in line 3", "rename it")


def test_two_people_and_two_joints_must_agree(read):
    rows = [line.split(",") for line in long(X, person="person").splitlines()]  # frame, person, joint, x, y, z
    track = "\n".join(",".join([*r[:2], "track_id" if i == 0 else f"t{9 - int(r[1])}", *r[2:]]) for i, r in enumerate(rows))
    equals(read(track), X)
    swapped = track.replace("2,1,t8", "2,1,t9")
    sentence(lambda: read(swapped), "two columns for the person, 'person' and 'track_id', which disagree in line")
    numbers = "\n".join(",".join([*r, "joint_id" if i == 0 else str(ARM.joints.index(r[2]))]) for i, r in enumerate(rows))
    equals(read(numbers), X)
    sentence(lambda: read(numbers[:-1] + "0"), "two columns for the joint, 'joint' and 'joint_id', which disagree in line 25")
    named = "\n".join(",".join(["name" if i == 0 else "take 7", *r]) for i, r in enumerate(rows))
    equals(read(named), X)  # 'joint' says what it is; 'name' would only be taken for it
    mixed = "\n".join(",".join(["id" if i == 0 else str(i % 2), *r]) for i, r in enumerate(rows))
    equals(read(mixed), X)


def test_two_guesses_that_disagree_are_refused(read):
    rows = [line.split(",") for line in wide(X[:, :1], frame=None, person=None).splitlines()]
    both = "\n".join(",".join([*(("", "index") if i == 0 else (str(i), str(3 * i))), *r]) for i, r in enumerate(rows))
    sentence(lambda: read(both), "two columns for the frame, 'without a name' and 'index', which disagree")
    same = "\n".join(",".join([*(("", "index") if i == 0 else (str(i), str(i - 1))), *r]) for i, r in enumerate(rows))
    equals(read(same), X[:, :1])


def test_two_columns_of_one_name_must_agree(read):
    """R calls a nameless column X; then a long table has X and x."""
    rows = [line.split(",") for line in long().splitlines()]
    r_table = "\n".join(",".join(["X" if i == 0 else str(i), *r]) for i, r in enumerate(rows))
    sentence(lambda: read(r_table), "two columns 'X' and 'x', which disagree in line 2; rename one")
    twice = wide().splitlines()
    equals(read("\n".join([twice[0] + ",Hip.X", *(r + "," + r.split(",")[2] for r in twice[1:])])), X)
    other = "\n".join([twice[0] + ",Hip.X", *(r + ",9" for r in twice[1:])])
    sentence(lambda: read(other), "'hip_x' and 'Hip.X', which disagree in line 2")


def test_names_behind_a_hash_count(read):
    """np.savetxt(header=…) writes the names as a comment."""
    file, order = io.StringIO(), [6, 7, 8, 0, 1, 2, 3, 4, 5]
    np.savetxt(file, X[:, 0].reshape(4, 9)[:, order], fmt="%.4f", header="made by hand\n" + " ".join(np.array(AXES)[order]))
    equals(read(file.getvalue()), X[:, :1])
    equals(read("# one person who reaches for a cup, nine words long\n" + file.getvalue().replace("#", "##")), X[:, :1][:, :, [2, 0, 1]])


@pytest.mark.parametrize("front", ["", "frame"])
def test_pandas_numbers_for_names(read, front):
    """DataFrame(x).to_csv(): the columns are called 0, 1, 2, …, which is no frame."""
    rows = X[:, 0].reshape(4, 9).astype(str).tolist()
    if front:
        rows = [[str(t + 5), *r] for t, r in enumerate(rows)]
    head = list(map(str, range(len(rows[0]))))
    equals(read("\n".join(map(",".join, [head, *rows]))), X[:, :1])  # index=False
    equals(read("\n".join(map(",".join, [["", *head], *([str(t), *r] for t, r in enumerate(rows))]))), X[:, :1])
    whole = [[str(9 * t + i) for i in range(9)] for t in range(3)]  # numbers that really begin with 0, 1, 2, …
    assert read("\n".join(map(",".join, whole)), unit="cm").T == 3


def test_a_counter_without_names_is_refused(read):
    rows = [line.split(",") for line in wide(X[:, :1], person=None).splitlines()[1:]]
    counted = "\n".join(",".join([str(i), *r]) for i, r in enumerate(rows))  # counter and frame, or frame and person?
    sentence(lambda: read(counted), "give every row a person of its own", "names above the columns")
    equals(read("\n".join(wide().splitlines()[1:])), X)


def test_row_names_without_a_title(read):
    text = "\n".join(line if i == 0 else f"{i}\t{line}" for i, line in enumerate(wide(sep="\t").splitlines()))
    sentence(lambda: read(text), "line 2 has 12 cells, expected 11 (row names without a title?")


def test_an_empty_person_is_asked_for(read):
    sentence(lambda: read(wide().replace("\n1,1,", "\n1,,")), "line 5 does not say which person")


def test_the_same_from_a_store(tmp_path, read):
    for name, text in (("a.csv", wide(index="")), ("b.csv", wide())):
        (tmp_path / name).write_text(text)
    store, report = build_store(tmp_path / "s", sorted(tmp_path.glob("*.csv")), lambda p: read_csv(p, ARM, label=0), progress=False)
    assert not report.quarantined and store["a"].digest == store["b"].digest


# ---------------------------------------------------------------- decimal commas, and Excel


def german(text, sep=";") -> str:
    return text.replace(",", sep).replace(".", ",")


@pytest.mark.parametrize("sep", [";", "\t", " ", "|"])
@pytest.mark.parametrize("front", ["none", "frame", "both"])
@pytest.mark.parametrize("header", [True, False])
def test_decimal_commas_are_named_and_read_on_demand(read, sep, front, header):
    x = X if front == "both" else X[:, :1]
    text = german(wide(x, frame=None if front == "none" else "frame", person="person" if front == "both" else None), sep)
    text = text if header else text.split("\n", 1)[1]
    sentence(lambda: read(text), "decimal commas", "say decimal=','")
    equals(read(text, decimal=","), x)


def test_decimal_commas_between_commas(read):
    text = wide(X[:, :1], frame=None, person=None).split("\n", 1)[1]
    sentence(lambda: read(text.replace(".", ",")), "18 columns without names (decimal commas?")
    quoted = "\n".join(",".join(f'"{c.replace(".", ",")}"' for c in line.split(",")) for line in text.splitlines())
    sentence(lambda: read(quoted), "decimal commas")
    equals(read(quoted, decimal=","), X[:, :1])
    sentence(lambda: read(text, decimal=";"), "decimal=';'")


@pytest.mark.parametrize("sep", [";", ",", "\t", "|"])
@pytest.mark.parametrize("first", ["sep={}", '"sep={}"', "SEP={}", "\ufeffsep={}\r"])
def test_excels_first_line(read, sep, first):
    equals(read(first.format(sep) + "\n" + wide(sep=sep)), X)
    equals(read(first.format(sep) + "\n" + wide(sep=sep).split("\n", 1)[1]), X)


def test_excel_with_german_numbers(read):
    text = "sep=;\r\n" + german(wide())
    sentence(lambda: read(text), "line 3 writes numbers with decimal commas")
    equals(read(text, decimal=","), X)


# ---------------------------------------------------------------- frames that come twice


def sensor(T=12) -> tuple[np.ndarray, list]:
    """Rows 'frame x y z …' of one person, whose frame numbers repeat with slightly other values (as UTKinect's do)."""
    x = moving(T, 1, 20, 3)[:, 0]
    return x, [100, 100, 103, 104, 104, 104, 105, 107, 108, 108, 109, 110]


def rows_of(x, frames) -> str:
    return "\n".join(" ".join([str(f), *(f"{v:.4f}" for v in row.ravel())]) for f, row in zip(frames, x, strict=True)) + "\n"


def test_frames_of_one_person_that_repeat(read):
    x, frames = sensor()
    text = rows_of(x, frames)
    sentence(lambda: read(text, KINECT20), "line 2 repeats frame 100 of line 1 (4 of 12 rows do so)", "rows of one person",
             "repeats='first' or repeats='last'")
    first, last = read(text, KINECT20, repeats="first"), read(text, KINECT20, repeats="last")
    for clip, rows in ((first, [0, 2, 3, 6, 7, 8, 10, 11]), (last, [1, 2, 5, 6, 7, 9, 10, 11])):
        there = clip.mask.all((1, 2))
        assert there.tolist() == [True, False, False, True, True, True, False, True, True, True, True]
        np.testing.assert_array_equal(clip.joints[there, 0], x[rows].astype(np.float32))
    sentence(lambda: read(text, KINECT20, repeats="mean"), "repeats='mean'", "'first' or 'last'")
    clean = rows_of(x, range(12))
    assert read(clean, KINECT20, repeats="first").digest == read(clean, KINECT20).digest


def test_what_repeats_is_told_apart(read):
    x, frames = sensor()
    x[1] = x[0]
    x[4:6] = x[3]
    x[9] = x[8]
    sentence(lambda: read(rows_of(x, frames), KINECT20), "with the same numbers", "repeats='first'")
    two = wide(person=None)
    said = sentence(lambda: read(two), "line 3 repeats frame 0 of line 2", "add a column 'person' if these are several people")
    assert "one person" not in said
    after = "\n".join([two.splitlines()[0], *two.splitlines()[1::2], *two.splitlines()[2::2]])  # one person's rows, then the other's
    sentence(lambda: read(after), "the frame numbers start again in line 6: if another person begins there, add a column 'person'")
    named = [line.split(",") for line in after.splitlines()]
    equals(read("\n".join(",".join([*r, "person" if i == 0 else "ab"[i > 4]]) for i, r in enumerate(named))), X)


def test_repeats_in_a_long_table(read):
    rows = long().splitlines()
    twice = "\n".join([*rows[:3], rows[2].rsplit(",", 1)[0] + ",2.5", *rows[3:]])
    sentence(lambda: read(twice), "line 4 repeats frame 0 of line 3 (1 of 13 rows do so)")
    equals(read(twice, repeats="first"), X[:, :1])
    assert read(twice, repeats="last").joints[0, 0, 1, 2] == 2.5


# ---------------------------------------------------------------- arrays whose axes stand otherwise


def mended(said: str, x):
    """What the sentence's line of Python makes of `x`."""
    line = re.search(r"use (x[.\[].*?)(?: if |[;,]? or |\.$)", said)[1]
    return eval(line, {"x": x})


TURNS = {
    "rows of joints": lambda x: x[:, 0].reshape(-1, 3),
    "rows of frames": lambda x: x[:, 0].reshape(30, -1),
    "one long row": lambda x: x[:, 0].ravel(),
    "turned rows of joints": lambda x: x[:, 0].reshape(-1, 3).T,
    "turned rows of frames": lambda x: x[:, 0].reshape(30, -1).T,
    "frame numbers in front": lambda x: np.c_[np.arange(30), x[:, 0].reshape(30, -1)],
    "xyz before joints": lambda x: x[:, 0].transpose(0, 2, 1),
    "xyz first": lambda x: x[:, 0].transpose(2, 0, 1),
    "joints first": lambda x: x[:, 0].transpose(1, 0, 2),
    "MATLAB's": lambda x: x[:, 0].transpose(1, 2, 0),
    "frames last": lambda x: x[:, 0].transpose(2, 1, 0),
}
TURNS_OF_TWO = {
    "ST-GCN's": lambda x: x.transpose(3, 0, 2, 1),
    "joints before people": lambda x: x.transpose(0, 2, 1, 3),
    "people first, xyz before joints": lambda x: x.transpose(1, 0, 3, 2),
    "xyz before people": lambda x: x.transpose(0, 3, 1, 2),
    "all reversed": lambda x: x.transpose(3, 2, 1, 0),
    "people in one row": lambda x: x.reshape(30, -1),
}


@pytest.mark.parametrize("turn", [*TURNS, *TURNS_OF_TWO])
def test_the_advice_mends_the_array(turn):
    one, two = moving(30, 1, 25), moving(30, 2, 25)
    x, wrong = (one, TURNS[turn](one)) if turn in TURNS else (two, TURNS_OF_TWO[turn](two))
    said = sentence(lambda: from_numpy(wrong, NTU25, "a"), "has shape", "use x")
    assert from_numpy(mended(said, wrong), NTU25, "a").digest == from_numpy(x, NTU25, "a").digest


@pytest.mark.parametrize("people", [1, 3])
def test_people_before_frames(people):
    """(people, frames, joints, 3) has the right form, and would be few frames of many people."""
    x = moving(30, people, 25)
    frames = "1 frame" if people == 1 else "3 frames"
    said = sentence(lambda: from_numpy(x.swapaxes(0, 1), NTU25, "a"), f"{frames} of 30 people", "stand in one place")
    assert from_numpy(mended(said, x.swapaxes(0, 1)), NTU25, "a").digest == from_numpy(x, NTU25, "a").digest
    clips = np.stack([moving(30, 1, 25, seed=k)[:, 0] for k in range(40)])
    sentence(lambda: from_numpy(clips, NTU25, "a"), "40 frames of 30 people", "make a clip of each x[i]")
    for M, T in ((2, 1), (4, 2), (8, 5), (20, 40)):  # people who stand apart stay people
        assert from_numpy(moving(T, M, 25), NTU25, "a").M == M
    sentence(lambda: from_numpy(clips[:, :, None], NTU25, "a"), "if these are 40 clips, make a clip of each, x[i]")
    sentence(lambda: from_numpy(clips.transpose(0, 3, 1, 2)[..., None], NTU25, "a"), "x[i].transpose(1, 3, 2, 0)")
    sentence(lambda: from_numpy(clips.reshape(40, 30, -1), NTU25, "a"), "make a clip of each, x[i].reshape(-1, 25, 3)")
    said = sentence(lambda: from_numpy(x[None], NTU25, "a"), "use x[0]")
    assert from_numpy(mended(said, x[None]), NTU25, "a").digest == from_numpy(x, NTU25, "a").digest
    sentence(lambda: from_numpy(x[0, 0], NTU25, "a"), "this is a single frame; use x[None]")
    sentence(lambda: from_numpy(x[:0], NTU25, "a"), "it is empty")
