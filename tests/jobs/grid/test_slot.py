"""Grids on this machine, in the tiny world: cells in their order, each once, whatever fails or interrupts."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

from cluster.files import read_jsonl, write_json_atomic
from cluster.job.interrupt import Interrupts
from cluster.job.unit import terms
from cluster.profile.load import load_profile
from cluster.profile.resources import plan_resources
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder
from jobs.board.status import standings
from jobs.cell.cell import Cell, Worklist, wanted_cells
from jobs.grid import slot
from tests.jobs.work.test_train import send
from tests.world import launch, until, write_recipe

VARIANTS = {
    "LayAlign": None,
    "no task stage": {"stages": {2: {"training.max_steps": 0}}},
    "LLM": {"model.method": "llm"},
}


@pytest.fixture
def grid(world, tmp_path):
    write_recipe(world, tmp_path, epochs=2)
    return GridFolder(tmp_path / "runs", "parts")


def ablate(base: Path, world: Path, *words: str, variants=VARIANTS, yes=("--yes",), **kwargs):
    told = {"name": "parts", "recipe": str(base / "tiny.yaml"), "variants": variants}
    told["evaluate"] = {"benchmarks": ["mini"], "languages": ["sw", "en"]}
    (base / "parts.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
    words = ("--grid", base / "parts.yaml", "--runs", base / "runs", "--data", world / "data", *words)
    return launch("ablate", *words, "--cluster", "local", *yes, cwd=base, **kwargs)


def events(grid: GridFolder, kind: str) -> Counter[str]:
    """How often something happened to each cell."""
    return Counter(
        cell.name
        for cell in wanted_cells(grid)
        for event in read_jsonl(cell.folder.events)
        if event["event"] == kind
    )


def test_a_grid_runs_on_this_machine_from_one_command_to_its_table(grid, world, tmp_path):
    told = ablate(tmp_path, world, "--inline")
    assert told.returncode == 0, told.told
    assert all(cell.done() for cell in wanted_cells(grid))
    assert set(events(grid, "finished").values()) == {1}
    assert "no task stage" in told.told.partition("report")[0]
    assert (grid.results / "report.html").exists()
    again = ablate(tmp_path, world, "--inline")
    assert again.returncode == 0
    assert set(events(grid, "finished").values()) == {1}


def test_a_grid_on_this_machine_asks_before_it_begins(grid, world, tmp_path):
    told = ablate(tmp_path, world, "--inline", yes=())
    assert told.returncode == 2
    assert (
        "to do 9 cells on this machine, an answer is needed, and there is no terminal: add --yes" in told.told
    )
    assert not grid.path.exists()


def test_an_interrupted_grid_goes_on_where_it_stopped(grid, world, tmp_path):
    process = ablate(tmp_path, world, "--tasks", "2", wait=False)

    def begun() -> bool:
        return any(len(read_jsonl(path)) > 3 for path in (tmp_path / "runs").glob("*/metrics.jsonl"))

    until(lambda: begun() or process.poll() is not None)
    send(signal.SIGTERM, process.pid)
    process.wait()
    assert process.returncode == 130, process.told
    assert "the same command goes on" in process.told
    told = ablate(tmp_path, world, "--tasks", "2")
    assert told.returncode == 0, told.told
    assert all(cell.done() for cell in wanted_cells(grid))
    assert set(events(grid, "finished").values()) == {1}
    assert sum(events(grid, "resumed").values()) == 1


def test_what_fails_does_not_stop_the_others_and_is_told(grid, world, tmp_path):
    broken = {**VARIANTS, "broken": {"training.lr": 1e200, "training.clip": 1e300}}
    told = ablate(tmp_path, world, "--inline", variants=broken)
    assert told.returncode == 1, told.told
    states = {name: one.state for name, one in standings(wanted_cells(grid)).items()}
    assert Counter(states.values()) == {"done": 4 + 3 * 2 - 1, "failed": 1, "blocked": 3}
    assert "not done: tiny-broken-s1-" in told.told
    assert "waits for a run that has failed" in told.told
    assert sum("broken" in name for name, state in states.items() if state == "blocked") == 3


@pytest.mark.parametrize(
    ("shown", "comes_back"),
    [
        ("JobState=RUNNING PreemptTime=2026-11-21T09:50:41 Restarts=0", True),
        ("JobState=COMPLETING PreemptTime=None Restarts=0", False),
    ],
)
def test_a_slot_that_is_interrupted_before_its_first_cell_comes_back_unless_it_is_cancelled(
    tmp_path, monkeypatch, shown, comes_back
):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    os.environ.update(
        PATH=f"{tmp_path}:/usr/bin:/bin", SLURM_JOB_ID="15", SLURM_PROCID="0", SLURM_LOCALID="0",
        SLURM_NTASKS="1", SLURM_JOB_NODELIST="node1", SLURM_JOB_END_TIME=str(int(time.time()) + 3600),
    )  # fmt: skip
    script = tmp_path / "scontrol"
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\necho "JobId=15 {shown}"\n')
    script.chmod(0o755)
    grid, run = GridFolder(tmp_path / "runs", "g"), RunFolder.at(tmp_path / "runs", "a", 2, "00000001")
    grid.create()
    cell = Cell(job="evaluate", run=str(run.path), benchmark="mini", language="sw", items=3, max_new_tokens=4)
    path = grid.write_list(Worklist(cells=(cell,), runs={str(run.path): {}}).to_dict())
    write_json_atomic(grid.wanted, {"list": path.name})
    sandbox = load_profile("sandbox", [], {})
    told = {"root": str(grid.root), "grid": "g", "list": str(path), "first": 0, "slots": 1}
    seen = Interrupts()
    seen.cause, seen.time, seen.continued = "SIGTERM", time.time(), True
    slot.run({**told, "terms": terms(sandbox, plan_resources(sandbox, 1), wave="w")}, seen)
    assert ("requeue 15" in (tmp_path / "calls").read_text().splitlines()) is comes_back
