from __future__ import annotations

from pathlib import Path

import pytest

from cluster.cache import has_model, hub_cache

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def environ(tmp_path):
    folder = tmp_path / "models--google--mt5-xl"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    (folder / "snapshots" / COMMIT).mkdir(parents=True)
    (folder / "snapshots" / COMMIT / "config.json").write_text("{}")
    return {"HF_HUB_CACHE": str(tmp_path)}


def test_model_in_the_cache_is_found(environ):
    assert has_model("google/mt5-xl", None, environ)
    assert has_model("google/mt5-xl", "main", environ)
    assert has_model("google/mt5-xl", COMMIT, environ)


def test_other_model_or_revision_is_missing(environ):
    assert not has_model("google/mt5-xxl", None, environ)
    assert not has_model("google/mt5-xl", "v2", environ)


def test_model_whose_download_was_cut_short_is_missing(environ, tmp_path):
    (tmp_path / "models--google--mt5-xl" / "snapshots" / COMMIT / "config.json").unlink()
    assert not has_model("google/mt5-xl", None, environ)


def test_folder_is_a_model(tmp_path):
    assert has_model(str(tmp_path), None, {})
    assert not has_model(str(tmp_path / "none"), None, {})


def test_cache_is_where_the_hub_looks():
    assert hub_cache({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}) == Path("/a")
    assert hub_cache({"HUGGINGFACE_HUB_CACHE": "/a", "HF_HOME": "/b"}) == Path("/a")
    assert hub_cache({"HF_HOME": "/b"}) == Path("/b/hub")
    assert hub_cache({"XDG_CACHE_HOME": "/c"}) == Path("/c/huggingface/hub")
    assert hub_cache({}) == Path.home() / ".cache/huggingface/hub"
