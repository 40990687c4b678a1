"""A question is answered by a short job that its user waits for, through srun."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.slurm.conftest import Sandbox
from tests.world import ROOT

pytestmark = pytest.mark.slurm


def ask(sandbox: Sandbox, folder: Path, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    environ = {**sandbox.environ, "LAYALIGN_RUNS": str(folder / "runs"), "LAYALIGN_CACHE": str(folder / "cache"),
               "LAYALIGN_VENV": sys.prefix}  # fmt: skip
    command = [sys.executable, ROOT / "launch.py", "generate", "--run", "tiny", *words]
    return subprocess.run(
        command, env=environ, input=typed, capture_output=True, text=True, check=False, timeout=280
    )


def test_a_job_answers_what_is_typed_and_what_comes_on_the_standard_input(
    sandbox: Sandbox, trained_folder: Path
):
    here = ask(sandbox, trained_folder, "--json-lines", "a b c", "tom", "--cluster", "local")
    expected = [json.loads(line) for line in here.stdout.splitlines()]
    assert len(expected) == 2, here.stderr
    for words, typed in ((("a b c", "tom"), ""), ((), "a b c\n\ntom\n")):
        told = ask(sandbox, trained_folder, "--json-lines", *words, "--cluster", "sandbox", typed=typed)
        assert told.returncode == 0, told.stderr
        assert [json.loads(line) for line in told.stdout.splitlines() if line.startswith("{")] == expected
        assert "asking Slurm for a job" in told.stderr
    refused = ask(sandbox, trained_folder, " \n", "--cluster", "sandbox")
    assert (refused.returncode, "a question is empty" in refused.stderr) == (2, True)
