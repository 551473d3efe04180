"""Text from Windows editors reads as it is, and a file of another format is named with the line that helps."""

import importlib
import io
import json
import pickle
import struct
import zipfile
from functools import partial

import numpy as np
import pytest
from test_catalog import TREES

from c2vl_kit.methods.settings import config_file
from c2vl_kit.concepts.published import class_descriptions
from c2vl_kit.data.splits import Split, read_split
from c2vl_kit.data.prepare import prepare
from c2vl_kit.readers.pyskl import pyskl_splits, read_pyskl
from c2vl_kit.readers.tables import read_csv
from c2vl_kit.readers.ctrgcn import read_ctrgcn, read_npy
from c2vl_kit.readers.arrays import read_npz
from c2vl_kit.readers.common import foreign, text_bytes
from c2vl_kit.readers.ntu import read_ntu
from c2vl_kit.readers.kinect import read_nwucla, read_utd, write_utd
from c2vl_kit.readers.kinect import read_msr, read_sbu, read_sysu
from c2vl_kit.readers.pku import read_pku_split
from c2vl_kit.readers.asf import read_amc, read_asf
from c2vl_kit.readers.bvh import read_bvh
from c2vl_kit.skeleton import NTU25, UTD20, Clip
from c2vl_kit.core import InputError

BOM = b"\xef\xbb\xbf"
AS_WINDOWS_DOES = {
    "BOM": lambda b: BOM + b,
    "CRLF": lambda b: b.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "BOM and CRLF": lambda b: BOM + b.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "LF": lambda b: b.replace(b"\r\n", b"\n"),
    "two BOMs": lambda b: BOM + BOM + b,
}
MODULES = ("test_formats_ntu", "test_kinect", "test_mocap", "test_driveact", "test_exchange")


def is_text(data: bytes) -> bool:
    return b"\0" not in data and data[:1] not in (b"\x80", b"P")


def told(got) -> list:
    """Every bit of what a reader gives."""
    clips = [got] if isinstance(got, Clip) else list(got)
    assert clips and all(isinstance(c, Clip) for c in clips), clips
    return [(c.name, c.digest, c.label, c.fps, None if c.confidence is None else c.confidence.tobytes()) for c in clips]


def sentence(job, *words) -> str:
    with pytest.raises(InputError) as e:
        job()
    said = str(e.value)
    assert "\n" not in said and said.endswith((".", "?")), said
    for word in words:
        assert str(word) in said, said
    return said


@pytest.mark.parametrize("module", MODULES)
def test_every_text_reader_takes_marks_and_line_ends_of_windows(module, tmp_path):
    tried = 0
    for path, reader in importlib.import_module(module).fuzz_seeds(tmp_path):
        good = path.read_bytes()
        if not is_text(good):
            continue
        want = told(reader(path))
        for how, change in AS_WINDOWS_DOES.items():
            if how == "two BOMs" and path.suffix == ".json":
                continue
            path.write_bytes(change(good))
            assert told(reader(path)) == want, (path.name, how)
            tried += 1
        path.write_bytes(good)
    assert tried >= 5


@pytest.mark.parametrize("name", [n for n in TREES if n not in ("utd-mhad", "sysu-3d-hoi", "ntu120")])
def test_whole_data_sets_from_windows(name, tmp_path):
    """Not only the readers: what finds files, labels, tables and official lists opens text too."""
    TREES[name](tmp_path / "raw")
    if name == "pku-mmd-1":
        (tmp_path / "raw/cross-subject.txt").write_text("Training videos:\n0002-L, 0291-M\nTest videos:\n0003-M\n")
    want, _ = prepare(name, tmp_path / "raw", tmp_path / "a", progress=False, workers=1)
    for path in (p for p in (tmp_path / "raw").rglob("*") if p.is_file()):
        path.write_bytes(AS_WINDOWS_DOES["BOM and CRLF"](path.read_bytes()))
    got, report = prepare(name, tmp_path / "raw", tmp_path / "b", progress=False, workers=1)
    assert not report.quarantined and [c.digest for c in got] == [c.digest for c in want] and got.names == want.names
    splits = [{f.name: json.loads(f.read_text())["hash"] for f in (tmp_path / s / "splits").glob("*.json")} for s in "ab"]
    assert splits[0] == splits[1]


def test_lists_and_settings_from_windows(tmp_path):
    def edited(name, text):
        (tmp_path / name).write_bytes(AS_WINDOWS_DOES["BOM and CRLF"](text.encode()))
        return tmp_path / name

    assert read_pku_split(edited("cross-subject.txt", "A01N01-L, A01N02-M\nA02N03-L\n".replace("A01", "Train:\nA01", 1).replace(
        "\nA02", "\nTest:\nA02"))) == (("A01N01-L", "A01N02-M"), ("A02N03-L",))
    split = Split("toy", "mine", ("a", "b"), {"official": ("c",)})
    text = split.to_file(tmp_path / "plain.json").read_text()
    assert read_split(edited("split.json", text)) == split
    assert config_file(edited("config.json", '{"config":\n{"epochs": 3}}')) == {"epochs": 3}
    assert class_descriptions(edited("classes.txt", "clap,\nwave, moves a hand.\n"), 2) == {0: ("clap",), 1: ("moves a hand.",)}


