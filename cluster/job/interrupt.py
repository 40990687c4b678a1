"""Signals as a flag. A handler only sets it: whoever works asks for it where stopping is safe."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)


class Interrupts:
    """Remembers the first signal that asked this process to stop.

    A second Ctrl-C (SIGINT) raises KeyboardInterrupt: the user does not want to wait.
    """

    def __init__(self) -> None:
        self.cause: str | None = None
        """Name of the first signal, such as `SIGTERM`; None as long as nothing asks to stop."""
        self.time: float | None = None
        """When it came, in seconds since 1970."""
        self.continued = False
        """Whether SIGCONT came, which Slurm sends when it ends a job of its own accord."""
        self._presses = 0
        self._before: dict[signal.Signals, object] = {}

    def install(self) -> Interrupts:
        """Take over the signals, also from handlers that a launcher has put in place."""
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        self._before[signal.SIGCONT] = signal.signal(signal.SIGCONT, self._note_continued)
        return self

    def __enter__(self) -> Interrupts:
        return self.install()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.cause is None:
            self.cause, self.time = signal.Signals(number).name, time.time()
        if number == signal.SIGINT:
            self._presses += 1
            if self._presses > 1:
                raise KeyboardInterrupt

    def _note_continued(self, number: int, frame: FrameType | None) -> None:
        self.continued = True
