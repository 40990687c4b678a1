"""What answers is known by its content: bridges and backbones on disk, and records of them."""

from __future__ import annotations

import dataclasses

import pytest

from cluster.files import write_json_atomic
from cluster.run.run_folder import RunFolder
from jobs.cell.setup import answered_setup, changed_parts, setup_of
from jobs.recipe.plan import load_recipe
from layalign.recipe import resolve


@pytest.fixture
def models(tmp_path):
    """Two folders that look like models."""
    for name in ("encoder", "decoder"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text('{"model_type": "llama"}')
        (tmp_path / name / "model.safetensors").write_bytes(bytes(range(256)) * 1000)
    return tmp_path


@pytest.fixture
def config(models):
    overrides = [f"model.encoder={models}/encoder", f"model.decoder={models}/decoder"]
    return resolve(load_recipe("math"), 2, overrides)


@pytest.fixture
def run(tmp_path, config):
    run = RunFolder.at(tmp_path / "runs", "math", 2, "0123abcd")
    run.create(config.to_dict())
    run.bridge.mkdir()
    (run.bridge / "bridge.safetensors").write_bytes(b"weights")
    return run


def answered(run, config):
    """One cell that is done, and says by what."""
    cell = run.cell("mgsm", "sw", 0)
    cell.path.mkdir(parents=True)
    write_json_atomic(cell.done, {"items": 2, "max_new_tokens": 9, **setup_of(run, config).record()})


def test_without_a_bridge_nothing_answers(run, config):
    (run.bridge / "bridge.safetensors").unlink()
    assert setup_of(run, config) is None


def test_four_bytes_make_another_bridge(run, config):
    before = setup_of(run, config)
    (run.bridge / "bridge.safetensors").write_bytes(b"weiGHTS")
    after = setup_of(run, config)
    assert before.fingerprint != after.fingerprint
    assert changed_parts(before.parts, after.parts).startswith("bridge (was ")


@pytest.mark.parametrize("place", [0, 100, -1])
def test_weights_of_a_backbone_are_known_by_their_ends_and_length(run, config, models, place):
    before = setup_of(run, config).fingerprint
    path = models / "decoder" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert setup_of(run, config).fingerprint != before


def test_a_backbone_is_the_same_wherever_it_lies(run, config, models):
    before = setup_of(run, config).fingerprint
    (models / "decoder").rename(models / "moved")
    moved = dataclasses.replace(config.model, decoder=str(models / "moved"))
    assert setup_of(run, dataclasses.replace(config, model=moved)).fingerprint == before


def test_notes_in_a_models_folder_change_nothing(run, config, models):
    before = setup_of(run, config).fingerprint
    (models / "decoder" / "README.md").write_text("read me")
    assert setup_of(run, config).fingerprint == before


def test_another_commit_on_the_hub_is_another_model(run, config):
    told = dataclasses.replace(config.model, decoder="meta-math/MetaMath-7B-V1.0", decoder_revision="a" * 40)
    other = dataclasses.replace(told, decoder_revision="b" * 40)
    first, second = (setup_of(run, dataclasses.replace(config, model=model)) for model in (told, other))
    assert changed_parts(first.parts, second.parts).startswith("decoder (was meta-math/MetaMath-7B-V1.0@aaaa")


def test_what_does_not_decide_an_answer_changes_nothing(run, config):
    before = setup_of(run, config).fingerprint
    evaluation = dataclasses.replace(config.evaluation, batch_size=3, limit=7)
    training = dataclasses.replace(config.training, micro_batch=1)
    other = dataclasses.replace(config, evaluation=evaluation, training=training, gpus=2)
    assert setup_of(run, other).fingerprint == before


def test_answers_of_old_have_nothing_to_be_compared_with(run, config):
    cell = run.cell("mgsm", "sw", 0)
    cell.path.mkdir(parents=True)
    write_json_atomic(cell.done, {"items": 2, "max_new_tokens": 9})
    assert answered_setup(run, config) is None


def test_where_only_results_are_a_backbone_that_is_not_there_is_no_other(run, config, models):
    answered(run, config)
    before = answered_setup(run, config).fingerprint
    (models / "decoder").rename(models / "gone")
    assert answered_setup(run, config).fingerprint == before


def test_a_bridge_that_was_not_written_since_is_not_read_again(run, config, monkeypatch):
    answered(run, config)
    monkeypatch.setattr("jobs.cell.setup.checksum", lambda path: pytest.fail("it was read"))
    assert answered_setup(run, config) is not None
