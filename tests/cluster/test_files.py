from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from unittest import mock

import pytest

from cluster import files
from cluster.errors import REMEDIES, system_error
from cluster.files import (
    DamagedFile,
    UnreadableFile,
    append_jsonl,
    create_atomic,
    read_json,
    read_jsonl,
    read_record,
    sealed,
    sha256_of,
    sha256_of_head,
    sync_file,
    sync_tree,
    unsealed,
    write_atomic,
    write_json_atomic,
    write_record,
)
from cluster.full_disk import patience

ROOT = Path(__file__).resolve().parents[2]


def test_write_replaces_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a 'b' \"c\""
    write_atomic(path, "old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_failed_write_keeps_the_old_content(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomic(path, "x")
    assert list(tmp_path.iterdir()) == [path]


def test_reader_never_sees_half_of_a_file_that_a_killed_writer_replaces(tmp_path):
    path = tmp_path / "state.json"
    code = (
        "import sys, pathlib; from cluster.files import write_json_atomic\n"
        "n = 0\n"
        "while True:\n"
        "    n += 1; write_json_atomic(pathlib.Path(sys.argv[1]), {'n': n, 'fill': 'x' * 100_000, 'again': n})\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=ROOT)
    seen = set()
    while len(seen) < 50:
        told = read_json(path)
        if told:
            assert told["n"] == told["again"]
            seen.add(told["n"])
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    told = read_json(path)
    assert told["n"] == told["again"] >= max(seen)


def test_a_long_file_is_read_whole(tmp_path):
    content = os.urandom(3 * files.AT_ONCE + 7)
    (tmp_path / "long").write_bytes(content)
    assert files.read_whole(tmp_path / "long") == content


def test_json_of_a_missing_or_torn_file_is_none(tmp_path):
    assert read_json(tmp_path / "none") is None
    (tmp_path / "torn").write_text('{"a":')
    assert read_json(tmp_path / "torn") is None
    write_json_atomic(tmp_path / "whole", {"a": 1})
    assert read_json(tmp_path / "whole") == {"a": 1}
    assert (tmp_path / "whole").read_text() == '{\n  "a": 1\n}\n'
    (tmp_path / "list").write_text("[1]")
    assert read_json(tmp_path / "list") is None


def test_records_survive_a_line_torn_at_any_byte(tmp_path):
    whole = b'{"step": 2, "note": "\\u00e9 {} []"}\n'
    for cut in range(len(whole)):
        path = tmp_path / f"{cut}.jsonl"
        append_jsonl(path, {"step": 1})
        with path.open("ab") as file:
            file.write(whole[:cut])
        expected = [1, 2] if cut == len(whole) - 1 else [1]
        assert [record["step"] for record in read_jsonl(path)] == expected
        append_jsonl(path, {"step": 3})
        append_jsonl(path, {"step": 4})
        assert [record["step"] for record in read_jsonl(path)] == [*expected, 3, 4]


def test_zeros_left_by_a_power_cut_spoil_nothing(tmp_path):
    path = tmp_path / "events.jsonl"
    append_jsonl(path, {"step": 1})
    with path.open("ab") as file:
        file.write(bytes(100))
    append_jsonl(path, {"step": 2})
    assert [record["step"] for record in read_jsonl(path)] == [1, 2]


def test_a_line_is_written_after_what_is_there_in_a_file_of_the_umasks_mode(tmp_path):
    path = tmp_path / "events.jsonl"
    before = os.umask(0)
    try:
        append_jsonl(path, {"a": 1})
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666
    append_jsonl(path, {"b": [2]})
    assert path.read_bytes() == b'{"a": 1}\n{"b": [2]}\n', "and no empty line between"
    with path.open("ab") as file:
        file.write(b'{"c"')
    append_jsonl(path, {"d": 3})
    assert path.read_bytes() == b'{"a": 1}\n{"b": [2]}\n{"c"\n{"d": 3}\n'
    with pytest.raises(FileNotFoundError) as caught:
        append_jsonl(tmp_path / "none" / "e.jsonl", {})
    assert caught.value.filename == str(tmp_path / "none" / "e.jsonl")


def test_a_line_of_which_a_part_is_written_is_told_as_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "write", lambda descriptor, line: len(line) - 1)
    with pytest.raises(OSError, match="No space left on device") as caught:
        append_jsonl(tmp_path / "e.jsonl", {"a": 1})
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "e.jsonl"))


def test_of_two_makers_one_has_made_it(tmp_path):
    assert create_atomic(tmp_path / "lease", "first") is True
    assert create_atomic(tmp_path / "lease", "second") is False
    assert (tmp_path / "lease").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["lease"]
    with pytest.raises(FileNotFoundError):
        create_atomic(tmp_path / "none" / "lease", "x")


@pytest.fixture
def synced(monkeypatch):
    """Where the files lie that are put on disk, in order."""
    told = []

    def fsync(descriptor):
        told.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr(files.os, "fsync", fsync)
    return told


