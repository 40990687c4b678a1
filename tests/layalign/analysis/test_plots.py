from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread

from layalign.analysis.plots import Curve, accuracy_plot, bridge_plot, loss_plot
from layalign.evaluation.table import Score, Summary

LANGUAGES = ("bn", "th", "sw", "de", "es", "en")


def summary(right: int, total: int = 50) -> Summary:
    return Summary("mini", {code: Score(right, right, total) for code in LANGUAGES})


def drawn(path) -> np.ndarray:
    """The picture, after checking that it is one and that nothing half-written lies beside it."""
    assert [other.name for other in path.parent.iterdir()] == [path.name]
    image = imread(path)
    assert image.shape[0] > 300
    assert image.std() > 0.01
    return image


@pytest.mark.parametrize("methods", [1, 4])
def test_accuracies_are_drawn_for_any_number_of_methods(tmp_path, methods):
    path = tmp_path / "accuracy.png"
    accuracy_plot({f"method {index}": summary(10 * index) for index in range(methods)}, path)
    drawn(path)


def test_more_right_answers_are_more_ink(tmp_path):
    path = tmp_path / "accuracy.png"
    ink = []
    for right in (5, 45):
        accuracy_plot({"LayAlign": summary(right)}, path, rule="official")
        ink.append((1 - drawn(path)[..., :3]).sum())
    assert ink[1] > 1.5 * ink[0]


def test_a_language_without_answers_leaves_a_gap(tmp_path):
    unfinished = Summary("mini", {"bn": Score(0, 0, 0, 50), "sw": Score(50, 50, 50)})
    accuracy_plot({"a": unfinished, "b": summary(0)}, tmp_path / "accuracy.png")
    drawn(tmp_path / "accuracy.png")


@pytest.mark.parametrize("steps", [1, 3, 500])
def test_losses_are_drawn_for_short_and_long_runs(tmp_path, steps):
    train = [(step, 3 / (step + 1) + 0.1) for step in range(steps)]
    loss_plot(
        {"stage 1": {"a": Curve(train, train[::100])}, "stage 2": {"a": Curve(train, [])}},
        tmp_path / "loss.png",
    )
    drawn(tmp_path / "loss.png")


def test_a_run_without_dev_losses_is_drawn(tmp_path):
    loss_plot({"stage 1": {"a": Curve([(1, 2.0), (2, 1.0)], [])}}, tmp_path / "loss.png")
    drawn(tmp_path / "loss.png")


@pytest.mark.parametrize("layers", [1, 32])
def test_the_bridge_is_drawn(tmp_path, layers):
    rng = np.random.default_rng(0)
    bridge_plot(rng.normal(size=layers), rng.normal(size=(2 * layers, 5)), tmp_path / "bridge.png")
    drawn(tmp_path / "bridge.png")


def test_an_untrained_bridge_is_drawn(tmp_path):
    bridge_plot(np.zeros(3), np.zeros((6, 4)), tmp_path / "bridge.png")
    drawn(tmp_path / "bridge.png")


def test_a_folder_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        loss_plot({"stage 1": {"a": Curve([(1, 2.0)], [])}}, tmp_path / "nowhere" / "loss.png")
