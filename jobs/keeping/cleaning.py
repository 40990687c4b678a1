"""What is safe to delete below the folder of all runs: shown, and deleted if the user agrees."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cluster.job.race import records_of
from cluster.records import unless_damaged
from cluster.run.grid_folder import all_grids
from cluster.run.run_folder import all_runs
from cluster.slurm.queue import Look
from cluster.slurm.submission import readable
from cluster.storage.abandoned import removable_runs
from cluster.storage.cleanup import (
    Removable,
    inits_of,
    removable_of_grid,
    removable_of_root,
    removable_of_run,
    remove,
)
from jobs.board.status import SANDBOX
from jobs.cell.cell import wanted_cells
from jobs.diagnosis.evidence import enter_sandbox
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
    look = look_of(root)
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
        removable = [one for one in removable_of(root, names, look_of(root)) if one.path in shown]
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
    known = [unless_damaged(wanted_cells, grid) for grid in all_grids(root)]
    wanted = {Path(path) for cells in known for cell in cells or () for path in (cell.run, *cell.needs)}
    whole = list(removable_runs(runs, every, look, wanted)) if None not in known else []
    gone = {one.path for one in whole}
    found = [*(one for one in found if gone.isdisjoint(one.path.parents)), *whole]
    return found if names else [*found, *removable_of_root(root, every, grids, look)]


def look_of(root: Path) -> Look:
    """The queue that these runs are in; that of a sandbox which is down is gone with it."""
    own = (record for run in all_runs(root) for record in records_of(run) if record.exists())
    submitted = readable([*own, *(record for grid in all_grids(root) for record in grid.records())])
    enter_sandbox(submitted)
    thrown_away = bool(submitted) and {one.profile for one in submitted} == {SANDBOX}
    if thrown_away and "SLURM_CONF" not in os.environ:
        return Look(time=time.time())
    return Look.attempt()


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
