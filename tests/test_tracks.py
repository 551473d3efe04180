"""A tracker loses a person and finds them again under a new number: nothing of them may be lost on the way to the network."""

import json

import numpy as np
import pytest

from c2vl_kit.app.captions import clip_frames
from c2vl_kit.app.cli import main
from c2vl_kit.concepts.kinematic import Kinematic
from c2vl_kit.data.prepare import prepare
from c2vl_kit.readers.tables import read_csv, write_csv
from c2vl_kit.readers.arrays import read_npz, write_npz
from c2vl_kit.readers.pyskl import read_pyskl, write_pyskl
from c2vl_kit.readers.ctrgcn import write_ctrgcn
from c2vl_kit.readers.report import ReadReport
from c2vl_kit.readers.ntu import read_ntu, write_ntu
from c2vl_kit.readers.pku import read_pku, write_pku
from c2vl_kit.data.loader import ClipSet
from c2vl_kit.data.build import build_store
from c2vl_kit.data.pipelines import LEGACY_PIPELINES, PIPELINES, get_pipeline, to_array
from c2vl_kit.data.transforms import join_tracks, main_bodies, people
from c2vl_kit.drawing import rest_pose
from c2vl_kit.skeleton import NTU25, Clip
from c2vl_kit.core import InputError
from c2vl_kit.viz.pack import player_state

NAME, T = "S001C001P001R001A051", 74
ALL = [p.name for p in (*PIPELINES, *LEGACY_PIPELINES)]
SOUND = [p.name for p in PIPELINES]


