"""A grid for people and for other programs: what it wants and how far it is, and its cells as CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from jobs.cell.cell import Cell
from jobs.grid.desired import DesiredGrid
from jobs.grid.reconcile import STATES, Reconciled
from layalign.tabular import Table

ROWS = 40
"""Points of which the plan shows each; of more it shows sums."""


def show_plan(wanted: DesiredGrid, found: Reconciled) -> None:
    """What a grid wants and how far it is: a row for each point, and the sums."""
    from rich.console import Console
    from rich.text import Text

    console, grid = Console(), wanted.grid
    console.print(Text(f"{grid.name}: {grid.title}", style="bold"))
    if len(wanted.points) <= ROWS:
        seeds = len({one.point.seed for one in wanted.points}) > 1
        headings = ("point", *(["seed"] if seeds else []), "stage 1", "stage 2", *grid.benchmarks)
        shares, rows = _shares(found), []
        for one in wanted.points:
            stages = {plan.config.stage: found.states[plan.run.path.name] for plan in one.trained}
            answered = [
                _share(shares.get((str(one.evaluated.run.path), name), Counter())) for name in grid.benchmarks
            ]
            cells = [one.point.label, *([str(one.point.seed)] if seeds else [])]
            rows.append([*cells, *(stages.get(stage, "-") for stage in (1, 2)), *answered])
        console.print(Table.of(headings, rows).screen(gap=2))
    shared = [users for users in wanted.users().values() if len(users) > 1]
    if shared:
        print(f"  trained once: {len(shared)} runs that serve {sum(map(len, shared))} points")
    counts = found.counts()
    print("  cells: " + ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]))
    if found.unwanted:
        names = ", ".join(cell.name for cell in found.unwanted[:4]) + (
            ", ..." if len(found.unwanted) > 4 else ""
        )
        print(f"  no longer wanted: {len(found.unwanted)} cells ({names})")


def _shares(found: Reconciled) -> dict[tuple[str, str], Counter[str]]:
    shares: dict[tuple[str, str], Counter[str]] = {}
    for cell in found.cells:
        if cell.job == "evaluate":
            shares.setdefault((cell.run, cell.benchmark), Counter())[found.states[cell.name]] += 1
    return shares


def _share(counts: Counter[str]) -> str:
    """`7/10 done, 2 running`."""
    total = sum(counts.values())
    if len(counts) == 1:
        return next(iter(counts))
    rest = [f"{counts[state]} {state}" for state in STATES[1:] if counts[state]]
    return f"{counts['done']}/{total} done, " + ", ".join(rest)


def cells_csv(rows: Iterable[tuple[str, Cell, str]]) -> str:
    """Cells as CSV: the grid, the cell and its state of each."""
    headings = ("grid", "state", "job", "run", "benchmark", "language", "shard", "items", "reason")
    lines = []
    for grid, cell, state in rows:
        what = (cell.job, Path(cell.run).name, cell.benchmark, cell.language, cell.shard, cell.items)
        lines.append((grid, state, *what, cell.folder.reason()))
    return Table.of(headings, lines).csv()
