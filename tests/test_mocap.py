"""BVH and ASF/AMC: what must hold of real bodies, every damaged file a sentence, and nothing that hangs or fills the memory."""

import random
import re
import time
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from c2vl_kit.readers.common import read_all
from c2vl_kit.readers.mocap import guess_unit, mocap_facts, retarget_roles
from c2vl_kit.readers.bvh import load_bvh, read_bvh, write_bvh
from c2vl_kit.readers.asf import read_amc, read_asf
from c2vl_kit.core import InputError
from c2vl_kit.skeleton import KINECT20, ROLES, Clip, facing

# ---------------------------------------------------------------- invented files


def bvh_text(frames: int = 6) -> str:
    """A person of ten joints in Mixamo's words who turns and lifts the left arm, centimetres."""
    limbs = {
        "Hips": ("", "0 0 0", "6 Xposition Yposition Zposition Zrotation Xrotation Yrotation"),
        "Spine": ("Hips", "0 30 0", None),
        "Head": ("Spine", "0 30 0", None),
        "LeftArm": ("Spine", "18 20 0", None),
        "LeftForeArm": ("LeftArm", "27 0 0", None),
        "LeftHand": ("LeftForeArm", "25 0 0", None),
        "RightArm": ("Spine", "-18 20 0", None),
        "RightForeArm": ("RightArm", "-27 0 0", None),
        "RightHand": ("RightForeArm", "-25 0 0", None),
        "LeftUpLeg": ("Hips", "10 0 0", None),
        "LeftLeg": ("LeftUpLeg", "0 -43 0", None),
        "LeftFoot": ("LeftLeg", "0 -42 0", None),
        "RightUpLeg": ("Hips", "-10 0 0", None),
        "RightLeg": ("RightUpLeg", "0 -43 0", None),
        "RightFoot": ("RightLeg", "0 -42 0", None),
    }
    order = []

    def write(name):
        order.append(name)
        _, offset, channels = limbs[name]
        below = [write(n) for n, (parent, *_) in limbs.items() if parent == name]
        inside = "\n".join(below) or "End Site\n{\nOFFSET 0 1 8\n}"
        kind = "JOINT" if limbs[name][0] else "ROOT"
        return f"{kind} {name}\n{{\nOFFSET {offset}\nCHANNELS {channels or '3 Zrotation Xrotation Yrotation'}\n{inside}\n}}"

    tree = write("Hips")
    rows = []
    for t in range(frames):
        moved = {"Hips": f"{t % 100} 90 {2 * (t % 100)} 0 0 {5 * t}", "LeftArm": f"{10 * t} 0 0", "RightArm": "70 0 0"}
        rows.append(" ".join(moved.get(n, "0.0 0.0 0.0") for n in order))
    return f"HIERARCHY\n{tree}\nMOTION\nFrames: {frames}\nFrame Time: 0.0333333\n" + "\n".join(rows) + "\n"


BONES = {  # bone: parent, direction, length, axis, freedom
    "lhipjoint": ("root", "0.6 -0.8 0", 2.3, "0 0 0", ""),
    "lfemur": ("lhipjoint", "0.34 -0.94 0", 7.4, "0 0 20", "rx ry rz"),
    "ltibia": ("lfemur", "0.34 -0.94 0", 7.0, "0 0 20", "rx"),
    "rhipjoint": ("root", "-0.6 -0.8 0", 2.3, "0 0 0", ""),
    "rfemur": ("rhipjoint", "-0.34 -0.94 0", 7.4, "0 0 -20", "rx ry rz"),
    "rtibia": ("rfemur", "-0.34 -0.94 0", 7.0, "0 0 -20", "rx"),
    "thorax": ("root", "0 1 0", 6.6, "0 0 0", "rx ry rz"),
    "head": ("thorax", "0 1 0", 5.0, "0 0 0", "rx ry rz"),
    "lclavicle": ("thorax", "1 0 0", 3.5, "0 0 0", "ry rz"),
    "lhumerus": ("lclavicle", "1 0 0", 4.8, "180 -30 -90", "rx ry rz"),
    "lwrist": ("lhumerus", "1 0 0", 4.5, "0 90 90", "ry"),
    "rclavicle": ("thorax", "-1 0 0", 3.5, "0 0 0", "ry rz"),
    "rhumerus": ("rclavicle", "-1 0 0", 4.8, "180 30 90", "rx ry rz"),
    "rwrist": ("rhumerus", "-1 0 0", 4.5, "0 -90 -90", "ry"),
}


