"""What stands in the way of every job that a command would submit: no Slurm, no account, no environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.profile.load import SlurmProfile
from cluster.profile.resources import account_obstacle, folder_obstacle
from cluster.profile.rules import Accounts
from cluster.site.environment import home
from cluster.site.live import user_accounts
from cluster.slurm import client


@dataclass(frozen=True, kw_only=True)
class Site:
    """The cluster as a command finds it."""

    profile: SlurmProfile
    """Without an account that is not the user's, so that the rest of a request can be told nevertheless."""
    accounts: Accounts | None
    """The user's, asked for once; None where Slurm does not know of accounts."""
    obstacles: tuple[str, ...]
    notes: tuple[str, ...]
    """What should be known before jobs are submitted."""

    @classmethod
    def of(cls, profile: SlurmProfile, runs: Path, dry_run: bool) -> Site:
        """Ask it.

        Args:
            profile: of the cluster.
            runs: folder that jobs write into.
            dry_run: it may be looked at from where there is no Slurm.
        """
        known = user_accounts()
        accounts = None if known is None else lambda: known
        wrong_account = account_obstacle(profile, accounts)
        found = (
            None if dry_run else no_slurm(profile),
            wrong_account or _no_account(profile),
            folder_obstacle(profile, runs, os.environ),
            _no_environment(profile),
        )
        if wrong_account:
            profile, accounts = replace(profile, account=None), None
        absent = () if client.installed("squeue") else (_absent(profile),)
        return cls(
            profile=profile, accounts=accounts, obstacles=tuple(text for text in found if text), notes=absent
        )


def no_slurm(profile: SlurmProfile) -> str | None:
    """Why nothing can be submitted from this machine."""
    if client.installed("sbatch"):
        return None
    login = f" (on {profile.login})" if profile.login else ""
    return f"there is no sbatch here: give the command on a login node of {profile.name}{login}, or add --dry-run"


def _absent(profile: SlurmProfile) -> str:
    return (
        f"{profile.name} cannot be asked from here, where there is no Slurm: its queue, your accounts and limits "
        "are looked at when the command is given there"
    )


def _no_account(profile: SlurmProfile) -> str | None:
    """Where accounts cannot be asked for, one that is named is believed."""
    if profile.account or client.installed("sacctmgr"):
        return None
    return f"no account: there is no sacctmgr here that could say which are yours on {profile.name}; give --account"


def _no_environment(profile: SlurmProfile) -> str | None:
    """Nodes whose disk is memory take an environment that lies ready."""
    if profile.storage.local != "memory" or os.environ.get("LAYALIGN_VENV"):
        return None
    folder = home(profile, os.environ)
    if (folder / "venv").exists():
        return None
    return (
        f"no environment in {folder}, and nodes of {profile.name} do not make their own; on a login node: "
        f"python launch.py env --cluster {profile.name} --build"
    )
