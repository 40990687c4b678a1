"""What an archive tells of its runs, and whether a run that comes out of one is what it says."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.files import read_jsonl
from cluster.records import unless_damaged
from cluster.run.grid_folder import GridFolder, all_grids
from cluster.run.run_folder import FOLDER, RunFolder
from cluster.slurm.queue import Look
from cluster.storage.archive import Manifest
from jobs.diagnosis.attempts import submissions_of
from layalign.config import RunConfig

SIGNATURE = re.compile(r"[0-9a-f]{8}")
NEEDS_CODE = "import it with the code of commit {commit}, with which it was made"


@dataclass(frozen=True, kw_only=True)
class Carried:
    """A run as a manifest tells it."""

    folder: str
    signature: str
    parent: str | None
    """Signature of the run that it starts from, which the archive need not hold."""
    parent_folder: str | None
    done: bool
    commit: str | None
    """Of the code that it was last started with; `+` at its end stands for changes."""


@dataclass(frozen=True)
class ArchiveContents:
    """What an archive holds, as far as it concerns whoever imports it."""

    runs: tuple[Carried, ...]
    grid: str | None
    """Name of the grid, where it is one."""

    def about(self) -> dict[str, Any]:
        """For the manifest."""
        name = self.grid or self.runs[0].folder
        told = [dataclasses.asdict(run) for run in self.runs]
        return {"kind": "grid" if self.grid else "run", "name": name, "runs": told}


def carried(run: RunFolder) -> Carried:
    """What is to be told of a run.

    Raises:
        ClusterError: its signature is not that of its config.
    """
    config = _config(run)
    parent = _parent(run, config)
    start = (read_jsonl(run.starts) or [{}])[-1]
    commit = f"{start['commit']}{'+' * bool(start.get('dirty'))}" if start.get("commit") else None
    return Carried(
        folder=run.path.name,
        signature=run.signature,
        parent=parent[0] if parent else None,
        parent_folder=parent[1] if parent else None,
        done=run.is_done(),
        commit=commit,
    )


def obstacle(run: RunFolder, look: Look, checkpoints: bool) -> str | None:
    """Why a run cannot be carried elsewhere now; None if it can."""
    for work in (run, *run.all_cells()):
        lease = work.lease(job_is_alive=look.job_is_alive)
        if holder := lease.living_holder():
            return lease.refusal(holder)
    if run.done.exists() and not run.bridge.is_dir():
        return f"{run.title} is done, but its bridge is gone from {run.bridge}"
    if fault := run.damage():
        return f"{run.title} is not whole: {fault}; give the command that trains it again"
    if run.is_done():
        return None
    if not _config(run).bridge.trains:
        return None if run.results.is_dir() else f"{run.title} has answered nothing yet"
    if any(submission.may_be_queued(look) for submission in submissions_of(run)):
        silent = f" ({look.silence})" if look.silence else ""
        return f"{run.title} is in the queue, or may be{silent}: take it out with cancel, or wait until it is done"
    if not checkpoints:
        return f"{run.title} is not done ({run.state()}): with --checkpoints it can be trained on elsewhere"
    begun = any(run.checkpoints.glob("step-*"))
    return None if begun else f"{run.title} is not done, and has no checkpoint yet"


def is_finished(run: RunFolder) -> bool:
    """Whether a run has come to its end: it is done, or it is the bare LLM and has answered."""
    if run.is_done() or not run.results.is_dir() or not run.config.is_file():
        return run.is_done()
    return not _config(run).bridge.trains


def folders_of(run: RunFolder) -> list[str]:
    """Folders of this machine that a run's config names: whoever imports it must have them too."""
    return sorted(set(_absolute(run.read_config())))


def contents_of(manifest: Manifest, source: Path) -> ArchiveContents:
    """What a manifest tells; every file of it must belong to a run or the grid, and be of a kind that export writes.

    Raises:
        ClusterError: it tells of something else; `source` is the archive.
    """
    try:
        told = manifest.about
        runs = tuple(Carried(**run) for run in told["runs"])
        grid = GridFolder(Path(), told["name"]) if told["kind"] == "grid" else None
        folders = {run.folder: _sound(run) for run in runs}
    except (KeyError, TypeError, ClusterError) as error:
        raise ClusterError(
            f"{source} is not imported: its manifest tells of no run or grid ({error!r})"
        ) from None
    for entry in manifest.files:
        path = Path(entry.path)
        run = folders.get(path.parts[0])
        if not (_is_of_run(path, run) if run else grid and _is_of_grid(path, grid)):
            raise ClusterError(
                f"{source} is not imported: {entry.path!r} in it is no file that export writes"
            )
    if not runs:
        raise ClusterError(f"{source} is not imported: there is no run in it")
    return ArchiveContents(runs, grid.name if grid else None)


