"""Tiny models of random weights in real folders, and what befalls such folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, PreTrainedModel

from tests.layalign.model.test_architectures import DECODERS, ENCODERS, SMALL

Weights = dict[str, torch.Tensor]


def write_decoder(folder: Path, kind: str = "llama", **changes: Any) -> Path:
    """An LLM of random weights."""
    torch.manual_seed(1)
    config = AutoConfig.for_model(kind, **SMALL | DECODERS[kind] | changes)
    return write(folder, transformers.AutoModelForCausalLM.from_config(config))


def write_encoder(folder: Path, kind: str, cls: type[PreTrainedModel], **changes: Any) -> Path:
    """An encoder of random weights, as a class of transformers saves it."""
    torch.manual_seed(1)
    return write(folder, cls(AutoConfig.for_model(kind, **ENCODERS[kind] | changes)))


def write(folder: Path, model: PreTrainedModel) -> Path:
    model.save_pretrained(folder)
    return folder


def edit_weights(folder: Path, change: Callable[[Weights], Weights]) -> Path:
    """Rewrite the one file of weights."""
    path = folder / "model.safetensors"
    weights = {name: value.clone() for name, value in load_file(path).items()}
    save_file(change(weights), path, metadata={"format": "pt"})
    return folder


def edit_json(path: Path, **changes: Any) -> Path:
    """Change keys of a JSON file; a value of `...` takes the key out."""
    told = {**json.loads(path.read_text()), **changes} if path.exists() else changes
    path.write_text(json.dumps({key: value for key, value in told.items() if value is not ...}))
    return path


def renamed(change: Callable[[str], str]) -> Callable[[Weights], Weights]:
    return lambda weights: {change(name): value for name, value in weights.items()}


def without(*parts: str) -> Callable[[Weights], Weights]:
    return lambda weights: {k: v for k, v in weights.items() if not any(part in k for part in parts)}
