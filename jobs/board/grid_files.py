"""A grid as its files tell of it: cells, labels of its points, and the arrays that were submitted for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cluster.records import unless_damaged
from cluster.run.grid_folder import GridFolder
from cluster.slurm.queued_job import QueuedJob
from cluster.slurm.submission import Submission, readable
from jobs.board.signs import World
from jobs.cell.cell import Cell, Worklist


@dataclass
class GridFiles:
    """What is read of a grid, once for one board."""

    folder: GridFolder
    cells: tuple[Cell, ...]
    """That are wanted."""
    records: list[Submission]
    """All arrays that were submitted, or were about to be."""
    labels: Mapping[str, str]
    """Words by which a run may be asked for, by the name of its folder."""

    @classmethod
    def read(cls, folder: GridFolder) -> GridFiles:
        wanted = unless_damaged(folder.read_wanted) or {}
        path = folder.path / wanted.get("list", "")
        known = unless_damaged(Worklist.read, path) if path.is_file() else None
        labels: dict[str, str] = {}
        for point in wanted.get("points", ()):
            for run in {*point["runs"].values(), point["evaluated"]}:
                name = Path(run).name
                labels[name] = f"{labels.get(name, folder.name)} {point['label']} seed {point.get('seed', 0)}"
        return cls(folder, known.cells if known else (), readable(folder.records()), labels)

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def by_name(self) -> Mapping[str, Cell]:
        """The cells that are wanted."""
        return {cell.name: cell for cell in self.cells}

    @cached_property
    def evaluations(self) -> Mapping[str, Sequence[Cell]]:
        """Evaluation cells by the name of the run's folder."""
        found: dict[str, list[Cell]] = {}
        for cell in self.cells:
            if cell.job == "evaluate":
                found.setdefault(cell.run_name, []).append(cell)
        return found

    @property
    def gpus(self) -> dict[str, int]:
        """GPUs of a slot of each array, by the id that sbatch gave."""
        return {r.job: r.resources.nodes * r.resources.gpus_per_node for r in self.records if r.job}

    def covered(self, world: World) -> dict[str, list[QueuedJob]]:
        """Rows of the queue whose slots go through a cell, by its name."""
        lists: dict[str, list[str]] = {}
        found: dict[str, list[QueuedJob]] = {}
        withdrawn = unless_damaged(self.folder.withdrawn) or set()
        for record in self.records:
            rows = [row for row in world.rows_of(record) if not row.ending]
            name = record.cells or ""
            if not rows or not name:
                continue
            if name not in lists:
                known = unless_damaged(Worklist.read, self.folder.list_named(name))
                cells = known.cells if known else ()
                lists[name] = [
                    told
                    for cell in cells
                    if (told := cell.name) not in withdrawn and self._covers(cell, told)
                ]
            for told in lists[name]:
                found[told] = [*found[told], *rows] if told in found else rows
        return found

    def _covers(self, cell: Cell, name: str) -> bool:
        """Whether a cell is done, as it is wanted, once what a slot was told of it is done."""
        wanted = self.by_name.get(name)
        return wanted is None or cell.covers(wanted)
