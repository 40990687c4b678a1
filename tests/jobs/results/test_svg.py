from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from jobs.results.svg import Line, Mark, line_plot, log_ticks, mark_plot, shape, ticks
from layalign.analysis.curves import COLOURS


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (-9.3, 9.3, [-5, 0, 5]),
        (0.2, 0.9, [0.2, 0.4, 0.6, 0.8]),
        (0, 900, [0, 200, 400, 600, 800]),
    ],
)
def test_ticks_are_round(low, high, told):
    assert ticks(low, high, 5 if high == 900 else 6) == told


def test_logarithmic_ticks_are_one_two_five():
    assert log_ticks(0.15, 11) == [0.2, 0.5, 1, 2, 5, 10]


def texts(svg):
    root = ElementTree.fromstring(svg)
    return root, [element.text for element in root.iter() if element.text]


def test_marks_stand_at_their_values_and_text_is_escaped():
    marks = [[Mark(50, 40, 60, (48, 52), 55, "a <b> & c")], [None], [Mark(20, text="two")]]
    root, told = texts(mark_plot(["<Bn>"], marks, (0, 100), "accuracy (%)", 'a "title" <x>'))
    assert {"<Bn>", "a <b> & c", "accuracy (%)", "0", "100"} <= set(told)
    assert root.get("aria-label") == 'a "title" <x>'
    groups = {group.get("data-s"): group for group in root.iter("g") if group.get("data-s")}
    assert [len(groups[number]) for number in "012"] == [1, 0, 1]
    circle = next(groups["0"].iter("circle"))
    zero, hundred = (
        float(next(e for e in root.iter("text") if e.text == t).get("y")) - 4 for t in ("0", "100")
    )
    assert float(circle.get("cy")) == pytest.approx((zero + hundred) / 2, abs=0.2)


def test_intervals_end_at_the_frame():
    root, _ = texts(mark_plot(["Bn"], [[Mark(99, 90, 130)]], (0, 100), "y", "t"))
    drawn = next(p.get("d") for p in root.iter("path") if p.get("stroke") == COLOURS[0])
    assert drawn.rpartition("V")[2] == "12.0"


def test_curves_are_logarithmic_only_over_more_than_a_factor_of_ten():
    def labels(high):
        return texts(
            line_plot([Line(0, [(1, high), (9, 1.0)], [(9, 1.1)], text="run")], "step", "loss", "t")
        )[1]

    assert "20" in labels(25.0)
    assert "5" in labels(25.0)
    assert "20" not in labels(8.0)


def test_a_constant_curve_can_be_drawn():
    root, _ = texts(line_plot([Line(0, [(1, 2.0), (2, 2.0)])], "step", "loss", "t"))
    assert "nan" not in ElementTree.tostring(root, encoding="unicode")


def test_fourteen_series_are_told_apart():
    drawn = {shape(number, 5, 5) for number in range(14)}
    assert len(drawn) == 14
