"""What a run prints: the end of its log, what is added to it, or why it broke."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from cluster.errors import ClusterError
from cluster.escapes import without_escapes
from cluster.job.slurm_messages import ended_by
from cluster.logs.read import BLOCK, LogPart, last_lines, readable
from cluster.logs.traces import Trace
from cluster.run.run_folder import CellFolder, RunFolder
from cluster.slurm.queue import queued
from jobs.diagnosis.attempts import (
    Attempt,
    latest_attempt,
    newest_work,
    submissions_of,
    why,
)
from jobs.diagnosis.log_ends import LogEnds
from jobs.diagnosis.why import diagnose

LINES = 200
"""Of a log, where all of it was not asked for."""
POLL_S = 1.0
ASK_S = 60.0
"""After so long without a word of the run the queue is asked whether it is still there."""
TRACE_LINES = 120


def show_log(work: RunFolder | CellFolder, rank: int = 0, follow: bool = False, errors: bool = False) -> None:
    """Show the log of the latest start of a run or of a cell.

    Args:
        work: the run or cell.
        rank: the process whose log it is.
        follow: go on showing what is added, until the work is over.
        errors: show the first traceback of the rank that failed first instead.

    Raises:
        ClusterError: it has printed nothing yet, or that process has no log.
    """
    shown = newest_work(work) if isinstance(work, RunFolder) else work
    attempt = latest_attempt(shown) or latest_attempt(work)
    if attempt is None and (errors or not follow):
        found = diagnose(work)
        if errors and shown.is_done():
            print(f"no process of {work.title} printed a traceback: {found.told}")
            return
        raise ClusterError(
            f"{work.title} has printed nothing yet ({found.state}: {found.cause}): {found.told}; more: {why(work)}"
        )
    try:
        if follow and not errors:
            _follow(work, rank)
            return
        assert attempt
        if errors:
            _errors(attempt)
        else:
            _show(attempt, rank)
    except BrokenPipeError:  # who reads has seen enough, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def heading(attempt: Attempt, rank: int) -> str:
    """Whose log it is, in a line."""
    node = attempt.node(rank)
    where = f" on {node}" if node else ""
    since = f", started {attempt.time[:19].replace('T', ' ')} UTC" if attempt.time else ""
    return f"== {attempt.work.title}: job {attempt.job}, rank {rank}{where}{since}"


def _show(attempt: Attempt, rank: int) -> None:
    rank = attempt.chosen(rank)
    part = attempt.part(rank)
    lines, whole = last_lines(part, LINES)
    print(heading(attempt, rank))
    skip = f" +{part.begin}P" if part.begin else ""
    print(
        f"== {part.path}" if whole else f"== its last {len(lines)} lines; all of it: less{skip} {part.path}"
    )
    print(*lines, sep="\n")


def _errors(attempt: Attempt) -> None:
    """The first traceback of the rank that failed first; where there is none, how Slurm says that it ended."""
    ends = LogEnds(attempt)
    found, ended = ends.first_failure(), ended_by(ends.told)
    if ended and (found is None or found[1].lost_peer):
        print(f"== {ended.line}")
    if found is None:
        print(f"no process of job {attempt.job} printed a traceback; more: {why(attempt.work)}")
        if attempt.work.failed.exists():
            print(without_escapes(attempt.work.failed.read_text(encoding="utf-8")), end="")
        else:
            _show(attempt, attempt.rank)
        return
    rank, trace = found
    print(f"{heading(attempt, rank).partition(', started')[0]}, the first to fail")
    print(f"== {attempt.part(rank).path}")
    if trace.lost_peer:
        print("== it only lost another process, of which no log has a traceback")
    print(*_shortened(trace), sep="\n")
    others = [other for other in attempt.ranks() if other != rank]
    if others:
        print(f"== {len(others)} other ranks: what they print follows from this, or see --rank R")


def _shortened(trace: Trace) -> list[str]:
    """A traceback, without its middle if it is longer than a few screens."""
    lines = [without_escapes(line) for line in trace.lines if line.strip()]
    half = TRACE_LINES // 2
    return (
        lines
        if len(lines) <= TRACE_LINES
        else [*lines[:half], f"  ... {len(lines) - 2 * half} lines ...", *lines[-half:]]
    )


def _follow(work: RunFolder | CellFolder, rank: int) -> None:
    """Print what is added to the log, and to that of the next start, until the work is over."""
    reader = Follower(work, rank)
    if latest_attempt(work) is None:
        print(f"{work.title} has printed nothing yet; waiting (what for: {why(work)})", flush=True)
    heard = asked = time.monotonic()
    while True:
        over = reader.over()
        new = list(reader.new())
        if new:
            print(*new, sep="\n", flush=True)
            heard = time.monotonic()
        elif over:
            return
        elif time.monotonic() - max(heard, asked) > ASK_S:
            asked = time.monotonic()
            if not _may_go_on(work):
                print(f"== nothing works on it any more; {why(work)}", flush=True)
                return
        time.sleep(POLL_S if not new else 0)


@dataclass
class Follower:
    """Reads what is added to the logs of a run, start after start.

    Args:
        work: a run, or one cell.
        rank: whose log; of a cell it is the process that has it.
    """

    work: RunFolder | CellFolder
    rank: int = 0
    attempt: Attempt | None = None
    at: int = field(default=0, init=False)
    kept: bytes = field(default=b"", init=False)
    """The beginning of a line that is still being written."""

    def over(self) -> bool:
        """Whether the work that is shown has come to its end; to be asked before the last look at the log."""
        shown = self.attempt.work if self.attempt else self.work
        return shown.is_done() or shown.failed.exists()

    def new(self) -> Iterator[str]:
        """Lines since the last time."""
        found = latest_attempt(newest_work(self.work) if isinstance(self.work, RunFolder) else self.work)
        found = found or latest_attempt(self.work)
        before = self.attempt
        if before and (found is None or (found.log, found.begin) != (before.log, before.begin)):
            yield from self._rest(before, to_end=True)
        if found and (before is None or (found.log, found.begin) != (before.log, before.begin)):
            yield from self._begin(found)
        if found:
            self.attempt = found
            yield from self._rest(found, to_end=self.over())

    def _begin(self, attempt: Attempt) -> Iterator[str]:
        """Take up another log; of the first one only the end is shown."""
        part = self._part(attempt)
        yield heading(attempt, attempt.chosen(self.rank))
        yield f"== {part.path}"
        begin, end = part.span()
        self.kept = b""
        self.at = begin
        if self.attempt is None and end - begin > BLOCK:
            lines, _ = last_lines(LogPart(part.path, begin, end), LINES)
            yield from lines
            self.at = end

    def _rest(self, attempt: Attempt, to_end: bool) -> Iterator[str]:
        part = self._part(attempt)
        begin, end = part.span()
        if end < self.at:
            yield "== the log was cut short: from its beginning"
            self.at, self.kept = begin if begin <= end else 0, b""
        while self.at < end:
            block = part.read(self.at, min(end, self.at + BLOCK))
            self.at += len(block)
            whole, newline, self.kept = (self.kept + block).rpartition(b"\n")
            yield from readable(whole + newline)
        if to_end and self.kept:
            yield from readable(self.kept)
            self.kept = b""

    def _part(self, attempt: Attempt) -> LogPart:
        return attempt.part(attempt.chosen(self.rank), growing=not self.over())


def _may_go_on(work: RunFolder | CellFolder) -> bool:
    """Whether anything that runs or waits may still work on it; one look at the queue."""
    run = work.run if isinstance(work, CellFolder) else work
    if work.state(lambda job: None) == "running":
        return True
    jobs = [submission.job for submission in submissions_of(run) if submission.job]
    try:
        return bool(jobs and queued(jobs))
    except ClusterError:
        return bool(jobs)
