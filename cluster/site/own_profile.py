"""A profile of any cluster that has Slurm, as Slurm itself tells of it; what it does not tell is said to be unknown.

Formats: slurm.schedmd.com, pages scontrol, sinfo, sacctmgr and slurm.conf; checked on Slurm 22.05 and 24.11.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.files import write_new
from cluster.profile.facts import (
    Accounts,
    Area,
    Continuation,
    Hardware,
    Limits,
    Network,
    NodeKind,
    Software,
    Storage,
    Walltime,
)
from cluster.profile.load import SlurmProfile
from cluster.profile.profile_file import refuse_name
from cluster.profile.rules import USABLE
from cluster.profile.write import profile_yaml
from cluster.quantities import human_time
from cluster.site.live import UNTYPED, Shape
from cluster.site.partitions import Partition, Slurm, ask_slurm, number

YEAR_MIN = 525600
"""What stands for no limit of time."""
DAY_MIN = 1440
WORD = "gpu"
"""What GPUs are called where the site has no word for them: none is asked for by it."""
SCRATCH, PROJECT = ("SCRATCH", "WORK", "WORKDIR"), ("PROJECT", "PROJECTS")
"""Variables by which sites name their storage."""


HEAD = """\
What a cluster is, {told}: for --cluster {file}
`unknown` is what nobody has said. A key that is wrong is refused with the line and the nearest that is right;
`python launch.py doctor --cluster {file}` compares this with the cluster."""


def write_own_profile(path: Path, environ: Mapping[str, str]) -> SlurmProfile:
    """Write a profile of the Slurm of this machine into a new file.

    Args:
        path: of the file; its name is that of the cluster.
        environ: of the user.

    Raises:
        ClusterError: no Slurm answers, or the file is there already or cannot be a cluster's.
    """
    refuse_name(path)
    slurm = ask_slurm()
    source = f"Slurm {slurm.config.get('SLURM_VERSION', '')} of the cluster"
    profile, notes = profile_of_slurm(path.stem, slurm, environ, source, date.today())
    head = HEAD.format(told=f"as its Slurm told on {date.today()}", file=path.name)
    write_new(path, profile_yaml(profile, head, notes))
    return profile


def write_profile_by_hand(path: Path, shape: Shape, environ: Mapping[str, str]) -> SlurmProfile:
    """Write a profile of a cluster that cannot be asked from here, into a new file.

    Args:
        path: of the file; its name is that of the cluster.
        shape: of its nodes, in the partition that jobs name; an empty name is none.
        environ: of the user.

    Raises:
        ClusterError: the file is there already or cannot be a cluster's.
    """
    refuse_name(path)
    slurm = Slurm(config={}, shapes=(shape,), partitions={}, accounts=None)
    profile, notes = profile_of_slurm(path.stem, slurm, environ, "by hand", date.today())
    notes |= dict.fromkeys(("account", "hardware.kinds[0].cores", "hardware.memory"), "")
    notes |= {
        "limits.array": "MaxArraySize of scontrol show config",
        "continuation.requeue": "JobRequeue of scontrol show config",
        "continuation.preemption": "yes if jobs of others may push a running one out",
        "accounts.needed": "yes where a job must be charged to an account",
    }
    write_new(path, profile_yaml(profile, HEAD.format(told="by hand", file=path.name), notes))
    return profile


def profile_of_slurm(
    name: str, slurm: Slurm, environ: Mapping[str, str], source: str, today: date
) -> tuple[SlurmProfile, dict[str, str]]:
    """The profile of a cluster, and notes on where its values are from and what was left out, by key.

    Args:
        name: what to call it.
        slurm: what it tells of itself.
        environ: of the user.
        source: of the facts.
        today: their day.

    Raises:
        ClusterError: it has no node in a partition that is open to the user.
    """
    notes: dict[str, str] = {}
    kinds = _kinds(slurm, notes)
    read = {"source": source, "checked": str(today)}
    longest = max(kind.longest or YEAR_MIN for kind in kinds)
    kinds = tuple(replace(kind, longest=None) if kind.longest == longest else kind for kind in kinds)
    if longest == YEAR_MIN:
        notes["walltime.longest"] = "the partitions set no limit: a year stands for that"
    cluster = slurm.config.get("ClusterName") or name
    config = slurm.config
    requeues = config.get("JobRequeue")
    profile = SlurmProfile(
        name=name,
        executor="slurm",
        title=f"{cluster}, {' and '.join(_told(kind) for kind in kinds)}",
        login=None,
        account=_account(slurm, notes),
        hardware=Hardware(kinds=kinds, typed=_typed(kinds), memory=_memory(config, notes), **read),
        walltime=Walltime(brackets=None, shortest=None, longest=longest, **read),
        limits=Limits(
            jobs=None,
            running=None,
            array=number(config.get("MaxArraySize", "")),
            nodes=_most_nodes(slurm, kinds),
            nodes_allocated=None,
            **read,
        ),
        accounts=Accounts(prefix=None, needed=_needed(slurm), **read),
        network=_network(notes, read),
        storage=_storage(environ, notes, read),
        continuation=Continuation(
            mode="chain",
            requeue=None if requeues is None else requeues == "1",
            sbatch_in_job=None,
            scontrol_in_job=None,
            preemption=config.get("PreemptType", "") not in ("", "preempt/none"),
            **read,
        ),
        software=_software(notes, read),
    )
    notes["limits.array"] = "MaxArraySize"
    notes["continuation.requeue"] = "JobRequeue"
    notes["continuation.preemption"] = f"PreemptType {config.get('PreemptType') or 'none'}"
    return profile, notes


def _kinds(slurm: Slurm, notes: dict[str, str]) -> tuple[NodeKind, ...]:
    """Nodes by the word of their GPU, the most common word first; by their cores where no node has a GPU."""
    usable = [one for one in slurm.shapes if _partition(slurm, one).open]
    if not usable:
        names = ", ".join(sorted({one.partition for one in slurm.shapes}))
        raise ClusterError(
            f"no partition of this Slurm is open to you ({names}): ask its staff for an account or a group"
        )
    words: list[str | None] = [*dict.fromkeys(word for shape in usable for word in shape.gpus)] or [None]
    if UNTYPED in words and len(words) > 1:
        notes["hardware.kinds"] = "GPUs without a word, beside those that have one, are left out"
        words = [word for word in words if word != UNTYPED]
    found = {word: [one for one in usable if word is None or word in one.gpus] for word in words}
    order = sorted(
        found, key=lambda word: -max(one.nodes * one.gpus.get(word or "", 1) for one in found[word])
    )
    notes.setdefault(
        "hardware.kinds",
        "the first is what a recipe gets that asks for nothing: put that first which it should",
    )
    return tuple(_kind(slurm, word, found[word], at, notes) for at, word in enumerate(order))


def _kind(
    slurm: Slurm, word: str | None, shapes: Sequence[Shape], at: int, notes: dict[str, str]
) -> NodeKind:
    """Nodes with one word of GPU: the most common shape of those with most of them, in the partition that fits."""
    gpus = (lambda one: one.gpus[word]) if word is not None else (lambda one: one.cores)
    whole = max(shapes, key=lambda one: (gpus(one), one.nodes))
    alike = [one for one in shapes if (gpus(one), one.cores) == (gpus(whole), whole.cores)]
    best = max((_partition(slurm, one) for one in alike), key=lambda one: _fitness(slurm, one, word))
    others = sorted({one.partition for one in alike} - {best.name})
    if others:
        limits = {name: slurm.partitions[name].longest_min for name in others if name in slurm.partitions}
        told = [
            f"{name} ({human_time(limits[name] or YEAR_MIN)})" if limits.get(name) else name
            for name in others
        ]
        notes[f"hardware.kinds[{at}].partition"] = (
            f"of those with these nodes alone that with the longest time; also {', '.join(told)}"
        )
    each = max(1, whole.cores // (sum(whole.gpus.values()) or whole.cores))
    least_mb = min(one.mem_mb for one in alike)
    share = int(least_mb * USABLE) // (sum(whole.gpus.values()) or whole.cores)
    if best.mem_per_cpu_mb and best.mem_per_cpu_mb * each < share:
        share = best.mem_per_cpu_mb * each
        notes[f"hardware.kinds[{at}].mem_per_gpu_mb"] = f"MaxMemPerCPU {best.mem_per_cpu_mb} for {each} cores"
    notes[f"hardware.kinds[{at}].cores"] = "as sinfo counts them"
    return NodeKind(
        gpu=None if word is None else word or WORD,
        model=word or (WORD if word is not None else "CPU"),
        count=max(one.nodes for one in alike),
        gpus=whole.gpus[word] if word is not None else None,
        gpu_memory_gb=None,
        cores=whole.cores,
        mem_mb=least_mb,
        cores_per_gpu=each,
        mem_per_gpu_mb=share,
        local_disk_gb=None,
        partition=best.name or None,
        longest=best.longest_min or YEAR_MIN,
    )


def _fitness(slurm: Slurm, partition: Partition, word: str | None) -> tuple[bool, int, bool]:
    """What makes a partition the one to name: nothing but these nodes in it, the longest time, the default."""
    shapes = [one for one in slurm.shapes if one.partition == partition.name]
    alone = word is not None and all(word in one.gpus for one in shapes)
    return alone, partition.longest_min or YEAR_MIN, partition.default


def _partition(slurm: Slurm, shape: Shape) -> Partition:
    """That of a shape; where scontrol does not tell of it, as sinfo does."""
    unknown = Partition(
        name=shape.partition,
        default=False,
        longest_min=shape.longest_min,
        nodes=None,
        open=not slurm.partitions,
        mem_per_cpu_mb=None,
    )
    return slurm.partitions.get(shape.partition, unknown)


def _told(kind: NodeKind) -> str:
    each = f"{kind.gpus} {kind.gpu}" if kind.gpu else f"{kind.cores} cores"
    return f"{kind.count} node{'s' * (kind.count != 1)} of {each}"


def _typed(kinds: Sequence[NodeKind]) -> bool:
    return any(kind.gpu not in (None, WORD) for kind in kinds)


def _memory(config: Mapping[str, str], notes: dict[str, str]) -> bool:
    """Whether memory is something that jobs ask for: where it is not counted, a request is only in the way."""
    counted = "MEMORY" in config.get("SelectTypeParameters", "MEMORY").upper()
    given = next((f"{key} {config[key]}" for key in ("DefMemPerCPU", "DefMemPerNode") if config.get(key)), "")
    told = f"SelectTypeParameters {config.get('SelectTypeParameters', 'unknown')}"
    notes["hardware.memory"] = ", ".join(filter(None, (told, given)))
    return counted


def _most_nodes(slurm: Slurm, kinds: Sequence[NodeKind]) -> int | None:
    """Most nodes of one job, where every partition that is used has a limit."""
    limits = [slurm.partitions[kind.partition or ""].nodes for kind in kinds if slurm.partitions]
    return None if not limits or None in limits else max(one for one in limits if one is not None)


def _needed(slurm: Slurm) -> bool:
    """Whether a job must be charged to an account: where only one that is known may submit."""
    return slurm.accounts is not None and "associations" in slurm.config.get("AccountingStorageEnforce", "")


def _account(slurm: Slurm, notes: dict[str, str]) -> str | None:
    accounts = slurm.accounts
    if accounts is None:
        notes["account"] = "this Slurm keeps none"
    elif len(accounts) != 1:
        notes["account"] = f"yours: {', '.join(accounts) or 'none'}; choose one here, or give --account"
    return accounts[0] if accounts and len(accounts) == 1 else None


def _network(notes: dict[str, str], read: Mapping[str, str]) -> Network:
    notes["network.internet"] = "not looked at: python launch.py doctor --compute tells; no is safe"
    return Network(internet="no", wandb="offline", proxy_module=None, **read)


def _storage(environ: Mapping[str, str], notes: dict[str, str], read: Mapping[str, str]) -> Storage:
    """Areas by the variables that sites use; quotas and purges are what no command tells alike."""

    def area(names: Sequence[str]) -> Area:
        name = next((one for one in names if os.path.isdir(environ.get(one, ""))), "HOME")
        return Area(path=f"${name}", quota_gb=None, files=None, purge_days=None)

    notes["storage.home"] = "quotas and purge_days: see the site's pages"
    notes["storage.local"] = "disk or memory: what $SLURM_TMPDIR or /tmp of a node is made of; not looked at"
    return Storage(home=area(()), project=area(PROJECT), scratch=area(SCRATCH), local="disk", **read)


def _software(notes: dict[str, str], read: Mapping[str, Any]) -> Software:
    """The Python that runs this is the one that jobs get: they see the same home."""
    notes["software.environment"] = "this Python's; compute nodes must see it at the same path"
    return Software(modules=(), environment=str(Path(sys.prefix)), **read)
