"""What speaks for one cause or another, and how much it counts: how it ended first, then the last words, in that order.

What a process printed before its last sign of progress is no clue at all: it went on after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from cluster.files import read_jsonl
from cluster.job import causes, slurm_messages
from cluster.job.causes import Ending, accounted
from cluster.job.slurm_messages import CANCELLED, KILLED, REQUEUE, Message, ended_by
from cluster.logs.advice_words import ERRORS, EXCLUDE, GOES_ON, RETRY
from cluster.logs.error_patterns import BARE, PATTERNS
from cluster.logs.failure import REST
from cluster.logs.pattern import Finding, Meaning, Strength, find_pattern
from cluster.logs.slurm_patterns import meant
from cluster.logs.traces import STOPPED, Trace
from cluster.quantities import epoch_s
from cluster.run.run_folder import begun_here
from cluster.run.state import Cause
from cluster.run.work_folder import cancels
from cluster.slurm.accounting import user_name
from cluster.slurm.queue import UNDECIDED
from jobs.diagnosis.evidence import Inquiry
from jobs.diagnosis.log_ends import LogEnds
from jobs.diagnosis.waiting import LONG_S


class Weight(IntEnum):
    """How much a clue counts, the least first."""

    ABORTED = 1
    """A process gave itself up, as libraries do when they miss another one."""
    LOST = 2
    """A process noticed that another is gone."""
    KILLED = 3
    """Something killed or ended a process, and nothing says what."""
    TIME = 4
    """The time was over, as it is in the end whenever a job hangs."""
    WAITED = 5
    """A process waited in vain for another."""
    UNDATED = 6
    """An exception, of which nobody has written, in a log that tells nothing of when: the run went on for long."""
    BROKE = 7
    """A signal of its own doing ended a process, or the first that ended was killed."""
    SAID = 8
    """A line among the last words that no program prints and goes on."""
    RAISED = 9
    """An exception ended a process."""
    ENDED = 10
    """Slurm says why: preemption, somebody's will, or that it could not start it."""
    WRITTEN = 11
    """The process that broke has written down an exception that no table knows."""
    ROOT = 12
    """Slurm says that memory ran out or a node failed: whatever processes make of it, in whatever words, follows."""
    RECORDED = 13
    """The process that broke has written down why."""


OF_STRENGTH = {Strength.WAITED: Weight.WAITED, Strength.FOLLOWS: Weight.LOST}
OF_KIND = {
    **dict.fromkeys(slurm_messages.ROOTS, Weight.ROOT),
    slurm_messages.WALLTIME: Weight.TIME,
    slurm_messages.CRASHED: Weight.BROKE,
    slurm_messages.ABORTED: Weight.ABORTED,
    KILLED: Weight.KILLED,
    slurm_messages.TERMINATED: Weight.KILLED,
}
"""Of what Slurm says; anything else is a reason."""
EXCEPTION = Meaning(Cause.EXCEPTION, "{error}", (ERRORS, RETRY))
FAILED = Meaning(Cause.EXCEPTION, "{error}", (ERRORS, RETRY))
THROWN = Meaning(
    Cause.CRASHED,
    "an exception of C++ ended it: {error}",
    (ERRORS, EXCLUDE + ", if it happens there only", GOES_ON),
)
ENDINGS = {*causes.BY_STATE.values(), causes.SIGNAL, causes.CRASHED, KILLED}
"""What a run records of how Slurm ended a start."""


@dataclass(frozen=True)
class Clue:
    """What speaks for a cause."""

    weight: Weight
    finding: Finding
    rank: int | None = None
    """Of the process that it is about."""
    trace: Trace | None = None

    @property
    def cause(self) -> Cause:
        return self.finding.meaning.cause

    @property
    def detail(self) -> int:
        """How much it tells."""
        return sum(map(bool, self.finding.groups.values()))


def best_clue(inquiry: Inquiry, text: str = "") -> Clue | None:
    """What counts most; of what says the same, that which tells most. None if nothing speaks for any cause.

    Args:
        inquiry: about work that has ended, or hangs.
        text: what `FAILED` says.
    """
    found = list(clues(inquiry, text))
    if not found:
        return None
    best = max(found, key=lambda clue: clue.weight)
    same = [
        clue for clue in found if clue.cause == best.cause and clue.weight >= min(best.weight, Weight.SAID)
    ]
    fullest = max([best, *same], key=lambda clue: clue.detail)
    return replace(best, finding=fullest.finding, rank=fullest.rank if best.rank is None else best.rank)


def clues(inquiry: Inquiry, text: str) -> Iterator[Clue]:
    """All that speaks for any cause."""
    ends = LogEnds(inquiry.attempt) if inquiry.attempt else None
    if text and text.partition(":")[0] not in ENDINGS:
        yield _recorded(text, ends)
    yield from _of_slurm(inquiry, ends, text)
    if ends:
        yield from _of_processes(ends)


