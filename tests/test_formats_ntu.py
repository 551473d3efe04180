"""The readers of NTU, NW-UCLA and UTD-MHAD: two ways through one file that agree, hostile files, many clips a file, the report."""

import json
import multiprocessing
import os
import random
import re
import signal
import struct
import subprocess
import sys
import time
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from c2vl_kit.readers import common, ntu_fast, ntu_text
from c2vl_kit.readers.matlab import MAT_LIMIT
from c2vl_kit.readers.common import read_all
from c2vl_kit.readers.report import ReadReport
from c2vl_kit.readers.ntu import read_ntu, read_ntu_columns, write_ntu
from c2vl_kit.readers.kinect import read_nwucla, read_utd, write_nwucla, write_utd
from c2vl_kit.core import InputError
from c2vl_kit.skeleton import KINECT20, NTU25, UTD20, Clip

NTU_NAME = "S001C001P001R001A050"


def made(name, layout=NTU25, T=5, M=1, seed=0, **facts) -> Clip:
    """Joints that walk, 3 m away."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(0, 0.01, (T, M, layout.V, 3)), 0) + rng.normal(0, 0.4, (M, layout.V, 3)) + [0, 0.5, 3]
    return Clip(name=name, joints=x.astype(np.float32), layout=layout, **facts)


def two_people(folder: Path, name=NTU_NAME, T=5) -> Path:
    """An NTU file with everything: a body that comes late, a missing joint, an inferred one, CR LF and long numbers."""
    clip = made(name, T=T, M=2)
    x, confidence = clip.joints.copy(), np.ones(clip.joints.shape[:3], np.float32)
    x[:2, 1], x[2, 0, 7], confidence[T - 1, 0, 5] = np.nan, np.nan, 0.5
    path = write_ntu(clip.replace(joints=x, confidence=confidence), folder, ids=[72057594037932185, 72057594037932186])
    turned = re.sub(r"( \S+){4}( \d)$", r" 0.6249489 -7.257856E-05 0.7727244 1e-7\2", path.read_text(), flags=re.M)
    lines = [new if new.count(" ") == 11 else old for old, new in zip(path.read_text().splitlines(), turned.splitlines(), strict=True)]
    path.write_bytes("\r\n".join([*lines, ""]).encode())
    return path


def fuzz_seeds(folder: Path) -> list:
    """Small good files of each format, with their readers."""
    from scipy.io import savemat

    folder.mkdir(parents=True, exist_ok=True)
    plain = folder / "a3_s2_t2_skeleton.mat"
    savemat(plain, {"d_skel": np.random.default_rng(0).normal(0, 1, (20, 3, 4)), "more": np.int8([[1, 2]])})
    return [
        (write_ntu(made("S001C001P001R001A001"), folder), read_ntu),
        (two_people(folder), read_ntu),
        (two_people(folder, "S001C001P001R001A051", T=3), columns),
        (write_nwucla(made("a01_s01_e00_v01", KINECT20, label=0), folder), read_nwucla),
        (write_utd(made("a3_s2_t1", UTD20), folder), read_utd),
        (plain, read_utd),
    ]


def columns(path) -> Clip:
    """`read_ntu_columns` as a reader of clips."""
    return read_ntu_columns(path).clip


def said(reader, path):
    """What a reader answers: every bit of its clip, or its sentence."""
    try:
        got = reader(path)
    except InputError as e:
        return str(e)
    clip = got if isinstance(got, Clip) else got.clip
    wide = () if got is clip else [(k, v.dtype, v.shape, v.tobytes()) for k, v in vars(got).items() if k != "clip"]
    return clip.joints.shape, clip.joints.tobytes(), clip.confidence.tobytes(), clip.name, clip.label, *wide


def sentence(job, *words) -> str:
    with pytest.raises(InputError) as e:
        job()
    text = str(e.value)
    assert "\n" not in text and text.endswith((".", "?")), text
    for word in words:
        assert str(word) in text, text
    return text


@pytest.fixture
def scan():
    """The compiled scanner (kept by numba between runs)."""
    pytest.importorskip("numba")
    code = ntu_fast.scanner.load()
    if code is None:
        pytest.skip("numba works here, but finds no folder for its cache")
    yield code
    ntu_fast.scanner.code = code


def both_ways(reader, path, code):
    """The careful and the fast answer, and whether the fast way took the file."""
    ntu_fast.scanner.code, ntu_fast.scanner.files = None, 0
    slow = said(reader, path)
    ntu_fast.scanner.code = code
    return slow, said(reader, path)


# ---------------------------------------------------------------- two ways, one answer


def naive(path) -> np.ndarray:
    """All joint lines of a file, twelve numbers each, by Python's float."""
    rows = [[float(v) for v in line.split()] for line in path.read_text().splitlines() if len(line.split()) == 12]
    return np.array(rows, np.float64).astype(np.float32).reshape(-1, 25, 12)


