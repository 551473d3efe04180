"""Files are whole or absent, one sentence says why one could not be written, and nothing is left behind."""

import errno
import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from c2vl_kit.core import (
    InputError, cannot_write, clear_leftovers, sha256_of, whole_file, write_json_atomic, write_whole,
    writing)

posix = pytest.mark.skipif(os.name != "posix", reason="kills and umasks are POSIX")


def names(folder) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.fixture
def umask():
    """Sets the umask, and sets it back."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@posix
@pytest.mark.parametrize("mask, rights", [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_rights_follow_the_umask(tmp_path, umask, mask, rights):
    umask(mask)
    write_whole(tmp_path / "text", "a")
    write_json_atomic(tmp_path / "json", {})
    with whole_file(tmp_path / "library") as aside:  # a library that puts a closed file of its own in place
        other = aside.with_name("other")
        os.close(os.open(other, os.O_CREAT | os.O_WRONLY, 0o600))
        os.replace(other, aside)
    assert {stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("text", "json", "library")} == {rights}


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    file = write_whole(tmp_path / "a", b"old")
    for error in (KeyboardInterrupt, ValueError, SystemExit):
        with pytest.raises(error), whole_file(file) as aside:
            aside.write_bytes(b"ne")
            raise error
    assert file.read_bytes() == b"old" and names(tmp_path) == ["a"]
    with pytest.raises(ValueError), whole_file(tmp_path / "new" / "er" / "b"):
        raise ValueError
    assert names(tmp_path) == ["a"]  # folders made for it are gone as well


@posix
def test_what_the_dead_left_goes_and_what_the_living_write_stays(tmp_path):
    file = tmp_path / "a.txt"
    code = "import sys, time\nfrom c2vl_kit.core import whole_file\nwith whole_file(sys.argv[1]) as f:\n"
    code += "    print(f, flush=True)\n    time.sleep(60)"
    writers = [subprocess.Popen([sys.executable, "-c", code, file], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        asides = [w.stdout.readline().strip() for w in writers]
        writers[0].send_signal(signal.SIGKILL)
        writers[0].wait()
        strangers = ["b.txt.tmp-1-2-3", "a.txt.tmp-notes", "a.txt.tmp-abcdef-1-2"]  # another target's, a person's, another machine's
        for name in (*strangers, "a.txt.tmp-4194305", "a.txt.tmp-4194305-7"):  # beyond the largest process id of Linux
            (tmp_path / name).write_text("")
        write_whole(file, "whole")
        assert names(tmp_path) == sorted(["a.txt", os.path.basename(asides[1]), *strangers])
        os.utime(tmp_path / strangers[2], (time.time() - 90_000,) * 2)
        clear_leftovers(tmp_path)
        assert strangers[2] not in names(tmp_path)
    finally:
        for w in writers:
            w.kill()
            w.wait()
            w.stdout.close()


@posix
def test_a_link_stays_a_link_and_a_device_a_device(tmp_path):
    (tmp_path / "big").mkdir()
    (tmp_path / "a").symlink_to("big/a")
    write_whole(tmp_path / "a", "x")
    assert (tmp_path / "a").is_symlink() and (tmp_path / "big" / "a").read_text() == "x"
    with pytest.raises(InputError, match="/dev/null is no regular file"):
        write_whole("/dev/null", "x")
    with pytest.raises(InputError, match="is a folder: give the name"):
        write_whole(tmp_path, "x")


def test_a_full_disk_names_path_need_and_room(small_disk):
    write_whole(small_disk / "last", b"1" * 100_000)
    with pytest.raises(InputError) as said:
        write_whole(small_disk / "last", b"2" * 5_000_000)
    text = str(said.value)
    assert text.startswith(f"{small_disk / 'last'} cannot be written (no room on the disk: at least 5.0 MB needed, ")
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    assert f"{free / 1e3:.0f} kB free in {small_disk})" in text and text.endswith("; choose another place or make room.")
    assert names(small_disk) == ["last"] and (small_disk / "last").read_bytes() == b"1" * 100_000
    with pytest.raises(InputError, match=r"at least 9\d\d kB needed"), whole_file(small_disk / "film") as aside, open(aside, "wb") as film:
        for _ in range(100):  # nobody knows beforehand how long it gets
            film.write(b"3" * 100_000)
            film.flush()


def test_rights_and_disks_in_words(tmp_path):
    said = {n: str(cannot_write(tmp_path / "a", OSError(n, os.strerror(n)))) for n in (errno.EACCES, errno.EROFS, errno.EIO, errno.EFBIG)}
    assert said[errno.EACCES] == f"{tmp_path / 'a'} cannot be written (no right to write in {tmp_path}); choose another place."
    assert f"(the disk is read-only in {tmp_path})" in said[errno.EROFS]
    assert "(input/output error); choose another place." in said[errno.EIO]
    assert "(file too large); choose another place or make room." in said[errno.EFBIG]


def test_errors_about_other_files_are_not_blamed_on_this_one(tmp_path):
    for block in (writing, whole_file):
        with pytest.raises(FileNotFoundError), block(tmp_path / "out"):
            open(tmp_path / "in")
        with pytest.raises(ConnectionResetError), block(tmp_path / "out"):
            raise ConnectionResetError
    assert names(tmp_path) == []


def test_checksums_know_types_shapes_and_ends():
    assert sha256_of("ab", "c") != sha256_of("a", "bc")
