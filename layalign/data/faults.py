"""Rows of a file that cannot be used: each is a fault, and all of a data set are told at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SHOWN = 10
"""Bad rows that a refusal spells out; the others are counted."""


@dataclass(frozen=True)
class Fault:
    """One bad row, shown as `file:line: what; rule`."""

    path: Path
    line: int
    what: str
    rule: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}; {self.rule}"


class Faults:
    """The bad rows found so far. A file of another kind than its reader has as many as rows: few are kept."""

    def __init__(self) -> None:
        self.count = 0
        self.shown: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """One more."""
        self.count += 1
        if self.count <= SHOWN:
            self.shown.append(fault)

    def check(self) -> None:
        """Raises ValueError where there is a bad row: the first alone in the first line, then the others."""
        if not self.count:
            return
        first, *others = self.shown
        if self.count == 1:
            raise ValueError(str(first))
        listed = "".join(f"\n  {fault}" for fault in others)
        unseen = self.count - len(self.shown)
        rest = f"\n  and {unseen} more" if unseen else ""
        raise ValueError(f"{first} (the first of {self.count} bad rows){listed}{rest}")
