"""Accuracies as the paper's tables: per language and averaged, for several methods side by side. Light.

Rows are methods, once by the strict and once by the official rule; columns are Avg, Lrl, Hrl and the
languages in the paper's order. Averages are unweighted means over languages, as in the paper; they carry no
interval, because the same problems in ten languages are not ten independent samples.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, fields
from typing import Any

from layalign.evaluation.benchmarks import Benchmark, find_benchmark
from layalign.evaluation.health import (
    FAULTS,
    FAULTS_NOTE,
    UNKNOWN,
    counts,
    is_healthy,
    old_answers,
    share_text,
)
from layalign.evaluation.scoring import STRICT_VERSION, wilson
from layalign.languages import find
from layalign.tabular import NONE, Column, Row, Table, comments, told_lines
from layalign.tasks.pages import replaced

RULES = ("strict", "official")
"""By which every answer is read."""
LIKELIHOOD = "likelihood"
"""Where an answer is one of several options: the one that the model finds most likely."""
AVERAGES = ("Avg", "Lrl", "Hrl")
"""Of the paper's math benchmarks."""


def rules_of(benchmark: str) -> tuple[str, ...]:
    """The rules by which the answers to a benchmark are counted."""
    return (*RULES, LIKELIHOOD) if find_benchmark(benchmark).has_options else RULES


def averages_of(benchmark: str) -> tuple[str, ...]:
    """The headings of its means over languages, that of all its languages first."""
    return tuple(find_benchmark(benchmark).every)


def fault_names(benchmark: str) -> dict[str, str]:
    """What an answer to a benchmark can lack, as tables name it, by the name under which it is counted."""
    answer = find_benchmark(benchmark).answer
    return {**FAULTS, "none": f"no {answer.given if answer.kind == 'choice' else answer.kind}"}


def faults_note(benchmark: str) -> str:
    """What the lines below the accuracies are."""
    return FAULTS_NOTE.replace(FAULTS["none"], fault_names(benchmark)["none"])


def is_average(column: str) -> bool:
    """Whether a column is a mean over languages: it is called as no language is."""
    return find(column) is None


@dataclass(frozen=True)
class Score:
    """How many items of a language are right by each rule."""

    strict: int
    official: int
    total: int
    """Items that were answered."""
    missing: int = 0
    """Items that were not answered yet."""
    none: int | None = None
    """Answers in which the strict rule finds no number; this and the next are None where they were not counted."""
    empty: int | None = None
    """Answers without a letter or digit."""
    loops: int | None = None
    """Answers that end in one piece of text over and over."""
    cut: int | None = None
    """Answers that reached the limit of tokens; None too where one of them does not tell."""
    unchecked: int | None = None
    """Answers that do not say which question they answer, or of which model they are: those of old."""
    likelihood: int | None = None
    """Of answers with options, how many have the right one as the most likely; None where some do not tell."""
    healthy: int | None = None
    """Answers with none of the faults; None, as the next, where some do not tell."""
    healthy_right: Mapping[str, int | None] = field(default_factory=dict)
    """How many of these are right, by rule."""

    def on_healthy(self, rule: str) -> float | None:
        """Accuracy over the answers that have no fault, in percent; None of none, and where that is not known."""
        right = self.healthy_right.get(rule)
        return 100 * right / self.healthy if self.healthy and right is not None else None

    def share(self, measure: str) -> float | None:
        """A rule's or a fault's share of the answers in percent; None of none, and where it was not counted."""
        count = getattr(self, measure)
        return 100 * count / self.total if self.total and count is not None else None


