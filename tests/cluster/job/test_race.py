"""Alternatives of one run: the first that starts has it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cluster.job.race import alternatives, forget_race, lost, new_rival, win
from cluster.profile.load import load_profile
from cluster.profile.resources import plan_resources
from cluster.run.run_folder import RunFolder
from cluster.slurm.submission import InFlight, Submission
from tests.cluster.job.test_unit import unit


@pytest.fixture
def run(tmp_path):
    run = RunFolder.at(tmp_path / "runs", "math", 1, "00000001")
    run.create({})
    _submission("14").write(run.submission)
    for job in ("20", "30"):
        _submission(job).write(new_rival(run))
    return run


def _submission(job: str) -> Submission:
    profile = load_profile("narval", ["cluster.account=def-prof"], {})
    told = {
        "name": "math-s1",
        "script": f"/x/{job}.sh",
        "units": 5,
        "time": "2026-11-21T09:50:41",
        "profile": "narval",
    }
    told |= {"dependency": None, "tree": "t", "archive": "/x/t.tar", "commit": None, "dirty": None}
    return Submission(job=job, resources=plan_resources(profile, 8, time="3h"), **told)


def test_the_winner_cancels_the_others_once_and_counts_from_now_on(run, slurm):
    winner = unit(SLURM_ARRAY_JOB_ID="20")
    assert [one.job for one in alternatives(run)] == ["14", "20", "30"]
    assert not lost(run, winner)
    with run.lease(winner.job):
        win(run, winner)
        win(run, winner)
    assert slurm.lines("cancelled") == ["14", "30"]
    assert [one.job for one in alternatives(run)] == ["20"]
    assert Submission.read(run.submission).last == "20_4"


def test_a_winner_does_not_wait_for_a_rival_whose_sbatch_is_in_flight(run, slurm):
    now = datetime.now(UTC).isoformat()
    replace(_submission("40"), job=None, time=now).write(new_rival(run))
    winner = unit(SLURM_ARRAY_JOB_ID="20")
    with pytest.raises(InFlight):
        alternatives(run)
    with run.lease(winner.job):
        win(run, winner)
        assert lost(run, unit(SLURM_ARRAY_JOB_ID="40")), "it comes, and finds the run taken"
    assert slurm.lines("cancelled") == ["14", "30"]
    assert [one.job for one in alternatives(run)] == ["20"]


def test_a_time_without_a_zone_is_local():
    assert replace(_submission("7"), job=None).in_flight_s() == 0
    told = datetime.now().isoformat()
    assert replace(_submission("7"), job=None, time=told).in_flight_s() > 250


def test_a_loser_that_starts_nevertheless_sees_it(run, slurm):
    winner = unit(SLURM_ARRAY_JOB_ID="20")
    with run.lease(winner.job):
        win(run, winner)
        assert lost(run, unit(SLURM_ARRAY_JOB_ID="30"))
        assert not lost(run, unit(SLURM_ARRAY_JOB_ID="20", SLURM_ARRAY_TASK_ID="3"))
    assert not lost(run, unit(SLURM_ARRAY_JOB_ID="30")), "nobody holds the run any more"


def test_a_race_can_be_run_where_there_is_no_scancel(run, slurm):
    (slurm.folder / "scancel").unlink()
    win(run, unit(SLURM_ARRAY_JOB_ID="30"))
    assert Submission.read(run.submission).job == "30"


def test_an_earlier_race_is_forgotten(run):
    forget_race(run)
    assert [one.job for one in alternatives(run)] == ["14"]
