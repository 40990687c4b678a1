"""The numbers of a results table: means over seeds, intervals, what the paper has, and differences."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.results.answered import Answered, Method
from jobs.results.collect import Sheet
from jobs.results.figures import Figure, codes_of, figure_of
from jobs.results.marks import (
    Figures,
    beside_ceiling,
    best_notes,
    ceiling_notes,
    chance_notes,
    healthy_notes,
    noise_notes,
    seed_noise,
    with_best,
    with_noise,
)
from jobs.results.paper import paper_source
from jobs.results.published import Published, published_rows, published_source
from layalign.evaluation.compare import Outcomes, Spread, compare, spread
from layalign.evaluation.health import old_answers
from layalign.evaluation.scoring import STRICT_VERSION
from layalign.evaluation.table import averages_of, faults_note, heading, is_average, page_notes

NAMED = 3
"""Methods and seeds that a note names; more are counted."""


@dataclass(frozen=True)
class Row:
    """One method of a table."""

    label: str
    seeds: tuple[int, ...]
    figures: Mapping[str, Figure]
    """By column: averages first, then languages by code."""
    versus_seeds: Spread | None
    """Difference of the averages from the reference, paired by seed; None of fewer than two seeds."""


@dataclass(frozen=True)
class ResultTable:
    """One benchmark by one rule."""

    sheet: Sheet
    rule: str
    rows: tuple[Row, ...]
    published: tuple[Published, ...] = ()
    """What others have published, where it is asked for."""

    @property
    def columns(self) -> list[str]:
        """Averages, then the languages that were asked."""
        return [*averages_of(self.sheet.benchmark), *self.sheet.columns]

    @property
    def figures(self) -> Figures:
        """By label and column."""
        return {row.label: row.figures for row in self.rows}

    @property
    def notes(self) -> list[str]:
        """What a reader of the numbers must know, the general before the particular."""
        particular = [text for row in self.rows if (text := _versus(row, self.sheet.reference.label))]
        source = [published_source(self.sheet.benchmark)] if self.published else []
        return [*self.reading, *source, *particular, *self.faults]

    @property
    def reading(self) -> list[str]:
        """How to read the numbers."""
        return _reading(self)

    @property
    def faults(self) -> list[str]:
        """What is missing, and what was not asked alike."""
        return [*_gaps(self.sheet), *_unlike(self.sheet), *_other_questions(self.sheet)]


def result_table(sheet: Sheet, rule: str, compared: bool = True, published: bool = False) -> ResultTable:
    """Every number of a benchmark by one rule; comparing methods takes most of the time, and can be left out."""
    others = tuple(published_rows(sheet.benchmark)) if published else ()
    return ResultTable(sheet, rule, tuple(_rows(sheet, rule, compared)), others)


def _rows(sheet: Sheet, rule: str, compared: bool) -> list[Row]:
    reference = sheet.reference
    right = {method.label: method.right(rule) for method in sheet.methods}
    columns = (*averages_of(sheet.benchmark), *sheet.columns)
    figures = {
        m.label: {column: _figure(sheet, m, rule, column) for column in columns} for m in sheet.methods
    }
    if compared:
        for label in figures.keys() - {reference.label}:
            figures[label] = {
                column: _compared(
                    figure, right[label], right[reference.label], codes_of(sheet.benchmark, column)
                )
                for column, figure in figures[label].items()
            }
        figures = with_noise(figures, seed_noise(sheet.methods, figures))
        figures = with_best(figures, right, reference.label, sheet.benchmark)
    return [
        Row(
            method.label,
            tuple(answered.seed for answered in method.answered),
            figures[method.label],
            _by_seed(method, reference, rule) if compared else None,
        )
        for method in sheet.methods
    ]


def _figure(sheet: Sheet, method: Method, rule: str, column: str) -> Figure:
    """A method's number, with the paper's and the ceiling beside it."""
    figure = figure_of(method, rule, column)
    alone, english = beside_ceiling(sheet, method, rule, figure, codes_of(sheet.benchmark, column))
    return dataclasses.replace(figure, paper=method.paper.get(heading(column)), alone=alone, english=english)


def _compared(figure: Figure, ours: Outcomes, theirs: Outcomes, codes: Sequence[str]) -> Figure:
    """A number with its difference from the reference; an average that is not complete has none."""
    if len(codes) != 1 and figure.accuracy is None:
        return figure
    return dataclasses.replace(figure, versus=compare(ours, theirs, codes))


def _by_seed(method: Method, reference: Method, rule: str) -> Spread | None:
    """The difference of the averages over the seeds that both have."""
    ours, theirs = (_averages(m.answered, rule) for m in (method, reference))
    common = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    return spread(common) if method is not reference and len(common) > 1 else None


def _averages(answered: Sequence[Answered], rule: str) -> dict[int, float]:
    found = {a.seed: a.summary.average(rule) for a in answered}
    return {seed: value for seed, value in found.items() if value is not None}


def _reading(table: ResultTable) -> list[str]:
    """How to read the numbers."""
    sheet = table.sheet
    figures = [figure for row in table.rows for figure in row.figures.values()]
    version = f", version {STRICT_VERSION}" if table.rule == "strict" else ""
    notes = [
        f"Accuracy on {sheet.title} in percent, answers read by the {table.rule} rule{version}.",
        *page_notes(sheet.benchmark),
        faults_note(sheet.benchmark),
    ]
    halves = [
        (f.high - f.low) / 2 for f in figures if f.sd is None and f.low is not None and f.high is not None
    ]
    if halves:
        notes.append(f"95 % Wilson intervals of a language reach ±{max(halves):.1f} points or less.")
    if any(figure.sd is not None for figure in figures):
        notes.append(f"Mean ± standard deviation over {max(len(row.seeds) for row in table.rows)} seeds.")
    if any(figure.paper is not None for figure in figures):
        notes.append(
            f"Paper: {sheet.paper} of {paper_source().partition(' (')[0]}; difference is ours - paper."
        )
    if any(figure.versus is not None for figure in figures):
        notes.append(
            f"† p < 0.05, ‡ p < 0.01 against {sheet.reference.label} on the same items, each number for itself: "
            "McNemar's exact test for one seed in one language, else a bootstrap over problems."
        )
    told = table.figures
    return [
        *notes,
        *noise_notes(sheet.methods, told),
        *best_notes(told),
        *healthy_notes(told),
        *chance_notes(told),
        *ceiling_notes(sheet, told),
    ]


def _versus(row: Row, reference: str) -> str:
    """One method against the reference."""
    told = [
        f"{column} {versus.mean:+.1f} [{versus.low:+.1f}, {versus.high:+.1f}] {p_text(versus.p)}"
        for column in filter(is_average, row.figures)
        if (versus := row.figures[column].versus) is not None
    ]
    if not told:
        return ""
    seeds = row.versus_seeds
    over = f"; Avg over seeds {spread_text(seeds)}" if seeds else ""
    return f"{row.label} - {reference}: {'; '.join(told)}{over}"


def spread_text(told: Spread) -> str:
    """`-15.3 [-16.6, -14.0] p = 0.001`: mean, interval and p of the same test."""
    ends = f" [{told.low:+.1f}, {told.high:+.1f}]" if told.low is not None and told.high is not None else ""
    return f"{told.mean:+.1f}{ends}" + (f" {p_text(told.p)}" if told.p is not None else "")


def p_text(p: float) -> str:
    """`p = 0.012`, or `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _gaps(sheet: Sheet) -> list[str]:
    """What is missing of each method, by seed, and what is to be said of answers that are there."""
    notes, alike = list[str](), dict[str, list[str]]()
    for method in sheet.methods:
        for answered in method.answered:
            scores = answered.summary.scores
            lacking = [
                f"{code} {s.missing} of {s.missing + s.total}" for code, s in scores.items() if s.missing
            ]
            who = f"{method.label}, seed {answered.seed}"
            if lacking and not any(score.total for score in scores.values()):
                notes.append(f"* {who}: no answer yet")
            elif lacking:
                notes.append(f"* {who} is not finished; answers that are missing: {', '.join(lacking)}")
            for text in old_answers(scores.values()):
                alike.setdefault(text, []).append(who)
            if answered.part:
                alike.setdefault(f"asked a part: {answered.part}", []).append(who)
            if answered.page:
                alike.setdefault(f"not as the page says: {answered.page}", []).append(who)
            if answered.unknown:
                alike.setdefault(f"cannot be written: {answered.unknown}", []).append(who)
    every = sum(len(method.answered) for method in sheet.methods)
    for text, those in alike.items():
        several = (
            f"{len(those)} of {every} methods and seeds" if len(those) < every else "all methods and seeds"
        )
        notes.append(f"{several if len(those) > NAMED else '; '.join(those)}: {text}")
    return notes


def _unlike(sheet: Sheet) -> list[str]:
    """Conditions under which methods were not asked alike."""
    limits: dict[str, dict[str, None]] = {}
    counts: dict[str, dict[str, None]] = {}
    for method in sheet.methods:
        for answered in method.answered:
            tokens = " and ".join(map(str, sorted(answered.max_new_tokens)))
            limits.setdefault(tokens, {})[method.label] = None
            asked = {s.total + s.missing for s in answered.summary.scores.values()}
            counts.setdefault(" to ".join(map(str, sorted({min(asked), max(asked)}))), {})[method.label] = (
                None
            )
    told = (("tokens of an answer at most", limits), ("items of a language", counts))
    return [
        f"Not asked alike: {what} "
        + "; ".join(f"{value} ({', '.join(labels)})" for value, labels in found.items())
        for what, found in told
        if len(found) > 1
    ]


def _other_questions(sheet: Sheet) -> list[str]:
    """Languages in which methods were asked other questions, as by another revision of the benchmark."""
    asked: dict[str, set[str]] = {}
    for answered in (a for method in sheet.methods for a in method.answered):
        for code, questions in answered.questions.items():
            asked.setdefault(code, set()).add(questions)
    unlike = [code for code in sheet.columns if len(asked.get(code, ())) > 1]
    if not unlike:
        return []
    return [
        f"Not asked alike: the questions of {', '.join(unlike)} are not the same for all methods and seeds; "
        "their files are in the JSON"
    ]
