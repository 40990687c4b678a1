"""Trainings through a cluster's queue: check everything, show it, submit, and return at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from cluster.errors import ClusterError
from cluster.job.lifecycle import last_end
from cluster.job.race import ends_of, forget_race, new_rival, submission_state_of_run
from cluster.launch.submit import PreparedJob, ask_controller, submit_slurm
from cluster.logs.failure import failure_of
from cluster.profile.load import SlurmProfile, slurm_only
from cluster.profile.reasons import reasons
from cluster.profile.resources import Resources, gpu_hours, plan_resources, shape_rows, summary
from cluster.run.run_folder import RunFolder
from cluster.run.snapshot import Snapshot
from cluster.slurm import client
from cluster.slurm.queue import Look, cancel, job_is_alive
from cluster.slurm.queue_cache import forget
from cluster.slurm.submission import SubmissionState
from jobs.launch.race import rivals_of
from jobs.launch.retry import (
    failed_alike,
    failed_while_queued,
    lost_parent,
    never_to_start,
    prepared_training,
    still_standing,
)
from jobs.launch.site_checks import Site
from jobs.recipe.context import Context, How
from jobs.recipe.describe import agreed_to, describe, refused, uneven_batch
from jobs.recipe.offer import Offer, Part, told
from jobs.recipe.plan import Plan, training_obstacles

WATCH = 'squeue --me -o "%.18i %.30j %.10T %.10M %k"'
UNKNOWN = "JOB-OF-STAGE-1"
"""What stands in a dry run for a job that has no id yet."""

SAID = 160
"""Of what a command complains, so much is told in a note."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One job that a command wants in the queue."""

    plan: Plan
    standing: SubmissionState | None = None
    """Of an earlier submission."""
    settled: str = ""
    """Why there is nothing to submit."""
    obstacles: tuple[str, ...] = ()
    requests: tuple[tuple[SlurmProfile, Resources], ...] = ()
    """What it asks for, once for each alternative: the first to start has the run."""
    lost: str = ""
    """Why it is made anew, though it was done."""

    def uneven(self) -> list[str]:
        """What becomes of the batch on processes that do not divide it."""
        training = self.plan.config.training
        sizes = (training.batch_size, training.micro_batch)
        notes = (uneven_batch(*sizes, resources.tasks) for _, resources in self.requests)
        return [note for note in notes if note]


