"""How far something long has come, and numbers for people."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LINE_S = 10.0
"""Seconds between two lines, where there is no terminal."""


@contextmanager
def meter(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far a copy is: a bar on a terminal, elsewhere a line now and then, nothing if it is short.

    Args:
        title: what is done, in a word.
        total: bytes.

    Yields:
        What is to hear of every number of bytes.
    """
    if sys.stderr.isatty():
        with _bar(title, total) as tell:
            yield tell
        return
    done, told = 0, time.monotonic()

    def line(size: int) -> None:
        nonlocal done, told
        done += size
        if time.monotonic() - told >= LINE_S:
            told = time.monotonic()
            print(f"{title} {human_size(done)} of {human_size(total)}", file=sys.stderr, flush=True)

    yield line


@contextmanager
def _bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (title, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda size: progress.advance(task, size)


def human_size(size: float) -> str:
    """`12 B`, `3.4 MB`, `134 MB`, `1.2 TB`; powers of 1000, as disks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.95 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def many(number: int, one: str, several: str = "") -> str:
    """`1 file`, `1,200 files`."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"
