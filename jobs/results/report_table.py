"""A table of results for a page: it sorts, and tells behind each number what it is made of."""

from __future__ import annotations

import html
from collections.abc import Sequence

from jobs.results.figures import Figure, codes_of, full_heading
from jobs.results.marks import ceiling_lines
from jobs.results.published import Published, published_source
from jobs.results.rows import ResultTable, Row, p_text, spread_text
from jobs.results.tables import plain, side_lines, signed
from layalign.evaluation.compare import Difference, Spread
from layalign.evaluation.table import averages_of, is_average
from layalign.tabular import NONE, Table


def html_table(table: ResultTable) -> str:
    """A table that sorts by a click on a header; a method's lines stay together."""
    heads = [("", "Method", "")] + [(_members(table, c), full_heading(c), _class(c)) for c in table.columns]
    head = "".join(
        f'<th scope="col" aria-sort="none"{kind}><button type="button"{title}>{text}</button></th>'
        for title, text, kind in heads
    )
    bodies = "".join(_body(row, table) for row in table.rows)
    bodies += "".join(_published(other, table) for other in table.published) + _ceilings(table)
    notes = "".join(
        f"<li>{html.escape(note)}</li>"
        for note in [*_small(table), *table.reading, *_source(table), *table.faults]
    )
    return (
        f'<div class="scroll"><table class="sortable"><thead><tr>{head}</tr></thead>{bodies}</table></div>'
        f'<ul class="notes">{notes}</ul>{_comparisons(table)}'
    )


def _source(table: ResultTable) -> list[str]:
    return [published_source(table.sheet.benchmark)] if table.published else []


def _comparisons(table: ResultTable) -> str:
    """Every method against the reference; empty if there is nothing to compare."""
    averages = averages_of(table.sheet.benchmark)
    compared = [row for row in table.rows if any(row.figures[column].versus for column in averages)]
    if not compared:
        return ""
    rows = [[row.label, *(_versus(row.figures[column].versus) for column in averages)] for row in compared]
    headings = ["Method", *map(full_heading, averages)]
    seeds = any(row.versus_seeds for row in compared)
    if seeds:
        headings.append("Average, over seeds")
        rows = [[*cells, _over_seeds(row.versus_seeds)] for cells, row in zip(rows, compared)]
    over = "; over seeds both by Student's t of the differences" if seeds else ""
    return (
        f"<h3>Difference from {html.escape(table.sheet.reference.label)}, in percentage points</h3>"
        f'<div class="scroll">{Table.of(headings, rows).html()}</div>'
        f'<p class="note">On the same questions; interval (95 %) and p by one bootstrap over problems{over}.</p>'
    )


def _small(table: ResultTable) -> list[str]:
    """What stands small below the accuracies."""
    figures = [figure for row in table.rows for figure in row.figures.values()]
    deviations = any(figure.sd is not None for figure in figures)
    intervals = any(figure.sd is None and figure.low is not None for figure in figures)
    told = ["the standard deviation over seeds"] * deviations + ["its 95 % interval (Wilson)"] * intervals
    return [f"Small, below an accuracy: {' or '.join(told)}."] if told else []


def _versus(told: Difference | None) -> str:
    if told is None:
        return NONE
    by = f" by {told.test}'s test" if told.test != "bootstrap" else ""
    return _minus(f"{told.mean:+.1f} [{told.low:+.1f}, {told.high:+.1f}]\n{p_text(told.p)}{by}")


def _over_seeds(told: Spread | None) -> str:
    return NONE if told is None else _minus(spread_text(told).replace(" p ", "\np "))


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _members(table: ResultTable, column: str) -> str:
    """The languages behind an average, where the pointer rests."""
    if not is_average(column):
        return ""
    names = [full_heading(code) for code in codes_of(table.sheet.benchmark, column)]
    return f' title="{html.escape(", ".join(names))}"'


def _class(column: str) -> str:
    return ' class="avg"' if is_average(column) else ""


