"""The life of one unit: whether there is anything left to do, what became of the unit before, how the run goes on.

Rank 0 holds the run's lease and writes its events; a process that fails says so itself, as rank 0 may be stuck in a
collective that the failed one has left.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.job.causes import (
    CANCELLED,
    FINAL,
    OUT_OF_MEMORY,
    WALLTIME,
    cause_of_ending,
    cause_of_stop,
    diagnosis,
    ending_of,
    lost_peer,
    peer_gone,
    read_log,
    tail,
    worded,
)
from cluster.job.clock import counted
from cluster.job.interrupt import Interrupts
from cluster.job.unit import Unit
from cluster.run.lease import IsAlive, Superseded
from cluster.run.work_folder import WorkFolder, cancels
from cluster.slurm.queue import job_is_alive

FRUITLESS = 3
"""Starts in a row that may end before the next checkpoint."""
LEASE_S = 300.0
"""How long a unit waits for the one before, which may still be ending."""
PEERS_S = 60.0
"""How long a process that has lost another waits for Slurm to end the job: it knows why."""
POLL_S = 0.1
LINES = 15
ENDS = ("interrupted", "failed", "finished", "imported")
"""Events after which a start is accounted for."""
SAME = "give the same launch command again: it goes on from the last checkpoint"
CHANGED = "python launch.py retry --failed (or retry NAME)"
"""Takes up what the same command does not: a failure whose cause needs a change."""
BEGINS = "Starting with JobEnvironment("
"""What submitit prints first in every start of a job."""
PASSING, NEEDS_CHANGE = "passing", "needs a change"
"""What `FAILED` says of its cause (`cluster.logs.failure`)."""
MORE_MEMORY = "ask for more memory (-o cluster.mem=64G), or lower training.micro_batch"


class UnitLifecycle:
    """What one process of a unit does for its run around its work.

    Args:
        unit: it.
        run: the folder that it works on, of a run or a cell; the work ends by its `DONE`, or `FAILED`.
        kind: of job, for the record.
        interrupts: signals as flags.
        alive: asks Slurm about the job of another that may be at work.
    """

    def __init__(
        self,
        unit: Unit,
        run: WorkFolder,
        kind: str,
        interrupts: Interrupts,
        alive: IsAlive = job_is_alive,
    ) -> None:
        self.unit, self.run, self.kind, self.interrupts, self.alive = unit, run, kind, interrupts, alive
        self.cause: str | None = None
        """Why the work was interrupted."""

    def over(self) -> bool:
        """Whether there is nothing left to do.

        Raises:
            SystemExit: an earlier unit has found that the run cannot go on; with its reason.
        """
        if self.run.is_done():
            print(f"{self.unit}: nothing to do, {self.run.title} is done", flush=True)
            return True
        if reason := self.run.reason():
            raise SystemExit(f"{self.unit} does not start: {reason}")
        return False

    @contextmanager
    def working(self, wait_s: float = LEASE_S) -> Iterator[None]:
        """The time in which the unit may work: rank 0 holds the lease.

        Args:
            wait_s: how long to wait for somebody who may be about to end.

        Raises:
            SystemExit: the run cannot go on.
            ClusterError: somebody else works on the run.
        """
        if self.unit.rank:
            yield
            return
        with self.run.lease(self.unit.job, self.unit.number, self.alive, wait_s), counted() as began:
            begin = self.unit.log.stat().st_size if self.unit.log.exists() else 0
            if before := settle(self.run, self.unit, begin):
                print(f"the start before this one ended by: {before}", flush=True)
            if reason := self.run.reason() or self._fruitless():
                raise SystemExit(f"{self.unit} does not go on: {reason}")
            self.run.event("started", **self._facts(), began=began, log=str(self.unit.log), log_from=begin)
            yield

    def ended(self, result: Mapping[str, Any]) -> None:
        """Record how the work ended by itself."""
        if self.unit.rank or not result.get("interrupted"):
            return
        seen = self.interrupts
        self.cause = cause_of_stop(self.unit, seen)
        told = {"cause": self.cause, "signal": seen.cause, "step": result.get("step")}
        self.run.event("interrupted", **told, **self._facts())
        print(f"interrupted: {self.cause} ({seen.cause or 'another process was told'})", flush=True)
        if self.cause in FINAL:
            self.run.fail(diagnosis(f"{self.cause}: {self.unit}", {}, [], SAME), **self._facts())

    def go_on(self, result: Mapping[str, Any]) -> None:
        """See to it that the run goes on after an interruption; the lease is free by now.

        Raises:
            SystemExit: nothing follows by itself.
        """
        if self.unit.rank or not self.cause:
            return
        if self.cause in FINAL:
            raise SystemExit(f"{self.cause}; {SAME}")
        if self.unit.requeue and not self._requeue():
            raise SystemExit(f"Slurm does not requeue this job; {SAME}")
        if self.unit.last:
            short = self.cause == WALLTIME
            why = "walltime too short" if short else f"interrupted in the last unit by: {self.cause}"
            steps = f"{result['step']} of {result['total']} steps" if "total" in result else "not all is done"
            raise SystemExit(f"{why}: {steps}; submit again with more units (--units): {SAME}")

    def failed(self, error: Exception) -> str:
        """Record that the work ended by an exception. Returns what to print as the last of the log."""
        if isinstance(error, Superseded):
            return str(error)
        if lost_peer(error):
            return self._mourn(error)
        if not isinstance(
            error, ClusterError
        ):  # such a one was recorded where it arose, or concerns the lease
            record_failure(self.run, self.kind, error, self.unit)
        return self.run.failed.read_text(encoding="utf-8") if self.run.failed.exists() else str(error)

    def _mourn(self, error: Exception) -> str:
        """Another process is gone, and Slurm knows why: leave the job to it, and see that the run goes on."""
        deadline = time.monotonic() + PEERS_S
        while self.interrupts.cause is None and time.monotonic() < deadline:
            time.sleep(POLL_S)
        if self.unit.requeue and self.unit.rank < 2:
            self._requeue()
        return peer_gone(error)

    def _requeue(self) -> bool:
        """Have Slurm start the job anew, unless it has seen to that already."""
        if self.unit.ask_requeue():
            return True
        shown = self.unit.shown() or {}
        return int(shown.get("Restarts", 0)) > self.unit.restart or shown.get("JobState") == "PENDING"

    def _fruitless(self) -> str:
        """Why the run stops, where start after start has ended before the next checkpoint; else nothing."""
        causes: list[str] = []
        saved = False
        for event in self.run.history():
            saved = event["event"] == "saved" or (saved and event["event"] != "started")
            if event["event"] == "interrupted" and event.get("submission") == self.unit.submission:
                causes = [] if saved else [*causes, event.get("cause") or "unknown"]
        if len(causes) < FRUITLESS:
            return ""
        reason = f"{len(causes)} starts without progress: each ended before the next checkpoint"
        advice = "give each unit more time (--time), or save more often (-o training.save_every=...)"
        told = diagnosis(reason, {"they ended by": ", ".join(causes)}, [], f"{advice}; then {SAME}")
        self.run.fail(told, **self._facts())
        return reason

    def _facts(self) -> dict[str, Any]:
        return {"kind": self.kind, "submission": self.unit.submission, **self.unit.facts()}


def settle(run: WorkFolder, unit: Unit | None = None, begin: int = 0) -> str | None:
    """Find out what became of a unit that could not tell, and record it. Nobody else may work on the run.

    Args:
        run: the folder of the run, or of the cell.
        unit: the one that asks, if it is one.
        begin: where in its log it began.

    Returns:
        The cause; None if every start is accounted for. Where it is final the run has failed now, unless it was
        submitted again since.
    """
    begun, cancelled = None, False
    for event in run.history():
        cancelled = cancelled or bool(begun and cancels(event, begun["job"]))
        if event["event"] == "started":
            begun, cancelled = event, False
        elif event["event"] in ENDS:
            begun = None
    if begun is None:
        return None
    ending = ending_of(begun["job"], begun.get("restart") or 0, name=begun.get("name") or "")
    path = Path(begun["log"])
    text = read_log(path, begun["log_from"], begin if unit and path == unit.log else None)
    if unit and path == unit.log:  # of a job that was requeued: this start has said in it that it begins
        text = text.rpartition(BEGINS)[0] or text
    cause = CANCELLED if cancelled and ending.state is None else cause_of_ending(ending, text)
    facts = {key: begun[key] for key in ("kind", "submission", "job", "unit", "restart", "nodes")}
    run.event("interrupted", cause=cause, signal=None, **vars(ending), **facts)
    if cause in FINAL and (unit is None or unit.submission == begun["submission"]):
        told = {"nodes": begun["nodes"], "state": ending.state, "exit code": ending.exit, "log": path}
        advice = f"{MORE_MEMORY}; then {SAME}, or {CHANGED} --more-mem" if cause == OUT_OF_MEMORY else SAME
        run.fail(diagnosis(f"{cause}: job {begun['job']}", told, tail(text, LINES), advice), **facts)
    return cause


def last_end(run: WorkFolder) -> str:
    """What ended the last job of a run, recorded now if the job itself could not do so; empty if nothing is to be told.

    To be asked when no job of the run's own is left: a process of this machine, a slot of a grid or somebody else may
    still be at work.
    """
    if run.lease(job_is_alive=job_is_alive).living_holder():
        return ""
    cause = settle(run)
    if run.failed.exists():
        return f"{run.title} has failed: {run.failed.read_text(encoding='utf-8').rstrip()}"
    return f"{run.title} was ended by: {cause}; it goes on from its last checkpoint" if cause else ""


def _followed(run: WorkFolder, unit: Unit) -> bool:
    """Whether another start has begun since a unit's own, so that what becomes of this one concerns nobody."""
    started = [event for event in run.history() if event["event"] == "started"]
    mine = (unit.job, unit.restart)
    starts = [(event.get("job"), event.get("restart")) for event in started]
    return mine in starts and starts[-1] != mine


