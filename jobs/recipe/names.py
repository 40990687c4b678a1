"""Which runs and grids the words of a command mean. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cluster.errors import ClusterError
from cluster.profile.schema import nearest
from cluster.run.grid_folder import GridFolder, all_grids
from cluster.run.run_folder import RunFolder, all_runs, find_run


def named(root: Path, name: str) -> RunFolder | GridFolder:
    """What a name means: a grid comes before runs that share its name, and the folder of a run before a grid.

    Raises:
        ClusterError: nothing has this name, or several runs have.
    """
    grids = {grid.name: grid for grid in all_grids(root)}
    if name in grids and not (root / name).is_dir():
        return grids[name]
    try:
        return find_run(root, name)
    except ClusterError as error:
        near = nearest(name, grids)
        raise ClusterError(f"{error}; or the grid {near}" if near else str(error)) from None


def chosen(root: Path, names: Sequence[str]) -> tuple[list[RunFolder], list[GridFolder]]:
    """The runs and grids that are named, with the runs of these grids; all where nothing is.

    Raises:
        ClusterError: as `named`.
    """
    if not names:
        return all_runs(root), all_grids(root)
    runs: dict[Path, RunFolder] = {}
    grids: dict[Path, GridFolder] = {}
    for name in dict.fromkeys(names):
        found = named(root, name)
        if isinstance(found, GridFolder):
            grids[found.path] = found
        ours = runs_of_grid(found) if isinstance(found, GridFolder) else [found]
        runs |= {run.path: run for run in ours}
    return list(runs.values()), list(grids.values())


def runs_of_grid(grid: GridFolder) -> list[RunFolder]:
    """The runs of a grid's points that have a folder, each once."""
    points = (grid.read_wanted() or {}).get("points", ())
    folders = [folder for point in points for folder in (*point["runs"].values(), point["evaluated"])]
    return [RunFolder(Path(folder)) for folder in dict.fromkeys(folders) if Path(folder).is_dir()]
