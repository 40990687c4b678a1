"""What jobs ask of the runs that they use."""

from __future__ import annotations

import json

import pytest

from cluster.logs.failure import failure_of
from cluster.run.run_folder import RunFolder
from jobs.recipe.plan import load_recipe
from jobs.work.start import recorded, refuse_older_gemma
from layalign.recipe import resolve
from layalign.training.distributed import Processes
from tests.cluster.job.test_unit import unit

RUN = resolve(load_recipe("mini"), 1, [])


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "a-s1-00000001")
    folder.path.mkdir()
    return folder


def starts(run, *versions):
    lines = [json.dumps({"packages": {"transformers": version}}) for version in versions]
    run.starts.write_text("".join(line + "\n" for line in lines))


@pytest.mark.parametrize("versions", [("4.57.6",), ("5.3.0",), ("5.23.0", "5.0.0rc1")])
def test_gemma_trained_by_a_version_that_scaled_soft_tokens_is_refused(run, versions):
    starts(run, *versions)
    for kind in ("gemma", "gemma2"):
        with pytest.raises(ValueError, match=rf"was trained with transformers .* soft tokens of {kind}"):
            refuse_older_gemma(run, kind)
    for kind in ("gemma3_text", "llama"):
        refuse_older_gemma(run, kind)


def test_gemma_trained_by_a_newer_version_or_nobody_knows_which_is_not(run):
    refuse_older_gemma(run, "gemma2")
    starts(run, "5.4.0", "5.23.0")
    refuse_older_gemma(run, "gemma2")
    run.starts.write_text("{}\n")
    refuse_older_gemma(run, "gemma2")


@pytest.mark.parametrize(
    ("error", "cause", "advice"),
    [
        (
            OSError(28, "No space left on device", "/scratch/a"),
            "passing",
            "next: give the same launch command",
        ),
        (KeyError("labels"), "needs a change", "python launch.py retry"),
        (ValueError("x.sw:1: no example"), "needs a change", "python launch.py retry"),
    ],
)
def test_failed_says_whether_the_same_command_takes_it_up(tmp_path, error, cause, advice):
    run = RunFolder.at(tmp_path, "math", 1, "00000001")
    run.create({})
    own = unit(SLURM_PROCID="0", SUBMITIT_FOLDER=str(run.slurm))
    with pytest.raises(Exception), recorded(run, "train", RUN, own, Processes.alone()):  # noqa: B017, PT011
        raise error
    told = run.failed.read_text()
    assert f"\n  cause: {cause}\n" in told
    assert advice in told
    assert failure_of(run).passing == (cause == "passing")


def test_an_error_counts_by_what_it_was_raised_from(tmp_path):
    run = RunFolder.at(tmp_path, "math", 1, "00000001")
    run.create({})
    with pytest.raises(RuntimeError), recorded(run, "train", RUN, None, Processes.alone()):
        raise RuntimeError("the writer broke") from OSError(122, "Disk quota exceeded")
    assert failure_of(run).passing
