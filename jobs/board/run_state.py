"""What has become of a training, from its files and one look at the queue."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.files import read_jsonl
from cluster.job.lifecycle import ENDS
from cluster.job.race import records_of
from cluster.logs.pattern import find_pattern
from cluster.logs.pending_reasons import BUSY, REASONS, never_starts
from cluster.logs.tail import count_lines, last_records
from cluster.quantities import epoch_s
from cluster.run.run_folder import RunFolder
from cluster.run.work_folder import AHEAD_S, CANCELLED, WorkFolder, cancels, is_event
from cluster.slurm.accounting import user_name
from cluster.slurm.queue import UNDECIDED, EndedJob, Look
from cluster.slurm.queued_job import QueuedJob
from cluster.slurm.submission import Submission, own_rows, readable
from jobs.board.rows import State

SILENT_S = 300.0
"""A heartbeat that is older than ten of its intervals is missing."""
TRAIN = b'"kind": "train"'
SAVED = b'"event": "saved"'


@dataclass
class Facts:
    """What the files of a training say, read once."""

    run: RunFolder
    done: dict[str, Any] | None
    lost: str
    """Why it is not done, though it was: its bridge is missing."""
    failed: str
    """Why, in a line."""
    submissions: tuple[Submission, ...]
    """All that was submitted for it: that which counts first, then its rivals in a race."""
    damaged: bool
    """Nobody can read some of what was submitted for it."""
    last: dict[str, Any]
    """The latest event."""
    begun: dict[str, Any]
    """The latest start, where an event tells of it: it was a job."""
    open: bool
    """Nothing says how that start ended."""
    starts: int
    beat: dict[str, Any]
    """The latest sign of life, with the latest step."""
    sign: float
    """When it was last heard of, in seconds since 1970; 0 is never."""
    cancelled: dict[str, Any] = field(default_factory=dict)
    """The latest event that tells of a `cancel`, if none of a start follows it."""

    @property
    def submission(self) -> Submission | None:
        """That which counts."""
        return self.submissions[0] if self.submissions else None

    @classmethod
    def of(cls, run: RunFolder) -> Facts:
        completion = run.completion()
        done = completion.outcome if completion.holds else None
        last, begun, is_open, cancelled = _story(run)
        beat = run.last_beat()
        beat |= _latest_step(run) if beat else {}
        ahead = time.time() + AHEAD_S
        told = [epoch_s(record.get("time")) for record in (last, beat, done or {})]
        records = [] if done else [record for record in records_of(run) if record.exists()]
        submissions = tuple(readable(records))
        return cls(
            run=run,
            done=done,
            lost=completion.fault,
            failed="" if completion.holds else run.reason(),
            submissions=submissions,
            damaged=not completion.holds and len(submissions) < len(records),
            last=last,
            begun=begun,
            open=is_open,
            starts=count_lines(run.starts, TRAIN),
            beat=beat,
            sign=max(sign if sign and sign < ahead else 0.0 for sign in told),
            cancelled=cancelled,
        )


def _story(run: WorkFolder) -> tuple[dict[str, Any], dict[str, Any], bool, dict[str, Any]]:
    """The latest event, the latest start, whether nothing says how that ended, and the latest cancel after it."""
    last: dict[str, Any] = {}
    is_open, cancelled = True, dict[str, Any]()
    for event in filter(is_event, last_records(run.events, SAVED)):
        last = last or event
        if event["event"] in ENDS:
            is_open = False
        elif event["event"] == CANCELLED:
            cancelled = cancelled or event
        elif event["event"] == "started":
            return last, event, is_open, cancelled
    return last, {}, is_open, cancelled


def _latest_step(run: RunFolder) -> dict[str, Any]:
    """What the metrics say that the heartbeat may not yet."""
    for record in last_records(run.metrics, size=4096):
        if "loss" in record:
            return {key: record.get(key) for key in ("step", "total", "loss", "tokens_per_s", "eta_s")}
    return {}


@dataclass
class World:
    """What is known beside the files of one run."""

    look: Look
    now: float
    titles: Mapping[str, str] = field(default_factory=dict)
    """What to call a run, by the name of its folder."""
    arrays: Mapping[str, Sequence[QueuedJob]] = field(default_factory=dict)
    """Rows of the queue that will work on a grid's cell, by its name."""
    jobs: Mapping[str, str] = field(default_factory=dict)
    """Names of the runs that were submitted as jobs, by their ids."""
    failed: Mapping[str, bool | None] = field(default_factory=dict)
    """Whether a run has failed, by the name of its folder; None if it is done."""
    needs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Names of the folders of runs that a grid's run waits for."""
    ended: Mapping[str, EndedJob] = field(default_factory=dict)
    """What accounting knows of jobs that are not in the queue."""
    asked: list[str] = field(default_factory=list)
    """Jobs whose end somebody wanted to know."""

    def end_of(self, job: str, submissions: Iterable[Submission]) -> EndedJob | None:
        """How a job ended, if what accounting knows is of it and not of another one that had its id."""
        self.asked.append(job)
        known = [row for row in [self.ended.get(job)] if row]
        return next(iter(own_rows(known, submissions)), None)

    def rows_of(self, *submissions: Submission) -> list[QueuedJob]:
        """What of some submissions is in the queue."""
        return [row for one in submissions for row in one.rows(self.look)]

    def lives(self, work: WorkFolder, sign: float) -> bool:
        """Whether somebody works there now."""
        lease = work.lease(job_is_alive=lambda holder: self.look.job_is_alive(holder, sign))
        return work.leases.exists() and lease.living_holder() is not None

    def parents(self, run: str, submissions: Iterable[Submission]) -> list[str]:
        """Names of the folders of runs that one waits for."""
        waits = re.findall(r"\d+", " ".join(one.dependency or "" for one in submissions))
        return list(
            dict.fromkeys([*self.needs.get(run, ()), *(self.jobs[j] for j in waits if j in self.jobs)])
        )

    def broken_parent(self, run: str, submissions: Iterable[Submission]) -> str | None:
        return next((name for name in self.parents(run, submissions) if self.failed.get(name)), None)


