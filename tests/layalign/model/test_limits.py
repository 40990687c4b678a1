"""Ids beyond a vocabulary, texts beyond the positions, logits that are no numbers: refused, by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoConfig, PreTrainedTokenizerFast

from layalign.config import ModelConfig, RunConfig
from layalign.evaluation.benchmarks import Item
from layalign.evaluation.generate import answer_items
from layalign.model import store
from layalign.model.encoder import build_encoder
from layalign.model.ends import NotANumber
from layalign.model.layalign import LayAlign
from layalign.model.limits import check_lengths, check_tokenised
from layalign.positions import TARGET
from layalign.recipe import resolve
from tests.layalign.model.folders import edit_json
from tests.layalign.model.test_architectures import ENCODERS, SMALL, make, make_batch
from tests.layalign.model.test_store import write_backbone

pytestmark = pytest.mark.core


@pytest.fixture
def config(tmp_path: Path) -> ModelConfig:
    return ModelConfig(
        encoder=write_backbone(tmp_path / "enc", "mt5", ENCODERS["mt5"]),
        decoder=write_backbone(tmp_path / "dec", "llama", SMALL),
        precision="fp32",
    )


def run(config: ModelConfig, **data: int) -> RunConfig:
    told = {"reader": "pairs", "path": "p", "languages": ["sw"], "max_source": 20, "max_target": 20} | data
    model = {"encoder": config.encoder, "decoder": config.decoder, "precision": "fp32"}
    return resolve({"name": "x", "model": model, "data": told, "training": {"lr": 1e-3}}, 2)


def grow(folder: str, words: int, **marks: str) -> None:
    """A tokenizer with `words` further words, and other marks."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.add_tokens([f"word{i}" for i in range(words)])
    tokenizer.add_special_tokens(marks)
    tokenizer.save_pretrained(folder)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_padding_token_added_without_resizing_is_refused(config, part):
    rows = {"encoder": 89, "decoder": 97}[part]
    grow(getattr(config, part), rows - 11, pad_token="[PAD]")
    with pytest.raises(
        ValueError, match=rf"{getattr(config, part)} has ids beyond .* {rows} rows .*'\[PAD\]' is {rows}"
    ):
        store.load_tokenizers(config)


