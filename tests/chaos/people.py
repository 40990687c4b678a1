"""What people do meanwhile: several commands at once, another user, another version, another time."""

from __future__ import annotations

import random
import shutil
import threading
import time
from pathlib import Path

from cluster.provenance import ROOMS, ROOT
from tests.chaos.moments import kill_all, owned, under_way
from tests.chaos.place import Place

OTHER = 4242
"""Number of another user, and of the group that shares a folder."""
LOOKS = (
    ("status",),
    ("results", "parts"),
    ("why", "parts"),
    ("clean",),
    ("missing", "parts"),
    ("efficiency",),
)


def two_commands(place: Place, rng: random.Random, total: int) -> str:
    """The same command twice at once."""

    def act(pid: int) -> str:
        status = place.end(place.start())
        return f"a second command ended with {status}"

    return under_way(place, rng, total, act)


def several_commands(place: Place, rng: random.Random, total: int) -> str:
    """The same command three times at once, and others that look on."""

    def act(pid: int) -> str:
        looks = rng.sample(LOOKS, 3)
        more = [threading.Thread(target=lambda: place.end(place.start())) for _ in range(2)]
        more += [threading.Thread(target=place.ask, args=look) for look in looks]
        for one in more:
            one.start()
            time.sleep(rng.random() * 0.3)
        for one in more:
            one.join()
        return f"twice more, and {', '.join(look[0] for look in looks)}"

    return under_way(place, rng, total, act)


def second_user(place: Place, rng: random.Random, total: int) -> str:
    """Another user gives the same command in the same folder, which is private, readable or a group's."""
    mode, killed = rng.choice([0o700, 0o755, 0o2775]), rng.random() < 0.5
    shared = ["shared"] if mode == 0o2775 else []
    place.runs.mkdir(exist_ok=True)
    owned(place.runs, OTHER, mode)
    (place.base / "cache").mkdir(exist_ok=True)
    owned(place.base / "cache", OTHER, 0o2775)

    def other() -> str:
        process = place.start(*shared, f"user={OTHER}")
        return f"another user's command ended with {place.end(process)}"

    def act(pid: int) -> str:
        return kill_all(pid) if killed else other()

    told = under_way(place, rng, total, act, lambda: place.start(*shared))
    return f"mode {mode:o}, {told}{', ' + other() if killed else ''}"


def upgrade(place: Place, rng: random.Random, total: int) -> str:
    """Begun by one version and killed, gone on with by the next."""
    tree = older_tree(place)
    return under_way(place, rng, total, kill_all, lambda: place.start(f"tree={tree}"))


def older_tree(place: Place) -> Path:
    """A copy of the product, otherwise worded."""
    tree = place.base / "older"
    tree.mkdir(exist_ok=True)
    for room in ROOMS:
        copy = shutil.copytree if (ROOT / room).is_dir() else shutil.copy
        copy(ROOT / room, tree / room)
    for name in ("cluster/files.py", "jobs/work/train.py", "layalign/config.py"):
        with (tree / name).open("a") as file:
            file.write("\n# the version before\n")
    return tree


def clock_steps(place: Place, rng: random.Random, total: int) -> str:
    """The clock of this machine jumps while the grid is at work; that of its files, another machine's, does not."""
    clock, step = place.base / "clock", rng.choice([-86400, -3600, -60, 60, 3600, 86400])
    clock.write_text("0")
    killed = rng.random() < 0.5

    def act(pid: int) -> str:
        clock.write_text(str(step))
        return kill_all(pid) if killed else "went on"

    told = under_way(place, rng, total, act, lambda: place.start(f"clock={clock}"))
    place.end(place.start(f"clock={clock}"))
    return f"{step:+d} s, {told}"