def asf_text() -> str:
    out = ["# für niemanden", ":version 1.10", ":units", " mass 1.0", " length 0.45", " angle deg", ":root", " order TX TY TZ RX RY RZ"]
    out += [" axis XYZ", " position 0 0 0", " orientation 0 0 0", ":bonedata"]
    for i, (name, (_, direction, length, axis, dof)) in enumerate(BONES.items(), 1):
        out += [" begin", f"  id {i}", f"  name {name}", f"  direction {direction}", f"  length {length}", f"  axis {axis} XYZ"]
        out += [f"  dof {dof}", "  limits " + "\n         ".join("(-160.0 20.0)" for _ in dof.split())] if dof else []
        out.append(" end")
    out += [":hierarchy", " begin"]
    for parent in dict.fromkeys(b[0] for b in BONES.values()):
        out.append(f"  {parent} " + " ".join(n for n, b in BONES.items() if b[0] == parent))
    return "\n".join([*out, " end", ""])


def amc_text(frames: int = 5) -> str:
    out = ["#!OML:ASF für", ":FULLY-SPECIFIED", ":DEGREES"]
    for t in range(frames):
        out += [str(t + 1), f"root 0 17 {t / 10} 0 {3 * t} 0"]
        out += [f"{n} " + " ".join(f"{(5 + t) if n == 'lhumerus' else 0:.4f}" for _ in b[4].split()) for n, b in BONES.items() if b[4]]
    return "\n".join(out) + "\n"


def invented(folder: Path) -> dict[str, Path]:
    """One good file of each kind."""
    out = {}
    for name, text in {
        "dataset-1_wave_normal_001.bvh": bvh_text(),
        "HDM_bd.asf": asf_text(),
        "HDM_bd_waveL_001_120.amc": amc_text(),
    }.items():
        out[name.split(".")[-1]] = folder / name
        (folder / name).write_bytes(text.encode("latin-1"))
    return out


def fuzz_seeds(folder: Path) -> list:
    """(file, reader of one path) pairs; the last one mutates the skeleton below a good motion."""
    files = invented(folder)
    flat = write_bvh(read_bvh(files["bvh"], layout=None).replace(name="flat"), folder)
    return [
        (files["bvh"], read_bvh),
        (flat, partial(read_bvh, unit="cm")),
        (files["bvh"], partial(read_bvh, layout=KINECT20, up="z")),
        (files["amc"], partial(read_amc, asf=files["asf"])),
        (files["asf"], partial(_amc_of, amc=files["amc"])),
    ]


def _amc_of(asf, amc):
    """`read_amc` with the skeleton as its first argument."""
    return read_amc(amc, asf=asf)


def sentence(job, *words) -> str:
    with pytest.raises(InputError) as e:
        job()
    said = str(e.value)
    assert "\n" not in said and said.endswith("."), said
    for word in words:
        assert str(word) in said, said
    return said


# ---------------------------------------------------------------- invented bodies


def test_bvh_of_another_vocabulary(tmp_path):
    c = read_bvh(invented(tmp_path)["bvh"])
    assert (c.T, c.M, c.fps, c.label_name, c.setup, c.repetition) == (6, 1, 30.0, "wave", 1, 1)
    assert all(c.layout.point(r) for r in ROLES)
    at = {j: v for v, j in enumerate(c.layout.joints)}
    assert np.allclose(c.joints[0, 0, at["left ankle"]], [0.1, 0.9 - 0.85, 0], atol=1e-6)
    assert c.joints[5, 0, at["left wrist"], 1] > c.joints[0, 0, at["left wrist"], 1] + 0.2
    assert facing(c.joints[:1], c.layout) @ [0, 1] > 0.99


def test_up_z_is_a_rotation(tmp_path):
    p = invented(tmp_path)["bvh"]
    y, z = read_bvh(p).joints, read_bvh(p, up="z").joints
    assert np.array_equal(z[..., 1], y[..., 2]) and np.array_equal(z[..., 2], -y[..., 1])
    sentence(lambda: read_bvh(p, up="x"), "up is 'x'")


