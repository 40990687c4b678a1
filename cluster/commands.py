"""Commands of the machine that are asked for facts."""

from __future__ import annotations

import subprocess

PATIENCE_S = 60.0


def ask(*command: str, timeout_s: float = PATIENCE_S) -> str | None:
    """What a command prints; None if it is not there, fails, or does not answer in time."""
    try:
        ran = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # what others wrote may be anything
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout if ran.returncode == 0 else None
