"""What is safe to delete below the folder of all runs, and its deletion.

Never a bridge, a result, a config or a record of what happened; nothing of a run that is running, queued or
interrupted (runs that were given up: `cluster.storage.abandoned`). What a job in the queue may need is only offered
where squeue has answered.
"""

from __future__ import annotations

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cluster.errors import ClusterError
from cluster.job.race import records_of
from cluster.records import unless_damaged
from cluster.run.grid_folder import GRIDS, GridFolder
from cluster.run.run_folder import FOLDER, RunFolder
from cluster.run.snapshot import UNPACKED, code_folder
from cluster.run.state import STOPPED, State
from cluster.run.work_folder import WorkFolder
from cluster.slurm.queue import Look
from cluster.slurm.submission import Submission
from cluster.storage.import_folder import import_folders

OLD_S = 24 * 3600.0
"""What is younger may be of somebody who is at work."""
ASIDE = re.compile(rf"({FOLDER.pattern})\.replaced-(?P<when>\d{{8}}-\d{{6}})", re.DOTALL)
UNFINISHED = re.compile(r"\.[0-9a-f]{12}\.tmp")
OWN_INIT = re.compile(rb"^ +init: (?!(previous|none)$)", re.MULTILINE)
"""In a config: a run starts from other weights than those of its recipe. Few do, and reading YAML takes its time."""
GONE = ".gone-"
"""How the name of a folder begins that is being deleted."""


@dataclass(frozen=True)
class Removable:
    """One file or folder that is safe to delete."""

    what: str
    """Its kind."""
    why: str
    """Why it is safe."""
    of: str
    """The run or grid that it belongs to, or its own name."""
    path: Path
    files: int
    """Files and folders, as quotas count them."""
    bytes: int


def removable_of_run(run: RunFolder, look: Look, inits: frozenset[Path] | None) -> Iterator[Removable]:
    """What of a run is safe to delete.

    Args:
        run: the run.
        look: at the queue.
        inits: folders of weights that runs start from by their configs; None where nobody knows.

    Raises:
        DamagedFile: nobody knows what was submitted for it, so that nothing of it is safe to delete.
    """
    submissions = [one for record in records_of(run) if (one := Submission.read(record))]
    state = run.state(look.job_is_alive)
    held = run.lease(job_is_alive=look.job_is_alive).living_holder()
    if state not in (State.DONE, *STOPPED) or held or any(one.may_be_queued(look) for one in submissions):
        return
    spared = [run.checkpoints]
    done = state is State.DONE and _handed_on(run) and run.checkpoints.exists() and not run.damage()
    if done and inits is not None and not any(_is_below(init, run.checkpoints) for init in inits):
        yield from waste(
            "checkpoints", "the run is done, its bridge is there", run.path.name, [run.checkpoints]
        )
    drafted = [path for path in run.path.glob(f".{run.bridge.name}-[0-9]*") if _is_old(path)]
    yield from _left_over(run.path.name, [*drafted, *_unfinished(run.path, [*spared, *drafted])])
    for folder in (run, *run.all_cells()):
        yield from _leases(run.path.name, folder)


def removable_of_grid(grid: GridFolder) -> Iterator[Removable]:
    """Work lists that neither a submission nor the plan refers to, and what a crash has left.

    Raises:
        DamagedFile: nobody knows what they refer to.
    """
    submissions = [Submission.read(record) for record in grid.records()]
    named = {one.cells for one in submissions if one} | {(grid.read_wanted() or {}).get("list")}
    lists = [path for path in grid.work_lists() if path.name not in named and _is_old(path)]
    yield from waste("work lists", "no job and no plan refers to them", grid.name, lists)
    yield from _left_over(grid.name, _unfinished(grid.path, []))
    yield from _leases(grid.name, grid)


def removable_of_root(
    root: Path, runs: Sequence[RunFolder], grids: Iterable[GridFolder], look: Look
) -> Iterator[Removable]:
    """What belongs to no run: code that no job needs, runs that were moved aside, imports given up.

    Args:
        root: the folder of all runs.
        runs: all of them.
        grids: all of them.
        look: at the queue.
    """
    own = (record for run in runs for record in records_of(run))
    records = [*own, *(path for grid in grids for path in grid.records())]
    yield from waste(
        "code", "no job that may be queued runs it", "", unless_damaged(_code, root, records, look) or []
    )
    for path in root.glob("*.replaced-*"):
        if _is_replaced(path, look):
            yield from waste("replaced runs", "made anew since; older than a day", path.name, [path])
    given_up = [one.path for one in import_folders(root) if one.abandoned() and _is_old(one.path)]
    drafts = [path for place in (root, root / GRIDS, code_folder(root)) for path in _drafts(place)]
    yield from _left_over("", [*given_up, *root.glob(f"{GONE}*"), *drafts])


