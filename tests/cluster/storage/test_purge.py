from __future__ import annotations

import os

import pytest

from cluster.profile.load import load_profile
from cluster.run.run_folder import RunFolder
from cluster.storage.purge import DAY_S, days_left, purge_days, purge_notice


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "scratch" / "runs" / "math-s2-0123abcd")
    for path in (
        run.done,
        run.bridge / "bridge.safetensors",
        run.checkpoints / "step-00000500" / "weights",
        run.checkpoints / "step-00001000" / "weights",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return run


def narval(tmp_path, *more):
    return load_profile("narval", [f"cluster.storage.scratch.path={tmp_path}/scratch", *more], {})


def test_runs_on_scratch_have_the_days_of_the_profile(tmp_path, run):
    assert purge_days(narval(tmp_path), run.root, {}) == 60
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "scratch")
    assert purge_days(narval(tmp_path), link / "runs", {}) == 60


def test_elsewhere_and_where_nothing_is_purged_there_is_nothing_to_tell(tmp_path, run):
    assert purge_days(narval(tmp_path), tmp_path / "project", {}) is None
    assert purge_days(narval(tmp_path, "cluster.storage.scratch.purge_days=none"), run.root, {}) is None
    assert purge_days(load_profile("local", (), {}), run.root, {}) is None
    away = load_profile("narval", ["cluster.storage.scratch.path=$SCRATCH"], {})
    assert purge_days(away, run.root, {}) is None


def test_a_file_lives_from_its_last_reading_or_change_whichever_is_later(run):
    changed = run.done.stat().st_ctime  # that of the others is the same to a second
    assert days_left(run, 60, changed + 50 * DAY_S) == pytest.approx(10, abs=0.01)
    assert days_left(run, 60, changed + 61 * DAY_S) == pytest.approx(-1, abs=0.01)
    for path in (run.done, run.bridge / "bridge.safetensors", run.checkpoints / "step-00001000" / "weights"):
        os.utime(path, (changed + 40 * DAY_S, changed))  # read
    assert days_left(run, 60, changed + 50 * DAY_S) == pytest.approx(50, abs=0.01)


def test_the_first_file_to_go_decides_and_older_checkpoints_do_not_matter(run):
    changed = run.done.stat().st_ctime
    os.utime(run.done, (changed + 40 * DAY_S, changed))
    assert days_left(run, 60, changed + 50 * DAY_S) == pytest.approx(10, abs=0.01)
    old = run.checkpoints / "step-00000500" / "weights"
    for path in (run.bridge / "bridge.safetensors", run.checkpoints / "step-00001000" / "weights"):
        os.utime(path, (changed + 40 * DAY_S, changed))
    os.utime(old, (changed - 900 * DAY_S, changed))
    assert days_left(run, 60, changed + 50 * DAY_S) == pytest.approx(50, abs=0.01)


def test_a_run_that_left_nothing_has_nothing_to_lose(tmp_path):
    run = RunFolder(tmp_path / "math-s2-0123abcd")
    assert days_left(run, 60, 0.0) is None


def test_it_is_told_two_weeks_before_and_names_what_saves_the_run(run):
    changed = run.done.stat().st_ctime
    assert purge_notice([run], 60, changed + 45 * DAY_S) is None
    assert purge_notice([run], 60, changed + 50 * DAY_S) == (
        "scratch deletes what is not touched for 60 days: run math-s2-0123abcd in 10 days; "
        "to save it: python launch.py keep math-s2-0123abcd"
    )
    late = purge_notice([run], 60, changed + 61 * DAY_S)
    assert "any time now" in late
    other = RunFolder(run.root / "math-s1-0123abcd")
    other.path.mkdir()
    other.done.write_text("x")
    both = purge_notice([run, other], 60, changed + 50 * DAY_S)
    assert "2 runs, the first is math-s2-0123abcd, in 10 days" in both
    assert "to save all that are done: python launch.py keep;" in both
