"""From "8 GPUs" to nodes, tasks, memory, time and units of a cluster. Nothing here asks Slurm."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.profile.extra import extra_options
from cluster.profile.load import SlurmProfile
from cluster.profile.rules import (
    Accounts,
    bracket,
    check_nodes,
    count_units,
    find_account,
    find_cores,
    find_kind,
    find_memory,
    find_time,
    spread,
)
from cluster.quantities import human_memory, human_time

SHAPE = frozenset({"gpus", "gpu", "nodes", "tasks"})
REQUESTED = SHAPE | {"time", "hours", "units", "mem", "account", "mail", "cpus_per_task", "extra"}
"""Keys of a profile that a request is made of."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one job of a run asks for."""

    nodes: int
    tasks_per_node: int
    """One for each GPU, or for the CPU where the nodes have none."""
    gpus_per_node: int
    gpu: str | None
    """Word by which Slurm knows it: a100, nvidia_h100_80gb_hbm3_1g.10gb; None on the CPU."""
    cpus_per_task: int
    mem_mb: int | None
    """Of each node; None where it must not be asked for."""
    time_min: int
    """Of one unit."""
    units: int
    """Elements of the chain, or slots of the array; 1 is a plain job."""
    account: str | None
    mail: str | None
    extra: tuple[str, ...] = ()
    """Further options of sbatch, such as `--tmp=370G`."""
    parallel: int = 1
    """Elements that may run at once: 1 in a chain."""

    @property
    def tasks(self) -> int:
        """Processes in all."""
        return self.nodes * self.tasks_per_node


def plan_resources(
    profile: SlurmProfile,
    gpus: int,
    *,
    nodes: int | None = None,
    gpu: str | None = None,
    time: str | None = None,
    units: int | str | None = None,
    hours: float | None = None,
    mem: str | None = None,
    accounts: Accounts | None = None,
) -> Resources:
    """The request for a run. What is not given here is the profile's (the user's file and overrides).

    Args:
        profile: of the cluster.
        gpus: the recipe's number in all; `cluster.gpus` goes before it. Tasks, where nodes have no GPU.
        nodes: to spread them over; None is as few as hold them.
        gpu: word for a GPU or a slice of one; None is the first kind of the profile.
        time: of one unit (`quantities.parse_time`); None is the shortest bracket that holds the whole run, but no
            more than 24 h.
        units: number of units; `auto`, and on a chain also None, is as many as `hours` needs (`rules.units_of`).
        hours: estimate of the whole run.
        mem: of each node (`quantities.parse_memory`); None is the fair share.
        accounts: None leaves a missing account to Slurm.

    Raises:
        ClusterError: the cluster would not grant it.
    """
    kind, part = find_kind(profile, _first(gpu, profile.gpu))
    nodes, per_node = spread(profile, kind, part, _first(profile.gpus, gpus), _first(nodes, profile.nodes))
    account = find_account(profile, accounts)
    check_nodes(profile, kind, nodes, account)
    hours = _first(hours, profile.hours)
    time_min = find_time(profile, kind, _first(time, profile.time), hours)
    return Resources(
        nodes=nodes,
        tasks_per_node=per_node,
        gpus_per_node=per_node if kind.gpu else 0,
        gpu=part.word if part else kind.gpu,
        cpus_per_task=find_cores(profile, kind, part, per_node),
        mem_mb=find_memory(profile, kind, part, per_node, _first(mem, profile.mem)),
        time_min=time_min,
        units=count_units(profile, _first(units, profile.units), time_min, hours),
        account=account,
        mail=profile.mail,
        extra=extra_options(profile),
    )


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def more_memory(resources: Resources, profile: SlurmProfile, times: float) -> Resources:
    """The same request with so many times the memory, but no more than the largest node has."""
    if not resources.mem_mb:
        return resources
    most = max(kind.mem_mb for kind in profile.hardware.kinds)
    return replace(resources, mem_mb=min(round(resources.mem_mb * times), most))