@dataclass(frozen=True, kw_only=True)
class Queue:
    """How one command submits."""

    site: Site
    context: Context
    how: How
    force: bool
    """Make runs anew that are there already."""
    race: str | None
    """Alternatives that are asked for at once."""

    @classmethod
    def of(cls, context: Context, how: How, force: bool = False, race: str | None = None) -> Queue:
        site = Site.of(slurm_only(context.profile), context.runs, how.dry_run)
        return cls(site=site, context=context, how=how, force=force, race=race)

    @cached_property
    def code(self) -> Snapshot:
        """The code of all that one command submits."""
        return Snapshot.of(self.context.runs)

    def item(self, plan: Plan, before: Sequence[Item], command: str) -> Item:
        """What is to become of a run: it is done or queued, or it is asked for, or something stands in the way.

        Args:
            plan: the run.
            before: what the same command wants before it.
            command: the user's command less its stage.
        """
        run, found = plan.run, list[str]()
        lost = "" if self.force else run.damage()
        if run.is_done() and not lost and not self.force:
            return Item(plan=plan, settled=f"already done: {run.path} (--force makes it anew)")
        standing = None
        try:
            standing = self.standing(run)
        except ClusterError as error:
            found.append(str(error))
        if standing and standing.alive:
            end = f"scancel {' '.join(standing.ids)}"
            if not self.force:
                if for_ever := never_to_start(run, standing):
                    return Item(plan=plan, standing=standing, obstacles=(for_ever,))
                state = "ending" if standing.ends else "running" if standing.runs else "queued"
                told = f"already {state}: {standing}, {run.path}; to take it back: {end}"
                told += still_standing(standing)
                told += failed_while_queued(run, forgive=not (self.how.dry_run or self.how.test_only))
                return Item(plan=plan, standing=standing, settled=told)
            if standing.runs:
                found.append(f"run {run.path.name} is running: {standing}; end it first: {end}")
        self._look_back(run, standing)
        first, in_the_way = self._parent_first(plan, before)
        found += in_the_way
        found += training_obstacles(plan, self.context.data, os.environ, first, command, job_is_alive)
        requests = []
        try:
            for rival in rivals_of(self.site.profile, self.race):
                requests.append((rival, plan_resources(rival, plan.config.gpus, accounts=self.site.accounts)))
        except ClusterError as error:
            found.append(str(error))
        if standing and not self.force:
            asked = [one for _, one in requests]
            found += failed_alike(run, standing.submission, asked, plan.told_to_train(self.context.data))
        return Item(plan=plan, standing=standing, obstacles=tuple(found), requests=tuple(requests), lost=lost)

    def standing(self, run: RunFolder) -> SubmissionState | None:
        """What is known of a run's submission; a dry run may be where nobody can be asked."""
        return None if self._unasked() else submission_state_of_run(run)

    def dependency(self, run: RunFolder | None) -> str | None:
        """What waits for the training of a run that is in the queue; None if there is nothing to wait for."""
        if run is None or run.is_done() or self._unasked():
            return None
        return "?".join(f"afterok:{end}" for end in ends_of(run)) or None

    def _unasked(self) -> bool:
        return self.how.dry_run and not client.installed("squeue")

    def _parent_first(self, plan: Plan, before: Sequence[Item]) -> tuple[bool, list[str]]:
        """Whether what a run starts from is brought about before it, by another item or by what is in the queue.

        Also why that cannot be waited for, where it is so.
        """
        parent = plan.parent
        if parent is None or parent.is_done():
            return False, []
        made = any(one.plan.run.path == parent.path and not one.settled for one in before)
        if made or self.dependency(parent):
            return True, []
        standing = self.standing(parent)
        if standing is None or not standing.alive:
            return False, []
        told = (
            f"{plan.run.title} starts from {parent.title}, whose last unit {standing.submission.last} is no longer in "
            f"the queue ({standing}), so that it cannot be waited for: once those have ended, submit that run again "
            "first"
        )
        return True, [told]

    def _look_back(self, run: RunFolder, standing: SubmissionState | None) -> None:
        """Say how the run's last job ended, before another is queued."""
        idle = standing is not None and not standing.jobs
        if idle and not self.how.dry_run and not self.how.test_only and (told := last_end(run)):
            print(told)

    def conclude(self, items: Sequence[Item]) -> int:
        """Show, ask about, or submit the items, each after the run that it starts from.

        Returns:
            The exit status.
        """
        todo = [item for item in items if not item.settled]
        offer, obstacles = offer_of(todo), [*(self.site.obstacles if todo else ())]
        obstacles += (text for item in todo for text in item.obstacles)
        look = Look() if not offer.parts or self._unasked() else Look.attempt()
        obstacles += self._no_room(todo, look)
        if self.how.dry_run:
            notes = self.site.notes(self.context.runs, offer.asked)
            self._show(
                items, replace(offer, notes=[*notes, *([look.silence[:SAID]] if look.silence else [])])
            )
        elif look.silence and not obstacles:
            raise ClusterError(look.silence)
        for text in dict.fromkeys(note for item in todo for note in item.uneven()):
            print(text)
        if obstacles or self.how.dry_run:
            status = refused(obstacles)
            if self.how.dry_run:
                self._scripts(items)
            return status
        if offer.doubt and not self.how.test_only and not agreed_to(offer, self.how.yes):
            return 0
        for item in items:
            if item.settled:
                print(item.settled)
            elif self.how.test_only:
                for profile, resources in item.requests:
                    told = ask_controller(self._prepared(item, profile, resources, None))
                    print(f"{item.plan.run.path.name}: {told}")
            else:
                self._submit(item)
        forget(self.context.runs)
        if todo and not self.how.test_only:
            print(f"watch: python launch.py watch, or {WATCH}")
        return 0

    def _no_room(self, todo: Sequence[Item], look: Look) -> list[str]:
        """Why the queue does not take all that is to be submitted."""
        freed = {job for item in todo if item.standing for job in item.standing.ids}
        asked = [resources for item in todo for _, resources in item.requests]
        told = self.site.no_room(asked, [row for row in look.jobs if row.job not in freed])
        return [told] if told else []

    def _show(self, items: Sequence[Item], offer: Offer) -> None:
        """What would become of the items: first all of it, then each."""
        if offer.parts:
            offer.show()
        for item in items:
            describe(item.plan, self.context, item.settled.replace(f": {item.plan.run.path}", "", 1))
            for _, resources in item.requests:
                print("\n".join(f"  {key:<12} {value}" for key, value in shape_rows(resources).items()))

    def _scripts(self, items: Sequence[Item]) -> None:
        """Make what sbatch would get, which may be refused, and print it where that is wanted."""
        for item in items:
            parent = item.plan.parent
            for profile, resources in item.requests:
                known = self.dependency(parent)
                last = f"_{resources.units - 1}" if resources.units > 1 else ""
                waits = known or (f"afterok:{UNKNOWN}{last}" if parent and not parent.is_done() else None)
                text = self._prepared(item, profile, resources, waits).text
                if self.how.script:
                    print(f"what sbatch gets for {item.plan.run.path.name}\n{text}")

    def _submit(self, item: Item) -> None:
        run, standing, parent = item.plan.run, item.standing, item.plan.parent
        waits = self.dependency(parent)
        if parent and not waits and not parent.is_done():
            raise ClusterError(lost_parent(run, parent))
        if standing and standing.jobs:
            cancel(*standing.ids)
            print(f"cancelled: {standing}")
        if item.lost:
            run.withdraw_damaged()
            print(f"made anew: {run.path}: {item.lost}")
        if self.force and run.path.exists():
            print(f"moved aside: {run.move_aside()}")
        failure = failure_of(run)
        run.forgive(asked=failure is not None and not failure.passing)
        run.create(item.plan.config.to_dict())
        forget_race(run)
        submission = None
        for profile, resources in item.requests:
            record = run.submission if submission is None else new_rival(run)
            submission = submit_slurm(self._prepared(item, profile, resources, waits, record))
            after = f", after {submission.dependency}" if submission.dependency else ""
            print(f"queued: job {submission.job} {submission.name}{after}: {run.path}")
            print(summary(resources, profile))
        assert submission
        changes = " with changes" if submission.dirty else ""
        print(f"  {'code':<12} {submission.tree}, commit {submission.commit or 'unknown'}{changes}")

    def _prepared(
        self,
        item: Item,
        profile: SlurmProfile,
        resources: Resources,
        dependency: str | None,
        record: Path | None = None,
    ) -> PreparedJob:
        told = item.plan.told_to_train(self.context.data)
        return prepared_training(item.plan.run, told, profile, resources, dependency, record, self.code)


