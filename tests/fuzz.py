"""Seeded damage for files, and a cage to read them in.

`mutations(data, seed)` damages a good file in ways that fit its format: bytes, numbers, lines and encodings for every file, and lies in the
structure of json, zip, npy, pickle and MATLAB files. `fuzz(job)` reads each damaged file in a child process of limited memory and time, and
returns what broke the promise of a reader: a clip that passes `Clip.check()`, or one sentence that names the file.
"""

import faulthandler
import io
import itertools
import json
import mmap
import os
import pickle
import pickletools
import random
import re
import resource
import shutil
import signal
import struct
import sys
import time
import traceback
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import numpy as np

from c2vl_kit.core import InputError
from c2vl_kit.skeleton import Clip

# ---------------------------------------------------------------- damage that fits any file

NUMBERS = tuple(
    "0 -1 1 2 1000 1000000 1000000000 1000000000000 1000000000000000000 4294967295 4294967296 2147483648 -9223372036854775808".split()
)
WORDS = tuple(
    "nan NaN -nan NAN inf -inf Infinity 1e999 -1e999 1e39 1e-999 1_0 0x10 ٣ ² 1e 1.2.3 --1 +1 True None null x é "
    "1,5 1;5 0.0 -0.0 1e18 99.99 100 3.4e38".split()
)
NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def _spot(r: random.Random, data: bytes, longest: int = 200) -> tuple[int, int]:
    """A random span of `data`, now and then a long one."""
    at = r.randrange(len(data) + 1)
    return at, min(len(data), at + r.choice((1, 1, 2, 4, 8, r.randrange(1, longest), r.randrange(1, len(data) + 2))))


def truncate(r, data):
    return data[: r.randrange(len(data))]


def behead(r, data):
    return data[r.randrange(1, len(data) + 1) :]


def flip_bits(r, data):
    b = bytearray(data)
    for _ in range(r.choice((1, 1, 1, 2, 5, 40))):
        b[r.randrange(len(b))] ^= 1 << r.randrange(8)
    return bytes(b)


def set_bytes(r, data):
    b = bytearray(data)
    for _ in range(r.choice((1, 1, 1, 2, 5, 40))):
        b[r.randrange(len(b))] = r.choice((0, 255, 127, 128, 10, 32, r.randrange(256)))
    return bytes(b)


def delete_span(r, data):
    a, b = _spot(r, data)
    return data[:a] + data[b:]


def double_span(r, data):
    a, b = _spot(r, data)
    return data[:b] + data[a:b] * r.choice((1, 1, 2, 9)) + data[b:]


def move_span(r, data):
    (a, b), at = _spot(r, data), r.randrange(len(data) + 1)
    rest = data[:a] + data[b:]
    return rest[:at] + data[a:b] + rest[at:]


def insert_bytes(r, data):
    a = r.randrange(len(data) + 1)
    return data[:a] + r.randbytes(r.choice((1, 1, 2, 4, 8, 100))) + data[a:]


def overwrite_span(r, data):
    a, b = _spot(r, data)
    return data[:a] + r.choice((b"\0", b"\xff", b" ", b"9", b"\n", b"-")) * (b - a) + data[b:]