@dataclass(frozen=True)
class RunStatus:
    """How it stands with a training."""

    state: State
    note: str
    start: float | None = None
    unit: int | None = None
    """Counted from 1."""


def run_status(facts: Facts, world: World) -> RunStatus:
    """The state of a training, and why."""
    unit = (
        (facts.begun.get("unit") or 0) + 1 if facts.begun and facts.submission else None
    )  # a slot's number is none
    if facts.done is not None:
        return RunStatus("done", "")
    name = facts.run.path.name
    rows, slots = world.rows_of(*facts.submissions), world.arrays.get(name, ())
    if facts.damaged:
        rows = [row for row in world.look.jobs if Path(row.command).parent == facts.run.slurm]
    if world.lives(facts.run, facts.sign):
        held = [row for row in rows if row.id == facts.begun.get("job") and not row.ending]
        return RunStatus("running", busy_words(held) or story(facts.last), unit=unit)
    if facts.failed:
        state: State = "cancelled" if facts.failed.startswith(f"{CANCELLED}:") else "failed"
        return RunStatus(state, facts.failed, unit=unit)
    broken = world.broken_parent(name, facts.submissions)
    if broken and all(row.waits for row in rows):
        return RunStatus("blocked", f"{world.titles.get(broken, broken)} has failed")
    if rows:
        return _queued(rows, facts, world)
    if slots:
        return RunStatus("queued", waiting_for_slot(slots), start=expected_start(slots, world.now))
    if facts.lost or facts.last.get("event") == "damaged":
        return RunStatus("interrupted", facts.lost or str(facts.last.get("reason")), unit=unit)
    return _left(facts, world, unit)


def _queued(rows: Sequence[QueuedJob], facts: Facts, world: World) -> RunStatus:
    """Of a run with a job in the queue, and nobody at work."""
    busy = [row for row in rows if not row.waits]
    if busy:
        begun = facts.begun.get("job") in [row.id for row in busy]
        words = "its process is gone, its job is not" if facts.open and begun else "gets ready on its nodes"
        words = busy_words(busy) or words
        if any(row.ending for row in busy) or (begun and not facts.open):
            words = "ends"
        return RunStatus("running", words, unit=_next_unit(busy[0]))
    first = rows[0]
    if all(row.hopeless for row in rows):
        return RunStatus("blocked", "waits for a job that has failed")
    if all(never_starts(reason) for row in rows for reason in row.reasons):
        return RunStatus("blocked", f"{in_words(first)}: it will never start", unit=_next_unit(first))
    parents = [world.titles.get(name, name) for name in world.parents(facts.run.path.name, facts.submissions)]
    words = f"waits for {parents[0]}" if "Dependency" in first.reasons and parents else in_words(first)
    return RunStatus("queued", words, expected_start(rows, world.now), _next_unit(first))