@dataclass(frozen=True)
class Cell:
    """One number of a table, in percent. Averages have neither interval nor counts."""

    method: str
    benchmark: str
    rule: str
    column: str
    """Avg, Lrl, Hrl or the code of a language."""
    accuracy: float | None
    """None where nothing was answered, and for averages that lack an item."""
    low: float | None = None
    high: float | None = None
    """Wilson's 95 % interval."""
    correct: int | None = None
    total: int | None = None
    missing: int | None = None
    none: float | None = None
    """This and the next, whose names are those of `FAULTS`: share of the answers, by the strict rule."""
    empty: float | None = None
    loops: float | None = None
    cut: float | None = None


@dataclass(frozen=True)
class Summary:
    """What one method reached on one benchmark."""

    benchmark: str
    scores: Mapping[str, Score]
    """By code, in the benchmark's order."""

    def cells(self, method: str) -> list[Cell]:
        """Every number, averages first, for each rule."""
        found = []
        for rule in rules_of(self.benchmark):
            for group in averages_of(self.benchmark):
                faults: dict[str, Any] = {fault: self.average(fault, group) for fault in FAULTS}
                found.append(Cell(method, self.benchmark, rule, group, self.average(rule, group), **faults))
            found += [self._cell(method, rule, code) for code in self.scores]
        return found

    def average(self, measure: str, group: str = "Avg") -> float | None:
        """Mean share of the languages of a group in percent; None unless each is complete.

        The measure is a rule or one of `FAULTS`. A language that is only asked when named (Telugu) is in no average.
        """
        return self._mean(group, lambda score: score.share(measure))

    def average_on_healthy(self, rule: str, group: str) -> float | None:
        """Mean of `Score.on_healthy`, likewise."""
        return self._mean(group, lambda score: score.on_healthy(rule))

    def _mean(self, group: str, told: Callable[[Score], float | None]) -> float | None:
        codes = find_benchmark(self.benchmark).every.get(group, ())
        scores = [self.scores.get(code) for code in codes]
        values = [told(score) for score in scores if score and not score.missing]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known and len(known) == len(scores) else None

    def _cell(self, method: str, rule: str, code: str) -> Cell:
        score = self.scores[code]
        right, total, missing = getattr(score, rule), score.total, score.missing
        if not total or right is None:
            return Cell(method, self.benchmark, rule, code, None, None, None, right or 0, total, missing)
        low, high = wilson(right, total)
        interval = (100 * low, 100 * high)
        faults: dict[str, Any] = {fault: score.share(fault) for fault in FAULTS}
        return Cell(
            *(method, self.benchmark, rule, code, score.share(rule), *interval, right, total, missing),
            **faults,
        )


def summarise(
    records: Iterable[Mapping[str, Any]],
    benchmark: Benchmark,
    expected: Mapping[str, int] | None = None,
) -> Summary:
    """Count what is right.

    Args:
        records: of `generate.answer_items`; of two with one id the later counts.
        benchmark: whose items they answer.
        expected: items that each language (code) has; what has no record is missing.
    """
    by_id = {record["id"]: record for record in records}
    by_language: dict[str, list[Mapping[str, Any]]] = {code: [] for code in expected or ()}
    for record in by_id.values():
        by_language.setdefault(record["language"], []).append(record)
    order = benchmark.languages + benchmark.extra
    assert set(by_language) <= set(order), f"{benchmark.name} has no {set(by_language) - set(order)}"
    scores = {}
    for code in filter(by_language.__contains__, order):
        found = by_language[code]
        strict, official = (sum(bool(record[f"{rule}_correct"]) for record in found) for rule in RULES)
        missing = max(0, expected.get(code, 0) - len(found)) if expected else 0
        likely = [record.get(f"{LIKELIHOOD}_correct") for record in found]
        chosen = None if None in likely or not benchmark.has_options else sum(map(bool, likely))
        told = {**counts(found), **_on_healthy(found, rules_of(benchmark.name))}
        scores[code] = Score(strict, official, len(found), missing, likelihood=chosen, **told)
    return Summary(benchmark.name, scores)