def test_both_ways_equal_a_naive_reader_on_real_files(data_root, scan):
    for path in sorted((data_root / "ntu_samples").glob("*.skeleton")):
        x, data = naive(path), path.read_bytes()
        for every, want in ((True, x), (False, x[..., [0, 1, 2, 11]])):
            slow, fast = ntu_text.careful(path, data, every), ntu_fast.quick(data, every, scan)
            for a, b in zip(slow, fast, strict=True):
                np.testing.assert_array_equal(a, b)
            assert fast.joint.tobytes() == want.tobytes()
        slow, fast = both_ways(read_ntu, path, scan)
        assert slow == fast
        n = read_ntu_columns(path)
        got = np.concatenate([n.clip.joints, n.depth, n.colour, n.orientation, n.tracking[..., None]], -1)[n.present]
        assert got.astype(np.float32).tobytes() == x.tobytes()  # frame by frame, bodies in the order of the file
        lines = [line.split() for line in path.read_text().splitlines()]
        assert set(n.ids.tolist()) == {int(t[0]) for t in lines if len(t) == 10}


def test_body_lines_of_real_files(data_root):
    path = data_root / f"ntu_samples/{NTU_NAME}.skeleton"
    n = read_ntu_columns(path)
    heads = np.array([[float(v) for v in line.split()[1:]] for line in path.read_text().splitlines() if len(line.split()) == 10])
    hands = [x[..., side] for side in (0, 1) for x in (n.hand_confidence, n.hand_state)]
    got = np.stack([n.clipped, *hands, n.restricted, *np.moveaxis(n.lean, -1, 0), n.lean_tracking], -1)[n.present]
    np.testing.assert_array_equal(got, heads.astype(np.float32))
    assert n.ids.dtype == np.int64 and n.ids[0] == 72057594037932185 and n.colour.shape == (74, 2, 25, 2)
    inside = (n.colour >= 0) & (n.colour < n.colour_size)
    assert inside.all()


def test_both_ways_agree_on_damaged_files(tmp_path, scan):
    """600 seeded mutations of one file: the same clip or the same sentence, and often enough through each way."""
    rnd, path = random.Random(0), two_people(tmp_path)
    data, taken = path.read_bytes(), 0
    words = b"nan 1e999 +1 - 1_0 2 -0 . 5. 1e 1e-30 12345678901234567890 0x10 1e5".split() + [b"", b" "]
    for i in range(600):
        b, at = bytearray(data), rnd.randrange(len(data))
        kind = i % 6
        if kind == 0:
            b[at] = rnd.choice(b"0123456789+-.eE \n\r\t\x00_x\xe9")
        elif kind == 1:
            del b[at : at + rnd.choice((1, 1, 2, 30, 3000))]
        elif kind == 2:
            b[at:at] = rnd.choice((b"1", b" ", b"\n", b"\r", b"\t", b"1 ", b"2\r\n", b"1 2"))
        elif kind == 3:
            b = b[:at]
        else:
            tokens = bytes(b).split(b" ")
            tokens[rnd.randrange(len(tokens))] = rnd.choice(words)
            b = b" ".join(tokens)
        path.write_bytes(b)
        for reader in (read_ntu, read_ntu_columns):
            slow, fast = both_ways(reader, path, scan)
            assert slow == fast, (i, str(slow)[:200], str(fast)[:200])
            taken += isinstance(slow, tuple) and ntu_fast.quick(bytes(b), reader is not read_ntu, scan) is not None
    assert taken > 100


