"""Files that are written whole or not at all, and JSON lines that survive a crash in the middle of one."""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError, remedy
from cluster.full_disk import with_room

CHECKSUM = "record_checksum"
"""Key of a record's own checksum; `checksum` alone is what `DONE` of a cell calls that of a benchmark's file."""
AT_ONCE = 1 << 16
STALE_S = (0.0, 0.1, 1.0)
"""How long to wait before a file whose handle is stale is opened again."""
DIGITS = 19
"""Of a whole number in a record: a longer one is no count, size, time or number of anything."""
FRESH_S = 2.0
"""Seconds in which a file system's clock may not tell two writes apart."""


class DamagedFile(ClusterError):
    """A file that a later step would believe holds something else than was written."""

    def __init__(self, path: Path, told: str, remedy: str) -> None:
        super().__init__(f"{path} is damaged: {told}; {remedy}")
        self.path, self.told = path, told


class UnreadableFile(DamagedFile):
    """The system cannot read a file now; nobody knows whether it is what was written, and nobody should delete it."""

    def __init__(self, path: Path, error: OSError) -> None:
        ClusterError.__init__(self, f"{path} cannot be read: {error.strerror}; {remedy(error)}")
        self.path, self.told = path, f"it cannot be read ({error.strerror})"


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace a file by new content; a reader sees the old file or the new one, also after a power cut.

    Raises:
        OSError: it cannot be written; the error names the file.
    """
    data = content.encode() if isinstance(content, str) else content
    with_room(lambda: _replace(path, data))


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{uuid.uuid4().hex[:12]}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:  # what goes wrong while writing names no file
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def create_atomic(path: Path, content: str | bytes) -> bool:
    """Make a file that nobody else has made: False, and nothing is changed, if it is there.

    A hard link to a finished file: the file system grants it to one maker only, and no reader sees half of it.
    """
    finished = path.with_name(f".{uuid.uuid4().hex[:12]}.tmp")
    write_atomic(finished, content)
    try:
        os.link(finished, path)
    except FileExistsError:
        return False
    finally:
        finished.unlink()
    return True


def write_new(path: Path, text: str) -> None:
    """Write a file for a user to change, which nothing may overwrite.

    Raises:
        ClusterError: there is something of this name already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path) or not create_atomic(path, text):
        raise ClusterError(f"{path} is there already, and stays as it is: name another file, or move it away")


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on disk: a rename is only durable after this."""
    _to_disk(folder)


def sync_file(path: Path) -> None:
    """Put the content of a file on disk, and its name."""
    _to_disk(path)
    sync_folder(path.parent)


def sync_tree(folder: Path) -> None:
    """Put all that is below a folder on disk: content and names."""
    for parent, _, names in os.walk(folder):
        for name in names:
            _to_disk(Path(parent) / name)
        sync_folder(Path(parent))


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # which names no file
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        os.close(descriptor)


def write_json_atomic(path: Path, value: Any) -> None:
    """`write_atomic` of a value as indented JSON."""
    write_atomic(path, json.dumps(value, indent=2) + "\n")


def read_whole(path: Path) -> bytes:
    """The content of a file in few calls of the system, of which Python makes ten: a board reads thousands of files.

    One that was replaced on another node while it was being opened here is opened again.
    """
    for wait_s in STALE_S:
        try:
            return _read_whole(path)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            time.sleep(wait_s)
    return _read_whole(path)


def _read_whole(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return b"".join(iter(lambda: os.read(descriptor, AT_ONCE), b""))
    finally:
        os.close(descriptor)


def decoded(content: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, or nobody can have meant it: nested without end, or a number of many digits.
    """
    try:
        return _decode(content.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _whole(digits: str) -> int:
    if len(digits) > DIGITS:
        raise ValueError(f"it has a number of {len(digits)} digits")
    return int(digits)


_decode = json.JSONDecoder(parse_int=_whole).decode


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file; None if there is no such file, or no JSON object in it."""
    try:
        value = decoded(read_whole(path))
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def write_record(path: Path, value: Mapping[str, Any]) -> None:
    """`write_atomic` of an object as indented JSON that carries its own checksum."""
    write_atomic(path, record_text(value))


def record_text(value: Mapping[str, Any]) -> str:
    """What `write_record` writes."""
    return json.dumps(sealed(value), indent=2) + "\n"


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """An object with its checksum, as `unsealed` takes it back."""
    return {**value, CHECKSUM: _checksum(value)}


def unsealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """The object without its checksum.

    Raises:
        ValueError: it is not what was sealed. One without a checksum is of an earlier version, and taken as it is.
    """
    rest = {key: held for key, held in value.items() if key != CHECKSUM}
    told = value.get(CHECKSUM)
    if spoilt := [
        key for key in rest if len(key) == len(CHECKSUM) and sum(map(str.__ne__, key, CHECKSUM)) == 1
    ]:
        raise ValueError(f"its key {spoilt[0]!r} was {CHECKSUM!r}")
    if told is not None and told != _checksum(rest):
        raise ValueError(f"its content has checksum {_checksum(rest)}, it says {told}")
    return rest


def read_record(
    path: Path, remedy: str = "delete it and give the same command again"
) -> dict[str, Any] | None:
    """What `write_record` wrote; None if there is no such file.

    Args:
        path: of the file.
        remedy: what a user can do where it is damaged.

    Raises:
        DamagedFile: it is not what was written.
    """
    held = read_sealed(path, remedy)
    return None if held is None else {key: value for key, value in held.items() if key != CHECKSUM}


def read_sealed(path: Path, remedy: str) -> dict[str, Any] | None:
    """As `read_record`, with the checksum that holds; one of an earlier version has none."""
    try:
        content = read_whole(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UnreadableFile(path, error) from None
    try:
        value = decoded(content)
        if not isinstance(value, dict):
            raise ValueError("it is no JSON object")
        unsealed(value)
    except ValueError as error:
        told = "it is empty" if not content.strip(b"\0 \n") else str(error)
        raise DamagedFile(path, told, remedy) from None
    return value


def _checksum(value: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits of the object as JSON, whatever the order of its keys."""
    try:
        return hashlib.sha256(_in_order(value).encode()).hexdigest()[:16]
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


_in_order = json.JSONEncoder(sort_keys=True).encode


def append_jsonl(path: Path, record: dict[str, Any]) -> None:
    """Add one object as one line, in a single write. A file has one writer at a time.

    A line that an earlier writer left unfinished is ended first, so that it spoils nothing but itself.
    """
    line = json.dumps(record).encode() + b"\n"
    with_room(lambda: _append(path, line))


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        if os.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        os.close(descriptor)


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The whole records of a file, in order; none if there is no such file.

    A record is one JSON object on one line. The beginning of an object is never itself an object, so a line
    that cannot be read as one is what a crash left of a record, wherever it stands: it is dropped.
    """
    try:
        lines = read_whole(path).split(b"\n")
    except FileNotFoundError:
        return []
    records = []
    for line in lines:
        try:
            record = decoded(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, as hexadecimal digits; read once in a process unless the file has changed.

    A bridge of 134 MB takes some tenths of a second, which a command with many runs need not spend for each.
    A file that was touched a moment ago is read again: clocks of file systems tick too slowly to tell two writes apart.
    """
    told = path.stat()
    if time.time() - max(told.st_mtime, told.st_ctime) < FRESH_S:
        return sha256_of_head(path)
    return _sha256(path, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns)


@functools.lru_cache
def _sha256(path: Path, *_state: int) -> str:
    return sha256_of_head(path)


def sha256_of_head(path: Path, size: int | None = None) -> str:
    """SHA-256 of the first bytes of a file, or of all of it, read now."""
    if size is None:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while size > 0 and (block := content.read(min(size, 1 << 20))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()
