"""The models in whose tokens a data set is measured: their tokenizers, opened where transformers is."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jobs.data.check import Models
from layalign import mini
from layalign.config import DataConfig, RunConfig
from layalign.data.lengths import Lengths
from layalign.data.text import Text


def can_measure() -> bool:
    """Whether this Python can open tokenizers: a launcher's cannot."""
    return all(importlib.util.find_spec(name) for name in ("torch", "transformers"))


def models_of(config: RunConfig) -> Models:
    """The models of a run.

    Raises:
        ValueError: one without a usable tokenizer, or the miniature's, before there is any.
    """
    from layalign.data.tokenise import count_texts
    from layalign.model.tokenizers import load_tokenizers

    model = config.model
    paths = [mini_path(name, config.seed) or name for name in (model.encoder, model.decoder)]
    tokenizers = load_tokenizers(replace(model, encoder=str(paths[0]), decoder=str(paths[1])))

    def measure(lengths: Lengths, texts: Sequence[Text], data: DataConfig) -> None:
        count_texts(lengths, texts, data, tokenizers.encoder, tokenizers.decoder)

    return Models(names=(model.encoder, model.decoder), measure=measure)


def mini_path(name: str, seed: int) -> Path | None:
    """The path of a part of the miniature; None for what is none of it.

    Raises:
        ValueError: there is no such part, or its world has not been made.
    """
    if not mini.is_mini(name):
        return None
    path = mini.resolve(name, mini.default_root(), mini.Settings(seed=seed))
    if not path.exists():
        raise ValueError(
            f"{name} is made when it is first used: give python launch.py demo, or train --recipe mini, before"
        )
    return path