def test_every_simple_number_is_the_correctly_rounded_double(tmp_path, scan):
    """Digits, powers and signs as text; the fast way must take or leave them as Python's float does."""
    rnd = random.Random(0)
    base = two_people(tmp_path).read_bytes().replace(b"\r", b"")
    first = base.split(b"\n")[4]
    taken = 0
    for i in range(2000):
        digits = "".join(rnd.choice("0123456789") for _ in range(rnd.randrange(1, 20)))
        cut = rnd.randrange(len(digits) + 1)
        text = rnd.choice(("", "-")) + digits[:cut] + rnd.choice((".", "." * (cut < len(digits)))) + digits[cut:]
        text += rnd.choice(("", "", f"e{rnd.randrange(-25, 25)}", f"E+{rnd.randrange(9)}", f"e-0{rnd.randrange(30)}"))
        line = first.split()
        line[i % 3] = text.encode()
        blocks = ntu_fast.quick(base.replace(first, b" ".join(line), 1), False, scan)
        if blocks is not None:
            taken += 1
            with np.errstate(over="ignore"):
                want = np.array([float(text)]).astype(np.float32)
            assert blocks.joint[0, 0, i % 3].tobytes() == want[0].tobytes(), text
    assert taken > 800


def test_compiled_code_comes_after_many_files_and_not_before(tmp_path):
    """In a process of its own: 200 files without numba, then with it; the answers stay the same."""
    path = two_people(tmp_path)
    code = f"""
import sys
from c2vl_kit.readers import common, ntu, ntu_fast, ntu_text
seen = []
for i in range(common.BULK + 3):
    seen.append(ntu.read_ntu({str(path)!r}).digest)
    if i == common.BULK - 1: assert "numba" not in sys.modules
assert "numba" in sys.modules and len(set(seen)) == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("how", ["absent", "switched off", "no cache"])
def test_without_numba_nothing_changes(tmp_path, how):
    path = two_people(tmp_path)
    code = f"""
import sys
how = {how!r}
if how == "absent": sys.modules["numba"] = None
if how == "no cache":
    import numba
    def njit(**options): raise RuntimeError("cannot cache function 'scan_file': no locator available for file")
    numba.njit = njit
