"""What a dry run refuses of models, that a job would refuse hours later."""

from __future__ import annotations

import json
import os

import pytest

from jobs.recipe.check import looks_like_path, model_obstacles
from layalign.recipe import resolve
from tests.model_files import write_model, write_shard
from tests.timing import cpu_seconds

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
        (
            "mt5",
            "mt5",
            "has not been checked: it has an encoder and a decoder of its own: name it as model.encoder",
        ),
        ("mt5", "qwen3_5", "has not been checked: some of its layers have no attention"),
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
    assert obstacles(encoder, decoder) == []
    assert cpu_seconds(obstacles, encoder, decoder) < 0.1


def test_sources_longer_than_the_encoders_table_are_refused(obstacles, tmp_path):
    encoder, decoder = write_model(tmp_path / "enc", "xlm-roberta"), write_model(tmp_path / "dec")
    config = encoder / "config.json"
    config.write_text('{"model_type": "xlm-roberta", "max_position_embeddings": 10, "pad_token_id": 1}')
    assert obstacles(encoder, decoder) == []
    config.write_text('{"model_type": "xlm-roberta", "max_position_embeddings": 9, "pad_token_id": 1}')
    (said,) = obstacles(encoder, decoder)
    assert "data.max_source is 8, but the encoder" in said
    assert "has positions for 7 tokens" in said


def test_texts_longer_than_the_llms_context_are_refused(obstacles, tmp_path):
    encoder, decoder = write_model(tmp_path / "enc", "mt5"), write_model(tmp_path / "dec")
    (decoder / "config.json").write_text('{"model_type": "llama", "max_position_embeddings": 17}')
    (said,) = obstacles(encoder, decoder)
    assert "has learned positions for 17 tokens" in said


def test_quantised_models_and_adapters_are_refused(obstacles, tmp_path):
    encoder, decoder = write_model(tmp_path / "enc", "mt5"), write_model(tmp_path / "dec")
    (decoder / "config.json").write_text(
        '{"model_type": "llama", "quantization_config": {"quant_method": "awq"}}'
    )
    (said,) = obstacles(encoder, decoder)
    assert "is quantised (awq)" in said
    (decoder / "config.json").write_text('{"model_type": "llama"}')
    (decoder / "adapter_config.json").write_text("{}")
    (said,) = obstacles(encoder, decoder)
    assert "PEFT adapter" in said
    assert "merge" in said


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "base_model.model."])
def test_weights_with_a_wrappers_names_are_refused(obstacles, tmp_path, prefix):
    encoder, decoder = write_model(tmp_path / "enc", "mt5"), write_model(tmp_path / "dec", shards=2)
    names = sorted(decoder.glob("*.safetensors"))
    placed = {}
    for number, path in enumerate(names):
        name = f"{prefix}model.layers.{number}.weight"
        write_shard(path, {name: 8})
        placed[name] = path.name
    (decoder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))
    (said,) = obstacles(encoder, decoder)
    assert f"begin with '{prefix.partition('.')[0]}.'" in said
    assert "unwrapped" in said