def test_units(tmp_path):
    p = invented(tmp_path)["bvh"]
    metres = read_bvh(p).joints
    for unit, factor in (("cm", 1), (0.01, 1), (0.02, 2), ("mm", 0.1)):
        assert np.allclose(read_bvh(p, unit=unit).joints, metres * factor, atol=1e-5)
    for text, reach in (("cm", 205), ("inch", 80), ("mm", 2050), ("m", 2.2), ("inch/0.45", 40)):
        assert guess_unit(reach) == text
    for unit in ("yard", -1, 0, float("nan"), float("inf"), [1]):
        sentence(lambda u=unit: read_bvh(p, unit=u), "unit is")
    doll = re.sub(r"OFFSET (\S+) (\S+) (\S+)", lambda m: "OFFSET " + " ".join(str(float(v) / 30) for v in m.groups()), bvh_text())
    p.write_text(doll)
    sentence(lambda: read_bvh(p), "no person", "give unit=")


def test_skeleton_beside_the_motion(tmp_path):
    files = invented(tmp_path)
    c = read_amc(files["amc"])
    assert (c.fps, c.subject, c.label_name, c.repetition, c.T) == (120.0, 1, "waveL", 1, 5)
    assert np.array_equal(read_amc(files["amc"], asf=files["asf"]).joints, c.joints)
    below = tmp_path / "sub"
    below.mkdir()
    moved = files["amc"].rename(below / files["amc"].name)
    assert np.array_equal(read_amc(moved).joints, c.joints)  # the folder above counts too
    (tmp_path / "HDM_bk.asf").write_text(asf_text(), encoding="latin-1")
    assert np.array_equal(read_amc(moved).joints, c.joints)  # the name decides
    files["asf"].unlink()
    (tmp_path / "HDM_mm.asf").write_text("x")
    sentence(lambda: read_amc(moved), "no .asf file beside it fits its name")
    assert all(c.layout.point(r) for r in ROLES)
    assert retarget_roles(c, KINECT20).mask[:, :, KINECT20.index("left knee")].all()
    assert read_amc(moved, asf=tmp_path / "HDM_bk.asf", fps=60, classes=["a", "waveL"]).fps == 60
    assert read_amc(moved, asf=tmp_path / "HDM_bk.asf", classes=["a", "waveL"]).label == 1


def test_facts_of_names():
    assert mocap_facts("HDM_mm_cartwheelLHandStart1Reps_002_120") == dict(
        repetition=2, fps=120.0, subject=4, label_name="cartwheelLHandStart1Reps"
    )
    assert mocap_facts("dataset-1_run_normal_001")["label_name"] == "run"
    assert mocap_facts("01_01") == {}


def test_many_files_and_processes(tmp_path):
    files = invented(tmp_path)
    paths = []
    for i in range(4):
        paths.append(tmp_path / f"copy{i}.bvh")
        paths[-1].write_bytes(files["bvh"].read_bytes())
    digests = {r.digest for _, r in read_all(paths, read_bvh, workers=2)}
    assert len(digests) == 1


# ---------------------------------------------------------------- hostile files


