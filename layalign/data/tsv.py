"""Files of source TAB target, one per language, with or without a header: a header is never a row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from layalign.data.delimited import Shape, records
from layalign.data.faults import Fault
from layalign.data.files import each_line
from layalign.data.rows import Blank, Found, Row
from layalign.languages import Language, known

SOURCES = {"src", "source", "question", "query", "input", "sentence", "text", "premise", "prompt", "problem"}
TARGETS = {"tgt", "trg", "target", "answer", "response", "output", "label", "translation", "solution"}
"""What headers call the two columns, besides languages."""
OTHERS = {"id", "idx", "index", "row", "lang", "language", "split", "number", "equation", "hypothesis"}


class _Layout(NamedTuple):
    header: int
    """Its line; 0 where there is none."""
    source: int
    target: int
    width: int


AGAIN = "it is no row: take it out, or keep the files apart that were joined"
PLAIN = _Layout(0, 0, 1, 2)


def tsv_rows(path: Path, entry: Language, columns: tuple[str, str]) -> Iterator[Found]:
    """The rows of one language's file.

    Args:
        path: of the file.
        entry: its language.
        columns: what a header calls source and target; with them a file may have further columns.
    """
    layout = _layout(path, entry, columns)
    if isinstance(layout, Fault):
        yield layout
        return
    shape = Shape(layout.width, "a line is source TAB target" if layout.width == 2 else "")
    header: list[str] | None = None
    for line, cells in records(path, "\t", shape):
        if isinstance(cells, Fault):
            yield cells
        elif line == layout.header:
            header = cells
        elif cells and cells == header:
            yield Fault(path, line, "the header once more", AGAIN)
        elif cells:
            yield Row(path, line, entry, cells[layout.source], cells[layout.target])
        else:
            yield Blank(path, line)


def _layout(path: Path, entry: Language, columns: tuple[str, str]) -> _Layout | Fault:
    """What the first line says of the others."""
    first = ((number, line) for number, line in each_line(path) if isinstance(line, Fault) or line.strip())
    number, line = next(first, (0, ""))
    if isinstance(line, Fault):
        return PLAIN
    names = [cell.strip().strip('"') for cell in line.split("\t")]
    if all(names.count(column) == 1 for column in columns):
        return _Layout(number, names.index(columns[0]), names.index(columns[1]), len(names))
    if len(names) < 2 or len({name.lower() for name in names}) < len(names):
        return PLAIN
    others = {name for one in known() for name in one.names}.difference(entry.names)
    source, target = SOURCES | set(entry.names), TARGETS | others
    if len(names) == 2 and _made_of(names[0], source) and _made_of(names[1], target):
        return _Layout(number, 0, 1, 2)
    if any(name in columns for name in names) or all(_made_of(n, source | target | OTHERS) for n in names):
        rule = f"data.columns names source and target in it, now {' and '.join(columns)}"
        return Fault(path, number, f"a header of {', '.join(names)}", rule)
    return PLAIN


def _made_of(name: str, words: set[str]) -> bool:
    """Whether a column's name, or every part of it as in `question_sw`, is among the words."""
    parts = [part for part in re.split(r"[\W\d_]+", name.lower()) if part]
    return name.lower() in words or (bool(parts) and words.issuperset(parts))
