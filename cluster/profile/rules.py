"""What a cluster grants, rule by rule, and the refusal where it does not.

Every refusal is one line: what was asked, the rule, its source and day, and the nearest request that is legal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from cluster.errors import ClusterError
from cluster.profile.facts import NodeKind, Slice
from cluster.profile.load import SlurmProfile
from cluster.profile.schema import nearest
from cluster.quantities import human_memory, human_time, parse_memory, parse_time, short_time

DAY_MIN = 1440
"""A unit where nobody says how long one is to be: the Alliance's own tutorials use 24 h (Points_de_contrôle)."""
OVERHEAD_MIN = 15.0
"""What start-up and the last checkpoint take of a unit; of a short one a tenth."""
USABLE = 0.9
"""Share of a node's nominal memory that jobs can have, where no page says better (Running_jobs: 125G of 128G)."""
COMPETITION = ("rrg-", "rpp-")
"""How accounts of a resource allocation competition begin."""
Accounts = Callable[[], Sequence[str]]
"""Tells the accounts that the user has on a cluster."""


def bracket(profile: SlurmProfile, time_min: int) -> int | None:
    """Longest time, in minutes, of the partitions that a job of this length is put in; None is not known."""
    return next((one for one in profile.walltime.brackets or () if one >= time_min), None)


def units_of(minutes: float, time_min: int) -> int:
    """Units that a run needs: its length, divided by a unit's time less start-up and last checkpoint."""
    return math.ceil(minutes / (time_min - min(OVERHEAD_MIN, time_min / 10)) - 1e-9)


def find_kind(profile: SlurmProfile, word: str | None) -> tuple[NodeKind, Slice | None]:
    """The nodes that have a GPU, and the slice if the word is one of a slice."""
    kinds = profile.hardware.kinds
    if word is None:
        return kinds[0], None
    words = {known: kind for kind in reversed(kinds) for known in kind.words()}
    if word not in words:
        names = ", ".join(name for kind in kinds for name in dict.fromkeys(kind.words().values()))
        raise ClusterError(
            f"{profile.name} has no GPU {word!r}, it has {names}; the nearest is --gpu {_like(word, list(words))} "
            f"{profile.hardware.cite()}"
        )
    kind = words[word]
    name = kind.words()[word]
    return kind, next((part for part in kind.slices if part.word == name), None)


def fewest_gpus(profile: SlurmProfile, word: str | None) -> int:
    """The fewest GPUs that a job is given: one, or a slice of one, where nodes are not given whole."""
    kind, part = find_kind(profile, word)
    return 1 if part else min(kind.per_node or (1,))


def partition_of(profile: SlurmProfile, gpu: str | None) -> str | None:
    """The partition that a job with this GPU names; None leaves it to the scheduler."""
    return find_kind(profile, gpu)[0].partition or profile.hardware.partition


def _like(word: str, words: list[str]) -> str:
    """The same slice under its name here, the GPU that it is a slice of, or what looks like it."""
    same = [one for one in words if "_" in one and one.rpartition("_")[2] == word.rpartition("_")[2]]
    whole = [one for one in words if word.startswith(one)]
    return [*same, *whole, nearest(word, words) or words[-1]][0]


