"""One glance at the queue, for any number of questions about what may be in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from cluster.errors import ClusterError
from cluster.slurm.queue import QueuedJob, alive_in, all_queued
from cluster.slurm.submission import Submission

YOUNG = timedelta(days=1)
"""An intent may still become a job for as long as this."""


@dataclass(frozen=True)
class Glance:
    """What the queue held at one moment."""

    jobs: tuple[QueuedJob, ...] | None
    """Of this user; None if squeue did not answer."""
    silence: str = ""
    """Why it did not."""

    @classmethod
    def now(cls) -> Glance:
        """Ask, once."""
        try:
            return cls(tuple(all_queued()))
        except ClusterError as error:
            return cls(None, str(error).partition("\n")[0])

    def job_is_alive(self, job: str) -> bool | None:
        """Whether processes of a job may still be there; None if nobody knows."""
        return None if self._alive is None else self._alive(job)

    @cached_property
    def _alive(self) -> Callable[[str], bool] | None:
        return None if self.jobs is None else alive_in(self.jobs)

    def holds(self, submission: Submission | None) -> bool:
        """Whether a submission may be in the queue, waiting or running."""
        if submission is None or self.jobs is None:
            return submission is not None
        if submission.job is None:
            age = datetime.now(UTC) - datetime.fromisoformat(submission.time)
            return age < YOUNG or any(job.command == submission.script for job in self.jobs)
        return bool(submission.among(self.jobs))
