"""The adapter: the encoder's last state as soft tokens before the LLM's prompt (section 3.2, eq. 3 of the paper).

Shapes: B batch, S source tokens, C encoder width, D LLM width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Adapter(nn.Module):
    """Linear - ReLU - Linear from the encoder's width to the LLM's, and the separator that follows the soft tokens.

    Args:
        encoder_width: C.
        decoder_width: D.
        hidden_width: of the MLP; None is 2C, the paper's (25,178,112 parameters for mT5-xl and LLaMA-7B).
    """

    def __init__(self, encoder_width: int, decoder_width: int, hidden_width: int | None = None) -> None:
        super().__init__()
        hidden_width = hidden_width or 2 * encoder_width
        self.linear1 = nn.Linear(encoder_width, hidden_width)
        self.linear2 = nn.Linear(hidden_width, decoder_width)
        self.separator = nn.Parameter(torch.empty(decoder_width).normal_(std=0.02))

    def forward(self, state_BSC: Tensor) -> tuple[Tensor, Tensor]:
        """Soft tokens [B, S, D] and the separator [B, 1, D]."""
        soft_BSD = self.linear2(torch.relu(self.linear1(state_BSC)))
        return soft_BSD, self.separator.to(soft_BSD.dtype).expand(len(state_BSC), 1, -1)
