"""One table, written for a terminal, Markdown, LaTeX, CSV or a page of HTML.

Cells are what a reader sees; each format escapes what it would take for something else.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as ScreenTable

NONE = "–"
"""Stands where there is no number."""


class Strong(str):
    """A cell in bold."""

    __slots__ = ()


@dataclass(frozen=True)
class Column:
    """What stands below one heading."""

    heading: str
    number: bool = False
    """Numbers and their marks: on the right, and never broken over two lines."""
    strong: bool = False
    """Bold on a terminal."""
    broken: bool = True
    """Whether a terminal may break its texts over lines."""
    least: int | None = None
    """Cells of a terminal that it has at least."""


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    cells: Sequence[Any]
    """Texts; numbers and None only for CSV. A line break in a text is one on a terminal and in HTML."""
    begins: bool = False
    """A group of rows begins here: below a line in LaTeX, below a blank one on a terminal."""
    indented: bool = False
    """It belongs to the row above."""
    style: str = ""
    """On a terminal."""


@dataclass(frozen=True)
class Table:
    """Headings, rows, and what a reader must know of them."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    title: str = ""

    @classmethod
    def of(cls, headings: Iterable[str], rows: Iterable[Sequence[Any]]) -> Table:
        """A table of texts, or of values for CSV."""
        return cls([Column(heading) for heading in headings], [Row(cells) for cells in rows])

    def markdown(self) -> str:
        """Title, table, and the notes as a list."""
        lines = [[markdown_text(column.heading) for column in self.columns]]
        lines.append(["---:" if column.number else "---" for column in self.columns])
        for row in self.rows:
            texts = [
                _bold(text, "**{}**", markdown_number(text) if column.number else markdown_text(text))
                for column, text in zip(self.columns, row.cells)
            ]
            lines.append(texts)
        head = f"## {markdown_text(self.title)}\n\n" if self.title else ""
        table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        notes = "".join(f"- {markdown_text(note)}\n" for note in self.notes)
        return head + table + (f"\n{notes}" if notes else "")

    def latex(self) -> str:
        """A `tabular` for the booktabs package, below its title as a comment."""
        kinds = "".join("r" if column.number else "l" for column in self.columns)
        lines = [f"% {self.title}"] if self.title else []
        lines += [rf"\begin{{tabular}}{{{kinds}}}", r"\toprule"]
        lines.append(_latex_line([column.heading for column in self.columns]))
        for row in self.rows:
            lines += [r"\midrule"] if row.begins else []
            lines.append((r"\quad " if row.indented else "") + _latex_line(row.cells))
        lines.append(r"\bottomrule")
        for note in self.notes:
            told = rf"\footnotesize {latex_text(note)}"
            lines.append(rf"\multicolumn{{{len(self.columns)}}}{{p{{\linewidth}}}}{{{told}}} \\")
        return "\n".join([*lines, r"\end{tabular}"]) + "\n"

    def csv(self) -> str:
        """Headings and rows; None is an empty field."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([column.heading for column in self.columns])
        writer.writerows(row.cells for row in self.rows)
        return out.getvalue()

    def html(self) -> str:
        """A `table` of texts."""
        head = "".join(f"<th>{html.escape(column.heading)}</th>" for column in self.columns)
        rows = "".join(
            f"<tr>{''.join(f'<td>{_html_text(text)}</td>' for text in row.cells)}</tr>" for row in self.rows
        )
        return f'<table class="text"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'

    def screen(self, gap: int | None = None) -> ScreenTable:
        """The table for a terminal, less the notes.

        Args:
            gap: blanks between columns; None is one, and a line below the headings.
        """
        from rich import box
        from rich.table import Table as ScreenTable
        from rich.text import Text

        if gap is None:
            table = ScreenTable(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
        else:
            table = ScreenTable(box=None, padding=(0, gap, 0, 0), pad_edge=False)
        table.title = Text(self.title, style="table.title") if self.title else None
        table.title_justify = "left"
        for column in self.columns:
            table.add_column(
                Text(column.heading),
                justify="right" if column.number else "left",
                no_wrap=column.number or not column.broken,
                overflow="fold",
                min_width=column.least,
                style="bold" if column.strong else None,
            )
        for row in self.rows:
            if row.begins:
                table.add_section()
            first = f"  {row.cells[0]}" if row.indented else row.cells[0]
            table.add_row(*(Text(text, style=row.style) for text in (first, *row.cells[1:])))
        return table

    def show(self, console: Console) -> None:
        """Print it with the notes below; one that is wider than the screen wraps there, as no number may be lost."""
        table = self.screen()
        least = self.least_width(console)
        table.width = least if least > console.width else None
        console.print(table, crop=False)
        for note in self.notes:
            console.print(
                "\n".join(_wrapped(note, console.width)), markup=False, highlight=False, style="dim"
            )

    def least_width(self, console: Console) -> int:
        """Characters of a line that it needs on a terminal."""
        wide = console.options.update(width=10 * console.width)
        return console.measure(self.screen(), options=wide).minimum


def _wrapped(note: str, width: int) -> list[str]:
    """A note as lines of a terminal; an interval and a p stay whole."""
    whole = re.sub(
        r"\[[^\[\]]{,20}\]|p [=<] \S+", lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), note
    )
    lines = textwrap.wrap(whole, max(width, 20), subsequent_indent="  ", break_on_hyphens=False)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _bold(cell: str, form: str, text: str) -> str:
    """A text as it is written, in bold where its cell is `Strong`."""
    return form.format(text) if isinstance(cell, Strong) else text


def comments(mark: str, lines: Iterable[str]) -> str:
    """Lines that the reader of a format passes over."""
    return "".join(f"{mark} {line}\n" for line in lines)


def told_lines(provenance: Mapping[str, Any]) -> list[str]:
    """The provenance, one line per entry."""
    return [
        f"{key}: {value if _is_line(value) else json.dumps(value, ensure_ascii=False)}"
        for key, value in provenance.items()
    ]


def _is_line(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def markdown_text(text: str) -> str:
    """A text on one line that Markdown shows as it is."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", " ".join(text.split()))


def markdown_number(text: str) -> str:
    """A number with its interval and marks, likewise: its brackets are no link."""
    return re.sub(r"([\\`*_|<>])", r"\\\1", " ".join(text.split()))


_LATEX = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "–": "--",
    "≈": r"$\approx$",
}


def latex_text(text: str) -> str:
    """A text on one line that LaTeX shows as it is."""
    return "".join(_LATEX.get(char, char) for char in " ".join(text.split()))


def _latex_line(cells: Sequence[str]) -> str:
    r"""The cells of a row. After a `\\` LaTeX would take `[` or `*` for its arguments."""
    first, *others = (_bold(cell, r"\textbf{{{}}}", latex_text(cell)) for cell in cells)
    first = f"{{}}{first}" if first.startswith(("[", "*")) else first
    return " & ".join([first, *others]) + r" \\"


def _html_text(text: str) -> str:
    return "<br>".join(map(html.escape, text.split("\n")))
