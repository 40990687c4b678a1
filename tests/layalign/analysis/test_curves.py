from __future__ import annotations

from layalign.analysis.curves import smooth


def test_smoothing_keeps_the_ends_and_the_number_of_points():
    points = [(step, 5.0 + (-1) ** step) for step in range(1, 10_001)]
    told = smooth(points)
    assert len(told) <= 400
    assert (told[0][0], told[-1][0]) == (26, 10_000) or told[-1][0] == 10_000
    assert all(abs(y - 5) < 0.03 for _, y in told)


def test_a_short_curve_stays_as_it_is():
    points = [(1, 3.0), (2, 2.0), (3, 1.5)]
    assert smooth(points) == points
    assert smooth([]) == []
