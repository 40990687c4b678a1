"""Answers to the items of a benchmark: greedy, batched by length, handed over as they come."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from layalign.data.batch import Batch
from layalign.evaluation.benchmarks import Item
from layalign.evaluation.health import Finish
from layalign.evaluation.likelihood import Judging, log_likelihoods
from layalign.evaluation.questions import Q, Readers, Tokens, in_batches
from layalign.evaluation.scoring import scored

Record = dict[str, Any]
"""What is kept of one answer: plain data, `id` to `truncated` as `_record` writes them."""


class Writing(Protocol):
    """What of a model is needed to generate: `layalign.model.layalign.LayAlign`."""

    @property
    def device(self) -> torch.device:
        """Where its batches must lie."""

    def answer(self, batch: Batch, **generate_kwargs: Any) -> Tensor:
        """Ids of the generated tokens `[B, new]`, padded on the right."""


class Answering(Writing, Judging, Protocol):
    """What of a model is needed to answer benchmarks."""


def answer_items(
    model: Answering,
    items: Sequence[Item],
    encoder_tokenizer: PreTrainedTokenizerBase,
    decoder_tokenizer: PreTrainedTokenizerBase,
    *,
    batch_size: int,
    max_new_tokens: int,
    max_source: int,
    max_prompt: int = sys.maxsize,
    text: bool,
    ends: Collection[int] = (),
    on_batch: Callable[[list[Record]], None],
    should_stop: Callable[[], bool],
) -> bool:
    """Answer all items, longest first, so that what does not fit into memory fails at once.

    A batch that runs out of GPU memory is tried again with half as many items, and so are those after it.

    Args:
        model: in eval mode.
        items: what `remaining` left to do.
        encoder_tokenizer: left set to the language of some item, where it knows languages.
        decoder_tokenizer: the LLM's.
        batch_size: items that are answered together.
        max_new_tokens: longest answer.
        max_source: tokens of the encoder's input; longer ones are cut and their records say so.
        max_prompt: tokens of the LLM's prompt; longer ones lose their end, where the answer begins, as in training.
        text: whether the LLM reads the prompt.
        ends: tokens at which the model ends an answer, beside the tokenizer's: what stands behind is no part of it.
        on_batch: takes the records of each batch as soon as they are there.
        should_stop: asked before each batch.

    Returns:
        Whether all items are answered; False if `should_stop` said so.

    Raises:
        torch.cuda.OutOfMemoryError: not even one item fits.
        ValueError: items that the model cannot answer, by their ids.
    """
    readers = Readers(
        encoder=encoder_tokenizer,
        decoder=decoder_tokenizer,
        max_source=max_source,
        max_prompt=max_prompt,
        text=text,
    )
    done = 0
    for batch in generations(
        model,
        items,
        readers,
        batch_size=batch_size,
        max_new_tokens=max_new_tokens,
        ends=ends,
        should_stop=should_stop,
    ):
        chosen = _chosen(model, [one.item for one in batch if one.item.options], readers)
        on_batch([{**_record(one), **chosen.get(one.item.id, {})} for one in batch])
        done += len(batch)
    return done == len(items)


@dataclass(frozen=True)
class Generation(Generic[Q]):
    """An item with what a model wrote."""

    item: Q
    output: str
    tokens: int
    """Without the end token."""
    finish: Finish
    truncated: bool
    """Whether the source or the prompt was cut."""


def generations(
    model: Writing,
    items: Sequence[Q],
    readers: Readers,
    *,
    batch_size: int,
    max_new_tokens: int,
    ends: Collection[int] = (),
    should_stop: Callable[[], bool] = lambda: False,
    **generate_kwargs: Any,
) -> Iterator[list[Generation[Q]]]:
    """What a model writes to each item, batch after batch, longest first; arguments and errors as `answer_items`.

    Args:
        generate_kwargs: of `transformers.generate`, further ones.
    """
    tokenizer = readers.decoder
    stops = {tokenizer.eos_token_id, tokenizer.pad_token_id, *ends}

    def answers(batch: list[Tokens[Q]]) -> list[list[int]]:
        tokens = readers.batch(batch).to(model.device)
        with torch.no_grad():
            ids: list[list[int]] = model.answer(
                tokens, max_new_tokens=max_new_tokens, **generate_kwargs
            ).tolist()
        return ids

    for batch, every in in_batches(readers.tokens(items), batch_size, answers, should_stop):
        found = []
        for one, ids in zip(batch, every):
            length = next((place for place, token in enumerate(ids) if token in stops), len(ids))
            output = tokenizer.batch_decode([ids[:length]], skip_special_tokens=True)[0]
            finish: Finish = "length" if length >= max_new_tokens else "stop"
            found.append(Generation(one.item, output, length, finish, one.truncated))
        yield found


def remaining(items: Sequence[Item], done: Collection[str]) -> list[Item]:
    """The items whose ids are not among those already answered."""
    done = set(done)
    return [item for item in items if item.id not in done]


def shard(items: Sequence[Item], rank: int, processes: int) -> list[Item]:
    """The items of one of several processes: dealt out by length, so that all have about equal work."""
    assert 0 <= rank < processes
    ordered = sorted(items, key=lambda item: (-len(item.source) - len(item.prompt), item.id))
    return ordered[rank::processes]


def _record(one: Generation[Item]) -> Record:
    """One scored answer."""
    item = one.item
    return {
        "id": item.id,
        "language": item.language,
        "question": item.question,
        "gold": item.gold,
        **({"options": list(item.options)} if item.options else {}),
        "output": one.output,
        **scored(one.output, item.language, item.gold, item.options),
        "tokens": one.tokens,
        "finish": one.finish,
        "truncated": one.truncated,
    }


def _chosen(model: Judging, items: Sequence[Item], readers: Readers) -> dict[str, Record]:
    """What is kept of the likelihoods of options, by item; the most likely one is the first of several."""
    found = {}
    for batch in log_likelihoods(model, items, readers, batch_size=max(1, len(items))):
        for one in batch:
            totals = [option.total for option in one.options]
            best = one.item.options[totals.index(max(totals))]
            found[one.item.id] = {
                "likelihood": best,
                "likelihood_correct": best == one.item.gold,
                "log_likelihoods": [round(total, 5) for total in totals],
            }
    return found
