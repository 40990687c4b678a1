"""Every sign of the table is found in a line as its program prints it, and advises something that can be done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from cluster.logs.error_patterns import SIGNS
from cluster.logs.pattern import find_sign, sign
from cluster.logs.pending_reasons import REASONS

FACTS = {
    "run": "math-layalign-s2-0123abcd",
    "cluster": "narval",
    "smaller": "training.micro_batch=4",
    "half_lr": "1.5e-05",
    "half_save": "250",
    "node": "ng10101",
    "job": "14",
    "again": "python launch.py retry math-layalign-s2-0123abcd",
    "again_with_more_memory": "python launch.py retry math-layalign-s2-0123abcd --more-mem",
}
LINES: dict[str, list[dict[str, str]]] = yaml.safe_load(Path(__file__).with_name("patterns.yaml").read_text())
LOGS = [(cause, one["line"], one["says"]) for cause, found in LINES.items() for one in found]
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


@pytest.mark.parametrize(("cause", "line", "says"), LOGS, ids=lambda value: value[:30])
def test_a_line_tells_its_cause_and_what_helps(cause, line, says):
    finding = find_sign(f"step 3\n{line}\nstep 4\n", SIGNS)
    assert finding.sign.cause == cause
    assert says in finding.told()
    assert finding.line == line.partition("\n")[0]
    assert finding.advice(FACTS)
    for text in [finding.told(), *finding.advice(FACTS)]:
        assert not re.search(r"[{}]|  | [.,:;)]|\(\)|None", text), text


@pytest.mark.parametrize(("reason", "cause"), WAITS)
def test_a_reason_of_the_queue_is_told_in_plain_words(reason, cause):
    finding = find_sign(reason, REASONS)
    assert finding.sign.cause == cause
    assert finding.told()
    assert finding.advice(FACTS)


@pytest.mark.parametrize("table", [SIGNS, REASONS])
def test_no_sign_is_without_a_test(table):
    lines = [line for _, line, _ in LOGS] if table is SIGNS else [reason for reason, _ in WAITS]
    found = {id(finding.sign) for line in lines if (finding := find_sign(line, table))}
    assert [one.cause for one in table if id(one) not in found] == []


@pytest.mark.parametrize(
    "line",
    [
        "step 300/900  loss 0.5521  lr 2.9e-05  11,200 tokens/s  left 0:12:40",
        "mgsm: 250 items, 32 of them to be answered here",
        "longer than the limit and cut: {'source': 12}",
        "stopping: step 300, reason SIGUSR2",
        "KeyError: 'labels'",
        "",
    ],
)
def test_what_is_no_sign_is_not_taken_for_one(line):
    assert find_sign(line, SIGNS) is None


def test_a_cause_goes_before_what_follows_from_it():
    text = "ncclRemoteError: remote process exited\nsrun: error: ng1: task 5: Out Of Memory\n"
    assert find_sign(text, SIGNS).sign.cause == "out of host memory"


def test_advice_that_takes_an_unknown_fact_is_left_out():
    finding = find_sign(
        "it broke", [sign("broken", "broke", "{what} it broke ({how})", "scancel {job}", "wait")]
    )
    assert finding.told() == "it broke"
    assert finding.advice({"job": ""}) == ["wait"]
    assert finding.advice({"job": "14"}) == ["scancel 14", "wait"]
