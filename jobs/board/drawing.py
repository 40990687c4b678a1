"""The board as text for a terminal: as many columns as there is room for, the least important left out first.

Lines are put together by hand from segments: rich's tables take seconds for a thousand rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from cluster.run.state import State
from jobs.board.columns import ALWAYS, COLUMNS, LOOKS, WORKING, Column, Terms, mark
from jobs.board.lines import Part, age, clip, cut, fit
from jobs.board.rows import GridLine, Row, Status

OVER: Collection[State] = (State.DONE, State.CANCELLED)
FIRST: tuple[State, State] = (State.FAILED, State.RUNNING)
"""What there should be most room for."""
KEPT = 2
"""Rows of any other group that stay when it is folded; none of work that is over."""


@dataclass(frozen=True)
class Fold:
    """Rows of one state that do not fit."""

    state: State
    count: int


class Board:
    """What `status` and `watch` show.

    Args:
        status: the rows.
        now: seconds since 1970, for ages.
        height: lines that there are; None is as many as it takes.
        foldable: states whose rows may be folded into one line.
        footer: last line.
    """

    def __init__(
        self,
        status: Status,
        now: float,
        height: int | None = None,
        foldable: Collection[State] = tuple(State),
        footer: str = "",
    ) -> None:
        self.status, self.height, self.foldable, self.footer = status, height, foldable, footer
        self.terms = Terms(now, ascii=False)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.terms = Terms(self.terms.now, options.ascii_only)
        for line in self.lines(options.max_width):
            for text, style in line:
                yield Segment(text, _style(style))
            yield Segment.line()

    def lines(self, width: int) -> Iterator[list[Part]]:
        """Each line as parts that together are no wider than the board."""
        top = [*self._head(width), *(self._grid(grid, width) for grid in self.status.grids), []]
        end = [[(clip(text, width), "yellow")] for text in self._warnings(width)]
        end += [[(clip(self.footer, width), "dim")]] * bool(self.footer)
        room = None if self.height is None else self.height - len(top) - len(end) - 1
        columns = _widths([c for c in COLUMNS if c.least <= width <= c.most], self.status.rows, width)
        yield from top
        if self.status.rows:
            heads = [fit(column.title, space, column.right) for column, space in columns.items()]
            yield [(" ".join(heads), "dim underline")]
        for row in fold(self.status.rows, room, self.foldable):
            yield self._fold(row, width) if isinstance(row, Fold) else self._row(row, columns)
        yield from end

    def _head(self, width: int) -> Iterator[list[Part]]:
        rows = self.status.rows
        runs = sum(not row.share for row in rows)
        others = len(rows) - runs
        counted = [_count(runs, "run")] * (runs > 0 or not others) + [_count(others, "evaluation")] * (
            others > 0
        )
        what = ", ".join(counted)
        ages = f"files {age(self.terms.now - self.status.time)} ago, {self._queue()}"
        style = "yellow" if self.status.look.fault else "dim"
        gap = width - cell_len(what) - cell_len(ages)
        if gap >= 2:
            yield [(what, "bold"), (" " * gap, ""), (ages, style)]
        else:
            yield [(clip(what, width), "bold")]
            yield [(clip(ages, width), style)]
        yield cut(self._counted(Counter(row.state for row in rows), words=width >= 110), width)

    def _queue(self) -> str:
        """How old the look at the queue is, and what became of the last question."""
        look = self.status.look
        if look.time is None:
            return look.silence or self.status.unasked or "squeue was asked and has not answered yet"
        return f"queue {age(self.terms.now - look.time)} ago" + (f", {look.silence}" if look.silence else "")

    def _counted(self, counts: Mapping[State, int], words: bool) -> list[Part]:
        parts = []
        for state in State:
            if counts.get(state):
                word = f" {state}" if words else ""
                parts += [(f"{mark(state, self.terms)} {counts[state]:,}{word}", LOOKS[state][2]), ("  ", "")]
        return parts[:-1]

    def _grid(self, grid: GridLine, width: int) -> list[Part]:
        """Name, a bar of its cells by state, and how many are in each."""
        names = max(cell_len(line.name) for line in self.status.grids)
        parts: list[Part] = [(fit(grid.name, min(names, width // 4)), "bold"), (" ", "")]
        parts += self._bar(grid, max(10, width // (4 if width >= 110 else 6)))
        parts += [(f" {grid.states.get(State.DONE, 0):,}/{grid.cells:,} cells", ""), ("  ", "")]
        parts += self._counted({s: n for s, n in grid.states.items() if s != State.DONE}, words=False)
        return cut([*parts, (f"  {grid.gpu_hours:,.0f} GPU-h", "dim")], width)

    def _bar(self, grid: GridLine, width: int) -> list[Part]:
        """Every state that some cell has is seen, if only as one character, by its mark as by its colour."""
        full, empty = ("#", "-") if self.terms.ascii else ("━", "╌")
        order: tuple[State, ...] = (
            *(State.DONE, State.RUNNING, State.FAILED),
            *(State.INTERRUPTED, State.BLOCKED, State.CANCELLED),
        )
        parts, room = [], width
        for state in order:
            count = grid.states.get(state, 0)
            length = min(room, max(1, width * count // grid.cells)) if count else 0
            room -= length
            sign = full if state is State.DONE else mark(state, self.terms)
            parts.append((sign * length, LOOKS[state][2]))
        return [*parts, (empty * room, "bright_black")]

    def _row(self, row: Row, columns: Mapping[Column, int]) -> list[Part]:
        """A row; where it has no numbers to tell, its note begins where they would."""
        over = row.state in OVER
        spare = 0
        if row.state not in WORKING:
            hidden = [column for column in columns if column.title not in ALWAYS]
            spare = sum(columns[column] + 1 for column in hidden)
            columns = {column: space for column, space in columns.items() if column not in hidden}
        base = "dim" if over else ""
        look = LOOKS[row.state][2]
        styles = {"state": f"{base} {look}", "run": base or "bold", "note": self._urgency(row)}
        parts: list[Part] = []
        for column, space in columns.items():
            space += spare if column.title == "note" else 0
            text = fit(column.cell(row, self.terms), space, column.right, middle=column.title == "run")
            parts += [(text, styles.get(column.title, base)), (" ", "")]
        return parts[:-1]

    def _urgency(self, row: Row) -> str:
        if row.state is State.FAILED:
            return LOOKS[row.state][2]
        return "yellow" if row.silent else "dim"

    def _fold(self, folded: Fold, width: int) -> list[Part]:
        more = f"{mark(folded.state, self.terms)} {folded.count:,} more {folded.state}"
        how = f": python launch.py status --state {folded.state}"
        return cut([(more, f"italic {LOOKS[folded.state][2]}"), (how, "dim")], width)

    def _warnings(self, width: int) -> Iterator[str]:
        for text in self.status.warnings:
            if cell_len(text) <= width:
                yield text
            else:
                what, _, how = text.rpartition(": ")
                yield from (what, f"  {how}")


def fold(rows: Sequence[Row], room: int | None, foldable: Collection[State]) -> list[Row | Fold]:
    """Rows that fit into a number of lines: what is over goes first; what has failed and what runs share the rest.

    Args:
        rows: in the order of `State`.
        room: lines; None is as many as there are rows.
        foldable: states whose rows may go.
    """
    groups: dict[State, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.state, []).append(row)
    lines = {state: len(group) for state, group in groups.items()}
    for state in (*(s for s in reversed(State) if s not in FIRST), *FIRST):
        excess = sum(lines.values()) - room if room is not None else 0
        if excess <= 0 or state not in foldable or state not in groups:
            continue
        least = 1 if state in OVER else KEPT + 1  # one of them says how many more there are
        if state in FIRST:
            other = lines.get(FIRST[state == FIRST[0]], 0)
            both = lines[state] + other - excess
            least = max(least, both - other, both // 2)
        lines[state] = min(lines[state], max(least, lines[state] - excess))
    shown: list[Row | Fold] = []
    for state, group in groups.items():
        gone = len(group) - lines[state]
        shown += group if gone <= 0 else [*group[: lines[state] - 1], Fold(state, gone + 1)]
    return shown


def _widths(columns: Sequence[Column], rows: Sequence[Row], width: int) -> dict[Column, int]:
    """Cells of each column: names get what they need up to a third, the note what is left."""
    longest = max((cell_len(row.name) for row in rows), default=0)
    name = max(12, min(longest, width // 3, 40))
    rest = width - name - sum(column.width for column in columns) - len(columns) + 1
    return {column: column.width or (name if column.title == "run" else rest) for column in columns}


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


@cache
def _style(text: str) -> Style:
    return Style.parse(text) if text else Style.null()
