"""A training on this machine that stopped: what `why`, `retry`, `cancel` and `evaluate` say is the command itself."""
# ruff: noqa: F811 (fixtures come by import)

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from cluster.files import append_jsonl
from jobs.diagnosis import why
from tests.jobs.finished import go, make, recipe, surroundings  # noqa: F401
from tests.jobs.stories import Story
from tests.world import ROOT

COMMAND = "python launch.py train --recipe ours.yaml --data data -o training.lr=0.1 --stage all"
WORK = """
import sys, time
from pathlib import Path
from cluster.run.run_folder import RunFolder
run = RunFolder(Path(sys.argv[1]))
with run.lease():
    run.start(kind="train", command=sys.argv[2])
    run.beat(step=7)
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def worker(make):
    """A run that a process of this machine works on, and the process."""
    run = make(1, done=False)
    words = [sys.executable, "-c", WORK, str(run.path), COMMAND]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield run, process
        process.kill()


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_why_after_kill_9_says_the_command_that_goes_on(worker):
    run, process = worker
    kill(process)
    found = why.diagnose(run)
    assert (found.state, found.cause) == ("interrupted", "unsure")
    assert found.told.startswith("its process is gone without a word: killed (kill -9), out of memory")
    assert found.advice[-1] == COMMAND


def test_every_command_that_cannot_go_on_says_the_one_that_can(worker, go):
    run, process = worker
    kill(process)
    for words in (["retry", run.path.name], ["evaluate", "--run", run.path.name, "--benchmark", "mgsm"]):
        status, printed = go(*words)
        assert status == 2
        assert COMMAND in printed


def test_cancel_says_how_to_stop_it_and_asks_no_slurm(worker, go, slurm):
    run, process = worker
    status, printed = go("cancel", run.path.name)
    assert status == 2
    assert f"by: kill {process.pid}" in printed
    assert not slurm.lines("asked")
    kill(process)
    assert go("cancel", run.path.name)[1] == "nothing of it is in the queue\n"
    assert not slurm.lines("asked")


def test_a_second_worker_is_told_how_to_stop_the_first(worker):
    run, process = worker
    with pytest.raises(Exception, match=f"or stop it there: kill {process.pid}"), run.lease():
        pass


def test_why_after_a_signal_says_that_it_was_told_to_stop(make):
    run = make(1, done=False)
    run.start(kind="train", command=COMMAND)
    run.event("stopping", step=87, reason="SIGTERM")
    found = why.diagnose(run)
    assert (found.state, found.cause) == ("interrupted", "told to stop")
    assert ("says", "recorded: stopping at step 87, told by SIGTERM") in found.evidence
    assert found.advice[0].startswith(COMMAND)


def test_a_start_after_that_counts_instead(make):
    run = make(1, done=False)
    run.start(kind="train", command=COMMAND)
    run.event("stopping", step=87, reason="SIGTERM")
    run.start(kind="train", command=f"{COMMAND} --tasks 2")
    found = why.diagnose(run)
    assert found.cause == "unsure"
    assert found.advice[-1] == f"{COMMAND} --tasks 2"


def test_a_start_of_an_earlier_version_says_no_command(make, go):
    run = make(1, done=False)
    append_jsonl(
        run.starts, {"time": "2026-11-20T08:00:00.000+00:00", "kind": "train", "host": os.uname().nodename}
    )
    assert why.diagnose(run).advice[-1] == "give the launch command again"
    assert "the train command that began it" in go("retry", run.path.name)[1]


def test_a_record_of_what_killed_it_counts_where_slurm_knows_an_exit_status_alone(tmp_path, slurm):
    story = Story(tmp_path / "runs").submitted().started().printed({0: "step 7\n"})
    story.event("interrupted", 1, cause="killed", signal="SIGTERM", job="14_0")
    row = "14_0|FAILED|9:0|60|720|mem=1G||00:01|1|1||ng1|2026-11-25T08:00:00|2026-11-25T08:01:00|\n"
    slurm.set("accounting", row)
    found = why.diagnose(story.run)
    assert found.cause == "killed"
    assert any("retry" in line for line in found.advice)


def test_no_advice_is_the_beginning_of_another(tmp_path, slurm):
    story = Story(tmp_path / "runs").submitted().started()
    story.printed({0: "srun: error: ng2: task 3: Killed\n", 3: "step 7\n"})
    advice = why.diagnose(story.run).advice
    assert sum("efficiency" in line for line in advice) == 1
