"""The commands that bring grids about and take them back. Light."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cluster.errors import INTERRUPTED, ClusterError
from cluster.files import write_atomic
from cluster.profile.load import SlurmProfile
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder
from jobs.cell.cell import Cell, Worklist
from jobs.grid.arrays import Wishes
from jobs.grid.desired import Wanted, obstacles, wanted_of
from jobs.grid.grid_file import Grid, Point, load_grid
from jobs.grid.queue import GridQueue, last_submission
from jobs.grid.reconcile import STATES, Reconciled, forgiven
from jobs.launch.draft import MORE, retry_run
from jobs.recipe.context import Place, place_again, place_of, refused, runs_of
from jobs.recipe.names import Names
from jobs.recipe.plan import load_recipe
from jobs.results.output import show_results
from layalign.config import resolve
from layalign.tabular import Table

ONE_MACHINE = ("local", "sandbox")
"""Profiles under which a grid's miniature twin is run."""
ROWS = 40
"""Points of which the plan shows each; of more it shows sums."""


def ablate_command(args: argparse.Namespace) -> int:
    """Bring a grid to the state that its file says: show the plan, ask, submit what is missing."""
    place, grid = place_of(args), load_grid(args.grid)
    if grid.twin and place.profile.name in ONE_MACHINE:
        print(
            f"{place.profile.name} is this one machine: the miniature twin {grid.twin} is run, not {grid.name}"
        )
        grid = load_grid(grid.twin)
    return _bring_about(wanted_of(grid, place.runs, place.data, place.overrides), place, args)


def pipeline_command(args: argparse.Namespace) -> int:
    """Both stages of a recipe, its answers and its tables, as a grid of one point."""
    place, recipe = place_of(args), load_recipe(args.recipe or "math")
    first, second = (resolve(recipe, stage, place.overrides) for stage in (1, 2))
    stages = () if not second.bridge.trains else (1, 2) if second.starts_from else (2,)
    name = args.name or f"{second.name}-{second.model.method}"
    point = Point(label=name, seed=second.seed, overrides=(), stages=stages)
    grid = Grid(
        name=name,
        recipe=args.recipe or "math",
        points=(point,),
        benchmarks=tuple(args.benchmark or second.evaluation.benchmarks),
        languages=None,
        limit=first.evaluation.limit,
        paper={},
        twin=None,
        title=f"{second.name}: {second.model.method}",
    )
    return _bring_about(wanted_of(grid, place.runs, place.data, place.overrides, name), place, args)


def _bring_about(wanted: Wanted, place: Place, args: argparse.Namespace) -> int:
    queue = GridQueue(wanted.folder, wanted.worklist(wanted.cells), place, args, _wishes(args))
    found = queue.look()
    show_plan(wanted, found)
    against = obstacles(wanted, found.missing())
    if isinstance(place.profile, SlurmProfile):
        return queue.submit(found, against, wanted.write)
    if against or args.dry_run:
        return refused(against)
    status = queue.run_here(found, wanted.write)
    if status != INTERRUPTED:
        show_results(wanted.folder)
    return status


def _wishes(args: argparse.Namespace, **more: Any) -> Wishes:
    answering = {"answer_gpu": args.answer_gpu, "per_gpu": args.per_gpu}
    return Wishes(throttle=args.throttle, slots=args.slots, **answering, **more)


def missing_command(args: argparse.Namespace) -> int:
    """List what of grids is not done; with --submit queue just that."""
    args.dry_run = args.dry_run or not args.submit
    rows: list[tuple[str, Cell, str]] = []
    status = 0
    known = Names(runs_of(args))
    for folder in [known.grid(name) for name in dict.fromkeys(args.names)] or known.grids.values():
        queue = _again(folder, args)
        found = queue.look()
        left = [cell for cell in found.cells if found.states[cell.name] != "done"]
        rows += [(folder.name, cell, found.states[cell.name]) for cell in left]
        if args.submit:
            status = _go_on(queue, found) or status
    text = _csv(rows)
    if args.csv:
        write_atomic(Path(args.csv), text)
        print(f"{len(rows)} cells are not done: {args.csv}")
    elif not args.submit:
        print(text, end="")
    return status


def _csv(rows: Sequence[tuple[str, Cell, str]]) -> str:
    headings = ("grid", "state", "job", "run", "benchmark", "language", "shard", "items", "reason")
    lines = []
    for grid, cell, state in rows:
        what = (cell.job, Path(cell.run).name, cell.benchmark, cell.language, cell.shard, cell.items)
        lines.append((grid, state, *what, cell.folder.reason()))
    return Table.of(headings, lines).csv()