def spread(
    profile: SlurmProfile, kind: NodeKind, part: Slice | None, gpus: int, nodes: int | None
) -> tuple[int, int]:
    """Nodes, and GPUs (CPU tasks) on each."""
    what = kind.gpu or "task"
    if part:
        if gpus == 1 and nodes in (None, 1):
            return 1, 1
        larger = next((one.word for one in kind.slices if one.memory_gb > part.memory_gb), None)
        raise ClusterError(
            f"{max(gpus, nodes or 0)} x {part.word}: a job takes one MIG slice, no more; the nearest is --gpus 1, "
            f"or {f'--gpu {larger} --gpus 1, or ' if larger else ''}--gpu {kind.gpu} "
            f"{profile.hardware.cite()}"
        )
    if _even(kind, gpus, nodes):
        over = -(-gpus // kind.slots) if nodes is None else nodes
        return over, gpus // over
    most = min(2 * gpus + kind.slots, kind.count * kind.slots)  # of the cluster, whatever was typed
    legal = [number for number in range(1, most + kind.slots) if _even(kind, number, nodes)]
    below, above = [n for n in legal if n < gpus][-1:], [n for n in legal if n > gpus][:1]
    nearest_legal = (
        " or ".join(f"--gpus {number}" for number in below + above) or f"--nodes {-(-gpus // kind.slots)}"
    )
    over_nodes = "" if nodes is None else f" on {nodes} node{'s' * (nodes != 1)}"
    raise ClusterError(
        f"{gpus} x {what}{over_nodes}: a node of {profile.name} has {kind.slots}, and {_grant(kind)}; the nearest is "
        f"{nearest_legal} {profile.hardware.cite()}"
    )


def _grant(kind: NodeKind) -> str:
    if kind.per_node is None:
        return "each node of a job gives the same number"
    if kind.per_node == (kind.slots,):
        return "jobs take whole nodes"
    parts = " or ".join(str(number) for number in kind.per_node if number != kind.slots)
    return f"jobs take {parts} of one node, or whole nodes"


def _even(kind: NodeKind, gpus: int, nodes: int | None) -> bool:
    """Whether so many GPUs are the same legal number on each node."""
    over = max(1, -(-gpus // kind.slots)) if nodes is None else nodes
    if over < 1:
        return False
    each, rest = divmod(gpus, over)
    if rest or not 1 <= each <= kind.slots:
        return False
    return kind.per_node is None or (each in kind.per_node and (over == 1 or each == kind.slots))


def check_nodes(profile: SlurmProfile, kind: NodeKind, nodes: int, account: str | None) -> None:
    limits = profile.limits
    if nodes > kind.count:
        raise ClusterError(
            f"{nodes} nodes: {profile.name} has {kind.count} with {kind.model}; the nearest is "
            f"--nodes {kind.count} --gpus {kind.count * kind.slots} {profile.hardware.cite()}"
        )
    competition = (account or "").startswith(COMPETITION)
    most = limits.nodes_allocated if competition else limits.nodes
    if most and nodes > most:
        more = (
            ""
            if competition or not limits.nodes_allocated
            else (f", or an account of a competition (rrg-, rpp-) with {limits.nodes_allocated}")
        )
        raise ClusterError(
            f"{nodes} nodes: a job on {profile.name} takes at most {most}; the nearest is --nodes {most} "
            f"--gpus {most * kind.slots}{more} {limits.cite()}"
        )


def find_cores(profile: SlurmProfile, kind: NodeKind, part: Slice | None, per_node: int) -> int:
    fair = part.cores if part else kind.cores_per_gpu or max(1, kind.cores // kind.slots)
    wanted = profile.cpus_per_task or min(fair, kind.cores // per_node)
    most = fair if part else kind.cores // per_node
    if wanted > most:
        raise ClusterError(
            f"{per_node} x {wanted} cores: a node of {profile.name} has {kind.cores}, of which "
            f"{f'{most} go with {part.word}' if part else f'{most} are there for each of {per_node}'}; the nearest "
            f"is -o cluster.cpus_per_task={most} {profile.hardware.cite()}"
        )
    return wanted


def find_memory(
    profile: SlurmProfile, kind: NodeKind, part: Slice | None, per_node: int, text: str | None
) -> int | None:
    if not profile.hardware.memory:
        if text:
            raise ClusterError(
                f"memory {text}: {profile.name} ignores what a job asks for, memory comes with the GPU or node; "
                f"leave cluster.mem out {profile.hardware.cite()}"
            )
        return None
    if text is None:
        share = kind.mem_per_gpu_mb or int(kind.mem_mb * USABLE) // kind.slots
        return part.mem_mb if part else min(per_node * share, kind.mem_mb)
    asked = parse_memory(text)
    if asked > kind.mem_mb:
        raise ClusterError(
            f"memory {text}: a node of {profile.name} with {kind.model} has {human_memory(kind.mem_mb)}; the nearest "
            f"is -o cluster.mem={human_memory(kind.mem_mb)} {profile.hardware.cite()}"
        )
    return asked


def find_time(profile: SlurmProfile, kind: NodeKind, text: str | None, hours: float | None) -> int:
    rules = profile.walltime
    longest = min(kind.longest or rules.longest, rules.longest)
    on = profile.name if longest == rules.longest else f"{profile.name} with {kind.gpu or kind.model}"
    if text is None:
        whole = math.ceil(hours * 60 + OVERHEAD_MIN) if hours else DAY_MIN
        minutes = max(min(bracket(profile, whole) or whole, DAY_MIN, longest), rules.shortest or 1)
    else:
        minutes = parse_time(text)
    if minutes > longest:
        raise ClusterError(
            f"time {text}: a job on {on} runs for at most {human_time(longest)}; the nearest is "
            f"--time {short_time(longest)} --units {units_of(minutes, longest)} {rules.cite()}"
        )
    if rules.shortest and minutes < rules.shortest:
        raise ClusterError(
            f"time {text}: a job on {profile.name} asks for {human_time(rules.shortest)} or more; the nearest is "
            f"--time {short_time(rules.shortest)} {rules.cite()}"
        )
    return minutes


def count_units(profile: SlurmProfile, wanted: int | str | None, time_min: int, hours: float | None) -> int:
    """`auto` divides the run by what a unit trains: its time less the overhead."""
    if wanted == "auto" and hours is None:
        raise ClusterError(
            "units auto: the length of the whole run is not known; give it by -o cluster.hours=30, or say --units 10"
        )
    if wanted == "auto" or (wanted is None and hours and profile.continuation.mode == "chain"):
        assert hours is not None
        units = units_of(hours * 60, time_min)
    else:
        units = _whole(wanted)
    limits = profile.limits
    most = min((limit for limit in (limits.jobs, limits.array) if limit), default=units)
    if units > most:
        longest = human_time(profile.walltime.longest)
        raise ClusterError(
            f"{units} units: every element of a chain counts as a job, and {profile.name} takes {most} of one user; "
            f"the nearest is --units {most}, or a longer --time (at most {longest}) {limits.cite()}"
        )
    return units


def _whole(wanted: int | str | None) -> int:
    number = 1 if wanted is None else int(wanted) if str(wanted).isdecimal() else 0
    if number < 1:
        raise ClusterError(
            f"units {wanted}: it must be a whole number, at least 1, or auto; the nearest is --units 1"
        )
    return number


def find_account(profile: SlurmProfile, accounts: Accounts | None) -> str | None:
    """The account to charge: the user's, or the only one there is."""
    account, rules = profile.account, profile.accounts
    if account and account.endswith(("_cpu", "_gpu")):
        raise ClusterError(
            f"account {account}: jobs are submitted by the bare name; the nearest is --account {account[:-4]} "
            f"{rules.cite()}"
        )
    if account and rules.prefix and not account.startswith(rules.prefix):
        raise ClusterError(
            f"account {account}: accounts on {profile.name} begin with {rules.prefix}; the nearest is --account "
            f"{rules.prefix}{account.partition('-')[2] or account} {rules.cite()}"
        )
    if accounts is None or not (account or rules.needed):
        return account
    known = sorted(dict.fromkeys(name.removesuffix("_cpu").removesuffix("_gpu") for name in accounts()))
    if account is None and len(known) > 1:
        raise ClusterError(
            f"no account: you have several on {profile.name}, and a job must name one of them; give --account "
            f"{' or '.join(known)} {rules.cite()}"
        )
    if account and known and account not in known:
        raise ClusterError(
            f"account {account}: yours on {profile.name} are {', '.join(known)}; the nearest is --account "
            f"{nearest(account, known) or known[0]} {rules.cite()}"
        )
    return account or next(iter(known), None)
