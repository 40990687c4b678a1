"""The layer-wise aligner: what each LLM layer's cross-attention reads (section 3.3, eq. 4-5 of the paper).

For LLM layer i: relu(sum_l w_il H_l + b_i) over the encoder states H_l, for keys and for values apart, then a
projection to the LLM's width that all layers share.

Shapes: B batch, S source tokens, K encoder states, L LLM layers, C encoder width, D LLM width; the leading 2 is
key and value.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from layalign.methods import Aligner as Kind


class LayerMix(nn.Module):
    """One weighted sum of the encoder states for the keys, one for the values, of every LLM layer.

    `weight` is [2L, K] as in the official checkpoint: row 2i is the keys of LLM layer i, row 2i + 1 the values.
    """

    def __init__(self, encoder_states: int, decoder_layers: int) -> None:
        super().__init__()
        like = nn.Linear(encoder_states, 2 * decoder_layers)
        self.weight, self.bias = like.weight, like.bias

    def forward(self, states_KBSC: Tensor, row: int) -> Tensor:
        """States of the `row`-th adapted LLM layer, [2, B, S, C]."""
        pair = slice(2 * row, 2 * row + 2)
        flat_KX = states_KBSC.flatten(1)
        mixed_2X = self.weight[pair].to(flat_KX.dtype) @ flat_KX
        return mixed_2X.view(2, *states_KBSC.shape[1:]) + self.bias[pair, None, None, None]


class LayerWiseAligner(nn.Module):
    """Mixes encoder states for one LLM layer at a time, so that only that layer's keys and values exist.

    Args:
        kind: `linear`, `silu` (LayAlign+, Table 10: one more Linear and SiLU at the encoder's width) or `mlp` (the
            official code's `structure=MLP`: one more Linear at the LLM's width).
        encoder_states: K, number of encoder states that are mixed.
        decoder_layers: number of LLM layers with cross-attention.
        encoder_width: C.
        decoder_width: D.
    """

    def __init__(
        self, kind: Kind, *, encoder_states: int, decoder_layers: int, encoder_width: int, decoder_width: int
    ) -> None:
        super().__init__()
        self.mix = LayerMix(encoder_states, decoder_layers)
        self.hidden = nn.Linear(encoder_width, encoder_width) if kind == "silu" else None
        self.project = nn.Linear(encoder_width, decoder_width)
        self.out = nn.Linear(decoder_width, decoder_width) if kind == "mlp" else None

    def forward(self, states_KBSC: Tensor, row: int) -> Tensor:
        """Inputs of `k_proj` and `v_proj` for the `row`-th adapted LLM layer, [2, B, S, D]."""
        mixed_2BSC = torch.relu(self.mix(states_KBSC, row))
        if self.hidden is not None:
            mixed_2BSC = nn.functional.silu(self.hidden(mixed_2BSC))
        aligned_2BSD = self.project(mixed_2BSC)
        if self.out is not None:
            aligned_2BSD = self.out(torch.relu(aligned_2BSD))
        return aligned_2BSD
