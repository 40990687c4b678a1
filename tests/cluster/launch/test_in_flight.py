"""Launchers that die while their sbatch is on its way: the job is found or comes never, and is never twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import cluster.launch.submit
from cluster.errors import ClusterError
from cluster.job.race import new_rival, submission_state_of_run
from cluster.launch.submit import submit_slurm
from cluster.run.run_folder import RunFolder
from cluster.slurm.submission import IN_FLIGHT, InFlight, Submission, submission_state
from tests.cluster.launch.test_submit import job, sent_before

ROOT = Path(__file__).resolve().parents[3]
LAUNCH = """
import sys
import cluster.slurm.sbatch
from cluster.run.run_folder import RunFolder
from pathlib import Path
from cluster.launch.submit import submit_slurm
from tests.cluster.launch.test_submit import job
cluster.slurm.sbatch.SBATCH_S = float(sys.argv[2])
submit_slurm(job(RunFolder(Path(sys.argv[1]))))
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(cluster.launch.submit, "LOOKS_S", (0.0,))


@pytest.fixture
def run(tmp_path):
    run = RunFolder.at(tmp_path / "runs", "tiny", 2, "1a2b3c4d")
    run.create({})
    return run


def wait(until, seconds=30.0):
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)


def launched(run, slurm, slow, limit=180):
    """A launcher in a session of its own, whose sbatch is on its way."""
    slurm.set("slow", str(slow))
    words = [sys.executable, "-c", LAUNCH, str(run.path), str(limit)]
    process = subprocess.Popen(words, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL)
    wait(lambda: slurm.lines("flying"))
    return process


def sbatch_lives(slurm):
    return Path("/proc", slurm.lines("flying")[0]).exists()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_job_whose_launcher_died_is_waited_for_and_taken_over(run, slurm, end):
    launcher = launched(run, slurm, 4)
    os.killpg(launcher.pid, end)
    launcher.wait()
    with pytest.raises(InFlight, match="tiny-s2 was sent at"):
        submit_slurm(job(run))
    with pytest.raises(InFlight):
        submission_state(run.submission)
    wait(lambda: slurm.lines("queue"))
    assert submit_slurm(job(run)).job == "7"
    assert (len(slurm.lines("calls")), len(slurm.lines("queue"))) == (1, 1)


def test_one_that_came_before_anybody_looked_is_taken_over(run, slurm):
    launcher = launched(run, slurm, 1)
    launcher.kill()
    wait(lambda: slurm.lines("queue"))
    assert submit_slurm(job(run)).job == "7"
    assert len(slurm.lines("calls")) == 1


def test_one_that_began_and_ended_meanwhile_is_found_in_accounting(run, slurm):
    launcher = launched(run, slurm, 1)
    launcher.kill()
    wait(lambda: slurm.lines("queue"))
    script = Submission.read(run.submission).script
    slurm.set("queue")
    slurm.set("accounting", f"7\tFAILED\t1:0\ttiny-s2\tsbatch --parsable {script}\n")
    assert submission_state(run.submission).submission.job == "7"


def test_one_that_never_comes_is_sent_again_when_that_is_settled(run, slurm):
    launcher = launched(run, slurm, 60)
    launcher.kill()
    os.kill(int(slurm.lines("flying")[0]), signal.SIGKILL)
    slurm.forget("slow")
    sent_before(run.submission, IN_FLIGHT - timedelta(seconds=20))
    with pytest.raises(InFlight, match=r"in (1\d|20) s"):
        submit_slurm(job(run))
    sent_before(run.submission, IN_FLIGHT)
    assert submit_slurm(job(run)).job == "8"
    assert len(slurm.lines("queue")) == 1


def test_sbatch_does_not_outlive_its_limit_though_its_launcher_is_gone(run, slurm):
    launcher = launched(run, slurm, 600, limit=2)
    launcher.kill()
    assert sbatch_lives(slurm)
    wait(lambda: not sbatch_lives(slurm), 15)
    assert slurm.lines("queue") == []


def test_a_launcher_that_waits_in_vain_says_so_and_the_next_does_not_send(run, slurm, monkeypatch):
    monkeypatch.setattr("cluster.slurm.sbatch.SBATCH_S", 1.0)
    slurm.set("slow", "60")
    with pytest.raises(ClusterError, match="timed out"):
        submit_slurm(job(run))
    assert not sbatch_lives(slurm)
    with pytest.raises(InFlight):
        submit_slurm(job(run))
    assert len(slurm.lines("calls")) == 1


def test_a_rival_on_its_way_counts_too(run, slurm):
    rival = new_rival(run)
    submission = submit_slurm(job(run))
    slurm.set("queue")
    replace(submission, job=None, script="/other.sh").write(rival)
    with pytest.raises(InFlight):
        submission_state_of_run(run)
    sent_before(rival, IN_FLIGHT)
    assert submission_state_of_run(run).submission.job == submission.job


def test_a_time_in_the_future_names_the_record_to_delete(run, slurm):
    submit_slurm(job(run))
    told = Submission.read(run.submission)
    slurm.set("queue")
    replace(told, job=None).write(run.submission)
    sent_before(run.submission, -timedelta(hours=3))
    with pytest.raises(InFlight, match=f"in the future: delete {run.submission}"):
        submission_state(run.submission)
