"""A cluster that nobody has described is written by `doctor --write`, and runs go on though the file has moved."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cluster.profile.load import PROFILES, load_profile
from cluster.run.run_folder import all_runs
from cluster.sandbox import sandbox as slurm
from cluster.sandbox.shape import shape_of
from cluster.slurm.submission import Submission
from tests.slurm.conftest import Sandbox, new_root
from tests.world import launch, write_recipe

SHAPE = (PROFILES / "sandbox.yaml").read_text()
KIND = SHAPE[SHAPE.index("    - gpu: a100") : SHAPE.index("      slices")]
ODD = (
    KIND.replace("gpu: a100", "gpu: V100-SXM2").replace("count: 4", "count: 1").replace("gpus: 4", "gpus: 2")
)
FAST = KIND.replace("gpu: a100", "gpu: nvidia_a100-sxm4-80gb").replace("count: 4", "count: 1")


@pytest.fixture(scope="module")
def invented(able, tmp_path_factory):
    """GPUs of two types in partitions with odd names, and no accounting."""
    path = tmp_path_factory.mktemp("invented") / "odd.yaml"
    kinds = f"{ODD}      partition: GPU.Q_1\n{FAST}      partition: deep-learn.x\n      longest: 20\n"
    path.write_text(SHAPE[: SHAPE.index("    - gpu: a100")] + kinds + SHAPE[SHAPE.index("\nwalltime") :])
    root = new_root("odd")
    slurm.up(root, shape_of(load_profile(str(path)), accounting=False))
    try:
        yield Sandbox(root)
    finally:
        slurm.down(root)


@pytest.mark.timeout(600)
def test_a_cluster_of_any_shape_is_written_used_and_remembered(invented, world, tmp_path):
    environ = {name: invented.environ[name] for name in ("SLURM_CONF", "PATH")}
    environ |= {"LAYALIGN_CHECK": "--no-gpu", "LAYALIGN_RUNS": str(tmp_path / "runs")}

    def go(*words: str | Path, status: int = 0) -> str:
        told = launch(*words, cwd=tmp_path, **environ)
        assert told.returncode == status, told.told
        return told.told

    assert "there.yaml" in go("doctor", "--write", "there.yaml")
    profile = load_profile(str(tmp_path / "there.yaml"))
    found = {kind.gpu: (kind.gpus, kind.partition, kind.longest) for kind in profile.hardware.kinds}
    assert found == {
        "V100-SXM2": (2, "GPU.Q_1", None),
        "nvidia_a100-sxm4-80gb": (4, "deep-learn.x", 20),
    }
    assert (profile.accounts.needed, profile.limits.array, profile.walltime.longest) == (False, 1001, 60)
    assert "differs" not in go("doctor", "--cluster", "there.yaml")
    assert "is there already" in go("doctor", "--write", "there.yaml", status=2)

    recipe = write_recipe(world, tmp_path, epochs=1)
    train = ("train", "--stage", "1", "--recipe", recipe, "--data", world / "data", "--cluster", "there.yaml")
    train += ("--gpu", "nvidia_a100-sxm4-80gb", "--gpus", "1", "--time")
    assert "at most 20 min" in go(*train, "30m", status=2)
    assert "queued: job" in go(*train, "10m")
    (run,) = all_runs(tmp_path / "runs")

    def submission() -> Submission:
        found = Submission.read(run.submission)
        assert found is not None
        return found

    job = submission().job
    assert invented.job(job)["Partition"] == "deep-learn.x"
    invented.run("scancel", job)
    (tmp_path / "there.yaml").rename(tmp_path / "gone.yaml")
    invented.wait(job, "CANCELLED")
    assert run.path.name.rpartition("-")[0] in go("status")
    assert "queued: job" in go("retry", run.path.name, "--yes")
    again = submission().job
    assert again != job
    assert invented.job(again)["Partition"] == "deep-learn.x"
    end = time.monotonic() + 300
    while not run.is_done():
        assert time.monotonic() < end, go("why", run.path.name)
        time.sleep(1)
    assert submission().file.path == str(tmp_path / "there.yaml")
