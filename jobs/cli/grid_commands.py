"""The commands that bring grids about and take them back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from cluster.errors import INTERRUPTED, MISTAKE, ClusterError
from cluster.files import write_atomic
from cluster.profile.load import SlurmProfile
from cluster.records import unless_damaged
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import CellFolder, RunFolder
from cluster.run.state import OPEN, STOPPED, State
from cluster.slurm.queue_cache import forget
from jobs.board.signs import Standing
from jobs.board.status import Collector, Wishes
from jobs.cell.cell import Cell, Worklist, wanted_cells
from jobs.cell.mending import mend
from jobs.cli.json_output import print_json
from jobs.cli.requests import AblateRequest, CancelRequest, MissingRequest, PipelineRequest, RetryRequest
from jobs.grid.array_options import ArrayOptions
from jobs.grid.cancel import cancel_all
from jobs.grid.desired import DesiredGrid, desired_grid, obstacles
from jobs.grid.grid_file import Grid, Point, load_grid
from jobs.grid.queue import GridQueue, last_submission
from jobs.grid.reconcile import Reconciled, forgiven, limited_to
from jobs.grid.show import cells_csv, show_plan
from jobs.launch.retry import MORE
from jobs.recipe.context import Context, How, Where, context_again, context_of
from jobs.recipe.describe import refused
from jobs.recipe.names import Names
from jobs.recipe.plan import chain_of, load_recipe
from layalign.recipe import resolve, stages_of

TAKEN = (*STOPPED, State.INTERRUPTED, State.BLOCKED)
"""States of what `retry --failed` queues again."""
ONE_MACHINE = ("local", "sandbox")
"""Profiles under which a grid's miniature twin is run."""


def ablate_command(request: AblateRequest) -> int:
    """Bring a grid to the state that its file says: show the plan, ask, submit what is missing."""
    context, grid = context_of(request.where, request.how), load_grid(request.grid)
    if grid.twin and context.profile.name in ONE_MACHINE:
        print(
            f"{context.profile.name} is this one machine: the miniature twin {grid.twin} is run, not {grid.name}"
        )
        grid = load_grid(grid.twin)
    context = context.asked_of(resolve(load_recipe(grid.recipe), 1, context.overrides).model.decoder)
    wanted = desired_grid(grid, context.runs, context.data, context.overrides)
    return _bring_about(wanted, context, request.how, request.options)


def pipeline_command(request: PipelineRequest) -> int:
    """All stages of a recipe, its answers and its tables, as a grid of one point."""
    context, recipe = context_of(request.where, request.how), load_recipe(request.recipe)
    first, last = (resolve(recipe, stage, context.overrides) for stage in (1, stages_of(recipe)[-1]))
    stages = tuple(config.stage for config in chain_of(recipe, context.overrides))
    name = request.name or f"{last.name}-{last.model.method}"
    point = Point(label=name, seed=last.seed, overrides=(), stages=stages)
    grid = Grid(
        name=name,
        recipe=request.recipe,
        points=(point,),
        benchmarks=request.benchmarks or tuple(last.evaluation.benchmarks),
        languages=None,
        limit=first.evaluation.limit,
        paper={},
        twin=None,
        title=f"{last.name}: {last.model.method}",
    )
    context = context.asked_of(last.model.decoder)
    wanted = desired_grid(grid, context.runs, context.data, context.overrides, name)
    return _bring_about(wanted, context, request.how, request.options)


def _bring_about(wanted: DesiredGrid, context: Context, how: How, options: ArrayOptions) -> int:
    wanted.settle(write=not how.dry_run)
    queue = GridQueue(
        folder=wanted.folder,
        wanted=wanted.worklist(wanted.cells),
        context=context,
        how=how,
        options=options,
        record=wanted.write,
    )
    found = queue.look()
    show_plan(wanted, found)
    against = obstacles(wanted, found.missing())
    if isinstance(context.profile, SlurmProfile):
        return _submit(queue, found, against)
    if against or how.dry_run:
        return refused(against)
    status = queue.run_here(found)
    if status != INTERRUPTED:
        from jobs.results.output import show_grid  # what is queued need not wait for what makes tables

        show_grid(wanted.folder)
    return status


def missing_command(request: MissingRequest) -> int:
    """List what of grids is not done; with --submit queue just that."""
    known, how = Names(request.where.root()), request.how
    how = replace(how, dry_run=how.dry_run or not request.submit)
    grids = [known.grid(name) for name in dict.fromkeys(request.names)] or list(known.grids.values())
    rows: list[tuple[str, Cell, Standing]] = []
    status = 0
    for folder in grids:
        looked = unless_damaged(_looked, folder, request.where, how, request.options, request.submit)
        if looked is None:
            status = MISTAKE
            continue
        queue, found = looked
        left = [cell for cell in found.cells if found.state(cell) is not State.DONE]
        rows += [(folder.name, cell, found.stands[cell.name]) for cell in left]
        if request.submit:
            status = _go_on(queue, found) or status
    if request.json:
        from jobs.cli import documents

        print_json(documents.missing_document(rows))
    elif request.csv:
        write_atomic(Path(request.csv), cells_csv(rows))
        print(f"{len(rows)} cells are not done: {request.csv}")
    elif not request.submit:
        print(cells_csv(rows), end="")
    return status