def _ceilings(table: ResultTable) -> str:
    """What the LLMs reach without a bridge, below all rows however those are sorted."""
    lines = [_side(table, name, values) for name, values in ceiling_lines(table.sheet, table.figures)]
    return f"<tfoot>{''.join(lines)}</tfoot>" if lines else ""


def _side(table: ResultTable, name: str, values: Sequence[str]) -> str:
    shares = "".join(f"<td{_class(column)}>{text}</td>" for column, text in zip(table.columns, values))
    return f'<tr class="paper side"><th scope="row">{html.escape(name)}</th>{shares}</tr>'


def _body(row: Row, table: ResultTable) -> str:
    """The lines of one method."""
    columns = table.columns
    figures = [(column, row.figures[column]) for column in columns]
    ours = "".join(_cell(column, figure) for column, figure in figures)
    lines = [f'<tr><th scope="row">{html.escape(row.label)}</th>{ours}</tr>']
    if any(figure.paper is not None for _, figure in figures):
        paper = "".join(f"<td{_class(column)}>{plain(figure.paper)}</td>" for column, figure in figures)
        gaps = "".join(_gap(column, figure) for column, figure in figures)
        lines.append(f'<tr class="paper"><th scope="row">paper</th>{paper}</tr>')
        lines.append(f'<tr class="difference"><th scope="row">difference</th>{gaps}</tr>')
    for name, values in side_lines([figure for _, figure in figures], table.sheet.benchmark):
        lines.append(_side(table, name, values))
    return f"<tbody>{''.join(lines)}</tbody>"


def _published(other: Published, table: ResultTable) -> str:
    """A row of somebody else."""
    told = "".join(f"<td{_class(one)}>{plain(other.percent.get(one))}</td>" for one in table.columns)
    label = html.escape(other.label)
    return f'<tbody><tr class="paper"><th scope="row">{label}</th>{told}</tr></tbody>'


def _cell(column: str, figure: Figure) -> str:
    """One of our numbers; what it is made of shows where the pointer rests."""
    kinds = [
        *(["avg"] if is_average(column) else []),
        *(["best"] if figure.best else []),
    ]
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    star, mark = "*" if figure.missing else "", figure.mark
    if figure.accuracy is None:
        told = (
            f' title="no answer yet, or not complete: {figure.missing} answers are missing"' if star else ""
        )
        return f"<td{kind}{told}>{NONE}{star}</td>"
    small = ""
    if figure.sd is not None:
        small = f"<small>±{figure.sd:.1f}</small>"
    elif figure.low is not None:
        small = f"<small>{figure.low:.0f}–{figure.high:.0f}</small>"
    told = html.escape(_hover(figure))
    hung = f"<i>{star}{mark}</i>" if star or mark else ""
    return f'<td{kind} data-v="{figure.accuracy:.4f}" title="{told}">{figure.accuracy:.1f}{hung}{small}</td>'


def _hover(figure: Figure) -> str:
    """All that is known of a number."""
    told = []
    if len(figure.by_seed) > 1:
        told.append(", ".join(f"seed {seed}: {value:.1f}" for seed, value in figure.by_seed.items()))
        told.append(f"Student's 95 % interval of the mean [{figure.low:.1f}, {figure.high:.1f}]")
    elif figure.low is not None:
        told.append(f"Wilson's 95 % interval [{figure.low:.1f}, {figure.high:.1f}]")
    if figure.total:
        told.append(f"{figure.correct} of {figure.total} right")
    if figure.missing:
        told.append(f"{figure.missing} answers are missing")
    if figure.versus:
        v = figure.versus
        interval = f"{v.mean:+.1f} [{v.low:+.1f}, {v.high:+.1f}] against the reference by bootstrap"
        p = f"p = {v.p:.2g}"
        told += [f"{interval}, {p}"] if v.test == "bootstrap" else [interval, f"{p} by {v.test}'s exact test"]
    return "\n".join(told)


def _gap(column: str, figure: Figure) -> str:
    kinds = ["avg"] if is_average(column) else []
    if figure.gap is not None and abs(figure.gap) >= 0.05:
        kinds.append("up" if figure.gap > 0 else "down")
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    return f"<td{kind}>{_minus(signed(figure.gap))}</td>"
