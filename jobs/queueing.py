"""Trainings through a cluster's queue: check everything, show it, submit, and return at once."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cluster.environment import home
from cluster.errors import ClusterError
from cluster.live import user_accounts
from cluster.profile import SlurmProfile, slurm_only
from cluster.queue import cancel, job_is_alive
from cluster.resources import Resources, account_obstacle, folder_obstacle, plan_resources, summary
from cluster.rules import Accounts
from cluster.runs import RunFolder, find_run
from cluster.slurm import Draft, ask_controller, draft, signal_of, submit_slurm
from cluster.submission import Standing, standing_of
from cluster.units import terms
from jobs.call import JobCall
from jobs.place import Place, agreed, describe, refused
from jobs.plan import Plan, training_obstacles

WATCH = 'squeue --me -o "%.18i %.30j %.10T %.10M %k"'
UNKNOWN = "JOB-OF-STAGE-1"
"""What stands in a dry run for a job that has no id yet."""


@dataclass
class Item:
    """One job that a command wants in the queue."""

    plan: Plan
    told: dict[str, Any]
    """What the job is told beside its config: `data` and `parent`."""
    standing: Standing | None = None
    """Of an earlier submission."""
    settled: str = ""
    """Why there is nothing to submit."""
    obstacles: list[str] = field(default_factory=list)
    resources: Resources | None = None


@dataclass(frozen=True)
class Queue:
    """How one command submits."""

    profile: SlurmProfile
    place: Place
    args: argparse.Namespace
    accounts: Accounts | None
    obstacles: list[str]
    """What concerns every job."""

    @classmethod
    def of(cls, place: Place, args: argparse.Namespace) -> Queue:
        profile = slurm_only(place.profile)
        accounts = None if args.dry_run and profile.account else _accounts()
        wrong_account = account_obstacle(profile, accounts)
        found = [
            None if args.dry_run else _no_slurm(profile),
            wrong_account or _no_account(profile),
            folder_obstacle(profile, place.runs, os.environ),
            _no_environment(profile),
        ]
        if wrong_account:  # so that the rest of the request can be told nevertheless
            profile, accounts = replace(profile, account=None), None
        return cls(profile, place, args, accounts, [text for text in found if text])

    def request(self, item: Item, gpus: int) -> None:
        """Find out what an item asks for, or why it cannot."""
        try:
            item.resources = plan_resources(self.profile, gpus, accounts=self.accounts)
        except ClusterError as error:
            item.obstacles.append(str(error))

    def standing(self, run: RunFolder) -> Standing | None:
        """What is known of a run's submission; a dry run may be where nobody can be asked."""
        return None if self.args.dry_run and not shutil.which("squeue") else standing_of(run.submission)

    def dependency(self, run: RunFolder | None) -> str | None:
        """What waits for the training of a run that is in the queue; None if there is nothing to wait for."""
        standing = self.standing(run) if run and not run.done.exists() else None
        return f"afterok:{standing.submission.last}" if standing and standing.alive else None

    def settle(self, item: Item, force: bool) -> None:
        """Find out whether an item is in the queue already."""
        try:
            item.standing = standing = self.standing(item.plan.run)
        except ClusterError as error:
            item.obstacles.append(str(error))
            return
        if standing is None or not standing.alive:
            return
        end = f"scancel {standing.submission.job}"
        if not force:
            state = "running" if standing.runs else "queued"
            item.settled = f"already {state}: {standing}, {item.plan.run.path}; to take it back: {end}"
        elif standing.runs:
            item.obstacles.append(
                f"run {item.plan.run.path.name} is running: {standing}; end it first: {end}"
            )

    def conclude(self, items: Sequence[Item], waits_for: Sequence[RunFolder | None]) -> int:
        """Show, ask about, or submit the items, each after the run that it waits for.

        Returns:
            The exit status.
        """
        todo = [item for item in items if not item.settled]
        obstacles = [text for item in todo for text in (*self.obstacles, *item.obstacles)]
        for item, parent in zip(items, waits_for):
            if self.args.dry_run:
                self._show(item, parent)
        if obstacles or self.args.dry_run:
            return refused(obstacles)
        for item, parent in zip(items, waits_for):
            if item.settled:
                print(item.settled)
            elif self.args.test_only:
                print(f"{item.plan.run.path.name}: {ask_controller(self._draft(item, None))}")
            else:
                self._submit(item, parent)
        if todo and not self.args.test_only:
            print(f"watch: {WATCH}")
        return 0

    def _show(self, item: Item, parent: RunFolder | None) -> None:
        describe(item.plan, self.place, item.settled)
        if item.resources and not item.settled:
            known = self.dependency(parent)
            last = f"_{item.resources.units - 1}" if item.resources.units > 1 else ""
            waits = known or (f"afterok:{UNKNOWN}{last}" if parent and not parent.done.exists() else None)
            print(summary(item.resources, self.profile))
            print(f"  {'script':<12} what sbatch gets\n{self._draft(item, waits).text}")

    def _submit(self, item: Item, parent: RunFolder | None) -> None:
        run, standing = item.plan.run, item.standing
        if standing and standing.jobs:
            assert standing.submission.job
            cancel(standing.submission.job)
            print(f"cancelled: {standing}")
        if getattr(self.args, "force", False) and run.path.exists():
            print(f"moved aside: {run.move_aside()}")
        run.create(item.plan.config.to_dict())
        drafted = self._draft(item, self.dependency(parent))
        submission = submit_slurm(drafted)
        after = f", after {submission.dependency}" if submission.dependency else ""
        print(f"queued: job {submission.job} {submission.name}{after}: {run.path}")
        assert item.resources
        print(summary(item.resources, self.profile))
        changes = " with changes" if submission.dirty else ""
        print(f"  {'code':<12} {submission.tree}, commit {submission.commit or 'unknown'}{changes}")

    def _draft(self, item: Item, dependency: str | None) -> Draft:
        assert item.resources
        plan = item.plan
        return training_draft(
            plan.run, plan.config.to_dict(), item.told, self.profile, item.resources, dependency
        )