def append_tail(r, data):
    return data + r.choice((b"\0", b"\n", b"0\n", b"\n\n\n", b"garbage", b" ", b"\x1a", data, data[: len(data) // 2], r.randbytes(50)))


def odd_floats(r, data):
    """Numbers of a binary file become NaN, infinite or far too large."""
    b, kind = bytearray(data), r.choice(("<f8", "<f4", ">f8"))
    size = int(kind[-1])
    for _ in range(r.choice((1, 4, 60))):
        at = size * r.randrange(max(1, len(b) // size))
        b[at : at + size] = np.array(r.choice((np.nan, -np.nan, np.inf, -np.inf, 3e38, 1e-40))).astype(kind).tobytes()
    return bytes(b[: len(data)])


BYTES = (
    truncate, truncate, behead, flip_bits, flip_bits, set_bytes, delete_span, double_span, move_span, insert_bytes, overwrite_span,
    append_tail,
)

# ---------------------------------------------------------------- damage for text


def _replace_numbers(r, data, by, most=1):
    """Up to `most` numbers of the text replaced by what `by()` gives."""
    found = list(NUMBER.finditer(data))
    for m in sorted(r.sample(found, min(len(found), most)), key=lambda m: -m.start()):
        data = data[: m.start()] + by().encode() + data[m.end() :]
    return data


def huge_number(r, data):
    return _replace_numbers(r, data, lambda: r.choice(NUMBERS), r.choice((1, 1, 1, 3)))


def odd_number(r, data):
    return _replace_numbers(r, data, lambda: r.choice(WORDS), r.choice((1, 1, 1, 4, 30)))


def early_number(r, data):
    """Counts stand at the beginning: one of the first numbers changes."""
    found = list(itertools.islice(NUMBER.finditer(data), 12))
    if not found:
        return set_bytes(r, data)
    m = r.choice(found)
    new = r.choice((*NUMBERS, *WORDS, str(r.randrange(40)), "9" * 5000, "1" * 40))
    return data[: m.start()] + new.encode() + data[m.end() :]


def nudge_number(r, data):
    """A whole number one more or one less, as a slipping hand would write it."""
    found = [m for m in NUMBER.finditer(data) if m[0].isdigit() and len(m[0]) < 10]
    if not found:
        return set_bytes(r, data)
    m = r.choice(found[:12] if r.random() < 0.5 else found)
    return data[: m.start()] + str(int(m[0]) + r.choice((-1, 1))).encode() + data[m.end() :]


def _line_work(r, data):
    lines = data.splitlines(True)
    i, j = r.randrange(len(lines)), r.randrange(len(lines))
    return lines, i, j


def swap_lines(r, data):
    lines, i, j = _line_work(r, data)
    lines[i], lines[j] = lines[j], lines[i]
    return b"".join(lines)


def drop_lines(r, data):
    lines, i, _ = _line_work(r, data)
    del lines[i : i + r.choice((1, 1, 2, 20, 25))]
    return b"".join(lines)


def double_lines(r, data):
    lines, i, _ = _line_work(r, data)
    n = r.choice((1, 1, 2, 20, 25))
    return b"".join(lines[: i + n] + lines[i : i + n] + lines[i + n :])


def blank_line(r, data):
    lines, i, _ = _line_work(r, data)
    return b"".join(lines[:i] + [r.choice((b"\n", b" \n", b"#\n", b"\t\n", b"\x0c\n", b"0\n"))] + lines[i:])


def cut_columns(r, data):
    """One line loses or gains values."""
    lines, i, _ = _line_work(r, data)
    for mark in (b",", b" ", b"\t"):
        if mark in lines[i].strip():
            cells = lines[i].split(mark)
            j = r.randrange(len(cells))
            cells[j : j + 1] = r.choice(([], [], [cells[j]] * 2, [cells[j]] * 5000, [b""]))
            lines[i] = mark.join(cells)
            break
    return b"".join(lines)


def other_delimiters(r, data):
    old, new = r.choice(
        ((b",", b";"), (b",", b"\t"), (b" ", b","), (b" ", b"\t"), (b"\n", b""), (b"\n", b" "), (b".", b","), (b"-", b""), (b'"', b"'"))
    )
    return data.replace(old, new, r.choice((1, -1)))


def other_encoding(r, data):
    text = data.decode("utf-8", "replace")
    kind = r.randrange(8)
    if kind < 4:
        return text.encode(("utf-16", "utf-16-le", "utf-32", "utf-8-sig")[kind], "replace")
    if kind == 4:  # a letter of latin-1 somewhere
        at = r.randrange(len(data) + 1)
        return data[:at] + r.choice((b"\xe9", b"\xdf\xfc", b"\xa0", b"\x85", b"\xc3\x28", b"\xed\xa0\x80")) + data[at:]
    if kind == 5:
        at = r.randrange(len(data) + 1)
        return data[:at] + r.choice(("\u2028", "\u2029", "\x85", "\x0b", "\x1c", "\ufeff", "\u200b", "\u202e")).encode() + data[at:]
    if kind == 6:
        at = r.randrange(len(data) + 1)
        return data[:at] + b"\0" * r.choice((1, 4, 1000)) + data[at:]
    return b"\xef\xbb\xbf" * r.choice((1, 2)) + data


def other_line_ends(r, data):
    return data.replace(b"\n", r.choice((b"\r\n", b"\r", b"\n\n", b"\r\r\n", b"\n\r", b"\x0b", b"\xe2\x80\xa8")))


def long_line(r, data):
    lines, i, _ = _line_work(r, data)
    lines[i] = r.choice((b"1 ", b"1,", b"(", b'"', b"1", b"a", b"{", b"-", b".")) * r.choice((1000, 200_000)) + lines[i]
    return b"".join(lines)


def quote(r, data):
    at = r.randrange(len(data) + 1)
    return (
        data[:at]
        + r.choice((b'"', b"'", b'""', b'"\n"', b"#", b"//", b"{", b"}", b"[", b"]", b"(", b")", b":", b"\\", b"%s", b"{0}"))
        + data[at:]
    )


def swap_words(r, data):
    """Words (names, keywords) trade places or change case."""
    found = list(re.finditer(rb"[A-Za-z_]{2,}", data))
    if not found:
        return set_bytes(r, data)
    m, other = r.choice(found), r.choice(found)
    new = r.choice((other[0], m[0].upper(), m[0].lower(), m[0][:-1], m[0] * 2, b"", b"__class__", b"x" * 3000))
    return data[: m.start()] + new + data[m.end() :]


TEXT = (
    *(huge_number, huge_number, odd_number, odd_number, early_number, early_number, nudge_number, swap_lines, drop_lines, double_lines),
    *(blank_line, cut_columns, other_delimiters, other_encoding, other_encoding, other_line_ends, long_line, quote, swap_words),
)

# ---------------------------------------------------------------- damage for json


def _places(value, where=()) -> Iterator[tuple]:
    """The path to every value inside nested lists and dictionaries."""
    yield where
    if isinstance(value, (dict, list)):
        for k, v in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(v, (*where, k))


def _at(value, where):
    for k in where:
        value = value[k]
    return value


ODD_VALUES = (
    *(
        None, True, False, "", "1", "x", "nan", "\ud800", "a\nb", "\0", [], {}, [[]], [[[]]], [None], {"a": 1}, -1, 0, 1.5, 10**18,
        -(10**18),
    ),
    *(10**400, float("nan"), float("inf"), -float("inf"), 1e39, 1e308, 2**63, "a" * 5000, [1, 2], [1, 2, 3], [[1, 2, 3]], ["a", "b", "c"]),
)


def json_value(r, data):
    """Another value, of another type, somewhere in the tree."""
    tree = json.loads(data)
    places = list(_places(tree))[1:]
    shallow = [p for p in places if len(p) < 3]
    where = r.choice(shallow if r.random() < 0.5 else places)
    _at(tree, where[:-1])[where[-1]] = r.choice(ODD_VALUES)
    return json.dumps(tree).encode()


def json_drop(r, data):
    tree = json.loads(data)
    where = r.choice(list(_places(tree))[1:])
    holder = _at(tree, where[:-1])
    if isinstance(holder, list) and r.random() < 0.5:
        holder.insert(where[-1], holder[r.randrange(len(holder))])
    else:
        del holder[where[-1]]
    return json.dumps(tree).encode()


def json_text(r, data):
    """Texts that json's readers are known to trip over."""
    key = r.choice([k for k in json.loads(data)] or ["x"])
    deep = r.choice((500, 2000, 100_000))
    return r.choice(
        (
            b"[" * deep,
            b'{"a":' * deep,
            b"[" * deep + b"]" * deep,
            b'{"%s":' % key.encode() + b"[" * deep + b"]" * deep + b"}",
            data[:-1] + b',"%s":null}' % key.encode(),
            b"[" + data + b"]",
            b'"' + b"a" * 100_000,
            b"null",
            b"true",
            b"0",
            b"-",
            b'""',
            b"[]",
            b"{}",
            b"NaN",
            b"1" * 100_000,
            b'{"%s":' % key.encode() + b"1" * 10_000 + b"}",
            data.replace(b":", b":-", 1),
            data + data,
            b'"\\ud800"',
        )
    )


# ---------------------------------------------------------------- damage for compressed data


BOMBS = (3, 3, 10, 10, 10, 30, 30, 100, 300, 1000)  # megabytes of zeros, a thousandth of it as a file


@cache
def zeros_deflated(megabytes: int, wrapped: bool) -> bytes:
    """A deflate stream that unpacks to so many megabytes of zeros; made from one block, repeated."""
    c = zlib.compressobj(9, zlib.DEFLATED, 15 if wrapped else -15)
    block = c.compress(bytes(1 << 20)) + c.flush(zlib.Z_FULL_FLUSH)
    again = c.compress(bytes(1 << 20)) + c.flush(zlib.Z_FULL_FLUSH)
    return block + again * (megabytes - 1) + b"\x03\x00" + (b"\0\0\0\0" if wrapped else b"")


def _unpack(data: bytes) -> bytes:
    """The first megabyte: damage to a bomb must not set it off here."""
    return zlib.decompressobj().decompress(data, 1 << 20)


def _mat_parts(data: bytes) -> list[tuple[int, int, bytes]]:
    """(offset of the tag, type, content) of the elements of a MATLAB 5 file, as far as they fit."""
    at, found = 128, []
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if at + 8 + size > len(data):
            break
        found.append((at, kind, data[at + 8 : at + 8 + size]))
        at += 8 + size + ((-size) % 8 if kind != 15 else 0)
    return found


def mat_inside(r, data):
    """The variable inside is damaged and packed again, with a right checksum; a compressed file may become a plain one."""
    parts = [p for p in _mat_parts(data) if p[1] == 15]
    if not parts:
        return mat_tags(r, data)
    at, _, packed = r.choice(parts)
    inner = _unpack(packed)
    kind = r.choice(MAT_INSIDE)
    b = kind(r, inner)
    if r.random() < 0.2:
        return data[:at] + b, kind.__name__
    again = zlib.compress(b)
    return data[:at] + struct.pack("<II", 15, len(again)) + again + data[at + 8 + len(packed) :], kind.__name__


def mat_tags(r, data):
    """Types, sizes and dimensions lie: some 32-bit word near the beginning of the variable is another one."""
    b = bytearray(data)
    start = 128 if len(b) > 128 and b[124:128] == b"\x00\x01IM" else 0
    for _ in range(r.choice((1, 1, 2))):
        at = start + 4 * r.randrange(max(1, min(24, (len(b) - start) // 4)))
        new = r.choice(
            (0, 1, 3, 5, 6, 7, 9, 14, 15, 20, 60, 2**16, 2**31 - 1, 2**31, 2**32 - 1, r.randrange(2**32), 0x40001, len(b), len(b) * 2)
        )
        b[at : at + 4] = struct.pack("<I", new)
    return bytes(b)


MAT_INSIDE = (mat_tags, mat_tags, odd_floats, odd_floats, *BYTES)


def mat_bomb(r, data):
    """A compressed element that unpacks to hundreds of megabytes, alone or before the rest."""
    bomb = zeros_deflated(r.choice(BOMBS), True)
    part = struct.pack("<II", 15, len(bomb)) + bomb
    return data[:128] + r.choice((part, part + data[128:], data[128:] + part))


def mat_many(r, data):
    """Thousands of elements, empty or copies; elements within elements."""
    parts = _mat_parts(data)
    body = data[128:]
    kind = r.randrange(4)
    if kind == 0:
        return data[:128] + body * r.choice((2, 50))
    if kind == 1:
        return data[:128] + struct.pack("<II", r.choice((1, 9, 14)), 0) * 20_000 + body
    if kind == 2 and parts:
        inner = _unpack(parts[0][2]) if parts[0][1] == 15 else struct.pack("<II", parts[0][1], len(parts[0][2])) + parts[0][2]
        for _ in range(r.choice((1, 300))):
            inner = struct.pack("<II", 14, len(inner)) + inner
        packed = zlib.compress(inner)
        return data[:128] + struct.pack("<II", 15, len(packed)) + packed
    packed = zlib.compress(body)
    return data[:128] + struct.pack("<II", 15, len(packed)) + packed


# ---------------------------------------------------------------- damage for numpy files

SHAPES = (
    *(
        "()", "(0,)", "(-1,)", "(1,)", "(10**12,)", "(1000000000000,)", "(4294967296, 4294967296)", "(9223372036854775807, 2)",
        "(1, 1, 1, 1, 1)",
    ),
    *(
        "(True, 3)", "('a',)", "(None,)", "(1.5,)", "[2, 3]", "3", "(" * 400 + ")" * 400, "(" + "1," * 70 + ")", "(2, -3)",
        "(100000, 0)", "(0, 3, 25)",
    ),
    *("(99999999999999999999999,)", "(1000, 1000, 1000)", "(1 << 40,)", "(-1, -1)"),
)
DTYPES = (
    *(
        "'|O'", "'<f2'", "'<f4'", "'<f8'", "'>f8'", "'<f16'", "'<c16'", "'|b1'", "'<i8'", "'<u8'", "'|S5'", "'|S1000000000'", "'<U3'",
        "'<U250000000'",
    ),
    *(
        "'|V8'", "'|V2000000000'", "'<M8[s]'", "[('a', '<f4')]", "[('a', '|O')]", "('<f4', (1000000000,))", "'O'", "'x'", "''", "None",
        "1", "'<f4,<f4'",
    ),
    *("[('a', '<f4', (2, 3))]", "{'names': ['a'], 'formats': ['<f4'], 'offsets': [1000000]}", "[" * 300 + "]" * 300),
)


def _npy_header(data: bytes) -> tuple[dict, int]:
    """(header, where the numbers begin) of a small npy file."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return dict(descr=repr(np.lib.format.dtype_to_descr(dtype)), fortran_order=repr(fortran), shape=repr(shape)), file.tell()


def _npy(header: str, body: bytes, version: bytes = b"\x01\x00", length: int | None = None) -> bytes:
    text = header.encode() + b"\n"
    size = struct.pack(
        "<H" if version[0] == 1 else "<I", (len(text) if length is None else length) % (2 ** (16 if version[0] == 1 else 32))
    )
    return b"\x93NUMPY" + version + size + text + body


def npy_lies(r, data):
    """A header that says something else than the bytes behind it."""
    try:
        header, start = _npy_header(data)
    except Exception:  # this file's header is not to be had: damage its bytes
        return flip_bits(r, data)
    body, version, length = data[start:], b"\x01\x00", None
    kind = r.randrange(9)
    if kind < 3:
        header["shape"] = r.choice(SHAPES)
    elif kind < 6:
        header["descr"] = r.choice(DTYPES)
    elif kind == 6:
        header[r.choice(("fortran_order", "fortran_order", "descr", "shape"))] = r.choice(("True", "1", "'yes'", "None"))
    elif kind == 7:
        length, version = r.choice((0, 1, 65535, 2**31 - 1, 2**32 - 1)), r.choice((b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"))
    text = "{" + ", ".join(f"'{k}': {v}" for k, v in header.items()) + ", }"
    if kind == 8:
        text = r.choice(
            (
                text[:-1],
                "[]",
                "1",
                "{}",
                "__import__('os')",
                text.replace("'shape'", "'size'"),
                "{" * 5000,
                "(" * 100_000,
                text + " " * 60_000,
            )
        )
    if len(text) > 60_000:
        version = b"\x02\x00"
    return _npy(text, body, version, length)


def npy_values(r, data):
    """The numbers themselves: NaN, infinities, huge ones, text."""
    try:
        x = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception:
        return flip_bits(r, data)
    kind = r.randrange(6)
    if kind == 0 and x.dtype.kind == "f" and x.size:
        x.reshape(-1)[[r.randrange(x.size) for _ in range(r.choice((1, 10, 1000)))]] = r.choice((np.nan, np.inf, -np.inf, 1e300, 100, 0))
    elif kind == 1:
        x = np.full_like(x, r.choice((0, 1, 99)))
    elif kind == 2:
        x = x.astype(r.choice(("U5", "S3", "c8", "f2", "i1", "?", "M8[s]", "V2")) if x.dtype.kind in "fiub" else x.dtype)
    elif kind == 3:
        x = x.reshape(r.choice((-1, (1, -1), (-1, 1), (1, *x.shape), (*x.shape, 1))))
    elif kind == 4:
        x = x[r.choice((slice(0), slice(1), slice(None, None, -1), slice(1, None)))] if x.ndim else x
    else:
        x = x.T if r.random() < 0.5 else np.asfortranarray(x)
    out = io.BytesIO()
    np.save(out, x, allow_pickle=False)
    return out.getvalue()


def npy_object(r, data):
    """An array of objects: numpy would unpickle it."""
    return _npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", r.choice(hostile_pickles()))


# ---------------------------------------------------------------- damage for zip archives


def _members(data: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        return [(i.filename, z.open(i).read(1 << 20)) for i in z.infolist()[:20]]


def _zip(members: Iterable[tuple[str | zipfile.ZipInfo, bytes]], packed: bool = True) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as z:
        for name, content in members:
            z.writestr(name, content)
    return out.getvalue()


def zip_inside(r, data):
    """One member is damaged and packed again with a right checksum."""
    members = _members(data)
    i = r.randrange(len(members))
    name, content = members[i]
    kind = r.choice(damage_for(content)) if content else insert_bytes
    members[i] = name, kind(r, content)
    return _zip(members, r.random() < 0.5), kind.__name__


ODD_NAMES = (
    *(
        "../x.npy", "../../../../tmp/fuzz-escape.npy", "/tmp/fuzz-escape.npy", "C:\\x.npy", "..\\x.npy", "x/../../y.npy", "", ".npy",
        "a" * 300 + ".npy",
    ),
    *("é.npy", "\n.npy", "x\x01y.npy", "con.npy", "x.npy/", "./x.npy", "file", "__class__.npy", "x.pkl", "<b>.npy", "%s.npy"),
)


def zip_names(r, data):
    """Members renamed, doubled, missing, absolute, upward, or linked."""
    members = _members(data)
    i = r.randrange(len(members))
    name, content = members[i]
    kind = r.randrange(6)
    if kind == 0:
        members[i] = r.choice(ODD_NAMES), content
    elif kind == 1:
        members.insert(
            r.randrange(len(members) + 1), (name, members[r.randrange(len(members))][1])
        )  # a name a second time, with other content
    elif kind == 2:
        del members[i]
    elif kind == 3:
        link = zipfile.ZipInfo(name)
        link.create_system, link.external_attr = 3, 0o120777 << 16
        members[i] = link, b"/etc/passwd"
    elif kind == 4:
        members += [(r.choice(ODD_NAMES) + str(n), b"x") for n in range(r.choice((1, 3)))]
    else:
        j = r.randrange(len(members))
        members[i], members[j] = (name, members[j][1]), (members[j][0], content)
    return _zip(members)


def zip_bomb(r, data):
    """A member of a few kilobytes that unpacks to hundreds of megabytes; honest about it or not; or very many members."""
    members = _members(data)
    i = r.randrange(len(members))
    name, content = members[i]
    kind = r.randrange(4)
    if kind == 0:
        return _zip([*members, *((f"{n}.npy", b"") for n in range(3000))])
    megabytes = r.choice(BOMBS)
    if kind == 1:  # an honest npy of zeros
        n = (megabytes << 20) // 4
        head = _npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({n},), }}", b"")
    else:
        head = content[:128]
    deflated = _stored_prefix(head) + zeros_deflated(megabytes, False)
    size = (len(head) + (megabytes << 20)) if kind < 3 else len(content)  # or a lie
    return _raw_zip(
        [(n, c, None, None) for n, c in members[:i]] + [(name, head, deflated, size)] + [(n, c, None, None) for n, c in members[i + 1 :]]
    )


def _stored_prefix(head: bytes) -> bytes:
    return struct.pack("<BHH", 0, len(head), len(head) ^ 0xFFFF) + head


def _raw_zip(members) -> bytes:
    """A zip archive whose headers say what they are told to: (name, content, deflate stream or None, size or None)."""
    out, central = b"", b""
    for name, content, deflated, size in members:
        method, body = (8, deflated) if deflated is not None else (0, content)
        fields = struct.pack("<HHHHHIII", 20, 0, method, 0, 33, zlib.crc32(content), len(body), min(size or len(content), 2**32 - 2))
        encoded = name.encode()
        central += b"PK\x01\x02\x14\x00" + fields + struct.pack("<HHHHHII", len(encoded), 0, 0, 0, 0, 0, len(out)) + encoded
        out += b"PK\x03\x04" + fields + struct.pack("<HH", len(encoded), 0) + encoded + body
    return out + central + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(central), len(out), 0)


def zip_headers(r, data):
    """Fields of the archive's own headers lie: sizes, offsets, method, flags, counts."""
    b = bytearray(data)
    marks = [m.start() for m in re.finditer(rb"PK(\x03\x04|\x01\x02|\x05\x06)", data)]
    for _ in range(r.choice((1, 1, 2))):
        at = r.choice(marks) + 4 + 2 * r.randrange(20)
        if at + 4 <= len(b):
            b[at : at + 4] = struct.pack(
                "<I", r.choice((0, 1, 8, 9, 12, 14, 93, 99, 2**16 - 1, 2**31 - 1, 2**32 - 1, r.randrange(2**32), len(data)))
            )
    return bytes(b)


# ---------------------------------------------------------------- damage for pickles


class _Reduces:
    def __init__(self, function, *arguments):
        self.how = (function, arguments)

    def __reduce__(self):
        return self.how


@cache
def hostile_pickles() -> tuple[bytes, ...]:
    """Pickles that run code, fill memory, never end, or crash a careless unpickler; none ever runs outside the cage."""
    system = b"cos\nsystem\n(S'echo c2vl-fuzz'\ntR."
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    state = lambda shape, dtype, flag, raw: (
        array + b"(I1\n(" + shape + b"tcnumpy\ndtype\n(S'" + dtype + b"'\nI00\nI01\ntR" + flag + raw + b"tb."
    )
    nest = lambda n: b"\x80\x04" + b"]" * n + b"a" * (n - 1) + b"."
    ladder = b"\x80\x02]q\x00" + b"".join(b"]q%c(" % n + b"h%c" % (n - 1) * 10 + b"e" for n in range(1, 40)) + b"."
    found = (
        system,
        b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x93\x94\x8c\x04echo\x94\x85\x94R\x94.",
        b"(S'echo c2vl-fuzz'\nios\nsystem\n.",
        b"(cos\nsystem\nS'echo'\no.",
        b"cbuiltins\neval\n(S'1+1'\ntR.",
        b"c__builtin__\nexec\n(S'x=1'\ntR.",
        b"cbuiltins\ngetattr\n(cbuiltins\nlist\nS'__class__'\ntR.",
        b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93\x8c\x011\x85R.",
        b"cnumpy\nload\n(S'/etc/passwd'\ntR.",
        b"cnumpy\nfromfile\n(S'/etc/passwd'\ntR.",
        b"cnumpy.testing._private.utils\nrunstring\n(S'x=1'\n}tR.",
        b"cnumpy\nsave\n(S'/tmp/fuzz-escape.npy'\nI1\ntR.",
        b"cnumpy.core.multiarray\nos.system\n(S'echo'\ntR.",
        b"\x80\x04\x8c\x05numpy\x8c\x0actypeslib.os.system\x93\x8c\x04echo\x85R.",
        b"cposix\nsystem\n(S'echo'\ntR.",
        b"cnumpy\nndarray.tofile\n.",
        b"Pid\n.",
        b"\x80\x02K\x01Q.",
        b"\x82\x01.",
        b"\x83\x01\x00.",
        b"\x84\x01\x00\x00\x00.",
        b"cnumpy\nndarray\n(I100000000\ntR.",
        b"cnumpy\nndarray\n((I100000\nI100000\nI100000\ntS'f8'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1000000000\ntS'd'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cbuiltins\nobject\n(I0\ntS'b'\ntR.",
        state(b"I1000000000000\n", b"f8", b"I00\n", b"S'ab'\n"),
        state(b"I-1\n", b"f8", b"I00\n", b"S'ab'\n"),
        state(b"I2\n", b"O8", b"I00\n", b"(l(lS'x'\na"),
        state(b"I2\n", b"O8", b"I00\n", b"S'0123456789abcdef'\n"),
        state(b"I1\nI1\nI1\nI1\n" * 20, b"f8", b"I00\n", b"S'01234567'\n"),
        state(b"I1\n", b"f8", b"S'x'\n", b"S'01234567'\n"),
        state(b"I0\n", b"V0", b"I00\n", b"S''\n"),
        state(b"I1\n", b"f8", b"I01\n", b"N"),
        state(b"I1\n", b"O8", b"I00\n", b"N"),
        state(b"I1\n", b"S2147483647", b"I00\n", b"S'x'\n"),
        array + b"Nb.",
        array + b"(I1\ntb.",
        array + b".",
        b"cnumpy\ndtype\n(S'O8'\nI00\nI01\ntR(I3\nS'|'\nNNNI-1\nI-1\nI63\ntb.",
        b"cnumpy\ndtype\n(S'V8'\nI00\nI01\ntR(I3\nS'|'\nN(S'a'\nt(dS'a'\n(cnumpy\ndtype\n(S'O8'\ntRI1000000\ntsI8\nI1\nI16\ntb.",
        b"cnumpy\ndtype\n(S'f8'\nI00\nI01\ntR(I9\nS'<'\nNNNI-1\nI-1\nI0\ntb.",
        b"cnumpy\ndtype\n(S'V4'\nI00\nI01\ntR(I3\nS'|'\n(cnumpy\ndtype\n(S'f4'\ntR(I1000000000\ntt NNI4000000000\nI1\nI0\ntb.",
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f8'\nI00\nI01\ntRS'ab'\ntR.",
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'O8'\nI00\nI01\ntRS'01234567'\ntR.",
        nest(200),
        nest(5000),
        nest(200_000),
        b"\x80\x04" + b"(" * 100_000 + b"t" * 100_000 + b".",
        b"\x80\x02" + b"}" * 3000 + b".",
        b"\x80\x02N" + b"\x85" * 100_000 + b".",
        b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",
        b"\x80\x04\x8e" + struct.pack("<Q", 2**63 - 1) + b"x.",
        b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"x.",
        b"\x80\x03B\xff\xff\xff\xffx.",
        b"\x80\x02X\xff\xff\xff\x7fx.",
        b"\x80\x05\x96" + struct.pack("<Q", 2**41) + b"x.",
        b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N.",
        b"\x80\x02\x8b\xff\xff\xff\x7fx.",
        b"\x80\x02\x8b\xff\xff\xff\xffx.",
        b"L" + b"9" * 100_000 + b"L\n.",
        b"I" + b"9" * 100_000 + b"\n.",
        b"\x80\x02Nr\xff\xff\xff\x7f.",
        b"\x80\x02Nr\xff\xff\xff\x0f.",
        b"\x80\x02Nr\xff\xff\xff\x03.",
        b"Np99999999999\n.",
        b"Np200000000\n.",
        b"Np-1\n.",
        b"\x80\x02j\xff\xff\xff\x7f.",
        ladder,
        b"\x80\x02]q\x00h\x00a.",
        b"\x80\x02}q\x00h\x00h\x00s.",
        b"\x80\x02(lp0\nh\x00a(h\x00t.",
        b"\x80\xff.",
        b"\x80\x04.",
        b".",
        b"0.",
        b"a.",
        b"\x80\x02K\x01b.",
        b"\x80\x02K\x01R.",
        b"\x80\x02]K\x01K\x02s.",
        b"\x80\x05\x97.",
        b"\x80\x05N\x98.",
        b"S'unended",
        b"S'\\ud800'\n.",
        b"V\\ud800\n.",
        b"\x80\x02X\x02\x00\x00\x00\xc3\x28.",
        b"\x80\x02U\x01\xff.",
        pickle.dumps(None),
        pickle.dumps([]),
        pickle.dumps({}),
        pickle.dumps([None] * 5),
        pickle.dumps({"split": None, "annotations": None}),
        pickle.dumps({"split": {}, "annotations": [[]]}),
        pickle.dumps("x" * 1000),
        pickle.dumps(10**4000),
        pickle.dumps(np.zeros(3)),
        pickle.dumps(np.array([None, "a"], object)),
        pickle.dumps(np.float32(3)),
        pickle.dumps([np.zeros((0, 0, 0, 0))] * 3),
        pickle.dumps(_Reduces(dict, [("a", 1)])),
        pickle.dumps(_Reduces(print, "c2vl-fuzz")),
        pickle.dumps(_Reduces(bytearray, 10**9)),
        pickle.dumps(_Reduces(range, 10**15)),
        pickle.dumps(_Reduces(complex, 1, 2)),
        pickle.dumps(_Reduces(os.listdir, "/")),
        pickle.dumps(_Reduces(np.ones, (10**5, 10**5))),
        pickle.dumps(_Reduces(np.repeat, 1.0, 10**10)),
    )
    return found + tuple(p.replace(b"numpy.core", b"numpy._core") for p in found if b"numpy.core" in p)  # as numpy 2 calls it


def pickle_hostile(r, data):
    """A hostile pickle alone, or its opcodes put into the good one."""
    evil = r.choice(hostile_pickles())
    if r.random() < 0.6:
        return evil
    spots = [at for _, _, at in pickletools.genops(data)]
    at = r.choice(spots)
    body = evil.removesuffix(b".")
    return data[:at] + (body[2:] if body[:1] == b"\x80" else body) + (b"" if r.random() < 0.5 else b"0") + data[at:]


def pickle_opcodes(r, data):
    """Opcodes dropped, doubled, swapped or replaced: still nearly a pickle."""
    ops = list(pickletools.genops(data))
    ends = [at for _, _, at in ops] + [len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(ends)]
    for _ in range(r.choice((1, 1, 1, 2, 4))):
        i, j = r.randrange(len(pieces)), r.randrange(len(pieces))
        kind = r.randrange(4)
        if kind == 0:
            pieces[i] = b""
        elif kind == 1:
            pieces[i] *= 2
        elif kind == 2:
            pieces[i], pieces[j] = pieces[j], pieces[i]
        else:
            pieces[i] = r.choice(
                (
                    b"N",
                    b"]",
                    b"}",
                    b")",
                    b"0",
                    b"2",
                    b"(",
                    b"1",
                    b"K\x00",
                    b"J\xff\xff\xff\xff",
                    b"\x88",
                    b"G\x7f\xf8\0\0\0\0\0\0",
                    b"U\x01a",
                    b"t",
                    b"R",
                    b"b",
                    b"e",
                )
            )
    return b"".join(pieces)


def pickle_values(r, data):
    """The objects inside are others: wrong types, keys, shapes."""
    tree = pickle.loads(data)  # the seed itself, which the tests wrote
    places = [p for p in _places(tree) if p]
    if not places:
        return pickle_opcodes(r, data)
    shallow = [p for p in places if len(p) < 5 and not isinstance(p[-1], str) or isinstance(p[-1], str)]
    where = r.choice(shallow or places)
    holder, old = _at(tree, where[:-1]), _at(tree, where)
    kind = r.randrange(5)
    if kind == 0:
        del holder[where[-1]]
    elif kind == 1 and isinstance(old, np.ndarray):
        holder[where[-1]] = r.choice(
            (
                old[:0], old.T, old[None], old.astype("f2"), old.astype("i1"), old.astype("U3"), old.astype(object), old * np.nan,
                old * 1e30, old[..., :1], np.array(1.0), old.tolist(), old[1:], old[:, :, :3],
            )
        )
    elif kind == 2 and isinstance(holder, dict):
        holder[
            r.choice(("", "x", 1, None, (1, 2), "split", "annotations", "keypoint", "frame_dir", "label", "total_frames", b"x", "\ud800"))
        ] = holder.pop(where[-1])
    elif kind == 3 and isinstance(holder, list):
        holder.insert(where[-1], old)
    else:
        holder[where[-1]] = r.choice(
            (*ODD_VALUES, b"x", (1, 2), {1}, 1j, np.float32(1), np.zeros((2, 3)), np.array(["a"]), -5, "../x", "a/b")
        )
    return pickle.dumps(tree, protocol=r.choice((0, 2, 4, 5)))


# ---------------------------------------------------------------- which damage fits

GROUPS = {  # what users' files suffer from, and what an attacker would try
    "cut off": (truncate, behead, delete_span, drop_lines, json_drop, cut_columns),
    "flipped": (flip_bits, set_bytes, overwrite_span, move_span, swap_lines, swap_words),
    "inserted": (insert_bytes, double_span, append_tail, double_lines, blank_line, long_line, quote, json_text, mat_many),
    "huge counts": (huge_number, early_number, json_value, npy_lies, mat_tags, mat_many, zip_headers, pickle_values),
    "NaN": (odd_number, json_value, npy_values, odd_floats, pickle_values),
    "encoding": (other_encoding, other_line_ends, other_delimiters),
    "bombs": (zip_bomb, mat_bomb),
    "path tricks": (zip_names,),
    "hostile code": (pickle_hostile, npy_object),
}
_GROUP_OF = {f.__name__: {g for g, fs in GROUPS.items() if f in fs} for fs in GROUPS.values() for f in fs}


def groups_of(kind: str) -> set[str]:
    """The groups of damage that a mutation's kind belongs to."""
    return set().union(*(_GROUP_OF.get(name, ()) for name in re.split("[+:]", kind)))


def groups_for(data: bytes) -> set[str]:
    """The groups that any file like `data` must be tried with."""
    inner = damage_for(_members(data)[0][1]) if data[:2] == b"PK" else MAT_INSIDE if data[124:128] == b"\x00\x01IM" else ()
    return set().union(*(_GROUP_OF.get(f.__name__, ()) for f in (*damage_for(data), *inner)))


def damage_for(data: bytes) -> tuple[Callable, ...]:
    """The kinds of damage that fit a file that begins like `data`; the more telling ones stand there several times."""
    if data[:4] == b"PK\x03\x04":
        return (*BYTES, *(zip_inside,) * 14, *(zip_names,) * 4, *(zip_headers,) * 6, zip_bomb)
    if data[:6] == b"\x93NUMPY":
        return (*BYTES, *(npy_lies,) * 12, *(npy_values,) * 6, npy_object)
    if data[124:128] == b"\x00\x01IM":
        return (*BYTES, *(mat_inside,) * 14, *(mat_tags,) * 4, mat_many, mat_bomb)
    if data[:1] == b"\x80" and data[-1:] == b".":
        return (*BYTES, *(pickle_hostile,) * 8, *(pickle_opcodes,) * 10, *(pickle_values,) * 14)
    if b"\0" in data[:1000] or not data.isascii() and _latin(data) > 0.3:
        return BYTES
    return (*BYTES, *TEXT, *((json_value,) * 8 + (json_drop,) * 4 + (json_text,) * 4 if data.lstrip()[:1] in (b"{", b"[") else ()))


def _latin(data: bytes) -> float:
    return sum(c > 127 for c in data[:1000]) / len(data[:1000])


@dataclass(frozen=True)
class Mutation:
    """One damaged copy of a file."""

    index: int
    kind: str  # name of the damage, "+"-joined where several were done one after another, "outer:inner" where it was done inside
    data: bytes = field(repr=False)


def mutation(data: bytes, seed: str, index: int) -> Mutation:
    """The damaged copy number `index`: the same on every machine and in every order."""
    r = random.Random(f"{seed}/{index}")
    kinds, made = [], data
    for step in range(1 if r.random() < 0.8 else r.choice((2, 3))):
        if not made:
            break
        kind = r.choice([k for k in damage_for(made) if step == 0 or k is not pickle_values])  # damaged pickles are not loaded here
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of numpy and zipfile about what is done here
                new = kind(r, made)
        except Exception:  # an earlier damage, or a file that only begins like its format: harm the bytes
            kind = flip_bits
            new = kind(r, made)
        made, inner = new if isinstance(new, tuple) else (new, None)
        kinds.append(f"{kind.__name__}:{inner}" if inner else kind.__name__)
    return Mutation(index, "+".join(kinds), made)


# ---------------------------------------------------------------- the cage


GROWN = 77  # exit status of a child that reported too much memory


@dataclass(frozen=True)
class Limits:
    """What one damaged file may cost."""

    seconds: float = 2.0  # processor time of one read
    wall: float = 30.0  # seconds on the clock of one read; for readers that sleep or wait
    memory: int = 64 << 20  # bytes by which the child's peak may grow, and with them
    times: int = 100  # so many times the file's size,
    times_packed: int = 420  # more for compressed ones: 200 times are allowed, and a copy of it,
    most: int = 600 << 20  # and in no case more than this
    clips: int = 100_000  # clips out of one small file

    def room(self, data: bytes) -> int:
        """Bytes of memory that reading `data` may take."""
        return min(self.memory + len(data) * (self.times if clip_is_plain(data) else self.times_packed), self.most)


@dataclass(frozen=True)
class Job:
    """One seed file, its reader, and how often it is damaged."""

    path: Path  # a good file
    reader: Callable  # path -> Clip or iterable of Clip | InputError
    count: int = 2000
    root: Path | None = None  # folder that is copied into the cage, with companions and telling folder names; None: the file's own
    seed: str = "0"
    named: bool = True  # a single clip is called like its file
    law: Callable | None = None  # (original bytes, original clips, Mutation, clips) -> sentence where a clip is silently wrong, or None
    limits: Limits = Limits()

    @property
    def name(self) -> str:
        f = self.reader
        while isinstance(f, partial):
            f = f.func
        return f"{getattr(f, '__name__', f)} of {self.path.name}"


@dataclass(frozen=True)
class Failure:
    """A broken promise."""

    job: str
    seed: str
    mutation: Mutation
    what: str  # what happened
    saved: Path | None = None  # the damaged file

    def __str__(self) -> str:
        return f"{self.job}, seed {self.seed!r}, mutation {self.mutation.index} ({self.mutation.kind}): {self.what}" + (
            f"\n    {self.saved}" if self.saved else ""
        )


def clips_of(result, most: int) -> list:
    """What a reader gave, as a list of clips and errors."""
    if isinstance(result, (Clip, InputError)):
        return [result]
    if isinstance(result, (str, bytes, dict)) or not hasattr(result, "__iter__"):
        raise TypeError(f"the reader returned {type(result).__name__}")
    return list(itertools.islice(result, most + 1))


def bad_sentence(error: InputError, names: Iterable[str]) -> str | None:
    """What is wrong with an error message, if anything."""
    said = str(error)
    if type(error) is not InputError and not isinstance(error, InputError):
        return f"raised {type(error).__name__}"
    if not any(n in said for n in names):
        return f"its message names no file: {said[:200]!r}"
    if not said.isprintable():
        return f"its message has unprintable characters or several lines: {said[:300]!r}"
    if not said.endswith((".", "?")):
        return f"its message is not a sentence: {said[-200:]!r}"
    if len(said) > 1500:
        return f"its message has {len(said)} characters: {said[:200]!r}"
    return None


def bad_clip(clip: Clip, data: bytes) -> str | None:
    """What is wrong with a clip, if anything."""
    try:
        if clip.check() is not clip:
            return "check() returned something else"
    except InputError as e:
        return f"a clip that fails its check: {e}"
    if not (isinstance(clip.name, str) and clip.name and clip.name.isprintable()):
        return f"a clip named {clip.name!r}"
    room = len(data) * (1 if clip_is_plain(data) else 300)  # compressed files hold more than their bytes
    if clip.T > max(room, 1) or clip.joints.size > 64 * room + 1000:
        return f"a clip of {clip.joints.shape} from {len(data)} bytes"
    for key in ("label", "subject", "camera", "setup", "repetition"):
        if (v := getattr(clip, key)) is not None and (isinstance(v, bool) or not isinstance(v, int)):
            return f"{key} is {v!r}"
    if clip.label is not None and not 0 <= clip.label < 10**6:
        return f"label is {clip.label}"
    return None


def clip_is_plain(data: bytes) -> bool:
    """Whether a file can hold no more than its bytes."""
    return data[:2] != b"PK" and data[124:128] != b"\x00\x01IM"


@dataclass
class Tally:
    """What one process saw."""

    kinds: Counter = field(default_factory=Counter)  # mutations by group, and "" all of them
    clips: int = 0  # answered with a clip that passes its check
    refused: int = 0  # answered with nothing but sentences
    slowest: float = 0.0  # seconds of processor time of one read
    grown: int = 0  # bytes by which one read raised the peak of memory

    def add(self, other: "Tally") -> "Tally":
        return Tally(
            self.kinds + other.kinds, self.clips + other.clips, self.refused + other.refused,
            max(self.slowest, other.slowest), max(self.grown, other.grown),
        )


def verdict(
    job: Job, path: Path, m: Mutation, names: tuple[str, ...], original: bytes, first: list, tally: Tally | None = None
) -> str | None:
    """Read one damaged file; what was wrong with the answer, or None."""
    tally = tally or Tally()
    try:
        got = clips_of(job.reader(path), job.limits.clips)
    except InputError as e:
        tally.refused += 1
        return bad_sentence(e, names)
    except MemoryError:
        return "MemoryError: asked for more memory than the limit"
    except BaseException as e:  # SystemExit too
        frame = traceback.extract_tb(e.__traceback__)[-1]
        return f"raised {type(e).__name__}: {str(e)[:200]} ({Path(frame.filename).name}:{frame.lineno})"
    if len(got) > job.limits.clips:
        return f"more than {job.limits.clips} clips from {len(m.data)} bytes"
    clips = [c for c in got if isinstance(c, Clip)]
    tally.clips, tally.refused = tally.clips + bool(clips), tally.refused + (not clips)
    for item in got:
        said = (
            bad_clip(item, m.data)
            if isinstance(item, Clip)
            else bad_sentence(item, names)
            if isinstance(item, InputError)
            else f"gave a {type(item).__name__}"
        )
        if said:
            return said
    if not got:
        return "neither a clip nor an error"
    if len({c.name for c in clips}) < len(clips):
        return "two clips of one name"
    if job.named and len(first) == 1 and first[0].name == path_name(path) and [c.name for c in clips] != [path_name(path)]:
        return f"the clip is named {clips[0].name if clips else None!r}, the file {path.name!r}"
    if job.law and m.data != original:
        return job.law(original, first, m, clips)
    return None


def path_name(path: Path) -> str:
    return path.name.split(".")[0].removesuffix("_skeleton")


FORBIDDEN = (
    "os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess.Popen", "pty.spawn", "socket.", "os.remove", "os.rename",
    "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown", "os.putenv", "shutil.", "ctypes.dlopen",
    "urllib.", "webbrowser.", "os.kill", "tempfile.",
)


class Guard:
    """Notes (and stops) whatever a reader does beyond reading: writing, running, connecting."""

    def __init__(self):
        self.on, self.seen = False, []
        sys.addaudithook(self.hook)

    def hook(self, event, args):
        if not self.on:
            return
        if event == "open":
            path, mode, flags = args
            if not (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC)):
                return
        elif not event.startswith(FORBIDDEN):
            return
        self.seen.append(f"{event} {str(args)[:100]}")
        raise PermissionError(f"the cage forbids {event}")


def _child(job: Job, folder: Path, path: Path, original: bytes, first: list, start: int, now: mmap.mmap, pipe: int) -> None:
    """Read mutations `start`, `start + 1`, …; say what failed through the pipe."""
    limits, guard, sys.dont_write_bytecode = job.limits, Guard(), True
    names = tuple({path.name, *(p.name for p in folder.rglob("*") if p.is_file())})
    size = int(re.search(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())[1]) << 10
    resource.setrlimit(resource.RLIMIT_AS, (size + (1536 << 20),) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (900, 900))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.disable()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    tally = Tally()
    for index in range(start, job.count):
        m = mutation(original, job.seed, index)
        tally.kinds.update({"", *groups_of(m.kind)})
        now[:8] = struct.pack("<q", index)
        path.write_bytes(m.data)
        before, began = peak(), time.process_time()
        signal.setitimer(signal.ITIMER_PROF, limits.seconds)
        signal.setitimer(signal.ITIMER_REAL, limits.wall)
        guard.on = True
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            said = verdict(job, path, m, names, original, first, tally)
        guard.on = False
        tally.slowest = max(tally.slowest, time.process_time() - began)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if warned and not said:
            said = f"warned: {warned[0].message} ({Path(warned[0].filename).name}:{warned[0].lineno})"
        if guard.seen:
            said, guard.seen = f"did what no reader may: {'; '.join(guard.seen[:3])}", []
        grown = peak() - before
        tally.grown = max(tally.grown, grown)
        if grown > limits.room(m.data):
            said = f"memory grew by {grown >> 20} MB" + (f"; {said}" if said else "")
        if said:
            os.write(pipe, json.dumps([index, said[:2000]]).encode() + b"\n")
        if grown > limits.room(m.data):
            os._exit(GROWN)  # a peak only ever rises: the next file needs a new process
    os.write(pipe, json.dumps([-1, vars(tally)]).encode() + b"\n")
    now[:8] = struct.pack("<q", job.count)


@dataclass
class _Running:
    job: Job
    folder: Path
    path: Path
    original: bytes
    first: list
    now: mmap.mmap
    start: int = 0
    pid: int = 0
    pipe: int = 0
    failures: list = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def launch(self):
        """Fork a child that goes on at `start`."""
        self.now[:8] = struct.pack("<q", self.start)
        out, into = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.close(out)
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, 1), os.dup2(null, 2)
                _child(self.job, self.folder, self.path, self.original, self.first, self.start, self.now, into)
                code = 0
            except BaseException:  # a fault of this file, told as a failure of the mutation at hand
                self.now[:8] = struct.pack("<q", self.job.count)
                os.write(into, json.dumps([0, "the cage itself broke: " + traceback.format_exc()[-1500:]]).encode() + b"\n")
            finally:
                os._exit(code)
        os.close(into)
        os.set_blocking(out, False)
        self.pipe, self.said = out, b""

    def ended(self, most: int) -> bool:
        """Take what the child says; True when all of the job is done."""
        try:
            while chunk := os.read(self.pipe, 1 << 16):
                self.said += chunk
        except BlockingIOError:
            pass
        if (status := os.waitpid(self.pid, os.WNOHANG))[0] == 0:
            return False
        try:
            while chunk := os.read(self.pipe, 1 << 16):
                self.said += chunk
        except BlockingIOError:
            pass
        os.close(self.pipe)
        for line in self.said.splitlines():
            index, what = json.loads(line)
            if index >= 0:
                self.note(index, what)
            else:
                self.tally = self.tally.add(Tally(**what | {"kinds": Counter(what["kinds"])}))
        at = struct.unpack("<q", self.now[:8])[0]
        if os.WIFSIGNALED(status[1]):
            number = os.WTERMSIG(status[1])
            why = {
                signal.SIGPROF: f"took more than {self.job.limits.seconds} s of processor time",
                signal.SIGALRM: f"hung for {self.job.limits.wall} s",
            }
            self.note(at, why.get(number, f"killed the process ({signal.Signals(number).name})"))
        elif at >= self.job.count:
            return True
        elif os.WEXITSTATUS(status[1]) != GROWN:
            self.note(at, "ended the process")
        self.start = at + 1
        if len(self.failures) >= most or self.start >= self.job.count:
            return True
        self.launch()
        return False

    def note(self, index: int, what: str):
        self.failures.append((index, what))


def _prepare(job: Job, folder: Path) -> _Running:
    """Copy the seed's folder, and read the good file."""
    root = job.root or job.path.parent
    shutil.copytree(root, folder)
    path = folder / job.path.relative_to(root)
    original = path.read_bytes()
    first = clips_of(job.reader(path), job.limits.clips)
    if not first or not all(isinstance(c, Clip) for c in first):
        raise AssertionError(f"{job.name}: the undamaged file does not read: {first[:3]}")
    for c in first:
        assert (said := bad_clip(c, original)) is None, f"{job.name}: the undamaged file gives {said}"
    return _Running(job, folder, path, original, first, mmap.mmap(-1, 4096))


def fuzz_all(
    jobs: Iterable[Job], folder: Path, at_once: int = 2, most: int = 10, tell: Callable[[Job, Tally], None] = lambda job, tally: None
) -> dict[str, list[Failure]]:
    """Run the jobs, two children at a time; failures by job (at most `most` and a few each), their damaged files in `folder`."""
    waiting, running, found = list(jobs), [], {}
    for n, job in enumerate(waiting):
        found[f"{n} {job.name}"] = []
    queue = list(zip(list(found), waiting, strict=True))
    try:
        while queue or running:
            while queue and len(running) < at_once:
                key, job = queue.pop(0)
                run = _prepare(job, folder / f"cage-{key.split()[0]}")
                run.key = key
                run.launch()
                running.append(run)
            for run in [r for r in running if r.ended(most)]:
                running.remove(run)
                found[run.key] = [_keep(run, index, what, folder) for index, what in run.failures[: most + 5]]
                tell(run.job, run.tally)
                shutil.rmtree(run.folder)
            time.sleep(0.01)
    finally:
        for run in running:
            os.kill(run.pid, signal.SIGKILL)
            os.waitpid(run.pid, 0)
    return found


def _keep(run: _Running, index: int, what: str, folder: Path) -> Failure:
    m = mutation(run.original, run.job.seed, index)
    saved = folder / "failures" / f"{run.key.split()[0]}-{index}" / run.path.name
    saved.parent.mkdir(parents=True, exist_ok=True)
    saved.write_bytes(m.data)
    return Failure(run.job.name, run.job.seed, m, what, saved)


def fuzz(job: Job, folder: Path, most: int = 10) -> list[Failure]:
    """One job alone."""
    return next(iter(fuzz_all([job], folder, most=most).values()))
