"""A grid for people and for other programs: what it wants and how far it is, and its cells as CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from cluster.logs.failure import failure_of
from cluster.logs.pending_reasons import standstill
from cluster.run.grid_folder import GridFolder
from cluster.run.state import STOPPED, State
from jobs.board.signs import Standing
from jobs.cell.cell import Cell
from jobs.grid.desired import DesiredGrid
from jobs.grid.reconcile import Reconciled
from jobs.recipe.meter import many
from layalign.tabular import Table

ROWS = 40
"""Points of which the plan shows each; of more it shows sums."""
SHOWN = 5
"""Failed cells that are told one by one."""


def show_plan(wanted: DesiredGrid, found: Reconciled) -> None:
    """What a grid wants and how far it is: a row for each point, and the sums."""
    from rich.console import Console
    from rich.text import Text

    console, grid = Console(), wanted.grid
    console.print(Text(f"{grid.name}: {grid.title}", style="bold"))
    if len(wanted.points) <= ROWS:
        seeds = len({one.point.seed for one in wanted.points}) > 1
        numbers = range(1, max(plan.config.last_stage for plan in wanted.plans().values()) + 1)
        trained = [f"stage {number}" for number in numbers]
        headings = ("point", *(["seed"] if seeds else []), *trained, *grid.benchmarks)
        shares, rows = _shares(found), []
        for one in wanted.points:
            stages = {plan.config.stage: found.stands[plan.run.path.name].said for plan in one.trained}
            answered = [
                _share(shares.get((str(one.evaluated.run.path), name), Counter())) for name in grid.benchmarks
            ]
            cells = [one.point.label, *([str(one.point.seed)] if seeds else [])]
            rows.append([*cells, *(stages.get(stage, "-") for stage in numbers), *answered])
        console.print(Table.of(headings, rows).screen(gap=2))
    shared = [users for users in wanted.users().values() if len(users) > 1]
    if shared:
        print(f"  trained once: {len(shared)} runs that serve {sum(map(len, shared))} points")
    counts = found.counts()
    print("  cells: " + ", ".join(f"{counts[state]} {state}" for state in State if counts[state]))
    if found.unwanted:
        names = ", ".join(cell.name for cell in found.unwanted[:4]) + (
            ", ..." if len(found.unwanted) > 4 else ""
        )
        print(f"  no longer wanted: {len(found.unwanted)} cells ({names})")


def tell_failed(folder: GridFolder, found: Reconciled) -> None:
    """Which failed cells are taken up again, and which are not before something is changed, and how then."""
    again = [cell for cell in found.of(*STOPPED) if cell.name in found.taken]
    if again and not found.asked:
        print(f"taken up again: {many(len(again), 'cell')} that failed by what may be over now")
    failed = found.left()
    for cell in failed[:SHOWN]:
        failure, stands = failure_of(cell.folder), found.stands[cell.name]
        print(f"{stands.state}: {cell.name}: {failure.told() if failure else stands.note}")
    if failed:
        more = f"and {len(failed) - SHOWN} more; " if len(failed) > SHOWN else ""
        print(
            f"  {more}{many(len(failed), 'failed cell')}: this command does not take them up, as it would end the "
            f"same way; once what they say is changed: python launch.py retry {folder.name}"
        )


def tell_standstill(found: Reconciled) -> None:
    """Which arrays in the queue will not start by themselves, and what helps."""
    for array in found.arrays:
        if stands := standstill(array.jobs):
            row, finding = stands
            helps = "; or ".join(finding.advice({"job": row.job, "run": row.name}))
            print(
                f"queued, but it does not start: job {row.id} {row.name} ({row}): {finding.told()}: {helps}"
            )


def _shares(found: Reconciled) -> dict[tuple[str, str], Counter[State]]:
    shares: dict[tuple[str, str], Counter[State]] = {}
    for cell in found.cells:
        if cell.job == "evaluate":
            shares.setdefault((cell.run, cell.benchmark), Counter())[found.state(cell)] += 1
    return shares


def _share(counts: Counter[State]) -> str:
    """`7/10 done, 2 running`."""
    total = sum(counts.values())
    if len(counts) == 1:
        return next(iter(counts))
    rest = [f"{counts[state]} {state}" for state in State if state is not State.DONE and counts[state]]
    return f"{counts[State.DONE]}/{total} done, " + ", ".join(rest)


def cells_csv(rows: Iterable[tuple[str, Cell, Standing]]) -> str:
    """Cells as CSV: the grid, the cell and where it stands of each."""
    headings = ("grid", "state", "job", "run", "benchmark", "language", "shard", "items", "cause", "reason")
    lines = []
    for grid, cell, stands in rows:
        what = (cell.job, Path(cell.run).name, cell.benchmark, cell.language, cell.shard, cell.items)
        lines.append((grid, stands.state, *what, stands.cause, cell.cause()))
    return Table.of(headings, lines).csv()
