"""Processes of a case: commands that go on in the background, and what they have started."""

from __future__ import annotations

import os
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
