"""What srun, slurmstepd and the batch shell print of how a job ended, and which of it tells why.

Wordings: srun/launch.c, api/step_launch.c, slurmd/slurmstepd/{req,io,task}.c, plugins/task/cgroup/task_cgroup_memory.c
and plugins/auth/munge of Slurm 22.05 to 26.05. Since 23.11 lines of a node's daemon begin with their time, before with
its name. That a step has run out of memory is said last of all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile

OUT_OF_MEMORY = "out of memory"
NODE_FAILURE = "node failure"
WALLTIME = "walltime"
PREEMPTION = "preemption"
REQUEUE = "requeue"
CANCELLED = "cancelled"
DEADLINE = "deadline"
REVOKED = "revoked"
NOT_STARTED = "could not be started"
NO_STEP = "no step"
"""srun waits for its step, in vain so far."""
STEP = "step created"
NO_OUTPUT = "output file not written"
NO_PROGRAM = "program not executed"
CRASHED = "crashed"
"""By a signal of its own doing."""
ABORTED = "aborted"
"""By a signal that it sent itself, as libraries do that wait in vain for another process."""
KILLED = "killed"
TERMINATED = "terminated"
EXITED = "exited"
ROOTS = (OUT_OF_MEMORY, NODE_FAILURE)
"""Whatever else is said, before it or after it, follows from these."""
BREAKS = (NOT_STARTED, NO_OUTPUT, NO_PROGRAM, CRASHED)
"""What ended it, if that is said before Slurm ended it."""
STOPS = (WALLTIME, DEADLINE, PREEMPTION, REQUEUE, CANCELLED, REVOKED)
"""Slurm ended it: what processes do or say afterwards follows from that."""
WEAK = (KILLED, EXITED, ABORTED)
"""The first of these may be why the others followed."""

PROGRESS = re.compile(
    r"^(?:submitit INFO .* - (?:Starting with JobEnvironment|Loading pickle)|environment (?:unpacked|built) on "
    r"|step \d+(?:[/: ]|$)|(?:resumed|stopping|longer than the limit and cut): |== \S+$"
    r"|\S.*: \d+ items, \d+ of them to be answered|\S+/\S+ \d+/\d+  [\d.]+ items/s|  \S+ \d+/\d+ loss [\d.]+  )",
    re.MULTILINE,
)
"""Lines that a job prints as it goes on: what stands before one of them did not end it.