def queue_training(plans: Sequence[Plan], place: Place, args: argparse.Namespace, command: str) -> int:
    """Submit the stages of a recipe, each to start when the one before is done.

    Args:
        plans: of the stages.
        place: the cluster, and the folders.
        args: of `launch.py train`.
        command: the user's command less its stage.

    Returns:
        The exit status.
    """
    queue, items = Queue.of(place, args), []
    ours = [plan.run.path for plan in plans]
    for plan in plans:
        parent = str(plan.weights) if plan.weights else None
        item = Item(plan, {"data": str(place.data) if place.data else None, "parent": parent})
        items.append(item)
        if plan.run.done.exists() and not args.force:
            item.settled = f"already done: {plan.run.path} (--force makes it anew)"
            continue
        queue.settle(item, args.force)
        first = plan.parent is not None and (plan.parent.path in ours or bool(queue.dependency(plan.parent)))
        item.obstacles += training_obstacles(plan, place.data, os.environ, first, command, job_is_alive)
        queue.request(item, plan.config.gpus)
    return queue.conclude(items, [plan.parent for plan in plans])


def retry_run(name: str, place: Place, args: argparse.Namespace) -> int:
    """Queue the training of a run again as it was submitted, with more memory if asked.

    Raises:
        ClusterError: there is no such run, it was never in a queue, or it is there still.
    """
    run = find_run(place.runs, name)
    standing = standing_of(run.submission)
    if standing is None:
        raise ClusterError(f"{run.title} was never in a queue: give the train command that began it again")
    if standing.alive:
        raise ClusterError(f"{run.title} is in the queue: {standing}; there is nothing to retry")
    if run.done.exists():
        print(f"already done: {run.path}")
        return 0
    profile, resources = slurm_only(place.profile), standing.submission.resources
    if args.more_mem and resources.mem_mb:
        most = max(kind.mem_mb for kind in profile.hardware.kinds)
        resources = replace(resources, mem_mb=min(resources.mem_mb * 3 // 2, most))
    if run.failed.exists():
        print(f"{run.path.name}: {run.reason()}")
    drafted = training_draft(run, run.read_config(), standing.submission.told, profile, resources)
    if args.dry_run:
        print(drafted.text)
        return 0
    if not agreed(f"submit {run.path.name} again", args.yes):
        return 0
    run.forgive()
    submission = submit_slurm(drafted)
    print(f"queued: job {submission.job} {submission.name}: {run.path}")
    print(summary(resources, profile))
    return 0


def training_draft(
    run: RunFolder,
    config: Mapping[str, Any],
    told: Mapping[str, Any],
    profile: SlurmProfile,
    resources: Resources,
    dependency: str | None = None,
) -> Draft:
    """The chain of units that trains a run.

    Args:
        run: the run.
        config: of it, as plain data.
        told: `data` and `parent`, as its first submission recorded them.
        profile: of the cluster.
        resources: of one unit, and the number of units.
        dependency: when it may start.
    """
    signal_s = signal_of(run, resources)
    every = {"run": str(run.path), "config": dict(config), **told}
    return draft(
        JobCall("train", {**every, "terms": terms(profile, resources, signal_s)}),
        run,
        profile,
        resources,
        run.submission,
        name=f"{run.name}-s{run.stage}",
        signal_s=signal_s,
        dependency=dependency,
        told=told,
    )


def _accounts() -> Accounts | None:
    """The user's accounts, asked for once; None where Slurm does not know of accounts."""
    known = user_accounts()
    return None if known is None else lambda: known


def _no_slurm(profile: SlurmProfile) -> str | None:
    if shutil.which("sbatch"):
        return None
    login = f" (on {profile.login})" if profile.login else ""
    return f"there is no sbatch here: give the command on a login node of {profile.name}{login}, or add --dry-run"


def _no_account(profile: SlurmProfile) -> str | None:
    """Where accounts cannot be asked for, one that is named is believed."""
    if profile.account or shutil.which("sacctmgr"):
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