def person(at, seed, frames=T, fidget=0.05):
    """(T, 25, 3): somebody who stands at `at` and never holds still; the same number on any machine."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 9, frames)[:, None, None]
    x = np.column_stack([rest_pose(NTU25), rng.normal(0, 0.02, 25)]) + np.array(at)
    return (x + fidget * np.sin(t * rng.uniform(1, 3, (25, 3)) + rng.uniform(0, 6, (25, 3)))).astype(np.float32)


def part(x, start, stop):
    out = np.full_like(x, np.nan)
    out[start:stop] = x[start:stop]
    return out


def clip_of(*bodies, name=NAME, **facts):
    return Clip(name, np.stack(bodies, 1), NTU25, **facts)


ONE, TWO = person((0, 0, 3), 1), person((1, 0, 3.2), 2)


def new_id():
    """Two people, three IDs: person 2 gets a new one at frame 37."""
    return clip_of(part(TWO, 0, 37), ONE, part(TWO, 37, T))


def shown(x):
    """Frames in which each of (3, T, V, M) is there and does not stand frozen."""
    moves = np.abs(np.diff(x, axis=1)).max(axis=(0, 2)) > 1e-5
    return [int(m.sum()) + 1 for m in moves.T]


@pytest.mark.parametrize("name", ALL)
def test_both_people_are_seen_in_all_frames(tmp_path, name):
    clip = read_ntu(write_ntu(new_id(), tmp_path))
    assert clip.M == 3
    x = to_array(clip, T, 2, name)
    if name == "A-legacy":  # 50 frames, and the people change places, as published
        assert (x != 0).any(axis=(0, 2)).all()
    elif name == "C-legacy":  # 300 frames of repeats
        assert (x != 0).any(axis=(0, 2)).all()
    else:
        assert shown(x) == [T, T]


@pytest.mark.parametrize("name", SOUND)
def test_new_ids_change_no_number(name):
    """Cut into tracks, the clip comes out as the one whose people keep their numbers."""
    whole, cut = clip_of(TWO, ONE), new_id()
    np.testing.assert_array_equal(to_array(whole, 50, 2, name), to_array(cut, 50, 2, name))


@pytest.mark.parametrize("name", SOUND)
def test_one_person_with_two_ids_is_one_person(name):
    cut = clip_of(part(ONE, 0, 30), part(ONE, 30, T))
    for persons in (1, 2):
        np.testing.assert_array_equal(to_array(clip_of(ONE), 50, persons, name), to_array(cut, 50, persons, name))


@pytest.mark.parametrize("name", SOUND)
def test_both_get_new_ids_at_once(name):
    """By motion alone the halves of two people would be mixed up."""
    near = person((0.6, 0, 3.1), 3, fidget=0.06)
    cut = clip_of(part(ONE, 0, 40), part(near, 0, 40), part(near, 40, T), part(ONE, 40, T))
    np.testing.assert_array_equal(to_array(clip_of(ONE, near), 50, 2, name), to_array(cut, 50, 2, name))


@pytest.mark.parametrize("name", SOUND)
def test_ghosts_do_not_push_anybody_out(name):
    """Twelve flickers of three frames, before, beside and behind: both people stay whole."""
    ghosts = [part(person((-1.5 - 0.1 * k, 0, 2.5), 10 + k, fidget=0.5), 6 * k, 6 * k + 3) for k in range(12)]
    x = to_array(clip_of(*ghosts[:6], part(TWO, 0, 37), ONE, part(TWO, 37, T), *ghosts[6:]), T, 2, name)
    assert shown(x) == [T, T]


def test_people_by_hand():
    assert people(new_id()) == ((0, 2), (1,))
    far = person((4, 0, 3.2), 2)
    assert people(clip_of(part(TWO, 0, 37), part(far, 37, T))) == ((0,), (1,))  # three metres in one frame
    assert people(clip_of(part(TWO, 0, 20), part(person((2.2, 0, 3.2), 2), 50, T))) == ((0, 1),)  # 1.2 m in a second
    assert people(clip_of(part(TWO, 0, 40), part(TWO, 37, T))) == ((0, 1),)  # the old ID lingers for three frames
    assert people(clip_of(part(TWO, 0, 41), part(TWO, 37, T))) == ((0,), (1,))  # four: there are two of them
    assert people(clip_of(part(TWO, 0, 38), part(person((1.4, 0, 3.2), 2), 37, T))) == ((0,), (1,))  # one frame, 40 cm apart
    back = TWO.copy()
    back[20:50] = np.nan
    assert people(clip_of(back, part(TWO, 22, 48))) == ((0, 1),)  # the old number comes back
    assert people(clip_of(ONE, np.full_like(ONE, np.nan))) == ((0,), (1,))  # nobody joins nobody
    assert people(clip_of(np.full_like(ONE, np.nan), np.full_like(ONE, np.nan))) == ((0,), (1,))


def test_joining_keeps_confidence_and_what_was_not_seen():
    sure = np.random.default_rng(0).random((T, 3, 25)).astype(np.float32)
    clip = clip_of(part(TWO, 0, 30), ONE, part(TWO, 37, T), confidence=sure)
    joined = join_tracks(clip)
    assert joined.M == 2 and not joined.mask[30:37, 0].any() and (joined.confidence[30:37, 0] == 0).all()
    np.testing.assert_array_equal(joined.confidence[:30, 0], sure[:30, 0])
    np.testing.assert_array_equal(joined.confidence[37:, 0], sure[37:, 2])
    np.testing.assert_array_equal(joined.joints[37:, 0], TWO[37:])
    assert join_tracks(joined) is joined


def test_main_bodies_are_those_of_the_whole_clip():
    chair = np.repeat(ONE[:1], T, 0) + np.float32([0, 0, 1])
    ghost = part(person((-1, 0, 2), 5, fidget=0.5), 0, 3)
    kept = main_bodies(clip_of(ghost, chair, TWO, ONE))
    np.testing.assert_array_equal(kept.joints, np.stack([TWO, ONE], 1))


def test_the_report_counts_tracks(tmp_path, capsys):
    (tmp_path / "raw").mkdir()
    write_ntu(new_id(), tmp_path / "raw")
    write_ntu(clip_of(ONE, name="S001C001P002R001A001"), tmp_path / "raw")
    store, report = prepare("ntu60", tmp_path / "raw", tmp_path / "store", progress=False)
    assert (report.tracks, report.crowded) == (4, {NAME: 3})
    assert "4 tracks in 2 clips; 1 with more than two, up to 3" in str(report) and NAME in str(report)
    again = ReadReport(**json.loads((tmp_path / "store" / "report.json").read_text()))
    assert again == report
    clips = ClipSet.load(store, store.names, frames=T, persons=2, pipeline="B")
    assert dict(zip(clips.names, clips.present.tolist())) == {NAME: [True, True], "S001C001P002R001A001": [True, False]}
    assert main(["prepare", "ntu60", str(tmp_path / "raw"), "--out", str(tmp_path / "job")]) == 0
    assert "4 tracks in 2 clips" in capsys.readouterr().out


def test_the_stores_checksum_changes_only_where_a_third_body_was_dropped(tmp_path):
    """Clips of one and two bodies are stored as before; a third costs 350 bytes a frame."""
    sums = {}
    for bodies, label in (([ONE], "one"), ([ONE, TWO], "two"), ([part(TWO, 0, 37), ONE, part(TWO, 37, T)], "three")):
        file = write_ntu(clip_of(*bodies), tmp_path)
        for most in (2, 20):
            clip = read_ntu(file, max_bodies=most)
            store, _ = build_store(tmp_path / f"{label}{most}", [clip], progress=False)
            sums[label, most] = store.checksum, sum(f.stat().st_size for f in store.path.glob("*.npy"))
    assert sums["one", 2] == sums["one", 20] and sums["two", 2] == sums["two", 20]
    assert sums["three", 2][0] != sums["three", 20][0] and sums["three", 20][1] - sums["three", 2][1] == 350 * T


def test_a_file_of_many_flickers_is_kept_within_bounds(tmp_path):
    """Thirty ghosts of two frames: twenty bodies stay, the two halves of the actor among them, and the report says so."""
    ghosts = [part(person((-1.5, 0, 2.5), 10 + k), 2 * k, 2 * k + 2) for k in range(30)]
    file = write_ntu(clip_of(*ghosts, part(ONE, 0, 37), part(ONE, 37, T)), tmp_path)
    store, report = build_store(tmp_path / "store", [file], read_ntu, progress=False)
    clip = store[NAME]
    whole = [who for who in people(clip) if clip.mask[:, list(who)].any(axis=(1, 2)).all()]
    assert clip.M == 20 and [len(who) for who in whole] == [2] and "1 with 20, more than which are not kept" in report.people()
    assert shown(to_array(clip, T, 1, "centre")) == [T]


def test_looking_and_captioning_see_two_people(tmp_path):
    state = player_state(new_id())
    assert state["metas"][0]["M"] == 2
    np.testing.assert_array_equal(list(Kinematic().answers(new_id())), list(Kinematic().answers(clip_of(TWO, ONE))))
    file = write_ntu(new_id(), tmp_path)
    assert main(["show", str(file), "--page", str(tmp_path / "page.html"), "--no-open"]) == 0
    assert '"M":2' in (tmp_path / "page.html").read_text().replace(" ", "")


def test_other_readers_keep_every_body_too(tmp_path):
    """Tables with a column of people, annotation pickles, npz; and PKU-MMD, where a person may hop from slot to slot."""
    cut = new_id()
    (pickled,) = read_pyskl(write_pyskl([cut], tmp_path / "a.pkl"))
    table, packed = read_csv(write_csv(cut, tmp_path), NTU25), read_npz(write_npz(cut, tmp_path))
    for clip in (pickled, table, packed):
        assert clip.M == 3 and people(clip) == ((0, 2), (1,))
    hop = clip_of(part(ONE, 0, 37), part(ONE, 37, T), name="A001N001V001C008L001", label=7)
    (pku,) = read_pku(write_pku([hop], tmp_path)[0])
    assert pku.M == 2 and shown(to_array(pku, T, 1, "B")) == shown(to_array(pku, T, 1, "centre")) == [T]


def test_a_padded_array_of_two_says_what_to_do_with_three(tmp_path):
    cut = new_id().replace(label=0)
    with pytest.raises(InputError, match="run a pipeline of data.transforms, which joins and chooses bodies"):
        write_ctrgcn([cut], [], tmp_path / "x.npz")
    write_ctrgcn([get_pipeline("B")(cut)], [], tmp_path / "x.npz")


def test_pixels_are_those_of_the_people(tmp_path):
    """Three IDs and a ghost: the box of a captioner's picture is drawn around both people in all frames, and not around the ghost."""
    ghost = part(person((-1.6, 0, 2.2), 9), 10, 14)
    write_ntu(clip_of(ghost, part(TWO, 0, 37), ONE, part(TWO, 37, T)), tmp_path)
    (tmp_path / "videos").mkdir()
    frames = clip_frames({"video": str(tmp_path / "videos"), "pixels": str(tmp_path)}, 16)
    pixels = frames.pixels(NAME)
    assert pixels.shape == (T, 3, 25, 2) and (np.isfinite(pixels).all(axis=(2, 3)).sum(axis=1) == 2).all()
