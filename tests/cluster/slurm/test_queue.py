from __future__ import annotations

import time
from datetime import datetime

import pytest

from cluster.errors import ClusterError
from cluster.slurm import client
from cluster.slurm.queue import UNDECIDED, EndedJob, Look, cancel, ended, job_is_alive, queued, still_queued
from cluster.slurm.queued_job import QueuedJob, counted, parse_rows
from tests.cluster.fake_slurm import holder

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
    assert job_is_alive(holder("12")) is False


def test_silence_is_not_absence(slurm):
    slurm.set("silent")
    with pytest.raises(ClusterError, match=r"squeue does not answer, .*Unable to contact slurm controller"):
        queued(["12"])
    assert job_is_alive(holder("12")) is None


@pytest.mark.parametrize(
    "script",
    [
        "true",
        "echo 'squeue: cached, try later'",
        "echo '12 12 RUNNING None a /r/a.sh N/A'",
        r"printf '12\t12\tRUN'",
        "echo 'Unable to contact slurm controller' >&2",
        "echo 'slurm_load_jobs error: Invalid job id specified' >&2",
    ],
)
def test_an_answer_without_squeues_heading_is_none(slurm, script):
    (slurm.folder / "squeue").write_text(f"#!/bin/bash\n{script}\n")
    with pytest.raises(ClusterError, match="squeue does not answer"):
        queued(["12"])
    assert job_is_alive(holder("12")) is None


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("true", "it printed nothing, not even a heading"),
        ("echo hello", "hello"),
        ("echo oops >&2", "oops"),
        ("echo oops >&2; exit 1", "oops"),
    ],
)
def test_what_squeue_said_in_place_of_an_answer_is_told(slurm, script, told):
    (slurm.folder / "squeue").write_text(f"#!/bin/bash\n{script}\n")
    with pytest.raises(ClusterError) as caught:
        queued(["12"])
    assert str(caught.value) == f"squeue does not answer, so that nobody knows what is queued: {told}"


def test_a_row_may_end_early_and_a_name_may_hold_tabs():
    whole = "12\t12\tPENDING\tPriority\ta\tb\t/r/a.sh\tN/A"
    assert parse_rows(f"{whole}\n12\t12\tRUNNING\tNone\n12\t12\n") == [
        QueuedJob("12", "12", "PENDING", "Priority", "a\tb", "/r/a.sh", "N/A"),
        QueuedJob("12", "12", "RUNNING", "None", "", "", ""),
        QueuedJob("12", "12", "", "", "", "", ""),
    ]


def test_a_banner_before_the_heading_changes_nothing(slurm):
    heading = r"printf 'Welcome: JOBID\tARRAY_JOB_ID\tSTATE\tREASON\tNAME\tCOMMAND\tSTART_TIME\n'"
    row = r"printf '12\t12\tRUNNING\tNone\ta\t/r/a.sh\tN/A\n'"
    complaint = "echo 'slurm_load_jobs error: Invalid job id specified' >&2"
    (slurm.folder / "squeue").write_text(f"#!/bin/bash\n{heading}\n{row}\n{complaint}\n")
    assert [job.id for job in queued(["12", "13"])] == ["12"]


def test_a_row_of_accounting_without_a_state_is_passed_over(slurm):
    slurm.set("accounting", "12\t\t0:0\ta\tsbatch a.sh\n13\tFAILED\t1:0\ta\tsbatch a.sh\n")
    assert [row.id for row in ended(["12", "13"]) or ()] == ["13"]


def test_what_scancel_leaves_in_the_queue_is_told(slurm, monkeypatch):
    monkeypatch.setattr("cluster.slurm.queue.CANCEL_S", 0.0)
    slurm.set("queue", "12\t12\tPENDING\tPriority\ta\t/r/a.sh\tN/A\n")
    (slurm.folder / "scancel").write_text("#!/bin/bash\nexit 0\n")
    with pytest.raises(ClusterError, match=r"job 12 cannot be cancelled: .*squeue shows it still"):
        cancel("12")
    slurm.set("queue")
    (slurm.folder / "scancel").write_text("#!/bin/bash\necho 'error: Invalid job id specified' >&2; exit 1\n")
    cancel("12", "13")


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
    assert job_is_alive(holder("13")) is False
    slurm.set("queue", row("13", "13", "COMPLETING", "None", "a", "/x.sh"))
    assert job_is_alive(holder("13"))


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


CUT = [
    "12_[0,2,4,6,8,10,12,14,...]",
    "12_[0,2,4,6,8,10,12,1",
    "12_[0,2,4,6,8,10,12,1...",
    "12_[0,2,4,6,...%2]",
    "12_[",
]
"""Lists as squeue cuts them where its environment was taken away; in the middle of a number, too."""


@pytest.mark.parametrize(("id", "least"), list(zip(CUT, (8, 7, 7, 4, 1))), ids=[*"01234"])
def test_a_list_that_stays_cut_is_never_counted_as_whole(slurm, id, least):
    slurm.set("queue", row(id, "12", "PENDING", "Priority", "a", "/x.sh"))
    (job,) = Look.now().jobs
    assert (job.cut, job.elements, counted([job])) == (True, least, f"at least {least}")
    assert job.holds("12_99")  # for all that is known
    assert not job.holds("13_0")


