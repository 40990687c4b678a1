"""What is known of some work and of what surrounds it: of its files, of the queue, of accounting; and what was told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cluster.job.lifecycle import ENDS
from cluster.logs.tail import last_records
from cluster.run.state import STOPPED, Cause, State
from cluster.run.work_folder import CANCELLED, WorkFolder, is_event
from cluster.slurm.queue import EndedJob, Look
from cluster.slurm.queued_job import QueuedJob
from cluster.slurm.submission import Submission, own_rows

SAVED = b'"event": "saved"'


@dataclass
class World:
    """What is known beside the files of one run."""

    look: Look
    now: float
    titles: Mapping[str, str] = field(default_factory=dict)
    """What to call a run, by the name of its folder."""
    arrays: Mapping[str, Sequence[QueuedJob]] = field(default_factory=dict)
    """Rows of the queue that will work on a grid's cell, by its name."""
    jobs: Mapping[str, str] = field(default_factory=dict)
    """Names of the runs that were submitted as jobs, by their ids."""
    states: dict[str, State] = field(default_factory=dict)
    """Of runs that others may need, by the names of their folders."""
    needs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Names of the folders of runs that a run waits for."""
    ended: Mapping[str, EndedJob] = field(default_factory=dict)
    """What accounting knows of jobs that are not in the queue."""
    asked: list[str] = field(default_factory=list)
    """Jobs whose end somebody wanted to know."""

    def end_of(self, job: str, submissions: Iterable[Submission]) -> EndedJob | None:
        """How a job ended, if what accounting knows is of it and not of another one that had its id."""
        self.asked.append(job)
        known = [row for row in [self.ended.get(job)] if row]
        return next(iter(own_rows(known, submissions)), None)

    def rows_of(self, *submissions: Submission) -> list[QueuedJob]:
        """What of some submissions is in the queue."""
        return [row for one in submissions for row in one.rows(self.look)]

    def lives(self, work: WorkFolder, sign: float) -> bool:
        """Whether somebody works there now."""
        lease = work.lease(job_is_alive=lambda holder: self.look.job_is_alive(holder, sign))
        return work.leases.exists() and lease.living_holder() is not None

    def title(self, run: str) -> str:
        return self.titles.get(run, run)

    def parents(self, run: str, submissions: Iterable[Submission]) -> list[str]:
        """Names of the folders of runs that one waits for."""
        waits = re.findall(r"\d+", " ".join(one.dependency or "" for one in submissions))
        return list(
            dict.fromkeys([*self.needs.get(run, ()), *(self.jobs[j] for j in waits if j in self.jobs)])
        )


@dataclass
class Story:
    """What events tell; each empty where there is none."""

    last: Mapping[str, Any] = field(default_factory=dict)
    """The latest of all."""
    begun: Mapping[str, Any] = field(default_factory=dict)
    """The latest start of a job."""
    end: Mapping[str, Any] = field(default_factory=dict)
    """How that ended."""
    cancelled: Mapping[str, Any] = field(default_factory=dict)
    """The latest `cancel` since."""

    @property
    def fault(self) -> str:
        """Why its result was taken back, if nothing has happened since."""
        return str(self.last.get("reason")) if self.last.get("event") == "damaged" else ""

    @classmethod
    def of(cls, work: WorkFolder) -> Story:
        """As the end of its file has it."""
        told = cls()
        for event in filter(is_event, last_records(work.events, SAVED)):
            told.last = told.last or event
            if event["event"] == "started":
                told.begun = event
                break
            if event["event"] in ENDS and (not told.end or told.end["event"] == "failed"):
                told.end = event
            if event["event"] == CANCELLED:
                told.cancelled = told.cancelled or event
        return told


@dataclass(frozen=True, kw_only=True)
class Signs:
    """What is known of one piece of work."""

    work: WorkFolder
    name: str
    """By which the arrays of grids know it."""
    done: bool = False
    lives: bool = False
    """Somebody works on it."""
    failed: str = ""
    """All that `FAILED` says."""
    fault: str = ""
    """Why it is not done, though it was."""
    story: Story = field(default_factory=Story)
    started: bool = False
    """A start is recorded, be it of a process that was no job."""
    sign: float = 0.0
    """When it was last heard of, in seconds since 1970."""
    submissions: Sequence[Submission] = ()
    """All that was submitted for it alone: that which counts first, then its rivals in a race."""
    damaged: bool = False
    """Nobody can read some of what was submitted for it."""
    parents: Sequence[str] = ()
    """Names of the folders of runs that it needs."""


@dataclass(frozen=True)
class Standing:
    """How it stands with some work."""

    state: State
    cause: str = Cause.NOTHING
    """A word of `Cause`; of a job that waits for several reasons their words, with commas."""
    note: str = ""
    """What is to be said beside the cause, or in its place where it begins with it."""
    rows: Sequence[QueuedJob] = ()
    """Of the queue, that say so."""

    @property
    def said(self) -> str:
        """`failed: out of memory`; of what goes its way the state alone."""
        plain = self.state not in (*STOPPED, State.INTERRUPTED, State.BLOCKED)
        plain = plain or self.cause in (self.state, Cause.NOTHING, Cause.UNKNOWN)
        return self.state if plain else f"{self.state}: {self.cause}"
