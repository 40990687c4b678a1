from __future__ import annotations

import random

import pytest

from layalign.mini.tokenizers import decoder_tokenizer, encoder_tokenizer
from layalign.mini.world import HIGH, LANGUAGES, LOW, World


@pytest.fixture(scope="module")
def world():
    return World(0)


@pytest.fixture(scope="module")
def encoder(world):
    return encoder_tokenizer(world)


@pytest.fixture(scope="module")
def decoder(world):
    return decoder_tokenizer(world)


@pytest.fixture(scope="module")
def said(world):
    problems = world.problems(300, random.Random(0))
    return [world.say(problem, language) for problem in problems for language in LANGUAGES]


def test_the_decoder_reads_and_writes_every_text(world, decoder, said):
    draw = random.Random(0)
    for text in said + [world.lesson(draw) for _ in range(1000)]:
        ids = decoder(text).input_ids
        assert ids[0] == decoder.bos_token_id
        assert decoder.unk_token_id not in ids
        assert decoder.decode(ids, skip_special_tokens=True) == text


def test_the_encoder_reads_and_writes_every_sentence(encoder, said):
    for text in said:
        ids = encoder(text).input_ids
        assert ids[-1] == encoder.eos_token_id
        assert encoder.unk_token_id not in ids
        assert encoder.decode(ids, skip_special_tokens=True) == text


def test_all_sentences_are_equally_long_for_the_encoder(encoder, said):
    assert {len(ids) for ids in encoder(said).input_ids} == {16}


def test_a_low_resource_word_is_one_token_or_two_letters(world, encoder, decoder):
    for language in LOW:
        for word in world.words[language]:
            assert encoder.tokenize(word) == [word]
            assert decoder.tokenize(word) == [word[0], "##" + word[1]]


def test_a_high_resource_word_is_one_token_for_both(world, encoder, decoder):
    for language in HIGH:
        for word in world.words[language]:
            assert encoder.tokenize(word) == decoder.tokenize(word) == [word]


def test_a_number_is_one_token_or_two_digits(encoder, decoder):
    assert encoder.tokenize("47") == ["47"]
    assert decoder.tokenize("47 + 12 = 59") == ["4", "7", "+", "1", "2", "=", "5", "9"]


def test_pads_stand_left_for_the_decoder_and_right_for_the_encoder(encoder, decoder):
    texts = ["ta has 47", "ta has"]
    assert decoder(texts, padding=True).input_ids[1][0] == decoder.pad_token_id
    assert encoder(texts, padding=True).input_ids[1][-1] == encoder.pad_token_id
