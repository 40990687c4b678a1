"""Plots as inline SVG in plain Python: a login node has no matplotlib. Colours of text and lines are the page's.

matplotlib's SVG is no way out where it is installed: it has no text to rest a pointer on, no colours that a page can
change, three times the bytes, and ids that meet those of the next plot. Series have colours of their own and a shape
each. What belongs to series 3 carries `data-s="3"`, so that a page can hide it.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from layalign.analysis.curves import COLOURS

LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 12.0, 44.0
"""Room around the axes, in pixels."""
SHAPES = 4
DASHES = ("", "6 3", "2 3", "8 3 2 3")


@dataclass(frozen=True)
class Mark:
    """One value of a series."""

    value: float
    low: float | None = None
    high: float | None = None
    dots: Sequence[float] = ()
    """Values that it is the mean of."""
    reference: float | None = None
    """Somebody else's value, drawn as a short line."""
    text: str = ""
    """Shown where the pointer rests."""


@dataclass(frozen=True)
class Line:
    """One curve."""

    series: int
    points: Sequence[tuple[float, float]]
    marks: Sequence[tuple[float, float]] = ()
    """Drawn as hollow circles."""
    dash: int = 0
    text: str = ""


@dataclass
class Axes:
    """A frame with ticks, a grid and units; what is drawn is kept in `parts`."""

    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]
    log_y: bool = False
    parts: list[str] = field(default_factory=list)

    def at_x(self, value: float) -> float:
        """Pixels from the left."""
        low, high = self.x
        return LEFT + (value - low) / (high - low) * (self.width - LEFT - RIGHT)

    def at_y(self, value: float) -> float:
        """Pixels from the top."""
        low, high, value = (math.log(v) if self.log_y else v for v in (*self.y, value))
        return self.height - BOTTOM - (value - low) / (high - low) * (self.height - TOP - BOTTOM)

    def grid_y(self, ticks: Iterable[float], label: str) -> None:
        """Horizontal lines with numbers, and what the axis is."""
        right = self.width - RIGHT
        for tick in ticks:
            y = self.at_y(tick)
            self.parts.append(f'<path class="grid" d="M{LEFT:.0f} {y:.1f}H{right:.0f}"/>')
            self.text(LEFT - 7, y + 4, f"{tick:g}", "end")
        middle = (TOP + self.height - BOTTOM) / 2
        self.parts.append(
            f'<text class="axis" text-anchor="middle" transform="translate(14 {middle:.0f})rotate(-90)">'
            f"{html.escape(label)}</text>"
        )

    def grid_x(self, ticks: Iterable[float], label: str) -> None:
        """Numbers below the frame, and what the axis is."""
        for tick in ticks:
            x = self.at_x(tick)
            bottom = self.height - BOTTOM
            self.parts.append(f'<path class="frame" d="M{x:.1f} {bottom:.0f}v4"/>')
            self.text(x, bottom + 17, f"{tick:g}", "middle")
        self.text((LEFT + self.width - RIGHT) / 2, self.height - 6, label, "middle", "axis")

    def text(self, x: float, y: float, text: str, anchor: str, kind: str = "tick") -> None:
        """A text whose baseline is at y."""
        self.parts.append(
            f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'
        )

    def svg(self, title: str) -> str:
        """The whole picture; `title` is what it says to those who do not see it."""
        bottom = f"M{LEFT:.0f} {self.height - BOTTOM:.0f}H{self.width - RIGHT:.0f}"
        told = html.escape(title)
        return (
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" aria-label="{told}">'
            f'<path class="frame" d="{bottom}"/>{"".join(self.parts)}</svg>'
        )


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between two values, at most `most` of them."""
    span = high - low
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if span / (power * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(step * n, 10) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between two values."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    return [tick for tick in every if low <= tick <= high]


def colour(series: int) -> str:
    """Of a series; they come again after seven, with another shape."""
    return COLOURS[series % len(COLOURS)]


def shape(series: int, x: float, y: float, size: float = 4.0) -> str:
    """The filled shape of a series around a point."""
    fill = f'fill="{colour(series)}"'
    kind = (series % len(COLOURS) + series // len(COLOURS)) % SHAPES
    if kind == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:g}" {fill}/>'
    if kind == 1:
        side = 1.8 * size
        return (
            f'<rect x="{x - side / 2:.1f}" y="{y - side / 2:.1f}" width="{side:g}" height="{side:g}" {fill}/>'
        )
    r = 1.3 * size
    if kind == 2:
        return f'<path d="M{x:.1f} {y - r:.1f}l{r:g} {r:g}l{-r:g} {r:g}l{-r:g} {-r:g}z" {fill}/>'
    return f'<path d="M{x:.1f} {y - r:.1f}l{r:g} {1.8 * r:.1f}h{-2 * r:g}z" {fill}/>'


def mark_plot(
    groups: Sequence[str],
    series: Sequence[Sequence[Mark | None]],
    y: tuple[float, float],
    label: str,
    title: str,
    split: int = 0,
    zero: bool = False,
) -> str:
    """Values with intervals, side by side in groups.

    Args:
        groups: what stands below them.
        series: one mark, or none, for each group.
        y: range of the values.
        label: of the values, with their unit.
        title: of the picture.
        split: groups that stand apart at the left.
        zero: whether the line of 0 is drawn strongly.
    """
    axes = Axes(980, 380, (-0.5, len(groups) - 0.5), y)
    axes.grid_y(ticks(*y), label)
    bottom, step = axes.height - BOTTOM, axes.at_x(1) - axes.at_x(0)
    for index, group in enumerate(groups):
        x = axes.at_x(index)
        if index % 2:
            axes.parts.insert(
                0,
                f'<rect class="band" x="{x - step / 2:.1f}" y="{TOP:.0f}" width="{step:.1f}" '
                f'height="{bottom - TOP:.0f}"/>',
            )
        for line, part in enumerate(re.split(r"(?<=-)", group)):
            axes.text(x, bottom + 18 + 14 * line, part, "middle", "group")
    if split:
        axes.parts.append(f'<path class="frame" d="M{axes.at_x(split - 0.5):.1f} {TOP:.0f}V{bottom:.0f}"/>')
    if zero:
        y0 = axes.at_y(0)
        axes.parts.append(f'<path class="zero" d="M{LEFT:.0f} {y0:.1f}H{axes.width - RIGHT:.0f}"/>')
    apart = 0.86 * step / max(len(series), 2)
    for number, marks in enumerate(series):
        shift = (number - (len(series) - 1) / 2) * apart
        drawn = [_mark(axes, number, axes.at_x(i) + shift, m, apart) for i, m in enumerate(marks) if m]
        axes.parts.append(f'<g data-s="{number}">{"".join(drawn)}</g>')
    return axes.svg(title)


def _mark(axes: Axes, number: int, x: float, mark: Mark, room: float) -> str:
    parts, paint = [f"<title>{html.escape(mark.text)}</title>"], colour(number)
    if mark.low is not None and mark.high is not None:
        low, high = axes.at_y(max(mark.low, axes.y[0])), axes.at_y(min(mark.high, axes.y[1]))
        parts.append(f'<path stroke="{paint}" stroke-width="1.5" d="M{x:.1f} {low:.1f}V{high:.1f}"/>')
    y, size = axes.at_y(mark.value), min(4.0, 0.3 * room)
    if mark.reference is not None:
        half = min(6.5, 0.48 * room)
        parts.append(
            f'<path class="paper" d="M{x - half:.1f} {axes.at_y(mark.reference):.1f}h{2 * half:.1f}"/>'
        )
    parts.append(shape(number, x, y, size))
    apart = [dot for dot in map(axes.at_y, mark.dots) if abs(dot - y) > size]
    parts += [f'<circle class="dot" stroke="{paint}" cx="{x:.1f}" cy="{dot:.1f}" r="1.8"/>' for dot in apart]
    return f"<g>{''.join(parts)}</g>"


def line_plot(lines: Sequence[Line], x_label: str, y_label: str, title: str) -> str:
    """Curves over a common axis that begins at 0; logarithmic where values span more than a factor of ten.

    Args:
        lines: at least one has points.
        x_label: of the axis.
        y_label: likewise.
        title: of the picture.
    """
    values = [y for line in lines for _, y in (*line.points, *line.marks)]
    low, high = min(values), max(values)
    log = low > 0 and high / low > 10
    pad = 0.0 if log else 0.05 * ((high - low) or 1.0)
    right = max(x for line in lines for x, _ in (*line.points, *line.marks))
    axes = Axes(480, 320, (0, right or 1), (low * 0.93, high * 1.07) if log else (low - pad, high + pad), log)
    axes.grid_y(log_ticks(*axes.y) if log else ticks(*axes.y), y_label)
    axes.grid_x(ticks(*axes.x, most=5), x_label)
    for line in lines:
        axes.parts.append(_line(axes, line))
    return axes.svg(title)


def _line(axes: Axes, line: Line) -> str:
    paint = f'stroke="{colour(line.series)}"'
    path = "L".join(f"{axes.at_x(x):.1f} {axes.at_y(y):.1f}" for x, y in line.points)
    dash = f' stroke-dasharray="{DASHES[line.dash % len(DASHES)]}"' if line.dash else ""
    drawn = f'<path class="curve" {paint}{dash} d="M{path}"/>' if path else ""
    marks = "".join(
        f'<circle class="dev" {paint} cx="{axes.at_x(x):.1f}" cy="{axes.at_y(y):.1f}" r="2.6"/>'
        for x, y in line.marks
    )
    return f'<g data-s="{line.series}"><title>{html.escape(line.text)}</title>{drawn}{marks}</g>'
