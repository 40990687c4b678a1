"""A hidden folder beside the runs, in which an import is made before any of it appears."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.errors import ClusterError
from cluster.files import sync_folder
from cluster.run.work_folder import WorkFolder

HEAD = ".import-"
OLD_S = 3600.0
"""Before it has a lease a folder is taken for one that is just being made, for as long as this."""


class ImportFolder(WorkFolder):
    """`runs/.import-<hex>/`: held under a lease, so that another import can tell whether it was given up."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, f"import {path.name}")
        self.content = path / "content"
        """What is to appear below the folder of all runs."""

    def abandoned(self) -> bool:
        """Whether whoever made it is gone."""
        if self.leases.exists():
            return self.lease().living_holder() is None
        return time.time() - self.path.stat().st_mtime > OLD_S


def import_folders(root: Path) -> list[ImportFolder]:
    """Those below the folder of all runs."""
    return [ImportFolder(path) for path in sorted(root.glob(f"{HEAD}*")) if path.is_dir()]


@contextmanager
def new_import_folder(root: Path) -> Iterator[ImportFolder]:
    """A folder that is gone in the end; those of imports that were killed go first.

    Raises:
        ClusterError: `root` cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        for old in import_folders(root):
            if old.abandoned():
                shutil.rmtree(old.path)
        folder = ImportFolder(root / f"{HEAD}{uuid.uuid4().hex[:12]}")
        folder.content.mkdir(parents=True)
    except OSError as error:
        raise ClusterError(
            f"{root} cannot be written: {error.strerror}; choose another place with --runs FOLDER or $LAYALIGN_RUNS"
        ) from None
    with folder.lease():
        try:
            yield folder
        finally:
            shutil.rmtree(folder.path, ignore_errors=True)


def place(folder: ImportFolder, root: Path, names: Iterable[str]) -> None:
    """Let what is in an import folder appear, each by one rename.

    Args:
        folder: holds all of it, complete.
        root: the folder of all runs.
        names: paths of folders, in the order in which they are to appear.

    Raises:
        ClusterError: something of that name has appeared meanwhile.
    """
    for name in names:
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            (folder.content / name).rename(target)
        except OSError as error:
            raise ClusterError(f"{target} cannot be made: {error.strerror}") from None
        sync_folder(target.parent)
