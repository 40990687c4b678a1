"""Why a job waits, in plain words: one table of the reasons that squeue gives, each with what helps.

Names: slurm.schedmd.com/job_reason_codes.html and resource_limits.html. Which of a site's limits stands behind one:
`sacctmgr show qos` and `sacctmgr show assoc`.
"""

from __future__ import annotations

from cluster.logs.pattern import Sign, sign

LESS = "ask for less: fewer --gpus, a slice of a GPU (--gpu), or a shorter --time"
SHORTER = "a shorter --time with more --units may start sooner: more partitions take it"
NOTHING = "nothing to be done: it starts by itself"
SHARE = "sshare -U: how much of its share the account has used; -o cluster.account=... if you have another"
END = "scancel {job}; then the launch command again"

REASONS: tuple[Sign, ...] = (
    sign(
        "waits its turn",
        r"^Priority",
        "other jobs have a higher priority: it waits its turn",
        SHORTER,
        SHARE,
    ),
    sign("waits for room", r"^Resources", "it is next, and waits until nodes are free", NOTHING, SHORTER),
    sign(
        "can never start",
        r"^DependencyNeverSatisfied",
        "the job that it waits for has failed: it can never start",
        END,
    ),
    sign(
        "waits for another job",
        r"^Dependency",
        "it waits for another job to end well",
        NOTHING,
    ),
    sign(
        "waits for the unit before",
        r"^JobArrayTaskLimit",
        "as many elements of its array run as may at once: it follows one of them",
        NOTHING,
    ),
    sign(
        "begins later", r"^BeginTime", "it is not to begin before a set time, or was just requeued", NOTHING
    ),
    sign("held", r"^JobHeldUser", "you hold it back", "scontrol release {job}"),
    sign(
        "held",
        r"^JobHeldAdmin|^JobHoldMaxRequeue|launch failed requeued held",
        "Slurm or its administrators hold it back, mostly as it could not be started several times",
        "scontrol show job {job}; then ask the support, or " + END,
    ),
    sign(
        "maintenance",
        r"[Rr]eserved for maintenance|^Reservation|^ReqNodeNotAvail, Reserved",
        "nodes are reserved (mostly for maintenance) from a time before it would end",
        "scontrol show reservation: when; a --time that ends before lets it start now",
        NOTHING + " afterwards",
    ),
    sign(
        "nodes not available",
        r"^ReqNodeNotAvail|^Nodes_required|^NodeDown|DOWN, DRAINED",
        "the nodes that it needs are down, drained, or reserved for others",
        "sinfo -R: which, and why; if the job names or excludes nodes, leave that out",
        LESS,
    ),
    sign(
        "impossible request",
        r"^BadConstraints|^PartitionNodeLimit|^MaxMemPerLimit|^QOSMin|^AssocMin",
        "no node of the cluster, or no rule of it, fits what it asks for",
        "python launch.py doctor; " + END + " with another request",
    ),
    sign(
        "time too long",
        r"^PartitionTimeLimit|MaxWallDurationPerJob",
        "it asks for more time than the partition or the account may have",
        END + " with a shorter --time and more --units",
    ),
    sign(
        "partition closed",
        r"^PartitionDown|^PartitionInactive",
        "its partition takes no jobs now",
        "the cluster's status page; " + NOTHING,
    ),
    sign(
        "account refused",
        r"^InvalidAccount|^AccountNotAllowed|^AssociationNotFound",
        "its account does not exist, has ended, or may not run here",
        "sacctmgr show assoc user=$USER format=account,qos: the accounts that you have",
        END + " with --account",
    ),
    sign(
        "QOS refused",
        r"^InvalidQOS|^QOSNotAllowed|^QOSUsageThreshold",
        "its account may not use its QOS",
        "sacctmgr show assoc user=$USER format=account,qos: what you may use",
        END,
    ),
    sign(
        "too many jobs submitted",
        r"^(?:Assoc|QOS)(?:Max|Grp)Submit\w*",
        "you, or your group, have as many jobs in the queue as are allowed",
        NOTHING + " once others have ended",
    ),
    sign(
        "too many jobs running",
        r"^(?:Assoc|QOS)(?:Max|Grp)Jobs\w*",
        "as many jobs of you, or of your group, run as may at once",
        NOTHING + " once one of them ends",
        "fewer, longer jobs: cells of a grid share a slot (--slots), more hours per unit (--time)",
    ),
    sign(
        "the group's limit",
        r"^AssocGrp(?P<what>GRES|CPU|Mem|Node|Billing)\w*",
        "all the {what}, or {what} time, that the account may have is taken by its jobs together",
        NOTHING + " once others of the group end",
        LESS,
        SHARE,
    ),
    sign(
        "your limit",
        r"^(?:QOS|Assoc)Max(?P<what>GRES|Cpu|CPU|Mem|Memory|Node|Billing)\w*",
        "your jobs together, or this one alone, take or ask for more {what} than one user may",
        NOTHING + " once others of yours end, unless it alone is too large",
        LESS,
    ),
    sign(
        "the QOS is full",
        r"^QOSGrp(?P<what>GRES|Cpu|CPU|Mem|Memory|Node|Billing)\w*",
        "all the {what} that its QOS may have is taken",
        NOTHING,
    ),
    sign("waits for a licence", r"^Licenses", "it waits for a licence that others hold", NOTHING),
    sign(
        "could not be started",
        r"^JobLaunchFailure|^SystemFailure|^Prolog|^RaisedSignal|^NonZeroExitCode",
        "Slurm could not start it on its nodes",
        NOTHING + ", or " + END,
    ),
    sign("being looked at", r"^None$|^Cleaning|^$", "the scheduler has not looked at it yet", NOTHING),
    sign(
        "waits",
        r".",
        "the scheduler's reason is not in our table (slurm.schedmd.com/job_reason_codes.html)",
        "scontrol show job {job}",
    ),
)
