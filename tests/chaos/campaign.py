"""One case of a campaign by its seed and number, and the summary of many."""

from __future__ import annotations

import random
import shutil
import threading
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.cluster import CAUSES, ON_TWO_NODES, SLURM_FAULTS
from tests.chaos.faults import DAMAGING, FAULTS, ON_TWO
from tests.chaos.moments import Fault
from tests.chaos.place import Outcome, Place
from tests.chaos.queued import QueuedPlace
from tests.slurm.conftest import Sandbox


@dataclass(frozen=True)
class Result:
    """What came of a case."""

    number: int
    fault: str
    told: str
    """What was done, and when."""
    violations: tuple[str, ...]
    seconds: float


class References:
    """Undisturbed grids by the number of processes of a job: sums over processes round otherwise than those of one.

    Args:
        base: a folder for them.
        world: the tiny world.
    """

    def __init__(self, base: Path, world: Path) -> None:
        self.base, self.world = base, world
        self._made: dict[int, Reference] = {}
        self._making = threading.Lock()

    def of(self, tasks: int) -> Reference:
        """That of a number of processes, made when it is first asked for."""
        with self._making:
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


def faults_on(sandbox: Sandbox | None) -> dict[str, Fault]:
    """The faults of this machine alone, or those of a cluster."""
    return SLURM_FAULTS if sandbox else FAULTS


def fault_of(seed: int, number: int, faults: Iterable[str]) -> str:
    """Each kind in turn, so that few cases meet all."""
    names = sorted(faults)
    return names[(number + seed) % len(names)]


def run_case(
    seed: int, number: int, base: Path, world: Path, references: References, sandbox: Sandbox | None = None
) -> Result:
    """Disturb a grid, bring it to its end by the same command, and compare.

    Args:
        seed: of the campaign.
        number: of the case.
        base: a folder for it, which is gone afterwards unless something is wrong.
        world: the tiny world.
        references: the undisturbed grids.
        sandbox: whose queue the grid goes through; none for a grid of this machine.
    """
    faults = faults_on(sandbox)
    rng, kind = random.Random(f"{seed}:{number}"), fault_of(seed, number, faults)
    place = _place(kind, rng, base, world, sandbox)
    reference = references.of(place.tasks)
    told, violations, began = "", [], time.monotonic()
    try:
        told = faults[kind](place, rng, reference.steps)
        place.ask("why", "parts")
        violations = place.finish() or place.violations(reference.outcome, kind in DAMAGING)
        violations += misnamed(place, kind)
    except Exception as error:  # a case that cannot be judged is one that must be looked at
        violations = [*violations, f"{type(error).__name__}: {error} (then: {traceback.format_exc()[-800:]})"]
    finally:
        place.clear()
    if not violations:
        shutil.rmtree(base, ignore_errors=True)
    return Result(number, kind, f"{place.tasks} tasks: {told}", tuple(violations), time.monotonic() - began)


def _place(kind: str, rng: random.Random, base: Path, world: Path, sandbox: Sandbox | None) -> Place:
    if sandbox is None:
        return Place(base, world, rng.choice([2] * 5 + [4] if kind in ON_TWO else [1] * 6 + [2] * 3 + [4]))
    tasks = 2 if kind in ON_TWO_NODES else rng.choice([1, 1, 2])
    return QueuedPlace(base, world, sandbox, tasks, minutes=1 if kind == "task_hangs" else 5)


def misnamed(place: Place, kind: str) -> list[str]:
    """Causes of interruptions that a fault does not have."""
    wrong = set(place.causes()) - CAUSES[kind] if isinstance(place, QueuedPlace) else set()
    return [f"recorded as the cause: {', '.join(sorted(wrong))}"] if wrong else []


def summary(seed: int, results: Iterable[Result], faults: Iterable[str]) -> str:
    """Kinds, counts and every violation, as Markdown."""
    every = list(results)
    lines = ["| fault | cases | violations |", "|---|---:|---:|"]
    for kind in sorted(faults):
        ours = [one for one in every if one.fault == kind]
        lines.append(f"| {kind} | {len(ours)} | {sum(bool(one.violations) for one in ours)} |")
    lines.append(f"| all (seed {seed}) | {len(every)} | {sum(bool(one.violations) for one in every)} |")
    lines += [
        f"\ncase {one.number}, {one.fault} ({one.told}): {'; '.join(one.violations)}"
        for one in every
        if one.violations
    ]
    return "\n".join(lines)
