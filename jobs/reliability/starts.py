"""The starts of a training as its events and metrics tell them: when each began and ended, by what, what it did.

Whoever was ended by a signal says so itself. Of one that was not, the next start or launcher finds out the cause; when
it ended is known where accounting has told (`ended`), else the start ends with its last record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.files import read_jsonl
from cluster.job.causes import FINAL
from cluster.quantities import epoch_s
from cluster.run.run_folder import RunFolder

KILLED = "killed"
"""Cause of an ending that nobody has told: as by kill -9 where there is no Slurm."""
FAILED = "failure"
OWN = ("resumed", "passed_over", "truncated", "saved", "dev_abandoned", "stopping", "lost_peer")
"""Events of the start that is at work: signs of its life."""


@dataclass
class Start:
    """One start of a training, put together from its records."""

    began: float
    """Seconds since 1970: of its job, or of its process, as far as they did nothing else before."""
    alone: float
    """When it had the run to itself."""
    seen: float
    """Its last sign of life."""
    ended: float | None = None
    """None: nobody has told."""
    cause: str | None = None
    """What ended it before its time; None: it is at work, or came to the end."""
    over: bool = False
    announced: bool = False
    """It could save before it ended."""
    resumed: int | None = None
    """Step of the checkpoint that it began with."""
    saved: int | None = None
    """Step of its last checkpoint."""
    saves: list[float | None] = field(default_factory=list)
    """Seconds of each checkpoint; None where it was not measured."""
    records: list[Mapping[str, Any]] = field(default_factory=list)
    """Its metrics, steps and dev losses in order."""

    @property
    def wall_s(self) -> float:
        """Seconds in its job."""
        return max(0.0, max(self.ended or 0.0, self.seen) - self.began)

    @property
    def unannounced(self) -> bool:
        """It was interrupted without a chance to save, and not by its own fault or its user."""
        return self.over and self.cause not in (None, FAILED, *FINAL) and not self.announced


def starts_of(run: RunFolder) -> list[Start]:
    """All starts of a run's training in order, without their metrics."""
    found: list[Start] = []
    for told in _moments(run):
        kind, at = told.get("event", "started"), epoch_s(told["time"]) or 0.0
        if kind == "started":
            if found:
                _end(found[-1], None, KILLED)
            found.append(Start(min(at, epoch_s(told.get("began")) or at), at, at))
        elif found and not found[-1].over:
            _tell(found[-1], kind, at, told)
    if found and not found[-1].over:
        found[-1].seen = max(found[-1].seen, epoch_s(run.last_beat().get("time")) or 0.0)
        if not run.lease(job_is_alive=lambda holder: None).living_holder():
            _end(found[-1], None, KILLED)
    return found


def with_metrics(run: RunFolder) -> list[Start] | None:
    """The same with their metrics; None where these carry no times, as those of earlier versions."""
    starts = starts_of(run)
    at = -1
    for record in read_jsonl(run.metrics):
        when = epoch_s(record.get("time"))
        if when is None or not isinstance(record.get("step"), int):
            return None
        while at + 1 < len(starts) and starts[at + 1].alone <= when:
            at += 1
        if at >= 0:
            starts[at].records.append(record)
            starts[at].seen = max(starts[at].seen, when)
    return starts


def _moments(run: RunFolder) -> Iterator[Mapping[str, Any]]:
    """Events, and what began on this machine, of which there is no event `started`."""
    every = [one for one in read_jsonl(run.starts) if one.get("kind", "train") == "train"]
    here = [one for one in every if not one.get("job") and epoch_s(one.get("time"))]
    for event in run.history():
        while here and (epoch_s(here[0]["time"]) or 0.0) <= (epoch_s(event["time"]) or 0.0):
            yield here.pop(0)
        yield event
    yield from here


def _tell(start: Start, kind: str, at: float, told: Mapping[str, Any]) -> None:
    """Add an event to the start that is at work."""
    if kind in OWN:
        start.seen = max(start.seen, at)
    if kind == "resumed":
        start.resumed = told.get("step")
    elif kind == "saved":
        start.saved = told.get("step")
        seconds = told.get("seconds")
        start.saves.append(seconds if isinstance(seconds, int | float) else None)
    elif kind == "stopping":
        start.announced, start.ended, start.cause = True, at, told.get("reason")
    elif kind == "interrupted" and "state" in told:
        _end(start, epoch_s(told.get("ended")), told.get("cause") or KILLED)
    elif kind == "interrupted":
        start.announced = True
        _end(start, at, told.get("cause") or KILLED)
    elif kind == "failed":
        _end(start, at, FAILED)
    elif kind == "finished":
        _end(start, at, None)
    elif kind == "imported":
        _end(start, None, None)


def _end(start: Start, at: float | None, cause: str | None) -> None:
    """A start that has said itself why it stops keeps that, where nobody knows better."""
    if not start.over:
        told = start.cause if cause == KILLED and start.announced else cause
        start.over, start.ended, start.cause = True, at or start.ended, told
