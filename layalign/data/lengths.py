"""How long texts are in tokens: what tokenising counts (`layalign.data.counts`), and how the lengths are spread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from layalign.data.counts import Counts, Kind


class Spread(NamedTuple):
    """Lengths of the texts of one kind in one language, before they are cut."""

    median: int
    p95: int
    longest: int


@dataclass
class Lengths(Counts):
    """Counts that remember every length."""

    spread: dict[tuple[Kind, str], Counter[int]] = field(default_factory=dict)
    """How many texts have which number of tokens, by kind and code of the language."""

    def add(
        self, kind: Kind, codes: Iterable[str], whole: Iterable[int], ids: Iterable[Sequence[int]],
        unknown: Callable[[Sequence[int]], int],
    ) -> None:  # fmt: skip
        """Count texts of one kind; arguments as those of `Counts.add`."""
        spoken, lengths = list(codes), list(whole)
        super().add(kind, spoken, lengths, ids, unknown)
        for code, length in zip(spoken, lengths):
            self.spread.setdefault((kind, code), Counter())[length] += 1

    def of_language(self, kind: Kind, code: str) -> Spread | None:
        """The spread of a kind in a language; None where it has no such text."""
        held = self.spread.get((kind, code))
        return Spread(_at(held, 0.5), _at(held, 0.95), max(held)) if held else None


def _at(lengths: Counter[int], share: float) -> int:
    """The least length that this share of the texts do not exceed."""
    wanted, below = share * lengths.total(), 0
    for length in sorted(lengths):
        below += lengths[length]
        if below >= wanted:
            return length
    raise AssertionError("lengths are counted")
