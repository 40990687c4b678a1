"""Submission in the face of a Slurm that refuses, loses answers or is silent (tests/slurm has a real one)."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import cluster.launch.submit
from cluster.errors import ClusterError
from cluster.files import read_jsonl
from cluster.launch.submit import ask_controller, prepare_job, signal_of, submit_slurm
from cluster.profile.load import load_profile
from cluster.profile.resources import plan_resources
from cluster.run.grid_folder import GridFolder
from cluster.run.lease import Lease
from cluster.run.run_folder import RunFolder
from cluster.slurm.submission import IN_FLIGHT, InFlight, Submission, submission_state
from jobs.work.call import JobCall
from tests.cluster.slurm.test_script import options


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(cluster.launch.submit, "LOOKS_S", (0.0, 0.0))


@pytest.fixture
def run(tmp_path):
    run = RunFolder.at(tmp_path / "my runs", "tiny one, big", 2, "1a2b3c4d")
    run.create({})
    return run


def job(run, units=1, **told):
    profile = load_profile("narval", ["cluster.account=def-prof"], {})
    resources = plan_resources(profile, 8, time="3h", units=units)
    call = JobCall("train", {"run": str(run.path)})
    told = {"name": f"{run.name}-s{run.stage}", "signal_s": signal_of(run, resources), **told}
    return prepare_job(call, run, profile, resources, run.submission, **told)


def sent_before(record, age):
    """As if an intent had been sent so long ago."""
    submission = Submission.read(record)
    sent = datetime.now(UTC) - age
    replace(submission, time=sent.isoformat()).write(record)


def test_submission_is_recorded(run, slurm):
    submission = submit_slurm(job(run, units=3))
    assert Submission.read(run.submission) == submission
    assert (submission.job, submission.last, submission.name) == ("7", "7_2", "tiny-one--big-s2")
    assert submission.resources.gpus_per_node == 4
    assert Path(submission.archive).exists()
    assert read_jsonl(run.events)[-1]["event"] == "submitted"


def test_sbatch_gets_what_a_dry_run_shows(run, slurm):
    shown = job(run, units=3)
    submission = submit_slurm(job(run, units=3))
    assert "\n".join(slurm.lines("seen.sh")) + "\n" == shown.text == Path(submission.script).read_text()
    assert options(shown.text)["array"] == "0-2%1"
    assert options(shown.text)["comment"] == run.path.name


def test_script_places_the_pickle_that_submitit_looks_for(run, slurm):
    submission = submit_slurm(job(run, units=3))
    line = next(line for line in Path(submission.script).read_text().splitlines() if line.startswith("ln "))
    for environ in (
        {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2", "SLURM_JOB_ID": "9"},
        {"SLURM_JOB_ID": "7"},
    ):
        subprocess.run(["/bin/bash", "-c", line], env={"PATH": "/bin", **environ}, check=True)
    for name in ("7_2_submitted.pkl", "7_submitted.pkl"):
        delayed = pickle.loads((run.slurm / name).read_bytes())
        assert delayed.function == JobCall("train", {"run": str(run.path)})


def test_environment_of_other_jobs_stays_outside(run, slurm, monkeypatch):
    monkeypatch.setenv("SLURM_CPU_BIND", "cores")
    monkeypatch.setenv("SBATCH_QOS", "other")
    submit_slurm(job(run))
    assert not [line for line in slurm.lines("environ") if line.startswith(("SLURM_", "SBATCH_"))]


def test_second_submission_finds_the_first(run, slurm):
    first = submit_slurm(job(run))
    assert submit_slurm(job(run)) == first
    assert len(slurm.lines("calls")) == 1


def test_job_that_is_over_can_be_submitted_again(run, slurm):
    submit_slurm(job(run))
    slurm.set("queue")
    submit_slurm(job(run))
    assert len(slurm.lines("calls")) == 2


def test_record_from_another_cluster_is_not_taken_for_a_job_of_this_one(run, slurm):
    submit_slurm(job(run))
    slurm.set("queue", "7\t7\tRUNNING\tNone\tother\t/other.sh\n")
    assert not submission_state(run.submission).alive


def test_refusal_is_told_and_leaves_no_trace(run, slurm):
    slurm.set("mode", "refuse")
    with pytest.raises(ClusterError, match=r"Slurm refuses tiny-one--big-s2: .*Invalid qos specification"):
        submit_slurm(job(run))
    assert not run.submission.exists()
    assert not list(run.slurm.glob("*.sh"))


def test_answer_that_got_lost_after_acceptance_is_found_in_the_queue(run, slurm):
    slurm.set("mode", "accept-and-lose")
    assert submit_slurm(job(run)).job == "7"
    assert Submission.read(run.submission).job == "7"
    assert len(slurm.lines("calls")) == 1


def test_answer_that_got_lost_is_found_in_accounting(run, slurm):
    slurm.set("mode", "lose")
    with pytest.raises(ClusterError, match=r"Socket timed out.*give the same command again"):
        submit_slurm(job(run))
    script = Submission.read(run.submission).script
    slurm.set("accounting", f"12_0\tFAILED\t1:0\tname\tsbatch --parsable {script}\n")
    assert submission_state(run.submission).submission.job == "12"


def test_submission_that_was_never_accepted_is_made_again_after_a_look(run, slurm):
    slurm.set("mode", "lose")
    with pytest.raises(ClusterError):
        submit_slurm(job(run))
    slurm.forget("mode")
    with pytest.raises(
        InFlight,
        match=r"sbatch may still be in flight: tiny-one--big-s2 was sent at .*look again, .* in \d+ s",
    ):
        submit_slurm(job(run))
    sent_before(run.submission, IN_FLIGHT)
    asked = len(slurm.lines("asked"))
    assert submit_slurm(job(run)).job == "8"
    assert f"--user={os.getuid()}" in slurm.lines("asked")[asked]
    assert len(slurm.lines("queue")) == 1


def test_launcher_that_died_before_its_record_is_not_doubled(run, slurm):
    submission = submit_slurm(job(run))
    told = json.loads(run.submission.read_text())
    run.submission.write_text(json.dumps({**told, "job": None}))
    assert submit_slurm(job(run)) == submission
    assert len(slurm.lines("calls")) == 1


def test_nothing_is_submitted_while_squeue_is_silent(run, slurm):
    slurm.set("mode", "accept-and-lose")
    slurm.set("silent")
    with pytest.raises(ClusterError, match="give the same command again"):
        submit_slurm(job(run))
    with pytest.raises(ClusterError, match="squeue does not answer"):
        submit_slurm(job(run))
    slurm.forget("silent")
    assert submit_slurm(job(run)).job == "7"
    assert len(slurm.lines("calls")) == 1


BANNERS = [
    "Welcome to narval. Quota: 80 % of 5000 used\nID;cluster\n",
    "5000\nID\n",
    "ID;cluster\nThank you\n",
    "Submitted batch job ID\n",
    "Submitted batch job ID on cluster narval\n",
    "sbatch: verified your script\n",
    "0\n",
    "",
]


@pytest.mark.parametrize("printed", BANNERS)
def test_what_a_site_prints_around_the_id_is_looked_up_and_never_believed(run, slurm, printed):
    slurm.set("printed", printed)
    first = submit_slurm(job(run))
    assert (first.job, Submission.read(run.submission).job) == ("7", "7")
    assert submit_slurm(job(run)) == first
    assert len(slurm.lines("calls")) == 1


@pytest.mark.parametrize("printed", ["ID\n", "ID;narval\n", "\nID;a-b.c\r\n"])
def test_a_bare_id_is_believed_without_another_question(run, slurm, printed):
    slurm.set("printed", printed)
    assert submit_slurm(job(run)).job == "7"
    assert slurm.lines("asked") == []


def test_a_banner_without_a_job_behind_it_is_no_job(run, slurm):
    slurm.set("printed", "Quota: 80 % of 5000 used\n")
    slurm.set("mode", "accept-and-forget")
    with pytest.raises(ClusterError, match=r"sbatch gave no id \(Quota: 80 % .*never submits it twice"):
        submit_slurm(job(run))
    assert Submission.read(run.submission).job is None


def test_a_wrapper_that_fails_after_it_has_submitted_has_submitted(run, slurm):
    slurm.set("printed", "ID;cluster\nlogging failed\n")
    slurm.set("status", "1")
    assert submit_slurm(job(run)).job == "7"
    assert submit_slurm(job(run)).job == "7"
    assert len(slurm.lines("calls")) == 1


def test_a_number_that_was_taken_for_the_id_is_corrected_before_anything_is_submitted_again(run, slurm):
    slurm.set("printed", "41\n")
    assert submit_slurm(job(run)).job == "41"
    assert submit_slurm(job(run)).job == "7"
    assert Submission.read(run.submission).job == "7"
    assert len(slurm.lines("calls")) == 1


@pytest.mark.parametrize("status", [1, 2, 126, 137, 141, 255])
def test_an_sbatch_that_ends_without_a_word_has_refused_nothing(run, slurm, status):
    (slurm.folder / "sbatch").rename(slurm.folder / "real")
    (slurm.folder / "sbatch").write_text(
        f'#!/bin/bash\n{slurm.folder}/real "$@" > /dev/null 2>&1\nexit {status}\n'
    )
    (slurm.folder / "sbatch").chmod(0o755)
    for _ in range(2):
        assert submit_slurm(job(run)).job == "7"
    assert len(slurm.lines("calls")) == 1


def test_a_job_of_somebody_else_that_squeue_may_hide_is_not_submitted_again(run, slurm):
    first = submit_slurm(job(run))
    replace(first, uid=first.uid + 1).write(run.submission)
    slurm.set("queue")
    with pytest.raises(ClusterError, match=r"was submitted by .* as job 7, and this Slurm may not show you"):
        submit_slurm(job(run))
    assert len(slurm.lines("calls")) == 1


def test_a_refusal_below_a_banner_is_a_refusal(run, slurm):
    slurm.set("mode", "banner-and-refuse")
    with pytest.raises(ClusterError, match=r"Slurm refuses tiny-one--big-s2: .*Invalid qos"):
        submit_slurm(job(run))
    assert not run.submission.exists()


def test_a_banner_that_an_earlier_version_recorded_as_the_id_is_looked_up(run, slurm):
    first = submit_slurm(job(run))
    told = json.loads(run.submission.read_text())
    run.submission.write_text(json.dumps({**told, "job": "Welcome to narval\n7"}))
    assert submit_slurm(job(run)) == first
    assert len(slurm.lines("calls")) == 1


@pytest.mark.parametrize("state", ["RUNNING", "COMPLETED"])
def test_what_the_user_has_set_for_squeue_hides_no_job(run, slurm, monkeypatch, state):
    monkeypatch.setenv("SQUEUE_STATES", state)
    first = submit_slurm(job(run))
    assert submit_slurm(job(run)) == first
    assert submission_state(run.submission).alive
    assert len(slurm.lines("calls")) == 1


def test_two_launchers_do_not_submit_at_once(run, slurm):
    with (
        Lease(run.slurm / "submitting", run.slurm / "submitting", "x"),
        pytest.raises(ClusterError, match=r"the submission of run .* is being worked on"),
    ):
        submit_slurm(job(run))
    assert not slurm.lines("calls")


def test_what_follows_waits_and_never_for_ever(run, slurm):
    told = options(job(run, dependency="afterok:7_2").text)
    assert (told["dependency"], told["kill-on-invalid-dep"]) == ("afterok:7_2", "yes")
    assert "kill-on-invalid-dep" not in options(job(run).text)
    assert "kill-on-invalid-dep" not in options(job(run, dependency="afterany:7").text)


def test_slots_run_at_once_and_may_be_started_anew(run, tmp_path):
    profile = load_profile("narval", ["cluster.account=def-prof"], {})
    resources = replace(plan_resources(profile, 8, time="3h"), units=5, parallel=2)
    grid = GridFolder(tmp_path / "my runs", "ablations")
    told = {"name": "ablations-s1", "signal_s": 120, "requeue": True, "cells": "cells-1.json"}
    found = options(
        prepare_job(JobCall("slot", {}), grid, profile, resources, grid.new_record(), **told).text
    )
    assert (found["array"], found["comment"], "requeue" in found) == ("0-4%2", "ablations", True)
    assert "no-requeue" not in found


def test_controller_is_asked_about_the_very_script(run, slurm):
    prepared = job(run, units=2)
    assert ask_controller(prepared) == "it would start at noon"
    assert not run.submission.exists()


def test_signal_comes_early_enough_for_the_checkpoints_there_are(run):
    assert options(job(run).text)["signal"] == "USR2@120"
    run.checkpoints.mkdir(parents=True)
    (run.checkpoints / "backbones.json").write_text("{}")  # there from the first start on, and no checkpoint
    assert options(job(run).text)["signal"] == "USR2@120"
    (run.checkpoints / "step-1").mkdir()
    with (run.checkpoints / "step-1" / "state").open("wb") as file:
        os.truncate(file.fileno(), 200_000_000_000)
    assert options(job(run).text)["signal"] == "USR2@460"


def test_without_sbatch_there_is_a_next_step(run, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ClusterError, match="there is no sbatch on this machine: log in"):
        submit_slurm(job(run))


@pytest.mark.parametrize("spoilt", ["", "[]", "{", '{"job": 7}', "\0" * 500])
def test_a_damaged_record_never_puts_a_job_into_the_queue_twice(run, slurm, spoilt):
    submission = submit_slurm(job(run))
    run.submission.write_text(spoilt)
    assert submit_slurm(job(run)) == submission, "its copy tells"
    copy = run.slurm / run.submission.name
    copy.write_text(spoilt)
    run.submission.write_text(spoilt)
    with pytest.raises(ClusterError, match="its sbatch may be in flight; give the same command again in "):
        submit_slurm(job(run))
    os.utime(run.submission, (1.5e9, 1.5e9))
    with pytest.raises(ClusterError, match=f"{run.submission} is damaged: .*job 7 may be its; .*scancel 7"):
        submit_slurm(job(run))
    assert len(slurm.lines("calls")) == 1
    slurm.set("silent")
    with pytest.raises(ClusterError, match="squeue does not answer"):
        submit_slurm(job(run))
    slurm.forget("silent")
    slurm.set("queue", "")
    assert submit_slurm(job(run)).job == "8", "once nothing is in the queue, the same command mends it"
    assert Submission.read(run.submission).job == Submission.read(copy).job == "8"


def test_a_damaged_code_archive_is_mended_by_the_same_command(run, slurm):
    archive = Path(submit_slurm(job(run)).archive)
    data = archive.read_bytes()
    archive.write_bytes(data[:-1] + b"x")
    slurm.set("queue", "")
    submit_slurm(job(run))
    assert archive.read_bytes() == data
