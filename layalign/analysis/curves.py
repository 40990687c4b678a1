"""What every plot of ours shares: the colours of its series, and how a curve of losses is smoothed."""

from __future__ import annotations

import math
from collections.abc import Sequence

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C8C")
"""Okabe and Ito's, told apart by everyone; a grey in place of black, which is the text's, and of yellow, which
white paper swallows."""


def smooth(points: Sequence[tuple[float, float]], most: int = 400) -> list[tuple[float, float]]:
    """The running mean of a curve over about a fiftieth of it, at no more than `most` places."""
    half = len(points) // 100
    sums = [0.0]
    for _, y in points:
        sums.append(sums[-1] + y)
    stride = max(1, math.ceil(len(points) / most))
    places = [*range(0, len(points) - 1, stride), len(points) - 1] if points else []
    found = []
    for place in places[-most:]:
        first, last = max(0, place - half), min(len(points), place + half + 1)
        found.append((points[place][0], (sums[last] - sums[first]) / (last - first)))
    return found
