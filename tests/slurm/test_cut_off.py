"""A node that the cluster takes for lost goes on working: its job runs elsewhere, and it stops by itself."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.jobs.work.test_train import events, trajectory
from tests.slurm.chains import follow, process_of, slow_down, submit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
PATIENCE_S = 360


def test_a_training_on_a_node_that_is_cut_off_stops_when_its_job_runs_elsewhere(sandbox, world, tmp_path):
    chain = submit(sandbox, world, tmp_path / "cut", mode="requeue", nodes=1, change=slow_down)
    follow(chain, lambda chain: len(trajectory(chain.run.path)) >= 5)
    (node,), old = chain.nodes(), process_of(chain.running()["JobId"], rank=0)
    sandbox.cut_off(node)
    try:
        follow(chain, lambda chain: len(events(chain.run.path, "started")) == 2, PATIENCE_S)
        follow(chain, lambda chain: not alive(old), PATIENCE_S)
        assert not chain.run.done.exists()
        follow(chain, lambda chain: chain.run.done.exists(), PATIENCE_S)
    finally:
        sandbox.cut_off(node, off=False)
    assert "was taken over by process" in chain.log()
    assert "Traceback" not in chain.log()
    first, second = events(chain.run.path, "started")
    assert (first["nodes"], first["restart"], second["restart"]) == (node, 0, 1)
    assert second["nodes"] != node
    assert len(events(chain.run.path, "finished")) == 1
    steps = [one["step"] for one in events(chain.run.path, "saved")]
    assert all(before < after for before, after in itertools.pairwise(steps))
    assert not chain.run.failed.exists()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