def _left(facts: Facts, world: World, unit: int | None) -> RunStatus:
    """Of a run that nothing in the queue will work on, as far as is known."""
    submission, seen = facts.submission, world.look.time
    job = facts.begun.get("job") or (submission.job if submission else None)
    if submission and submission.hidden:
        return _hidden(facts, submission, unit)
    if submission and not submission.ours and not facts.begun:
        return RunStatus(
            "queued", f"submitted by {user_name(str(submission.uid))}, whose jobs are not seen here"
        )
    if submission and not facts.begun and (seen is None or (epoch_s(submission.time) or 0) > seen - 1):
        return RunStatus("queued", "submitted; the queue has not been looked at since")
    if submission and not facts.begun and submission.in_flight_s():
        return RunStatus("queued", "its sbatch may still be in flight")
    if facts.starts and not (facts.open and job):
        return RunStatus(
            "interrupted", story(facts.last) if facts.begun else "its process is gone", unit=unit
        )
    if facts.damaged:
        return RunStatus(
            "lost", f"{facts.run.submission.name} is damaged: nobody can read what was submitted"
        )
    if job is None:
        return RunStatus("new", "not submitted")
    if seen is None:
        return RunStatus("interrupted", f"job {job}: the queue is not known", unit=unit)
    end = world.end_of(job, facts.submissions)
    if end is None and cancels(facts.cancelled, job):
        by = user_name(str(facts.cancelled.get("uid")))
        return RunStatus("cancelled", f"job {job}: cancelled by {by}", unit=unit)
    if end is None:
        return RunStatus("lost", f"job {job} is not in the queue, and accounting does not know it", unit=unit)
    if end.state in UNDECIDED:
        told = f"job {job} is not in the queue, though accounting has it as {end.state} still"
        return RunStatus("lost", told, unit=unit)
    told = f"job {job}: {end.state}" + (f", exit {end.exit}" if end.exit != "0:0" else "")
    return RunStatus("cancelled" if end.state == "CANCELLED" else "lost", told, unit=unit)


def _hidden(facts: Facts, submission: Submission, unit: int | None) -> RunStatus:
    """Of a run whose job may be in the queue of another cluster; that it gives a sign of life is known by now."""
    there = f"job {submission.job} is on {submission.elsewhere}, which cannot be asked from here"
    if facts.begun and not facts.open:
        return RunStatus("interrupted", f"{story(facts.last)}; {there}", unit=unit)
    return RunStatus("interrupted" if facts.begun else "queued", there, unit=unit)


def waiting_for_slot(slots: Sequence[QueuedJob]) -> str:
    """What a cell waits for whose grid has arrays in the queue."""
    busy = sum(row.elements for row in slots if not row.waits)
    return f"waits for one of {busy} slots that work" if busy else in_words(slots[0])


def in_words(row: QueuedJob) -> str:
    """Why a job waits in two or three words for each of its reasons."""
    found = [find_pattern(reason, REASONS) for reason in row.reasons]
    return ", ".join(dict.fromkeys(one.meaning.cause for one in found if one)) or row.reason


def busy_words(rows: Sequence[QueuedJob]) -> str:
    """What Slurm says of jobs that have nodes, if it is more than that they run: `suspended`."""
    found = [find_pattern(row.state, BUSY) for row in rows]
    return next((one.meaning.cause for one in found if one), "")


def expected_start(rows: Sequence[QueuedJob], now: float) -> float | None:
    """When the scheduler means to start the first of some jobs."""
    told = [epoch_s(row.start) for row in rows if row.waits]
    return min((time for time in told if time and time > now), default=None)


def _next_unit(row: QueuedJob) -> int | None:
    """The unit that a row of the queue is, or begins with, counted from 1."""
    found = re.search(r"_\[?(\d+)", row.id)
    return int(found[1]) + 1 if found else None


def story(event: Mapping[str, Any]) -> str:
    """An event in a few words."""
    kind, step = event.get("event", ""), event.get("step")
    at = f" {step:,}" if isinstance(step, int) else ""
    told = {
        "started": f"started on {event.get('nodes', '')}",
        "resumed": f"resumed at{at}",
        "interrupted": f"{event.get('cause', 'interrupted')} at{at}" if at else str(event.get("cause")),
        "lost_peer": "lost a process",
    }
    return told.get(kind, f"{kind.replace('_', ' ')}{at}")


def gpu_hours(facts: Facts, gpus_of_job: Mapping[str, int], now: float) -> float:
    """How long the starts of a training have held GPUs, in GPU-hours.

    Args:
        facts: of the run.
        gpus_of_job: GPUs of a job, by the id that sbatch gave; else those that a start has counted are taken.
        now: seconds since 1970, for one that is at work.
    """
    starts = [record for record in read_jsonl(facts.run.starts) if record.get("kind") == "train"]
    ends = sorted(
        epoch_s(event.get("time")) or 0.0
        for event in filter(is_event, last_records(facts.run.events, SAVED, size=1 << 20))
        if event["event"] in ENDS
    )
    used = 0.0
    for number, start in enumerate(starts):
        begin = epoch_s(start.get("time")) or now
        after = epoch_s(starts[number + 1].get("time")) if number + 1 < len(starts) else None
        last = next((time for time in ends if time >= begin), None) or facts.sign
        counted = start.get("processes", 0) if str(start.get("device", "")).startswith("cuda") else 0
        gpus = gpus_of_job.get(str(start.get("submission")), counted)
        used += gpus * max(0.0, min(last, after or now, now) - begin) / 3600
    return used
