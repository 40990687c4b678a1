"""Learning rate as a pure function of the step, so that a resumed run needs no scheduler state."""

from __future__ import annotations

import math
from typing import Literal


def lr_at(step: int, total: int, warmup: float, base: float, kind: Literal["cosine", "constant"]) -> float:
    """Learning rate of the optimizer step that follows `step` finished ones.

    As `get_cosine_schedule_with_warmup` of transformers, which the official code uses: linear from 0 (the
    very first step has rate 0 where there is a warm-up), then half a cosine down to 0 at `total`.

    Args:
        step: optimizer steps already done, 0 to `total - 1`.
        total: optimizer steps of the whole training.
        warmup: share of `total` in which the rate rises.
        base: the highest rate.
        kind: what follows the warm-up.
    """
    rising = int(total * warmup)
    if step < rising:
        return base * step / rising
    if kind == "constant":
        return base
    return base * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, total - rising)))
