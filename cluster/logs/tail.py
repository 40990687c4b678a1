"""The end of a file of JSON lines: what happened last, of files that may be long."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SIZE = 8192


def last_records(path: Path, passed_over: bytes = b"", size: int = SIZE) -> Iterator[dict[str, Any]]:
    """The whole records at the end of a file, the last first; none if there is no such file.

    Args:
        path: the file.
        passed_over: lines that contain this are left out unread, but for the very last.
        size: bytes that are read of its end.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            at = max(0, os.fstat(file.fileno()).st_size - size)
            file.seek(at)
            lines = file.read(size).split(b"\n")
    except OSError:
        return
    first = 1 if at else 0  # the beginning of that line is before what was read
    told = False
    for line in reversed(lines[first:]):
        if not line or (told and passed_over and passed_over in line):
            continue
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            told = True
            yield record


def count_lines(path: Path, having: bytes) -> int:
    """Lines of a file that contain something; 0 if there is no such file."""
    try:
        return sum(having in line for line in path.read_bytes().split(b"\n"))
    except OSError:
        return 0
