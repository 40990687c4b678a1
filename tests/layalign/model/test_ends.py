"""Where answers end: every end token counts, wherever it is named, row by row."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from layalign.config import ModelConfig
from layalign.evaluation.benchmarks import Item
from layalign.evaluation.generate import answer_items
from layalign.methods import bridge_of
from layalign.model import store
from layalign.model.ends import end_ids
from layalign.model.layalign import LayAlign
from tests.layalign.model.folders import edit_json, edit_weights
from tests.layalign.model.test_architectures import SMALL, make_batch
from tests.layalign.model.test_store import write_backbone

pytestmark = pytest.mark.core


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An LLM that writes c after b, d after c, and so on to h, whatever else it has read."""

    def chain(weights):
        eye = torch.eye(32)
        return {name: _link(name, value, eye) for name, value in weights.items()}

    made = Path(write_backbone(tmp_path / "dec", "llama", SMALL))
    return edit_weights(made, chain)


def _link(name: str, value: torch.Tensor, eye: torch.Tensor) -> torch.Tensor:
    """Layers that change nothing; token i of the vocabulary (a is 3) is a unit vector whose logit is that of i + 1."""
    if name.endswith(("o_proj.weight", "down_proj.weight")):
        return torch.zeros_like(value)
    if name in ("model.embed_tokens.weight", "lm_head.weight"):
        shift = 1 if name == "lm_head.weight" else 0
        placed = torch.zeros_like(value)
        placed[shift : 20 + shift] = eye[:20]
        return placed
    return value


def llm(folder: Path) -> LayAlign:
    config = ModelConfig(encoder="none", decoder=str(folder), method="llm", precision="fp32")
    model = LayAlign.build(config, bridge_of("llm", 2, {}))
    model.end_at(tokenizer_of(folder))
    return model


def tokenizer_of(folder: Path) -> PreTrainedTokenizerFast:
    return store.load_tokenizers(ModelConfig(encoder=str(folder), decoder=str(folder))).decoder


def outputs(folder: Path, *prompts: str) -> list[dict]:
    """What an evaluation records of prompts that are answered in one batch."""
    model, tokenizer, records = llm(folder), tokenizer_of(folder), []
    answer_items(
        model,
        [Item(f"x-{place}", "sw", prompt, prompt, 1.0) for place, prompt in enumerate(prompts)],
        tokenizer,
        tokenizer,
        batch_size=8,
        max_new_tokens=9,
        max_source=9,
        text=True,
        ends=model.ends,
        on_batch=records.extend,
        should_stop=lambda: False,
    )
    return sorted(records, key=lambda record: record["id"])


def test_without_an_end_token_on_its_way_it_goes_on(folder):
    assert outputs(folder, "b")[0]["output"].startswith("c d e f g h")


NAMED = {
    "config.json": lambda folder: edit_json(folder / "config.json", eos_token_id=[2, 6]),
    "generation_config.json": lambda folder: edit_json(
        folder / "generation_config.json", eos_token_id=[2, 6]
    ),
    "one in generation_config.json": lambda folder: edit_json(
        folder / "generation_config.json", eos_token_id=6
    ),
    "tokenizer": lambda folder: edit_json(folder / "tokenizer_config.json", eos_token="d"),
    "tokenizer alone": lambda folder: (
        edit_json(folder / "tokenizer_config.json", eos_token="d"),
        edit_json(folder / "config.json", eos_token_id=None),
        edit_json(folder / "generation_config.json", eos_token_id=...),
    ),
}


@pytest.mark.parametrize("name", NAMED.values(), ids=NAMED)
def test_an_answer_ends_at_every_end_token(folder, name):
    name(folder)
    (record,) = outputs(folder, "b")
    assert record["output"] == "c"
    assert record["tokens"] == 1


def test_each_row_of_a_batch_ends_for_itself(folder):
    edit_json(folder / "generation_config.json", eos_token_id=[2, 8])  # f
    records = outputs(folder, "b", "d", "c b", "a a e")
    assert [record["output"] for record in records] == ["c d e", "e", "c d e", ""]
    ids = llm(folder).answer(make_batch(answers=False), max_new_tokens=9)
    for row in ids.tolist():
        ends = [place for place, token in enumerate(row) if token in (2, 8)]
        assert not ends or set(row[ends[0] + 1 :]) <= {0}, "what stands behind an end is padding"


def test_ids_that_no_token_has_are_no_ends(folder):
    edit_json(folder / "config.json", eos_token_id=[-1, 6, 900])
    edit_json(folder / "generation_config.json", eos_token_id=...)
    assert llm(folder).ends == (2, 6)


def test_an_llm_that_nothing_ends_is_refused(folder):
    edit_json(folder / "config.json", eos_token_id=None, pad_token_id=None)
    edit_json(folder / "generation_config.json", eos_token_id=..., pad_token_id=...)
    config = ModelConfig(encoder="none", decoder=str(folder), method="llm", precision="fp32")
    model = LayAlign.build(config, bridge_of("llm", 2, {}))
    assert end_ids(model.decoder) == ()
    with pytest.raises(ValueError, match="nothing ends an answer of this LLM"):
        model.answer(make_batch(answers=False), max_new_tokens=2)
    model.end_at(tokenizer_of(folder))
    model.answer(make_batch(answers=False), max_new_tokens=2)
