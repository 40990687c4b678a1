"""Files of rows with named fields, whatever their layout: one record for each row, in order. Light."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from layalign.data.faults import Fault
from layalign.data.files import each_line, objects

Record = tuple[int, Mapping[str, Any] | Fault | None]
"""Line and fields of a row; None where the line is blank."""


def records_of(path: Path, layout: str, header: Sequence[str] = ()) -> Iterator[Record]:
    """The rows of a file.

    Args:
        path: of the file.
        layout: a key of `LAYOUTS`.
        header: names of the columns, where the file has none of its own.

    Raises:
        ValueError: it cannot be read at all.
    """
    return LAYOUTS[layout](path, header)


def _tsv(path: Path, header: Sequence[str]) -> Iterator[Record]:
    """Without a header, where every line is a row and a quotation mark is text."""
    shape = f"`{' TAB '.join(header)}`"
    for line, text in each_line(path):
        if isinstance(text, Fault):
            yield line, text
        elif not text.strip():
            yield line, None
        else:
            cells = text.split("\t")
            odd = Fault(path, line, f"{text[:60]!r} is not {shape}", f"a line is {shape}")
            yield line, dict(zip(header, cells)) if len(cells) == len(header) else odd


def _objects(path: Path, header: Sequence[str]) -> Iterator[Record]:
    return objects(path)


LAYOUTS: Mapping[str, Callable[[Path, Sequence[str]], Iterator[Record]]] = {"tsv": _tsv, "jsonl": _objects}


def field_of(record: Mapping[str, Any], key: str) -> Any:
    """What a name leads to: a field of that very name, or step by step through objects and lists; None without."""
    if key in record:
        return record[key]
    value: Any = record
    for part in key.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
