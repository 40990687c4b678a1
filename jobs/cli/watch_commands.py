"""The commands that look on: what runs do, why they do not, what they took and what they came to.

Each imports its room when it is called: who asks for the board need not wait for what makes tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.cli.requests import (
    EfficiencyRequest,
    LogsRequest,
    ResultsRequest,
    StatusRequest,
    WhyRequest,
)
from jobs.recipe.names import Names

if TYPE_CHECKING:
    from jobs.board.status import Wishes


def status_command(request: StatusRequest) -> int:
    """Show every run and cell once."""
    from jobs.board.show import show_board

    show_board(request.where.root(), _wishes(request), request.svg)
    return 0


def watch_command(request: StatusRequest) -> int:
    """Show the same, live."""
    from jobs.board.show import watch_board

    watch_board(request.where.root(), _wishes(request), request.svg)
    return 0


def _wishes(request: StatusRequest) -> Wishes:
    from jobs.board.status import Wishes

    return Wishes(request.names, request.states, request.grid)


def logs_command(request: LogsRequest) -> int:
    """Show what a run or a cell prints, or why it broke."""
    from jobs.diagnosis.logs import show_log

    work = Names(request.where.root()).work(request.name)
    show_log(work, request.rank, request.follow, request.errors)
    return 0


def why_command(request: WhyRequest) -> int:
    """Tell what keeps a run, or a cell of its evaluation, from going on."""
    from jobs.diagnosis.why import show_why

    show_why(Names(request.where.root()).work(request.name))
    return 0


def efficiency_command(request: EfficiencyRequest) -> int:
    """Show what runs asked for and used, what that cost, and what to ask for next time."""
    from jobs.diagnosis.efficiency import show_efficiency

    show_efficiency(request.where.root(), request.names)
    return 0


def results_command(request: ResultsRequest) -> int:
    """Show the tables of grids or runs, and write them where there is a place for them."""
    from jobs.results.output import show_results

    show_results(request.where.root(), request.names, request.benchmarks, request.rule, request.out)
    return 0
