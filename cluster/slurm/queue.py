"""What Slurm says of jobs: one `squeue` for those in the queue, one `sacct` for those that have left it.

Formats: slurm.schedmd.com, pages squeue and sacct. Out of regard for the controller every question is one call,
for any number of jobs.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from cluster.errors import ClusterError
from cluster.slurm import client

TAB = "\t"
"""Between fields: no name of a run has one."""
SQUEUE = ("--noheader", "--all", "--format=" + TAB.join(("%i", "%F", "%T", "%r", "%j", "%o", "%S")))
"""`--all`: a job is in the queue also where its partition is hidden."""
SACCT = (
    *("--allocations", "--duplicates", "--noheader", "--parsable2", f"--delimiter={TAB}"),
    "--format=JobID,State,ExitCode,JobName,SubmitLine",
)
JOB_ID = r"[1-9]\d*"
"""The id that sbatch gives."""
ELEMENTS = r"\d+(?:-\d+(?::\d+)?)?"
"""Of an array: `11`, `4-9` or `0-8:2`."""
NEVER = "DependencyNeverSatisfied"
WAITING = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD")
"""States in which a job has no processes; squeue shows a flag (`REQUEUE_HOLD`) instead of PENDING."""
ENDING = ("COMPLETING", "STAGE_OUT")
UNDECIDED = (
    *(
        "PENDING",
        "REQUEUE_FED",
        "REQUEUE_HOLD",
        "SPECIAL_EXIT",
        "RESV_DEL_HOLD",
        "CONFIGURING",
        "POWER_UP_NODE",
    ),
    *("RUNNING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "COMPLETING", "STAGE_OUT"),
)
"""States of a start that is not over; one that was REQUEUED is, another one follows it."""


@dataclass(frozen=True)
class QueuedJob:
    """A job, or the waiting elements of an array, as squeue shows them."""

    id: str
    """`12`, `12_3`, or `12_[4-9%1]` for elements that wait."""
    job: str
    """`12`: the id that sbatch gave."""
    state: str
    """PENDING, RUNNING, ..."""
    reason: str
    """Why it waits; of elements that differ all their reasons."""
    name: str = ""
    command: str = ""
    """The script that sbatch was given."""
    start: str = ""
    """When it started, or is expected to: `2026-11-21T09:50:41`, or `N/A`."""

    @property
    def waits(self) -> bool:
        """It has no processes."""
        return self.state in WAITING

    @property
    def elements(self) -> int:
        """Jobs that this row stands for: `12_[4-9,11%1]` is seven. At least, where the list is cut."""
        return sum(map(len, self._numbers())) or 1

    @property
    def cut(self) -> bool:
        """squeue has cut the list of its elements short: `12_[0,2,4,...]`, or in the middle of a number.

        As `SLURM_BITSTR_LEN` is 0 it does so only where a wrapper takes that away. `--array` is no way out: it reads
        the very text that was cut, and loses the last element of `0-8:2` (bitfmt2int, all versions).
        """
        return "_[" in self.id and not re.fullmatch(rf"\d+_\[{ELEMENTS}(?:,{ELEMENTS})*(?:%\d+)?\]", self.id)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it waits, each reason for itself; a state that says it (`SPECIAL_EXIT`) instead.

        Some reasons have commas of their own: `DOWN, DRAINED`, `ng[1,3]`.
        """
        if self.waits and self.state != "PENDING":
            return (self.state,)
        return tuple(re.split(r",(?=[A-Z]+[a-z][A-Za-z]+(?:,|$))", self.reason))

    @property
    def hopeless(self) -> bool:
        """It waits for a job that has failed, for ever."""
        return self.waits and set(self.reasons) == {NEVER}

    @property
    def ending(self) -> bool:
        """It takes up no more work, though its processes may still be there."""
        return self.state in ENDING

    def holds(self, job: str) -> bool:
        """Whether it is a job, or stands for an element: `12_[4-9%1]` for `12_5`."""
        array, _, element = job.partition("_")
        if job in (self.id, self.job):
            return True
        listed = self.cut or any(element.isdecimal() and int(element) in part for part in self._numbers())
        return array == self.job and (listed or self.id == self.job)

    def _numbers(self) -> list[range]:
        """Elements of its list, as far as it can be read."""
        listed = self.id.partition("_[")[2].partition("]")[0].partition("%")[0].split(",")
        if self.cut and not self.id.endswith("...]"):
            listed.pop()  # it may go on
        return [_range(part) for part in listed if re.fullmatch(ELEMENTS, part)]

    def __str__(self) -> str:
        return f"{self.state}, {self.reason}" if self.waits else self.state


@dataclass(frozen=True)
class EndedJob:
    """A job, or an element of an array, as sacct shows it; once for every time that it was started."""

    id: str
    job: str
    state: str
    """COMPLETED, FAILED, TIMEOUT, NODE_FAIL, PREEMPTED, REQUEUED, CANCELLED, OUT_OF_MEMORY, ..."""
    exit: str
    """Status and signal: `0:9`."""
    name: str
    command: str
    """The line that submitted it; empty where Slurm does not keep it."""


def queued(jobs: Iterable[str] = (), *, name: str | None = None) -> list[QueuedJob]:
    """Jobs in the queue, waiting or running, with these ids or (of this user) this name.

    Raises:
        ClusterError: squeue is not there, or does not answer.
    """
    return _squeue(*_choice(jobs, name))


def all_queued() -> list[QueuedJob]:
    """Every job of this user in the queue, waiting or running: one call, whatever is asked of the answer.

    Raises:
        ClusterError: as `queued`.
    """
    return _squeue(f"--user={os.getuid()}")


