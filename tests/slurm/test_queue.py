"""What users' shells, sites' wrappers and a real queue do to what we believe of jobs."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace

import pytest

from cluster.run.run_folder import all_runs
from cluster.slurm.queue import Look, job_is_alive, queued, still_queued
from cluster.slurm.queued_job import counted
from cluster.slurm.submission import Submission
from jobs.diagnosis import why
from tests.cluster.fake_slurm import holder
from tests.jobs.stories import Story
from tests.slurm.chains import clients_of
from tests.world import launch, launch_anew

HELD = ("-o", "cluster.extra=[--hold]", "--gpus", "1", "--time", "5")


@pytest.fixture
def queue(sandbox, monkeypatch):
    """The sandbox, whose queue this process may look at, from a shell that has much set for Slurm."""
    settings = {"SQUEUE_STATES": "RUNNING", "SLURM_TIME_FORMAT": "relative", "SACCT_FORMAT": "user"}
    for name, value in {**settings, "SBATCH_WAIT": "1", "SQUEUE_FORMAT": "%u"}.items():
        monkeypatch.setenv(name, value)
    with clients_of(sandbox):
        yield sandbox


def wrap(queue, folder, monkeypatch, name, body):
    """A site's own command, before Slurm's."""
    real = shutil.which(name, path=queue.environ["PATH"])
    path = folder / "site" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{body.replace('REAL', real)}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:{queue.environ['PATH']}")


@pytest.mark.parametrize(
    "body",
    [
        'echo "Welcome. Quota: 80 % of 5000 used"; exec REAL "$@"',
        'REAL "$@" | sed "s/;.*//; s/^/Submitted batch job /"',
        'REAL "$@" > /dev/null',
    ],
)
def test_a_banner_is_no_id_and_the_same_command_submits_nothing_more(
    queue, recipe, tmp_path, monkeypatch, body
):
    wrap(queue, tmp_path, monkeypatch, "sbatch", body)
    words = ("train", "--stage", "1", "--recipe", recipe, "--cluster", "sandbox", *HELD)
    told = launch(*words, cwd=recipe.parent)
    assert told.returncode == 0, told.told
    (run,) = all_runs(recipe.parent / "runs")
    job = Submission.read(run.submission).job
    assert queue.job(job)["Command"] == Submission.read(run.submission).script
    again = launch(*words, cwd=recipe.parent)
    assert f"already queued: job {job} (PENDING, JobHeldUser)" in again.told
    assert len(queued([job])) == len(Look.now().jobs) == 1


def test_long_lists_are_whole_and_elements_that_differ_are_told_apart(queue, tmp_path, monkeypatch):
    other = queue.submit("--hold", "--wrap", "sleep 1")
    job = queue.submit("--hold", "--array=0-118:2", "--wrap", "sleep 1")
    queue.run("scontrol", "release", f"{job}_0")
    queue.run("scontrol", "update", f"JobId={job}_2", f"Dependency=afterok:{other}")
    queue.run("scontrol", "release", f"{job}_2")
    wait_for(lambda: not any(row.holds(f"{job}_0") for row in Look.now().jobs))
    look = Look.now()
    (row,) = [row for row in look.jobs if row.id.startswith(f"{job}_[")]
    assert (row.cut, counted(look.by_job[job])) == (False, "59"), look.jobs
    assert set(row.reasons) == {"JobHeldUser", "Dependency"}
    assert still_queued([f"{job}_0", f"{job}_1", f"{job}_2", f"{job}_118"]) == [f"{job}_2", f"{job}_118"]
    wrap(queue, tmp_path, monkeypatch, "squeue", 'unset SLURM_BITSTR_LEN; exec REAL "$@"')
    (row,) = Look.now().by_job[job]
    assert row.cut
    assert counted([row]).startswith("at least ")
    assert still_queued([f"{job}_1", f"{job}_118"]) == [f"{job}_118"]  # asked for by its number


def test_what_has_left_the_queue_is_waited_for_by_nobody(queue, recipe):
    words = ("train", "--recipe", recipe, "--cluster", "sandbox", *HELD)
    assert launch(*words, "--stage", "1", "--race", "gpu=a100,a100_1g.5gb", cwd=recipe.parent).returncode == 0
    (run,) = all_runs(recipe.parent / "runs")
    lost = Submission.read(run.submission).job
    queue.run("scancel", lost)
    wait_for(lambda: not queued([lost]))
    told = launch(*words, "--stage", "2", cwd=recipe.parent)
    assert told.returncode == 0, told.told
    second = next(other for other in all_runs(recipe.parent / "runs") if other.stage == 2)
    (rival,) = run.rivals.glob("*.json")
    assert Submission.read(second.submission).dependency == f"afterok:{Submission.read(rival).job}"
    queue.run("scancel", "--user=root")
    wait_for(lambda: not Look.now().jobs)
    told = launch(*words, "--stage", "2", cwd=recipe.parent)
    assert told.returncode == 2
    assert "which has not been run" in told.told
    assert not Look.now().jobs


@pytest.mark.parametrize(
    ("words", "state"),
    [(("requeuehold",), "PENDING"), (("requeuehold", "State=SpecialExit"), "SPECIAL_EXIT")],
)
def test_a_job_that_is_held_after_a_requeue_is_told_as_held(queue, tmp_path, words, state):
    story = Story(tmp_path / "runs").submitted()
    found = Submission.read(story.run.submission)
    job = queue.submit("--requeue", f"--job-name={found.name}", "--wrap", "sleep 60")
    replace(found, job=job, units=1, profile="sandbox").write(story.run.submission)
    queue.wait(job, "RUNNING")
    assert job_is_alive(holder(job))
    queue.run("scontrol", *words, job)
    wait_for(lambda: queued([job])[0].waits)
    (row,) = queued([job])
    assert (row.state, row.reason.startswith("job requeued in ")) == (state, True), row
    assert not job_is_alive(holder(job))
    told = why.diagnose(story.run)
    assert (told.state, told.cause) == ("queued", "held")
    assert f"scontrol release {job}" in "\n".join(told.advice)


def test_a_suspended_job_is_told_as_such(queue, tmp_path):
    story = Story(tmp_path / "runs").submitted()
    found = Submission.read(story.run.submission)
    job = queue.submit(f"--job-name={found.name}", "--wrap", "sleep 60")
    replace(found, job=job, units=1, profile="sandbox").write(story.run.submission)
    queue.wait(job, "RUNNING")
    queue.run("scontrol", "suspend", job)
    assert [row.state for row in queued([job])] == ["SUSPENDED"]
    assert job_is_alive(holder(job))
    assert why.diagnose(story.run).cause == "suspended"


def test_a_python_of_the_users_shell_does_not_go_before_the_jobs(queue, recipe, tmp_path):
    decoy = tmp_path / "own" / "torch"
    decoy.mkdir(parents=True)
    (decoy / "__init__.py").write_text("raise ImportError('decoy')")
    words = (
        "train",
        "--stage",
        "1",
        "--recipe",
        recipe,
        "--cluster",
        "sandbox",
        "--gpus",
        "1",
        "--time",
        "5",
    )
    told = launch_anew(*words, "-o", "training.max_steps=2", cwd=recipe.parent, PYTHONPATH=str(decoy.parent))
    assert told.returncode == 0, told.stdout
    (run,) = all_runs(recipe.parent / "runs")
    queue.wait(Submission.read(run.submission).job, seconds=120)
    assert run.done.exists(), "\n".join(path.read_text() for path in run.slurm.glob("*_0_log.out"))


def wait_for(seen, seconds: float = 30):
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.3)