def queue_training(
    plans: Sequence[Plan],
    context: Context,
    how: How,
    command: str,
    force: bool = False,
    race: str | None = None,
) -> int:
    """Submit the stages of a recipe, each to start when the one before is done.

    Args:
        plans: of the stages.
        context: the cluster, and the folders.
        how: show, ask about, or submit.
        command: the user's command less its stage.
        force: make them anew.
        race: alternatives that are asked for at once (`jobs.launch.race`).

    Returns:
        The exit status.
    """
    queue, items = Queue.of(context, how, force, race), list[Item]()
    for plan in plans:
        items.append(queue.item(plan, items, command))
    return queue.conclude(items)


def offer_of(items: Sequence[Item]) -> Offer:
    """What would be submitted of trainings that have a request; of alternatives the dearest counts."""
    asked = [(item, max((one for _, one in item.requests), key=gpu_hours)) for item in items if item.requests]
    parts = [
        Part(what=f"stage {item.plan.config.stage}", told=_part_told(item, resources), resources=resources)
        for item, resources in asked
    ]
    *before, last = (str(item.plan.config.stage) for item, _ in asked) if asked else ("",)
    stages = f"{', '.join(before)} and {last}" if before else last
    why: dict[str, str] = {}
    for item, resources in asked[:1]:
        profile = item.requests[0][0]
        why = reasons(
            profile, resources, item.plan.config.gpus, "each stage" if len(asked) > 1 else "the stage"
        )
    title = f"train stage {stages}"
    if asked:
        item, profile = asked[0][0], asked[0][0].requests[0][0]
        title += f" of {item.plan.config.name} on {profile.title}"
    return Offer(title=title, parts=parts, reasons=why)


def _part_told(item: Item, resources: Resources) -> str:
    parent = item.plan.parent
    after = f", after stage {parent.stage}" if parent and not parent.is_done() else ""
    raced = (
        f" (of {len(item.requests)} alternatives: the first to start has the run)"
        if item.requests[1:]
        else ""
    )
    return f"{told(resources)}{after}{raced}"
