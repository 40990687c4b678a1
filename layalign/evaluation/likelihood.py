"""How probable a model finds each option of an item: batched by length, handed over as they come."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch

from layalign.data.batch import Batch
from layalign.data.tokenise import encode_texts
from layalign.evaluation.questions import Question, Readers, Tokens, in_batches
from layalign.model.likelihood import Likelihood

__all__ = ["Choice", "Judged", "Likelihood", "log_likelihoods"]
BLANKS = ("\u2581", "\u0120")
"""How SentencePiece and byte-level tokenizers write a blank in front of a word."""


class Judging(Protocol):
    """What of a model is needed here: `layalign.model.layalign.LayAlign`."""

    @property
    def device(self) -> torch.device:
        """Where its batches must lie."""

    def likelihoods(
        self, batch: Batch, options: Sequence[Sequence[Sequence[int]]], at_once: int
    ) -> list[list[Likelihood]]:
        """Of each option of each row."""


class Choice(Question, Protocol):
    """An item whose answer is one of several texts."""

    @property
    def options(self) -> Sequence[str]:
        """What may follow the prompt; each is read as training reads an answer, without its end token."""


C = TypeVar("C", bound=Choice)


@dataclass(frozen=True)
class Judged(Generic[C]):
    """An item with the likelihood of each of its options, in their order."""

    item: C
    options: tuple[Likelihood, ...]
    truncated: bool
    """Whether the source or the prompt was cut."""


def log_likelihoods(
    model: Judging,
    items: Sequence[C],
    readers: Readers,
    *,
    batch_size: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[list[Judged[C]]]:
    """Judge the options of all items, longest item first.

    What stands in front of its options is read once for each item, by the encoder and by the LLM.

    Args:
        model: in eval mode.
        items: each with one option or more.
        readers: what makes tokens of their texts.
        batch_size: items, and options, that are read together; halved where GPU memory runs out.
        should_stop: asked before each batch; what is left is then not judged.

    Yields:
        One batch after the other.

    Raises:
        torch.cuda.OutOfMemoryError: not even one item fits.
        ValueError: an option without a token, or items that the model cannot judge, by their ids.
    """
    every = {option for item in items for option in item.options}
    written = {option: option_ids(option, readers) for option in sorted(every)}

    def judge(batch: list[Tokens[C]]) -> list[list[Likelihood]]:
        options = [[written[option] for option in one.item.options] for one in batch]
        return model.likelihoods(readers.batch(batch).to(model.device), options, len(batch))

    for batch, found in in_batches(readers.tokens(items), batch_size, judge, should_stop):
        yield [Judged(one.item, tuple(own), one.truncated) for one, own in zip(batch, found)]


def option_ids(option: str, readers: Readers) -> list[int]:
    """Tokens of an option.

    A blank in front, which joins it to its prompt, is not doubled by tokenizers that put one there themselves
    (SentencePiece's of Llama 2).

    Raises:
        ValueError: it has none.
    """
    texts = [option, option.removeprefix(" ")]
    plain, bare = encode_texts(texts, readers.decoder, sys.maxsize)[0]
    if not plain:
        raise ValueError(f"the LLM's tokenizer makes no token of the option {option!r}")
    own_blank = bool(bare) and readers.decoder.convert_ids_to_tokens(bare)[0].startswith(BLANKS)
    return bare if own_blank else plain
