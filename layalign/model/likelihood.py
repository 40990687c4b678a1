"""How probable an LLM finds each of several continuations of what it has read, which it reads once.

The text in front of the options goes through the encoder and the LLM once; each option then goes on from the keys
and values that the LLM keeps of it. An option of one token, a letter, costs nothing more.

Shapes: I items, R options that are read together, T tokens in front of the options, A option tokens, D LLM width,
V vocabulary, X option tokens of all rows.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from layalign.model.decoder import logits
from layalign.model.ends import NotANumber
from layalign.model.gated_attention import Cross
from layalign.model.rows import Composed, places

CHUNK = 256
"""Positions whose logits [CHUNK, V] exist at one time."""


@dataclass(frozen=True)
class Likelihood:
    """Of one option."""

    total: float
    """Natural logarithm of its probability: the sum over its tokens."""
    tokens: int
    greedy: bool
    """Whether each of its tokens is the most probable one, so that it would have been generated."""


@dataclass(frozen=True)
class _Row:
    """One option of one item."""

    item: int
    ids: tuple[int, ...]


def option_likelihoods(
    decoder: PreTrainedModel,
    composed: Composed,
    cross: Cross | None,
    options: Sequence[Sequence[Sequence[int]]],
    at_once: int,
) -> list[list[Likelihood]]:
    """The likelihood of every option of every item.

    Args:
        decoder: the LLM.
        composed: what it reads in front of the options, `[I, T, D]`.
        cross: what its layers attend of the encoder's states.
        options: I lists of options, each of one token or more.
        at_once: options that are read together.

    Raises:
        NotANumber: logits of some items are not numbers.
    """
    assert all(ids for own in options for ids in own)
    cross = None if cross is None else dataclasses.replace(cross, cache={})
    read = decoder.base_model(
        inputs_embeds=composed.embeds_BTD,
        attention_mask=composed.mask_BT,
        position_ids=places(composed.mask_BT),
        use_cache=True,
        cross=cross,
    )
    last_ID = read.last_hidden_state[:, -1]
    rows = [_Row(item, tuple(ids)) for item, own in enumerate(options) for ids in own]
    ordered = sorted(range(len(rows)), key=lambda number: -len(rows[number].ids))
    found: dict[int, Likelihood] = {}
    for start in range(0, len(rows), at_once):
        numbers = ordered[start : start + at_once]
        together = [rows[number] for number in numbers]
        hidden_XD = _hidden(decoder, together, last_ID, read.past_key_values, composed.mask_BT, cross)
        found.update(zip(numbers, _likelihoods(decoder, hidden_XD, together)))
    _check(found, rows)
    in_order = (found[number] for number in range(len(rows)))
    return [list(islice(in_order, len(own))) for own in options]


def _hidden(
    decoder: PreTrainedModel,
    rows: Sequence[_Row],
    last_ID: Tensor,
    past: Any,
    mask_IT: Tensor,
    cross: Cross | None,
) -> Tensor:
    """The states that the options' tokens are predicted from, row by row, `[X, D]`."""
    device = mask_IT.device
    which_R = torch.tensor([row.item for row in rows], device=device)
    first_RD = last_ID[which_R]
    lengths = [len(row.ids) for row in rows]
    if max(lengths) == 1:
        return first_RD
    ids_RA = pad_sequence([torch.tensor(row.ids[:-1]) for row in rows], batch_first=True).to(device)
    read_R1 = torch.tensor(lengths, device=device)[:, None] - 1
    more_RA = (torch.arange(ids_RA.shape[1], device=device) < read_R1).to(mask_IT.dtype)
    mask_RT = torch.cat([mask_IT[which_R], more_RA], 1)
    embeds_RAD = decoder.get_input_embeddings()(ids_RA.long()).to(decoder.dtype)
    states_RAD = decoder.base_model(
        inputs_embeds=embeds_RAD,
        attention_mask=mask_RT,
        position_ids=places(mask_RT)[:, -ids_RA.shape[1] :],
        past_key_values=_of_rows(past, which_R),
        use_cache=True,
        cross=None if cross is None else cross.of_rows(which_R),
    ).last_hidden_state
    return torch.cat([first_RD[:, None], states_RAD], 1)[_tokens(lengths, device)]


def _tokens(lengths: Sequence[int], device: torch.device) -> Tensor:
    """Where tokens stand in rows of these lengths, `[R, longest]`."""
    return torch.arange(max(lengths), device=device) < torch.tensor(lengths, device=device)[:, None]


def _of_rows(past: Any, rows_R: Tensor) -> Any:
    """The kept keys and values of some rows, each as often as it is named; `past` stays what it is."""
    chosen = copy.copy(past)
    chosen.layers = [copy.copy(layer) for layer in past.layers]
    chosen.batch_select_indices(rows_R)
    return chosen


def _likelihoods(decoder: PreTrainedModel, hidden_XD: Tensor, rows: Sequence[_Row]) -> list[Likelihood]:
    """Of options from the states that their tokens are predicted from."""
    ids_X = torch.tensor([token for row in rows for token in row.ids], device=hidden_XD.device)
    told, best = [], []
    for hidden, ids in zip(hidden_XD.split(CHUNK), ids_X.split(CHUNK)):
        scores_XV = logits(decoder, hidden)
        own_X = scores_XV.gather(1, ids[:, None])[:, 0]
        told.append(own_X - scores_XV.logsumexp(1))
        best.append(own_X >= scores_XV.amax(1))
    lengths = [len(row.ids) for row in rows]
    totals = [float(part.double().sum()) for part in torch.cat(told).cpu().split(lengths)]
    greedy = [bool(part.all()) for part in torch.cat(best).cpu().split(lengths)]
    return [Likelihood(*one) for one in zip(totals, lengths, greedy)]


def _check(found: dict[int, Likelihood], rows: Sequence[_Row]) -> None:
    """Refuse items with an option whose likelihood is not a number."""
    broken = {rows[number].item for number, one in found.items() if not abs(one.total) < float("inf")}
    if broken:
        raise NotANumber(sorted(broken))
