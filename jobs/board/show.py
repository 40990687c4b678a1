"""`launch.py status` and `launch.py watch`: the board once, and live."""

from __future__ import annotations

import argparse
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
from typing import Any

from cluster.errors import ClusterError
from cluster.files import write_atomic
from jobs.board.rows import STATES, State, Status
from jobs.board.status import Collector, Wishes
from jobs.recipe.context import runs_of

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
PATIENT: tuple[State, ...] = ("blocked", "queued", "new", "cancelled", "done")
"""What `status` folds on a terminal: of all else each row is shown."""
FONTS = re.compile(r"@font-face\s*\{[^}]*\}\s*")
"""In rich's pictures; they are loaded from the network."""


def status_command(args: argparse.Namespace) -> int:
    """Show everything once."""
    from rich.console import Console

    from jobs.board.drawing import Board

    wishes, collector = _begin(args)
    with _patience():
        status = collector.collect()
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, PIPE_COLUMNS), soft_wrap=True, no_color=True)
    height = console.height - 1 if console.is_terminal and not wishes.states else None
    console.print(Board(status, time.time(), height, PATIENT))
    _draw_picture(args, status, "status")
    return 0


def watch_command(args: argparse.Namespace) -> int:
    """Show everything until the user has seen enough."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("this is no terminal: shown once", file=sys.stderr)
        return status_command(args)
    from rich.console import Console
    from rich.live import Live

    _, collector = _begin(args)
    reader = _Reader(collector)
    console = Console()
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)
    )  # so that the terminal is set right
    try:
        with _single_keys(), Live(console=console, screen=True, auto_refresh=False) as live:
            reader.start()
            _follow(live, reader, args)
    except KeyboardInterrupt:
        pass
    if reader.error:
        raise reader.error
    return 0


def _begin(args: argparse.Namespace) -> tuple[Wishes, Collector]:
    root = runs_of(args)
    if not root.is_dir():
        raise ClusterError(
            f"there is no folder of runs {root}: make a run with train, or name another with --runs or "
            "$LAYALIGN_RUNS"
        )
    wishes = Wishes(tuple(args.names), tuple(args.state or ()), args.grid)
    return wishes, Collector(root, wishes)


def _follow(live: Any, reader: _Reader, args: argparse.Namespace) -> None:
    """Draw every second, and whenever there is news, until `q`."""
    from rich.text import Text

    from jobs.board.drawing import Board

    drawn, shown = 0.0, None
    while not reader.error:
        status = reader.status
        if status is not shown or time.monotonic() - drawn >= DRAW_S:
            footer = f"q quits; files are read every {reader.every_s:.0f} s, the queue at most once a minute"
            height = live.console.height
            board = Board(status, time.time(), height, STATES, footer) if status else Text("reading ...")
            live.update(board, refresh=True)
            if status and status is not shown:
                _draw_picture(args, status, "watch", told=False)
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


def _draw_picture(args: argparse.Namespace, status: Status, command: str, told: bool = True) -> None:
    if not args.svg:
        return
    path = Path(args.svg).expanduser().absolute()
    try:
        write_atomic(path, picture(status, time.time(), f"python launch.py {command}"))
    except OSError as error:
        raise ClusterError(f"the picture {path} cannot be written: {error.strerror}") from None
    if told:
        print(f"picture: {path}")


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
