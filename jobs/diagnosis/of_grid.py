"""Where a grid stands: how many of its cells are in which state, and the work that tells most about it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cluster.errors import ClusterError
from cluster.logs.read import LogPart
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import CellFolder, RunFolder
from cluster.run.state import State
from cluster.slurm.queue import Look
from jobs.board.rows import Row
from jobs.board.status import Collector, Wishes, standings
from jobs.cell.cell import wanted_cells
from jobs.diagnosis.logs import show_log
from jobs.diagnosis.why import diagnose, draw

BROKEN: tuple[State, ...] = (*(State.FAILED, State.INTERRUPTED, State.CANCELLED, State.BLOCKED),)
"""What does not go on by itself, in the order of what is told first."""
OPEN: tuple[State, ...] = (*BROKEN, *(state for state in State if state not in (*BROKEN, State.DONE)))
"""All that is not done, in this order."""
LOGGED: tuple[State, ...] = (State.FAILED, State.RUNNING, State.INTERRUPTED, State.CANCELLED)
"""What a log tells most about, in this order."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a grid stands."""

    grid: GridFolder
    told: str
    """How many cells are in which state."""
    rows: tuple[Row, ...]
    """Those of its board."""
    look: Look

    def first(self, states: Collection[State]) -> RunFolder | CellFolder | None:
        """The first of its trainings and cells that is in one of these states, an earlier one before."""
        found = [row for state in states for row in self.rows if row.state == state]
        return self._work(found[0]) if found else None

    def latest(self) -> RunFolder | CellFolder:
        """What of it was started last."""
        runs = [RunFolder(self.grid.root / name) for name in dict.fromkeys(row.run for row in self.rows)]
        cells = [cell for run in runs for cell in run.all_cells()]
        every: list[RunFolder | CellFolder] = [*runs, *cells]
        return max(every, key=lambda work: LogPart(work.starts).modified())

    def _work(self, row: Row) -> RunFolder | CellFolder:
        run = RunFolder(self.grid.root / row.run)
        if not row.share:
            return run
        ours = [
            cell
            for cell in wanted_cells(self.grid)
            if (cell.run_name, cell.benchmark) == (row.run, row.share)
        ]
        left = [cell for cell in ours if not cell.done()] or ours
        stands = standings(left)
        chosen = next((cell for cell in left if stands[cell.name].state is row.state), left[0])
        return run.cell(chosen.benchmark, chosen.language, chosen.shard)


def standing(grid: GridFolder) -> Standing:
    """Where a grid stands; one look at the queue.

    Raises:
        ClusterError: it was never submitted.
    """
    status = Collector(grid.root, Wishes(grid=grid.name)).collect()
    if not status.grids:
        raise ClusterError(f"{grid.title} was never submitted: give ablate --grid with its file")
    (line,) = status.grids
    counts = ", ".join(f"{line.states[state]} {state}" for state in State if line.states.get(state))
    told = f"{counts} of {line.cells} cells"
    return Standing(grid=grid, told=told, rows=status.rows, look=status.look)


def show_why_grid(grid: GridFolder) -> None:
    """Tell where a grid stands, and of the first work that is broken, or else not done, why."""
    from rich.console import Console
    from rich.text import Text

    console, found = Console(highlight=False), standing(grid)
    console.print(Text.assemble((grid.title, "bold"), f"  {found.told}"))
    if work := found.first(OPEN):
        console.print(draw(work, diagnose(work, found.look)))
    else:
        console.print(Text(f"  nothing is wrong; next: python launch.py results {grid.name}"))


def show_log_of_grid(grid: GridFolder, rank: int, follow: bool, errors: bool) -> None:
    """Show the log of the first work of a grid that is broken or runs, else of what was started last.

    Raises:
        ClusterError: as `show_log`.
    """
    found = standing(grid)
    work = found.first(LOGGED) or found.latest()
    print(f"== {grid.title}: {found.told}; of these: {work.title}", flush=True)
    show_log(work, rank, follow, errors)
