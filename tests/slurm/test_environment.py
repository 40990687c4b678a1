"""An environment built from a wheelhouse on the login node comes to be on every node of a job, packed or anew."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

import pytest

from cluster.site.environment import REQUIREMENTS
from envs.check import MODULES
from tests.slurm.conftest import Sandbox
from tests.world import ROOT

LOCAL = "+site"
"""A wheelhouse marks its versions so, and pins of what was installed carry it."""
HOME = ".local/share/layalign/envs/ours"


def put_wheel(folder: Path, name: str, version: str, *requires: str) -> None:
    """A wheel whose module only knows its version."""
    module, about = MODULES.get(name, name).replace(".", "/"), f"{name}-{version}{LOCAL}.dist-info"
    files = {
        f"{module}/__init__.py": f"__version__ = {version!r}\n",
        f"{module}/lib.py": "",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}{LOCAL}\n"
        + "".join(f"Requires-Dist: {other}\n" for other in requires),
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{about}/RECORD"))
    with zipfile.ZipFile(folder / f"{name}-{version}{LOCAL}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


@pytest.fixture
def environ(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """A user on a cluster like the sandbox whose nodes make their own Python, with a wheelhouse that pip knows.

    It lacks one wheel, which was fetched before.
    """
    house = tmp_path / "wheelhouse"
    house.mkdir()
    fetched = tmp_path / HOME / "wheels"
    fetched.mkdir(parents=True)
    for line in REQUIREMENTS.read_text().splitlines():
        if found := re.match(r"([\w-]+)(?:[=>]=([\d.]+))?", line):
            name, needs = found[1], ["pyarrow"] if found[1] == "datasets" else []
            put_wheel(fetched if name == "submitit" else house, name, found[2] or "99.0", *needs)
    put_wheel(house, "pyarrow", "24.0.0")
    (tmp_path / "pip.conf").write_text(f"[install]\nfind-links = {house}\n")
    (tmp_path / "profiles.yaml").write_text("ours: {like: sandbox, software: {modules: []}}\n")
    kept = {key: value for key, value in sandbox.environ.items() if not key.startswith(("PIP_", "PYTHON"))}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
        "HOME": str(tmp_path),
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        "LAYALIGN_PROFILES": str(tmp_path / "profiles.yaml"),
    }


def job(sandbox: Sandbox, environ: dict[str, str], folder: Path) -> list[str]:
    """What a job on two nodes prints that begins with the lines which `launch.py env` prints."""
    words = [sys.executable, str(ROOT / "launch.py"), "env", "--cluster", "ours"]
    lines = sandbox.run(*words, env=environ).stdout.splitlines()
    tell = "import sys, torch; print(torch.__version__, sys.prefix)"
    text = [f"#!/bin/bash\ncd {ROOT}", *lines, f"srun --ntasks=2 python -c '{tell}'"]
    (folder / "job.sh").write_text("\n".join(text) + "\n")
    log = folder / "log"
    words = ["sbatch", "--wait", "-N2", "--ntasks-per-node=1", f"--output={log}", str(folder / "job.sh")]
    ran = sandbox.run(*words, check=False, env=environ)
    assert ran.returncode == 0, ran.stderr + log.read_text()
    return sorted(re.sub(r" in \d+ s| \S*/disk/\d+", "", line) for line in log.read_text().splitlines())


def test_every_node_unpacks_or_builds_what_the_login_node_built(sandbox, environ, tmp_path):
    words = [sys.executable, str(ROOT / "launch.py"), "env", "--cluster", "ours", "--build"]
    told = sandbox.run(*words, env=environ).stdout
    home = tmp_path / HOME
    assert f"# environment: {home}: ready" in told
    pins = (home / "pins.txt").read_text().splitlines()
    assert f"torch==2.11.0{LOCAL}" in pins
    assert f"pyarrow==24.0.0{LOCAL}" in pins
    seen = 2 * ["2.11.0/layalign-env"]
    assert job(sandbox, environ, tmp_path) == [
        *seen,
        "environment unpacked on node1",
        "environment unpacked on node2",
    ]
    (home / "env.tar.zst").unlink()
    assert job(sandbox, environ, tmp_path) == [
        *seen,
        "environment built on node1",
        "environment built on node2",
    ]
