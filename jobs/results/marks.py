"""What stands beside the accuracies of a table: ceiling, noise of seeds, best of a column, chance; and its notes."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

from jobs.results.answered import Method
from jobs.results.ceiling import ENGLISH, Ceiling, Llm, command, is_frozen, llm_of
from jobs.results.collect import Sheet
from jobs.results.figures import NOISE, Figure, codes_of
from layalign.evaluation.benchmarks import find_benchmark
from layalign.evaluation.compare import Against, Outcomes, against, compare
from layalign.evaluation.table import is_average
from layalign.tabular import NONE

Figures = Mapping[str, Mapping[str, Figure]]
"""Numbers by label and column."""
BEST = "▲"
"""On a terminal; elsewhere the best is bold."""
SEEDS = 3
"""Of one method, that tell the noise of seeds."""
OF_ALONE, OF_ENGLISH = "% of the LLM alone", "% of it in English"
HEALTHY, HEALTHY_COUNT = "accuracy without these", "of answers"


def beside_ceiling(
    sheet: Sheet, method: Method, rule: str, figure: Figure, codes: Sequence[str]
) -> tuple[Against | None, Against | None]:
    """A number beside what the LLM reaches without a bridge, asked the same and asked in English."""
    ceiling = sheet.ceilings.get(method.label)
    if ceiling is None or figure.accuracy is None:
        return None, None
    ours, theirs = method.right(rule, figure.by_seed), ceiling.method.right(rule)
    itself = ceiling.method.label == method.label and ceiling.is_row
    alone = None if itself else against(ours, ceiling.same(method, theirs), codes)
    return alone, against(ours, ceiling.english(method, theirs), codes)


def ceiling_lines(sheet: Sheet, figures: Figures) -> Iterator[tuple[str, list[str]]]:
    """What each LLM reaches without a bridge, once for all its rows: as far as no row tells it already."""
    by_ceiling: dict[Ceiling, list[Mapping[str, Figure]]] = {}
    for label, ceiling in sheet.ceilings.items():
        by_ceiling.setdefault(ceiling, []).append(figures[label])
    for ceiling, rows in by_ceiling.items():
        name = f"LLM alone{_named(ceiling.llm, len(by_ceiling))}"
        columns = list(rows[0])
        if not ceiling.is_row:
            yield name, [_most([row[column].alone for row in rows]) for column in columns]
        english = [_most([row[column].english for row in rows]) for column in columns]
        if {*english} != {NONE}:
            yield f"{name}, in English", english


def _named(llm: Llm, several: int) -> str:
    return f" ({llm.decoder})" if several > 1 else ""


def _most(told: Sequence[Against | None]) -> str:
    """Accuracy of the LLM on the most items that a row shares with it."""
    known = [one for one in told if one]
    return f"{max(known, key=lambda one: one.items).theirs:.1f}" if known else NONE


def ceiling_notes(sheet: Sheet, figures: Figures) -> list[str]:
    """Which ceilings these are, on how much they rest, and how to make one that is missing."""
    notes, told = list[str](), dict.fromkeys(sheet.ceilings.values())
    for ceiling in told:
        where = f"row {ceiling.method.label}" if ceiling.is_row else f"run {ceiling.method.label}, beside"
        notes.append(
            f"The LLM alone is {ceiling.llm.decoder} without a bridge ({where}), asked the same questions with "
            "the same prompt; percent of it on the items that both have answered. In English: it is asked the same "
            "rows in English."
        )
    for ceiling in told:
        notes += _not_english(sheet, ceiling)
    without = dict.fromkeys(
        llm for m in sheet.methods if m.label not in sheet.ceilings and (llm := llm_of(m))
    )
    notes += [
        f"What {llm.decoder} reaches without a bridge is not known here: {command(sheet.benchmark, llm)}"
        for llm in without
    ]
    return [*notes, *_on_a_part(figures)]


def _not_english(sheet: Sheet, ceiling: Ceiling) -> list[str]:
    """Languages for which there is no English side, and why."""
    benchmark = find_benchmark(sheet.benchmark)
    if ENGLISH not in benchmark.languages + benchmark.extra:
        return [f"{sheet.benchmark} has no questions in English: no ceiling in English."]
    answered = any(one.golds.get(ENGLISH) for one in ceiling.method.answered)
    if not answered:
        return [f"{ceiling.llm.decoder} was not asked in English: {command(sheet.benchmark, ceiling.llm)}"]
    right = {ENGLISH: {p: 0.0 for one in ceiling.method.answered for p in one.golds.get(ENGLISH, {})}}
    there = {
        code
        for m in sheet.methods
        if sheet.ceilings.get(m.label) is ceiling
        for code in ceiling.english(m, right)
    }
    unlike = [code for code in sheet.columns if code not in there]
    return (
        [
            f"No ceiling in English for {', '.join(unlike)}: row by row the right answers are not those of English."
        ]
        if unlike
        else []
    )


def _on_a_part(figures: Figures) -> list[str]:
    """Percent of a ceiling that rest on fewer items than the accuracy."""
    fewer = [
        f"{label} {column} {figure.alone.items} of {figure.total // len(figure.by_seed)}"
        for label, row in figures.items()
        for column, figure in row.items()
        if figure.alone and figure.total and figure.alone.items < figure.total // len(figure.by_seed)
    ]
    return (
        [f"Percent of the LLM alone on fewer items than the accuracy: {', '.join(fewer)}."] if fewer else []
    )


def seed_noise(methods: Sequence[Method], figures: Figures) -> dict[str, float]:
    """Standard deviation of the difference between two runs of one recipe, by column, of those with enough seeds."""
    trained = [method.label for method in methods if not is_frozen(method.answered[0].run)]
    variances: dict[str, list[tuple[int, float]]] = {}
    for label in trained:
        for column, figure in figures[label].items():
            if len(figure.by_seed) >= SEEDS and not figure.partial:
                values = list(figure.by_seed.values())
                variances.setdefault(column, []).append((len(values) - 1, statistics.variance(values)))
    return {
        column: math.sqrt(2 * sum(free * one for free, one in found) / sum(free for free, _ in found))
        for column, found in variances.items()
    }


def with_noise(figures: Figures, noise: Mapping[str, float]) -> dict[str, dict[str, Figure]]:
    """The numbers with the noise of their column."""
    return {
        label: {c: dataclasses.replace(figure, noise=noise.get(c)) for c, figure in row.items()}
        for label, row in figures.items()
    }


def noise_notes(methods: Sequence[Method], figures: Figures) -> list[str]:
    """What the noise of seeds is, of how many seeds, and what lies below it."""
    columns = {c: f.noise for row in figures.values() for c, f in row.items() if f.noise is not None}
    if not columns:
        return []
    trained = [m.label for m in methods if not is_frozen(m.answered[0].run)]
    told = [
        f"{label} {len(first.by_seed)}"
        for label in trained
        if len((first := next(iter(figures[label].values()))).by_seed) >= SEEDS
    ]
    averages = [f"{column} {noise:.1f}" for column, noise in columns.items() if is_average(column)]
    return [
        f"{NOISE} within the noise of seeds: the difference is below the standard deviation of the difference "
        f"between two runs of one recipe ({', '.join(averages) or 'by language'}), of seeds: "
        f"{', '.join(told) or 'by language'}."
    ]


def with_best(
    figures: Figures, right: Mapping[str, Outcomes], reference: str, benchmark: str
) -> dict[str, dict[str, Figure]]:
    """The numbers with the best of each column marked, and all that cannot be told from it."""
    columns = list(next(iter(figures.values()), {}))
    best = {column: _best(column, figures, right, reference, benchmark) for column in columns}
    return {
        label: {c: dataclasses.replace(figure, best=label in best[c]) for c, figure in row.items()}
        for label, row in figures.items()
    }


def _best(
    column: str, figures: Figures, right: Mapping[str, Outcomes], reference: str, benchmark: str
) -> set[str]:
    """Rows that are complete in a column and not significantly below the highest; of one row alone none."""
    there = {
        label: figure.accuracy
        for label, row in figures.items()
        if (figure := row[column]).accuracy is not None and not figure.partial
    }
    if len(there) < 2:
        return set()
    first = max(there, key=lambda label: there[label] or 0.0)
    found = {first}
    for label in there.keys() - {first}:
        if reference in (label, first):
            told = figures[first if label == reference else label][column].versus
        else:
            told = compare(right[first], right[label], codes_of(benchmark, column))
        if there[label] == there[first] or told is None or not told.mark:
            found.add(label)
    return found


def best_notes(figures: Figures) -> list[str]:
    """What the mark of the best means."""
    if not any(figure.best for row in figures.values() for figure in row.values()):
        return []
    return [
        f"Bold ({BEST} on a terminal): the best of its column; where several are, p >= 0.05 between the highest and "
        "the others on the same items, so that none of them is best alone."
    ]


def healthy_notes(figures: Figures) -> list[str]:
    """What accuracy over the healthy answers is, where there are others."""
    if not any(share for row in figures.values() for f in row.values() for share in f.faults.values()):
        return []
    return [
        f"{HEALTHY.capitalize()}: over the answers that have none of these faults, whose number stands below it (of "
        "all seeds). It is conditional: methods are compared by the accuracy, never by it."
    ]


def chance_notes(figures: Figures) -> list[str]:
    """Which scores cannot be told from guessing, or lie below it."""
    notes = []
    for where, told in (("does not differ from guessing", 0), ("is below guessing", -1)):
        rows = {
            label: [column for column, figure in row.items() if figure.from_chance == told]
            for label, row in figures.items()
        }
        those = [f"{label}: {', '.join(columns)}" for label, columns in rows.items() if columns]
        if those:
            notes.append(f"By its 95 % interval {where}: {'; '.join(those)}.")
    return notes
