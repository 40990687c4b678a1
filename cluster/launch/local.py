"""Start a job and wait for it. submitit is transport: it pickles a name with plain data and starts processes."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError, JobFailed
from cluster.job.causes import PEER_GONE
from cluster.job.interrupt import Interrupts
from cluster.job.rendezvous import TORCHRUN, alone, export, reserve_port
from cluster.profile.load import Profile
from cluster.provenance import ROOT
from cluster.run.work_folder import JobHome

Call = Callable[[], dict[str, Any]]
POLL_S = 0.2
RELAY_S = 2.0
GRACE_S = 20.0
"""How long the other processes of a job may take to end by themselves after one has died."""
START_S = 3.0
"""By then all processes of a job have been started, counted from when the first was seen."""
LAST_LINES = 20
YEAR_MIN = 60 * 24 * 365


def run_inline(call: Call) -> dict[str, Any]:
    """Run a job in this process, which has no others."""
    export(alone(), os.environ)
    return call()


def submit_local(call: Call, home: JobHome, profile: Profile, grace_s: float = GRACE_S) -> dict[str, Any]:
    """Run a job in processes of this machine, show the log of rank 0 meanwhile, and return rank 0's result.

    SIGTERM and the like are handed on: the job ends at a safe point. A second Ctrl-C ends it at once.

    Args:
        call: what every process runs; must pickle by name.
        home: folder of the run or grid; takes the logs.
        profile: number of processes and CPU cores.
        grace_s: seconds that the others have to end after one process has died.

    Raises:
        ClusterError: the job met a mistake of the user.
        JobFailed: a process of the job died; the message has its last lines.
        KeyboardInterrupt: after a second Ctrl-C, when the job is gone.
    """
    import submitit

    with reserve_port() as reserved, Interrupts() as interrupts:
        python = _python(profile, reserved.getsockname()[1])
        executor = submitit.LocalExecutor(home.new_job_folder(), python=python)
        executor.update_parameters(tasks_per_node=profile.tasks, timeout_min=YEAR_MIN, stderr_to_stdout=True)
        with _ignoring_interrupt():
            job = executor.submit(call)
        paths = [job.task(rank).paths for rank in range(profile.tasks)]
        watch = _Watch(
            int(job.job_id), [p.stdout for p in paths], [p.result_pickle for p in paths], interrupts, grace_s
        )
        return watch.follow(job.done)


def _python(profile: Profile, port: int) -> str:
    """The interpreter of the job's processes, with their environment.

    It is set by env(1), which comes last: submitit itself hides every GPU whose number it was not given. The
    working directory is kept off `sys.path`, so that `cluster` and `jobs` are those of this checkout.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    settings = {"MASTER_PORT": str(port), "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    settings["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS") or str(profile.threads())
    unset = [name for name in TORCHRUN if name not in settings]
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        settings["CUDA_VISIBLE_DEVICES"] = os.environ["CUDA_VISIBLE_DEVICES"]
    else:
        unset.append("CUDA_VISIBLE_DEVICES")
    away = [word for name in unset for word in ("-u", name)]
    return shlex.join(["env", *away, *(f"{key}={value}" for key, value in settings.items()), sys.executable])


@contextlib.contextmanager
def _ignoring_interrupt() -> Iterator[None]:
    """What is started inside ignores Ctrl-C for good: submitit's controller would kill the job within a second.

    The job's own processes put their handler in its place.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass
class _Watch:
    """What the launcher sees of a job: its processes, their logs and results."""

    controller: int
    logs: list[Path]
    results: list[Path]
    interrupts: Interrupts
    grace_s: float
    began: float | None = None
    dead: list[int] = field(default_factory=list)
    """Ranks that died without a word, when a death was first noticed."""
    shown: int = 0
    broke: bool = False
    """Rank 0 has logged an exception."""
    relayed: float = 0.0
    death: float | None = None

    def follow(self, over: Callable[[], bool]) -> dict[str, Any]:
        """Watch until the job is over; its result, or an error."""
        try:
            while not over():
                self._show()
                self._look(_processes(self.controller))
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            while not over():
                _send(_processes(self.controller).values(), signal.SIGKILL)
                time.sleep(POLL_S)
            raise
        self._show(to_end=True)
        self._mourn({})
        result = self._result()
        if (
            result.get("interrupted") and self.interrupts.cause
        ):  # the processes know of what was handed on alone
            result["interrupted"] = self.interrupts.cause
        return result

    def _show(self, to_end: bool = False) -> None:
        """Print what rank 0 has logged since the last time, a line that it is still writing excepted.

        Not what submitit prints of an exception: `_result` tells it, in the place of its traceback where the user or
        another process is to blame.
        """
        with contextlib.suppress(FileNotFoundError), self.logs[0].open("rb") as log:
            log.seek(self.shown)
            new = log.read()
            whole = new if to_end else new[: new.rfind(b"\n") + 1]
            self.shown += len(whole)
            for line in whole.decode(errors="replace").splitlines():
                self.broke = self.broke or line.startswith("submitit ERROR")
                if not self.broke and not line.startswith("submitit INFO"):
                    print(line, flush=True)

    def _look(self, living: dict[int, int]) -> None:
        """Hand signals on, and end what waits for a process that has died."""
        now = time.monotonic()
        if self.interrupts.cause and now - self.relayed > RELAY_S:
            if not self.relayed:
                print(f"{self.interrupts.cause}: the job stops at the next safe point", flush=True)
            _send(living.values(), signal.SIGTERM)
            self.relayed = now
        if self.began is None:
            self.began = now if living else None
        elif now - self.began > START_S:
            self._mourn(living)
        if self.death is not None and now - self.death > self.grace_s:
            _send(living.values(), signal.SIGKILL)

    def _mourn(self, living: dict[int, int]) -> None:
        """Note which processes died first, and when."""
        outcomes = {rank: _outcome(path) for rank, path in enumerate(self.results) if rank not in living}
        if self.death is None and any(told is None or told[0] == "error" for told in outcomes.values()):
            self.dead = [rank for rank, told in outcomes.items() if told is None]
            self.death = time.monotonic()

    def _result(self) -> dict[str, Any]:
        outcomes = [_outcome(path) for path in self.results]
        if all(outcome and outcome[0] == "success" for outcome in outcomes):
            assert outcomes[0] is not None
            return dict(outcomes[0][1])
        rank = self._first_failure(outcomes)
        _, trace = outcomes[rank] or (None, "")
        message = _last_message(trace)
        mistake = re.split(r"\bcluster\.(?:errors\.ClusterError|files\.\w+File): ", message, maxsplit=1)[1:]
        if mistake:
            raise ClusterError(mistake[0])
        if self.interrupts.cause and not trace:
            raise JobFailed(f"the job was stopped by {self.interrupts.cause} before it could end by itself")
        what = message or "it died without a word: killed from outside, or out of memory (see dmesg)"
        tail = "\n".join(_lines(self.logs[rank])[-LAST_LINES:])
        raise JobFailed(
            f"rank {rank} of {len(self.logs)} failed: {what}\n{tail}\nwhole log: {self.logs[rank]}"
        )

    def _first_failure(self, outcomes: list[tuple[str, Any] | None]) -> int:
        """A process that was killed comes first: errors of the others are its consequence, as their logs may say."""
        if self.dead:
            killed = [rank for rank in self.dead if not self._followed(rank)]
            return (killed or self.dead)[0]
        errors = [rank for rank, outcome in enumerate(outcomes) if outcome and outcome[0] == "error"]
        return min(errors, key=lambda rank: self.results[rank].stat().st_mtime_ns)

    def _followed(self, rank: int) -> bool:
        """Whether a process has ended because another was gone."""
        return any(line.startswith(PEER_GONE) for line in _lines(self.logs[rank])[-LAST_LINES:])


def _processes(controller: int) -> dict[int, int]:
    """Rank and process id of the job's living processes: the children of submitit's controller."""
    living = {}
    with contextlib.suppress(OSError):
        for pid in map(int, Path(f"/proc/{controller}/task/{controller}/children").read_text().split()):
            with contextlib.suppress(OSError):
                rank = _rank(Path(f"/proc/{pid}/environ").read_bytes())
                if rank is not None:
                    living[rank] = pid
    return living


def _rank(environ: bytes) -> int | None:
    for entry in environ.split(b"\0"):
        name, _, value = entry.partition(b"=")
        if name == b"SUBMITIT_LOCAL_GLOBALID":
            return int(value)
    return None


def _send(pids: Any, number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _outcome(result: Path) -> tuple[str, Any] | None:
    """What a process left: `success` and its result, `error` and its traceback, or nothing."""
    with contextlib.suppress(FileNotFoundError, EOFError):
        outcome: tuple[str, Any] = pickle.loads(result.read_bytes())
        return outcome
    return None


def _last_message(trace: str) -> str:
    """The exception at the end of a traceback, all its lines: what follows the last frame and its source."""
    _, _, after = trace.rpartition('\n  File "')
    return "\n".join(itertools.dropwhile(lambda line: line.startswith("    "), after.split("\n")[1:])).strip()


def _lines(log: Path) -> list[str]:
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return []
    return [line for line in text.splitlines() if not line.startswith("submitit ")]
