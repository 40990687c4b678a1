"""The columns of the board, and how states look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from cluster.run.state import Cause, State
from jobs.board.lines import age, clock, left
from jobs.board.rows import Row

LOOKS: dict[State, tuple[str, str, str]] = {
    State.FAILED: ("✗", "x", "red"),
    State.RUNNING: ("●", ">", "cyan"),
    State.INTERRUPTED: ("◐", "/", "yellow"),
    State.BLOCKED: ("■", "#", "magenta"),
    State.QUEUED: ("○", "o", "blue"),
    State.NEW: ("·", ".", "default"),
    State.CANCELLED: ("–", "-", "bright_black"),
    State.DONE: ("✓", "+", "green"),
}
"""Mark, the same in ASCII, and colour of each state."""
BAR = 8
WORKING: tuple[State, ...] = (State.RUNNING, State.INTERRUPTED, State.DONE)
"""States whose rows tell numbers; of others the note takes their room."""


class Terms(NamedTuple):
    """What a cell may have to know beside its row."""

    now: float
    """Seconds since 1970, for ages."""
    ascii: bool
    """The terminal knows no other characters."""


@dataclass(frozen=True)
class Column:
    """One column of the board."""

    title: str
    width: int
    """Cells; 0 takes what is left."""
    least: int
    """Narrowest board that has it."""
    cell: Callable[[Row, Terms], str]
    right: bool = False
    most: int = 1000
    """Widest board that has it."""


def mark(state: State, terms: Terms) -> str:
    """One character for a state."""
    return LOOKS[state][1 if terms.ascii else 0]


def note(row: Row, terms: Terms) -> str:
    """What is to be said of a row in words, the most urgent first."""
    parts = []
    if row.silent and row.time:
        parts.append(f"no sign of life for {age(terms.now - row.time)}")
    if row.start:
        parts.append(f"starts ~{clock(row.start, terms.now)}")
    if row.unit and row.unit > 1 and row.state not in WORKING:
        parts.append(f"unit {row.unit}/{row.units}")
    parts += [_caused(row)] if row.note else []
    return ", ".join(parts)


def _caused(row: Row) -> str:
    """The note with the cause before it, where it is not its first word: `out of memory: job 12_0: ...`."""
    stopped = row.state in (State.FAILED, State.CANCELLED, State.INTERRUPTED)
    known = row.cause not in ("", row.state, Cause.NOTHING, Cause.UNKNOWN, Cause.EXCEPTION)
    summed = row.share and "/" not in row.share
    said = stopped and known and not summed and not row.note.startswith(row.cause)
    return f"{row.cause}: {row.note}" if said else row.note


def _progress(row: Row, terms: Terms) -> str:
    if not row.total or row.step is None:
        return ""
    full, empty = ("#", "-") if terms.ascii else ("━", "╌")
    filled = min(BAR if row.state is State.DONE else BAR - 1, BAR * row.step // row.total)
    return f"{full * filled}{empty * (BAR - filled)} {row.step:,}/{row.total:,}"


def _percent(row: Row, terms: Terms) -> str:
    if not row.total or row.step is None:
        return ""
    return f"{min(100 if row.state is State.DONE else 99, 100 * row.step // row.total)}%"


def _unit(row: Row, terms: Terms) -> str:
    again = f"{'r' if terms.ascii else '↻'}{row.restarts}" if row.restarts else ""
    return f"{f'{row.unit or 1}/{row.units}' if row.units else '':<4}{again}"


def _ram(row: Row, terms: Terms) -> str:
    if not row.rss_mb:
        return ""
    gigabytes = row.rss_mb / 1024
    return f"{gigabytes:.1f}G" if gigabytes < 10 else f"{gigabytes:.0f}G"


def _gpu(row: Row, terms: Terms) -> str:
    if row.gpu_mb is None or not row.gpu_total_mb:
        return ""
    busy = f" {row.gpu_util}%" if row.gpu_util is not None else ""
    return f"{row.gpu_mb / 1024:.0f}/{row.gpu_total_mb / 1024:.0f}G{busy}"


COLUMNS = (
    Column("state", 13, 0, lambda row, terms: f"{mark(row.state, terms)} {row.state}"),
    Column("run", 0, 0, lambda row, terms: row.name),
    Column("progress", 22, 110, _progress),
    Column("%", 4, 0, _percent, right=True, most=109),
    Column("unit", 6, 120, _unit),
    Column("loss", 5, 100, lambda row, terms: "" if row.loss is None else f"{row.loss:.3f}", right=True),
    Column(
        "tok/s", 6, 120, lambda row, terms: f"{row.tokens_per_s:,.0f}" if row.tokens_per_s else "", right=True
    ),
    Column("left", 6, 0, lambda row, terms: "" if row.eta_s is None else left(row.eta_s), right=True),
    Column("GPU", 11, 136, _gpu, right=True),
    Column("RAM", 5, 136, _ram, right=True),
    Column("note", 0, 0, note),
    Column("age", 4, 0, lambda row, terms: age(terms.now - row.time) if row.time else "", right=True),
)
"""From left to right."""
ALWAYS = ("state", "run", "progress", "%", "note", "age")
"""Those that every row has."""
