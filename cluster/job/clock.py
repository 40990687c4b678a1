"""Since when a process has been at no work: what is to be counted for the work that it begins next.

Of a job's first work that is all since the job began: its script, the interpreter, libraries. Of the next work of a
slot it is what lies between the two.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cluster.run.lease import process_start
from cluster.run.work_folder import as_recorded

_at_work_until: list[float] = []
"""When this process ended its last work; empty before there was one."""


@contextmanager
def counted() -> Iterator[str]:
    """Around work, which gets the time since which all counts for it, as records carry it."""
    try:
        yield as_recorded(_at_work_until[-1] if _at_work_until else _job_began())
    finally:
        _at_work_until[:] = [time.time()]


def _job_began() -> float:
    """In seconds since 1970: of a job what Slurm says, else when this process did."""
    ticks = process_start(os.getpid()) or 0
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    began = time.time() - max(0.0, age_s)
    told = os.environ.get("SLURM_JOB_START_TIME", "")
    return min(began, float(told) or began) if told.isdecimal() else began
