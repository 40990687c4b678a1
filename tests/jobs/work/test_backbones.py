"""Trainings and evaluations on models, tokenizers and weights that changed under them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.files import read_jsonl
from cluster.job.interrupt import Interrupts
from jobs.recipe.plan import load_recipe, plan_run
from jobs.work import train as job
from layalign.model.store import load_tokenizers
from layalign.recipe import read_recipe, resolve
from layalign.training.distributed import Processes
from tests.layalign.model.folders import edit_json, edit_weights, without
from tests.world import launch, write_recipe


@pytest.fixture(scope="module")
def finished(world, tmp_path_factory) -> Path:
    """A world of its own, and both stages trained in it."""
    place = tmp_path_factory.mktemp("finished")
    shutil.copytree(world, place / "world")
    recipe = write_recipe(place / "world", place)
    told = train(recipe, "--stage", "all")
    assert told.returncode == 0, told.told
    return place


@pytest.fixture
def place(finished, tmp_path) -> Path:
    """The same, to be damaged: the recipe's paths are those of the first."""
    kept = tmp_path / "kept"
    shutil.copytree(finished, kept)
    yield finished
    shutil.rmtree(finished)
    shutil.copytree(kept, finished)


def train(recipe: Path, *words: str):
    where = ("--recipe", recipe, "--runs", recipe.parent / "runs")
    return launch("train", *where, *words, "--inline", cwd=recipe.parent)


def evaluate(place: Path, *words: str):
    where = ("--recipe", place / "tiny.yaml", "--runs", place / "runs", "--data", place / "world" / "data")
    return launch("evaluate", *where, *words, "--inline", cwd=place)


def run_of(place: Path, stage: int) -> Path:
    (found,) = (place / "runs").glob(f"*-s{stage}-????????")
    return found


def undone(run: Path) -> Path:
    """As if it had been interrupted before its end."""
    (run / "DONE").unlink()
    shutil.rmtree(run / "bridge")
    return run


def nudge(folder: Path, name: str) -> None:
    def change(weights):
        weights[name].view(-1)[3] += 1e-3
        return weights

    edit_weights(folder, change)


def refused(told, *words: str) -> None:
    assert told.returncode != 0, told.told
    for word in words:
        assert word in told.told, told.told


def test_a_bridge_and_its_checkpoints_say_what_they_were_trained_on(place):
    for stage in (1, 2):
        for folder in ("bridge", "checkpoints"):
            told = json.loads((run_of(place, stage) / folder / "backbones.json").read_text())
            assert told["decoder"]["name"] == str(place / "world" / "decoder")


def test_an_evaluation_with_another_llm_is_refused(place):
    nudge(place / "world" / "decoder", "model.norm.weight")
    refused(evaluate(place), "the LLM is not the one that the bridge in", "digest", "Libraries then:")


def test_an_evaluation_with_a_broken_llm_is_refused(place):
    edit_weights(place / "world" / "decoder", without(".layers.1."))
    for words in ((), ("-o", "model.method=llm")):
        refused(evaluate(place, *words), "no file has model.layers.1.input_layernorm.weight", "and 6 more")


def test_a_training_with_a_wrappers_names_is_refused_before_it_is_queued(place):
    shutil.rmtree(run_of(place, 1))
    edit_weights(place / "world" / "decoder", lambda w: {f"module.{k}": v for k, v in w.items()})
    said = "begin with 'module.' (module.lm_head.weight, module.model.embed_tokens.weight"
    refused(train(place / "tiny.yaml", "--stage", "1", "--dry-run"), said)


def test_a_second_stage_with_another_encoder_is_refused(place):
    shutil.rmtree(run_of(place, 2))
    nudge(place / "world" / "encoder", "shared.weight")
    refused(
        train(place / "tiny.yaml", "--stage", "2"), "the encoder is not the one that the bridge in", "-s1-"
    )


def test_a_second_stage_with_another_tokenizer_is_refused(place):
    shutil.rmtree(run_of(place, 2))
    rules = place / "world" / "decoder" / "tokenizer.json"
    edit_json(rules, normalizer={"type": "Lowercase"})
    refused(
        train(place / "tiny.yaml", "--stage", "2"),
        "the tokenizer of the LLM writes otherwise",
        "was [",
        "is [",
    )


@pytest.mark.parametrize("stage", [1, 2])
def test_a_training_does_not_go_on_with_another_llm(place, stage):
    run = undone(run_of(place, stage))
    nudge(place / "world" / "decoder", "lm_head.weight")
    told = train(place / "tiny.yaml", "--stage", str(stage))
    refused(told, "the LLM is not the one that")
    assert not (run / "DONE").exists()


def test_a_training_of_the_version_before_goes_on_with_a_note(place):
    run = undone(run_of(place, 2))
    (run / "checkpoints" / "backbones.json").unlink()
    (run_of(place, 1) / "bridge" / "backbones.json").unlink()
    told = train(place / "tiny.yaml", "--stage", "2")
    assert told.returncode == 0, told.told
    assert told.told.count("keeps no record of its models") == 2
    assert (run / "checkpoints" / "backbones.json").exists()
    assert [event["event"] for event in read_jsonl(run / "events.jsonl")].count("resumed") == 1


