"""Delimited text, CSV and TSV, read in the one way that it can have been written; text stays text.

Whether a quotation mark quotes or is text shows in the whole file, not in one field. There are two readings: the
quoted one (RFC 4180, strictly) and the plain one, where every line is a row and a mark is text; a reading fits if
all rows have the columns of the first one. A CSV is quoted if that fits, and else plain if that fits. A TSV is
plain if that fits (IANA's text/tab-separated-values has no quotes), unless a cell doubles the marks inside it.
What fits neither way has the faults of its kind, and a quoted field over lines that look like rows is one too.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from layalign.data.faults import Fault
from layalign.data.files import each_line

Record = tuple[int, list[str] | Fault]
"""The line (from 1) that a row begins on, and its cells: none of them where the line is blank."""
_QUOTES = 'quote a field that has quotation marks and double those inside it ("say ""no"""), or write jsonl'


class Shape(NamedTuple):
    """The columns that all rows of a file have."""

    width: int = 0
    """0 is as many as the first row has."""
    rule: str = ""
    """What a row of another width is told."""


FIRST_ROW = Shape()


class _Unclear(Fault):
    """A row that is well quoted, and yet may be several."""


def records(path: Path, delimiter: str, shape: Shape = FIRST_ROW) -> Iterator[Record]:
    """The rows of a file, a header among them.

    Args:
        path: UTF-8, possibly with a byte order mark; `.gz` is unpacked.
        delimiter: one character.
        shape: what all rows must have.

    Yields:
        A fault in the place of a row that is not UTF-8, that quotes wrongly, or has too few or too many columns.
    """
    if not any('"' in line for _, line in each_line(path) if isinstance(line, str)):
        return _plain(path, delimiter, shape)
    plain, quoted = _fits(_plain(path, delimiter, shape)), _fits(_quoted(path, delimiter, shape))
    if delimiter == "\t":
        is_quoted = quoted and (not plain or _doubles(path, delimiter))
    else:
        is_quoted = quoted or not plain or _begins_with_space(path, delimiter)
    return (_quoted if is_quoted else _plain)(path, delimiter, shape)


def _fits(found: Iterator[Record]) -> bool:
    return not any(isinstance(cells, Fault) and not isinstance(cells, _Unclear) for _, cells in found)


def _plain(path: Path, delimiter: str, shape: Shape) -> Iterator[Record]:
    """Every line is a row, and a quotation mark is text."""
    split = ((n, line if isinstance(line, Fault) else line.split(delimiter)) for n, line in each_line(path))
    return _even(path, split, shape)


def _quoted(path: Path, delimiter: str, shape: Shape) -> Iterator[Record]:
    """RFC 4180: a quoted field may hold delimiters and line ends."""
    return _even(path, _parsed(path, delimiter), shape)


def _parsed(path: Path, delimiter: str) -> Iterator[Record]:
    line, taken = 0, list[str | Fault]()

    def feed() -> Iterator[str]:
        nonlocal line
        for number, text in each_line(path):
            line = number
            taken.append(text)
            yield "\n" if isinstance(text, Fault) else text + "\n"

    reader = csv.reader(feed(), delimiter=delimiter, strict=True)
    while True:
        begin = line + 1
        taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            what = "a quoted field does not end" if "end of data" in str(error) else str(error)
            yield begin, Fault(path, begin, what, _QUOTES)
        else:
            yield begin, _judged(path, begin, taken, cells, delimiter)


def _judged(
    path: Path, line: int, taken: Sequence[str | Fault], cells: list[str], delimiter: str
) -> list[str] | Fault:
    """The cells of a row that was read from one line or more."""
    lines = [text for text in taken if isinstance(text, str)]
    if len(lines) < len(taken):
        return next(text for text in taken if isinstance(text, Fault))
    alone = [text.split(delimiter) for text in lines]
    if len(lines) > 1 and all(len(one) == len(cells) > 1 and not _spaced(one) for one in alone):
        return _Unclear(path, line, f"one quoted row, or {len(lines)} rows of one line each", _QUOTES)
    return cells


def _even(path: Path, found: Iterator[Record], shape: Shape) -> Iterator[Record]:
    """Rows of another width become faults, blank lines have no cells."""
    width = shape.width
    for line, cells in found:
        if isinstance(cells, Fault):
            yield line, cells
        elif len(cells) < 2 and not "".join(cells).strip():
            yield line, []
        else:
            width = width or len(cells)
            odd = Fault(path, line, f"{len(cells)} column(s)", shape.rule or f"the first row has {width}")
            yield line, cells if len(cells) == width else odd


def _doubles(path: Path, delimiter: str) -> bool:
    """Whether some cell stands in quotation marks and doubles those inside."""
    cells = (
        cell for _, found in _plain(path, delimiter, FIRST_ROW) if isinstance(found, list) for cell in found
    )
    inside = (cell[1:-1] for cell in cells if len(cell) > 3 and cell[0] == cell[-1] == '"')
    return any('""' in text and '"' not in text.replace('""', "") for text in inside)


def _begins_with_space(path: Path, delimiter: str) -> bool:
    """Whether some delimiter is punctuation."""
    return any(isinstance(cells, list) and _spaced(cells) for _, cells in _plain(path, delimiter, FIRST_ROW))


def _spaced(cells: Sequence[str]) -> bool:
    """Whether a delimiter is followed by a space, as in prose."""
    return any(cell[:1] == " " for cell in cells[1:])
