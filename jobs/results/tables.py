"""Results tables beside the paper's, for the terminal, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from jobs.results.collect import Made, Missing, Results
from jobs.results.figures import Figure
from jobs.results.marks import (
    BEST,
    HEALTHY,
    HEALTHY_COUNT,
    OF_ALONE,
    OF_ENGLISH,
    ceiling_lines,
)
from jobs.results.rows import ResultTable
from layalign.evaluation.health import UNKNOWN, share_text
from layalign.evaluation.table import fault_names, number_column
from layalign.tabular import NONE, Column, Row, Strong, Table, comments, markdown_text, told_lines

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {"ours": "", "ceiling": "", "paper": "dim not bold", "difference": "dim italic not bold"}
STYLES |= dict.fromkeys(("fault", "published"), "dim not bold")
"""Of the lines of a table on a terminal."""

METHODS = ("ours", "ceiling")
"""Lines that begin at the margin."""


class Line(NamedTuple):
    """One printed line of a table: our numbers, the paper's, or the difference."""

    kind: str
    label: str
    values: list[str]


def lines_of(table: ResultTable, ours: Callable[[Figure], str]) -> Iterator[Line]:
    """Each method's numbers as `ours` prints them, then the paper's and the difference where it has some."""
    for row in table.rows:
        figures = [row.figures[column] for column in table.columns]
        yield Line("ours", row.label, [ours(figure) for figure in figures])
        if any(figure.paper is not None for figure in figures):
            yield Line("paper", "paper", [plain(figure.paper) for figure in figures])
            yield Line("difference", "difference", [signed(figure.gap) for figure in figures])
        for name, values in side_lines(figures, table.sheet.benchmark):
            yield Line("fault", name, values)
    for other in table.published:
        yield Line("published", other.label, [plain(other.percent.get(column)) for column in table.columns])
    for name, values in ceiling_lines(table.sheet, table.figures):
        yield Line("ceiling", name, values)


def side_lines(figures: Sequence[Figure], benchmark: str) -> Iterator[tuple[str, list[str]]]:
    """What stands below a method's numbers: percent of the ceilings, faults, and accuracy over the other answers."""
    for name, each in ((OF_ALONE, [f.alone for f in figures]), (OF_ENGLISH, [f.english for f in figures])):
        if any(each):
            yield name, [plain(one.percent if one else None) or NONE for one in each]
    faults = list(fault_lines(figures, benchmark))
    yield from faults
    if faults:
        yield HEALTHY, [plain(figure.healthy) or NONE for figure in figures]
        yield (
            HEALTHY_COUNT,
            [NONE if f.healthy_total is None else str(f.healthy_total) for f in figures],
        )


def fault_lines(figures: Sequence[Figure], benchmark: str) -> Iterator[tuple[str, list[str]]]:
    """What is no answer at all among those behind some numbers: a line for each kind of which there is any."""
    for fault, name in fault_names(benchmark).items():
        shares = [figure.faults.get(fault) for figure in figures]
        values = [NONE if f.accuracy is None else share_text(share) for f, share in zip(figures, shares)]
        if not {*values} <= {NONE, UNKNOWN, "0.0"}:
            yield name, values


def plain(value: float | None) -> str:
    """`59.0`."""
    return "" if value is None else f"{value:.1f}"


def signed(value: float | None) -> str:
    """`+1.6`; what rounds to nothing has no sign."""
    text = "" if value is None else f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def marked(figure: Figure) -> str:
    """`56.9‡`, with a star where items are missing."""
    number = NONE if figure.accuracy is None else f"{figure.accuracy:.1f}"
    return f"{number}{'*' if figure.missing else ''}{figure.mark}"


def print_table(results: ResultTable, console: Console) -> None:
    """Show a table; where it is too wide for the screen, marks of significance stand below their numbers."""
    wide = _for_screen(results, wide=True)
    (wide if wide.least_width(console) <= console.width else _for_screen(results, wide=False)).show(console)


def _for_screen(results: ResultTable, wide: bool) -> Table:
    """The table for a screen; deviations over seeds stand below the means.

    Args:
        results: of one benchmark.
        wide: marks of significance stand behind their numbers.
    """
    rows = []
    for line in lines_of(results, _two_lines if wide else _three_lines):
        aside = line.kind not in METHODS
        rows.append(Row([line.label, *line.values], indented=wide and aside, style=STYLES[line.kind]))
    method = Column("Method", least=12 if wide else 8)
    return replace(_table(results, rows), columns=[method, *map(number_column, results.columns)])


