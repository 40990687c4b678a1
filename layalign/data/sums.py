"""What is made once and believed later: folders with checksums beside them, as `sha256sum -c` reads them, and records
that carry their own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from layalign.data.files import checksum, to_disk, writing

SUMS = "SHA256SUMS"
OWN = "record_checksum"
"""Key of a record's own checksum, made as `cluster.files.sealed` makes it, which is out of reach here."""


def sealed_record(value: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with its checksum, as `unsealed_record` takes it back."""
    return {**value, OWN: _of_record(value)}


def unsealed_record(value: Mapping[str, Any]) -> dict[str, Any]:
    """The object without its checksum; one of an earlier version has none, and is taken as it is.

    Raises:
        ValueError: it is not what was sealed.
    """
    rest = {key: held for key, held in value.items() if key != OWN}
    if OWN in value and value[OWN] != _of_record(rest):
        raise ValueError("its checksum is that of something else")
    return rest


def _of_record(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def seal(folder: Path) -> None:
    """Put every file below a folder on disk, and then their checksums into `SHA256SUMS`."""
    lines = [f"{checksum(path)}  {path.relative_to(folder).as_posix()}\n" for path in _files(folder)]
    for path in _files(folder):
        to_disk(path)
    with writing(folder / SUMS):
        (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    to_disk(folder / SUMS)
    for parent, _, _ in os.walk(folder):
        to_disk(Path(parent))


def place(draft: Path, done: Path) -> None:
    """Rename a sealed folder to its name, which is on disk afterwards; a damaged one there makes way.

    Whoever has files of that open keeps them.

    Raises:
        OSError: another is there already.
    """
    if fault(done, sealed=True):
        aside = done.with_name(f".{done.name}.{uuid4().hex}")
        done.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    draft.rename(done)
    to_disk(done.parent)


def fault(folder: Path, sealed: bool = False) -> str:
    """Why a folder is not what was sealed, in words; all of it is read. Empty if it is, or there is no such folder.

    Args:
        folder: what else was put into it does no harm.
        sealed: whether it must have checksums; else one without them is taken, as an earlier version made it.
    """
    if not folder.is_dir():
        return ""
    try:
        told = (folder / SUMS).read_text(encoding="utf-8")
    except FileNotFoundError:
        return f"{SUMS} is missing" if sealed else ""
    except UnicodeDecodeError:
        return f"{SUMS} is damaged"
    *lines, rest = told.split("\n")
    if rest or not lines:
        return f"{SUMS} is cut short"
    for digest, _, name in (line.partition("  ") for line in lines):
        path = folder / name
        if not name or not path.is_file():
            return f"{name or SUMS} is missing"
        if checksum(path) != digest:
            return f"{name} is damaged"
    return ""


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
