"""What runs leave on disk: what can go, what must stay, and what is carried elsewhere."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from cluster.errors import FAILED, ClusterError
from cluster.profile.load import Profile, SlurmProfile
from cluster.quota import check_room, read_quotas
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder, RunIndex
from cluster.slurm.queue import Look
from cluster.storage.archive import write_archive
from cluster.storage.cleanup import remove
from cluster.storage.import_folder import new_draft, place
from cluster.storage.mirror import Order, Store
from cluster.storage.portable import anonymous, grid_files, run_files, settle_grid, size_of
from cluster.storage.unpack import Archive, differences
from jobs.keeping.carrying import Parcel, carried, check, folders_of, is_finished, obstacle, parcel_of
from jobs.keeping.cleaning import has_submitted, show_waste, sum_of, waste_of
from jobs.recipe.describe import agreed
from jobs.recipe.meter import human_size, many, meter
from jobs.recipe.names import chosen, runs_of_grid

T = TypeVar("T")


def clean(root: Path, names: Sequence[str], yes: bool) -> int:
    """Show what is safe to delete, and delete it if the user agrees.

    Args:
        root: folder of all runs.
        names: of runs and grids; none is everything.
        yes: the user has agreed.

    Returns:
        The exit status.
    """
    look = Look.attempt()
    waste = waste_of(root, names, look)
    if look.silence and has_submitted(root):
        print(f"what was submitted is left alone: {look.silence}")
    if not waste:
        print(f"nothing that is safe to delete below {root}")
        return 0
    show_waste(waste)
    if not yes and not sys.stdin.isatty():
        print("nothing was deleted; to delete it, give the command again with --yes")
        return 0
    if not agreed("delete all of this", yes):
        return 0
    if not yes:  # time has passed: something may have begun
        shown = {one.path for one in waste}
        waste = [one for one in waste_of(root, names, Look.attempt()) if one.path in shown]
    errors = _each(waste, remove)
    gone = [one for one in waste if not os.path.lexists(one.path)]
    print(f"deleted: {sum_of(gone)}")
    return _told(errors)


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

        errors += _each(orders, copy)
    copied, every = sum(len(order.todo) for order in kept), sum(len(order.files) for order in kept)
    print(f"{many(len(kept), 'run or grid', 'runs and grids')} in {store.path}")
    told = f"{many(copied, 'file')}, {human_size(sum(order.bytes for order in kept))}"
    print(f"  copied and read back: {told}; unchanged: {many(every - copied, 'file')}")
    print(f"  the folder has {store.count():,} files and folders; to read it: results --runs {store.path}")
    return _told(errors)


def export_archive(found: RunFolder | GridFolder, to: Path | None, checkpoints: bool) -> None:
    """Put a run or a grid into one archive.

    Args:
        found: the run or grid.
        to: the archive, or its folder; None is this folder.
        checkpoints: also what is needed to train on.

    Raises:
        ClusterError: it cannot be carried, or there is no room.
    """
    look = Look.attempt()
    grid = found if isinstance(found, GridFolder) else None
    every = runs_of_grid(found) if isinstance(found, GridFolder) else [found]
    reasons = [obstacle(run, look, checkpoints) for run in every]
    runs = [run for run, reason in zip(every, reasons) if reason is None]
    unfit = [reason for reason in reasons if reason]
    if not runs:
        raise ClusterError(unfit[0] if unfit else f"{found.title} has no run that has begun")
    parcel = Parcel(tuple(carried(run) for run in runs), grid.name if grid else None)
    files = grid_files(grid) if grid else {}
    for run in runs:
        files |= anonymous(run, run_files(run, checkpoints))
    size = sum(size_of(content) for content in files.values())
    target = _target(to, found)
    check_room(target.parent, size, 1, read_quotas(), "choose another place with --to")
    with meter("export", 2 * size) as tell:
        manifest = write_archive(target, parcel.about(), files, tell)
    print(f"exported: {target}, {many(len(manifest.files), 'file')}, {human_size(manifest.size)}")
    _tell_of_export(parcel, runs, unfit)


def import_archive(path: Path, root: Path) -> None:
    """Take runs out of an archive, once all of it has been checked.

    Args:
        path: of the archive.
        root: folder of all runs.

    Raises:
        ClusterError: it is damaged, not what it says, or something else is there already.
    """
    archive = Archive(path)
    parcel = parcel_of(archive.manifest, archive.path)
    present = _present(archive, parcel, root)
    data = os.environ.get("LAYALIGN_DATA")
    with new_draft(root) as draft, meter("import", archive.manifest.size) as tell:

        def heard(size: int) -> None:
            draft.beat()
            tell(size)

        archive.unpack(draft.content, read_quotas(), heard)
        for told in parcel.runs:
            run = RunFolder(draft.content / told.folder)
            check(run, told)
            told_from = {"parent": told.parent, "parent_folder": told.parent_folder}
            run.event("imported", archive=archive.path.name, **told_from)
        names = [told.folder for told in parcel.runs if told.folder not in present]
        if parcel.grid:
            grid = GridFolder(draft.content, parcel.grid)
            settle_grid(grid, root, Path(data).expanduser().absolute() if data else None)
            names.append(grid.path.relative_to(draft.content).as_posix())
        place(draft, root, names)
    for folder in present:
        print(f"already there, the same: {root / folder}")
    for name in names:
        print(f"imported: {root / name}")
    _tell_of_import(parcel, root)


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


def _each(things: Iterable[T], act: Callable[[T], None]) -> list[str]:
    """Do it to each; one that fails keeps none of the others from it. Returns what failed."""
    errors = []
    for thing in things:
        try:
            act(thing)
        except ClusterError as error:
            errors.append(str(error))
    return errors


def _told(errors: Sequence[str]) -> int:
    """Tell each error; the exit status."""
    for text in errors:
        print(f"error: {text}", file=sys.stderr)
    return FAILED if errors else 0


def _orders(
    store: Store, runs: Sequence[RunFolder], grids: Sequence[GridFolder], told: bool
) -> tuple[list[Order], list[str]]:
    """What is to be copied, and why something cannot be; with `told` also what is not finished."""
    orders: list[Order] = []

    def add(run: RunFolder) -> None:
        if is_finished(run):
            if run.done.exists() and not any(run.bridge.glob("*.safetensors")):
                raise ClusterError(
                    f"{run.title} is not kept: it is done, but its bridge is gone from {run.bridge}"
                )
            orders.append(store.order(run.path.name, run_files(run)))
        elif told:
            raise ClusterError(f"{run.title} is not kept: it is not done ({run.state()})")

    errors = _each(runs, add)
    for grid in grids:
        if grid.wanted.exists():
            orders.append(store.order(f"{grid.path.parent.name}/{grid.name}", grid_files(grid, store.path)))
    return orders, errors


def _target(to: Path | None, found: RunFolder | GridFolder) -> Path:
    """The archive's file."""
    target = to or Path(f"{found.path.name}.tar").absolute()
    if target.is_dir():
        target = target / f"{found.path.name}.tar"
    if not target.parent.is_dir():
        raise ClusterError(f"there is no folder {target.parent}: make it, or name another place with --to")
    return target


