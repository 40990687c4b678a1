"""Tables beside the paper's, and the report: shown by `results`, written by a grid's last job."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.files import write_atomic
from cluster.provenance import provenance
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder
from cluster.run.work_folder import now
from jobs.recipe.names import Names
from jobs.results.collect import Results, Sheet, collect
from jobs.results.points import answering_runs, points_of_grid, points_of_runs
from jobs.results.records import to_csv, to_json
from jobs.results.report import to_html
from jobs.results.rev2 import Replaced
from jobs.results.rows import ResultTable, result_table
from jobs.results.tables import (
    made_lines,
    missing_lines,
    print_table,
    to_latex,
    to_markdown,
)
from layalign.evaluation.table import rules_of

REPORT = "report.html"
SHOWN = 12
"""Missing cells that the terminal lists."""


def show_results(
    root: Path,
    names: Sequence[str] = (),
    benchmarks: Collection[str] | None = None,
    rule: str = "strict",
    out: Path | None = None,
    replaced: Replaced | None = None,
    published: bool = False,
) -> None:
    """Show the tables of grids or runs, and write them where there is a place for them.

    Args:
        root: folder of all runs.
        names: of grids and runs; none is every run that has answers.
        benchmarks: some of those that were answered; None is all.
        rule: by which answers are read and methods compared.
        out: folder to write to; None is a grid's own, and none for runs.
        replaced: questions of mgsm without which its answers are shown too.
        published: also what others have published of a benchmark.

    Raises:
        ClusterError: a name that is none, nothing to show, or the folder cannot be written.
        ValueError: a benchmark that nobody has answered, or a place that the paper lacks.
    """
    grids, runs = _named(root, names)
    several = len(grids) + bool(runs) > 1
    for grid in grids:
        show_grid(grid, benchmarks, rule, _place(out, grid.name, several), replaced, published)
    if runs:
        choice = points_of_runs(runs, _title(root, runs, names))
        _show(collect(choice, benchmarks, replaced), rule, _place(out, "runs", several), published)


def results_data(
    root: Path,
    names: Sequence[str] = (),
    benchmarks: Collection[str] | None = None,
    rule: str = "strict",
    replaced: Replaced | None = None,
) -> list[dict[str, Any]]:
    """What `results.json` of each grid, and of the runs together, would hold; arguments as `show_results`."""
    grids, runs = _named(root, names)
    choices = [points_of_grid(grid) for grid in grids]
    if runs:
        choices.append(points_of_runs(runs, _title(root, runs, names)))
    found = []
    for choice in choices:
        results = collect(choice, benchmarks, replaced)
        told = {"time": now(), **provenance()}
        found.append(json.loads(to_json(results, [*_tables(results, rule), *_others(results, rule)], told)))
    return found


def show_grid(
    grid: GridFolder,
    benchmarks: Collection[str] | None = None,
    rule: str = "strict",
    out: Path | None = None,
    replaced: Replaced | None = None,
    published: bool = False,
) -> None:
    """Print the tables of a grid, and write them and the report; arguments and errors as of `show_results`."""
    _show(collect(points_of_grid(grid), benchmarks, replaced), rule, out or grid.results, published)


def write_results(
    grid: GridFolder, rule: str = "strict", benchmarks: Collection[str] | None = None, out: Path | None = None
) -> Path:
    """Write the tables and the report of a grid, finished or not.

    Args:
        grid: that was submitted.
        rule: by which answers are read and methods compared; CSV, JSON and report have the other's numbers too.
        benchmarks: some of the grid's; None is all.
        out: folder to write to; None is the grid's own.

    Returns:
        The report.

    Raises:
        ClusterError: the grid has no plan, or the folder cannot be written.
        ValueError: a benchmark that the grid does not have, or a place that the paper lacks.
    """
    results = collect(points_of_grid(grid), benchmarks)
    return _write(results, _tables(results, rule), rule, out or grid.results)


def _named(root: Path, names: Sequence[str]) -> tuple[list[GridFolder], list[RunFolder]]:
    """The grids and runs of these names; without names every run that has answers."""
    if not names:
        runs = answering_runs(root)
        if not runs:
            raise ClusterError(
                f"no run in {root} has answers yet: evaluate one, or say where with --runs FOLDER"
            )
        return [], runs
    found = Names(root).each(names)
    grids = [one for one in found if isinstance(one, GridFolder)]
    return grids, [one for one in found if isinstance(one, RunFolder)]


def _title(root: Path, runs: Sequence[RunFolder], names: Sequence[str]) -> str:
    return ", ".join(run.path.name for run in runs) if names else f"all runs in {root}"


def _place(out: Path | None, name: str, several: bool) -> Path | None:
    return out / name if out and several else out


def _tables(results: Results, rule: str, published: bool = False) -> list[ResultTable]:
    return [result_table(sheet, _rule_of(sheet, rule), published=published) for sheet in results.sheets]


def _rule_of(sheet: Sheet, rule: str) -> str:
    """The rule that was asked for, or the first where the answers to a benchmark are not counted by it."""
    rules = rules_of(sheet.benchmark)
    return rule if rule in rules else rules[0]


def _others(results: Results, rule: str) -> list[ResultTable]:
    """The tables by the other rules."""
    return [
        result_table(sheet, other, compared=False)
        for sheet in results.sheets
        for other in rules_of(sheet.benchmark)
        if other != _rule_of(sheet, rule)
    ]


def _show(results: Results, rule: str, out: Path | None, published: bool = False) -> None:
    """Print the tables, and write everything if there is a folder for it."""
    from rich.console import Console

    console = Console()
    tables = _tables(results, rule, published)
    console.print(results.title, style="bold", markup=False, highlight=False)
    if none := _no_answers(results):
        console.print(none, markup=False, highlight=False)
    for table in () if none else tables:
        console.print()
        print_table(table, console)
    told = missing_lines(results.missing)
    if len(told) > SHOWN:
        told = [*told[:SHOWN], f"missing: {len(told) - SHOWN} more cells, listed by launch.py missing"]
    for line in [*told, *made_lines(results.made)]:
        console.print(line, markup=False, highlight=False)
    if out:
        print(f"CSV, Markdown, LaTeX, JSON and report: {_write(results, tables, rule, out)}")
    else:
        print("CSV, Markdown, LaTeX, JSON and a report in HTML are written with --out FOLDER")


def _no_answers(results: Results) -> str | None:
    """What is said in the place of tables without a number; None where there is one."""
    summaries = [answered.summary for s in results.sheets for m in s.methods for answered in m.answered]
    if any(score.total for summary in summaries for score in summary.scores.values()):
        return None
    wanted = sum(missing.cell.job == "evaluate" for missing in results.missing)
    return f"there are no answers yet: {f'all {wanted} shares are missing' if wanted else 'begin with evaluate --run'}"


def _write(results: Results, tables: Sequence[ResultTable], rule: str, out: Path) -> Path:
    """All files; the report."""
    others = _others(results, rule)
    told: dict[str, Any] = {"time": now(), **provenance()}
    short = {key: told[key] for key in ("time", "commit", "dirty", "tree")}
    files = {
        "results.csv": to_csv([*tables, *others], short),
        "results.md": to_markdown(results, tables),
        "results.tex": to_latex(tables, short),
        "results.json": to_json(results, [*tables, *others], told),
        REPORT: to_html(results, tables, others, told),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_atomic(out / name, text)
    except OSError as error:
        raise ClusterError(
            f"{out} cannot be written: {error.strerror}; name another place with --out"
        ) from None
    return out / REPORT