def still_queued(jobs: Sequence[str]) -> list[str]:
    """Those of some jobs and elements that squeue shows now: a dependency may name no other.

    One that the controller has forgotten (`MinJobAge`) counts as over, and well, on 22.05, and is refused on 24.11.

    Raises:
        ClusterError: as `queued`.
    """
    rows = queued(jobs) if jobs else []
    return [job for job in jobs if any(row.holds(job) for row in rows)]


def ended(
    jobs: Iterable[str] = (), *, name: str | None = None, since: datetime | None = None
) -> list[EndedJob] | None:
    """What accounting knows of jobs, oldest first; it lags by seconds. None: there is none, or no answer.

    Args:
        jobs: ids; or
        name: of jobs of this user.
        since: earliest end, local time; None is today.
    """
    start = (f"--starttime={since:%Y-%m-%dT%H:%M:%S}",) if since else ()
    told = client.ask("sacct", *SACCT, *_choice(jobs, name), *start)
    if told is None:
        return None
    rows = _rows(told, 5)
    return [
        EndedJob(id, id.partition("_")[0], state.split()[0], code, name, line)
        for id, state, code, name, line in rows
    ]


def job_is_alive(job: str) -> bool | None:
    """Whether processes of a job may still be there, be it only to end; None if Slurm does not say."""
    try:
        return any(not row.waits for row in queued([job]) if job in (row.id, row.job))
    except ClusterError:
        return None


@dataclass(frozen=True)
class Look:
    """The user's jobs in the queue, as squeue showed them at one moment."""

    jobs: tuple[QueuedJob, ...] = ()
    time: float | None = None
    """When, in seconds since 1970; None: never, as there is no Slurm here or it has not answered yet."""
    fault: str = ""
    """What squeue said when it was asked last and did not answer."""

    @classmethod
    def now(cls) -> Look:
        """A fresh one.

        Raises:
            ClusterError: as `queued`.
        """
        return cls(tuple(all_queued()), time.time())

    @classmethod
    def attempt(cls) -> Look:
        """A fresh one; where squeue does not answer, that is all that it tells."""
        try:
            return cls.now()
        except ClusterError as error:
            return cls(fault=str(error).partition(": ")[2] or str(error))

    @cached_property
    def by_job(self) -> dict[str, list[QueuedJob]]:
        """Its rows by the id that sbatch gave."""
        rows: dict[str, list[QueuedJob]] = {}
        for job in self.jobs:
            rows.setdefault(job.job, []).append(job)
        return rows

    @cached_property
    def begun(self) -> frozenset[str]:
        """Ids of jobs and elements that run, or are about to end."""
        return frozenset(job.id for job in self.jobs if not job.waits)

    @property
    def silence(self) -> str:
        """That squeue does not answer, and why; empty if it does."""
        return f"squeue does not answer: {self.fault}" if self.fault else ""

    def job_is_alive(self, job: str, sign: float = 0.0) -> bool | None:
        """Whether a job's processes may still be there; None if nobody knows.

        Args:
            job: `14_2` or `15`.
            sign: when it was last heard of, in seconds since 1970. What is younger than this look it cannot deny.
        """
        if job in self.begun:
            return True
        return None if self.time is None or sign > self.time else False


def cancel(*jobs: str) -> None:
    """Take jobs, with all elements of an array, out of the queue: one call.

    Raises:
        ClusterError: Slurm refuses.
    """
    answer = client.run("scancel", *jobs)
    if not answer.ok:
        raise ClusterError(f"job {' '.join(jobs)} cannot be cancelled: {answer.said}")


def counted(jobs: Iterable[QueuedJob]) -> str:
    """How many jobs rows stand for: `7`, or `at least 7`."""
    rows = list(jobs)
    return "at least " * any(row.cut for row in rows) + f"{sum(row.elements for row in rows):,}"


def _squeue(*choice: str) -> list[QueuedJob]:
    answer = client.run("squeue", *SQUEUE, *choice)
    if "Invalid job id" in answer.err:  # squeue's word for one job that is no longer known
        return []
    if not answer.ok:
        raise ClusterError(f"squeue does not answer, so that nobody knows what is queued: {answer.said}")
    return parse_rows(answer.out)


def parse_rows(text: str) -> list[QueuedJob]:
    """Rows of squeue. A name may have anything in it; what does not begin as a row does is a banner of the site."""
    rows = []
    for line in text.split("\n"):
        id, job, state, reason, *rest = [*line.split(TAB), "", "", ""][: max(4, line.count(TAB) + 1)]
        if re.fullmatch(JOB_ID, job) and re.match(rf"{job}(?![0-9])", id):
            name, command, start = (TAB.join(rest[:-2]), *rest[-2:]) if len(rest) > 2 else ("", "", "")
            rows.append(QueuedJob(id, job, state, reason, name, command, start))
    return rows


def _range(part: str) -> range:
    """Numbers in `4-9`, `0-9:2` or `11`."""
    numbers, _, step = part.partition(":")
    first, _, last = numbers.partition("-")
    return range(int(first), int(last or first) + 1, int(step or 1))


def _choice(jobs: Iterable[str], name: str | None) -> Sequence[str]:
    ids = ",".join(jobs)
    assert bool(ids) != bool(name), "ask by ids or by name"
    return (f"--jobs={ids}",) if ids else (f"--user={os.getuid()}", f"--name={name}")


def _rows(text: str, width: int) -> list[list[str]]:
    cells = [line.split(TAB) for line in text.splitlines()]
    return [row for row in cells if len(row) == width]
