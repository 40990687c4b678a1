"""A full disk or quota: how long a job waits for room, which a person or `clean` may make meanwhile."""

from __future__ import annotations

import errno
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
FULL = (errno.ENOSPC, errno.EDQUOT)
"""No space or no inodes left; the quota of either is used up."""
ROOM_POLL_S = 5.0


class Patience:
    """How long this process waits for room on a full disk or quota; not at all unless a job says so.

    A job that waits keeps its GPU idle for minutes; one that ends waits in the queue for hours.
    """

    def __init__(self) -> None:
        self.limit_s = 0.0
        self.stop: Callable[[], object] = lambda: None
        """Whether the process was told to end."""
        self._since = self._asked = -math.inf

    @contextmanager
    def within(self, limit_s: float, stop: Callable[[], object]) -> Iterator[None]:
        """For as long as a job works: wait so many seconds, unless it is told to end."""
        before = self.limit_s, self.stop
        self.limit_s, self.stop = limit_s, stop
        try:
            yield
        finally:
            self.limit_s, self.stop = before

    def __call__(self, error: OSError) -> bool:
        """Whether to try again what an error has stopped, after a while in which room may have been made."""
        if error.errno not in FULL or self.stop() or not self.limit_s:
            return False
        now = time.monotonic()
        if now - self._asked > 2 * ROOM_POLL_S:  # another spell than the last one
            self._since = now
            told = f"{error.filename or 'a file'}: {error.strerror}"
            print(f"{told}; waiting up to {self.limit_s / 60:g} min for room", file=sys.stderr, flush=True)
        if now - self._since >= self.limit_s:
            return False
        time.sleep(ROOM_POLL_S)
        self._asked = time.monotonic()
        return True


patience = Patience()


def with_room(write: Callable[[], T]) -> T:
    """What `write` returns, called again while the disk is full and this process has patience.

    Raises:
        OSError: as `write`.
    """
    while True:
        try:
            return write()
        except OSError as error:
            if not patience(error):
                raise
