"""Unknown tokens: what a tokenizer puts where it cannot write a text, so that different texts become the same ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def unknown_id(tokenizer: Any) -> int | None:
    """The id that stands for what a tokenizer cannot write; None where it has none.

    A byte-level vocabulary writes everything and often calls its end token unknown too (GPT-2): an id that marks
    the begin or end of a text is none. One that pads is: the ids counted here are those of one text, unpadded.

    Args:
        tokenizer: any of transformers'.
    """
    unknown: int | None = tokenizer.unk_token_id
    marks = (getattr(tokenizer, f"{mark}_token_id", None) for mark in ("bos", "eos", "sep", "cls"))
    return None if unknown in marks else unknown


def count_unknown(tokenizer: Any, ids: Iterable[int]) -> int:
    """How many of the tokens of a text are unknown.

    Args:
        tokenizer: that made them.
        ids: of one text, without padding.
    """
    unknown = unknown_id(tokenizer)
    return 0 if unknown is None else sum(token == unknown for token in ids)
