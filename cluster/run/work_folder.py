"""Folders that one process at a time works on until they are done: a run, a cell of an evaluation."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError, remedy
from cluster.escapes import without_escapes
from cluster.files import (
    DamagedFile,
    append_jsonl,
    create_atomic,
    read_jsonl,
    read_record,
    write_record,
)
from cluster.permissions import check_writers
from cluster.provenance import provenance
from cluster.quantities import epoch_s
from cluster.run.below import Below
from cluster.run.completion import Completion, Result, read_done, write_done
from cluster.run.lease import HELD, IsAlive, Lease
from cluster.run.state import Cause, State
from cluster.secret import hidden

TEXTS = ("job", "log", "nodes", "cause", "submission", "reason", "name", "began", "ended")
NUMBERS = ("unit", "restart", "log_from", "rank", "step")
"""Keys of events, where they have them."""
STARTED = ("job", "log_from")
"""Keys of the start of a job, which has a log."""
CANCELLED = "cancelled"
"""An event: the user had its jobs taken out of the queue; accounting, where there is any, need not say so."""
AHEAD_S = 60.0
"""A sign of life that is further ahead of the clock than this, as after a step of it, is not shown as one."""
HEARTBEAT_S = 30.0
"""At most one heartbeat in this many seconds: a training step is shorter, and file servers are shared."""


class WorkFolder:
    """Files that tell what has become of some work, each with one writer at a time.

    Args:
        path: of the folder.
        title: what it is, for messages: `run math-layalign-s1-0123abcd`.
    """

    starts = Below("starts.jsonl")
    events = Below("events.jsonl")
    heartbeat = Below("heartbeat.json")
    leases = Below("lease")
    done = Below("DONE")
    failed = Below("FAILED")

    def __init__(self, path: Path, title: str) -> None:
        self.path = path
        self.title = title
        self._beaten = 0.0

    @property
    def result(self) -> Result | None:
        """What `DONE` stands for, where it stands for a file."""
        return None

    def start(self, **facts: Any) -> None:
        """Record that a process starts to work here: code, versions, machine, and what the caller adds."""
        self.check_holder()
        append_jsonl(self.starts, {"time": now(), **self.lease_number(), **provenance(), **facts})

    def event(self, kind: str, /, **facts: Any) -> None:
        """Record what happened, with the time."""
        self.check_holder()
        told = {key: hidden(fact) if isinstance(fact, str) else fact for key, fact in facts.items()}
        append_jsonl(self.events, {"time": now(), "event": kind, **told})

    def history(self) -> list[dict[str, Any]]:
        """The events, in order, less such as no version has written: a bit of their line has changed."""
        return [event for event in read_jsonl(self.events) if is_event(event)]

    def beat(self, **facts: Any) -> None:
        """Give a sign of life. To be called as often as is convenient: it writes at most every 30 seconds."""
        if time.monotonic() - self._beaten >= HEARTBEAT_S:
            self.check_holder()
            write_record(self.heartbeat, {"time": now(), **facts})
            self._beaten = time.monotonic()

    def last_beat(self) -> dict[str, Any]:
        """The latest sign of life: `time`, and numbers; empty where there is none that can be read.

        Nothing but what is shown depends on it: whether somebody lives is asked of the lease.
        """
        try:
            told = read_record(self.heartbeat) or {}
        except DamagedFile:
            return {}
        numbers = {
            key: n
            for key, n in told.items()
            if isinstance(n, int | float) and math.isfinite(n) and key != "time"
        }
        when = epoch_s(told.get("time"))
        return numbers | ({"time": told["time"]} if when and when < time.time() + AHEAD_S else {})

    def lease(
        self,
        job: str | None = None,
        unit: int = 0,
        job_is_alive: IsAlive | None = None,
        wait_s: float = 0.0,
    ) -> Lease:
        """The right to work here, held inside `with`; `cluster.run.lease.Lease` has the arguments.

        Raises:
            ClusterError: on entering, when another process works here.
        """
        return Lease(self.leases, self.heartbeat, self.title, job, unit, job_is_alive, wait_s)

    def check_holder(self) -> None:
        """Look at the lease, if this process holds it, right before something is written that others will believe.

        Raises:
            Superseded: another process has taken the work over.
        """
        if held := HELD.get(self.leases):
            held.check()

    def lease_number(self) -> dict[str, int]:
        """The number of this process's lease, as records carry it; nothing if it holds none."""
        held = HELD.get(self.leases)
        return {"lease": held.number} if held else {}

    def finish(self, **outcome: Any) -> None:
        """The work is over: record it, and write `DONE` last, when all that it stands for is on disk."""
        self.event("finished", **outcome)
        self.failed.unlink(missing_ok=True)
        self.write_done({"time": now(), **outcome})

    def write_done(self, outcome: Mapping[str, Any]) -> None:
        """Write `DONE` and what it stands for, after that is on disk."""
        write_done(self.done, outcome, self.result)

    def completion(self) -> Completion:
        """What `DONE` says, and why it does not hold where it does not; looks at sizes only."""
        return read_done(self.done, self.result)

    def is_done(self) -> bool:
        """Whether the work is over and its result lies there, by its size; whoever uses that calls `damage`."""
        return self.completion().holds

    def damage(self) -> str:
        """Why what `DONE` stands for is not what was written, all of it read; empty if it is, or nothing is done."""
        completion = self.completion()
        if completion.holds and self.result and not self.result.path.exists() and self.starts.exists():
            return f"{self.result.words} missing"  # of a `DONE` of an earlier version, which does not tell
        return completion.damage()

    def withdraw(self, fault: str) -> None:
        """Take `DONE` back whose result is damaged: the work is to be done again, as far as it is lost."""
        self.event("damaged", reason=fault)
        self.done.unlink(missing_ok=True)

    def withdraw_damaged(self) -> str:
        """`withdraw` where there is `damage`, and tell that. A size that is wrong takes nothing back: it may be right
        a moment later, on a file system that answers late, and nothing is done as long as it is wrong."""
        fault = self.damage()
        if fault and self.is_done():
            self.withdraw(fault)
        return fault

    def fail(self, told: str, **facts: Any) -> bool:
        """The work cannot go on: whoever comes later sees it and does not start.

        Any process of a job may call it, as the one that writes the events may be stuck; the first to do so is heard.

        Args:
            told: the reason in its first line, then what helps.
            facts: for the record.

        Returns:
            Whether this is the first reason.
        """
        self.check_holder()
        first = create_atomic(self.failed, hidden(told))
        if first:
            self.event("failed", reason=told.partition("\n")[0], progress=self.progress(), **facts)
        return first

    def progress(self) -> int:
        """How far the work is, in whatever it counts: a later failure at the same number came without progress."""
        return 0

    def forgive(self, asked: bool = False) -> None:
        """Take a `FAILED` of an earlier start back.

        Args:
            asked: the user has said that what it needs is changed.
        """
        if self.failed.exists():
            self.event("retried", reason=self.reason(), asked=asked)
            self.failed.unlink(missing_ok=True)

    def reason(self) -> str:
        """Why it failed, in a line; empty if it did not."""
        return self.failure().partition("\n")[0]

    def failure(self) -> str:
        """All that `FAILED` says; empty if it did not fail."""
        try:
            return without_escapes(self.failed.read_text(encoding="utf-8", errors="replace")) or "failed"
        except FileNotFoundError:
            return ""

    def state(self, job_is_alive: IsAlive | None = None) -> State:
        """What the files say; `job_is_alive` asks the scheduler about the job of a process elsewhere.

        Whoever has looked at the queue asks `jobs.board.state`, which knows more.
        """
        if self.is_done():
            return State.DONE
        if self.lease(job_is_alive=job_is_alive).living_holder():
            return State.RUNNING
        if reason := self.reason():
            return State.CANCELLED if reason.startswith(f"{Cause.CANCELLED}:") else State.FAILED
        return State.INTERRUPTED if self.done.exists() or read_jsonl(self.starts) else State.NEW

    def outcome(self) -> dict[str, Any]:
        """What `DONE` holds; empty if the work is not over, or its result is lost."""
        return self.completion().outcome


