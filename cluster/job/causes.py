"""Why a job of a run stopped before the run was over, told from what it noticed and from what Slurm says.

States: slurm.schedmd.com/sacct.html, "JOB STATE CODES". Seen on Slurm 22.05: `scancel`, `scontrol requeue` and a
preemption send SIGCONT with SIGTERM, and so does srun to what is left of a step when a task has died; `scancel
--signal` does not. srun dies of the first two within a second, so that often only the next start can tell; the job
is COMPLETING then, whatever its end. In its grace after a preemption it is RUNNING and has a `PreemptTime`.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.job.interrupt import Interrupts
from cluster.job.slurm_messages import (
    ABORTED,
    CANCELLED,
    CRASHED,
    DEADLINE,
    EXITED,
    KILLED,
    NO_OUTPUT,
    NODE_FAILURE,
    NOT_STARTED,
    OUT_OF_MEMORY,
    PREEMPTION,
    REQUEUE,
    REVOKED,
    TERMINATED,
    WALLTIME,
    Message,
    after_progress,
    ended_by,
    messages,
)
from cluster.job.unit import Unit
from cluster.quantities import duration_s, epoch_s
from cluster.run.work_folder import as_recorded
from cluster.slurm.queue import UNDECIDED, ended

SIGNAL = "scancel --signal"
FINAL = (CANCELLED, OUT_OF_MEMORY)
"""After these nothing goes on by itself."""
BY_STATE = {
    "TIMEOUT": WALLTIME,
    "DEADLINE": DEADLINE,
    "REVOKED": REVOKED,
    "PREEMPTED": PREEMPTION,
    "NODE_FAIL": NODE_FAILURE,
    "BOOT_FAIL": NODE_FAILURE,
    "REQUEUED": REQUEUE,
    "CANCELLED": CANCELLED,
    "OUT_OF_MEMORY": OUT_OF_MEMORY,
}
EARLY_S = 75.0
"""Slurm may send `--signal` up to a minute before its time."""
LAST_S = 5.0
LOOKS = 10
LOOK_S = 1.0
"""Accounting lags: how often and how far apart it is asked for the end of a job that is over."""
BY_LOG = (OUT_OF_MEMORY, NODE_FAILURE, WALLTIME, PREEMPTION, REQUEUE, CRASHED)
"""What a log is believed where accounting says nothing better. That somebody cancelled the job is not among them: it
would be final."""
BY_REASON = {
    "OutOfMemory": OUT_OF_MEMORY,
    "TimeLimit": WALLTIME,
    "NodeDown": NODE_FAILURE,
    "RaisedSignal": KILLED,
    "NonZeroExitCode": KILLED,
    "JobLaunchFailure": KILLED,
    "SystemFailure": KILLED,
}
"""What the controller names as the reason of an end, by its first word."""
AT_WORK = ("RUNNING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING")
UNBROKEN = ("0:0", f"0:{signal.SIGTERM.value}")
"""What the controller shows as the exit of a job that is being cancelled: before its script has ended, and after. One
whose script was killed, or ended by itself under its tasks, is completing too."""
SLURMD = 31 * 128
"""Of an error of slurmd (slurm_errno.h) a job's status keeps the last seven bits, in the place of a signal."""
SLURMD_ERRORS = {
    4007: (NOT_STARTED, "the credential of the job had expired"),
    4008: (NOT_STARTED, "the credential of the job was revoked"),
    4010: (NOT_STARTED, "there was no place for its script on the node"),
    4014: (NOT_STARTED, "its environment could not be set up on the node"),
    4016: (NOT_STARTED, "the node could not take on its user"),
    4020: (NOT_STARTED, "its script could not be executed on the node"),
    4021: (NO_OUTPUT, "the file for its output could not be opened"),
    4022: (NOT_STARTED, "the prolog failed on the node"),
}
CRASHES = (signal.SIGILL, signal.SIGTRAP, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV, signal.SIGSYS)
BY_SIGNAL = {
    125: OUT_OF_MEMORY,  # Slurm's own, of a step that ran out of memory
    signal.SIGABRT: ABORTED,
    signal.SIGKILL: KILLED,
    signal.SIGTERM: TERMINATED,
}
PEER_SIGNS = re.compile(
    r"Connection (?:closed|reset) by peer|Broken pipe|ncclRemoteError|remote process exited|communicator was aborted"
    r"|Socket Timeout|failed to recv|Timed out waiting|timed out after \d+ ?ms|Application timeout",
    re.IGNORECASE,
)
PEER_GONE = "another process of this job is gone"
PEER_ERRORS = ("DistNetworkError", "DistStoreError")
"""Classes of torch.distributed."""


@dataclass(frozen=True)
class Ending:
    """How a job ended, as Slurm tells it."""

    state: str | None
    """PREEMPTED, NODE_FAIL, ...; None if nobody knows."""
    exit: str | None
    """Status and signal: `0:9`."""
    ended: str | None = None
    """When, as records carry it; None where accounting does not tell."""


