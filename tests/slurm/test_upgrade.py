"""A job that the version before has queued runs the code of its submission, and this version knows of it."""

from __future__ import annotations

from cluster.files import read_jsonl
from cluster.run.run_folder import all_runs
from cluster.slurm.submission import Submission
from tests.older import launch_older, older  # noqa: F401
from tests.slurm.test_submit import ONE, go, held  # noqa: F401


def test_a_job_queued_by_the_version_before_runs_its_own_snapshot(older, go, sandbox, recipe):  # noqa: F811
    words = ("train", "--stage", "1", "--recipe", recipe, "--cluster", "sandbox", *held(*ONE))
    status, printed = launch_older(older, *words, cwd=recipe.parent)
    assert status == 0, printed
    (run,) = all_runs(recipe.parent / "runs")
    submission = Submission.read(run.submission)
    status, printed = go("train", "--stage", "1", *ONE)
    assert status == 0, printed
    assert f"already queued: job {submission.job}" in printed

    sandbox.run("scontrol", "release", submission.job)
    sandbox.wait(submission.job, "COMPLETED", seconds=240)
    assert run.done.exists()
    assert read_jsonl(run.starts)[0]["tree"] == submission.tree
    assert "already done" in go("train", "--stage", "1", *ONE)[1]
