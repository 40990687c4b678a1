"""Bounds on processor seconds that hold on a slow or shared core too.

A bound says what something may cost on an idle core of 2026. How much slower this core is now is measured beside
it, by a fixed piece of work of the kind that is timed (the interpreter, json and small files).
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PIECE_S = 0.025  # what `_piece` takes on an idle core of 2026: the median of 20


def cpu_seconds(work: Callable[..., object], *args: object) -> float:
    """The processor seconds of `work(*args)`, as an idle core would take them."""
    before = slowness()
    spent = _spent(work, *args)
    return spent * 2 / (before + slowness())


def slowness() -> float:
    """How many times as long as an idle core this one takes for one and the same work, now."""
    return min(_spent(_piece) for _ in range(3)) / PIECE_S


def _spent(work: Callable[..., object], *args: object) -> float:
    began = time.process_time()
    work(*args)
    return time.process_time() - began


def _piece() -> None:
    record = {f"key-{n}": [n, str(n), {"nested": n / 7}] for n in range(50)}
    with tempfile.TemporaryDirectory() as folder:
        for n in range(100):
            path = Path(folder) / f"{n}.json"
            path.write_text(json.dumps(record))
            assert json.loads(path.read_text()) == record
