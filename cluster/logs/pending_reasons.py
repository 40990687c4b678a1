"""Why a job waits, in plain words: one table of the reasons and states that squeue gives, each with what helps.

Names: slurm.schedmd.com/job_reason_codes.html, resource_limits.html and squeue.html, "JOB STATE CODES"; checked against
all of 22.05 and 24.11 (src/common/job_state_reason.c). Where the controller has a text of its own squeue prints that
instead (`job requeued in held state`), scontrol with underscores. Which of a site's limits stands behind a code:
`sacctmgr show qos` and `sacctmgr show assoc`.
"""

from __future__ import annotations

from collections.abc import Iterable

from cluster.logs.pattern import Finding, LogPattern, find_pattern, log_pattern
from cluster.slurm.queued_job import QueuedJob

LESS = "ask for less: fewer --gpus, a slice of a GPU (--gpu), or a shorter --time"
SHORTER = "a shorter --time with more --units may start sooner: more partitions take it"
NOTHING = "nothing to be done: it starts by itself"
SHARE = "sshare -U: how much of its share the account has used; -o cluster.account=... if you have another"
END = "scancel {job}; then the launch command again"
RELEASE = "scontrol release {job}"
ASSOCIATIONS = "sacctmgr show assoc user=$USER format=account,qos: what you may use"
NEVER = "as it is, it will never start"

HELD: tuple[LogPattern, ...] = (
    log_pattern(
        "held",
        r"requeued[ _]in[ _]special|^SPECIAL_EXIT",
        "it ended with an exit status that the site holds jobs for (SPECIAL_EXIT), and waits to be released",
        "why it ended so: python launch.py logs {run} --errors; then " + RELEASE,
        END,
    ),
    log_pattern(
        "held",
        r"requeued[ _]in[ _]held|^REQUEUE_HOLD",
        "it was requeued and is held (scontrol requeuehold): it does not start until it is released",
        RELEASE,
        END,
    ),
    log_pattern(
        "held",
        r"requeued[ _]held",
        "Slurm could not start it on its nodes, and holds it until somebody releases it",
        RELEASE + "; if it is held again: scontrol show job {job}, and ask the support",
        END,
    ),
    log_pattern("held", r"^JobHeldUser", "you hold it back: it does not start until it is released", RELEASE),
    log_pattern(
        "held",
        r"^JobHeldAdmin|^JobHoldMaxRequeue",
        "Slurm or its administrators hold it back, mostly as it could not be started several times",
        "scontrol show job {job}; then ask the support, or " + END,
    ),
)
"""It does not start until somebody releases it."""

NEVER_STARTS: tuple[LogPattern, ...] = (
    log_pattern(
        "can never start",
        r"^DependencyNeverSatisfied",
        "the job that it waits for has failed: it can never start",
        END,
    ),
    log_pattern(
        "reservation is gone",
        r"^ReservationDeleted|^ReservationInvalid|^RESV_DEL_HOLD",
        f"the reservation that it asks for does not exist any more: {NEVER}",
        END + " without --reservation",
    ),
    log_pattern(
        "deadline",
        r"^DeadLine|^DEADLINE",
        "it can no longer be done before its --deadline: Slurm takes it out of the queue",
        END + " with a later --deadline, or none",
    ),
    log_pattern(
        "impossible request",
        r"^BadConstraints|^MaxMemPerLimit|^QOSMin|^AssocMin",
        f"no node of the cluster, or no rule of it, fits what it asks for: {NEVER}",
        "python launch.py doctor; " + END + " with another request",
    ),
    log_pattern(
        "time too long",
        r"^PartitionTimeLimit|MaxWallDurationPerJob",
        f"it asks for more time than the partition or the account may have: {NEVER}",
        END + " with a shorter --time and more --units",
    ),
    log_pattern(
        "too large",
        r"^(?:QOS|Assoc)Max(?P<what>[A-Za-z]+?)MinutesPerJob",
        f"it asks for more {{what}} times minutes than one job may have: {NEVER}",
        END + " with a shorter --time and more --units, or with less",
    ),
    log_pattern(
        "too large",
        r"^(?:QOS|Assoc)Max(?P<what>[A-Za-z]+?)Per(?:Job|Node)",
        f"it asks for more {{what}} than one job may have: {NEVER}",
        LESS + "; before that: scancel {job}",
    ),
    log_pattern(
        "account refused",
        r"^InvalidAccount|^AccountNotAllowed|^AssociationNotFound|^Job's account not|^uid \d+ not in group",
        f"its account does not exist, has ended, or may not run here: {NEVER}",
        ASSOCIATIONS,
        END + " with --account",
    ),
    log_pattern(
        "QOS refused",
        r"^InvalidQOS|^QOSNotAllowed|^Job's QOS not",
        f"its account may not use its QOS: {NEVER}",
        ASSOCIATIONS,
        END,
    ),
)
"""It has to be taken out of the queue and asked for otherwise."""

