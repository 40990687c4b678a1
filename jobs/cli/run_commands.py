"""The commands of the front door: take what it has parsed, call what does the work, print."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from typing import Any

from cluster.errors import FAILED, INTERRUPTED, ClusterError
from cluster.profile.load import SlurmProfile, load_profile, slurm_only
from jobs.grid.evaluation_grid import evaluate_run
from jobs.grid.grid_file import load_grid
from jobs.recipe.context import Place, cluster_of, command_of, describe, place_of, refused, runs_of
from jobs.recipe.names import Names
from jobs.recipe.plan import (
    Plan,
    evaluated_config,
    evaluation_obstacles,
    load_recipe,
    plan_run,
    training_obstacles,
)
from jobs.recipe.prefetch import pins, wanted
from jobs.work.call import JobCall
from layalign.config import resolve


def train_command(args: argparse.Namespace) -> int:
    """Make the runs of one stage, or of both."""
    place = place_of(args)
    recipe = load_recipe(args.recipe or "math")
    place.overrides.extend(pins(recipe, place.overrides, os.environ))
    stages = (1, 2) if args.stage == "all" else (int(args.stage),)
    plans = [plan_run(recipe, stage, place.overrides, place.runs, args.name) for stage in stages]
    command = command_of("train", args)
    if isinstance(place.profile, SlurmProfile):
        from jobs.launch.queue import queue_training

        return queue_training(plans, place, args, command)
    obstacles = []
    for plan in plans:
        wanted = args.force or not plan.run.done.exists()
        if wanted:
            obstacles += training_obstacles(plan, place.data, os.environ, len(plans) > 1, command)
        if args.dry_run:
            describe(plan, place, "" if wanted else "already done")
    if obstacles or args.dry_run:
        return refused(obstacles)
    for plan in plans:
        cause = _train_run(plan, place, args)
        if cause:
            print(f"interrupted by {cause}; to go on: {command} --stage {args.stage}")
            return INTERRUPTED
    return 0


def _train_run(plan: Plan, place: Place, args: argparse.Namespace) -> str | None:
    """One run, unless it is over already; returns the signal that interrupted it."""
    run = plan.run
    if run.done.exists() and not args.force:
        print(f"already done: {run.path} (--force makes it anew)")
        return None
    if run.path.exists() and args.force:
        print(f"moved aside: {run.move_aside()}")
    run.create(plan.config.to_dict())
    print(f"stage {plan.config.stage}: {run.path}")
    parent = str(plan.weights) if plan.weights else None
    result = _run(JobCall("train", {**plan.told(place.data), "parent": parent}), plan, place, args.inline)
    if not result.get("interrupted"):
        print(f"done: {run.path}")
    return result.get("interrupted")


def evaluate_command(args: argparse.Namespace) -> int:
    """Answer benchmarks with a run, or with the bare LLM of a recipe."""
    place = place_of(args)
    if args.limit is not None:
        place.overrides.append(f"evaluation.limit={args.limit}")
    if args.run:
        if args.recipe or args.name:
            raise ClusterError(
                "--run names a run that exists, --recipe and --name tell of another: leave one out"
            )
        run = Names(place.runs).run(args.run)
        plan = Plan(evaluated_config(run, place.overrides), run)
        command = "the train command that began it"
    else:
        recipe = load_recipe(args.recipe or "math")
        place.overrides.extend(pins(recipe, place.overrides, os.environ))
        plan = plan_run(recipe, 2, place.overrides, place.runs, args.name)
        command = f"{command_of('train', args)} --stage all"
    benchmarks = args.benchmark or list(plan.config.evaluation.benchmarks)
    slurm = isinstance(place.profile, SlurmProfile)
    against = evaluation_obstacles(plan, benchmarks, place.data, os.environ, command, trained_first=slurm)
    if args.dry_run:
        describe(plan, place, ", ".join(benchmarks))
    if against:
        return refused(against)
    return evaluate_run(plan, benchmarks, place, args, command)


def demo_command(args: argparse.Namespace) -> int:
    """The whole main job in the miniature."""
    from cluster.launch.local import run_inline

    runs = runs_of(args)
    told = {"runs": str(runs), "seeds": args.seeds, "out": str(runs / "demo")}
    result = run_inline(JobCall("demo", told))
    if result.get("interrupted"):
        print(f"interrupted by {result['interrupted']}; the same command goes on")
        return INTERRUPTED
    return 0


def prefetch_command(args: argparse.Namespace) -> int:
    """Bring what a recipe needs from the hub into the cache that jobs read."""
    from cluster.hub.cache import hub_cache
    from jobs.recipe import prefetch as hub

    if args.grid and args.recipe:
        raise ClusterError("--grid has a recipe of its own: leave --recipe out")
    profile, overrides = cluster_of(args)
    print(f"cache: {hub_cache(os.environ)}")
    for recipe, own in _fetched(args):
        hub.prefetch(recipe, [*own, *overrides], profile, dict(os.environ), args.update)
    return 0


def _fetched(args: argparse.Namespace) -> Iterator[tuple[dict[str, Any], Sequence[str]]]:
    """What is to be fetched: a recipe with its overrides, for a grid once for each set of models and data."""
    if not args.grid:
        yield load_recipe(args.recipe or "math"), ()
        return
    grid = load_grid(args.grid)
    recipe, seen = load_recipe(grid.recipe), set()
    for point in grid.points:
        configs = [resolve(recipe, stage, point.overrides) for stage in (1, 2)]
        needs = frozenset(one for config in configs for one in wanted(config))
        if needs not in seen:
            seen.add(needs)
            yield recipe, point.overrides


def env_command(args: argparse.Namespace) -> int:
    """Tell how jobs come by their Python, or build it."""
    from cluster.site.environment import build, describe

    profile = slurm_only(cluster_of(args)[0])
    if args.build:
        build(profile, os.environ)
    print(*describe(profile, os.environ), sep="\n")
    return 0


def doctor_command(args: argparse.Namespace) -> int:
    """Compare a profile with its cluster."""
    from cluster.site.doctor import examine

    profile = slurm_only(cluster_of(args)[0])
    findings = examine(profile, os.environ, args.compute)
    print(*(finding.line(profile.name) for finding in findings), sep="\n")
    return FAILED if any(finding.mark == "differs" for finding in findings) else 0


def sandbox_command(args: argparse.Namespace) -> int:
    """Start or end a throwaway Slurm on this machine, or tell of it."""
    from cluster.sandbox import sandbox as slurm
    from cluster.sandbox.shape import shape_of

    root = slurm.sandbox_root(os.environ)
    if args.action == "down":
        print(f"removed: {root}" if slurm.down(root) else f"no sandbox in {root}")
        return 0
    if args.action == "up":
        profile = load_profile(args.like)
        slurm.up(root, shape_of(profile, args.nodes, not args.no_accounting, args.warn_preempted))
    print(slurm.status(root))
    return 0


def _run(call: JobCall, plan: Plan, place: Place, inline: bool) -> dict[str, Any]:
    """Start a job for a run on this machine and wait for it."""
    from cluster.launch.local import run_inline, submit_local

    return run_inline(call) if inline else submit_local(call, plan.run, place.profile)
