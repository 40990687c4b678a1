from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from layalign.training.distributed import Processes
from tests.layalign.training.toy import (
    Log,
    distance,
    finish,
    losses,
    run_all,
    spawn,
    toy_data,
    train,
    weights,
)

pytestmark = pytest.mark.core


def records(folder: Path, key: str) -> list[dict[str, Any]]:
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if key in record]


def result(folder: Path, rank: int = 0) -> dict[str, Any]:
    return json.loads((folder / f"result-{rank}.json").read_text())


def alone(folder: Path, **changes: Any) -> list[float]:
    """Losses of an uninterrupted training in this one process."""
    log = Log()
    train(folder / "checkpoints", log=log, **changes)
    return [record["loss"] for record in log.steps]


def failing_hostname(folder: Path) -> dict[str, str]:
    """A PATH on which `hostname` fails, and leaves a trace if it is called."""
    program = folder / "bin" / "hostname"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {folder}/called\nexit 1\n")
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"}


def test_two_processes_equal_one(tmp_path):
    row = 7
    (tmp_path / "file").write_text("where a folder should be")
    jobs = [
        {"folder": f"{tmp_path}/fp64", "precision": "fp64"},
        {"folder": f"{tmp_path}/fp32"},
        {"folder": f"{tmp_path}/nan", "poisoned": [row]},
        {"folder": f"{tmp_path}/unwritable"},
    ]
    (tmp_path / "unwritable").mkdir()
    (tmp_path / "unwritable" / "checkpoints").write_text("not a folder")
    run_all(2, jobs, failing_hostname(tmp_path))
    assert not (tmp_path / "called").exists()

    alone(tmp_path / "one", precision="fp64")
    ours, theirs = (weights(tmp_path / name / "checkpoints") for name in ("fp64", "one"))
    assert distance(ours, theirs) < 1e-9
    assert losses(tmp_path / "fp32") == pytest.approx(alone(tmp_path / "one32"), rel=1e-5)
    dev = [r["dev_loss"] for r in records(tmp_path / "fp64", "dev_loss")]
    assert len(dev) == 4

    errors = {(tmp_path / "nan" / f"error-{rank}.txt").read_text() for rank in (0, 1)}
    assert len(errors) == 1
    assert "loss is nan in step" in (message := errors.pop())
    assert f"{row}" in message
    errors = {(tmp_path / "unwritable" / f"error-{rank}.txt").read_text() for rank in (0, 1)}
    assert len(errors) == 1
    assert "cannot be used for checkpoints" in errors.pop()


def test_a_run_goes_on_with_any_number_of_processes(tmp_path):
    """Stopped by a signal to one of two, killed with three, ended with one: as if nothing had happened."""
    alone(tmp_path / "whole", precision="fp64")
    folder = tmp_path / "parts"
    job = {"folder": str(folder), "precision": "fp64"}
    run_all(2, [{**job, "rank": 1, "kill": [signal.SIGTERM, 6]}])
    stopped = result(folder)["step"]
    assert not result(folder)["finished"]
    assert result(folder, 0)["reason"] == "another process was asked to stop"
    assert result(folder, 1)["reason"] == "signal 15"

    outcomes = finish(spawn(3, [{**job, "rank": 2, "kill": [signal.SIGKILL, 15]}]))
    assert outcomes[2][0] == -signal.SIGKILL
    reached = records(folder, "loss")[-1]["step"]
    assert train(folder / "checkpoints", precision="fp64", log=Log(folder / "log.jsonl")).finished

    assert distance(weights(folder / "checkpoints"), weights(tmp_path / "whole" / "checkpoints")) < 1e-9
    resumed = [r["step"] for r in records(folder, "event") if r["event"] == "resumed"]
    assert resumed[0] == stopped
    assert reached - 4 <= resumed[1] <= reached
    every_sample_once(folder)


def every_sample_once(folder: Path) -> None:
    """A replayed step read the same rows, and the steps of an epoch are its rows."""
    digests: dict[int, int] = {}
    tokens: dict[int, int] = {}
    for record in records(folder, "loss"):
        assert digests.setdefault(record["step"], record["digest"]) == record["digest"]
        tokens[record["step"]] = record["tokens"]
    data = toy_data()
    assert sorted(digests) == list(range(1, 19))
    assert sum(tokens.values()) == 3 * data.answers[data.train].sum()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random_times_it_ends_the_same(tmp_path, seed):
    """From outside and at any moment, in the middle of a checkpoint too."""
    rng = random.Random(seed)
    changes: dict[str, Any] = {"precision": "fp64", "epochs": 60, "save_every": 3, "eval_every": 50}
    alone(tmp_path / "whole", **changes)
    folder = tmp_path / "parts"
    for _ in range(6):
        running = spawn(rng.choice([1, 2]), [{"folder": str(folder), **changes}])
        before = size(folder)
        while size(folder) == before and all(process.poll() is None for process in running):
            time.sleep(0.01)
        time.sleep(rng.random() * 0.8)
        rng.choice(running).send_signal(rng.choice([signal.SIGKILL, signal.SIGTERM]))
        finish(running)
    run_all(1, [{"folder": str(folder), **changes}])
    assert distance(weights(folder / "checkpoints"), weights(tmp_path / "whole" / "checkpoints")) < 1e-9
    steps = [record["step"] for record in records(folder, "loss")]
    assert set(steps) == set(range(1, 361))
    assert sum(step <= before for before, step in itertools.pairwise(steps)) <= 7


def size(folder: Path) -> int:
    log = folder / "log.jsonl"
    return log.stat().st_size if log.exists() else 0


def test_half_an_environment_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        ValueError, match=r"WORLD_SIZE is set but RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT is not"
    ):
        Processes.start()


def test_without_an_environment_it_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    processes = Processes.start()
    assert (processes.rank, processes.world, processes.first) == (0, 1, True)
    assert processes.any(True)
    assert not processes.any(False)
    assert processes.gather("x") == ["x"]
    processes.close()
