"""How often jobs are interrupted here without being told before, from the events of all runs in a folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cluster.run.run_folder import RunFolder, all_runs
from jobs.reliability.starts import starts_of


@dataclass(frozen=True)
class Rate:
    """Unannounced interruptions in so many hours of trainings.

    What is not known yet counts as one interruption in one hour: the rate is one an hour where nothing has run, and
    what was seen decides once that is more.
    """

    interruptions: int
    hours: float

    @property
    def an_hour(self) -> float:
        """Interruptions an hour."""
        return (self.interruptions + 1) / (self.hours + 1)

    @property
    def mtbf_s(self) -> float:
        """Mean seconds between two."""
        return 3600 / self.an_hour

    def __str__(self) -> str:
        seen = f"{self.interruptions} unannounced in {self.hours:,.1f} h of trainings here"
        return f"{self.an_hour:.2g} interruptions an hour ({seen}; to begin with, one in an hour is assumed)"


def rate_of(runs: Iterable[RunFolder]) -> Rate:
    """Of the trainings of some runs."""
    starts = [start for run in runs for start in starts_of(run)]
    return Rate(sum(start.unannounced for start in starts), sum(start.wall_s for start in starts) / 3600)


def rate_in(run: RunFolder) -> Rate:
    """Of all trainings in the folder that a run lies in."""
    return rate_of(all_runs(run.root))
