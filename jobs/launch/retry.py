"""The chain of units that trains a run, and why one is not submitted, or not again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster.job.unit import terms
from cluster.launch.submit import PreparedJob, prepare_job, signal_of
from cluster.logs.failure import failure_of
from cluster.logs.pending_reasons import never_starts, standstill
from cluster.profile.load import SlurmProfile
from cluster.profile.resources import Resources
from cluster.run.run_folder import RunFolder
from cluster.run.snapshot import Snapshot
from cluster.slurm.queue import job_is_alive
from cluster.slurm.submission import Submission, SubmissionState
from jobs.work.call import JobCall

MORE = 1.5
"""Times the memory that `--more-mem` asks for."""


def prepared_training(
    run: RunFolder,
    told: Mapping[str, Any],
    profile: SlurmProfile,
    resources: Resources,
    dependency: str | None = None,
    record: Path | None = None,
    snapshot: Snapshot | None = None,
) -> PreparedJob:
    """The chain of units that trains a run.

    Args:
        run: the run.
        told: what the job is told (`Plan.told_to_train`); of it the record keeps what no file of the run has.
        profile: of the cluster.
        resources: of one unit, and the number of units.
        dependency: when it may start.
        record: where it is recorded; None is as the one that counts.
        snapshot: of the code, where it was taken for other jobs already.
    """
    signal_s = signal_of(run, resources)
    return prepare_job(
        JobCall("train", {**told, "terms": terms(profile, resources, signal_s)}),
        run,
        profile,
        resources,
        record or run.submission,
        name=f"{run.name}-s{run.stage}",
        signal_s=signal_s,
        dependency=dependency,
        told={"data": told["data"], "parent": told["parent"]},
        snapshot=snapshot,
    )


def lost_parent(run: RunFolder, parent: RunFolder) -> str:
    """Why a run is not submitted whose parent is not done, and has no job in the queue that it could wait for."""
    return (
        f"{run.title} starts from {parent.title}, which is not done ({parent.state(job_is_alive)}), and nothing in "
        f"the queue will bring it about: python launch.py why {parent.path.name}; then submit that one again"
    )


def failed_alike(
    run: RunFolder, before: Submission, asked: Sequence[Resources], told: Mapping[str, Any]
) -> list[str]:
    """Why a run that failed by what needs a change is not queued again by a command that changes nothing.

    Args:
        run: the run.
        before: as it was submitted when it failed.
        asked: what one unit, and how many, are to be now; of alternatives each.
        told: what the job would be told now.

    Returns:
        Nothing where it has not failed, its cause may be over, or resources, code, data or settings are others.
    """
    failure = failure_of(run)
    if failure is None or failure.passing:
        return []
    if before.resources not in asked or before.told.get("data") != told["data"]:
        return []
    if not run.has_config(told["config"]) or before.tree != Snapshot.of(run.root).tree:
        return []
    return [
        f"{run.title} has failed, and the same command would end the same way: {failure.told()}; change the "
        f"command (-o, --mem, --time, ...), or once what it says is changed: python launch.py retry {run.path.name}"
    ]


def failed_while_queued(run: RunFolder, forgive: bool) -> str:
    """Let what is queued of a run take it up after a failure by what may be over; says so, or what it needs instead.

    Args:
        run: the run.
        forgive: False only tells.
    """
    failure = failure_of(run)
    if failure is None:
        return ""
    if not failure.passing:
        return (
            f"\n  but it has failed, and what is queued ends at once: {failure.told()}; once that is changed: "
            f"python launch.py retry {run.path.name}, when the queue has none of it"
        )
    if forgive:
        run.forgive()
    return f"\n  taken up again by what is queued, after: {failure.reason}"


def never_to_start(run: RunFolder, standing: SubmissionState) -> str:
    """Why what is queued of a run is not left there: its request is one that never starts. Empty if it may."""
    stands = standstill(standing.jobs)
    if stands is None or not never_starts(stands[1].line):
        return ""
    return (
        f"{run.title} is queued as {standing}, and {stands[1].told()}; take it out of the queue, "
        f"scancel {' '.join(standing.ids)}, and give the same command again with another request"
    )


def still_standing(standing: SubmissionState) -> str:
    """What is added where what is queued does not start by itself, or ends."""
    if standing.ends:
        return "\n  it is about to end: give the same command again once it has"
    if (stands := standstill(standing.jobs)) is None:
        return ""
    row, finding = stands
    return f"\n  but {finding.told()}: {'; or '.join(finding.advice({'job': row.job}))}"
