"""The paper's own figures (`jobs/paper.yaml`), to stand beside ours."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cluster.profile.schema import nearest
from layalign.strict import read_mapping

FILE = Path(__file__).with_name("paper.yaml")


def paper_row(table: str, section: str, row: str) -> dict[str, float]:
    """One row of a table of the paper: percent by column (`Avg`, `Lrl`, `Hrl`, `Bn`, ...).

    Args:
        table: `table2`.
        section: of the table, as a rule the benchmark: `MGSM`.
        row: as the paper names it: `w/o Adapter`.

    Raises:
        ValueError: the paper has none of that name; the nearest is told.
    """
    sections = _entry(_tables(), table, "table")
    rows = _entry(sections, section, f"section of {table}")
    values = _entry(rows, row, f"row of {table}, {section}")
    return {column: float(value) for column, value in values.items() if not isinstance(value, bool)}


def paper_source() -> str:
    """Which paper it is, in a line."""
    return str(_file()["meta"]["source"])


def _tables() -> dict[str, Any]:
    return {name: told for name, told in _file().items() if name.startswith("table")}


@functools.cache
def _file() -> dict[str, Any]:
    return read_mapping(FILE, "the paper's figures")


def _entry(known: dict[str, Any], name: str, what: str) -> Any:
    if name in known:
        return known[name]
    raise ValueError(f"the paper has no {what} {name!r}; {_hint(name, known)}")


def _hint(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f"did you mean {near!r}?" if near else f"there are {', '.join(known)}"
