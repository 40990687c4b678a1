"""A run or a grid into one archive, and out of it again, once all of it has been checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cluster.errors import ClusterError
from cluster.quota import check_room, read_quotas
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder, RunIndex
from cluster.slurm.queue import Look
from cluster.storage.archive import write_archive
from cluster.storage.import_folder import new_import_folder, place
from cluster.storage.portable import anonymous, grid_files, run_files, settle_grid, size_of
from cluster.storage.unpack import Archive, differences
from jobs.keeping.carrying import ArchiveContents, carried, check, contents_of, folders_of, obstacle
from jobs.recipe.meter import human_size, many, meter
from jobs.recipe.names import runs_of_grid


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
    contents = ArchiveContents(tuple(carried(run) for run in runs), grid.name if grid else None)
    files = grid_files(grid) if grid else {}
    for run in runs:
        files |= anonymous(run, run_files(run, checkpoints))
    size = sum(size_of(content) for content in files.values())
    target = _target(to, found)
    check_room(target.parent, size, 1, read_quotas(), "choose another place with --to")
    with meter("export", 2 * size) as tell:
        manifest = write_archive(target, contents.about(), files, tell)
    print(f"exported: {target}, {many(len(manifest.files), 'file')}, {human_size(manifest.size)}")
    _tell_of_export(contents, runs, unfit)


def import_archive(path: Path, root: Path) -> None:
    """Take runs out of an archive, once all of it has been checked.

    Args:
        path: of the archive.
        root: folder of all runs.

    Raises:
        ClusterError: it is damaged, not what it says, or something else is there already.
    """
    archive = Archive(path)
    contents = contents_of(archive.manifest, archive.path)
    present = _present(archive, contents, root)
    data = os.environ.get("LAYALIGN_DATA")
    with new_import_folder(root) as folder, meter("import", archive.manifest.size) as tell:

        def heard(size: int) -> None:
            folder.beat()
            tell(size)

        archive.unpack(folder.content, read_quotas(), heard)
        for told in contents.runs:
            run = RunFolder(folder.content / told.folder)
            check(run, told)
            told_from = {"parent": told.parent, "parent_folder": told.parent_folder}
            run.event("imported", archive=archive.path.name, **told_from)
        names = [told.folder for told in contents.runs if told.folder not in present]
        if contents.grid:
            grid = GridFolder(folder.content, contents.grid)
            settle_grid(grid, root, Path(data).expanduser().absolute() if data else None)
            names.append(grid.path.relative_to(folder.content).as_posix())
        place(folder, root, names)
    for name in present:
        print(f"already there, the same: {root / name}")
    for name in names:
        print(f"imported: {root / name}")
    _tell_of_import(contents, root)


def _target(to: Path | None, found: RunFolder | GridFolder) -> Path:
    """The archive's file."""
    target = to or Path(f"{found.path.name}.tar").absolute()
    if target.is_dir():
        target = target / f"{found.path.name}.tar"
    if not target.parent.is_dir():
        raise ClusterError(f"there is no folder {target.parent}: make it, or name another place with --to")
    return target


def _tell_of_export(contents: ArchiveContents, runs: Sequence[RunFolder], unfit: Sequence[str]) -> None:
    inside = {told.folder for told in contents.runs}
    for told in contents.runs:
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


def _present(archive: Archive, contents: ArchiveContents, root: Path) -> list[str]:
    """Runs of a grid that are here already, file for file.

    Raises:
        ClusterError: something else is here under one of the names.
    """
    found = []
    if contents.grid and (place := GridFolder(root, contents.grid).path).exists():
        raise ClusterError(f"there is a grid {place} already: import this one elsewhere with --runs FOLDER")
    for told in contents.runs:
        path = root / told.folder
        if not os.path.lexists(path):
            continue
        files = [entry for entry in archive.manifest.files if Path(entry.path).parts[0] == told.folder]
        others = differences(root, files)
        if not others and contents.grid:
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


def _tell_of_import(contents: ArchiveContents, root: Path) -> None:
    index = RunIndex(root)
    for told in contents.runs:
        run = RunFolder(root / told.folder)
        if told.parent and not index.find(1, told.parent):
            print(
                f"  {told.folder} starts from {told.parent_folder or told.parent}, which is not here, and not needed"
            )
        if folders := [folder for folder in folders_of(run) if not Path(folder).expanduser().exists()]:
            print(f"  not here, and named by the config of {told.folder}: {', '.join(folders)}")