def record_failure(
    run: WorkFolder,
    kind: str,
    error: Exception,
    unit: Unit | None,
    advice: str | None = None,
    passing: bool | None = None,
) -> None:
    """Record that the work ended by an exception, unless it only tells that another process is gone.

    Args:
        run: the run.
        kind: of job.
        error: the exception; ValueError and ClusterError are the user's mistakes.
        unit: of this process, if it belongs to one.
        advice: what helps, if more is known than that it must be mended.
        passing: whether the same command takes it up again; None leaves that to whoever reads it.

    Raises:
        Superseded: another process works on the run now, whatever became of this one.
    """
    if isinstance(error, Superseded) or (unit and unit.rank and _followed(run, unit)):
        return
    run.check_holder()
    if lost_peer(error):
        if unit and unit.rank == 0:
            run.event("lost_peer", error=str(error)[:300])
        return
    mistake = isinstance(error, (ValueError, ClusterError))
    reason = str(error) if mistake else worded(error)
    sys.stdout.flush()
    where: dict[str, Any] = {"exit code": 1}
    if passing is not None:
        where["cause"] = PASSING if passing else NEEDS_CHANGE
    facts: dict[str, Any] = {"kind": kind}
    lines: list[str] = []
    if unit:
        where |= {"where": f"rank {unit.rank} of {unit}, nodes {unit.nodes}", "log": unit.log}
        facts |= {"submission": unit.submission, "rank": unit.rank, **unit.facts()}
        lines = tail(read_log(unit.log), LINES)
    if not mistake:
        lines += "".join(traceback.format_exception(error)).splitlines()[-LINES:]
    if not advice:
        changed = CHANGED if unit and passing is False else f"{SAME}; where that passes it over: {CHANGED}"
        advice = SAME if passing else f"mend what the message says, then {changed}"
    run.fail(diagnosis(reason, where, lines, advice), **facts)
