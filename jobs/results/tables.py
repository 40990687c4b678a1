"""Results tables beside the paper's, for the terminal, Markdown, LaTeX, CSV and JSON. Light."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from jobs.results.collect import Made, Missing, Results
from jobs.results.rows import Figure, ResultTable
from layalign.evaluation.table import (
    AVERAGES,
    heading,
    latex_text,
    markdown_text,
    told_lines,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NONE = "–"
"""Stands where nothing was answered yet, or an average lacks an item."""


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


def plain(value: float | None) -> str:
    """`59.0`."""
    return "" if value is None else f"{value:.1f}"


def signed(value: float | None) -> str:
    """`+1.6`; what rounds to nothing has no sign."""
    text = "" if value is None else f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def marked(figure: Figure) -> str:
    """`56.9‡`, with a star where items are missing."""
    mark = figure.versus.mark if figure.versus else ""
    number = NONE if figure.accuracy is None else f"{figure.accuracy:.1f}"
    return f"{number}{'*' if figure.missing else ''}{mark}"


def print_table(results: ResultTable, console: Console) -> None:
    """Show a table; one that is wider than the screen wraps there, as no number may be lost."""
    table = to_rich(results, console.width)
    least = console.measure(table, options=console.options.update(width=10 * console.width)).minimum
    table.width = least if least > console.width else None
    console.print(table, crop=False)


def to_rich(results: ResultTable, width: int) -> Table:
    """The table for a screen; deviations over seeds stand below the means.

    Args:
        results: of one benchmark.
        width: of the screen in characters; below 100 no number has its mark of significance.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.title, table.title_justify = f"{results.sheet.benchmark} ({results.rule})", "left"
    table.caption, table.caption_justify = Text("\n".join(results.notes)), "left"
    wide = width >= 100
    table.add_column("Method", min_width=12 if wide else 8, overflow="fold")
    for column in results.columns:
        style = "bold" if column in AVERAGES else None
        table.add_column(heading(column), justify="right", no_wrap=True, style=style)
    for line in lines_of(results, _two_lines):
        style = {"paper": "dim not bold", "difference": "dim italic not bold"}.get(line.kind, "")
        label = Text(f"  {line.label}" if wide and line.kind != "ours" else line.label, style=style)
        values = line.values if wide else map(_unmarked, line.values)
        table.add_row(label, *(Text(value, style=style) for value in values))
    return table


def _two_lines(figure: Figure) -> str:
    return marked(figure) + (f"\n±{figure.sd:.1f}" if figure.sd is not None else "")


def _unmarked(text: str) -> str:
    return text.replace("†", "").replace("‡", "")


def to_markdown(results: Results, tables: Sequence[ResultTable]) -> str:
    """A table for each benchmark with intervals or deviations behind the accuracies, and the provenance below."""
    parts = [f"# Results of {markdown_text(results.title)}\n"]
    for table in tables:
        lines = [["Method", *map(heading, table.columns)], ["---", *["---:"] * len(table.columns)]]
        for line in lines_of(table, spelt):
            lines.append([markdown_text(line.label), *map(markdown_text, line.values)])
        text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        notes = "".join(f"- {markdown_text(note)}\n" for note in table.notes)
        parts.append(f"## {table.sheet.benchmark} ({table.rule})\n\n{text}\n\n{notes}")
    told = [*missing_lines(results.missing), *made_lines(results.made)]
    parts.append("".join(f"- {markdown_text(line)}\n" for line in told))
    return "\n".join(parts)


def spelt(figure: Figure) -> str:
    """`59.0 ± 0.4‡` of several seeds, `51.6 [45.4, 57.7]†` of one."""
    number, mark = marked(figure), figure.versus.mark if figure.versus else ""
    if figure.sd is not None:
        return f"{number.removesuffix(mark)} ± {figure.sd:.1f}{mark}"
    if figure.low is not None:
        return f"{number.removesuffix(mark)} [{figure.low:.1f}, {figure.high:.1f}]{mark}"
    return number