@pytest.mark.parametrize(
    "text, words",
    [
        ("HIERARCHY\nROOT a\n" + "{\nOFFSET 0 0 0\nCHANNELS 1 Xrotation\nJOINT b\n" * 100_000 + "\nMOTION\n", ("more than 256 joints",)),
        ("HIERARCHY\n" + "{" * 1_000_000 + "\nMOTION\n", ("does not belong there",)),
        ("HIERARCHY\n" + "}" * 1_000_000 + "\nMOTION\n", ("does not belong there",)),
        (bvh_text().replace("Frames: 6", "Frames: 999999999"), ("promises 999999999 frames",)),
        (bvh_text().replace("Frames: 6", "Frames: " + "9" * 5000), ("'Frames: …'",)),
        (bvh_text().replace("Frames: 6", "Frames: 0"), ("promises 0 frames", "write 'Frames: 6'")),
        (bvh_text().replace("Frames: 6", "Frames: -6"), ("'Frames: …'",)),
        (bvh_text().replace("Frames: 6", "Frames: 5"), ("holds 6, one frame more than promised", "write 'Frames: 6' in line")),
        (bvh_text().replace("Frames: 6", "Frames: 3"), ("holds 6, 3 frames more than promised",)),
        (bvh_text().replace("Frames: 6", "Frames: 9"), ("promises 9 frames", "holds 6; it was cut off", "'Frames: 6'")),
        (bvh_text()[:-20], ("holds 5 and a piece of",)),
        (bvh_text().split("0.0333333")[0] + "0.0333333\n", ("promises 6 frames", "holds none: a skeleton without motion")),
        (bvh_text(0), ("promises 0 frames", "holds none: a skeleton without motion")),
        (bvh_text().replace("\n0 90", "\n0 0 90").replace("\n1 90", "\n1 0 90").replace("\n2 90", "\n2 0 90").replace("\n3 90", "\n3 0 90")
         .replace("\n4 90", "\n4 0 90").replace("\n5 90", "\n5 0 90"), ("its rows hold 49", "different skeletons")),
        (bvh_text().replace("Time: 0.0333333", "Time: 0,0333333"), ("0,0333333 s", "decimal point")),
        (bvh_text().replace("0.0 0.0 0.0", "0.0 0,5 0.0", 1), ("'0,5' has a decimal comma", "decimal points")),
        (bvh_text() + bvh_text(), ("a second BVH begins here",)),
        (bvh_text().replace("Time: 0.0333333", "Time: 0"), ("Frame Time of 0 s",)),
        (bvh_text().replace("Time: 0.0333333", "Time: -0.03"), ("Frame Time",)),
        (bvh_text().replace("Time: 0.0333333", "Time: nan"), ("Frame Time",)),
        (bvh_text().replace("Time: 0.0333333", "Time: 1e-9"), ("Frame Time",)),
        (bvh_text().replace("CHANNELS 3", "CHANNELS 2", 1), ("line", "CHANNELS")),
        (bvh_text().replace("CHANNELS 3 Z", "CHANNELS 3 X", 1), ("line", "CHANNELS")),
        (bvh_text().replace("CHANNELS 3 Zrotation", "CHANNELS 3 Wrotation", 1), ("line", "CHANNELS")),
        (bvh_text().replace("OFFSET 0 30 0", "OFFSET 0 30", 1), ("OFFSET", "three numbers")),
        (bvh_text().replace("OFFSET 0 30 0", "OFFSET 0 nan 0", 1), ("OFFSET", "three numbers")),
        (bvh_text().replace("OFFSET 0 30 0", "OFFSET 0 1e400 0", 1), ("OFFSET", "three numbers")),
        (bvh_text().replace("OFFSET 0 30 0\n", "", 1), ("no OFFSET",)),
        (bvh_text().replace("HIERARCHY\n", "HIERARCHY\n" + bvh_text().split("MOTION")[0].split("\n", 1)[1]),
         ("holds two skeletons (ROOT 'Hips'", "export each")),
        (bvh_text().replace("0.0 0.0 0.0", "0.0 nan 0.0", 1), ("'nan' is not a number",)),
        (bvh_text().replace("0.0 0.0 0.0", "0.0 1_0 0.0", 1), ("'1_0' is not a number",)),
        (bvh_text().replace("0.0 0.0 0.0", "0.0 1e300 0.0", 1).replace("\n0 90", "\n1e308 90", 1), ("",)),
        (bvh_text().replace("6 Xposition Yposition Zposition Zrotation Xrotation Yrotation", "0")
         .replace("CHANNELS 3 Zrotation Xrotation Yrotation", "CHANNELS 0"), ("no channels",)),
        ("MOTION\nFrames: 1\nFrame Time: 1\n", ("there is no ROOT",)),
        ("BVH", ("no line MOTION",)),
        ("\x00" * 5000, ("no line MOTION",)),
    ],
)  # fmt: skip
def test_hostile_bvh(tmp_path, text, words):
    p = tmp_path / "h.bvh"
    p.write_text(text)
    start = time.perf_counter()
    sentence(lambda: read_bvh(p), p, *words)
    assert time.perf_counter() - start < 5


