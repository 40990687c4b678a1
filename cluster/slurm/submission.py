"""The record of a job that was put into the queue, and what has become of it."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from cluster.errors import ClusterError
from cluster.files import DamagedFile, write_record
from cluster.profile.load import is_shipped
from cluster.profile.profile_file import Cluster, ProfileFile
from cluster.profile.resources import Resources
from cluster.quantities import epoch_s
from cluster.records import read_as, tell_damage, unless_damaged
from cluster.slurm import client
from cluster.slurm.accounting import Usage, user_name
from cluster.slurm.queue import EndedJob, Look, all_queued, ended, queued
from cluster.slurm.queued_job import JOB_ID, QueuedJob
from cluster.slurm.sbatch import SBATCH_S

LAG = timedelta(minutes=5)
"""By how much the clocks of login node and controller may differ."""
HIDDEN = timedelta(days=30)
"""A job of somebody else's, which squeue does not show, may wait or run for as long as this."""
YOUNG = timedelta(days=1)
"""An intent is kept for as long as this at least, whatever became of it."""
CONTROLLER = timedelta(minutes=2)
"""A busy controller may take so long to put a request into the queue whose sender is gone."""
IN_FLIGHT = timedelta(seconds=SBATCH_S) + CONTROLLER
"""So long after it was sent an intent may still become a job: sbatch outlives its launcher, but not its own limit."""
Row = TypeVar("Row", EndedJob, Usage)
SCRIPTS = "slurm"
"""Folder of a run's or grid's scripts, where each of its records has a second copy."""
REMEDY = (
    "see with squeue --me whether a job of it is queued, and scancel it; then delete the file and give the same "
    "command again"
)


class Unseen(ClusterError):
    """What was submitted may be in a queue, and nobody can see it there from here now."""


class Elsewhere(Unseen):
    """It was submitted on another cluster, whose queue cannot be asked from here."""

    def __init__(self, submission: Submission, record: Path) -> None:
        there, job = submission.elsewhere, submission.job or "whose id was never recorded"
        super().__init__(
            f"{submission.name} was submitted on {there} on {submission.time[:10]} as job {job}, which cannot be asked "
            f"for from here: give the command there; or, once squeue there shows it no more, delete {record} and give "
            "it here again"
        )


class InFlight(Unseen):
    """An earlier command's sbatch may still put its job into the queue: nobody may submit it again yet."""

    def __init__(self, submission: Submission, record: Path) -> None:
        sent = submission.since
        ahead = f" (that time is in the future: delete {record})" if sent > datetime.now(UTC) + LAG else ""
        super().__init__(
            f"an earlier command's sbatch may still be in flight: {submission.name} was sent at {sent:%H:%M:%S}, and "
            "is neither in the queue nor in accounting; nothing is submitted meanwhile: look again, by the same "
            f"command, in {submission.in_flight_s():.0f} s{ahead}"
        )


