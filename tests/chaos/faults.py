"""The faults of a campaign: each disturbs a grid that is under way or finished, at a moment that a seed decides."""

from __future__ import annotations

import shutil
import signal

from tests.chaos import damages, disks, people, signals
from tests.chaos.moments import Fault

DAMAGING = (
    "damaged_when_done",
    "damaged_half_way",
    "folder_gone",
    "full_disk",
    "read_only",
    "unreadable_for_a_moment",
)
"""After these an item may have been answered anew, or a run completed."""
ON_TWO = ("rank_hangs", "abort_in_a_collective", "network_cut")
"""Faults between two processes of a job."""
SIGNALS = (
    signal.SIGKILL,
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGUSR1,
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGHUP,
)
FAULTS: dict[str, Fault] = {
    **{f"signal {number.name}": signals.signalled(number) for number in SIGNALS},
    **{
        fault.__name__: fault
        for fault in (
            signals.killed_again_and_again,
            signals.stopped_for_a_while,
            signals.rank_hangs,
            signals.interpreter_blocked,
            signals.abort_in_a_collective,
            signals.network_cut,
            disks.full_disk,
            disks.read_only,
            disks.slow_disk,
            disks.killed_at_a_call,
            disks.failing_call,
            disks.unreadable_for_a_moment,
            damages.damaged_when_done,
            damages.damaged_half_way,
            damages.folder_gone,
            damages.from_the_future,
            people.two_commands,
            people.several_commands,
            people.second_user,
            people.upgrade,
            people.clock_steps,
        )
    },
}


def lacking() -> str:
    """What this machine lacks for a campaign, and how to get it; empty if it lacks nothing."""
    names = [name for name in ("strace", "ip", "nsenter", "mount") if not shutil.which(name)]
    told = f"{', '.join(names)} not found; on Debian or Ubuntu: apt-get install strace iproute2 util-linux"
    return told if names else ""
