"""What a cluster does to a grid in its queue. Each kind names the causes that the product may record for it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from cluster.sandbox import network as net
from cluster.sandbox.conf import CONTROLLER
from tests.chaos.moments import under_way
from tests.chaos.people import older_tree
from tests.chaos.place import Place
from tests.chaos.processes import kill
from tests.chaos.queued import QueuedPlace
from tests.slurm.chains import NotThere, process_of, shell_of

Act = Callable[[QueuedPlace, random.Random, str], str]
"""Takes the place, the source of chance and the id of a job that runs; tells what it did."""


def _to_a_job(act: Act) -> Callable[[Place, random.Random, int], str]:
    """A fault that comes to a job of the grid that runs at some moment."""

    def fault(place: Place, rng: random.Random, total: int) -> str:
        assert isinstance(place, QueuedPlace)

        def to_one(pid: int) -> str:
            while place.jobs():
                for job in rng.sample(working := sorted(place.working()), len(working)):
                    with contextlib.suppress(NotThere):
                        return act(place, rng, job)
                time.sleep(0.2)
            return "no job ran"

        return under_way(place, rng, total, to_one)

    return fault


def shell_killed(place: QueuedPlace, rng: random.Random, job: str) -> str:
    """The shell that runs a job's script is killed."""
    os.kill(shell_of(job), signal.SIGKILL)
    return "shell killed"


def task_killed(place: QueuedPlace, rng: random.Random, job: str) -> str:
    """A process of the job is killed, or crashes."""
    number = rng.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
    kill(process_of(job, rng.randrange(place.tasks)), number)
    return number.name


def task_dies_in_a_collective(place: QueuedPlace, rng: random.Random, job: str) -> str:
    """A rank crashes while it waits for the other one on another node."""
    late, waiting = rng.sample([process_of(job, 0), process_of(job, 1)], 2)
    number = rng.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
    kill(late, signal.SIGSTOP)
    time.sleep(0.5)
    kill(waiting, number)
    kill(late, signal.SIGCONT)
    return f"{number.name} in a collective"


def task_hangs(place: QueuedPlace, rng: random.Random, job: str) -> str:
    """A process does nothing any more, until the job's time is up."""
    kill(process_of(job, rng.randrange(place.tasks)), signal.SIGSTOP)
    return "hung until the end of its time"


def node_lost(place: QueuedPlace, rng: random.Random, job: str) -> str:
    """A node loses its power."""
    node = rng.choice(_nodes(place, job))
    place.lost.append(node)
    place.sandbox.kill_node(node)
    return f"{node} lost"


def network_cut(place: QueuedPlace, rng: random.Random, job: str) -> str:
    """A node is cut off for less time than the controller takes for its death."""
    node, seconds = rng.choice(_nodes(place, job)), rng.choice([0.5, 2.0, 5.0])
    place.sandbox.cut_off(node)
    time.sleep(seconds)
    place.sandbox.cut_off(node, off=False)
    return f"{node} cut off for {seconds:g} s"


def preempted(place: QueuedPlace, rng: random.Random, job: str) -> str:
    """An urgent job takes a node."""
    node = rng.choice(_nodes(place, job))
    place.sandbox.submit("-w", node, "--exclusive", "--qos=urgent", "--time=1", "--wrap", "sleep 1")
    return f"preempted on {node}"


def requeued(place: QueuedPlace, rng: random.Random, job: str) -> str:
    """Somebody, or an administrator, has a job start again."""
    done = place.sandbox.run("scontrol", "requeue", job, check=False)
    return "requeued" if not done.returncode else f"not requeued: {done.stderr.strip()}"


def signalled(place: QueuedPlace, rng: random.Random, job: str) -> str:
    """scancel --signal."""
    name = rng.choice(["TERM", "USR1", "USR2"])
    place.sandbox.run("scancel", f"--signal={name}", job, check=False)
    return f"scancel --signal={name}"


def cancelled(place: QueuedPlace, rng: random.Random, job: str) -> str:
    """scancel of a job, or of all."""
    every = rng.random() < 0.5
    place.sandbox.run("scancel", *(place.jobs() if every else [job]), check=False)
    return "all cancelled" if every else "one cancelled"