from c2vl_kit.readers import common, ntu, ntu_fast, ntu_text
common.BULK = 0
print(ntu.read_ntu({str(path)!r}).digest, ntu_fast.scanner.code)
"""
    env = {**os.environ, "NUMBA_DISABLE_JIT": str(int(how == "switched off"))}
    out = subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True, text=True, env=env).stdout.split()
    assert out == [read_ntu(path).digest, "None"]


# ---------------------------------------------------------------- hostile files


HOSTILE = {
    "a NUL": (lambda b: b.replace(b"25\r\n", b"25\r\n\x00", 1), "line 5", "0x00"),
    "utf-16": (lambda b: b.decode().encode("utf-16"), "UTF-16"),
    "latin-1": (lambda b: b.replace(b" ", b"\xa0", 1), "0xa0"),
    "underscore": (lambda b: b.replace(b"25\r\n", b"25\r\n1_", 1), "0x5f"),
    "huge frame count": (lambda b: b.replace(b"5\r", b"99999\r", 1), "ends where"),
    "huger": (lambda b: b.replace(b"5\r", b"9" * 400 + b"\r", 1), "number of frames"),
    "negative": (lambda b: b.replace(b"5\r", b"-5\r", 1), "number of frames"),
    "many bodies": (lambda b: b.replace(b"\n1\r", b"\n999999999\r", 1), "number of bodies in frame 0"),
    "many joints": (lambda b: b.replace(b"25\r", b"1000\r", 1), "joints, expected 25"),
    "long body ID": (lambda b: b.replace(b"7205759", b"7" * 4000, 1), "18 digits"),
    "float body ID": (lambda b: b.replace(b"72057594037932185", b"7.2057594037932185e16", 1), "body ID"),
    "infinite": (lambda b: re.sub(rb"25\r\n\S+", b"25\r\n1e999", b, count=1), "infinite"),
    "13 values": (lambda b: b.replace(b"1e-7 2\r", b"1e-7 2 2\r", 1), "expected 12 numbers"),
    "11 values": (lambda b: b.replace(b"1e-7 2\r", b"2\r", 1), "expected 12 numbers"),
    "13 and 11": (lambda b: b.replace(b"1e-7 2\r", b"1e-7 2 2\r", 1).replace(b"1e-7 2\r", b"2\r", 1), "expected 12 numbers"),
    "tracking state": (lambda b: b.replace(b"1e-7 2\r", b"1e-7 3\r", 1), "a tracking state is 3"),
    "same body twice": (lambda b: b.replace(b"72057594037932186", b"72057594037932185"), "one body ID twice"),
    "frames of nothing": (lambda b: b"100000" + b[1:] + b"0\r\n" * 99_995, "few of its 100000 frames"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_ntu_files(tmp_path, what):
    change, *words = HOSTILE[what]
    path = two_people(tmp_path)
    path.write_bytes(change(path.read_bytes()))
    start = time.perf_counter()
    for reader in (read_ntu, read_ntu_columns):
        sentence(lambda reader=reader: reader(path), path, *words)
    assert time.perf_counter() - start < 5


def test_a_byte_order_mark_and_odd_line_ends_change_nothing(tmp_path):
    path = two_people(tmp_path)
    data = path.read_bytes()
    want = said(read_ntu, path)
    for changed in (b"\xef\xbb\xbf" + data, data.replace(b"\r\n", b"\n"), data + b"\r\n \n", data.rstrip(), data.replace(b" ", b"\t")):
        path.write_bytes(changed)
        assert said(read_ntu, path) == want


def test_nan_in_a_file_is_a_missing_joint_and_infinite_pixels_are_nan(tmp_path):
    path = two_people(tmp_path)
    lines = path.read_text().splitlines()
    row = lines[4].split()
    lines[4] = " ".join(["nan", "NaN", "nan", *row[3:5], "-Infinity", "1e999", *row[7:]])
    path.write_text("\n".join(lines))
    n = read_ntu_columns(path)
    assert np.isnan(n.clip.joints[0, 0, 0]).all() and np.isnan(n.colour[0, 0, 0]).all() and np.isfinite(n.depth[0, 0, 0]).all()
    assert read_ntu(path).digest == n.clip.digest


def test_many_bodies_are_chosen_in_good_time(tmp_path):
    """6,000 body IDs in one file, the two that move most are kept."""
    head = "\n".join(["{} 0 1 1 1 1 0 0.1 -0.4 2", "25"])
    joints = "\n".join(["0.1 1 3 250 200 900 500 1 0 0 0 2"] * 25)
    frames = [f"1\n{head.format(1000 + i)}\n{joints}" for i in range(6000)]
    frames += [f"1\n{head.format(7)}\n{joints.replace('0.1', str(0.2 * i))}" for i in range(3)]
    path = tmp_path / f"{NTU_NAME}.skeleton"
    path.write_text(f"{len(frames)}\n" + "\n".join(frames) + "\n")
    start = time.perf_counter()
    n = read_ntu_columns(path, max_bodies=2)
    assert n.ids.tolist() == [1000, 7] and n.present.sum(0).tolist() == [1, 3]
    assert time.perf_counter() - start < 20


def test_a_pipe_is_not_waited_for(tmp_path):
    path = tmp_path / f"{NTU_NAME}.skeleton"
    os.mkfifo(path)
    sentence(lambda: read_ntu(path), path, "pipe")


def test_hostile_json(tmp_path):
    path = tmp_path / "a01_s01_e00_v01.json"
    good = write_nwucla(made("a01_s01_e00_v01", KINECT20, label=0), tmp_path).read_text()
    x = read_nwucla(path).joints
    for text in ("[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000, good[:-2] + "}" * 100_000):
        path.write_text(text)
        sentence(lambda: read_nwucla(path), path, "not complete json")
    for number in ("1e999", "9" * 400, "-" + "9" * 30, "9" * 5000, "NaN1", "Infinity", '"1"', "[1]", "{}"):
        path.write_text(good.replace("[[[", f"[[[{number},", 1).replace(",", "", 0))
        sentence(lambda: read_nwucla(path), path)
        d = json.loads(good)
        d["skeletons"][0][0][0] = "@"
        path.write_text(json.dumps(d).replace('"@"', number))
        sentence(lambda: read_nwucla(path), path)
    for encoding in ("utf-8-sig", "utf-16", "utf-32", "utf-16-be"):
        path.write_bytes(good.encode(encoding))
        assert read_nwucla(path).joints.tobytes() == x.tobytes()
    for change in (lambda d: d.update(label=[1] * 10**6), lambda d: d.update(file_name={"a": 1}), lambda d: d.update(label=10**4000)):
        d = json.loads(good)
        change(d)
        path.write_text(json.dumps(d))
        assert len(sentence(lambda: read_nwucla(path), "says inside")) < 500
    path.write_bytes(good.encode() + b"\x00")
    sentence(lambda: read_nwucla(path), path)


def mat(*elements, packed=()) -> bytes:
    """A MATLAB 5 file of raw elements (type, bytes); zlib streams as elements of type 15."""
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    body = b"".join(struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8) for kind, data in elements)
    return head + body + b"".join(struct.pack("<II", 15, len(z)) + z for z in packed)


def matrix(dims, numbers=b"", flags=struct.pack("<II", 6, 0), name=b"d_skel") -> tuple:
    parts = [(6, flags), (5, struct.pack(f"<{len(dims)}i", *dims)), (1, name), (9, numbers)]
    return 14, b"".join(struct.pack("<II", k, len(d)) + d + bytes(-len(d) % 8) for k, d in parts)


def test_hostile_mat(tmp_path):
    path = tmp_path / "a3_s2_t1_skeleton.mat"
    x = np.random.default_rng(0).normal(0, 1, (4, 3, 20))  # reversed: MATLAB's order
    path.write_bytes(mat(matrix((20, 3, 4), x.tobytes())))
    np.testing.assert_array_equal(read_utd(path).joints[:, 0], x.transpose(0, 2, 1).astype(np.float32))
    shapes = [(20, 3, -1), (-1, -1, 4), (2**31 - 1, 2**31 - 1, 4), (), (240,), (20, 3, 5), (1,) * 80, (20, 3, 0)]
    bad = [(14, b""), (14, b"\x06\x00"), (15, b"abc"), (15, b""), matrix((20, 3, 4), x.tobytes(), flags=b"")]
    for element in [*bad, *(matrix(dims, x.tobytes()) for dims in shapes), matrix((20, 3, 4), x.tobytes()[:-8]), matrix((20, 3, 0))]:
        path.write_bytes(mat(element))
        sentence(lambda: read_utd(path), path)
    path.write_bytes(mat(matrix((20, 3, 4), (x * np.inf).tobytes())))
    sentence(lambda: read_utd(path), path, "infinite")
    path.write_bytes(mat(matrix((20, 3, 4), (x * np.nan).tobytes())))
    sentence(lambda: read_utd(path), path, "no body")
    path.write_bytes(mat(matrix((20, 3, 4), x.tobytes(), name=b"\xff\xfe")))
    sentence(lambda: read_utd(path), path)


def test_a_zip_bomb_in_a_mat_file(tmp_path):
    """A stream that unpacks to a gigabyte or more is stopped; memory stays below the limit."""
    import tracemalloc

    path, squeeze = tmp_path / "a3_s2_t1_skeleton.mat", zlib.compressobj(9)
    start = squeeze.compress(struct.pack("<II", 14, 2**30) + bytes(2**20)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    block = squeeze.compress(bytes(2**24)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    block = squeeze.compress(bytes(2**24)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(mat(packed=[start + block * 100]))
    tracemalloc.start()
    sentence(lambda: read_utd(path), path, "as no skeleton file is")
    zeros = matrix((1, 2**16), bytes(2**19))[1]
    many = [zlib.compress(struct.pack("<II", 14, len(zeros)) + zeros)] * 400  # each small, together large
    path.write_bytes(mat(packed=many))
    sentence(lambda: read_utd(path), path, "as no skeleton file is")
    assert tracemalloc.get_traced_memory()[1] < 1.5 * MAT_LIMIT
    tracemalloc.stop()
    x = np.ones((600, 3, 20))  # a real clip that happens to compress well is read
    kind, content = matrix((20, 3, 600), x.tobytes())
    path.write_bytes(mat(packed=[zlib.compress(struct.pack("<II", kind, len(content)) + content)]))
    assert read_utd(path).T == 600


def test_names_with_foreign_digits_and_tricks(tmp_path):
    names = {"a٠١_s01_e00_v01.json": read_nwucla, "a1_s1_t١_skeleton.mat": read_utd, "../..": read_ntu, "a\0b": read_ntu}
    for name, reader in names.items():
        sentence(lambda name=name, reader=reader: reader(tmp_path / name), "not named like")


@pytest.mark.parametrize("most", [0, -1, 1.5, "2", None])
def test_max_bodies_is_a_whole_number(tmp_path, most):
    path = two_people(tmp_path)
    sentence(lambda: read_ntu(path, max_bodies=most), "max_bodies")
    sentence(lambda: read_ntu_columns(path, max_bodies=most), "max_bodies")


def test_max_bodies_keeps_columns_and_clip_together(tmp_path):
    clip = made(NTU_NAME, T=6, M=3)
    x = clip.joints.copy()
    x[:, 1] = x[:1, 1]  # stands still
    path = write_ntu(clip.replace(joints=x), tmp_path, ids=[5, 6, 7])
    n = read_ntu_columns(path, max_bodies=2)
    assert n.ids.tolist() == [5, 7] and n.clip.M == 2 and n.colour.shape == (6, 2, 25, 2)
    assert read_ntu_columns(path).ids.tolist() == [5, 6, 7] and read_ntu(path).M == 3 and read_ntu(path, 1).M == 1


# ---------------------------------------------------------------- many files, many clips a file


def several(path, n=3):
    """A reader as a generator: the number in the file's text says how many clips; a minus: broken at the end."""
    count = int(Path(path).read_text())
    for i in range(abs(count) if n else 0):
        if i == 1:
            yield InputError(f"{path}: entry 1 is broken.")
        else:
            yield made(f"{Path(path).stem}-{i}", T=3, seed=i)
    if count < 0:
        raise InputError(f"{path} ends too early.")


