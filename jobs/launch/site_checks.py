"""What stands in the way of every job that a command would submit: no Slurm, no account, no environment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.profile.load import SlurmProfile, shipped
from cluster.profile.resources import Resources, account_obstacle, folder_obstacle
from cluster.profile.rules import Accounts
from cluster.site.environment import home
from cluster.site.live import accounts_from, accounts_of
from cluster.site.notices import Notices
from cluster.slurm import client
from cluster.slurm.limits import Association, ask_associations, narrowest
from cluster.slurm.queued_job import QueuedJob


@dataclass(frozen=True, kw_only=True)
class Site:
    """The cluster as a command finds it."""

    profile: SlurmProfile
    """Without an account that is not the user's, so that the rest of a request can be told nevertheless."""
    associations: tuple[Association, ...] | None
    """The user's with accounts, asked for once; None where Slurm does not know of accounts."""
    obstacles: tuple[str, ...]

    @classmethod
    def of(cls, profile: SlurmProfile, runs: Path, dry_run: bool) -> Site:
        """Ask it.

        Args:
            profile: of the cluster.
            runs: folder that jobs write into.
            dry_run: it may be looked at from where there is no Slurm.
        """
        known = ask_associations()
        wrong_account = account_obstacle(profile, accounts_from(known))
        found = (
            None if dry_run else no_slurm(profile) or _away(profile),
            wrong_account or _no_account(profile),
            folder_obstacle(profile, runs, os.environ),
            _no_environment(profile),
        )
        if wrong_account:
            profile, known = replace(profile, account=None), None
        return cls(profile=profile, associations=known, obstacles=tuple(text for text in found if text))

    @property
    def accounts(self) -> Accounts | None:
        """The names of the user's accounts."""
        return accounts_from(self.associations)

    def notes(self, runs: Path, asked: Sequence[Resources]) -> tuple[str, ...]:
        """What should be known before jobs are submitted.

        Args:
            runs: folder of all runs.
            asked: what each job, chain or array asks for.
        """
        if away := _away(self.profile):
            return (away,)
        longest = max((one.time_min for one in asked), default=None)
        account = next((one.account for one in asked), None)
        here = Notices(root=runs, profile=self.profile, write=False)
        absent = () if client.installed("squeue") else (_absent(self.profile),)
        return (*absent, *here.all(longest, account, choice=len(accounts_of(self.associations or ())) > 1))

    def no_room(self, asked: Sequence[Resources], queue: Sequence[QueuedJob]) -> str | None:
        """Why the queue does not take so many jobs more; None where it does.

        Args:
            asked: what each job, chain or array asks for.
            queue: the user's jobs in it.
        """
        jobs = sum(one.units for one in asked)
        room = narrowest(
            self.profile, next((one.account for one in asked), None), self.associations or (), queue, jobs
        )
        return room.refusal(jobs) if room else None


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


def _away(profile: SlurmProfile) -> str | None:
    """That this is a login node of another cluster, whose Slurm would take the job for its own."""
    here = os.environ.get("CC_CLUSTER", "")
    if here in (profile.name, "") or not {here, profile.name} <= shipped():
        return None
    return (
        f"this machine is of {here}, not of {profile.name}: its Slurm knows nothing of {profile.name}; give the "
        f"command on {profile.login or f'a login node of {profile.name}'}, or --cluster {here}"
    )


def _no_account(profile: SlurmProfile) -> str | None:
    """Where accounts cannot be asked for, one that is named is believed."""
    if profile.account or not profile.accounts.needed or client.installed("sacctmgr"):
        return None
    return f"no account: there is no sacctmgr here that could say which are yours on {profile.name}; give --account"


def _no_environment(profile: SlurmProfile) -> str | None:
    """Nodes whose disk is memory take an environment that lies ready."""
    if ready := profile.software.environment:
        there = Path(ready, "bin", "python").exists()
        return (
            None if there else f"no Python in {ready}/bin, which software.environment of {profile.word} names"
        )
    if profile.storage.local != "memory" or os.environ.get("LAYALIGN_VENV"):
        return None
    folder = home(profile, os.environ)
    if (folder / "venv").exists():
        return None
    return (
        f"no environment in {folder}, and nodes of {profile.name} do not make their own; on a login node: "
        f"python launch.py env --cluster {profile.word} --build"
    )