def test_a_deep_chain_that_is_allowed(tmp_path):
    head = "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n"
    body = "JOINT b\n{\nOFFSET 0 1 0\nCHANNELS 3 Zrotation Xrotation Yrotation\n" * 200
    text = head + body + "}" * 201 + "\nMOTION\nFrames: 2\nFrame Time: 0.01\n" + "0 0 0 " * 201 + "\n" + "1 0 0 " * 201
    (tmp_path / "deep.bvh").write_text(text)
    c = read_bvh(tmp_path / "deep.bvh", unit="cm")
    assert c.V == 201 and np.isclose(c.joints[0, 0, -1, 1], 2)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: s.replace("lfemur ltibia", "ltibia lfemur"), ("lfemur",)),
        (lambda s: s.replace("thorax head", "head thorax"), ("'thorax'",)),
        (lambda s: s.replace("root lhipjoint", "lhipjoint lhipjoint"), ("does not hang from the root",)),
        (lambda s: s.replace("angle deg", "angle gon"), ("gon",)),
        (lambda s: s.replace("length 0.45", "length nan"), ("length",)),
        (lambda s: s.replace("length 0.45", "length 1e-300"), ("",)),
        (lambda s: s.replace("length 7.4", "length 1e999"), ("length '1e999'",)),
        (lambda s: s.replace("direction 0 1 0", "direction 0 1", 1), ("direction",)),
        (lambda s: s.replace("dof rx ry rz", "dof rx rx rz", 1), ("freedom",)),
        (lambda s: s.replace("name thorax", "name head"), ("head",)),
        (lambda s: s.replace("order TX TY TZ RX RY RZ", "order TX TY TZ RX RY QQ"), ("freedom",)),
        (lambda s: s + ":units\n length 1\n", ("comes twice",)),
        (lambda s: "".join(f":s{i}\n" for i in range(10)), ("no section :units",)),
        (lambda s: s.replace(":hierarchy", "\x00hierarchy"), (":hierarchy",)),
    ],
)
def test_hostile_asf(tmp_path, change, words):
    files = invented(tmp_path)
    text = change(asf_text())
    assert text != asf_text()
    files["asf"].write_bytes(text.encode("latin-1"))
    if words == ("",):  # a strange unit is only strange: the size of the body decides
        assert read_amc(files["amc"]).check()
    else:
        sentence(lambda: read_amc(files["amc"]), files["asf"], *words)


