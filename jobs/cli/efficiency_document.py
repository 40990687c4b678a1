"""What `efficiency` says with `--json`; docs/COMMANDS.md has these fields and their texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.diagnosis.efficiency import effective_times
from jobs.diagnosis.request_advice import advice_lines
from jobs.diagnosis.usage import ResourceUse
from jobs.reliability.ettr import EffectiveTime, together


@dataclass(frozen=True, kw_only=True)
class Use:
    """What one training, or the evaluation of one run, asked for and used. What is not known is null."""

    run: str
    """Name of its folder."""
    kind: str
    """train or evaluate"""
    state: str
    starts: int
    tasks: int
    """Processes at work at once: one for each GPU, where there are any."""
    gpu: str | None
    """The word of the GPU that was asked for."""
    elapsed_s: float
    """Of all starts."""
    longest_s: float
    """Of the longest one."""
    asked_s: float | None
    """Of one start."""
    used_mb: float | None
    """Most memory of a node."""
    asked_mb: float | None
    cores: float | None
    """CPU cores of a task that were busy, on average."""
    asked_cores: int | None
    gpu_mb: float | None
    gpu_total_mb: float | None
    gpu_util: float | None
    """Percent of the last look."""
    gpu_hours: float
    """Where there is no GPU, hours of its tasks."""
    steps: int


@dataclass(frozen=True, kw_only=True)
class EfficiencyDocument:
    """`efficiency`."""

    uses: tuple[Use, ...]
    advice: tuple[str, ...]
    ettr: float | None
    """Of all trainings below that have one, together."""
    trainings: tuple[EffectiveTime, ...]
    interruptions_an_hour: float | None
    """Unannounced ones, of all trainings in the folder; what `save_every: auto` goes by."""


def efficiency_document(uses: Sequence[ResourceUse]) -> EfficiencyDocument:
    """What was asked for and used, and what to ask for next time."""
    times = effective_times(uses)
    return EfficiencyDocument(
        uses=tuple(map(_use, uses)),
        advice=tuple(advice_lines(uses)),
        ettr=together(times),
        trainings=tuple(times),
        interruptions_an_hour=uses[0].rate.an_hour if uses else None,
    )


def _use(one: ResourceUse) -> Use:
    asked = one.resources
    return Use(
        run=one.run.path.name,
        kind=one.kind,
        state=one.state,
        starts=one.starts,
        tasks=one.tasks,
        gpu=(asked.gpu if asked else None) or None,
        elapsed_s=one.elapsed_s,
        longest_s=one.longest_s,
        asked_s=asked.time_min * 60 if asked else None,
        used_mb=one.used_mb,
        asked_mb=(asked.mem_mb if asked else None) or None,
        cores=one.cores,
        asked_cores=asked.cpus_per_task if asked else None,
        gpu_mb=one.gpu_mb,
        gpu_total_mb=one.gpu_total_mb,
        gpu_util=one.gpu_util,
        gpu_hours=one.gpu_hours,
        steps=one.steps,
    )