def _of_slurm(inquiry: Inquiry, ends: LogEnds | None, text: str) -> Iterator[Clue]:
    """How it ended: what Slurm printed, how that was recorded, and what accounting says, in this order."""
    row, recorded = inquiry.accounted, _recorded_ending(inquiry, text)
    last = accounted(Ending(row.state, row.exit)) if row else None
    if recorded and recorded.kind == CANCELLED and row and row.state not in (CANCELLED.upper(), *UNDECIDED):
        recorded = None  # accounting would know
    said = last and last.kind != slurm_messages.EXITED
    if recorded and recorded.kind == KILLED and (said or (ends and ends.told)):
        recorded = None  # as any process records when another one breaks
    main = ended_by([*(ends.told if ends else []), *(one for one in (recorded, last) if one)])
    if main is None or main.kind == slurm_messages.EXITED:
        return
    weight = OF_KIND.get(main.kind, Weight.ENDED)
    if main.kind == KILLED and main.node:
        weight = Weight.BROKE
    alive = main.kind == slurm_messages.WALLTIME and (silence_s(inquiry) or LONG_S) < LONG_S
    if alive or (main is recorded and main.kind != KILLED and main.how):
        weight = Weight.ENDED
    yield Clue(weight, meant(main), min(main.ranks, default=None))


def _recorded_ending(inquiry: Inquiry, text: str) -> Message | None:
    """How Slurm ended it, as the process that it told to stop recorded it, or the next start; None if nobody did."""
    job = inquiry.attempt.job if inquiry.attempt else None
    ends = [
        e for e in inquiry.events if e["event"] in ("interrupted", "started", "stopping") or cancels(e, job)
    ]
    if ends and not text and cancels(ends[-1], job):
        return Message(CANCELLED, f"recorded: cancelled by {user_name(str(ends[-1].get('uid')))}")
    event: dict[str, Any] = ends[-1] if ends and ends[-1]["event"] != "started" else {}
    if event.get("event") == "stopping" and not text:
        return _stopped_here(inquiry, event)
    kind = text.partition(":")[0] if text else event.get("cause", "")
    if kind not in ENDINGS:
        return None
    line = text.partition("\n")[0] or f"recorded: {kind}"
    return Message(REQUEUE if kind == causes.SIGNAL else kind, line, how=event.get("signal") or "")


def _stopped_here(inquiry: Inquiry, event: dict[str, Any]) -> Message | None:
    """The last word of a start on this machine, of which nothing else is recorded; None if another start came after."""
    starts = read_jsonl(inquiry.work.starts)
    if not begun_here(inquiry.work) or starts[-1]["time"] >= event["time"]:
        return None
    return Message(REQUEUE, f"recorded: stopping at step {event.get('step')}, told by {event.get('reason')}")


def silence_s(inquiry: Inquiry) -> float | None:
    """Seconds from the last sign of life of the latest start to its end by accounting; None where nobody knows."""
    attempt, row = inquiry.attempt, inquiry.accounted
    end, last = epoch_s(row.end) if row else None, epoch_s(inquiry.heartbeat.get("time"))
    began = epoch_s(attempt.time) if attempt else None
    return end - last if end and last and began and last >= began else None


def _recorded(text: str, ends: LogEnds | None) -> Clue:
    """What the process that broke has written down, with the traceback of it."""
    reason = REST.split(text)[0].strip()
    headline = reason.partition("\n")[0]
    rank, trace = (ends and ends.first_failure()) or (ends.recorded.get("rank") if ends else None, None)
    said = [reason, *(["\n".join(reversed(trace.errors))] if trace else [])]
    found = [finding for one in said if (finding := find_pattern(one, PATTERNS))]
    if found:
        weight = OF_STRENGTH.get(found[0].meaning.strength, Weight.RECORDED)
        return Clue(weight, max(found, key=lambda one: sum(map(bool, one.groups.values()))), rank, trace)
    if trace and trace.lost_peer:
        return Clue(Weight.LOST, _unknown(trace), rank, trace)
    finding = _unknown(trace) if trace else Finding(FAILED, {"error": headline}, headline)
    return Clue(Weight.WRITTEN, finding, rank, trace)


def _of_processes(ends: LogEnds) -> Iterator[Clue]:
    """The last words of the processes."""
    for rank, trace in ends.broken():
        yield _raised(rank, trace, Weight.RAISED if ends.dated(rank) else Weight.UNDATED)
    for rank, thrown in ends.thrown():
        found = find_pattern(str(thrown), PATTERNS)
        finding = found or Finding(THROWN, {"error": str(thrown)}, str(thrown))
        yield Clue(OF_STRENGTH.get(finding.meaning.strength, Weight.RAISED), finding, rank)
    for rank in ends.ranks:
        if said := find_pattern("\n".join(ends.said[rank]), BARE):
            yield Clue(OF_STRENGTH.get(said.meaning.strength, Weight.SAID), said, rank)
    if ends.never_started and (said := find_pattern(ends.last_error_lines(), PATTERNS)):
        yield Clue(OF_STRENGTH.get(said.meaning.strength, Weight.SAID), said, 0)


def _raised(rank: int, trace: Trace, weight: Weight) -> Clue:
    """An exception that ended a process."""
    found = find_pattern("\n".join(reversed(trace.errors)), PATTERNS)
    if found:
        return Clue(OF_STRENGTH.get(found.meaning.strength, weight), found, rank, trace)
    follows = trace.lost_peer or trace.name in STOPPED
    return Clue(Weight.LOST if follows else weight, _unknown(trace), rank, trace)


def _unknown(trace: Trace) -> Finding:
    """An exception that no table knows."""
    line = trace.errors[-1].partition("\n")[0]
    meaning = replace(EXCEPTION, strength=Strength.FOLLOWS) if trace.lost_peer else EXCEPTION
    return Finding(meaning, {"error": line}, line)
