"""Rows that say again what an earlier row of their language says, letter by letter."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


class Seen:
    """Rows that were read so far, as hashes: those of a million rows take some 100 MB."""

    def __init__(self) -> None:
        self._hashes: dict[tuple[str, str], set[bytes]] = {}

    def repeats(self, what: str, language: str, source: str, target: str) -> bool:
        """Whether an earlier row of a language had the same `source`, `target`, or both (`pairs`); `none` never."""
        if what == "none":
            return False
        held = self._hashes.setdefault((what, language), set())
        before = len(held)
        held.add(_hash({"source": source, "target": target}.get(what, f"{source}\0{target}")))
        return len(held) == before


@dataclass
class Repeats:
    """Rows of one language, and how many of them repeat an earlier one: rows less different ones."""

    rows: int = 0
    source: int = 0
    target: int = 0
    pairs: int = 0
    """Of source and target together."""


class RepeatCounter:
    """Counts repeated rows by the code of their language."""

    def __init__(self) -> None:
        self.of: dict[str, Repeats] = {}
        self._seen = Seen()

    def add(self, language: str, source: str, target: str) -> None:
        """One more row."""
        counts = self.of.setdefault(language, Repeats())
        counts.rows += 1
        counts.source += self._seen.repeats("source", language, source, target)
        counts.target += self._seen.repeats("target", language, source, target)
        counts.pairs += self._seen.repeats("pairs", language, source, target)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
