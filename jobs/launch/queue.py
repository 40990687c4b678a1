"""Trainings through a cluster's queue: check everything, show it, submit, and return at once."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.job.lifecycle import last_end
from cluster.job.race import ends_of, forget_race, new_rival, standing_of_run
from cluster.launch.submit import Draft, ask_controller, submit_slurm
from cluster.profile.load import SlurmProfile, slurm_only
from cluster.profile.resources import Resources, account_obstacle, folder_obstacle, plan_resources, summary
from cluster.profile.rules import Accounts
from cluster.run.run_folder import RunFolder
from cluster.site.environment import home
from cluster.site.live import user_accounts
from cluster.slurm import client
from cluster.slurm.queue import cancel, job_is_alive
from cluster.slurm.queue_cache import forget
from cluster.slurm.submission import Standing
from jobs.launch.draft import lost_parent, training_draft
from jobs.launch.race import rivals_of
from jobs.recipe.context import Place, describe, refused
from jobs.recipe.plan import Plan, training_obstacles

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
    requests: list[tuple[SlurmProfile, Resources]] = field(default_factory=list)
    """What it asks for, once for each alternative: the first to start has the run."""


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
            for rival in rivals_of(self.profile, getattr(self.args, "race", None)):
                item.requests.append((rival, plan_resources(rival, gpus, accounts=self.accounts)))
        except ClusterError as error:
            item.obstacles.append(str(error))

    def standing(self, run: RunFolder) -> Standing | None:
        """What is known of a run's submission; a dry run may be where nobody can be asked."""
        return None if self.args.dry_run and not client.installed("squeue") else standing_of_run(run)

    def dependency(self, run: RunFolder | None) -> str | None:
        """What waits for the training of a run that is in the queue; None if there is nothing to wait for."""
        unasked = self.args.dry_run and not client.installed("squeue")
        if run is None or run.done.exists() or unasked:
            return None
        return "?".join(f"afterok:{end}" for end in ends_of(run)) or None

    def comes_first(self, item: Item, items: Sequence[Item]) -> bool:
        """Whether what an item starts from is brought about before it, by another item or by what is in the queue."""
        parent = item.plan.parent
        if parent is None or parent.done.exists():
            return False
        if any(one.plan.run.path == parent.path and not one.settled for one in items) or self.dependency(
            parent
        ):
            return True
        standing = self.standing(parent)
        if standing and standing.alive:
            item.obstacles.append(
                f"{item.plan.run.title} starts from {parent.title}, whose last unit {standing.submission.last} is no "
                f"longer in the queue ({standing}), so that it cannot be waited for: once those have ended, submit "
                "that run again first"
            )
        return bool(standing and standing.alive)

    def settle(self, item: Item, force: bool) -> None:
        """Find out whether an item is in the queue already."""
        try:
            item.standing = standing = self.standing(item.plan.run)
        except ClusterError as error:
            item.obstacles.append(str(error))
            return
        if standing is None or not standing.alive:
            return
        end = f"scancel {' '.join(standing.ids)}"
        if not force:
            state = "running" if standing.runs else "queued"
            item.settled = f"already {state}: {standing}, {item.plan.run.path}; to take it back: {end}"
        elif standing.runs:
            item.obstacles.append(
                f"run {item.plan.run.path.name} is running: {standing}; end it first: {end}"
            )

    def look_back(self, item: Item) -> None:
        """Say how the run's last job ended, before another is queued."""
        idle = item.standing is not None and not item.standing.jobs
        if idle and not self.args.dry_run and not self.args.test_only and (told := last_end(item.plan.run)):
            print(told)

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
                for profile, resources in item.requests:
                    told = ask_controller(_draft(item, profile, resources, None))
                    print(f"{item.plan.run.path.name}: {told}")
            else:
                self._submit(item, parent)
        forget(self.place.runs)
        if todo and not self.args.test_only:
            print(f"watch: {WATCH}")
        return 0

    def _show(self, item: Item, parent: RunFolder | None) -> None:
        describe(item.plan, self.place, item.settled)
        for profile, resources in item.requests if not item.settled else []:
            known = self.dependency(parent)
            last = f"_{resources.units - 1}" if resources.units > 1 else ""
            waits = known or (f"afterok:{UNKNOWN}{last}" if parent and not parent.done.exists() else None)
            print(summary(resources, profile))
            text = _draft(item, profile, resources, waits).text
            print(f"  {'script':<12} what sbatch gets\n{text}")

    def _submit(self, item: Item, parent: RunFolder | None) -> None:
        run, standing = item.plan.run, item.standing
        waits = self.dependency(parent)
        if parent and not waits and not parent.done.exists():
            raise ClusterError(lost_parent(run, parent))
        if standing and standing.jobs:
            cancel(*standing.ids)
            print(f"cancelled: {standing}")
        if getattr(self.args, "force", False) and run.path.exists():
            print(f"moved aside: {run.move_aside()}")
        run.create(item.plan.config.to_dict())
        forget_race(run)
        submission = None
        for profile, resources in item.requests:
            record = run.submission if submission is None else new_rival(run)
            submission = submit_slurm(_draft(item, profile, resources, waits, record))
            after = f", after {submission.dependency}" if submission.dependency else ""
            print(f"queued: job {submission.job} {submission.name}{after}: {run.path}")
            print(summary(resources, profile))
        assert submission
        changes = " with changes" if submission.dirty else ""
        print(f"  {'code':<12} {submission.tree}, commit {submission.commit or 'unknown'}{changes}")


def _draft(
    item: Item,
    profile: SlurmProfile,
    resources: Resources,
    dependency: str | None,
    record: Path | None = None,
) -> Draft:
    plan = item.plan
    config = plan.config.to_dict()
    return training_draft(plan.run, config, item.told, profile, resources, dependency, record)


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
    queue, items = Queue.of(place, args), list[Item]()
    for plan in plans:
        parent = str(plan.weights) if plan.weights else None
        item = Item(plan, {"data": str(place.data) if place.data else None, "parent": parent})
        items.append(item)
        if plan.run.done.exists() and not args.force:
            item.settled = f"already done: {plan.run.path} (--force makes it anew)"
            continue
        queue.settle(item, args.force)
        queue.look_back(item)
        first = queue.comes_first(item, items)
        item.obstacles += training_obstacles(plan, place.data, os.environ, first, command, job_is_alive)
        queue.request(item, plan.config.gpus)
    return queue.conclude(items, [plan.parent for plan in plans])


def _accounts() -> Accounts | None:
    """The user's accounts, asked for once; None where Slurm does not know of accounts."""
    known = user_accounts()
    return None if known is None else lambda: known


def _no_slurm(profile: SlurmProfile) -> str | None:
    if client.installed("sbatch"):
        return None
    login = f" (on {profile.login})" if profile.login else ""
    return f"there is no sbatch here: give the command on a login node of {profile.name}{login}, or add --dry-run"


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
