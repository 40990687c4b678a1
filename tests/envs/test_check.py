"""A broken environment is named in one line, whatever is wrong with it, and a whole one is not."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECK = ROOT / "envs" / "check.py"


def check(*words, python=sys.executable, **environ):
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SLURM")}
    ran = subprocess.run(
        [python, CHECK, *words], env={**clean, **environ}, capture_output=True, text=True, check=False
    )
    lines = (ran.stdout + ran.stderr).splitlines()
    assert len(lines) <= 1, "an answer is one line"
    return ran.returncode, lines[0] if lines else ""


@pytest.fixture
def site(tmp_path):
    """Packages that go before those of the environment: `site(name, version, code)`."""
    folder = tmp_path / "site"

    def add(name, version, code=None):
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        if code is not None:
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text(code)
        return str(folder)

    return add


@pytest.fixture
def bare(tmp_path):
    """An environment without any package."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    return tmp_path / "bare" / "bin" / "python"


def test_whole_environment_passes_in_silence():
    assert check() == (0, "")


def test_missing_package_is_named(bare):
    status, line = check(python=bare)
    assert status == 1
    assert "package torch is missing: build the environment anew" in line


def test_former_python_is_named(tmp_path):
    python = tmp_path / "python"
    code = (
        "import sys, runpy; sys.version_info = (3, 9, 18, 'final', 0); sys.argv = sys.argv[1:]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    python.chmod(0o755)
    status, line = check(python=python)
    assert status == 1
    assert "Python is 3.9.18" in line
    assert "3.11 or newer is needed: load the python module before" in line


def test_file_is_read_by_old_pythons():
    ast.parse(CHECK.read_text(), feature_version=(3, 6))


def test_version_that_the_project_does_not_admit_is_named(site):
    status, line = check(PYTHONPATH=site("torch", "2.1.0+computecanada"))
    assert status == 1
    assert "torch is 2.1.0+computecanada, the project needs >=2.6" in line
    status, line = check(PYTHONPATH=site("transformers", "6.0.1"))
    assert status == 1


def test_pydantic_1_beside_deepspeed_is_named(site):
    site("deepspeed", "0.18.1")
    status, line = check(PYTHONPATH=site("pydantic", "1.10.24"))
    assert status == 1
    assert "pydantic is 1.10.24, deepspeed 0.18.1 needs version 2" in line


def test_pydantic_1_beside_an_old_deepspeed_passes(site):
    site("deepspeed", "0.16.4")
    assert check(PYTHONPATH=site("pydantic", "1.10.24")) == (0, "")


def test_dummy_pyarrow_asks_for_the_module(site):
    code = "raise ImportError('This is a dummy wheel.\\nLoad the module.')"
    status, line = check(PYTHONPATH=site("pyarrow", "24.0.0", code))
    assert status == 1
    assert "pyarrow cannot be imported (This is a dummy wheel.): load gcc and the arrow module before" in line


def test_torch_without_cuda_is_named_where_the_job_has_a_gpu(site):
    told = {"SLURM_GPUS_ON_NODE": "4", "PYTHONPATH": site("torch", "2.11.0", STUB.format(cuda=None))}
    status, line = check(**told)
    assert status == 1
    assert "torch 2.11.0 is built without CUDA, but this job has a GPU" in line
    assert check("--no-gpu", **told) == (0, "")


def test_gpu_that_torch_does_not_see_is_named(site):
    told = {"SLURM_JOB_GPUS": "0", "CUDA_VISIBLE_DEVICES": "7"}
    status, line = check(**told, PYTHONPATH=site("torch", "2.11.0", STUB.format(cuda="'12.6'")))
    assert status == 1
    assert "torch 2.11.0 (CUDA 12.6) sees no GPU (CUDA_VISIBLE_DEVICES=7)" in line


STUB = """
__version__ = "2.11.0"
class version: cuda = {cuda}
class cuda:
    @staticmethod
    def is_available(): return False
"""


@pytest.mark.parametrize(
    "name", ["pyproject.toml", "envs/alliance.txt", "envs/cluster.txt", "envs/local.txt"]
)
def test_every_list_of_packages_has_what_tokenizers_are_made_with(name):
    """Without protobuf transformers blames tiktoken."""
    words = re.findall(r"^[\s\"]*([A-Za-z][\w.-]*)", (ROOT / name).read_text(), re.MULTILINE)
    assert {"sentencepiece", "protobuf"} <= set(words)
