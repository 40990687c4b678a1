from __future__ import annotations

import csv
import io
import json
import re

import pytest
from rich.console import Console

from layalign.evaluation.benchmarks import BENCHMARKS
from layalign.evaluation.scoring import wilson
from layalign.evaluation.table import (
    RULES,
    from_json,
    summarise,
    to_csv,
    to_json,
    to_latex,
    to_markdown,
    to_screen,
)

MGSM = BENCHMARKS["mgsm"]
LAYALIGN = {"bn": 51.6, "th": 59.2, "sw": 58.4, "ja": 52.0, "zh": 56.0}
LAYALIGN |= {"de": 62.0, "fr": 61.6, "ru": 61.6, "es": 61.6, "en": 66.4}
PROVENANCE = {"commit": "abc1234", "config": {"lr": 3e-5}, "versions": {"torch": "2.13.0"}}
ODD = r"50% & a|b_{c} #1 ~^\ $<x>"


def records(accuracies, total=250, lead=0):
    """Records whose strict accuracy is as told; the official rule finds `lead` more right."""
    return [
        {
            "id": f"mgsm-{code}-{number:04d}",
            "language": code,
            "strict_correct": number < round(percent * total / 100),
            "official_correct": number < round(percent * total / 100) + lead,
        }
        for code, percent in accuracies.items()
        for number in range(total)
    ]


EXPECTED = dict.fromkeys(LAYALIGN, 250)
PAPER = summarise(records(LAYALIGN, lead=5), MGSM, EXPECTED)
PARTIAL = summarise(records({"sw": 40, "bn": 20})[:-10], MGSM, EXPECTED)


@pytest.mark.parametrize(("group", "paper"), [("Avg", 59.0), ("Lrl", 56.4), ("Hrl", 60.2)])
def test_averages_are_the_papers(group, paper):
    assert PAPER.average("strict", group) == pytest.approx(paper, abs=0.05)
    assert PAPER.average("official", group) == pytest.approx(PAPER.average("strict", group) + 2)


def test_cells_carry_wilson_intervals():
    cell = next(cell for cell in PAPER.cells("LayAlign") if cell.column == "bn" and cell.rule == "strict")
    assert (cell.accuracy, cell.correct, cell.total, cell.missing) == (51.6, 129, 250, 0)
    assert (cell.low / 100, cell.high / 100) == wilson(129, 250)


def test_columns_keep_the_papers_order():
    shuffled = summarise(reversed(records(LAYALIGN)), MGSM)
    assert list(shuffled.scores) == list(MGSM.languages)
    columns = [cell.column for cell in shuffled.cells("x") if cell.rule == "strict"]
    assert columns == ["Avg", "Lrl", "Hrl", *MGSM.languages]


def test_the_later_of_two_records_counts_and_counts_once():
    first = {"id": "mgsm-sw-0001", "language": "sw", "strict_correct": True, "official_correct": True}
    summary = summarise([first, first | {"strict_correct": False}], MGSM)
    assert (summary.scores["sw"].strict, summary.scores["sw"].official, summary.scores["sw"].total) == (
        0,
        1,
        1,
    )


def test_an_incomplete_group_has_no_average():
    assert [PARTIAL.scores[code].missing for code in ("bn", "sw", "en")] == [10, 0, 250]
    assert all(PARTIAL.average(rule, group) is None for rule in RULES for group in ("Avg", "Lrl", "Hrl"))
    low = summarise(records({code: LAYALIGN[code] for code in ("bn", "th", "sw")}), MGSM)
    assert low.average("strict", "Lrl") == pytest.approx(56.4)
    assert low.average("strict", "Avg") is None


def test_telugu_is_shown_but_never_averaged():
    with_telugu = summarise(records(LAYALIGN | {"te": 0.0}), MGSM)
    assert with_telugu.average("strict") == PAPER.average("strict")
    assert list(with_telugu.scores)[-1] == "te"


def test_json_comes_back():
    summaries = {"LayAlign": PAPER, ODD: PARTIAL}
    text = to_json(summaries, PROVENANCE)
    assert from_json(text) == summaries
    told = json.loads(text)
    assert told["provenance"] == PROVENANCE
    assert len(told["cells"]) == 2 * 2 * 13


def test_csv_comes_back():
    text = to_csv({ODD: PAPER}, PROVENANCE)
    lines = text.splitlines()
    assert lines[:3] == ["# commit: abc1234", '# config: {"lr": 3e-05}', '# versions: {"torch": "2.13.0"}']
    rows = list(csv.DictReader(lines[3:]))
    cells = PAPER.cells(ODD)
    assert len(rows) == len(cells)
    for row, cell in zip(rows, cells):
        assert (row["method"], row["rule"], row["column"]) == (cell.method, cell.rule, cell.column)
        assert float(row["accuracy"]) == cell.accuracy
        assert row["low"] == ("" if cell.low is None else str(cell.low))


def test_markdown_shows_intervals_and_escapes():
    text = to_markdown({"LayAlign": PAPER, "a|b": PARTIAL}, PROVENANCE)
    lines = text.splitlines()
    assert lines[2].startswith("| LayAlign | strict | 59.0 | 56.4 | 60.2 | 51.6 [45.4, 57.7] |")
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 16 for line in lines[:6])
    assert lines[4].startswith(r"| a\|b | strict | – | – | – | 20.8\* [")
    assert "- commit: abc1234" in lines
    assert any("is not finished: 2010 of 2500 items are missing" in line for line in lines)


def test_latex_escapes_every_special_character():
    text = to_latex({ODD: PAPER}, PROVENANCE)
    row = next(line for line in text.splitlines() if "strict &" in line)
    assert row.startswith(
        r"50\% \& a\textbar{}b\_\{c\} \#1 \textasciitilde{}\textasciicircum{}\textbackslash{} "
        r"\$\textless{}x\textgreater{} & strict & 59.0 & 56.4 & 60.2 & 51.6 &"
    )
    assert text.startswith("% commit: abc1234\n")
    assert text.count(r"\midrule") == text.count(r"\toprule") == text.count(r"\bottomrule") == 1


def test_a_multi_line_value_stays_one_comment():
    for text in (to_csv({"x": PAPER}, {"note": "a\nb"}), to_latex({"x": PAPER}, {"note": "a\nb"})):
        assert r'note: "a\nb"' in text.splitlines()[0]


def test_the_screen_of_eighty_characters_shows_every_number():
    console = Console(width=80, record=True, file=io.StringIO())
    to_screen({"LayAlign [x]": PAPER, "unfinished": PARTIAL}, PROVENANCE).show(console)
    text = console.export_text()
    assert "LayAlign [x]" in text
    for number in ("59.0", "56.4", "60.2", *map(str, LAYALIGN.values()), "20.8*", "commit: abc1234"):
        assert number in text
    assert "…" not in text
