"""`retry` takes all that has stopped and may go on, says what it changes, and queues what waits for it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import launch
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import all_runs
from cluster.slurm.submission import Submission
from layalign.evaluation.benchmarks import find_benchmark
from tests.login import at_home, empty_recipe


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    at_home(tmp_path, monkeypatch)
    empty_recipe(tmp_path)
    (tmp_path / "data" / "mgsm").mkdir()
    for code in find_benchmark("mgsm").languages:
        (tmp_path / "data" / "mgsm" / f"mgsm_{code}.tsv").write_text("How many?\t8\n" * 20)


@pytest.fixture
def go(tmp_path, capsys):
    """Run a command; gives its status and what it printed."""

    def go(*words):
        status = launch.main([*words, "--cluster", "narval", "--account", "def-prof"])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return go


@pytest.fixture
def pair(tmp_path, go, slurm):
    """Both stages, queued."""
    words = ("--recipe", str(tmp_path / "tiny.yaml"), "--data", str(tmp_path / "data"))
    status, printed = go("train", *words, "--stage", "all")
    assert status == 0, printed
    return sorted(all_runs(tmp_path / "runs"), key=lambda run: run.stage)


def started(run, job):
    event = {"kind": "train", "submission": job, "job": job, "unit": 0, "restart": 0, "nodes": "n1"}
    run.event("started", **event, log=str(run.slurm / "none.out"), log_from=0)
    run.start(kind="train", job=job, submission=job)


def calls(slurm):
    return [line for line in slurm.lines("calls") if "--test-only" not in line]


def stop(how, run, slurm):
    """Let a queued run have stopped."""
    job = Submission.read(run.submission).job
    slurm.set("queue")
    slurm.set("accounting")
    if how != "before it began":
        started(run, job)
    if how == "failed":
        run.fail("KeyError: 'labels'\n")
    if how == "cancelled":
        run.fail(f"cancelled: job {job}\n")
    ended = {"killed": "FAILED\t0:9", "out of memory": "OUT_OF_MEMORY\t0:125", "scancel": "CANCELLED\t0:15"}
    if how in ended:
        slurm.set(
            "accounting", f"{job}\t{ended[how]}\ttiny\tsbatch {Submission.read(run.submission).script}\n"
        )
    if how == "out of time":
        run.event("interrupted", cause="walltime", job=job, submission=job)


STOPS = ("failed", "cancelled", "scancel", "killed", "out of memory", "out of time", "before it began")


@pytest.mark.parametrize(
    ("how", "named"), [*((how, 0) for how in STOPS), ("failed", 1), ("scancel", 1), ("before it began", 1)]
)
def test_whatever_has_stopped_is_queued_again_with_what_waits_for_it(how, named, pair, go, slurm):
    stop(how, pair[0], slurm)
    status, printed = go("retry", pair[named].path.name, "--dry-run")
    assert (status, len(calls(slurm))) == (0, 2), printed
    status, printed = go("retry", pair[named].path.name, "--yes")
    assert status == 0, printed
    one, two = (Submission.read(run.submission) for run in pair)
    assert (len(calls(slurm)), two.dependency) == (4, f"afterok:{one.job}"), printed
    assert not pair[0].failed.exists()


@pytest.mark.parametrize("how", ["failed", "scancel", "killed"])
def test_failed_takes_all_that_has_stopped(how, pair, go, slurm):
    stop(how, pair[0], slurm)
    status, printed = go("retry", "--failed", "--yes")
    assert (status, len(calls(slurm))) == (0, 4), printed


def test_a_child_that_can_never_start_is_taken_out_of_the_queue_first(pair, go, slurm):
    stop("failed", pair[0], slurm)
    two = Submission.read(pair[1].submission)
    row = (two.job, two.job, "PENDING", "DependencyNeverSatisfied", two.name, two.script, "N/A")
    slurm.set("queue", "\t".join(row) + "\n")
    status, printed = go("retry", pair[0].path.name, "--yes")
    assert status == 0, printed
    assert slurm.lines("cancelled") == [two.job]
    assert len(calls(slurm)) == 4


def test_what_it_changes_is_said_before_it_is_asked(pair, go, slurm, monkeypatch):
    stop("out of memory", pair[0], slurm)
    asked = []
    monkeypatch.setattr("jobs.launch.again.agreed", lambda question, yes: asked.append(question))
    status, printed = go("retry", pair[0].path.name, "--more-mem")
    assert (status, len(calls(slurm))) == (0, 2)
    assert "asks for" in printed
    assert " instead of " in printed
    assert len(asked) == 1


def test_more_memory_than_a_node_has_is_refused(pair, slurm, capsys):
    stop("out of memory", pair[0], slurm)
    before = Submission.read(pair[0].submission)
    replace(before, resources=replace(before.resources, mem_mb=None)).write(pair[0].submission)
    assert launch.main(["retry", pair[0].path.name, "--more-mem", "--yes"]) == 2
    assert len(calls(slurm)) == 2
    assert "no node of narval has more memory" in capsys.readouterr().err


def test_a_share_of_an_evaluation_is_queued_alone(pair, go, slurm, tmp_path):
    for run in pair:
        run.create({**run.read_config()})
        run.bridge.mkdir(exist_ok=True)
        run.finish(step=1)
    slurm.set("queue")
    words = ("--data", str(tmp_path / "data"), "--benchmark", "mgsm", "--languages", "sw,en")
    status, printed = go("evaluate", "--run", pair[1].path.name, *words)
    if status:
        pytest.skip(printed)
    before = len(calls(slurm))
    slurm.set("queue")
    share = pair[1].cell("mgsm", "sw", 0)
    share.path.mkdir(parents=True)
    share.fail("KeyError: 'x'\n")
    status, printed = go("retry", f"{pair[1].path.name}/mgsm/sw-0", "--yes")
    assert (status, len(calls(slurm)) > before) == (0, True), printed
    grid = GridFolder(tmp_path / "runs", f"evaluate-{pair[1].path.name}")
    last = Submission.read(grid.records()[-1])
    told = json.loads((grid.path / last.cells).read_text())
    assert [cell["language"] for cell in told["cells"]] == ["sw"]


def test_what_stopped_after_the_last_look_is_taken_too(pair, go, slurm, capsys):
    started(pair[0], Submission.read(pair[0].submission).job)
    assert launch.main(["status"]) == 0  # keeps its look at the queue for a minute
    stop("out of memory", pair[0], slurm)
    slurm.set("queue", "")
    status, printed = go("retry", "--failed", "--dry-run")
    assert status == 0
    assert pair[0].path.name in printed


def test_where_nothing_has_stopped_retry_says_so(tmp_path, capsys):
    (tmp_path / "runs").mkdir()
    assert launch.main(["retry", "--failed"]) == 0
    assert capsys.readouterr().out == "nothing that was put into a queue has stopped\n"
