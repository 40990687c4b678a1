"""Runs of which nothing would be lost but the record of them: they failed before anything was saved, or never began."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from cluster.job.race import records_of
from cluster.records import unless_damaged
from cluster.run.run_folder import RunFolder
from cluster.run.state import State
from cluster.slurm.queue import Look
from cluster.slurm.submission import Submission
from cluster.storage.cleanup import Removable, waste

YOUNG_S = 600.0
"""A folder that is younger, and of which nothing was submitted, may be of somebody who is about to begin."""
WORDS = {
    State.FAILED: ("failed runs", "nothing was saved before it failed: whatever takes it up begins anew"),
    State.NEW: ("runs that never began", "nothing of it was computed, and no job in the queue will begin it"),
}
"""Kind, and why it is safe, by state."""


def removable_runs(
    runs: Sequence[RunFolder], every: Sequence[RunFolder], look: Look, wanted: Container[Path]
) -> Iterator[Removable]:
    """Whole folders of runs that were given up.

    Args:
        runs: that are looked at.
        every: all runs: of what another one starts from nothing goes, unless that goes too.
        look: at the queue.
        wanted: folders of runs that grids want: a failure that nobody saw would come again.
    """
    found = {run.path: state for run in runs if run.path not in wanted and (state := _given_up(run, look))}
    needed = {parent for run in every if run.path not in found and (parent := _parent(run))}
    for run in runs:
        if run.path in found and run.path not in needed:
            yield from waste(*WORDS[found[run.path]], run.path.name, [run.path])


def _given_up(run: RunFolder, look: Look) -> State | None:
    """In which state a run was given up; None if it was not, or there is something of it."""
    state = run.state(look.job_is_alive)
    if state not in WORDS or any(path.exists() for path in (run.checkpoints, run.bridge, run.results)):
        return None
    records = [record for record in records_of(run) if record.exists()]
    known = [unless_damaged(Submission.read, record) for record in records]
    if any(one is None or one.may_be_queued(look) for one in known):
        return None
    young = not records and time.time() - run.path.stat().st_mtime < YOUNG_S
    return None if young and state is State.NEW else state


def _parent(run: RunFolder) -> Path | None:
    """The folder that a run which is not done starts from, as its submission says."""
    own = None if run.is_done() else unless_damaged(Submission.read, run.submission)
    return Path(parent).parent if own and (parent := own.told.get("parent")) else None
