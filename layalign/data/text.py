"""One row as the models read it, whether it is trained on or asked."""

from __future__ import annotations

from typing import NamedTuple


class Text(NamedTuple):
    """A row of a training set, or an item of a benchmark."""

    where: str
    """`file:line` of a row, the name of an item."""
    language: str
    """Code of its language."""
    source: str
    """What the encoder reads."""
    prompt: str | None
    """What the LLM reads as text; None where that is nothing."""
    target: str
    """What the LLM learns to answer, or the right answer."""
