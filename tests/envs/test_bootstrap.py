"""One command on a bare login node ends with the next command; the front door without its packages names it."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def environ(tmp_path):
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "SLURM", "LAYALIGN"))
    }
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**clean, "HOME": str(tmp_path), "CC_CLUSTER": "narval", "PATH": path, "LAYALIGN_PROFILES": ""}


def bootstrap(environ, *words):
    command = ["sh", ROOT / "envs" / "bootstrap", *words]
    return subprocess.run(command, env=environ, cwd="/", capture_output=True, text=True, check=False)


def test_bootstrap_ends_with_the_next_command_and_is_quick_the_second_time(environ, tmp_path):
    # The packages of this environment stand in for a wheelhouse: pip finds its requirements met.
    told = {**environ, "PYTHONPATH": os.pathsep.join(site.getsitepackages())}
    ran = bootstrap(told)
    launcher = tmp_path / ".local/share/layalign/launcher"
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"making {launcher} with Python 3.")
    assert f"cd {ROOT} && . {launcher}/bin/activate" in ran.stdout
    assert "python launch.py prefetch --cluster narval --recipe math" in ran.stdout
    again = bootstrap(told)
    assert again.returncode == 0
    assert "making" not in again.stdout
    assert bootstrap(told, "--cluster", "graham").stderr.startswith("error: ")


def test_python_of_the_module_makes_it_and_no_stand_in_of_the_site(environ, tmp_path):
    for folder, name, text in (
        ("site", "virtualenv", "echo Please load a Python module before running virtualenv."),
        ("site", "python3.11", "exit 1"),
        ("module", "python", f'echo "$*" >> {tmp_path}/log; exec {sys.executable} "$@"'),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / folder / name).chmod(0o755)
    (tmp_path / ".bash_profile").write_text(
        # BASH_ENV: where the machine has modules of its own
        f'unset BASH_ENV; module() {{ [ "$*" = "load StdEnv/2023 python/3.11" ] && PATH={tmp_path}/module:$PATH; }}\n'
    )
    told = {**environ, "PATH": f"{tmp_path}/site:{environ['PATH']}", "PIP_CONFIG_FILE": os.devnull}
    ran = bootstrap(told)
    launcher = tmp_path / ".local/share/layalign/launcher"
    assert f"-m venv {launcher}" in (tmp_path / "log").read_text(), ran.stderr
    assert (launcher / "bin" / "pip").exists()
    assert "Please load" not in ran.stdout


def test_package_that_the_wheelhouse_lacks_names_the_way_out(environ, tmp_path):
    ran = bootstrap({**environ, "PIP_CONFIG_FILE": os.devnull})
    assert ran.returncode == 2
    assert (
        "could not be installed from the wheelhouse; with internet: sh envs/bootstrap --index" in ran.stderr
    )
    assert not (tmp_path / ".local/share/layalign/launcher/.installed").exists()


def test_front_door_without_its_packages_names_the_command(environ, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    python = tmp_path / "bare" / "bin" / "python"
    command = [python, ROOT / "launch.py", "train", "--stage", "1", "--dry-run"]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr == (
        f"error: {python} has no package yaml; make an environment that has it with: sh envs/bootstrap\n"
    )
