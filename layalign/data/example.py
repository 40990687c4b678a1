"""Examples: rows as a training reads them, with hashes of what the dev split compares."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from unicodedata import normalize

from layalign.data.rows import Row


@dataclass(frozen=True)
class Example:
    """One pair to learn from."""

    source: str
    """What the encoder reads."""
    target: str
    """What the LLM learns to answer."""
    prompt: str | None
    """What the LLM reads as text; None where the bridge is all that it gets."""
    language: str
    """Code of the source's language."""
    group: str
    """Hash of the group that the file says the row is in, else of the target."""
    question: str
    """Hash of the source, whichever way its accents are written."""
    answer: str
    """Hash of the target."""
    place: int
    """Which row of its language it is, counted from 1 in the order of the file."""


def example_of(row: Row, prompt: Callable[[Row], str] | None, place: int) -> Example:
    """A row as an example; `prompt` makes the LLM's text where the row brings none, None is no text at all."""
    answer = _hash(row.target)
    return Example(
        source=row.source,
        target=row.target,
        prompt=(row.prompt or prompt(row)) if prompt else None,
        language=row.language.code,
        group=_hash(row.group) if row.group else answer,
        question=_hash(normalize("NFC", row.source)),
        answer=answer,
        place=place,
    )


def _hash(text: str) -> str:
    """Equal for texts that differ in nothing but spaces."""
    return hashlib.blake2b(" ".join(text.split()).encode(), digest_size=8).hexdigest()