def resources_again(before: Resources, profile: SlurmProfile, typed: Collection[str]) -> Resources:
    """The request of an earlier submission, changed only where the user says something else now.

    Args:
        before: what was asked for.
        profile: the cluster's, with what was typed in it.
        typed: keys of the profile that were typed, such as `mem`. Where they change which GPUs or how many, memory
            and nodes are the fair share again; units of another length are as many as last as long in all.

    Raises:
        ClusterError: the cluster would not grant it.
    """
    if not set(typed) & REQUESTED:
        return before
    kept: dict[str, Any] = {
        "gpus": before.nodes * before.gpus_per_node or before.tasks,
        "gpu": before.gpu,
        "time": str(before.time_min),
        "account": before.account,
        "hours": None,
        "units": None,
    }
    if not SHAPE & set(typed):
        kept |= {"nodes": before.nodes, "mem": f"{before.mem_mb}M" if before.mem_mb else None}
    ours = replace(profile, **{key: value for key, value in kept.items() if key not in typed})
    after = plan_resources(ours, kept["gpus"])
    if {"hours", "units"} & set(typed):
        return after
    return replace(after, units=math.ceil(before.units * before.time_min / after.time_min))


def difference(before: Resources, after: Resources) -> str:
    """What a request asks for instead of an earlier one: `450M instead of 300M`; empty if it is the same."""
    pairs = [
        (getattr(before, key), getattr(after, key), told)
        for key, told in (
            ("nodes", lambda n: f"{n} node{'s' * (n > 1)}"),
            ("tasks_per_node", lambda n: f"{n} task{'s' * (n > 1)} on each"),
            ("gpu", str),
            ("cpus_per_task", lambda n: f"{n} cores for each task"),
            ("mem_mb", lambda n: human_memory(n) if n else "the memory that comes with the GPUs"),
            ("time_min", human_time),
            ("units", lambda n: f"{n} unit{'s' * (n > 1)}"),
            ("account", lambda name: f"account {name}"),
        )
    ]
    return ", ".join(f"{told(new)} instead of {told(old)}" for old, new, told in pairs if old != new)


def account_obstacle(profile: SlurmProfile, accounts: Accounts | None) -> str | None:
    """Why jobs cannot be charged, with the next step; None where they can."""
    try:
        find_account(profile, accounts)
    except ClusterError as error:
        return str(error)
    return None


def folder_obstacle(profile: SlurmProfile, folder: Path, environ: Mapping[str, str]) -> str | None:
    """Why jobs cannot write into a folder, with the next step; None where they can as far as the profile knows."""
    storage = profile.storage
    for area in (storage.home, storage.project):
        with contextlib.suppress(ClusterError):
            top = area.folder(environ, profile.account)
            if not area.writable and folder.resolve().is_relative_to(top.resolve()):
                return (
                    f"folder {folder}: {area.path} is read-only on the compute nodes of {profile.name}; the nearest is "
                    f"--runs {storage.scratch.path}/runs {storage.cite()}"
                )
    return None


def gpu_hours(resources: Resources) -> float:
    """GPU-hours (on the CPU: task-hours) if every unit takes its whole time."""
    each = resources.nodes * resources.gpus_per_node or resources.tasks
    return each * resources.time_min / 60 * resources.units


def shape_rows(resources: Resources) -> dict[str, str]:
    """The nodes that a job gets, and what of each."""
    each = f"{resources.gpus_per_node} x {resources.gpu}, " if resources.gpu else ""
    memory = human_memory(resources.mem_mb) if resources.mem_mb else "the memory that comes with them"
    cores = resources.cpus_per_task * resources.tasks_per_node
    return {
        "what": f"{resources.nodes} node{'s' * (resources.nodes > 1)}, on each {each}{cores} cores, {memory}",
        "tasks": f"{resources.tasks}, with {resources.cpus_per_task} cores each",
    }


def summary(resources: Resources, profile: SlurmProfile) -> str:
    """What is said of a request that was queued: where, how much, how long, at what cost."""
    limit = bracket(profile, resources.time_min)
    open_to = f", in partitions of up to {human_time(limit)}" if limit else ""
    units = f"{resources.units} units of {human_time(resources.time_min)}, one after another"
    kind = "GPU-hours" if resources.gpu else "task-hours"
    cost = round(gpu_hours(resources), 1)
    charged = resources.account or ("your only account" if profile.accounts.needed else "no account")
    rows = {
        "where": profile.title,
        **shape_rows(resources),
        "how long": (units if resources.units > 1 else human_time(resources.time_min)) + open_to,
        "cost": f"at most {cost:g} {kind}, charged to {charged}",
    }
    return "\n".join(f"  {key:<12} {value}" for key, value in rows.items())
