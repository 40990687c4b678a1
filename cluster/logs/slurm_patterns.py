"""What it means that Slurm ended a job, or could not begin it: by the kind of its message, or of a run's record."""

from __future__ import annotations

from cluster.job import causes, slurm_messages
from cluster.job.slurm_messages import Message
from cluster.logs.advice_words import AGAIN, ASKED, ERRORS, EXCLUDE, GOES_ON, MORE_MEMORY, REBUILD, RETRY
from cluster.logs.pattern import Finding, Meaning, Strength
from cluster.logs.process_patterns import SUFFICED
from cluster.run.state import Cause

USED_UP = "python launch.py efficiency {run}: whether memory was nearly used up"
STOPPED = Meaning(
    Cause.TOLD_TO_STOP,
    "a signal, or a requeue, stopped its job at a safe point, and nothing took it up again",
    (GOES_ON,),
    passing=True,
)
MEANINGS = {
    slurm_messages.OUT_OF_MEMORY: Meaning(
        Cause.OUT_OF_MEMORY,
        "{who} needed more memory than the job had asked for",
        (MORE_MEMORY, "ask for more memory of a node: --mem", ASKED),
    ),
    slurm_messages.NODE_FAILURE: Meaning(
        Cause.NODE_FAILURE, "the node {node} failed under the job", (GOES_ON,), passing=True
    ),
    slurm_messages.WALLTIME: Meaning(
        Cause.WALLTIME, "the time that the job had asked for was over", (AGAIN + " more --time or --units",)
    ),
    slurm_messages.DEADLINE: Meaning(
        Cause.DEADLINE,
        "it could not be done before its --deadline, and Slurm ended it",
        (AGAIN + " a later --deadline, or none",),
    ),
    slurm_messages.REVOKED: Meaning(
        Cause.REVOKED,
        "another cluster of the federation has started it, and this one let it go",
        ("squeue --me --federation",),
    ),
    slurm_messages.PREEMPTION: Meaning(
        Cause.PREEMPTION, "a job of higher priority took its place", (GOES_ON,), passing=True
    ),
    slurm_messages.CANCELLED: Meaning(
        Cause.CANCELLED, "somebody ended its job with scancel", (GOES_ON,), passing=True
    ),
    slurm_messages.REQUEUE: STOPPED,
    causes.SIGNAL: STOPPED,
    slurm_messages.NOT_STARTED: Meaning(
        Cause.NOT_STARTED,
        "Slurm could not start its processes {where}: {how}",
        (RETRY, EXCLUDE + ", if it happens there only"),
    ),
    slurm_messages.NO_STEP: Meaning(
        Cause.NOT_STARTED,
        "srun was given no step to start its processes in ({how}): another one holds the nodes, or Slurm is unwell",
        (RETRY,),
    ),
    slurm_messages.NO_OUTPUT: Meaning(
        Cause.NO_OUTPUT,
        "the node could not open the file that the job was to print into {path} ({how}): its folder is gone, full, or "
        "read-only there",
        (AGAIN + " --runs on scratch", "diskusage_report: whether a quota is used up; then " + RETRY),
    ),
    slurm_messages.NO_PROGRAM: Meaning(
        Cause.WRONG_ENVIRONMENT, "the node could not start a program: {how}", (REBUILD,)
    ),
    slurm_messages.CRASHED: Meaning(
        Cause.CRASHED,
        "{who} ended by: {how}",
        (ERRORS, EXCLUDE + ", if it happens there only", GOES_ON),
    ),
    slurm_messages.ABORTED: Meaning(
        Cause.CRASHED,
        "{who} ended by: {how}",
        (ERRORS, EXCLUDE + ", if it happens there only", GOES_ON),
        Strength.FOLLOWS,
    ),
    slurm_messages.KILLED: Meaning(
        Cause.KILLED,
        "{who} was killed (SIGKILL): most often that is for want of memory, though nothing says so here",
        (f"{USED_UP}; if so: {MORE_MEMORY}", USED_UP, GOES_ON),
    ),
    slurm_messages.TERMINATED: Meaning(
        Cause.KILLED,
        "something ended its processes ({how}), and nothing says what",
        (GOES_ON, ERRORS),
        Strength.FOLLOWS,
    ),
}
"""By the kind of message, or the cause that a run recorded. A plain exit status is none: it says nothing of why."""
SIGNALS = {
    "Illegal instruction": Meaning(
        Cause.WRONG_ENVIRONMENT,
        "{who} has code for another model of processor (illegal instruction)",
        (REBUILD, EXCLUDE + ", if it happens there only"),
    ),
    "Bus error": Meaning(
        Cause.CRASHED,
        "{who} ended by: {how}: a file that it had mapped was cut or unreadable, or /dev/shm or a disk "
        "was full",
        (ERRORS, SUFFICED, EXCLUDE + ", if it happens there only"),
    ),
}
"""By the signal, where it says more."""


def meant(message: Message) -> Finding:
    """What a message of Slurm's, but a plain exit status, means."""
    meaning = MEANINGS[message.kind]
    if message.kind == slurm_messages.CRASHED:
        meaning = SIGNALS.get(message.how, meaning)
    where = f"on {message.node}" if message.node else ""
    who = f"task {message.task} {where}" if message.task else f"a process of the job {where}"
    told = {"who": who, "where": where, "node": message.node, "task": message.task}
    groups = {**told, "how": message.how, "path": message.path}
    return Finding(meaning, groups, message.line)
