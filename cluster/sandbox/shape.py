"""What a sandbox imitates: the part of a cluster's profile that its Slurm would know."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cluster.errors import ClusterError
from cluster.profile.facts import NodeKind
from cluster.profile.load import Profile, SlurmProfile

NODES = 4
"""Of each kind: enough for a job of several nodes, and one to lose."""
SUFFIXES = ("", "_cpu", "_gpu")
"""The Alliance books the use of an account under these; jobs name the account without them."""


@dataclass(frozen=True, kw_only=True)
class Rack:
    """Nodes that are alike."""

    count: int
    cpus: int
    memory_mb: int
    gpus: tuple[tuple[str, int], ...] = ()
    """Request word and number on each node, e.g. `(("a100", 4),)`; slices of a GPU have words of their own."""
    partition: str | None = None
    """To be named in a job; None is the default one, which holds all nodes."""
    max_time_min: int | None = None
    """Of that partition; None is the shape's."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """All that is known of it."""

    name: str
    racks: tuple[Rack, ...]
    max_time_min: int
    accounts: tuple[str, ...]
    """The first is the one that a job gets that names none."""
    max_running: int | None = None
    """Jobs of a user that may run at once; None is any number."""
    max_submitted: int | None = None
    """Jobs of a user in the queue, the running ones included."""
    max_array: int = 1001
    """Slurm's own default of `MaxArraySize`."""
    requeue: bool = True
    """Jobs that do not say whether they may be requeued may be."""
    memory: bool = True
    """Jobs ask for memory; else they share that of the node."""
    accounting: bool = True
    warn_preempted: bool = False
    """A preempted job gets the signal that it asked for by `--signal`, not SIGTERM to its steps alone."""

    def nodes(self) -> list[tuple[str, Rack]]:
        """Each node with its rack: node1, node2, ..."""
        every = [rack for rack in self.racks for _ in range(rack.count)]
        return [(f"node{number}", rack) for number, rack in enumerate(every, 1)]

    def gpu_words(self) -> list[str]:
        """The GPU types of all nodes."""
        return list(dict.fromkeys(word for rack in self.racks for word, _ in rack.gpus))


def shape_of(
    profile: Profile, nodes: int = NODES, accounting: bool = True, warn_preempted: bool = False
) -> Shape:
    """The shape of a cluster.

    Args:
        profile: of the cluster.
        nodes: how many of each kind at most; of nodes with sliced GPUs there is one.
        accounting: whether there are accounts, limits and QOS.
        warn_preempted: see `Shape`.

    Raises:
        ClusterError: the profile is not that of a cluster with Slurm.
    """
    if not isinstance(profile, SlurmProfile):
        raise ClusterError(
            f"{profile.name} has no queue that a sandbox could be like; name a cluster, e.g. narval"
        )
    limits, kinds = profile.limits, profile.hardware.kinds
    account = profile.account or f"{profile.accounts.prefix or 'def-'}sandbox"
    return Shape(
        name=profile.name,
        racks=tuple(rack for kind in kinds for rack in _racks(kind, nodes, profile.hardware.partition)),
        max_time_min=profile.walltime.longest,
        accounts=tuple(account + suffix for suffix in SUFFIXES),
        max_running=limits.running,
        max_submitted=limits.jobs,
        max_array=limits.array or Shape.max_array,
        requeue=profile.continuation.requeue is not False,
        memory=profile.hardware.memory,
        accounting=accounting,
        warn_preempted=warn_preempted,
    )


def _racks(kind: NodeKind, nodes: int, partition: str | None) -> list[Rack]:
    whole = ((kind.gpu, kind.gpus),) if kind.gpu and kind.gpus else ()
    of_kind = Rack(
        count=min(kind.count, nodes),
        cpus=kind.cores,
        memory_mb=kind.mem_mb,
        gpus=whole,
        partition=kind.partition or partition,
        max_time_min=kind.longest,
    )
    if not (kind.slices and kind.gpus):
        return [of_kind]
    sliced = tuple((one.word, kind.gpus) for one in kind.slices)
    return [of_kind, replace(of_kind, count=1, gpus=sliced)]