class Unsettled(Unseen):
    """Its id was never recorded, and where accounting keeps no command lines a job that is over may have been it."""

    def __init__(self, submission: Submission, record: Path, rows: Sequence[EndedJob]) -> None:
        jobs = ", ".join(f"{row.id} ({row.state})" for row in rows)
        super().__init__(
            f"{submission.name} was sent at {submission.since:%Y-%m-%d %H:%M:%S}, its id was never recorded, "
            f"and accounting, which keeps no command lines here, has of that name and time job {jobs}: see what became "
            f"of it (sacct -j {rows[0].job}); if it is to be submitted again, delete {record} and give the same "
            "command again"
        )


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A job that was put, or was about to be put, into the queue."""

    job: str | None
    """The id that sbatch gave; None is an intent."""
    name: str
    script: str
    """Its path, which no other submission has."""
    units: int
    """Elements of the array; 1 is a plain job."""
    time: str
    profile: str
    resources: Resources
    dependency: str | None
    tree: str
    """Hash of the code that it runs."""
    archive: str
    """Where that code is kept."""
    commit: str | None
    dirty: bool | None
    """Whether the code differs from the commit."""
    cells: str | None = None
    """Name of the work list, where the job is a slot of a grid."""
    told: dict[str, Any] = field(default_factory=dict)
    """What a training is told beside its config: `data` and `parent`."""
    uid: int | None = None
    """Number of the user who submitted it; None if nobody knows."""
    cluster: str | None = None
    """Where it was submitted, as Slurm names it; None if nobody knows."""
    file: ProfileFile | None = None
    """The profile itself, where `--cluster` named a file."""

    @property
    def origin(self) -> Cluster:
        """What its profile can be loaded by, though a file has gone meanwhile."""
        return self.file.latest() if self.file else self.profile

    @property
    def last(self) -> str | None:
        """Id of the last element, which ends well only if the run is done."""
        return f"{self.job}_{self.units - 1}" if self.job and self.units > 1 else self.job

    @property
    def age(self) -> timedelta:
        """Since it was made."""
        return datetime.now(UTC) - datetime.fromisoformat(self.time).astimezone()

    @property
    def ours(self) -> bool:
        """It is the caller's own."""
        return self.uid in (None, os.getuid())

    @property
    def elsewhere(self) -> str:
        """The other cluster that it was submitted on: here its id is another job's. Empty if it is this one's.

        Records of earlier versions have only the profile, which says so where both are clusters that we know.
        """
        if self.cluster:
            return self.cluster if client.this_cluster() not in (None, self.cluster) else ""
        here = os.environ.get("CC_CLUSTER", "")
        return self.profile if self.profile != here and is_shipped(self.profile) and is_shipped(here) else ""

    @property
    def hidden(self) -> bool:
        """Whether it may still be in the queue of another cluster."""
        return bool(self.elsewhere) and self.age < HIDDEN

    @property
    def fault(self) -> str:
        """What in it no submission has; empty if nothing."""
        asked = self.resources
        least = min(asked.nodes, asked.tasks_per_node, asked.cpus_per_task, asked.time_min, asked.units)
        if min(least, self.units) < 1:
            return "it asks for less than one of something"
        if not all(isinstance(self.told.get(key), str | None) for key in ("data", "parent")):
            return f"what it was told is {self.told!r}"
        return "" if (epoch_s(self.time) or 0) > 0 else f"its time is {self.time!r}"

    @property
    def since(self) -> datetime:
        """When it was, or was about to be, submitted."""
        return datetime.fromisoformat(self.time).astimezone()

    @classmethod
    def read(cls, record: Path) -> Submission | None:
        """The submission that a file tells of, or its copy where that is damaged; None if there is no such file.

        Raises:
            DamagedFile: both are.
        """
        try:
            found = cls._read(record)
        except DamagedFile as damage:
            copy = _copy_of(record)
            found = unless_damaged(cls._read, copy) if copy else None
            if found is None:
                raise damage from None
        return found

    @classmethod
    def _read(cls, record: Path) -> Submission | None:
        found = read_as(cls, record, REMEDY)
        if found is None:
            return None
        if not re.fullmatch(JOB_ID, found.job or ""):  # what a site printed before the id may stand there
            found = replace(found, job=None)
        if fault := found.fault:
            raise DamagedFile(record, fault, REMEDY)
        if found.uid is None:  # as in records of earlier versions
            with contextlib.suppress(FileNotFoundError):
                found = replace(found, uid=record.stat().st_uid)
        return found

    def write(self, record: Path) -> None:
        """Put it on disk, its copy first: whatever happens to either, the other tells of the job."""
        if copy := _copy_of(record):
            write_record(copy, asdict(self))
        write_record(record, asdict(self))

    def accepted(self, job: str, record: Path) -> Submission:
        """The submission with the id of its job, recorded."""
        known = replace(self, job=job)
        known.write(record)
        return known

    def among(self, jobs: Iterable[QueuedJob]) -> list[QueuedJob]:
        """What of it is in the queue. On another cluster the same id is another job's."""
        ours = {self.script, self.name} - {""} if not self.elsewhere else set()
        return [job for job in jobs if job.job == self.job and {job.command, job.name} & ours]

    def owns(self, row: EndedJob | Usage) -> bool:
        """Whether a row of accounting is of it: its id may be of another cluster, or of before ids began anew."""
        if row.id.partition("_")[0] != self.job or self.elsewhere:
            return False
        if self.script and self.script in row.command:
            return True
        submitted = epoch_s(row.submit)
        earlier = submitted is not None and submitted < (self.since - LAG).timestamp()
        return row.name in ("", self.name) and not earlier

    def rows(self, look: Look) -> list[QueuedJob]:
        """What of it is in the queue as of a look; one whose id got lost is known by its script."""
        ours = self.among(look.by_job.get(self.job, ())) if self.job else []
        return ours or look.by_command.get(self.script, [])

    def may_be_queued(self, look: Look) -> bool:
        """Whether it may be in the queue, waiting or running, as of a look; that shows no jobs of other users."""
        if look.time is None or not self.ours or self.hidden:
            return True
        if self.job is None and self.age < YOUNG:
            return True
        return bool(self.rows(look))

    def in_flight_s(self) -> float:
        """For how many seconds more it may become a job that is not to be seen yet; 0 if that is settled."""
        return 0.0 if self.job else max(0.0, (IN_FLIGHT - self.age).total_seconds())

    def by_script(self) -> list[QueuedJob]:
        """What of it is in the queue, whatever its id, and its name by now: no other submission has its script.

        Raises:
            ClusterError: squeue does not answer.
        """
        return [job for job in all_queued() if job.command == self.script]

    def look_up(self) -> str | None:
        """The id of the job that the script has become, in the queue or in accounting; None if it is in neither.

        Accounting does not list by time what was cancelled before it could run: that can be submitted again.

        Raises:
            ClusterError: squeue does not answer.
        """
        jobs = [job.job for job in self.by_script()]
        if not jobs:
            known = ended(name=self.name, since=self.since - LAG) or []
            jobs = [job.job for job in known if self.script in job.command]
        return jobs[0] if jobs else None

    def may_have_been(self) -> list[EndedJob]:
        """Jobs of accounting, which does not say of what script they were, that have its name and its time."""
        begin, end = (self.since - LAG).timestamp(), (self.since + IN_FLIGHT + LAG).timestamp()
        known = ended(name=self.name, since=self.since - LAG) or []
        alike = [row for row in known if row.name == self.name and not row.command]
        return [row for row in alike if begin <= (epoch_s(row.submit) or begin) <= end]

    def end_among(self, jobs: Iterable[QueuedJob]) -> str | None:
        """Its last element, which others may wait for, if that is in the queue and may still end well."""
        ours = [job for job in self.among(jobs) if not job.hopeless]
        return self.last if any(self.last and job.holds(self.last) for job in ours) else None


