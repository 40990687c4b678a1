"""One number of a results table: of one seed or a mean over several, with what stands beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jobs.results.answered import Method
from layalign.evaluation.benchmarks import find_benchmark
from layalign.evaluation.compare import Against, Difference, spread
from layalign.evaluation.health import FAULTS
from layalign.evaluation.scoring import wilson
from layalign.evaluation.table import Score, is_average
from layalign.languages import find

NOISE = "≈"
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
    healthy: float | None = None
    """Accuracy over the answers without any of the faults; None where some do not tell, or there are none."""
    healthy_total: int | None = None
    """How many these are, by all seeds that are counted."""
    partial: bool = False
    """Whether no seed has answered all, so that the accuracy is of a part."""
    alone: Against | None = None
    """Against what the LLM reaches without a bridge, asked the same."""
    english: Against | None = None
    """Against what it reaches when it is asked in English."""
    chance: float | None = None
    """What guessing gives."""
    best: bool = False
    """Whether it is the best of its column, or cannot be told from it."""
    noise: float | None = None
    """Standard deviation of the difference between two runs that differ by their seed alone."""
    paper: float | None = None
    versus: Difference | None = None
    """Against the reference, paired on the same items."""

    @property
    def mark(self) -> str:
        """† or ‡ of the difference from the reference, and ≈ where it is below the noise of seeds."""
        return (self.versus.mark if self.versus else "") + NOISE * self.in_noise

    @property
    def in_noise(self) -> bool:
        """Whether the difference from the reference is below what a change of the seed makes."""
        return self.noise is not None and self.versus is not None and abs(self.versus.mean) < self.noise

    @property
    def from_chance(self) -> int | None:
        """-1 below guessing, 1 above, 0 where the 95 % interval of the accuracy has it; None where that is unknown.

        Seeds answer the same items: the interval is Wilson's, of as many items as one seed has answered.
        """
        if self.chance is None or self.accuracy is None or not self.total:
            return None
        items = self.total // max(1, len(self.by_seed))
        low, high = wilson(round(self.accuracy * items / 100), items)
        return (100 * low > self.chance) - (100 * high < self.chance)

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
    counted = [a.summary for a in method.answered if a.seed in known]
    healthy = _mean(summary.average_on_healthy(rule, group) for summary in counted)
    total = _whole(s.scores[code].healthy for s in counted for code in codes if code in s.scores)
    faults = {fault: _mean(summary.average(fault, group) for summary in counted) for fault in FAULTS}
    return dataclasses.replace(
        _over_seeds(known, missing), faults=faults, healthy=healthy, healthy_total=total
    )


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
    right = _whole(score.healthy_right.get(rule) for score in counted.values())
    healthy = _whole(score.healthy for score in counted.values())
    figure = dataclasses.replace(
        _over_seeds(values, missing),
        correct=correct,
        total=total,
        faults=faults,
        healthy=100 * right / healthy if healthy and right is not None else None,
        healthy_total=healthy,
        partial=not complete,
        chance=find_benchmark(method.answered[0].summary.benchmark).by_guessing,
    )
    if len(values) != 1:
        return figure
    low, high = wilson(correct, total)
    return dataclasses.replace(figure, low=100 * low, high=100 * high)


def _over_seeds(values: Mapping[int, float], missing: int) -> Figure:
    if not values:
        return Figure(None, missing=missing)
    told = spread(list(values.values()))
    return Figure(told.mean, told.low, told.high, told.sd, values, missing=missing)


def _mean(values: Iterable[float | None]) -> float | None:
    """None of none, and where one is not known."""
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if known and len(known) == len(found) else None


def _whole(counts: Iterable[int | None]) -> int | None:
    """The sum; None of none, and where one is not known."""
    found = list(counts)
    known = [count for count in found if count is not None]
    return sum(known) if known and len(known) == len(found) else None


def _summed(fault: str, scores: Iterable[Score]) -> float | None:
    """Share of the answers of several seeds."""
    counts = [(getattr(score, fault), score.total) for score in scores]
    if not counts or any(count is None for count, _ in counts):
        return None
    return 100 * sum(count for count, _ in counts) / sum(total for _, total in counts)
