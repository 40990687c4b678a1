"""A small campaign with a seed of its own; `make chaos` runs a larger one."""

from __future__ import annotations

import shutil

import pytest

from tests.chaos.campaign import References, fault_of, run_case
from tests.chaos.cluster import CAUSES, SLURM_FAULTS
from tests.chaos.faults import FAULTS, lacking

SEED, CASES = 1, 40


@pytest.fixture(scope="session")
def references(world, tmp_path_factory):
    """Undisturbed grids, for all cases of this process."""
    base = tmp_path_factory.mktemp("reference")
    yield References(base, world)
    shutil.rmtree(base)


def test_a_campaign_meets_every_fault():
    assert {fault_of(SEED, number, FAULTS) for number in range(CASES)} == set(FAULTS)


def test_every_fault_of_a_cluster_has_its_causes():
    assert SLURM_FAULTS.keys() == CAUSES.keys()


@pytest.mark.slow
@pytest.mark.parametrize("number", range(CASES))
def test_what_must_hold_holds(number, world, references, tmp_path):
    if lack := lacking():
        pytest.skip(lack)
    result = run_case(SEED, number, tmp_path / "case", world, references)
    assert not result.violations, result
