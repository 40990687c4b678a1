"""Why a request is as it is: what of it was asked for, what is a default, what an estimate. Nothing here asks Slurm."""

from __future__ import annotations

import math

from cluster.profile.load import SlurmProfile
from cluster.profile.resources import Resources
from cluster.profile.rules import OVERHEAD_MIN, bracket
from cluster.quantities import human_memory, human_time


def reasons(profile: SlurmProfile, resources: Resources, gpus: int, whose: str) -> dict[str, str]:
    """Each quantity of a request by the option that changes it.

    Args:
        profile: of the cluster, with what the user asked for.
        resources: what `plan_resources` made of it.
        gpus: the recipe's number of them.
        whose: what `--hours` is the length of: `each stage`.
    """
    kind = ("GPU" if resources.gpu else "task") + "s" * (resources.tasks > 1)
    told = {
        "--time": _time(profile, resources),
        "--hours" if profile.hours else "--units": _units(profile, resources, whose),
        "--gpus": f"{resources.tasks} {kind}: {'asked' if profile.gpus else 'the recipe asks for ' + str(gpus)}",
        "--mem": _memory(profile, resources),
        "--account": _account(profile, resources),
    }
    return {option: text for option, text in told.items() if text}


def _time(profile: SlurmProfile, resources: Resources) -> str:
    length = f"{human_time(resources.time_min)} of a unit"
    limit = bracket(profile, resources.time_min)
    open_to = f"; in partitions of up to {human_time(limit)}" if limit else ""
    if profile.time:
        return f"{length}: asked{open_to}"
    if profile.hours:
        return f"{length}: default, the shortest bracket that holds {profile.hours:g} h, at most 1 d{open_to}"
    return f"{length}: default, as neither --time nor --hours is given{open_to}"


def _units(profile: SlurmProfile, resources: Resources, whose: str) -> str:
    counted = profile.units not in (None, "auto")
    number = f"{resources.units:,} unit{'s' * (resources.units > 1)}"
    if counted:
        return f"{number} for {whose}: asked" + (", whatever --hours says" if profile.hours else "")
    if not profile.hours:
        return f"{number} for {whose}: default; one that needs longer goes on by the same command, or give --hours"
    asked = f"{profile.hours:g} h for {whose}: asked"
    if profile.continuation.mode == "requeue" and profile.units is None:
        return f"{asked}; one job that queues itself again until it is done"
    least = max(1, math.ceil(profile.hours * 60 / resources.time_min - 1e-9))
    spare = resources.units - least
    lost = human_time(min(OVERHEAD_MIN, resources.time_min / 10))
    each = f"{least:,} unit{'s' * (least > 1)} of {human_time(resources.time_min)}"
    more = f", {spare:,} spare (start-up and last checkpoint take {lost} of each)" if spare else ""
    return f"{asked} = {each}{more}"


def _memory(profile: SlurmProfile, resources: Resources) -> str:
    if not resources.mem_mb:
        return ""
    return (
        f"{human_memory(resources.mem_mb)} of a node: {'asked' if profile.mem else 'default, the fair share'}"
    )


def _account(profile: SlurmProfile, resources: Resources) -> str:
    if profile.account:
        return f"{resources.account or profile.account}: asked"
    return f"{resources.account}: the only one of yours" if resources.account else ""
