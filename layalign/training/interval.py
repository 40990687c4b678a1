"""How often to checkpoint: the optimum between what a checkpoint costs and what an interruption loses.

Young (doi 10.1145/361147.361115), to first order also Daly (doi 10.1016/j.future.2004.11.016): with a checkpoint of C
seconds and M seconds between interruptions on average, work for sqrt(2 C M) seconds between two checkpoints.
Interruptions that are announced by a signal do not count: the step is finished and saved. Light.
"""

from __future__ import annotations

import math

MOST = 0.05
"""Share of the time that `save_every: auto` spends on checkpoints at most."""


def best_interval(save_s: float, step_s: float, mtbf_s: float) -> int:
    """Steps between two checkpoints, at least 1.

    Args:
        save_s: seconds that a checkpoint takes.
        step_s: seconds of a step, above 0.
        mtbf_s: mean seconds between interruptions that come unannounced.
    """
    return max(1, round(max(math.sqrt(2 * save_s * mtbf_s), save_s / MOST) / step_s))


def overhead(steps: int, save_s: float, step_s: float, mtbf_s: float) -> float:
    """Seconds that go to checkpoints and to steps done again, for each second of steps; arguments as above.

    Args:
        steps: between two checkpoints. An interruption loses half of them on average.
    """
    between_s = steps * step_s
    return save_s / between_s + between_s / 2 / mtbf_s
