"""The frozen LLM: which ones have been checked, and its output layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.utils import is_flash_attn_2_available

from layalign.families import type_obstacle
from layalign.model.frozen import load_frozen, read_config
from layalign.model.gated_attention import BASES


def check_decoder(config: PretrainedConfig) -> None:
    """Refuse an LLM whose attention has not been checked.

    Raises:
        ValueError: with the list of those that have.
    """
    obstacle = type_obstacle("decoder", config.to_dict())
    if obstacle:
        raise ValueError(obstacle)


def use_gated_attention(decoder: PreTrainedModel, wanted: str) -> PreTrainedModel:
    """Put the gated attention that stands for `wanted` in place; `auto` is sdpa, or eager where scores are capped.

    The name is set on the config itself: `set_attn_implementation` would look for a kernel of that name on the hub.

    Raises:
        ValueError: an attention that this LLM or this machine cannot compute.
    """
    config = decoder.config
    capped = getattr(config, "attn_logit_softcapping", None) is not None
    if wanted == "auto":
        wanted = "eager" if capped else "sdpa"
    if capped and wanted == "sdpa":
        raise ValueError(f"model.attention is sdpa, but {config.model_type} caps its scores: use eager")
    if wanted == "flash_attention_2" and not is_flash_attn_2_available():
        raise ValueError(
            "model.attention is flash_attention_2, which needs the flash_attn package and a GPU: use sdpa"
        )
    assert wanted in BASES
    config._attn_implementation = f"layalign_{wanted}"
    return decoder


def load_decoder(name: str, revision: str | None, dtype: torch.dtype, attention: str) -> PreTrainedModel:
    """A pretrained LLM with the gated attention in place.

    Raises:
        ValueError: an unchecked model type, an attention that cannot be had, no such model, or weights that are not
            those of its config.
    """
    check_decoder(read_config(name, revision))
    model = load_frozen(AutoModelForCausalLM, name, revision, dtype, text_half)
    assert isinstance(model, PreTrainedModel)
    return use_gated_attention(model, attention)


def text_half(model: PreTrainedModel) -> PreTrainedModel:
    """The LLM of a model that also sees (`Gemma3ForConditionalGeneration`), in the class that such an LLM has alone;
    any other model as it is."""
    if model.config.get_text_config() is model.config:
        return model
    reader = model.model.language_model
    with torch.device("meta"):
        half: PreTrainedModel = AutoModelForCausalLM.from_config(reader.config)
    half.model, half.lm_head = reader, model.get_output_embeddings()
    half.config, half.generation_config = reader.config, model.generation_config
    return half


def build_decoder(config: PretrainedConfig, attention: str = "auto") -> PreTrainedModel:
    """The same with random weights, for tests and for counting parameters."""
    check_decoder(config)
    return use_gated_attention(text_half(AutoModelForCausalLM.from_config(config)), attention)


def logits(decoder: PreTrainedModel, hidden_XD: Tensor) -> Tensor:
    """Output layer on chosen positions: what the LLM's own forward does after its last norm. [X, V], fp32."""
    head: nn.Module = decoder.get_output_embeddings()
    out_XV = head(hidden_XD)
    out_XV = out_XV.double() if out_XV.dtype == torch.float64 else out_XV.float()
    divisor, factor = (getattr(decoder.config, key, None) for key in ("logits_scaling", "logit_scale"))
    if divisor is not None:
        out_XV = out_XV / divisor
    if factor is not None:
        out_XV = out_XV * factor
    cap = getattr(decoder.config, "final_logit_softcapping", None)
    return out_XV if cap is None else cap * torch.tanh(out_XV / cap)


def chosen_layers(choice: str | tuple[int, ...], layers: int) -> tuple[int, ...]:
    """LLM layers that have cross-attention.

    Raises:
        ValueError: a layer that the LLM does not have.
    """
    if choice == "all":
        return tuple(range(layers))
    wrong = [layer for layer in choice if not 0 <= int(layer) < layers]
    if wrong or not choice:
        raise ValueError(f"model.decoder_layers is {list(choice)}: the LLM has layers 0 to {layers - 1}")
    return tuple(int(layer) for layer in choice)
