"""The starts of a run or of a cell as its files tell them: which job, which logs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.job.race import records_of
from cluster.logs.read import LogPart, host_of, last_start, places
from cluster.records import unless_damaged
from cluster.run.grid_folder import GRIDS, GridFolder, all_grids
from cluster.run.run_folder import FOLDER, CellFolder, RunFolder, all_runs
from cluster.run.work_folder import WorkFolder
from cluster.slurm.submission import Submission, readable
from jobs.cell.cell import Worklist

LOG = re.compile(r"(?P<job>.+)_(?P<rank>\d+)_log\.out")
HEADING = "\n== "
"""What every process of a slot prints before it takes part in a training."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One start of a job on a run or a cell."""

    work: WorkFolder
    job: str
    """`14_2` on Slurm, `4711` (a process) on this machine."""
    time: str
    """When it started; empty where no event says so: it broke before, or is not a job of Slurm."""
    nodes: str
    unit: int
    log: Path
    """Of the process that tells the start: rank 0, and of a cell whichever has it."""
    begin: int = 0
    restart: int = 0

    @property
    def rank(self) -> int:
        """Whose log `log` is."""
        name = LOG.fullmatch(self.log.name)
        return int(name["rank"]) if name else 0

    def ranks(self) -> list[int]:
        """The processes that have a log; of a cell one alone."""
        if isinstance(self.work, CellFolder):
            return [self.rank] if self.log.exists() else []
        found = (LOG.fullmatch(path.name) for path in self.log.parent.glob(f"{self.job}_*_log.out"))
        return sorted(int(name["rank"]) for name in found if name and name["job"] == self.job)

    def chosen(self, rank: int) -> int:
        """The process that a user means by a rank: a cell of a slot has one alone."""
        return self.rank if isinstance(self.work, CellFolder) else rank

    def part(self, rank: int, growing: bool = False) -> LogPart:
        """What a process printed in this start.

        Args:
            rank: of the process.
            growing: whether it may still print, so that nothing of others is to be expected behind it.

        Raises:
            ClusterError: it has no log.
        """
        known = self.ranks()
        if not known:
            raise ClusterError(
                f"the logs of job {self.job} are gone from {self.log.parent}: cleaned up, or purged"
            )
        if rank not in known:
            told = (
                f"{len(known)} ranks have, {known[0]} to {known[-1]}" if known[1:] else f"rank {known[0]} has"
            )
            raise ClusterError(f"rank {rank} of {self.work.title} has no log, {told}; choose one with --rank")
        path = self.log.with_name(f"{self.job}_{rank}_log.out")
        begin = self.begin if rank == self.rank else self._begin_of(path)
        return LogPart(path, begin, None if growing else self._end_of(path, begin))

    def node(self, rank: int) -> str:
        """The node of a process, as far as its log tells."""
        return host_of(self.part(rank)) or (self.nodes if rank == self.rank and "," not in self.nodes else "")

    def _begin_of(self, path: Path) -> int:
        """Where this start begins in the log of another process, which no event tells."""
        if not self.begin:
            return 0
        headed = max(places(LogPart(path), self._heading().encode()), default=-1)
        return headed if headed >= 0 else last_start(path) if self.restart else 0

    def _end_of(self, path: Path, begin: int) -> int | None:
        """Where the next cell of the same slot begins."""
        if path.parent.parent.parent.name != GRIDS:
            return None
        if isinstance(self.work, RunFolder):
            own = self._heading().encode()
            others = (
                at
                for at in places(LogPart(path, begin), HEADING.encode())
                if LogPart(path).read(at, at + len(own)) != own
            )
            return next(others, None)
        grid = GridFolder(path.parent.parent.parent.parent, path.parent.parent.name)
        return min((at for at in _begins(grid, path) if at > begin), default=None)

    def _heading(self) -> str:
        return f"{HEADING}{self.work.path.name}\n"


def why(work: WorkFolder) -> str:
    """The command that tells what keeps some work from going on."""
    return f"python launch.py why {short_name(work)}"


def short_name(work: WorkFolder) -> str:
    """How a user may name a run or a cell on the command line."""
    if isinstance(work, CellFolder):
        return f"{work.run.path.name}/{work.benchmark}/{work.path.name}"
    return work.path.name


