"""How sure a difference is: two methods on the same items, and one method over seeds. Light.

Benchmarks ask the same problems in every language, and several seeds answer the same items: neither makes more
independent samples. What is resampled is therefore the problem, with its answers in all languages and by all
seeds; `mcnemar`, which needs independent pairs, serves one seed in one language.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Outcomes = Mapping[str, Mapping[str, float]]
"""By language, then by problem (an item's number): 1 is right, 0 wrong, between them a mean over seeds."""

T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""Student's t, 97.5 %, by number of values."""
_Z_95 = 1.959964
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Spread:
    """Several values of one quantity, as of several seeds."""

    mean: float
    sd: float | None
    """Of a sample (n - 1); None of a single value."""
    low: float | None
    high: float | None
    """Student's 95 % interval of the mean; None of a single value."""
    p: float | None
    """Two-sided, of a mean of 0, by Student's t; None of a single value."""


@dataclass(frozen=True)
class Difference:
    """What one method has more than another, in percentage points."""

    mean: float
    low: float
    high: float
    """95 % bootstrap interval."""
    p: float
    """Two-sided, of no difference."""
    test: str
    """`McNemar` (exact) or `bootstrap`."""
    items: int
    """Items in all languages that both have answered."""

    @property
    def mark(self) -> str:
        """† below 0.05, ‡ below 0.01, else nothing."""
        return "‡" if self.p < 0.01 else "†" if self.p < 0.05 else ""


@dataclass(frozen=True)
class Against:
    """One method beside another on the items that both have answered, in percent; languages weigh the same."""

    ours: float
    theirs: float
    items: int
    """In all languages."""

    @property
    def percent(self) -> float | None:
        """Ours in percent of theirs; None where theirs is 0."""
        return 100 * self.ours / self.theirs if self.theirs else None


def spread(values: Sequence[float]) -> Spread:
    """Mean, standard deviation and interval of at least one value."""
    mean = statistics.fmean(values)
    if len(values) == 1:
        return Spread(mean, None, None, None, None)
    sd = statistics.stdev(values)
    half = t_95(len(values)) * sd / math.sqrt(len(values))
    return Spread(mean, sd, mean - half, mean + half, student_p(mean, sd, len(values)))


def student_p(mean: float, sd: float, values: int) -> float:
    """Two-sided p of a mean of 0 by Student's t, exact for whole degrees of freedom.

    Abramowitz and Stegun 26.7.3 and 26.7.4.
    """
    if not sd:
        return float(not mean)
    df = values - 1
    angle = math.atan(abs(mean) * math.sqrt(values / df) / sd)
    term = math.cos(angle) if df % 2 else 1.0
    total = 0.0
    for step in range(df // 2):
        total += term
        term *= math.cos(angle) ** 2 * (2 * step + (2 if df % 2 else 1)) / (2 * step + (3 if df % 2 else 2))
    within = 2 / math.pi * (angle + math.sin(angle) * total) if df % 2 else math.sin(angle) * total
    return max(0.0, 1 - within)


def t_95(values: int) -> float:
    """Student's t, 97.5 %, for the mean of this many values (at least 2).

    Beyond the table by the expansion in 1 / df (Abramowitz and Stegun 26.7.5), right to 0.001.
    """
    if values in T_95:
        return T_95[values]
    z, df = _Z_95, values - 1
    second, third = 5 * z**5 + 16 * z**3 + 3 * z, 3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z
    return z + (z**3 + z) / (4 * df) + second / (96 * df**2) + third / (384 * df**3)


def mcnemar(first_only: int, second_only: int) -> float:
    """Exact two-sided p of McNemar's test, from the pairs that only one of two methods got right."""
    pairs = first_only + second_only
    tail = sum(math.comb(pairs, k) for k in range(min(first_only, second_only) + 1))
    return min(1.0, 2 * tail / 2**pairs)


def bootstrap(values: Sequence[float], seed: int = 0, resamples: int = 2000) -> tuple[float, float, float]:
    """Percentile interval (95 %) of the mean of independent values, and a two-sided p of mean 0.

    Methods agree on most items, so it first draws how many of a resample differ, then only these. The smallest p
    is 2 / (resamples + 1).
    """
    drawn, different = random.Random(seed), [value for value in values if value]
    sizes = drawn.choices(range(len(values) + 1), _binomial(len(values), len(different)), k=resamples)
    sums = sorted(sum(drawn.choices(different, k=size)) if size else 0.0 for size in sizes)
    below, above = sum(s <= _ROUNDING for s in sums), sum(s >= -_ROUNDING for s in sums)
    cut = round(0.025 * resamples)
    p = min(1.0, 2 * (min(below, above) + 1) / (resamples + 1))
    return sums[cut] / len(values), sums[resamples - 1 - cut] / len(values), p


def _binomial(trials: int, hits: int) -> list[float]:
    """Probabilities of 0 to `trials` hits, each trial being one with probability hits / trials."""
    if hits in (0, trials):
        return [float(count == hits) for count in range(trials + 1)]
    yes, no = math.log(hits / trials), math.log1p(-hits / trials)
    ways = [
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1) for k in range(trials + 1)
    ]
    return [math.exp(way + k * yes + (trials - k) * no) for k, way in enumerate(ways)]


def compare(first: Outcomes, second: Outcomes, languages: Sequence[str], seed: int = 0) -> Difference | None:
    """First less second on the items that both have answered; languages weigh the same, as in the tables.

    Args:
        first: of one method.
        second: of the other.
        languages: to be averaged; one for that language alone.
        seed: of the resampling.

    Returns:
        None where a language has no item that both have answered.
    """
    shared = {code: _differences(first.get(code, {}), second.get(code, {})) for code in languages}
    if not shared or not all(shared.values()):
        return None
    problems = dict.fromkeys(problem for found in shared.values() for problem in found)
    weights = {code: 100 * len(problems) / len(shared) / len(found) for code, found in shared.items()}
    values = [
        sum(weights[code] * found.get(problem, 0.0) for code, found in shared.items()) for problem in problems
    ]
    low, high, p = bootstrap(values, seed)
    test = "bootstrap"
    every = [difference for found in shared.values() for difference in found.values()]
    if len(languages) == 1 and all(difference in (-1, 0, 1) for difference in every):
        p, test = mcnemar(every.count(1), every.count(-1)), "McNemar"
    return Difference(statistics.fmean(values), low, high, p, test, len(every))


def against(ours: Outcomes, theirs: Outcomes, languages: Sequence[str]) -> Against | None:
    """Both accuracies on the items that both have answered; None where a language has no such item."""
    pairs = {
        code: [(value, theirs[code][p]) for p, value in ours.get(code, {}).items() if p in theirs[code]]
        for code in languages
        if code in theirs
    }
    if not languages or len(pairs) < len(languages) or not all(pairs.values()):
        return None
    means = [
        (statistics.fmean(a for a, _ in each), statistics.fmean(b for _, b in each))
        for each in pairs.values()
    ]
    first, second = (100 * statistics.fmean(side) for side in zip(*means))
    return Against(first, second, sum(map(len, pairs.values())))


def _differences(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    return {problem: value - second[problem] for problem, value in first.items() if problem in second}
