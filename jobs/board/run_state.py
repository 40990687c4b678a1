"""What has become of a training, from its files and one look at the queue."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.files import read_jsonl
from cluster.job.lifecycle import ENDS
from cluster.job.race import records_of
from cluster.logs.tail import count_lines, last_records
from cluster.quantities import epoch_s
from cluster.run.run_folder import RunFolder
from cluster.run.state import State
from cluster.run.work_folder import AHEAD_S, is_event
from cluster.slurm.queued_job import QueuedJob
from cluster.slurm.submission import Submission, readable
from jobs.board.signs import SAVED, Signs, Story, World
from jobs.board.state import expected_start, standing

TRAIN = b'"kind": "train"'


@dataclass
class Facts:
    """What the files of a training say, read once."""

    run: RunFolder
    done: dict[str, Any] | None
    fault: str
    """Why it is not done, though it was: its bridge is missing, or was damaged."""
    failed: str
    """All that `FAILED` says; empty where there is none."""
    submissions: tuple[Submission, ...]
    """All that was submitted for it: that which counts first, then its rivals in a race."""
    damaged: bool
    """Nobody can read some of what was submitted for it."""
    story: Story
    """What its events tell."""
    starts: int
    beat: dict[str, Any]
    """The latest sign of life, with the latest step."""
    sign: float
    """When it was last heard of, in seconds since 1970; 0 is never."""

    @property
    def submission(self) -> Submission | None:
        """That which counts."""
        return self.submissions[0] if self.submissions else None

    @classmethod
    def of(cls, run: RunFolder) -> Facts:
        completion = run.completion()
        done = completion.outcome if completion.holds else None
        story = Story.of(run)
        beat = run.last_beat()
        beat |= _latest_step(run) if beat else {}
        ahead = time.time() + AHEAD_S
        told = [epoch_s(record.get("time")) for record in (story.last, beat, done or {})]
        records = [] if done else [record for record in records_of(run) if record.exists()]
        submissions = tuple(readable(records))
        return cls(
            run=run,
            done=done,
            fault=completion.fault or story.fault,
            failed="" if completion.holds else run.failure(),
            submissions=submissions,
            damaged=not completion.holds and len(submissions) < len(records),
            story=story,
            starts=count_lines(run.starts, TRAIN),
            beat=beat,
            sign=max(sign if sign and sign < ahead else 0.0 for sign in told),
        )


def _latest_step(run: RunFolder) -> dict[str, Any]:
    """What the metrics say that the heartbeat may not yet."""
    for record in last_records(run.metrics, size=4096):
        if "loss" in record:
            return {key: record.get(key) for key in ("step", "total", "loss", "tokens_per_s", "eta_s")}
    return {}


@dataclass(frozen=True)
class RunStatus:
    """How it stands with a training."""

    state: State
    cause: str
    note: str
    start: float | None = None
    unit: int | None = None
    """Counted from 1."""


def run_status(facts: Facts, world: World) -> RunStatus:
    """The state of a training, and why."""
    name = facts.run.path.name
    signs = Signs(
        work=facts.run,
        name=name,
        done=facts.done is not None,
        lives=facts.done is None and world.lives(facts.run, facts.sign),
        failed=facts.failed,
        fault=facts.fault,
        story=facts.story,
        started=facts.starts > 0,
        sign=facts.sign,
        submissions=facts.submissions,
        damaged=facts.damaged,
        parents=world.parents(name, facts.submissions),
    )
    found = standing(signs, world)
    begun = (facts.story.begun.get("unit") or 0) + 1 if facts.story.begun and facts.submission else None
    mine = [row for row in found.rows if row not in world.arrays.get(name, ())]
    over = found.state is State.DONE or (found.state is State.BLOCKED and not mine)
    unit = _next_unit(mine[0]) if mine else None if over else begun  # a slot's number is none
    return RunStatus(found.state, found.cause, found.note, expected_start(found.rows, world.now), unit)


def judged(facts: Mapping[str, Facts], world: World) -> dict[str, RunStatus]:
    """The states of runs by the names of their folders, also told to `world`: what others need comes before them."""
    found = {}
    for name, known in sorted(facts.items(), key=lambda item: item[1].run.stage):
        found[name] = run_status(known, world)
        world.states[name] = found[name].state
    return {name: found[name] for name in facts}


def _next_unit(row: QueuedJob) -> int | None:
    """The unit that a row of the queue is, or begins with, counted from 1."""
    found = re.search(r"_\[?(\d+)", row.id)
    return int(found[1]) + 1 if found else None


def gpu_hours(facts: Facts, gpus_of_job: Mapping[str, int], now: float) -> float:
    """How long the starts of a training have held GPUs, in GPU-hours.

    Args:
        facts: of the run.
        gpus_of_job: GPUs of a job, by the id that sbatch gave; else those that a start has counted are taken.
        now: seconds since 1970, for one that is at work.
    """
    starts = [record for record in read_jsonl(facts.run.starts) if record.get("kind") == "train"]
    ends = sorted(
        epoch_s(event.get("time")) or 0.0
        for event in filter(is_event, last_records(facts.run.events, SAVED, size=1 << 20))
        if event["event"] in ENDS
    )
    used = 0.0
    for number, start in enumerate(starts):
        begin = epoch_s(start.get("time")) or now
        after = epoch_s(starts[number + 1].get("time")) if number + 1 < len(starts) else None
        last = next((time for time in ends if time >= begin), None) or facts.sign
        counted = start.get("processes", 0) if str(start.get("device", "")).startswith("cuda") else 0
        gpus = gpus_of_job.get(str(start.get("submission")), counted)
        used += gpus * max(0.0, min(last, after or now, now) - begin) / 3600
    return used
