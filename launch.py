#!/usr/bin/env python
"""The front door: parse, call one function, print. Starts without torch, transformers or datasets."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent
if sys.path[0] != str(ROOT):  # `cluster` and `jobs` are those of this checkout, whatever is installed
    sys.path.insert(0, str(ROOT))

WISHES = {
    "account": ("NAME", "whom to charge; short for -o cluster.account=NAME, as are the next ones"),
    "time": ("TIME", "of one unit: 3h, 12:00:00, 1-12:00:00, or minutes"),
    "nodes": ("N", "nodes to spread the GPUs over (default: as few as hold them)"),
    "gpus": ("N", "GPUs in all (default: the recipe's)"),
    "gpu": ("WORD", "model or slice: a100, h100, ..."),
    "mem": ("SIZE", "of a node: 64G"),
    "units": ("N", "jobs that share a run one after another, or auto"),
    "hours": ("HOURS", "estimate of the whole run, for --units auto"),
}
"""Options for a cluster with a queue: their values and what they are for."""
PACKAGES = ("yaml", "submitit", "rich", "cloudpickle", "huggingface_hub")
"""What the launcher needs beyond Python itself (envs/launcher.txt)."""


def _cluster_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cluster", metavar="NAME", help="where to run (default: the cluster detected, else local)"
    )
    parser.add_argument(
        "-o",
        "--override",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="change the recipe (training.lr=1e-4, stages.1.training.lr=1e-4) or the profile (cluster.tasks=2)",
    )


def _recipe_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", metavar="NAME|PATH", help="math, mini, or a YAML file (default: math)")


def _common(parser: argparse.ArgumentParser) -> None:
    _cluster_options(parser)
    _recipe_option(parser)
    parser.add_argument(
        "--name", metavar="N", help="name of the run (default: the recipe's and its method's)"
    )
    parser.add_argument("--data", metavar="FOLDER", help="data folder (default: $LAYALIGN_DATA)")
    parser.add_argument(
        "--runs", metavar="FOLDER", help="folder of all runs (default: $LAYALIGN_RUNS or ./runs)"
    )
    parser.add_argument("--tasks", type=int, metavar="N", help="processes; short for -o cluster.tasks=N")
    for name, (value, text) in WISHES.items():
        parser.add_argument(f"--{name}", metavar=value, help=text)
    parser.add_argument("--inline", action="store_true", help="run in this process")
    look = parser.add_mutually_exclusive_group()
    look.add_argument(
        "--dry-run",
        action="store_true",
        help="tell what would run and what stands in the way; start and write nothing",
    )
    look.add_argument("--test-only", action="store_true", help="ask Slurm whether and when it would start")


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


def _prefetch_options(parser: argparse.ArgumentParser) -> None:
    _cluster_options(parser)
    _recipe_option(parser)
    parser.add_argument(
        "--update", action="store_true", help="move on from the commits that were fetched before"
    )


def _env_options(parser: argparse.ArgumentParser) -> None:
    _cluster_options(parser)
    parser.add_argument("--build", action="store_true", help="build it; on a login node")


def _doctor_options(parser: argparse.ArgumentParser) -> None:
    _cluster_options(parser)
    parser.add_argument("--compute", action="store_true", help="also run a one-minute job")


def _sandbox_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("up", "down", "status"))
    parser.add_argument(
        "--like", default="sandbox", metavar="NAME", help="cluster to imitate (default: sandbox)"
    )
    parser.add_argument(
        "--nodes", type=_items, default=4, metavar="N", help="nodes of each kind (default: 4)"
    )
    parser.add_argument(
        "--no-accounting", action="store_true", help="without accounts, limits, QOS and sacct"
    )
    parser.add_argument(
        "--warn-preempted", action="store_true", help="preempted jobs get the signal of their --signal"
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
    """One word after `launch.py`; `jobs.commands` has a function of its name."""

    options: Callable[[argparse.ArgumentParser], None]
    help: str


COMMANDS = {
    "train": Command(_train_options, "train one stage of a recipe, or both"),
    "evaluate": Command(_evaluate_options, "answer benchmarks with a run"),
    "demo": Command(_demo_options, "both stages of every method in the miniature, with table and plots"),
    "prefetch": Command(_prefetch_options, "fetch a recipe's models and data sets; on a login node"),
    "env": Command(_env_options, "tell how jobs come by their Python on a cluster, or build it"),
    "doctor": Command(_doctor_options, "compare a profile with its cluster"),
    "sandbox": Command(_sandbox_options, "a throwaway Slurm on this machine ($LAYALIGN_SANDBOX)"),
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

    from cluster.errors import FAILED, INTERRUPTED, MISTAKE, ClusterError, JobFailed

    try:
        run: Callable[[argparse.Namespace], int] = getattr(
            importlib.import_module("jobs.commands"), args.command
        )
        return run(args)
    except (ClusterError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED if isinstance(error, JobFailed) else MISTAKE
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        launcher = "make an environment that has it with: sh envs/bootstrap"
        print(f"error: {sys.executable} has no package {error.name}; {launcher}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
