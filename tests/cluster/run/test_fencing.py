"""A holder that seemed to be gone and comes back: it stops, and what it would have written is written once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.files import read_jsonl
from cluster.job.lifecycle import record_failure
from cluster.run.lease import Superseded
from cluster.run.run_folder import RunFolder
from jobs.cell.answers import Reading, add_answers
from tests.cluster.job.test_unit import unit

ROOT = Path(__file__).resolve().parents[3]
ITEMS = 200
ANSWER = """
import sys, time
from pathlib import Path
from cluster.files import read_jsonl
from cluster.run import lease
from cluster.run.run_folder import RunFolder
from jobs.cell.answers import add_answers
from jobs.work.call import leave
lease._boot = lambda: sys.argv[2]
cell = RunFolder(Path(sys.argv[1])).cell("mgsm", "sw", 0)
with cell.lease("14_0", job_is_alive=lambda job: False):
    known = {line["id"] for line in read_jsonl(cell.answers)}
    cell.start(kind="evaluate")
    left = [number for number in range(ITEMS) if str(number) not in known]
    try:
        while left:
            batch, left = left[:4], left[4:]
            time.sleep(0.02)
            add_answers(cell, 8, "m", [{"id": str(number), "by": sys.argv[2]} for number in batch])
        cell.finish(items=ITEMS, max_new_tokens=8)
    except Exception as error:
        leave(error, str(error))
""".replace("ITEMS", str(ITEMS))


@pytest.fixture
def cell(tmp_path):
    cell = RunFolder.at(tmp_path, "math", 2, "00000001").cell("mgsm", "sw", 0)
    cell.path.mkdir(parents=True)
    return cell


def answering(cell, boot):
    words = [sys.executable, "-c", ANSWER, str(cell.run.path), boot]
    return subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def wait(until, seconds=60.0):
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("back", ["while the next one works", "when all is done"])
def test_a_holder_that_was_cut_off_stops_and_no_item_is_answered_twice(cell, back):
    first = answering(cell, "one")
    wait(lambda: len(read_jsonl(cell.answers)) > ITEMS // 4)
    os.kill(first.pid, signal.SIGSTOP)
    second = answering(cell, "two")
    wait(lambda: len(read_jsonl(cell.starts)) > 1)
    if back == "when all is done":
        assert second.wait(60) == 0
    os.kill(first.pid, signal.SIGCONT)
    told = first.communicate(timeout=60)[1]
    assert first.returncode == 1
    (line,) = told.splitlines()
    assert f"was taken over by process {second.pid} on" in line
    assert second.wait(60) == 0
    ids = [answer["id"] for answer in read_jsonl(cell.answers)]
    assert sorted(ids, key=int) == [str(number) for number in range(ITEMS)]
    assert [start["lease"] for start in read_jsonl(cell.starts)] == [1, 2]
    assert cell.outcome()["items"] == ITEMS


@pytest.fixture
def lost(tmp_path):
    """A run whose lease this process has lost to another."""
    run = RunFolder.at(tmp_path, "math", 1, "00000001")
    run.create({})
    with run.lease("14_0") as lease:
        run.event("started", job="14_0", restart=0)
        (run.leases / "000002.json").write_text((run.leases / "000001.json").read_text())
        assert not lease.still_mine()
        yield run


@pytest.mark.parametrize(
    "write",
    [
        lambda run: run.event("saved", step=3),
        lambda run: run.start(kind="train"),
        lambda run: run.beat(step=3),
        lambda run: run.fail("it broke"),
        lambda run: run.finish(step=3),
    ],
)
def test_who_has_lost_the_lease_writes_nothing(lost, write):
    before = sorted((path, path.stat().st_mtime_ns) for path in lost.path.rglob("*") if path.is_file())
    with pytest.raises(Superseded, match="it stops and writes nothing"):
        write(lost)
    assert before == sorted(
        (path, path.stat().st_mtime_ns) for path in lost.path.rglob("*") if path.is_file()
    )


def test_an_error_of_one_who_has_lost_the_lease_is_not_recorded(lost):
    with pytest.raises(Superseded):
        record_failure(
            lost, "train", OSError(2, "No such file or directory", "draft"), unit(SLURM_PROCID="0")
        )
    assert not lost.failed.exists()


def test_a_folder_that_is_gone_has_no_holder(tmp_path):
    run = RunFolder.at(tmp_path, "math", 1, "00000001")
    run.create({})
    with run.lease():
        run.path.rename(tmp_path / "elsewhere")
        with pytest.raises(Superseded, match="nobody: its folder is gone"):
            run.check_holder()


def test_of_two_answers_to_an_item_the_newest_holders_counts(cell):
    reading = Reading(8, None)
    lines = [
        {"id": "a", "max_new_tokens": 8, "answer": 1},
        {"id": "a", "max_new_tokens": 8, "answer": 2, "lease": 3},
        {"id": "a", "max_new_tokens": 8, "answer": 3, "lease": 3},
        {"id": "a", "max_new_tokens": 8, "answer": 4, "lease": 2},
        {"id": "b", "max_new_tokens": 8, "answer": 5, "lease": 2},
    ]
    found = reading.matching(lines)
    assert {id_: line["answer"] for id_, line in found.items()} == {"a": 3, "b": 5}
    add_answers(cell, 8, "m", [{"id": "c"}])  # by whoever holds no lease, as before
    assert "lease" not in read_jsonl(cell.answers)[0]


def test_a_failure_of_a_start_that_another_has_followed_is_nobodys(tmp_path):
    run = RunFolder.at(tmp_path, "math", 1, "00000001")
    run.create({})
    stale, newest = unit(SLURM_RESTART_COUNT="0"), unit(SLURM_RESTART_COUNT="1")
    assert stale.rank == newest.rank == 3
    for one in (stale, newest):
        run.event("started", **one.facts())
    record_failure(run, "train", OSError(116, "Stale file handle"), stale)
    assert not run.failed.exists()
    record_failure(run, "train", OSError(116, "Stale file handle"), newest)
    assert run.failed.exists()
