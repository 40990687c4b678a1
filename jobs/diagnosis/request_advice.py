"""What to ask for next time, from what was asked for and used."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from cluster.errors import ClusterError
from cluster.profile.facts import NodeKind, Slice
from cluster.profile.load import SlurmProfile, load_profile
from cluster.profile.profile_file import Cluster
from cluster.profile.rules import find_kind
from cluster.quantities import human_time, short_time
from jobs.diagnosis.usage import ResourceUse
from jobs.reliability.advice import better_interval

MEMORY_GB = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""What `--mem` is rounded up to."""
ROOM = 1.25
"""What is asked for, over what was used."""
HALF = 0.5
FULL = 0.92
IDLE = 50
"""Percent of its time that a GPU is busy at least, if nothing holds it up."""
OUTSIDE = 0.25
NAMES = 3
"""Runs that are named where advice concerns many."""


@dataclass(frozen=True)
class Advice:
    """What to ask for next time."""

    run: str
    what: str
    """Options of the launch command, or what to do."""
    why: str
    """With `{used}` for what was used."""
    used: float
    show: str = "{:.3g}"
    """How that is written."""


def advice_lines(rows: Sequence[ResourceUse]) -> list[str]:
    """A line for each thing to change, however many runs it concerns."""
    groups: dict[tuple[str, str], list[Advice]] = {}
    for row in rows:
        for one in advice(row):
            groups.setdefault((one.what, one.why), []).append(one)
    lines = []
    for (what, why), same in groups.items():
        names = list(dict.fromkeys(one.run for one in same))
        more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
        most = max(same, key=lambda one: one.used)
        lines.append(f"- {what}: {why.replace('{used}', most.show.format(most.used))}")
        lines.append(f"  ({', '.join(names[:NAMES])}{more})")
    return lines


def advice(row: ResourceUse) -> Iterator[Advice]:
    """What to change for a run of this kind."""
    profile = _profile(row.origin)
    if profile:
        yield from _memory(row, profile)
        yield from _time(row, profile)
        yield from _gpu(row, profile)
        yield from _cores(row, profile)
    if row.gpu_util is not None and row.gpu_util < IDLE and row.state in ("done", "running"):
        told = "a GPU was busy for {used} % of its time: something else holds it up"
        yield Advice(row.run.path.name, _larger(row), told, row.gpu_util, "{:.0f}")
    if row.outside is not None and row.outside > OUTSIDE and row.elapsed_s > 600:
        yield _overhead(row)
    better = better_interval(row.run, row.step_s, row.rate) if row.kind == "train" else None
    if better:
        what = "-o training.save_every=auto"
        yield Advice(row.run.path.name, what, "{used}", better.gain, better.told.replace("{", "{{"))


def _memory(row: ResourceUse, profile: SlurmProfile) -> Iterator[Advice]:
    asked = row.resources.mem_mb / 1024 if row.resources and row.resources.mem_mb else None
    used = row.used_mb / 1024 if row.used_mb else None
    if not asked or not used or not profile.hardware.memory:
        return
    better = _size(used * ROOM)
    told = f"asked for {asked:.0f} GB of a node, used {{used}}"
    if used < HALF * asked and better <= 0.75 * asked:
        yield Advice(row.run.path.name, f"--mem {better}G", told, used)
    elif used > FULL * asked:
        yield Advice(row.run.path.name, f"--mem {better}G", told + ", which is close to the end", used)


def _size(gigabytes: float) -> int:
    return next((size for size in MEMORY_GB if size >= gigabytes), math.ceil(gigabytes))


def _time(row: ResourceUse, profile: SlurmProfile) -> Iterator[Advice]:
    """A shorter bracket, where the whole work was done in one unit that would have fitted."""
    if row.state != "done" or not row.resources or row.resources.units > 1 or row.starts > 1:
        return
    asked, used = row.resources.time_min, row.longest_s / 60
    brackets = [one for one in profile.walltime.brackets or () if used * ROOM <= one < asked]
    shortest = profile.walltime.shortest or 0
    if brackets and used * ROOM <= asked:
        told = f"asked for {human_time(asked)}, took {{used}} h; it would start sooner"
        better = max(brackets[0], shortest)
        yield Advice(row.run.path.name, f"--time {short_time(better)}", told, used / 60)


def _gpu(row: ResourceUse, profile: SlurmProfile) -> Iterator[Advice]:
    """A slice that would do, for one GPU; where there are several, larger micro-batches."""
    if not row.gpu_mb or not row.gpu_total_mb or not row.resources or row.gpu_mb > HALF * row.gpu_total_mb:
        return
    kind, part = _kind(profile, row.resources.gpu)
    told = f"used {{used}} of the {row.gpu_total_mb / 1024:.0f} GB of a GPU"
    fits = [one for one in (kind.slices if kind else ()) if one.memory_gb * 1024 >= row.gpu_mb * ROOM]
    if part is None and row.resources.gpus_per_node * row.resources.nodes == 1 and fits:
        word = min(fits, key=lambda one: one.memory_gb).word
        yield Advice(row.run.path.name, f"--gpu {word}", f"{told}: a slice would do", row.gpu_mb / 1024)
    elif row.kind == "train" and part is None:
        yield Advice(row.run.path.name, _larger(row), f"{told}: the result is the same", row.gpu_mb / 1024)


def _cores(row: ResourceUse, profile: SlurmProfile) -> Iterator[Advice]:
    """Fewer cores, where nodes are shared and most of them were idle."""
    kind = _kind(profile, row.resources.gpu)[0] if row.resources else None
    if row.cores is None or not row.resources or not kind or kind.per_node:
        return
    asked, better = row.resources.cpus_per_task, max(2, math.ceil(row.cores * ROOM) + 1)
    if better <= HALF * asked:
        told = f"asked for {asked} cores of a task, {{used}} were busy (cores beyond a GPU's share cost, others do not)"
        yield Advice(row.run.path.name, f"-o cluster.cpus_per_task={better}", told, row.cores, "{:.1f}")


def _overhead(row: ResourceUse) -> Advice:
    """Time that went to no step."""
    told = "{used} % of the time went to no step: starting, data, dev loss, checkpoints"
    again = "longer units (--time), fewer of them"
    what = again if row.starts > 1 else "a larger training.eval_every, data that is prepared already"
    return Advice(row.run.path.name, what, told, 100 * (row.outside or 0), "{:.0f}")


def _larger(row: ResourceUse) -> str:
    name = "training.micro_batch" if row.kind == "train" else "evaluation.batch_size"
    try:
        known = row.run.read_config()
    except ClusterError:
        known = {}
    section, _, key = name.partition(".")
    size = (known.get(section) or {}).get(key)
    return f"-o {name}={2 * size}" if isinstance(size, int) else f"a larger {name}"


@cache
def _profile(cluster: Cluster | None) -> SlurmProfile | None:
    try:
        found = load_profile(cluster) if cluster else None
    except ClusterError:
        return None
    return found if isinstance(found, SlurmProfile) else None


def _kind(profile: SlurmProfile, word: str | None) -> tuple[NodeKind | None, Slice | None]:
    try:
        return find_kind(profile, word)
    except ClusterError:
        return None, None
