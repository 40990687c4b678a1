"""How many tokens a model can place, by its `config.json`, and whether a recipe asks for more.

A learned table ends: a token beyond it is an IndexError, on a GPU an assert. Rotary and sinusoidal positions go on,
and mean nothing that the model has learned. Relative ones (T5) have no end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from layalign.config import RunConfig
from layalign.families import text_config

Told = Mapping[str, Any]
"""A model's config, as `config.json` or `to_dict` has it."""
Answer = Literal["data.max_target", "evaluation.max_new_tokens"]
TARGET: Answer = "data.max_target"
GENERATED: Answer = "evaluation.max_new_tokens"
RELATIVE = ("t5", "mt5", "umt5")
EXTENDED = ("linear", "yarn")
"""Kinds of rotary scaling whose `factor` counts beyond what the model was first trained for."""
BY_LENGTH = ("longrope", "su", "dynamic")
"""Kinds that turn every token of a batch otherwise once its longest row is beyond what the model was first trained for
(Phi-3's long contexts): an answer would depend on what else is in the batch, so that they end there."""
ORIGINAL = "original_max_position_embeddings"


def positions(config: Told) -> int | None:
    """Tokens that a model has learned positions for; None where there is no limit, or the config tells none."""
    config = text_config(config)
    kind = config.get("model_type")
    most = config.get("max_position_embeddings") or config.get("n_positions")
    if kind in RELATIVE or not isinstance(most, int):
        return None
    if kind == "xlm-roberta":
        return most - int(config.get("pad_token_id") or 1) - 1
    told: Told = config.get("rope_parameters") or config.get("rope_scaling") or {}
    rope: Told = told.get("full_attention", told)
    scaling, factor = rope.get("rope_type") or rope.get("type"), rope.get("factor")
    if scaling in BY_LENGTH:
        return int(rope.get(ORIGINAL) or config.get(ORIGINAL) or most)
    if scaling in EXTENDED and isinstance(factor, int | float):
        return int(max(most, factor * (rope.get(ORIGINAL) or most)))
    return most


def source_obstacle(run: RunConfig, encoder: Told) -> str | None:
    """Why sources as long as a recipe admits do not fit its encoder; None if they do."""
    most = positions(encoder)
    if most is None or run.data.max_source <= most or not run.bridge.reads_encoder:
        return None
    return (
        f"data.max_source is {run.data.max_source}, but the encoder {run.model.encoder} ({encoder.get('model_type')}) "
        f"has positions for {most} tokens: set data.max_source={most} or less, or choose another encoder"
    )


def text_obstacle(run: RunConfig, decoder: Told, answer: Answer) -> str | None:
    """Why the longest text that a recipe admits does not fit its LLM; None if it does.

    Args:
        run: the recipe. A prompt counts where the recipe limits it.
        decoder: config of the LLM.
        answer: the key that says how long an answer may be, in training or in an evaluation.
    """
    most, data = positions(decoder), run.data
    parts = {"start token": 1}
    if run.bridge.adapter:
        parts["data.max_source with its separator"] = data.max_source + 1
    if run.bridge.text and data.max_prompt:
        parts["data.max_prompt"] = data.max_prompt
    parts[answer] = data.max_target if answer == TARGET else run.evaluation.max_new_tokens
    total = sum(parts.values())
    if most is None or total <= most:
        return None
    added = " + ".join(f"{number} ({name})" for name, number in parts.items())
    return (
        f"the LLM {run.model.decoder} ({decoder.get('model_type')}) has learned positions for {most} tokens, and up to "
        f"{added} = {total} may stand before it: lower one of these, or choose an LLM with a longer context"
    )