def retry_command(request: RetryRequest) -> int:
    """Queue again what has stopped, and what waits for it: runs, shares of evaluations, grids."""
    from jobs.launch.again import retry_runs, with_kin

    where, how, known = request.where, request.how, Names(request.where.root())
    options = replace(request.options, more_memory=MORE if request.more_mem else 1.0)
    wanted = [known.find(name) for name in request.names] if request.names else _stopped(known)
    if not wanted:
        print("nothing that was put into a queue has stopped")
    status, own = 0, list[RunFolder]()
    for found in {one.path: one for one in wanted}.values():
        if isinstance(found, RunFolder) and (found.submission.exists() or found.is_done()):
            own.append(found)
            continue
        if isinstance(found, CellFolder) and found.is_done():
            print(f"already done: {found.path}")
            continue
        grid = found if isinstance(found, GridFolder) else _grid_of(known, found)
        only = None if isinstance(found, GridFolder) else found
        done = unless_damaged(
            lambda grid, only: _retry_grid(*_looked(grid, where, how, options, mended=True), only), grid, only
        )
        status = (MISTAKE if done is None else done) or status
    if own and request.names and request.options != ArrayOptions():
        raise ClusterError(
            f"{own[0].title} is no grid: leave out --throttle, --slots, --answer-gpu and --per-gpu"
        )
    behind = with_kin(run for run in own if not run.is_done())
    done = unless_damaged(retry_runs, own, where, how, request.more_mem) if own else 0
    for run in behind if done == 0 else ():
        for grid in _grids_behind(known, run):
            done = _retry_grid(*_looked(grid, where, how, options, mended=True), run, quiet=True) or done
    return (MISTAKE if done is None else done) or status


def _grids_behind(known: Names, run: RunFolder) -> list[GridFolder]:
    """Grids with cells, such as shares of evaluations, that need a run which is none of their cells."""
    cells = {grid.name: unless_damaged(wanted_cells, grid) or () for grid in known.grids.values()}
    return [
        grid
        for grid in known.grids.values()
        if any(str(run.path) in (*cell.needs, *cell.behind) for cell in cells[grid.name])
        and all(cell.folder.path != run.path for cell in cells[grid.name])
    ]


def _stopped(known: Names) -> list[RunFolder | GridFolder]:
    """What may have stopped cells, or has stopped: every grid, and runs that were queued by themselves."""
    forget(known.root)  # what a job of a minute ago has come to counts too
    rows = Collector(known.root, Wishes()).collect().rows
    stopped = {row.run for row in rows if not row.share and row.state in TAKEN}
    runs = [run for run in known.runs if run.path.name in stopped and run.submission.exists()]
    return [*known.grids.values(), *runs]


def _grid_of(known: Names, work: RunFolder | CellFolder) -> GridFolder:
    """The grid that wants a training, or a share of an evaluation, which was never in a queue by itself."""
    for grid in known.grids.values():
        if any(cell.folder.path == work.path for cell in unless_damaged(wanted_cells, grid) or ()):
            return grid
    again = work.command() if isinstance(work, RunFolder) else "the evaluate command that began it"
    raise ClusterError(f"{work.title} was never in a queue, and no grid wants it; it goes on by: {again}")


def _retry_grid(
    queue: GridQueue, found: Reconciled, only: RunFolder | CellFolder | None, quiet: bool = False
) -> int:
    """Queue what has stopped of a grid, or of one of its cells, with what waits for it; `quiet` where nothing has."""
    forgiving = forgiven(found)
    if only:
        forgiving = limited_to(forgiving, only.path)
    if not forgiving.missing() and quiet:
        return 0
    if not forgiving.missing():
        counts = ", ".join(f"{count} {state}" for state, count in forgiving.counts().items())
        print(f"{queue.folder.title}: nothing has stopped that could go on: {counts}")
        return 0
    for cell in forgiving.of(*STOPPED):
        stands = found.stands[cell.name]
        print(f"{cell.name}: {cell.folder.reason() or stands.note}")
    return _go_on(queue, forgiving)


def _go_on(queue: GridQueue, found: Reconciled) -> int:
    """Queue the missing cells of a grid that was submitted before."""
    return _submit(queue, found) if isinstance(queue.context.profile, SlurmProfile) else queue.run_here(found)


def _submit(queue: GridQueue, found: Reconciled, against: Iterable[str] = ()) -> int:
    """Queue what is missing; where nothing is left to do, make the tables that the last job may not have come to."""
    status = queue.submit(found, against)
    if (
        status == 0
        and not (queue.how.dry_run or queue.how.test_only)
        and not found.of(State.RUNNING, State.QUEUED, *OPEN)
    ):
        from jobs.grid.conclude import conclude

        conclude(queue.folder)
    return status


def _looked(
    folder: GridFolder, where: Where, how: How, options: ArrayOptions, mended: bool
) -> tuple[GridQueue, Reconciled]:
    """A grid as it was last submitted, and as it is; `mended` makes what is lost under DONE missing."""
    queue = _again(folder, where, how, options)
    for line in mend(queue.wanted.cells, write=not how.dry_run) if mended else ():
        print(line)
    return queue, queue.look()


def _again(folder: GridFolder, where: Where, how: How, options: ArrayOptions) -> GridQueue:
    """A grid as it was last submitted, where it was: its file is not needed."""
    path = folder.wanted_list()
    if path is None:
        raise ClusterError(f"{folder.title} was never submitted: give ablate --grid with its file")
    context, wanted = context_again(where, how, last_submission(folder)), Worklist.read(path)
    return GridQueue(folder=folder, wanted=wanted, context=context, how=how, options=options)


def cancel_command(request: CancelRequest) -> int:
    """Take runs or grids out of the queue."""
    names = Names(request.where.root())
    cancel_all(names.each(request.names), request.where, request.yes, names.alike(request.names))
    return 0
