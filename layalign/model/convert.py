"""Encoders as jobs load them: the encoder half alone, in bf16, as safetensors.

A published encoder such as mT5-xl is 15 GB of pickled fp32 weights with a decoder that nobody here uses; the half
that is read is 3.3 GB in bf16 and opens by mapping the file. The result is what `load_encoder` gives in bf16, bit
for bit. `python -m layalign.model.convert NAME --revision COMMIT` makes it, once, beside the hub's cache.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModel, PreTrainedModel
from transformers.models.m2m_100.modeling_m2m_100 import M2M100Encoder

from layalign.data import sums
from layalign.model.encoder import ENCODER_HALVES, load_encoder
from layalign.model.frozen import load_frozen, read_config

DTYPE = torch.bfloat16


def converted_folder(name: str, revision: str | None) -> Path | None:
    """Where the converted encoder lies or would lie; None for one that has no commit (a folder, a moving branch)."""
    from huggingface_hub.constants import HF_HUB_CACHE

    if revision is None or len(revision) != 40:
        return None
    return (
        Path(HF_HUB_CACHE).parent
        / "layalign"
        / "encoders"
        / f"{name.replace('/', '--')}-{revision[:12]}-bf16"
    )


def load_converted(name: str, revision: str | None, dtype: torch.dtype) -> nn.Module | None:
    """The converted encoder; None where there is none, a damaged one, or where another precision is wanted."""
    folder = converted_folder(name, revision)
    if dtype != DTYPE or folder is None or not folder.is_dir():
        return None
    if told := sums.fault(folder):
        print(f"the converted encoder in {folder} is damaged ({told}): {name} itself is loaded", flush=True)
        return None
    return _open(folder)


def convert(name: str, revision: str) -> Path:
    """Make the converted encoder from the hub's cache, unless it is there and whole; returns its folder.

    Raises:
        ValueError: an unchecked model type, a revision that is no commit, no such model in the cache, or weights
            that are not those of its config.
    """
    folder = converted_folder(name, revision)
    if folder is None:
        raise ValueError(
            f"the revision of {name} is {revision!r}: converting needs its commit, 40 hexadecimal digits"
        )
    if folder.is_dir() and not sums.fault(folder):
        return folder
    encoder = load_encoder(name, revision, DTYPE)
    assert isinstance(encoder, PreTrainedModel)
    draft = folder.with_name(f".{folder.name}-{os.getpid()}")
    try:
        encoder.save_pretrained(draft)
        _check(encoder, _open(draft))
        sums.seal(draft)
        sums.place(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _open(folder: Path) -> nn.Module:
    """The encoder in a folder that holds nothing else."""
    model_type = read_config(str(folder), None).model_type
    cls = M2M100Encoder if model_type == "m2m_100" else ENCODER_HALVES.get(model_type, AutoModel)
    return load_frozen(cls, str(folder), None, DTYPE)


def _check(written: nn.Module, read: nn.Module) -> None:
    """What was written can be read, bit for bit."""
    one, other = written.state_dict(), read.state_dict()
    assert one.keys() == other.keys(), f"converting changed the names of weights: {one.keys() ^ other.keys()}"
    differing = [key for key in one if not torch.equal(one[key], other[key])]
    assert not differing, f"converting changed weights: {differing}"


def main() -> None:
    """One encoder, named on the command line."""
    parser = argparse.ArgumentParser(prog="layalign.model.convert")
    parser.add_argument("name", help="name on the hub; its files are in the cache")
    parser.add_argument("--revision", required=True, metavar="COMMIT")
    args = parser.parse_args()
    print(convert(args.name, args.revision))


if __name__ == "__main__":
    main()
