"""Files and folders that are damaged, lost, or dated tomorrow."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tests.chaos.moments import kill_all, under_way
from tests.chaos.place import Place, plain
from tests.chaos.signals import killed_again_and_again


def _files(place: Place, logs: bool = False) -> dict[str, list[Path]]:
    """What is on disk, by kind."""
    kinds = defaultdict(list)
    for root in (place.runs, place.base / "cache"):
        for path in sorted(root.rglob("*")):
            if path.is_file() and not path.is_symlink() and (logs or path.suffix != ".out"):
                kinds[plain(path.relative_to(place.base))].append(path)
    return kinds


def _flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path, random.Random], object]] = {
    "a bit of": _flip,
    "all of": lambda path, rng: path.write_bytes(b""),
    "the second half of": lambda path, rng: os.truncate(path, path.stat().st_size // 2),
    "the file": lambda path, rng: path.unlink(),
    "a line of": lambda path, rng: path.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[1:])),
    "zeros instead of": lambda path, rng: path.write_bytes(bytes(path.stat().st_size)),
}


def _damage(place: Place, rng: random.Random) -> str:
    kinds = _files(place)
    if not kinds:
        return "nothing to damage"
    path, name = rng.choice(kinds[rng.choice(sorted(kinds))]), rng.choice(sorted(DAMAGES))
    DAMAGES[name](path, rng)
    return f"lost {name} {path.relative_to(place.base)}"


def damaged_when_done(place: Place, rng: random.Random, total: int) -> str:
    """One file of a finished grid."""
    place.end(place.start())
    return _damage(place, rng)


def damaged_half_way(place: Place, rng: random.Random, total: int) -> str:
    """One file of a grid that was killed."""
    told = under_way(place, rng, total, kill_all)
    return f"{told}, {_damage(place, rng)}"


def folder_gone(place: Place, rng: random.Random, total: int) -> str:
    """A folder of a finished grid is deleted or moved away."""
    place.end(place.start())
    folders = [path for path in sorted(place.runs.rglob("*")) if path.is_dir() and path.name != "grids"]
    path = rng.choice(folders)
    if rng.random() < 0.5:
        shutil.rmtree(path)
        return f"deleted {path.relative_to(place.base)}"
    path.rename(path.with_name(f"{path.name}.moved"))
    return f"moved {path.relative_to(place.base)}"


def from_the_future(place: Place, rng: random.Random, total: int) -> str:
    """Killed, with all files dated a day ahead."""
    told = killed_again_and_again(place, rng, total)
    ahead = time.time() + 86400
    for path in place.runs.rglob("*"):
        os.utime(path, (ahead, ahead), follow_symlinks=False)
    return f"{told}, files dated tomorrow"
