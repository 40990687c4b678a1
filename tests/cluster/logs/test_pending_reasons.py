"""Every reason and state that Slurm has for a job that waits is told in plain words, with what helps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cluster.logs.pattern import find_pattern
from cluster.logs.pending_reasons import BUSY, HELD, NEVER_STARTS, REASONS, never_starts
from cluster.slurm.queue import UNDECIDED
from cluster.slurm.queued_job import WAITING
from tests.cluster.logs.test_pattern import FACTS

TABLE = [line.split() for line in Path(__file__).with_name("slurm_reasons.txt").read_text().splitlines()[1:]]
CODES = [code for code, *_ in TABLE]
WAITS = [
    ("Priority", "waits its turn"),
    ("Resources", "waits for room"),
    ("Dependency", "waits for another job"),
    ("DependencyNeverSatisfied", "can never start"),
    ("JobArrayTaskLimit", "waits for the unit before"),
    ("BeginTime", "begins later"),
    ("JobHeldUser", "held"),
    ("JobHeldAdmin", "held"),
    ("launch failed requeued held", "held"),
    ("ReqNodeNotAvail, Reserved for maintenance", "maintenance"),
    ("Reservation", "maintenance"),
    ("ReqNodeNotAvail, UnavailableNodes:ng[10101-10104]", "nodes not available"),
    (
        "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions",
        "nodes not available",
    ),
    ("BadConstraints", "impossible request"),
    ("PartitionTimeLimit", "time too long"),
    ("QOSMaxWallDurationPerJobLimit", "time too long"),
    ("PartitionDown", "partition closed"),
    ("InvalidAccount", "account refused"),
    ("InvalidQOS", "QOS refused"),
    ("AssocMaxSubmitJobLimit", "too many jobs submitted"),
    ("AssocMaxJobsLimit", "too many jobs running"),
    ("QOSMaxJobsPerUserLimit", "too many jobs running"),
    ("AssocGrpGRES", "the group's limit"),
    ("AssocGrpGRESMinutes", "the group's limit"),
    ("AssocGrpCPURunMinutesLimit", "the group's limit"),
    ("QOSMaxGRESPerUser", "your limit"),
    ("QOSMaxNodePerUserLimit", "your limit"),
    ("QOSGrpGRES", "the QOS is full"),
    ("Licenses", "waits for a licence"),
    ("JobLaunchFailure", "could not be started"),
    ("None", "being looked at"),
    ("SomethingNew", "waits"),
]
TEXTS = [
    ("job requeued in held state", "held"),
    ("job_requeued_in_held_state", "held"),
    ("launch_failed_requeued_held", "held"),
    ("launch failure limit exceeded requeued held", "held"),
    ("user env retrieval failed requeued held", "held"),
    ("job requeued in special exit state", "held"),
    ("ReqNodeNotAvail, May be reserved for other job", "nodes not available"),
    ("Nodes required for job are DOWN, DRAINED, REBOOTING or reserved for jobs", "nodes not available"),
    ("Job's account not permitted to use this partition (p allows a not b)", "account refused"),
    ("uid 1001 not in group permitted to use this partition (p)", "account refused"),
    ("Job's QOS not permitted to use this partition (p allows a not b)", "QOS refused"),
    ("Unable to load job batch script", "could not be started"),
    ("WaitingForScheduling", "being looked at"),
    ("", "being looked at"),
]
"""What the controller writes instead of a code; scontrol has underscores for blanks."""
PER_JOB = [code for code in CODES if re.search(r"Per(?:Job|Node)(?:Limit)?$", code)]


@pytest.mark.parametrize(("reason", "cause"), [*WAITS, *TEXTS])
def test_a_reason_of_the_queue_is_told_in_plain_words(reason, cause):
    finding = find_pattern(reason, REASONS)
    assert finding.meaning.cause == cause
    assert finding.told()
    assert finding.advice(FACTS)


@pytest.mark.parametrize("code", CODES)
def test_every_code_of_both_versions_is_in_the_table(code):
    finding = find_pattern(code, REASONS)
    assert finding.meaning is not REASONS[-1]
    assert finding.advice(FACTS)
    for text in [finding.told(), *finding.advice(FACTS)]:
        assert not re.search(r"[{}]|  | [.,:;)]|\(\)|None|\b(GRES|BB|Cpu|CPU|Mem)\b", text), text


def test_the_lists_are_those_of_two_versions():
    assert len(CODES) == len(set(CODES)) > 200
    assert sum("22.05" in versions for _, *versions in TABLE) == 197
    assert sum("24.11" in versions for _, *versions in TABLE) == 217


@pytest.mark.parametrize(
    "code",
    [
        *PER_JOB,
        "DependencyNeverSatisfied",
        "PartitionTimeLimit",
        "BadConstraints",
        "QOSMinGRES",
        "InvalidQOS",
    ],
)
def test_what_can_never_start_is_said_to_never_start(code):
    assert never_starts(code)
    assert re.search("never start", find_pattern(code, REASONS).told())


@pytest.mark.parametrize(
    "code",
    [
        *(code for code in CODES if re.search(r"Per(?:User|Account)|Grp", code)),
        "JobHeldUser",
        "Priority",
        "Dependency",
    ],
)
def test_what_may_pass_is_not_said_to_never_start(code):
    assert not never_starts(code)
    assert "never start" not in find_pattern(code, REASONS).told()


def test_states_that_wait_are_told_as_what_they_are():
    held = {state: find_pattern(state, HELD) for state in WAITING}
    assert {state for state, found in held.items() if found} == {"REQUEUE_HOLD", "SPECIAL_EXIT"}
    assert find_pattern("RESV_DEL_HOLD", NEVER_STARTS)
    others = {
        state: find_pattern(state, REASONS).meaning.cause
        for state in ("LAUNCH_FAILED", "RECONFIG_FAIL", "EXPEDITING")
    }
    assert set(others.values()) == {"could not be started", "being looked at"}
    assert [find_pattern(state, REASONS).meaning.cause for state in ("REQUEUED", "REQUEUE_FED")] == [
        "begins later"
    ] * 2


def test_states_of_a_job_that_has_nodes_say_more_than_that_it_runs_where_they_do():
    told = {state: find_pattern(state, BUSY) for state in (*UNDECIDED, "REVOKED") if state not in WAITING}
    causes = {state: found and found.meaning.cause for state, found in told.items()}
    assert causes == {
        **dict.fromkeys(("CONFIGURING", "POWER_UP_NODE"), "nodes boot"),
        **dict.fromkeys(("SUSPENDED", "STOPPED"), "suspended"),
        **dict.fromkeys(("COMPLETING", "STAGE_OUT"), "ends"),
        **dict.fromkeys(("RUNNING", "UPDATE_DB"), None),
        "RESIZING": "being resized",
        "SIGNALING": "being signalled",
        "REVOKED": "moved",
    }


def test_no_row_of_the_table_is_without_a_test():
    words = [*CODES, *(reason for reason, _ in (*WAITS, *TEXTS)), *WAITING]
    found = {id(find_pattern(word, REASONS).meaning) for word in words}
    assert [one.cause for one in REASONS if id(one) not in found] == []
