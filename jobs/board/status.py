"""Everything that the board shows, read from files first, then from one shared look at the queue.

No call of Slurm is made for a single run: one `squeue` for all of them, and one `sacct` for those that have left it.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.profile.load import Profile, SlurmProfile, detect, load_profile
from cluster.profile.schema import nearest
from cluster.run.run_folder import RunFolder, all_runs
from cluster.run.state import State
from cluster.sandbox.sandbox import sandbox_environment, sandbox_root
from cluster.site.notices import Notices
from cluster.slurm import client
from cluster.slurm.queue import Look
from cluster.slurm.queue_cache import EVERY_S, SANDBOX_S, QueueCache
from cluster.slurm.queued_job import QueuedJob
from cluster.slurm.submission import readable
from cluster.storage.purge import purge_days, purge_notice
from jobs.board.evaluation_progress import (
    Share,
    begun_benchmarks,
    begun_cells,
    cell_standings,
    share_row,
    shares_of,
    summed_row,
)
from jobs.board.grid_files import GridFiles
from jobs.board.rows import GridLine, Row, Status
from jobs.board.run_state import Facts, RunStatus, gpu_hours, judged
from jobs.board.signs import Standing, World
from jobs.board.state import SILENT_S
from jobs.cell.cell import Cell
from jobs.recipe.names import Names

SANDBOX = "sandbox"
ORDER = {state: place for place, state in enumerate(State)}
EACH = 3
"""Up to so many runs that were asked for by name have each share of their evaluations in a row of its own."""


@dataclass(frozen=True)
class Wishes:
    """What of all is to be shown.

    Attributes:
        names: parts of names of runs or grids, or of labels of a grid's points; none is all.
        states: words of `State`; none is all.
        grid: name of the grid whose cells alone are meant.
        outages: calendar of planned outages, instead of the profile's.
    """

    names: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    grid: str | None = None
    outages: str | None = None

    def __post_init__(self) -> None:
        for state in self.states:
            if state not in tuple(State):
                near = nearest(state, tuple(State))
                hint = f"did you mean {near}? " if near else ""
                raise ClusterError(f"there is no state {state!r}; {hint}The states are: {', '.join(State)}")


class Collector:
    """Reads the state of everything below a folder of runs, as often as it is asked.

    Args:
        root: the folder of all runs.
        wishes: what of it is wanted.
        environ: of the process; where runs are in a sandbox's queue, how to reach that is added.
    """

    def __init__(self, root: Path, wishes: Wishes, environ: MutableMapping[str, str] = os.environ) -> None:
        self.root, self.wishes, self.environ = root, wishes, environ
        self.profile = _profile(environ)
        self.cache: QueueCache | None = None
        self.unasked = ""
        self.queues: set[str] = set()
        self._told: tuple[float, list[str]] = (-math.inf, [])

    def collect(self) -> Status:
        """The state of all that is wanted.

        Raises:
            ClusterError: there is nothing of these names.
        """
        known, only = Names(self.root), self.wishes.grid
        chosen = known.grid(only).name if only is not None else None
        now, every = time.time(), [GridFiles.read(folder) for folder in known.grids.values()]
        grids = [grid for grid in every if chosen in (None, grid.name)]
        runs = self._chosen(grids)
        titles = _titles(runs)
        facts = {name: Facts.of(run) for name, run in runs.items()}
        world = self._world(facts, titles, every, now)
        statuses = judged(facts, world)
        shares = {name: self._shares(run, grids, world) for name, run in runs.items()}
        if world.asked and self.cache is not None:
            world.ended = self.cache.ended(world.asked)
            statuses = judged(facts, world)
            again = {name for name, of in shares.items() if any(map(_open, of.values()))}
            shares |= {name: self._shares(runs[name], grids, world) for name in again}
        states: dict[str, State] = {name: status.state for name, status in statuses.items()}
        states |= {
            share.cell.name: share.state for of in shares.values() for all_ in of.values() for share in all_
        }
        lines = [self._line(grid, states, facts, shares, world) for grid in grids]
        rows = self._rows(facts, statuses, shares, world)
        return Status(
            rows=tuple(row for row in rows if not self.wishes.states or row.state in self.wishes.states),
            grids=tuple(line for line in lines if line.cells),
            look=world.look,
            unasked=self.unasked,
            time=now,
            warnings=(*self._purges(runs, statuses, now), *self._notices(now)),
        )

    def standings(self, cells: Sequence[Cell]) -> dict[str, Standing]:
        """Where some cells stand, by their names: as the board shows them."""
        grids = [GridFiles.read(folder) for folder in Names(self.root).grids.values()]
        runs = {Path(path) for cell in cells for path in (cell.run, *cell.needs, *cell.behind)}
        own = readable(RunFolder(path).submission for path in runs)
        records = [*own, *(record for grid in grids for record in grid.records)]
        world = World(self._look({record.profile for record in records}), time.time())
        world.jobs = {one.job: Path(one.script).parents[1].name for one in own if one.job}
        world.arrays = _covered(grids, world)
        found = cell_standings(cells, world)
        if world.asked and self.cache is not None:
            world.ended = self.cache.ended(world.asked)
            found = cell_standings(cells, world)
        return found

    def _chosen(self, grids: list[GridFiles]) -> dict[str, RunFolder]:
        """The runs that are wanted, those included that a grid wants and nobody has begun."""
        found = {run.path.name: run for run in all_runs(self.root)}
        ours = {cell.run_name: cell.run for grid in grids for cell in grid.cells}
        found |= {name: RunFolder(Path(path)) for name, path in ours.items() if name not in found}
        if self.wishes.grid is not None:
            found = {name: run for name, run in found.items() if name in ours}
        if not self.wishes.names:
            return found
        words = {
            name: f"{name} {' '.join(grid.labels.get(name, '') for grid in grids)}".lower() for name in found
        }
        parts = [part.lower() for part in self.wishes.names]
        chosen = {name: run for name, run in found.items() if any(part in words[name] for part in parts)}
        if not chosen:
            raise ClusterError(
                f"no run or grid below {self.root} has {' or '.join(self.wishes.names)} in its name; "
                f"it holds {len(found)} runs and {len(grids)} grids: leave the names out to see them"
            )
        return chosen

    def _world(
        self, facts: Mapping[str, Facts], titles: Mapping[str, str], grids: list[GridFiles], now: float
    ) -> World:
        submissions = {name: known.submissions for name, known in facts.items()}
        every = [one for of_run in submissions.values() for one in of_run]
        profiles = {one.profile for one in (*every, *(record for grid in grids for record in grid.records))}
        look = self._look(profiles | {"" for known in facts.values() if known.damaged})
        world = World(look, now, titles)
        world.jobs = {one.job: name for name, every in submissions.items() for one in every if one.job}
        needs = {
            c.run_name: [Path(n).name for n in c.needs] for g in grids for c in g.cells if c.job == "train"
        }
        world.needs = needs
        beside = {Path(need).name for g in grids for cell in g.cells for need in (*cell.needs, *cell.behind)}
        judged({name: Facts.of(RunFolder(self.root / name)) for name in beside - set(facts)}, world)
        world.arrays = _covered(grids, world)
        return world

    def _look(self, profiles: set[str]) -> Look:
        """The queue that the runs are in. Nobody is asked where nothing was submitted that is not done."""
        self.queues = profiles - {""}
        if not profiles:
            self.unasked = "nothing is submitted"
            return Look()
        self.unasked = "" if client.installed("squeue") else "no Slurm here"
        if self.cache is None:
            every = EVERY_S
            conf = None
            if SANDBOX in profiles:
                conf = _sandbox(self.environ)
            if conf is not None and self.environ.get("SLURM_CONF", conf["SLURM_CONF"]) == conf["SLURM_CONF"]:
                self.environ.update(conf)
                every = SANDBOX_S
            self.cache = QueueCache(self.root, every)
        return self.cache.look()

    def _shares(self, run: RunFolder, grids: Iterable[GridFiles], world: World) -> dict[str, list[Share]]:
        """The shares of each benchmark of a run: those that grids want, and what else was begun."""
        wanted: dict[str, dict[str, Cell]] = {}
        for grid in grids:
            for cell in grid.evaluations.get(run.path.name, ()):
                known = wanted.setdefault(cell.benchmark, {})
                if cell.name not in known or known[cell.name].items < cell.items:
                    known[cell.name] = cell
        if self.wishes.grid is None:
            for benchmark in begun_benchmarks(run):
                there = {f"{c.language}-{c.shard}" for c in wanted.get(benchmark, {}).values()}
                if cells := begun_cells(run, benchmark, there):
                    wanted.setdefault(benchmark, {}).update({cell.name: cell for cell in cells})
        return {name: shares_of(run, list(cells.values()), world) for name, cells in wanted.items()}

    def _rows(
        self,
        facts: Mapping[str, Facts],
        statuses: Mapping[str, RunStatus],
        shares: Mapping[str, Mapping[str, list[Share]]],
        world: World,
    ) -> list[Row]:
        each = bool(self.wishes.names) and len(facts) <= EACH
        rows = []
        for name, known in facts.items():
            title = world.titles[name]
            if statuses[name].state is not State.NEW or not shares[name] or known.starts:
                rows.append(_training_row(known, statuses[name], title, world.now))
            for of_benchmark in shares[name].values():
                rows.append(summed_row(known.run, title, of_benchmark, world.now))
                if each:
                    rows += [share_row(known.run, title, share, world.now) for share in of_benchmark]
        return sorted(rows, key=_place)

    def _line(
        self,
        grid: GridFiles,
        states: Mapping[str, State],
        facts: Mapping[str, Facts],
        shares: Mapping[str, Mapping[str, list[Share]]],
        world: World,
    ) -> GridLine:
        known = {share.name: share for of in shares.values() for its in of.values() for share in its}
        counts = Counter(
            self._state(cell, known.get(name), states[name], world)
            for name, cell in grid.by_name.items()
            if name in states
        )
        trained = {cell.run_name for cell in grid.cells if cell.job == "train"} & facts.keys()
        hours = sum(gpu_hours(facts[name], grid.gpus, world.now) for name in trained)
        answered = (share for of in shares.values() for all_ in of.values() for share in all_)
        hours += sum(share.gpu_hours for share in answered if share.name in grid.by_name)
        return GridLine(name=grid.name, states=counts, gpu_hours=hours)

    def _state(self, cell: Cell, share: Share | None, state: State, world: World) -> State:
        """Of a cell as one grid wants it: another may ask for more of it, or something else."""
        if share is None or share.cell == cell:
            return state
        return shares_of(RunFolder(Path(cell.run)), [cell], world)[0].state

    def _purges(
        self, runs: Mapping[str, RunFolder], statuses: Mapping[str, RunStatus], now: float
    ) -> list[str]:
        """A warning about the runs that scratch storage would delete soon."""
        days = purge_days(self.profile, self.root, self.environ) if self.profile else None
        if days is None:
            return []
        idle = [
            runs[name]
            for name, status in statuses.items()
            if status.state not in (State.RUNNING, State.QUEUED, State.NEW)
        ]
        told = purge_notice(idle, days, now)
        return [told] if told else []

    def _notices(self, now: float) -> list[str]:
        """What there is to know of the cluster: of this machine, else of the one that all runs are on."""
        told_at, told = self._told
        if now - told_at >= EVERY_S:
            name = next(iter(self.queues)) if len(self.queues) == 1 else None
            profile = self.profile if isinstance(self.profile, SlurmProfile) else _slurm(name, self.environ)
            told = Notices(root=self.root, profile=profile).all(outages=self.wishes.outages)
            self._told = (now, told)
        return told


def standings(cells: Sequence[Cell]) -> dict[str, Standing]:
    """Where some cells stand, by their names, whichever folder of runs they are in."""
    roots = dict.fromkeys(Path(cell.run).parent for cell in cells)
    ours = ((root, [cell for cell in cells if Path(cell.run).parent == root]) for root in roots)
    return {name: one for root, its in ours for name, one in Collector(root, Wishes()).standings(its).items()}


def _covered(grids: Iterable[GridFiles], world: World) -> dict[str, list[QueuedJob]]:
    """Rows of the queue whose slots go through a cell, by its name."""
    return {name: rows for grid in grids for name, rows in grid.covered(world).items()}


def _open(shares: Sequence[Share]) -> bool:
    """Whether a share's state may hang on how its job ended, or on what became of its run."""
    return any(share.state not in (State.DONE, State.RUNNING) for share in shares)


