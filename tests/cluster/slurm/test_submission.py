from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from cluster.errors import ClusterError
from cluster.files import CHECKSUM
from cluster.profile.resources import Resources
from cluster.slurm.queue import Look
from cluster.slurm.submission import Submission
from tests.cluster.fake_slurm import holder

RESOURCES = Resources(
    nodes=1, tasks_per_node=1, gpus_per_node=1, gpu="a100", cpus_per_task=4, mem_mb=None, time_min=60, units=1,
    account=None, mail=None,
)  # fmt: skip


def submitted(job, script="/r/a.sh", name="a", age=timedelta(0), **facts):
    """A submission of a job, or the intent of one."""
    return Submission(
        job=job, name=name, script=script, units=1, time=(datetime.now(UTC) - age).isoformat(), profile="narval",
        resources=RESOURCES, dependency=None, commit=None, dirty=None,
        **{"tree": "t" * 16, "archive": "/r/.code/t.tar", **facts},
    )  # fmt: skip


def row(job, state="RUNNING", script="/r/a.sh", name="a"):
    return "\t".join((job, job.partition("_")[0], state, "None", name, script, "N/A"))


def test_one_call_answers_all_questions(slurm):
    slurm.set("queue", f"{row('7')}\n{row('8', 'PENDING', '/r/b.sh', 'b')}\n")
    look = Look.now()
    assert [look.job_is_alive(holder(job)) for job in ("7", "8", "9")] == [True, False, False]
    assert submitted("7").may_be_queued(look)
    assert submitted("8", "/r/b.sh", "b").may_be_queued(look)
    assert not submitted("9", "/r/c.sh").may_be_queued(look)
    assert submitted("41").may_be_queued(look)  # a banner's number was taken for the id
    assert not submitted("7", "/elsewhere/c.sh", "c").may_be_queued(look)  # another cluster's 7
    assert len(slurm.lines("asked")) == 1


def test_a_look_at_ones_own_jobs_denies_nobody_elses(slurm):
    look = Look.now()
    assert submitted("9", uid=os.getuid() + 1).may_be_queued(look)
    assert not submitted("9", uid=os.getuid()).may_be_queued(look)
    assert not submitted("9", "/r/c.sh").may_be_queued(look)


def test_the_owner_of_a_record_of_an_earlier_version_submitted_it(tmp_path):
    record = tmp_path / "submission.json"
    submitted("9").write(record)
    told = json.loads(record.read_text())
    del told["uid"], told[CHECKSUM]
    record.write_text(json.dumps(told))
    assert Submission.read(record).uid == os.getuid()
    if os.getuid():
        pytest.skip("only root can give a file away")
    os.chown(record, 12345, -1)
    assert not Submission.read(record).ours


def test_intent_may_become_a_job_for_a_day_or_is_found_by_its_script(slurm):
    slurm.set("queue", row("7") + "\n")
    look = Look.now()
    assert submitted(None, "/r/other.sh").may_be_queued(look)
    assert not submitted(None, "/r/other.sh", age=timedelta(days=2)).may_be_queued(look)
    assert submitted(None, age=timedelta(days=2)).may_be_queued(look)
    assert [job.id for job in submitted(None).rows(look)] == ["7"]


@pytest.mark.parametrize("missing", [False, True])
def test_where_nobody_answers_whatever_was_submitted_may_be_queued(slurm, monkeypatch, missing):
    if missing:
        (slurm.folder / "squeue").unlink()
        monkeypatch.setenv("PATH", str(slurm.folder))
    slurm.set("silent")
    look = Look.attempt()
    assert look.job_is_alive(holder("7")) is None
    assert submitted("7").may_be_queued(look)
    assert look.silence.startswith("squeue does not answer: ")
    assert "\n" not in look.silence
    with pytest.raises(ClusterError, match="squeue does not answer"):
        Look.now()
