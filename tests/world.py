"""A tiny world for tests: real Hugging Face folders, both stages' data and a benchmark, built in seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from layalign.mini import Settings
from layalign.mini.build import build

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the world. Workers of one test run share it."""
    return build(tmp_path_factory.getbasetemp().parent / "tiny-world", Settings.tiny(), lambda *_: None)


def write_recipe(world: Path, folder: Path, epochs: int = 1) -> Path:
    """The miniature's recipe on the tiny world: 9 steps of 16 examples per epoch and stage, fp64."""
    told: dict[str, Any] = yaml.safe_load(
        (ROOT / "jobs/recipes/mini.yaml").read_text().replace("mini://", f"{world}/")
    )
    told["name"] = "tiny"
    told["model"]["precision"] = "fp64"
    told["training"].update(
        batch_size=16, micro_batch=4, epochs=epochs, eval_every=7, save_every=5, log_every=1
    )
    for stage in told["stages"].values():
        stage["data"]["dev"] = 16
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(told))
    return path


@pytest.fixture
def recipe(world: Path, tmp_path: Path) -> Path:
    """A recipe of one epoch per stage in a folder of its own."""
    return write_recipe(world, tmp_path)


def launch(*words: str | Path, cwd: Path, wait: bool = True, **environ: str) -> subprocess.Popen[str]:
    """`python launch.py WORDS` in `cwd`, with its own cache; output is in `.told` once it is over."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "launch.py"), *map(str, words)],
        cwd=cwd,
        env={**os.environ, "LAYALIGN_CACHE": str(cwd / "cache"), "OMP_NUM_THREADS": "1", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if wait:
        process.told = process.communicate(timeout=900)[0]  # type: ignore[attr-defined]
    return process