def to_latex(tables: Sequence[ResultTable], provenance: Mapping[str, Any]) -> str:
    """A `tabular` for the booktabs package for each table; the provenance is a comment above."""
    parts = [f"% {line}" for line in told_lines(provenance)]
    for table in tables:
        width = len(table.columns)
        parts += [f"% {table.sheet.benchmark} ({table.rule})"]
        parts += [rf"\begin{{tabular}}{{l{'r' * width}}}", r"\toprule"]
        parts += [" & ".join(["Method", *map(heading, table.columns)]) + r" \\"]
        for line in lines_of(table, _small):
            label = latex_text(line.label) if line.kind == "ours" else rf"\quad {line.label}"
            parts += [r"\midrule"] if line.kind == "ours" else []
            parts.append(" & ".join([label, *(latex_text(value) for value in line.values)]) + r" \\")
        parts.append(r"\bottomrule")
        for note in table.notes:
            told = rf"\footnotesize {latex_text(note)}"
            parts.append(rf"\multicolumn{{{width + 1}}}{{p{{\linewidth}}}}{{{told}}} \\")
        parts.append(r"\end{tabular}")
    return "\n".join(parts) + "\n"


def _small(figure: Figure) -> str:
    return marked(figure) + (f" ±{figure.sd:.1f}" if figure.sd is not None else "")


def to_csv(tables: Sequence[ResultTable], provenance: Mapping[str, Any]) -> str:
    """One line for each number, below the provenance as lines that begin with `#`."""
    out = io.StringIO()
    out.writelines(f"# {line}\n" for line in told_lines(provenance))
    records = list(_records(tables))
    writer = csv.DictWriter(out, list(records[0]) if records else ["benchmark"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**record, "by_seed": json.dumps(record["by_seed"])} for record in records)
    return out.getvalue()


def to_json(results: Results, tables: Sequence[ResultTable], provenance: Mapping[str, Any]) -> str:
    """Every number, what is missing, and how the numbers came to be."""
    told = {
        "title": results.title,
        "provenance": dict(provenance),
        "code": [{"record": dict(made.record), "made": made.what} for made in results.made],
        "configs": {who: run.read_config() for who, run in results.configs.items()},
        "numbers": list(_records(tables)),
        "missing": [{**asdict(missing), "cell": asdict(missing.cell)} for missing in results.missing],
    }
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def _records(tables: Iterable[ResultTable]) -> Iterator[dict[str, Any]]:
    """Every number as plain data."""
    for table in tables:
        place = {"benchmark": table.sheet.benchmark, "rule": table.rule}
        for row in table.rows:
            for column, figure in row.figures.items():
                here = {**place, "method": row.label, "column": column}
                yield {**here, **_record(figure, table.sheet.reference.label)}


def _record(figure: Figure, reference: str) -> dict[str, Any]:
    versus = figure.versus
    return {
        "accuracy": figure.accuracy,
        "low": figure.low,
        "high": figure.high,
        "sd": figure.sd,
        "by_seed": dict(figure.by_seed),
        "correct": figure.correct,
        "total": figure.total,
        "missing": figure.missing,
        "paper": figure.paper,
        "difference": figure.gap,
        "reference": reference if versus else None,
        "versus": versus.mean if versus else None,
        "versus_low": versus.low if versus else None,
        "versus_high": versus.high if versus else None,
        "p": versus.p if versus else None,
        "test": versus.test if versus else None,
    }


def missing_lines(missing: Sequence[Missing]) -> list[str]:
    """One line for each cell that is not done."""
    return [f"missing: {m.label}, seed {m.seed}: {missing_text(m)}" for m in missing]


def missing_text(missing: Missing) -> str:
    """`mgsm/ru-0, 96 of 250 items, interrupted`."""
    cell = missing.cell
    if cell.job == "train":
        return f"training of {cell.name}, {missing.state}"
    share = f"{cell.benchmark}/{cell.language}-{cell.shard}"
    return f"{share}, {missing.answered} of {cell.items} items, {missing.state}"


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
