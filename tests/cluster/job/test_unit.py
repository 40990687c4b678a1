from __future__ import annotations

import time
from pathlib import Path

import pytest

from cluster.job.unit import find_unit, terms
from cluster.profile.load import load_profile
from cluster.profile.resources import plan_resources
from cluster.slurm.queue import job_is_alive
from tests.cluster.fake_slurm import holder

TERMS = {"requeue": False, "scontrol": True, "time_min": 60, "signal_s": 120}
ELEMENT = {
    "SLURM_JOB_ID": "17",
    "SLURM_ARRAY_JOB_ID": "14",
    "SLURM_ARRAY_TASK_ID": "2",
    "SLURM_ARRAY_TASK_MAX": "4",
    "SLURM_PROCID": "3",
    "SLURM_JOB_NODELIST": "node[1-2]",
    "SUBMITIT_FOLDER": "/runs/r/slurm",
}


def unit(told=TERMS, **environ):
    found = find_unit({"terms": {**TERMS, **told}}, {**ELEMENT, **environ})
    assert found
    return found


def test_job_that_was_not_submitted_is_no_unit():
    assert find_unit({"run": "r"}, ELEMENT) is None


def test_element_of_a_chain_knows_its_place():
    found = unit()
    assert (found.job, found.submission, found.number, found.units, found.rank) == ("14_2", "14", 2, 5, 3)
    assert found.log == Path("/runs/r/slurm/14_2_3_log.out")
    assert str(found) == "unit 3 of 5, job 14_2"


def test_plain_job_is_a_chain_of_one():
    found = find_unit({"terms": TERMS}, {"SLURM_JOB_ID": "15", "SLURM_RESTART_COUNT": "2"})
    assert found
    assert (found.job, found.submission, found.number, found.units, found.restart) == ("15", "15", 0, 1, 2)
    assert found.last


def test_nothing_follows_the_last_element_only():
    assert not unit().last
    assert unit(SLURM_ARRAY_TASK_ID="4").last
    assert not unit({"requeue": True}, SLURM_ARRAY_TASK_ID="4").last


def test_time_is_up_when_slurm_says_or_after_what_was_asked_for():
    assert unit(SLURM_JOB_END_TIME="1000.0").ends == 1000
    assert unit().ends == pytest.approx(time.time() + 3600, abs=10)


def test_terms_follow_the_profile():
    fir = load_profile("fir", ["cluster.account=def-prof"], {})
    told = terms(fir, plan_resources(fir, 4, time="3h"))
    assert told == {"requeue": False, "wave": None, "scontrol": True, "time_min": 180, "signal_s": 120}
    ours = ["cluster.continuation.requeue=yes", "cluster.continuation.mode=requeue"]
    other = load_profile("fir", [*ours, "cluster.continuation.scontrol_in_job=no"], {})
    told = terms(other, plan_resources(other, 4, time="3h"), 300)
    assert (told["requeue"], told["scontrol"], told["signal_s"]) == (True, False, 300)


def test_a_slot_requeues_itself_wherever_that_is_allowed():
    sandbox = load_profile("sandbox", [], {})
    resources = plan_resources(sandbox, 1)
    assert terms(sandbox, resources, wave="abc")["requeue"]
    assert not terms(sandbox, resources)["requeue"]
    assert unit({"wave": "abc"}).submission == "abc"


def test_without_slurms_commands_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert job_is_alive(holder("14_2")) is None
    assert unit().shown() is None
    assert not unit().ask_requeue()
    assert not unit().set_comment("step 1")


def test_controller_is_asked_about_one_element_and_not_where_it_must_not_be(tmp_path, monkeypatch):
    log = tmp_path / "asked"
    (tmp_path / "scontrol").write_text(
        f'#!/bin/sh\necho "$*" >> {log}\necho "JobState=RUNNING Restarts=0 TimeLimit=1:00"\n'
    )
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert unit().shown() == {"JobState": "RUNNING", "Restarts": "0", "TimeLimit": "1:00"}
    assert unit().set_comment("step 1")
    assert unit({"scontrol": False}).shown() is None
    assert log.read_text() == "--oneliner show job 14_2\nupdate JobId=14_2 Comment=step 1\n"


def test_a_start_that_another_has_followed_does_not_requeue_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    asked = tmp_path / "asked"
    (tmp_path / "scontrol").write_text(
        f'#!/bin/sh\n[ $1 = requeue ] && echo "$2" >> {asked}\necho Restarts=1\n'
    )
    (tmp_path / "scontrol").chmod(0o755)
    assert unit(SLURM_RESTART_COUNT="0").ask_requeue()
    assert not asked.exists()
    assert unit(SLURM_RESTART_COUNT="1").ask_requeue()
    assert asked.read_text() == "14_2\n"
