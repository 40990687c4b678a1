"""What the commands share: where they work, what the user typed, and how a run is told of."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.errors import MISTAKE, ClusterError
from cluster.hub.cache import use_storage
from cluster.profile.load import Profile, SlurmProfile, detect, load_profile, split_overrides
from cluster.run.run_folder import runs_root
from cluster.sandbox.sandbox import sandbox_environment, sandbox_root
from cluster.slurm.submission import Submission
from jobs.recipe.plan import Plan, data_check

SHORT = ("tasks", "account", "time", "nodes", "gpus", "gpu", "mem", "units", "hours")
"""Options that are short for `-o cluster.<option>=`."""


@dataclass(frozen=True)
class Place:
    """Where a command works."""

    profile: Profile
    runs: Path
    data: Path | None
    overrides: list[str]
    """Those of the recipe."""


def cluster_of(args: argparse.Namespace) -> tuple[Profile, list[str]]:
    """Where to run, its cache made known to everything that asks the environment, and the recipe's overrides."""
    ours, overrides = split_overrides(args.override)
    for option in SHORT:
        if getattr(args, option, None) is not None:
            ours.append(f"cluster.{option}={getattr(args, option)}")
    profile = load_profile(args.cluster or detect(os.environ), ours)
    os.environ.update(use_storage(profile, os.environ))
    if profile.name == "sandbox" and "SLURM_CONF" not in os.environ:
        with contextlib.suppress(*[ClusterError] if getattr(args, "dry_run", False) else []):
            os.environ.update(sandbox_environment(sandbox_root(os.environ)))
    return profile, overrides


def place_of(args: argparse.Namespace) -> Place:
    """The place that the user means.

    Raises:
        ClusterError: wishes that exclude each other, or no such folder.
    """
    profile, overrides = cluster_of(args)
    slurm = isinstance(profile, SlurmProfile)
    if args.inline and slurm:
        raise ClusterError(f"--inline is this process, but {profile.name} has a queue: leave one out")
    if args.inline and profile.tasks != 1:
        raise ClusterError(
            f"--inline is this one process, but cluster.tasks is {profile.tasks}: leave one out"
        )
    if args.test_only and not slurm:
        raise ClusterError(
            f"--test-only asks a Slurm, and {profile.name} has none: name a cluster by --cluster"
        )
    given = args.data or os.environ.get("LAYALIGN_DATA")
    data = Path(given).expanduser().absolute() if given else None
    if data and not data.is_dir():
        raise ClusterError(f"data folder {data} does not exist; name another with --data or LAYALIGN_DATA")
    return Place(profile, runs_of(args), data, overrides)


def place_again(args: argparse.Namespace, submission: Submission | None) -> Place:
    """The place of a command about what was submitted before: that of then, unless the user names another."""
    told = argparse.Namespace(**vars(args))
    if submission and not args.cluster:
        told.cluster = submission.profile
    place = place_of(told)
    profile = place.profile
    if not (submission and isinstance(profile, SlurmProfile)):
        return place
    if profile.name == submission.profile and profile.account is None:
        return replace(place, profile=replace(profile, account=submission.resources.account))
    return place


def runs_of(args: argparse.Namespace) -> Path:
    """The folder of all runs."""
    return Path(args.runs).expanduser().absolute() if args.runs else runs_root(os.environ)


def command_of(name: str, args: argparse.Namespace) -> str:
    """The user's choice of a run as a command, less its stage."""
    words = ["python", "launch.py", name, "--recipe", args.recipe or "math"]
    for option in ("cluster", "name", "data", "runs", *SHORT):
        if getattr(args, option) is not None:
            words += [f"--{option}", str(getattr(args, option))]
    return shlex.join([*words, *(word for text in args.override for word in ("-o", text))])


def describe(plan: Plan, place: Place, note: str) -> None:
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
    }
    counted = str(data_check(config, place.data))
    if counted:
        rows["rows"] = counted
    if not isinstance(profile, SlurmProfile):
        rows["cluster"] = f"{profile.name}: processes {profile.tasks}, threads of each {profile.threads()}"
    print(f"stage {config.stage} of {config.name}")
    for key, value in rows.items():
        print(f"  {key:<12} {value}")


def refused(obstacles: Iterable[str]) -> int:
    """Tell each thing that stands in the way, once; the exit status."""
    every = list(dict.fromkeys(obstacles))
    for text in every:
        print(f"error: {text}", file=sys.stderr)
    return MISTAKE if every else 0


def agreed(question: str, yes: bool) -> bool:
    """Whether the user wants it.

    Raises:
        ClusterError: there is nobody to ask.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ClusterError(f"to {question}, an answer is needed, and there is no terminal: add --yes")
    return input(f"{question}? [y/N] ").strip().lower() in ("y", "yes")
