"""What is pickled: the name of a job and plain data, never code."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from cluster.interrupt import Interrupts


@dataclass(frozen=True)
class JobCall:
    """A call of `jobs.<job>.run(config, interrupts)`.

    Its first act is to take over the signals: submitit's own handlers checkpoint inside the handler, and on
    rank 0 only. The result is a plain dict; `interrupted`, where it is set, names the signal that ended the
    job at a safe point before its end.
    """

    job: str
    """Name of a module of `jobs`, or the full path of a module elsewhere (it has a dot)."""
    config: dict[str, Any]

    def __call__(self) -> dict[str, Any]:
        interrupts = Interrupts().install()
        module = importlib.import_module(self.job if "." in self.job else f"jobs.{self.job}")
        result: dict[str, Any] = module.run(self.config, interrupts)
        return result
