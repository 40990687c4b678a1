"""Folders that look like models to whoever reads names, sizes and headers; their weights are sparse files."""

from __future__ import annotations

import json
import struct
from pathlib import Path


def write_shard(path: Path, tensors: dict[str, int]) -> None:
    """A safetensors file that holds tensors of these sizes in bytes; it takes no room on disk."""
    header, end = {}, 0
    for name, size in tensors.items():
        header[name] = {"dtype": "U8", "shape": [size], "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


def write_model(folder: Path, model_type: str = "llama", shards: int = 1, size: int = 64) -> Path:
    """A whole model: config, tokenizer, and weights of `size` bytes in one file or in shards with their index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    (folder / "tokenizer.json").write_text(json.dumps({"model": {}}))
    if shards == 1:
        write_shard(folder / "model.safetensors", {"a": size})
        return folder
    names = [f"model-{number:05d}-of-{shards:05d}.safetensors" for number in range(1, shards + 1)]
    for number, name in enumerate(names):
        write_shard(folder / name, {f"layers.{number}": size // shards})
    placed = {f"layers.{number}": name for number, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))
    return folder
