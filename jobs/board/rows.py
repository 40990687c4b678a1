"""What the board shows: one row for a run and one for its answers to a benchmark, a line for a grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cluster.run.state import State
from cluster.slurm.queue import Look


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the board. What is not known is None."""

    run: str
    """Name of the run's folder."""
    title: str
    """The shortest name that tells it from the others."""
    state: State
    cause: str = ""
    """In a few words; of what waits for several reasons each of them."""
    share: str = ""
    """`mgsm`: answers to a benchmark, `mgsm/sw-0`: a share of them; empty for a training."""
    note: str = ""
    """Why it waits or broke, or what happened last."""
    time: float | None = None
    """When that was, in seconds since 1970."""
    start: float | None = None
    """When the scheduler expects it to start."""
    unit: int | None = None
    """Counted from 1."""
    units: int | None = None
    step: int | None = None
    """Steps, or items."""
    total: int | None = None
    loss: float | None = None
    tokens_per_s: float | None = None
    eta_s: float | None = None
    gpu_mb: int | None = None
    """Most memory that the first process took of its GPU."""
    gpu_total_mb: int | None = None
    gpu_util: int | None = None
    """Percent."""
    rss_mb: int | None = None
    """Memory of the first process."""
    restarts: int = 0
    """Starts after the first."""
    silent: bool = False
    """It should have given a sign of life by now."""

    @property
    def name(self) -> str:
        """What a user may type, and what it is of that run."""
        return f"{self.title} {self.share}" if self.share else self.title


@dataclass(frozen=True, kw_only=True)
class GridLine:
    """How far a grid is."""

    name: str
    states: Mapping[State, int]
    """Cells in each state."""
    gpu_hours: float
    """That its trainings held GPUs for, and its finished shares of evaluations took."""

    @property
    def cells(self) -> int:
        """In all."""
        return sum(self.states.values())


@dataclass(frozen=True, kw_only=True)
class Status:
    """All that is shown, as of one reading."""

    rows: tuple[Row, ...]
    grids: tuple[GridLine, ...]
    look: Look
    unasked: str
    """Why the queue was not asked; empty if it was."""
    time: float
    """When the files were read, in seconds since 1970."""
    warnings: tuple[str, ...] = field(default=())
