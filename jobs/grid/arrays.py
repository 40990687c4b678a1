"""Missing cells as arrays of slots: how many, of which shape, after what, within the site's limits.

Cells of one kind, level and shape share a work list. Where the site lets a job requeue itself, a slot goes on after its
walltime by itself; elsewhere further rounds of slots stand behind the first, as many as a training needs units, and a
small last one for what a dead node or process has left. `afterany` lets every round start whatever became of the one
before: the slots look at `DONE` files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.profile.load import SlurmProfile
from cluster.profile.resources import Resources, more_memory, plan_resources
from cluster.profile.rules import Accounts, fewest_gpus
from cluster.run.run_folder import CellFolder, RunFolder
from cluster.site.live import accounts_from
from cluster.slurm.limits import Association, narrowest
from cluster.slurm.queue import still_queued
from cluster.slurm.queued_job import QueuedJob
from jobs.cell.cell import Cell
from jobs.grid.array_options import ArrayOptions
from jobs.grid.reconcile import Reconciled

SLOT_S = 3600.0
"""Work that is worth a job: production jobs of the Alliance last an hour or more (wiki: Job_scheduling_policies)."""
ITEM_S = 1.0
"""Seconds for one answer, where none has been measured: 512 tokens, 32 answers at a time, 7 billion parameters."""
START_S = 300.0
"""To bring an environment, the code and two models to a node."""
SPARE = 4
"""The last round has a slot for each so many of the first's."""
ARRAY = 1001
"""Elements of one array, where the profile knows no better: Slurm's own `MaxArraySize`."""


@dataclass(frozen=True, kw_only=True)
class SlotArray:
    """One array that is to be submitted."""

    name: str
    """What distinguishes it within its grid: `s1`, `s2`, `eval`."""
    cells: tuple[Cell, ...]
    resources: Resources
    first: int
    """Number of its first slot among those of its round."""
    slots: int
    """Slots of its round."""
    round: int
    """Place of the first array of its round."""
    after: tuple[int, ...]
    """Places, in the list of arrays, of those that must be over before."""
    after_jobs: tuple[str, ...] = ()
    """Jobs in the queue that must be over before."""


def plan_arrays(
    found: Reconciled,
    told: Mapping[str, Mapping[str, Any]],
    profile: SlurmProfile,
    associations: Sequence[Association] | None,
    options: ArrayOptions,
) -> list[SlotArray]:
    """The arrays that bring the missing cells about, in the order in which they are to be submitted.

    Args:
        found: the grid as it is.
        told: what the job on each run is told, by its folder.
        profile: of the cluster.
        associations: of the user with accounts; None where Slurm does not know of accounts.
        options: of the user.

    Raises:
        ClusterError: the cluster would not grant a job, or has no room for one.
    """
    missing = found.missing()
    levels = _levels(missing)
    accounts = accounts_from(associations)
    arrays: list[SlotArray] = []
    ends: dict[str, tuple[int, ...]] = {}  # the last round that works on a run, by its folder
    for group in _groups(missing, levels, told):
        work = {} if group[0].job == "train" else _seconds(group)
        resources = _resources(group, told, profile, accounts, options, sum(work.values()))
        needs = {need for cell in group for need in cell.needs}
        after = tuple(sorted({place for need in needs for place in ends.get(need, ())}))
        jobs = _jobs_of(needs - set(ends), found)
        count = _slots(group, resources, options, profile, sum(work.values()))
        arrays += _rounds(group, resources, count, profile, after, jobs, len(arrays))
        last = tuple(place for place, array in enumerate(arrays) if array.round == arrays[-1].round)
        ends.update(dict.fromkeys((cell.run for cell in group if cell.job == "train"), last))
    return _fitted(arrays, profile, associations or (), found.look.jobs)


