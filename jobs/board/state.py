"""The one place that tells state and cause of a run or a cell: from its files, a look at the queue, and accounting.

The board, grids, `why` and tables of results ask here, so that they say the same of the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cluster.job.causes import KILLED, Ending, accounted, cause_of_ending
from cluster.job.slurm_messages import EXITED, after_progress, ended_by, messages
from cluster.logs.failure import cause_of, cause_of_kind, is_symptom
from cluster.logs.pattern import find_pattern
from cluster.logs.pending_reasons import BUSY, REASONS, never_starts
from cluster.logs.read import LogPart
from cluster.quantities import epoch_s
from cluster.run.state import STOPPED, Cause, State
from cluster.run.work_folder import cancels
from cluster.slurm.accounting import user_name
from cluster.slurm.queue import UNDECIDED, EndedJob
from cluster.slurm.queued_job import QueuedJob
from cluster.slurm.submission import Submission
from jobs.board.signs import Signs, Standing, World

SILENT_S = 600.0
"""Work gives a sign of life every 30 seconds, but not while it loads models or prepares data."""
TAIL = 1 << 18
"""Bytes of a log that are looked at for what ended it."""


def standing(signs: Signs, world: World) -> Standing:
    """The state of some work, and its cause."""
    if signs.done:
        return Standing(State.DONE)
    rows = _own_rows(signs, world)
    if signs.lives:
        return _running(signs, rows, world)
    if signs.failed:
        cause = _cause_of_failure(signs)
        state = State.CANCELLED if cause is Cause.CANCELLED else State.FAILED
        return Standing(state, cause, signs.failed.partition("\n")[0])
    stopped = next((name for name in signs.parents if world.states.get(name) in STOPPED), None)
    if stopped and all(row.waits for row in rows):
        how = "has failed" if world.states[stopped] is State.FAILED else "was cancelled"
        return Standing(State.BLOCKED, Cause.PARENT, f"{world.title(stopped)} {how}")
    if rows:
        return _queued(signs, rows, world)
    if slots := world.arrays.get(signs.name, ()):
        return _in_array(signs, slots, world)
    if signs.fault:
        return Standing(State.INTERRUPTED, Cause.RESULT_LOST, signs.fault)
    return _left(signs, world)


def _own_rows(signs: Signs, world: World) -> list[QueuedJob]:
    if signs.damaged:
        return [row for row in world.look.jobs if Path(row.command).parent == signs.work.path / "slurm"]
    return world.rows_of(*signs.submissions)


def _running(signs: Signs, rows: Sequence[QueuedJob], world: World) -> Standing:
    """Of work that somebody holds."""
    held = [row for row in rows if row.id == signs.story.begun.get("job") and not row.ending]
    busy = busy_cause(held)
    if busy == Cause.SUSPENDED:
        return Standing(State.RUNNING, busy, busy)
    cause = Cause.SILENT if signs.sign and world.now - signs.sign > SILENT_S else Cause.NOTHING
    return Standing(State.RUNNING, cause, busy or told(signs.story.last))


def _queued(signs: Signs, rows: Sequence[QueuedJob], world: World) -> Standing:
    """Of a run with a job in the queue, and nobody at work."""
    if busy := [row for row in rows if not row.waits]:
        begun = signs.story.begun.get("job") in [row.id for row in busy]
        if any(row.ending for row in busy) or (begun and signs.story.end):
            return Standing(State.RUNNING, Cause.ENDING, Cause.ENDING, busy)
        words = "its process is gone, its job is not" if begun else "gets ready on its nodes"
        cause = busy_cause(busy)
        return Standing(State.RUNNING, cause or Cause.STARTING, cause or words, busy)
    first = rows[0]
    if all(row.hopeless for row in rows):
        return Standing(State.BLOCKED, Cause.PARENT, "waits for a job that has failed")
    cause = wait_cause(first)
    if all(never_starts(reason) for row in rows for reason in row.reasons):
        return Standing(State.BLOCKED, cause, f"{cause}: it will never start", rows)
    parents = [world.title(name) for name in signs.parents]
    note = f"waits for {parents[0]}" if "Dependency" in first.reasons and parents else cause
    return Standing(State.QUEUED, cause, note, rows)


def _in_array(signs: Signs, slots: Sequence[QueuedJob], world: World) -> Standing:
    """Of work that slots of a grid will come to."""
    before = next((n for n in signs.parents if world.states.get(n, State.DONE) is not State.DONE), None)
    if before:
        return Standing(State.QUEUED, Cause.DEPENDENCY, f"waits for {world.title(before)}", slots)
    busy = sum(row.elements for row in slots if not row.waits)
    if busy:
        return Standing(State.QUEUED, Cause.SLOT, f"waits for one of {busy} slots that work", slots)
    cause = wait_cause(slots[0])
    return Standing(State.QUEUED, cause, cause, slots)


def _left(signs: Signs, world: World) -> Standing:
    """Of work that nothing in the queue will go on with, as far as is known."""
    submission, seen = next(iter(signs.submissions), None), world.look.time
    job = signs.story.begun.get("job") or (submission.job if submission else None)
    if submission and submission.hidden:
        return _hidden(signs, submission)
    if submission and not signs.story.begun:
        if not submission.ours:
            whose = f"submitted by {user_name(str(submission.uid))}, whose jobs are not seen here"
            return Standing(State.QUEUED, Cause.QUEUE_UNKNOWN, whose)
        if job and cancels(signs.story.cancelled, job):
            return _cancelled(signs, job)
        if seen is None or (epoch_s(submission.time) or 0) > seen - 1:
            words = "submitted; the queue has not been looked at since"
            return Standing(State.QUEUED, Cause.QUEUE_UNKNOWN, words)
        if submission.in_flight_s():
            return Standing(State.QUEUED, Cause.QUEUE_UNKNOWN, "its sbatch may still be in flight")
    if signs.started and (signs.story.end or not job):
        return _ended(signs)
    if signs.damaged:
        words = f"{signs.work.path.name}: what was submitted is damaged: nobody can read it"
        return Standing(State.INTERRUPTED, Cause.DAMAGED_FILE, words)
    if job is None:
        return Standing(State.NEW, Cause.NOT_SUBMITTED, Cause.NOT_SUBMITTED)
    if seen is None:
        return Standing(State.INTERRUPTED, Cause.QUEUE_UNKNOWN, f"job {job}: the queue is not known")
    return _gone(signs, job, world.end_of(job, signs.submissions))


def _hidden(signs: Signs, submission: Submission) -> Standing:
    """Of a run whose job may be in the queue of another cluster; that it gives a sign of life is known by now."""
    there = f"job {submission.job} is on {submission.elsewhere}, which cannot be asked from here"
    if signs.story.begun and signs.story.end:
        found = _ended(signs)
        return replace(found, note=f"{found.note}; {there}")
    return Standing(State.INTERRUPTED if signs.story.begun else State.QUEUED, Cause.QUEUE_UNKNOWN, there)


def _ended(signs: Signs) -> Standing:
    """Of work whose last start has ended, or was no job."""
    if not signs.story.end:
        return Standing(State.INTERRUPTED, Cause.UNKNOWN, "its process is gone")
    if signs.story.end["event"] == "finished":
        return Standing(State.INTERRUPTED, Cause.RESULT_LOST, "it was done, and is not what is wanted now")
    cause = _cause_of_event(signs.story.end)
    again = signs.story.last.get("event") == "retried"
    return Standing(State.INTERRUPTED if again else _state_after(cause), cause, told(signs.story.end))


def _gone(signs: Signs, job: str, end: EndedJob | None) -> Standing:
    """Of work whose job has left the queue without a word of it."""
    if end is None and cancels(signs.story.cancelled, job):
        return _cancelled(signs, job)
    if end is None:
        words = f"job {job} is not in the queue, and accounting does not know it"
    elif end.state in UNDECIDED:
        words, end = f"job {job} is not in the queue, though accounting has it as {end.state} still", None
    else:
        words = f"job {job}: {end.state}" + (f", exit {end.exit}" if end.exit != "0:0" else "")
    if signs.story.begun:
        cause = _cause_of_loss(signs.story.begun, end)
    else:
        cancelled = end is not None and end.state == "CANCELLED"
        cause = Cause.CANCELLED if cancelled else Cause.NEVER_STARTED
    return Standing(_state_after(cause), cause, words)


def _cancelled(signs: Signs, job: str) -> Standing:
    """Of work whose job a `cancel` has ended, as its event tells."""
    by = user_name(str(signs.story.cancelled.get("uid")))
    return Standing(State.CANCELLED, Cause.CANCELLED, f"job {job}: cancelled by {by}")


def _state_after(cause: Cause) -> State:
    """Of work that ended so: after these two nothing goes on by itself (`cluster.job.causes.FINAL`)."""
    after = {Cause.CANCELLED: State.CANCELLED, Cause.OUT_OF_MEMORY: State.FAILED}
    return after.get(cause, State.INTERRUPTED)


def _cause_of_failure(signs: Signs) -> Cause:
    """What `FAILED` says; where that only follows from something else, what Slurm printed of it."""
    if signs.story.begun and is_symptom(signs.failed):
        said = ended_by(list(messages(after_progress(_log_of(signs.story.begun)))))
        if said and said.kind != EXITED:
            return cause_of_kind(said.kind)
    return cause_of(signs.failed)


def _log_of(begun: Mapping[str, Any]) -> str:
    """The end of what a start printed, as far as its first process tells."""
    part = LogPart(Path(str(begun.get("log"))), begun.get("log_from") or 0)
    first, after = part.span()
    return part.read(max(first, after - TAIL), after).decode(errors="replace")


def _cause_of_event(event: Mapping[str, Any]) -> Cause:
    """Why a start ended, as an event recorded it; that it was killed says nobody who only knows an exit status."""
    if event.get("event") == "failed":
        return cause_of(str(event.get("reason")))
    kind = str(event.get("cause"))
    last = accounted(Ending(event.get("state"), event.get("exit"))) if event.get("exit") else None
    if kind == KILLED and last and last.kind == EXITED:
        return Cause.UNKNOWN
    return cause_of_kind(kind)


def _cause_of_loss(begun: Mapping[str, Any], end: EndedJob | None) -> Cause:
    """Why a start ended that nobody has recorded the end of: by accounting, and what Slurm printed to its log."""
    ending = Ending(end.state, end.exit) if end else Ending(None, None)
    text = _log_of(begun)
    last = accounted(ending)
    said = ended_by(list(messages(after_progress(text))))
    if all(one is None or one.kind == EXITED for one in (last, said)):
        return Cause.UNKNOWN
    return cause_of_kind(cause_of_ending(ending, text))


def wait_cause(row: QueuedJob) -> str:
    """Why a job waits in two or three words for each of its reasons."""
    found = [find_pattern(reason, REASONS) for reason in row.reasons]
    return ", ".join(dict.fromkeys(one.meaning.cause for one in found if one)) or row.reason


def busy_cause(rows: Sequence[QueuedJob]) -> str:
    """What Slurm says of jobs that have nodes, if it is more than that they run: `suspended`."""
    found = [find_pattern(row.state, BUSY) for row in rows]
    return next((one.meaning.cause for one in found if one), "")


def expected_start(rows: Sequence[QueuedJob], now: float) -> float | None:
    """When the scheduler means to start the first of some jobs."""
    told = [epoch_s(row.start) for row in rows if row.waits]
    return min((time for time in told if time and time > now), default=None)


def told(event: Mapping[str, Any]) -> str:
    """An event in a few words."""
    kind, step = event.get("event", ""), event.get("step")
    at = f" {step:,}" if isinstance(step, int) else ""
    if kind == "interrupted":
        return f"{_cause_of_event(event)} at{at}" if at else str(_cause_of_event(event))
    words = {
        "started": f"started on {event.get('nodes', '')}",
        "resumed": f"resumed at{at}",
        "lost_peer": "lost a process",
    }
    return words.get(kind, f"{kind.replace('_', ' ')}{at}")
