"""Logs of jobs, which may be huge: their ends and their tracebacks, without reading more than is needed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.job.causes import PEER_ERRORS, PEER_SIGNS

BLOCK = 1 << 20
TAIL_BYTES = 4 << 20
"""The end of a log that is looked at for lines: a bar that never ends its line does not make it read more."""
TRACE_BYTES = 1 << 16
MARK = b"Traceback (most recent call last):"
BEGIN = b" - Starting with JobEnvironment("
"""What submitit prints when it starts a process."""
HOST = re.compile(r"JobEnvironment\([^)]*hostname=([^,)]+)")
NOISE = "submitit "
RANK_PREFIX = re.compile(r"(\[(?:default|rank)\d+\]:\s?|\d+:\s)$")
"""How torch and `srun --label` say whose line it is."""
LINKS = ("During handling of the above exception", "The above exception was the direct cause")
MESSAGE_LINES = 8
"""A message may have several lines, and nothing tells where it ends."""
FOREIGN = (NOISE, "srun: ", "slurmstepd", MARK.decode(), "[rank")
"""How lines begin that are no part of a message."""


@dataclass(frozen=True)
class LogPart:
    """What one start of one process has printed: bytes of a file."""

    path: Path
    begin: int = 0
    end: int | None = None
    """None: it may still grow."""

    def span(self) -> tuple[int, int]:
        """First byte, and the one after the last; both 0 if there is no such file. A log that was cut begins anew."""
        try:
            size = self.path.stat().st_size
        except OSError:
            return 0, 0
        begin = self.begin if self.begin <= size else 0
        return begin, max(begin, size if self.end is None else min(size, self.end))

    def read(self, begin: int, end: int) -> bytes:
        """These bytes of the file; empty if it is not there."""
        try:
            with self.path.open("rb") as file:
                file.seek(begin)
                return file.read(max(0, end - begin))
        except OSError:
            return b""

    def modified(self) -> float:
        """When it was last written to, in seconds since 1970; 0 if it is not there."""
        try:
            return self.path.stat().st_mtime
        except OSError:
            return 0.0


@dataclass(frozen=True)
class Trace:
    """A traceback with those it is linked to, as they stand in a log."""

    lines: list[str]
    errors: list[str]
    """What each of the linked exceptions says; the last one is what ended the process."""

    @property
    def lost_peer(self) -> bool:
        """It only says that another process is gone."""
        name = self.errors[-1].partition(":")[0].rpartition(".")[2]
        return name in PEER_ERRORS or bool(PEER_SIGNS.search(self.errors[-1]))

    @property
    def frame(self) -> str:
        """Where it happened: the last frame, `File "a.py", line 3, in f`; empty if there is none."""
        return next((line.strip() for line in reversed(self.lines) if line.startswith('  File "')), "")


def last_lines(part: LogPart, count: int) -> tuple[list[str], bool]:
    """The last lines of a log, less what submitit says of itself.

    Returns:
        The lines, of a bar its last state; and whether these are all.
    """
    begin, end = part.span()
    at, kept = end, b""
    while at > begin and kept.count(b"\n") <= count and len(kept) < TAIL_BYTES:
        step = max(begin, at - BLOCK // 4)
        kept, at = part.read(step, at) + kept, step
    lines = readable(kept)
    return lines[-count:], at == begin and len(lines) <= count


def readable(data: bytes) -> list[str]:
    """Bytes of a log as lines for people: of a bar its last state, nothing of what submitit says of itself."""
    lines = data.decode(errors="replace").rstrip("\n").split("\n") if data.strip(b"\0\n") else []
    shown = [line.rstrip("\r").rpartition("\r")[2].lstrip("\0") for line in lines]
    return [line for line in shown if not line.startswith(NOISE)]


def tracebacks(part: LogPart) -> Iterator[Trace]:
    """The tracebacks of a log in order; not those that are quoted in another message, which are indented."""
    over = 0
    for at in places(part, MARK):
        if at >= over:
            trace, length = _trace(part, at)
            over = at + length
            if trace:
                yield trace


def first_error(part: LogPart, reason: str = "") -> Trace | None:
    """The first traceback that is not about a lost peer, else the first of all.

    Args:
        part: where to look.
        reason: in a line, if it is known from elsewhere: a traceback that says the same goes before others.
    """
    found: list[Trace] = []
    for trace in tracebacks(part):
        if reason and any(reason[:80] in error for error in trace.errors):
            return trace
        if not trace.lost_peer and not reason:
            return trace
        found.append(trace)
    return min(found, key=lambda trace: trace.lost_peer, default=None)


def last_start(path: Path) -> int:
    """Where the last process that wrote to a log began."""
    last = max(places(LogPart(path), BEGIN), default=0)
    before = LogPart(path).read(max(0, last - 200), last)
    return last - len(before.rpartition(b"\n")[2]) if last else 0


def host_of(part: LogPart) -> str:
    """The node that a process ran on, as submitit names it; empty if it does not."""
    for begin in dict.fromkeys((part.span()[0], 0)):
        found = HOST.search(part.read(begin, begin + 4096).decode(errors="replace"))
        if found:
            return found[1]
    return ""


def places(part: LogPart, mark: bytes) -> Iterator[int]:
    """Where some bytes stand in a log, in order, found block by block."""
    begin, end = part.span()
    if begin == end:
        return
    with part.path.open("rb") as file:
        file.seek(begin)
        kept, at = b"", begin
        while at < end and (block := file.read(min(BLOCK, end - at))):
            text, start = kept + block, at - len(kept)
            found = text.find(mark)
            while found >= 0:
                yield start + found
                found = text.find(mark, found + 1)
            at += len(block)
            kept = text[-(len(mark) - 1) :]


def _trace(part: LogPart, at: int) -> tuple[Trace | None, int]:
    """The traceback whose mark stands at a place, and how many bytes it takes."""
    line_start = part.read(max(part.span()[0], at - 200), at).rpartition(b"\n")[2].decode(errors="replace")
    if line_start and not line_start.strip():
        return None, len(MARK)
    data = part.read(at, min(at + TRACE_BYTES, part.span()[1]))
    labelled = RANK_PREFIX.search(line_start)
    lines = data.decode(errors="replace").split("\n")
    if labelled:
        lines = [line.removeprefix(labelled[1]).removeprefix(labelled[1].rstrip()) for line in lines]
    kept, errors = _parse([line.rstrip("\r") for line in lines])
    length = len(os.fsencode("\n".join(kept)))
    return (Trace(kept, errors) if errors else None), max(length, len(MARK))


def _parse(lines: list[str]) -> tuple[list[str], list[str]]:
    """The lines of a traceback and of those linked to it, and what each of them says in the end."""
    kept: list[str] = []
    errors: list[str] = []
    at = 0
    while at < len(lines):
        start, at = at, at + 1
        while at < len(lines) and lines[at].startswith(" "):
            at += 1
        first, end = at, min(at + MESSAGE_LINES, len(lines))
        while at < end and (at == first or _continues(lines, at, first)):
            at += 1
        kept += lines[start:at]
        if at > first:
            errors.append("\n".join(lines[first:at]))
        link = next((n for n in range(at, min(at + 2, len(lines))) if lines[n].startswith(LINKS)), None)
        mark = link and next((n for n in range(link, min(link + 3, len(lines))) if _is_mark(lines[n])), None)
        if not mark:
            break
        kept += lines[at:mark]
        at = mark
    return kept, errors


def _continues(lines: list[str], at: int, first: int) -> bool:
    """Whether a line goes on with the message that began on line `first`; a diagnosis repeats its beginning."""
    line = lines[at]
    return bool(line.strip()) and not line.startswith((*FOREIGN, *LINKS)) and line != lines[first]


def _is_mark(line: str) -> bool:
    return line.startswith(MARK.decode())
