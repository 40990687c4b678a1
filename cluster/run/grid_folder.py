"""Grid folders: what several runs and their evaluations have in common. `GridFolder` alone knows their files' names."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.files import CHECKSUM, DamagedFile, read_record, read_sealed, write_record
from cluster.records import typed
from cluster.run.folder_names import GRIDS as GRIDS
from cluster.run.work_folder import JobHome

NAME = re.compile(r"[A-Za-z0-9][\w.+-]{0,99}")
LIST = re.compile(r"cells-[\w-]+\.json")
AGAIN = "give ablate --grid with its file again, which writes it anew"
LIST_AGAIN = "scancel the jobs of its grid that wait for it, then " + AGAIN


@dataclass(frozen=True, kw_only=True)
class PlannedPoint:
    """A point of a grid as its plan on disk has it."""

    label: str
    seed: int = 0
    runs: dict[str, Any]
    """Folders of its trainings, by stage."""
    evaluated: str


@dataclass(frozen=True, kw_only=True)
class PlannedGrid:
    """What every reader of a plan on disk relies on; it holds more."""

    list: str
    """Name of the list of all cells."""
    points: tuple[PlannedPoint, ...] = ()
    title: str | None = None
    paper: dict[str, Any] | None = field(default_factory=dict)


class GridFolder(JobHome):
    """`runs/grids/<name>/`: the wanted state of a grid, the work lists of its jobs, and what they were submitted as.

    Raises:
        ClusterError: the name cannot name a grid.
    """

    def __init__(self, root: Path, name: str) -> None:
        if not NAME.fullmatch(name):
            raise ClusterError(
                f"{name!r} cannot name a grid: at most 100 letters, digits, and . _ + - inside; "
                "change `name` in its file"
            )
        super().__init__(root / GRIDS / name, f"grid {name}", root)
        self.name = name
        self.wanted = self.path / "wanted.json"
        """The plan that was last submitted: cells in order, and what makes them."""
        self.taken_back = self.path / "withdrawn.json"
        """Names of cells that are no longer wanted; slots pass them over."""
        self.arrays = self.path / "arrays"
        """One record (`cluster.slurm.submission.Submission`) for each array in a queue."""
        self.results = self.path / "results"
        """Tables and report."""

    def create(self) -> None:
        """Make the folder.

        Raises:
            ClusterError: it cannot be written.
        """
        try:
            for folder in (self.arrays, self.slurm):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self.unwritable(error) from None

    def list_path(self, told: dict[str, Any]) -> Path:
        """Where a work list is, or would be: equal ones are one file."""
        return self.path / list_name(told)

    def write_list(self, told: dict[str, Any]) -> Path:
        """Keep a work list that slots read; one that is there already is written anew if it is damaged."""
        path = self.list_path(told)
        try:
            known = read_work_list(path)
        except DamagedFile:
            known = None
        if known is None:
            write_record(path, told)
        return path

    def list_named(self, name: str) -> Path:
        """Where the work list of this name is, which records of submissions and the plan refer to."""
        return self.path / name

    def wanted_list(self) -> Path | None:
        """The list of all cells that were wanted when the grid was last submitted; None before."""
        told = self.read_wanted()
        return self.list_named(told["list"]) if told else None

    def work_lists(self) -> list[Path]:
        """Every work list that is kept."""
        return sorted(self.path.glob("cells-*.json"))

    def new_record(self) -> Path:
        """A name for the record of one more array."""
        return self.arrays / f"{uuid.uuid4().hex[:12]}.json"

    def records(self) -> list[Path]:
        """The records of all arrays that were, or were about to be, submitted."""
        return sorted(self.arrays.glob("*.json"), key=lambda path: (path.stat().st_mtime_ns, path.name))

    def withdrawn(self) -> set[str]:
        """Names of cells that slots are to pass over.

        Raises:
            DamagedFile: nobody can read them.
        """
        told = read_record(self.taken_back, AGAIN)
        cells = [] if told is None else told.get("cells")
        if not isinstance(cells, list) or not all(isinstance(name, str) for name in cells):
            raise DamagedFile(self.taken_back, "it names no cells", AGAIN)
        return set(cells)

    def withdraw(self, names: Iterable[str]) -> None:
        """Say which cells slots are to pass over, from now on."""
        write_record(self.taken_back, {"cells": sorted(names)})

    def read_wanted(self) -> dict[str, Any] | None:
        """What `wanted` holds; None before the first submission.

        Raises:
            DamagedFile: it is no plan.
        """
        told = read_record(self.wanted, AGAIN)
        if told is None:
            return None
        try:
            plan = typed(
                PlannedGrid,
                _known(
                    PlannedGrid, told, points=[_known(PlannedPoint, one) for one in told.get("points", ())]
                ),
            )
            if not LIST.fullmatch(plan.list) or not all(
                isinstance(run, str) for one in plan.points for run in one.runs.values()
            ):
                raise ValueError(f"its list is {plan.list!r}, or a run of it has no name")
        except (TypeError, ValueError) as error:
            raise DamagedFile(self.wanted, str(error), AGAIN) from None
        return told

    def write_wanted(self, told: Mapping[str, Any]) -> None:
        """Keep the plan."""
        write_record(self.wanted, told)


def read_work_list(path: Path) -> dict[str, Any] | None:
    """The plain data of a work list; None if there is none.

    One of an earlier version has no checksum, but its name is that of its content, unless it was carried here.

    Raises:
        DamagedFile: it is not what was written.
    """
    held = read_sealed(path, LIST_AGAIN)
    if held is None:
        return None
    told = {key: value for key, value in held.items() if key != CHECKSUM}
    if CHECKSUM not in held and path.name != list_name(told) and path.read_text() != _as_carried(told):
        raise DamagedFile(path, "its content is not that which its name stands for", LIST_AGAIN)
    return told


def list_name(told: Mapping[str, Any]) -> str:
    """Name of a work list by its content."""
    return f"cells-{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]}.json"


def _as_carried(told: Mapping[str, Any]) -> str:
    """How an earlier version wrote a list that came out of an archive, with the paths of this machine."""
    return json.dumps(told, indent=1) + "\n"


def _known(cls: type, told: Any, **changed: Any) -> Any:
    """What a dataclass has of some plain data."""
    if not isinstance(told, dict):
        return told
    return {one.name: told[one.name] for one in fields(cls) if one.name in told} | changed


def all_grids(root: Path) -> list[GridFolder]:
    """The grids below the folder of all runs, by name."""
    found = sorted((root / GRIDS).glob("*/"))
    return [GridFolder(root, path.name) for path in found if NAME.fullmatch(path.name)]
