"""A training whose steps take as long as on a real cluster: the job of `benchmarks.ettr`, in no product."""

from __future__ import annotations

import time
from typing import Any

from cluster.job.interrupt import Interrupts


def run(told: dict[str, Any], interrupts: Interrupts) -> dict[str, Any]:
    """`jobs.work.train`, each step of which sleeps for `step_s` seconds before its weights change."""
    from jobs.work import train
    from layalign.training import step

    plain = step.lr_at

    def slow(*args: Any) -> float:
        time.sleep(told["step_s"])
        return plain(*args)

    step.lr_at = slow  # type: ignore[assignment]
    return train.run(told, interrupts)
