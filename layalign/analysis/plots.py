"""Figures of results and of the bridge, as PNG files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from layalign.analysis.curves import COLOURS, smooth
from layalign.evaluation.scoring import wilson
from layalign.evaluation.table import Summary


class Curve(NamedTuple):
    """Losses of one training."""

    train: Sequence[tuple[int, float]]
    """Step and loss of every step."""
    dev: Sequence[tuple[int, float]]
    """Step and loss of every evaluation, possibly none."""


GREY = "#333333"


def accuracy_plot(summaries: Mapping[str, Summary], path: Path, rule: str = "strict") -> None:
    """Accuracy by language and method, with Wilson's 95 % intervals.

    Args:
        summaries: by method, all of one benchmark.
        path: the PNG to write.
        rule: `strict` or `official`.
    """
    languages = list(dict.fromkeys(code for summary in summaries.values() for code in summary.scores))
    figure = Figure(figsize=(min(11.0, 2.5 + 0.22 * len(languages) * (len(summaries) + 1)), 3.6))
    axes = figure.add_subplot()
    width = 0.8 / len(summaries)
    for index, (method, summary) in enumerate(summaries.items()):
        counted = {code: score for code, score in summary.scores.items() if score.total}
        at = (
            np.array([languages.index(code) for code in counted]) + (index - (len(summaries) - 1) / 2) * width
        )
        counts = [(getattr(score, rule), score.total) for score in counted.values()]
        shares = 100 * np.array([right / total for right, total in counts])
        bounds = 100 * np.array([wilson(right, total) for right, total in counts]).reshape(-1, 2)
        errors = np.abs(bounds - shares[:, None]).T
        axes.bar(at, shares, 0.9 * width, color=_colour(index), label=method)
        axes.errorbar(at, shares, errors, fmt="none", ecolor=GREY, elinewidth=1, capsize=min(3, 12 * width))
    axes.set_xticks(range(len(languages)), [code.capitalize() for code in languages])
    axes.set_xlim(-0.6, len(languages) - 0.4)
    axes.set_ylim(0, 100)
    name = next(iter(summaries.values())).benchmark
    axes.set_ylabel(f"accuracy on {name} (%)")
    _plain(axes)
    if len(summaries) > 1:
        figure.legend(loc="outside upper left", ncols=4, frameon=False)
    else:
        axes.set_title(next(iter(summaries)), loc="left", fontsize="medium")
    _save(figure, path)


def loss_plot(stages: Mapping[str, Mapping[str, Curve]], path: Path) -> None:
    """Losses over the steps, a panel per stage, on a logarithmic scale.

    Args:
        stages: curves by method, by the title of their panel.
        path: the PNG to write.
    """
    figure = Figure(figsize=(3.0 + 3.4 * len(stages), 3.6))
    panels = figure.subplots(1, len(stages), squeeze=False)[0]
    methods = list(dict.fromkeys(method for curves in stages.values() for method in curves))
    for axes, (title, curves) in zip(panels, stages.items()):
        for method, curve in curves.items():
            _draw_curve(axes, curve, _colour(methods.index(method)), method)
        axes.set_title(title, loc="left", fontsize="medium")
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0), numticks=20))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
        axes.set_xlabel("step")
        _plain(axes)
    panels[0].set_ylabel("loss per answer token (nats)")
    panels[-1].legend(frameon=False, title="line: training, marks: dev")
    _save(figure, path)


def _draw_curve(axes: Axes, curve: Curve, colour: str, label: str) -> None:
    """Training losses as faint points under their running mean, dev losses as marks."""
    steps, losses = np.array(curve.train, dtype=float).reshape(-1, 2).T
    axes.plot(steps, losses, ".", color=colour, alpha=0.25, markersize=3, markeredgewidth=0)
    mean = np.array(smooth(curve.train), dtype=float).reshape(-1, 2)
    axes.plot(*mean.T, "-", color=colour, linewidth=1.5, label=label)
    if curve.dev:
        axes.plot(
            *np.array(curve.dev, dtype=float).T, "D", color=colour, markersize=5, markeredgecolor="white"
        )


def bridge_plot(gates: np.ndarray, weights: np.ndarray, path: Path) -> None:
    """What training made of the bridge: its gates and its layer weights (paper, Figure 9).

    Args:
        gates: one per LLM layer `[L]`.
        weights: of the aligner's first linear map `[2L, K]`, rows 2i and 2i + 1 being K and V of LLM layer i,
            columns the K encoder states.
        path: the PNG to write.
    """
    assert len(weights) == 2 * len(gates), (weights.shape, len(gates))
    figure = Figure(figsize=(11.0, 3.8))
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.1, 1, 1))
    left.axhline(0, color=GREY, linewidth=0.8)
    left.plot(range(len(gates)), gates, "o-", color=_colour(0), markersize=4)
    left.set_title("Gate", loc="left")
    left.set_xlabel("LLM layer")
    left.set_ylabel("gate")
    left.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    _plain(left)
    bound = float(np.abs(weights).max()) or 1.0
    for axes, rows, title in ((middle, weights[0::2], "Keys"), (right, weights[1::2], "Values")):
        image = axes.imshow(rows, cmap="RdBu_r", vmin=-bound, vmax=bound, aspect="auto", origin="lower")
        axes.set_title(title, loc="left")
        axes.set_xlabel("encoder state")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    middle.set_ylabel("LLM layer")
    right.tick_params(labelleft=False)
    figure.colorbar(image, ax=[middle, right], label="weight", shrink=0.9)
    _save(figure, path)


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _plain(axes: Axes) -> None:
    """Only what helps to read a value off."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=3)


def _save(figure: Figure, path: Path) -> None:
    """Whole or not at all."""
    figure.set_layout_engine("constrained")
    half_written = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        figure.savefig(half_written, dpi=150, format="png")
        half_written.replace(path)
    finally:
        half_written.unlink(missing_ok=True)
