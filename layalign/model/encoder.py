"""The frozen multilingual encoder: which class to load, and what it hands on.

Shapes: B batch, S source tokens, K encoder states, C encoder width.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import AutoModel, PretrainedConfig

from layalign.families import type_obstacle
from layalign.methods import LEARNED, Layers
from layalign.model.frozen import load_frozen, read_config

ENCODER_HALVES: dict[str, Any] = {
    "t5": transformers.T5EncoderModel,
    "mt5": transformers.MT5EncoderModel,
    "umt5": transformers.UMT5EncoderModel,
}


def check_encoder(config: PretrainedConfig) -> None:
    """Refuse a model type that has not been checked, by its config class and never by its name.

    Raises:
        ValueError: with the list of those that have.
    """
    obstacle = type_obstacle("encoder", config.to_dict())
    if obstacle:
        raise ValueError(obstacle)


def load_encoder(name: str, revision: str | None, dtype: torch.dtype) -> nn.Module:
    """Encoder half of a pretrained model, or the whole of an encoder-only or decoder-only one.

    Raises:
        ValueError: an unchecked model type, no such model, or weights that are not those of its config.
    """
    config = read_config(name, revision)
    check_encoder(config)
    if config.model_type == "m2m_100":
        return load_frozen(AutoModel, name, revision, dtype, lambda model: model.get_encoder())
    return load_frozen(ENCODER_HALVES.get(config.model_type, AutoModel), name, revision, dtype)


def build_encoder(config: PretrainedConfig) -> nn.Module:
    """The same class with random weights, for tests and for counting parameters."""
    check_encoder(config)
    if config.model_type == "m2m_100":
        return AutoModel.from_config(config).get_encoder()
    half = ENCODER_HALVES.get(config.model_type)
    return half(config) if half else AutoModel.from_config(config)


def chosen_states(choice: Layers, layers: int) -> tuple[int, ...]:
    """Indices of the encoder states that are mixed: 0 is the embedding, `layers` the output.

    `all` is 0 .. layers - 1 (the output goes through the adapter), `last` the output, `mean` one average; a learned
    mean is of the outputs of all layers, 1 .. layers.

    Raises:
        ValueError: a layer that the encoder does not have.
    """
    if choice in ("all", "mean"):
        return tuple(range(layers))
    if choice == "last":
        return (layers,)
    if choice in LEARNED:
        return tuple(range(1, layers + 1))
    wrong = [layer for layer in choice if not 0 <= int(layer) <= layers]
    if wrong or not choice:
        raise ValueError(
            f"model.encoder_states is {list(choice)}: the encoder has states 0 (embedding) to {layers} (output)"
        )
    return tuple(int(layer) for layer in choice)


@torch.no_grad()
def encode(
    encoder: nn.Module, ids_BS: Tensor, mask_BS: Tensor, choice: Layers | None
) -> tuple[Tensor, Tensor | None]:
    """The encoder's output [B, S, C], and the states [K, B, S, C] that `choice` asks for (None: none)."""
    outputs = encoder(input_ids=ids_BS, attention_mask=mask_BS, output_hidden_states=choice is not None)
    if choice is None:
        return outputs.last_hidden_state, None
    hidden = (*outputs.hidden_states[:-1], outputs.last_hidden_state)
    picked = [hidden[i] for i in chosen_states(choice, len(hidden) - 1)]
    states_KBSC = torch.stack(picked)
    return outputs.last_hidden_state, states_KBSC.mean(0, keepdim=True) if choice == "mean" else states_KBSC
