"""What is said of the arrays of a grid. Imports nothing, so that a request of a command can hold it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ArrayOptions:
    """What a user, or a command for him, says of a grid's jobs."""

    throttle: int | None = None
    """Slots of an array that may run at once; None is all."""
    slots: int | None = None
    """Slots that share the cells of one kind; None is as many as the work is worth."""
    answer_gpu: str | None = None
    """Word for the GPU or slice that answers; None is as for training."""
    answer_gpus: int | None = None
    """Of one slot that answers; None is as few as the cluster gives."""
    per_gpu: int = 1
    """Cells that are answered at once on one GPU."""
    more_memory: float = 1.0
    """Times the memory that a job gets otherwise."""
