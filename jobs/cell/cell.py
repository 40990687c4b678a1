"""The cells of a grid as plain data: trainings and shares of evaluations, what each needs, and how far it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from cluster.errors import ClusterError
from cluster.files import DamagedFile
from cluster.records import typed
from cluster.run.grid_folder import LIST_AGAIN, GridFolder, read_work_list
from cluster.run.run_folder import CellFolder, RunFolder
from cluster.run.work_folder import WorkFolder
from layalign.tasks.pages import learn


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One point of a grid: a training, or the answers to some items of one language."""

    job: Literal["train", "evaluate"]
    run: str
    """Folder of the run."""
    needs: tuple[str, ...] = ()
    """Folders of the runs that must be done before."""
    behind: tuple[str, ...] = ()
    """Folders of the runs that those need in turn."""
    benchmark: str = ""
    language: str = ""
    shard: int = 0
    """Which share of the language's items, counted from 0."""
    items: int = 0
    """Items of the share that are wanted."""
    max_new_tokens: int = 0
    questions: str = ""
    """Fingerprint of all questions of the share, wanted or not; empty where it is not known."""
    golds: str = ""
    """Fingerprint of their right answers; empty where it is not known."""
    setup: str = ""
    """Fingerprint of what is to answer (`jobs.cell.setup`); empty where it is not known."""

    @cached_property
    def folder(self) -> WorkFolder:
        """Where its files are."""
        run = _run(self.run)
        return run if self.job == "train" else run.cell(self.benchmark, self.language, self.shard)

    @property
    def run_name(self) -> str:
        """Name of the run's folder, found out faster than a path would: a board asks for tens of thousands."""
        return self.run.rpartition("/")[2]

    @cached_property
    def name(self) -> str:
        """What a user sees: the run, and the share of it."""
        share = "" if self.job == "train" else f" {self.benchmark}/{self.language}-{self.shard}"
        return self.run_name + share

    def done(self) -> bool:
        """Whether its result is there."""
        folder = self.folder
        if not isinstance(folder, CellFolder):
            return folder.is_done()
        return self.answered_by(folder.outcome())

    def answered_by(self, done: Mapping[str, Any]) -> bool:
        """Whether what `DONE` of its folder holds is all that is wanted: the questions, by the model, as many."""
        return any(self.is_of(outcome) and outcome["items"] >= self.items for outcome in outcomes(done))

    def is_of(self, outcome: Mapping[str, Any]) -> bool:
        """Whether an outcome is of this cell, as far as both sides say; records of old say less.

        Right answers may differ: whoever reads takes those that were told last.
        """
        ours = {"questions": self.questions, "setup": self.setup}
        same = all(outcome.get(key) in (None, "", value) for key, value in ours.items() if value)
        return same and outcome["max_new_tokens"] == self.max_new_tokens

    def covers(self, wanted: Cell) -> bool:
        """Whether a wanted cell of this name is done once this one is: it may ask for more, or something else."""
        pairs = ((self.questions, wanted.questions), (self.setup, wanted.setup))
        same = all(ours == theirs or not (ours and theirs) for ours, theirs in pairs)
        return same and self.items >= wanted.items and self.max_new_tokens == wanted.max_new_tokens

    def ready(self) -> bool:
        """Whether all that it needs is there."""
        return all(_run(need).is_done() for need in self.needs)

    def hopeless(self) -> bool:
        """Whether it waits for a run that has failed, or that waits for one itself."""
        needs = [_run(need) for need in (*self.needs, *self.behind)]
        return any(run.failed.exists() and not run.is_done() for run in needs) and not self.ready()

    def cause(self) -> str:
        """Why it is not done, in a line, as far as its files say: it has failed, or its result is lost."""
        return self.folder.reason() or self.folder.completion().fault


def outcomes(done: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What `DONE` of an evaluation's folder says was answered, the latest first; each limit, model and text is one."""
    earlier = done.get("earlier")
    every = [done, *(earlier if isinstance(earlier, list) else ())]
    return [outcome for outcome in every if isinstance(outcome, dict) and _tells(outcome)]


def _tells(outcome: Mapping[str, Any]) -> bool:
    counts = (outcome.get("items"), outcome.get("max_new_tokens"))
    return all(isinstance(count, int) and count > 0 for count in counts)


@cache
def _run(path: str) -> RunFolder:
    """Many cells are of one run."""
    return RunFolder(Path(path))


@dataclass(frozen=True, kw_only=True)
class Worklist:
    """What the slots of one array share: cells in order, and what the job on each run is told."""

    cells: tuple[Cell, ...]
    runs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By the run's folder: `run`, `config`, `data`, and for trainings `parent`."""
    pages: Mapping[str, Any] = field(default_factory=dict)
    """Pages of the user that the cells need, by name, by value."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as kept in the grid's folder."""
        pages = {"pages": dict(self.pages)} if self.pages else {}
        return {"cells": [dataclasses.asdict(cell) for cell in self.cells], "runs": dict(self.runs), **pages}

    def of(self, cells: Iterable[Cell]) -> Worklist:
        """Some of its cells, with what they need."""
        chosen = tuple(cells)
        return Worklist(
            cells=chosen, runs={cell.run: self.runs[cell.run] for cell in chosen}, pages=self.pages
        )

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Worklist:
        """The list as `to_dict` gave it.

        Raises:
            ValueError: it is none.
        """
        told_pages = {"pages": told["pages"]} if "pages" in told else {}
        return typed(cls, {"cells": told.get("cells"), "runs": told.get("runs"), **told_pages})

    @classmethod
    def read(cls, path: Path) -> Worklist:
        """The list in a file; its pages are known from then on, where others of their names are not.

        Raises:
            ClusterError: there is none.
            DamagedFile: it is not what was written.
        """
        told = read_work_list(path)
        if told is None:
            raise ClusterError(f"there is no work list {path}: give the command that submitted it again")
        try:
            found = cls.from_dict(told)
            learn(found.pages)
            return found
        except ValueError as error:
            raise DamagedFile(path, f"it is no list of cells ({error})", LIST_AGAIN) from None


def wanted_cells(grid: GridFolder) -> tuple[Cell, ...]:
    """All cells that a grid wants, as it was last submitted; none before.

    Raises:
        ClusterError: the list of them is gone.
    """
    path = grid.wanted_list()
    return Worklist.read(path).cells if path else ()
