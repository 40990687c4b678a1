"""How far the evaluations of a run are: each share of a benchmark, or all of them in one row."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.quantities import epoch_s
from cluster.run.run_folder import CellFolder, RunFolder
from cluster.run.state import Cause, State
from jobs.board.rows import Row
from jobs.board.run_state import Facts, judged
from jobs.board.signs import Signs, Standing, Story, World
from jobs.board.state import SILENT_S, expected_start, standing
from jobs.cell.cell import Cell, outcomes

PRECEDENCE: tuple[State, ...] = (
    *(State.RUNNING, State.FAILED, State.QUEUED, State.INTERRUPTED),
    *(State.CANCELLED, State.BLOCKED, State.NEW, State.DONE),
)
"""The state of several shares is the first of these that one of them has."""


@dataclass(frozen=True)
class Share:
    """Some items of one language, and how far they are."""

    cell: Cell
    name: str
    """`Cell.name`."""
    state: State
    answered: int
    cause: str = Cause.NOTHING
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


def cell_standings(cells: Sequence[Cell], world: World) -> dict[str, Standing]:
    """Where the cells of a grid stand, by their names: trainings, also told to `world`, and shares of evaluations."""
    runs = {cell.run_name: RunFolder(Path(cell.run)) for cell in cells}
    world.needs = {c.run_name: [Path(n).name for n in c.needs] for c in cells if c.job == "train"}
    beside = {Path(need).name: Path(need) for c in cells for need in (*c.needs, *c.behind)}
    runs |= {name: RunFolder(path) for name, path in beside.items() if name not in runs}
    trained = judged({name: Facts.of(run) for name, run in runs.items()}, world)
    found: dict[str, Standing] = {}
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.job == "train":
            status = trained[cell.run_name]
            found[cell.name] = Standing(status.state, status.cause, status.note)
        else:
            groups.setdefault((cell.run_name, cell.benchmark), []).append(cell)
    for (run, _), group in groups.items():
        for share in shares_of(runs[run], group, world):
            found[share.name] = Standing(share.state, share.cause, share.note)
    return found


def _begun(folder: CellFolder, cell: Cell, world: World) -> Share:
    name = cell.name
    completion = folder.completion()
    told = completion.outcome
    if cell.answered_by(told):
        hours = told.get("seconds", 0.0) / 3600
        return Share(cell, name, State.DONE, cell.items, time=epoch_s(told.get("time")), gpu_hours=hours)
    beat = folder.last_beat()
    time = epoch_s(beat.get("time")) or 0.0
    story = Story.of(folder)
    signs = Signs(
        work=folder,
        name=name,
        lives=world.lives(folder, time),
        failed=folder.failure(),
        fault=completion.fault or story.fault,
        story=story,
        started=folder.starts.exists() or folder.done.exists(),
        sign=time,
        parents=_parents(cell),
    )
    answered = min(beat.get("answered", 0), cell.items)
    return _share(cell, signs, world, answered, beat if signs.lives else None)


def _not_begun(cell: Cell, world: World) -> Share:
    return _share(cell, Signs(work=cell.folder, name=cell.name, parents=_parents(cell)), world, 0, None)


def _parents(cell: Cell) -> list[str]:
    """Names of the folders of the runs that a share needs, the nearest first."""
    return [need.rpartition("/")[2] for need in (*cell.needs, *cell.behind)]


def _share(cell: Cell, signs: Signs, world: World, answered: int, beat: Mapping[str, Any] | None) -> Share:
    found = standing(signs, world)
    return Share(
        cell=cell,
        name=signs.name,
        state=found.state,
        cause=found.cause,
        answered=answered,
        note="" if found.state in (State.NEW, State.RUNNING) else found.note,
        time=signs.sign or None,
        beat=beat,
        start=expected_start(found.rows, world.now),
    )


def summed_row(run: RunFolder, title: str, shares: Sequence[Share], now: float) -> Row:
    """One row for all shares of a benchmark."""
    states = Counter(share.state for share in shares)
    state = next(state for state in PRECEDENCE if states[state])
    languages = {share.cell.language for share in shares}
    unfinished = {share.cell.language for share in shares if share.state is not State.DONE}
    reason = next((share.note for share in shares if share.state is State.FAILED), "")
    cause = next(share.cause for share in shares if share.state is state)
    broken = [f"{states[State.FAILED]} failed: {reason}"] if reason else []
    done = [f"{len(languages) - len(unfinished)}/{len(languages)} languages"]
    waits = [share.note for share in shares if share.note and share.state is state is not State.FAILED][:1]
    parts = [*broken, *done] if state is State.FAILED else [*done, *broken, *waits]
    step, total = sum(share.answered for share in shares), sum(share.cell.items for share in shares)
    rate = sum((share.beat or {}).get("items_per_s", 0.0) for share in shares)
    return Row(
        run=run.path.name,
        title=title,
        share=shares[0].cell.benchmark,
        state=state,
        cause=cause,
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
        cause=share.cause,
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
    working = [share.time for share in every if share.state is State.RUNNING and share.time]
    told: dict[str, Any] = {
        key: max((beat[key] for beat in beats if beat.get(key) is not None), default=None)
        for key in ("gpu_mb", "gpu_total_mb", "gpu_util", "rss_mb")
    }
    state = next(state for state in PRECEDENCE if any(share.state == state for share in every))
    told["time"] = max((share.time for share in every if share.time and share.state == state), default=None)
    told["silent"] = bool(working) and now - max(working) > SILENT_S
    return told
