"""What `data check` has found in the data of a run, kept in the cache, so that a dry run can tell it again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cluster.files import sha256_of, write_record
from cluster.records import read_as, unless_damaged
from layalign.config import DataConfig, RunConfig
from layalign.data.sources import READERS, asked_languages
from layalign.mini import default_root


@dataclass(frozen=True, kw_only=True)
class FileState:
    """A file that was read."""

    path: str
    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileState:
        """A file as it is now."""
        told = path.stat()
        return cls(path=str(path), size=told.st_size, mtime_ns=told.st_mtime_ns, sha256=sha256_of(path))

    def is_still(self, path: Path) -> bool:
        """Whether a file holds the same: the same file untouched, or one of the same content."""
        now = path.stat()
        if now.st_size != self.size:
            return False
        untouched = str(path) == self.path and now.st_mtime_ns == self.mtime_ns
        return untouched or sha256_of(path) == self.sha256


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found: parts and wholes by the kind of text."""

    files: tuple[FileState, ...]
    unknown: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Unknown tokens, and all."""
    cut: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Texts longer than their limit, and all."""
    against: tuple[str, ...] = ()
    """Benchmarks whose questions were looked for."""
    same: int = 0
    """Rows in which one stands."""
    near: int = 0
    time: float = 0.0
    """When, in seconds since 1970."""

    def __str__(self) -> str:
        unknown = ", ".join(f"{kind} {_share(*counts)}" for kind, counts in self.unknown.items())
        cut = ", ".join(f"{kind} {_share(*counts)}" for kind, counts in self.cut.items())
        questions = f"{self.same:,} rows hold a question of {'; '.join(self.against)}, {self.near:,} nearly"
        return f"unknown tokens: {unknown}; cut: {cut}" + (f"; {questions}" if self.against else "")


def keep_checked(config: RunConfig, checked: Checked) -> None:
    """Keep what was found in the data of a run's config."""
    path = _path(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_record(path, dataclasses.asdict(checked))


def checked_before(config: RunConfig, folder: Path | None) -> Checked | None:
    """What a check for a run's models and limits has found in its files, as they are; None where there was none."""
    found = unless_damaged(read_as, Checked, _path(config), "give data check again")
    if found is None:
        return None
    files = files_of(config.data, folder)
    if len(found.files) != len(files):
        return None
    try:
        same = all(state.is_still(path) for state, path in zip(found.files, files))
    except OSError:
        return None
    return found if same else None


def files_of(data: DataConfig, folder: Path | None) -> list[Path]:
    """The files of a data set; none where they cannot be told."""
    reader = READERS[data.reader]
    try:
        return list(reader.files(reader.place(data, folder), asked_languages(data)))
    except (ValueError, OSError):
        return []


def _path(config: RunConfig) -> Path:
    """One for all that decides what a check finds, beside the files."""
    model, told = config.model, dataclasses.asdict(config.reads)
    told["models"] = [model.encoder, model.encoder_revision, model.decoder, model.decoder_revision]
    told["text"] = config.bridge.text
    key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
    return default_root().parent / "checks" / f"{key}.json"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2g} %" if part else "none"
