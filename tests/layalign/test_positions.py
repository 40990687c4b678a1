"""How many tokens a model can place, by its config, and what a recipe may ask for."""

from __future__ import annotations

import pytest
from transformers import AutoConfig

from layalign.config import RunConfig
from layalign.positions import GENERATED, TARGET, positions, source_obstacle, text_obstacle
from layalign.recipe import resolve

RECIPE = {
    "name": "x",
    "model": {"encoder": "enc", "decoder": "dec"},
    "data": {"reader": "pairs", "path": "p", "languages": ["sw"], "max_source": 512, "max_target": 500},
    "training": {"lr": 1e-4},
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}


def run(*overrides: str) -> RunConfig:
    return resolve(RECIPE, 2, overrides)


@pytest.mark.parametrize(
    ("config", "most"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512}, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514}, 512),
        ({"model_type": "gpt2", "n_positions": 1024, "n_ctx": 1024}, 1024),
        ({"model_type": "mt5", "n_positions": 512}, None),
        ({"model_type": "t5", "n_positions": 512}, None),
        ({"model_type": "m2m_100", "max_position_embeddings": 1024}, 1024),
        ({"model_type": "llama", "max_position_embeddings": 4096}, 4096),
        ({"model_type": "llama"}, None),
        ({"model_type": "qwen2", "max_position_embeddings": 32768, "rope_scaling": YARN}, 131072),
        ({"model_type": "qwen2", "max_position_embeddings": 131072, "rope_parameters": YARN}, 131072),
        ({"model_type": "llama", "max_position_embeddings": 2048,
          "rope_scaling": {"type": "dynamic", "factor": 2.0}}, 2048),
        ({"model_type": "phi3", "max_position_embeddings": 131072, "original_max_position_embeddings": 4096,
          "rope_scaling": {"type": "longrope", "long_factor": [1.0], "short_factor": [1.0]}}, 4096),
        ({"model_type": "phi3", "max_position_embeddings": 131072, "rope_parameters": {
            "rope_type": "longrope", "original_max_position_embeddings": 4096}}, 4096),
        ({"model_type": "gemma3", "text_config": {"max_position_embeddings": 131072}}, 131072),
        ({"model_type": "gemma3", "text_config": {"hidden_size": 2560}}, None),
        ({"model_type": "llama", "max_position_embeddings": 2048,
          "rope_scaling": {"type": "linear", "factor": 8}}, 16384),
        ({"model_type": "llama", "max_position_embeddings": 131072,
          "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}}, 131072),
    ],
)  # fmt: skip
def test_what_configs_say(config, most):
    assert positions(config) == most


def test_a_config_as_transformers_has_it_says_the_same():
    assert positions(AutoConfig.for_model("xlm-roberta", max_position_embeddings=514).to_dict()) == 512
    assert positions(AutoConfig.for_model("gpt2").to_dict()) == 1024
    assert positions(AutoConfig.for_model("gemma3_text").to_dict()) == 131072
    for kind in ("t5", "mt5", "umt5"):
        assert positions(AutoConfig.for_model(kind).to_dict()) is None


def test_a_source_as_long_as_the_table_fits_and_one_more_does_not():
    table = {"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    assert source_obstacle(run(), table) is None
    said = source_obstacle(run("data.max_source=513"), table)
    assert said == (
        "data.max_source is 513, but the encoder enc (xlm-roberta) has positions for 512 tokens: set "
        "data.max_source=512 or less, or choose another encoder"
    )
    assert source_obstacle(run("data.max_source=513", "model.method=llm"), table) is None


def test_what_stands_before_the_llm_is_counted_by_method():
    def fits(most: int, *overrides: str) -> bool:
        config = {"model_type": "llama", "max_position_embeddings": most}
        return text_obstacle(run(*overrides), config, TARGET) is None

    assert fits(1014)
    assert not fits(1013)
    assert fits(1264, "data.max_prompt=250")
    assert not fits(1263, "data.max_prompt=250")
    assert fits(1013, "model.adapter=false")
    assert fits(1014, "data.max_prompt=250", "model.text=false")
    said = text_obstacle(run(), {"model_type": "llama", "max_position_embeddings": 9}, TARGET)
    assert "1 (start token) + 513 (data.max_source with its separator) + 500 (data.max_target) = 1014" in said


def test_an_evaluation_counts_the_answers_that_it_generates():
    config = {"model_type": "llama", "max_position_embeddings": 1014}
    assert text_obstacle(run("evaluation.max_new_tokens=500"), config, GENERATED) is None
    said = text_obstacle(run("evaluation.max_new_tokens=501"), config, GENERATED)
    assert "501 (evaluation.max_new_tokens) = 1015" in said
    assert text_obstacle(run("evaluation.max_new_tokens=900"), config, TARGET) is None
