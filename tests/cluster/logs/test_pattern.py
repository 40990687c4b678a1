"""Every pattern of the table is found in a line as its program prints it, and advises something that can be done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from cluster.logs.error_patterns import PATTERNS
from cluster.logs.pattern import find_pattern, log_pattern

FACTS = {
    "run": "math-layalign-s2-0123abcd",
    "rebuild": "python launch.py env --cluster narval --build",
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


@pytest.mark.parametrize(("cause", "line", "says"), LOGS, ids=lambda value: value[:30])
def test_a_line_tells_its_cause_and_what_helps(cause, line, says):
    finding = find_pattern(f"step 3\n{line}\nstep 4\n", PATTERNS)
    assert finding.meaning.cause == cause
    assert says in finding.told()
    assert finding.line == line.partition("\n")[0]
    assert finding.advice(FACTS)
    for text in [finding.told(), *finding.advice(FACTS)]:
        assert not re.search(r"[{}]|  | [.,:;)]|\(\)|None", text), text


def test_no_sign_is_without_a_test():
    found = {id(finding.meaning) for _, line, _ in LOGS if (finding := find_pattern(line, PATTERNS))}
    assert [one.cause for one in PATTERNS if id(one) not in found] == []


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
    assert find_pattern(line, PATTERNS) is None


def test_a_cause_goes_before_what_follows_from_it():
    text = "ncclRemoteError: remote process exited\nstd::bad_alloc\n"
    assert find_pattern(text, PATTERNS).meaning.cause == "out of memory"


def test_the_same_words_of_the_hub_and_of_the_nodes_are_told_apart():
    hub = "MaxRetryError: HTTPSConnectionPool(host='huggingface.co', port=443): No route to host"
    node = "ncclSystemError: System call failed.\nLast error:\nConnect to 10.80.1.2<5> failed : Network is unreachable"
    assert find_pattern(hub, PATTERNS).meaning.cause == "no internet"
    assert find_pattern(node, PATTERNS).meaning.cause == "no network between nodes"


def test_advice_that_takes_an_unknown_fact_is_left_out():
    finding = find_pattern(
        "it broke", [log_pattern("crashed", "broke", "{what} it broke ({how})", "scancel {job}", "wait")]
    )
    assert finding.told() == "it broke"
    assert finding.advice({"job": ""}) == ["wait"]
    assert finding.advice({"job": "14"}) == ["scancel 14", "wait"]