def test_a_training_whose_first_checkpoint_never_came_may_begin_with_other_models(place):
    run = undone(run_of(place, 1))
    for checkpoint in (run / "checkpoints").glob("step-*"):
        shutil.rmtree(checkpoint)
    nudge(place / "world" / "decoder", "lm_head.weight")
    told = train(place / "tiny.yaml", "--stage", "1")
    assert told.returncode == 0, told.told


def test_a_padding_token_without_an_embedding_is_refused_before_anything_is_computed(place):
    from transformers import AutoTokenizer

    shutil.rmtree(run_of(place, 1))
    tokenizer = AutoTokenizer.from_pretrained(place / "world" / "decoder")
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(place / "world" / "decoder")
    refused(train(place / "tiny.yaml", "--stage", "1"), "'[PAD]' is", "without resizing")
    refused(evaluate(place), "'[PAD]' is", "without resizing")


def test_weights_that_are_no_numbers_are_refused(place):
    def spoil(weights):
        weights["model.norm.weight"][0] = float("nan")
        return weights

    shutil.rmtree(run_of(place, 1))
    edit_weights(place / "world" / "decoder", spoil)
    refused(train(place / "tiny.yaml", "--stage", "1"), "weights that are not numbers", "model.norm.weight")
    refused(evaluate(place, "-o", "model.method=llm"), "weights that are not numbers", "model.norm.weight")


def test_a_recipe_longer_than_the_context_is_refused_in_a_dry_run(place):
    long = ("-o", "data.max_source=300", "stages.2.data.max_source=300")
    refused(
        train(place / "tiny.yaml", "--stage", "all", "--dry-run", *long),
        "has learned positions for 256 tokens",
    )


def test_an_end_token_of_generation_config_alone_ends_answers(place):
    """Every token ends an answer: nothing is left of what the model says otherwise."""
    evaluated = evaluate(place, "--limit", "2")
    assert evaluated.returncode == 0, evaluated.told
    (run_of(place, 2) / "results").rename(place / "results-before")
    rows = len(json.loads((place / "world" / "decoder" / "tokenizer.json").read_text())["model"]["vocab"])
    edit_json(place / "world" / "decoder" / "generation_config.json", eos_token_id=list(range(rows)))
    assert evaluate(place, "--limit", "2").returncode == 0
    files = list(run_of(place, 2).glob("results/mini/*/answers.jsonl"))
    assert files
    assert {record["output"] for path in files for record in read_jsonl(path)} == {""}


def change(file: Path) -> None:
    """Four bytes of a bridge's weights, and its checksum, as whoever trains it anew leaves it."""
    content = bytearray(file.read_bytes())
    content[-4:] = b"\x01\x02\x03\x04"
    file.write_bytes(bytes(content))
    edit_json(file.with_name("bridge.json"), sha256=hashlib.sha256(content).hexdigest())


def test_other_weights_to_start_from_are_another_run(place, tmp_path):
    given = tmp_path / "given"
    shutil.copytree(run_of(place, 1) / "bridge", given)
    shutil.rmtree(run_of(place, 2))
    words = ("--stage", "2", "-o", f"training.init={given}")
    first = train(place / "tiny.yaml", *words)
    assert first.returncode == 0, first.told
    again = train(place / "tiny.yaml", *words)
    assert "already done" in again.told
    change(given / "bridge.safetensors")
    other = train(place / "tiny.yaml", *words)
    assert other.returncode == 0, other.told
    assert "already done" not in other.told
    assert len(list((place / "runs").glob("*-s2-*"))) == 2


def test_weights_that_change_between_plan_and_start_are_refused(place, tmp_path):
    given = tmp_path / "given"
    shutil.copytree(run_of(place, 1) / "bridge", given)
    shutil.rmtree(run_of(place, 2))
    recipe = place / "tiny.yaml"
    plan = plan_run(load_recipe(str(recipe)), 2, [f"training.init={given}"], place / "runs")
    change(given / "bridge.safetensors")
    told = {**plan.told(place / "world" / "data"), "parent": str(given)}
    plan.run.create(plan.config.to_dict())
    with pytest.raises(ClusterError, match="are not those that this run was planned with"):
        job.run(told, Interrupts())


class SecondOfTwo(Processes):
    """A process whose other one has loaded something else."""

    def gather(self, value):
        return ["0123456789abcdef", value]


def test_processes_that_loaded_different_weights_do_not_train(place):
    config = resolve(read_recipe(place / "tiny.yaml"), 1)
    tokenizers = load_tokenizers(config.model)
    with pytest.raises(
        ValueError, match=r"have loaded different weights for the encoder .*0123456789abcdef, "
    ):
        job._model(config, None, tokenizers, SecondOfTwo())
