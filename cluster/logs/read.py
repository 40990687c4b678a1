"""Logs of jobs, which may be huge: their ends and their tracebacks, without reading more than is needed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.escapes import without_escapes
from cluster.job.slurm_messages import PROGRESS
from cluster.logs.traces import GROUP, MARK, PASSED_OVER, STOPPED, Trace, parse, parse_group

BLOCK = 1 << 20
TAIL_BYTES = 4 << 20
"""The end of a log that is looked at for lines: a bar that never ends its line does not make it read more."""
TRACE_BYTES = 1 << 16
LAST_BYTES = 1 << 20
"""The end of a log that is searched for the last sign of progress."""
BEGIN = b" - Starting with JobEnvironment("
"""What submitit prints when it starts a process."""
HOST = re.compile(r"JobEnvironment\([^)]*hostname=([^,)]+)")
NOISE = "submitit "
RANK_PREFIX = re.compile(r"(\[(?:default|rank)\d+\]:\s?|\d+:\s)")
"""How torch and `srun --label` say whose line it is."""


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
    shown = [without_escapes(line.rstrip("\r").rpartition("\r")[2]) for line in lines]
    return [line for line in shown if not line.startswith(NOISE)]


def last_words(part: LogPart) -> LogPart:
    """What a process printed after the last line that tells that it went on; all, where there is no such line."""
    begin, end = part.span()
    at = max(begin, end - LAST_BYTES)
    text = part.read(at, end).decode("latin-1")  # a character for each byte
    last = max((found.start() for found in PROGRESS.finditer(text)), default=-1)
    newline = text.find("\n", last)
    if last >= 0:
        begin = at + newline + 1 if newline >= 0 else end
    return LogPart(part.path, begin, part.end)


def tracebacks(part: LogPart, passed_over: bool = False) -> Iterator[Trace]:
    """The tracebacks of a log in order; not those that are quoted in another message, which are indented.

    Args:
        part: where to look.
        passed_over: also those that ended no process: in a thread, at exit, or ignored by Python.
    """
    over = 0
    for at in places(part, MARK.encode()):
        if at >= over:
            trace, length, ended = _trace(part, at)
            over = at + length
            if trace and (ended or passed_over):
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
        if not trace.lost_peer and not reason and trace.name not in STOPPED:
            return trace
        found.append(trace)
    return min(found, key=lambda trace: (trace.name in STOPPED, trace.lost_peer), default=None)


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


def _trace(part: LogPart, at: int) -> tuple[Trace | None, int, bool]:
    """The traceback whose mark stands at a place, how many bytes it takes, and whether it ended a process."""
    before = part.read(max(part.span()[0], at - 400), at).decode(errors="replace").split("\n")
    start = before[-1]
    labelled = RANK_PREFIX.match(start)
    label = labelled[1] if labelled else ""
    start = start.removeprefix(label)
    group = start.lstrip(" +") == GROUP
    if start and not start.strip() and not group:
        return None, len(MARK), False
    data = part.read(at, min(at + TRACE_BYTES, part.span()[1]))
    lines = [line.rstrip("\r") for line in data.decode(errors="replace").split("\n")]
    if label:
        lines = [line.removeprefix(label).removeprefix(label.rstrip()) for line in lines]
    kept, errors = (parse_group if group else parse)(lines)
    length = len(os.fsencode("\n".join(kept)))
    heading = before[-2].removeprefix(label) if len(before) > 1 else ""
    ended = not heading.startswith(PASSED_OVER)
    return (Trace(kept, errors) if errors else None), max(length, len(MARK)), ended