def test_content_is_on_disk_before_its_name_is(tmp_path, synced):
    write_atomic(tmp_path / "a", "x")
    assert len(synced) == 2
    assert synced[0].endswith(".tmp")
    assert synced[1] == str(tmp_path)
    synced.clear()
    sync_file(tmp_path / "a")
    assert synced == [str(tmp_path / "a"), str(tmp_path)]
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b" / "c" / "d").write_text("")
    synced.clear()
    sync_tree(tmp_path)
    names = [str(tmp_path / name) for name in ("a", "", "b", "b/c/d", "b/c")]
    assert sorted(synced) == sorted(name.rstrip("/") for name in names)
    assert synced.index(str(tmp_path / "b/c/d")) < synced.index(str(tmp_path / "b/c"))


def test_no_file_is_no_records(tmp_path):
    assert read_jsonl(tmp_path / "none") == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_full_disk_is_an_error_not_a_lost_record():
    with pytest.raises(OSError, match="space"):
        append_jsonl(Path("/dev/full"), {"a": 1})


def test_a_checksum_is_of_the_content_as_it_is_now(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    before = path.stat()
    assert sha256_of(path) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert sha256_of(path) == hashlib.sha256(b"two").hexdigest(), "same size, same time of content"


def test_a_checksum_of_what_was_not_touched_of_late_is_read_once(tmp_path, monkeypatch):
    reads = []
    monkeypatch.setattr(files, "sha256_of_head", lambda path: reads.append(path) or f"{len(reads)}")
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    assert [sha256_of(path) for _ in range(2)] == ["1", "2"], (
        "clocks may tick too slowly to tell another write"
    )
    told = os.stat(path)
    later = max(told.st_mtime, told.st_ctime) + files.FRESH_S
    monkeypatch.setattr(files.time, "time", lambda: later - 0.01)
    assert sha256_of(path) == "3"
    monkeypatch.setattr(files.time, "time", lambda: later + 0.01)
    assert [sha256_of(path) for _ in range(3)] == ["4"] * 3
    os.utime(path, (1, 1))
    monkeypatch.setattr(files.time, "time", lambda: os.stat(path).st_ctime + files.FRESH_S + 1)
    assert [sha256_of(path) for _ in range(2)] == ["5"] * 2, "its time is another"
    path.with_name("other").write_bytes(b"one")
    os.utime(path.with_name("other"), (1, 1))
    os.replace(path.with_name("other"), path)
    assert [sha256_of(path) for _ in range(2)] == ["6"] * 2, "it is another file, of the same size and time"
    assert reads == [path] * 6


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20, 2**30, None])
def test_a_checksum_may_be_of_the_beginning(tmp_path, size):
    content = bytes(range(256)) * (5 * 2**11) + b"end"  # two blocks and a half
    (tmp_path / "answers").write_bytes(content)
    expected = hashlib.sha256(content if size is None else content[:size]).hexdigest()
    assert sha256_of_head(tmp_path / "answers", size) == expected
    with pytest.raises(FileNotFoundError):
        sha256_of_head(tmp_path / "none", size)


def test_a_checksum_of_a_beginning_reads_no_more_than_a_block_at_once(tmp_path, monkeypatch):
    (tmp_path / "answers").write_bytes(b"x" * (2**21 + 7))
    asked = []
    whole = Path.open

    def opened(path, mode):
        file = whole(path, mode)
        read = file.read
        return mock.MagicMock(
            __enter__=lambda _: mock.Mock(read=lambda size: asked.append(size) or read(size)),
            __exit__=lambda *_: file.close(),
        )

    monkeypatch.setattr(Path, "open", opened)
    sha256_of_head(tmp_path / "answers", 2**21 + 5)
    assert asked == [2**20, 2**20, 5]


def test_a_record_is_what_was_written_or_refused_by_name(tmp_path):
    path = tmp_path / "record.json"
    value = {"job": "14_2", "lr": 0.003, "cells": ["a", "b"], "name": "née", "none": None}
    write_record(path, value)
    assert read_record(path) == value
    content = path.read_bytes()
    noticed = 0
    for bit in range(len(content) * 8):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            read = read_record(path)
        except DamagedFile:
            noticed += 1
            continue
        assert read is not None
        assert {key: read[key] for key in value} == value  # white space, or the name of the checksum itself
    assert noticed > len(content) * 6


@pytest.mark.parametrize("content", [b"", b"\0" * 50, b"[1]", b'{"a": 1', b"\xff", b"[" * 100_000, b"1"])
def test_what_is_no_record_is_refused(tmp_path, content):
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(DamagedFile, match="is damaged") as caught:
        read_record(tmp_path / "r.json")
    assert caught.value.path == tmp_path / "r.json"
    assert str(caught.value) == (
        f"{tmp_path / 'r.json'} is damaged: {caught.value.told}; delete it and give the same command again"
    )
    assert caught.value.told == TOLD.get(content[:5], caught.value.told)
    with pytest.raises(DamagedFile, match=r"; ask somebody$"):
        read_record(tmp_path / "r.json", "ask somebody")