def _on_healthy(records: Sequence[Mapping[str, Any]], rules: Sequence[str]) -> dict[str, Any]:
    """How many answers have no fault, and how many of those are right by each rule."""
    known = [is_healthy(record) for record in records]
    if None in known:
        return {"healthy": None}
    healthy = [record for record, is_one in zip(records, known) if is_one]
    right: dict[str, int | None] = {}
    for rule in rules:
        verdicts = [record.get(f"{rule}_correct") for record in healthy]
        right[rule] = None if None in verdicts else sum(map(bool, verdicts))
    return {"healthy": len(healthy), "healthy_right": right}


def to_json(summaries: Mapping[str, Summary], provenance: Mapping[str, Any]) -> str:
    """Counts, accuracies, intervals and provenance; `from_json` reads it back."""
    methods = {
        method: {
            "benchmark": s.benchmark,
            "scores": {code: asdict(score) for code, score in s.scores.items()},
        }
        for method, s in summaries.items()
    }
    cells = [asdict(cell) for cell in _cells(summaries)]
    told = {"provenance": dict(provenance), "methods": methods, "cells": cells}
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> dict[str, Summary]:
    """The summaries that `to_json` wrote, by method."""
    return {
        method: Summary(told["benchmark"], {code: Score(**score) for code, score in told["scores"].items()})
        for method, told in json.loads(text)["methods"].items()
    }


def to_csv(summaries: Mapping[str, Summary], provenance: Mapping[str, Any]) -> str:
    """One line per cell, below the provenance as lines that begin with `#`."""
    table = Table.of([f.name for f in fields(Cell)], map(astuple, _cells(summaries)))
    return comments("#", told_lines(provenance)) + table.csv()


def to_markdown(summaries: Mapping[str, Summary], provenance: Mapping[str, Any]) -> str:
    """A table with the interval behind every accuracy, and the provenance below."""
    notes = [*_notes(summaries), *told_lines(provenance)]
    return _table(summaries, _with_interval, notes).markdown()


def to_latex(summaries: Mapping[str, Summary], provenance: Mapping[str, Any]) -> str:
    """A `tabular` for the booktabs package; the provenance is a comment above it."""
    return comments("%", told_lines(provenance)) + _table(summaries, _accuracy, _notes(summaries)).latex()


def to_screen(summaries: Mapping[str, Summary], provenance: Mapping[str, Any]) -> Table:
    """The table for a screen of 80 characters: a section per rule, and of the provenance what is short."""
    short = {key: value for key, value in provenance.items() if isinstance(value, str | int | float)}
    columns, name = _columns(summaries), _benchmark(summaries)
    rules, names = rules_of(name), fault_names(name)
    rows = []
    for rule in rules:
        rows.append(Row([f"{rule}:"], begins=True, style="italic"))
        for (method, its_rule), row in _grid(summaries):
            if its_rule == rule:
                rows.append(Row([method, *(_accuracy(row.get(column)) for column in columns)]))
            if its_rule == rule == rules[-1]:
                faults = _faults(row, columns).items()
                rows += [Row([names[name], *shown], style="dim not bold") for name, shown in faults]
    first = Column("Method", least=8)
    return Table([first, *map(number_column, columns)], rows, [*_notes(summaries), *told_lines(short)])


def _table(
    summaries: Mapping[str, Summary], shown: Callable[[Cell | None], str], notes: Sequence[str]
) -> Table:
    """A row for each method and rule, its numbers as `shown` shows them."""
    columns, name = _columns(summaries), _benchmark(summaries)
    rules, names = rules_of(name), fault_names(name)
    rows: list[Row] = []
    for (method, rule), row in _grid(summaries):
        rows.append(Row([method, rule, *(shown(row.get(column)) for column in columns)], begins=not rows))
        if rule == rules[-1]:
            rows += [Row([method, names[name], *told]) for name, told in _faults(row, columns).items()]
    return Table([Column("Method"), Column("Rule"), *map(number_column, columns)], rows, notes)