def remove(removable: Removable) -> None:
    """Delete it. A folder disappears by one rename before its files go: nobody sees half of it.

    Raises:
        ClusterError: it cannot be deleted.
    """
    try:
        if not removable.path.is_dir():
            removable.path.unlink(missing_ok=True)
            return
        aside = removable.path.with_name(f"{GONE}{uuid.uuid4().hex[:12]}")
        removable.path.rename(aside)
        shutil.rmtree(aside)
    except FileNotFoundError:  # somebody else was faster
        return
    except OSError as error:
        raise ClusterError(f"{removable.path} cannot be deleted: {error.strerror}") from None


def inits_of(runs: Iterable[RunFolder]) -> frozenset[Path]:
    """The folders of weights that runs start from by their configs, which may be checkpoints."""
    named = [run for run in runs if run.config.is_file() and OWN_INIT.search(run.config.read_bytes())]
    inits = [(run.read_config().get("training") or {}).get("init") for run in named]
    return frozenset(Path(init).expanduser().resolve() for init in inits if isinstance(init, str))


def _code(root: Path, records: Iterable[Path], look: Look) -> list[Path]:
    """Archives of code, and what of them is unpacked, that no job needs."""
    submissions = [Submission.read(record) for record in records]
    needed = {one.tree for one in submissions if one and one.may_be_queued(look)}
    every = [path for path in code_folder(root).glob("*") if not UNFINISHED.fullmatch(path.name)]
    young = {_tree(path) for path in every if not _is_old(path)}
    return [path for path in every if _tree(path) not in needed | young]


def _drafts(folder: Path) -> list[Path]:
    """Temporary files of writers that were killed, in a folder itself."""
    return [path for path in folder.glob(".*.tmp") if UNFINISHED.fullmatch(path.name) and _is_old(path)]


def waste(what: str, why: str, of: str, paths: Iterable[Path]) -> Iterator[Removable]:
    """Files and folders of one kind, measured; links are left.

    Args:
        what: their kind.
        why: why they are safe to delete.
        of: the run or grid that they belong to; empty is their own names.
        paths: theirs.
    """
    for path in sorted(paths):
        if path.is_symlink() or not path.exists():
            continue
        files, size = _measure(path)
        yield Removable(what, why, of or path.name, path, files, size)


def _left_over(of: str, paths: Iterable[Path]) -> Iterator[Removable]:
    yield from waste("unfinished files", "whoever wrote them was stopped", of, paths)


def _leases(of: str, folder: WorkFolder) -> Iterator[Removable]:
    """All but the latest, which alone counts."""
    former = sorted(folder.leases.glob("[0-9]*.json"))[:-1]
    yield from waste("former leases", "a later one counts", of, [path for path in former if _is_old(path)])


def _unfinished(folder: Path, spared: Sequence[Path]) -> Iterator[Path]:
    """Temporary files of writers that were killed, and folders whose deletion was; not below those that are spared."""
    for parent, folders, names in os.walk(folder):
        path = Path(parent)
        gone = [path / name for name in folders if name.startswith(GONE)]
        yield from gone
        folders[:] = [name for name in folders if path / name not in (*spared, *gone)]
        yield from (path / name for name in names if UNFINISHED.fullmatch(name) and _is_old(path / name))


def _handed_on(run: RunFolder) -> bool:
    """Whether the weights that a run is about are out of its checkpoints."""
    return any(path.stat().st_size for path in run.bridge.glob("*.safetensors"))


def _is_replaced(path: Path, look: Look) -> bool:
    """Whether a run that was moved aside is needed no more: what took its place has come as far."""
    match = ASIDE.fullmatch(path.name)
    if not match or not path.is_dir():
        return False
    when = datetime.strptime(match["when"], "%Y%m%d-%H%M%S").timestamp()
    old, new = WorkFolder(path, f"run {path.name}"), RunFolder(path.with_name(match[1]))
    if time.time() - when < OLD_S or old.lease(job_is_alive=look.job_is_alive).living_holder():
        return False
    return new.is_done() and (_handed_on(new) or not old.is_done())


def _tree(path: Path) -> str:
    """The tree that a file or folder of the code is of: `<tree>.tar`, `code-<tree>`, `code-<tree>.<node>`."""
    return path.name.removeprefix(UNPACKED).partition(".")[0]


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > OLD_S
    except FileNotFoundError:
        return False


def _is_below(path: Path, folder: Path) -> bool:
    return path.is_relative_to(folder.resolve())


def _measure(path: Path) -> tuple[int, int]:
    """Files with folders, and their bytes; what links name is not counted."""
    if not path.is_dir():
        return 1, path.lstat().st_size
    files, size = 1, 0
    for parent, folders, names in os.walk(path):
        files += len(folders) + len(names)
        for name in names:
            try:
                size += os.lstat(os.path.join(parent, name)).st_size
            except FileNotFoundError:
                continue
    return files, size