Bars are none: they are drawn once more when an exception ends them.
"""
SAYS = r"^(?:\d+: )?(?:srun: (?:error: )?|slurmstepd(?:-\S+)?: (?:error: )?|\[\d{4}-\d\d-\d\dT[\d:.]+\] (?:error: )?)"
TASK = SAYS + r"(?P<node>\S+): tasks? (?P<task>[\d,\[\]-]+): "
SHELL = r"line \d+: +\d+ "
STOPPED = r"\*\*\* (?:JOB|STEP) .*DUE TO "
PATTERNS = (
    (OUT_OF_MEMORY, TASK + r"Out Of Memory"),
    (OUT_OF_MEMORY, SAYS + r"(?:Detected \d+ oom[-_ ]kill|Exceeded (?:step|job) memory limit)"),
    (OUT_OF_MEMORY, r"exceeded (?:virtual )?memory limit \(.*being killed"),
    (NODE_FAILURE, SAYS + r"Node failure on (?P<node>[\w.,\[\]-]+)"),
    (NODE_FAILURE, STOPPED + r"NODE FAILURE"),
    (WALLTIME, STOPPED + r"TIME LIMIT"),
    (PREEMPTION, STOPPED + r"PREEMPTION"),
    (REQUEUE, STOPPED + r"JOB REQUEUE"),
    (CANCELLED, r"\*\*\* JOB \S+ ON \S+ CANCELLED AT \S+(?: DUE to SIGNAL \w+)? \*\*\*"),
    (NO_PROGRAM, SAYS + r"(?:\w+: )?execve\(\): (?P<how>.+)"),
    (
        NO_OUTPUT,
        SAYS + r"(?:\w+: )?Could not open std(?:out|err) file '?(?P<path>[^':]+)'?: '?(?P<how>[^']+)",
    ),
    (NO_OUTPUT, SAYS + r"IO setup failed: (?P<how>.+)"),
    (NOT_STARTED, SAYS + r"Task launch for .* failed on node (?P<node>[^\s:]+): (?P<how>.+)"),
    (NOT_STARTED, SAYS + r"Unable to (?:create step|confirm allocation) for job \S+: (?P<how>.+)"),
    (
        NOT_STARTED,
        SAYS + r"(?P<how>.*(?:Munged? \w+ (?:failed|error)|munge_\w+ failure|authentication credential).*)",
    ),
    (NOT_STARTED, SAYS + r"Application launch failed: (?P<how>.+)"),
    (
        NOT_STARTED,
        SAYS + r"(?P<how>.*(?:authentication error|job credential|[Pp]rolog (?:failed|hung|failure)).*)",
    ),
    (NO_STEP, SAYS + r".*step creation (?:temporarily|still) disabled.*?(?:\((?P<how>.+)\))?$"),
    (STEP, SAYS + r"Step created for"),
    (EXITED, TASK + r"Exited with exit code (?P<how>\d+)"),
    (ABORTED, TASK + r"(?P<how>Aborted)"),
    (KILLED, TASK + r"(?P<how>Killed)"),
    (TERMINATED, TASK + r"(?P<how>Terminated|Hangup|Interrupt|User defined signal \d)"),
    (CRASHED, TASK + r"(?P<how>[A-Z][\w /-]+?)(?: \(core dumped\))?$"),
    (KILLED, SHELL + r"(?P<how>Killed)"),
    (ABORTED, SHELL + r"(?P<how>Aborted)"),
    (TERMINATED, SHELL + r"(?P<how>Terminated)"),
    (CRASHED, SHELL + r"(?P<how>Segmentation fault|Bus error|Illegal instruction|Floating point exception)"),
)
HINT = re.compile(r"srun|slurmstepd|\*\*\*|being killed|^\[\d{4}-|line \d+: +\d+ ")
"""What any of them has: most lines of a log have none of it."""


@dataclass(frozen=True)
class Message:
    """One thing that Slurm says of how a job ended."""

    kind: str
    line: str
    node: str = ""
    task: str = ""
    how: str = ""
    """Name of the signal, exit status, or reason."""
    path: str = ""

    @property
    def ranks(self) -> set[int]:
        """The tasks that it is about: `0,4-6` are four."""
        spans = [part.partition("-") for part in self.task.strip("[]").split(",") if part]
        return {rank for first, _, last in spans for rank in range(int(first), int(last or first) + 1)}


def after_progress(text: str) -> str:
    """The end of a log: what was printed after the last line that tells that the job goes on."""
    last = max((found.start() for found in PROGRESS.finditer(text)), default=-1)
    return text if last < 0 else text[last:].partition("\n")[2]


@cache
def _known() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """How lines are told from each other: the first that fits counts. Compiled for who reads a log, not at import."""
    return tuple((kind, re.compile(pattern)) for kind, pattern in PATTERNS)


def messages(text: str) -> Iterator[Message]:
    """What Slurm says in a log, in order."""
    for line in text.splitlines():
        if message := message_of(line):
            yield message


def message_of(line: str) -> Message | None:
    """What Slurm says in a line; None if it is not of Slurm, or says nothing of an end."""
    if not HINT.search(line):
        return None
    for kind, pattern in _known():
        if match := pattern.search(line.rstrip()):
            told = {name: value.strip() for name, value in match.groupdict().items() if value}
            return Message(kind, line.strip(), **told)
    return None


def ended_by(told: Sequence[Message]) -> Message | None:
    """Of what Slurm says in order, that from which the rest follows; None if it says nothing of an end."""
    ends = [one.kind for one in told]
    if REQUEUE in ends and {*BREAKS, *WEAK} & set(ends[: ends.index(REQUEUE)]):
        told = [
            one for one in told if one.kind != REQUEUE
        ]  # which the job asked for itself, as something had broken
    before = list(takewhile(lambda one: one.kind not in STOPS, told))
    waits = before[-1:] if before and before[-1].kind == NO_STEP else []
    for kinds, among in ((ROOTS, told), (BREAKS, before), ((NO_STEP,), waits), (STOPS, told), (WEAK, before)):
        first = next((one for one in among if one.kind in kinds), None)
        if first:  # of several lines that say the same, the first that says where
            return max((one for one in among if one.kind == first.kind), key=lambda one: bool(one.node))
    return next((one for one in told if one.kind == TERMINATED), None)
