"""What the LLM reads: rows of embeddings whose padding stands on the left.

Shapes: B batch, T tokens, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

IGNORED = -100
"""Label of a position that has no answer token."""


@dataclass
class Composed:
    """What the LLM reads: left-padded rows."""

    embeds_BTD: Tensor
    mask_BT: Tensor
    labels_BT: Tensor


def places(mask_BT: Tensor) -> Tensor:
    """Position of each token among its row's tokens, `[B, T]`."""
    return (mask_BT.cumsum(1) - 1).clamp(min=0)


def pad_left(embeds_BTD: Tensor, mask_BT: Tensor, labels_BT: Tensor) -> Composed:
    """Move every row's padding to the left, keep the order of its tokens, cut columns that all rows pad."""
    order_BT = mask_BT.sort(dim=1, stable=True).indices
    order_BT = order_BT[:, mask_BT.shape[1] - int(mask_BT.sum(1).max()) :]
    width = embeds_BTD.shape[-1]
    return Composed(
        embeds_BTD.gather(1, order_BT[..., None].expand(-1, -1, width)),
        mask_BT.gather(1, order_BT),
        labels_BT.gather(1, order_BT),
    )
