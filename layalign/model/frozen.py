"""Frozen weights are those of the files, all of them, or the model is refused.

transformers gives a weight that it does not find random numbers, other ones at each load, and says so in a log. What
it reports is therefore read here, wherever a frozen model is loaded. The causes are those of public reports: DDP's or
PEFT's names, a shard that was not copied, a quantised checkpoint, a config of other sizes.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel
from transformers.utils import cached_file

from layalign.families import quantised_obstacle
from layalign.model.gaps import ADAPTER, MERGE, gaps_of, refusal, shown

NARROW = ("I8", "U8", "I16", "U16", "I32", "U32", "F8_E4M3", "F8_E5M2", "F4")


class ModelNotFound(ValueError):
    """A model that is no folder here and cannot be had from the cache of hub models."""


def whole(model: PreTrainedModel) -> nn.Module:
    """The part that is used where it is all of a model."""
    return model


def path_of(name: str) -> str:
    """A model's name as transformers takes it: a folder with its `~` resolved, or the name on the hub."""
    folder = Path(name).expanduser()
    return str(folder) if folder.is_dir() else name


def folder_of(name: str, revision: str | None) -> Path | None:
    """Where a model's files lie: its own folder, or that of its commit in the cache of hub models."""
    own = Path(path_of(name))
    if own.is_dir():
        return own.absolute()
    try:
        found = cached_file(name, "config.json", revision=revision, local_files_only=True)
    except OSError:
        return None
    return Path(found).parent if found else None


def read_config(name: str, revision: str | None) -> PretrainedConfig:
    """The config of a model on disk or in the cache.

    Raises:
        ModelNotFound: there is none.
        ValueError: its config cannot be read, or its weights are quantised.
    """
    try:
        config = AutoConfig.from_pretrained(path_of(name), revision=revision)
    except (
        Exception
    ) as error:  # of a file that somebody else wrote: every version has errors of its own for it
        if is_of_machine(error):
            raise
        raise _unreadable(name, revision, error) from error
    if obstacle := quantised_obstacle(name, config.to_dict()):
        raise ValueError(obstacle)
    return config


def embedding_rows(model: nn.Module) -> int:
    """Ids that a model has an embedding for."""
    embedding: Any = model.get_input_embeddings()  # type: ignore[operator]
    return int(embedding.weight.shape[0])


def load_frozen(
    auto: Any,
    name: str,
    revision: str | None,
    dtype: torch.dtype,
    part: Callable[[Any], nn.Module] = whole,
) -> nn.Module:
    """The part that is used of a pretrained model, each of its weights read from the files.

    Args:
        auto: class whose `from_pretrained` loads it.
        name: folder or hub name.
        revision: branch, tag or commit on the hub.
        dtype: of the weights.
        part: takes what is used out of the model, e.g. its encoder.

    Raises:
        ModelNotFound: there is none.
        ValueError: files that cannot be read, or that are not this model's.
    """
    if (Path(path_of(name)) / "adapter_config.json").exists():
        raise ValueError(f"{name} holds a PEFT adapter: {MERGE}")  # transformers would put it into the model
    options: dict[str, Any] = {"revision": revision, "dtype": dtype, "output_loading_info": True}
    try:
        # A size that differs is no error there, so that it stands in the report, by name: it is refused below.
        model, report = auto.from_pretrained(path_of(name), ignore_mismatched_sizes=True, **options)
    except (OSError, ValueError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        if is_of_machine(error):
            raise
        raise _unreadable(name, revision, error) from error
    if getattr(model, "_hf_peft_config_loaded", False):
        raise ValueError(f"{name} holds a PEFT adapter: {MERGE}")
    if narrow := _narrow(folder_of(name, revision)):
        raise ValueError(
            f"the weights in {name} are not those of its config: {shown(narrow)} have 8 bits or are whole numbers. "
            "They are quantised, without what their config should say of it: name the model that they were made from"
        )
    used = part(model)
    gaps = gaps_of(model, used, report)
    if gaps.missing or gaps.extra or gaps.sizes or any(map(ADAPTER.search, gaps.files_only)):
        raise ValueError(refusal(name, gaps))
    return used


def _narrow(folder: Path | None) -> tuple[str, ...]:
    """Matrices of fewer bits than a number of any model's: transformers would take their codes for numbers."""
    found = []
    for file in sorted(folder.glob("*.safetensors")) if folder else []:
        with contextlib.suppress(SafetensorError), safe_open(file, framework="pt") as content:
            slices = {name: content.get_slice(name) for name in content.keys()}  # noqa: SIM118 (no mapping)
            found += [n for n, s in slices.items() if len(s.get_shape()) > 1 and s.get_dtype() in NARROW]
    return tuple(found)


def _unreadable(name: str, revision: str | None, error: Exception) -> ValueError:
    """What to tell of a model that could not be opened."""
    folder = Path(path_of(name))
    said = (str(error).strip().splitlines() or [repr(error)])[0]
    if folder.is_dir():
        files = {file.name for file in folder.iterdir()}
        if "adapter_config.json" in files and "config.json" not in files:
            return ValueError(f"{name} holds a PEFT adapter, no model: {MERGE}")
        pointers = sorted(name for name in files if _is_pointer(folder / name))
        if pointers:
            said = (
                f"{shown(tuple(pointers))}: a Git LFS pointer, the file itself was not fetched (git lfs pull)"
            )
        return ValueError(f"the model in folder {name} cannot be read: {said}; copy it again, whole")
    at = f" at revision {revision}" if revision else ""
    return ModelNotFound(
        f"{name}{at} is no folder here, and cannot be opened from the cache of hub models: {said}; "
        "name a folder that exists, or fetch it with: python launch.py prefetch"
    )


def is_of_machine(error: Exception) -> bool:
    """Whether a disk or the memory failed, which says nothing about the model."""
    if isinstance(error, OSError):
        return bool(error.errno) and not isinstance(error, FileNotFoundError)
    return isinstance(error, RuntimeError) and "memory" in str(error)


def _is_pointer(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as content:
        return content.read(24) == b"version https://git-lfs."
