"""Trainings on this machine: check everything, show it, or train one stage after another."""

from __future__ import annotations

import os
from collections.abc import Sequence

from cluster.errors import INTERRUPTED
from cluster.launch.local import run_inline, submit_local
from cluster.secret import hidden
from jobs.recipe.context import Context, How
from jobs.recipe.describe import describe, refused
from jobs.recipe.plan import Plan, training_obstacles
from jobs.work.call import JobCall


def train_here(plans: Sequence[Plan], context: Context, how: How, command: str, force: bool = False) -> int:
    """Train the stages of a recipe, those that are done already left as they are.

    Args:
        plans: of the stages.
        context: this machine, and the folders.
        how: show, or train in this process or in others.
        command: the user's command less its stage.
        force: make them anew.

    Returns:
        The exit status.
    """
    obstacles = []
    for plan in plans:
        wanted = force or not plan.run.is_done() or bool(plan.run.damage())
        if wanted:
            obstacles += training_obstacles(plan, context.data, os.environ, len(plans) > 1, command)
        if how.dry_run:
            describe(plan, context, "" if wanted else "already done")
    if obstacles or how.dry_run:
        return refused(obstacles)
    for plan in plans:
        again = f"{command} --stage {'all' if plans[1:] else plan.config.stage}"
        if cause := _train(plan, context, how.inline, force, again):
            print(f"interrupted by {cause}; to go on: {again}")
            return INTERRUPTED
    return 0


def _train(plan: Plan, context: Context, inline: bool, force: bool, command: str) -> str | None:
    """One run, unless it is over already, with the command that goes on with it; the signal that interrupted it."""
    run = plan.run
    fault = run.withdraw_damaged()
    if run.is_done() and not force:
        print(f"already done: {run.path} (--force makes it anew)")
        return None
    if fault and not force:
        print(f"made anew: {run.path}: {fault}")
    if run.path.exists() and force:
        print(f"moved aside: {run.move_aside()}")
    if run.failed.exists():
        print(f"taken up again, after it failed: {run.reason()}")
        run.forgive(asked=True)  # whoever gives this command sees what comes of it
    run.create(plan.config.to_dict())
    print(f"stage {plan.config.stage}: {run.path}")
    call = JobCall("train", {**plan.told_to_train(context.data), "command": hidden(command)})
    cause: str | None = (run_inline(call) if inline else submit_local(call, run, context.profile)).get(
        "interrupted"
    )
    if not cause:
        print(f"done: {run.path}")
    return cause
