"""What a model has no embedding for: ids beyond its vocabulary, positions beyond those that it has learned."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import pyarrow.compute as pc
import torch
from datasets import Dataset
from torch import nn
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from layalign.config import RunConfig
from layalign.data.batch import Batch
from layalign.model.frozen import embedding_rows, read_config
from layalign.model.tokenizers import Tokenizers
from layalign.positions import Answer, positions, source_obstacle, text_obstacle


def check_lengths(run: RunConfig, answer: Answer) -> None:
    """Refuse a recipe whose longest source or text its models have no positions for.

    Args:
        run: the recipe.
        answer: as `text_obstacle` takes it.

    Raises:
        ValueError: with what to lower.
    """
    encoder, decoder = _configs(run)
    found = [
        source_obstacle(run, encoder.to_dict()) if encoder else None,
        text_obstacle(run, decoder.to_dict(), answer),
    ]
    if lines := [text for text in found if text]:
        raise ValueError("; ".join(lines))


def check_tokenised(dataset: Dataset, run: RunConfig, tokenizers: Tokenizers) -> None:
    """Refuse data with a token or a length that the models have no embedding for.

    Args:
        dataset: columns `source_ids`, `prompt_ids`, `target_ids`.
        run: whose data they are.
        tokenizers: that made them.

    Raises:
        ValueError: naming the token, or the longest text.
    """
    encoder, decoder = _configs(run)
    table = dataset.data
    for column, config, tokenizer, what in (
        ("source_ids", encoder, tokenizers.encoder, "sources of the data"),
        ("prompt_ids", decoder, tokenizers.decoder, "prompts of the data"),
        ("target_ids", decoder, tokenizers.decoder, "targets of the data"),
    ):
        if config:
            most = pc.max(pc.list_flatten(table.column(column))).as_py()
            check_id(most, rows_of(config), tokenizer, what)
    counts = [pc.list_value_length(table.column(column)) for column in ("prompt_ids", "target_ids")]
    if run.bridge.adapter:
        counts.append(pc.add(pc.list_value_length(table.column("source_ids")), 1))
    longest = 1 + (pc.max(reduce(pc.add, counts)).as_py() or 0)
    most = positions(decoder.to_dict())
    if most is not None and longest > most:
        raise ValueError(
            f"the longest example is {longest} tokens for the LLM {run.model.decoder}, which has learned positions for "
            f"{most}: lower data.max_source, data.max_prompt or data.max_target, or choose an LLM with a longer context"
        )


def check_id(most: int | None, rows: int, tokenizer: PreTrainedTokenizerBase, what: str) -> None:
    """Refuse a token that a model has no embedding for.

    Args:
        most: the largest id.
        rows: of the embedding.
        tokenizer: that made it.
        what: where it stands, for the message.

    Raises:
        ValueError: it is too large.
    """
    if most is not None and most >= rows:
        raise ValueError(
            f"{what} contain {tokenizer.convert_ids_to_tokens(most)!r}, token {most}, and the model's embedding has "
            f"{rows} rows (0 to {rows - 1}): take it out of the text, or resize the embedding and save the model again"
        )


def check_batch(
    encoder: nn.Module | None, decoder: nn.Module, batch: Batch, options: Sequence[Sequence[int]] = ()
) -> None:
    """Refuse questions, and options of answers, with ids that have no embedding: on a GPU they would end the process.

    Raises:
        ValueError: with the largest id.
    """
    judged = torch.tensor([token for option in options for token in option])
    for model, ids, what, of_what in (
        (encoder, batch.source_ids, "encoder", "a question"),
        (decoder, batch.prompt_ids, "LLM", "a question"),
        (decoder, judged, "LLM", "an option"),
    ):
        if model is None or not ids.numel():
            continue
        most, rows = int(ids.max()), embedding_rows(model)
        if most >= rows:
            raise ValueError(
                f"token {most} of {of_what} is beyond the {what}'s embedding of {rows} rows (0 to {rows - 1}): take "
                "it out of the text, or resize the embedding and save the model again"
            )


def check_room(most: int | None, asked: int, answer: int) -> None:
    """Refuse questions and answers that together are longer than an LLM has learned.

    Args:
        most: positions of the LLM; None where they have no end.
        asked: tokens of the longest question.
        answer: tokens of the longest answer.

    Raises:
        ValueError: they are.
    """
    if most is not None and asked + answer > most:
        raise ValueError(
            f"a question of {asked} tokens with an answer of up to {answer} is longer than the {most} "
            "positions that the LLM has learned: lower evaluation.max_new_tokens or data.max_source, or choose an "
            "LLM with a longer context"
        )


def rows_of(config: PretrainedConfig) -> int:
    """Rows of a model's embedding: as many as its weights have, or it would not have been loaded."""
    return int(config.get_text_config().vocab_size)


def _configs(run: RunConfig) -> tuple[PretrainedConfig | None, PretrainedConfig]:
    """Of encoder and LLM; the encoder's where it is read."""
    model = run.model
    encoder = read_config(model.encoder, model.encoder_revision) if run.bridge.reads_encoder else None
    return encoder, read_config(model.decoder, model.decoder_revision)
