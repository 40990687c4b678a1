"""What checking costs: checksums and syncing, as a share of the time of the work that they protect.

    python -m benchmarks.checking --out FOLDER

First in a training and an evaluation of the smallest miniature, in one process: the time inside checksums, fsync and
looks at the lease over the time of the steps, and of the cells. Such a step takes milliseconds; a real one seconds.
Then the checkpoints of bridges as large as real ones, per step where a step takes `--step-s` seconds.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

from benchmarks.world import tiny_plan
from cluster import files
from cluster.job.interrupt import Interrupts
from cluster.run.lease import Lease
from layalign.tabular import Column, Row, Table
from layalign.training.interval import best_interval

MEASURED = (
    (os, "fsync"),
    (hashlib, "sha256"),
    (hashlib, "file_digest"),
    (files, "_checksum"),
    (Lease, "check"),
)
"""What is counted as checking. One inside another counts once."""
REPEATS = 5
MTBF_S = 3600.0


@dataclass
class Meter:
    """Seconds by kind of check."""

    spent: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    inside: bool = False

    def timed(self, name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, counted."""

        def counted(*args: Any, **more: Any) -> Any:
            if self.inside:
                return plain(*args, **more)
            self.inside, began = True, time.perf_counter()
            try:
                return plain(*args, **more)
            finally:
                self.inside = False
                self.spent[name] = self.spent.get(name, 0.0) + time.perf_counter() - began
                self.calls[name] = self.calls.get(name, 0) + 1

        return counted

    @property
    def total_s(self) -> float:
        """All of it."""
        return sum(self.spent.values())

    def told(self) -> str:
        """By kind, the dearest first."""
        kinds = sorted(self.spent, key=lambda kind: -self.spent[kind])
        return ", ".join(f"{kind} {1000 * self.spent[kind]:.1f} ms in {self.calls[kind]}" for kind in kinds)


@contextmanager
def metered() -> Iterator[Meter]:
    """All checks inside are counted."""
    meter = Meter()
    with ExitStack() as stack:
        for owner, name in MEASURED:
            stack.enter_context(mock.patch.object(owner, name, meter.timed(name, getattr(owner, name))))
        yield meter


def of_the_miniature(folder: Path, steps: int) -> list[list[str]]:
    """A training, then the evaluation of its bridge."""
    from jobs.work import evaluate, train

    plan = tiny_plan(folder, max_steps=steps, save_every=200, eval_every=10 * steps)
    rows = []
    with metered() as meter:
        began = time.perf_counter()
        train.run(plan.told_to_train(None), Interrupts())
        rows.append(_row(f"training, {steps} steps", time.perf_counter() - began, steps, "step", meter))
    data = Path(plan.config.model.decoder).parent / "data"
    with metered() as meter:
        began = time.perf_counter()
        evaluate.run(
            {**plan.told(None), "data": data, "benchmarks": ["mini"], "languages": None}, Interrupts()
        )
        cells = len(plan.run.all_cells())
        rows.append(_row(f"evaluation, {cells} cells", time.perf_counter() - began, cells, "cell", meter))
    return rows


def _row(what: str, wall_s: float, count: int, unit: str, meter: Meter) -> list[str]:
    each = (f"{1000 * wall_s / count:.1f} ms", f"{1000 * meter.total_s / count:.3f} ms a {unit}")
    return [what, f"{wall_s:.1f}", *each, f"{meter.total_s / wall_s:.2%}", meter.told()]


def of_a_bridge(folder: Path, megabytes: int, step_s: float) -> list[str]:
    """Checkpoints of a bridge of so many MB in fp32, with both moments of AdamW: three times as much on disk."""
    import torch

    from layalign.training.checkpoint import Checkpoints, Moments, TrainState

    generator = torch.Generator().manual_seed(0)
    weights = {f"part{n}": torch.randn(megabytes * 25_000, generator=generator) for n in range(10)}
    squares = {name: part**2 for name, part in weights.items()}
    checkpoints, saves, checks = Checkpoints(folder / f"bridge-{megabytes}"), [], []
    for step in range(1, REPEATS + 1):
        state = TrainState(step, weights, Moments(weights, squares), 0, None, {}, {})
        with metered() as meter:
            began = time.perf_counter()
            checkpoints.save(state, best=False)
            saves.append(time.perf_counter() - began)
        checks.append((meter.spent["sha256"], meter.spent["fsync"]))
    save_s, hash_s = median(saves), median(one for one, _ in checks)
    sync_s = median(one for _, one in checks)
    auto = best_interval(save_s, step_s, MTBF_S)
    shares = [f"{(hash_s + sync_s) / (steps * step_s):.2%}" for steps in (200, auto)]
    return [
        f"{megabytes} MB",
        f"{save_s:.2f}",
        f"{hash_s:.2f}",
        f"{sync_s:.2f}",
        shares[0],
        str(auto),
        shares[1],
    ]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="an empty folder on the disk in question")
    parser.add_argument("--steps", type=int, default=400, help="steps of the miniature")
    parser.add_argument("--step-s", type=float, default=2.0, help="seconds of a real step")
    parser.add_argument(
        "--megabytes", type=int, nargs="*", default=[45, 134, 500], help="sizes of bridges in fp32"
    )
    args = parser.parse_args()
    columns = _columns("work", "seconds", "each", "checks", "share", "of which")
    print(Table(columns, [Row(cells) for cells in of_the_miniature(args.out, args.steps)]).markdown())
    columns = _columns("bridge", "save s", "checksums s", "fsync s", "at 200 steps", "auto: steps", "at auto")
    rows = [Row(of_a_bridge(args.out, size, args.step_s)) for size in args.megabytes]
    notes = [
        f"shares of the time of steps, where one takes {args.step_s:g} s; auto: at one interruption an hour"
    ]
    print(Table(columns, rows, notes).markdown())


def _columns(first: str, *numbers: str) -> list[Column]:
    return [Column(first), *(Column(name, number=True) for name in numbers)]


if __name__ == "__main__":
    main()
