"""How far the evaluations of a run are: each share of a benchmark, or all of them in one row."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.job.causes import CANCELLED
from cluster.quantities import epoch_s
from cluster.run.run_folder import CellFolder, RunFolder
from jobs.board.rows import Row, State
from jobs.board.run_state import SILENT_S, World, expected_start, waiting_for_slot
from jobs.cell.cell import Cell, outcomes

PRECEDENCE: tuple[State, ...] = ("running", "failed", "queued", "interrupted", "blocked", "new", "done")
"""The state of several shares is the first of these that one of them has."""


@dataclass(frozen=True)
class Share:
    """Some items of one language, and how far they are."""

    cell: Cell
    name: str
    """`Cell.name`."""
    state: State
    answered: int
    note: str = ""
    time: float | None = None
    beat: Mapping[str, Any] | None = None
    """Its sign of life, while it is at work."""
    start: float | None = None
    gpu_hours: float = 0.0


def begun_benchmarks(run: RunFolder) -> list[str]:
    """Benchmarks that a run has answers to."""
    try:
        return sorted(entry.name for entry in os.scandir(run.results) if entry.is_dir())
    except OSError:
        return []


def begun_cells(run: RunFolder, benchmark: str, wanted: Collection[str] = ()) -> list[Cell]:
    """The shares that somebody has begun, as large as their files say, and that no grid wants.

    Args:
        run: whose shares they are.
        benchmark: name.
        wanted: shares (`sw-0`) that some grid wants; where there are such, others count only if they are done.
    """
    found = []
    for folder in run.cells(benchmark, wanted):
        answered = outcomes(folder.outcome())
        if answered or not wanted:
            told = max(answered, key=lambda one: one["items"]) if answered else folder.last_beat()
            cell = Cell(
                job="evaluate",
                run=str(run.path),
                benchmark=benchmark,
                language=folder.language,
                shard=folder.shard,
                items=told.get("items", 0),
                max_new_tokens=told.get("max_new_tokens", 0),
            )
            found.append(cell)
    return found


def shares_of(run: RunFolder, cells: Sequence[Cell], world: World) -> list[Share]:
    """How far the shares of one benchmark of a run are."""
    try:
        begun = set(os.listdir(run.results / cells[0].benchmark))
    except OSError:
        begun = set()
    return [
        _begun(run.cell(cell.benchmark, cell.language, cell.shard), cell, world)
        if f"{cell.language}-{cell.shard}" in begun
        else _not_begun(cell, world)
        for cell in cells
    ]


def _begun(folder: CellFolder, cell: Cell, world: World) -> Share:
    name = cell.name
    completion = folder.completion()
    told = completion.outcome
    if cell.answered_by(told):
        hours = told.get("seconds", 0.0) / 3600
        return Share(cell, name, "done", cell.items, time=epoch_s(told.get("time")), gpu_hours=hours)
    beat = folder.last_beat()
    time = epoch_s(beat.get("time")) or 0.0
    answered = min(beat.get("answered", 0), cell.items)
    if world.lives(folder, time):
        return Share(cell, name, "running", answered, time=time, beat=beat)
    reason = folder.reason()
    if reason and not reason.startswith(f"{CANCELLED}:"):
        return Share(cell, name, "failed", answered, reason, time)
    waiting = _not_begun(cell, world)
    state: State = "interrupted" if waiting.state == "new" else waiting.state
    return Share(cell, name, state, answered, waiting.note or completion.fault, time, start=waiting.start)


def _not_begun(cell: Cell, world: World) -> Share:
    name = cell.name
    needs = [need.rpartition("/")[2] for need in cell.needs]
    broken = next((need for need in needs if world.failed.get(need)), None)
    if broken:
        return Share(cell, name, "blocked", 0, f"{world.titles.get(broken, broken)} has failed")
    slots = world.arrays.get(name, ())
    if not slots:
        return Share(cell, name, "new", 0)
    waits = next((need for need in needs if world.failed.get(need) is not None), None)
    note = f"waits for {world.titles.get(waits, waits)}" if waits else waiting_for_slot(slots)
    return Share(cell, name, "queued", 0, note, start=expected_start(slots, world.now))


def summed_row(run: RunFolder, title: str, shares: Sequence[Share], now: float) -> Row:
    """One row for all shares of a benchmark."""
    states = Counter(share.state for share in shares)
    state = next(state for state in PRECEDENCE if states[state])
    languages = {share.cell.language for share in shares}
    unfinished = {share.cell.language for share in shares if share.state != "done"}
    reason = next((share.note for share in shares if share.state == "failed"), "")
    broken = [f"{states['failed']} failed: {reason}"] if reason else []
    done = [f"{len(languages) - len(unfinished)}/{len(languages)} languages"]
    waits = [share.note for share in shares if share.note and share.state == state != "failed"][:1]
    parts = [*broken, *done] if state == "failed" else [*done, *broken, *waits]
    step, total = sum(share.answered for share in shares), sum(share.cell.items for share in shares)
    rate = sum((share.beat or {}).get("items_per_s", 0.0) for share in shares)
    return Row(
        run=run.path.name,
        title=title,
        share=shares[0].cell.benchmark,
        state=state,
        note=", ".join(parts),
        start=min((share.start for share in shares if share.start), default=None),
        step=step,
        total=total,
        eta_s=(total - step) / rate if rate else None,
        **_signs(shares, now),
    )


def share_row(run: RunFolder, title: str, share: Share, now: float) -> Row:
    """A row for one share."""
    cell = share.cell
    return Row(
        run=run.path.name,
        title=title,
        share=f"{cell.benchmark}/{cell.language}-{cell.shard}",
        state=share.state,
        note=share.note,
        start=share.start,
        step=share.answered,
        total=cell.items,
        eta_s=(share.beat or {}).get("eta_s"),
        **_signs([share], now),
    )


def _signs(shares: Iterable[Share], now: float) -> dict[str, Any]:
    """What those at work say of themselves, the most of each, and when those that give the state were last heard of."""
    every = list(shares)
    beats = [share.beat for share in every if share.beat]
    working = [share.time for share in every if share.state == "running" and share.time]
    told: dict[str, Any] = {
        key: max((beat[key] for beat in beats if beat.get(key) is not None), default=None)
        for key in ("gpu_mb", "gpu_total_mb", "gpu_util", "rss_mb")
    }
    state = next(state for state in PRECEDENCE if any(share.state == state for share in every))
    told["time"] = max((share.time for share in every if share.time and share.state == state), default=None)
    told["silent"] = bool(working) and now - max(working) > SILENT_S
    return told