def test_only_marks_that_are_marks_count(tmp_path):
    path = tmp_path / "f.txt"
    path.write_bytes("ï»¿".encode() + b"1\n")  # the mark's bytes, read as Latin-1 and saved as UTF-8
    assert text_bytes(path) == "ï»¿".encode() + b"1\n"
    path.write_bytes(b"\xff\xfe1 2 3\n4 5 6\n")  # Latin-1 text that begins like UTF-16
    assert text_bytes(path) == b"\xff\xfe1 2 3\n4 5 6\n"
    for empty in (BOM, BOM + b"\r\n \r\n", BOM * 3):
        path.write_bytes(empty)
        sentence(lambda: text_bytes(path), path, "is empty")
    for code in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"):
        path.write_bytes("frame,hip_x,hip_y\n0,1,2\n".encode(code))
        sentence(lambda: text_bytes(path), path, "is UTF-16 or UTF-32 text; save it again as UTF-8")


def test_utf_16_is_named_by_every_text_reader(tmp_path):
    for module in MODULES:
        (tmp_path / module).mkdir()
        for path, reader in importlib.import_module(module).fuzz_seeds(tmp_path / module):
            good = path.read_bytes()
            if is_text(good) and path.suffix != ".json":
                path.write_bytes(good.decode("latin-1").encode("utf-16"))
                sentence(lambda reader=reader, path=path: told(reader(path)), path, "is UTF-16")
                path.write_bytes(good)


# ---------------------------------------------------------------- a whole file of another format


def matlab_4(values: np.ndarray, name: str, order="<") -> bytes:
    """MATLAB 4's only kind of variable: five numbers, the name, a table of doubles by columns."""
    kind = 0 if order == "<" else 1000
    head = struct.pack(f"{order}5i", kind, *values.shape, 0, len(name) + 1) + name.encode() + b"\0"
    return head + np.asarray(values, f"{order}f8").tobytes(order="F")


def xlsx() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as z:
        z.writestr("[Content_Types].xml", "<Types/>")
        z.writestr("xl/workbook.xml", "<workbook/>")
    return file.getvalue()


def zipped(name) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as z:
        z.writestr(name, "1 2 3\n")
    return file.getvalue()


def big_endian(folder) -> bytes:
    """A MATLAB 5 head as a SPARC or a PowerPC wrote it."""
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI" + struct.pack(">II", 14, 0)


MATLAB = {
    "7.3": (b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(124) + b"\x00\x02IM" + bytes(384) + b"\x89HDF\r\n\x1a\n",
            "is a MATLAB 7.3 file"),
    "7.3 with another first line": (b"my own words".ljust(124) + b"\x00\x02IM" + bytes(384) + b"\x89HDF\r\n\x1a\n", "is a MATLAB 7.3 file"),
    "Octave's HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 file"),
    "4": (matlab_4(np.ones((20, 3)), "d_skel"), "is a MATLAB 4 file"),
    "4, big-endian": (matlab_4(np.ones((20, 3)), "d_skel", ">"), "is a MATLAB 4 file"),
    "5, big-endian": (big_endian(None), "big-endian"),
    "Octave text": (b"# Created by Octave 8.4.0, Mon Jan 06 10:00:00 2025 UTC <ann@home>\n# name: d_skel\n# type: matrix\n# ndims: 3\n",
                    "Octave's own text format"),
    "Octave text without its first line": (b"# name: SW\n# type: matrix\n", "Octave's own text format"),
    "Octave binary": (b"Octave-1-L\0" + bytes(50), "Octave's own binary format"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MATLAB)
def test_other_matlab_files_are_named_with_the_line_that_helps(kind, tmp_path):
    data, words = MATLAB[kind]
    for name, reader in (("a10_s1_t1_skeleton.mat", read_utd), ("ann_video3.mat", read_sysu)):
        (tmp_path / name).write_bytes(data)
        said = sentence(lambda reader=reader, name=name: reader(tmp_path / name), tmp_path / name, words, "save -v7")
        assert "cut off" not in said and "download" not in said