def check(run: RunFolder, told: Carried) -> None:
    """Whether a run's folder has the name that its config gives it, and all that a run needs.

    Raises:
        ClusterError: it has not.
        ValueError: its config is none that this code knows.
    """
    advice = NEEDS_CODE.format(commit=told.commit) if told.commit else "its config was changed"
    try:
        config = RunConfig.from_dict(run.read_config(whole=False))
    except ValueError as error:
        raise ClusterError(f"{told.folder} is not imported: {error}; {advice}") from None
    follows = config.starts_from is not None
    if config.stage != run.stage or follows != bool(told.parent):
        raise ClusterError(
            f"{told.folder} is not imported: its config is of another stage than its name tells"
        )
    signature = config.signature(told.parent)
    if signature != run.signature:
        raise ClusterError(
            f"{told.folder} is not imported: its config has the signature {signature} here, not "
            f"{run.signature}; {advice}"
        )
    if told.done != run.is_done() or (told.done and not any(run.bridge.glob("*.safetensors"))):
        raise ClusterError(
            f"{told.folder} is not imported: it is said to be done, and its bridge is not there"
        )


def _config(run: RunFolder) -> RunConfig:
    try:
        return RunConfig.from_dict(run.read_config())
    except ValueError as error:
        raise ClusterError(f"{run.config} is none that this code knows: {error}") from None


def _parent(run: RunFolder, config: RunConfig) -> tuple[str, str | None] | None:
    """Signature and folder of the run that this one starts from, found by its own signature, which contains it."""
    if not config.starts_from:
        found = config.signature() == run.signature
    else:
        for signature, folder in _candidates(run, config.starts_from):
            if config.signature(signature) == run.signature:
                return signature, folder
        found = False
    if found:
        return None
    missing = ", or the run that it starts from is not known here" if config.starts_from else ""
    raise ClusterError(
        f"{run.title} cannot be told by its config: that does not give the signature {run.signature} under this code"
        f"{missing}; export it with the code that made it, beside the run of stage {config.starts_from or 1}"
    )


def _candidates(run: RunFolder, stage: int) -> Iterator[tuple[str, str | None]]:
    """Runs of a stage that are or were here, those included that others have told of."""
    names = [path.name.partition(".replaced-")[0] for path in run.root.glob(f"*-s{stage}-*")]
    for grid in all_grids(run.root):
        points = (unless_damaged(grid.read_wanted) or {}).get("points", ())
        names += [Path(folder).name for point in points for folder in point["runs"].values()]
    for name in dict.fromkeys(names):
        match = FOLDER.fullmatch(name)
        if match and match["stage"] == str(stage):
            yield match["signature"], name
    for event in run.history():
        if event["event"] == "imported" and event.get("parent"):
            yield event["parent"], event.get("parent_folder")


def _absolute(value: Any) -> Iterable[str]:
    """The texts in plain data that are paths from the root or the home."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _absolute(inner)
    elif isinstance(value, str) and value.startswith(("/", "~")):
        yield value


def _sound(told: Carried) -> RunFolder:
    """The folder of a run that was told of, from nowhere; its name must be one that a run can have."""
    run = RunFolder(Path(told.folder))
    hexadecimal = told.parent is None or (isinstance(told.parent, str) and SIGNATURE.fullmatch(told.parent))
    if run.path.name != told.folder or run.signature != told.signature or not hexadecimal:
        raise ClusterError(f"{told.folder!r} is no folder of a run")
    return RunFolder.at(Path(), run.name, run.stage, run.signature)


def _is_of_run(path: Path, run: RunFolder) -> bool:
    work = {run.leases.name, run.heartbeat.name}
    single = (run.config, run.starts, run.events, run.metrics, run.data, run.done)
    folders = (run.bridge, run.results, run.checkpoints)
    return path in single or (not work & {*path.parts} and any(folder in path.parents for folder in folders))


def _is_of_grid(path: Path, grid: GridFolder) -> bool:
    lists = path.parent == grid.path and re.fullmatch(r"cells-[0-9a-f]+\.json", path.name)
    return path == grid.wanted or bool(lists) or grid.results in path.parents
