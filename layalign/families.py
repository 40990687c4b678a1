"""Model types that have been checked, as `config.json` names them."""

from __future__ import annotations

from typing import Literal

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
)
"""Encoders whose states have been tested to be those of the published model."""
DECODERS = (
    "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text",
    "granite", "phi", "starcoder2", "smollm3", "glm4",
)  # fmt: skip
"""LLMs on which batched = single, cached = uncached and beams have been tested."""


def type_obstacle(role: Role, model_type: str) -> str | None:
    """The refusal of a model type that has not been checked; None if it has."""
    known, what = (ENCODERS, "the encoder") if role == "encoder" else (DECODERS, "the LLM")
    if model_type in known:
        return None
    return f"{what}'s model type is {model_type!r}, which has not been checked; checked types: {', '.join(known)}"
