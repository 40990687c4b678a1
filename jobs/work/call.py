"""What is pickled: the name of a job and plain data, never code."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from cluster.errors import ClusterError, JobFailed, trace_of
from cluster.full_disk import patience
from cluster.job.interrupt import Interrupts
from cluster.secret import secret_in

ROOM_S = 5 * 60.0
"""A job waits for room on a full disk for as long as this: less than other processes wait for one of theirs."""
MODULES = {
    "train": "jobs.work.train",
    "slot": "jobs.grid.slot",
    "demo": "jobs.cli.demo",
    "translate": "jobs.work.translate",
}
"""Where each job is. They lie above this room, which names them here alone."""


@dataclass(frozen=True)
class JobCall:
    """A call of `run(config, interrupts)` in the module of a job.

    Its first act is to take over the signals: submitit's own handlers checkpoint inside the handler, and on
    rank 0 only. The result is a plain dict; `interrupted`, where it is set, names the signal that ended the
    job at a safe point before its end.

    In a unit on Slurm (`terms` in its config) a job whose run is done or has failed ends at once, before anything
    heavy is imported.
    """

    job: str
    """One of `MODULES`, or the full path of a module elsewhere."""
    config: dict[str, Any]

    def __call__(self) -> dict[str, Any]:
        interrupts = Interrupts().install()
        alone = (
            not self.config.get("terms") or "list" in self.config
        )  # a slot sees to the life of its cells itself
        with patience.within(ROOM_S, lambda: interrupts.cause), cleared():
            return self._work(interrupts) if alone else self._work_as_unit(interrupts)

    def _work(self, interrupts: Interrupts) -> dict[str, Any]:
        module = importlib.import_module(MODULES.get(self.job, self.job))
        result: dict[str, Any] = module.run(self.config, interrupts)
        return result

    def _work_as_unit(self, interrupts: Interrupts) -> dict[str, Any]:
        from cluster.job.lifecycle import UnitLifecycle
        from cluster.job.race import lost, win
        from cluster.job.unit import find_unit
        from cluster.run.run_folder import RunFolder

        unit = find_unit(self.config, os.environ)
        assert unit
        run = RunFolder(Path(self.config["run"]))
        life = UnitLifecycle(unit, run, self.job, interrupts)
        if life.over():
            return {"interrupted": None}
        if run.rivals.exists() and lost(run, unit):
            print(f"{unit}: nothing to do, {run.title} has been begun elsewhere", flush=True)
            return {"interrupted": None}
        try:
            with life.working():
                if unit.rank == 0:
                    win(run, unit)
                result = self._work(interrupts)
                life.ended(result)
        except Exception as error:
            leave(error, life.failed(error))
        life.go_on(result)
        return result


@contextlib.contextmanager
def cleared() -> Iterator[None]:
    """What an error says is logged, and kept in a pickle, by submitit: one that tells a secret gives way to another."""
    try:
        yield
    except Exception as error:
        if not secret_in("".join(traceback.format_exception(error))):
            raise
        kind = ClusterError if isinstance(error, ClusterError) else JobFailed
        raise kind(trace_of(error)) from None


def leave(error: Exception, told: str, traced: bool = True) -> NoReturn:
    """End this process now: what other processes have left unfinished would keep an orderly exit waiting.

    Args:
        error: why.
        told: the last words of the log.
        traced: whether the traceback goes before them.
    """
    from cluster.run.lease import Superseded

    shown = trace_of(error) if traced and not isinstance(error, Superseded) else ""
    print(*dict.fromkeys(filter(None, (shown, told))), sep="\n", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
