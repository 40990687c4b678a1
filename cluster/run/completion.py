"""`DONE`: written when all that it stands for is on disk, and believed only as long as that lies there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.files import (
    DamagedFile,
    read_json,
    read_record,
    sha256_of,
    sha256_of_head,
    sync_file,
    write_record,
)
from cluster.records import known_part

STANDS_FOR = "stands_for"
"""Key under which `DONE` says what it stands for: `bytes` and `sha256` of the result."""


@dataclass(frozen=True)
class Result:
    """The file that `DONE` of a folder stands for."""

    words: str
    """What it is, for messages: `its bridge is`."""
    path: Path
    grows: bool = False
    """Whether lines may be added later: `DONE` then stands for its beginning."""
    beside: str = ""
    """Name of the file where its own `sha256` stands too: who puts another in its place, whole, replaces both."""

    def told(self) -> dict[str, Any]:
        """Size and checksum as it is now."""
        size = self.path.stat().st_size
        return {"bytes": size, "sha256": self._sha256(size)}

    def lost(self, told: Mapping[str, Any] | None) -> str:
        """Why it is not what is told, as far as its size shows.

        `DONE` of an earlier version tells nothing: what is empty is lost, what is missing may never have been there.
        """
        size = self._size()
        if size is None:
            return f"{self.words} missing" if told else ""
        least = told["bytes"] if told else 1
        fits = size >= least if self.grows or not told else size == least
        return "" if fits else f"{self.words} damaged ({size} of {least} bytes)"

    def damage(self, told: Mapping[str, Any] | None) -> str:
        """The same by its content, all of which is read."""
        lost = self.lost(told)
        if lost or told is None:
            return lost
        digest = self._sha256(told["bytes"])
        replaced = self.beside and (read_json(self.path.with_name(self.beside)) or {}).get("sha256") == digest
        whole = digest == told["sha256"] or replaced
        return "" if whole else f"{self.words} damaged (the SHA-256 is another one than DONE says)"

    def _size(self) -> int | None:
        try:
            return os.stat(self.path).st_size
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _sha256(self, size: int) -> str:
        return sha256_of_head(self.path, size) if self.grows else sha256_of(self.path)


@dataclass(frozen=True)
class Completion:
    """What `DONE` of a folder says."""

    outcome: dict[str, Any] = field(default_factory=dict)
    """Empty where there is no `DONE`, or it does not hold."""
    holds: bool = False
    fault: str = ""
    """Why one that is there does not hold."""
    result: Result | None = None
    told: Mapping[str, Any] | None = None
    """Of the result, by `DONE`."""

    def damage(self) -> str:
        """Why the result is not what `DONE` stands for: all of it is read."""
        return self.result.damage(self.told) if self.holds and self.result else self.fault


def read_done(path: Path, result: Result | None) -> Completion:
    """What a `DONE` says, and whether it holds: it can be read, and the result has the size that it tells.

    One of an earlier version is taken as it is, unless its result is empty.
    """
    try:
        outcome = read_record(path)
    except DamagedFile as error:
        return Completion(fault=f"DONE is damaged: {error.told}")
    except OSError as error:
        return Completion(fault=f"DONE cannot be read: {error.strerror}")
    if outcome is None:
        return Completion()
    try:
        check_outcome(outcome)
    except ValueError as error:
        return Completion(fault=f"DONE is damaged: {error}")
    told = outcome.pop(STANDS_FOR, None)
    if result and (lost := result.lost(told)):
        return Completion(fault=lost)
    return Completion(outcome, True, result=result, told=told)


def check_outcome(told: Mapping[str, Any]) -> None:
    """Refuse what no version writes into a `DONE`; one of old has no checksum that would tell.

    Raises:
        ValueError: so it is.
    """
    for earlier in known_part(_Outcome, told).earlier or ():
        known_part(_Outcome, earlier)


@dataclass(frozen=True, kw_only=True)
class _Standing:
    """`Result.told`."""

    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What readers take from a `DONE`, of a run or of a cell, where it says it."""

    time: str | None = None
    step: int | None = None
    items: int | None = None
    max_new_tokens: int | None = None
    seconds: float | None = None
    device: str | None = None
    questions: str | None = None
    golds: str | None = None
    setup: str | None = None
    share: int | None = None
    file: str | None = None
    checksum: str | None = None
    answered_with: dict[str, Any] | None = None
    earlier: tuple[dict[str, Any], ...] | None = None
    stands_for: _Standing | None = None


def write_done(path: Path, outcome: Mapping[str, Any], result: Result | None) -> None:
    """Write a `DONE` when its result is on disk, in folders that are on disk, and say what that is."""
    if result is None or not result.path.exists():
        write_record(path, outcome)
        return
    sync_file(result.path)
    write_record(path, {**outcome, STANDS_FOR: result.told()})
