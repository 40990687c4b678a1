"""Processes that are killed, stopped, blocked or cut off from each other."""

from __future__ import annotations

import random
import signal
import subprocess
import time

from tests.chaos.moments import Fault, give_up, kill_all, ranks, under_way
from tests.chaos.place import Place
from tests.chaos.processes import family, kill


def signalled(number: signal.Signals) -> Fault:
    """A fault that sends a signal to the launcher or to a process of its."""

    def fault(place: Place, rng: random.Random, total: int) -> str:
        def act(pid: int) -> str:
            which = rng.choice([pid, *family(pid)])
            kill(which, number)
            return f"{number.name} to {'the launcher' if which == pid else 'a process of its'}"

        return under_way(place, rng, total, act)

    return fault


def killed_again_and_again(place: Place, rng: random.Random, total: int) -> str:
    """kill -9 of everything, several times."""
    times = rng.randrange(2, 5)
    for _ in range(times):
        under_way(place, rng, total, kill_all)
    return f"killed {times} times"


def stopped_for_a_while(place: Place, rng: random.Random, total: int) -> str:
    """SIGSTOP and SIGCONT."""

    def act(pid: int) -> str:
        which = rng.choice([pid, *family(pid)])
        kill(which, signal.SIGSTOP)
        time.sleep(rng.random() * 2)
        kill(which, signal.SIGCONT)
        return "stopped and continued"

    return under_way(place, rng, total, act)


def rank_hangs(place: Place, rng: random.Random, total: int) -> str:
    """One of the ranks does nothing any more; after a while somebody gives up, or kills all."""

    def act(pid: int) -> str:
        kill(rng.choice(ranks(pid)), signal.SIGSTOP)
        time.sleep(1 + rng.random() * 3)
        return f"a rank hung, {rng.choice([give_up, kill_all])(pid)}"

    return under_way(place, rng, total, act)


def interpreter_blocked(place: Place, rng: random.Random, total: int) -> str:
    """The main thread of a rank holds the interpreter's lock for five seconds."""

    def act(pid: int) -> str:
        kill(rng.choice(ranks(pid)), signal.SIGTRAP)
        return "blocked for 5 s"

    return under_way(place, rng, total, act, lambda: place.start("blockable"))


def abort_in_a_collective(place: Place, rng: random.Random, total: int) -> str:
    """A rank that waits for another in a collective aborts, as by a library's own check, or crashes there."""
    number = rng.choice([signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGKILL])

    def act(pid: int) -> str:
        late, waiting = rng.sample(every, 2) if len(every := ranks(pid)) > 1 else (pid, pid)
        kill(late, signal.SIGSTOP)
        time.sleep(0.5)
        kill(waiting, number)
        kill(late, signal.SIGCONT)
        return f"{number.name} in a collective"

    return under_way(place, rng, total, act)


def network_cut(place: Place, rng: random.Random, total: int) -> str:
    """The ranks do not reach each other: for a while, or until somebody gives up."""

    def act(pid: int) -> str:
        link(pid, "down")
        time.sleep(rng.choice([0.2, 1.0, 3.0]))
        if rng.random() < 0.3:
            return f"cut off, {give_up(pid)}"
        link(pid, "up")
        return "cut off for a while"

    return under_way(place, rng, total, act, lambda: place.start("network"))


def link(pid: int, state: str) -> None:
    """Put the only network device that a process has up or down."""
    command = ["nsenter", "-t", str(pid), "-n", "ip", "link", "set", "lo", state]
    subprocess.run(command, check=False, capture_output=True)
