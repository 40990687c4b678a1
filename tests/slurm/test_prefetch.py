"""What a login node cannot do itself, it has done by a job: a launcher without torch converts an encoder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.hub import Hub
from tests.login import empty_recipe
from tests.slurm.conftest import Sandbox
from tests.test_layers import CORE
from tests.world import ROOT


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    """A Python that has what this one has, but torch and what needs it (`envs/launcher.txt`)."""
    folder = tmp_path / "launcher"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.suffix != ".pth" and path.name.split("-")[0] not in CORE:
            (packages / path.name).symlink_to(path)
    return folder / "bin" / "python"


@pytest.fixture
def hub():
    hub = Hub()
    yield hub
    hub.close()


def encoder(folder: Path) -> dict[str, bytes]:
    """The files of a tiny mT5, with the decoder that is left out."""
    import torch
    from transformers import MT5Config, MT5ForConditionalGeneration

    torch.manual_seed(0)
    sizes = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2, "vocab_size": 32}
    MT5ForConditionalGeneration(MT5Config(**sizes, decoder_start_token_id=0)).save_pretrained(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_launcher_without_torch_converts_by_a_job(sandbox: Sandbox, hub: Hub, launcher: Path, tmp_path: Path):
    commit = hub.add("google/tiny", {"spiece.model": b"pieces", **encoder(tmp_path / "whole")})
    models = {"encoder": "google/tiny", "decoder": str(tmp_path / "decoder"), "precision": "bf16"}
    recipe = empty_recipe(tmp_path, model=models)
    hf = tmp_path / "hf"
    environ = {
        **sandbox.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(hf),
        "LAYALIGN_VENV": sys.prefix,
        "SLURM_JOB_ID": "7",  # of an interactive job, in which somebody may sit
    }
    lacks = [str(launcher), "-c", "import torch"]
    assert b"No module named 'torch'" in subprocess.run(lacks, capture_output=True, check=False).stderr
    words = (
        str(launcher),
        str(ROOT / "launch.py"),
        "prefetch",
        "--cluster",
        "sandbox",
        "--recipe",
        str(recipe),
    )
    ran = sandbox.run(*words, env=environ)
    folder = hf / "layalign" / "encoders" / f"google--tiny-{commit[:12]}-bf16"
    assert ran.stdout.splitlines()[-1] == str(folder), ran.stderr
    assert (
        os.path.getsize(folder / "model.safetensors")
        < os.path.getsize(tmp_path / "whole/model.safetensors") / 2
    )
    rows = sandbox.run("sacct", "-X", "-n", "-P", "-o", "jobname,state").stdout.splitlines()
    assert [row for row in rows if row.startswith("layalign-convert")] == ["layalign-convert|COMPLETED"]
