"""Taking runs and grids out of the queue: one look at it, one question, one call. Light."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cluster.errors import ClusterError
from cluster.grids import all_grids
from cluster.queue import QueuedJob, all_queued, cancel
from cluster.runs import find_run
from cluster.sightings import forget
from cluster.submission import recorded
from jobs.place import agreed, cluster_of, runs_of
from jobs.reconcile import live_arrays


def cancel_all(args: argparse.Namespace) -> int:
    """Cancel the jobs of what is named.

    Raises:
        ClusterError: a name that is none, or Slurm does not answer.
    """
    root = runs_of(args)
    cluster_of(args)
    queue = all_queued()
    jobs = [job for name in args.names for job in _jobs(root, name, queue)]
    if not jobs:
        print("nothing of it is in the queue")
        return 0
    for job in jobs:
        print(f"  {job.id} {job.name}: {job}")
    if not agreed(f"cancel {sum(job.elements for job in jobs)} jobs", args.yes):
        return 0
    cancel(*dict.fromkeys(job.job for job in jobs))
    forget(root)
    print("cancelled; what was computed stays, and the same launch command goes on from it")
    return 0


def _jobs(root: Path, name: str, queue: Sequence[QueuedJob]) -> list[QueuedJob]:
    grid = next((grid for grid in all_grids(root) if grid.name == name), None)
    if grid:
        return [job for array in live_arrays(grid, queue) for job in array.jobs]
    run = find_run(root, name)
    submission = recorded(run.submission)
    holder = run.lease().living_holder()
    if submission is None and holder:
        raise ClusterError(
            f"{run.title} is worked on by process {holder.pid} on {holder.host}: stop it by Ctrl-C"
        )
    return submission.among(queue) if submission else []
