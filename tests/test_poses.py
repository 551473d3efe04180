"""Films and what pose estimators write: four tools' files, damage to them, who is who, and MediaPipe itself where it is installed."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from fuzz import Job, fuzz

from c2vl_kit.app.cli import main
from c2vl_kit.app.from_video import estimate, film_strip, labelled, places_of, told
from c2vl_kit.app.steps import show_step
from c2vl_kit.concepts.frames import Video
from c2vl_kit.core import InputError
from c2vl_kit.data.mapping import joint_map
from c2vl_kit.readers.arrays import from_numpy, read_npz, write_npz
from c2vl_kit.readers.common import example_clip
from c2vl_kit.readers.mocap import retarget_roles
from c2vl_kit.readers.poses import read_poses
from c2vl_kit.readers.recordings import read_any, recordings_in
from c2vl_kit.skeleton import COCO17, KINECT20, MEDIAPIPE33, NTU25, OPENPOSE25, clip_facts

T = 6


def body(layout=MEDIAPIPE33) -> np.ndarray:  # (T, V, 3) metres, y up, hips at the origin
    x = example_clip("a", layout, T=T).joints[:, 0].astype(float)
    return x - x[:, [layout.index("left hip"), layout.index("right hip")]].mean(1, keepdims=True)


def seen(layout) -> np.ndarray:  # (T, V, 2) pixels of a picture of 200 x 100
    return body(layout)[..., :2] * (40, -40) + (50, 100)


def landmarks(x) -> list:  # MediaPipe's axes
    return np.dstack([x * (1, -1, -1), np.full(x.shape[:2], 0.75)]).tolist()


def as_dicts(points) -> list:
    return [dict(zip(("x", "y", "z", "visibility"), p)) for p in points]


def write_lines(path: Path, lines) -> Path:
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return path


def write_openpose(folder: Path, x, deep=False, first=0) -> Path:
    folder.mkdir(parents=True)
    for t, frame in enumerate(x, first):
        flat = np.concatenate([frame, np.full((25, 1), 0.5)], 1).ravel().tolist()
        key = "pose_keypoints_3d" if deep else "pose_keypoints_2d"
        person = {"person_id": [-1], "pose_keypoints_2d": [], "pose_keypoints_3d": [], key: flat}
        (folder / f"clip_{t:012}_keypoints.json").write_text(json.dumps({"version": 1.3, "people": [person]}))
    return folder


def yolo(x) -> list:  # of one person
    return [{"name": "person", "keypoints": {"x": x[:, 0].tolist(), "y": x[:, 1].tolist(), "visible": [0.5] * 17}}]


def mmpose(x, t=0) -> dict:
    return {"frame_id": t, "instances": [{"keypoints": x.tolist(), "keypoint_scores": [0.5] * len(x), "bbox": [[0, 0, 1, 1]]}]}


HEAD = {"made": "a test", "fps": 12.5, "width": 100, "height": 200, "frames": T}


def test_every_form_of_mediapipe_is_one_clip(tmp_path):
    points = landmarks(body())
    forms = {
        "kit.jsonl": [HEAD, *({"pose_world_landmarks": p, "pose_landmarks": p} for p in points)],
        "people.jsonl": [{"pose_world_landmarks": [p]} for p in points],
        "bare.jsonl": points,
        "dicts.jsonl": [as_dicts(p) for p in points],
        "browser.jsonl": [{"worldLandmarks": [as_dicts(p)]} for p in points],
        "message.jsonl": [{"pose_world_landmarks": {"landmark": as_dicts(p)}} for p in points],
    }
    files = [write_lines(tmp_path / name, lines) for name, lines in forms.items()]
    files.append(tmp_path / "whole.json")
    files[-1].write_text(json.dumps(points))
    for file in files:
        (clip,) = read_any(file)
        np.testing.assert_allclose(clip.joints[:, 0], body(), atol=1e-5)
        assert clip.layout == MEDIAPIPE33 and (clip.confidence == 0.75).all() and clip.mark == "estimated from video"
        assert clip.fps == (12.5 if file.name == "kit.jsonl" else 30) and clip.name == file.stem
    assert "estimated from video" in clip_facts(clip) and "estimated from video" in clip._repr_html_()
    assert read_npz(write_npz(clip, tmp_path)).mark == clip.mark
    assert b"estimated from video" in show_step(files[0], [], tmp_path / "page.html").read_bytes()


def test_a_picture_without_a_person_is_a_gap(tmp_path):
    lines = [{"pose_world_landmarks": p} for p in landmarks(body())]
    lines[2], lines[4] = {"pose_world_landmarks": None}, []
    (clip,) = read_any(write_lines(tmp_path / "gap.jsonl", lines))
    assert clip.mask.all((1, 2)).tolist() == [True, True, False, True, False, True] and clip.confidence[2].max() == 0


def test_flat_poses_are_refused_or_marked(tmp_path):
    (tmp_path / "yolo.json").write_text(json.dumps([yolo(x) for x in seen(COCO17)]))
    write_lines(tmp_path / "yolo.jsonl", [yolo(x) for x in seen(COCO17)])
    (tmp_path / "mm.json").write_text(json.dumps({"meta_info": {}, "instance_info": [mmpose(x) for x in seen(COCO17)]}))
    whole = [mmpose(np.concatenate([x, np.zeros((116, 2))])) for x in seen(COCO17)]
    (tmp_path / "body133.json").write_text(json.dumps(whole))
    for name in ("yolo.json", "yolo.jsonl", "mm.json", "body133.json"):
        with pytest.raises(InputError, match="two-dimensional poses, and this kit's recordings have three"):
            list(read_any(tmp_path / name))
        (clip,) = read_poses(tmp_path / name, img_shape=(200, 100), fps=25)
        assert (clip.layout, clip.T, clip.fps) == (COCO17, T, 25) and (clip.joints[..., 2] == 0).all()
        assert clip.mark == "estimated from video, two-dimensional, z is 0" and (clip.confidence == 0.5).all()
        np.testing.assert_allclose(clip.joints[:, 0, :, :2], body(COCO17)[..., :2] * 0.4, atol=1e-5)
    assert from_numpy(seen(COCO17), COCO17, "own", img_shape=(200, 100)).mark == "two-dimensional, z is 0"


def test_a_folder_of_openpose_is_one_recording(tmp_path):
    write_openpose(tmp_path / "new" / "op", seen(OPENPOSE25), first=7)
    deep = write_openpose(tmp_path / "new" / "deep", body(OPENPOSE25) * (1, -1, -1), deep=True)
    next((tmp_path / "new" / "op").glob("*8_keypoints.json")).unlink()
    assert [p.name for p in recordings_in([tmp_path / "new"])] == ["deep", "op"]
    (clip,) = read_any(deep)
    np.testing.assert_allclose(clip.joints[:, 0], body(OPENPOSE25), atol=1e-5)
    assert (clip.name, clip.layout, clip.mark) == ("clip", OPENPOSE25, "estimated from video")
    (flat,) = read_poses(tmp_path / "new" / "op", img_shape=(200, 100))
    assert flat.mask.all((1, 2)).tolist() == [True, False, True, True, True, True]
    assert show_step(deep, [], tmp_path / "page.html").stat().st_size > 10_000
    millimetres = write_openpose(tmp_path / "mm", body(OPENPOSE25) * (1000, -1000, -1000), deep=True)
    with pytest.raises(InputError, match="give unit=, metres per unit"):
        list(read_any(millimetres))
    (again,) = read_poses(millimetres, unit=0.001)
    np.testing.assert_allclose(again.joints, clip.joints, atol=1e-5)


def test_two_people_listed_in_any_order_stay_who_they_are(tmp_path):
    x = seen(COCO17)
    pairs = [[*yolo(a), *yolo(b)] for a, b in zip(x, x + (200, 0))]
    shuffled = [p[:: 1 if t % 2 else -1] for t, p in enumerate(pairs)]
    numbered = [[q | {"track_id": 3 + n} for n, q in enumerate(p)][:: 1 if t % 2 else -1] for t, p in enumerate(pairs)]
    for name, frames in (("a.json", shuffled), ("b.json", numbered)):
        (tmp_path / name).write_text(json.dumps(frames))
        (clip,) = read_poses(tmp_path / name, img_shape=(200, 300))
        assert clip.M == 2 and clip.mask.all()
        assert np.abs(np.diff(clip.joints, axis=0)).max() < 0.2  # nobody jumps to the other's place


REFUSED = {
    "cut.jsonl": ('{"fps": 25, "frames": 9}\nnull\n', "is cut off"),
    "torn.jsonl": ('{"pose_world_landmarks": [[0.1, 0.2', "line 1 is no JSON"),
    "flat.jsonl": ('{"pose_landmarks": [[0.1, 0.2, 0.3, 0.9]]}', "dump pose_world_landmarks"),
    "few.jsonl": ("[[0.1, 0.2, 0.3, 0.9]]", "holds no 33 x N numbers"),
    "words.jsonl": ('[["a", "b", "c"]]', "is no person|holds no 33"),
    "nobody.jsonl": ("null\n[]\n", "holds nobody"),
    "coco18.json": (json.dumps({"people": [{"pose_keypoints_2d": [1.0] * 54}]}), "18 joints, expected 25"),
    "h36m.json": (json.dumps([mmpose(np.ones((17, 3)))]), "three-dimensional keypoints, whose joints and axes"),
    "other.json": ('{"a": 1}', "no keypoints of a known tool"),
    "mixed.json": (json.dumps([yolo(np.ones((17, 2))), landmarks(body())[0]]), "mixes poses of several kinds"),
    "fps.jsonl": ('{"fps": "x"}\nnull', "fps that are no number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path, name):
    text, said = REFUSED[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said) as error:
        list(read_any(tmp_path / name))
    assert "\n" not in str(error.value) and name in str(error.value)


def test_places_in_a_picture_are_not_taken_for_metres(tmp_path):
    file = write_lines(tmp_path / "a.jsonl", landmarks(body() + 0.5))
    with pytest.raises(InputError, match="hips far from the origin"):
        list(read_any(file))


@pytest.mark.parametrize("kind", ("mediapipe", "yolo", "mmpose", "openpose"))
def test_a_damaged_file_is_a_clip_or_a_sentence(tmp_path, kind):
    x = seen(COCO17).round(1)
    if kind == "mediapipe":
        lines = [HEAD, *({"pose_world_landmarks": np.round(p, 3).tolist()} for p in landmarks(body()))]
        file = write_lines(tmp_path / "mine.jsonl", lines)
    else:
        deep = np.concatenate([body(OPENPOSE25)[0] * (1, -1, -1), np.full((25, 1), 0.5)], 1).round(3).ravel().tolist()
        made = {"yolo": [yolo(p) for p in x], "mmpose": {"instance_info": [mmpose(p) for p in x]},
                "openpose": {"people": [{"pose_keypoints_3d": deep}]}}
        (file := tmp_path / "mine.json").write_text(json.dumps(made[kind]))

    def read(path):
        return read_poses(path, img_shape=(200, 100))

    (cage := tmp_path.with_name(f"{tmp_path.name}-cage")).mkdir()
    broken = fuzz(Job(file, read, 100), cage)
    assert not broken, "\n".join(map(str, broken))


def test_mediapipes_joints_answer_for_the_sensors(tmp_path):
    (clip,) = read_any(write_lines(tmp_path / "a.jsonl", landmarks(body())))
    hands = [f"{side} {limb}" for side in ("left", "right") for limb in ("hand", "foot")]
    assert set(joint_map(MEDIAPIPE33, KINECT20, "leave").lacking) == set(hands)
    assert set(joint_map(MEDIAPIPE33, NTU25, "leave").lacking) == {"neck", "left hand tip", "right hand tip", *hands}
    moved = retarget_roles(clip, NTU25)  # by roles, a knuckle is of the hand
    assert moved.mark == clip.mark
    gone = [j for j, there in zip(NTU25.joints, moved.mask.all((0, 1))) if not there]
    assert gone == ["left hand tip", "right hand tip"]
    knuckles = clip.joints[:, :, [MEDIAPIPE33.index("left index"), MEDIAPIPE33.index("left pinky")]].mean(2)
    np.testing.assert_allclose(moved.joints[:, :, NTU25.index("left hand")], knuckles, atol=1e-6)


# From a film ----------------------------------------------------------------------------------------------------------------------------


VIDEO = Path(os.environ.get("C2VL_DATA", "")) / "video" / "S001C001P001R001A001_rgb.avi"
PYTHON = os.environ.get("C2VL_POSE_PYTHON")


def test_without_an_environment_the_command_says_how_to_make_one(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("C2VL_POSE_PYTHON", raising=False)
    (tmp_path / "a.mp4").write_bytes(b"x")
    assert main(["from-video", str(tmp_path / "a.mp4"), "--to", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "pip install mediapipe==0.10.14 'numpy<2'" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not PYTHON, reason="C2VL_POSE_PYTHON names no python with mediapipe")
@pytest.mark.skipif(not VIDEO.is_file(), reason="no film under C2VL_DATA")
def test_a_real_film(tmp_path):
    marks = estimate(VIDEO, tmp_path / "landmarks.jsonl", PYTHON, frames=5)
    at, (picture,) = places_of(marks), Video(VIDEO).read([0])
    assert at.shape == (5, 33, 2) and (at > 0).all() and (at < picture.shape[1::-1]).all()
    legs = at[:, [MEDIAPIPE33.index(f"left {j}") for j in ("shoulder", "hip", "knee", "ankle")], 1]
    assert (np.diff(legs, axis=1) > 10).all()  # she stands
    pictures, times = film_strip(VIDEO, marks, 2)
    assert len(pictures) == 2 and times == ["0.03 s", "0.10 s"]
    answer = told(VIDEO, marks, moments=2)
    assert answer.facts["mark"] == "estimated from video" and "standing" in answer.text
    clip = read_npz(answer.facts["clip"])
    assert (clip.T, clip.fps, clip.mark) == (5, 30, "estimated from video")
    (tmp_path / "broken.mp4").write_bytes(VIDEO.read_bytes()[:3000])
    with pytest.raises(InputError, match="cannot be read as a video|nobody was found"):
        estimate(tmp_path / "broken.mp4", tmp_path / "b.jsonl", PYTHON)


def test_a_run_labels_an_estimated_clip(tmp_path):
    from c2vl_kit.data.build import build_store
    from c2vl_kit.data.catalog import get_split
    from c2vl_kit.data.simulate import SimulatorConfig, simulate
    from c2vl_kit.methods import supervised
    from c2vl_kit.train.pretrain import pretrain

    clips = simulate(SimulatorConfig(classes=2, subjects=4, repetitions=1)).clips
    store, _ = build_store(tmp_path / "store", clips, dataset="simulated", progress=False)
    config = supervised.small(frames=16, backbone={"width": 4}, train={"epochs": 1, "batch_size": 4, "threads": 1})
    pretrain(supervised, store, get_split(store), tmp_path / "run", config, progress=False)
    (clip,) = read_any(write_lines(tmp_path / "a.jsonl", landmarks(body())))
    found = labelled(clip, tmp_path)
    (row,) = found
    assert row.label in store.label_names and any("estimated" in note for note in found.notes)
