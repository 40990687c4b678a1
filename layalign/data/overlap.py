"""Questions of a benchmark that stand in training texts: the same, or nearly.

Texts are compared without case, punctuation and widths of spaces. *Same* are texts of equal words. *Near* are those
that share most of the question's pieces of five letters (character 5-grams): at least `NEAR` of a question of `LONG`
pieces or more, which may stand inside a longer text; a shorter one must be like the whole text (Jaccard). The search is
exact: of a question that shares so many pieces, one is among any `len - ceil(NEAR * len) + 1` of them, and the rarest
of its pieces are looked up (the prefix filter of Chaudhuri, Ganti and Kaushik, ICDE 2006).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from math import ceil
from typing import NamedTuple

from layalign.data.text import Text

PIECE = 5
"""Letters of a piece."""
NEAR = 0.8
"""Share of pieces from which on texts are near."""
LONG = 40
"""Pieces of a question that is looked for inside longer texts too."""


class Match(NamedTuple):
    """A question that stands in a text."""

    question: Text
    share: float
    """Of its pieces: 1 where it is the same."""
    same: bool


class Questions:
    """Questions of benchmarks, to be looked for in training texts.

    Args:
        items: the encoder's text of each is what is compared.
    """

    def __init__(self, items: Iterable[Text]) -> None:
        self.items = [item for item in items if normal(item.source)]
        self._same: dict[str, int] = {}
        for at, item in enumerate(self.items):
            self._same.setdefault(normal(item.source), at)
        self._pieces = [pieces(normal(item.source)) for item in self.items]
        self._rare: dict[str, list[int]] = {}
        spread = Counter(piece for held in self._pieces for piece in held)
        for at, held in enumerate(self._pieces):
            rarest = sorted(held, key=lambda piece: (spread[piece], piece))
            for piece in rarest[: len(held) - ceil(NEAR * len(held)) + 1]:
                self._rare.setdefault(piece, []).append(at)
        self._known = frozenset(self._rare)

    def find(self, text: str) -> Match | None:
        """The question that a text is, holds or is most like; None where there is none."""
        told = normal(text)
        if told in self._same:
            return Match(self.items[self._same[told]], 1.0, True)
        held = pieces(told)
        candidates = {at for piece in self._known & held for at in self._rare[piece]}
        shares = ((self._share(self._pieces[at], held), -at) for at in candidates)
        share, at = max(shares, default=(0.0, 0))
        return Match(self.items[-at], share, False) if share >= NEAR else None

    @staticmethod
    def _share(question: set[str], text: set[str]) -> float:
        shared = len(question & text)
        return shared / (len(question) if len(question) >= LONG else len(question | text))


def normal(text: str) -> str:
    """A text in small letters and digits alone, with single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().translate(_SPACED).split())


def pieces(text: str) -> set[str]:
    """The character 5-grams of a normal text with a space at both ends; a shorter one is one piece."""
    padded = f" {text} "
    return {padded[at : at + PIECE] for at in range(max(1, len(padded) - PIECE + 1))}


class _Spaced(dict[int, int | str]):
    """Punctuation and what is not seen become spaces; letters, marks, digits and signs stay."""

    def __missing__(self, point: int) -> int | str:
        kind = unicodedata.category(chr(point))[0]
        self[point] = " " if kind in "PZC" else point
        return self[point]


_SPACED = _Spaced()
