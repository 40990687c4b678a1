"""Disks that are full, slow, read-only or broken, and processes that end between two calls of the system."""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.moments import kill_all, under_way
from tests.chaos.place import Place
from tests.chaos.processes import Command

ROOMY = "mode=0700,size=512m,nr_inodes=100000"
CALLS = {"fsync": 200, "rename": 75, "mkdir": 65, "unlink": 28, "link": 7}
"""Calls that change a file system for good, and how often a grid makes each, roughly."""
ERRORS = ("EIO", "ESTALE", "EDQUOT", "ENOSPC", "EROFS")
"""Such as pass by themselves; what is not permitted (EACCES) waits for the user, and then for `retry`."""


def full_disk(place: Place, rng: random.Random, total: int) -> str:
    """No space, or no inodes, for a while."""
    kind = rng.choice(["size", "nr_inodes"])
    place.runs.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", ROOMY, "none", place.runs], check=True)

    few = rng.choice([0, 1, 2, 5, 20])

    def act(pid: int) -> str:
        for _ in range(20):
            told = os.statvfs(place.runs)
            used = (told.f_blocks - told.f_bfree) * 4 if kind == "size" else told.f_files - told.f_ffree
            limit = (
                f"size={used + 4 * few}k,nr_inodes=100000"
                if kind == "size"
                else f"size=512m,nr_inodes={used + few}"
            )
            if not _remount(place, limit):  # refused where more is used by now
                room.start()
                return f"{kind}: {few} left"
        return "nothing, as it grew too fast"

    make_room = ["mount", "-o", f"remount,{ROOMY}", str(place.runs)]
    room = threading.Timer(rng.choice([0.5, 4.0]), subprocess.run, [make_room])
    told = under_way(place, rng, total, act)
    room.cancel()
    subprocess.run(make_room, check=True)
    return told


def _remount(place: Place, how: str) -> int:
    """Change the disk under the runs; the status of mount(8)."""
    words = ["mount", "-o", f"remount,{how}", str(place.runs)]
    return subprocess.run(words, check=False, capture_output=True).returncode


def read_only(place: Place, rng: random.Random, total: int) -> str:
    """The file system becomes read-only, until the command has ended."""
    place.runs.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", ROOMY, "none", place.runs], check=True)

    def act(pid: int) -> str:
        return "busy" if _remount(place, "ro") else "read-only"

    told = under_way(place, rng, total, act)
    subprocess.run(["mount", "-o", "remount,rw", place.runs], check=True)
    return told


def killed_at_a_call(place: Place, rng: random.Random, total: int) -> str:
    """SIGKILL at the very moment of a call that changes the file system: before it, as a power cut may come."""
    call = rng.choice(sorted(CALLS))
    which = rng.randrange(1, CALLS[call])
    place.end(traced(place.start(), [call], f"inject={call}:error=EIO:signal=SIGKILL:when={which}"))
    return f"killed at {call} {which}"


def failing_call(place: Place, rng: random.Random, total: int) -> str:
    """One call that changes the file system fails, or a few do."""
    call, error = rng.choice(sorted(CALLS)), rng.choice(ERRORS)
    which, times = rng.randrange(1, CALLS[call]), rng.choice([1, 1, 3])
    place.end(traced(place.start(), [call], f"inject={call}:error={error}:when={which}..{which + times - 1}"))
    return f"{error} of {call} {which}, {times} times"


def unreadable_for_a_moment(place: Place, rng: random.Random, total: int) -> str:
    """A file of a killed grid is not seen yet, or its handle is stale, when the same command looks for it."""
    told = under_way(place, rng, total, kill_all)
    files = [path for path in sorted(place.runs.rglob("*")) if path.is_file() and path.suffix != ".out"]
    if not files:
        return f"{told}, no file yet"
    path, error = rng.choice(files), rng.choice(["ENOENT", "ESTALE", "EIO"])
    calls = ["openat", "newfstatat"]
    inject = f"inject={','.join(calls)}:error={error}:when=1..{rng.choice([1, 2, 5])}"
    place.end(traced(place.start(), calls, inject, path))
    return f"{told}, {error} of {path.relative_to(place.base)}"


def slow_disk(place: Place, rng: random.Random, total: int) -> str:
    """Every call that changes the file system takes long; killed amid it, or not."""
    delay, act = rng.choice([5, 20, 50]), rng.choice([kill_all, _left_alone])
    calls = ["fsync", "rename", "link", "unlink"]
    inject = f"inject={','.join(calls)}:delay_enter={delay * 1000}"
    told = under_way(place, rng, total, act, lambda: traced(place.start(), calls, inject))
    return f"{delay} ms for each call, {told}"


def _left_alone(pid: int) -> str:
    return "left alone"


def traced(process: Command, calls: Sequence[str], inject: str, path: Path | None = None) -> Command:
    """The process, whose calls of the system are tampered with from now on.

    Args:
        process: with all that it starts.
        calls: their names.
        inject: what is done to them (strace(1), "Tampering").
        path: only those that concern this file.
    """
    words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={','.join(calls)}", "-e", inject]
    words += [*(["-P", str(path)] if path else []), "-p", str(process.pid)]
    tracer = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    while process.poll() is None and tracer.poll() is None and not _is_traced(process.pid):
        time.sleep(0.01)
    return process


def _is_traced(pid: int) -> bool:
    try:
        return "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
