"""What of a grid is there, what is on its way, and what is missing: its files and one look at the queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from cluster.files import DamagedFile
from cluster.job.race import alternatives
from cluster.logs.failure import failure_of
from cluster.records import unless_damaged
from cluster.run.grid_folder import GridFolder, all_grids
from cluster.run.lease import IsAlive
from cluster.run.run_folder import RunFolder
from cluster.slurm.queue import Look
from cluster.slurm.queued_job import QueuedJob
from cluster.slurm.submission import REMEDY, InFlight, Submission, Unseen, recorded
from jobs.cell.cell import Cell, Worklist

State = Literal["done", "running", "queued", "interrupted", "failed", "blocked", "new"]
STATES: tuple[State, ...] = ("done", "running", "queued", "interrupted", "failed", "blocked", "new")
OPEN: tuple[State, ...] = ("interrupted", "new")
"""States in which a cell waits for somebody to queue it."""


@dataclass(frozen=True)
class LiveArray:
    """An array of slots that is in the queue."""

    submission: Submission
    jobs: tuple[QueuedJob, ...]
    cells: Mapping[str, Cell]
    """What its slots go through, by name."""


@dataclass(frozen=True)
class Reconciled:
    """Every cell that a grid wants, and how far it is."""

    cells: tuple[Cell, ...]
    states: Mapping[str, State]
    """By the cell's name."""
    arrays: tuple[LiveArray, ...] = ()
    """Of the grid, in the queue."""
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What other grids, and chains of units, have in the queue: the last jobs by the cell's name."""
    records: frozenset[Path] = frozenset()
    """Of all submissions of the grid, as of the look."""
    look: Look = field(default=Look(), repr=False)
    """At the queue."""
    unwanted: tuple[Cell, ...] = ()
    """Cells that arrays in the queue would still go through, and nobody wants."""
    again: frozenset[str] = frozenset()
    """Names of cells that have failed by what may be over, and are taken up again."""
    asked: bool = False
    """The user has said that what the failed cells need is changed."""

    def of(self, *states: State) -> list[Cell]:
        """The cells in these states, in order."""
        return [cell for cell in self.cells if self.states[cell.name] in states]

    def missing(self) -> list[Cell]:
        """What is to be queued now. What waits for a run that has failed is not."""
        return self.of(*OPEN)

    def counts(self) -> Counter[State]:
        """How many cells are in each state."""
        return Counter(self.states[cell.name] for cell in self.cells)


def forgiven(found: Reconciled) -> Reconciled:
    """A grid as it is when what has failed is taken up again, and so what waits for it."""
    again: dict[State, State] = {"failed": "interrupted", "blocked": "new"}
    states = {name: again.get(state, state) for name, state in found.states.items()}
    return replace(found, states=states, asked=True)


def reconcile(folder: GridFolder, cells: Sequence[Cell], look: Look) -> Reconciled:
    """Compare what is wanted with what is there.

    Args:
        folder: of the grid.
        cells: that are wanted.
        look: at the queue; an empty one on this machine.
    """
    records = frozenset(folder.records())
    arrays = live_arrays(folder, look)
    elsewhere = _elsewhere(folder, cells, look) if look.jobs else {}
    covered = {name: cell for array in arrays for name, cell in array.cells.items()}
    wanted = {cell.name: cell for cell in cells}
    ours = {name for array in arrays for name in _covering(array, wanted)}
    again = {cell.name: cell.run for cell in cells if _passing(cell)}
    trained = {cell.run for cell in cells if cell.job == "train" and cell.name in again}
    queued = (ours | elsewhere.keys()) - again.keys()  # slots pass over what has failed
    states = {cell.name: _state(cell, again, trained, queued, look.job_is_alive) for cell in cells}
    over = (unless_damaged(folder.withdrawn) or set()) | set(states)
    unwanted = [cell for name, cell in covered.items() if name not in over and not cell.done()]
    return Reconciled(
        tuple(cells), states, tuple(arrays), elsewhere, records, look, tuple(unwanted), frozenset(again)
    )


def _elsewhere(folder: GridFolder, cells: Sequence[Cell], look: Look) -> dict[str, tuple[str, ...]]:
    """What else in the queue works on wanted cells: chains of units, and other grids that share them."""
    found: dict[str, tuple[str, ...]] = {}
    wanted = {cell.name: cell for cell in cells}
    trained = [run for cell in cells for run in ([cell.run] if cell.job == "train" else cell.needs)]
    for run in map(Path, dict.fromkeys(trained)):
        every = [one for one in unless_damaged(alternatives, RunFolder(run)) or () if one.rows(look)]
        if jobs := [one.end_among(look.jobs) or one.job for one in every]:
            found[run.name] = tuple(job for job in jobs if job)
    for grid in all_grids(folder.root):
        if grid.name != folder.name:
            for array in unless_damaged(live_arrays, grid, look, wanted) or ():
                assert array.submission.job
                found |= dict.fromkeys(_covering(array, wanted), (array.submission.job,))
    return found


def _covering(array: LiveArray, wanted: Mapping[str, Cell]) -> list[str]:
    """Names of the cells of an array, less those of which it asks less, or something else, than is wanted."""
    return [name for name, cell in array.cells.items() if name not in wanted or cell.covers(wanted[name])]


def live_arrays(folder: GridFolder, look: Look, wanted: Container[str] | None = None) -> list[LiveArray]:
    """The arrays of a grid that are in the queue, those included whose job was never recorded.

    Args:
        folder: of the grid.
        look: at the queue.
        wanted: names of the cells that are asked about; None is all.

    Raises:
        Unseen: an array with one of these cells may still come, or is in the queue of another cluster.
    """
    lists: dict[str, dict[str, Cell]] = {}
    found = []
    for record in folder.records():
        try:
            submission = recorded(record)
        except Unseen as unseen:
            its = _cells(folder.list_named(((one := Submission.read(record)) and one.cells) or ""))
            still = isinstance(unseen, InFlight) or not all(cell.done() for cell in its.values())
            if still and (wanted is None or any(name in wanted for name in its)):
                raise
            continue
        jobs = () if submission is None else tuple(job for job in submission.rows(look) if not job.ending)
        if submission is None or not jobs:
            continue
        if not submission.cells:
            raise DamagedFile(record, "it names no work list", REMEDY)
        if submission.cells not in lists:
            lists[submission.cells] = _cells(folder.list_named(submission.cells))
        found.append(LiveArray(submission, jobs, lists[submission.cells]))
    return found


def _cells(path: Path) -> dict[str, Cell]:
    return {cell.name: cell for cell in Worklist.read(path).cells} if path.is_file() else {}


def _passing(cell: Cell) -> bool:
    """Whether it has failed by what may be over."""
    failure = failure_of(cell.folder)
    return failure is not None and failure.passing


def _state(
    cell: Cell,
    again: Container[str],
    trained: Container[str],
    covered: Container[str],
    alive: IsAlive,
) -> State:
    """How far a cell is.

    Args:
        cell: it.
        again: names of cells that are taken up again after a failure.
        trained: folders of the runs among them.
        covered: names of cells that something in the queue goes through.
        alive: asks about a job.
    """
    found: State = cell.state(alive, trained)
    if found == "failed" and cell.name in again:
        found = "interrupted"
    return "queued" if found in OPEN and cell.name in covered else found
