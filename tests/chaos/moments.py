"""When a fault comes: at some step or answer of a grid that is under way, by the seed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.place import Place, reach
from tests.chaos.processes import Command, family, kill

Fault = Callable[[Place, random.Random, int], str]
"""Takes the place, the source of chance and the steps and answers of an undisturbed grid; tells what it did."""


def under_way(
    place: Place,
    rng: random.Random,
    total: int,
    act: Callable[[int], str],
    start: Callable[[], Command] | None = None,
) -> str:
    """Start the grid, do something to it at some moment, and wait for its end.

    Args:
        place: of the grid.
        rng: decides on the moment.
        total: steps and answers of an undisturbed grid.
        act: takes the launcher's pid, tells what it did.
        start: gives the command in some other way.
    """
    process, point = (start or place.start)(), rng.randrange(total)
    there = reach(place, process, point)
    time.sleep(rng.random() * 0.05)
    told = act(process.pid) if there else "over before"
    place.end(process)
    return f"{told} at {point} of {total}"


def kill_all(pid: int) -> str:
    """kill -9 of a launcher and all that it has started."""
    for one in (pid, *family(pid)):
        kill(one, signal.SIGKILL)
    return "killed"


def ranks(pid: int) -> list[int]:
    """The processes of the job that a launcher has started, by rank; the launcher itself where there are none."""
    found = {}
    for one in family(pid):
        try:
            environ = Path(f"/proc/{one}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        for entry in environ:
            name, _, value = entry.partition(b"=")
            if name == b"SUBMITIT_LOCAL_GLOBALID":
                found.setdefault(int(value), one)  # not what a rank has started, such as git
    return [found[rank] for rank in sorted(found)] or [pid]


def give_up(pid: int) -> str:
    """Ctrl-C twice, as somebody at a terminal does who waits no longer."""
    for _ in range(2):
        kill(pid, signal.SIGINT)
        time.sleep(0.5)
    return "Ctrl-C twice"


def owned(path: Path, uid: int, mode: int) -> None:
    """Give a folder to a group of the user's number."""
    os.chown(path, -1, uid)
    path.chmod(mode)
