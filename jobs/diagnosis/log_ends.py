"""The last words of the processes of a start: what Slurm says of it, what they broke by, what else they said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cluster.job.slurm_messages import CRASHED, KILLED, STOPS, Message, message_of
from cluster.logs.read import BEGIN, LogPart, first_error, last_words, places, readable, tracebacks
from cluster.logs.traces import Trace
from cluster.quantities import epoch_s
from jobs.diagnosis.attempts import Attempt

LOGS = 64
"""Ranks whose logs are searched."""
TAIL = 1 << 18
HEAD = 1 << 18
QUOTED = 3
LINE = 1 << 12
BEGUN = ("submitit ", "environment ")
"""How a line begins that tells that a process, or its environment, was made."""
NOISE = re.compile(
    r"(?i:\bwarn(?:ing)?s?\b)(?<!NCCL WARN)|^wandb:|\[W\d(?!.*IPv4)|NCCL INFO|(?i:\bretry|deprecat|fall(?:s|ing)? back)"
    r"|Exception ignored|thrown while requesting"
)
"""Lines that say of themselves that the program goes on."""
ERROR = re.compile(
    r"(?i:error|fatal|fail(?:ed|ure)|cannot|can't|could not|unable|abort|exception|denied|no such|not found|refused"
    r"|killed|timed? ?out|terminate|invalid|exceeded|corrupt|missing|panic|assert|unexpected)|what\(\):|Xid|NCCL WARN"
)
"""Lines that may be about an error."""
THROWN = re.compile(r"terminate called[^\n]*?(?:'(?P<name>[^'\n]+)')?\n(?:\s*what\(\):\s*(?P<what>[^\n]+))?")
"""An exception of C++ that nobody caught."""


@dataclass(frozen=True)
class Thrown:
    """An exception of C++ that ended a process."""

    name: str
    what: str

    def __str__(self) -> str:
        return f"{self.name}: {self.what}" if self.what else self.name


class LogEnds:
    """What the processes of a start said last.

    Args:
        attempt: the start.
    """

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        failed = [event for event in attempt.work.history() if event["event"] == "failed"]
        self.recorded: dict[str, Any] = (
            failed[-1] if failed and failed[-1].get("job", attempt.job) == attempt.job else {}
        )
        """The event of its failure; empty if there is none."""
        known = attempt.ranks()
        self.ranks: list[int] = [
            rank for rank in known if rank in known[:LOGS] or rank == self.recorded.get("rank")
        ]

    @cached_property
    def first_log(self) -> LogPart:
        """What srun, the batch shell and the first process print into, from this start on."""
        attempt = self.attempt
        if 0 in attempt.ranks():
            return attempt.part(0)
        return LogPart(attempt.log.with_name(f"{attempt.job}_0_log.out"), 0)

    @cached_property
    def told(self) -> list[Message]:
        """What Slurm says of the end, in order."""
        lines = _lines(last_words(self.first_log))
        return [message for line in lines if (message := message_of(line))]

    @cached_property
    def felled(self) -> set[int]:
        """Ranks that Slurm says a signal has ended: no exception did."""
        return {rank for one in self.told if one.kind in (CRASHED, KILLED) for rank in one.ranks}

    @cached_property
    def harmless(self) -> set[str]:
        """What the first process printed before it went on, numbers aside: who prints the like goes on too."""
        part, last = self.first_log, last_words(self.first_log)
        head = part.read(part.span()[0], min(last.span()[0], part.span()[0] + HEAD))
        return {_plain(line) for line in readable(head) if line.strip()}

    @property
    def never_started(self) -> bool:
        """Only the batch shell and srun had a word: no process was started."""
        return not self.attempt.time and not any(True for _ in places(self.first_log, BEGIN))

    def dated(self, rank: int) -> bool:
        """Whether its last words are known for such: not where it told of no progress, and the run made some."""
        began = epoch_s(self.attempt.time)
        if self._told_of_progress(rank) or began is None:
            return True
        return not (self.harmless or LogPart(self.attempt.work.heartbeat).modified() > began)

    def broken(self, reason: str = "") -> list[tuple[int, Trace]]:
        """The processes that an exception ended, the one that fell silent first before others.

        Args:
            reason: in a line, if it is known from elsewhere: a traceback that says the same goes before others.
        """
        found = []
        for rank in self.ranks:
            trace = first_error(self.own_words[rank], reason)
            line = trace.errors[-1].partition("\n")[0] if trace else ""
            if trace and rank not in self.felled and not self._is_harmless(rank, line):
                found.append((rank, trace))
        return sorted(found, key=lambda one: (one[1].lost_peer, self.attempt.part(one[0]).modified(), one[0]))

    def first_failure(self) -> tuple[int, Trace] | None:
        """The process that failed first, and its traceback; None if no log has one.

        The record of the failure tells which. Where it does not, it is one whose traceback is about more than a lost
        peer, and which fell silent first.
        """
        broken = self.broken(self.recorded.get("reason", ""))
        if self.recorded.get("rank") in self.ranks:
            broken = [one for one in broken if one[0] == self.recorded["rank"]]
        return next(iter(broken), None)

    def thrown(self) -> Iterator[tuple[int, Thrown]]:
        """The processes that an exception of C++ ended."""
        for rank in self.ranks:
            if match := THROWN.search("\n".join(self.said[rank])):
                yield rank, Thrown(match["name"] or "C++ exception", match["what"] or "")

    @cached_property
    def own_words(self) -> dict[int, LogPart]:
        """What each process printed after its last sign of progress, and before Slurm ended it if its log says so."""
        return {rank: self._own_words(last_words(self.attempt.part(rank))) for rank in self.ranks}

    @cached_property
    def said(self) -> dict[int, list[str]]:
        """Lines of each process among its last words: none of Slurm's, none of exceptions that ended no process, and
        none that say that it goes on.
        """
        return {rank: list(self._said(rank)) for rank in self.ranks}

    def _own_words(self, part: LogPart) -> LogPart:
        begin, end = part.span()
        at = max(begin, end - TAIL)
        for line in part.read(at, end).splitlines(keepends=True):
            message = message_of(line.decode(errors="replace"))
            if message and message.kind in STOPS:
                return LogPart(part.path, begin, at)
            at += len(line)
        return part

    def _said(self, rank: int) -> Iterator[str]:
        part = self.own_words[rank]
        passed = {line for trace in tracebacks(part, passed_over=True) for line in trace.lines}
        passed -= {line for trace in tracebacks(part) for line in trace.lines}
        for line in _lines(part):
            plain = line not in passed and not NOISE.search(line) and not self._is_harmless(rank, line)
            if plain and line.strip() and not message_of(line):
                yield line

    def last_error_lines(self) -> str:
        """The end of what the first log says about errors: what stands behind the last line that is about none."""
        kept: list[str] = []
        for line in reversed(self.said.get(0, [])):
            if not ERROR.search(line):
                break
            kept.insert(0, line)
        return "\n".join(kept)

    def quotes(self) -> list[tuple[int, str]]:
        """Lines that may be about an error, the last of each process; where there are none, the last lines at all."""
        found = [
            (rank, line.strip())
            for rank in self.ranks
            for line in [line for line in self.said[rank] if ERROR.search(line)][-QUOTED:]
        ]
        if not found and self.ranks:
            rank = self.ranks[0]
            lines = [line.strip() for line in _lines(self.attempt.part(rank)) if line.strip()]
            found = [(rank, line) for line in lines[-1:]]
        return list({line: (rank, line) for rank, line in reversed(found)}.values())[:QUOTED][::-1]

    def _is_harmless(self, rank: int, line: str) -> bool:
        """Whether the first process printed the like and went on, where nothing tells when this one printed it."""
        return not self._told_of_progress(rank) and _plain(line) in self.harmless

    def _told_of_progress(self, rank: int) -> bool:
        """Whether it ever told that it went on, beyond that it began."""
        part = self.attempt.part(rank)
        begin, at = part.span()[0], last_words(part).span()[0]
        told = part.read(max(begin, at - LINE), at).decode(errors="replace").rstrip("\n").rpartition("\n")[2]
        return at > begin and not told.startswith(BEGUN)


def _lines(part: LogPart) -> list[str]:
    begin, end = part.span()
    return readable(part.read(max(begin, end - TAIL), end))


def _plain(line: str) -> str:
    """A line without its numbers."""
    return re.sub(r"\d+", "0", line.strip())
