"""The frozen LLM: which ones have been checked, and its output layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from layalign.model.gated_attention import BASES

CHECKED = (
    "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text",
    "granite", "phi", "starcoder2", "smollm3", "glm4",
)  # fmt: skip
"""Model types on which batched = single, cached = uncached and beams have been tested."""


def check_decoder(config: PretrainedConfig) -> None:
    """Refuse an LLM whose attention has not been checked.

    Raises:
        ValueError: with the list of those that have.
    """
    if config.model_type not in CHECKED:
        raise ValueError(
            f"the LLM's model type is {config.model_type!r}, which has not been checked; "
            f"checked types: {', '.join(CHECKED)}"
        )


def attention_name(config: PretrainedConfig, wanted: str) -> str:
    """The gated attention that stands for `wanted`; `auto` is sdpa, or eager where scores are soft-capped.

    Raises:
        ValueError: soft-capped scores with sdpa, which cannot compute them.
    """
    capped = getattr(config, "attn_logit_softcapping", None) is not None
    if wanted == "auto":
        wanted = "eager" if capped else "sdpa"
    if capped and wanted == "sdpa":
        raise ValueError(f"model.attention is sdpa, but {config.model_type} caps its scores: use eager")
    assert wanted in BASES
    return f"layalign_{wanted}"


def load_decoder(name: str, revision: str | None, dtype: torch.dtype, attention: str) -> PreTrainedModel:
    """A pretrained LLM with the gated attention in place.

    Raises:
        ValueError: an unchecked model type.
        OSError: no such model in the cache or on disk (from transformers).
    """
    config = AutoConfig.from_pretrained(name, revision=revision)
    check_decoder(config)
    decoder = AutoModelForCausalLM.from_pretrained(name, revision=revision, dtype=dtype)
    decoder.set_attn_implementation(attention_name(config, attention))
    return decoder


def build_decoder(config: PretrainedConfig, attention: str = "auto") -> PreTrainedModel:
    """The same with random weights, for tests and for counting parameters."""
    check_decoder(config)
    decoder = AutoModelForCausalLM.from_config(config)
    decoder.set_attn_implementation(attention_name(config, attention))
    return decoder


def logits(decoder: PreTrainedModel, hidden_XD: Tensor) -> Tensor:
    """Output layer on chosen positions: what the LLM's own forward does after its last norm. [X, V], fp32."""
    head: nn.Module = decoder.get_output_embeddings()
    out_XV = head(hidden_XD)
    out_XV = out_XV.double() if out_XV.dtype == torch.float64 else out_XV.float()
    scale = getattr(decoder.config, "logits_scaling", None)
    if scale is not None:
        out_XV = out_XV / scale
    cap = getattr(decoder.config, "final_logit_softcapping", None)
    return out_XV if cap is None else cap * torch.tanh(out_XV / cap)
