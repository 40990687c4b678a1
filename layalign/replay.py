"""Replay: rows of another training set that are read among those of a stage, so that what they taught is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reader = Literal["lego", "pairs", "tsv", "jsonl", "math", "hub"]
Deduplicate = Literal["none", "source", "pairs"]
Prompt = Literal["math", "translation", "source"]


@dataclass(frozen=True, kw_only=True)
class ReplayConfig:
    """What is replayed; keys of `data` mean here what they mean there, and limits of tokens are those of the stage.

    In a recipe `set: NAME` stands for the keys of a training set's page.
    """

    share: float
    """Of the examples that are trained on, those of the stage and these together."""
    reader: Reader
    path: str
    languages: tuple[str, ...]
    limit: int | None = None
    deduplicate: Deduplicate = "none"
    dev: int = 0
    """Examples that are not replayed: as many as the stage sets aside that is trained on them, which then are the same
    ones."""
    columns: tuple[str, str] = ("src", "tgt")
    revision: str | None = None
    config: str | None = None
    split: str = "train"
    prompt: Prompt | None = None
