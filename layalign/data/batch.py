"""One batch of tokens, as the model reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain

import torch
from torch import Tensor

Ids = Sequence[int]


@dataclass(frozen=True)
class Batch:
    """Tokens of both tokenizers, int64. B batch, S source, P prompt, A answer tokens.

    Sources and targets are padded on the right, prompts on the left: what the LLM reads next follows at once.
    """

    source_ids: Tensor
    """`[B, S]`, with the encoder's special tokens."""
    source_mask: Tensor
    """`[B, S]`, 1 at tokens and 0 at padding, as all masks here."""
    prompt_ids: Tensor
    """`[B, P]`, without bos. P is 0 where the LLM reads no text."""
    prompt_mask: Tensor
    target_ids: Tensor
    """`[B, A]`, with eos. A is 0 where an answer is to be generated."""
    target_mask: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return Batch(*(getattr(self, f.name).to(device) for f in fields(self)))


def collate(rows: Mapping[str, Sequence[Ids]], encoder_pad: int, decoder_pad: int) -> Batch:
    """A batch of B examples, padded to their longest.

    Args:
        rows: B lists of tokens under `source_ids` and, where there are any, `prompt_ids` and `target_ids`, as
            `dataset[indices]` of a tokenised data set gives them.
        encoder_pad: padding id of the encoder's tokenizer.
        decoder_pad: padding id of the LLM's; any id will do, since masked tokens are never read.
    """
    source = rows["source_ids"]
    nothing: list[Ids] = [[]] * len(source)
    return Batch(
        *_pad(source, encoder_pad),
        *_pad(rows.get("prompt_ids", nothing), decoder_pad, left=True),
        *_pad(rows.get("target_ids", nothing), decoder_pad),
    )


def _pad(rows: Sequence[Ids], pad: int, left: bool = False) -> tuple[Tensor, Tensor]:
    """Ids and mask, each `[B, longest]`."""
    lengths = torch.tensor([len(row) for row in rows])[:, None]
    width = int(lengths.max())
    positions = torch.arange(width)
    mask = positions >= width - lengths if left else positions < lengths
    ids = torch.full(mask.shape, pad)
    ids[mask] = torch.tensor(list(chain.from_iterable(rows)), dtype=torch.int64)
    return ids, mask.long()