def latest_attempt(work: WorkFolder) -> Attempt | None:
    """The newest start; None if there was none.

    What has ended is told of by its last recorded start: later units of its chain print only that nothing is to be
    done. Otherwise a log that is newer than that start is of a job that broke before it could record one.
    """
    started = [event for event in work.history() if event["event"] == "started" and event.get("log")]
    last = _attempt(work, started[-1]) if started else None
    if not isinstance(work, RunFolder) or (last and (work.is_done() or work.failed.exists())):
        return last
    newest = max(_own_logs(work), key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)
    if newest is None or (last and newest.stat().st_mtime <= LogPart(last.log).modified()):
        return last
    name = LOG.fullmatch(newest.name)
    assert name
    return Attempt(work=work, job=name["job"], time="", nodes="", unit=0, log=newest)


def newest_work(run: RunFolder) -> WorkFolder:
    """The run, or the share of its evaluation that was started last, if that was later."""
    every: list[WorkFolder] = [run, *run.all_cells()]
    return max(every, key=lambda work: LogPart(work.starts).modified())


def submissions_of(run: RunFolder) -> list[Submission]:
    """What was put into a queue for a run: its own chain, and the slots of grids that it is a cell of."""
    return [*readable(records_of(run)), *(submission for _, submission in slots_of(run))]


def slots_of(run: RunFolder) -> Iterator[tuple[GridFolder, Submission]]:
    """The arrays of grids whose work lists name a run."""
    named = f'{run.path.name}"'
    for grid in all_grids(run.root):
        lists = dict[str, bool]()
        for record in grid.records():
            submission = unless_damaged(Submission.read, record)
            if submission is None or not submission.cells:
                continue
            listed = grid.list_named(submission.cells)
            if submission.cells not in lists:
                lists[submission.cells] = listed.is_file() and named in listed.read_text(errors="replace")
            if lists[submission.cells]:
                yield grid, submission


def needs_of(run: RunFolder) -> list[RunFolder]:
    """The runs that must be done before: as its submission or the work list of a grid says, else by its config."""
    own = unless_damaged(Submission.read, run.submission)
    bridge = Path(own.told.get("parent") or "") if own else Path()
    if FOLDER.fullmatch(bridge.parent.name):
        return [RunFolder(bridge.parent)]
    for grid, submission in slots_of(run):
        assert submission.cells
        listed = unless_damaged(Worklist.read, grid.list_named(submission.cells))
        for cell in listed.cells if listed else ():
            if cell.job == "train" and cell.run == str(run.path) and cell.needs:
                return [RunFolder(Path(need)) for need in cell.needs]
    return _parents(run)


def _parents(run: RunFolder) -> list[RunFolder]:
    """Stage 1 of a stage 2: by signature, as a run's holds that of its parent; else by name."""
    from layalign.config import RunConfig

    earlier = [other for other in all_runs(run.root) if other.stage < run.stage]
    try:
        config = RunConfig.from_dict(run.read_config())
    except (ValueError, ClusterError):
        return [other for other in earlier if other.name == run.name][:1]
    if config.starts_from is None:
        return []
    return [other for other in earlier if config.signature(other.signature) == run.signature]


def _attempt(work: WorkFolder, event: dict[str, Any]) -> Attempt:
    return Attempt(
        work=work,
        job=event["job"],
        time=event["time"],
        nodes=event.get("nodes", ""),
        unit=event.get("unit", 0),
        log=Path(event["log"]),
        begin=event.get("log_from", 0),
        restart=event.get("restart", 0),
    )


def _own_logs(run: RunFolder) -> list[Path]:
    """Logs of rank 0 of every job of a run, on Slurm and on this machine."""
    return [*run.slurm.glob("*_0_log.out"), *run.slurm.glob("*/*_0_log.out")]


def _begins(grid: GridFolder, log: Path) -> Iterator[int]:
    """Where the cells that share the log of a slot begin in it."""
    seen: set[Path] = set()
    for listed in grid.work_lists():
        known = unless_damaged(Worklist.read, listed)
        for cell in known.cells if known else ():
            if cell.job == "evaluate" and cell.folder.path not in seen:
                seen.add(cell.folder.path)
                for event in cell.folder.history():
                    if event["event"] == "started" and event.get("log") == str(log):
                        yield event["log_from"]
