"""The commands of the front door: where each is, what it is asked for and what may be typed. Imports argparse alone."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

from jobs.cli import options


class Command(NamedTuple):
    """One word after `launch.py`."""

    module: str
    """In this folder; has a function `<word>_command` of the request, which returns the exit status."""
    request: str
    """Type of the request, in `requests`."""
    options: Callable[[argparse.ArgumentParser], None]
    help: str


COMMANDS = {
    "train": Command(
        "run_commands", "TrainRequest", options.train_options, "train one stage of a recipe, or both"
    ),
    "evaluate": Command(
        "run_commands", "EvaluateRequest", options.evaluate_options, "answer benchmarks with a run"
    ),
    "pipeline": Command(
        "grid_commands",
        "PipelineRequest",
        options.pipeline_options,
        "both stages, answers and tables of a recipe",
    ),
    "ablate": Command(
        "grid_commands",
        "AblateRequest",
        options.ablate_options,
        "bring a grid of variants to the state its file says",
    ),
    "missing": Command(
        "grid_commands",
        "MissingRequest",
        options.missing_options,
        "what of a grid is not done; queue just that",
    ),
    "status": Command("watch_commands", "StatusRequest", options.status_options, "every run and cell, once"),
    "watch": Command("watch_commands", "StatusRequest", options.status_options, "the same, live"),
    "logs": Command(
        "watch_commands", "LogsRequest", options.logs_options, "what a run prints, or why it broke"
    ),
    "why": Command(
        "watch_commands", "WhyRequest", options.one_run, "what keeps a run from going on, and what helps"
    ),
    "efficiency": Command(
        "watch_commands",
        "EfficiencyRequest",
        options.efficiency_options,
        "what runs asked for, what they used, and advice",
    ),
    "cancel": Command(
        "grid_commands", "CancelRequest", options.cancel_options, "take runs or grids out of the queue"
    ),
    "retry": Command("grid_commands", "RetryRequest", options.retry_options, "queue again what has failed"),
    "results": Command(
        "watch_commands",
        "ResultsRequest",
        options.results_options,
        "tables beside the paper's, and a report",
    ),
    "clean": Command(
        "keep_commands", "CleanRequest", options.clean_options, "what is safe to delete, shown first"
    ),
    "keep": Command(
        "keep_commands",
        "KeepRequest",
        options.keep_options,
        "copy finished bridges and results to project storage",
    ),
    "export": Command("keep_commands", "ExportRequest", options.export_options, "a run as one archive"),
    "import": Command("keep_commands", "ImportRequest", options.import_options, "a run out of an archive"),
    "demo": Command(
        "run_commands",
        "DemoRequest",
        options.demo_options,
        "both stages of every method in the miniature, with table and plots",
    ),
    "prefetch": Command(
        "site_commands",
        "PrefetchRequest",
        options.prefetch_options,
        "fetch a recipe's models and data sets; on a login node",
    ),
    "env": Command(
        "site_commands",
        "EnvRequest",
        options.env_options,
        "tell how jobs come by their Python on a cluster, or build it",
    ),
    "doctor": Command(
        "site_commands", "DoctorRequest", options.doctor_options, "compare a profile with its cluster"
    ),
    "sandbox": Command(
        "site_commands",
        "SandboxRequest",
        options.sandbox_options,
        "a throwaway Slurm on this machine ($LAYALIGN_SANDBOX)",
    ),
}
