"""Where the time of trainings went, as a table for terminal and report."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.reliability.ettr import EffectiveTime, Interruptions, together
from layalign.tabular import NONE, Column, Row, Table

SHARES = ("dev loss", "loading", "saving", "redone")
LEGEND = (
    "ETTR: time that advanced the final trajectory over wall time in jobs (docs/RELIABILITY.md);\n"
    "1st: seconds to the first step of a start; dev loss to redone: shares of the time;\n"
    "stops: starts that ended early, by cause, and the steps that they lost"
)
SHOWN = 3
"""Runs that are named where a reason concerns many."""


def ettr_table(times: Sequence[EffectiveTime]) -> Table:
    """A line for each training; what cannot be told is a dash, and the notes say why."""
    numbers = ("ETTR", "hours", "starts", "1st", *SHARES)
    columns = [Column("training"), *(Column(heading, number=True) for heading in numbers), Column("stops")]
    return Table(columns, [Row([one.run, *_cells(one)]) for one in times], _notes(times))


def _cells(one: EffectiveTime) -> list[str]:
    shares = (one.dev_s, one.loading_s, one.saving_s, one.redone_s)
    return [
        NONE if one.ettr is None else f"{one.ettr:.3f}",
        NONE if one.wall_s is None else f"{one.wall_s / 3600:.1f}",
        NONE if one.starts is None else str(one.starts),
        NONE if one.first_step_s is None else f"{one.first_step_s:.0f}",
        *(NONE if s is None or not one.wall_s else f"{s / one.wall_s:.1%}" for s in shares),
        "\n".join(map(_told, one.interruptions)) or ("none" if one.ettr is not None else NONE),
    ]


def _told(one: Interruptions) -> str:
    """`2 node failure: 31 steps`."""
    return f"{one.count} {one.cause}: {one.lost_steps} step{'s' * (one.lost_steps != 1)}"


def _notes(times: Sequence[EffectiveTime]) -> list[str]:
    """ETTR of all together, and of whom there is none."""
    notes = []
    whole = together(times)
    if whole is not None:
        known = sum(one.ettr is not None for one in times)
        rest = f", {len(times) - known} left out" if known < len(times) else ""
        notes.append(f"ETTR of {known} training{'s' * (known != 1)} together: {whole:.3f}{rest}")
    for reason in dict.fromkeys(one.unknown for one in times if one.unknown):
        names = [one.run for one in times if one.unknown == reason]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        notes.append(f"no ETTR of {', '.join(names[:SHOWN])}{more}: {reason}")
    if any(one.saving_s is None and not one.unknown for one in times):
        notes.append("saving is not told where an earlier version wrote a checkpoint without its time")
    return notes
