"""Answers that change slowly, kept in a file: no command asks for quotas or shares twice in ten minutes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster.files import DamagedFile, read_record, write_record
from cluster.records import typed
from cluster.slurm.queue_cache import cache_folder, origin

EVERY_S = 600.0
"""Between two questions."""


@dataclass(frozen=True)
class Kept:
    """The form of a file."""

    of: tuple[str, ...]
    """Whose answer it is."""
    asked: float
    """When it was asked last, in seconds since 1970."""
    text: str | None = None
    """The last answer; None where there was none yet."""
    time: float = 0.0
    """When that was given."""


@dataclass(frozen=True, kw_only=True)
class AnswerCache:
    """Answers that all commands of a user share which work with one folder of runs."""

    root: Path
    """The folder of all runs; where it is not there yet, nothing is kept."""
    write: bool = True
    """False for a dry run, which leaves nothing behind: what others kept is believed."""

    def ask(
        self, what: str, question: Callable[[], str | None], of: str = "", every_s: float = EVERY_S
    ) -> Kept:
        """The answer to a question, asked at most once in an interval, whether it was answered or not.

        Args:
            what: name of the file.
            question: gives the answer; None where there is none.
            of: whom it is put to; the answer of another does not count.
            every_s: the interval; after a question that was not answered no more than `EVERY_S`.
        """
        path, whose = cache_folder(self.root) / f"{what}.json", (*origin(), of)
        kept = _read(path, whose)
        wait = every_s if kept.time == kept.asked else min(every_s, EVERY_S)
        if 0 <= time.time() - kept.asked < wait:
            return kept
        kept = Kept(whose, time.time(), kept.text, kept.time)
        self._write(path, kept)  # who is killed meanwhile has asked
        text = question()
        if text is not None:
            kept = Kept(whose, kept.asked, text, kept.asked)
            self._write(path, kept)
        return kept

    def _write(self, path: Path, kept: Kept) -> None:
        if self.write and self.root.is_dir():
            with contextlib.suppress(OSError):
                path.parent.mkdir(exist_ok=True)
                write_record(
                    path, {"of": list(kept.of), "asked": kept.asked, "text": kept.text, "time": kept.time}
                )


def _read(path: Path, of: tuple[str, ...]) -> Kept:
    """What is kept; what is damaged, of another form or another's is asked for anew."""
    with contextlib.suppress(DamagedFile, ValueError):
        told = read_record(path)
        kept = typed(Kept, told) if told else None
        if kept and kept.of == of:
            return kept
    return Kept(of, 0.0)
