"""What the model is made of on disk: the backbones that a recipe names, and a bridge, to be saved and read.

A saved bridge holds the trained weights (safetensors), the tokenizers, and the names and revisions of the frozen
models; never their weights.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from layalign.config import ModelConfig
from layalign.methods import Bridge
from layalign.model.convert import load_converted
from layalign.model.decoder import load_decoder
from layalign.model.encoder import load_encoder
from layalign.model.frozen import path_of

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32, "fp64": torch.float64}
WEIGHTS, CONFIG = "bridge.safetensors", "bridge.json"
ENCODER_TOKENIZER, DECODER_TOKENIZER = "encoder_tokenizer", "decoder_tokenizer"


@dataclass(frozen=True)
class Tokenizers:
    """Tokenizers of both backbones."""

    encoder: PreTrainedTokenizerBase
    decoder: PreTrainedTokenizerBase

    @property
    def pads(self) -> tuple[int, int]:
        """Padding ids of encoder and LLM; where a tokenizer has none, its end token (padding is masked)."""
        return _pad_id(self.encoder), _pad_id(self.decoder)


class Bridged(Protocol):
    """What saving and loading needs of a model."""

    origin: ModelConfig | None
    bridge: Bridge

    def trainable(self) -> dict[str, nn.Parameter]:
        """Names and parameters of the bridge, always in the same order."""


def load_tokenizers(config: ModelConfig) -> Tokenizers:
    """Tokenizers of the two backbones.

    Raises:
        ValueError: a model without a tokenizer, or one that has no end token.
    """
    encoder = _tokenizer(config.encoder, config.encoder_revision)
    decoder = _tokenizer(config.decoder, config.decoder_revision)
    return Tokenizers(encoder, decoder)


def load_backbones(config: ModelConfig, bridge: Bridge) -> tuple[nn.Module | None, PreTrainedModel]:
    """The encoder, None where the bridge trains nothing, and the LLM, from disk or cache."""
    dtype = DTYPES[config.precision]
    encoder = _encoder(config, dtype) if bridge.trains else None
    return encoder, load_decoder(config.decoder, config.decoder_revision, dtype, config.attention)


def save_bridge(folder: Path, model: Bridged, tokenizers: Tokenizers) -> None:
    """Write a bridge into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().float().cpu().contiguous() for name, value in model.trainable().items()}
    save_file(weights, folder / WEIGHTS)
    tokenizers.encoder.save_pretrained(folder / ENCODER_TOKENIZER)
    tokenizers.decoder.save_pretrained(folder / DECODER_TOKENIZER)
    assert model.origin is not None
    told = {"model": dataclasses.asdict(model.origin), "bridge": dataclasses.asdict(model.bridge)}
    (folder / CONFIG).write_text(json.dumps(told, indent=1), encoding="utf-8")


def load_weights(model: Bridged, folder: Path) -> None:
    """Put a saved bridge's weights into a model.

    Raises:
        ValueError: no bridge there, or one of another shape.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise ValueError(
            f"{folder} holds no bridge ({WEIGHTS} is missing): name a finished run's bridge folder"
        )
    put_weights(model, load_file(path), str(path))


def put_weights(model: Bridged, weights: dict[str, torch.Tensor], where: str) -> None:
    """Copy named weights into a model's bridge, strictly by name and shape.

    Raises:
        ValueError: a missing, left-over or differently shaped weight.
    """
    own = model.trainable()
    absent, extra = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    if absent or extra:
        raise ValueError(
            f"the bridge in {where} does not fit this method: it lacks {absent or 'nothing'} "
            f"and has {extra or 'nothing'} too much; start from one that was trained with the same switches"
        )
    for name, parameter in own.items():
        if parameter.shape != weights[name].shape:
            raise ValueError(
                f"{name} in {where} is {tuple(weights[name].shape)}, the models need {tuple(parameter.shape)}: "
                "it was trained for other backbones"
            )
        parameter.data.copy_(weights[name])


def read_bridge(folder: Path, **changes: Any) -> tuple[ModelConfig, Bridge]:
    """The backbones of a saved bridge, and its switches.

    Args:
        folder: as `save_bridge` wrote it.
        changes: fields of `ModelConfig` to replace, e.g. `decoder=` for a moved folder.

    Raises:
        ValueError: no bridge there.
    """
    try:
        told = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except OSError:
        raise ValueError(f"{folder} holds no bridge ({CONFIG} is missing)") from None
    model, bridge = ({k: _tuples(v) for k, v in told[key].items()} for key in ("model", "bridge"))
    return dataclasses.replace(ModelConfig(**model), **changes), Bridge(**bridge)


def saved_tokenizers(folder: Path) -> Tokenizers:
    """The tokenizers that were saved with a bridge."""
    return Tokenizers(
        AutoTokenizer.from_pretrained(folder / ENCODER_TOKENIZER),
        AutoTokenizer.from_pretrained(folder / DECODER_TOKENIZER),
    )


def _encoder(config: ModelConfig, dtype: torch.dtype) -> nn.Module:
    """The encoder, from its converted half where that has been made."""
    name, revision = config.encoder, config.encoder_revision
    return load_converted(name, revision, dtype) or load_encoder(name, revision, dtype)


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _tokenizer(name: str, revision: str | None) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(path_of(name), revision=revision)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{name} has no tokenizer that can be loaded: {str(error).splitlines()[0]}"
        ) from None
    if tokenizer.eos_token_id is None and tokenizer.pad_token_id is None:
        raise ValueError(f"the tokenizer of {name} has neither an end nor a padding token")
    return tokenizer


def _pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    assert pad is not None
    return int(pad)