def answers(pairs):
    return [(str(p), c.name, c.digest) if isinstance(c, Clip) else (str(p), str(c), None) for p, c in pairs]


def test_readers_of_many_clips_one_process_or_many(tmp_path):
    paths = []
    for i, n in enumerate([3, 0, -2, 1, 5, 3, -1] * 12):
        paths.append(tmp_path / f"{i:03}.txt")
        paths[-1].write_text(str(n))
    paths.insert(7, tmp_path / "nowhere.txt")
    reader = partial(several, n=1)

    def safe(path):
        try:
            yield from reader(path)
        except FileNotFoundError:
            raise InputError(f"{path} does not exist.") from None

    one = answers(read_all(iter(paths), safe))
    assert one == answers(read_all(paths, safe, workers=2)) == answers(read_all(map(str, paths), safe, workers=3))
    assert sum("holds no clip" in n for _, n, _ in one) == 12 and sum("too early" in n for _, n, _ in one) == 24
    assert [p for p, *_ in one] == sorted((p for p, *_ in one), key=list(map(str, paths)).index)
    assert not multiprocessing.active_children()


def test_lists_values_and_partials_are_readers_too(tmp_path):
    path = two_people(tmp_path)
    assert [c.M for _, c in read_all([path], partial(read_ntu, max_bodies=1))] == [1]
    assert [c.M for _, c in read_all([path] * 3, partial(read_ntu, max_bodies=1), workers=2)] == [1] * 3
    assert [c.name for _, c in read_all("ab", lambda p: [made(p + "1"), made(p + "2")], workers=2)] == ["a1", "a2", "b1", "b2"]
    assert [str(c) for _, c in read_all("a", lambda p: InputError("no."))] == ["no."]
    assert list(read_all([], read_ntu, workers=2)) == []


