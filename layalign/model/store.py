"""What the model is made of on disk: the backbones that a recipe names, and a bridge, to be saved and read.

A saved bridge holds its weights (safetensors), the tokenizers, and the names and revisions of the frozen models; never
their weights. Low-rank weights in the LLM stand among its own, and once more in the folder `lora` as peft opens them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn
from transformers import PreTrainedModel

from layalign.config import BRIDGE_WEIGHTS, ModelConfig
from layalign.data.files import checksum, writing
from layalign.data.sums import sealed_record, unsealed_record
from layalign.methods import Bridge
from layalign.model.comparison import compare, note_missing
from layalign.model.convert import load_converted
from layalign.model.decoder import load_decoder
from layalign.model.encoder import load_encoder
from layalign.model.lora import ADAPTER_WEIGHTS, save_adapter, stored, the_library
from layalign.model.lora import FOLDER as LORA
from layalign.model.record import DTYPES, PARTS, Recorded, read_record, record_of
from layalign.model.tokenizers import Tokenizers, load_tokenizers, open_tokenizer

__all__ = [
    "Tokenizers", "load_backbones", "load_tokenizers", "load_weights", "needs", "put_weights", "read_bridge",
    "save_bridge", "saved_tokenizers",
]  # fmt: skip
WEIGHTS, CONFIG = BRIDGE_WEIGHTS, "bridge.json"
ENCODER_TOKENIZER, DECODER_TOKENIZER = "encoder_tokenizer", "decoder_tokenizer"
ADAPTER_FILES = (f"{LORA}/{ADAPTER_WEIGHTS}", f"{LORA}/adapter_config.json")


class Bridged(Recorded, Protocol):
    """What saving and loading needs of a model."""

    bridge: Bridge

    def weights(self) -> dict[str, nn.Parameter]:
        """Names and parameters of the bridge, always in the same order."""


def load_backbones(
    config: ModelConfig, bridge: Bridge, device: torch.device
) -> tuple[nn.Module | None, PreTrainedModel]:
    """The encoder, None where nothing reads it, and the LLM, from disk or cache, on a device.

    Raises:
        ValueError: as `load_encoder` and `load_decoder`, or peft is not installed and is needed.
    """
    if bridge.lora != "none":
        the_library()  # before minutes of loading
    dtype = DTYPES[config.precision]
    encoder = _encoder(config, dtype) if bridge.reads_encoder else None
    decoder = load_decoder(config.decoder, config.decoder_revision, dtype, config.attention)
    for part in (encoder, decoder):
        if part is not None:
            nn.Module.to(part, device)
    return encoder, decoder


def save_bridge(folder: Path, model: Bridged, tokenizers: Tokenizers) -> None:
    """Write a bridge into `folder`, which is made.

    Raises:
        OSError: it cannot be written; the error names the file or the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: stored(value) for name, value in model.weights().items()}
    origin, bridge = model.origin, model.bridge
    assert origin is not None
    content = {"model": dataclasses.asdict(origin), "bridge": dataclasses.asdict(bridge)}
    with writing(folder):
        (folder / WEIGHTS).write_bytes(save(weights))  # `save_file` gives mode 0600 whatever the umask says
        tokenizers.encoder.save_pretrained(folder / ENCODER_TOKENIZER)
        tokenizers.decoder.save_pretrained(folder / DECODER_TOKENIZER)
        if bridge.lora != "none":
            save_adapter(folder / LORA, model.decoder, bridge, origin.decoder, origin.decoder_revision)
            content["adapter"] = {name: checksum(folder / name) for name in ADAPTER_FILES}
        told = sealed_record(content)
        told["sha256"] = checksum(folder / WEIGHTS)
        (folder / CONFIG).write_text(json.dumps(told, indent=1), encoding="utf-8")
    if model.backbones:
        record_of(model, tokenizers).write(folder)


