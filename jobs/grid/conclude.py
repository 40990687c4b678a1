"""What is written when nothing of a grid is left to do, by whoever comes to see it: a job may die just before."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder
from jobs.cell.answers import by_benchmark
from jobs.cell.cell import Cell, Worklist
from jobs.cell.whole import TABLE, write_tables
from jobs.results.output import REPORT, write_results
from layalign.config import RunConfig


def conclude(grid: GridFolder) -> None:
    """Write the tables of a grid's runs and its report, those that are older than what they tell of."""
    path = grid.wanted_list()
    wanted = Worklist.read(path) if path else None
    if wanted is None:
        return
    for (run, benchmark), cells in by_benchmark(wanted.cells).items():
        folder = RunFolder(Path(run))
        if _older(folder.results / benchmark / TABLE, [cell for cell in cells if cell.done()]):
            write_tables(folder, RunConfig.from_dict(wanted.runs[run]["config"]), benchmark)
    if _older(grid.results / REPORT, wanted.cells):
        print(f"report: {write_results(grid)}", flush=True)


def _older(made: Path, cells: Iterable[Cell]) -> bool:
    """Whether a file is not there, or some cell has ended since."""
    ends = [end for cell in cells for path in (cell.folder.done, cell.folder.failed) if (end := _time(path))]
    return bool(ends) and max(ends) >= _time(made)


def _time(path: Path) -> int:
    """When a file was written; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
