"""Rows of a data set that are not used: blank ones, repeated ones, and those that cannot be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from layalign.data.faults import Faults
from layalign.data.rows import Blank, Row


@dataclass
class LeftOut:
    """What a reader leaves out, counted as it goes."""

    faults: Faults = field(default_factory=Faults)
    blank: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rows that are blank on both sides, by the name of their file and the code of their language, if that is known."""
    repeated: Counter[str] = field(default_factory=Counter)
    """Rows that `data.deduplicate` takes out, by the code of their language."""

    def add_blank(self, row: Row | Blank) -> None:
        """One more blank row."""
        self.blank[row.path.name, row.language.code if isinstance(row, Row) else ""] += 1

    @property
    def blank_by_file(self) -> dict[str, int]:
        """Blank rows by the name of their file."""
        return _sums((name, count) for (name, _), count in self.blank.items())

    @property
    def blank_by_language(self) -> dict[str, int]:
        """Blank rows by the code of their language; those of which it is not known by an empty one."""
        return _sums((code, count) for (_, code), count in self.blank.items())


def _sums(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    total = dict[str, int]()
    for name, count in counts:
        total[name] = total.get(name, 0) + count
    return total
