"""Accuracies as the paper's tables: per language and averaged, for several methods side by side. Light.

Rows are methods, once by the strict and once by the official rule; columns are Avg, Lrl, Hrl and the
languages in the paper's order. Averages are unweighted means over languages, as in the paper; they carry no
interval, because the same problems in ten languages are not ten independent samples.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from layalign.evaluation.benchmarks import Benchmark, find_benchmark
from layalign.evaluation.scoring import wilson
from layalign.languages import language

if TYPE_CHECKING:
    from rich.table import Table

RULES = ("strict", "official")
AVERAGES = ("Avg", "Lrl", "Hrl")


@dataclass(frozen=True)
class Score:
    """How many items of a language are right by each rule."""

    strict: int
    official: int
    total: int
    """Items that were answered."""
    missing: int = 0
    """Items that were not answered yet."""


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


@dataclass(frozen=True)
class Summary:
    """What one method reached on one benchmark."""

    benchmark: str
    scores: Mapping[str, Score]
    """By code, in the benchmark's order."""

    def cells(self, method: str) -> list[Cell]:
        """Every number, averages first, for each rule."""
        found = []
        for rule in RULES:
            averages = [(group, self.average(rule, group)) for group in AVERAGES]
            found += [Cell(method, self.benchmark, rule, group, value) for group, value in averages]
            found += [self._cell(method, rule, code) for code in self.scores]
        return found

    def average(self, rule: str, group: str = "Avg") -> float | None:
        """Mean accuracy of the languages of a group in percent; None unless each is complete.

        A language outside the benchmark's own ten (Telugu) is in no average.
        """
        codes = find_benchmark(self.benchmark).languages
        scores = [self.scores.get(code) for code in codes if group in ("Avg", language(code).group)]
        values = [100 * getattr(s, rule) / s.total for s in scores if s and s.total and not s.missing]
        return sum(values) / len(values) if values and len(values) == len(scores) else None

    def _cell(self, method: str, rule: str, code: str) -> Cell:
        score = self.scores[code]
        right, total, missing = getattr(score, rule), score.total, score.missing
        if not total:
            return Cell(method, self.benchmark, rule, code, None, None, None, 0, 0, missing)
        low, high = wilson(right, total)
        accuracy = 100 * right / total
        return Cell(
            method, self.benchmark, rule, code, accuracy, 100 * low, 100 * high, right, total, missing
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
        scores[code] = Score(strict, official, len(found), missing)
    return Summary(benchmark.name, scores)


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
    out = io.StringIO()
    out.writelines(f"# {line}\n" for line in told_lines(provenance))
    writer = csv.DictWriter(out, [f.name for f in fields(Cell)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(cell) for cell in _cells(summaries))
    return out.getvalue()


def to_markdown(summaries: Mapping[str, Summary], provenance: Mapping[str, Any]) -> str:
    """A table with the interval behind every accuracy, and the provenance below."""
    columns = _columns(summaries)
    lines = [["Method", "Rule", *map(heading, columns)], ["---", "---", *["---:"] * len(columns)]]
    for (method, rule), row in _grid(summaries):
        lines.append([markdown_text(method), rule, *(_with_interval(row.get(column)) for column in columns)])
    notes = map(markdown_text, [*_notes(summaries), *told_lines(provenance)])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return table + "\n\n" + "".join(f"- {note}\n" for note in notes)


def to_latex(summaries: Mapping[str, Summary], provenance: Mapping[str, Any]) -> str:
    """A `tabular` for the booktabs package; the provenance is a comment above it."""
    columns = _columns(summaries)
    lines = [f"% {line}" for line in told_lines(provenance)]
    lines += [rf"\begin{{tabular}}{{ll{'r' * len(columns)}}}", r"\toprule"]
    lines += [" & ".join(["Method", "Rule", *map(heading, columns)]) + r" \\", r"\midrule"]
    for (method, rule), row in _grid(summaries):
        values = (_accuracy(row.get(column), none="--") for column in columns)
        lines.append(" & ".join([latex_text(method), rule, *values]) + r" \\")
    lines.append(r"\bottomrule")
    for note in _notes(summaries):
        lines.append(rf"\multicolumn{{{len(columns) + 2}}}{{l}}{{\footnotesize {latex_text(note)}}} \\")
    return "\n".join([*lines, r"\end{tabular}"]) + "\n"


def to_rich(summaries: Mapping[str, Summary], provenance: Mapping[str, Any]) -> Table:
    """The table for a screen of 80 characters: a section per rule, and of the provenance what is short."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    columns = _columns(summaries)
    short = {key: value for key, value in provenance.items() if isinstance(value, str | int | float)}
    caption = Text("\n".join([*_notes(summaries), *told_lines(short)]))
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.caption, table.caption_justify = caption, "left"
    table.add_column("Method", min_width=8, overflow="fold")
    for column in columns:
        style = "bold" if column in AVERAGES else None
        table.add_column(heading(column), justify="right", no_wrap=True, style=style)
    for rule in RULES:
        table.add_section()
        table.add_row(Text(f"{rule}:", style="italic"))
        for (method, its_rule), row in _grid(summaries):
            if its_rule == rule:
                table.add_row(Text(method), *(_accuracy(row.get(column), none="–") for column in columns))
    return table


def _cells(summaries: Mapping[str, Summary]) -> list[Cell]:
    return [cell for method, summary in summaries.items() for cell in summary.cells(method)]


def _grid(summaries: Mapping[str, Summary]) -> list[tuple[tuple[str, str], dict[str, Cell]]]:
    """Rows of the printed tables: ((method, rule), cells by column)."""
    rows: dict[tuple[str, str], dict[str, Cell]] = {}
    for cell in _cells(summaries):
        rows.setdefault((cell.method, cell.rule), {})[cell.column] = cell
    return list(rows.items())


def _columns(summaries: Mapping[str, Summary]) -> list[str]:
    """Averages, then every language that some method has."""
    names = {summary.benchmark for summary in summaries.values()}
    assert len(names) == 1, f"one table shows one benchmark, not {names}"
    benchmark = find_benchmark(names.pop())
    present = {code for summary in summaries.values() for code in summary.scores}
    return [*AVERAGES, *filter(present.__contains__, benchmark.languages + benchmark.extra)]


def heading(column: str) -> str:
    """A column as tables name it."""
    return column.capitalize()


def _accuracy(cell: Cell | None, none: str) -> str:
    """`51.6`, with a star where items are missing."""
    if cell is None or cell.accuracy is None:
        return none
    return f"{cell.accuracy:.1f}{'*' if cell.missing else ''}"


def _with_interval(cell: Cell | None) -> str:
    interval = f" [{cell.low:.1f}, {cell.high:.1f}]" if cell and cell.low is not None else ""
    return _accuracy(cell, none="–").replace("*", r"\*") + interval


def _notes(summaries: Mapping[str, Summary]) -> list[str]:
    """What a reader of the numbers must know."""
    name = next(iter(summaries.values())).benchmark
    cells = _cells(summaries)
    halves = [(cell.high - cell.low) / 2 for cell in cells if cell.low is not None and cell.high is not None]
    notes = [f"Accuracy on {name} in percent; strict and official are two rules that read the answer."]
    if halves:
        notes.append(f"95 % Wilson intervals of a language reach ±{max(halves):.1f} points or less.")
    for method, summary in summaries.items():
        missing = sum(score.missing for score in summary.scores.values())
        if missing:
            whole = missing + sum(score.total for score in summary.scores.values())
            notes.append(f"* {method} is not finished: {missing} of {whole} items are missing.")
    return notes


def told_lines(provenance: Mapping[str, Any]) -> list[str]:
    """The provenance, one line per entry."""
    return [
        f"{key}: {value if _is_line(value) else json.dumps(value, ensure_ascii=False)}"
        for key, value in provenance.items()
    ]


def _is_line(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def markdown_text(text: str) -> str:
    """A text on one line that Markdown shows as it is."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", " ".join(text.split()))


_LATEX = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "–": "--",
}


def latex_text(text: str) -> str:
    """A text on one line that LaTeX shows as it is."""
    return "".join(_LATEX.get(char, char) for char in " ".join(text.split()))
