from __future__ import annotations

import hashlib
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cluster.errors import REMEDIES, system_error
from cluster.files import (
    DamagedFile,
    append_jsonl,
    read_json,
    read_jsonl,
    read_record,
    sha256_of,
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


def test_json_of_a_missing_or_torn_file_is_none(tmp_path):
    assert read_json(tmp_path / "none") is None
    (tmp_path / "torn").write_text('{"a":')
    assert read_json(tmp_path / "torn") is None
    write_json_atomic(tmp_path / "whole", {"a": 1})
    assert read_json(tmp_path / "whole") == {"a": 1}


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
    with pytest.raises(DamagedFile, match="is damaged"):
        read_record(tmp_path / "r.json")


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
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "none" / "record", "new")


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
