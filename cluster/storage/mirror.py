"""Copies that last, in a folder that nothing purges: checked byte by byte, and made again only where something changed.

    STORE/math-layalign-s2-0123abcd/...      a run folder like any other
    STORE/grids/ablations/...                a grid folder
    STORE/.kept/math-layalign-s2-0123abcd.json   manifest: size, SHA-256 and times of every file of the run

Nothing is ever deleted here: what the original has lost since stays.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cluster.errors import ClusterError
from cluster.files import DamagedFile, read_record, sync_folder, write_record
from cluster.records import typed
from cluster.storage.portable import Content, opened, size_of

CHUNK = 4 * 2**20
Tell = Callable[[int], None]
"""Takes the number of bytes that were copied."""


@dataclass(frozen=True)
class Kept:
    """A file of the store as its manifest tells it."""

    bytes: int
    sha256: str
    source_ns: int
    """When the original was written, in nanoseconds since 1970; 0 for what is no file."""
    copy_ns: int
    """When the copy was."""


@dataclass(frozen=True)
class Order:
    """What of one run or grid is to be copied."""

    name: str
    files: Mapping[str, Content]
    """All of it."""
    todo: tuple[str, ...]
    """The files that are new or have changed, in order."""
    bytes: int
    """Of `todo`."""
    folders: int
    """To be made."""


class Store:
    """The one owner of the names in such a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def manifest(self, name: str) -> Path:
        """What is known of the copy of a run or grid."""
        return self.path / ".kept" / f"{name}.json"

    def order(self, name: str, files: Mapping[str, Content]) -> Order:
        """Find out what is to be copied; reads no content of files whose times are those of the manifest.

        Raises:
            ClusterError: the store or a file cannot be read.
        """
        with _failing(name):
            known = self._known(name)
            todo = [
                path for path, content in files.items() if not self._is_kept(path, content, known.get(path))
            ]
            folders = {parent for path in todo for parent in (self.path / path).parents}
            new = sum(not folder.exists() for folder in folders)
            return Order(name, files, tuple(todo), sum(size_of(files[path]) for path in todo), new)

    def copy(self, order: Order, tell: Tell) -> None:
        """Carry an order out. What was copied before a failure is not lost: the next time goes on.

        Raises:
            ClusterError: it cannot be written or read, or a copy is not what was read.
        """
        if not order.todo:
            return
        with _failing(order.name):
            known = self._known(order.name)
            for path in order.todo:
                known[path] = self._copy(order.files[path], self.path / path, tell)
            manifest = self.manifest(order.name)
            manifest.parent.mkdir(parents=True, exist_ok=True)
            files = {path: asdict(kept) for path, kept in sorted(known.items())}
            write_record(manifest, {"name": order.name, "files": files})

    def count(self) -> int:
        """Files and folders in the store."""
        return sum(1 + len(names) for _, _, names in os.walk(self.path))

    def _known(self, name: str) -> dict[str, Kept]:
        """What was copied before; nothing, so that all is copied again, where that is not known any more."""
        try:
            told = read_record(self.manifest(name)) or {}
            return {path: typed(Kept, kept) for path, kept in told.get("files", {}).items()}
        except (DamagedFile, AttributeError, ValueError):
            return {}

    def _is_kept(self, path: str, content: Content, kept: Kept | None) -> bool:
        """Whether neither original nor copy has been written to since."""
        if kept is None:
            return False
        try:
            copy = (self.path / path).stat()
        except OSError:
            return False
        if (copy.st_size, copy.st_mtime_ns) != (kept.bytes, kept.copy_ns):
            return False
        if isinstance(content, bytes):
            return hashlib.sha256(content).hexdigest() == kept.sha256
        original = content.stat()
        return (original.st_size, original.st_mtime_ns) == (kept.bytes, kept.source_ns)

    def _copy(self, content: Content, target: Path, tell: Tell) -> Kept:
        """Copy one file, read the copy back, and only then let it take its place."""
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{uuid.uuid4().hex[:12]}.tmp")
        source_ns = content.stat().st_mtime_ns if isinstance(content, Path) else 0
        try:
            written = _pour(content, draft, tell)
            if _sum(draft) != written:
                raise ClusterError(
                    f"{target}: what was written is not what is read back; copy it again, to another --to if need be"
                )
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(target.parent)
        return Kept(*written, source_ns, target.stat().st_mtime_ns)


@contextmanager
def _failing(name: str) -> Iterator[None]:
    """Failures of reading and writing as the user is to hear of them."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise ClusterError(
            f"{name} is not kept: {where}{error.strerror or error}; the same command goes on"
        ) from None


def _pour(content: Content, target: Path, tell: Tell) -> tuple[int, str]:
    digest, size, most = hashlib.sha256(), 0, size_of(content)  # it may be growing
    with opened(content) as source, target.open("xb") as file:
        while chunk := source.read(min(CHUNK, most - size)):
            digest.update(chunk)
            file.write(chunk)
            size += len(chunk)
            tell(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    return size, digest.hexdigest()


def _sum(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
