"""What is tried on a frozen model when it is loaded: that it computes, and computes what the bridge relies on.

It costs one pass over the weights (a sum and the extremes of each) and two forward passes of a handful of tokens.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedModel

from layalign.model.decoder import logits
from layalign.model.encoder import encode
from layalign.model.frozen import embedding_rows
from layalign.model.gaps import LAYER, shown
from layalign.model.lora import frozen_parameters

TOKENS = 8
VALUES = 16
TOLERANCE = {torch.bfloat16: 0.05, torch.float32: 1e-3, torch.float64: 1e-6}
"""How far two ways of computing logits may be apart in one process, as a share of how far the logits are spread. On
average: the output layer rounds single logits otherwise than ours, where it caps them in bf16."""
DRIFT = {"bf16": 0.25, "fp32": 0.02, "fp64": 1e-4}
"""The same between machines, on average: a GPU rounds otherwise than a CPU, and layers add it up."""


def check_numbers(module: nn.Module, what: str) -> None:
    """Refuse weights that are not numbers, or say nothing: a file with holes is as long as a whole one.

    Raises:
        ValueError: naming the first weights that hold NaN or infinity, or the part whose matrices are constant.
    """
    parameters = {name: value.detach() for name, value in module.named_parameters() if value.numel()}
    extremes = torch.stack(
        [torch.stack(torch.aminmax(value)).double() for value in parameters.values()]
    ).tolist()
    broken = tuple(name for name, pair in zip(parameters, extremes) if not all(map(math.isfinite, pair)))
    if broken:
        raise ValueError(
            f"{what} has weights that are not numbers (NaN or infinite): {shown(broken)}; "
            "it was saved from a training that had diverged, or converted to a type too narrow for it: get it anew"
        )
    said: dict[str, bool] = {}
    for (name, value), (low, high) in zip(parameters.items(), extremes):
        if min(value.shape) > 1 < value.ndim:
            layer = LAYER.match(name)
            part = layer[1] if layer else name
            said[part] = said.get(part, False) or low != high
    if silent := tuple(part for part, speaks in said.items() if not speaks):
        raise ValueError(
            f"{what} has parts whose weights are all one number: {shown(silent)}; its files were not copied whole "
            "(a hole in a file reads as zeros): copy them again"
        )


def check_start(decoder: PreTrainedModel) -> None:
    """Refuse an LLM whose start token has no embedding: it stands before every input.

    Raises:
        ValueError: with its id.
    """
    bos, rows = decoder.config.bos_token_id, embedding_rows(decoder)
    if bos is not None and not 0 <= bos < rows:
        raise ValueError(
            f"the LLM's config.json names {bos} as its start token (bos_token_id), and its embedding has {rows} rows "
            f"(0 to {rows - 1}): give it the id that its tokenizer uses"
        )


@torch.no_grad()
def digest(module: nn.Module, dtype: torch.dtype) -> str:
    """What identifies the weights of a model as published: the same in any file, folder or library version.

    The bits of each weight are added up, 64 at a time; names and places are not part of it, since versions of
    transformers rename modules and tie weights differently.

    Args:
        module: with its weights on any device.
        dtype: that the weights count in: theirs, or a narrower one.
    """
    return digest_of(frozen_parameters(module), dtype)


@torch.no_grad()
def digest_of(values: Iterable[Tensor], dtype: torch.dtype) -> str:
    """The same of weights in any order."""
    sums = {(tuple(value.shape), _sum(value.detach().to(dtype))) for value in values}
    return hashlib.sha256(repr(sorted(sums)).encode()).hexdigest()[:16]


def _sum(value: Tensor) -> int:
    """Sum of the bits of a tensor as 64-bit numbers, modulo 2^64."""
    flat = value.contiguous().view(-1)
    if flat.data_ptr() % 8:
        flat = flat.clone()
    raw = flat.view(torch.uint8)
    even = len(raw) // 8 * 8
    rest = raw[even:].long()
    places = 8 * torch.arange(len(rest), device=raw.device)
    total = raw[:even].view(torch.int64).sum() + (rest << places).sum()
    return int(total)


@torch.no_grad()
def encoder_values(encoder: nn.Module) -> tuple[float, ...]:
    """Some numbers of what an encoder makes of fixed tokens."""
    ids_BS = _ids(encoder)
    states_BSC, _ = encode(encoder, ids_BS, torch.ones_like(ids_BS), None)
    return _some(states_BSC[0, -1])


@torch.no_grad()
def decoder_values(decoder: PreTrainedModel) -> tuple[float, ...]:
    """Some logits of what an LLM makes of fixed embeddings, given as the adapter gives its own.

    They are rows of the embedding's weight. Whether the model scales what it is given, where it puts positions and
    how it normalises decides these numbers, so that they tell a library that has come to do it otherwise.
    """
    weight_VD = decoder.get_input_embeddings().weight
    embeds_BTD = weight_VD[_ids(decoder)].to(decoder.dtype)  # type: ignore[index]
    hidden_BTD = decoder.base_model(inputs_embeds=embeds_BTD, use_cache=False).last_hidden_state
    return _some(logits(decoder, hidden_BTD[0, -1]))


@torch.no_grad()
def embedding_scale(decoder: PreTrainedModel) -> float:
    """What an LLM's embedding layer multiplies its weight by: the size of a looked-up token beside its row."""
    embedding = decoder.get_input_embeddings()
    ids = _ids(decoder)
    looked_up, rows = embedding(ids), embedding.weight[ids]  # type: ignore[index]
    return float(looked_up.double().norm() / rows.double().norm().clamp(min=1e-12))


