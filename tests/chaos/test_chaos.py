"""A small campaign with a seed of its own; `make chaos` runs a larger one."""

from __future__ import annotations

import shutil

import pytest

from tests.chaos.campaign import References, fault_of, run_case
from tests.chaos.faults import FAULTS

SEED = 1
CASES = {9: "signal SIGKILL", 11: "signal SIGTERM", 14: "two_commands", 15: "damaged_half_way"}


@pytest.fixture(scope="session")
def references(world, tmp_path_factory):
    """Undisturbed grids, for all cases of this process."""
    base = tmp_path_factory.mktemp("reference")
    yield References(base, world)
    shutil.rmtree(base)


def test_a_campaign_meets_every_fault():
    assert {fault_of(SEED, number, FAULTS) for number in range(len(FAULTS))} == set(FAULTS)
    assert {number: fault_of(SEED, number, FAULTS) for number in CASES} == CASES


@pytest.mark.slow
@pytest.mark.parametrize("number", CASES)
def test_what_must_hold_holds(number, world, references, tmp_path):
    result = run_case(SEED, number, tmp_path / "case", world, references)
    assert not result.violations, result
