"""Whether a model's files are whole, by names, sizes and headers: nothing is loaded, so a login node answers at once.

Formats: github.com/huggingface/safetensors, "Format" (eight bytes of length, a header in JSON, the tensors' bytes);
pytorch_model.bin is a zip archive, or a bare pickle before torch 1.6; git-lfs.com, "spec" (what `git clone` leaves of a
large file where Git LFS is not installed).
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""What transformers loads, the first that is there; either may be an index of shards."""
TOKENIZERS = (
    "tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt",
)  # fmt: skip
"""Files of which a model must have one for its tokenizer to load."""
NO_VOCABULARY = ("ByT5Tokenizer",)
"""Tokenizers that need no such file."""
POINTER = b"version https://git-lfs.github.com/spec/"
PICKLE = b"\x80"
WRAPPED = {"module.": "DDP or DeepSpeed", "_orig_mod.": "torch.compile", "base_model.": "PEFT"}
"""Beginnings of names that a model's weights have inside something else: transformers would find none of them."""
LONGEST_HEADER = 100_000_000
"""Bytes of a safetensors header at most, as the library itself has it."""
SHOWN = 4


def read_config(folder: Path) -> dict[str, Any] | None:
    """A model's `config.json`; None if there is none that can be read."""
    try:
        told = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def model_faults(folder: Path) -> list[str]:
    """What of a model's files is missing, cut short or unreadable, a line each; none if all is there."""
    if not any(folder.iterdir()):
        return ["the folder is empty"]
    return [*_config_faults(folder), *_tokenizer_faults(folder), *_weights_faults(folder)]


def shards_of(folder: Path) -> dict[str, set[str] | None] | None:
    """The files that hold a model's weights, each with the names of its tensors where an index tells them.

    Returns:
        None where there are no weights at all.

    Raises:
        ValueError: an index that cannot be read.
    """
    for name in WEIGHTS:
        if (folder / name).exists():
            return {name: None}
        index = folder / f"{name}.index.json"
        if index.exists():
            return _indexed(index)
    return None


def _indexed(index: Path) -> dict[str, set[str] | None]:
    try:
        placed = json.loads(index.read_bytes())["weight_map"]
        shards: dict[str, set[str] | None] = {shard: set() for shard in sorted(set(placed.values()))}
        for tensor, shard in placed.items():
            names = shards[shard]
            assert names is not None
            names.add(tensor)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{index.name} is no index of shards: {_why_unreadable(index)}") from None
    return shards


def _config_faults(folder: Path) -> list[str]:
    path = folder / "config.json"
    if (folder / "adapter_config.json").exists():
        return ["it holds a PEFT adapter, which must be merged into its model (merge_and_unload of peft)"]
    if not path.exists():
        return ["config.json is missing"]
    config = read_config(folder)
    if config is None:
        return [f"config.json is no JSON: {_why_unreadable(path)}"]
    return [] if config.get("model_type") else ["config.json names no model_type"]


def _tokenizer_faults(folder: Path) -> list[str]:
    there = [name for name in TOKENIZERS if (folder / name).exists()]
    if not there:
        try:
            told = json.loads((folder / "tokenizer_config.json").read_bytes())
        except (OSError, ValueError):
            told = {}
        return [] if told.get("tokenizer_class") in NO_VOCABULARY else ["the tokenizer is missing"]
    return [fault for name in there if (fault := _text_fault(folder / name))]


def _text_fault(path: Path) -> str | None:
    """Whether a JSON file, which may be long, is cut short; of other files whether there is anything."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(POINTER))
            file.seek(-min(path.stat().st_size, 64), 2)
            end = file.read().rstrip()
    except OSError as error:
        return f"{path.name} cannot be read: {error.strerror}"
    if not begin or begin == POINTER:
        return f"{path.name} is {_why_unreadable(path)}"
    if path.suffix == ".json" and not (begin.lstrip()[:1] == b"{" and end.endswith(b"}")):
        return f"{path.name} is cut short"
    return None


def _weights_faults(folder: Path) -> list[str]:
    try:
        shards = shards_of(folder)
    except ValueError as error:
        return [str(error)]
    if shards is None:
        return [
            "the weights are missing: neither model.safetensors, pytorch_model.bin nor an index of shards"
        ]
    absent = [name for name in shards if not (folder / name).exists()]
    faults = [f"{_listed(absent)} of {len(shards)} files of weights missing"] if absent else []
    for name, tensors in shards.items():
        if name not in absent and (fault := _file_fault(folder / name, tensors)):
            faults.append(fault)
    return faults


def _file_fault(path: Path, tensors: set[str] | None) -> str | None:
    """What is wrong with one file of weights, which should hold these tensors."""
    try:
        with path.open("rb") as file:
            begin = file.read(len(POINTER))
    except OSError as error:
        return f"{path.name} cannot be read: {error.strerror}"
    if not begin or begin == POINTER:
        return f"{path.name} is {_why_unreadable(path)}"
    if path.suffix != ".safetensors":
        whole = begin.startswith(PICKLE) or zipfile.is_zipfile(path)
        return None if whole else f"{path.name} is cut short: it has no end"
    try:
        names, length = _header(path)
    except ValueError as error:
        return f"{path.name} {error}"
    size = path.stat().st_size
    if size != length:
        what = "cut short" if size < length else "too long"
        return f"{path.name} is {what}: it has {size:,} bytes, its header promises {length:,}"
    prefix = next((p for p in WRAPPED if names and all(name.startswith(p) for name in names)), None)
    if prefix:
        return (
            f"the names of all weights in {path.name} begin with {prefix!r} ({_listed(sorted(names))}), as "
            f"{WRAPPED[prefix]} saves them: save the model itself, unwrapped"
        )
    lost = sorted((tensors or set()) - names)
    return f"{path.name} lacks {_listed(lost)}, which the index places there" if lost else None


def _header(path: Path) -> tuple[set[str], int]:
    """Names of the tensors in a safetensors file, and the length that the whole file should have.

    Raises:
        ValueError: it has no such header.
    """
    with path.open("rb") as file:
        begin = file.read(8)
        length = struct.unpack("<Q", begin)[0] if len(begin) == 8 else 0
        if not 0 < length <= LONGEST_HEADER:
            raise ValueError("is no safetensors file: it does not begin with the length of a header")
        text = file.read(length)
    if len(text) < length:
        raise ValueError("is cut short: its header is not whole")
    try:
        told = json.loads(text)
        tensors = {name: facts["data_offsets"][1] for name, facts in told.items() if name != "__metadata__"}
        return set(tensors), 8 + length + max(tensors.values(), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise ValueError("is no safetensors file: its header cannot be read") from None


def _why_unreadable(path: Path) -> str:
    """In words what a small file that should hold more is."""
    try:
        begin = path.open("rb").read(len(POINTER))
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    if begin == POINTER:
        return "only the pointer that `git clone` leaves without Git LFS; fetch it with prefetch, or by git lfs pull"
    return "cut short or damaged" if begin else "empty"


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    rest = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + rest
