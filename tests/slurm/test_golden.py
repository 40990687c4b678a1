"""Every golden script is accepted by a controller with its cluster's nodes, GPUs, limits and accounts."""

from __future__ import annotations

import pytest

from cluster.profile.load import load_profile
from cluster.sandbox import sandbox as slurm
from cluster.sandbox.shape import shape_of
from tests.cluster.profile.test_load import CLUSTERS
from tests.cluster.slurm.test_script import GOLDEN
from tests.slurm.conftest import Sandbox, new_root


@pytest.mark.parametrize("name", CLUSTERS)
def test_controller_accepts_the_golden_script(name, able):
    text = GOLDEN / f"{name}.sh"
    account = text.read_text().partition("--account=")[2].split()[0]
    root = new_root(name[:4])
    slurm.up(root, shape_of(load_profile(name, [f"cluster.account={account}"], {})))
    try:
        told = Sandbox(root).run("sbatch", "--test-only", str(text)).stderr
    finally:
        slurm.down(root)
    assert "to start at" in told