def suspended(place: QueuedPlace, rng: random.Random, job: str) -> str:
    """An administrator suspends a job for a while, and holds what waits."""
    waiting = [one for one in place.jobs() if one not in place.working()]
    place.sandbox.run("scontrol", "suspend", job, check=False)
    for one in waiting:
        place.sandbox.run("scontrol", "hold", one, check=False)
    time.sleep(rng.random() * 5)
    place.sandbox.run("scontrol", "resume", job, check=False)
    for one in waiting:
        place.sandbox.run("scontrol", "release", one, check=False)
    return "suspended for a while, the others held"


def controller_down(place: QueuedPlace, rng: random.Random, job: str) -> str:
    """slurmctld, or accounting, is away while a task dies; the same command is given meanwhile."""
    daemon, again = rng.choice(["slurmctld", "slurmdbd"]), rng.random() < 0.5
    victim = process_of(job, 0)
    stop(place, daemon)
    try:
        kill(victim, signal.SIGKILL)
        if again:
            place.end(place.submit())
        time.sleep(rng.random() * 3)
    finally:
        begin(place, daemon)
    return f"{daemon} away when a task was killed{', the same command given' if again else ''}"


def launcher_killed(place: Place, rng: random.Random, total: int) -> str:
    """The connection drops while the command submits, a few times."""
    assert isinstance(place, QueuedPlace)
    times = rng.randrange(1, 4)
    for _ in range(times):
        process = place.submit()
        time.sleep(rng.random() * 4)
        kill(process.pid, rng.choice([signal.SIGKILL, signal.SIGHUP, signal.SIGTERM]))
        place.end(process)
    return f"{times} times"


def two_commands(place: Place, rng: random.Random, total: int) -> str:
    """The same command three times at once."""
    assert isinstance(place, QueuedPlace)
    every = [place.submit() for _ in range(3)]
    for process in every:
        place.end(process)
    return "three at once"


def upgrade(place: Place, rng: random.Random, total: int) -> str:
    """Submitted by one version, gone on with by the next while the jobs of the first still run their own code."""
    assert isinstance(place, QueuedPlace)
    tree = older_tree(place)

    def act(pid: int) -> str:
        place.end(place.submit())
        if working := sorted(place.working()):
            kill(process_of(working[0], 0), signal.SIGKILL)
        return "upgraded, and a task killed"

    return under_way(place, rng, total, act, lambda: place.start(f"tree={tree}"))


def stop(place: QueuedPlace, daemon: str) -> None:
    """End a daemon of the controller's at once."""
    prefix = net.prefix_of(place.sandbox.root)
    for pid in net.processes(prefix, CONTROLLER):
        if Path(f"/proc/{pid}/comm").read_text().strip() == daemon:
            kill(pid, signal.SIGKILL)


def begin(place: QueuedPlace, daemon: str) -> None:
    """Start it again."""
    root = place.sandbox.root
    log = root / "log" / f"{daemon}.log"
    net.start(net.prefix_of(root), CONTROLLER, root / "etc", [daemon, "-D"], log)
    ask = ["scontrol", "ping"] if daemon == "slurmctld" else ["sacctmgr", "-n", "show", "cluster"]
    for _ in range(200):
        if not place.sandbox.run(*ask, check=False).returncode:
            return
        time.sleep(0.1)


def _nodes(place: QueuedPlace, job: str) -> list[str]:
    names = place.sandbox.job(job)["NodeList"]
    return place.sandbox.run("scontrol", "show", "hostnames", names).stdout.split()


KILLED = {"killed", "crashed", "aborted"}
CAUSES: dict[str, set[str]] = {
    "shell_killed": {"killed"},
    "task_killed": KILLED,
    "task_dies_in_a_collective": KILLED,
    "task_hangs": {"walltime"},
    "node_lost": {"node failure"},
    "network_cut": set(),
    "preempted": {"preemption"},
    "requeued": {"requeue"},
    "signalled": {"scancel --signal"},
    "cancelled": {"cancelled"},
    "suspended": set(),
    "controller_down": KILLED,
    "launcher_killed": set(),
    "two_commands": set(),
    "upgrade": KILLED,
}
"""What a cell may record as the cause of an interruption, by kind of fault."""
ON_TWO_NODES = ("task_dies_in_a_collective", "network_cut")
SLURM_FAULTS = {
    **{
        act.__name__: _to_a_job(act)
        for act in (
            shell_killed,
            task_killed,
            task_dies_in_a_collective,
            task_hangs,
            node_lost,
            network_cut,
            preempted,
            requeued,
            signalled,
            cancelled,
            suspended,
            controller_down,
        )
    },
    **{fault.__name__: fault for fault in (launcher_killed, two_commands, upgrade)},
}
