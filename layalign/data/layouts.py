"""Files of rows with named fields, whatever their layout: one record for each row, in order. Light."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from layalign.data.delimited import records
from layalign.data.faults import Fault
from layalign.data.files import each_line, objects

Record = tuple[int, Mapping[str, Any] | Fault | None]
"""Line and fields of a row; None where the line is blank."""


def records_of(path: Path, layout: str, header: Sequence[str] = ()) -> Iterator[Record]:
    """The rows of a file.

    Args:
        path: of the file.
        layout: a key of `LAYOUTS`.
        header: names of the columns, where a `tsv` has none of its own.

    Raises:
        ValueError: it cannot be read at all.
    """
    return _bare(path, header) if header else LAYOUTS[layout](path)


def _bare(path: Path, header: Sequence[str]) -> Iterator[Record]:
    """Without a header: every line is a row, and a quotation mark is text."""
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


def _table(path: Path, delimiter: str) -> Iterator[Record]:
    """With a header, which is no row."""
    names: list[str] | None = None
    for line, cells in records(path, delimiter):
        if isinstance(cells, Fault):
            yield line, cells
        elif not cells:
            yield line, None
        elif names is None:
            names = [cell.strip() for cell in cells]
            if len(set(names)) < len(names):
                raise ValueError(f"{path}:{line}: the header names a column twice: {', '.join(names)}")
        elif [cell.strip() for cell in cells] == names:
            yield line, Fault(path, line, "the header once more", "it is no row: take it out")
        else:
            yield line, dict(zip(names, cells))


def _parquet(path: Path) -> Iterator[Record]:
    """A packed table; its rows are counted from 1."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            rows = (row for batch in file.iter_batches() for row in batch.to_pylist())
            yield from enumerate(rows, 1)
    except (OSError, pyarrow.ArrowException) as error:
        told = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} cannot be read as a parquet table: {told}") from None


LAYOUTS: Mapping[str, Callable[[Path], Iterator[Record]]] = {
    "tsv": partial(_table, delimiter="\t"),
    "csv": partial(_table, delimiter=","),
    "jsonl": objects,
    "json": objects,
    "parquet": _parquet,
}


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
