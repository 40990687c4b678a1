"""Who is working on a run: at most one at a time, and never locked out by one that is gone.

A lease is a folder of numbered files; the highest number counts. Taking it is making the next number, which
the file system grants to one taker only. Nothing is ever taken away from under a name that another may hold: a
stale lease is simply followed by the next.
No flock (it is lost or absent on network file systems) and no test of a process id from another machine.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from cluster.errors import ClusterError
from cluster.files import DamagedFile, create_atomic, record_text, sealed, write_record
from cluster.permissions import user_name
from cluster.quantities import epoch_s
from cluster.records import read_as

LOOK_S = 1.0
SILENCE_S = 30 * 60.0
"""After this many seconds without a heartbeat a holder is taken for gone, where nothing better can be asked."""
KIN_SILENCE_S = 2 * 60.0
"""The same for an earlier unit of the asker's own chain: it is over, and has at most a moment left to end."""
STEP_S = 24 * 3600.0
"""A sign of life that is further ahead of the clock than this is none; any other is taken to be of now."""
UNKNOWN = "an unknown machine"
"""Where the holder is whose lease is damaged: nothing can be asked about it, only its silence tells."""


HELD: dict[Path, Lease] = {}
"""The leases of this process, by their folders."""


class Superseded(ClusterError):
    """Another process has taken the work over, as this one seemed to be gone: it must write nothing more."""


@dataclass(frozen=True)
class Holder:
    """A process, so told that another process can find out whether it still lives."""

    host: str
    pid: int
    started: int | None
    """Start of the process in clock ticks since boot: a later process with the same number has another."""
    boot: str
    """Random number that the kernel draws at each boot."""
    namespace: str
    """Where `pid` is a process number: a container may have its own numbering."""
    since: str
    job: str | None = None
    """Job id of the scheduler, None without one."""
    unit: int = 0
    released: bool = False
    uid: int | None = None
    """Number of the user; None in leases of earlier versions, where the owner of the file tells."""
    cluster: str | None = None
    """That the job is of, as Slurm names it: on another one its id is another job's."""
    name: str | None = None
    """Of the job: one that got the same id later has another."""


IsAlive = Callable[[Holder], bool | None]
"""Asks the scheduler about the job of a holder: whether it may still be at work; None where it cannot tell."""


def this_process(job: str | None = None, unit: int = 0) -> Holder:
    """The calling process as a holder."""
    return Holder(
        host=socket.gethostname(),
        pid=os.getpid(),
        started=process_start(os.getpid()),
        boot=_boot(),
        namespace=os.readlink("/proc/self/ns/pid"),
        since=datetime.now(UTC).isoformat(timespec="seconds"),
        job=job,
        unit=unit,
        uid=os.getuid(),
        cluster=os.environ.get("SLURM_CLUSTER_NAME") if job else None,
        name=os.environ.get("SLURM_JOB_NAME") if job else None,
    )


