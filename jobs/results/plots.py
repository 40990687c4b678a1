"""The plots of a report: accuracy by language, difference from the paper, learning curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from cluster.files import read_jsonl
from cluster.run.run_folder import RunFolder
from jobs.results.collect import Training
from jobs.results.figures import Figure, full_heading
from jobs.results.rows import ResultTable
from jobs.results.svg import Line, Mark, line_plot, mark_plot
from layalign.analysis.curves import smooth
from layalign.evaluation.scoring import wilson
from layalign.evaluation.table import averages_of

Points = list[tuple[float, float]]


def accuracy_plot(table: ResultTable) -> str:
    """Accuracy by column and method, with Wilson intervals for languages, dots for seeds, and the paper's values."""
    series = [
        [_accuracy(row.label, column, row.figures[column]) for column in table.columns] for row in table.rows
    ]
    ends = [
        end
        for marks in series
        for mark in marks
        if mark
        for end in (mark.value, mark.low, mark.high, mark.reference, *mark.dots)
        if end is not None
    ]
    low, high = min(ends, default=0.0), max(ends, default=100.0)
    y = (max(0.0, 10 * math.floor(low / 10)), min(100.0, 10 * math.ceil((high + 1) / 10)))
    groups = [full_heading(column) for column in table.columns]
    title = f"Accuracy on {table.sheet.benchmark} by language and method"
    return mark_plot(groups, series, y, "accuracy (%)", title, split=len(averages_of(table.sheet.benchmark)))


def difference_plot(table: ResultTable) -> str:
    """Our accuracies less the paper's; empty if there is nothing to compare with."""
    series = [
        [_difference(row.label, column, row.figures[column]) for column in table.columns]
        for row in table.rows
    ]
    ends = [
        end for marks in series for m in marks if m for end in (m.value, m.low, m.high) if end is not None
    ]
    if not ends:
        return ""
    reach = max(2.0, 1.08 * max(map(abs, ends)))
    groups = [full_heading(column) for column in table.columns]
    title = f"Accuracy on {table.sheet.benchmark}, ours less the paper's"
    label = "ours - paper (points)"
    return mark_plot(
        groups,
        series,
        (-reach, reach),
        label,
        title,
        split=len(averages_of(table.sheet.benchmark)),
        zero=True,
    )


def _accuracy(label: str, column: str, figure: Figure) -> Mark | None:
    if figure.accuracy is None:
        return None
    low, high = _interval(figure)
    dots = list(figure.by_seed.values()) if len(figure.by_seed) > 1 else []
    told = f"{label}, {full_heading(column)}: {figure.accuracy:.1f} %"
    told += f" [{low:.1f}, {high:.1f}]" if low is not None else ""
    told += f", seeds {', '.join(f'{dot:.1f}' for dot in dots)}" if dots else ""
    told += f", paper {figure.paper:.1f}" if figure.paper is not None else ""
    return Mark(figure.accuracy, low, high, dots, figure.paper, told)


def _difference(label: str, column: str, figure: Figure) -> Mark | None:
    if figure.gap is None or figure.paper is None:
        return None
    low, high = (None if end is None else end - figure.paper for end in _interval(figure))
    told = f"{label}, {full_heading(column)}: {figure.gap:+.1f} points (paper {figure.paper:.1f} %)"
    return Mark(figure.gap, low, high, text=told)


def _interval(figure: Figure) -> tuple[float | None, float | None]:
    """Wilson's, for the items of one seed; none for averages."""
    if not figure.total or figure.correct is None:
        return None, None
    items = round(figure.total / len(figure.by_seed))
    low, high = wilson(round(figure.correct / len(figure.by_seed)), items)
    return 100 * low, 100 * high


def curve_plots(trainings: Sequence[Training], series: Mapping[str, int]) -> list[tuple[str, str]]:
    """Losses of every training: a caption and a plot for each stage.

    Args:
        trainings: runs, each once.
        series: number of each label.
    """
    plots = []
    stages = sorted({training.run.stage for training in trainings})
    told = (
        {1: ", translation", 2: ", task"} if max(stages, default=0) <= 2 else {}
    )  # a curriculum has words of its own
    for stage in stages:
        lines = _lines((t for t in trainings if t.run.stage == stage), series)
        if lines:
            caption = f"Stage {stage}{told.get(stage, '')}"
            plots.append((caption, line_plot(lines, "optimizer step", "loss (nats per token)", caption)))
    return plots


def has_dev_loss(training: Training) -> bool:
    """Whether a training has losses on held-out data."""
    return bool(_losses(training.run)[1])


def _lines(trainings: Iterable[Training], series: Mapping[str, int]) -> list[Line]:
    lines, seeds = [], dict[int, int]()
    for training in trainings:
        losses, devs = _losses(training.run)
        if losses or devs:
            dash = seeds.setdefault(training.seed, len(seeds))
            told = f"{', '.join(training.labels)}, seed {training.seed} ({training.run.path.name})"
            lines.append(Line(series[training.labels[0]], smooth(losses), devs, dash, told))
    return lines


def _losses(run: RunFolder) -> tuple[Points, Points]:
    """Finite training and dev losses by step; of a step that was replayed the later counts."""
    found: tuple[dict[float, float], dict[float, float]] = ({}, {})
    for record in read_jsonl(run.metrics):
        for key, losses in zip(("loss", "dev_loss"), found):
            if key in record and math.isfinite(record[key]):
                losses[record["step"]] = record[key]
    train, dev = (sorted(losses.items()) for losses in found)
    return train, dev
