"""Low-rank weights in the frozen LLM, LoRA or DoRA, by peft: put in, named, switched to training, and saved as its own.

peft replaces a chosen linear layer by one that holds it as `base_layer`, beside `lora_A` [rank, in], `lora_B`
[out, rank] and, of DoRA, `lora_magnitude_vector` [out].
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from transformers import PreTrainedModel

from layalign.families import modules_obstacle
from layalign.methods import Bridge

FOLDER = "lora"
"""Beside a bridge's own file: what `peft.PeftModel.from_pretrained` opens."""
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_OWN, _NAME = ".lora_", ".default"


def add_lora(decoder: PreTrainedModel, bridge: Bridge) -> None:
    """Put the low-rank weights of `bridge` into an LLM, where they change nothing yet (B is zero).

    They are fp32 beside narrower weights, as the rest of the bridge is, and fp64 in fp64.

    Raises:
        ValueError: the LLM has no such layers, or peft is not installed.
    """
    inject = the_library().inject_adapter_in_model
    if obstacle := modules_obstacle(decoder.config.model_type, bridge.lora_modules):
        raise ValueError(obstacle)
    inject(_config(bridge), decoder)
    wide = torch.promote_types(decoder.dtype, torch.float32)
    for parameter in lora_parameters(decoder).values():
        parameter.data = parameter.data.to(wide)


def lora_parameters(decoder: nn.Module) -> dict[str, nn.Parameter]:
    """The low-rank weights in an LLM by their place in it; none without them."""
    return {
        name.replace(_NAME, ""): parameter for name, parameter in decoder.named_parameters() if _OWN in name
    }


def frozen_parameters(model: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters of a model as it was published."""
    return (parameter for name, parameter in model.named_parameters() if _OWN not in name)


def switch_training(decoder: nn.Module, mode: bool) -> None:
    """Let the low-rank layers, which drop some of their input in training, train or not; the LLM beside them never."""
    for name, module in decoder.named_modules():
        if hasattr(module, "lora_A") or _OWN in f"{name}.":
            module.training = mode


@contextmanager
def kept_norms(decoder: nn.Module) -> Iterator[None]:
    """Within it, DoRA's matrix and norm of each layer are computed once, and kept: one matrix of memory a layer.

    While an answer is generated weights stay as they are.
    """
    layers = [layer for layer in decoder.modules() if hasattr(layer, "_dora_cache")]
    if not layers:
        yield
        return
    from peft.helpers import DoraCaching

    try:
        with DoraCaching():
            yield
    finally:
        for layer in layers:
            layer._dora_cache.clear()  # type: ignore[union-attr, operator]


def save_adapter(folder: Path, decoder: nn.Module, bridge: Bridge, name: str, revision: str | None) -> None:
    """Write the low-rank weights in peft's format.

    Args:
        folder: is made.
        decoder: that has them.
        bridge: their switches.
        name: of the LLM, as plain peft is to load it.
        revision: of the LLM on the hub.
    """
    config = _config(bridge)
    config.base_model_name_or_path, config.revision, config.inference_mode = name, revision, True
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(str(folder))
    weights = {_peft_name(name): stored(value) for name, value in lora_parameters(decoder).items()}
    (folder / ADAPTER_WEIGHTS).write_bytes(save(weights, metadata={"format": "pt"}))


def stored(value: Tensor) -> Tensor:
    """A weight as it is saved."""
    return value.detach().float().cpu().contiguous()


def _peft_name(name: str) -> str:
    """A weight's name in peft's file: DoRA's vector stands there without its `.weight`."""
    return "base_model.model." + name.replace("lora_magnitude_vector.weight", "lora_magnitude_vector")


def _config(bridge: Bridge) -> Any:
    return the_library().LoraConfig(
        r=bridge.lora_rank,
        lora_alpha=bridge.lora_alpha,
        lora_dropout=bridge.lora_dropout,
        target_modules=list(bridge.lora_modules),
        use_dora=bridge.lora == "dora",
        bias="none",
        task_type="CAUSAL_LM",
    )


def the_library() -> Any:
    """peft.

    Raises:
        ValueError: it is not installed.
    """
    try:
        import peft
    except ImportError as error:
        raise ValueError(
            f"model.lora needs peft, which cannot be imported ({error}): build the environment anew"
        ) from None
    return peft