def _faults(row: Mapping[str, Cell], columns: Sequence[str]) -> dict[str, list[str]]:
    """The shares of each kind of fault that there is, as they are printed."""
    cells = [row.get(column) for column in columns]
    told = {name: [_share(cell, name) for cell in cells] for name in FAULTS}
    return {name: shown for name, shown in told.items() if not {*shown} <= {NONE, UNKNOWN, "0.0"}}


def _share(cell: Cell | None, fault: str) -> str:
    if cell is None or cell.accuracy is None:
        return NONE
    return share_text(getattr(cell, fault))


def number_column(column: str) -> Column:
    """The column of an average or a language."""
    return Column(heading(column), number=True, strong=is_average(column))


def _cells(summaries: Mapping[str, Summary]) -> list[Cell]:
    return [cell for method, summary in summaries.items() for cell in summary.cells(method)]


def _grid(summaries: Mapping[str, Summary]) -> list[tuple[tuple[str, str], dict[str, Cell]]]:
    """Rows of the printed tables: ((method, rule), cells by column)."""
    rows: dict[tuple[str, str], dict[str, Cell]] = {}
    for cell in _cells(summaries):
        rows.setdefault((cell.method, cell.rule), {})[cell.column] = cell
    return list(rows.items())


def _benchmark(summaries: Mapping[str, Summary]) -> str:
    names = {summary.benchmark for summary in summaries.values()}
    assert len(names) == 1, f"one table shows one benchmark, not {names}"
    return names.pop()


def _columns(summaries: Mapping[str, Summary]) -> list[str]:
    """Averages, then every language that some method has."""
    benchmark = find_benchmark(_benchmark(summaries))
    present = {code for summary in summaries.values() for code in summary.scores}
    return [*benchmark.every, *filter(present.__contains__, benchmark.languages + benchmark.extra)]


def heading(column: str) -> str:
    """A column as tables name it."""
    return column if is_average(column) else column.capitalize()


def _accuracy(cell: Cell | None) -> str:
    """`51.6`, with a star where items are missing."""
    if cell is None or cell.accuracy is None:
        return NONE
    return f"{cell.accuracy:.1f}{'*' if cell.missing else ''}"


def _with_interval(cell: Cell | None) -> str:
    interval = f" [{cell.low:.1f}, {cell.high:.1f}]" if cell and cell.low is not None else ""
    return _accuracy(cell) + interval


def page_notes(benchmark: str) -> list[str]:
    """What a benchmark's page says that a reader of its numbers must know."""
    page = find_benchmark(benchmark)
    notes = [f"Guessing gives {page.by_guessing:.1f}."] if page.by_guessing is not None else []
    if page.has_options:
        notes.append("Likelihood: the option that the model finds most likely, whatever it answers.")
    notes += [f"{name} is the mean over {', '.join(codes)}." for name, codes in page.averages.items()]
    return [*notes, *filter(None, [replaced(benchmark)]), *page.notes]


def _notes(summaries: Mapping[str, Summary]) -> list[str]:
    """What a reader of the numbers must know."""
    name = _benchmark(summaries)
    cells = _cells(summaries)
    halves = [(cell.high - cell.low) / 2 for cell in cells if cell.low is not None and cell.high is not None]
    notes = [
        f"Accuracy on {name} in percent; strict (version {STRICT_VERSION}) and official are two rules that read the "
        "answer.",
        *page_notes(name),
        faults_note(name),
    ]
    if halves:
        notes.append(f"95 % Wilson intervals of a language reach ±{max(halves):.1f} points or less.")
    for method, summary in summaries.items():
        missing = sum(score.missing for score in summary.scores.values())
        if missing:
            whole = missing + sum(score.total for score in summary.scores.values())
            notes.append(f"* {method} is not finished: {missing} of {whole} items are missing.")
        notes += [f"{method}: {text}" for text in old_answers(summary.scores.values())]
    return notes
