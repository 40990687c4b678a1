"""A tiny world for tests: real Hugging Face folders, both stages' data and a benchmark, built in seconds."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from layalign.mini import Settings
from layalign.mini import folder as folder_of
from tests.warm import ROOT, Python

BUILD = """
import dataclasses, json, sys
from pathlib import Path
from layalign.mini import Settings
from layalign.mini.build import build

root, changes, fails = json.loads(sys.argv[1])

def report(*record):
    print(json.dumps(record), flush=True)
    if fails:
        raise KeyboardInterrupt

build(Path(root), dataclasses.replace(Settings.tiny(), **changes), report)
"""


def start_builder(root: Path, fails: bool = False, **changes: Any) -> Python:
    """A process that builds the tiny world, or one with changes, below `root`.

    It prints each report on a line, and fails with the first if it shall.
    """
    return Python("-c", BUILD, json.dumps([str(root), changes, fails]), cwd=ROOT, env=os.environ)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the workers of one test run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """A folder in `shared`, filled by the first worker that asks for it; nobody changes it afterwards."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.with_suffix(".made").exists():
            folder.mkdir()
            make(folder)
            folder.with_suffix(".made").touch()
    return folder


@pytest.fixture(scope="session")
def world(shared: Path) -> Path:
    """Folder of the world."""

    def make(root: Path) -> None:
        builder = start_builder(root)
        assert builder.wait() == 0, builder.told

    return folder_of(made_once(shared / "tiny-world", make), Settings.tiny())


@pytest.fixture(scope="session")
def trained_folder(world: Path, shared: Path) -> Path:
    """A folder with `runs`, in which both stages of the miniature's recipe are trained: for reading alone."""

    def make(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        recipe = write_recipe(world, folder)
        words = ("train", "--recipe", recipe, "--stage", "all", "--runs", "runs", "--inline")
        told = launch(*words, "-o", "training.micro_batch=16", cwd=folder)
        assert told.returncode == 0, told.told

    return made_once(shared / "tiny-run", make)


def until(condition: Callable[[], Any], seconds: float = 120) -> Any:
    """Wait for a condition; gives what it gave.

    Raises:
        TimeoutError: it does not come true.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(condition)
        time.sleep(0.02)
    return found


def write_recipe(
    world: Path, folder: Path, epochs: int = 1, micro_batch: int = 4, shipped: str = "mini"
) -> Path:
    """A recipe of the miniature on the tiny world: 9 steps of 16 examples per epoch and stage, fp64."""
    told: dict[str, Any] = yaml.safe_load(
        (ROOT / f"jobs/recipes/{shipped}.yaml").read_text().replace("mini://", f"{world}/")
    )
    told["name"] = "tiny"
    told["model"]["precision"] = "fp64"
    told["training"].update(
        batch_size=16, micro_batch=micro_batch, epochs=epochs, eval_every=7, save_every=5, log_every=1
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


def launch(*words: str | Path, cwd: Path, wait: bool = True, **environ: str) -> Python:
    """`python launch.py WORDS` in `cwd`, with its own cache; what it says is in `.told`."""
    process = Python(ROOT / "launch.py", *words, cwd=cwd, env=_environ(cwd, environ))
    if wait:
        process.wait(900)
    return process


def launch_anew(*words: str | Path, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """The same from a fresh start of Python, its imports included; what it says is in `.stdout`."""
    return subprocess.run(
        [sys.executable, ROOT / "launch.py", *words],
        cwd=cwd,
        env=_environ(cwd, environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _environ(cwd: Path, environ: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, "LAYALIGN_CACHE": str(cwd / "cache"), "OMP_NUM_THREADS": "1", **environ}
