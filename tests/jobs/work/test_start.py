"""What jobs ask of the runs that they use."""

from __future__ import annotations

import json

import pytest

from cluster.run.run_folder import RunFolder
from jobs.work.start import refuse_older_gemma


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
