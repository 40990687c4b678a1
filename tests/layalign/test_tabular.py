"""One table in five formats: every text is shown as it is, whatever the format would make of it."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ElementTree

import pytest
from rich.console import Console

from layalign.tabular import NONE, Column, Row, Table, comments, told_lines

HOSTILE = r"[/bold] 50% & a|b_{c} #1 ~^\ $<x> *z* †"
COLUMNS = [Column("Method"), Column("Rule"), Column("Avg", number=True, strong=True)]


def table(label: str = HOSTILE) -> Table:
    rows = [
        Row([label, "strict", "59.0 [45.4, 57.7]*"], begins=True),
        Row(["paper", "", NONE], indented=True, style="dim"),
    ]
    return Table(COLUMNS, rows, ["* a note of " + label], "mgsm (strict)")


def shown(one: Table, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO())
    one.show(console)
    return console.file.getvalue()


def test_markdown_escapes_texts_and_leaves_intervals_readable():
    lines = table().markdown().splitlines()
    assert lines[0] == "## mgsm (strict)"
    assert lines[2:4] == ["| Method | Rule | Avg |", "| --- | --- | ---: |"]
    assert lines[4].endswith(r" | strict | 59.0 [45.4, 57.7]\* |")
    assert lines[4].startswith(r"| \[/bold\] 50% & a\|b\_{c} #1 ~^\\ $\<x\> \*z\* † |")
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 4 for line in lines[2:6])
    assert lines[7].startswith(r"- \* a note of \[/bold\]")


def test_markdown_without_notes_ends_with_the_table():
    assert Table.of(["a"], [["b"]]).markdown() == "| a |\n| --- |\n| b |\n"


def test_latex_escapes_every_special_character_and_indents_what_belongs_to_a_row():
    lines = table("50% & a_b").latex().splitlines()
    assert lines[:3] == ["% mgsm (strict)", r"\begin{tabular}{llr}", r"\toprule"]
    assert lines[4:6] == [r"\midrule", r"50\% \& a\_b & strict & 59.0 [45.4, 57.7]* \\"]
    assert lines[6] == r"\quad paper &  & -- \\"
    assert lines[8] == r"\multicolumn{3}{p{\linewidth}}{\footnotesize * a note of 50\% \& a\_b} \\"
    assert lines[9] == r"\end{tabular}"


@pytest.mark.parametrize("label", ["[a] b", "* c"])
def test_latex_takes_no_label_for_the_argument_of_the_line_break_before_it(label):
    text = Table.of(["x", "y"], [["a", "b"], [label, "c"]]).latex()
    assert not re.search(r"\\\\\s*[\[*]", text)
    assert f"{{}}{label} & c" in text


def test_csv_comes_back_with_numbers_in_full_and_nothing_for_none():
    values = [HOSTILE, 51.6000000001, None, 250, 'a "b"\nc']
    text = comments("#", told_lines({"note": "a\nb"})) + Table.of("abcde", [values]).csv()
    lines = text.splitlines(keepends=True)
    assert lines[0] == '# note: "a\\nb"\n'
    (row,) = csv.DictReader(io.StringIO("".join(lines[1:])))
    assert list(row.values()) == [HOSTILE, "51.6000000001", "", "250", 'a "b"\nc']


def test_html_shows_texts_and_line_breaks():
    root = ElementTree.fromstring(
        Table.of(["<h>", "b"], [[HOSTILE, "one\ntwo"]]).html().replace("<br>", "<br/>")
    )
    first, second = root.iter("td")
    assert first.text == HOSTILE
    assert (second.text, second[0].tail) == ("one", "two")
    assert next(root.iter("th")).text == "<h>"


def test_terminal_takes_no_text_for_markup():
    text = shown(table(), 140)
    assert HOSTILE in text
    assert "  paper" in text
    assert "mgsm (strict)" in text
    assert f"* a note of {HOSTILE}" in text


@pytest.mark.parametrize("width", [10, 20, 40, 80])
def test_terminal_loses_no_number_however_narrow(width):
    numbers = [f"{n}00.{n}*" for n in range(1, 10)]
    columns = [Column("Method", least=8), *(Column(f"c{n}", number=True) for n in range(1, 10))]
    text = shown(Table(columns, [Row(["a long label of a method", *numbers])]), width)
    assert all(number in text for number in numbers)
    assert "…" not in text


def test_plain_table_has_its_gap_and_no_line():
    console = Console(width=60, file=io.StringIO())
    console.print(Table(COLUMNS, [Row(["a", "b", "1"])]).screen(gap=2))
    assert console.file.getvalue().splitlines()[1].rstrip() == "a       b       1"
