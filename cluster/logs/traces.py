"""Tracebacks as Python prints them, groups of exceptions among them: their lines, and what each exception says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cluster.job.causes import PEER_ERRORS, PEER_SIGNS

MARK = "Traceback (most recent call last):"
GROUP = "Exception Group "
"""What stands before the mark where several exceptions were raised at once."""
IN_GROUP = re.compile(r"\s*(?:\| ?(?P<text>.*)|\+-.*)$")
"""Lines of such a traceback: text behind a bar, or a rule between two exceptions."""
LINKS = ("During handling of the above exception", "The above exception was the direct cause")
MESSAGE_LINES = 8
"""A message may have several lines, and nothing tells where it ends."""
FOREIGN = ("submitit ", "srun: ", "slurmstepd", MARK, "[rank")
"""How lines begin that are no part of a message."""
PASSED_OVER = (
    "Exception ignored ",
    "Exception in thread",
    "--- Logging error ---",
    "Error in atexit._run_exitfuncs",
)
"""How a line begins behind which stands a traceback that ended no process."""
STOPPED = ("KeyboardInterrupt", "SystemExit", "SignalException")
"""Exceptions of a process that was told to end."""


@dataclass(frozen=True)
class Trace:
    """A traceback with those it is linked to, as they stand in a log."""

    lines: list[str]
    errors: list[str]
    """What each of the linked exceptions says; the last one is what ended the process, of a group the first in it."""

    @property
    def lost_peer(self) -> bool:
        """It only says that another process is gone."""
        return self.name in PEER_ERRORS or bool(PEER_SIGNS.search(self.errors[-1]))

    @property
    def name(self) -> str:
        """Of the exception, without its module."""
        return self.errors[-1].partition(":")[0].strip().rpartition(".")[2]

    @property
    def frame(self) -> str:
        """Where it happened: the last frame, `File "a.py", line 3, in f`; empty if there is none."""
        frames = (line.lstrip(" |") for line in reversed(self.lines))
        return next((line for line in frames if line.startswith('File "')), "")


def parse(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """The lines of a traceback and of those linked to it, and what each of them says in the end.

    Args:
        lines: of a log, from the mark on.
    """
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
        mark = link and next(
            (n for n in range(link, min(link + 3, len(lines))) if lines[n].startswith(MARK)), None
        )
        if not mark:
            break
        kept += lines[at:mark]
        at = mark
    return kept, errors


def parse_group(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """The same of a group of exceptions: what the group says, then each exception in it, the first of them last."""
    kept = [lines[0]]
    for line in lines[1:]:
        if not IN_GROUP.match(line):
            break
        kept.append(line)
    messages: list[list[str]] = []
    within = False
    for line in kept[1:]:
        text = (IN_GROUP.match(line) or {"text": ""})["text"] or ""
        if not text or text.startswith((MARK, GROUP, *LINKS)):
            within = False
        elif within:
            messages[-1].append(text)
        elif not text.startswith(" "):  # not a frame
            messages.append([text])
            within = True
    errors = ["\n".join(message) for message in messages]
    leaves = [error for error in errors if not re.match(r"\S*ExceptionGroup: ", error)]
    return kept, [*(error for error in errors if error not in leaves), *reversed(leaves)]


def _continues(lines: Sequence[str], at: int, first: int) -> bool:
    """Whether a line goes on with the message that began on line `first`; a diagnosis repeats its beginning."""
    line = lines[at]
    return bool(line.strip()) and not line.startswith((*FOREIGN, *LINKS)) and line != lines[first]
