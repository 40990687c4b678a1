"""A run as an object: it answers as an evaluation does, and says what it needs to be told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from layalign.use import Model, load
from layalign.use.model import Ask


@pytest.fixture(scope="module")
def folder(trained_folder: Path) -> Path:
    (found,) = trained_folder.glob("runs/tiny-layalign-s2-*")
    return found


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load(folder)


QUESTIONS = ["a b c", "tom", "a b a b", "c"]


def test_answers_come_in_order_whatever_the_batch(model):
    one_by_one = [model.generate([question])[0] for question in QUESTIONS]
    assert model.generate(QUESTIONS) == one_by_one
    assert model.generate(QUESTIONS[::-1], batch_size=3) == one_by_one[::-1]


def test_they_are_those_of_an_evaluation(folder, trained_folder, world, tmp_path):
    from jobs.work.evaluate import Answerer  # noqa: F401 (what an evaluation uses is what `load` uses)
    from layalign.evaluation.benchmarks import read_benchmark
    from layalign.evaluation.generate import answer_items

    model, records = load(folder), []
    items = read_benchmark("mini", world / "data", ["sw", "bn"], 4)
    answer_items(
        model.model, items, model.tokenizers.encoder, model.tokenizers.decoder, batch_size=3, max_new_tokens=16,
        max_source=64, text=True, ends=model.model.ends, on_batch=records.extend, should_stop=lambda: False,
    )  # fmt: skip
    expected = {record["id"]: record["output"] for record in records}
    found = model.generate([item.source for item in items])
    assert found == [expected[item.id] for item in items]


def test_a_bridge_alone_is_loaded_with_the_config_beside_it(folder, model, tmp_path):
    assert load(folder / "bridge").generate(QUESTIONS) == model.generate(QUESTIONS)
    copy = shutil.copytree(folder / "bridge", tmp_path / "elsewhere" / "copy")
    (copy / "config.yaml").unlink(missing_ok=True)
    with pytest.raises(ValueError, match=r"holds no config\.yaml, which says how the run reads"):
        load(copy)
    shutil.copy(folder / "config.yaml", copy)
    assert load(copy).generate(QUESTIONS) == model.generate(QUESTIONS)


def test_likelihoods_are_those_of_the_loss(model):
    (found,) = model.log_likelihoods(["a b"], [["c", "c a b"]], batch_size=1)
    assert [one.tokens for one in found] == [1, 3]
    assert found[0].total > found[1].total
    asked = [Ask(id="x", language="en", source="a b", prompt="a b", options=("c a b",))]
    assert model.judged(asked)["x"][0].total == pytest.approx(found[1].total, abs=1e-9)


@pytest.mark.parametrize(("change", "said"), [
    ({"questions": ["a", " "]}, "question 2 is empty"),
    ({"language": "Swahilli"}, "unknown language 'Swahilli'"),
    ({"prompt": "maths"}, "prompt is 'maths': it must be math, translation, source"),
    ({"prompt": "translation"}, "the prompt names the language"),
])  # fmt: skip
def test_what_cannot_be_asked_is_refused(model, change, said):
    with pytest.raises(ValueError, match=said):
        model.generate(**{"questions": ["a"]} | change)


def test_an_encoder_that_is_told_its_language_needs_one(model, monkeypatch):
    monkeypatch.setattr(model.tokenizers.encoder, "src_lang", "eng_Latn", raising=False)
    with pytest.raises(ValueError, match="reads each language its own way"):
        model.generate(["a"])


def test_no_run_and_an_untrained_one_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="there is no folder"):
        load(tmp_path / "none")
    (tmp_path / "run").mkdir()
    with pytest.raises(ValueError, match=r"holds no config\.yaml"):
        load(tmp_path / "run")
    shutil.copy(folder / "config.yaml", tmp_path / "run")
    with pytest.raises(ValueError, match="holds no bridge"):
        load(tmp_path / "run")


def test_the_llm_alone_answers_without_a_bridge(folder, tmp_path):
    told = (folder / "config.yaml").read_text().replace("method: layalign", "method: llm")
    (tmp_path / "config.yaml").write_text(told)
    model = load(tmp_path)
    assert model.model.encoder is None
    assert len(model.generate(QUESTIONS)) == 4


def test_models_that_lie_elsewhere_are_named(folder, model, tmp_path):
    told = json.loads((folder / "bridge" / "bridge.json").read_text())["model"]
    decoder = shutil.copytree(told["decoder"], tmp_path / "llm")
    assert load(folder, decoder=str(decoder)).generate(QUESTIONS) == model.generate(QUESTIONS)
