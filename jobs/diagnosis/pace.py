"""How fast a training goes, and how many units of which length the rest of it takes."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from cluster.logs.read import LogPart, last_lines
from cluster.run.run_folder import RunFolder
from cluster.slurm.script import SIGNAL_S

RECORDS = 50
"""Steps that the speed is taken from."""
START_S = 300.0
"""What starting takes where no start has been measured: modules, environment, models."""


@dataclass(frozen=True)
class Pace:
    """Progress of a training, as its metrics tell it."""

    step: int
    total: int
    step_s: float
    """Seconds for a step: median of the last ones."""
    start_s: float
    """Seconds of a start outside of steps: median of the starts that have ended."""

    @property
    def rest(self) -> int:
        """Steps that are left."""
        return max(0, self.total - self.step)

    @property
    def left_min(self) -> float:
        """What the steps that are left take, in minutes."""
        return self.rest * self.step_s / 60

    def steps_in(self, minutes: float) -> int:
        """Steps that a unit of this length does."""
        return max(0, math.floor((minutes * 60 - self.start_s - SIGNAL_S) / self.step_s))

    def units(self, minutes: float) -> int | None:
        """Units of this length that the rest takes; None if such a unit does not come to a step."""
        each = self.steps_in(minutes)
        return math.ceil(self.rest / each) if each else None

    def whole_min(self) -> float:
        """What the rest takes in one go, its start and its last checkpoint included, in minutes."""
        return self.left_min + (self.start_s + SIGNAL_S) / 60


def pace_of(run: RunFolder) -> Pace | None:
    """The pace of a training; None before its first step. The file of metrics is read from its end."""
    records = [record for record in last_metrics(run) if "seconds" in record and "total" in record]
    if not records:
        return None
    step_s = median(record["seconds"] for record in records[-RECORDS:])
    return Pace(records[-1]["step"], records[-1]["total"], step_s, start_seconds(run, step_s))


def last_metrics(run: RunFolder) -> list[dict[str, Any]]:
    """The last records of the metrics."""
    found = []
    for line in last_lines(LogPart(run.metrics), 2 * RECORDS)[0]:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [record for record in found if isinstance(record, dict)]


def start_seconds(run: RunFolder, step_s: float) -> float:
    """What a start takes outside of steps: the time of a start that has ended, less its steps."""
    begun, first, measured = None, 0, []
    for event in run.history():
        if event["event"] == "started":
            begun, first = moment(event["time"]), 0
        elif event["event"] == "resumed":
            first = event.get("step", 0)
        elif event["event"] in ("interrupted", "finished") and begun and event.get("step"):
            lasted = (moment(event["time"]) - begun).total_seconds()
            measured.append(max(0.0, lasted - (event["step"] - first) * step_s))
            begun = None
    return median(measured) if measured else START_S


def moment(text: str) -> datetime:
    """The time of a record."""
    return datetime.fromisoformat(text).astimezone()
