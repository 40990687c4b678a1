"""Processes of a case: commands that go on in the background, and what they have started."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tests.warm import children


class Command(Protocol):
    """A command that goes on in the background."""

    pid: int

    def poll(self) -> int | None:
        """The exit status; None as long as it is not over."""

    def wait(self, timeout: float) -> int:
        """The exit status, when it is over."""

    @property
    def told(self) -> str:
        """What it has said up to now."""


class Anew:
    """A process as `tests.warm.Python` is one, but started by exec(2)."""

    def __init__(self, words: Sequence[str | Path], cwd: Path, environ: Mapping[str, str]) -> None:
        self._output = tempfile.NamedTemporaryFile()  # noqa: SIM115
        out = {"stdout": self._output, "stderr": subprocess.STDOUT}
        self._process = subprocess.Popen(words, cwd=cwd, env=environ, **out)  # type: ignore[call-overload]
        self.pid, self.poll = self._process.pid, self._process.poll

    def wait(self, timeout: float) -> int:
        """The exit status, when it is over."""
        return int(self._process.wait(timeout))

    @property
    def told(self) -> str:
        """What it has said up to now."""
        return Path(self._output.name).read_text(errors="replace")


def family(pid: int) -> list[int]:
    """A process's descendants, the youngest last."""
    try:
        found = children(pid)
    except OSError:
        return []
    return [*found, *(one for child in found for one in family(child))]


def kill(pid: int, number: int) -> None:
    """Nothing to one that is over."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