def _tell_of_export(parcel: Parcel, runs: Sequence[RunFolder], unfit: Sequence[str]) -> None:
    inside = {told.folder for told in parcel.runs}
    for told in parcel.runs:
        if told.parent and told.parent_folder not in inside:
            print(
                f"  {told.folder} starts from {told.parent_folder or told.parent}, which is not needed for it"
            )
    print(
        "  left out: logs, scripts and records of jobs, leases, trackers, and this machine's paths in events"
    )
    for text in unfit:
        print(f"  left out: {text}")
    if folders := sorted({folder for run in runs for folder in folders_of(run)}):
        print("  configs name these, which must be there too where it is imported:")
        print("".join(f"    {folder}\n" for folder in folders), end="")


def _present(archive: Archive, parcel: Parcel, root: Path) -> list[str]:
    """Runs of a grid that are here already, file for file.

    Raises:
        ClusterError: something else is here under one of the names.
    """
    found = []
    if parcel.grid and (place := GridFolder(root, parcel.grid).path).exists():
        raise ClusterError(f"there is a grid {place} already: import this one elsewhere with --runs FOLDER")
    for told in parcel.runs:
        path = root / told.folder
        if not os.path.lexists(path):
            continue
        files = [entry for entry in archive.manifest.files if Path(entry.path).parts[0] == told.folder]
        others = differences(root, files)
        if not others and parcel.grid:
            found.append(told.folder)
        elif not others:
            raise ClusterError(
                f"{path} is there already, and it is the same run, file for file: nothing to do"
            )
        else:
            raise ClusterError(
                f"{path} is there already: its signature says that it computes the same, but {len(others)} of "
                f"{many(len(files), 'file')} differ, {others[0]} first; import elsewhere with --runs FOLDER"
            )
    return found


def _tell_of_import(parcel: Parcel, root: Path) -> None:
    index = RunIndex(root)
    for told in parcel.runs:
        run = RunFolder(root / told.folder)
        if told.parent and not index.find(1, told.parent):
            print(
                f"  {told.folder} starts from {told.parent_folder or told.parent}, which is not here, and not needed"
            )
        if folders := [folder for folder in folders_of(run) if not Path(folder).expanduser().exists()]:
            print(f"  not here, and named by the config of {told.folder}: {', '.join(folders)}")
