"""How often a training should checkpoint, from what its checkpoints and steps took."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from cluster.errors import ClusterError
from cluster.run.run_folder import RunFolder
from jobs.reliability.rate import Rate
from jobs.reliability.starts import starts_of
from layalign.training.interval import best_interval, overhead

WORTH = 0.005
"""Share of the time that a better interval gains at least where it is told."""


@dataclass(frozen=True, kw_only=True)
class BetterInterval:
    """An interval that is worth changing to."""

    steps: int
    gain: float
    """Share of the time, 0 to 1."""
    told: str


def better_interval(run: RunFolder, step_s: float, rate: Rate) -> BetterInterval | None:
    """What would be better than the interval of a run; None if it is good as it is, or not measured.

    Args:
        run: that was trained.
        step_s: seconds of its steps.
        rate: of interruptions that come unannounced.
    """
    try:
        every = (run.read_config().get("training") or {}).get("save_every")
    except ClusterError:
        return None
    saves = [seconds for start in starts_of(run) for seconds in start.saves if seconds is not None]
    if not saves or step_s <= 0 or not isinstance(every, int):
        return None
    save_s = median(saves)
    best = best_interval(save_s, step_s, rate.mtbf_s)
    gain = overhead(every, save_s, step_s, rate.mtbf_s) - overhead(best, save_s, step_s, rate.mtbf_s)
    if gain < WORTH:
        return None
    told = (
        f"a checkpoint costs {save_s:.2g} s, a step {step_s:.2g} s, {rate.an_hour:.2g} unannounced interruptions an "
        f"hour: every {best} steps is best, you have {every}, which costs {gain:.1%} of the time of steps"
    )
    return BetterInterval(steps=best, gain=gain, told=told)