def check_parents(arrays: Sequence[SlotArray], found: Reconciled) -> None:
    """Refuse to go on where a run that is needed has left the queue since the look, and is not done.

    Raises:
        ClusterError: so it is, or squeue does not answer.
    """
    named = list(dict.fromkeys(job for array in arrays for job in array.after_jobs))
    gone = set(named).difference(still_queued(named))
    waiting = [array for array in arrays if gone.intersection(array.after_jobs)]
    needs = dict.fromkeys(need for array in waiting for cell in array.cells for need in cell.needs)
    for parent in (RunFolder(Path(need)) for need in needs):
        jobs = _jobs_of([str(parent.path)], found)
        if jobs and gone.issuperset(jobs) and not parent.is_done():
            raise ClusterError(
                f"{parent.title}, which others were to wait for, has left the queue meanwhile and is not done: "
                f"give this command again to see what is left to do; python launch.py why {parent.path.name}"
            )


def _levels(missing: Sequence[Cell]) -> dict[str, int]:
    """How many missing trainings must be over before a cell, by its name."""
    levels: dict[str, int] = {}
    trained: dict[str, int] = {}
    for cell in missing:  # what a cell needs stands before it
        levels[cell.name] = max((trained[need] + 1 for need in cell.needs if need in trained), default=0)
        if cell.job == "train":
            trained[cell.run] = levels[cell.name]
    return levels


def _groups(
    missing: Sequence[Cell], levels: Mapping[str, int], told: Mapping[str, Mapping[str, Any]]
) -> list[tuple[Cell, ...]]:
    """Cells of one kind, stage, level and number of GPUs, in an order in which none waits for a later one."""
    groups: dict[tuple[int, bool, int, int], list[Cell]] = {}
    for cell in missing:
        config, trains = told[cell.run]["config"], cell.job == "train"
        key = (
            levels[cell.name],
            not trains,
            config["stage"] if trains else 0,
            config["gpus"] if trains else 1,
        )
        groups.setdefault(key, []).append(cell)
    return [tuple(groups[key]) for key in sorted(groups)]


def _resources(
    group: Sequence[Cell],
    told: Mapping[str, Mapping[str, Any]],
    profile: SlurmProfile,
    accounts: Accounts | None,
    options: ArrayOptions,
    work_s: float,
) -> Resources:
    """What one slot asks for; `units` is how often a cell may have to be taken up."""
    if group[0].job == "train":
        planned = plan_resources(profile, told[group[0].run]["config"]["gpus"], accounts=accounts)
    else:
        planned = _evaluation_resources(profile, accounts, _hours(work_s), options)
    return more_memory(planned, profile, options.more_memory)


def _evaluation_resources(
    profile: SlurmProfile, accounts: Accounts | None, hours: float, options: ArrayOptions
) -> Resources:
    """One GPU, or the fewest that the cluster gives, on one node: each task answers for itself."""
    gpu = options.answer_gpu or profile.gpu
    alone = replace(profile, gpu=gpu, gpus=None, nodes=1, units=None, hours=None if profile.time else hours)
    planned = plan_resources(alone, options.answer_gpus or fewest_gpus(alone, gpu), accounts=accounts)
    cores = planned.cpus_per_task // options.per_gpu
    if not cores:
        raise ClusterError(
            f"{options.per_gpu} cells on one GPU: each needs a core, and {planned.cpus_per_task} go with a GPU here; "
            f"the nearest is --per-gpu {planned.cpus_per_task} {profile.hardware.cite()}"
        )
    tasks = planned.tasks_per_node * options.per_gpu
    return replace(planned, units=1, tasks_per_node=tasks, cpus_per_task=cores)


def _hours(work_s: float) -> float:
    """What a slot of an evaluation may need if it does an hour's work, or all of it where that is less."""
    return (START_S + 2 * min(work_s, SLOT_S)) / 3600