def drift(told: tuple[float, ...], now: tuple[float, ...]) -> float:
    """How far two lists of the same values are apart, as a share of how far the first are spread."""
    one, other = (torch.tensor(values, dtype=torch.float64) for values in (told, now))
    return float((one - other).square().mean().sqrt() / one.std().clamp(min=1e-12))


def _ids(model: nn.Module) -> Tensor:
    """A handful of tokens from all over a vocabulary, `[1, TOKENS]`."""
    rows = embedding_rows(model)
    return torch.linspace(0, rows - 1, min(TOKENS, rows)).long()[None].to(next(model.parameters()).device)


def _some(values_X: Tensor) -> tuple[float, ...]:
    places = torch.linspace(0, len(values_X) - 1, min(VALUES, len(values_X))).long().to(values_X.device)
    return tuple(float(f"{value:.6g}") for value in values_X[places].double().tolist())


@torch.no_grad()
def check_embeddings(decoder: PreTrainedModel) -> None:
    """Refuse an LLM that computes something else from embeddings of tokens than from the tokens.

    The bridge gives the LLM embeddings, and generation goes on with tokens: both must mean the same. Up to 5.3.0
    transformers' Gemma multiplied all embeddings that it was given by the root of its width, since then only those
    that it looks up itself. Also compared is our output layer with the LLM's own (`decoder.logits`).

    Raises:
        ValueError: the logits differ, or are not numbers.
    """
    ids = _ids(decoder)
    mask = torch.ones_like(ids)
    places = torch.arange(ids.shape[1], device=ids.device)[None]
    same = {"attention_mask": mask, "position_ids": places, "use_cache": False}
    own = decoder(input_ids=ids, **same).logits
    embeds = decoder.get_input_embeddings()(ids).to(decoder.dtype)
    hidden = decoder.base_model(inputs_embeds=embeds, **same).last_hidden_state
    ours = logits(decoder, hidden)
    kind, version = decoder.config.model_type, transformers.__version__
    if not bool(torch.isfinite(own).all() and torch.isfinite(ours).all()):
        raise ValueError(
            f"the LLM ({kind}) computes logits that are not numbers from {TOKENS} ordinary tokens, in {decoder.dtype} "
            f"on {decoder.device} with transformers {version}: try model.precision=fp32, or get the model anew"
        )
    apart = float((own.double() - ours.double()).square().mean().sqrt() / own.double().std().clamp(min=1e-12))
    if apart > TOLERANCE[decoder.dtype]:
        raise ValueError(
            f"the LLM ({kind}) computes other logits from the embeddings of {TOKENS} tokens than from the tokens "
            f"themselves: they differ by {apart:.2g} of their spread, {TOLERANCE[decoder.dtype]:g} is allowed, with "
            f"transformers {version}. A bridge feeds embeddings, so its training would be wrong: use another version "
            "of transformers (envs/ names those that were tried)"
        )
