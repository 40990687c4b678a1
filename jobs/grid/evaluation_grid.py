"""The evaluation of one run, as a grid that has nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from cluster.profile.load import SlurmProfile
from cluster.run.grid_folder import GridFolder
from jobs.cell.answers import by_benchmark, summary_of
from jobs.cell.asking import evaluation_cells
from jobs.cell.cell import Worklist
from jobs.cell.whole import limited, write_tables
from jobs.grid.array_options import ArrayOptions
from jobs.grid.desired import DesiredGrid, DesiredPoint, slug
from jobs.grid.grid_file import Grid, Point
from jobs.grid.queue import GridQueue
from jobs.grid.reconcile import Reconciled, forgiven
from jobs.recipe.context import Context, How
from jobs.recipe.describe import refused
from jobs.recipe.plan import Plan, unusable
from layalign.evaluation import table
from layalign.languages import language


def evaluate_run(
    plan: Plan,
    benchmarks: Sequence[str],
    languages: Sequence[str] | None,
    context: Context,
    how: How,
    command: str,
) -> int:
    """Answer benchmarks with a run, through the queue, where it is not asked about, or on this machine.

    Args:
        plan: the run.
        benchmarks: names.
        languages: names or codes; None is all.
        context: the cluster, and the folders.
        how: show, ask Slurm about, or do it.
        command: the command that trains the run.

    Returns:
        The exit status.
    """
    wanted, profile = _wanted(plan, benchmarks, languages, context), context.profile
    wanted.settle(write=not how.dry_run)
    queue = GridQueue(
        folder=wanted.folder,
        wanted=wanted.worklist(wanted.cells),
        context=context,
        how=how,
        unasked=True,
        options=ArrayOptions(answer_gpus=profile.gpus if isinstance(profile, SlurmProfile) else None),
        record=partial(_record, wanted),
    )
    found = replace(forgiven(queue.look()), unwanted=())  # what was asked before is wanted still
    if isinstance(profile, SlurmProfile):
        status = queue.submit(found, _untrained(plan, found, command))
    elif how.dry_run:
        return 0
    elif status := refused(_untrained(plan, found, command)):
        return status
    else:
        status = queue.run_here(found)
    if status == 0 and not how.dry_run and not found.missing():
        _write_tables(plan, benchmarks)
    if status == 0 and not isinstance(profile, SlurmProfile):
        _show(plan, wanted)
    return status


def _record(wanted: DesiredGrid) -> None:
    """Record what is wanted beside what was before: a part of an evaluation never stands for the whole."""
    path = wanted.folder.wanted_list()
    before = {cell.name: cell for cell in Worklist.read(path).cells} if path and path.is_file() else {}
    ours = {cell.name: cell for cell in wanted.cells}
    larger = {name: cell for name, cell in before.items() if name in ours and cell.items > ours[name].items}
    whole = {**before, **ours, **larger}
    benchmarks = tuple(dict.fromkeys(cell.benchmark for cell in whole.values()))
    grid = replace(wanted.grid, benchmarks=benchmarks, languages=None)
    replace(wanted, grid=grid, cells=tuple(whole.values())).write()


def _write_tables(plan: Plan, benchmarks: Sequence[str]) -> None:
    """The tables where nothing was left to ask: right answers, or the rule that reads answers, may be others now."""
    for name in benchmarks:
        write_tables(plan.run, plan.config, name)


def _wanted(
    plan: Plan, benchmarks: Sequence[str], languages: Sequence[str] | None, context: Context
) -> DesiredGrid:
    config, run = plan.config, plan.run
    point = Point(label=config.model.method, seed=config.seed, overrides=(), stages=())
    grid = Grid(
        name=f"evaluate-{slug(run.path.name)}",
        recipe=config.name,
        points=(point,),
        benchmarks=tuple(benchmarks),
        languages=tuple(language(name).code for name in languages) if languages else None,
        limit=config.evaluation.limit,
        paper={},
        twin=None,
        title=f"answers of {run.path.name}",
    )
    cells = evaluation_cells(run, config, benchmarks, languages, context.data)
    folder = GridFolder(context.runs, grid.name)
    return DesiredGrid(grid, folder, (DesiredPoint(point, (), plan),), tuple(cells), context.data)


def _untrained(plan: Plan, found: Reconciled, command: str) -> list[str]:
    """The refusal of an evaluation whose run nobody trains."""
    run = plan.run
    if not plan.config.bridge.trains or run.path.name in found.elsewhere or not found.missing():
        return []
    what = unusable(run)
    return [f"run {run.path.name} {what}; first run: {command}"] if what else []


def _show(plan: Plan, wanted: DesiredGrid) -> None:
    from rich.console import Console

    for its in by_benchmark(wanted.cells).values():
        summary, part = {plan.config.model.method: summary_of(its)}, limited(its)
        told = {"run": plan.run.path.name, **({"asked": part} if part else {})}
        table.to_screen(summary, told).show(Console())
    print(f"results: {plan.run.results} (the tables there hold all that was answered)")
