"""Where a run or a cell stands, as the board would say it, for one piece of work alone."""

from __future__ import annotations

import time
from collections.abc import Sequence

from cluster.records import unless_damaged
from cluster.run.grid_folder import GridFolder, all_grids
from cluster.run.run_folder import CellFolder, RunFolder
from cluster.run.state import State
from cluster.slurm.accounting import Usage
from cluster.slurm.queue import EndedJob
from jobs.board.evaluation_progress import begun_cells, shares_of
from jobs.board.grid_files import GridFiles
from jobs.board.run_state import Facts, run_status
from jobs.board.signs import Standing, World
from jobs.cell.cell import Cell, wanted_cells
from jobs.diagnosis.attempts import needs_of
from jobs.diagnosis.evidence import Inquiry


def standing_of(inquiry: Inquiry) -> Standing:
    """State and cause; accounting is asked where they hang on how a job ended."""
    world = _world(inquiry)
    found = _judged(inquiry, world)
    if world.asked:
        world.ended = _ended(inquiry.accounts or ())
        found = _judged(inquiry, world)
    return found


def parents_of(inquiry: Inquiry) -> dict[str, Standing]:
    """Where the runs stand that must be done before, by the names of their folders."""
    if inquiry.parents is None:
        inquiry.parents = {run.path.name: standing_of(Inquiry(run, inquiry.look)) for run in needs(inquiry)}
    return inquiry.parents


def needs(inquiry: Inquiry) -> list[RunFolder]:
    """What must be done before."""
    return [inquiry.run] if isinstance(inquiry.work, CellFolder) else needs_of(inquiry.run)


def _world(inquiry: Inquiry) -> World:
    run = inquiry.run
    grids = {grid.name: grid for grid, _ in inquiry.slots}
    world = World(inquiry.look, time.time())
    files = [GridFiles.read(grid) for grid in grids.values()]
    world.arrays = {name: rows for one in files for name, rows in one.covered(world).items()}
    parents = parents_of(inquiry)
    world.needs = {run.path.name: list(parents)}
    world.states = {name: stands.state for name, stands in parents.items()}
    return world


def _judged(inquiry: Inquiry, world: World) -> Standing:
    work = inquiry.work
    if isinstance(work, RunFolder):
        status = run_status(Facts.of(work), world)
        return Standing(status.state, status.cause, status.note)
    cell = cell_of(work)
    if cell is None:
        return Standing(State.DONE if work.is_done() else State.NEW)
    (share,) = shares_of(work.run, [cell], world)
    return Standing(share.state, share.cause, share.note)


def cell_of(work: CellFolder) -> Cell | None:
    """What of a share is wanted by the grid that asks for most, else what was begun of it."""
    grids = all_grids(work.run.root)
    wanted = [cell for grid in grids for cell in _cells(grid) if cell.folder.path == work.path]
    begun = begun_cells(work.run, work.benchmark) if work.path.is_dir() else []
    every = wanted or [cell for cell in begun if cell.folder.path == work.path]
    return max(every, key=lambda cell: cell.items, default=None)


def _cells(grid: GridFolder) -> Sequence[Cell]:
    return [cell for cell in unless_damaged(wanted_cells, grid) or () if cell.job == "evaluate"]


def _ended(rows: Sequence[Usage]) -> dict[str, EndedJob]:
    """What accounting says of jobs and of their elements, the last of each."""
    found: dict[str, EndedJob] = {}
    for row in rows:
        job = row.id.partition("_")[0]
        told = EndedJob(row.id, job, row.state, row.exit, row.name, row.command, row.submit)
        found |= {row.id: told, job: told}
    return found
