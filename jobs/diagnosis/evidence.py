"""What can be found out about a run or a cell: its files, one look at the queue, one question to accounting."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from cluster.errors import ClusterError
from cluster.job.race import records_of
from cluster.quantities import human_time
from cluster.run.grid_folder import GridFolder
from cluster.run.lease import Holder
from cluster.run.run_folder import CellFolder, RunFolder
from cluster.run.state import State
from cluster.sandbox.sandbox import sandbox_environment, sandbox_root
from cluster.site.environment import rebuilt_by
from cluster.slurm.accounting import Usage, usage
from cluster.slurm.queue import Look
from cluster.slurm.queued_job import QueuedJob
from cluster.slurm.submission import Submission, own_rows, readable
from jobs.board.signs import Standing
from jobs.diagnosis.attempts import Attempt, latest_attempt, short_name, slots_of
from jobs.diagnosis.pace import Pace, moment, pace_of

LAUNCH = "give the launch command again"
LINE = 240


@dataclass(frozen=True)
class Diagnosis:
    """What has become of some work, on one screen."""

    state: State
    cause: str
    """In a few words."""
    told: str
    """In a sentence."""
    evidence: list[tuple[str, str]] = field(default_factory=list)
    """What it is told from: a word, and what was found."""
    advice: list[str] = field(default_factory=list)
    """The next step, the most likely first."""


class Inquiry:
    """Facts about some work, each found out when it is first asked for.

    Args:
        work: a run, or a cell of its evaluation.
        look: at the queue, if there was one already.
    """

    def __init__(self, work: RunFolder | CellFolder, look: Look | None = None) -> None:
        self.work = work
        self.run = work.run if isinstance(work, CellFolder) else work
        self.parents: dict[str, Standing] | None = None
        """Where the runs stand that must be done before, by their folders, once `jobs.diagnosis.standing` was asked."""
        if look:
            self.look = look

    @cached_property
    def slots(self) -> list[tuple[GridFolder, Submission]]:
        """The arrays of grids that it is a cell of."""
        return list(slots_of(self.run))

    @cached_property
    def submissions(self) -> list[Submission]:
        """What was put into a queue for it: its own chain, and the slots of grids."""
        found = [*readable(records_of(self.run)), *(submission for _, submission in self.slots)]
        enter_sandbox(found)
        return found

    @cached_property
    def look(self) -> Look:
        """The queue; nobody is asked about what was never submitted."""
        return Look.attempt() if self.submissions else Look(time=time.time())

    @cached_property
    def rows(self) -> list[tuple[Submission, QueuedJob]]:
        """What of it is in the queue."""
        return [(one, job) for one in self.submissions for job in one.rows(self.look)]

    @cached_property
    def holder(self) -> Holder | None:
        """Who works on it now."""
        return self.work.lease(job_is_alive=self.look.job_is_alive).living_holder()

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        return self.work.history()

    @cached_property
    def attempt(self) -> Attempt | None:
        """Its latest start."""
        return latest_attempt(self.work)

    @cached_property
    def accounts(self) -> list[Usage] | None:
        """What accounting says of the jobs that worked on it; None where it is silent."""
        jobs = [event["job"].partition("_")[0] for event in self.events if event.get("submission")]
        own = [submission.job for submission in self.submissions if submission.job and not submission.cells]
        rows = usage([*own, *jobs]) if own or jobs else None
        return None if rows is None else own_rows(rows, self.submissions)

    @cached_property
    def accounted(self) -> Usage | None:
        """The job of the latest start as accounting shows it; of what never started, the first of its jobs."""
        rows = self.accounts or []
        if self.attempt:
            rows = [row for row in rows if row.id == self.attempt.job][: self.attempt.restart + 1]
        return rows[-1] if rows else None

    @cached_property
    def pace(self) -> Pace | None:
        return None if isinstance(self.work, CellFolder) else pace_of(self.run)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The run's config as plain data; empty where there is none."""
        try:
            return self.run.read_config()
        except ClusterError:
            return {}

    @cached_property
    def heartbeat(self) -> dict[str, Any]:
        return self.work.last_beat()

    def again(self) -> str:
        """The command that goes on with it."""
        grids = [grid.name for grid, _ in self.slots]
        if grids and not self._own:
            return f"python launch.py retry {grids[-1]}"
        return self.run.command(LAUNCH) if isinstance(self.work, RunFolder) else LAUNCH

    @property
    def queued(self) -> bool:
        """Whether it goes on through the queue, by `retry`."""
        return bool(self.slots) or self._own

    @property
    def _own(self) -> bool:
        return isinstance(self.work, RunFolder) and self.run.submission.exists()

    def facts(self) -> dict[str, str]:
        """What advice may refer to."""
        submission = self.submissions[-1] if self.submissions else None
        training, evaluation = self._section("training"), self._section("evaluation")
        size = (
            evaluation.get("batch_size") if isinstance(self.work, CellFolder) else training.get("micro_batch")
        )
        name = "evaluation.batch_size" if isinstance(self.work, CellFolder) else "training.micro_batch"
        lr, save = training.get("lr"), training.get("save_every")
        nodes = self.attempt.nodes if self.attempt else ""
        return {
            "run": short_name(self.work),
            "again": self.again(),
            "again_with_more_memory": f"{self.again()} --more-mem" if self.queued else "",
            "rebuild": rebuilt_by(submission.origin) if submission else "",
            "smaller": f"{name}={size // 2}" if isinstance(size, int) and size > 1 else "",
            "half_lr": f"{float(lr) / 2:g}" if lr else "",
            "half_save": str(save // 2) if isinstance(save, int) and save > 1 else "",
            "node": nodes if nodes and not set(nodes) & set(",[") else "",
            "job": self.attempt.job if self.attempt else "",
        }

    def _section(self, name: str) -> Mapping[str, Any]:
        found = self.config.get(name)
        return found if isinstance(found, dict) else {}


def enter_sandbox(submissions: list[Submission]) -> None:
    """Speak to the sandbox about what was submitted there."""
    if any(one.profile == "sandbox" for one in submissions) and "SLURM_CONF" not in os.environ:
        try:
            os.environ.update(sandbox_environment(sandbox_root(os.environ)))
        except ClusterError:
            return


def shortened(text: str) -> str:
    """A line of a log, cut where it would take more than a few lines of the screen."""
    return text if len(text) <= LINE else text[: LINE - 4] + " ..."


def ago(time: str) -> str:
    """`2026-11-24 08:00 UTC, 3 h 5 min ago`."""
    passed = max(0.0, (datetime.now(UTC) - moment(time)).total_seconds() / 60)
    return f"{time[:16].replace('T', ' ')} UTC, {human_time(passed)} ago"


def progress(inquiry: Inquiry) -> list[tuple[str, str]]:
    """How far it has come, and what became of its starts."""
    rows = []
    pace, beat = inquiry.pace, inquiry.heartbeat
    if pace:
        saved = [event["step"] for event in inquiry.events if event["event"] == "saved"]
        kept = f", saved at {saved[-1]}" if saved else ", nothing saved yet"
        rows.append(("progress", f"step {pace.step} of {pace.total}{kept}, {pace.step_s:.2g} s a step"))
    elif "items" in beat:
        rows.append(("progress", f"item {beat.get('answered', 0)} of {beat['items']}"))
    starts = sum(event["event"] == "started" for event in inquiry.events)
    ends = [str(event.get("cause")) for event in inquiry.events if event["event"] == "interrupted"]
    if starts > 1 or ends:
        told = f"{starts} start{'s' * (starts != 1)}"
        rows.append(("starts", told + (f", interrupted by: {', '.join(ends[-6:])}" if ends else "")))
    return rows


def accounting(inquiry: Inquiry) -> list[tuple[str, str]]:
    """What accounting says of the job of the latest start."""
    row = inquiry.accounted
    if row is None:
        return []
    told = [f"job {row.id} {row.state}" + (f" by {row.by}" if row.by else "") + f", exit {row.exit}"]
    if row.limit_min:
        told.append(f"{human_time(row.elapsed_s / 60)} of {human_time(row.limit_min)}")
    if row.mem_mb and row.used_mb:
        told.append(f"{row.used_mb / 1024:.1f} of {row.mem_mb / row.nodes / 1024:.1f} GB of memory")
    return [("sacct", "; ".join(told))]