def test_hostile_amc(tmp_path):
    files = invented(tmp_path)
    good = amc_text()
    for text, word in [
        (good[: len(good) // 2], "ends in the middle of a frame"),
        (good.replace("\n2\n", "\n1\n"), "frame 1 begins"),
        (good.replace("\nhead 0.0000 0.0000 0.0000", "", 1), "frame 2 begins"),
        (good.replace("\nhead", "\nthorax", 1), "comes twice in a frame"),
        (good.replace("root 0 17", "root 0 inf", 1), "'0 inf"),
        (good.replace("root 0 17", "root 0 17 17", 1), "expected 6 numbers"),
        ("", "empty"),
        ("1\n" * 100_000, "frame 1 begins"),
        (":DEGREES\n", "ends in the middle"),
        ("\xff\xfe" + good, "is no moving bone"),
    ]:
        files["amc"].write_bytes(text.encode("latin-1"))
        sentence(lambda: read_amc(files["amc"]), files["amc"].name, word)


def test_memory_stays_near_the_files_size(tmp_path):
    """Five thousand frames; and a header that promises a thousand times more."""
    p = tmp_path / "long.bvh"
    p.write_text(bvh_text(5000))
    tracemalloc.start()
    c = read_bvh(p)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert c.T == 5000 and peak < 2e6 + 12 * p.stat().st_size, (peak, p.stat().st_size)


def test_a_small_file_cannot_ask_for_much_memory(tmp_path):
    """One number a frame that moves 250 joints, ten thousand frames: 20 kB of numbers, 60 MB of positions."""
    below = "JOINT b\n{\nOFFSET 0 1 0\n" * 249
    head = "HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 1 Yrotation\n" + below + "}" * 250
    p = tmp_path / "small.bvh"
    p.write_text(head + "\nMOTION\nFrames: 10000\nFrame Time: 0.01\n" + "0\n" * 10000)
    sentence(lambda: read_bvh(p), "2,500,000 positions in")
    files = invented(tmp_path)
    still = "".join(f" begin\n name x{i}\n direction 0 1 0\n length 1\n end\n" for i in range(200))
    text = asf_text().replace(":hierarchy", still + ":hierarchy")
    text = text.replace("root lhipjoint", "root lhipjoint " + " ".join(f"x{i}" for i in range(200)))
    files["asf"].write_text(re.sub(r"\n  dof .*", "", text), encoding="latin-1")
    files["amc"].write_text("".join(f"{t}\nroot 0 0 0 0 0 0\n" for t in range(1, 10_001)))
    sentence(lambda: read_amc(files["amc"]), "2,150,000 positions in")


def test_mutations_end_well(tmp_path):
    """A few hundred here; the fuzz test drives the same seeds much longer."""
    rng = random.Random(0)
    outcomes = {"clip": 0, "sentence": 0}
    for path, reader in fuzz_seeds(tmp_path):
        good = path.read_bytes()
        for _ in range(60):
            b = bytearray(good)
            for _ in range(rng.choice((1, 1, 3))):
                at = rng.randrange(len(b))
                how = rng.randrange(4)
                if how == 0:
                    b[at] = rng.randrange(256)
                elif how == 1:
                    del b[at : at + rng.choice((1, 20, 400))]
                elif how == 2:
                    b[at:at] = rng.choice((b"\x00", b"{", b"}", b"\xff\xfe", b" nan ", b"99999999", b"-1", b"\n"))
                else:
                    b[at:at] = b[:200]
                if not b:
                    b = bytearray(b" ")
            path.write_bytes(bytes(b))
            try:
                c = reader(path)
                assert isinstance(c.check(), Clip) and np.isfinite(np.nan_to_num(c.joints)).all()
                outcomes["clip"] += 1
            except InputError as e:
                assert "\n" not in str(e) and str(e).endswith(".")
                outcomes["sentence"] += 1
        path.write_bytes(good)
    assert min(outcomes.values()) > 20, outcomes


# ---------------------------------------------------------------- real recordings


def naive_bvh(path: Path) -> np.ndarray:
    """Positions from 4 × 4 matrices, frame by frame, straight from the text."""
    head, body = path.read_text().split("MOTION")
    rows = [list(map(float, line.split())) for line in body.splitlines()[3:] if line.strip()]
    joints, stack, last = [], [], None
    for line in head.splitlines():
        w = line.split()
        if not w:
            continue
        if w[0] in ("ROOT", "JOINT", "End"):
            last = len(joints)
            joints.append(dict(parent=stack[-1] if stack else None, channels=[]))
        elif w[0] == "{":
            stack.append(last)
        elif w[0] == "}":
            stack.pop()
        elif w[0] == "OFFSET":
            joints[stack[-1]]["offset"] = list(map(float, w[1:]))
        elif w[0] == "CHANNELS":
            joints[stack[-1]]["channels"] = w[2:]
    out = np.zeros((len(rows), len(joints), 3))
    for t, row in enumerate(rows):
        whole, numbers = [], iter(row)
        for v, j in enumerate(joints):
            move, turn = np.eye(4), np.eye(4)
            move[:3, 3] = j["offset"]
            for c in j["channels"]:
                value = next(numbers)
                if c[1:] == "position":
                    move["XYZ".index(c[0]), 3] = value
                else:
                    a, one = np.radians(value), np.eye(4)
                    i, k = {"X": (1, 2), "Y": (2, 0), "Z": (0, 1)}[c[0]]
                    one[i, i] = one[k, k] = np.cos(a)
                    one[k, i], one[i, k] = np.sin(a), -np.sin(a)
                    turn = turn @ one
            whole.append((np.eye(4) if j["parent"] is None else whole[j["parent"]]) @ move @ turn)
            out[t, v] = whole[v][:3, 3]
    return out


@pytest.fixture(scope="module")
def bvh_files(data_root):
    files = sorted((data_root / "bvh_samples").glob("*.bvh"))
    if not files:
        pytest.skip("bvh_samples/ is not there")
    return files


def test_real_bvh_agrees_with_the_matrix_product(bvh_files):
    for p in bvh_files:
        assert np.abs(load_bvh(p).positions() - naive_bvh(p)).max() < 1e-9


def test_real_bvh_bodies(bvh_files):
    for p in bvh_files:
        c = read_bvh(p)
        x, layout = c.joints[:, 0].astype(float), c.layout
        at = {j: v for v, j in enumerate(layout.joints)}
        assert (c.V, c.fps) == (26, 30.0) and all(layout.point(r) for r in ROLES)
        assert np.ptp(np.linalg.norm(x - x[:, list(layout.parents)], axis=-1), axis=0).max() < 1e-5  # metres
        feet = x[:, [at[f"{s} {j}"] for s in ("left", "right") for j in ("foot", "foot end", "ankle")], 1]
        assert -0.05 < feet.min() < 0.08  # on the ground, y is up
        assert (x[:, at["head"], 1] > x[:, at["hip centre"], 1] + 0.4).all()
        left = x[:, at["left shoulder"]] - x[:, at["right shoulder"]]
        toes = (x[:, [at["left foot"], at["right foot"]]] - x[:, [at["left ankle"], at["right ankle"]]]).mean(1)
        ahead = np.cross(left, [0, 1, 0])  # left × up points to the front of a body that is no mirror image
        assert ((ahead * toes).sum(-1) > 0).all()


def test_real_run_runs_forward(bvh_files):
    c = next(read_bvh(p) for p in bvh_files if "run" in p.name)
    moved = (c.joints[-1, 0, 0] - c.joints[0, 0, 0])[[0, 2]]
    assert c.label_name == "run" and moved @ facing(c.joints, c.layout) > 1.5
    assert 2 < np.hypot(*moved) / c.seconds < 5  # metres a second


def test_real_wave_waves_the_left_hand(bvh_files):
    c = next(read_bvh(p) for p in bvh_files if "wave-left" in p.name)
    high = {s: float(np.ptp(c.joints[:, 0, c.layout.index(f"{s} wrist"), 1])) for s in ("left", "right")}
    assert high["left"] > 0.8 and high["right"] < 0.1
    assert read_bvh(next(p for p in bvh_files if "wave-left" in p.name), layout=KINECT20).mask.all()


def test_real_hdm05(data_root):
    files = sorted((data_root / "hdm05_samples").glob("*.amc"))
    if not files:
        pytest.skip("hdm05_samples/ is not there")
    asf, c = read_asf(data_root / "hdm05_samples" / "HDM_bd.asf"), read_amc(files[0])
    assert (len(asf.bones), c.V, c.T, c.fps, c.subject, c.label_name) == (31, 31, 301, 120.0, 1, "depositFloorR")
    x, layout = c.joints[:, 0].astype(float), c.layout
    at = {j: v for v, j in enumerate(layout.joints)}
    assert all(layout.point(r) for r in ROLES) and len(layout.pairs) == 12
    assert np.ptp(np.linalg.norm(x - x[:, list(layout.parents)], axis=-1), axis=0).max() < 1e-5
    toes = x[:, [at["left toe"], at["right toe"], at["left foot"], at["right foot"]], 1]
    assert toes.min() > -0.02 and np.median(toes.min(1)) < 0.05  # the feet stand on y = 0
    low = {s: x[:, at[f"{s} hand"], 1].min() for s in ("left", "right")}
    assert low["right"] < 0.15 < low["left"]  # the right hand puts something on the floor
    left, ahead = x[:, at["left shoulder"]] - x[:, at["right shoulder"]], x[:, at["left toe"]] - x[:, at["left ankle"]]
    assert ((np.cross(left, [0, 1, 0]) * ahead).sum(-1) > 0).mean() > 0.9


def test_real_asf_limits_are_read(data_root):
    asf = read_asf(data_root / "hdm05_samples" / "HDM_bd.asf")
    at = asf.bones.index("lfemur")
    assert asf.dof[at] == ("rx", "ry", "rz") and asf.limits[at] == [-160, 20, -70, 70, -60, 70]
    assert np.isclose(asf.unit, 0.0254 / 0.45)
