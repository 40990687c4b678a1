"""What a warm Python has loaded: packages, all that `ablate` imports, and the words in which answers are looked for."""

from __future__ import annotations

from importlib import import_module

from layalign.evaluation.scoring import strict_number

for name in (
    "submitit",
    "rich.table",
    "jobs.cli.grid_commands",
    "jobs.grid.conclude",
    "jobs.grid.slot",
    "jobs.results.output",
    "jobs.work.evaluate",
    "jobs.work.train",
    "layalign.mini.pretrain",
):
    import_module(name)
strict_number("7")