def cause_of_signal(
    name: str | None, at: float, continued: bool, unit: Unit, shown: Mapping[str, str] | None
) -> str:
    """Why a job that stopped at a safe point was asked to.

    Args:
        name: of the signal; None if another process of the job was asked.
        at: when, in seconds since 1970.
        continued: whether SIGCONT came too.
        unit: the job.
        shown: what the controller says of it now, None if nothing.
    """
    shown = shown or {}
    if epoch_s(shown.get("PreemptTime")):
        return PREEMPTION
    if int(shown.get("Restarts", 0)) > unit.restart:
        return REQUEUE
    if told := BY_REASON.get(re.split(r"[:(]", shown.get("Reason", ""))[0]):
        return told
    early = unit.signal_s + EARLY_S if name in ("SIGUSR1", "SIGUSR2") else LAST_S
    if at >= (_end(shown) or unit.ends) - early:
        return WALLTIME
    state = shown.get("JobState", "RUNNING")
    if state not in AT_WORK:
        unbroken = state in ("COMPLETING", "CANCELLED") and shown.get("ExitCode", "0:0") in UNBROKEN
        return CANCELLED if unbroken else cause_of_ending(Ending(state, shown.get("ExitCode")), "")
    if shown:
        return KILLED if continued and name == "SIGTERM" else SIGNAL
    return PREEMPTION if continued or name == "SIGUSR2" else SIGNAL


def cause_of_stop(unit: Unit, seen: Interrupts) -> str:
    """Why a unit that stopped at a safe point was asked to, by all that can be asked from inside its job.

    That somebody cancelled it is final: accounting, where it answers, has to say so too.
    """
    cause = cause_of_signal(seen.cause, seen.time or time.time(), seen.continued, unit, unit.shown())
    if cause != CANCELLED:
        return cause
    ending = ending_of(unit.job, unit.restart, looks=1, name=unit.name)
    return cause_of_ending(ending, "") if ending.state else cause


def _end(shown: Mapping[str, str]) -> float | None:
    """When a job's time is up; its `EndTime` is now once it is being ended."""
    start, limit = epoch_s(shown.get("StartTime")), duration_s(shown.get("TimeLimit", ""))
    return start + limit if start and limit else None


def cause_of_ending(ending: Ending, log: str) -> str:
    """Why a job ended that could not tell itself; `log` is what it and srun printed."""
    last = accounted(ending)
    if last and ending.state in BY_STATE:
        return last.kind
    told = ended_by([*messages(after_progress(log)), *([last] if last else [])])
    kind = told.kind if told else BY_STATE.get(ending.state or "", KILLED)
    return kind if kind in BY_LOG else KILLED


def accounted(ending: Ending) -> Message | None:
    """What accounting says of an end, as Slurm's last message.

    Returns:
        None if it says nothing, or that all was well; also of a requeue, which is what somebody did about an end.
    """
    line = f"sacct: {ending.state}, exit {ending.exit}"
    if ending.state in BY_STATE and ending.state != "REQUEUED":
        return Message(BY_STATE[ending.state], line)
    status, _, number = (ending.exit or "").partition(":")
    if not (status.isdecimal() and number.isdecimal()) or ending.state == "REQUEUED":
        return None
    code, sent = int(status), int(number)
    if found := SLURMD_ERRORS.get(SLURMD + sent):
        return Message(found[0], line, how=found[1])
    died = sent or (
        code - 128 if 128 < code <= 128 + signal.SIGSYS else 0
    )  # as a shell tells of its last command
    if kind := CRASHED if died in CRASHES else BY_SIGNAL.get(died):
        return Message(kind, line, how=signal.strsignal(died) or "" if died <= signal.SIGSYS else "")
    return Message(EXITED, line, how=status) if code else None


def ending_of(job: str, restart: int, wait_s: float = LOOK_S, looks: int = LOOKS, name: str = "") -> Ending:
    """How a start of a job ended; it must be over, or about to be.

    Args:
        job: `14_2` or `15`.
        restart: which start of it, from 0.
        wait_s: seconds between two looks, while accounting does not know yet.
        looks: at most so many.
        name: of the job, where it is known: before ids began anew another may have had the same.
    """
    for look in range(looks):
        if look:
            time.sleep(wait_s)
        rows = ended([job])
        if rows is None:
            break
        known = [row for row in rows if row.id == job and (not name or row.name in ("", name))][
            restart : restart + 1
        ]
        if known and known[0].state not in UNDECIDED:
            end = epoch_s(known[0].end)
            return Ending(known[0].state, known[0].exit, as_recorded(end) if end else None)
    return Ending(None, None)


def lost_peer(error: BaseException) -> bool:
    """Whether an exception only says that another process of the job is gone."""
    names = [kind.__name__ for kind in type(error).__mro__]
    return any(name in PEER_ERRORS for name in names) or (
        isinstance(error, RuntimeError) and bool(PEER_SIGNS.search(str(error)))
    )


def peer_gone(error: BaseException) -> str:
    """What to tell of an exception that only says that another process is gone."""
    return f"{PEER_GONE}: {error}"


def worded(error: BaseException) -> str:
    """An exception in a line or more; of a group also what the first in it says."""
    inner = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else None
    return f"{type(error).__name__}: {error}" + (f": {worded(inner)}" if inner else "")


def tail(text: str, lines: int) -> list[str]:
    """The last lines of a log that are about the job."""
    told = [line for line in text.splitlines() if line.strip() and not line.startswith("submitit ")]
    return told[-lines:]


def read_log(path: Path, begin: int = 0, end: int | None = None) -> str:
    """Bytes of a log as text; empty if it is not there."""
    try:
        return path.read_bytes()[begin:end].decode(errors="replace")
    except OSError:
        return ""


def diagnosis(reason: str, facts: Mapping[str, Any], lines: Sequence[str], advice: str) -> str:
    """One screen on why a run stopped; its first line is the reason.

    Args:
        reason: in a line, or as an exception words it.
        facts: further lines, such as where it was.
        lines: the last of the log.
        advice: the next step.
    """
    told = [reason, *(f"  {key}: {value}" for key, value in facts.items())]
    if lines:
        told += ["  last lines of the log:", *(f"    {line[:160]}" for line in lines)]
    return "\n".join([*told, f"  next: {advice}\n"])
