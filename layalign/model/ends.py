"""Where an answer ends, and that the numbers it is chosen by are numbers."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LogitsProcessor, PreTrainedModel, PreTrainedTokenizerBase

from layalign.model.frozen import embedding_rows


def end_ids(decoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None = None) -> tuple[int, ...]:
    """All tokens at which an LLM's answer ends: of `config.json`, of `generation_config.json`, and the tokenizer's.

    Models name more than one, and seldom all in one place: a chat model ends its turn otherwise than a document
    (https://github.com/QwenLM/Qwen3/issues/927), and training ends answers in the tokenizer's.
    """
    rows = embedding_rows(decoder)
    own = decoder.generation_config
    told = [decoder.config.get_text_config().eos_token_id, own.eos_token_id if own else None]
    if tokenizer is not None:
        told.append(tokenizer.eos_token_id)
    every = {end for ends in told for end in (ends if isinstance(ends, list | tuple) else [ends])}
    return tuple(sorted(end for end in every if isinstance(end, int) and 0 <= end < rows))


class NotANumber(ValueError):
    """Logits that are not numbers; `rows` of the batch have them."""

    def __init__(self, rows: list[int]) -> None:
        super().__init__(
            "the model's logits are not numbers (NaN or infinite): its weights or those of the bridge are damaged, or "
            "they overflow in this precision; try model.precision=fp32"
        )
        self.rows = rows


class Watch(LogitsProcessor):
    """Looks at the logits of every step and changes none; `check` after the last one."""

    def __init__(self) -> None:
        self.broken_B: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores `[B, V]`; minus infinity is a token that another processor has ruled out."""
        broken_B = (
            torch.isnan(scores).any(-1) | (scores == torch.inf).any(-1) | (scores == -torch.inf).all(-1)
        )
        self.broken_B = broken_B if self.broken_B is None else self.broken_B | broken_B
        return scores

    def check(self, batch_size: int) -> None:
        """Refuse an answer that was chosen by what is not a number.

        Args:
            batch_size: rows of the batch; with beams each has several.

        Raises:
            NotANumber: with the rows.
        """
        if self.broken_B is not None and bool(self.broken_B.any()):
            raise NotANumber(self.broken_B.view(batch_size, -1).any(-1).nonzero().flatten().tolist())
