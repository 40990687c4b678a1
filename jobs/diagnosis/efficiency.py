"""What runs asked for beside what they used, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cluster.errors import ClusterError
from cluster.quantities import human_time
from cluster.run.state import State
from jobs.board.status import Collector, Wishes
from jobs.diagnosis.request_advice import advice_lines
from jobs.diagnosis.usage import Records, ResourceUse, consumption
from jobs.recipe.names import chosen
from jobs.reliability.ettr import EffectiveTime, effective_time
from jobs.reliability.table import LEGEND as ETTR_LEGEND
from jobs.reliability.table import ettr_table
from layalign.tabular import Column, Row, Table

WIDTH = 100
NUMBERS = ("time", "memory G", "cores", "GPU G", "busy", "GPU-h", "a step")
"""Headings of the columns after the run's name, state and GPUs."""
UNITS = ((1, 0.001, "ms"), (100, 1, "s"), (5400, 60, "min"), (float("inf"), 3600, "h"))
"""Of times on the clock: seconds below which each is used, seconds that it has, its name."""
LEGEND = (
    "used/asked: time of the longest start, memory of a node, busy cores of a task, memory of a GPU;\n"
    "busy: a GPU, as of the last look; GPU-h: GPU-hours, on the CPU hours of its processes (CPU-h);\n"
    "a step: time on the clock, starting and dev losses in it"
)


def show_efficiency(root: Path, names: Sequence[str] = ()) -> None:
    """Show what runs asked for and used, what that cost, and what to ask for next time.

    Args:
        root: folder of all runs.
        names: of runs and grids; none is all.

    Raises:
        ClusterError: a name that is none, or nothing has begun.
    """
    from rich.console import Console

    rows, records = measured(root, names)
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    console.print(table(rows).screen(gap=1))
    for line in [LEGEND, _totals(rows), _source(records)]:
        console.print(line, markup=False)
    times = effective_times(rows)
    if times:
        told = ettr_table(times)
        console.print("", told.screen(gap=1), ETTR_LEGEND, sep="\n", markup=False)
    for line in advice_lines(rows):
        console.print(line, markup=False)


def effective_times(rows: Sequence[ResourceUse]) -> list[EffectiveTime]:
    """Where the time of the trainings among them went."""
    return [effective_time(row.run) for row in rows if row.kind == "train"]


def measured(root: Path, names: Sequence[str] = ()) -> tuple[list[ResourceUse], Records]:
    """What runs asked for and used, and what is known of their jobs; arguments and errors as of `show_efficiency`."""
    runs, _ = chosen(root, names)
    if not runs:
        raise ClusterError(f"{root} holds no runs; say where they are with --runs FOLDER")
    records = Records.of(runs)
    rows = _as_the_board_says(root, [row for run in runs for row in consumption(run, records)])
    if not rows:
        raise ClusterError(
            f"none of {len(runs)} runs below {root} has begun yet: there is nothing to measure"
        )
    return rows, records


def _as_the_board_says(root: Path, rows: Sequence[ResourceUse]) -> list[ResourceUse]:
    """The same with the states that `status` tells: of an evaluation that of its benchmark which is shown first."""
    states = dict[tuple[str, str], list[State]]()
    for row in Collector(root, Wishes()).collect().rows:
        states.setdefault((row.run, "evaluate" if row.share else "train"), []).append(row.state)
    known = {key: min(found, key=list(State).index) for key, found in states.items()}
    return [replace(row, state=known.get((row.run.path.name, row.kind), row.state)) for row in rows]


def table(rows: Sequence[ResourceUse]) -> Table:
    """A line for each training and each evaluation, in 100 columns."""
    texts = [Column("run"), Column("state", broken=False), Column("GPUs", broken=False)]
    lines, named = [], ""
    for row in rows:
        again = row.run.path.name == named
        name = "  its evaluation" if row.kind == "evaluate" and again else row.run.path.name
        if row.kind == "evaluate" and not again:
            name += " (evaluation)"
        named = row.run.path.name
        lines.append(Row([name, *_cells(row)]))
    return Table([*texts, *(Column(heading, number=True) for heading in NUMBERS)], lines)


def _cells(row: ResourceUse) -> list[str]:
    asked = row.resources
    word = asked.gpu if asked and asked.gpu else "GPU" if row.gpu else "CPU"
    gpus = f"{row.tasks}x{word.rpartition('_')[2]}"
    memory = asked.mem_mb / 1024 if asked and asked.mem_mb else None
    return [
        row.state,
        gpus,
        f"{_time(row.longest_s)}/{human_time(asked.time_min) if asked else '?'}",
        _pair(row.used_mb and row.used_mb / 1024, memory),
        _pair(row.cores, asked.cpus_per_task if asked else None),
        _pair(row.gpu_mb and row.gpu_mb / 1024, row.gpu_total_mb and row.gpu_total_mb / 1024),
        f"{row.gpu_util:.0f}%" if row.gpu_util is not None else "",
        f"{row.gpu_hours:.1f}" if row.gpu else f"{row.gpu_hours:.1f} CPU-h",
        _time(row.elapsed_s / row.steps) if row.steps else "",
    ]


def _pair(used: float | None, asked: float | None) -> str:
    """`2.4/12`; nothing where neither is known."""
    if used is None and asked is None:
        return ""
    return f"{_short(used)}/{_short(asked)}"


def _time(seconds: float) -> str:
    """`45 ms`, `3.2 s`, `35 min`, `2.4 h`: in the unit that a person would take."""
    one, unit = next((one, unit) for most, one, unit in UNITS if seconds < most)
    number = seconds / one
    return f"{number:.0f} {unit}" if number >= 9.95 else f"{number:.1f} {unit}"


def _short(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:.1f}" if value < 10 and value % 1 else f"{value:.0f}"


def _totals(rows: Sequence[ResourceUse]) -> str:
    """What all of it cost, and how many steps were trained."""
    spent = {
        name: sum(row.gpu_hours for row in rows if row.gpu is gpu)
        for name, gpu in (("GPU", True), ("CPU", False))
    }
    told = " and ".join(_cost(hours, name) for name, hours in spent.items() if hours)
    steps = sum(row.steps for row in rows)
    each = f"; {steps:,} steps of training are done" if steps else ""
    lost = sum(row.gpu_hours for row in rows if row.state == "failed")
    gone = f"; {100 * lost / sum(spent.values()):.0f} % of it in what has failed" if lost else ""
    return f"{told or 'nothing'} in all{gone}{each}"


def _cost(hours: float, of: str) -> str:
    """`4.2 GPU-hours`, `12 CPU-minutes`."""
    return f"{hours:,.1f} {of}-hours" if hours >= 0.95 else f"{60 * hours:.2g} {of}-minutes"


def _source(records: Records) -> str:
    if records.rows:
        return "time, memory and cores: as accounting (sacct) has them; GPUs: from heartbeats"
    why = "" if records.submissions else ": nothing here was submitted to Slurm"
    return f"all of it from the runs' own files, as accounting does not answer{why}; memory is that of rank 0"
