"""Answers to the items of a benchmark: greedy, batched by length, handed over as they come."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from layalign.data.batch import Batch
from layalign.evaluation.benchmarks import Item
from layalign.evaluation.health import Finish
from layalign.evaluation.likelihood import Likelihood, option_ids
from layalign.evaluation.questions import Readers, Tokens, in_batches
from layalign.evaluation.scoring import scored

Record = dict[str, Any]
"""What is kept of one answer: plain data, `id` to `truncated` as `_record` writes them."""


class Answering(Protocol):
    """What of a model is needed here: `layalign.model.layalign.LayAlign`."""

    @property
    def device(self) -> torch.device:
        """Where its batches must lie."""

    def answer(self, batch: Batch, **generate_kwargs: Any) -> Tensor:
        """Ids of the generated tokens `[B, new]`, padded on the right."""

    def likelihoods(
        self, batch: Batch, options: Sequence[Sequence[Sequence[int]]], at_once: int
    ) -> list[list[Likelihood]]:
        """Of each option of each row."""


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
    stops = {decoder_tokenizer.eos_token_id, decoder_tokenizer.pad_token_id, *ends}
    readers = Readers(
        encoder=encoder_tokenizer,
        decoder=decoder_tokenizer,
        max_source=max_source,
        max_prompt=max_prompt,
        text=text,
    )

    written = {text: option_ids(text, readers) for item in items for text in item.options}

    def answers(batch: list[Tokens[Item]]) -> tuple[list[list[int]], list[list[Likelihood]]]:
        tokens = readers.batch(batch).to(model.device)
        options = [[written[text] for text in one.item.options] for one in batch]
        with torch.no_grad():
            ids: list[list[int]] = model.answer(tokens, max_new_tokens=max_new_tokens).tolist()
        return ids, model.likelihoods(tokens, options, len(batch)) if all(options) else [[]] * len(ids)

    done = 0
    for batch, (answered, likely) in in_batches(readers.tokens(items), batch_size, answers, should_stop):
        records = [_record(*pair, decoder_tokenizer, stops, max_new_tokens) for pair in zip(batch, answered)]
        on_batch([{**r, **_chosen(one.item, own)} for r, one, own in zip(records, batch, likely)])
        done += len(batch)
    return done == len(items)


def remaining(items: Sequence[Item], done: Collection[str]) -> list[Item]:
    """The items whose ids are not among those already answered."""
    done = set(done)
    return [item for item in items if item.id not in done]


def shard(items: Sequence[Item], rank: int, processes: int) -> list[Item]:
    """The items of one of several processes: dealt out by length, so that all have about equal work."""
    assert 0 <= rank < processes
    ordered = sorted(items, key=lambda item: (-len(item.source) - len(item.prompt), item.id))
    return ordered[rank::processes]


def _record(
    question: Tokens[Item],
    ids: list[int],
    tokenizer: PreTrainedTokenizerBase,
    stops: Collection[int | None],
    max_new_tokens: int,
) -> Record:
    """One scored answer."""
    length = next((place for place, token in enumerate(ids) if token in stops), len(ids))
    output = tokenizer.batch_decode([ids[:length]], skip_special_tokens=True)[0]
    item = question.item
    finish: Finish = "length" if length >= max_new_tokens else "stop"
    return {
        "id": item.id,
        "language": item.language,
        "question": item.question,
        "gold": item.gold,
        **({"options": list(item.options)} if item.options else {}),
        "output": output,
        **scored(output, item.language, item.gold, item.options),
        "tokens": length,
        "finish": finish,
        "truncated": question.truncated,
    }


def _chosen(item: Item, likely: Sequence[Likelihood]) -> Record:
    """The option that is most likely, of several the first; nothing of an item without options."""
    if not likely:
        return {}
    totals = [one.total for one in likely]
    best = item.options[totals.index(max(totals))]
    told = [round(one, 5) for one in totals]
    return {"likelihood": best, "likelihood_correct": best == item.gold, "log_likelihoods": told}