def load_weights(
    model: Bridged, folder: Path, tokenizers: Tokenizers | None = None, start: bool = False
) -> None:
    """Put a saved bridge's weights into a model that has the models and tokenizers that the bridge was trained on.

    Args:
        model: with its backbones.
        folder: of the bridge.
        tokenizers: that will feed the model; None are those of its backbones.
        start: it is to be trained from there: low-rank weights that the bridge lacks stay as they are.

    Raises:
        ValueError: no bridge there, one of another shape, or one that was trained on other models or tokens.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise ValueError(
            f"{folder} holds no bridge ({WEIGHTS} is missing): name a finished run's bridge folder"
        )
    _check_whole(folder)
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}): copy the bridge again, or train it anew") from None
    fresh = start and not any(map(_in_llm, weights))
    own = {name: value for name, value in model.weights().items() if not (fresh and _in_llm(name))}
    put_weights(model, weights, str(path), own)
    if model.backbones:
        _check_record(model, folder, tokenizers)


def _check_whole(folder: Path) -> None:
    """Compare the weights with the checksum beside them, where there is one."""
    try:
        content = _read_config(folder)
        told, adapter = content.get("sha256"), dict(content.get("adapter") or {})
    except FileNotFoundError:
        return  # weights alone are enough to start from; what is beside them is read by `read_bridge`
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{folder / CONFIG} is damaged ({error}): copy the bridge again from where it was made, or train it anew"
        ) from None
    if told is not None and told != checksum(folder / WEIGHTS):
        raise ValueError(
            f"{folder / WEIGHTS} has changed since it was written: its SHA-256 is not the one in {CONFIG}; copy the "
            "bridge again from where it was made, or train it anew"
        )
    for name, digest in adapter.items():
        if (folder / name).is_file() and checksum(folder / name) != digest:
            raise ValueError(
                f"{folder / name} has changed since it was written, beside weights in {WEIGHTS} that have not: "
                f"remove the folder {LORA}, which only peft reads, or copy the bridge again"
            )


def _in_llm(name: str) -> bool:
    return name.startswith("lora.")


def _read_config(folder: Path) -> dict[str, Any]:
    """What stands beside the weights; their `sha256` is told by themselves, the rest by its own checksum."""
    told = json.loads((folder / CONFIG).read_bytes())
    own = told.pop("sha256", None)
    return {**unsealed_record(told), "sha256": own}


def _check_record(model: Bridged, folder: Path, tokenizers: Tokenizers | None) -> None:
    """Compare with what the bridge was trained on, as far as it says."""
    told, where = read_record(folder), f"the bridge in {folder}"
    if told is None:
        note_missing(where, model.backbones["decoder"].kind)
        return
    assert model.origin is not None
    compare(told, model, tokenizers or load_tokenizers(model.origin), where)


def put_weights(
    model: Bridged,
    weights: Mapping[str, torch.Tensor],
    where: str,
    own: Mapping[str, nn.Parameter] | None = None,
) -> None:
    """Copy named weights into a model's bridge, strictly by name and shape.

    Args:
        model: whose bridge it is.
        weights: by name.
        where: they come from, for messages.
        own: those of the bridge's that are meant; None is all.

    Raises:
        ValueError: a missing, left-over or differently shaped weight, or one that is not a number.
    """
    own = model.weights() if own is None else own
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
        if not bool(torch.isfinite(weights[name]).all()):
            raise ValueError(
                f"{name} in {where} holds weights that are not numbers (NaN or infinite): its training diverged"
            )
        parameter.data.copy_(weights[name])


def read_bridge(folder: Path, **changes: Any) -> tuple[ModelConfig, Bridge]:
    """The backbones of a saved bridge, at the commits that it was trained on, and its switches.

    Args:
        folder: as `save_bridge` wrote it.
        changes: fields of `ModelConfig` to replace, e.g. `decoder=` for a moved folder.

    Raises:
        ValueError: no bridge there, or a damaged one.
    """
    try:
        told = _read_config(folder)
        model, bridge = ({k: _tuples(v) for k, v in told[key].items()} for key in ("model", "bridge"))
        config, switches = ModelConfig(**model), Bridge(**bridge)
    except OSError:
        raise ValueError(f"{folder} holds no bridge ({CONFIG} is missing)") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder / CONFIG} is damaged ({error!r}): copy the bridge again") from None
    record = read_record(folder)
    commits = {f"{part}_revision": one.commit for part, one in record.parts().items()} if record else {}
    known = {key: commit for key, commit in commits.items() if commit and getattr(config, key) is None}
    return dataclasses.replace(config, **{**known, **changes}), switches


def needs(folder: Path) -> str:
    """The models that a saved bridge was trained on, and how to name others, for messages."""
    config, record = read_bridge(folder)[0], read_record(folder)
    parts = {part: one.title for part, one in record.parts().items()} if record else {}
    named = parts or {part: getattr(config, part) for part in PARTS}
    listed = " and ".join(f"{PARTS[part]} {title}" for part, title in named.items())
    return (
        f"the bridge in {folder} needs {listed}: where they lie elsewhere, name their folders, "
        "LayAlign.from_pretrained(bridge, encoder=FOLDER, decoder=FOLDER)"
    )


def saved_tokenizers(folder: Path) -> Tokenizers:
    """The tokenizers that were saved with a bridge.

    Raises:
        ValueError: they are not there, or cannot be opened.
    """
    return Tokenizers(
        open_tokenizer(str(folder / ENCODER_TOKENIZER), None),
        open_tokenizer(str(folder / DECODER_TOKENIZER), None),
    )


def _encoder(config: ModelConfig, dtype: torch.dtype) -> nn.Module:
    """The encoder, from its converted half where that has been made."""
    name, revision = config.encoder, config.encoder_revision
    return load_converted(name, revision, dtype) or load_encoder(name, revision, dtype)


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
