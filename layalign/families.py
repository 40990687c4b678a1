"""Model types that have been checked, as `config.json` names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Role = Literal["encoder", "decoder"]
ENCODERS = (
    "t5",
    "mt5",
    "umt5",
    "m2m_100",
    "bert",
    "xlm-roberta",
    "xglm",
    "gpt2",
    "llama",
    "qwen2",
    "mistral",
    "modernbert",
    "eurobert",
    "electra",
)
"""Encoders whose states have been tested to be those of the published model."""
DECODERS = (
    "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text",
    "gemma3", "granite", "phi", "phi3", "starcoder2", "smollm3", "glm4", "olmo2", "cohere", "cohere2",
)  # fmt: skip
"""LLMs on which batched = single, cached = uncached and beams have been tested."""


def type_obstacle(role: Role, model_type: str) -> str | None:
    """The refusal of a model type that has not been checked; None if it has."""
    known, what = (ENCODERS, "the encoder") if role == "encoder" else (DECODERS, "the LLM")
    if model_type in known:
        return None
    return f"{what}'s model type is {model_type!r}, which has not been checked; checked types: {', '.join(known)}"


def quantised_obstacle(name: str, config: Mapping[str, Any]) -> str | None:
    """The refusal of a model whose config says that its weights are quantised; None if it does not."""
    told = config.get("quantization_config")
    if told is None:
        return None
    method = told.get("quant_method") if isinstance(told, Mapping) else None
    return (
        f"{name} is quantised ({method or 'quantization_config in its config.json'}): its weights are no numbers that "
        "a bridge can be trained on; name the model that it was made from"
    )
