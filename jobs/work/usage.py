"""What a process uses of its machine, for heartbeats: memory of the host and of its GPU, and how busy that is."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

MB = 1024 * 1024
FRESH_S = 15.0
"""For so long an answer is given again: heartbeats are rarer, steps and batches more frequent."""


class Meter:
    """Measures at most every quarter of a minute, however often it is asked."""

    def __init__(self) -> None:
        self._time = -FRESH_S
        self._known: dict[str, Any] = {}

    def __call__(self) -> dict[str, Any]:
        """`rss_mb` and `peak_rss_mb` of this process; with CUDA `gpu_mb` (most that its tensors took of its GPU since
        it began), `gpu_total_mb`, and where NVML is there `gpu_util` (percent of the last second that it was busy).
        """
        if time.monotonic() - self._time >= FRESH_S:
            self._time = time.monotonic()
            self._known = {**_host(), **_gpu()}
        return self._known


usage = Meter()
"""Of this process."""


def _host() -> dict[str, Any]:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    rss = pages * os.sysconf("SC_PAGE_SIZE") // MB
    return {"rss_mb": rss, "peak_rss_mb": max(peak, rss)}


def _gpu() -> dict[str, Any]:
    """Nothing where torch is not loaded or has no CUDA device in use."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return {}
    total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    told = {"gpu_mb": torch.cuda.max_memory_allocated() // MB, "gpu_total_mb": total // MB}
    with contextlib.suppress(Exception):  # NVML may be missing, too old, or not for users: whatever it says
        told["gpu_util"] = int(torch.cuda.utilization())
    return told
