from __future__ import annotations

import time
from datetime import datetime

import pytest

from cluster.errors import ClusterError
from cluster.slurm import client
from cluster.slurm.queue import EndedJob, Look, QueuedJob, cancel, ended, job_is_alive, queued

START = "2026-11-21T09:50:41"


def row(*cells):
    """Of squeue."""
    return account(*cells, START)


def account(*cells):
    """A row of sacct."""
    return "\t".join(cells) + "\n"


def test_rows_become_records_whatever_their_names(slurm):
    slurm.set(
        "queue",
        row("12_[4-9%1]", "12", "PENDING", "Nodes required are DOWN, DRAINED", "a|b c", "/a b/x.sh")
        + row("12_3", "12", "RUNNING", "None", "a|b c", "/a b/x.sh"),
    )
    waiting, running = queued(["12"])
    assert waiting == QueuedJob(
        "12_[4-9%1]", "12", "PENDING", "Nodes required are DOWN, DRAINED", "a|b c", "/a b/x.sh", START
    )
    assert (running.id, str(running)) == ("12_3", "RUNNING")


def test_many_jobs_are_one_call(slurm):
    assert queued(["1", "2", "3"]) == []
    assert [line.split()[-1] for line in slurm.lines("asked")] == ["--jobs=1,2,3"]


def test_job_that_is_no_longer_known_is_not_queued(slurm):
    slurm.set("unknown")
    assert queued(["12"]) == []
    assert job_is_alive("12") is False


def test_silence_is_not_absence(slurm):
    slurm.set("silent")
    with pytest.raises(ClusterError, match=r"squeue does not answer, .*Unable to contact slurm controller"):
        queued(["12"])
    assert job_is_alive("12") is None


def test_command_that_is_missing_or_slow_says_so(slurm, monkeypatch):
    (slurm.folder / "squeue").write_text("#!/bin/bash\nexec sleep 5")
    monkeypatch.setattr(client, "PATIENCE_S", 0.2)
    with pytest.raises(ClusterError, match=r"no answer within"):
        queued(["12"])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ClusterError, match="there is no squeue on this machine"):
        queued(["12"])


def test_dependency_that_can_never_be_met_is_hopeless(slurm):
    slurm.set("queue", row("13", "13", "PENDING", "DependencyNeverSatisfied", "a", "/x.sh"))
    assert queued(["13"])[0].hopeless


def test_job_that_waits_has_no_processes(slurm):
    slurm.set("queue", row("13", "13", "PENDING", "BeginTime", "a", "/x.sh"))
    assert job_is_alive("13") is False
    slurm.set("queue", row("13", "13", "COMPLETING", "None", "a", "/x.sh"))
    assert job_is_alive("13")


def test_ended_jobs_are_told_once_for_each_start(slurm):
    slurm.set(
        "accounting",
        account("12_0", "REQUEUED", "0:0", "a", "sbatch /x.sh")
        + account("12_0", "CANCELLED by 0", "0:15", "a", ""),
    )
    first, second = ended(name="a", since=datetime(2026, 1, 2, 3, 4, 5))
    assert first == EndedJob("12_0", "12", "REQUEUED", "0:0", "a", "sbatch /x.sh")
    assert second.state == "CANCELLED"
    assert "--starttime=2026-01-02T03:04:05" in slurm.lines("asked")[0]


def test_life_without_accounting(slurm):
    assert ended(["12"]) is None


def test_cancel_takes_the_whole_array(slurm):
    cancel("12")
    assert slurm.lines("cancelled") == ["12"]
    (slurm.folder / "scancel").write_text("#!/bin/bash\necho 'Kill job error: Access denied' >&2; exit 1")
    with pytest.raises(ClusterError, match=r"job 12 cannot be cancelled: .*denied"):
        cancel("12")


@pytest.mark.parametrize(
    ("id", "elements"), [("12", 1), ("12_3", 1), ("12_[4-9%1]", 6), ("12_[4-9,11%5]", 7), ("12_[0-8:2]", 5)]
)
def test_a_row_stands_for_as_many_jobs_as_its_id_says(id, elements):
    assert QueuedJob(id, "12", "PENDING", "Priority", "n", "c").elements == elements


def test_one_look_answers_for_every_job_of_the_user(slurm):
    slurm.set(
        "queue",
        row("12_[4-9%1]", "12", "PENDING", "Priority", "a", "/x.sh")
        + row("12_3", "12", "RUNNING", "None", "a", "/x.sh"),
    )
    look = Look.now()
    assert [job.elements for job in look.jobs] == [6, 1]
    assert [look.job_is_alive(job) for job in ("12_3", "12_4", "13")] == [True, False, False]
    assert look.job_is_alive("12_4", sign=time.time() + 1) is None  # it may have begun since
    (asked,) = slurm.lines("asked")
    assert "--user=" in asked
