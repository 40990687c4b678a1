"""How many jobs more a user may have in the queue, every element of an array counted, as Slurm counts them.

What limits them (slurm.schedmd.com/resource_limits.html): `MaxSubmitJobs` of the user's association with the account,
`MaxSubmitJobsPerUser` of the QOS, and what the site's page says, which is the profile's.
"""

from __future__ import annotations

import getpass
import os
import pwd
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cluster.profile.load import SlurmProfile
from cluster.slurm import client
from cluster.slurm.queued_job import QueuedJob, counted
from cluster.slurm.shares import bare

ASSOCIATIONS = ("--noheader", "--parsable2", "show", "associations")
FORMAT = "format=account,user,maxsubmitjobs,defaultqos"
QOS = ("--noheader", "--parsable2", "show", "qos", "format=name,maxsubmitjobsperuser")
SQUEUE = ("--me", "--all", "--array", "--noheader", "--format=%a|%q")
"""A line for each job and each element of an array."""

BRIEF_S = 10.0
"""How long an answer may take that only tells more."""


@dataclass(frozen=True)
class Association:
    """That a user may charge an account."""

    account: str
    """With the end that a site gives it: `def-prof_gpu`."""
    most: int | None = None
    """Jobs that it may have in the queue."""
    qos: str = ""
    """Of jobs that name none."""


@dataclass(frozen=True)
class Room:
    """A limit, and what of it is taken."""

    most: int
    used: int
    rule: str
    """Whose limit it is, and where it stands."""
    counted: str
    """What is in the queue, in words."""
    account: str | None = None
    """It is a limit of this account alone."""
    qos: str | None = None
    """It is a limit of this QOS alone."""

    @property
    def left(self) -> int:
        """Jobs that can still be submitted."""
        return max(0, self.most - self.used)

    def refusal(self, jobs: int) -> str:
        """Why so many more are too many, with the nearest that is legal."""
        near = f"ask for {self.left:,} at most, or wait" if self.left else "wait"
        return (
            f"{jobs:,} jobs more: {self.rule} is {self.most:,} jobs in the queue, every element of an array counted, "
            f"and {self.counted} are there, so that {self.left:,} can be added; {near} until some have ended"
        )


def user() -> str:
    """Who this process is, whatever a variable says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return getpass.getuser()


def ask_associations() -> tuple[Association, ...] | None:
    """The user's; None where Slurm has no accounting."""
    told = client.ask("sacctmgr", *ASSOCIATIONS, f"user={user()}", FORMAT)
    return None if told is None else parse_associations(told, user())


def parse_associations(text: str, name: str) -> tuple[Association, ...]:
    """Rows of `account|user|most|qos`; what has not this user is a site's banner."""
    rows = ([cell.strip() for cell in line.split("|")] for line in text.splitlines())
    found = [[*row, "", ""] for row in rows if row[1:2] == [name] and row[0]]
    return tuple(Association(row[0], _whole(row[2]), row[3]) for row in found)


def rooms(
    profile: SlurmProfile,
    account: str | None,
    associations: Sequence[Association],
    jobs: Iterable[QueuedJob],
) -> list[Room]:
    """The limits on what a user submits under an account, each with what it leaves; that with the least first.

    The jobs under one account or QOS are counted only where all jobs together would not fit.

    Args:
        profile: of the cluster.
        account: that is charged; None is the only one.
        associations: of the user.
        jobs: of the user in the queue.
    """
    rows = list(jobs)
    total, told = sum(row.elements for row in rows), counted(rows)
    limits = profile.limits
    found = []
    if limits.jobs:
        found.append(
            Room(limits.jobs, total, f"the most of one user on {profile.name} {limits.cite()}", told)
        )
    ours = [one for one in associations if account is None or bare(one.account) == account]
    ours = [one for one in ours if one.account.endswith("_gpu")] or ours
    for one in ours:
        if one.most is not None:
            rule, name = f"your MaxSubmitJobs under {bare(one.account)} (sacctmgr)", bare(one.account)
            found.append(Room(one.most, total, rule, told, account=name))
    names = {one.qos for one in ours if one.qos}
    for name, most in (_ask_qos() if names else {}).items():
        if name in names:
            rule = f"MaxSubmitJobsPerUser of QOS {name} (sacctmgr)"
            found.append(Room(most, total, rule, told, qos=name))
    return sorted(found, key=lambda room: room.left)


def narrowest(
    profile: SlurmProfile,
    account: str | None,
    associations: Sequence[Association],
    queue: Iterable[QueuedJob],
    jobs: int,
) -> Room | None:
    """The limit that has no room for so many jobs more; None where there is room, or nobody says that there is not.

    Args:
        profile: of the cluster.
        account: that is charged.
        associations: of the user.
        queue: the user's jobs in it.
        jobs: that are to be added.
    """
    tight = [room for room in rooms(profile, account, associations, queue) if jobs > room.left]
    exact = [room for room in map(_recounted, tight) if jobs > room.left]
    return min(exact, key=lambda room: room.left, default=None)


def _recounted(room: Room) -> Room:
    """A limit of one account or QOS with the jobs of that alone, where squeue tells them apart."""
    if room.account is None and room.qos is None:
        return room
    text = client.ask("squeue", *SQUEUE, timeout_s=BRIEF_S)
    if text is None:
        return room
    rows = [line.strip().split("|") for line in text.splitlines() if line.count("|") == 1]
    used = sum(bare(row[0]) == room.account if room.account else row[1] == room.qos for row in rows)
    return replace(room, used=used, counted=f"{used:,}")


def _ask_qos() -> dict[str, int]:
    text = client.ask("sacctmgr", *QOS, timeout_s=BRIEF_S) or ""
    rows = ([cell.strip() for cell in line.split("|")] for line in text.splitlines())
    return {row[0]: most for row in rows if len(row) == 2 and (most := _whole(row[1])) is not None}


def _whole(text: str) -> int | None:
    """A limit; an empty one is none."""
    return int(text) if text.isdecimal() else None
