"""How many jobs more a user may submit, of each limit that there is."""

from __future__ import annotations

import pytest

from cluster.profile.load import load_profile
from cluster.slurm.limits import Association, narrowest, parse_associations
from cluster.slurm.queued_job import QueuedJob

QUEUE = [QueuedJob("7_[0-99%1]", "7", "PENDING", "Priority"), QueuedJob("8", "8", "RUNNING", "None")]
"""101 jobs."""


@pytest.fixture
def narval():
    return load_profile("narval", [], {})


def commands(folder, monkeypatch, **bodies):
    for name, body in bodies.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_rows_of_sacctmgr_are_read():
    told = "Quota: 80 % used\ndef-prof_gpu|me|500|normal\nrrg-prof_gpu|me||\nold|me\nx|you|1|\n"
    assert parse_associations(told, "me") == (
        Association("def-prof_gpu", 500, "normal"),
        Association("rrg-prof_gpu", None, ""),
        Association("old", None, ""),
    )


@pytest.mark.parametrize(("jobs", "refused"), [(899, False), (900, True)])
def test_every_element_of_an_array_counts(narval, jobs, refused):
    room = narrowest(narval, "def-prof", (), QUEUE, jobs)
    assert (room is not None) == refused
    if room:
        assert "900 jobs more: the most of one user on narval (docs.alliancecan.ca" in room.refusal(jobs)
        assert (
            "is 1,000 jobs in the queue, every element of an array counted, and 101 are there"
            in room.refusal(jobs)
        )
        assert "ask for 899 at most, or wait until some have ended" in room.refusal(jobs)


def test_a_limit_of_one_account_counts_its_jobs_alone(narval, tmp_path, monkeypatch):
    rows = "printf '%s\\n' 'def-prof_gpu|normal' 'def-prof_gpu|normal' 'rrg-prof_gpu|normal'"
    commands(tmp_path, monkeypatch, squeue=rows, sacctmgr="echo 'normal|'")
    ours = (Association("def-prof_gpu", 5, "normal"), Association("rrg-prof_gpu", 9, ""))
    assert narrowest(narval, "def-prof", ours, QUEUE, 3) is None
    room = narrowest(narval, "def-prof", ours, QUEUE, 4)
    assert room
    assert (room.most, room.used, room.left) == (5, 2, 3)
    assert "your MaxSubmitJobs under def-prof (sacctmgr) is 5 jobs" in room.refusal(4)


def test_a_limit_of_a_qos_counts_its_jobs_alone(narval, tmp_path, monkeypatch):
    rows = "printf '%s\\n' 'def-prof_gpu|normal' 'def-prof_gpu|urgent'"
    commands(tmp_path, monkeypatch, squeue=rows, sacctmgr="printf '%s\\n' 'normal|4' 'urgent|1'")
    ours = (Association("def-prof_gpu", None, "normal"),)
    assert narrowest(narval, "def-prof", ours, QUEUE, 3) is None
    room = narrowest(narval, "def-prof", ours, QUEUE, 4)
    assert room
    assert "MaxSubmitJobsPerUser of QOS normal (sacctmgr) is 4 jobs" in room.refusal(4)


def test_where_squeue_is_silent_all_jobs_count(narval, tmp_path, monkeypatch):
    commands(tmp_path, monkeypatch, squeue="exit 1", sacctmgr="exit 1")
    room = narrowest(narval, "def-prof", (Association("def-prof", 150),), QUEUE, 60)
    assert room
    assert room.left == 49
    assert "wait until" in narrowest(narval, None, (Association("def-prof", 101),), QUEUE, 1).refusal(1)
