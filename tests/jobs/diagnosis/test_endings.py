"""Is `why` right about endings whose cause is known, and does the page that says how often say what is true?"""

from __future__ import annotations

import pytest

from tests.jobs.diagnosis.confusion import PAGE, page, verdicts
from tests.jobs.diagnosis.endings import endings

ENDINGS = endings()


@pytest.fixture(scope="module")
def every():
    return {ending.name: (ending, verdict) for ending, verdict in verdicts()}


@pytest.mark.parametrize("name", [ending.name for ending in ENDINGS])
def test_an_ending_is_told_for_what_it_is(every, name):
    assert every[name][1].right, every[name][1].fault


def test_nothing_wrong_is_told_with_confidence(every):
    assert [verdict.fault for _, verdict in every.values() if verdict.wrong] == []


def test_there_are_enough_endings_of_all_kinds():
    assert len(ENDINGS) >= 120
    assert sum(ending.noisy for ending in ENDINGS) >= len(ENDINGS) / 2
    assert {ending.told.get("slurm") for ending in ENDINGS} >= {"22.05", "24.11"}
    assert len({ending.told.get("site") for ending in ENDINGS}) > 5
    silent = sum(ending.told.get("sacct", "none") == "none" for ending in ENDINGS)
    assert 30 < silent < len(ENDINGS) - 30


def test_the_page_says_what_is_told_today(every):
    found = list(every.values())
    assert PAGE.read_text() == page(found), "python -m tests.jobs.diagnosis.confusion --write"
