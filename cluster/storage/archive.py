"""Archives of runs: a plain tar with a manifest at its head, made whole or not at all.

    manifest.json                 what it is, and size and SHA-256 of every other file, in their order
    math-layalign-s2-0123abcd/... files of a run by their path below the folder of all runs

The same files give the same bytes. `cluster.storage.unpack` reads what this writes.
"""

from __future__ import annotations

import glob
import hashlib
import io
import json
import os
import tarfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cluster.errors import ClusterError
from cluster.files import sync_folder
from cluster.storage.portable import Content, opened, size_of

FORMAT, VERSION = "layalign-archive", 1
MANIFEST = "manifest.json"
CHUNK = 4 * 2**20
OLD_S = 3600.0
"""A draft that nobody has written to for so long is one that was given up."""
Tell = Callable[[int], None]
"""Takes the number of bytes that were dealt with."""


@dataclass(frozen=True)
class Entry:
    """A file as the manifest tells it."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What an archive holds."""

    about: dict[str, Any]
    """Plain data of whoever made it."""
    files: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.bytes for entry in self.files)

    def encode(self) -> bytes:
        """As it stands in the archive."""
        told = {"format": FORMAT, "version": VERSION, **self.about}
        files = [{"path": e.path, "bytes": e.bytes, "sha256": e.sha256} for e in self.files]
        return json.dumps({**told, "files": files}, indent=1).encode() + b"\n"


def write_archive(target: Path, about: dict[str, Any], files: Mapping[str, Content], tell: Tell) -> Manifest:
    """Put files into a new archive.

    Args:
        target: of the archive; its folder exists.
        about: for the manifest; plain data.
        files: by their names in the archive.
        tell: hears of every byte twice: when it is summed, and when it is written.

    Raises:
        ClusterError: there is such a file already, it cannot be written, or a file changes meanwhile.
    """
    if target.exists():
        raise ClusterError(f"{target} exists: name another file with --to, or remove it first")
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.draft")
    try:
        _remove_old_drafts(target)
        manifest = Manifest(about, tuple(_entry(name, content, tell) for name, content in files.items()))
        with draft.open("xb") as file:
            _fill(file, manifest, files, tell)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, target)  # unlike a rename it never takes the place of another file
        sync_folder(target.parent)
    except FileExistsError:
        raise ClusterError(f"{target} exists by now: name another file with --to") from None
    except OSError as error:
        raise ClusterError(
            f"{target} cannot be written: {error.strerror or error}; free space, or name another place with --to"
        ) from None
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def _fill(file: IO[bytes], manifest: Manifest, files: Mapping[str, Content], tell: Tell) -> None:
    head = manifest.encode()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(_member(MANIFEST, len(head)), io.BytesIO(head))
        for entry in manifest.files:
            with opened(files[entry.path]) as source:
                reader = _Reader(source, tell)
                tar.addfile(_member(entry.path, entry.bytes), reader)
            if reader.digest.hexdigest() != entry.sha256:
                raise ClusterError(f"{entry.path} was changed while it was read: give the command again")


class _Reader(io.RawIOBase):
    """A file that sums what is read of it."""

    def __init__(self, source: IO[bytes], told: Tell) -> None:
        self.source, self.told, self.digest = source, told, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self.source.read(size)
        self.digest.update(chunk)
        self.told(len(chunk))
        return chunk


def _entry(name: str, content: Content, tell: Tell) -> Entry:
    with opened(content) as source:
        return Entry(name, *summed(source, size_of(content), tell))


def summed(source: IO[bytes], most: int, tell: Tell) -> tuple[int, str]:
    """Size and checksum of the first `most` bytes of a file, which may be growing."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(min(CHUNK, most - size)):
        digest.update(chunk)
        size += len(chunk)
        tell(len(chunk))
    return size, digest.hexdigest()


def _member(name: str, size: int) -> tarfile.TarInfo:
    """Nothing of the machine or the time is in it."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


def _remove_old_drafts(target: Path) -> None:
    for path in target.parent.glob(f".{glob.escape(target.name)}.*.draft"):
        if time.time() - path.stat().st_mtime > OLD_S:
            path.unlink(missing_ok=True)
