"""A login node for tests: a home that is empty, and a recipe whose models and data only look like some."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.model_files import write_model

FORGOTTEN = ("LAYALIGN_RUNS", "LAYALIGN_DATA", "LAYALIGN_CACHE", "CC_CLUSTER", "SBATCH_ACCOUNT", "HF_HOME")


def at_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the process into a folder that is its home, with nothing of the user's in the environment."""
    for name in FORGOTTEN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    os.environ.update(HF_HUB_CACHE=str(folder / "hub"), HOME=str(folder), SCRATCH=str(folder / "scratch"))
    monkeypatch.chdir(folder)


def empty_recipe(folder: Path, name: str = "tiny", **changes: Any) -> Path:
    """Write a recipe of two stages; nothing can be trained by it."""
    write_model(folder / "encoder", "mt5")
    write_model(folder / "decoder", "llama")
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "pairs.jsonl").write_text('{"src": "moja", "tgt": "one"}\n')
    data = {"reader": "jsonl", "path": "pairs.jsonl", "languages": ["sw"], "max_source": 8, "max_target": 8}
    values = {
        "name": name,
        "model": {"encoder": str(folder / "encoder"), "decoder": str(folder / "decoder")},
        "data": data,
        "training": {"lr": 1e-3},
        "stages": {2: {"training": {"lr": 2e-3}}},
        **changes,
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(values))
    return path
