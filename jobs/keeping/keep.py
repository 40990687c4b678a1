"""What is finished, copied to storage that nothing purges."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from pathlib import Path

from cluster.errors import ClusterError
from cluster.profile.load import Profile, SlurmProfile
from cluster.quota import check_room, read_quotas
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder
from cluster.storage.mirror import Order, Store
from cluster.storage.portable import grid_files, run_files
from jobs.keeping.carrying import is_finished
from jobs.recipe.describe import each, tell_errors
from jobs.recipe.meter import human_size, many, meter
from jobs.recipe.names import chosen


def keep(root: Path, names: Sequence[str], folder: Path) -> int:
    """Copy what is finished to storage that nothing purges.

    Args:
        root: folder of all runs.
        names: of runs and grids; none is everything that is finished.
        folder: where to, outside of `root`.

    Returns:
        The exit status.
    """
    if folder.resolve().is_relative_to(root.resolve()):
        raise ClusterError(
            f"{folder} lies in the folder of all runs, {root}: keep them elsewhere with --to FOLDER"
        )
    store = Store(folder)
    runs, grids = chosen(root, names)
    orders, errors = _orders(store, runs, grids, bool(names))
    size, files = sum(order.bytes for order in orders), sum(len(order.todo) for order in orders)
    kept: list[Order] = []
    if files:
        folders = sum(order.folders for order in orders)
        check_room(store.path, size, files + folders, read_quotas(), "choose another place with --to")
    with meter("keep", size) as tell:

        def copy(order: Order) -> None:
            store.copy(order, tell)
            kept.append(order)

        errors += each(orders, copy)
    copied, every = sum(len(order.todo) for order in kept), sum(len(order.files) for order in kept)
    print(f"{many(len(kept), 'run or grid', 'runs and grids')} in {store.path}")
    told = f"{many(copied, 'file')}, {human_size(sum(order.bytes for order in kept))}"
    print(f"  copied and read back: {told}; unchanged: {many(every - copied, 'file')}")
    print(f"  the folder has {store.count():,} files and folders; to read it: results --runs {store.path}")
    return tell_errors(errors)


def project_folder(profile: Profile) -> Path:
    """Where a cluster keeps what lasts.

    Raises:
        ClusterError: it has no project storage, or nobody knows whose.
    """
    if not isinstance(profile, SlurmProfile):
        raise ClusterError(f"{profile.name} has no project storage: say where to keep runs with --to FOLDER")
    if "{account}" in profile.storage.project.path and not profile.account:
        raise ClusterError("whose project storage? give -o cluster.account=NAME, or --to FOLDER")
    project = profile.storage.project.folder(os.environ, profile.account)
    if not project.is_dir():
        raise ClusterError(
            f"there is no project storage {project} here: give --to FOLDER, or another account"
        )
    return project / "layalign" / getpass.getuser()


def _orders(
    store: Store, runs: Sequence[RunFolder], grids: Sequence[GridFolder], told: bool
) -> tuple[list[Order], list[str]]:
    """What is to be copied, and why something cannot be; with `told` also what is not finished."""
    orders: list[Order] = []

    def add(run: RunFolder) -> None:
        if run.done.exists() and not any(run.bridge.glob("*.safetensors")):
            raise ClusterError(
                f"{run.title} is not kept: it is done, but its bridge is gone from {run.bridge}"
            )
        if run.done.exists() and (fault := run.damage()):
            raise ClusterError(f"{run.title} is not kept: {fault}; give the command that made it again")
        if is_finished(run):
            orders.append(store.order(run.path.name, run_files(run)))
        elif told:
            raise ClusterError(f"{run.title} is not kept: it is not done ({run.state()})")

    errors = each(runs, add)
    for grid in grids:
        if grid.wanted.exists():
            orders.append(store.order(f"{grid.path.parent.name}/{grid.name}", grid_files(grid, store.path)))
    return orders, errors