def test_one_process_reads_lazily():
    seen = []

    def reader(path):
        for i in range(3):
            seen.append((path, i))
            yield made(f"{path}{i}", T=1)

    steps = read_all("ab", reader)
    assert seen == []
    next(steps)
    assert seen == [("a", 0)]


def test_a_large_file_comes_in_parts(tmp_path, monkeypatch):
    """Clips arrive while their file is still read, so its size does not matter; here a part holds two clips."""
    monkeypatch.setattr(common, "ANSWER_BYTES", 2 * 25 * 3 * 4)

    def endless(path):
        i = 0
        while True:
            yield made(f"c{i}", T=1)
            i += 1

    steps = read_all(["x", "y"], endless, workers=2)
    assert [next(steps)[1].name for _ in range(100)] == [f"c{i}" for i in range(100)]
    steps.close()
    assert not multiprocessing.active_children()


def test_a_bug_and_a_killed_process_are_told_apart(tmp_path):
    def buggy(path):
        raise KeyError("a bug")

    def dies(path):
        os.kill(os.getpid(), signal.SIGKILL)

    class Odd(Exception):  # cannot be pickled: a local class
        pass

    def odd(path):
        raise Odd("strange")

    with pytest.raises(KeyError) as e:
        list(read_all("abc", buggy, workers=2))
    assert "buggy" in e.value.__notes__[0]
    with pytest.raises(RuntimeError, match="strange"):
        list(read_all("abc", odd, workers=2))
    sentence(lambda: list(read_all("abc", dies, workers=2)), "killed", "workers=1")
    assert not multiprocessing.active_children()


