#!/usr/bin/env python
"""The front door: parse, call one function, print. Starts without torch, transformers or datasets."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

ROOT = Path(__file__).resolve().parent
if sys.path[0] != str(ROOT):  # `cluster` and `jobs` are those of this checkout, whatever is installed
    sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from cluster.profile import Profile
    from jobs.plan import Plan

FAILED, MISTAKE, INTERRUPTED = 1, 2, 130


class Place(NamedTuple):
    """Where a command works."""

    profile: Profile
    runs: Path
    data: Path | None
    overrides: list[str]
    """Those of the recipe."""


def train(args: argparse.Namespace) -> int:
    """Make the runs of one stage, or of both."""
    from jobs.plan import load_recipe, plan_run, training_obstacles

    place = _place(args)
    recipe = load_recipe(args.recipe or "math")
    stages = (1, 2) if args.stage == "all" else (int(args.stage),)
    plans = [plan_run(recipe, stage, place.overrides, place.runs, args.name) for stage in stages]
    command, obstacles = _command("train", args), []
    for plan in plans:
        wanted = args.force or not plan.run.done.exists()
        if wanted:
            obstacles += training_obstacles(plan, place.data, os.environ, len(plans) > 1, command)
        if args.dry_run:
            _describe(plan, place, "" if wanted else "already done")
    if obstacles or args.dry_run:
        return _refused(obstacles)
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
    result = _run("train", plan, place, args.inline, parent=parent)
    if not result.get("interrupted"):
        print(f"done: {run.path}")
    return result.get("interrupted")


def evaluate(args: argparse.Namespace) -> int:
    """Answer benchmarks with a run, or with the bare LLM of a recipe."""
    from cluster.errors import ClusterError
    from cluster.runs import find_run
    from jobs.plan import Plan, evaluated_config, evaluation_obstacles, load_recipe, plan_run

    place = _place(args)
    if args.limit is not None:
        place.overrides.append(f"evaluation.limit={args.limit}")
    if args.run:
        if args.recipe or args.name:
            raise ClusterError(
                "--run names a run that exists, --recipe and --name tell of another: leave one out"
            )
        run = find_run(place.runs, args.run)
        plan = Plan(evaluated_config(run, place.overrides), run)
        command = "the train command that began it"
    else:
        recipe = load_recipe(args.recipe or "math")
        plan = plan_run(recipe, 2, place.overrides, place.runs, args.name)
        command = f"{_command('train', args)} --stage all"
    benchmarks = args.benchmark or list(plan.config.evaluation.benchmarks)
    obstacles = evaluation_obstacles(plan, benchmarks, place.data, os.environ, command)
    if args.dry_run:
        _describe(plan, place, ", ".join(benchmarks))
    if obstacles or args.dry_run:
        return _refused(obstacles)
    if not plan.run.config.exists():
        plan.run.create(plan.config.to_dict())
    result = _run("evaluate", plan, place, args.inline, benchmarks=benchmarks, languages=args.languages)
    if result.get("interrupted"):
        print(f"interrupted by {result['interrupted']}; the same command goes on")
        return INTERRUPTED
    print(f"results: {plan.run.results}")
    return 0


def demo(args: argparse.Namespace) -> int:
    """The whole main job in the miniature."""
    from cluster.runs import runs_root
    from cluster.submit import run_inline
    from jobs.call import JobCall

    runs = Path(args.runs).expanduser().absolute() if args.runs else runs_root(os.environ)
    told = {"runs": str(runs), "seeds": args.seeds, "out": str(runs / "demo")}
    result = run_inline(JobCall("demo", told))
    if result.get("interrupted"):
        print(f"interrupted by {result['interrupted']}; the same command goes on")
        return INTERRUPTED
    return 0


def _place(args: argparse.Namespace) -> Place:
    from cluster.errors import ClusterError
    from cluster.profile import detect, load_profile, split_overrides
    from cluster.runs import runs_root

    ours, overrides = split_overrides(args.override)
    if args.tasks is not None:
        ours.append(f"cluster.tasks={args.tasks}")
    profile = load_profile(args.cluster or detect(os.environ), ours)
    if args.inline and profile.tasks != 1:
        raise ClusterError(
            f"--inline is this one process, but cluster.tasks is {profile.tasks}: leave one out"
        )
    runs = Path(args.runs).expanduser().absolute() if args.runs else runs_root(os.environ)
    given = args.data or os.environ.get("LAYALIGN_DATA")
    data = Path(given).expanduser().absolute() if given else None
    if data and not data.is_dir():
        raise ClusterError(f"data folder {data} does not exist; name another with --data or LAYALIGN_DATA")
    return Place(profile, runs, data, overrides)


def _run(job: str, plan: Plan, place: Place, inline: bool, **facts: Any) -> dict[str, Any]:
    """Start a job for a run and wait for it."""
    from cluster.submit import run_inline, submit_local
    from jobs.call import JobCall

    told = {"run": str(plan.run.path), "config": plan.config.to_dict()}
    call = JobCall(job, {**told, "data": str(place.data) if place.data else None, **facts})
    return run_inline(call) if inline else submit_local(call, plan.run, place.profile)


def _describe(plan: Plan, place: Place, note: str) -> None:
    """What a dry run prints of one run."""
    config, bridge, training, profile = plan.config, plan.config.bridge, plan.config.training, place.profile
    gate = f" with {bridge.gate} gates" if bridge.aligner != "none" else ""
    switches = f"adapter {bridge.adapter}, aligner {bridge.aligner}{gate}, text {bridge.text}"
    rows = {
        "run": f"{plan.run.path} ({note or plan.run.state()})",
        "method": f"{config.model.method}: {switches}",
        "models": f"{config.model.encoder} and {config.model.decoder} in {config.model.precision}",
        "data": f"{config.data.path} ({config.data.reader}), {len(config.data.languages)} languages",
        "training": f"lr {training.lr:g}, epochs {training.epochs}, max_steps {training.max_steps or 'none'}, "
        f"batch {training.batch_size}, seed {config.seed}; the steps are counted when the data is read",
        "starts from": plan.weights or "a fresh bridge",
        "cluster": f"{profile.name}: processes {profile.tasks}, threads of each {profile.threads()}",
    }
    print(f"stage {config.stage} of {config.name}")
    for key, value in rows.items():
        print(f"  {key:<12} {value}")


def _refused(obstacles: list[str]) -> int:
    """Tell each thing that stands in the way, once."""
    for text in dict.fromkeys(obstacles):
        print(f"error: {text}", file=sys.stderr)
    return MISTAKE if obstacles else 0


def _command(name: str, args: argparse.Namespace) -> str:
    """The user's choice of a run as a command, less its stage."""
    words = ["python", "launch.py", name, "--recipe", args.recipe or "math"]
    for option in ("cluster", "name", "data", "runs", "tasks"):
        if getattr(args, option) is not None:
            words += [f"--{option}", str(getattr(args, option))]
    return shlex.join([*words, *(word for text in args.override for word in ("-o", text))])


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cluster", metavar="NAME", help="where to run (default: the cluster detected, else local)"
    )
    parser.add_argument("--recipe", metavar="NAME|PATH", help="math, mini, or a YAML file (default: math)")
    parser.add_argument(
        "--name", metavar="N", help="name of the run (default: the recipe's and its method's)"
    )
    parser.add_argument("--data", metavar="FOLDER", help="data folder (default: $LAYALIGN_DATA)")
    parser.add_argument(
        "--runs", metavar="FOLDER", help="folder of all runs (default: $LAYALIGN_RUNS or ./runs)"
    )
    parser.add_argument("--tasks", type=int, metavar="N", help="processes; short for -o cluster.tasks=N")
    parser.add_argument("--inline", action="store_true", help="run in this process")
    parser.add_argument("--dry-run", action="store_true", help="tell what would run; start and write nothing")
    parser.add_argument(
        "-o",
        "--override",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="change the recipe (training.lr=1e-4, stages.1.training.lr=1e-4) or the profile (cluster.tasks=2)",
    )