PASSING: tuple[LogPattern, ...] = (
    log_pattern(
        "waits its turn",
        r"^Priority",
        "other jobs have a higher priority: it waits its turn",
        SHORTER,
        SHARE,
    ),
    log_pattern(
        "waits for room", r"^Resources", "it is next, and waits until nodes are free", NOTHING, SHORTER
    ),
    log_pattern("waits for another job", r"^Dependency", "it waits for another job to end well", NOTHING),
    log_pattern(
        "waits for the unit before",
        r"^JobArrayTaskLimit",
        "as many elements of its array run as may at once: it follows one of them",
        NOTHING,
    ),
    log_pattern(
        "begins later",
        r"^BeginTime|^REQUEUED|^REQUEUE_FED",
        "it is not to begin before a set time, or was just requeued",
        NOTHING,
    ),
    log_pattern(
        "maintenance",
        r"[Rr]eserved for maintenance|^Reservation|^ReqNodeNotAvail, Reserved",
        "nodes are reserved (mostly for maintenance) from a time before it would end",
        "scontrol show reservation: when; a --time that ends before lets it start now",
        NOTHING + " afterwards",
    ),
    log_pattern(
        "nodes not available",
        r"^ReqNodeNotAvail|^Nodes[_ ]required|^NodeDown|DOWN, DRAINED|^FrontEndDown|^Constraints",
        "the nodes that it needs are down, drained, or reserved for others",
        "sinfo -R: which, and why; if the job names or excludes nodes, leave that out",
        LESS,
    ),
    log_pattern(
        "nodes without power",
        r"^Power|^MaxPoweredUpNodes",
        "its nodes are switched off, and no more may be switched on now",
        NOTHING,
    ),
    log_pattern(
        "partition closed",
        r"^PartitionDown|^PartitionInactive",
        "its partition takes no jobs now",
        "the cluster's status page; " + NOTHING,
    ),
    log_pattern(
        "too many jobs submitted",
        r"^(?:Assoc|QOS)?(?:Max|Grp)Submit\w*",
        "you, or your group, have as many jobs in the queue as are allowed",
        NOTHING + " once others have ended",
    ),
    log_pattern(
        "too many jobs running",
        r"^(?:Assoc|QOS)?(?:Max|Grp)Jobs\w*|^(?:QOS|Association)JobLimit",
        "as many jobs of you, or of your group, run as may at once",
        NOTHING + " once one of them ends",
        "fewer, longer jobs: cells of a grid share a slot (--slots), more hours per unit (--time)",
    ),
    log_pattern(
        "the group's limit",
        r"^AssocGrp(?!\w*Run)(?P<what>[A-Za-z]+?)Minutes|^AssociationTimeLimit",
        "all the minutes (of {what}) that its account was given are used up: it starts when they are renewed, or fade",
        SHARE,
        END + " with --account, if you have another",
    ),
    log_pattern(
        "the QOS is full",
        r"^QOSGrp(?!\w*Run)(?P<what>[A-Za-z]+?)Minutes|^QOSTimeLimit|^QOSUsageThreshold",
        "all the minutes (of {what}) that its QOS was given are used up: it starts when they are renewed, or fade",
        SHARE,
        ASSOCIATIONS,
    ),
    log_pattern(
        "the group's limit",
        r"^AssocGrpWall|^AssociationResourceLimit",
        "its account's running jobs together have as much time, or as much else, as they may",
        NOTHING + " once others of the group end",
        SHARE,
    ),
    log_pattern(
        "the group's limit",
        r"^AssocGrp(?P<what>[A-Za-z]+?)(?:Run|Minutes|Limit)*$",
        "all the {what}, or {what} time, that the account may have is taken by its jobs together",
        NOTHING + " once others of the group end",
        LESS,
        SHARE,
    ),
    log_pattern(
        "your limit",
        r"^(?:QOS|Assoc)?Max(?P<what>[A-Za-z]+?)(?:RunMins)?Per(?:User|Account)",
        "your jobs, or the account's, together, or this one alone, take or ask for more {what} than they may",
        NOTHING + " once others end, unless it alone is too large",
        LESS,
    ),
    log_pattern(
        "the QOS is full",
        r"^QOSGrpWall|^QOSResourceLimit",
        "the running jobs of its QOS together have as much time, or as much else, as they may",
        NOTHING,
    ),
    log_pattern(
        "the QOS is full",
        r"^QOSGrp(?P<what>[A-Za-z]+?)(?:Run|Minutes|Limit)*$",
        "nothing is left of the {what} that its QOS may have",
        NOTHING,
    ),
    log_pattern(
        "impossible request",
        r"^PartitionNodeLimit",
        "it asks for more nodes than its partition gives, or those that it gives are down",
        "sinfo -R: which are down; " + END + " with fewer nodes",
    ),
    log_pattern(
        "a rule of the site",
        r"^PartitionConfig|^AccountingPolicy",
        "a rule of its partition, account or QOS, which the scheduler does not name, keeps it from starting",
        "scontrol show job {job}; " + ASSOCIATIONS,
        END,
    ),
    log_pattern("waits for a licence", r"^Licenses", "it waits for a licence that others hold", NOTHING),
    log_pattern(
        "waits for a burst buffer",
        r"^BurstBuffer(?:Resources|StageIn)",
        "its burst buffer is being filled, or has no room yet",
        NOTHING,
    ),
    log_pattern(
        "could not be started",
        r"^JobLaunchFailure|^LAUNCH_FAILED|^RECONFIG_FAIL|^SystemFailure|^RaisedSignal|^NonZeroExitCode|^BurstBufferOperation|^OutOfMemory"
        r"|^TimeLimit|^InactiveLimit|^Block|^Unable to load job|^SchedDefer",
        "Slurm could not start it on its nodes, or its last start ended so",
        NOTHING + ", or " + END,
    ),
    log_pattern(
        "being looked at",
        r"^None$|^Cleaning|^$|^WaitingForScheduling|^Prolog|^FedJobLock|^MpiPortsBusy|^EXPEDITING|^Inva(?:il|li)dReason",
        "the scheduler has not looked at it yet, or is about to start it",
        NOTHING,
    ),
    log_pattern(
        "waits",
        r".",
        "the scheduler's reason is not in our table (slurm.schedmd.com/job_reason_codes.html)",
        "scontrol show job {job}",
    ),
)