READ = """
import os, sys, time
from c2vl_kit.readers.common import read_all
def slow(path):
    time.sleep(.05); open(path, "a").write(str(os.getpid()) + " "); return []
for n, _ in enumerate(read_all([sys.argv[1]] * 10_000, slow, workers=2)):
    if n == 2: print("ready", flush=True)
"""


def alive(pid) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="processes are made by fork")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_its_caller(tmp_path, how):
    """Ctrl-C (sent to the whole group, as a terminal does), kill and kill -9."""
    log = tmp_path / "pids"
    job = subprocess.Popen([sys.executable, "-c", READ, str(log)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    assert job.stdout.readline() == b"ready\n"
    (os.killpg if how == signal.SIGINT else os.kill)(job.pid, how)
    err = job.communicate(timeout=120)[1].decode()
    pids = set(log.read_text().split())
    assert len(pids) == 2
    until = time.monotonic() + 60
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, pids))
    if how == signal.SIGINT:
        assert err.count("Traceback") == 1 and err.rstrip().endswith("KeyboardInterrupt")


# ---------------------------------------------------------------- the report


def test_report_groups_alike_reasons():
    broken = {}
    for i in range(300):
        f = f"raw/S001C001P001R001A{i % 60 + 1:03}.{i}"
        broken[f] = f"{f}, line {i}: it ends where a body in frame {i} should follow; the file is damaged, download it again."
    broken["raw/x.skeleton"] = "raw/x.skeleton is empty (0 usable bytes); download it again."
    r = ReadReport("ntu60", 56_700, ["…"] * 56_399, broken, ["gone"], 56_578)
    assert [n for *_, n in r.reasons()] == [300, 1]
    text, page = str(r), r._repr_markdown_()
    for part in ("ntu60", "found        56,700", "56,399 of 56,578 expected (179 are not there)", "missing      1", "quarantined  301"):
        assert part in text, text
    assert "299 more like this" in text
    assert len(text.splitlines()) == 7 and "| 300 |" in page and "| 1 |" in page
    assert ReadReport(**r.to_dict()) == r
    assert str(ReadReport("x", 2, ["a", "b"])).splitlines()[2] == "  read         2"


def test_report_cannot_be_broken_by_a_file_name():
    r = ReadReport("x", 1, [], {"a|b`<script>.json": "a|b`<script>.json\nis | bad."})
    row = r._repr_markdown_().splitlines()[-1]
    assert "<script>" not in row and len(re.findall(r"(?<!\\)\|", row)) == 4 and row.count("`") == 2
