"""Whole and broken model folders, as copies, `git clone` and full disks leave them."""

from __future__ import annotations

import json
import os
import zipfile

import pytest

from cluster.hub.model_files import model_faults, read_config
from tests.model_files import write_model, write_shard

SHARD = "model-00002-of-00003.safetensors"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 15\n"


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model", shards=3, size=30_000)


@pytest.mark.parametrize("shards", [1, 3])
def test_a_whole_model_has_no_faults(tmp_path, shards):
    assert model_faults(write_model(tmp_path, shards=shards)) == []


def test_safetensors_that_the_library_writes_have_no_faults(tmp_path):
    import torch
    from safetensors.torch import save_file

    save_file(
        {"a": torch.zeros(3, 5), "b": torch.zeros(0)},
        write_model(tmp_path) / "model.safetensors",
        {"format": "pt"},
    )
    assert model_faults(tmp_path) == []


def test_weights_that_torch_pickles_have_no_faults_until_they_are_cut(tmp_path):
    import torch

    path = write_model(tmp_path) / "pytorch_model.bin"
    (tmp_path / "model.safetensors").unlink()
    torch.save({"a": torch.zeros(1000)}, path)
    assert model_faults(tmp_path) == []
    os.truncate(path, path.stat().st_size - 30)
    assert model_faults(tmp_path) == ["pytorch_model.bin is cut short: it has no end"]
    torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)
    assert model_faults(tmp_path) == []


def test_an_empty_folder_is_told_as_one(tmp_path):
    assert model_faults(tmp_path) == ["the folder is empty"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("config.json", None, "config.json is missing"),
        ("config.json", "", "config.json is no JSON: empty"),
        ("config.json", '{"model_type": "ll', "config.json is no JSON: cut short or damaged"),
        ("config.json", "{}", "config.json names no model_type"),
        ("config.json", POINTER, "without Git LFS"),
        ("tokenizer.json", None, "the tokenizer is missing"),
        ("tokenizer.json", "", "tokenizer.json is empty"),
        ("tokenizer.json", '{"model": {"vocab', "tokenizer.json is cut short"),
        ("tokenizer.json", POINTER, "tokenizer.json is only the pointer that `git clone` leaves"),
        (SHARD, None, f"{SHARD} of 3 files of weights missing"),
        (SHARD, "", f"{SHARD} is empty"),
        (SHARD, POINTER, f"{SHARD} is only the pointer"),
        (SHARD, "<html>not found</html>", f"{SHARD} is no safetensors file"),
        ("model.safetensors.index.json", None, "the weights are missing"),
        ("model.safetensors.index.json", '{"weight_map": {"a', "is no index of shards: cut short or damaged"),
        ("model.safetensors.index.json", "[]", "is no index of shards"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(model, name, content, told):
    if content is None:
        (model / name).unlink()
    else:
        (model / name).write_text(content)
    (fault,) = model_faults(model)
    assert told in fault


@pytest.mark.parametrize("less", [1, 5_000, 10_000 - 1])
def test_a_shard_that_is_cut_short_tells_both_lengths(model, less):
    path = model / SHARD
    whole = path.stat().st_size
    os.truncate(path, whole - less)
    assert model_faults(model) == [
        f"{SHARD} is cut short: it has {whole - less:,} bytes, its header promises {whole:,}"
    ]


def test_a_header_that_is_cut_short_and_a_file_that_is_too_long_are_told(model):
    os.truncate(model / SHARD, 20)
    assert model_faults(model) == [f"{SHARD} is cut short: its header is not whole"]
    write_shard(model / SHARD, {"layers.1": 10_000})
    os.truncate(model / SHARD, 30_000)
    assert "is too long" in model_faults(model)[0]


def test_tensors_that_the_index_places_elsewhere_are_named(model):
    write_shard(model / SHARD, {"other": 10_000})
    assert model_faults(model) == [f"{SHARD} lacks layers.1, which the index places there"]


def test_all_faults_are_told_at_once(model):
    (model / "config.json").unlink()
    (model / SHARD).unlink()
    os.truncate(model / SHARD.replace("2-of", "3-of"), 9_000)
    assert len(model_faults(model)) == 3


def test_a_folder_in_the_place_of_a_file_is_no_traceback(model):
    (model / SHARD).unlink()
    (model / SHARD).mkdir()
    assert "cannot be read" in model_faults(model)[0]


def test_a_tokenizer_without_a_vocabulary_file_is_known_by_its_class(tmp_path):
    write_model(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "ByT5Tokenizer"}))
    assert model_faults(tmp_path) == []


def test_a_zip_that_is_no_checkpoint_is_left_to_torch(tmp_path):
    write_model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w") as file:
        file.writestr("data.pkl", "x")
    assert model_faults(tmp_path) == []


def test_config_that_is_no_mapping_is_none(tmp_path):
    (tmp_path / "config.json").write_text("[1]")
    assert read_config(tmp_path) is None
