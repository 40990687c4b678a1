"""The chain of units that trains a run, as it is first submitted, and again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.job.race import ends_of, submission_state_of_run
from cluster.job.unit import terms
from cluster.launch.submit import PreparedJob, ask_controller, prepare_job, signal_of, submit_slurm
from cluster.logs.failure import failure_of
from cluster.logs.pending_reasons import never_starts, standstill
from cluster.profile.load import SlurmProfile, slurm_only
from cluster.profile.resources import Resources, difference, more_memory, resources_again, summary
from cluster.records import unless_damaged
from cluster.run.grid_folder import all_grids
from cluster.run.run_folder import FOLDER, RunFolder
from cluster.run.snapshot import Snapshot
from cluster.slurm.queue import Look, job_is_alive
from cluster.slurm.queue_cache import forget
from cluster.slurm.submission import Submission, SubmissionState, recorded
from jobs.cell.cell import wanted_cells
from jobs.launch.site_checks import Site
from jobs.recipe.context import How, Where, context_again
from jobs.recipe.describe import agreed, refused, warn
from jobs.recipe.offer import Offer, Part
from jobs.recipe.offer import told as told_of
from jobs.recipe.weights import check_signature
from jobs.work.call import JobCall
from layalign.config import RunConfig

MORE = 1.5
"""Times the memory that `--more-mem` asks for."""


def prepared_training(
    run: RunFolder,
    told: Mapping[str, Any],
    profile: SlurmProfile,
    resources: Resources,
    dependency: str | None = None,
    record: Path | None = None,
) -> PreparedJob:
    """The chain of units that trains a run.

    Args:
        run: the run.
        told: what the job is told (`Plan.told_to_train`); of it the record keeps what no file of the run has.
        profile: of the cluster.
        resources: of one unit, and the number of units.
        dependency: when it may start.
        record: where it is recorded; None is as the one that counts.
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


def _parent_of(submission: Submission) -> RunFolder | None:
    """The run whose bridge a training starts from, as its submission was told."""
    bridge = Path(submission.told.get("parent") or "")
    return RunFolder(bridge.parent) if FOLDER.fullmatch(bridge.parent.name) else None


def _prepared_again(
    run: RunFolder, submission: Submission, profile: SlurmProfile, resources: Resources
) -> PreparedJob:
    """The same training, behind what the queue holds of its parent now.

    Raises:
        ClusterError: that is not done, and nothing in the queue will bring it about.
    """
    parent, waits = _parent_of(submission), ""
    if parent and not parent.is_done():
        waits = "?".join(f"afterok:{end}" for end in ends_of(parent))
        if not waits and not parent.is_done():
            raise ClusterError(lost_parent(run, parent))
    config = run.read_config()
    check_signature(run, RunConfig.from_dict(config), submission.told.get("parent"))
    told = {"run": str(run.path), "config": config, **submission.told}
    return prepared_training(run, told, profile, resources, waits or None)


def retry_run(run: RunFolder, where: Where, how: How, more_mem: bool = False) -> int:
    """Queue the training of a run again as it was submitted.

    Args:
        run: the run.
        where: what is said here counts more than what the submission said.
        how: show, ask about, or submit.
        more_mem: ask for half as much memory again.

    Returns:
        The exit status.

    Raises:
        ClusterError: it was never in a queue, or it is there still.
    """
    if run.is_done():
        print(f"already done: {run.path}")
        return 0
    context = context_again(where, how, recorded(run.submission))
    standing = submission_state_of_run(run)
    if standing is None:
        raise ClusterError(f"{run.title} was never in a queue by itself: give {_instead(run)}")
    if standing.alive:
        idle = f"{run.title} is in the queue: {standing}; there is nothing to retry{still_standing(standing)}"
        raise ClusterError(never_to_start(run, standing) or idle)
    if context.overrides:
        raise ClusterError(
            f"-o {context.overrides[0]} changes the recipe, and with it the run: give it to train; retry may change "
            "what a job asks for (--mem, --time, --gpus, ...)"
        )
    profile, before = slurm_only(context.profile), standing.submission.resources
    resources = resources_again(before, profile, where.typed())
    if more_mem:
        resources = more_memory(resources, profile, MORE)
    if run.failed.exists():
        print(f"{run.path.name}: {run.reason()}")
    told = standing.submission.told
    if context.data and context.data_named:
        told = {**told, "data": str(context.data)}
    submission = replace(standing.submission, told=told)
    prepared = _prepared_again(run, submission, profile, resources)
    change = difference(before, resources) or "with the same request"
    site = Site.of(replace(profile, account=resources.account), run.root, how.dry_run)
    part = Part(what=f"stage {run.stage}", told=told_of(resources), resources=resources)
    title = f"train {run.path.name} again on {profile.title}, {change}"
    offer = Offer(title=title, parts=[part])
    if how.dry_run:
        replace(offer, notes=site.notes(run.root, [resources])).show()
    full = site.no_room([resources], Look.attempt().jobs)
    status = refused([*site.obstacles, *([full] if full else [])])
    if how.script:
        print(prepared.text)
    if status or how.dry_run:
        return status
    if how.test_only:
        print(f"{run.path.name}: {ask_controller(prepared)}")
        return 0
    if offer.doubt and how.yes:
        warn(offer)
    if not agreed(f"submit {run.path.name} again, {change}: {offer.cost}", how.yes):
        return 0
    prepared = _prepared_again(run, submission, profile, resources)  # the queue may have changed meanwhile
    run.forgive(asked=True)
    queued = submit_slurm(prepared)
    forget(run.root)
    print(f"queued: job {queued.job} {queued.name}, {change}: {run.path}")
    print(summary(resources, profile))
    return 0


def _instead(run: RunFolder) -> str:
    """The command that queues a run again which was never queued by itself."""
    for grid in all_grids(run.root):
        if run.path in {Path(cell.run) for cell in unless_damaged(wanted_cells, grid) or ()}:
            return f"retry {grid.name}, the grid that it belongs to"
    return "the train command that began it"
