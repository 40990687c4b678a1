"""What Slurm says of jobs: one `squeue` for those in the queue, one `sacct` for those that have left it.

Formats: slurm.schedmd.com, pages squeue and sacct. Out of regard for the controller every question is one call,
for any number of jobs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from cluster.errors import ClusterError
from cluster.run.lease import Holder
from cluster.slurm import client
from cluster.slurm.accounting import told_name
from cluster.slurm.queued_job import ENDING, TAB, WAITING, QueuedJob, parse_rows

SQUEUE = ("--all", "--format=" + TAB.join(("%i", "%F", "%T", "%r", "%j", "%o", "%S")))
"""`--all`: a job is in the queue also where its partition is hidden."""
HEADER = TAB.join(("JOBID", "ARRAY_JOB_ID", "STATE", "REASON", "NAME", "COMMAND", "START_TIME"))
"""What squeue prints above its rows, of an empty queue too: without it there is no answer."""
SACCT = (
    *("--allocations", "--duplicates", "--noheader", "--parsable2", f"--delimiter={TAB}"),
    "--format=JobID,State,ExitCode,JobName,SubmitLine,Submit,End",
)
CANCEL_S = 2.0
"""After this a job that scancel has taken is out of the queue."""
UNDECIDED = (
    *(state for state in WAITING if state != "REQUEUED"),
    *(
        "CONFIGURING",
        "POWER_UP_NODE",
        "RUNNING",
        "SUSPENDED",
        "STOPPED",
        "RESIZING",
        "SIGNALING",
        "UPDATE_DB",
    ),
    *ENDING,
)
"""States of a start that is not over; one that was REQUEUED is, another one follows it."""


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
    submit: str = ""
    """When it was submitted, or requeued: local time, as Slurm writes it."""
    end: str = ""
    """When it ended, likewise."""


def queued(jobs: Iterable[str]) -> list[QueuedJob]:
    """Jobs in the queue, waiting or running, with these ids.

    Raises:
        ClusterError: squeue is not there, or does not answer.
    """
    return _squeue(*_choice(jobs, None))


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
    return [
        EndedJob(id, id.partition("_")[0], state.split()[0], code, told_name(name), *about)
        for id, state, code, name, *about in _rows(told, 5, 6, 7)
        if state.strip()
    ]


def job_is_alive(holder: Holder) -> bool | None:
    """Whether processes of a lease's holder may still be there; None if Slurm does not say, or is another cluster's."""
    if not holder.job or not _can_tell(holder):
        return None
    try:
        return _alive(queued([holder.job]), holder)
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
    def by_command(self) -> dict[str, list[QueuedJob]]:
        """Its rows by the script that sbatch was given."""
        rows: dict[str, list[QueuedJob]] = {}
        for job in self.jobs:
            rows.setdefault(job.command, []).append(job)
        return rows

    @cached_property
    def begun(self) -> frozenset[str]:
        """Ids of jobs and elements that run, or are about to end."""
        return frozenset(job.id for job in self.jobs if not job.waits)

    def rows_of(self, holder: Holder) -> list[QueuedJob]:
        """The rows of the job in which a lease's holder works, if they are surely its."""
        rows = self.by_job.get((holder.job or "").partition("_")[0], ())
        return [row for row in rows if _can_tell(holder) and _works(row, holder) and _named(row, holder)]

    @property
    def silence(self) -> str:
        """That squeue does not answer, and why; empty if it does."""
        return f"squeue does not answer: {self.fault}" if self.fault else ""

    def job_is_alive(self, holder: Holder, sign: float = 0.0) -> bool | None:
        """Whether processes of a lease's holder may still be there; None if nobody knows, or another cluster does.

        Args:
            holder: with its job, `14_2` or `15`.
            sign: when it was last heard of, in seconds since 1970. What is younger than this look it cannot deny.
        """
        if not _can_tell(holder):
            return None
        alive = _alive(self.by_job.get((holder.job or "").partition("_")[0], ()), holder)
        return None if alive is False and (self.time is None or sign > self.time) else alive


def cancel(*jobs: str) -> None:
    """Take jobs, with all elements of an array, out of the queue: one call, and a look at what it has left.

    Raises:
        ClusterError: Slurm refuses, or does not answer; not where all of them are gone whatever it says.
    """
    answer = client.run("scancel", *jobs)
    left = _waiting(jobs)
    if answer.ok and left:  # of a busy controller
        time.sleep(CANCEL_S)
        left = _waiting(jobs)
    if answer.ok and not left:
        return
    if left == [] and "Invalid job id" in answer.err:  # one of them was over already
        return
    named = " ".join(row.id for row in left or ()) or " ".join(jobs)
    said = "scancel did not complain, and squeue shows it still" if answer.ok else answer.said
    raise ClusterError(f"job {named} cannot be cancelled: {said}")


def _waiting(jobs: Sequence[str]) -> list[QueuedJob] | None:
    """Those of some jobs that wait in the queue; None where squeue does not answer."""
    try:
        return [row for row in queued(jobs) if row.waits]
    except ClusterError:
        return None


def _squeue(*choice: str) -> list[QueuedJob]:
    answer = client.run("squeue", *SQUEUE, *choice)
    if answer.ok and HEADER in answer.out:
        return parse_rows(answer.out)
    if not answer.ok and "Invalid job id" in answer.err:  # squeue's word for one job that is no longer known
        return []
    said = (
        answer.said if not answer.ok or answer.err or answer.out else "it printed nothing, not even a heading"
    )
    raise ClusterError(f"squeue does not answer, so that nobody knows what is queued: {said[:200]}")


def _choice(jobs: Iterable[str], name: str | None) -> Sequence[str]:
    ids = ",".join(jobs)
    assert bool(ids) != bool(name), "ask by ids or by name"
    return (f"--jobs={ids}",) if ids else (f"--user={os.getuid()}", f"--name={name}")


def _rows(text: str, *widths: int) -> list[list[str]]:
    cells = [line.split(TAB) for line in text.split("\n")]  # names may have other ends of lines in them
    return [row for row in cells if len(row) in widths]


def _can_tell(holder: Holder) -> bool:
    """Whether this Slurm is the one that the job of a holder is of: of another cluster's it knows nothing."""
    return holder.job is not None and holder.cluster in (None, client.this_cluster())


def _works(row: QueuedJob, holder: Holder) -> bool:
    """Whether a row has the id of the holder's job, and processes."""
    return not row.waits and holder.job in (row.id, row.job)


def _named(row: QueuedJob, holder: Holder) -> bool:
    """Whether a row has the name of the holder's job: another one may have got its id, or its user renamed it."""
    return not holder.name or row.name in ("", holder.name)


def _alive(rows: Iterable[QueuedJob], holder: Holder) -> bool | None:
    """Whether rows show the holder's job at work; None where one has its id and another name."""
    busy = [row for row in rows if _works(row, holder)]
    return any(_named(row, holder) for row in busy) or (None if busy else False)
