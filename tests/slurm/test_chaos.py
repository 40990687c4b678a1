"""Each fault of a cluster once, at a moment that a seed decides; `make chaos ARGS="--on slurm"` has more."""

from __future__ import annotations

import shutil

import pytest

from tests.chaos.campaign import References, fault_of, run_case
from tests.chaos.cluster import SLURM_FAULTS
from tests.chaos.faults import lacking

SEED = 1
QUICK = ("launcher_killed", "node_lost", "preempted")
"""In CI."""
CASES = [
    pytest.param(number, id=name, marks=[] if name in QUICK else [pytest.mark.slow])
    for number in range(len(SLURM_FAULTS))
    if (name := fault_of(SEED, number, SLURM_FAULTS))
]


@pytest.fixture(scope="module")
def references(world, tmp_path_factory):
    """Undisturbed grids of this machine: the queue changes no bit."""
    base = tmp_path_factory.mktemp("reference")
    yield References(base, world)
    shutil.rmtree(base)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("number", CASES)
def test_what_must_hold_holds_in_a_queue(number, world, references, sandbox, tmp_path):
    if lack := lacking():
        pytest.skip(lack)
    result = run_case(SEED, number, tmp_path / "case", world, references, sandbox)
    assert not result.violations, result
