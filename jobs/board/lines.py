"""Text in cells of a terminal, and times in as few of them as can be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.cells import cell_len, set_cell_size

Part = tuple[str, str]
"""Text, and its style."""
DAY_S = 86400


def fit(text: str, width: int, right: bool = False, middle: bool = False) -> str:
    """Text in exactly so many cells, its end or its middle left out if it is longer. Control characters are blanks."""
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    size = len(text) if text.isascii() else cell_len(text)
    if size > width:
        if middle and width > 16 and text.isascii():
            return f"{text[: width - 12]}…{text[-11:]}"
        return f"{set_cell_size(text, width - 1)}…" if width > 1 else set_cell_size(text, width)
    return " " * (width - size) + text if right else text + " " * (width - size)


def clip(text: str, width: int) -> str:
    """Text in at most so many cells."""
    return fit(text, width).rstrip()


def cut(parts: Sequence[Part], width: int) -> list[Part]:
    """As many of the parts as there is room for."""
    shown: list[Part] = []
    for text, style in parts:
        size = cell_len(text)
        if size > width:
            shown.append((fit(text, width), style))
            break
        width -= size
        shown.append((text, style))
    return shown


def age(seconds: float) -> str:
    """`35s`, `12m`, `5h`, `3d`."""
    for size, unit in ((DAY_S, "d"), (3600, "h")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds / 60:.0f}m" if seconds >= 90 else f"{max(0, seconds):.0f}s"


def clock(time: float, now: float) -> str:
    """`14:20`, on another day `Thu 14:20`, in another week `3 Dec`; local time."""
    then, today = datetime.fromtimestamp(time), datetime.fromtimestamp(now)
    if then.date() == today.date():
        return f"{then:%H:%M}"
    return f"{then:%a %H:%M}" if time - now < 6 * DAY_S else f"{then.day} {then:%b}"


def left(seconds: float) -> str:
    """`40s`, `12m`, `7h05`, `2d 3h`."""
    if seconds < 90:
        return f"{seconds:.0f}s"
    minutes = round(seconds / 60)
    if minutes >= 2 * 1440:
        return f"{minutes // 1440}d {minutes % 1440 // 60}h"
    return f"{minutes // 60}h{minutes % 60:02d}" if minutes >= 60 else f"{minutes}m"
