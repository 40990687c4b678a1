"""Grid folders: what several runs and their evaluations have in common. `GridFolder` alone knows their files' names."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.files import read_json, write_json_atomic
from cluster.run.folder_names import GRIDS as GRIDS
from cluster.run.work_folder import JobHome

NAME = re.compile(r"[A-Za-z0-9][\w.+-]{0,99}")


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
        return self.path / f"cells-{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]}.json"

    def write_list(self, told: dict[str, Any]) -> Path:
        """Keep a work list that slots read."""
        path = self.list_path(told)
        if not path.exists():
            write_json_atomic(path, told)
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
        """Names of cells that slots are to pass over."""
        return set((read_json(self.taken_back) or {}).get("cells", ()))

    def withdraw(self, names: Iterable[str]) -> None:
        """Say which cells slots are to pass over, from now on."""
        write_json_atomic(self.taken_back, {"cells": sorted(names)})

    def read_wanted(self) -> dict[str, Any] | None:
        """What `wanted` holds; None before the first submission."""
        return read_json(self.wanted)


def all_grids(root: Path) -> list[GridFolder]:
    """The grids below the folder of all runs, by name."""
    found = sorted((root / GRIDS).glob("*/"))
    return [GridFolder(root, path.name) for path in found if NAME.fullmatch(path.name)]
