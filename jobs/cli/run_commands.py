"""The commands about one run: train it, answer with it, and the whole main job in the miniature.

Each imports its room when it is called: who trains need not wait for what makes grids.
"""

from __future__ import annotations

import os
import shlex

from cluster.errors import INTERRUPTED, ClusterError
from cluster.profile.load import SlurmProfile
from cluster.profile.profile_file import word_of
from jobs.cli.options import SHORT
from jobs.cli.requests import DEFAULT_RECIPE, DemoRequest, EvaluateRequest, TrainRequest
from jobs.recipe.context import Context, Where, context_of
from jobs.recipe.describe import describe_answering, refused
from jobs.recipe.names import Names
from jobs.recipe.plan import Plan, evaluated_config, evaluation_obstacles, load_recipe, plan_run
from jobs.work.call import JobCall
from layalign.recipe import stages_of


def train_command(request: TrainRequest) -> int:
    """Make the runs of one stage, or of all."""
    recipe = load_recipe(request.recipe)
    stages = request.stages(stages_of(recipe))
    context = context_of(request.where, request.how).pinned(recipe)
    plans = [plan_run(recipe, stage, context.overrides, context.runs, request.name) for stage in stages]
    if any(
        trained := [plan.config.bridge.trains for plan in plans]
    ):  # of a method that has nothing to train, say so
        plans = [plan for plan, trains in zip(plans, trained) if trains]
    command = words_to_train(request.where, request.recipe, request.name)
    if isinstance(context.profile, SlurmProfile):
        from jobs.launch.queue import queue_training

        return queue_training(plans, context, request.how, command, request.force, request.race)
    from jobs.launch.here import train_here

    return train_here(plans, context, request.how, command, request.force)


def evaluate_command(request: EvaluateRequest) -> int:
    """Answer benchmarks with a run, or with the bare LLM of a recipe."""
    from jobs.grid.evaluation_grid import evaluate_run

    context = context_of(request.where, request.how)
    if request.limit is not None:
        context = context.with_overrides(f"evaluation.limit={request.limit}")
    plan, command = _evaluated(request, context)
    context = context.asked_of(plan.config.model.decoder)
    benchmarks = list(request.benchmarks or plan.config.evaluation.benchmarks)
    slurm = isinstance(context.profile, SlurmProfile)
    against = evaluation_obstacles(plan, benchmarks, context.data, os.environ, command, trained_first=slurm)
    offered = slurm and not against
    if request.how.dry_run and not offered:
        describe_answering(plan, context, benchmarks)
    if against:
        return refused(against)
    status = evaluate_run(plan, benchmarks, request.languages, context, request.how, command)
    if request.how.dry_run and offered:  # behind the offer
        describe_answering(plan, context, benchmarks)
    return status


def _evaluated(request: EvaluateRequest, context: Context) -> tuple[Plan, str]:
    """The run that is to answer, and the command that trains it."""
    if request.run:
        run = Names(context.runs).run(request.run)
        return Plan(evaluated_config(run, context.overrides), run), run.command()
    name = request.recipe or DEFAULT_RECIPE
    recipe = load_recipe(name)
    plan = plan_run(
        recipe, stages_of(recipe)[-1], context.pinned(recipe).overrides, context.runs, request.name
    )
    return plan, f"{words_to_train(request.where, name, request.name)} --stage all"


def demo_command(request: DemoRequest) -> int:
    """The whole main job in the miniature."""
    from cluster.launch.local import run_inline

    runs = request.where.root()
    try:
        runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ClusterError(
            f"the folder of all runs {runs} cannot be written: {error.strerror}; "
            "choose another place with --runs FOLDER or $LAYALIGN_RUNS"
        ) from None
    told = {"runs": str(runs), "seeds": list(request.seeds), "out": str(runs / "demo")}
    result = run_inline(JobCall("demo", told))
    if result.get("interrupted"):
        print(f"interrupted by {result['interrupted']}; the same command goes on")
        return INTERRUPTED
    return 0


def words_to_train(where: Where, recipe: str, name: str | None) -> str:
    """The command that trains what the user has typed, less its stage; options that have a short form in that."""
    words = ["python", "launch.py", "train", "--recipe", recipe]
    for option, value in (
        ("cluster", word_of(where.cluster) if where.cluster else None),
        ("name", name),
        ("data", where.data),
        ("task-pages", where.task_pages),
        ("runs", where.runs),
    ):
        words += [f"--{option}", value] if value is not None else []
    short, long = list[str](), list[str]()
    for text in where.overrides:
        key, _, value = text.partition("=")
        option = key.removeprefix("cluster.")
        if option != key and option in SHORT:
            short += [f"--{option}", value]
        else:
            long += ["-o", text]
    return shlex.join([*words, *short, *long])
