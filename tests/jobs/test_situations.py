"""One state and one cause for the same work, whichever command is asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

import launch
from cluster.files import write_json_atomic
from cluster.run.grid_folder import GridFolder
from cluster.slurm.queue import Look
from jobs.cell.cell import wanted_cells
from jobs.grid.reconcile import reconcile
from tests.jobs.stories import Story, ago

USAGE = "{id}|{state}|{exit}|3600|720||{mem}|00:00:00|1|1||ng1|2026-11-25T08:00:00|2026-11-25T09:00:00|"


@dataclass
class Situation:
    """What has happened to a training, and what everybody is to say of it."""

    state: str
    cause: str
    begun: bool = True
    accounting: str = ""
    """State and exit of its job, as sacct says."""
    queue: tuple[str, str, str] | None = None
    """Element, state and reason."""
    event: dict[str, Any] = field(default_factory=dict)
    failed: str = ""
    held: float | None = None
    """Minutes of silence of the process that works on it."""
    printed: str = "step 7/1000\n"
    submitted: bool = True
    done: bool = False


SITUATIONS = {
    "cancelled by somebody, in a word of nobody's": Situation(
        "cancelled", "cancelled", accounting="CANCELLED 0:15"
    ),
    "cancelled, and recorded": Situation(
        "cancelled",
        "cancelled",
        accounting="CANCELLED 0:15",
        event={"cause": "cancelled", "step": 7},
        failed="cancelled: unit 1 of 3, job 14_0\n",
    ),
    "cancelled before it began": Situation("cancelled", "cancelled", begun=False, accounting="CANCELLED 0:0"),
    "out of memory": Situation("failed", "out of memory", accounting="OUT_OF_MEMORY 0:125"),
    "out of memory, as its log alone says": Situation(
        "failed",
        "out of memory",
        accounting="FAILED 1:0",
        printed="step 7/1000\nslurmstepd: error: Detected 1 oom_kill event in StepId=14.0.\n",
    ),
    "out of memory, recorded by the next start": Situation(
        "failed",
        "out of memory",
        accounting="OUT_OF_MEMORY 0:125",
        event={"cause": "out of memory"},
        failed="out of memory: job 14_0\n",
    ),
    "out of time": Situation("interrupted", "walltime", event={"cause": "walltime", "step": 7}),
    "out of time without a word": Situation(
        "interrupted",
        "walltime",
        accounting="TIMEOUT 0:0",
        printed="step 7\nslurmstepd: error: *** STEP 14.0 ON ng1 CANCELLED AT 2026-11-25T09:00 DUE TO TIME LIMIT ***\n",
    ),
    "preempted": Situation("interrupted", "preemption", accounting="PREEMPTED 0:0"),
    "node failure": Situation("interrupted", "node failure", accounting="NODE_FAIL 1:0"),
    "killed batch shell": Situation("interrupted", "killed", accounting="FAILED 0:9"),
    "killed, as the next start recorded": Situation(
        "interrupted",
        "killed",
        event={"cause": "killed", "state": "FAILED", "exit": "0:9"},
        accounting="FAILED 0:9",
    ),
    "an exit status": Situation("interrupted", "unsure", accounting="FAILED 1:0"),
    "told to stop": Situation("interrupted", "told to stop", event={"cause": "scancel --signal", "step": 7}),
    "an exception": Situation(
        "failed", "an exception", accounting="FAILED 1:0", failed="KeyError: 'labels'\n"
    ),
    "out of GPU memory": Situation(
        "failed",
        "out of GPU memory",
        failed="OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n",
    ),
    "a full disk": Situation(
        "failed", "no space left", failed="OSError: [Errno 28] No space left on device: '/r/checkpoints'\n"
    ),
    "never submitted": Situation("new", "not submitted", begun=False, submitted=False),
    "left the queue without a word": Situation("interrupted", "never started", begun=False),
    "queued": Situation("queued", "waits its turn", begun=False, queue=("14_[0-2%1]", "PENDING", "Priority")),
    "held": Situation("queued", "held", begun=False, queue=("14_[0-2%1]", "PENDING", "JobHeldUser")),
    "too large": Situation(
        "blocked", "too large", begun=False, queue=("14_[0-2%1]", "PENDING", "QOSMaxGRESPerJob")
    ),
    "running": Situation("running", "nothing is wrong", queue=("14_0", "RUNNING", "None"), held=0.2),
    "silent": Situation("running", "silent", queue=("14_0", "RUNNING", "None"), held=12),
    "suspended": Situation("running", "suspended", queue=("14_0", "SUSPENDED", "None"), held=12),
    "gets ready": Situation("running", "starting", begun=False, queue=("14_0", "RUNNING", "None")),
    "done": Situation("done", "nothing is wrong", done=True),
}


def tell(told: Situation, story: Story, slurm: Any) -> None:
    """Write what has happened."""
    if told.submitted:
        story.submitted()
    slurm.set("queue")
    if told.queue:
        story.queued(slurm, *told.queue)
    if told.begun:
        story.started().printed({0: told.printed})
    if told.event:
        story.event("interrupted", 20, job="14_0", **told.event)
    if told.failed:
        story.failed(told.failed, job="14_0")
    if told.held is not None:
        story.held("14_0", told.held)
    if told.done:
        write_json_atomic(story.run.done, {"time": ago(5), "step": 1000})
    slurm.set("accounting")
    if told.accounting:
        state, exit_code = told.accounting.split()
        row = USAGE.format(id="14_0", state=state, exit=exit_code, mem="")
        if not told.begun:
            row = row.replace("|ng1|", "|None assigned|")
        slurm.set("accounting", f"14_0\t{state}\t{exit_code}\tmath-s1\tsbatch\n{row}\n")


@pytest.fixture
def say(capsys):
    """What a command says with `--json`, or in words."""

    def say(root, *words, in_words=False):
        launch.main([*words, "--runs", str(root), *([] if in_words else ["--json"])])
        out = capsys.readouterr().out
        return out if in_words else json.loads(out)

    return say


@pytest.fixture
def grid(tmp_path):
    """A grid that wants the training, and shares its folder."""
    found = GridFolder(tmp_path / "runs", "parts")
    found.create()
    return found


def want(grid: GridFolder, story: Story) -> None:
    cells = [{"job": "train", "run": str(story.run.path), "needs": []}]
    listed = grid.write_list({"cells": cells, "runs": {}})
    grid.wanted.write_text(json.dumps({"name": "parts", "points": [], "list": listed.name}))


@pytest.mark.parametrize("name", SITUATIONS)
def test_every_command_says_the_same(name, tmp_path, slurm, say, grid):
    told, story = SITUATIONS[name], Story(tmp_path / "runs")
    tell(told, story, slurm)
    want(grid, story)
    expected = (told.state, told.cause)
    (row,) = say(story.root, "status")["rows"]
    assert (row["state"], row["cause"]) == expected, "status"
    why = say(story.root, "why", story.folder)["work"]
    assert (why["state"], why["cause"]) == expected, "why"
    (line,) = say(story.root, "status", "parts")["grids"]
    assert line["states"] == {told.state: 1}, "counts of the grid"
    found = reconcile(grid, wanted_cells(grid), Look.now())
    stands = found.stands[story.folder]
    assert (str(stands.state), str(stands.cause)) == expected, "grids: missing, retry, ablate"
    missing = say(story.root, "missing", "parts", "--account", "def-prof", "--cluster", "narval")["cells"]
    left = [] if told.done else [expected]
    assert [(cell["state"], cell["cause"]) for cell in missing] == left, "missing"
    line_of_board = say(story.root, "status", in_words=True)
    assert told.state in line_of_board
    if told.state in ("failed", "interrupted") and told.cause not in ("unsure", "an exception"):
        assert told.cause in line_of_board


def test_a_child_of_what_has_stopped_is_blocked_everywhere(tmp_path, slurm, say):
    for name in ("out of memory", "cancelled by somebody, in a word of nobody's", "an exception"):
        root = tmp_path / name.replace(" ", "-").replace(",", "").replace("'", "")
        story, second = Story(root), Story(root, 2)
        tell(SITUATIONS[name], story, slurm)
        second.submitted("15", "afterok:14_2")
        queue = slurm.folder / "queue"
        queue.write_text("")
        second.queued(slurm, "15", "PENDING", "DependencyNeverSatisfied")
        (row,) = [row for row in say(root, "status")["rows"] if row["run"] == second.folder]
        why = say(root, "why", second.folder)["work"]
        assert (row["state"], row["cause"]) == (why["state"], why["cause"]) == ("blocked", "parent failed")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("answered in part", ("interrupted", "walltime")),
        ("cancelled", ("cancelled", "cancelled")),
        ("out of memory", ("failed", "out of memory")),
        ("no space left", ("failed", "no space left")),
        ("never begun", ("new", "not submitted")),
        ("more is wanted", ("interrupted", "result lost")),
    ],
)
def test_every_command_says_the_same_of_a_share_of_an_evaluation(name, expected, tmp_path, slurm, say, grid):
    story = Story(tmp_path / "runs")
    write_json_atomic(story.run.done, {"time": ago(5), "step": 1000})
    share = story.run.cell("mgsm", "sw", 0)
    slurm.set("queue")
    slurm.set("accounting")
    if name != "never begun":
        story.started(90, "20_1", work=share, log=tmp_path / "20_1_0_log.out")
        share.heartbeat.write_text(json.dumps({"time": ago(70), "answered": 96, "items": 250}))
    if name == "answered in part":
        story.event("interrupted", 60, share, cause="walltime")
    endings = {"cancelled": ("CANCELLED", "0:15"), "out of memory": ("OUT_OF_MEMORY", "0:125")}
    if name in endings:
        state, code = endings[name]
        row = USAGE.format(id="20_1", state=state, exit=code, mem="")
        slurm.set("accounting", f"20_1\t{state}\t{code}\tx\ty\n{row}\n")
    if name == "no space left":
        story.failed("OSError: [Errno 28] No space left on device\n", work=share, job="20_1")
    if name == "more is wanted":
        share.finish(items=96, max_new_tokens=512, seconds=1.0)
    cell = {
        "job": "evaluate",
        "run": str(story.run.path),
        "needs": [str(story.run.path)],
        "benchmark": "mgsm",
    }
    cells = [{**cell, "language": "sw", "shard": 0, "items": 250, "max_new_tokens": 512}]
    listed = grid.write_list({"cells": cells, "runs": {}})
    grid.wanted.write_text(json.dumps({"name": "parts", "points": [], "list": listed.name}))
    record = json.loads(story.submitted("20").run.submission.read_text())
    story.run.submission.unlink()
    if name != "never begun":
        grid.new_record().write_text(json.dumps({**record, "cells": listed.name}))
    why = say(story.root, "why", f"{story.folder}/mgsm/sw-0")["work"]
    assert (why["state"], why["cause"]) == expected, "why"
    row = next(row for row in say(story.root, "status")["rows"] if row["share"])
    assert (row["state"], row["cause"]) == expected, "status"
    (line,) = say(story.root, "status", "parts")["grids"]
    assert line["states"] == {expected[0]: 1}, "counts of the grid"
    (cell,) = say(story.root, "missing", "parts", "--account", "def-prof", "--cluster", "narval")["cells"]
    assert (cell["state"], cell["cause"]) == expected, "missing"
