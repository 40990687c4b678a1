"""What there is in a data set, seen in one pass: rows, repeats, questions of benchmarks, and some rows to look at."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from layalign.config import DataConfig
from layalign.data.left_out import LeftOut
from layalign.data.overlap import Match, Questions
from layalign.data.repeats import RepeatCounter
from layalign.data.sources import prompt_of, used_rows
from layalign.data.text import Text

SHOWN = 20
"""Places that are told of questions that stand in training texts."""


class Overlap(NamedTuple):
    """A question of a benchmark in a row of training data."""

    text: Text
    side: str
    """source or target"""
    match: Match


class Survey:
    """Counts texts as they are added.

    Args:
        questions: of benchmarks, to be looked for.
        sample: texts to keep, drawn at random.
        seed: of the draw: the same texts are kept from the same data.
    """

    def __init__(self, questions: Questions | None = None, sample: int = 10, seed: int = 0) -> None:
        self.repeats = RepeatCounter()
        self.overlaps: list[Overlap] = []
        """The first `SHOWN`, the same ones before those that are near."""
        self.found: Counter[tuple[str, bool]] = Counter()
        """Rows in which a question stands, by the language of the row and whether it is the same."""
        self.sampled: list[Text] = []
        self._questions, self._size, self._dice, self._count = questions, sample, random.Random(seed), 0

    def add(self, text: Text) -> None:
        """One more text."""
        self.repeats.add(text.language, text.source, text.target)
        self._sample(text)
        if self._questions:
            self._compare(text, self._questions)

    def _compare(self, text: Text, questions: Questions) -> None:
        sides = (("source", text.source), ("target", text.target))
        found = [Overlap(text, side, match) for side, told in sides if (match := questions.find(told))]
        if found:
            best = max(found, key=lambda one: (one.match.same, one.match.share))
            self.found[text.language, best.match.same] += 1
            self.overlaps = sorted([*self.overlaps, best], key=lambda one: not one.match.same)[:SHOWN]

    def _sample(self, text: Text) -> None:
        """Each text has the same chance to be kept, however many there will be (reservoir sampling)."""
        self._count += 1
        if len(self.sampled) < self._size:
            self.sampled.append(text)
        elif (place := self._dice.randrange(self._count)) < self._size:
            self.sampled[place] = text


def training_texts(data: DataConfig, folder: Path | None, text: bool, left_out: LeftOut) -> Iterator[Text]:
    """The rows of a training set as the models read them; arguments and errors as those of `sources.read`."""
    prompt = prompt_of(data)
    for row, _ in used_rows(data, folder, left_out):
        path = row.path
        if folder is not None and path.is_relative_to(folder):
            path = path.relative_to(folder)
        asked = (row.prompt or prompt(row)) if text else None
        yield Text(f"{path}:{row.line}", row.language.code, row.source, asked, row.target)
