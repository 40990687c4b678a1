"""One row of squeue: a job, or the elements of an array that wait; and how rows are read.

States and reasons: slurm.schedmd.com/squeue.html and job_reason_codes.html, of 22.05 and 24.11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

TAB = "\t"
"""Between fields: no name of a run has one."""
JOB_ID = r"[1-9]\d*"
"""The id that sbatch gives."""
NUMBER = r"\d{1,9}"
"""Of an element: `MaxArraySize` is 4,000,001 at most (slurm.schedmd.com/slurm.conf.html)."""
ELEMENTS = rf"{NUMBER}(?:-{NUMBER}(?::{NUMBER})?)?"
"""Of an array: `11`, `4-9` or `0-8:2`."""
NEVER = "DependencyNeverSatisfied"
WAITING = (
    *("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"),
    *("EXPEDITING", "LAUNCH_FAILED", "RECONFIG_FAIL"),
)
"""States in which a job has no processes; squeue shows a flag (`REQUEUE_HOLD`) instead of PENDING."""
ENDING = ("COMPLETING", "STAGE_OUT")
"""States in which a job takes up no more work, and may have processes still."""
OVER = (
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"),
    "TIMEOUT",
)
"""States of a job that has left the queue, which squeue may show for some minutes (`MinJobAge`) all the same."""


@dataclass(frozen=True)
class QueuedJob:
    """A job, or the waiting elements of an array, as squeue shows them."""

    id: str
    """`12`, `12_3`, or `12_[4-9%1]` for elements that wait."""
    job: str
    """`12`: the id that sbatch gave."""
    state: str
    """PENDING, RUNNING, ..."""
    reason: str
    """Why it waits; of elements that differ all their reasons."""
    name: str = ""
    command: str = ""
    """The script that sbatch was given."""
    start: str = ""
    """When it started, or is expected to: `2026-11-21T09:50:41`, or `N/A`."""

    @property
    def waits(self) -> bool:
        """It has no processes."""
        return self.state in WAITING

    @property
    def elements(self) -> int:
        """Jobs that this row stands for: `12_[4-9,11%1]` is seven. At least, where the list is cut."""
        return sum(map(len, self._numbers())) or 1

    @property
    def cut(self) -> bool:
        """squeue has cut the list of its elements short: `12_[0,2,4,...]`, or in the middle of a number.

        As `SLURM_BITSTR_LEN` is 0 it does so only where a wrapper takes that away. `--array` is no way out: it reads
        the very text that was cut, and loses the last element of `0-8:2` (bitfmt2int, all versions).
        """
        return "_[" in self.id and not re.fullmatch(
            rf"\d+_\[{ELEMENTS}(?:,{ELEMENTS})*(?:%{NUMBER})?\]", self.id
        )

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it waits, each reason for itself; a state that says it (`SPECIAL_EXIT`) instead.

        Some reasons have commas of their own: `DOWN, DRAINED`, `ng[1,3]`.
        """
        if self.waits and self.state != "PENDING":
            return (self.state,)
        return tuple(re.split(r",(?=[A-Z]+[a-z][A-Za-z]+(?:,|$))", self.reason))

    @property
    def hopeless(self) -> bool:
        """It waits for a job that has failed, for ever."""
        return self.waits and set(self.reasons) == {NEVER}

    @property
    def ending(self) -> bool:
        """It takes up no more work, though its processes may still be there."""
        return self.state in ENDING

    def holds(self, job: str) -> bool:
        """Whether it is a job, or stands for an element: `12_[4-9%1]` for `12_5`."""
        array, _, element = job.partition("_")
        if job in (self.id, self.job):
            return True
        listed = self.cut or any(
            int(element) in part for part in self._numbers() if re.fullmatch(NUMBER, element)
        )
        return array == self.job and (listed or self.id == self.job)

    def _numbers(self) -> list[range]:
        """Elements of its list, as far as it can be read."""
        listed = self.id.partition("_[")[2].partition("]")[0].partition("%")[0].split(",")
        if self.cut and not self.id.endswith("...]"):
            listed.pop()  # it may go on
        return [_range(part) for part in listed if re.fullmatch(ELEMENTS, part)]

    def __str__(self) -> str:
        return f"{self.state}, {self.reason}" if self.waits else self.state


def counted(jobs: Iterable[QueuedJob]) -> str:
    """How many jobs rows stand for: `7`, or `at least 7`."""
    rows = list(jobs)
    return "at least " * any(row.cut for row in rows) + f"{sum(row.elements for row in rows):,}"


def parse_rows(text: str) -> list[QueuedJob]:
    """Rows of squeue, less those of jobs that are over.

    A name may have anything in it; what does not begin as a row does is a banner of the site.
    """
    rows = []
    for line in text.split("\n"):
        id, job, state, reason, *rest = [*line.split(TAB), "", "", ""][: max(4, line.count(TAB) + 1)]
        if re.fullmatch(JOB_ID, job) and re.match(rf"{job}(?![0-9])", id):
            name, command, start = (TAB.join(rest[:-2]), *rest[-2:]) if len(rest) > 2 else ("", "", "")
            rows.append(QueuedJob(id, job, state, reason, name, command, start))
    return [row for row in rows if row.state not in OVER]


def _range(part: str) -> range:
    """Numbers in `4-9`, `0-9:2` or `11`."""
    numbers, _, step = part.partition(":")
    first, _, last = numbers.partition("-")
    return range(int(first), int(last or first) + 1, int(step or 1) or 1)
