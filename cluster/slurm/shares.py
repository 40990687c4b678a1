"""The fair share of a user's accounts: which of them starts jobs soonest.

`sshare` (slurm.schedmd.com/sshare.html, fair_tree.html): `FairShare` is the place of the user's association among all
of the cluster, between 0 and 1, and what priority is made of; `LevelFS` compares it with its siblings alone, and is
what is left where a site shows no `FairShare`. On the Alliance an account has an association for CPUs and one for GPUs,
`def-prof_cpu` and `def-prof_gpu` (docs.alliancecan.ca/wiki/Job_scheduling_policies).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from cluster.slurm import client

SSHARE = ("-U", "--noheader", "--parsable2", "--format=Account,User,FairShare,LevelFS")
SUFFIXES = ("_cpu", "_gpu")


@dataclass(frozen=True)
class Share:
    """What one account of the user is due."""

    account: str
    """By the name that jobs are submitted under."""
    value: float
    """The higher, the sooner its jobs start."""


def ask_shares() -> str | None:
    """What sshare says; None where it is not there or does not answer."""
    return client.ask("sshare", *SSHARE, timeout_s=10) if client.installed("sshare") else None


def parse_shares(text: str, gpu: bool = True) -> list[Share]:
    """The user's accounts, that with the best fair share first.

    Args:
        text: as `ask_shares` gives it.
        gpu: jobs take GPUs: what an account is due on CPUs does not count, where the site keeps them apart.
    """
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    known = [(row[0], *map(_number, row[2:])) for row in rows if len(row) == 4 and row[0] and row[1]]
    column = 1 if any(row[1] is not None for row in known) else 2
    other = SUFFIXES[0] if gpu else SUFFIXES[1]
    found: dict[str, float] = {}
    for row in known:
        value = row[column]
        if value is not None and not str(row[0]).endswith(other):
            name = bare(str(row[0]))
            found[name] = max(float(value), found.get(name, 0.0))
    return [Share(name, value) for name, value in sorted(found.items(), key=lambda one: (-one[1], one[0]))]


def bare(account: str) -> str:
    """`def-prof` for `def-prof_gpu`."""
    return next((account.removesuffix(end) for end in SUFFIXES if account.endswith(end)), account)


def share_note(shares: Iterable[Share], account: str | None) -> str | None:
    """Which account has the best fair share; None where there is no choice, or all are due the same.

    Args:
        shares: the best first.
        account: that is to be charged; None where none is yet.
    """
    every = list(shares)
    if len(every) < 2 or every[0].value == every[-1].value:
        return None
    best, ours = every[0], next((one for one in every if one.account == account), None)
    told = ", ".join(f"{one.account} {_told(one.value)}" for one in every[:4])
    if ours and ours.value == best.value:
        return f"fair share: {told}; {ours.account} starts soonest"
    return f"fair share: {told}; the best is --account {best.account}"


def _told(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "unused"


def _number(text: str) -> float | None:
    """`inf` is an account that nobody has used."""
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) or value < 0 else value