@dataclass(frozen=True)
class SubmissionState:
    """A submission, and what of it, and of its rivals in a race, is still in the queue."""

    submission: Submission
    jobs: list[QueuedJob] = field(default_factory=list)

    @property
    def hopeless(self) -> bool:
        """It waits for a job that has failed, and can never start."""
        return bool(self.jobs) and all(job.hopeless for job in self.jobs)

    @property
    def alive(self) -> bool:
        """It runs or will run."""
        return bool(self.jobs) and not self.hopeless

    @property
    def ids(self) -> tuple[str, ...]:
        """What `scancel` takes to end all of it."""
        return tuple(dict.fromkeys(job.job for job in self.jobs))

    @property
    def runs(self) -> bool:
        """Part of it has begun to run and is not over."""
        return any(not job.waits for job in self.jobs)

    @property
    def ends(self) -> bool:
        """All that is left of it takes up no more work."""
        return bool(self.jobs) and all(job.ending for job in self.jobs)

    def __str__(self) -> str:
        return "; ".join(f"job {job.id} ({job})" for job in self.jobs)


def recorded(record: Path) -> Submission | None:
    """The submission of a record; one whose job was never recorded is found again.

    Returns:
        None if nothing was submitted, as far as anybody knows; or if what was is not in the queue any more, and
        its record is damaged.

    Raises:
        ClusterError: it has to be looked up, and squeue does not answer.
        Unseen: it was submitted on another cluster, or is not found and may still come, or may be over.
        DamagedFile: nobody can read the record, and a job that may be its is in the queue.
    """
    try:
        submission = Submission.read(record)
    except DamagedFile as damage:
        refuse_in_flight(damage)
        refuse_queued(damage, all_queued())
        tell_damage(damage)
        return None
    if submission is None:
        return None
    if submission.hidden:
        raise Elsewhere(submission, record)
    if submission.job:
        return submission
    found = submission.look_up()
    if not found and submission.in_flight_s():
        raise InFlight(submission, record)
    if not found and (alike := submission.may_have_been()):
        raise Unsettled(submission, record, alike)
    return submission.accepted(found, record) if found else None