TOLD = {
    b"": "it is empty",
    b"\0" * 5: "it is empty",
    b"[1]": "it is no JSON object",
    b"1": "it is no JSON object",
}
"""What is wrong, by the first bytes."""


def test_what_is_wrong_with_a_record_is_told(tmp_path):
    path = tmp_path / "r.json"
    value = {"a": 1}
    write_record(path, value)
    assert path.read_text() == f'{{\n  "a": 1,\n  "record_checksum": "{sealed(value)[files.CHECKSUM]}"\n}}\n'
    told = sealed(value)[files.CHECKSUM]
    assert told == hashlib.sha256(b'{"a": 1}').hexdigest()[:16]
    assert unsealed(sealed(value)) == value
    path.write_text(path.read_text().replace('"a": 1', '"a": 2'))
    other = hashlib.sha256(b'{"a": 2}').hexdigest()[:16]
    with pytest.raises(DamagedFile, match=f"its content has checksum {other}, it says {told}"):
        read_record(path)
    spoilt = files.CHECKSUM.replace("checksum", "chacksum")
    path.write_text(json.dumps({"a": 1, spoilt: told}))
    with pytest.raises(DamagedFile, match=f"its key '{spoilt}' was '{files.CHECKSUM}'"):
        read_record(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(UnreadableFile, match=f"^{path} cannot be read: Is a directory; ") as caught:
        read_record(path, "ask somebody")
    assert "ask somebody" not in str(caught.value)
    assert read_record(path.with_name("none") / "r.json") is None
    path.rmdir()
    path.write_text("")
    assert read_record(path / "below a file") is None


def test_a_record_of_an_earlier_version_is_taken(tmp_path):
    (tmp_path / "r.json").write_text('{"a": 1}')
    assert read_record(tmp_path / "r.json") == {"a": 1}
    assert read_record(tmp_path / "none.json") is None


@pytest.fixture
def full_disk(tmp_path):
    """A folder on a file system of its own without room, and the way to make some."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], check=False, capture_output=True
    ).returncode:
        pytest.skip("only root may mount")
    (folder / "other").write_bytes(b"x" * 2**16)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


WRITERS = [
    lambda path: write_atomic(path, "new"),
    lambda path: write_record(path, {"a": 1}),
    lambda path: append_jsonl(path, {"a": 1}),
]


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_disk_names_the_file_and_leaves_nothing(full_disk, write):
    with pytest.raises(OSError, match="No space left") as caught:
        write(full_disk / "record")
    assert caught.value.filename == str(full_disk / "record")
    assert "make room there" in system_error(caught.value)
    assert [path for path in full_disk.iterdir() if path.stat().st_size] == [full_disk / "other"]


@pytest.mark.parametrize("write", WRITERS)
def test_a_job_waits_for_room(full_disk, write, monkeypatch, capfd):
    monkeypatch.setattr("cluster.full_disk.ROOM_POLL_S", 0.05)
    monkeypatch.setattr(patience, "limit_s", 20.0)
    monkeypatch.setattr(patience, "_asked", -math.inf)
    threading.Timer(0.3, (full_disk / "other").unlink).start()
    write(full_disk / "record")
    assert (full_disk / "record").stat().st_size
    assert capfd.readouterr().err.count("waiting up to") == 1


def test_a_job_that_is_told_to_end_waits_no_longer(full_disk, monkeypatch):
    monkeypatch.setattr("cluster.full_disk.ROOM_POLL_S", 0.05)
    monkeypatch.setattr(patience, "limit_s", 20.0)
    told: list[str] = []
    monkeypatch.setattr(patience, "stop", lambda: told)
    threading.Timer(0.3, told.append, ["SIGUSR1"]).start()
    with pytest.raises(OSError, match="No space left"):
        write_atomic(full_disk / "record", "new")


def test_nothing_waits_that_is_no_matter_of_room(tmp_path, monkeypatch):
    monkeypatch.setattr(patience, "limit_s", 20.0)
    with pytest.raises(FileNotFoundError) as caught:
        write_atomic(tmp_path / "none" / "record", "new")
    assert caught.value.filename == str(tmp_path / "none" / "record")


@pytest.mark.parametrize("number", sorted(REMEDIES))
def test_an_error_of_the_system_is_a_line_with_a_next_step(number):
    told = system_error(OSError(number, os.strerror(number), "/scratch/x"))
    assert "\n" not in told
    assert told.startswith(f"/scratch/x: {os.strerror(number)}; {REMEDIES[number]}")
    for error in (
        OSError("odd"),
        OSError(number, os.strerror(number)),
        TimeoutError(),
        OSError(5, "I/O", b"\xff"),
    ):
        assert "then give the same command again" in system_error(error)