def test_what_a_matlab_file_holds_instead_is_said(tmp_path):
    from scipy.io import savemat

    path = tmp_path / "a10_s1_t1_skeleton.mat"
    for found, words in [
        ({"SW": np.ones((20, 3, 5))}, "has no variable 'd_skel'; it holds SW (20 x 3 x 5)"),
        ({"d_skel": {"xyz": np.ones((20, 3, 5))}}, "'d_skel' is a struct, expected an array of numbers"),
        ({"d_skel": np.array([np.ones(3), np.ones(4)], dtype=object)}, "'d_skel' is a cell array"),
        ({"d_skel": "twenty joints"}, "'d_skel' is a text"),
        ({"d_skel": np.ones((20, 3, 5)) * 1j}, "'d_skel' is complex numbers"),
        ({"d_skel": np.ones((5, 20, 3))}, "holds d_skel of shape (5, 20, 3), expected 20 x 3 x T"),
    ]:
        savemat(path, found)
        said = sentence(lambda: read_utd(path), path, words)
        assert "cut off" not in said and "download" not in said
    good = write_utd(Clip("a1_s1_t1", np.ones((4, 1, 20, 3), np.float32), UTD20), tmp_path)
    good.write_bytes(good.read_bytes()[:200])
    sentence(lambda: read_utd(good), "was probably cut off while copying")  # truly cut off: still said


OTHERS = {
    "an Excel workbook": (xlsx(), "is an Excel workbook; save the sheet as 'CSV UTF-8'"),
    "an old Excel workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "is an Excel workbook"),
    "a zip": (zipped("S001C001P001R001A001.skeleton"), "is a zip archive; unpack it"),
    "gzip": (b"\x1f\x8b\x08\0" + bytes(40), "is compressed with gzip"),
    "a web page": (b"\r\n<!DOCTYPE HTML PUBLIC>\n<html><title>Sign in</title></html>", "is a web page"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n", "is a pointer of Git LFS"),
    "MATLAB": (b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + bytes(100), "is a MATLAB file"),
    "MATLAB 7.3": MATLAB["7.3"],
    "a pickle": (pickle.dumps([1, 2], 4), "is a pickle"),
}
TEXT_READERS = {
    "S001C001P001R001A001.skeleton": read_ntu, "a01_s01_e00_v01.json": read_nwucla, "s01s02_05_001.txt": read_sbu,
    "a01_s01_e01_skeleton3D.txt": read_msr, "cross-subject.txt": read_pku_split, "a.bvh": read_bvh, "a.asf": read_asf,
    "t.csv": partial(read_csv, layout=NTU25),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
def test_every_text_reader_names_another_format(kind, tmp_path):
    data, words = OTHERS[kind]
    for name, reader in TEXT_READERS.items():
        (tmp_path / name).write_bytes(data)
        said = sentence(lambda reader=reader, name=name: told(reader(tmp_path / name)), tmp_path / name, words)
        assert "download it again" not in said and "cut off" not in said
    (tmp_path / "b.amc").write_bytes(data)
    asf = importlib.import_module("test_mocap").asf_text()
    (tmp_path / "b.asf").write_text(asf, encoding="latin-1")
    sentence(lambda: read_amc(tmp_path / "b.amc"), tmp_path / "b.amc", words)


@pytest.mark.parametrize("kind", OTHERS)
def test_readers_of_pickles_and_arrays_name_another_format(kind, tmp_path):
    data, words = OTHERS[kind]
    readers = {"x.pkl": (read_pyskl, pyskl_splits), "x.npz": (read_ctrgcn, partial(read_npz, layout=NTU25)), "x_data.npy": (_read_npy,)}
    own = {"a pickle": ["x.pkl"], "a zip": ["x.npz"]}.get(kind, [])
    for name in readers.keys() - set(own):
        (tmp_path / name).write_bytes(data)
        for reader in readers[name]:
            sentence(lambda reader=reader, name=name: list(reader(tmp_path / name)), tmp_path / name, words)


def _read_npy(path):
    labels = path.with_name("x_label.pkl")
    labels.write_bytes(pickle.dumps((["a"], [0]), 4))
    return read_npy(path)


def test_good_files_are_never_called_foreign(tmp_path):
    for module in MODULES:
        (tmp_path / module).mkdir()
        for path, _ in importlib.import_module(module).fuzz_seeds(tmp_path / module):
            if path.suffix not in (".mat", ".pkl", ".npz", ".npy"):
                assert foreign(path.read_bytes()) is None, path
    assert foreign(bytes(4000)) is None and foreign(b"20 3\n1 2 3\n") is None


def test_real_files_are_never_called_foreign(data_root):
    files = [p for k in ("ntu_samples", "msr_action3d_samples", "hdm05_samples", "bvh_samples") for p in (data_root / k).iterdir()]
    files += sorted((data_root / "sbu").rglob("*.txt"))[::40] + sorted((data_root / "nw_ucla").rglob("*.json"))[::200]
    assert len(files) > 20 and not [(p, what) for p in files if p.is_file() and (what := foreign(p.read_bytes()[:4000]))]
