"""The commands that look on: what runs do, why they do not, what they took and what they came to.

Each imports its room when it is called: who asks for the board need not wait for what makes tables.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.errors import ClusterError
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import CellFolder
from jobs.cli.json_output import print_json
from jobs.cli.requests import (
    EfficiencyRequest,
    LogsRequest,
    ResultsRequest,
    StatusRequest,
    WatchRequest,
    WhyRequest,
)
from jobs.recipe.names import Names

if TYPE_CHECKING:
    from jobs.board.status import Wishes


def status_command(request: StatusRequest) -> int:
    """Show every run and cell once."""
    from jobs.board.show import read_board, show_board

    root, wishes = request.where.root(), _wishes(request)
    if request.json:
        from jobs.cli import documents

        print_json(documents.status_document(read_board(root, wishes)))
    else:
        show_board(root, wishes, request.svg)
    return 0


def watch_command(request: WatchRequest) -> int:
    """Show the same, live."""
    from jobs.board.show import watch_board

    watch_board(request.where.root(), _wishes(request), request.svg)
    return 0


def _wishes(request: WatchRequest) -> Wishes:
    """What of all is to be shown: a name that is a grid's alone asks for its board, one of a cell for its run's."""
    return replace(_named(request), outages=request.where.last("outages"))


def _named(request: WatchRequest) -> Wishes:
    from jobs.board.status import Wishes

    known, names = Names(request.where.root()), request.names
    if request.grid is not None:
        return Wishes(names, request.states, request.grid)
    if len(names) == 1 and (grid := _grid_alone(known, names[0])):
        return Wishes((), request.states, grid)
    return Wishes(tuple(_part(known, name) for name in names), request.states)


def _grid_alone(known: Names, name: str) -> str | None:
    """The grid that is meant, unless a name of a run has this in it."""
    if name in known.grids:
        return name
    if _in_a_run(known, name):
        return None
    try:
        return known.grid(name).name
    except ClusterError:
        return None


def _part(known: Names, name: str) -> str:
    """What the board is to look for: names of folders hold it, unless it is a path, or a cell."""
    if _in_a_run(known, name):
        return name
    try:
        found = known.find(name)
    except ClusterError:
        return name
    return found.run.path.name if isinstance(found, CellFolder) else found.path.name


def _in_a_run(known: Names, name: str) -> bool:
    return any(name.lower() in run.path.name.lower() for run in known.runs)


def logs_command(request: LogsRequest) -> int:
    """Show what a run or a cell prints, or why it broke; of a grid what tells most."""
    from jobs.diagnosis.logs import show_log
    from jobs.diagnosis.of_grid import show_log_of_grid

    found = Names(request.where.root()).find(request.name)
    if isinstance(found, GridFolder):
        show_log_of_grid(found, request.rank, request.follow, request.errors)
    else:
        show_log(found, request.rank, request.follow, request.errors)
    return 0


def why_command(request: WhyRequest) -> int:
    """Tell what keeps a run, a cell of its evaluation, or a grid from going on."""
    from jobs.diagnosis.of_grid import show_why_grid
    from jobs.diagnosis.why import show_why

    found = Names(request.where.root()).find(request.name)
    if request.json:
        from jobs.cli import documents

        print_json(documents.why_document(found))
    elif isinstance(found, GridFolder):
        show_why_grid(found)
    else:
        show_why(found)
    return 0


def efficiency_command(request: EfficiencyRequest) -> int:
    """Show what runs asked for and used, what that cost, and what to ask for next time."""
    from jobs.diagnosis.efficiency import measured, show_efficiency

    if request.json:
        from jobs.cli.efficiency_document import efficiency_document

        uses, _ = measured(request.where.root(), request.names)
        print_json(efficiency_document(uses))
    else:
        show_efficiency(request.where.root(), request.names)
    return 0


def results_command(request: ResultsRequest) -> int:
    """Show the tables of grids or runs, and write them where there is a place for them."""
    from jobs.results.output import results_data, show_results
    from jobs.results.rev2 import read_replaced, replaced_file

    told = (request.where.root(), request.names, request.benchmarks, request.rule)
    asked = request.rev2 is not None
    replaced = (
        read_replaced(Path(request.rev2).expanduser() if request.rev2 else replaced_file()) if asked else None
    )
    if request.json:
        from jobs.cli import documents

        print_json(documents.ResultsDocument(results=tuple(results_data(*told, replaced))))
    else:
        show_results(*told, request.out, replaced, request.published)
    return 0
