"""Options are judged as a plain forward judges each of them alone, whatever the LLM keeps of what it has read."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from layalign.data.batch import Batch
from layalign.methods import METHODS, bridge_of
from layalign.model.ends import NotANumber
from layalign.model.layalign import LayAlign
from tests.layalign.model.test_architectures import LLMS, make, make_batch, row

pytestmark = pytest.mark.core

OPTIONS = [
    [[5], [9], [7, 30, 4], [11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22]],
    [[44]],
    [[7, 30, 4], [61, 3]],
]
"""Of one token and of more, longer than the sliding windows of the matrix; another number for each row."""


def alone(model: LayAlign, batch: Batch, option: list[int]) -> float:
    """Of one option of a batch of one, by the forward that training uses: nothing kept, no padding."""
    ids = torch.tensor([option])
    return -model.loss(replace(batch, target_ids=ids, target_mask=torch.ones_like(ids)), chunk=64)[0].item()


def assert_as_alone(model: LayAlign, batch: Batch, at_once: int, tolerance: float) -> None:
    found = model.likelihoods(batch, OPTIONS, at_once)
    for i, own in enumerate(OPTIONS):
        expected = [alone(model, row(batch, i), option) for option in own]
        assert [one.total for one in found[i]] == pytest.approx(expected, abs=tolerance)
        assert [one.tokens for one in found[i]] == [len(option) for option in own]


@pytest.mark.parametrize("decoder", LLMS)
def test_options_are_judged_as_each_alone(decoder: str) -> None:
    model, batch = make(decoder), make_batch(answers=False)
    for at_once in (64, 3, 1):
        assert_as_alone(model, batch, at_once, 2e-5)


@pytest.mark.parametrize("decoder", ["llama", "mistral", "phi"])
def test_in_double_precision_they_are_the_same(decoder: str) -> None:
    assert_as_alone(make(decoder).double(), make_batch(answers=False), 4, 1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_judges(method: str) -> None:
    assert_as_alone(make(bridge=bridge_of(method, 2, {})), make_batch(answers=False), 3, 2e-5)


@pytest.mark.parametrize("switches", [{"text": False}, {"gate": "dynamic"}, {"encoder_states": "mean"}])
def test_every_variant_judges(switches: dict) -> None:
    assert_as_alone(make(bridge=bridge_of("layalign", 2, switches)), make_batch(answers=False), 3, 2e-5)


def test_what_would_be_generated_is_greedy() -> None:
    model, batch = make(), make_batch(answers=False)
    said = model.answer(batch, max_new_tokens=5, min_new_tokens=5).tolist()
    other = [[*ids[:-1], ids[-1] + 1] for ids in said]
    found = model.likelihoods(batch, [list(pair) for pair in zip(said, other)], 8)
    assert [[one.greedy for one in own] for own in found] == [[True, False]] * 3
    assert all(own[0].total > own[1].total for own in found)


def test_what_is_in_front_is_read_once() -> None:
    model, batch = make(), make_batch(answers=False)
    read = {"encoder": 0, "LLM": 0}
    model.encoder.register_forward_hook(lambda *_: read.__setitem__("encoder", read["encoder"] + 1))
    model.decoder.base_model.register_forward_hook(lambda *_: read.__setitem__("LLM", read["LLM"] + 1))
    model.likelihoods(batch, [[[5], [6], [7]]] * 3, 2)
    assert read == {"encoder": 1, "LLM": 1}
    model.likelihoods(batch, [[[5, 6], [6, 7], [7, 8]]] * 3, 9)
    assert read == {"encoder": 2, "LLM": 3}


def test_logits_that_are_no_numbers_name_their_row() -> None:
    model, batch = make(), make_batch(answers=False)
    with torch.no_grad():
        model.decoder.get_input_embeddings().weight[40] = float("nan")
    with pytest.raises(NotANumber) as refusal:
        model.likelihoods(batch, [[[5], [6]], [[7, 8], [40, 5]], [[9]]], 4)
    assert refusal.value.rows == [1]


def test_ids_beyond_the_embedding_and_lengths_beyond_the_positions_are_refused() -> None:
    model, batch = make(), make_batch(answers=False)
    with pytest.raises(ValueError, match="token 97 of an option is beyond the LLM's embedding of 97 rows"):
        model.likelihoods(batch, [[[5]], [[97]], [[6]]], 4)
    with pytest.raises(ValueError, match="longer than the 128 positions"):
        model.likelihoods(batch, [[[5] * 128]] * 3, 4)


def test_nothing_in_front_of_an_option_is_refused() -> None:
    model = make(bridge=bridge_of("llm", 2, {}))
    model.decoder.config.bos_token_id = None
    batch = make_batch(answers=False)
    nothing = torch.zeros(3, 0, dtype=torch.long)
    with pytest.raises(ValueError, match="no start token and reads nothing in front of an option"):
        model.likelihoods(replace(batch, prompt_ids=nothing, prompt_mask=nothing), [[[5]]] * 3, 4)