def _table(results: ResultTable, rows: Sequence[Row]) -> Table:
    columns = [Column("Method"), *map(number_column, results.columns)]
    return Table(columns, rows, results.notes, f"{results.sheet.title} ({results.rule})")


def _two_lines(figure: Figure) -> str:
    """For a terminal, which may have no bold: the best has a mark."""
    number = marked(figure) + BEST * figure.best
    return number + (f"\n±{figure.sd:.1f}" if figure.sd is not None else "")


def _three_lines(figure: Figure) -> str:
    mark = figure.mark + BEST * figure.best
    whole = _two_lines(figure)
    return f"{whole.replace(mark, '')}\n{mark}" if mark else whole


def to_markdown(results: Results, tables: Sequence[ResultTable]) -> str:
    """A table for each benchmark with intervals or deviations behind the accuracies, and the provenance below."""
    parts = [f"# Results of {markdown_text(results.title)}\n"]
    for table in tables:
        rows = [Row([line.label, *line.values]) for line in lines_of(table, spelt)]
        parts.append(_table(table, rows).markdown())
    told = [*missing_lines(results.missing), *made_lines(results.made)]
    parts.append("".join(f"- {markdown_text(line)}\n" for line in told))
    return "\n".join(parts)


def spelt(figure: Figure) -> str:
    """`59.0 ± 0.4‡` of several seeds, `51.6 [45.4, 57.7]†` of one."""
    text = _with_spread(figure)
    return Strong(text) if figure.best else text


def _with_spread(figure: Figure) -> str:
    number, mark = marked(figure), figure.mark
    if figure.sd is not None:
        return f"{number.removesuffix(mark)} ± {figure.sd:.1f}{mark}"
    if figure.low is not None:
        return f"{number.removesuffix(mark)} [{figure.low:.1f}, {figure.high:.1f}]{mark}"
    return number


def to_latex(tables: Sequence[ResultTable], provenance: Mapping[str, Any]) -> str:
    """A `tabular` for the booktabs package for each table; the provenance is a comment above."""
    parts = [comments("%", told_lines(provenance))]
    for table in tables:
        rows = [
            Row([line.label, *line.values], begins=line.kind in METHODS, indented=line.kind not in METHODS)
            for line in lines_of(table, _small)
        ]
        parts.append(_table(table, rows).latex())
    return "".join(parts)


def _small(figure: Figure) -> str:
    text = marked(figure) + (f" ±{figure.sd:.1f}" if figure.sd is not None else "")
    return Strong(text) if figure.best else text


def missing_counts(missing: Sequence[Missing]) -> list[str]:
    """What is missing, each thing counted for itself: `1 training`, `404 answers`."""
    trainings = sum(m.cell.job == "train" for m in missing)
    answers = sum(m.cell.items - m.answered for m in missing if m.cell.job == "evaluate")
    counts = {"training": trainings, "answer": answers}
    return [f"{count:,} {name}{'s' * (count != 1)}" for name, count in counts.items() if count]


def missing_lines(missing: Sequence[Missing]) -> list[str]:
    """One line for each cell that is not done."""
    return [f"missing: {m.label}, seed {m.seed}: {missing_text(m)}" for m in missing]


def missing_text(missing: Missing) -> str:
    """`mgsm/ru-0, 154 of 250 answers, interrupted`."""
    cell = missing.cell
    if cell.job == "train":
        return f"training of {cell.name}, {missing.state}"
    share = f"{cell.benchmark}/{cell.language}-{cell.shard}"
    return f"{share}, {cell.items - missing.answered} of {cell.items} answers, {missing.state}"


def made_lines(made: Sequence[Made]) -> list[str]:
    """The states of the code behind the numbers; of several, what each has made."""
    if len(made) < 2:
        return [f"code: {code_text(one.record)}" for one in made]
    first = f"Mixed code: {len(made)} states of the code have made these numbers"
    return [first, *(f"{code_text(one.record)} made {'; '.join(one.what)}" for one in made)]


def code_text(record: Mapping[str, Any]) -> str:
    """`tree 0123abcd of commit 4567cdef, changed`."""
    commit = str(record.get("commit") or "unknown")[:10]
    changed = ", changed" if record.get("dirty") else ""
    return f"tree {record.get('tree')} of commit {commit}{changed}"
