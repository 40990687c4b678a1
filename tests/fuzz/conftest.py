"""How many examples are tried, how long each may take, and how many there were."""

from __future__ import annotations

import functools
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

EVERYDAY = 20
LIMIT_S = 10.0
"""Of the processor's time, which other work on the machine does not use up."""
TRIED: Counter[str] = Counter()

_common: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "database": None,
    "print_blob": True,
    "phases": (Phase.explicit, Phase.generate, Phase.shrink),  # to explain takes minutes of tracing
    "report_multiple_bugs": False,
}
settings.register_profile("everyday", max_examples=EVERYDAY, derandomize=True, **_common)
settings.register_profile("fuzz", max_examples=int(os.environ.get("LAYALIGN_FUZZ", EVERYDAY)), **_common)
settings.load_profile("fuzz" if "LAYALIGN_FUZZ" in os.environ else "everyday")


class Hung(AssertionError):
    """An example took as long as no example may."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        test = getattr(getattr(item, "obj", None), "hypothesis", None)
        if test and Path(__file__).parent in item.path.parents and not hasattr(test.inner_test, "name"):
            test.inner_test = _watched(test.inner_test, f"{item.path.stem}::{item.originalname}")


def _watched(test: Callable[..., None], name: str) -> Callable[..., None]:
    """A test that counts its examples and ends those that hang."""

    @functools.wraps(test)
    def watched(*args: Any, **values: Any) -> None:
        TRIED[name] += 1
        before = signal.signal(signal.SIGVTALRM, _hang)
        signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_S)
        began = time.process_time()
        try:
            test(*args, **values)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)
        if time.process_time() - began > LIMIT_S:  # within one call of C, which no signal ends
            raise Hung(f"{time.process_time() - began:.0f} s")

    watched.name = name  # type: ignore[attr-defined]
    return watched


def _hang(*_: object) -> None:
    raise Hung(f"more than {LIMIT_S:.0f} s")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if "LAYALIGN_FUZZ" in os.environ:
        seed = config.getoption("hypothesis_seed", None)
        terminalreporter.write_line(f"seed {seed}: {sum(TRIED.values()):,} examples")
        for name, count in sorted(TRIED.items()):
            terminalreporter.write_line(f"{count:7,} {name}")
