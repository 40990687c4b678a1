"""Looks at the queue that are shared: kept in a file, so that no loop asks the controller more than once a minute.

Whoever shows the queue takes its `Look` from here; whoever changes it calls `forget`. A controller that is slow or
silent is asked ever more seldom. docs.alliancecan.ca/wiki/Running_jobs asks for no frequent squeue.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from cluster.files import DamagedFile, read_record, write_record
from cluster.records import typed
from cluster.run.lease import Holder
from cluster.slurm import client
from cluster.slurm.queue import SQUEUE, UNDECIDED, EndedJob, Look, ended, job_is_alive
from cluster.slurm.queued_job import QueuedJob

EVERY_S = 60.0
"""Between two questions, however many processes ask."""
SANDBOX_S = 2.0
"""The same for a Slurm of one's own."""
SLOW_S = 5.0
"""An answer that takes longer makes the interval twice as long."""
LONGEST_S = 600.0
MOST = 1024
"""Intervals that a silent controller is left alone, if they are short."""
CHANGES = (*UNDECIDED, "REQUEUED")
"""States that accounting will still correct."""


class QueueCache:
    """Looks that are shared by all processes of a user that work with one folder of runs.

    What was answered and when it was asked are files of their own: a process that is about to ask undoes no answer.

    Args:
        root: the folder of all runs, below which they are; where that cannot be written, or is None, this process
            alone knows.
        every_s: least number of seconds between two questions.
    """

    def __init__(self, root: Path | None = None, every_s: float = EVERY_S) -> None:
        self.folder = cache_folder(root) if root else None
        self.every_s = every_s
        self.latest = Look()
        """As `job_is_alive` took it."""
        self._unwritten: dict[str, dict[str, Any]] = {}

    def look(self) -> Look:
        """The queue: as it is, or as it was when it was asked within the interval."""
        kept = self._read("squeue")
        if client.installed("squeue") and self._due("squeue", kept):
            with self._asking("squeue", kept):
                look = Look.attempt()
                kept["fault"] = look.fault
                if not look.fault:
                    kept |= {"jobs": [list(asdict(job).values()) for job in look.jobs], "seen": time.time()}
        seen = tuple(QueuedJob(*row) for row in kept.get("jobs", ()))
        return Look(seen, kept.get("seen"), kept.get("fault", ""))

    def job_is_alive(self, holder: Holder) -> bool | None:
        """`queue.job_is_alive` for many questions: that a job lives is believed for as long as a look lasts.

        That it does not is looked up.
        """
        if self.latest.time is None or time.time() - self.latest.time >= self.every_s:
            self.latest = self.look()
        return True if self.latest.job_is_alive(holder) else job_is_alive(holder)

    def ended(self, jobs: Iterable[str]) -> dict[str, EndedJob]:
        """How jobs that have left the queue ended, by id, as far as accounting knows: at most one `sacct`.

        What is known is kept, since it does not change any more.

        Args:
            jobs: `14_2`, `15`, or `14` for whichever of its elements ended last.
        """
        wanted = list(dict.fromkeys(jobs))
        kept = self._read("sacct")
        known, missed = kept.get("ended", {}), kept.get("missed", {})
        asked = [
            job for job in wanted if job not in known and abs(time.time() - missed.get(job, 0)) > LONGEST_S
        ]
        if asked and client.installed("sacct") and self._due("sacct", kept):
            with self._asking("sacct", kept):
                rows = ended(asked)
                kept["fault"] = "no answer" if rows is None else ""
                known = {**known, **_by_id(rows or (), asked)}
                unknown = [job for job in asked if job not in known] if rows is not None else []
                kept["missed"] = {**missed, **dict.fromkeys(unknown, time.time())}
                kept["ended"] = {job: row for job, row in known.items() if row["state"] not in CHANGES}
        return {job: EndedJob(**known[job]) for job in wanted if job in known}

    @contextlib.contextmanager
    def _asking(self, what: str, kept: dict[str, Any]) -> Iterator[None]:
        """The time of one question, told to others before it; what the body puts into `kept` is written after it."""
        self._write(f"{what}-asked", {"time": time.time()})
        began = time.monotonic()
        yield
        slow = kept["fault"] or time.monotonic() - began > SLOW_S
        kept["times"] = min(kept.get("times", 1) * 2, MOST) if slow else 1
        self._write(what, kept)

    def _due(self, what: str, kept: dict[str, Any]) -> bool:
        wait = min(self.every_s * kept.get("times", 1), LONGEST_S)
        return not 0 <= time.time() - self._read(f"{what}-asked").get("time", 0.0) < wait

    def _read(self, name: str) -> dict[str, Any]:
        kept = self._unwritten.get(name) or (_read(self.folder / f"{name}.json") if self.folder else {})
        return kept if kept.get("of") == origin() else {}

    def _write(self, name: str, kept: dict[str, Any]) -> None:
        kept["of"] = origin()
        if self.folder is None:
            self._unwritten[name] = kept
            return
        try:
            self.folder.mkdir(exist_ok=True)
            write_record(self.folder / f"{name}.json", kept)
        except OSError:
            self._unwritten[name] = kept


def forget(root: Path) -> None:
    """Have the next look ask anew: to be called by whoever has submitted or cancelled jobs of these runs."""
    with contextlib.suppress(OSError):
        (cache_folder(root) / "squeue-asked.json").unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    """What is kept in a file; one that is damaged, or of another form, is none: it is asked for anew."""
    try:
        told = read_record(path) or {}
        rows = typed(_Kept, told) if told else _Kept()
        for job in rows.ended.values():
            typed(EndedJob, job)
        sound = all(len(row) == len(fields(QueuedJob)) for row in rows.jobs)
        return told if sound and all(isinstance(n, int | float) for n in rows.missed.values()) else {}
    except (DamagedFile, ValueError):
        return {}


@dataclass(frozen=True)
class _Kept:
    """The form of a file: an answer, or when it was asked for."""

    of: tuple[str, ...] = ()
    fault: str = ""
    times: int = 1
    time: float = 0.0
    jobs: tuple[tuple[str, ...], ...] = ()
    seen: float | None = None
    ended: dict[str, Any] = field(default_factory=dict)
    missed: dict[str, Any] = field(default_factory=dict)


def cache_folder(root: Path) -> Path:
    """Where what this user was answered is kept."""
    return root / f".queue-{getpass.getuser()}"


def origin() -> list[str]:
    """Whose answers are kept, in which form: a sandbox's are another's."""
    return [SQUEUE[-1], os.environ.get("SLURM_CONF", "")]


def _by_id(rows: Iterable[EndedJob], asked: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The rows that were asked for, the last of each; `14` is any element of it."""
    found = {}
    for row in rows:
        for job in {row.id, row.job}.intersection(asked):
            found[job] = asdict(row)
    return found
