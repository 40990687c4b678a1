from __future__ import annotations

import os
import time

import pytest

from cluster.errors import ClusterError
from cluster.files import read_json, read_jsonl
from cluster.run import work_folder as work
from cluster.run.run_folder import RunFolder, RunIndex, all_runs, runs_root

TORTURE = [
    "a b",
    "it's",
    'say "hi"',
    "$(touch x)",
    "; rm -rf x",
    "-n",
    "ünïcode 数学",
    "a-s1-b",
    "[1]*?",
    "a\\b",
]


@pytest.fixture
def make(tmp_path):
    def make(name, stage=1, signature="00000001", done=False):
        run = RunFolder.at(tmp_path, name, stage, signature)
        run.create({"name": name})
        if done:
            run.finish(steps=3)
        return run

    return make


@pytest.mark.parametrize("name", TORTURE)
def test_run_of_any_name_is_made_and_found(tmp_path, make, name):
    run = make(name, 2)
    (found,) = all_runs(tmp_path)
    assert (found.path, found.name, found.stage, found.signature) == (run.path, name, 2, "00000001")
    assert found.read_config() == {"name": name}


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a\nb", "50%j", "x" * 201])
def test_name_that_cannot_be_a_folder_is_refused(tmp_path, name):
    with pytest.raises(ClusterError, match=r"cannot name a run.*--name"):
        RunFolder.at(tmp_path, name, 1, "00000001")


def test_path_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ClusterError, match="is no run folder"):
        RunFolder(tmp_path / "math")


def test_state_follows_the_files(make):
    run = make("math")
    assert run.state() == "new"
    with run.lease():
        run.start(nodes=["n1"])
        assert run.state() == "running"
    assert run.state() == "interrupted"
    run.fail("no data")
    assert run.state() == "failed"
    run.create({"name": "math"})
    assert run.state() == "interrupted"
    assert read_jsonl(run.events)[-1]["reason"] == "no data"
    run.finish(steps=3)
    assert run.state() == "done"
    assert run.outcome()["steps"] == 3


def test_start_tells_what_ran(make):
    run = make("math")
    run.start(nodes=["n1"])
    [start] = read_jsonl(run.starts)
    assert {"time", "commit", "tree", "python", "packages", "host", "nodes"} <= set(start)


def test_finish_after_failure_leaves_done_alone(make):
    run = make("math")
    run.fail("no data")
    run.finish()
    assert not run.failed.exists()
    assert [event["event"] for event in read_jsonl(run.events)] == ["failed", "finished"]


def test_metrics_keep_their_order(make):
    run = make("math")
    for step in range(3):
        run.log_metrics({"step": step})
    assert [record["step"] for record in read_jsonl(run.metrics)] == [0, 1, 2]


def test_heart_beats_at_most_every_half_minute(make, monkeypatch):
    run = make("math")
    run.beat(step=1)
    run.beat(step=2)
    assert read_json(run.heartbeat)["step"] == 1
    later = time.monotonic() + work.HEARTBEAT_S
    monkeypatch.setattr(work.time, "monotonic", lambda: later)
    run.beat(step=3)
    assert read_json(run.heartbeat)["step"] == 3


def test_folder_that_cannot_be_made_says_how_to_choose_another(tmp_path):
    (tmp_path / "file").write_text("")
    run = RunFolder.at(tmp_path / "file", "math", 1, "00000001")
    with pytest.raises(ClusterError, match=r"cannot be written: Not a directory; .*--runs"):
        run.create({})
    with pytest.raises(ClusterError, match="cannot be written"):
        run.new_job_folder()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission_says_so(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ClusterError, match="Permission denied"):
        RunFolder.at(tmp_path, "math", 1, "00000001").create({})


def test_folder_without_config_is_no_run(tmp_path):
    run = RunFolder.at(tmp_path, "math", 1, "00000001")
    run.path.mkdir()
    with pytest.raises(ClusterError, match="holds no config"):
        run.read_config()


def test_moved_aside_run_is_kept_and_no_longer_found(tmp_path, make):
    run = make("math", done=True)
    aside = run.move_aside()
    assert (aside / "DONE").exists()
    assert not run.path.exists()
    assert all_runs(tmp_path) == []


def test_run_that_is_worked_on_is_not_moved(make):
    run = make("math")
    with run.lease(), pytest.raises(ClusterError, match="being worked on"):
        run.move_aside()


def test_job_folders_are_never_shared(make):
    run = make("math")
    assert len({run.new_job_folder() for _ in range(20)}) == 20


def test_signature_finds_a_run_of_any_name_and_the_finished_one_first(tmp_path, make):
    assert RunIndex(tmp_path).find(1, "00000001") is None
    make("a")
    make("b", done=True)
    make("c", stage=2)
    assert RunIndex(tmp_path).find(1, "00000001").name == "b"


def test_root_is_told_or_below_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert runs_root({}) == tmp_path / "runs"
    assert runs_root({"LAYALIGN_RUNS": "/x y"}).as_posix() == "/x y"


def test_what_somebody_moved_aside_in_the_results_is_no_share(make):
    run = make("a")
    for name in ("sw-0", "sw-0.moved", "sw-0 (copy)", "sw-", "zh-Hans-12", "old-1x"):
        (run.results / "mgsm" / name).mkdir(parents=True)
    assert [cell.path.name for cell in run.all_cells()] == ["sw-0", "zh-Hans-12"]