def _seconds(group: Sequence[Cell]) -> dict[str, float]:
    """Estimated time of each cell: as long as those of its run and benchmark took that are done."""
    measured: dict[tuple[str, str], tuple[float, int]] = {}
    for run, benchmark in {(cell.run, cell.benchmark) for cell in group}:
        known = next(cell for cell in group if (cell.run, cell.benchmark) == (run, benchmark)).folder
        assert isinstance(known, CellFolder)
        done = [outcome for one in known.run.cells(benchmark) if (outcome := one.outcome())]
        measured[run, benchmark] = (
            sum(o.get("seconds", 0.0) for o in done),
            sum(o.get("items", 0) for o in done),
        )
    every = [sum(values) for values in zip(*measured.values())]
    usual = every[0] / every[1] if every[1] else ITEM_S
    rates = {key: seconds / items if items else usual for key, (seconds, items) in measured.items()}
    return {cell.name: cell.items * rates[cell.run, cell.benchmark] for cell in group}


def _slots(
    group: Sequence[Cell], resources: Resources, options: ArrayOptions, profile: SlurmProfile, work_s: float
) -> int:
    """Jobs that share the cells of a group: short cells are packed several to one."""
    if options.slots:
        return min(options.slots, len(group))
    if group[0].job == "train":
        short = profile.hours is not None and profile.hours * 3600 < SLOT_S
        packed = max(1, math.floor(SLOT_S / (profile.hours * 3600))) if short and profile.hours else 1
        return math.ceil(len(group) / packed)
    jobs = work_s / SLOT_S / resources.tasks
    return max(1, min(math.ceil(jobs), math.ceil(len(group) / resources.tasks)))


def _rounds(
    group: tuple[Cell, ...],
    resources: Resources,
    slots: int,
    profile: SlurmProfile,
    after: tuple[int, ...],
    jobs: tuple[str, ...],
    begin: int,
) -> list[SlotArray]:
    """The arrays of a group, one round after another; `begin` is the place of the first."""
    itself = profile.continuation.requeue is True
    rounds = [slots] if itself else [slots] * resources.units + [math.ceil(slots / SPARE)]
    most = profile.limits.array or ARRAY
    stage = group[0].run.rpartition("-s")[2][0]
    name = f"s{stage}" if group[0].job == "train" else "eval"
    arrays: list[SlotArray] = []
    for count in rounds:
        this = begin + len(arrays)
        for first in range(0, count, most):
            arrays.append(
                SlotArray(
                    name=name,
                    cells=group,
                    resources=replace(resources, units=min(most, count - first)),
                    first=first,
                    slots=count,
                    round=this,
                    after=after,
                    after_jobs=jobs,
                )
            )
        after, jobs = tuple(range(this, begin + len(arrays))), ()
    return arrays


def _jobs_of(runs: Iterable[str], found: Reconciled) -> tuple[str, ...]:
    """The jobs in the queue that are going to train runs."""
    names = {run.rpartition("/")[2] for run in runs}
    ours = [array.submission.job for array in found.arrays if not names.isdisjoint(array.cells)]
    others = [job for name, jobs in found.elsewhere.items() if name in names for job in jobs]
    return tuple(dict.fromkeys(job for job in (*ours, *others) if job))


def _fitted(
    arrays: list[SlotArray],
    profile: SlurmProfile,
    associations: Sequence[Association],
    queue: Sequence[QueuedJob],
) -> list[SlotArray]:
    """The arrays with so few slots that the site takes them: its slots do the rest one after another.

    Raises:
        ClusterError: there is not even room for one slot of each.
    """
    wanted = sum(array.resources.units for array in arrays)
    account = arrays[0].resources.account if arrays else None
    limit = narrowest(profile, account, associations, queue, wanted)
    if limit is None:
        return arrays
    room = limit.left
    if room < len(arrays):
        raise ClusterError(f"{len(arrays)} arrays of a slot or more: {limit.refusal(len(arrays))}")
    share = (room - len(arrays)) / (wanted - len(arrays))
    return [_smaller(array, 1 + math.floor((array.resources.units - 1) * share)) for array in arrays]


def _smaller(array: SlotArray, elements: int) -> SlotArray:
    return replace(array, resources=replace(array.resources, units=elements))
