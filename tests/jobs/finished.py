"""Runs as their training leaves them, made in no time, and commands on them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import launch
from cluster.files import write_json_atomic
from cluster.run.grid_folder import GridFolder
from jobs.cell.cell import Cell, Worklist
from jobs.recipe.plan import load_recipe, plan_run
from tests.login import empty_recipe

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch, slurm):
    for name in (
        "LAYALIGN_RUNS",
        "LAYALIGN_DATA",
        "CC_CLUSTER",
        "SBATCH_ACCOUNT",
        "LAYALIGN_PROFILES",
        "SLURM_CONF",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    os.environ.update(HOME=str(tmp_path / "home"), SCRATCH=str(tmp_path / "home" / "scratch"), USER="me")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def go(capsys):
    """Run a command; gives its status and what it printed."""

    def go(*words):
        status = launch.main([str(word) for word in words])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return go


@pytest.fixture
def recipe(tmp_path):
    models = {"encoder": str(tmp_path / "home" / "encoder"), "decoder": "org/decoder"}
    return empty_recipe(tmp_path, model=models)


@pytest.fixture
def make(recipe, tmp_path):
    """A run of a stage as its training, and an evaluation, leave it."""

    def make(stage=2, *overrides, done=True, root=tmp_path / "runs", name=None):
        plan = plan_run(load_recipe(str(recipe)), stage, list(overrides), root, name)
        run = plan.run
        run.create(plan.config.to_dict())
        run.start(kind="train")
        run.event("started", job="7", log=str(run.slurm / "7_0_log.out"), log_from=0, restart=0, nodes="n1")
        run.log_metrics({"step": 1, "loss": 2.5})
        write(run.checkpoints / "step-00000002" / "bridge.safetensors", b"w" * 300)
        write(run.slurm / "7_0_log.out", b"log")
        if done:
            write(run.bridge / "bridge.safetensors", bytes(range(256)) * 4)
            write(run.bridge / "bridge.json", b"{}")
            run.finish(step=2)
            answer(run)
        return run

    return make


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def answer(run):
    cell = run.cell("mgsm", "sw", 0)
    write(cell.answers, b'{"id": "mgsm-sw-0000"}\n')
    cell.finish(items=1, max_new_tokens=8, seconds=1.0)
    write(run.results / "mgsm" / "table.json", b"{}")


def make_grid(run, parent, name="g"):
    """A grid of one point with a shared stage 1."""
    grid = GridFolder(run.root, name)
    grid.create()
    cells = (
        Cell(job="train", run=str(parent.path)),
        Cell(job="train", run=str(run.path), needs=(str(parent.path),)),
    )
    told = {str(one.path): {"run": str(one.path), "data": "/home/me/data"} for one in (run, parent)}
    points = [
        {
            "label": "a",
            "seed": 0,
            "runs": {"1": str(parent.path), "2": str(run.path)},
            "evaluated": str(run.path),
        }
    ]
    listed = grid.write_list(Worklist(cells=cells, runs=told).to_dict())
    write_json_atomic(grid.wanted, {"name": name, "points": points, "list": listed.name})
    return grid


def tree(folder):
    """Content by path of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
