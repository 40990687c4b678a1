"""The commands of the front door: where each is, what it is asked for and what may be typed. Imports argparse alone."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

from jobs.cli import options

SET_UP = "set up"
GROUPS = ("run", "watch", "results", "keep", SET_UP)
"""Of commands, in the order of the help. Those that set up a machine write nothing of runs."""


class Command(NamedTuple):
    """One word after `launch.py`."""

    group: str
    """Of `GROUPS`."""
    module: str
    """In this folder; has a function `<word>_command` of the request, which returns the exit status."""
    request: str
    """Type of the request, in `requests`."""
    options: Callable[[argparse.ArgumentParser], None]
    help: str
    examples: tuple[str, str]
    """What may follow the command."""


COMMANDS = {
    "train": Command(
        "run",
        "run_commands",
        "TrainRequest",
        options.train_options,
        "train one stage of a recipe, or all",
        (
            "--stage all --recipe mini",
            "--stage 1 --cluster narval --account def-prof --time 3h --hours 9 --dry-run",
        ),
    ),
    "evaluate": Command(
        "run",
        "run_commands",
        "EvaluateRequest",
        options.evaluate_options,
        "answer benchmarks with a run",
        ("--run mini-layalign --benchmark mini", "--run mini-layalign --languages sw,th --limit 20"),
    ),
    "generate": Command(
        "run",
        "generate_command",
        "GenerateRequest",
        options.generate_options,
        "ask a run questions",
        (
            '--run mini-layalign "tano kujumlisha mbili"',
            "--run mini-layalign --file questions.txt --json-lines",
        ),
    ),
    "pipeline": Command(
        "run",
        "grid_commands",
        "PipelineRequest",
        options.pipeline_options,
        "all stages, answers and tables of a recipe",
        ("--recipe mini", "--recipe math --cluster narval --account def-prof --dry-run"),
    ),
    "ablate": Command(
        "run",
        "grid_commands",
        "AblateRequest",
        options.ablate_options,
        "bring a grid of variants to the state its file says",
        ("--grid mini-ablations --dry-run", "--grid ablations --cluster narval --throttle 4 --dry-run"),
    ),
    "missing": Command(
        "run",
        "grid_commands",
        "MissingRequest",
        options.missing_options,
        "what of a grid is not done; queue just that",
        ("mini-ablations", "mini-ablations --submit --dry-run"),
    ),
    "retry": Command(
        "run",
        "grid_commands",
        "RetryRequest",
        options.retry_options,
        "queue again what has stopped, and what waits for it",
        ("mini-ablations --dry-run", "--failed --more-mem --dry-run"),
    ),
    "cancel": Command(
        "run",
        "grid_commands",
        "CancelRequest",
        options.cancel_options,
        "take runs or grids out of the queue",
        ("mini-layalign", "mini-ablations --yes"),
    ),
    "demo": Command(
        "run",
        "run_commands",
        "DemoRequest",
        options.demo_options,
        "both stages of every method in the miniature, with table and plots",
        ("", "--seeds 0 1 2"),
    ),
    "status": Command(
        "watch",
        "watch_commands",
        "StatusRequest",
        options.status_options,
        "every run and cell, once",
        ("mini-ablations", "--state failed,running --json"),
    ),
    "watch": Command(
        "watch",
        "watch_commands",
        "WatchRequest",
        options.watch_options,
        "the same, live",
        ("", "--grid mini-ablations"),
    ),
    "why": Command(
        "watch",
        "watch_commands",
        "WhyRequest",
        options.why_options,
        "what keeps a run, cell or grid from going on, and what helps",
        ("mini-layalign-s2", "mini-layalign mini/sw-0 --json"),
    ),
    "logs": Command(
        "watch",
        "watch_commands",
        "LogsRequest",
        options.logs_options,
        "what a run, cell or grid prints, or why it broke",
        ("mini-layalign-s2 --errors", "mini-layalign-s1 --rank 0"),
    ),
    "efficiency": Command(
        "watch",
        "watch_commands",
        "EfficiencyRequest",
        options.efficiency_options,
        "what runs asked for, what they used, and advice",
        ("", "mini-ablations --json"),
    ),
    "results": Command(
        "results",
        "watch_commands",
        "ResultsRequest",
        options.results_options,
        "tables beside the paper's, and a report",
        ("mini-ablations", "mini-layalign-s2 --benchmark mini --rule official"),
    ),
    "keep": Command(
        "keep",
        "keep_commands",
        "KeepRequest",
        options.keep_options,
        "copy finished bridges and results to project storage",
        ("--to kept", "mini-ablations --to kept"),
    ),
    "export": Command(
        "keep",
        "keep_commands",
        "ExportRequest",
        options.export_options,
        "a run or a grid as one archive",
        ("mini-layalign-s2 --to run.tar", "mini-layalign-s1 --checkpoints --to whole.tar"),
    ),
    "push": Command(
        "keep",
        "keep_commands",
        "PushRequest",
        options.push_options,
        "a run's bridge with its card on the Hugging Face hub, shown first",
        ("mini-layalign-s2 --to me/mini-bridge", "mini-layalign-s2 --to me/mini-bridge --public --yes"),
    ),
    "import": Command(
        "keep",
        "keep_commands",
        "ImportRequest",
        options.import_options,
        "a run out of an archive",
        ("run.tar --runs there", "whole.tar --runs there"),
    ),
    "clean": Command(
        "keep",
        "keep_commands",
        "CleanRequest",
        options.clean_options,
        "what is safe to delete, shown first",
        ("", "mini-ablations --yes"),
    ),
    "list": Command(
        SET_UP,
        "list_command",
        "ListRequest",
        options.list_options,
        "what there is: recipes, grids, models, benchmarks, keys of a recipe, ...",
        ("", "keys"),
    ),
    "init": Command(
        "set up",
        "init_command",
        "InitRequest",
        options.init_options,
        "write a recipe, a grid or a cluster's profile to begin from",
        ("recipe ours.yaml --yes", "cluster there.yaml"),
    ),
    "doctor": Command(
        SET_UP,
        "site_commands",
        "DoctorRequest",
        options.doctor_options,
        "compare a profile with its cluster",
        ("--cluster narval", "--write ours.yaml"),
    ),
    "env": Command(
        SET_UP,
        "site_commands",
        "EnvRequest",
        options.env_options,
        "tell how jobs come by their Python on a cluster, or build it",
        ("--cluster narval", "--cluster narval --build"),
    ),
    "prefetch": Command(
        SET_UP,
        "site_commands",
        "PrefetchRequest",
        options.prefetch_options,
        "fetch a recipe's models and data sets; on a login node",
        ("--recipe math", "--grid encoders"),
    ),
    "data": Command(
        SET_UP,
        "data_commands",
        "DataRequest",
        options.data_options,
        "what data there is, what is in it, and whether a benchmark's questions are",
        ("list", "check --recipe mini --stage 2"),
    ),
    "sandbox": Command(
        SET_UP,
        "site_commands",
        "SandboxRequest",
        options.sandbox_options,
        "a throwaway Slurm on this machine ($LAYALIGN_SANDBOX)",
        ("up", "down"),
    ),
    "completion": Command(
        SET_UP,
        "site_commands",
        "CompletionRequest",
        options.completion_options,
        "make a shell complete commands, options and names",
        ("bash", "fish"),
    ),
}
