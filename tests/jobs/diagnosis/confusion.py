"""How often `why` is right, by the endings with truth: `docs/DIAGNOSIS.md`.

python -m tests.jobs.diagnosis.confusion [--write | --faults]
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.cluster.fake_slurm import FakeSlurm, write_commands
from tests.jobs.diagnosis.endings import Ending, Verdict, diagnosed, endings, judge

PAGE = Path(__file__).resolve().parents[3] / "docs" / "DIAGNOSIS.md"


def verdicts() -> list[tuple[Ending, Verdict]]:
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


def counts(found: list[tuple[Ending, Verdict]]) -> str:
    right = sum(verdict.right for _, verdict in found)
    wrong = sum(verdict.wrong for _, verdict in found)
    unsure = len(found) - right - wrong
    return (
        f"{right} of {len(found)} right ({100 * right / len(found):.0f} %), {wrong} wrong, {unsure} not sure"
    )


if __name__ == "__main__":
    every = verdicts()
    for half in (1, 2):
        print(half, counts([one for one in every if one[0].half == half]))
    print("all", counts(every))
    if "--faults" in sys.argv:
        for ending, verdict in every:
            if not verdict.right and (ending.half == 1 or "--both" in sys.argv):
                print(f"- [{ending.family}/{ending.half}] {ending.name}: {verdict.fault}")
