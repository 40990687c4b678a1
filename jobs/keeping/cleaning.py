"""What is safe to delete below the folder of all runs: shown, and deleted if the user agrees."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cluster.records import unless_damaged
from cluster.run.grid_folder import all_grids
from cluster.run.run_folder import all_runs
from cluster.slurm.queue import Look
from cluster.storage.cleanup import (
    Removable,
    inits_of,
    removable_of_grid,
    removable_of_root,
    removable_of_run,
    remove,
)
from jobs.recipe.describe import agreed, each, tell_errors
from jobs.recipe.meter import human_size, many
from jobs.recipe.names import chosen
from layalign.tabular import Column, Row, Table

SHOWN = 3
"""Names that a row of the table gives before it counts the rest."""


def clean(root: Path, names: Sequence[str], yes: bool) -> int:
    """Show what is safe to delete, and delete it if the user agrees.

    Args:
        root: folder of all runs.
        names: of runs and grids; none is everything.
        yes: the user has agreed.

    Returns:
        The exit status.
    """
    look = Look.attempt()
    removable = removable_of(root, names, look)
    if look.silence and has_submitted(root):
        print(f"what was submitted is left alone: {look.silence}")
    if not removable:
        print(f"nothing that is safe to delete below {root}")
        return 0
    show_removable(removable)
    if not yes and not sys.stdin.isatty():
        print("nothing was deleted; to delete it, give the command again with --yes")
        return 0
    if not agreed("delete all of this", yes):
        return 0
    if not yes:  # time has passed: something may have begun
        shown = {one.path for one in removable}
        removable = [one for one in removable_of(root, names, Look.attempt()) if one.path in shown]
    errors = each(removable, remove)
    gone = [one for one in removable if not os.path.lexists(one.path)]
    print(f"deleted: {sum_of(gone)}")
    return tell_errors(errors)


def removable_of(root: Path, names: Sequence[str], look: Look) -> list[Removable]:
    """What is safe to delete of what is named; of everything, drafts and code among it, where nothing is."""
    runs, grids = chosen(root, names)
    every = all_runs(root)
    inits = unless_damaged(inits_of, every)
    found = [one for run in runs for one in unless_damaged(_listed, removable_of_run, run, look, inits) or ()]
    found += [one for grid in grids for one in unless_damaged(_listed, removable_of_grid, grid) or ()]
    return found if names else [*found, *removable_of_root(root, every, grids, look)]


def _listed(find: Callable[..., Iterator[Removable]], *about: Any) -> list[Removable]:
    return list(find(*about))


def show_removable(removable: Sequence[Removable]) -> None:
    """A row for each kind, and the sum."""
    from rich.console import Console

    numbers = [Column("files", number=True), Column("size", number=True)]
    rows = []
    for what, why in dict.fromkeys((one.what, one.why) for one in removable):
        ours = [one for one in removable if (one.what, one.why) == (what, why)]
        names = list(dict.fromkeys(one.of for one in ours))
        more = f"\nand {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        files, size = sum(one.files for one in ours), sum(one.bytes for one in ours)
        shown = "\n".join(names[:SHOWN]) + more
        rows.append(Row([f"{what}\n  {why}", shown, f"{files:,}", human_size(size)]))
    table = Table([Column("what, and why it is safe"), Column("of"), *numbers], rows)
    Console().print(table.screen(gap=2))
    print(f"in all: {sum_of(removable)}")


def has_submitted(root: Path) -> bool:
    """Whether anything here was ever put into a queue."""
    return any(run.submission.exists() for run in all_runs(root)) or any(
        grid.records() for grid in all_grids(root)
    )


def sum_of(removable: Sequence[Removable]) -> str:
    """Files and bytes of all of it."""
    files = many(sum(one.files for one in removable), "file or folder", "files and folders")
    return f"{files}, {human_size(sum(one.bytes for one in removable))}"
