"""What of a grid is there, what is on its way, and what is missing: its files and one look at the queue."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cluster.files import DamagedFile
from cluster.job.race import alternatives
from cluster.logs.failure import failure_of
from cluster.records import unless_damaged
from cluster.run.grid_folder import GridFolder, all_grids
from cluster.run.run_folder import RunFolder
from cluster.run.state import OPEN, STOPPED, Cause, State
from cluster.slurm.queue import Look, ended
from cluster.slurm.queued_job import QueuedJob
from cluster.slurm.submission import REMEDY, InFlight, Submission, Unseen, recorded
from jobs.board.evaluation_progress import cell_standings
from jobs.board.signs import Standing, World
from jobs.cell.cell import Cell, Worklist


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
    stands: Mapping[str, Standing]
    """By the cell's name."""
    taken: frozenset[str] = frozenset()
    """Names of cells that are to be queued now. What waits for a run that has failed is not, unless that is too."""
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
    asked: bool = False
    """The user has said that what the failed cells need is changed."""

    def state(self, cell: Cell) -> State:
        """How far a cell is."""
        return self.stands[cell.name].state

    def of(self, *states: State) -> list[Cell]:
        """The cells in these states, in order."""
        return [cell for cell in self.cells if self.state(cell) in states]

    def missing(self) -> list[Cell]:
        """What is to be queued now, in order."""
        return [cell for cell in self.cells if cell.name in self.taken]

    def left(self) -> list[Cell]:
        """What has stopped, and is not to be queued now, in order."""
        return [cell for cell in self.of(*STOPPED) if cell.name not in self.taken]

    def counts(self) -> Counter[State]:
        """How many cells are in each state."""
        return Counter(self.state(cell) for cell in self.cells)


def forgiven(found: Reconciled) -> Reconciled:
    """A grid as it is when all that has stopped is taken up again, and so what waits for it."""
    taken = {cell.name for cell in found.of(*OPEN, *STOPPED, State.BLOCKED)}
    return replace(found, taken=found.taken | taken, asked=True)


def limited_to(found: Reconciled, path: Path) -> Reconciled:
    """A grid less all that neither is one of its cells or runs, nor needs it, nor is needed by it.

    Args:
        found: the grid.
        path: folder of the cell, or of the run.
    """
    meant = [cell for cell in found.cells if cell.folder.path == path]
    needed = {need for cell in meant for need in (*cell.needs, *cell.behind)}
    near = [
        cell
        for cell in found.cells
        if cell in meant
        or (cell.job == "train" and cell.run in needed)
        or str(path) in (*cell.needs, *cell.behind)
    ]
    return replace(found, cells=tuple(near), unwanted=())


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
    stands = _stands(cells, arrays, elsewhere, look)
    over = (unless_damaged(folder.withdrawn) or set()) | set(stands)
    unwanted = [cell for name, cell in covered.items() if name not in over and not cell.done()]
    taken = frozenset(_taken(cells, stands, look))
    return Reconciled(tuple(cells), stands, taken, tuple(arrays), elsewhere, records, look, tuple(unwanted))


def _stands(
    cells: Sequence[Cell], arrays: Sequence[LiveArray], elsewhere: Mapping[str, Sequence[str]], look: Look
) -> dict[str, Standing]:
    """Where each cell stands, as the board has it (`jobs.board.state`)."""
    wanted, world = {cell.name: cell for cell in cells}, World(look, time.time())
    rows: dict[str, list[QueuedJob]] = {}
    for array in arrays:
        for name in _covering(array, wanted):
            rows.setdefault(name, []).extend(array.jobs)
    for name, jobs in elsewhere.items():
        rows.setdefault(name, []).extend(row for job in jobs for row in look.jobs if row.holds(job))
    world.arrays = rows
    stands = cell_standings(cells, world)
    if world.asked:
        known = ended(world.asked) or ()
        world.ended = {key: job for job in known for key in (job.id, job.job)}
        stands = cell_standings(cells, world)
    return stands


def _taken(cells: Sequence[Cell], stands: Mapping[str, Standing], look: Look) -> Iterator[str]:
    """Names of the cells that the same command queues: what is open, what stopped by what may be over (`failure_of`),
    and what was blocked by that."""
    again = {
        cell.name for cell in cells if stands[cell.name].state in STOPPED and passing(stands[cell.name], cell)
    }
    runs = {cell.run for cell in cells if cell.job == "train" and cell.name in again}
    for cell in cells:
        state = stands[cell.name].state
        unasked = look.time is None and stands[cell.name].cause == Cause.QUEUE_UNKNOWN
        if state in OPEN or cell.name in again or unasked:
            yield cell.name
        elif state is State.BLOCKED:
            stopped = {need for need in (*cell.needs, *cell.behind) if _stopped(need, stands)}
            if stopped and stopped <= runs:
                yield cell.name


def _stopped(run: str, stands: Mapping[str, Standing]) -> bool:
    known = stands.get(Path(run).name)
    return known is not None and known.state in STOPPED


def passing(stands: Standing, cell: Cell) -> bool:
    """Whether the same command takes up a cell that has stopped: its cause may be over, or somebody cancelled it."""
    failure = failure_of(cell.folder)
    return failure.passing if failure else stands.state is State.CANCELLED


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
