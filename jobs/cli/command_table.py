"""The commands of the front door: where each is, and what it may be told. Imports argparse alone."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

from jobs.cli import options


class Command(NamedTuple):
    """One word after `launch.py`."""

    module: str
    """Has a function of the command's name."""
    options: Callable[[argparse.ArgumentParser], None]
    help: str


COMMANDS = {
    "train": Command("jobs.cli.run_commands", options.train_options, "train one stage of a recipe, or both"),
    "evaluate": Command("jobs.cli.run_commands", options.evaluate_options, "answer benchmarks with a run"),
    "pipeline": Command(
        "jobs.cli.grid_commands", options.pipeline_options, "both stages, answers and tables of a recipe"
    ),
    "ablate": Command(
        "jobs.cli.grid_commands",
        options.ablate_options,
        "bring a grid of variants to the state its file says",
    ),
    "missing": Command(
        "jobs.cli.grid_commands", options.missing_options, "what of a grid is not done; queue just that"
    ),
    "status": Command("jobs.board.show", options.status_options, "every run and cell, once"),
    "watch": Command("jobs.board.show", options.status_options, "the same, live"),
    "logs": Command("jobs.diagnosis.logs", options.logs_options, "what a run prints, or why it broke"),
    "why": Command("jobs.diagnosis.why", options.one_run, "what keeps a run from going on, and what helps"),
    "efficiency": Command(
        "jobs.diagnosis.efficiency",
        options.efficiency_options,
        "what runs asked for, what they used, and advice",
    ),
    "cancel": Command(
        "jobs.cli.grid_commands", options.cancel_options, "take runs or grids out of the queue"
    ),
    "retry": Command("jobs.cli.grid_commands", options.retry_options, "queue again what has failed"),
    "results": Command(
        "jobs.results.output", options.results_options, "tables beside the paper's, and a report"
    ),
    "clean": Command("jobs.keeping.command", options.clean_options, "what is safe to delete, shown first"),
    "keep": Command(
        "jobs.keeping.command", options.keep_options, "copy finished bridges and results to project storage"
    ),
    "export": Command("jobs.keeping.command", options.export_options, "a run as one archive"),
    "import": Command("jobs.keeping.command", options.import_options, "a run out of an archive"),
    "demo": Command(
        "jobs.cli.run_commands",
        options.demo_options,
        "both stages of every method in the miniature, with table and plots",
    ),
    "prefetch": Command(
        "jobs.cli.run_commands",
        options.prefetch_options,
        "fetch a recipe's models and data sets; on a login node",
    ),
    "env": Command(
        "jobs.cli.run_commands",
        options.env_options,
        "tell how jobs come by their Python on a cluster, or build it",
    ),
    "doctor": Command("jobs.cli.run_commands", options.doctor_options, "compare a profile with its cluster"),
    "sandbox": Command(
        "jobs.cli.run_commands",
        options.sandbox_options,
        "a throwaway Slurm on this machine ($LAYALIGN_SANDBOX)",
    ),
}
