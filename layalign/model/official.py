"""Read a checkpoint of the official LayAlign code (sustech-nlp/LayAlign, commit 06cf25c2).

Its `pytorch_model.bin` is the state of the whole model; only the bridge is taken.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

NAMES = {
    "mapping.end_boundary": "adapter.separator",
    "mapping.mlp.linear1.weight": "adapter.linear1.weight",
    "mapping.mlp.linear1.bias": "adapter.linear1.bias",
    "mapping.mlp.linear2.weight": "adapter.linear2.weight",
    "mapping.mlp.linear2.bias": "adapter.linear2.bias",
    "encoder_aligner.projector.fc1.weight": "aligner.mix.weight",
    "encoder_aligner.projector.fc1.bias": "aligner.mix.bias",
    "encoder_aligner.projector.fc2.weight": "aligner.project.weight",
    "encoder_aligner.projector.fc2.bias": "aligner.project.bias",
    "encoder_aligner.projector.fc3.weight": "aligner.out.weight",
    "encoder_aligner.projector.fc3.bias": "aligner.out.bias",
}
GATE = re.compile(r"layers\.(\d+)\.self_attn\.adaption_gate$")


def read_official(path: Path) -> dict[str, Tensor]:
    """A checkpoint file of the official code as bridge weights.

    Args:
        path: `pytorch_model.bin` (read with `weights_only=True`: no code in it is run) or a safetensors file.

    Raises:
        ValueError: the file holds no LayAlign bridge.
    """
    if path.suffix == ".safetensors":
        return from_official(load_file(path), str(path))
    return from_official(torch.load(path, map_location="cpu", weights_only=True), str(path))


def from_official(state: dict[str, Tensor], where: str) -> dict[str, Tensor]:
    """Official names and shapes to ours: [1, 1, D] separator to [D], one gate per layer to one vector.

    Raises:
        ValueError: the state holds no LayAlign bridge.
    """
    weights = {ours: state[theirs].float() for theirs, ours in NAMES.items() if theirs in state}
    gates = {int(m[1]): value for key, value in state.items() if (m := GATE.search(key))}
    if "adapter.separator" not in weights or not gates:
        raise ValueError(
            f"{where} is no checkpoint of the official LayAlign code: it has no mapping or no gates"
        )
    weights["adapter.separator"] = weights["adapter.separator"].flatten()
    weights["gates.value"] = torch.stack([gates[layer].float().reshape(()) for layer in sorted(gates)])
    return weights