def _train_options(parser: argparse.ArgumentParser) -> None:
    _common(parser)
    parser.add_argument("--stage", choices=("1", "2", "all"), required=True, help="1 translation, 2 task")
    parser.add_argument("--force", action="store_true", help="make it anew; the old folder is moved aside")


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
    _common(parser)
    parser.add_argument("--run", metavar="NAME", help="run to evaluate: its name, folder or signature")
    parser.add_argument(
        "--benchmark", type=_commas, metavar="A,B", help="mgsm, msvamp, mini (default: the recipe's)"
    )
    parser.add_argument("--languages", type=_commas, metavar="A,B", help="names or codes (default: all)")
    parser.add_argument("--limit", type=_items, metavar="N", help="first items of each language only")


def _demo_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N", help="seeds (default: 0)")
    parser.add_argument(
        "--runs", metavar="FOLDER", help="folder of all runs (default: $LAYALIGN_RUNS or ./runs)"
    )


def _commas(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _items(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{text} is no number of items: it must be a whole number, at least 1"
        )
    return int(text)


class Command(NamedTuple):
    """One word after `launch.py`."""

    run: Callable[[argparse.Namespace], int]
    options: Callable[[argparse.ArgumentParser], None]
    help: str


COMMANDS = {
    "train": Command(train, _train_options, "train one stage of a recipe, or both"),
    "evaluate": Command(evaluate, _evaluate_options, "answer benchmarks with a run"),
    "demo": Command(
        demo, _demo_options, "both stages of every method in the miniature, with table and plots"
    ),
}


def main(words: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="launch.py", description="Train and evaluate LayAlign.", allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        added = commands.add_parser(name, help=command.help, description=command.help, allow_abbrev=False)
        command.options(added)
    args = parser.parse_args(words)

    from cluster.errors import ClusterError, JobFailed

    try:
        return COMMANDS[args.command].run(args)
    except (ClusterError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED if isinstance(error, JobFailed) else MISTAKE
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
