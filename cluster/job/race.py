"""Alternatives of one run in the queue at once: the first that starts has it, and takes the others out of the queue.

Where `scancel` is missing on compute nodes a loser finds, when it starts, that the run is taken, and ends at once.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from cluster.errors import ClusterError
from cluster.job.unit import Unit
from cluster.records import unless_damaged
from cluster.run.lease import IsAlive
from cluster.run.run_folder import RunFolder
from cluster.slurm.queue import cancel, job_is_alive, queued
from cluster.slurm.submission import Submission, SubmissionState, recorded, submission_state


def alternatives(run: RunFolder) -> list[Submission]:
    """All that was submitted for a run: that which counts first, then its rivals."""
    return [found for record in records_of(run) if (found := recorded(record))]


def records_of(run: RunFolder) -> list[Path]:
    """Where what was submitted for a run is recorded."""
    return [run.submission, *sorted(run.rivals.glob("*.json"))]


def submission_state_of_run(run: RunFolder) -> SubmissionState | None:
    """What has become of all that was submitted for a run; None if nothing was, as far as anybody knows.

    Raises:
        ClusterError: squeue does not answer.
    """
    states = [found for record in records_of(run) if (found := submission_state(record))]
    jobs = [job for state in states for job in state.jobs]
    return SubmissionState(states[0].submission, jobs) if states else None


def ends_of(run: RunFolder) -> list[str]:
    """The last element of each alternative that is in the queue now: one of them has to end well before what follows.

    Raises:
        ClusterError: squeue does not answer.
    """
    every = alternatives(run)
    rows = queued(one.job for one in every if one.job) if every else []
    return [end for one in every if (end := one.end_among(rows))]


def new_rival(run: RunFolder) -> Path:
    """Where one more alternative is recorded."""
    run.rivals.mkdir(exist_ok=True)
    return run.rivals / f"{len(list(run.rivals.iterdir()))}.json"


def forget_race(run: RunFolder) -> None:
    """Before a run is submitted anew: those of an earlier race are over."""
    shutil.rmtree(run.rivals, ignore_errors=True)


def lost(run: RunFolder, unit: Unit, alive: IsAlive = job_is_alive) -> bool:
    """Whether another alternative than this job's works on the run."""
    holder = run.lease(unit.job, unit.number, alive).living_holder()
    return bool(holder and holder.job and holder.job.partition("_")[0] != unit.submission)


def _known(record: Path) -> Submission | None:
    """A submission as far as it can be known inside a job: one that comes later finds that the run is taken."""
    try:
        return recorded(record)
    except ClusterError:
        return unless_damaged(Submission.read, record)


def win(run: RunFolder, unit: Unit) -> None:
    """Take the other alternatives out of the queue, and record this job's as the one that counts.

    To be called by the process that holds the run's lease. The folder of the rivals stays: it tells losers that
    there was a race.
    """
    records = sorted(run.rivals.glob("*.json"))
    if not records:
        return
    every = [found for record in (run.submission, *records) if (found := _known(record))]
    others = [one.job for one in every if one.job and one.job != unit.submission]
    if others:
        with contextlib.suppress(ClusterError):
            cancel(*others)
    for one in every:
        if one.job == unit.submission:
            one.write(run.submission)
    for record in records:
        record.unlink()
    run.event("won", job=unit.job, cancelled=others)