def test_whole_lists_are_no_reason_to_ask_again(slurm):
    ids = ["12_[4-9%1]", "13_[4-9,11%5]", "14_[0-8:2]", "15_[7]", "16_3", "17"]
    slurm.set("queue", "".join(row(id, id[:2], "PENDING", "Priority", "a", "/x.sh") for id in ids))
    jobs = Look.now().jobs
    assert [job.cut for job in jobs] == [False] * 6
    assert counted(jobs) == "21"
    assert len(slurm.lines("asked")) == 1
    held = {
        name: [job.id for job in jobs if job.holds(name)]
        for name in ("12_9", "12_3", "13_11", "14_6", "14_5")
    }
    assert held == {
        "12_9": ["12_[4-9%1]"],
        "12_3": [],
        "13_11": ["13_[4-9,11%5]"],
        "14_6": ["14_[0-8:2]"],
        "14_5": [],
    }


@pytest.mark.parametrize(
    ("reason", "each"),
    [
        ("Priority", ["Priority"]),
        ("JobHeldUser,Priority", ["JobHeldUser", "Priority"]),
        ("Resources,Dependency,QOSMaxGRESPerUser", ["Resources", "Dependency", "QOSMaxGRESPerUser"]),
        (
            "ReqNodeNotAvail, UnavailableNodes:ng[1,3-4],ng7",
            ["ReqNodeNotAvail, UnavailableNodes:ng[1,3-4],ng7"],
        ),
        (
            "ReqNodeNotAvail, Reserved for maintenance,Priority",
            ["ReqNodeNotAvail, Reserved for maintenance", "Priority"],
        ),
        (
            "Nodes required for job are DOWN, DRAINED or reserved",
            ["Nodes required for job are DOWN, DRAINED or reserved"],
        ),
        ("job requeued in held state,JobArrayTaskLimit", ["job requeued in held state", "JobArrayTaskLimit"]),
        ("", [""]),
    ],
)
def test_reasons_of_elements_that_differ_are_told_apart(reason, each):
    assert list(QueuedJob("12_[0-3]", "12", "PENDING", reason).reasons) == each


def test_an_array_is_hopeless_only_if_all_of_it_is():
    never = "DependencyNeverSatisfied"
    assert QueuedJob("12_[0-3]", "12", "PENDING", never).hopeless
    assert not QueuedJob("12_[0-3]", "12", "PENDING", f"{never},Priority").hopeless
    assert not QueuedJob("12_[0-3]", "12", "RUNNING", never).hopeless


def test_what_a_site_prints_is_no_row_and_no_row_is_lost(slurm):
    odd = row("13", "13", "RUNNING", "None", "na\tme", "/x.sh")
    broken = "14\t14\tRUNNING\tNone\tfirst line\nsecond line\t/x.sh\tN/A\n"
    slurm.set("queue", f"Welcome!\n\t\t\t\t\t\t\nQuota\t80\t%\tof\t5000\tused\tnow\n{odd}{broken}")
    jobs = Look.now().jobs
    assert [(job.id, job.state, job.name) for job in jobs] == [
        ("13", "RUNNING", "na\tme"),
        ("14", "RUNNING", ""),
    ]
    assert job_is_alive(holder("14"))


@pytest.mark.parametrize(
    ("state", "waits", "ending"),
    [
        *(
            (state, True, False)
            for state in ("PENDING", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD", "REQUEUED")
        ),
        *(
            (state, False, False)
            for state in ("RUNNING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING")
        ),
        *((state, False, True) for state in ("COMPLETING", "STAGE_OUT")),
    ],
)
def test_every_state_of_squeue_has_processes_or_waits(slurm, state, waits, ending):
    slurm.set("queue", row("13", "13", state, "None", "a", "/x.sh"))
    (job,) = queued(["13"])
    assert (job.waits, job.ending, job_is_alive(holder("13"))) == (waits, ending, not waits)
    assert state in UNDECIDED or state == "REQUEUED"


def test_only_what_is_in_the_queue_may_be_waited_for(slurm):
    slurm.set(
        "queue",
        row("12_[2-3%1]", "12", "PENDING", "Priority", "a", "/x.sh") + row("13", "13", "RUNNING", "", "b"),
    )
    assert still_queued(["12_3", "12_1", "13", "14", "12"]) == ["12_3", "13", "12"]
    assert still_queued([]) == []
    assert len(slurm.lines("asked")) == 1
    slurm.set("silent")
    with pytest.raises(ClusterError, match="squeue does not answer"):
        still_queued(["13"])


def test_one_look_answers_for_every_job_of_the_user(slurm):
    slurm.set(
        "queue",
        row("12_[4-9%1]", "12", "PENDING", "Priority", "a", "/x.sh")
        + row("12_3", "12", "RUNNING", "None", "a", "/x.sh"),
    )
    look = Look.now()
    assert [job.elements for job in look.jobs] == [6, 1]
    assert [look.job_is_alive(holder(job)) for job in ("12_3", "12_4", "13")] == [True, False, False]
    assert look.job_is_alive(holder("12_4"), sign=time.time() + 1) is None  # it may have begun since
    (asked,) = slurm.lines("asked")
    assert "--user=" in asked