def test_a_vocabulary_larger_than_the_embedding_is_refused(config, tmp_path):
    words = {word: i for i, word in enumerate(["<pad>", "<s>", "</s>", *(f"w{i}" for i in range(100))])}
    backend = Tokenizer(models.WordLevel(words, unk_token="w0"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=backend, **marks).save_pretrained(config.decoder)
    with pytest.raises(ValueError, match=r"'w94' is 97, 'w95' is 98, 'w96' is 99 and 3 more"):
        store.load_tokenizers(config)


def test_a_special_token_that_nobody_writes_is_let_be_until_somebody_does(config):
    """As the image token of gemma-3-1b."""
    grow(config.decoder, 86, additional_special_tokens=["<image>"])
    tokenizers = store.load_tokenizers(config)
    beyond = tokenizers.decoder.convert_tokens_to_ids("<image>")
    assert beyond == 97
    rows = {"source_ids": [[3, 4, 2]], "prompt_ids": [[5, 6]], "target_ids": [[5, 2]]}
    check_tokenised(Dataset.from_dict(rows), run(config), tokenizers)
    with pytest.raises(ValueError, match=r"prompts of the data contain '<image>', token 97.* 97 rows"):
        check_tokenised(Dataset.from_dict({**rows, "prompt_ids": [[5, 97]]}), run(config), tokenizers)
    batch = make_batch(answers=False)
    ids = batch.prompt_ids.clone()
    ids[0, -1] = 97
    model = LayAlign.build(config, config.bridge(2))
    with pytest.raises(ValueError, match=r"token 97 of a question is beyond the LLM's embedding of 97 rows"):
        model.answer(replace(batch, prompt_ids=ids), max_new_tokens=2)


def test_a_start_token_without_an_embedding_is_refused(config):
    for bos in (97, -1):
        edit_json(Path(config.decoder, "config.json"), bos_token_id=bos)
        with pytest.raises(ValueError, match=rf"names {bos} as its start token.* 97 rows"):
            LayAlign.build(config, config.bridge(2))


def test_two_start_tokens_are_told(config):
    edit_json(Path(config.decoder, "config.json"), bos_token_id=0)
    with pytest.warns(UserWarning, match=r"different start tokens \(0 and 1\)"):
        store.load_tokenizers(config)


@pytest.mark.parametrize(
    ("kind", "sizes", "most"),
    [
        ("bert", {"max_position_embeddings": 32}, 32),
        ("xlm-roberta", {"max_position_embeddings": 34, "pad_token_id": 1}, 32),
        ("gpt2", {"n_positions": 32}, 32),
    ],
)
def test_an_encoders_table_holds_what_its_config_promises_and_no_more(tmp_path, config, kind, sizes, most):
    made = ENCODERS[kind] | sizes
    encoder = build_encoder(AutoConfig.for_model(kind, **made)).eval()
    ids = torch.full((1, most), 5)
    encoder(input_ids=ids, attention_mask=torch.ones_like(ids))
    longer = torch.full((1, most + 1), 5)
    with pytest.raises((IndexError, RuntimeError)):
        encoder(input_ids=longer, attention_mask=torch.ones_like(longer))
    encoder.save_pretrained(tmp_path / kind)
    other = replace(config, encoder=str(tmp_path / kind))
    check_lengths(run(other, max_source=most), TARGET)
    with pytest.raises(
        ValueError, match=rf"data\.max_source is {most + 1}.*\({kind}\) has positions for {most} tokens"
    ):
        check_lengths(run(other, max_source=most + 1), TARGET)


def test_relative_positions_have_no_end(config):
    check_lengths(run(config, max_source=90), TARGET)


def test_a_recipe_longer_than_the_llms_context_is_refused(config):
    check_lengths(run(config, max_source=60, max_target=66), TARGET)
    with pytest.raises(ValueError, match=r"positions for 128 tokens.* = 129 may stand before it"):
        check_lengths(run(config, max_source=60, max_target=67), TARGET)


def test_the_longest_example_counts_where_the_recipe_sets_no_limit(config):
    tokenizers = store.load_tokenizers(config)
    rows = {"source_ids": [[3] * 9, [3] * 4], "prompt_ids": [[5] * 100, [5]], "target_ids": [[5] * 17, [2]]}
    check_tokenised(Dataset.from_dict(rows), run(config), tokenizers)
    rows["prompt_ids"][0].append(5)
    with pytest.raises(ValueError, match=r"the longest example is 129 tokens.* for 128"):
        check_tokenised(Dataset.from_dict(rows), run(config), tokenizers)


def test_a_question_longer_than_the_context_is_refused_before_it_is_answered():
    model, batch = make(), make_batch(answers=False)
    model.answer(batch, max_new_tokens=100)
    with pytest.raises(ValueError, match=r"answer of up to 120 is longer than the 128 positions"):
        model.answer(batch, max_new_tokens=120)


class Ten(PreTrainedTokenizerFast):
    """Ten words and three marks."""

    def __init__(self) -> None:
        words = {word: i for i, word in enumerate(["<pad>", "<s>", "</s>", *"abcdefghij"])}
        backend = Tokenizer(models.WordLevel(words, unk_token="a"))
        backend.pre_tokenizer = pre_tokenizers.Whitespace()
        super().__init__(tokenizer_object=backend, pad_token="<pad>", bos_token="<s>", eos_token="</s>")


def test_logits_that_are_no_numbers_are_refused_with_their_rows():
    batch, model = make_batch(answers=False), make()
    batch.prompt_ids[1, -1] = 90
    with torch.no_grad():
        model.decoder.get_input_embeddings().weight[90] = float("nan")
    for beams in (1, 2):
        with pytest.raises(NotANumber, match="logits are not numbers") as refusal:
            model.answer(batch, max_new_tokens=1, num_beams=beams)
        assert refusal.value.rows == [1]


def test_a_bridge_that_diverged_is_refused_when_it_is_opened(config, tmp_path):
    model = LayAlign.build(config, config.bridge(2))
    with torch.no_grad():
        model.trainable()["adapter.linear1.bias"][2] = float("inf")
    model.save_pretrained(tmp_path / "bridge")
    with pytest.raises(ValueError, match=r"adapter\.linear1\.bias in .* not numbers"):
        LayAlign.from_pretrained(tmp_path / "bridge")


def test_items_whose_answers_are_no_numbers_are_named():
    tokenizer = Ten()
    model = make()
    with torch.no_grad():
        model.decoder.get_input_embeddings().weight[7] = float("nan")
    items = [Item(f"mini-sw-{i:04d}", "sw", "a b c", f"b {word}", 1.0) for i, word in enumerate("bcde")]
    seen = []
    options = {"batch_size": 4, "max_new_tokens": 3, "max_source": 9, "text": True}
    with pytest.raises(ValueError, match=r"no answer to mini-sw-0003: the model's logits"):
        answer_items(
            model, items, tokenizer, tokenizer, on_batch=seen.extend, should_stop=lambda: False, **options
        )
    assert seen == []
