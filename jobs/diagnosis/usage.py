"""What runs asked for and what they used: of accounting where it answers, else of their own files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cluster.files import read_jsonl
from cluster.job.race import records_of
from cluster.profile.profile_file import Cluster
from cluster.profile.resources import Resources
from cluster.run.grid_folder import all_grids
from cluster.run.run_folder import RunFolder, all_runs
from cluster.run.work_folder import WorkFolder
from cluster.slurm.accounting import Usage, usage
from cluster.slurm.submission import Submission, own_rows, readable
from jobs.diagnosis.evidence import enter_sandbox
from jobs.diagnosis.pace import moment, pace_of
from jobs.reliability.rate import Rate, rate_of

ENDS = ("interrupted", "failed", "finished")


@dataclass(frozen=True, kw_only=True)
class ResourceUse:
    """What one training, or the evaluation of one run, asked for and used."""

    run: RunFolder
    kind: str
    """train or evaluate"""
    state: str
    starts: int
    origin: Cluster | None
    resources: Resources | None
    """None on this machine."""
    tasks: int
    """Processes at work at once: one for each GPU, where there are any."""
    gpu: bool
    elapsed_s: float
    """Of all starts."""
    longest_s: float
    """Of the longest one."""
    used_mb: float | None = None
    """Most memory of a node."""
    cores: float | None = None
    """CPU cores of a task that were busy, on average."""
    gpu_mb: float | None = None
    gpu_total_mb: float | None = None
    gpu_util: float | None = None
    """Percent of the last look."""
    steps: int = 0
    step_s: float = 0.0
    rate: Rate
    """Of unannounced interruptions of all that was looked at."""

    @property
    def gpu_hours(self) -> float:
        """GPU-hours; where there is no GPU, hours of its tasks."""
        return self.elapsed_s * self.tasks / 3600

    @property
    def outside(self) -> float | None:
        """Share of the time that went to no step: starting, data, dev loss, checkpoints. None where it is unknown."""
        return (
            1 - min(1.0, self.steps * self.step_s / self.elapsed_s) if self.steps and self.elapsed_s else None
        )


@dataclass
class Records:
    """What is known of all jobs of some runs; accounting is asked once."""

    submissions: Mapping[str, Submission]
    """By the id that sbatch gave."""
    rows: Sequence[Usage] | None
    """None: accounting does not answer."""
    rate: Rate
    """Of unannounced interruptions, of all runs of their folders."""
    by_job: dict[str, list[Usage]] = field(init=False)

    def __post_init__(self) -> None:
        self.by_job = {}
        for row in self.rows or ():
            for name in {row.id, row.id.partition("_")[0]}:
                self.by_job.setdefault(name, []).append(row)

    @classmethod
    def of(cls, runs: Iterable[RunFolder]) -> Records:
        """Look up what was submitted for some runs, and ask accounting about all of it."""
        every = list(runs)
        own = readable(record for run in every for record in records_of(run))
        roots = {run.root for run in every}
        grids = [grid for root in roots for grid in all_grids(root)]
        slots = readable(path for grid in grids for path in grid.records())
        known = {one.job: one for one in (*slots, *own) if one.job}
        wanted = {job for run in every for job in _jobs(run)} | {one.job for one in own if one.job}
        enter_sandbox(list(known.values()))
        rows = usage(sorted(wanted)) if wanted else None
        rate = rate_of(run for root in roots for run in all_runs(root))
        return cls(known, None if rows is None else own_rows(rows, known.values()), rate)


def consumption(run: RunFolder, records: Records) -> list[ResourceUse]:
    """Of the training of a run, and of its evaluation, as far as they were begun."""
    found = []
    if run.starts.exists() or run.events.exists():
        found.append(_training(run, records))
    cells = [cell for cell in run.all_cells() if cell.starts.exists()]
    if cells:
        states = [cell.state() for cell in cells]
        state = next((one for one in ("running", "failed", "interrupted") if one in states), states[0])
        found.append(_sum(run, "evaluate", state, cells, records))
    return [one for one in found if one.elapsed_s]


def _training(run: RunFolder, records: Records) -> ResourceUse:
    return _sum(run, "train", run.state(lambda job: None), [run], records)


def _sum(run: RunFolder, kind: str, state: str, works: Sequence[WorkFolder], records: Records) -> ResourceUse:
    """Add up the starts of some work."""
    events = [event for work in works for event in work.history()]
    starts = [start for work in works for start in read_jsonl(work.starts)]
    begun = [*(event for event in events if event["event"] == "started"), *starts]
    jobs = list(dict.fromkeys(start["job"] for start in begun if start.get("job")))
    submission = next(
        (one for job in reversed(jobs) if (one := records.submissions.get(job.partition("_")[0]))), None
    )
    rows = _rows(jobs, submission, records)
    alone = submission is not None and not submission.cells
    spans = (
        [row.elapsed_s for row in rows if row.began]
        if alone and rows
        else [s for work in works for s in spans_of(work)]
    )
    beats = [beat for work in works if (beat := work.last_beat())]
    resources = submission.resources if submission else None
    tasks = (
        1
        if kind == "evaluate"
        else resources.tasks
        if resources
        else max((s.get("processes", 1) for s in starts), default=1)
    )
    pace = pace_of(run) if kind == "train" else None
    return ResourceUse(
        run=run,
        kind=kind,
        state=state,
        starts=len(spans),
        origin=submission.origin if submission else None,
        resources=resources,
        tasks=tasks,
        gpu=bool(resources.gpu) if resources else any("cuda" in str(start.get("device")) for start in starts),
        elapsed_s=sum(spans),
        longest_s=max(spans, default=0.0),
        used_mb=_memory(rows, beats, resources),
        cores=_cores(rows, resources),
        gpu_mb=max(filter(None, [*(row.gpu_mb for row in rows), _most(beats, "gpu_mb")]), default=None),
        gpu_total_mb=_most(beats, "gpu_total_mb"),
        gpu_util=_most(beats, "gpu_util"),
        steps=pace.step if pace else 0,
        step_s=pace.step_s if pace else 0.0,
        rate=records.rate,
    )


def spans_of(work: WorkFolder) -> list[float]:
    """Seconds of each start, as the events tell; the last one goes to its latest sign of life if it has no end."""
    found, begun = [], None
    for event in work.history():
        if event["event"] == "started":
            begun = moment(event.get("began") or event["time"])
        elif event["event"] in ENDS and begun:
            found.append(max(0.0, (moment(event.get("ended") or event["time"]) - begun).total_seconds()))
            begun = None
    if not found and begun is None:
        records = read_jsonl(work.starts)
        begun = moment(records[-1]["time"]) if records else None
    last = (work.outcome() or work.last_beat()).get("time")
    if begun and last:
        found.append(max(0.0, (moment(last) - begun).total_seconds()))
    return found


def _jobs(run: RunFolder) -> list[str]:
    """Ids of all jobs that worked on a run or on its cells."""
    works: list[WorkFolder] = [run, *run.all_cells()]
    events = [event for work in works for event in work.history()]
    return [str(event["job"]).partition("_")[0] for event in events if event.get("job")]


def _rows(jobs: Sequence[str], submission: Submission | None, records: Records) -> list[Usage]:
    """What accounting says: of a chain all its units, of slots those that worked on it."""
    if submission and not submission.cells and submission.job:
        jobs = list(dict.fromkeys(job.partition("_")[0] for job in [*jobs, submission.job]))
    return [row for job in jobs for row in records.by_job.get(job, ())]


def _memory(
    rows: Sequence[Usage], beats: Sequence[Mapping[str, Any]], resources: Resources | None
) -> float | None:
    """Of a node: as accounting has it, else the largest process times the processes of a node."""
    accounted = max((row.used_mb for row in rows if row.used_mb), default=None)
    if accounted:
        return accounted
    largest = _most(beats, "peak_rss_mb")
    return largest * (resources.tasks_per_node if resources else 1) if largest else None


def _cores(rows: Sequence[Usage], resources: Resources | None) -> float | None:
    spent = sum(row.cpu_s for row in rows)
    lasted = sum(row.elapsed_s * row.cpus for row in rows)
    return spent / lasted * resources.cpus_per_task if lasted and resources else None


def _most(beats: Sequence[Mapping[str, Any]], name: str) -> float | None:
    return max((beat[name] for beat in beats if isinstance(beat.get(name), int | float)), default=None)
