"""Runs and grids of the version before are listed, resumed, evaluated and reported by this one."""

from __future__ import annotations

import time

import pytest
import yaml

from cluster.files import read_jsonl
from cluster.run.grid_folder import GridFolder
from jobs.cell.cell import wanted_cells
from tests.jobs.work.test_train import events, folder, trajectory, weights
from tests.older import launch_older, older, start_older  # noqa: F401
from tests.world import launch, write_recipe

pytestmark = pytest.mark.slow
INLINE = ("--cluster", "local", "--inline")


def killed_in_stage_2(older, words, recipe) -> None:  # noqa: F811
    """Train by the version before until its second stage has a checkpoint, then kill it."""
    process = start_older(older, *words, cwd=recipe.parent)
    end = time.monotonic() + 300
    while not list((recipe.parent / "runs").glob("*-s2-*/checkpoints/step-00000005")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.01)
    process.kill()
    process.wait()


def test_a_run_of_the_version_before_is_listed_resumed_evaluated_and_reported(older, world, tmp_path):  # noqa: F811
    recipe = write_recipe(world, tmp_path, epochs=8)
    words = ("train", "--recipe", recipe, "--stage", "all", *INLINE)
    killed_in_stage_2(older, words, recipe)
    first, second = (folder(recipe, stage) for stage in (1, 2))
    assert not (second / "DONE").exists()

    listed = launch("status", cwd=tmp_path)
    assert "2 runs" in listed.told
    assert "tiny-layalign" in listed.told
    gone_on = launch(*words, cwd=tmp_path)
    assert gone_on.returncode == 0, gone_on.told
    assert f"already done: {first}" in gone_on.told
    (resumed,) = events(second, "resumed")
    assert resumed["step"] >= 5
    assert launch(*words, "--runs", tmp_path / "anew", cwd=tmp_path).returncode == 0
    anew = tmp_path / "anew" / second.name
    assert trajectory(second) == trajectory(anew)
    assert all((value == weights(anew)[name]).all() for name, value in weights(second).items())

    asked = ("evaluate", "--run", second.name, "--data", world / "data", *INLINE, "--benchmark", "mini")
    told = launch(*asked, cwd=tmp_path)
    assert told.returncode == 0, told.told
    assert launch("results", second.name, cwd=tmp_path).returncode == 0


def test_a_grid_of_the_version_before_is_reported_and_only_what_is_missing_is_done(older, recipe, world):  # noqa: F811
    base = recipe.parent
    variants = {"LayAlign": None, "LLM": {"model.method": "llm"}}
    page = {"name": "parts", "recipe": str(recipe), "variants": variants}
    page["evaluate"] = {"benchmarks": ["mini"], "languages": ["sw", "en"]}
    (base / "parts.yaml").write_text(yaml.safe_dump(page, sort_keys=False))
    words = ("ablate", "--grid", base / "parts.yaml", "--data", world / "data", *INLINE)
    status, printed = launch_older(older, *words, cwd=base)
    assert status == 0, printed
    grid = GridFolder(base / "runs", "parts")
    cells = wanted_cells(grid)
    assert all(cell.done() for cell in cells)
    status, before = launch_older(older, "results", "parts", cwd=base)
    assert status == 0, before
    starts = {cell.name: len(read_jsonl(cell.folder.starts)) for cell in cells}

    after = launch("results", "parts", cwd=base)
    assert after.returncode == 0, after.told
    assert table(before) == table(after.told)
    undone = next(cell for cell in cells if cell.job == "evaluate")
    undone.folder.done.unlink()
    again = launch(*words, "--yes", cwd=base)
    assert again.returncode == 0, again.told
    assert all(cell.done() for cell in wanted_cells(grid))
    begun_again = {cell.name for cell in cells if len(read_jsonl(cell.folder.starts)) != starts[cell.name]}
    assert begun_again == {undone.name}
    assert "parts" in launch("status", cwd=base).told


def table(text: str) -> list[list[str]]:
    """Cells of the rows that show figures."""
    rows = [line.split() for line in text.splitlines()]
    return [row for row in rows if len(row) > 2 and row[0] in ("LayAlign", "LLM") and row[1][0].isdecimal()]