def is_event(told: dict[str, Any]) -> bool:
    """Whether a line of events is one: what it is and when, and all else of the type that its readers take it for."""
    texts = all(isinstance(told.get(key), str | None) for key in TEXTS)
    numbers = all(isinstance(told.get(key), int | None) for key in NUMBERS)
    started = told.get("event") != "started" or not told.get("log") or set(STARTED) <= told.keys()
    return (
        texts
        and numbers
        and started
        and isinstance(told.get("event"), str)
        and bool(epoch_s(told.get("time")))
    )


def cancels(event: Mapping[str, Any], job: str | None) -> bool:
    """Whether an event tells that a job, or its array, was taken out of the queue at its user's wish."""
    jobs = event.get("jobs") if event.get("event") == CANCELLED else None
    return bool(job) and isinstance(jobs, list) and not {job, str(job).partition("_")[0]}.isdisjoint(jobs)


class JobHome(WorkFolder):
    """A folder that jobs are started for: a run, or a grid.

    Args:
        path: of the folder.
        title: what it is, for messages.
        root: folder of all runs.
    """

    slurm = Below("slurm")
    """Scripts and logs of jobs."""

    def __init__(self, path: Path, title: str, root: Path) -> None:
        super().__init__(path, title)
        self.root = root

    def new_job_folder(self) -> Path:
        """Make a folder for logs and call of one local job. Process numbers come again, so they alone name none.

        Raises:
            ClusterError: it cannot be written, or others can write where the call is to lie.
        """
        check_writers(self.slurm, self.root)
        folder = self.slurm / f"{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise self.unwritable(error) from None
        return folder

    def unwritable(self, error: OSError) -> ClusterError:
        """What to tell where the folder cannot be made or written."""
        return ClusterError(
            f"{self.title}: folder {self.path} cannot be written: {error.strerror}; {remedy(error)}"
        )


def now() -> str:
    """The time as records carry it."""
    return as_recorded(time.time())


def as_recorded(moment_s: float) -> str:
    """Seconds since 1970 as records carry them: ISO 8601, UTC, to the millisecond."""
    return datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="milliseconds")
