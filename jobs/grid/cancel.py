"""Taking runs and grids out of the queue: one look at it, one question, one call. Light."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cluster.errors import ClusterError
from cluster.job.race import alternatives
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder
from cluster.slurm.queue import Look, QueuedJob, cancel, counted
from cluster.slurm.queue_cache import forget
from cluster.slurm.submission import Submission
from jobs.grid.queue import last_submission
from jobs.grid.reconcile import live_arrays
from jobs.recipe.context import agreed, cluster_of, runs_of
from jobs.recipe.names import Names


def cancel_all(args: argparse.Namespace) -> int:
    """Cancel the jobs of what is named.

    Raises:
        ClusterError: a name that is none, or Slurm does not answer.
    """
    root = runs_of(args)
    found = Names(root).each(args.names)
    cluster_of(_where(found, args))
    look = Look.now()
    jobs = [job for one in found for job in _jobs(one, look)]
    if not jobs:
        print("nothing of it is in the queue")
        return 0
    for job in jobs:
        print(f"  {job.id} {job.name}: {job}")
    if not agreed(f"cancel {counted(jobs)} jobs", args.yes):
        return 0
    cancel(*dict.fromkeys(job.job if "[" in job.id else job.id for job in jobs))
    forget(root)
    print("cancelled; what was computed stays, and the same launch command goes on from it")
    return 0


def _where(found: Sequence[RunFolder | GridFolder], args: argparse.Namespace) -> argparse.Namespace:
    """The command, about the cluster that what is named was submitted to."""
    told = argparse.Namespace(**vars(args))
    for one in found:
        last = last_submission(one) if isinstance(one, GridFolder) else Submission.read(one.submission)
        told.cluster = told.cluster or (last and last.profile)
    return told


def _jobs(run: RunFolder | GridFolder, look: Look) -> list[QueuedJob]:
    """What of a grid, or of a run, is in the queue; of a run that a grid's slot works on, that slot."""
    if isinstance(run, GridFolder):
        return [job for array in live_arrays(run, look) for job in array.jobs]
    found = [job for one in alternatives(run) for job in one.rows(look)]
    holder = run.lease(job_is_alive=look.job_is_alive).living_holder()
    if holder and holder.job and not found:
        return [job for job in look.jobs if job.id == holder.job]
    if holder and not found:
        raise ClusterError(
            f"{run.title} is worked on by process {holder.pid} on {holder.host}: stop it by Ctrl-C"
        )
    return found
