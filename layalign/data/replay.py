"""Which rows are replayed: drawn once for all epochs, by the seed alone."""

from __future__ import annotations

import datasets
import numpy as np

STREAM = 0x5E9
"""Keeps the draw apart from the orders of epochs, which are drawn by the same seed."""


def drawn(rows: np.ndarray, among: int, share: float, seed: int) -> np.ndarray:
    """Rows that together with `among` others make up a share of all: `[n]`, ascending.

    Args:
        rows: that may be drawn `[m]`.
        among: examples of the stage.
        share: above 0 and below 1.
        seed: another one draws others.

    Raises:
        ValueError: there are not so many.
    """
    wanted = max(1, round(share / (1 - share) * among))
    if wanted > len(rows):
        most = len(rows) / (len(rows) + among)
        raise ValueError(
            f"data.replay.share is {share:g}, which among {among:,} examples is {wanted:,} rows, and there are "
            f"{len(rows):,} to replay: set data.replay.share to {int(most * 1000) / 1000:g} or less, or replay a "
            "larger set"
        )
    dice = np.random.Generator(np.random.PCG64([seed, STREAM]))
    return np.sort(dice.choice(rows, wanted, replace=False))


def joined(own: datasets.Dataset, replayed: datasets.Dataset) -> datasets.Dataset:
    """The rows of a stage, and behind them those that may be replayed."""
    return datasets.concatenate_datasets([own, replayed])