def process_start(pid: int) -> int | None:
    """When a process of this machine started (clock ticks since boot, proc(5)); None if it is gone."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else int(rest[18])


class Lease:
    """The right to work on a folder, held inside `with`.

    Args:
        folder: where the numbered files lie.
        heartbeat: a file that the holder writes now and then.
        name: what is leased, for the message of a refusal.
        job: the scheduler's id of the job that asks; a job that was started anew follows itself.
        unit: its place in a chain of jobs.
        job_is_alive: asks the scheduler about the job of a holder of this user. About somebody else's it is not asked:
            that the scheduler shows none may only mean that it is not shown (`PrivateData`).
        wait_s: how long to wait for a holder that may be about to end.
    """

    def __init__(
        self,
        folder: Path,
        heartbeat: Path,
        name: str,
        job: str | None = None,
        unit: int = 0,
        job_is_alive: IsAlive | None = None,
        wait_s: float = 0.0,
    ) -> None:
        self.folder = folder
        self.heartbeat = heartbeat
        self.name = name
        self.job_is_alive = job_is_alive
        self.wait_s = wait_s
        self.me = this_process(job, unit)
        self._number = 0

    def __enter__(self) -> Lease:
        self.folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + self.wait_s
        while True:
            number, holder = self._latest()
            if holder and self._alive(holder):
                if time.monotonic() >= deadline:
                    raise ClusterError(self.refusal(holder))
                time.sleep(LOOK_S)
            elif self._claim(number + 1):
                HELD[self.folder] = self
                return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        HELD.pop(self.folder, None)
        if os.getpid() == self.me.pid and self.still_mine():
            self._release()

    def _release(self) -> None:
        """Say that the folder is free; on a full disk in the place of what stands there, which takes no room."""
        path, told = self._path(self._number), asdict(replace(self.me, released=True))
        try:
            write_record(path, told)
        except OSError:
            with contextlib.suppress(OSError), path.open("r+b") as file:
                file.write(record_text(told).encode())
                file.truncate()

    @property
    def number(self) -> int:
        """Of this holder: later ones have higher numbers. 0 if it holds nothing."""
        return self._number

    def still_mine(self) -> bool:
        """Whether nobody has taken the lease over: one listing of a folder, to be asked right before writing.

        A node that was cut off may come back after its job was started anew elsewhere.
        """
        return self._numbers()[-1:] == [self._number]

    def check(self) -> None:
        """Refuse to go on where another has the lease.

        Raises:
            Superseded: so it is, or the lease is gone with its folder.
        """
        if not self.still_mine():
            holder = self._latest()[1]
            job = f", job {holder.job}" if holder and holder.job else ""
            who = f"process {holder.pid} on {holder.host}{job}" if holder else "nobody: its folder is gone"
            raise Superseded(
                f"{self.name} was taken over by {who}, as this process seemed to be gone; it stops and writes nothing"
            )

    def living_holder(self) -> Holder | None:
        """Who works on the folder now, if anybody does."""
        _, holder = self._latest()
        return holder if holder and self._alive(holder) else None

    def refusal(self, holder: Holder) -> str:
        """What to tell a second comer."""
        job = f", job {holder.job}" if holder.job else ""
        uid = self._owner(holder)
        stop = f"scancel {holder.job}" if holder.job else f"kill {holder.pid}"
        whose = f"wait until it ends, or stop it there: {stop}"
        if uid is not None and uid != self.me.uid:
            whose = f"it is {user_name(uid)}'s: wait until it ends, or ask them"
        who = f"process {holder.pid} on {holder.host}{job}, since {holder.since}"
        if holder.host == UNKNOWN:
            who = f"an unknown process, whose lease {self._path(self._latest()[0])} is damaged"
            whose = f"give the same command again {SILENCE_S / 60:.0f} minutes after its last sign of life"
        return f"{self.name} is being worked on by {who}: {whose}"

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.json"

    def _numbers(self) -> list[int]:
        found = self.folder.glob("[0-9]*.json")
        return sorted(int(path.stem) for path in found if re.fullmatch(r"[0-9]{6}|[1-9][0-9]{6,}", path.stem))

    def _latest(self) -> tuple[int, Holder | None]:
        while True:
            numbers = self._numbers()
            if not numbers:
                return 0, None
            path = self._path(numbers[-1])
            try:
                holder = read_as(Holder, path, "delete it if nobody works there")
            except DamagedFile:
                with contextlib.suppress(FileNotFoundError):
                    return numbers[-1], _unknown(path)
                continue
            if holder is not None:
                return numbers[-1], holder if epoch_s(holder.since) else _unknown(path)

    def _claim(self, number: int) -> bool:
        """Make the lease of this number ours, unless another was faster."""
        if not create_atomic(self._path(number), json.dumps(sealed(asdict(self.me)))):
            return False
        numbers = self._numbers()
        if numbers[-1] != number:  # ours was free only because the winner of a later one tidied up
            self._path(number).unlink(missing_ok=True)
            return False
        for older in numbers[:-1]:
            self._path(older).unlink(missing_ok=True)
        self._number = number
        return True

    def _alive(self, holder: Holder) -> bool:
        if holder.released:
            return False
        if (holder.boot, holder.namespace) == (self.me.boot, self.me.namespace):
            return holder.started is not None and process_start(holder.pid) == holder.started
        if holder.host == self.me.host and holder.boot != self.me.boot:
            return False
        job = holder.job if self._is_ours(holder) else None
        if job and job == self.me.job:
            return False
        answer = self.job_is_alive(holder) if job and self.job_is_alive else None
        silence = KIN_SILENCE_S if job and _array(job) == _array(self.me.job) else SILENCE_S
        return self._silence() < silence if answer is None else answer

    def _is_ours(self, holder: Holder) -> bool:
        """Whether its job is one of this user on this cluster: of no other can Slurm's silence be a proof."""
        clusters = {holder.cluster, self.me.cluster} - {None}
        return self._owner(holder) == self.me.uid and len(clusters) < 2

    def _owner(self, holder: Holder) -> int | None:
        """The number of its user; None if nobody knows."""
        if holder.uid is not None:
            return holder.uid
        with contextlib.suppress(FileNotFoundError):
            return self._path(self._latest()[0]).stat().st_uid
        return None

    def _silence(self) -> float:
        """Seconds since the holder last wrote its lease or heartbeat."""
        return min(_age(path) for path in (self._path(self._latest()[0]), self.heartbeat))


def _age(path: Path) -> float:
    """Seconds since a file was written.

    One from the future, as after a step of the clock, is of now: it gets this time, so that it grows old from now on.
    Where that is not permitted, it is as old as it is ahead.
    """
    age = math.inf
    try:
        age = time.time() - path.stat().st_mtime
        if -STEP_S < age < 0:
            os.utime(path)
            return 0.0
    except PermissionError:
        pass
    except OSError:
        return math.inf
    return age if age >= 0 else math.inf if age <= -STEP_S else -age


def _unknown(path: Path) -> Holder:
    """Whoever holds a lease that nobody can read."""
    told = path.stat()
    since = datetime.fromtimestamp(told.st_mtime, UTC).isoformat(timespec="seconds")
    return Holder(UNKNOWN, 0, None, boot="", namespace="", since=since, uid=told.st_uid)


def _array(job: str | None) -> str | None:
    """The array that an element (`14_2`) belongs to."""
    return job.partition("_")[0] if job else None


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
