"""ETTR, the effective training time ratio: time that advanced the final trajectory over wall time in jobs.

After Kokolis et al. (Meta RSC, arXiv 2410.21680, section 2), with two differences: time in the queue does not count, as
it costs nobody's allocation, and time in checkpoints does, as lost. docs/RELIABILITY.md has the definition in full.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from cluster.quantities import epoch_s
from cluster.run.run_folder import RunFolder
from jobs.reliability.starts import Start, with_metrics

TIMELESS = "an earlier version wrote metrics without times"


@dataclass(frozen=True, kw_only=True)
class Interruptions:
    """How often one cause ended a start before its time, and what that lost."""

    cause: str
    count: int
    lost_steps: int
    """Steps done and done again, or to be."""


@dataclass(frozen=True, kw_only=True)
class EffectiveTime:
    """Where the time of a training went, in seconds (docs/RELIABILITY.md, ETTR). What cannot be told is None."""

    run: str
    """Name of its folder."""
    ettr: float | None = None
    """Share of the time in jobs that advanced its final trajectory, 0 to 1."""
    unknown: str = ""
    """Why there is no ETTR; empty if there is one."""
    starts: int | None = None
    wall_s: float | None = None
    """In jobs, all starts together."""
    steps_s: float | None = None
    """In steps of the final trajectory."""
    dev_s: float | None = None
    """In its dev losses."""
    redone_s: float | None = None
    """In steps and dev losses that were done again, or will be."""
    saving_s: float | None = None
    first_step_s: float | None = None
    """From the begin of a start to its first step: median."""
    loading_s: float | None = None
    """The same of all starts together, with those that did not come to a step."""
    interruptions: tuple[Interruptions, ...] = ()
    """What ended starts before their time, by cause."""


def effective_time(run: RunFolder) -> EffectiveTime:
    """Where the time of a run's training went."""
    name, starts = run.path.name, with_metrics(run)
    if starts is None:
        return EffectiveTime(run=name, unknown=TIMELESS)
    wall_s = sum(start.wall_s for start in starts)
    if not any("loss" in record for start in starts for record in start.records):
        return EffectiveTime(run=name, starts=len(starts), wall_s=wall_s, unknown="no step was done")
    kept, lost = _trajectory(run, starts)
    every = [record for start in starts for record in start.records]
    steps_s, dev_s = _seconds(kept, "loss"), _seconds(kept, "dev_loss")
    spent = [_seconds(every, kind) for kind in ("loss", "dev_loss")]
    whole = steps_s is not None and dev_s is not None
    firsts = [first for start in starts if (first := _first_step(start)) is not None]
    saves = [seconds for start in starts for seconds in start.saves]
    return EffectiveTime(
        run=name,
        ettr=(steps_s + dev_s) / wall_s if steps_s is not None and dev_s is not None and wall_s else None,
        unknown="" if whole else "an earlier version wrote dev losses without their time",
        starts=len(starts),
        wall_s=wall_s,
        steps_s=steps_s,
        dev_s=dev_s,
        redone_s=sum(filter(None, spent)) - (steps_s or 0) - (dev_s or 0) if whole else None,
        saving_s=None if None in saves else sum(filter(None, saves)),
        first_step_s=median(firsts) if firsts else None,
        loading_s=sum(start.wall_s if (s := _first_step(start)) is None else s for start in starts),
        interruptions=tuple(lost),
    )


def together(times: Iterable[EffectiveTime]) -> float | None:
    """ETTR of several trainings: of those that have one; None if none has."""
    known = [(one.ettr, one.wall_s) for one in times if one.ettr is not None and one.wall_s]
    wall_s = sum(each for _, each in known)
    return sum(ettr * each for ettr, each in known) / wall_s if wall_s else None


def _trajectory(
    run: RunFolder, starts: Sequence[Start]
) -> tuple[list[Mapping[str, Any]], list[Interruptions]]:
    """The records of the final trajectory, each step and dev loss once, and what each cause has lost."""
    kept: dict[tuple[int, bool], Mapping[str, Any]] = {}
    lost: dict[str, list[int]] = {}
    for number, start in enumerate(starts):
        for record in start.records:
            kept[record["step"], "loss" in record] = record
        if not start.over:
            continue
        base = _goes_on_from(start, starts[number + 1 :], run.is_done())
        gone = [key for key in kept if base is not None and key[0] > base]
        for key in gone:
            del kept[key]
        if start.cause:
            lost.setdefault(start.cause, []).append(sum(is_step for _, is_step in gone))
    told = [Interruptions(cause=cause, count=len(n), lost_steps=sum(n)) for cause, n in lost.items()]
    return list(kept.values()), sorted(told, key=lambda one: (-one.lost_steps, one.cause))


def _goes_on_from(start: Start, later: Sequence[Start], done: bool) -> int | None:
    """The step that the training went on from after a start, or will; None: from its very end."""
    for one in later:
        if one.resumed is not None:
            return one.resumed
        steps = [record["step"] for record in one.records if "loss" in record]
        if steps:
            return min(steps) - 1
    if start.cause is None or done:
        return None
    return start.saved if start.saved is not None else start.resumed or 0


def _seconds(records: Iterable[Mapping[str, Any]], kind: str) -> float | None:
    """Of all records of a kind; None where one does not tell."""
    told = [record.get("seconds") for record in records if kind in record]
    numbers = [seconds for seconds in told if isinstance(seconds, int | float)]
    return sum(numbers) if len(numbers) == len(told) else None


def _first_step(start: Start) -> float | None:
    """Seconds until the first step began; None where there was none."""
    first = next((record for record in start.records if "loss" in record), None)
    if first is None:
        return None
    return max(0.0, (epoch_s(first["time"]) or 0.0) - float(first.get("seconds", 0.0)) - start.began)
