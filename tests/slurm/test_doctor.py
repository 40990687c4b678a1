"""The doctor on a real Slurm: a profile that tells the truth, and one that does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.slurm.conftest import Sandbox

ROOT = Path(__file__).resolve().parents[2]


def doctor(sandbox: Sandbox, *words: str) -> subprocess.CompletedProcess[str]:
    return sandbox.run(sys.executable, str(ROOT / "launch.py"), "doctor", *words, check=False)


def test_profile_of_the_sandbox_tells_the_truth(sandbox: Sandbox) -> None:
    ran = doctor(sandbox, "--cluster", "sandbox", "--compute")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for line in (
        "same     limits.array: 1001",
        "same     continuation.requeue: yes",
        "same     hardware.kinds[0].gpus: 4",
        "same     hardware.kinds[0].slices: a100_1g.5gb is there",
        "same     walltime.longest: 60 minutes",
        "same     account: def-someprof",
        "same     continuation.scontrol_in_job: yes",
        "same     network.internet: no",
    ):
        assert line in ran.stdout.splitlines()


def test_profile_of_another_cluster_is_corrected_line_by_line(sandbox: Sandbox) -> None:
    ran = doctor(sandbox, "--cluster", "narval")
    assert ran.returncode == 1
    told = [line for line in ran.stdout.splitlines() if line.startswith("differs  hardware.kinds[0].cores")]
    assert "the profile says 48, the cluster 4; change cluster/profiles/narval.yaml:" in told[0]
