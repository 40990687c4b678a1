"""What is asked of a model, as tokens and in batches: longest first, fewer at once where memory runs out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from transformers import PreTrainedTokenizerBase

from layalign.data.batch import Batch, collate
from layalign.data.tokenise import encode_sources, encode_texts


class Question(Protocol):
    """What a model reads of an item: `layalign.evaluation.benchmarks.Item` is one."""

    @property
    def id(self) -> str:
        """By which messages name it."""

    @property
    def language(self) -> str:
        """Its code."""

    @property
    def source(self) -> str:
        """What the encoder reads."""

    @property
    def prompt(self) -> str:
        """What the LLM reads."""


Q = TypeVar("Q", bound=Question)
R = TypeVar("R")


@dataclass(frozen=True)
class Tokens(Generic[Q]):
    """An item as tokens."""

    item: Q
    source_ids: list[int]
    prompt_ids: list[int]
    truncated: bool


@dataclass(frozen=True, kw_only=True)
class Readers:
    """How texts become tokens: tokenizers of both backbones, and limits.

    `encoder` is left set to the language of some item, where it knows languages.
    """

    encoder: PreTrainedTokenizerBase
    decoder: PreTrainedTokenizerBase
    max_source: int
    """Tokens of the encoder's input; longer ones are cut."""
    max_prompt: int = sys.maxsize
    """Tokens of the LLM's prompt; longer ones lose their end, where the answer begins, as in training."""
    text: bool
    """Whether the LLM reads the prompt."""

    def tokens(self, items: Sequence[Q]) -> list[Tokens[Q]]:
        """Items as tokens, longest first, so that what does not fit into memory fails at once."""
        found = []
        for item in items:
            sources, cut = encode_sources([item.source], [item.language], self.encoder, self.max_source)
            prompts, lost = (
                encode_texts([item.prompt], self.decoder, self.max_prompt) if self.text else ([[]], 0)
            )
            found.append(Tokens(item, sources[0], prompts[0], bool(cut or lost)))
        return sorted(found, key=lambda one: (-len(one.source_ids) - len(one.prompt_ids), one.item.id))

    def batch(self, questions: Sequence[Tokens[Q]]) -> Batch:
        """Questions padded to their longest."""
        rows = {name: [getattr(one, name) for one in questions] for name in ("source_ids", "prompt_ids")}
        return collate(rows, self.encoder.pad_token_id or 0, self.decoder.pad_token_id or 0)


def in_batches(
    questions: Sequence[Tokens[Q]],
    batch_size: int,
    work: Callable[[list[Tokens[Q]]], R],
    should_stop: Callable[[], bool],
) -> Iterator[tuple[list[Tokens[Q]], R]]:
    """What `work` makes of batch after batch, until all is done or `should_stop`, asked before each, says so.

    A batch that runs out of GPU memory is tried again with half as many items, and so are those after it.

    Raises:
        torch.cuda.OutOfMemoryError: not even one item fits.
        ValueError: items that the model cannot answer, by their ids.
    """
    done = 0
    while done < len(questions) and not should_stop():
        batch = list(questions[done : done + batch_size])
        try:
            result = work(batch)
        except torch.cuda.OutOfMemoryError:
            if len(batch) == 1:
                raise
            batch_size = len(batch) // 2
            torch.cuda.empty_cache()
            continue
        except ValueError as error:
            raise ValueError(_named(batch, error)) from error
        yield batch, result
        done += len(batch)


def _named(batch: Sequence[Tokens[Q]], error: ValueError) -> str:
    """The error with the items that it concerns."""
    rows = getattr(error, "rows", range(len(batch)))
    names = [batch[row].item.id for row in rows]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"no answer to {', '.join(names[:3])}{more}: {error}"
