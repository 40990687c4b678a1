"""One number of a results table: of one seed or a mean over several, with what stands beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jobs.results.collect import Method
from layalign.evaluation.benchmarks import find_benchmark
from layalign.evaluation.compare import Difference, spread
from layalign.evaluation.health import FAULTS
from layalign.evaluation.scoring import wilson
from layalign.evaluation.table import Score, is_average
from layalign.languages import find

GROUPS = {"Avg": "Average", "Lrl": "Low-resource", "Hrl": "High-resource"}
"""Averages as a page calls them."""


@dataclass(frozen=True)
class Figure:
    """One number of a table, in percent."""

    accuracy: float | None
    """Mean over the seeds that have it; None where none has."""
    low: float | None = None
    high: float | None = None
    """95 % interval, of Wilson for one seed in one language, of Student for several seeds."""
    sd: float | None = None
    """Over seeds."""
    by_seed: Mapping[int, float] = field(default_factory=dict)
    """What the mean is of."""
    correct: int | None = None
    total: int | None = None
    """Items right, and answered, by all seeds; None for averages."""
    missing: int = 0
    """Items that are not answered yet, by all seeds."""
    faults: Mapping[str, float | None] = field(default_factory=dict)
    """Shares of `FAULTS` in percent, of all answers that are counted; None where some of them do not tell."""
    paper: float | None = None
    versus: Difference | None = None
    """Against the reference, paired on the same items."""

    @property
    def gap(self) -> float | None:
        """Ours less the paper's, in points."""
        return None if self.accuracy is None or self.paper is None else self.accuracy - self.paper


def codes_of(benchmark: str, column: str) -> list[str]:
    """The languages behind a column."""
    return list(find_benchmark(benchmark).every.get(column, ())) if is_average(column) else [column]


def full_heading(column: str) -> str:
    """A column's heading that needs no key: `Average`, `Low-resource`, `Swahili`."""
    told = find(column)
    return told.name if told else GROUPS.get(column, column)


def figure_of(method: Method, rule: str, column: str) -> Figure:
    """A method's number in a column, less what the paper has and what it is compared with."""
    return _average(method, rule, column) if is_average(column) else _score(method, rule, column)


def _average(method: Method, rule: str, group: str) -> Figure:
    """Mean over the seeds that are complete."""
    averages = {a.seed: a.summary.average(rule, group) for a in method.answered}
    known = {seed: value for seed, value in averages.items() if value is not None}
    codes = codes_of(method.answered[0].summary.benchmark, group)
    missing = sum(
        a.summary.scores[c].missing for a in method.answered for c in codes if c in a.summary.scores
    )
    return dataclasses.replace(_over_seeds(known, missing), faults=_mean_faults(method, known, group))


def _score(method: Method, rule: str, code: str) -> Figure:
    """Mean over the seeds that are complete in a language, or if none is, over what there is."""
    scores = {a.seed: s for a in method.answered if (s := a.summary.scores.get(code)) is not None}
    missing = sum(score.missing for score in scores.values())
    begun = {seed: score for seed, score in scores.items() if score.total}
    complete = {seed: score for seed, score in begun.items() if not score.missing}
    counted = complete or begun
    shares = {seed: score.share(rule) for seed, score in counted.items()}
    values = {seed: share for seed, share in shares.items() if share is not None}
    if len(values) < len(shares):
        return Figure(None, missing=missing)
    correct = sum(getattr(score, rule) for score in counted.values())
    total = sum(score.total for score in counted.values())
    faults = {fault: _summed(fault, counted.values()) for fault in FAULTS}
    figure = dataclasses.replace(_over_seeds(values, missing), correct=correct, total=total, faults=faults)
    if len(values) != 1:
        return figure
    low, high = wilson(correct, total)
    return dataclasses.replace(figure, low=100 * low, high=100 * high)


def _over_seeds(values: Mapping[int, float], missing: int) -> Figure:
    if not values:
        return Figure(None, missing=missing)
    told = spread(list(values.values()))
    return Figure(told.mean, told.low, told.high, told.sd, values, missing=missing)


def _mean_faults(method: Method, seeds: Mapping[int, float], group: str) -> dict[str, float | None]:
    """Of an average: means of the averages of the seeds that are complete."""
    found: dict[str, float | None] = {}
    for fault in FAULTS:
        values = [a.summary.average(fault, group) for a in method.answered if a.seed in seeds]
        known = [value for value in values if value is not None]
        found[fault] = sum(known) / len(known) if known and len(known) == len(values) else None
    return found


def _summed(fault: str, scores: Iterable[Score]) -> float | None:
    """Share of the answers of several seeds."""
    counts = [(getattr(score, fault), score.total) for score in scores]
    if not counts or any(count is None for count, _ in counts):
        return None
    return 100 * sum(count for count, _ in counts) / sum(total for _, total in counts)
