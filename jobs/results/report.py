"""The report of results: one HTML file that opens from disk, with tables, plots, curves and examples."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from jobs.reliability.ettr import effective_time
from jobs.reliability.table import LEGEND, ettr_table
from jobs.results.collect import Missing, Results, Training
from jobs.results.plots import accuracy_plot, curve_plots, difference_plot, has_dev_loss
from jobs.results.report_examples import examples
from jobs.results.report_page import SCRIPT, STYLE
from jobs.results.report_table import html_table
from jobs.results.rows import ResultTable
from jobs.results.svg import shape
from jobs.results.tables import code_text, made_lines, missing_counts, missing_text, plain, signed
from layalign.tabular import NONE, Table

DIFFERENCE_CAPTION = (
    "Ours less the paper's, with the same intervals: the paper lies within them where 0 does."
)


def to_html(
    results: Results,
    tables: Sequence[ResultTable],
    others: Sequence[ResultTable],
    provenance: Mapping[str, Any],
) -> str:
    """The page.

    Args:
        results: what was collected.
        tables: by the rule that was asked for: with plots and examples.
        others: by the other rules: tables alone, folded.
        provenance: of the code that makes the page.
    """
    labels = dict.fromkeys(label for training in results.trainings for label in training.labels)
    labels = dict.fromkeys([row.label for table in tables for row in table.rows] + list(labels))
    series = {label: number for number, label in enumerate(labels)}
    parts = [_head(results, tables, provenance)]
    for table in tables:
        parts.append(_benchmark(table, [one for one in others if one.sheet is table.sheet]))
    parts += [_curves(results, series), _effective_time(results.trainings)]
    parts += [_examples(tables), _missing(results.missing)]
    parts.append(_provenance(results, provenance))
    body = "".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Results of {html.escape(results.title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{body}</main><script>{SCRIPT}</script></body></html>\n"
    )


def _head(results: Results, tables: Sequence[ResultTable], provenance: Mapping[str, Any]) -> str:
    links = [(f"#{table.sheet.benchmark}", table.sheet.benchmark) for table in tables]
    links += [
        ("#curves", "learning curves"),
        ("#time", "effective time"),
        ("#examples", "examples"),
        ("#missing", "missing"),
        ("#provenance", "provenance"),
    ]
    warnings = made_lines(results.made)[:1] if len(results.made) > 1 else []
    warnings += [note for table in tables for note in table.notes if note.startswith("Not asked alike")]
    if results.missing:
        lacking = " and ".join(missing_counts(results.missing))
        warnings.append(f"Not finished: {lacking} missing; * marks numbers that lack answers.")
    warned = "".join(f"<p>{html.escape(text)}</p>" for text in warnings)
    shown = "".join(f'<a href="{to}">{text}</a>' for to, text in links)
    made = html.escape(
        f"made {str(provenance.get('time', ''))[:16].replace('T', ' ')} UTC by {code_text(provenance)}"
    )
    return (
        f'<header><h1>Results of {html.escape(results.title)}</h1><p class="sub">{made}</p>'
        f'<div class="cards">{"".join(_cards(results, tables))}</div>'
        + (f'<div class="warn" role="note">{warned}</div>' if warned else "")
        + f"<nav>{shown}</nav></header>"
    )


def _cards(results: Results, tables: Sequence[ResultTable]) -> Iterator[str]:
    """What a reader wants to see first."""
    for table in tables:
        row = next(row for row in table.rows if row.label == table.sheet.reference.label)
        figure = row.figures["Avg"]
        sd = f" ± {figure.sd:.1f}" if figure.sd is not None else ""
        paper = f", paper {figure.paper:.1f} ({signed(figure.gap)})" if figure.paper is not None else ""
        yield _card(
            f"{plain(figure.accuracy) or NONE}{sd}{' %' if figure.accuracy is not None else ''}",
            f"{row.label} on {table.sheet.benchmark}, average of its languages{paper}",
        )
    if tables:
        seeds = max(len(row.seeds) for row in tables[0].rows)
        yield _card(str(len(tables[0].rows)), f"methods, {seeds} seed{'s' * (seeds != 1)} of each")
    yield _card(str(len(results.trainings)), "trainings")
    for counted in missing_counts(results.missing):
        number, _, what = counted.partition(" ")
        yield _card(number, f"{what} missing")


def _card(number: str, text: str) -> str:
    return f'<div class="card"><b>{html.escape(number)}</b><span>{html.escape(text)}</span></div>'


def _benchmark(table: ResultTable, others: Sequence[ResultTable]) -> str:
    """All of one benchmark."""
    name = html.escape(table.sheet.title)
    difference = difference_plot(table)
    return (
        f'<section id="{name.replace(" ", "-")}"><h2>{name}</h2>{html_table(table)}'
        + "".join(
            f"<details><summary>By the {other.rule} rule</summary>{html_table(other)}</details>"
            for other in others
        )
        + f"{_legend([row.label for row in table.rows])}"
        f"<figure><figcaption>{_accuracy_caption(table)}</figcaption>{accuracy_plot(table)}</figure>"
        + (
            f"<figure><figcaption>{DIFFERENCE_CAPTION}</figcaption>{difference}</figure>"
            if difference
            else ""
        )
        + "</section>"
    )


def _accuracy_caption(table: ResultTable) -> str:
    """What is drawn of the accuracies, and nothing else."""
    figures = [figure for row in table.rows for figure in row.figures.values()]
    several = any(len(figure.by_seed) > 1 for figure in figures)
    drawn = [
        ("bars are 95 % Wilson intervals" + " for as many questions as one seed answers" * several,
         any(figure.total for figure in figures)),
        ("short lines are the paper's values", any(figure.paper is not None for figure in figures)),
        ("small circles are seeds that lie apart from the mean", several),
    ]  # fmt: skip
    told = "; ".join(text for text, there in drawn if there)
    return f"Accuracy by language{': ' if told else ''}{told}."


def _legend(labels: Sequence[str], first: Mapping[str, int] | None = None) -> str:
    """Buttons that hide a series."""
    items = []
    for number, label in enumerate(labels):
        of = first[label] if first else number
        swatch = f'<svg viewBox="0 0 14 14" aria-hidden="true">{shape(of, 7, 7, 4.6)}</svg>'
        items.append(
            f'<li><button type="button" aria-pressed="true" data-of="{of}">{swatch}{html.escape(label)}</button></li>'
        )
    return f'<ul class="legend">{"".join(items)}</ul>'


def _curves(results: Results, series: Mapping[str, int]) -> str:
    """Losses of every training."""
    plots = curve_plots(results.trainings, series)
    if not plots:
        return (
            '<section id="curves"><h2>Learning curves</h2><p class="soft">No run has metrics.</p></section>'
        )
    shown = [label for label in series if any(t.labels[0] == label for t in results.trainings)]
    figures = "".join(
        f"<figure><figcaption>{html.escape(caption)}</figcaption>{plot}</figure>" for caption, plot in plots
    )
    return (
        f'<section id="curves"><h2>Learning curves</h2><p class="note">{_curves_note(results)}</p>'
        f'{_legend(shown, series)}<div class="pair">{figures}</div>'
        "</section>"
    )


def _curves_note(results: Results) -> str:
    """What is drawn of the trainings, and nothing else."""
    trainings = results.trainings
    told = ["Running mean of the training loss over a fiftieth of the run"]
    told += ["circles are losses on held-out data"] if any(has_dev_loss(t) for t in trainings) else []
    told += ["further seeds are dashed"] if len({t.seed for t in trainings}) > 1 else []
    if any(len(training.labels) > 1 for training in trainings):
        told.append("a run that serves several rows has the colour of the first")
    return "; ".join(told) + "."


def _effective_time(trainings: Sequence[Training]) -> str:
    """Where the time of every training went."""
    table = ettr_table([effective_time(training.run) for training in trainings])
    if not table.rows:
        return '<section id="time"><h2>Effective time</h2><p class="soft">No run was trained.</p></section>'
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in table.notes)
    return (
        f'<section id="time"><h2>Effective time</h2><p class="note">{html.escape(LEGEND)}</p>'
        f'<div class="scroll">{table.html()}</div><ul class="notes">{notes}</ul></section>'
    )


def _examples(tables: Sequence[ResultTable]) -> str:
    """Some answers to each benchmark."""
    shown = [(table.sheet.benchmark, examples(table.sheet, table.rule)) for table in tables]
    told = "".join(f"<h3>{html.escape(name)}</h3>{asked}" for name, asked in shown if asked)
    return f'<section id="examples"><h2>Examples</h2>{told or "<p class=soft>No answers yet.</p>"}</section>'


def _missing(missing: Sequence[Missing]) -> str:
    """Cells that are not done, by the point that wants them."""
    if not missing:
        return (
            '<section id="missing"><h2>Missing</h2><p class="soft">Nothing: every cell is done.</p></section>'
        )
    rows = [
        [label, str(seed), "\n".join(map(missing_text, cells))]
        for (label, seed), cells in groupby(missing, key=lambda m: (m.label, m.seed))
    ]
    table = Table.of(("Method", "Seed", "What is missing"), rows)
    return f'<section id="missing"><h2>Missing</h2><div class="scroll">{table.html()}</div></section>'


def _provenance(results: Results, provenance: Mapping[str, Any]) -> str:
    """Code, versions, and configs: what all runs share, and what they differ in."""
    parts = []
    for made in results.made:
        what = "".join(f"<li>{html.escape(text)}</li>" for text in made.what)
        record = html.escape(json.dumps(dict(made.record), indent=1, ensure_ascii=False))
        parts.append(
            f"<details><summary>{html.escape(code_text(made.record))} made {len(made.what)} of the results</summary>"
            f"<ul>{what}</ul><pre>{record}</pre></details>"
        )
    told = html.escape(json.dumps(dict(provenance), indent=1, ensure_ascii=False))
    parts.append(f"<details><summary>what made this page</summary><pre>{told}</pre></details>")
    return f'<section id="provenance"><h2>Provenance</h2>{"".join(parts)}{_configs(results)}</section>'


def _configs(results: Results) -> str:
    flat = {who: _flat(run.read_config()) for who, run in results.configs.items()}
    keys = dict.fromkeys(key for values in flat.values() for key in values)
    differing = [key for key in keys if len({values.get(key) for values in flat.values()}) > 1]
    common = "\n".join(f"{key}: {next(iter(flat.values()))[key]}" for key in keys if key not in differing)
    rows = [[who, *(values.get(key, "") for key in differing)] for who, values in flat.items()]
    table = Table.of(("run", *differing), rows)
    return (
        f'<h3>What the evaluated runs differ in</h3><div class="scroll">{table.html()}</div>'
        f"<details><summary>what they share</summary><pre>{html.escape(common)}</pre></details>"
    )


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Nested keys joined by dots, values as JSON."""
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = json.dumps(value, ensure_ascii=False)
    return found
