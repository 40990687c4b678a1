"""What a training is given besides a model and a configuration: samples, and where its records go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from layalign.data.batch import Batch, collate
from layalign.data.batching import answer_tokens, lengths

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class TrainData:
    """A tokenised data set and which of its rows are for what."""

    dataset: Dataset
    """Columns `source_ids`, `prompt_ids`, `target_ids`."""
    train: np.ndarray
    """Row numbers `[n]`."""
    dev: np.ndarray
    """Row numbers, possibly none."""
    encoder_pad: int
    decoder_pad: int

    @cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of every row, `[rows]`."""
        return lengths(self.dataset)

    @cached_property
    def answers(self) -> np.ndarray:
        """Answer tokens of every row, `[rows]`."""
        return answer_tokens(self.dataset)

    def batch(self, rows: np.ndarray) -> Batch:
        """Rows padded to their longest."""
        return collate(self.dataset[rows.tolist()], self.encoder_pad, self.decoder_pad)


def _nothing(*_: Any, **__: Any) -> None:
    return None


@dataclass(frozen=True)
class Callbacks:
    """Where the records of a training go. All but `stop_requested` are called on rank 0 only."""

    on_step: Callable[[dict[str, Any]], None] = _nothing
    """After every step: step, total, epoch, loss (mean over the answer tokens), lr, grad_norm, tokens (of answers),
    input_tokens (all), padded_tokens (all with padding), seconds, tokens_per_s (of input_tokens), digest (CRC-32
    of the sorted rows of the batch), eta_s."""
    on_dev: Callable[[dict[str, Any]], None] = _nothing
    """After every evaluation: step, dev_loss, dev_ppl, best (whether it is the lowest so far), seconds."""
    on_event: Callable[..., None] = _nothing
    """kind and facts: `resumed` (step), `passed_over` (fault), `saved` (step, path, seconds), `stopping` (step,
    reason), `dev_abandoned` (step)."""
    stop_requested: Callable[[], str | None] = _nothing
    """Why to stop, polled between steps and between the micro-batches of an evaluation; None is go on."""
