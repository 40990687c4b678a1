"""What Slurm says of jobs: one `squeue` for those in the queue, one `sacct` for those that have left it.

Formats: slurm.schedmd.com, pages squeue and sacct. Out of regard for the controller every question is one call,
for any number of jobs.
"""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cluster.errors import ClusterError

PATIENCE_S = 60.0
TAB = "\t"
"""Between fields: no name of a run has one."""
SQUEUE = ("squeue", "--noheader", "--format=" + TAB.join(("%i", "%F", "%T", "%r", "%j", "%o")))
SACCT = (
    *("sacct", "--allocations", "--duplicates", "--noheader", "--parsable2", f"--delimiter={TAB}"),
    "--format=JobID,State,ExitCode,JobName,SubmitLine",
)
NEVER = "DependencyNeverSatisfied"


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
    """Why it waits."""
    name: str
    command: str
    """The script that sbatch was given."""

    @property
    def hopeless(self) -> bool:
        """It waits for a job that has failed, for ever."""
        return self.state == "PENDING" and self.reason == NEVER

    def __str__(self) -> str:
        return f"{self.state}, {self.reason}" if self.state == "PENDING" else self.state


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
    told = _ask(*SQUEUE, *_choice(jobs, name))
    if "Invalid job id" in told.stderr:  # squeue's word for one job that is no longer known
        return []
    if told.returncode:
        raise ClusterError(f"squeue does not answer, so that nobody knows what is queued: {_said(told)}")
    return [QueuedJob(*row) for row in _rows(told.stdout, 6)]


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
    told = _ask(*SACCT, *_choice(jobs, name), *start)
    if told.returncode:
        return None
    rows = _rows(told.stdout, 5)
    return [
        EndedJob(id, id.partition("_")[0], state.split()[0], code, name, line)
        for id, state, code, name, line in rows
    ]


def job_is_alive(job: str) -> bool | None:
    """Whether processes of a job may still be there, be it only to end; None if Slurm does not say."""
    try:
        return any(found.state != "PENDING" for found in queued([job]))
    except ClusterError:
        return None


def cancel(job: str) -> None:
    """Take a job, with all elements of an array, out of the queue.

    Raises:
        ClusterError: Slurm refuses.
    """
    told = _ask("scancel", job)
    if told.returncode:
        raise ClusterError(f"job {job} cannot be cancelled: {_said(told)}")


def _choice(jobs: Iterable[str], name: str | None) -> Sequence[str]:
    ids = ",".join(jobs)
    assert bool(ids) != bool(name), "ask by ids or by name"
    return (f"--jobs={ids}",) if ids else (f"--user={getpass.getuser()}", f"--name={name}")


def _rows(text: str, width: int) -> list[list[str]]:
    cells = [line.split(TAB) for line in text.splitlines()]
    return [row for row in cells if len(row) == width]


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command; that it is missing or too slow is a failure like others."""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"there is no {command[0]} on this machine")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no answer within {PATIENCE_S:.0f} s")


def _said(told: subprocess.CompletedProcess[str]) -> str:
    return (told.stderr or told.stdout).strip() or f"exit status {told.returncode}"
