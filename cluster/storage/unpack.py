"""Reading an archive of runs, which may come from anybody: it is believed only where it is checked.

Each member has to be the plain file that the manifest tells next, so that nothing is left over, doubled, linked or out
of place, and no more is unpacked than the manifest says.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from cluster.errors import ClusterError
from cluster.quota import Quota, check_room
from cluster.storage.archive import CHUNK, FORMAT, MANIFEST, VERSION, Entry, Manifest, Tell, summed

LARGEST_MANIFEST = 64 * 2**20
SLACK = 16 * 2**10
"""Bytes that the heads of one member may take: names may be long."""


class Archive:
    """An archive that somebody has made.

    Raises:
        ClusterError: it cannot be read, is none of ours, or its manifest is wrong.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._told():
            size = path.stat().st_size
            with path.open("rb") as file:
                self.manifest = self._manifest(file)
        told = sum(_padded(entry.bytes) + SLACK for entry in self.manifest.files)
        if size > told + _padded(LARGEST_MANIFEST) + tarfile.RECORDSIZE:
            raise self._refused(f"it is {size} bytes long, and its manifest tells of {self.manifest.size}")

    def unpack(self, folder: Path, quotas: list[Quota], tell: Tell) -> None:
        """Write all files below an empty folder, each checked against the manifest.

        Args:
            folder: exists.
            quotas: of the user.
            tell: hears of every byte.

        Raises:
            ClusterError: something is not as the manifest tells, or there is no room.
        """
        folders = {parent for entry in self.manifest.files for parent in Path(entry.path).parents}
        advice = "choose another place with --runs"
        check_room(folder, self.manifest.size, len(self.manifest.files) + len(folders), quotas, advice)
        with self._told(), tarfile.open(self.path, "r:") as tar:
            members = iter(tar)
            next(members)  # the manifest, which has been read
            for entry in self.manifest.files:
                member = next(members, None)
                self._check_member(member, entry)
                assert member
                source = tar.extractfile(member)
                assert source
                self._write(source, folder / entry.path, entry, tell)
            if left := next(members, None):
                raise self._refused(
                    f"it holds {left.name!r}, which its manifest does not tell of, or tells once"
                )

    def _manifest(self, file: IO[bytes]) -> Manifest:
        """Read the head alone, before anything is made of the rest."""
        block = file.read(tarfile.BLOCKSIZE)
        head = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if head.name != MANIFEST or head.type != tarfile.REGTYPE or head.size > LARGEST_MANIFEST:
            raise self._refused("it does not begin with a manifest")
        try:
            told = json.loads(file.read(head.size))
        except (ValueError, RecursionError):
            raise self._refused("its manifest cannot be read") from None
        if not isinstance(told, dict) or told.pop("format", None) != FORMAT:
            raise self._refused("it is none that export has written")
        version = told.pop("version", None)
        if version != VERSION:
            raise self._refused(f"it is of version {version!r}, and this code reads version {VERSION}")
        files = told.pop("files", None)
        if not isinstance(files, list):
            raise self._refused("its manifest tells of no files")
        entries = tuple(self._entry(entry) for entry in files)
        names = [entry.path for entry in entries]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise self._refused(f"its manifest names {twice!r} twice")
        return Manifest(told, entries)

    def _entry(self, told: Any) -> Entry:
        try:
            entry = Entry(told["path"], told["bytes"], told["sha256"])
        except (KeyError, TypeError):
            raise self._refused("its manifest tells of a file without path, size or checksum") from None
        sound = isinstance(entry.bytes, int) and entry.bytes >= 0 and isinstance(entry.sha256, str)
        if not sound or not isinstance(entry.path, str) or not _is_safe(entry.path):
            raise self._refused(
                f"its manifest tells of {entry.path!r}, {entry.bytes!r} bytes: that is no such file"
            )
        return entry

    def _check_member(self, member: tarfile.TarInfo | None, entry: Entry) -> None:
        """Whether a member is the file that comes next."""
        if member is None:
            raise self._refused(f"it is cut short or damaged: {entry.path!r} is missing")
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.sparse:
            raise self._refused(f"{member.name!r} in it is no plain file")
        if member.name != entry.path:
            raise self._refused(f"it holds {member.name!r} where its manifest tells of {entry.path!r}")
        if member.size != entry.bytes:
            raise self._refused(f"{entry.path!r} in it has {member.size} bytes instead of {entry.bytes}")

    def _write(self, source: IO[bytes], path: Path, entry: Entry, tell: Tell) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        digest, left = hashlib.sha256(), entry.bytes
        with path.open("xb") as file:
            while left and (chunk := source.read(min(CHUNK, left))):
                digest.update(chunk)
                file.write(chunk)
                left -= len(chunk)
                tell(len(chunk))
            file.flush()
            os.fsync(file.fileno())
        if left or digest.hexdigest() != entry.sha256:
            raise self._refused(
                f"{entry.path!r} in it is damaged: it does not have the checksum of the manifest"
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Failures of reading and writing as the user is to hear of them."""
        try:
            yield
        except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:  # of a damaged head
            raise self._refused(f"it is no plain tar, or damaged ({error})") from None
        except OSError as error:
            place = error.filename or self.path
            raise ClusterError(f"{place}: {error.strerror or error}; nothing was imported") from None

    def _refused(self, why: str) -> ClusterError:
        return ClusterError(f"{self.path} is not imported: {why}")


def differences(root: Path, entries: Iterable[Entry]) -> list[str]:
    """The files below `root` that are not what a manifest tells. Records that have grown since are the same."""
    return [entry.path for entry in entries if not _same(root / entry.path, entry)]


def _same(path: Path, entry: Entry) -> bool:
    try:
        size = path.stat().st_size
        if size != entry.bytes and not (path.suffix == ".jsonl" and size > entry.bytes):
            return False
        with path.open("rb") as file:
            return summed(file, entry.bytes, lambda _: None)[1] == entry.sha256
    except OSError:
        return False


def _is_safe(name: str) -> bool:
    """Whether it is a path below a folder, with nothing hidden in it."""
    parts = name.split("/")
    return "\0" not in name and all(part and not part.startswith(".") for part in parts)


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
