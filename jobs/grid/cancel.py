"""Taking runs and grids out of the queue: one look at it, one question, one call."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cluster.errors import ClusterError
from cluster.files import DamagedFile
from cluster.job.race import alternatives, records_of
from cluster.profile.profile_file import Cluster
from cluster.records import tell_damage
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder, begun_here
from cluster.run.work_folder import CANCELLED
from cluster.slurm.queue import Look, cancel
from cluster.slurm.queue_cache import forget
from cluster.slurm.queued_job import QueuedJob, counted
from cluster.slurm.submission import readable
from jobs.grid.reconcile import live_arrays
from jobs.recipe.context import Where, profile_of
from jobs.recipe.describe import agreed


def cancel_all(
    found: Sequence[RunFolder | GridFolder], where: Where, yes: bool, alike: Sequence[RunFolder] = ()
) -> None:
    """Cancel the jobs of runs and grids.

    Args:
        found: the runs and grids.
        alike: runs that what was typed names too, such as another stage: they are left, and told of.
        where: the cluster; None is the one that they were submitted to.
        yes: the user has agreed.

    Raises:
        ClusterError: Slurm does not answer, or a run is worked on by this machine.
    """
    profile_of(replace(where, cluster=where.cluster or _submitted_to(found)))
    here = all(isinstance(one, RunFolder) and begun_here(one) for one in (*found, *alike))
    look = Look(time=time.time()) if here else Look.now()
    of_each = [(one, _jobs(one, look)) for one in found]
    jobs = [job for _, ours in of_each for job in ours]
    for run in alike:
        for job in _jobs(run, look):
            print(f"left in the queue: {job.id} {job.name}: {job}; to cancel it too, name {run.path.name}")
    if not jobs:
        print("nothing of it is in the queue")
        return
    for job in jobs:
        print(f"  {job.id} {job.name}: {job}")
    if not agreed(f"cancel {counted(jobs)} jobs", yes):
        return
    cancel(*dict.fromkeys(map(_word, jobs)))
    for one, ours in of_each:
        if ours:
            one.event(CANCELLED, jobs=list(dict.fromkeys(map(_word, ours))), uid=os.getuid())
    forget(where.root())
    print("cancelled; what was computed stays, and the same launch command goes on from it")


def _word(job: QueuedJob) -> str:
    """What `scancel` takes: elements that wait go with their array."""
    return job.job if "[" in job.id else job.id


def _submitted_to(found: Sequence[RunFolder | GridFolder]) -> Cluster | None:
    """The cluster that runs and grids were submitted to: the first that one names."""
    for one in found:
        records = one.records() if isinstance(one, GridFolder) else records_of(one)
        if known := readable(records):
            return known[-1].origin
    return None


def _jobs(run: RunFolder | GridFolder, look: Look) -> list[QueuedJob]:
    """What of a grid, or of a run, is in the queue; of a run that a grid's slot works on, that slot."""
    try:
        if isinstance(run, GridFolder):
            return [job for array in live_arrays(run, look) for job in array.jobs]
        found = [job for one in alternatives(run) for job in one.rows(look)]
    except DamagedFile as damage:  # all that was submitted from there is meant anyhow
        tell_damage(damage)
        return [job for job in look.jobs if Path(job.command).parent == run.slurm]
    holder = run.lease(job_is_alive=look.job_is_alive).living_holder()
    if holder and holder.job and not found:
        return look.rows_of(holder)
    if holder and not found:
        raise ClusterError(
            f"{run.title} is worked on by process {holder.pid} on {holder.host}, in no job: stop it there by Ctrl-C or "
            f"by: kill {holder.pid}"
        )
    return found
