"""Learned means over the encoder's layers (Puranegedara et al., arXiv 2508.09091): one state in place of the last.

Shapes: B batch, S source tokens, L encoder layers (the embedding is none), C encoder width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FEEDFORWARD = 2048


class GlobalSoftmax(nn.Module):
    """h = sum_l softmax(a)_l H_l, with `a` all ones at the start: the plain mean.

    Args:
        layers: L, as many parameters.
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(layers))

    def forward(self, states_LBSC: Tensor, mask_BS: Tensor) -> Tensor:
        """The mean [B, S, C]."""
        weight_L = self.weight.softmax(0).to(states_LBSC.dtype)
        return torch.einsum("l,lbsc->bsc", weight_L, states_LBSC)


class TokenSoftmax(nn.Module):
    """Weights for each token: a transformer layer reads [cls; H_1 + p_1; ...; H_L + p_L], its first output tells them.

    One head, feed-forward 2048, the order of norms and the activation of `nn.TransformerEncoderLayer`, without its
    dropout: what a training computes must not depend on how it is cut into processes. Padding is zero.

    Args:
        layers: L.
        width: C; 8,450,072 parameters at L 24 and C 1024.
    """

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.empty(layers, width).normal_(std=0.02))
        self.first = nn.Parameter(torch.empty(width).normal_(std=0.02))
        self.layer = nn.TransformerEncoderLayer(
            width, nhead=1, dim_feedforward=FEEDFORWARD, dropout=0.0, batch_first=True
        )
        self.score = nn.Linear(width, layers)

    def forward(self, states_LBSC: Tensor, mask_BS: Tensor) -> Tensor:
        """The mean [B, S, C]; only tokens of the mask are computed."""
        real_XLC = states_LBSC.permute(1, 2, 0, 3)[mask_BS.bool()]
        placed_XLC = real_XLC.to(self.place.dtype) + self.place
        first_X1C = self.first.expand(len(real_XLC), 1, -1)
        read_XC = self.layer(torch.cat([first_X1C, placed_XLC], 1))[:, 0]
        weight_XL = self.score(read_XC).softmax(-1).to(real_XLC.dtype)
        mean_XC = torch.einsum("xl,xlc->xc", weight_XL, real_XLC)
        mean_BSC = mean_XC.new_zeros(states_LBSC.shape[1:])
        mean_BSC[mask_BS.bool()] = mean_XC
        return mean_BSC
