"""How often `why` is right, by the endings with truth: `docs/DIAGNOSIS.md`.

python -m tests.jobs.diagnosis.confusion            the counts, and what is told wrong
python -m tests.jobs.diagnosis.confusion --write    the page
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.fake_slurm import FakeSlurm, write_commands
from tests.jobs.diagnosis.endings import Ending, Verdict, diagnosed, endings, judge

PAGE = Path(__file__).resolve().parents[3] / "docs" / "DIAGNOSIS.md"
BLIND = {
    "blind": "14 of 32 right, 13 wrong, 5 not sure",
    "blind_again": "23 of 26 right, 3 wrong, 0 not sure",
    "blind_third": "13 of 15 right, 2 wrong, 0 not sure",
    "later": "",
}
"""Families that were thought of after the code was made, and how their first try went."""
BEFORE = "29 of 81 right, 45 wrong, 7 not sure", "33 of 76 right, 37 wrong, 6 not sure"
"""What the code told of both halves before any of this."""
TRIED = "80 of 81 right, 1 wrong, 0 not sure", "73 of 76 right, 3 wrong, 0 not sure"
"""What it told when it was tried on both for the first time."""
HEAD = """\
# How often `why` is right

`python launch.py why RUN` tells why a job ended and what helps. This page compares it with {count} endings whose
cause is known: `tests/jobs/diagnosis/corpus/*.yaml`, made up after real shapes (public reports, and the sources of
Slurm 22.05 to 26.05, torch, NCCL, gloo and the hub's library), with what each process, srun and sacct say. {noisy} of
them begin or end with harmless noise: warnings of libibverbs, requests that were tried again, trackers without a
network, exceptions that Python ignored. {silent} have no accounting. The truth was written down before the code was
tried on them.

Right is: the cause is the true one, the advice is for it, and none of the advice is for another cause. "Not sure" is an
answer, and neither right nor wrong. Wrong is everything else, an exception that is quoted without its cause among it.

| | before | first try | now |
|---|---|---|---|
| the half that the code was made with | {before[0]} | {tried[0]} | {now[0]} |
| the other half, looked at afterwards | {before[1]} | {tried[1]} | {now[1]} |
| thought of later, tried once, then mended | | {blind[0]} | {now[2]} |
| the same once more | | {blind[1]} | {now[3]} |
| and a third time, with mixed logs | | {blind[2]} | {now[4]} |
| found missing later, by a real Slurm or by reading | | {blind[3]} | {now[5]} |

A diagnosis goes by what counts most (`jobs/diagnosis/clues.py`, `Weight`): how it ended, as srun, the nodes' daemons,
accounting or the process that broke tell it; then the last words of the processes. What was said before the last sign
of progress counts for nothing, since the job went on after it. Where nothing is left it quotes accounting and the last
lines that may be about an error, and says that it is not sure.

## Truth and what is told

"""
TABLE = "| the cause | endings | right | not sure | told instead |\n|---|---|---|---|---|\n"
FOOT = "\nMade by `python -m tests.jobs.diagnosis.confusion --write`; a test compares it with what the code tells.\n"

Judged = Sequence[tuple[Ending, Verdict]]


def verdicts() -> Judged:
    """What is told of every ending, each with files and a Slurm of its own."""
    path = os.environ["PATH"]
    found = []
    try:
        for ending in endings():
            with tempfile.TemporaryDirectory() as folder:
                commands = Path(folder, "slurm")
                write_commands(commands)
                os.environ["PATH"] = f"{commands}:/usr/bin:/bin"
                slurm = FakeSlurm(commands)
                found.append((ending, judge(ending, diagnosed(ending, Path(folder, "runs"), slurm))))
    finally:
        os.environ["PATH"] = path
    return found


def counts(found: Judged) -> str:
    """`76 of 78 right, 1 wrong, 1 not sure`."""
    right = sum(verdict.right for _, verdict in found)
    wrong = sum(verdict.wrong for _, verdict in found)
    return f"{right} of {len(found)} right, {wrong} wrong, {len(found) - right - wrong} not sure"


def page(found: Judged) -> str:
    """The text of the page."""
    halves = [one for one in found if one[0].family not in BLIND]
    parts = [[one for one in halves if one[0].half == half] for half in (1, 2)]
    parts += [[one for one in found if one[0].family == family] for family in BLIND]
    head = HEAD.format(
        count=len(found),
        noisy=sum(ending.noisy for ending, _ in found),
        silent=sum(ending.told.get("sacct", "none") == "none" for ending, _ in found),
        before=BEFORE,
        tried=TRIED,
        blind=tuple(BLIND.values()),
        now=[counts(part) for part in parts],
    )
    return head + TABLE + "".join(_rows(found)) + FOOT


def _rows(found: Judged) -> list[str]:
    """A line for each cause, with what it was taken for."""
    rows = []
    for cause in sorted({ending.causes[0] for ending, _ in found}):
        same = [verdict for ending, verdict in found if ending.causes[0] == cause]
        right, unsure = (
            sum(one.right for one in same),
            sum(one.told == "unsure" and not one.right for one in same),
        )
        told = Counter(one.told for one in same if one.told != cause and (one.wrong or one.right))
        instead = ", ".join(f"{name} ({count})" for name, count in sorted(told.items()))
        rows.append(f"| {cause} | {len(same)} | {right} | {unsure} | {instead} |\n")
    return rows


if __name__ == "__main__":
    every = verdicts()
    print(counts(every))
    for ending, verdict in every:
        if not verdict.right:
            print(f"- {ending.family}, half {ending.half}: {ending.name}: {verdict.fault}")
    if "--write" in sys.argv:
        PAGE.write_text(page(every))
