"""The faults of a campaign: each disturbs a grid that is under way or finished, at a moment that a seed decides."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tests.chaos.place import Place, family, kill, plain, reach

Fault = Callable[[Place, random.Random, int], str]
"""Takes the place, the source of chance and the steps and answers of an undisturbed grid; tells what it did."""
ROOMY = "size=512m,nr_inodes=100000"


def _under_way(place: Place, rng: random.Random, total: int, act: Callable[[int], str]) -> str:
    """Start the grid, do something to it at some moment, and wait for its end."""
    process, point = place.start(), rng.randrange(total)
    there = reach(place, process, point)
    time.sleep(rng.random() * 0.05)
    told = act(process.pid) if there else "over before"
    place.end(process)
    return f"{told} at {point} of {total}"


def _signal(number: signal.Signals) -> Fault:
    def fault(place: Place, rng: random.Random, total: int) -> str:
        def act(pid: int) -> str:
            which = rng.choice([pid, *family(pid)])
            kill(which, number)
            return f"{number.name} to {'the launcher' if which == pid else 'a process of its'}"

        return _under_way(place, rng, total, act)

    return fault


def killed_again_and_again(place: Place, rng: random.Random, total: int) -> str:
    """kill -9 of everything, several times."""
    times = rng.randrange(2, 5)
    for _ in range(times):

        def act(pid: int) -> str:
            for one in (pid, *family(pid)):
                kill(one, signal.SIGKILL)
            return ""

        _under_way(place, rng, total, act)
    return f"killed {times} times"


def stopped_for_a_while(place: Place, rng: random.Random, total: int) -> str:
    """SIGSTOP and SIGCONT."""

    def act(pid: int) -> str:
        which = rng.choice([pid, *family(pid)])
        kill(which, signal.SIGSTOP)
        time.sleep(rng.random() * 2)
        kill(which, signal.SIGCONT)
        return "stopped and continued"

    return _under_way(place, rng, total, act)


def two_commands(place: Place, rng: random.Random, total: int) -> str:
    """The same command twice at once."""

    def act(pid: int) -> str:
        status = place.end(place.start())
        return f"a second command ended with {status}"

    return _under_way(place, rng, total, act)


def full_disk(place: Place, rng: random.Random, total: int) -> str:
    """No space, or no inodes, for a while."""
    kind = rng.choice(["size", "nr_inodes"])
    place.runs.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", ROOMY, "none", place.runs], check=True)

    def act(pid: int) -> str:
        told = os.statvfs(place.runs)
        used = (told.f_blocks - told.f_bfree) * 4 if kind == "size" else told.f_files - told.f_ffree
        few = rng.choice([0, 1, 2, 5, 20])
        limit = (
            f"size={used + 4 * few}k,nr_inodes=100000"
            if kind == "size"
            else f"size=512m,nr_inodes={used + few}"
        )
        subprocess.run(["mount", "-o", f"remount,{limit}", place.runs], check=True)
        room.start()
        return f"{kind}: {few} left"

    make_room = ["mount", "-o", f"remount,{ROOMY}", str(place.runs)]
    room = threading.Timer(rng.choice([0.5, 4.0]), subprocess.run, [make_room])
    told = _under_way(place, rng, total, act)
    room.cancel()
    subprocess.run(make_room, check=True)
    return told


def read_only(place: Place, rng: random.Random, total: int) -> str:
    """The file system becomes read-only, until the command has ended."""
    place.runs.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", ROOMY, "none", place.runs], check=True)

    def act(pid: int) -> str:
        done = subprocess.run(["mount", "-o", "remount,ro", place.runs], check=False, capture_output=True)
        return "read-only" if not done.returncode else "busy"

    told = _under_way(place, rng, total, act)
    subprocess.run(["mount", "-o", "remount,rw", place.runs], check=True)
    return told


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


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
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

    def act(pid: int) -> str:
        for one in (pid, *family(pid)):
            kill(one, signal.SIGKILL)
        return "killed"

    told = _under_way(place, rng, total, act)
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


DAMAGING = ("damaged_when_done", "damaged_half_way", "folder_gone", "full_disk", "read_only")
"""After these an item may have been answered anew, or a run completed."""
FAULTS: dict[str, Fault] = {
    **{
        f"signal {number.name}": _signal(number)
        for number in (
            signal.SIGKILL,
            signal.SIGTERM,
            signal.SIGINT,
            signal.SIGUSR1,
            signal.SIGSEGV,
            signal.SIGABRT,
            signal.SIGHUP,
        )
    },
    "killed_again_and_again": killed_again_and_again,
    "stopped_for_a_while": stopped_for_a_while,
    "two_commands": two_commands,
    "full_disk": full_disk,
    "read_only": read_only,
    "damaged_when_done": damaged_when_done,
    "damaged_half_way": damaged_half_way,
    "folder_gone": folder_gone,
    "from_the_future": from_the_future,
}
