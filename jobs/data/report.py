"""What a check of a data set has found, as plain data: printed, kept and told by `--json`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from jobs.recipe.checked import Checked, FileState
from layalign.data.counts import KINDS


@dataclass(frozen=True, kw_only=True)
class RowCounts:
    """Rows of one language."""

    language: str
    """Its code."""
    rows: int
    """Those that are used."""
    blank: int
    """Blank on both sides, and passed over."""
    left_out: int
    """Repeated, and left out by `data.deduplicate`."""
    repeated_source: int
    """Rows whose source an earlier one has, letter by letter."""
    repeated_target: int
    repeated_pairs: int
    """Of source and target together."""
    same: int
    """Rows in which a question of a benchmark stands."""
    near: int
    """Rows in which one nearly stands."""


@dataclass(frozen=True, kw_only=True)
class TokenCounts:
    """Texts of one kind in one language, in tokens of the model that reads them."""

    language: str
    kind: Literal["source", "prompt", "target"]
    """source: the encoder's text; prompt: the LLM's; target: what it learns to answer."""
    texts: int
    median: int
    p95: int
    """95 of 100 texts are not longer."""
    longest: int
    limit: int
    """Longer texts are cut."""
    cut: int
    """Texts that are."""
    tokens: int
    """Of all texts, as they are used."""
    unknown: int
    """Those of them that stand for what the tokenizer cannot write."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A question of a benchmark that stands in a row."""

    where: str
    """`file:line` of the row."""
    side: str
    """source or target"""
    question: str
    """Name of the question: benchmark, language, line."""
    same: bool
    """Word for word; else nearly."""
    share: float
    """Of the question's pieces that are in the row."""
    text: str
    """Of the row."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A row as the models read it."""

    where: str
    language: str
    encoder: str
    """What the encoder reads."""
    llm: str | None
    """What the LLM reads as text; null where that is nothing."""
    target: str
    """What the LLM learns to answer, or the right answer."""


@dataclass(frozen=True, kw_only=True)
class DataReport:
    """What a check has found."""

    name: str
    """Of the page, or the recipe and its stage."""
    kind: Literal["training", "benchmark"]
    place: str
    """Where it was read."""
    rows: tuple[RowCounts, ...]
    tokens: tuple[TokenCounts, ...] = ()
    """Empty where no models were named."""
    models: tuple[str, ...] = ()
    """Encoder and LLM whose tokenizers counted."""
    against: tuple[str, ...] = ()
    """Benchmarks whose questions were looked for, with their languages."""
    overlaps: tuple[Found, ...] = ()
    """Some of the rows in which questions stand, those that are the same first."""
    shown: tuple[Shown, ...] = ()
    """Rows drawn at random."""
    notes: tuple[str, ...] = ()
    """What the page tells, and what was not looked at."""
    findings: tuple[str, ...] = ()
    """What somebody should look into."""
    obstacles: tuple[str, ...] = ()
    """Why a training would be refused."""
    files: tuple[FileState, ...] = ()
    """What it is a report of."""

    @property
    def sound(self) -> bool:
        """Whether nothing stands in the way of a training, and no question of a benchmark is in it word for word."""
        return not self.obstacles and not any(row.same for row in self.rows)

    def checked(self) -> Checked:
        """What of it a dry run tells again."""
        by_kind = {kind: [one for one in self.tokens if one.kind == kind] for kind in KINDS}
        return Checked(
            files=self.files,
            unknown={
                k: (sum(t.unknown for t in of), sum(t.tokens for t in of)) for k, of in by_kind.items() if of
            },
            cut={k: (sum(t.cut for t in of), sum(t.texts for t in of)) for k, of in by_kind.items() if of},
            against=self.against,
            same=sum(row.same for row in self.rows),
            near=sum(row.near for row in self.rows),
            time=time.time(),
        )


@dataclass(frozen=True, kw_only=True)
class PageEntry:
    """A page of YAML."""

    name: str
    kind: str
    """training, benchmark or languages"""
    languages: tuple[str, ...]
    """Their codes."""
    about: str
    licence: str
    """Empty where the page does not say."""
    file: str
    """Where the page lies; empty for one of ours."""
    replaces: bool
    """It goes over a page of ours of the same name."""
    looked_for: tuple[str, ...] = ()
    """Of one that is shown: files or folders that it is read from."""
    missing: tuple[str, ...] = ()
    """What of that is not there, or why it cannot be read."""
    counts: tuple[tuple[str, int], ...] = ()
    """Rows of each language, where they are counted."""
    notes: tuple[str, ...] = ()
    """Known faults."""
    text: str = ""
    """The page itself."""
