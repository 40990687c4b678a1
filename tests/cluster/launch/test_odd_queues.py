"""Ten queues as sites and users make them, made up before any was tried: nothing is sent twice, or ended by mistake."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import timedelta

import pytest

import cluster.launch.submit
from cluster.errors import ClusterError
from cluster.job.race import submission_state_of_run
from cluster.launch.submit import submit_slurm
from cluster.run.run_folder import RunFolder
from cluster.slurm.queue import Look, cancel, job_is_alive
from cluster.slurm.submission import IN_FLIGHT, Submission, Unsettled
from tests.cluster.fake_slurm import holder
from tests.cluster.launch.test_submit import job, sent_before


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(cluster.launch.submit, "LOOKS_S", (0.0,))


@pytest.fixture
def run(tmp_path):
    run = RunFolder.at(tmp_path / "runs", "tiny", 2, "1a2b3c4d")
    run.create({})
    return run


def row(slurm):
    """The fields of the only row in the queue."""
    (line,) = slurm.lines("queue")
    return line.split("\t")


def put(slurm, *fields):
    slurm.set("queue", "\t".join(fields) + "\n")


def wrap(slurm, name, body):
    """A site's wrapper of a command; `$real` is the command."""
    real = slurm.folder / f"{name}.real"
    (slurm.folder / name).rename(real)
    (slurm.folder / name).write_text(f"#!/bin/bash\nreal={real}\n{body}\n")
    (slurm.folder / name).chmod(0o755)


def test_a_job_that_its_user_renamed_while_its_id_was_lost_is_found(run, slurm):
    """scontrol update JobId=7 JobName=mine"""
    submit_slurm(job(run))
    told = row(slurm)
    put(slurm, *told[:4], "mine", *told[5:])
    replace(Submission.read(run.submission), job=None).write(run.submission)
    assert submit_slurm(job(run)).job == "7"
    assert len(slurm.lines("calls")) == 1


def test_a_job_that_its_user_renamed_at_work_is_not_declared_dead(slurm):
    put(slurm, "7", "7", "RUNNING", "None", "mine", "/x.sh", "N/A")
    assert job_is_alive(holder("7", name="tiny-s2")) is None  # the heartbeat decides
    assert Look.now().job_is_alive(holder("7", name="tiny-s2")) is None


def test_a_wrapper_that_ends_lines_as_windows_does(run, slurm):
    wrap(slurm, "sbatch", '"$real" "$@" | sed "s/$/\\r/"')
    wrap(slurm, "squeue", '"$real" "$@" | sed "s/$/\\r/"')
    assert submit_slurm(job(run)).job == "7"
    assert submit_slurm(job(run)).job == "7"
    assert len(slurm.lines("calls")) == 1


def test_a_wrapper_that_colours_the_heading_is_no_answer(run, slurm):
    submit_slurm(job(run))
    wrap(slurm, "squeue", '"$real" "$@" | sed "s/ARRAY_JOB_ID/\\x1b[1mARRAY_JOB_ID\\x1b[0m/"')
    with pytest.raises(ClusterError, match="squeue does not answer"):
        submit_slurm(job(run))
    assert len(slurm.lines("calls")) == 1


def test_a_warning_beside_a_good_answer_changes_nothing(run, slurm):
    wrap(slurm, "squeue", 'echo "squeue: warning: TLS plugin not loaded" >&2; "$real" "$@"')
    wrap(slurm, "sbatch", 'echo "sbatch: lua: default account def-prof" >&2; "$real" "$@"')
    assert [submit_slurm(job(run)).job for _ in range(2)] == ["7", "7"]
    assert len(slurm.lines("calls")) == 1


def test_ids_of_a_federation_and_components_of_another_job(run, slurm):
    submit_slurm(job(run))
    told = row(slurm)
    put(slurm, "67108871", "67108871", *told[2:])
    replace(Submission.read(run.submission), job="67108871").write(run.submission)
    assert submit_slurm(job(run)).job == "67108871"
    put(slurm, "7+0", "7", "RUNNING", "None", "het", "/het.sh", "N/A")
    assert not submission_state_of_run(run).alive


def test_an_id_that_begins_another_is_not_it(run, slurm):
    submit_slurm(job(run))
    put(slurm, "71", "71", "RUNNING", "None", "tiny-s2", "/other.sh", "N/A")
    assert not submission_state_of_run(run).alive
    assert job_is_alive(holder("7")) is False


def test_a_job_that_was_requeued_and_waits_for_its_time_is_in_the_queue(run, slurm):
    submit_slurm(job(run))
    told = row(slurm)
    put(slurm, *told[:2], "PENDING", "BeginTime", *told[4:6], "2027-01-01T00:00:00")
    assert submit_slurm(job(run)).job == "7"
    assert len(slurm.lines("calls")) == 1


def test_scancel_that_says_it_cannot_while_the_job_ends_is_no_failure(slurm):
    put(slurm, "7", "7", "COMPLETING", "None", "tiny-s2", "/x.sh", "N/A")
    wrap(
        slurm,
        "scancel",
        'echo "scancel: error: Kill job error on job id 7: Invalid job id specified" >&2; exit 1',
    )
    cancel("7")


def test_a_lost_id_of_a_job_that_ended_where_accounting_keeps_no_lines_is_asked_about(run, slurm):
    slurm.set("mode", "accept-and-lose")
    submit_slurm(job(run))
    told = Submission.read(run.submission)
    replace(told, job=None).write(run.submission)
    slurm.set("queue")
    slurm.set("accounting", f"7\tCANCELLED by {os.getuid()}\t0:0\t{told.name}\t\t\n")
    sent_before(run.submission, IN_FLIGHT + timedelta(seconds=5))
    with pytest.raises(Unsettled, match=r"job 7 \(CANCELLED\).*delete") as refused:
        submit_slurm(job(run))
    assert len(slurm.lines("calls")) == 1
    record = re.search(r"delete (\S+) and", str(refused.value))[1]
    os.unlink(record)
    slurm.forget("mode")
    assert submit_slurm(job(run)).job == "8"