def own_rows(rows: Iterable[Row], submissions: Iterable[Submission]) -> list[Row]:
    """Rows of accounting less those of other jobs that have, or had, the id of one of some submissions."""
    by_job: dict[str | None, list[Submission]] = {}
    for one in submissions:
        by_job.setdefault(one.job, []).append(one)
    return [
        row
        for row in rows
        if not (known := by_job.get(row.id.partition("_")[0])) or any(one.owns(row) for one in known)
    ]


def forget_record(record: Path) -> None:
    """Of a submission that Slurm has never accepted."""
    record.unlink()
    if copy := _copy_of(record):
        copy.unlink(missing_ok=True)


def readable(records: Iterable[Path]) -> list[Submission]:
    """The submissions of some records; what is damaged is left out, and told of."""
    return [found for record in records if (found := unless_damaged(Submission.read, record))]


def scripts_of(record: Path) -> Path | None:
    """The folder of scripts that a record belongs to: of a run's or grid's home, or of a folder in it."""
    places = (folder / SCRIPTS for folder in (record.parent, record.parent.parent))
    return next((place for place in places if place.is_dir()), None)


def refuse_in_flight(damage: DamagedFile) -> None:
    """Go on without a damaged record only once whatever it told of is to be seen in the queue.

    Raises:
        DamagedFile: it was written a moment ago.
    """
    left = IN_FLIGHT.total_seconds() - abs(time.time() - damage.path.stat().st_mtime)
    if left > 0:
        raise DamagedFile(
            damage.path,
            "nobody can read what was submitted, and its sbatch may be in flight",
            f"give the same command again in {left:.0f} s",
        )


def refuse_queued(damage: DamagedFile, jobs: Iterable[QueuedJob]) -> None:
    """Go on without a damaged record only where no job that may be its is in the queue.

    Raises:
        DamagedFile: one is.
    """
    record, scripts = damage.path, scripts_of(damage.path)
    if scripts is None:
        return
    others = (path for path in scripts.glob("*.json") if path.name != record.name)
    known = {one.script for one in readable(others)}
    rows = [job for job in jobs if Path(job.command).parent == scripts and job.command not in known]
    if rows:
        ids = " ".join(dict.fromkeys(job.job for job in rows))
        raise DamagedFile(
            record,
            f"nobody can read what was submitted, and job {ids} may be its",
            f"wait until it has ended, or: scancel {ids}; then give the same command again",
        )


def _copy_of(record: Path) -> Path | None:
    scripts = scripts_of(record)
    return scripts / record.name if scripts else None


def submission_state(record: Path) -> SubmissionState | None:
    """What has become of a submission.

    Returns:
        None if nothing was submitted, as far as anybody knows.

    Raises:
        ClusterError: squeue does not answer.
        Unseen: as `recorded`.
    """
    submission = recorded(record)
    if submission is None:
        return None
    assert submission.job
    rows = submission.among(queued([submission.job]))
    if not rows:  # a site's banner may have been taken for the id
        rows = submission.by_script()
        submission = submission.accepted(rows[0].job, record) if rows else submission
    if not rows and not submission.ours and submission.age < HIDDEN:
        raise ClusterError(
            f"{submission.name} was submitted by {user_name(str(submission.uid))} on {submission.time[:10]} as job "
            f"{submission.job}, and this Slurm may not show you their jobs: ask them; once it is over, delete {record}"
        )
    return SubmissionState(submission, rows)
