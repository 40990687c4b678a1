from __future__ import annotations

import dataclasses
import json
import os
import random

import pytest
import torch

from layalign.mini import Settings
from layalign.mini.pretrain import Masking, pretrain_decoder, pretrain_encoder
from layalign.mini.tokenizers import decoder_tokenizer, encoder_tokenizer
from layalign.mini.world import LANGUAGES, World
from tests.warm import ROOT, Python

SETTINGS = dataclasses.replace(Settings.tiny(), decoder_steps=60, encoder_steps=60)


@pytest.fixture(scope="module")
def world():
    return World(SETTINGS.seed)


@pytest.fixture(scope="module")
def encoder(world):
    return encoder_tokenizer(world)


def losses(pretrain, tokenizer):
    told = []
    pretrain(tokenizer, SETTINGS, lambda phase, step, total, loss: told.append((step, total, loss)))
    steps, totals, values = zip(*told)
    assert steps == (10, 20, 30, 40, 50, 60)
    assert set(totals) == {60}
    return values


def test_the_decoder_learns(world):
    first, *_, last = losses(pretrain_decoder, decoder_tokenizer(world))
    assert last < first - 1


def test_the_encoder_learns(encoder):
    first, *_, last = losses(pretrain_encoder, encoder)
    assert last < first - 0.2


def test_pretraining_is_decided_by_the_seed(encoder):
    assert losses(pretrain_encoder, encoder) == losses(pretrain_encoder, encoder)


def test_masking_shows_a_word_as_a_translation_or_a_mask(world, encoder):
    torch.manual_seed(0)
    problem = world.problem(random.Random(0))
    said = [world.say(problem, language) for language in LANGUAGES]
    ids = encoder(said * 50, return_tensors="pt").input_ids
    masked, chosen = Masking(world, encoder)(ids)
    assert torch.equal(masked[~chosen], ids[~chosen])
    concept = {word: place for language in LANGUAGES for place, word in enumerate(world.words[language])}
    for told, true in zip(
        encoder.convert_ids_to_tokens(masked[chosen]), encoder.convert_ids_to_tokens(ids[chosen])
    ):
        assert told == "<mask>" or concept[told] == concept[true]


def test_masking_leaves_punctuation_and_the_end(world, encoder):
    torch.manual_seed(0)
    ids = encoder(["ta has 47 pens . finds 12 . sees 31 . how pens ?"] * 200, return_tensors="pt").input_ids
    _, chosen = Masking(world, encoder)(ids)
    never = {
        encoder.convert_ids_to_tokens(place) for place in set(ids[0].tolist()) - set(ids[chosen].tolist())
    }
    assert never == {".", "?", "</s>"}


def test_a_backbone_is_made_without_deepspeed(encoder, tmp_path):
    encoder.save_pretrained(tmp_path)
    settings = dataclasses.asdict(dataclasses.replace(SETTINGS, encoder_steps=1))
    code = "import sys; from layalign.mini.pretrain import main; main(*sys.argv[1:]); print(*sys.modules)"
    made = Python("-c", code, "encoder", tmp_path, json.dumps(settings), cwd=ROOT, env=os.environ)
    assert made.wait() == 0, made.told
    progress, modules = made.told.splitlines()
    assert json.loads(progress)[:3] == ["encoder", 1, 1]
    assert "layalign.mini.pretrain" in modules.split()
    assert "deepspeed" not in modules.split()
    assert (tmp_path / "model.safetensors").is_file()