def _place(row: Row) -> tuple[Any, ...]:
    """Where on the board a row belongs: by state, then what happened last, will happen first, or by name."""
    moment = 0.0
    if row.state in (State.FAILED, State.DONE, State.CANCELLED):
        moment = -(row.time or 0.0)
    elif row.state is State.QUEUED:
        moment = row.start or math.inf
    return ORDER[row.state], moment, row.title, row.share


def _training_row(facts: Facts, status: RunStatus, title: str, now: float) -> Row:
    beat, done = facts.beat, facts.done or {}
    working = status.state is State.RUNNING
    shown = ("loss", *(("tokens_per_s", "eta_s", "gpu_util") if working else ()))
    memory = ("gpu_mb", "gpu_total_mb", "rss_mb")
    units = facts.submission.units if facts.submission else None
    beaten = facts.sign if working and beat else None
    known: dict[str, Any] = {key: beat.get(key) for key in (*shown, *memory)}
    return Row(
        run=facts.run.path.name,
        title=title,
        state=status.state,
        cause=status.cause,
        note=status.note,
        time=facts.sign or None,
        start=status.start,
        unit=status.unit if units and units > 1 else None,
        units=units if units and units > 1 else None,
        step=done.get("step", beat.get("step")),
        total=beat.get("total", done.get("step")),
        restarts=max(0, facts.starts - 1),
        silent=beaten is not None and now - beaten > SILENT_S,
        **known,
    )


def _titles(runs: Mapping[str, RunFolder]) -> dict[str, str]:
    """What to call each run: without its signature where that is not needed to tell it from others."""
    short = {name: f"{run.name}-s{run.stage}" for name, run in runs.items()}
    times = Counter(short.values())
    return {name: title if times[title] == 1 else name for name, title in short.items()}


def _profile(environ: Mapping[str, str]) -> Profile | None:
    """The cluster that this machine belongs to; None where its profile cannot be read: nothing here hangs on it."""
    try:
        return load_profile(detect(environ), (), environ)
    except ClusterError:
        return None


def _slurm(name: str | None, environ: Mapping[str, str]) -> SlurmProfile | None:
    """The profile of a cluster that can be asked from here; None where that is not known."""
    try:
        found = load_profile(name, (), environ) if name and client.installed("squeue") else None
    except ClusterError:
        return None
    return found if isinstance(found, SlurmProfile) else None


def _sandbox(environ: Mapping[str, str]) -> dict[str, str] | None:
    """How to reach the sandbox; None if none is up."""
    try:
        return sandbox_environment(sandbox_root(environ))
    except ClusterError:
        return None
