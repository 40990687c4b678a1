"""Where runs and grids are, and how their folders are called: what a shell's completion needs, and loads in no time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

FOLDER = re.compile(r"(?P<name>.+)-s(?P<stage>[1-9][0-9]?)-(?P<signature>[0-9a-f]{8})", re.DOTALL)
"""Of a run."""
GRIDS = "grids"
"""Beside the runs, the folder of all grids."""


def runs_root(environ: Mapping[str, str]) -> Path:
    """Where runs are: `$LAYALIGN_RUNS`, else `runs` in the working directory."""
    return Path(environ.get("LAYALIGN_RUNS") or "runs").expanduser().absolute()
