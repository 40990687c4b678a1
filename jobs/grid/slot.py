"""A slot: one job of a grid, which takes one cell after another until none is left that it can take.

Parents' `DONE` files decide whether a cell can be taken, its lease whether somebody else has it. The processes of a
slot train a cell together; of an evaluation each takes cells for itself. Nothing heavy is imported before there is one.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError, trace_of
from cluster.job.causes import FINAL, cause_of_stop, lost_peer, peer_gone
from cluster.job.interrupt import Interrupts
from cluster.job.lifecycle import UnitLifecycle
from cluster.job.rendezvous import rendezvous
from cluster.job.unit import Unit, find_unit
from cluster.records import unless_damaged
from cluster.run.grid_folder import GridFolder
from cluster.run.lease import Superseded
from cluster.run.run_folder import RunFolder
from cluster.slurm.queue_cache import QueueCache
from jobs.cell.cell import Cell, Worklist, wanted_cells
from jobs.work.call import leave
from layalign.tasks.pages import take


def run(told: dict[str, Any], interrupts: Interrupts) -> dict[str, Any]:
    """Work on the cells of a list until none is left for this slot, or until a signal.

    Args:
        told: `root` (folder of all runs), `grid` (its name), `list` (path), `first` (number of the array's first slot),
            `slots` (of all arrays of the list together), on Slurm `terms`.
        interrupts: signals as flags, already installed.

    Returns:
        `interrupted`, the name of the signal if there was one.
    """
    grid, worklist = GridFolder(Path(told["root"]), told["grid"]), Worklist.read(Path(told["list"]))
    take(worklist.pages)
    unit = find_unit(told, os.environ)
    slot = Slot(grid, worklist, told, unit, interrupts)
    if not any(slot.open_to(cell) for cell in worklist.cells):
        print("nothing to do: every cell is done, has failed, or waits for one that has", flush=True)
        _report(slot)
    elif worklist.cells[0].job == "train":
        _train(slot)
    else:
        _evaluate(slot)
        _report(slot)
    _come_back(slot)
    return {"interrupted": interrupts.cause}


def _come_back(slot: Slot) -> None:
    """Have Slurm start an interrupted slot anew, where it may; elsewhere another slot goes on.

    Also one that was interrupted before it had a cell: a job that ends in the grace of a preemption is over for Slurm.
    """
    unit, seen = slot.unit, slot.interrupts
    if unit is None or unit.rank or not unit.requeue or seen.cause is None:
        return
    cause = cause_of_stop(unit, seen)
    if cause not in FINAL and any(slot.open_to(cell) for cell in slot.worklist.cells):
        print(f"{unit} was interrupted: {cause}; it comes back", flush=True)
        unit.ask_requeue()


def _report(slot: Slot) -> None:
    """Write the tables and the report of a grid of which nothing is left to do."""
    cells = unless_damaged(wanted_cells, slot.grid)
    if cells is not None and not any(slot.open_to(cell) for cell in cells):
        from jobs.grid.conclude import conclude

        conclude(slot.grid)


@dataclass
class Slot:
    """What a process of a slot knows."""

    grid: GridFolder
    worklist: Worklist
    told: dict[str, Any]
    unit: Unit | None
    """The Slurm job; None on this machine."""
    interrupts: Interrupts
    queue: QueueCache = field(default_factory=QueueCache)
    """For all leases that this process meets."""

    def open_to(self, cell: Cell) -> bool:
        """Whether there may ever be something to do for a slot: not done, failed, or waiting for what has failed."""
        return not cell.done() and not cell.folder.failed.exists() and not cell.hopeless()

    def order(self, place: int, places: int) -> list[Cell]:
        """The cells as one of several workers goes through them: from its own share on, then the others'."""
        cells = self.worklist.cells
        begin = place * len(cells) // places
        return [*cells[begin:], *cells[:begin]]

    def candidates(self, order: Sequence[Cell]) -> Iterator[Cell]:
        """Cells that can be taken now, as far as the files say."""
        withdrawn = unless_damaged(self.grid.withdrawn) or set()
        for cell in order:
            if cell.name not in withdrawn and self.open_to(cell) and cell.ready():
                yield cell

    def told_of(self, cell: Cell) -> dict[str, Any]:
        """What a job on the cell's run is told."""
        terms = {"terms": self.told["terms"]} if self.unit else {}
        return {**self.worklist.runs[cell.run], **terms}

    def life(self, cell: Cell, unit: Unit) -> UnitLifecycle:
        """What a process does for a cell around its work."""
        return UnitLifecycle(unit, cell.folder, cell.job, self.interrupts, self.queue.job_is_alive)

    @property
    def number(self) -> int:
        """Place of this slot among those of the list."""
        return int(self.told["first"]) + (self.unit.number if self.unit else 0)


def _train(slot: Slot) -> None:
    """Train cells, all processes together; the first of them chooses."""
    from jobs.work import train
    from jobs.work.start import settled_environment
    from layalign.training.distributed import Processes

    settled_environment()
    group = Processes.start()
    order, tried = slot.order(slot.number, slot.told["slots"]), set[str]()
    while not group.any(slot.interrupts.cause is not None):
        with ExitStack() as stack:
            name = group.on_first(partial(_take, slot, order, tried, slot.unit, stack))
            if name is None:
                break
            cell = next(cell for cell in order if cell.name == name)
            print(f"\n== {cell.name}", flush=True)
            work = partial(train.run, slot.told_of(cell), slot.interrupts, group)
            _attempt(slot, cell, slot.unit, work, alone=group.world == 1)
        gc.collect()
    group.close()


def _evaluate(slot: Slot) -> None:
    """Answer cells, each process for itself; the last cell of a benchmark brings its table."""
    from jobs.work.evaluate import Answerer, conclude

    rank = rendezvous(os.environ)
    unit = replace(slot.unit, rank=0) if slot.unit else None
    answerer = Answerer(slot.interrupts, unit)
    order = slot.order(slot.number * rank.world + rank.rank, slot.told["slots"] * rank.world)
    tried = set[str]()
    while slot.interrupts.cause is None:
        with ExitStack() as stack:
            name = _take(slot, order, tried, unit, stack)
            if name is None:
                break
            cell = next(cell for cell in order if cell.name == name)
            told = slot.told_of(cell)
            _attempt(slot, cell, unit, partial(answerer.answer, cell, told), alone=True)
        if cell.done():
            conclude(cell, slot.worklist.cells, told)


def _take(
    slot: Slot, order: Sequence[Cell], tried: set[str], unit: Unit | None, stack: ExitStack
) -> str | None:
    """The next cell, its lease held in `stack`; None if there is none. A slot works on a cell once."""
    for cell in slot.candidates([cell for cell in order if cell.name not in tried]):
        if _sound(cell) and _hold(slot, cell, unit, stack):
            tried.add(cell.name)
            return cell.name
    return None


def _sound(cell: Cell) -> bool:
    """Whether the bridges that a cell starts from are what they were; one that is not is no longer done."""
    faults = {need: RunFolder(Path(need)).withdraw_damaged() for need in cell.needs}
    for need, fault in faults.items():
        if fault:
            print(
                f"not taken: {cell.name}: of {Path(need).name} {fault}; it is to be trained again", flush=True
            )
    return not any(faults.values())


def _hold(slot: Slot, cell: Cell, unit: Unit | None, stack: ExitStack) -> bool:
    """Take a cell's lease; False if somebody else has it, or it cannot go on."""
    if unit is None and cell.job == "train":  # on this machine `jobs.work.train` takes it
        return True
    folder = cell.folder
    folder.path.mkdir(parents=True, exist_ok=True)
    try:
        stack.enter_context(slot.life(cell, unit).working(wait_s=0) if unit else folder.lease())
    except (ClusterError, SystemExit) as refusal:
        print(f"not taken: {refusal}", flush=True)
        return False
    return True


def _attempt(
    slot: Slot, cell: Cell, unit: Unit | None, work: Callable[[], dict[str, Any]], alone: bool
) -> None:
    """Do the work of a cell, and record how it ended. A failure ends the process where others of it may be stuck."""
    life = slot.life(cell, unit) if unit else None
    try:
        result = work()
        if life:
            life.ended(result)
    except Exception as error:
        follows = life is None and lost_peer(
            error
        )  # on this machine, whose launcher names the process that died
        told = life.failed(error) if life else peer_gone(error) if follows else str(error)
        if not alone or isinstance(error, Superseded):
            leave(error, told, traced=not follows)
        print(*dict.fromkeys((trace_of(error), told)), sep="\n", file=sys.stderr, flush=True)
