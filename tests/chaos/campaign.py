"""One case of a campaign by its seed and number, and the summary of many."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.faults import DAMAGING, FAULTS
from tests.chaos.place import Outcome, Place


@dataclass(frozen=True)
class Result:
    """What came of a case."""

    number: int
    fault: str
    told: str
    """What was done, and when."""
    violations: tuple[str, ...]


class References:
    """Undisturbed grids by the number of processes of a job: sums over processes round otherwise than those of one.

    Args:
        base: a folder for them.
        world: the tiny world.
    """

    def __init__(self, base: Path, world: Path) -> None:
        self.base, self.world = base, world
        self._made: dict[int, Reference] = {}

    def of(self, tasks: int) -> Reference:
        """That of a number of processes, made when it is first asked for."""
        if tasks not in self._made:
            place = Place(self.base / str(tasks), self.world, tasks)
            assert place.end(place.start()) == 0, place.said
            self._made[tasks] = Reference(place.outcome(), place.progress())
        return self._made[tasks]


@dataclass(frozen=True)
class Reference:
    """An undisturbed grid."""

    outcome: Outcome
    steps: int
    """Training steps and answers."""


def fault_of(seed: int, number: int) -> str:
    """Each kind in turn, so that few cases meet all."""
    return sorted(FAULTS)[(number + seed) % len(FAULTS)]


def run_case(seed: int, number: int, base: Path, world: Path, references: References) -> Result:
    """Disturb a grid, bring it to its end by the same command, and compare.

    Args:
        seed: of the campaign.
        number: of the case.
        base: a folder for it, which is gone afterwards unless something is wrong.
        world: the tiny world.
        references: the undisturbed grids.
    """
    rng, kind = random.Random(f"{seed}:{number}"), fault_of(seed, number)
    place = Place(base, world, tasks=rng.choice([1, 1, 2]))
    reference = references.of(place.tasks)
    told, violations = "", []
    try:
        told = FAULTS[kind](place, rng, reference.steps)
        violations = place.finish() or place.violations(reference.outcome, kind in DAMAGING)
    except Exception as error:  # a case that cannot be judged is one that must be looked at
        violations = [f"{type(error).__name__}: {error}"]
    finally:
        subprocess.run(["umount", "-l", place.runs], check=False, capture_output=True)
    if not violations:
        shutil.rmtree(base, ignore_errors=True)
    return Result(number, kind, f"{place.tasks} tasks: {told}", tuple(violations))


def summary(seed: int, results: Iterable[Result]) -> str:
    """Kinds, counts and every violation, as Markdown."""
    every = list(results)
    lines = ["| fault | cases | violations |", "|---|---:|---:|"]
    for kind in sorted(FAULTS):
        ours = [one for one in every if one.fault == kind]
        lines.append(f"| {kind} | {len(ours)} | {sum(bool(one.violations) for one in ours)} |")
    lines.append(f"| all (seed {seed}) | {len(every)} | {sum(bool(one.violations) for one in every)} |")
    lines += [
        f"\ncase {one.number}, {one.fault} ({one.told}): {'; '.join(one.violations)}"
        for one in every
        if one.violations
    ]
    return "\n".join(lines)
