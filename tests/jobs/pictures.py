"""Pictures of the terminal for the documentation, made with the commands that a user would type.

    python -m tests.jobs.pictures [FOLDER]

writes `status.svg` and `watch.svg` (300 synthetic runs and a Slurm that knows of them), `results.svg` (made-up
numbers), `why.svg` and `logs-errors.svg` into a folder (default: docs).
"""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from jobs.board.show import FONTS
from tests.cluster.fake_slurm import FakeSlurm, write_commands
from tests.jobs.pictures_of_failures import ERROR, STUCK, WAITS, tell
from tests.jobs.synthetic import make_runs
from tests.jobs.synthetic_results import make_grid

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = 100
SHOWN = "/home/me/scratch"
"""Stands for a temporary folder, whose name is as long."""


def draw(folder: Path) -> None:
    """Make all pictures."""
    for made in (_boards, _failures, _results):
        with tempfile.TemporaryDirectory(dir="/tmp") as temporary:
            assert len(temporary) == len(SHOWN), temporary
            made(Path(temporary), folder)


def _boards(base: Path, folder: Path) -> None:
    write_commands(base / "slurm")
    made = make_runs(base / "runs")
    made.write_answers(base / "slurm")
    _launch(base, "status", "--svg", str(folder / "status.svg"))
    _launch(base, "watch", "--grid", "states", "--svg", str(folder / "watch.svg"))


def _failures(base: Path, folder: Path) -> None:
    write_commands(base / "slurm")
    tell(base / "runs", FakeSlurm(base / "slurm"))
    _typed(base, folder / "why.svg", [["why", STUCK], ["why", WAITS]])
    _typed(base, folder / "logs-errors.svg", [["logs", ERROR, "--errors"]])


def _results(base: Path, folder: Path) -> None:
    make_grid(base / "runs", missing={("w/o Task Stage", 1, "ru"): 96, ("w/o Task Stage", 1, "en"): -1})
    _typed(base, folder / "results.svg", [["results", "ablations"]])


def _typed(base: Path, path: Path, commands: Sequence[Sequence[str]]) -> None:
    """A terminal with commands and what they print."""
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for words in commands:
        console.print(Text(f"$ python launch.py {shlex.join(words)}", style="bold"))
        console.print(Text.from_ansi(_launch(base, *words).replace(str(base), SHOWN).rstrip("\n")))
        console.print()
    path.write_text(FONTS.sub("", console.export_svg(title=f"launch.py {commands[0][0]}")))


def _launch(base: Path, *words: str) -> str:
    environ: Mapping[str, str] = {
        **os.environ,
        "PATH": f"{base / 'slurm'}:{os.environ['PATH']}",
        "LAYALIGN_RUNS": str(base / "runs"),
        "COLUMNS": str(COLUMNS),
        "FORCE_COLOR": "1",
        "TERM": "xterm-256color",
    }
    command = [sys.executable, str(ROOT / "launch.py"), *words]
    return subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    target = Path(*sys.argv[1:2] or [ROOT / "docs"])
    target.mkdir(parents=True, exist_ok=True)
    draw(target.absolute())
