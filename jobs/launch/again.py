"""Trainings that were in a queue by themselves, queued again, with runs that they need and runs that need them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.errors import ClusterError
from cluster.job.race import ends_of, submission_state_of_run
from cluster.launch.submit import PreparedJob, ask_controller, submit_slurm
from cluster.profile.load import SlurmProfile, slurm_only
from cluster.profile.resources import Resources, difference, more_memory, resources_again, summary
from cluster.records import unless_damaged
from cluster.run.run_folder import FOLDER, RunFolder, all_runs
from cluster.slurm.queue import Look, cancel
from cluster.slurm.queue_cache import forget
from cluster.slurm.submission import Submission, recorded
from jobs.launch.retry import MORE, lost_parent, never_to_start, prepared_training, still_standing
from jobs.launch.site_checks import Site
from jobs.recipe.context import How, Where, context_again
from jobs.recipe.describe import agreed, refused, warn
from jobs.recipe.offer import Offer, Part, told
from jobs.recipe.weights import check_signature
from layalign.config import RunConfig


@dataclass(frozen=True, kw_only=True)
class Again:
    """One training that is to be queued again."""

    run: RunFolder
    submission: Submission
    """As it was submitted, with what it is told now."""
    profile: SlurmProfile
    resources: Resources
    """What it asks for now."""
    waiting: tuple[str, ...] = ()
    """Its jobs in the queue that can never start."""

    @property
    def change(self) -> str:
        """What it asks for instead of what it asked for before; empty if it is the same."""
        return difference(self.submission.resources, self.resources)

    def told(self) -> str:
        """What it ended by, and what is asked for now, in a line."""
        reason = self.run.reason()
        why = f": {reason}" if reason else ""
        return f"{self.run.path.name}{why}\n  asks for {self.change or 'the same as before'}"


def retry_runs(runs: Sequence[RunFolder], where: Where, how: How, more_mem: bool = False) -> int:
    """Queue trainings again as they were submitted, each after the run that it starts from.

    Args:
        runs: that are meant. What they need and nothing will bring about goes before them, what needs them behind.
        where: what is said here of these runs counts more than what their submissions said.
        how: show, ask about, or submit.
        more_mem: ask for half as much memory again for these runs.

    Returns:
        The exit status.

    Raises:
        ClusterError: one was never in a queue, or it is there still.
    """
    for run in runs:
        if run.is_done():
            print(f"already done: {run.path}")
    meant = [run for run in runs if not run.is_done()]
    every = with_kin(meant)
    named = {run.path for run in meant}
    todo = [_again(run, where, how, more_mem, run.path in named) for run in every]
    for one in todo:
        print(one.told())
    if not todo:
        return 0
    paths = {one.run.path for one in todo}
    prepared = [_prepared(one, paths) for one in todo]  # refused before anything is asked or submitted
    offer, against = _offer(todo, how)
    if how.dry_run:
        offer.show()
    status = refused(against)
    _rehearse(todo, prepared, how)
    if status or how.dry_run or how.test_only:
        return status
    if offer.doubt and how.yes:
        warn(offer)
    if not agreed(f"{_question(todo)}: {offer.cost}", how.yes):
        return 0
    for one in todo:
        _submit(one)
    forget(todo[0].run.root)
    return 0


def _offer(todo: Sequence[Again], how: How) -> tuple[Offer, list[str]]:
    """What would be submitted, and why it cannot be."""
    parts = [
        Part(
            what=f"stage {one.run.stage}",
            told=f"{one.run.path.name}: {told(one.resources)}",
            resources=one.resources,
        )
        for one in todo
    ]
    root, notes, against = todo[0].run.root, list[str](), list[str]()
    queue = Look.attempt().jobs
    for profile, group in _by_site(todo):
        site, asked = Site.of(profile, root, how.dry_run), [one.resources for one in group]
        full = site.no_room(asked, queue)
        against += [*site.obstacles, *([full] if full else [])]
        notes += site.notes(root, asked) if how.dry_run else ()
    names = ", ".join(one.run.path.name for one in todo)
    title = f"train {names} again on {todo[0].profile.title}"
    return Offer(title=title, parts=parts, notes=list(dict.fromkeys(notes))), list(dict.fromkeys(against))


def _by_site(todo: Sequence[Again]) -> list[tuple[SlurmProfile, list[Again]]]:
    """Trainings by the cluster and the account that they are charged to."""
    found: dict[tuple[str, str | None], tuple[SlurmProfile, list[Again]]] = {}
    for one in todo:
        account = one.resources.account
        site = found.setdefault((one.profile.name, account), (replace(one.profile, account=account), []))
        site[1].append(one)
    return list(found.values())


def _question(todo: Sequence[Again]) -> str:
    if len(todo) > 1:
        return f"submit these {len(todo)} runs again"
    return f"submit {todo[0].run.path.name} again, {todo[0].change or 'with the same request'}"


def with_kin(runs: Iterable[RunFolder]) -> list[RunFolder]:
    """The runs, after those that they need and that nothing in the queue brings about, before those that need them."""
    found: dict[Path, RunFolder] = {}
    for run in runs:
        for one in (*reversed(list(_before(run))), run, *_behind(run)):
            found.setdefault(one.path, one)
    return sorted(found.values(), key=lambda run: run.stage)


def _before(run: RunFolder) -> Iterator[RunFolder]:
    """The run that one starts from, and so on, as far as they are not done, and have left the queue."""
    own = unless_damaged(Submission.read, run.submission)
    parent = _parent_of(own) if own else None
    if parent and not parent.is_done() and parent.submission.exists() and not ends_of(parent):
        yield parent
        yield from _before(parent)


def _behind(run: RunFolder) -> Iterator[RunFolder]:
    """Runs that start from one, and so on, which were submitted, and which nothing in the queue brings about."""
    for other in all_runs(run.root):
        own = unless_damaged(Submission.read, other.submission)
        parent = _parent_of(own) if own else None
        if parent and parent.path == run.path and not other.is_done() and not ends_of(other):
            yield other
            yield from _behind(other)


def _parent_of(submission: Submission) -> RunFolder | None:
    """The run whose bridge a training starts from, as its submission was told."""
    bridge = Path(submission.told.get("parent") or "")
    return RunFolder(bridge.parent) if FOLDER.fullmatch(bridge.parent.name) else None


def _again(run: RunFolder, where: Where, how: How, more_mem: bool, named: bool) -> Again:
    """What a run is asked for again; what the user says counts for those alone that are named."""
    context = context_again(where, how, recorded(run.submission))
    standing = submission_state_of_run(run)
    if standing is None:
        raise ClusterError(f"{run.title} was never in a queue by itself; it goes on by: {run.command()}")
    if standing.alive:
        idle = f"{run.title} is in the queue: {standing}; there is nothing to retry{still_standing(standing)}"
        raise ClusterError(never_to_start(run, standing) or idle)
    if context.overrides:
        raise ClusterError(
            f"-o {context.overrides[0]} changes the recipe, and with it the run: give it to train; retry may change "
            "what a job asks for (--mem, --time, --gpus, ...)"
        )
    profile, before = slurm_only(context.profile), standing.submission.resources
    resources = resources_again(before, profile, where.typed()) if named else before
    if more_mem and named:
        asked = resources
        resources = more_memory(asked, profile, MORE)
        if resources == asked:
            raise ClusterError(
                f"{run.title}: no node of {profile.name} has more memory than it asked for; lower "
                "training.micro_batch or the number of tasks on a node (train -o ...)"
            )
    submission = standing.submission
    if context.data and context.data_named:
        submission = replace(submission, told={**submission.told, "data": str(context.data)})
    return Again(run=run, submission=submission, profile=profile, resources=resources, waiting=standing.ids)


def _prepared(one: Again, before: Container[Path] = ()) -> PreparedJob:
    """The same training, behind what the queue holds of its parent now.

    Args:
        one: it.
        before: folders of runs that are not queued yet, and will be before it.

    Raises:
        ClusterError: its parent is not done, and nothing will bring it about.
    """
    run, parent, waits = one.run, _parent_of(one.submission), ""
    if parent and not parent.is_done():
        waits = "?".join(f"afterok:{end}" for end in ends_of(parent))
        if not waits and parent.path in before:
            waits = f"afterok:JOB-OF-{parent.path.name}"
        if not waits and not parent.is_done():
            raise ClusterError(lost_parent(run, parent))
    config = run.read_config()
    check_signature(run, RunConfig.from_dict(config), one.submission.told.get("parent"))
    call = {"run": str(run.path), "config": config, **one.submission.told}
    return prepared_training(run, call, one.profile, one.resources, waits or None)


def _rehearse(todo: Sequence[Again], prepared: Sequence[PreparedJob], how: How) -> None:
    """Show, or have the controller look at, the scripts; it knows of no job that is not queued yet."""
    for one, job in zip(todo, prepared):
        if how.script:
            print(job.text)
        if not how.test_only:
            continue
        if "JOB-OF-" in job.text:
            print(f"{one.run.path.name}: not asked about: it waits for a job that is not queued yet")
        else:
            print(f"{one.run.path.name}: {ask_controller(job)}")


def _submit(one: Again) -> None:
    if one.waiting:
        cancel(*one.waiting)
        print(f"cancelled: job {' '.join(one.waiting)} of {one.run.path.name}, which could never start")
    prepared = _prepared(one)
    one.run.forgive(asked=True)
    queued = submit_slurm(prepared)
    change = f", {one.change}" if one.change else ""
    print(f"queued: job {queued.job} {queued.name}{change}: {one.run.path}")
    print(summary(one.resources, one.profile))
