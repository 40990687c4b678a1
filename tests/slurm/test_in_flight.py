"""A controller that is slow and a launcher that dies meanwhile: the job is there once."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from cluster.run.run_folder import all_runs
from cluster.sandbox.conf import CONTROLLER
from cluster.sandbox.network import prefix_of, processes
from tests.slurm.test_submit import ONE, held
from tests.world import ROOT, launch


def controller(root: Path) -> int:
    for pid in processes(prefix_of(root), CONTROLLER):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == "slurmctld":
                return pid
    raise AssertionError("no slurmctld")


def stopping_sbatch(folder: Path, slow: int, path: str) -> str:
    """A PATH whose sbatch stops the controller, and then asks it."""
    folder.mkdir()
    sbatch = folder / "sbatch"
    sbatch.write_text(f'#!/bin/sh\nkill -STOP {slow}\nexec {shutil.which("sbatch", path=path)} "$@"\n')
    sbatch.chmod(0o755)
    return f"{folder}:{path}"


def test_a_job_that_a_slow_controller_takes_after_its_launcher_died_is_not_doubled(
    sandbox, recipe, monkeypatch, tmp_path
):
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, sandbox.environ[name])
    words = ["train", "--recipe", str(recipe), "--stage", "1", "--cluster", "sandbox", *held(*ONE)]
    slow = controller(sandbox.root)
    environ = {**os.environ, "PATH": stopping_sbatch(tmp_path / "bin", slow, os.environ["PATH"])}
    try:
        first = subprocess.Popen([sys.executable, ROOT / "launch.py", *words], cwd=recipe.parent, env=environ)
        end = time.monotonic() + 60
        while not any(run.submission.exists() for run in all_runs(recipe.parent / "runs")):
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(0.5)
        first.kill()
        told = launch(*words, cwd=recipe.parent)
        assert told.returncode == 2, told.told
        assert "squeue does not answer" in told.told
    finally:
        os.kill(slow, signal.SIGCONT)
    end = time.monotonic() + 60
    while (told := launch(*words, cwd=recipe.parent)).returncode:
        assert "may still be in flight" in told.told or "does not answer" in told.told
        assert time.monotonic() < end, told.told
        time.sleep(1)
    assert "already queued" in told.told
    rows = sandbox.run("squeue", "-h", "-o", "%i %j").stdout.splitlines()
    assert len([row for row in rows if row.endswith("-s1")]) == 1, rows
