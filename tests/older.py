"""The product as it was before its rooms were made: runs and grids of that version go on under this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BEFORE_THE_ROOMS = "9ff2a2c"


@pytest.fixture(scope="session")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the commit before the rooms."""
    folder = tmp_path_factory.mktemp("older")
    packed = subprocess.run(
        ["git", "archive", BEFORE_THE_ROOMS],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if packed.returncode:
        pytest.skip(f"this clone has no commit {BEFORE_THE_ROOMS}: {packed.stderr.decode().strip()}")
    subprocess.run(["tar", "x", "-C", folder], input=packed.stdout, check=True)
    project = folder / "pyproject.toml"
    project.write_text(
        project.read_text().replace('    "peft>=0.17",\n', "")
    )  # asked for, and used by nothing
    return folder


def start_older(older: Path, *words: str | Path, cwd: Path) -> subprocess.Popen[str]:
    """Start `python launch.py WORDS` of the older version."""
    return subprocess.Popen(
        [sys.executable, str(older / "launch.py"), *map(str, words)],
        cwd=cwd,
        env={**os.environ, "LAYALIGN_CACHE": str(cwd / "cache"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def launch_older(older: Path, *words: str | Path, cwd: Path) -> tuple[int, str]:
    """`python launch.py WORDS` of the older version: its exit status, and what it printed."""
    process = start_older(older, *words, cwd=cwd)
    printed = process.communicate(timeout=600)[0]
    return process.returncode, printed
