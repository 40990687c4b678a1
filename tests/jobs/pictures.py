"""Pictures of the terminal for the documentation, of 300 synthetic runs and a Slurm that knows of them.

    python -m tests.jobs.pictures [FOLDER]

writes `status.svg` into a folder (default: docs).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.cluster.fake_slurm import write_commands
from tests.jobs.synthetic import make_runs

ROOT = Path(__file__).resolve().parents[2]


def draw(folder: Path) -> None:
    """Make the pictures with the commands that a user would type."""
    with tempfile.TemporaryDirectory() as temporary:
        slurm = Path(temporary, "slurm")
        write_commands(slurm)
        made = make_runs(Path(temporary, "runs"))
        made.write_answers(slurm)
        environ = {**os.environ, "PATH": f"{slurm}:{os.environ['PATH']}", "LAYALIGN_RUNS": str(made.root)}
        command = [sys.executable, str(ROOT / "launch.py"), "status", "--svg", str(folder / "status.svg")]
        subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    target = Path(*sys.argv[1:2] or [ROOT / "docs"])
    target.mkdir(parents=True, exist_ok=True)
    draw(target.absolute())
