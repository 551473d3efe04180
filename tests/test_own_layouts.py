"""Layouts without a trunk: they can be stored, looked at and centred; what needs more says which points it lacks."""

import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from c2vl_kit.readers.arrays import from_numpy, own_layout
from c2vl_kit.data.loader import ClipSet
from c2vl_kit.data.build import build_store
from c2vl_kit.data.pipelines import LEGACY_PIPELINES, PIPELINES, compare_pipelines, get_pipeline, to_array
from c2vl_kit.data.placing import face
from c2vl_kit.core import InputError
from c2vl_kit.drawing import layout_svg
from c2vl_kit.skeleton import facing, filmstrip_svg
from c2vl_kit.viz.strips import filmstrip
from c2vl_kit.viz.pack import pack_clips, player_state
from c2vl_kit.viz.player import player_page

LAYOUTS = [
    own_layout("hands2", {"left hand": "left hand", "right hand": "left hand"}),
    own_layout("hands3", {"head": "head", "left hand": "head", "right hand": "head"}),
    own_layout("arms6", {f"{s} {j}": p for s in ("left", "right") for j, p in (
        ("shoulder", "left shoulder"), ("elbow", f"{s} shoulder"), ("wrist", f"{s} elbow"))}),
    own_layout("hand4", {"palm": "palm", "thumb": "palm", "index": "palm", "ring": "palm"}),
]


def clip_of(layout, name="a", people=1, **facts):
    rng = np.random.default_rng(len(name))
    start = rng.normal(0, 0.3, (1, people, layout.V, 3)) + [0, 1, 2]
    return from_numpy(start + rng.normal(0, 0.02, (12, people, layout.V, 3)).cumsum(0), layout, name, **facts)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda l: l.name)
def test_any_layout_can_be_stored_and_looked_at(tmp_path, layout):
    clips = [clip_of(layout, "a" * (i + 1), 1 + i % 2, label=i % 2) for i in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store, report = build_store(tmp_path / "store", clips, progress=False)
    assert store._repr_markdown_() and str(report) and layout_svg(layout)
    for clip in store:
        assert "<svg" in clip._repr_html_() and ET.fromstring(filmstrip_svg(clip)) is not None
        assert filmstrip(clip).svg and pack_clips([clip])["metas"]
    player_page(player_state(list(store)), tmp_path / "page.html")
    x = to_array(store["aa"], frames=6, persons=2, pipeline="centre")
    assert np.isfinite(x).all() and np.abs(x).max() < 3
    at = get_pipeline("centre")(store["a"]).joints[0, 0, list(layout.middle)].mean(0)
    np.testing.assert_allclose(at, 0, atol=1e-6)
    assert len(ClipSet.load(store, store.names, frames=8, pipeline="centre", progress=False)) == 4
    assert "<table" in compare_pipelines(store["aa"], ["centre"])._repr_html_()


def test_shoulders_alone_tell_the_front():
    layout = LAYOUTS[2]
    x = np.zeros((3, 1, 6, 3), np.float32)
    x[..., :3, 0], x[..., 3:, 0] = 0.2, -0.2                    # the left side at +x: the body faces +z
    x[..., 1] = 1.4
    clip = from_numpy(x, layout, "a", zeros_missing=False)
    np.testing.assert_allclose(facing(clip.joints, layout), [0, 1], atol=1e-6)
    np.testing.assert_allclose(facing(face(clip, "+x").joints, layout), [1, 0], atol=1e-6)


@pytest.mark.parametrize("layout", [LAYOUTS[0], LAYOUTS[1], LAYOUTS[3]], ids=lambda l: l.name)
def test_facing_says_what_it_lacks(layout):
    with pytest.raises(InputError) as e:
        get_pipeline("facing")(clip_of(layout))
    said = str(e.value)
    assert "left and right shoulder" in said and "left and right hip" in said and layout.joints[0] in said and "'centre'" in said


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda l: l.name)
def test_no_sentence_runs_in_a_circle(layout):
    """No pipeline breaks, and what is refused names the layout, its joints and a way on."""
    for p in (*PIPELINES, *LEGACY_PIPELINES):
        try:
            p(clip_of(layout, people=2))
        except InputError as e:
            assert layout.name in str(e) and layout.joints[0] in str(e) and "'centre'" in str(e), p.name


def test_a_wrong_point_is_not_a_missing_one():
    with pytest.raises(InputError, match="unknown body point 'left hnad'"):
        LAYOUTS[0].answers("left hand", "left hnad")
