from __future__ import annotations

import json
from pathlib import Path

import pytest

from cluster.hub.cache import Pin, hub_cache, lock_path, missing_files, read_pin, use_storage, write_pin
from cluster.profile.load import load_profile
from tests.model_files import write_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]


@pytest.fixture
def folder(tmp_path):
    """A model in the cache, with weights in two shards."""
    model = tmp_path / "hub" / "models--google--mt5-xl"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(COMMIT)
    return write_model(model / "snapshots" / COMMIT, "mt5", shards=2)


@pytest.fixture
def environ(folder, tmp_path):
    return {"HF_HUB_CACHE": str(tmp_path / "hub")}


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_model_in_the_cache_is_found(environ, revision):
    assert missing_files("model", "google/mt5-xl", revision, environ) == []


def test_other_model_or_revision_is_missing(environ):
    assert missing_files("model", "google/mt5-xxl", None, environ) == ["all files"]
    assert missing_files("model", "google/mt5-xl", "v2", environ) == ["all files"]
    assert missing_files("dataset", "google/mt5-xl", None, environ) == ["all files"]


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ("config.json", "config.json is missing"),
        ("tokenizer.json", "the tokenizer is missing"),
        (SHARDS[1], f"{SHARDS[1]} of 2 files of weights missing"),
        ("model.safetensors.index.json", "the weights are missing"),
    ],
)
def test_each_missing_file_is_named(environ, folder, gone, told):
    (folder / gone).unlink()
    (fault,) = missing_files("model", "google/mt5-xl", None, environ)
    assert told in fault


def test_what_was_fetched_is_held_to_its_sizes(environ, folder):
    pin = Pin(COMMIT, {"config.json": (folder / "config.json").stat().st_size, SHARDS[0]: 3, "vocab.txt": 1})
    write_pin("model", "google/mt5-xl", "v1", pin, environ)
    assert read_pin("model", "google/mt5-xl", "v1", environ) == pin
    assert read_pin("model", "google/mt5-xl", COMMIT, environ) == pin
    assert read_pin("model", "google/mt5-xl", None, environ) is None
    assert missing_files("model", "google/mt5-xl", "v1", environ) == [SHARDS[0], "vocab.txt"]


def test_a_pin_leaves_the_others_alone(environ):
    write_pin("model", "a/b", None, Pin("1" * 40), environ)
    write_pin("dataset", "a/b", None, Pin("2" * 40), environ)
    write_pin("model", "a/c", None, Pin("3" * 40), environ)
    write_pin("model", "a/b", "v2", Pin("4" * 40), environ)
    commits = [read_pin("model", "a/b", revision, environ).commit[0] for revision in (None, "main", "v2")]
    assert commits == ["1", "1", "4"]


def test_a_lock_that_names_no_files_of_a_commit_is_read(environ):
    lock_path(environ).parent.mkdir(parents=True, exist_ok=True)
    lock_path(environ).write_text(json.dumps({"model": {"a/b": {"main": {"commit": COMMIT}}}}))
    assert read_pin("model", "a/b", None, environ) == Pin(COMMIT)


def test_link_to_content_that_is_gone_is_missing(environ, folder):
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("../../blobs/none")
    assert missing_files("model", "google/mt5-xl", None, environ) == ["config.json is missing"]


def test_caches_lie_on_scratch_unless_the_user_chose_others():
    narval, own = load_profile("narval"), load_profile("local")
    told = use_storage(narval, {"SCRATCH": "/scratch/me", "HOME": "/home/me"})
    scratch = narval.storage.scratch.folder({"SCRATCH": "/scratch/me", "HOME": "/home/me"}, None)
    assert told == {"HF_HOME": f"{scratch}/huggingface", "LAYALIGN_CACHE": f"{scratch}/layalign"}
    assert use_storage(own, {"SCRATCH": "/scratch/me"}) == {}
    assert set(use_storage(narval, {"SCRATCH": "/s", "HOME": "/h", "HF_HOME": "/p"})) == {"LAYALIGN_CACHE"}
    assert (
        use_storage(narval, {"SCRATCH": "/s", "HOME": "/h", "HF_HUB_CACHE": "/p", "LAYALIGN_CACHE": "/q"})
        == {}
    )


def test_cache_is_where_the_hub_looks():
    assert hub_cache({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}) == Path("/a")
    assert hub_cache({"HUGGINGFACE_HUB_CACHE": "/a", "HF_HOME": "/b"}) == Path("/a")
    assert hub_cache({"HF_HOME": "/b"}) == Path("/b/hub")
    assert hub_cache({"XDG_CACHE_HOME": "/c"}) == Path("/c/huggingface/hub")
    assert hub_cache({}) == Path.home() / ".cache/huggingface/hub"
