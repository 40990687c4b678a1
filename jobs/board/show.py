"""The board once (`status`), and live (`watch`)."""

from __future__ import annotations

import io
import os
import re
import select
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.errors import ClusterError
from cluster.files import write_atomic
from cluster.run.state import State
from jobs.board.rows import Status
from jobs.board.status import Collector, Wishes

if TYPE_CHECKING:
    from rich.live import Live

FILES_S = 3.0
"""Between two readings of the files."""
EASE = 20
"""The files are read so seldom that it takes at most a twentieth of the time: a login node serves everybody."""
DRAW_S = 1.0
KEY_S = 0.2
SLOW_S = 3.0
PIPE_COLUMNS = 160
"""Width of what goes into a file or another program: nothing is to be cut that need not be."""
PICTURE_COLUMNS, PICTURE_LINES = 120, 48
PATIENT: tuple[State, ...] = (State.BLOCKED, State.QUEUED, State.NEW, State.CANCELLED, State.DONE)
"""What `status` folds on a terminal: of all else each row is shown."""
FONTS = re.compile(r"@font-face\s*\{[^}]*\}\s*")
"""In rich's pictures; they are loaded from the network."""


def show_board(root: Path, wishes: Wishes, svg: Path | None = None) -> None:
    """Show everything once.

    Args:
        root: folder of all runs.
        wishes: what of it is wanted.
        svg: where the board is drawn too.

    Raises:
        ClusterError: there is no such folder, nothing of these names, or the picture cannot be written.
    """
    from rich.console import Console

    from jobs.board.drawing import Board

    status = read_board(root, wishes)
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, PIPE_COLUMNS), soft_wrap=True, no_color=True)
    height = console.height - 1 if console.is_terminal and not wishes.states else None
    console.print(Board(status, time.time(), height, PATIENT))
    if svg:
        _draw_picture(svg, status, "status")
        print(f"picture: {svg}")


def read_board(root: Path, wishes: Wishes) -> Status:
    """The state of everything, read once; errors as of `show_board`."""
    collector = _collector(root, wishes)
    with _patience():
        return collector.collect()


def watch_board(root: Path, wishes: Wishes, svg: Path | None = None) -> None:
    """Show everything until the user has seen enough; arguments and errors as of `show_board`."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("this is no terminal: shown once", file=sys.stderr)
        show_board(root, wishes, svg)
        return
    from rich.console import Console
    from rich.live import Live

    reader = _Reader(_collector(root, wishes))
    console = Console()
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)
    )  # so that the terminal is set right
    try:
        with _single_keys(), Live(console=console, screen=True, auto_refresh=False) as live:
            reader.start()
            _follow(live, reader, svg)
    except KeyboardInterrupt:
        pass
    if reader.error:
        raise reader.error


def _collector(root: Path, wishes: Wishes) -> Collector:
    if not root.is_dir():
        raise ClusterError(
            f"there is no folder of runs {root}: make a run with train, or name another with --runs or "
            "$LAYALIGN_RUNS"
        )
    return Collector(root, wishes)


def _follow(live: Live, reader: _Reader, svg: Path | None) -> None:
    """Draw every second, and whenever there is news, until `q`."""
    from rich.text import Text

    from jobs.board.drawing import Board

    drawn, shown = 0.0, None
    while not reader.error:
        status = reader.status
        if status is not shown or time.monotonic() - drawn >= DRAW_S:
            footer = f"q quits; files are read every {reader.every_s:.0f} s, the queue at most once a minute"
            height = live.console.height
            board = (
                Board(status, time.time(), height, tuple(State), footer) if status else Text("reading ...")
            )
            live.update(board, refresh=True)
            if svg and status and status is not shown:
                _draw_picture(svg, status, "watch")
            drawn, shown = time.monotonic(), status
        if "q" in _keys().lower():
            return


class _Reader(threading.Thread):
    """Reads over and over, so that a controller that does not answer keeps nobody from leaving."""

    def __init__(self, collector: Collector) -> None:
        super().__init__(daemon=True)
        self.collector = collector
        self.status: Status | None = None
        self.error: Exception | None = None
        self.every_s = FILES_S

    def run(self) -> None:
        while True:
            began = time.thread_time()
            try:
                self.status = self.collector.collect()
            except Exception as error:
                self.error = error
                return
            self.every_s = max(FILES_S, EASE * (time.thread_time() - began))
            time.sleep(self.every_s)


@contextmanager
def _single_keys() -> Iterator[None]:
    """The time in which keys are read as they are struck; the terminal is left as it was."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _keys() -> str:
    """The keys that are struck in the next moment. Past Python's own buffer, which `select` knows nothing of."""
    ready, _, _ = select.select([sys.stdin], [], [], KEY_S)
    return os.read(sys.stdin.fileno(), 64).decode(errors="replace") if ready else ""


@contextmanager
def _patience() -> Iterator[None]:
    """The time in which a user may wonder what takes so long."""
    told = "the scheduler is slow to answer; Ctrl-C ends the waiting"
    timer = threading.Timer(SLOW_S, lambda: print(told, file=sys.stderr, flush=True))
    timer.daemon = True
    if sys.stderr.isatty():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _draw_picture(path: Path, status: Status, command: str) -> None:
    try:
        write_atomic(path, picture(status, time.time(), f"python launch.py {command}"))
    except OSError as error:
        raise ClusterError(f"the picture {path} cannot be written: {error.strerror}") from None


def picture(
    status: Status, now: float, title: str, columns: int = PICTURE_COLUMNS, lines: int | None = PICTURE_LINES
) -> str:
    """The board as SVG, with nothing in it that would be loaded from elsewhere.

    Args:
        status: what is shown.
        now: seconds since 1970, for ages.
        title: above it.
        columns: width in characters.
        lines: height; None is as many as it takes.
    """
    from rich.console import Console

    from jobs.board.drawing import Board

    console = Console(
        record=True, width=columns, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(Board(status, now, lines))
    return FONTS.sub("", console.export_svg(title=title))
