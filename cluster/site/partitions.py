"""What Slurm tells of itself, once: its configuration, its nodes, its partitions and whether this user may use them."""

from __future__ import annotations

import grp
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cluster.errors import ClusterError
from cluster.quantities import duration_s
from cluster.site.live import SINFO, Shape, parse_config, parse_sinfo, user_accounts
from cluster.slurm import client


@dataclass(frozen=True, kw_only=True)
class Partition:
    """One partition, as `scontrol show partition` tells of it."""

    name: str
    default: bool
    longest_min: int | None
    """None is no limit."""
    nodes: int | None
    """Most nodes of a job; None is no limit."""
    open: bool
    """It is up, and this user may use it."""
    mem_per_cpu_mb: int | None
    """Most memory of a job for each of its cores; None is no limit."""


@dataclass(frozen=True, kw_only=True)
class Slurm:
    """All that is asked of it."""

    config: Mapping[str, str]
    shapes: tuple[Shape, ...]
    partitions: Mapping[str, Partition]
    """Empty where scontrol does not tell."""
    accounts: tuple[str, ...] | None
    """None where there are none."""


def ask_slurm() -> Slurm:
    """Ask the Slurm of this machine.

    Raises:
        ClusterError: none answers.
    """
    config, nodes = client.ask("scontrol", "show", "config"), client.ask("sinfo", *SINFO)
    if not config or not nodes:
        raise ClusterError(
            "no Slurm answers here (scontrol show config, sinfo): give the command on a login node of the cluster, "
            "or write a file by hand from python launch.py init cluster"
        )
    accounts = user_accounts()
    told = client.ask("scontrol", "--oneliner", "show", "partition") or ""
    return Slurm(
        config=parse_config(config),
        shapes=tuple(parse_sinfo(nodes)),
        partitions={one.name: one for one in parse_partitions(told, accounts or (), _groups())},
        accounts=accounts,
    )


def parse_partitions(text: str, accounts: Sequence[str], groups: Sequence[str]) -> Iterator[Partition]:
    """Lines of `scontrol --oneliner show partition`.

    Args:
        text: what it prints.
        accounts: the user's.
        groups: of the user.
    """
    for line in text.splitlines():
        told = dict(re.findall(r"(\w+)=(\S*)", line))
        if "PartitionName" in told:
            yield Partition(
                name=told["PartitionName"],
                default=told.get("Default") == "YES",
                longest_min=_minutes(told.get("MaxTime", "")),
                nodes=number(told.get("MaxNodes", "")),
                open=_open_to(told, accounts, groups),
                mem_per_cpu_mb=number(told.get("MaxMemPerCPU", "")),
            )


def _open_to(told: Mapping[str, str], accounts: Sequence[str], groups: Sequence[str]) -> bool:
    """Whether a user may submit to a partition; accounts end in `_gpu` and `_cpu` at some sites."""
    mine = {*accounts, *(name + end for name in accounts for end in ("_gpu", "_cpu"))}

    def among(key: str, names: set[str]) -> bool:
        allowed = told.get(key, "ALL")
        return allowed == "ALL" or bool(names & set(allowed.split(",")))

    denied = set(told.get("DenyAccounts", "").split(","))
    return (
        told.get("State", "UP") == "UP"
        and told.get("RootOnly", "NO") == "NO"
        and among("AllowGroups", set(groups))
        and (not accounts or among("AllowAccounts", mine))
        and not (accounts and set(accounts) <= denied)
    )


def _groups() -> list[str]:
    """Of this user, by name; a number that has no name has none."""
    found = []
    for number in os.getgroups():
        try:
            found.append(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return found


def _minutes(text: str) -> int | None:
    seconds = duration_s(text)
    return None if seconds is None else max(1, round(seconds / 60))


def number(text: str) -> int | None:
    """A limit as Slurm writes it; None is no limit."""
    return int(text) if text.isdecimal() and int(text) else None
