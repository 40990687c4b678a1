"""What a dry run refuses of models, that a job would refuse hours later."""

from __future__ import annotations

import os
import time

import pytest

from jobs.recipe.check import looks_like_path, model_obstacles
from layalign.config import resolve
from tests.model_files import write_model

COMMIT = "0" * 40


@pytest.fixture
def obstacles(tmp_path):
    """What stands in the way of a recipe of two models."""

    def obstacles(encoder, decoder, **environ):
        recipe = {
            "name": "tiny",
            "model": {"encoder": str(encoder), "decoder": str(decoder)},
            "data": {
                "reader": "jsonl",
                "path": "pairs.jsonl",
                "languages": ["sw"],
                "max_source": 8,
                "max_target": 8,
            },
            "training": {"lr": 1e-3},
            "stages": {2: {"training": {"lr": 1e-3}}},
        }
        return model_obstacles(
            resolve(recipe, 2, ()), {"HF_HOME": str(tmp_path / "hub"), "HOME": "/", **environ}
        )

    return obstacles


def cached(home, name, **facts):
    """A model in a cache, as the hub's own library lays it out."""
    folder = home / "hub" / f"models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    return write_model(folder / "snapshots" / COMMIT, **facts)


def test_whole_models_of_checked_types_are_no_obstacle(obstacles, tmp_path):
    cached(tmp_path / "hub", "org/llm", shards=2)
    assert obstacles(write_model(tmp_path / "mt5", "mt5"), "org/llm") == []


def test_a_broken_folder_is_refused_with_every_fault(obstacles, tmp_path):
    cached(tmp_path / "hub", "org/llm")
    broken = write_model(tmp_path / "mt5", "mt5", shards=2)
    (broken / "config.json").unlink()
    (broken / "model-00001-of-00002.safetensors").unlink()
    (told,) = obstacles(broken, "org/llm")
    assert f"model.encoder {broken} cannot be loaded: config.json is missing; model-00001" in told
    assert "prefetch" in told


def test_a_cut_file_in_the_cache_is_refused_like_one_in_a_folder(obstacles, tmp_path):
    folder = cached(tmp_path / "hub", "org/llm")
    os.truncate(folder / "model.safetensors", 70)
    (told,) = obstacles(write_model(tmp_path / "mt5", "mt5"), "org/llm")
    assert "org/llm at main: model.safetensors is cut short" in told


@pytest.mark.parametrize(
    ("encoder", "decoder", "told"),
    [
        ("mt5", "gpt_neox", "the LLM's model type is 'gpt_neox', which has not been checked"),
        ("wav2vec2", "llama", "the encoder's model type is 'wav2vec2', which has not been checked"),
    ],
)
def test_a_type_that_has_not_been_checked_is_refused(obstacles, tmp_path, encoder, decoder, told):
    (found,) = obstacles(write_model(tmp_path / "e", encoder), write_model(tmp_path / "d", decoder))
    assert told in found


def test_a_model_in_the_users_own_cache_is_pointed_at(obstacles, tmp_path):
    cached(tmp_path / "own" / "huggingface", "org/llm")
    encoder = write_model(tmp_path / "mt5", "mt5")
    (told,) = obstacles(encoder, "org/llm", XDG_CACHE_HOME=str(tmp_path / "own"))
    assert f"lies in {tmp_path}/own/huggingface/hub, but jobs look in {tmp_path}/hub/hub" in told


@pytest.mark.parametrize("name", ["/models/llm", "./llm", "~/llm", "models/of/mine"])
def test_a_folder_that_is_not_there_is_no_model_of_the_hub(obstacles, tmp_path, name):
    assert looks_like_path(name)
    (told,) = obstacles(write_model(tmp_path / "mt5", "mt5"), name)
    assert told == f"model {name}: there is no such folder"


def test_models_of_real_sizes_are_looked_at_in_no_time(obstacles, tmp_path):
    encoder = write_model(tmp_path / "mt5", "mt5", size=15_000_000_000)
    decoder = write_model(tmp_path / "llm", "llama", shards=3, size=13_500_000_000)
    began = time.process_time()
    assert obstacles(encoder, decoder) == []
    assert time.process_time() - began < 0.1
