"""What of a run or a grid is worth carrying elsewhere: each file by its path below the folder of all runs.

Left behind is what means nothing elsewhere: leases, heartbeats, scripts and logs of jobs, records of submissions,
trackers. Records of events name logs by their path in the run's folder, and no home.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from cluster.errors import ClusterError
from cluster.files import read_jsonl, read_record, write_record
from cluster.run.grid_folder import GridFolder, read_work_list
from cluster.run.run_folder import RunFolder

Content = Path | bytes
"""A file to be read, or what is to be written."""
ROOT = "{runs}"
"""Stands for the folder of all runs at the head of a path."""


def run_files(run: RunFolder, checkpoints: bool = False) -> dict[str, Content]:
    """The files of a run as they are, `DONE` last: who copies them in this order makes a done run only at the end.

    Args:
        run: the run.
        checkpoints: those too, the last ones and the best, from which a training goes on.

    Raises:
        ClusterError: a link among them; its target may mean nothing elsewhere.
    """
    single = (run.config, run.starts, run.events, run.metrics, run.data)
    folders = (run.bridge, run.results, *((run.checkpoints,) if checkpoints else ()))
    found = [path for path in single if path.is_file()]
    found += [path for folder in folders for path in _below(folder, {run.leases.name, run.heartbeat.name})]
    found += [run.done] if run.done.is_file() else []
    return {path.relative_to(run.root).as_posix(): path for path in found}


def grid_files(grid: GridFolder, root: Path | None = None) -> dict[str, Content]:
    """The files of a grid, not those of its runs.

    Args:
        grid: the grid.
        root: folder of all runs from which its paths are to be told; None is `ROOT`, and no data folder.

    Raises:
        ClusterError: it was never submitted.
    """
    wanted = grid.read_wanted()
    if wanted is None:
        raise ClusterError(f"{grid.title} has never been submitted: there is nothing of it to carry")
    files: dict[str, Content] = {
        path.relative_to(grid.root).as_posix(): path for path in _below(grid.results, set())
    }
    named = [path for path in grid.work_lists() if path.name == wanted.get("list")]
    held = {grid.wanted: wanted} | {path: read_work_list(path) for path in named}
    for path, plain in held.items():
        told = rewrite(plain, lambda text: _told_from(text, grid.root))
        if root is None:
            _set_data(told, None)
        else:
            told = rewrite(told, lambda text: _told_at(text, root))
        files[path.relative_to(grid.root).as_posix()] = _json(told)
    return dict(sorted(files.items()))


def settle_grid(grid: GridFolder, root: Path, data: Path | None) -> None:
    """Make the paths of a grid that was carried here those of this machine.

    Args:
        grid: as `grid_files` has it, in a folder that is not its last.
        root: the folder of all runs that it will lie in.
        data: the data folder of this machine.

    Raises:
        ClusterError: a path that leads out of the folder of all runs.
    """
    grid.create()
    for path in (grid.wanted, *grid.work_lists()):
        told = rewrite(read_record(path), lambda text: _told_at(text, root))
        _set_data(told, str(data) if data else None)
        write_record(path, told)


def anonymous(run: RunFolder, files: dict[str, Content]) -> dict[str, Content]:
    """The same files with records that name no folder of this machine outside the run's config."""
    places = {f"{path}/": "" for path in (run.path, run.path.resolve())}
    places |= {f"{path}/": "" for path in (run.root, run.root.resolve())}
    homes = {str(path): "~" for path in (Path.home(), Path.home().resolve()) if path != Path("/")}

    def change(text: str) -> str:
        for place, instead in {**places, **homes}.items():
            text = text.replace(place, instead)
        return text

    records = (run.starts.name, run.events.name, run.metrics.name)
    return {
        name: _lines([rewrite(record, change) for record in read_jsonl(content)])
        if isinstance(content, Path) and content.name in records
        else content
        for name, content in files.items()
    }


def opened(content: Content) -> IO[bytes]:
    """What is to be carried, to be read."""
    return content.open("rb") if isinstance(content, Path) else io.BytesIO(content)


def size_of(content: Content) -> int:
    """Bytes of what is to be carried."""
    return content.stat().st_size if isinstance(content, Path) else len(content)


def rewrite(value: Any, change: Callable[[str], str]) -> Any:
    """Plain data with every text in it changed, the keys too."""
    if isinstance(value, dict):
        return {change(key): rewrite(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [rewrite(inner, change) for inner in value]
    return change(value) if isinstance(value, str) else value


def _below(folder: Path, left: set[str]) -> Iterator[Path]:
    """The files below a folder in the order of their paths, less hidden ones and names that are left out."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in left and not name.startswith("."))
        for name in sorted({*folders, *names}):
            path = Path(parent, name)
            if path.is_symlink():
                raise ClusterError(f"{path} is a link: put in its place what it names ({os.readlink(path)})")
        yield from (Path(parent, name) for name in sorted(names) if name not in left and name[0] != ".")


def _set_data(told: dict[str, Any], data: str | None) -> None:
    """In a work list: where its jobs find their data."""
    for job in told.get("runs", {}).values():
        job["data"] = data


def _told_from(text: str, root: Path) -> str:
    return ROOT + text[len(str(root)) :] if text.startswith(f"{root}/") else text


def _told_at(text: str, root: Path) -> str:
    """A path told from `ROOT` as one of this machine."""
    head, *parts = text.split("/")
    if head != ROOT:
        return text
    if not parts or any(part in ("", ".", "..") for part in parts):
        raise ClusterError(f"the grid names {text!r}, which is no path below the folder of all runs")
    return str(root.joinpath(*parts))


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


def _lines(records: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)