def retry_command(args: argparse.Namespace) -> int:
    """Queue again what has failed, with more memory if asked."""
    if not (args.names or args.failed):
        raise ClusterError("retry what? name runs or grids, or give --failed for everything that has failed")
    known = Names(runs_of(args))
    status = 0
    for found in known.each(args.names) if args.names else _broken(known):
        if isinstance(found, GridFolder):
            status = _retry_grid(_again(found, args)) or status
        else:
            status = retry_run(found, args) or status
    return status


def _broken(known: Names) -> list[RunFolder | GridFolder]:
    """What may have failed cells, or has failed: every grid, and runs that were queued by themselves."""
    runs = [run for run in known.runs if run.failed.exists() and run.submission.exists()]
    return [*known.grids.values(), *runs]


def _retry_grid(queue: GridQueue) -> int:
    """Forgive the failed cells of a grid, and queue them with what waits for them."""
    found = queue.look()
    failed = found.of("failed")
    if not failed:
        print(f"{queue.folder.title}: nothing has failed")
        return 0
    for cell in failed:
        print(f"{cell.name}: {cell.folder.reason()}")
    return _go_on(queue, forgiven(found))


def _go_on(queue: GridQueue, found: Reconciled) -> int:
    """Queue the missing cells of a grid that was submitted before."""
    if not isinstance(queue.place.profile, SlurmProfile):
        return queue.run_here(found, lambda: None)
    return queue.submit(found, [], lambda: None)


def _again(folder: GridFolder, args: argparse.Namespace) -> GridQueue:
    """A grid as it was last submitted, where it was: its file is not needed."""
    path = folder.wanted_list()
    if path is None:
        raise ClusterError(f"{folder.title} was never submitted: give ablate --grid with its file")
    wishes = _wishes(args, more_memory=MORE if getattr(args, "more_mem", False) else 1.0)
    place = place_again(args, last_submission(folder))
    return GridQueue(folder, Worklist.read(path), place, args, wishes)


def show_plan(wanted: Wanted, found: Reconciled) -> None:
    """What a grid wants and how far it is: a row for each point, and the sums."""
    from rich.console import Console
    from rich.text import Text

    console, grid = Console(), wanted.grid
    console.print(Text(f"{grid.name}: {grid.title}", style="bold"))
    if len(wanted.points) <= ROWS:
        seeds = len({one.point.seed for one in wanted.points}) > 1
        headings = ("point", *(["seed"] if seeds else []), "stage 1", "stage 2", *grid.benchmarks)
        shares, rows = _shares(found), []
        for one in wanted.points:
            stages = {plan.config.stage: found.states[plan.run.path.name] for plan in one.trained}
            answered = [
                _share(shares.get((str(one.evaluated.run.path), name), Counter())) for name in grid.benchmarks
            ]
            cells = [one.point.label, *([str(one.point.seed)] if seeds else [])]
            rows.append([*cells, *(stages.get(stage, "-") for stage in (1, 2)), *answered])
        console.print(Table.of(headings, rows).screen(gap=2))
    shared = [users for users in wanted.users().values() if len(users) > 1]
    if shared:
        print(f"  trained once: {len(shared)} runs that serve {sum(map(len, shared))} points")
    counts = found.counts()
    print("  cells: " + ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]))
    if found.unwanted:
        names = ", ".join(cell.name for cell in found.unwanted[:4]) + (
            ", ..." if len(found.unwanted) > 4 else ""
        )
        print(f"  no longer wanted: {len(found.unwanted)} cells ({names})")


def _shares(found: Reconciled) -> dict[tuple[str, str], Counter[str]]:
    shares: dict[tuple[str, str], Counter[str]] = {}
    for cell in found.cells:
        if cell.job == "evaluate":
            shares.setdefault((cell.run, cell.benchmark), Counter())[found.states[cell.name]] += 1
    return shares


def _share(counts: Counter[str]) -> str:
    """`7/10 done, 2 running`."""
    total = sum(counts.values())
    if len(counts) == 1:
        return next(iter(counts))
    rest = [f"{counts[state]} {state}" for state in STATES[1:] if counts[state]]
    return f"{counts['done']}/{total} done, " + ", ".join(rest)


def cancel_command(args: argparse.Namespace) -> int:
    """Take runs or grids out of the queue."""
    from jobs.grid.cancel import cancel_all

    if not args.names:
        raise ClusterError("cancel what? name runs or grids")
    return cancel_all(args)