REASONS: tuple[LogPattern, ...] = (*HELD, *NEVER_STARTS, *PASSING)

BUSY: tuple[LogPattern, ...] = (
    log_pattern(
        "suspended",
        r"^SUSPENDED|^STOPPED",
        "Slurm has suspended it for other jobs: its processes stand still, and go on by themselves",
        "if that lasts: scontrol show job {job}, and ask the support",
    ),
    log_pattern("nodes boot", r"^CONFIGURING|^POWER_UP_NODE", "its nodes are being switched on", NOTHING),
    log_pattern(
        "ends",
        r"^COMPLETING|^STAGE_OUT",
        "it is being ended, or its files are copied away",
        "python launch.py why {run}: once it has ended",
    ),
    log_pattern(
        "being signalled",
        r"^SIGNALING",
        "Slurm is sending it a signal: its time is nearly over, or somebody ends it",
        NOTHING,
    ),
    log_pattern("being resized", r"^RESIZING", "its number of nodes is being changed", NOTHING),
    log_pattern(
        "moved", r"^REVOKED", "another cluster of the federation has started it", "squeue --me --federation"
    ),
)
"""States of a job that has nodes, as far as they say more than that it runs."""


def never_starts(reason: str) -> bool:
    """Whether a job with this reason has to be asked for otherwise."""
    return find_pattern(reason, NEVER_STARTS) is not None


def standstill(rows: Iterable[QueuedJob]) -> tuple[QueuedJob, Finding] | None:
    """Why none of some jobs will start by itself, with the first of them; None if one runs, or only waits."""
    found = [(row, find_pattern(why, HELD + NEVER_STARTS)) for row in rows for why in row.reasons or ("",)]
    if not found or any(told is None or not row.waits for row, told in found):
        return None
    row, told = found[0]
    assert told
    return row, told
