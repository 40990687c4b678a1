"""What is told of a batch that the processes do not divide is what becomes of it."""

from __future__ import annotations

import re

import numpy as np
import pytest

import launch
from jobs.recipe.describe import uneven_batch
from layalign.data.batching import micro_batches
from layalign.evaluation.benchmarks import find_benchmark
from tests.login import at_home, empty_recipe


@pytest.mark.parametrize("batch", [1, 2, 7, 32, 128])
@pytest.mark.parametrize("micro_batch", [1, 3, 8])
@pytest.mark.parametrize("processes", [1, 2, 3, 5, 8, 12, 200])
def test_what_is_told_is_what_becomes_of_the_batch(batch, micro_batch, processes):
    shares = micro_batches(np.arange(batch), np.full(batch, 10), micro_batch, None, processes)
    passes = [one for share in shares for one in share]
    counted = sum(one.weight > 0 for one in passes)
    assert sum(len(one.rows) for one in passes if one.weight) == batch
    told = uneven_batch(batch, micro_batch, processes)
    if told is None:
        assert counted == -(-batch // micro_batch)
        assert len({len(share) for share in shares}) == 1
        return
    assert f"a batch of {batch} on {processes} processes stays {batch}" in told
    assert f"cut into {counted} forward passes instead of {-(-batch // micro_batch)}" in told
    idle = re.search(r"; (\d+) more are repeated", told)
    assert (int(idle[1]) if idle else 0) == len(passes) - counted
    if not idle:
        assert told.endswith(f": {len(shares[0])} on each")


@pytest.fixture
def words(tmp_path, monkeypatch):
    at_home(tmp_path, monkeypatch)
    path = empty_recipe(tmp_path)
    (tmp_path / "data" / "mgsm").mkdir()
    for code in find_benchmark("mgsm").languages:
        (tmp_path / "data" / "mgsm" / f"mgsm_{code}.tsv").write_text("How many?\t8\n")
    return ["--recipe", str(path), "--data", "data", "--dry-run"]


@pytest.mark.parametrize(("gpus", "told"), [("3", True), ("4", False)])
def test_three_gpus_say_what_they_do_to_the_batch(words, gpus, told, capsys):
    narval = ["--cluster", "narval", "--account", "def-x", "--time", "3h", "--gpus", gpus]
    launch.main(["train", "--stage", "1", *words, *narval])
    assert ("a batch of 128 on 3 processes stays 128, cut into 18" in capsys.readouterr().out) == told
    launch.main(["pipeline", *words, *narval])
    assert ("a batch of 128 on 3 processes stays 128, cut into 18" in capsys.readouterr().out) == told
    launch.main(["train", "--stage", "1", *words, "--tasks", gpus])
    assert ("a batch of 128 on 3 processes stays 128, cut into 18" in capsys.readouterr().out) == told
