"""What `DONE` stands for is lost, in every way: said, not believed, and made again by the same command, just that."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from cluster.files import read_jsonl, sha256_of_head
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunFolder
from jobs.cell.answers import read_answers
from jobs.cell.cell import Cell, wanted_cells
from jobs.results.output import REPORT
from tests.jobs.grid.test_slot import ablate
from tests.warm import ROOT, Python
from tests.world import launch, write_recipe


@pytest.fixture(scope="module")
def base(world, tmp_path_factory):
    """A grid that is done; each test leaves it so."""
    base = tmp_path_factory.mktemp("lost")
    write_recipe(world, base, epochs=2)
    told = ablate(base, world, "--inline")
    assert told.returncode == 0, told.told
    return base


@pytest.fixture
def grid(base):
    return GridFolder(base / "runs", "parts")


def show(base: Path, *words: str) -> str:
    told = launch(*words, "--runs", base / "runs", cwd=base)
    assert "Traceback" not in told.told
    return told.told


def known(cells: list[Cell]) -> dict[str, dict[str, str]]:
    """What every cell has answered, by item."""
    return {
        cell.name: {line["id"]: line["output"] for line in read_answers(cell.folder)}
        for cell in cells
        if cell.job == "evaluate"
    }


def flip(path: Path, place: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def lose_all(cell):
    os.truncate(cell.folder.answers, 0)
    return 8


def lose_last(cell):
    lines = cell.folder.answers.read_bytes().splitlines(keepends=True)
    cell.folder.answers.write_bytes(b"".join(lines[:-1]))
    return 1


def rename_one(cell):
    content = cell.folder.answers.read_bytes()
    cell.folder.answers.write_bytes(content.replace(b'"id": "m', b'"id": "n', 1))
    return 1


def damage_one(cell):
    content = cell.folder.answers.read_bytes()
    flip(cell.folder.answers, content.index(b'"output": "') + 11, 1)
    return 1


def damage_done(cell):
    flip(cell.folder.done, cell.folder.done.read_bytes().index(b'"items": 8') + 9)
    return 0


def damage_asked(cell):
    (asked,) = cell.folder.path.glob("asked-*.json")
    flip(asked, asked.read_bytes().index(b'"question": "') + 14)
    return 0


def delete_answers(cell):
    cell.folder.answers.unlink()
    return 8


def empty_done(cell):
    os.truncate(cell.folder.done, 0)
    return 0


def delete_asked(cell):
    (asked,) = cell.folder.path.glob("asked-*.json")
    asked.unlink()
    return 0


def delete_cell(cell):
    shutil.rmtree(cell.folder.path)
    return 8


def swap_two(cell):
    """Two lines exchanged: every answer is there, and none is asked again."""
    lines = cell.folder.answers.read_bytes().splitlines(keepends=True)
    cell.folder.answers.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))
    return 0


def lose_first(cell):
    """Lost, but a line twice: size and number are as they were told."""
    lines = cell.folder.answers.read_bytes().splitlines(keepends=True)
    cell.folder.answers.write_bytes(b"".join([lines[1], *lines[1:]]))
    return 1


@pytest.mark.parametrize(
    "faults",
    [
        (lose_all, lose_last, rename_one, damage_one, damage_done, damage_asked),
        (delete_answers, empty_done, delete_asked, delete_cell, swap_two, lose_first),
    ],
)
def test_answers_that_are_lost_are_named_and_they_alone_are_asked_again(base, world, grid, faults):
    cells = [cell for cell in wanted_cells(grid) if cell.job == "evaluate"]
    assert len(cells) == len(faults)
    before = known(cells)
    lost = {cell.name: fault(cell) for fault, cell in zip(faults, cells)}
    left = {cell.name: len(read_jsonl(cell.folder.answers)) for cell in cells}
    assert "Traceback" not in show(base, "status")
    marked = show(base, "results", "parts")
    for cell in cells:
        whole = cell.name not in lost or (not lost[cell.name] and len(read_answers(cell.folder)) == 8)
        assert whole or f"{cell.language}-0" in marked
    assert marked.count("missing:") >= sum(bool(count) for count in lost.values())
    told = ablate(base, world, "--inline")
    assert told.returncode == 0, told.told
    assert known(cells) == before
    added = {cell.name: len(read_jsonl(cell.folder.answers)) - left[cell.name] for cell in cells}
    assert added == lost
    assert all(cell.done() and not cell.folder.damage() for cell in cells)


def test_the_same_command_on_a_whole_grid_asks_nothing_and_tells_of_no_loss(base, world, grid):
    cells = wanted_cells(grid)
    before = {cell.name: sha256_of_head(cell.folder.result.path) for cell in cells}
    told = ablate(base, world, "--inline")
    assert told.returncode == 0, told.told
    assert "asked again" not in told.told
    assert "made again" not in told.told
    assert {cell.name: sha256_of_head(cell.folder.result.path) for cell in cells} == before


def trained(grid: GridFolder, stage: int = 2) -> RunFolder:
    return next(
        run
        for cell in wanted_cells(grid)
        if cell.job == "train" and (run := RunFolder(Path(cell.run))).stage == stage
    )


@pytest.mark.parametrize("fault", ["gone", "empty", "cut", "moved"])
def test_a_bridge_that_is_lost_under_DONE_is_made_again_from_the_last_checkpoint(base, world, grid, fault):
    run = trained(grid)
    weights, before = run.bridge / "bridge.safetensors", sha256_of_head(run.bridge / "bridge.safetensors")
    answers = known(wanted_cells(grid))
    steps = len(read_jsonl(run.metrics))
    if fault == "gone":
        weights.unlink()
    elif fault == "moved":
        run.bridge.rename(run.path / "elsewhere")
    else:
        os.truncate(weights, 0 if fault == "empty" else 100)
    assert not run.is_done()
    assert run.state() == "interrupted"
    said = "its bridge is missing" if fault in ("gone", "moved") else "its bridge is damaged"
    assert said in " ".join(show(base, "status").split())
    assert said in show(base, "missing", "parts")
    told = ablate(base, world, "--inline")
    assert told.returncode == 0, told.told
    assert said in told.told
    assert run.is_done()
    assert sha256_of_head(weights) == before
    assert len([r for r in read_jsonl(run.metrics) if "digest" in r]) <= steps
    assert known(wanted_cells(grid)) == answers


def test_a_bridge_that_is_damaged_at_its_size_is_found_by_whoever_uses_it(base, world, grid):
    run = trained(grid)
    weights, before = run.bridge / "bridge.safetensors", sha256_of_head(run.bridge / "bridge.safetensors")
    flip(weights, weights.stat().st_size - 9, 3)
    assert run.is_done(), "nobody has read it"
    cell = next(c for c in wanted_cells(grid) if c.job == "evaluate" and c.run == str(run.path))
    cell.folder.answers.unlink()
    told = ablate(base, world, "--inline")
    assert told.returncode == 0, told.told
    assert "its bridge is damaged" in told.told
    assert sha256_of_head(weights) == before
    assert cell.done()


def test_a_run_whose_folder_is_gone_is_trained_again(base, world, grid):
    run = trained(grid)
    before = sha256_of_head(run.bridge / "bridge.safetensors")
    shutil.rmtree(run.path)
    told = ablate(base, world, "--inline")
    assert told.returncode == 0, told.told
    assert sha256_of_head(run.bridge / "bridge.safetensors") == before
    assert all(cell.done() for cell in wanted_cells(grid))


@pytest.mark.parametrize("at", ["DONE", "bridge"])
def test_train_makes_a_lost_bridge_anew_and_refuses_one_that_it_would_start_from(base, world, grid, at):
    first = trained(grid, 1)
    weights = first.bridge / "bridge.safetensors"
    before = sha256_of_head(weights)
    flip(weights, weights.stat().st_size - 9, 3)
    if at == "DONE":
        flip(first.done, first.done.read_bytes().index(b'"step"') + 2)
    words = ("--recipe", base / "tiny.yaml", "--data", world / "data", "--cluster", "local", "--inline")
    second = launch(
        "train", *words, "--runs", base / "runs", "--stage", "2", "--force", "--dry-run", cwd=base
    )
    assert second.returncode == 2
    assert "damaged" in second.told
    told = launch("train", *words, "--runs", base / "runs", "--stage", "1", cwd=base)
    assert told.returncode == 0, told.told
    assert "made anew" in told.told
    assert sha256_of_head(weights) == before
    assert json.loads((first.bridge / "bridge.json").read_text())["sha256"] == before
    assert json.loads(first.done.read_text())["stands_for"]["sha256"] == before


KILLED = """
import os, sys
import {module} as module
setattr(module, {name!r}, lambda *words, **named: os.kill(os.getpid(), 9))
sys.argv = ["launch.py", *{words!r}]
import launch
sys.exit(launch.main())
"""


def killed(base: Path, module: str, name: str, words: list[str]) -> Python:
    """A command that is ended by SIGKILL where it would call something."""
    text = KILLED.format(module=module, name=name, words=words)
    environ = {**os.environ, "LAYALIGN_CACHE": str(base / "cache"), "OMP_NUM_THREADS": "1"}
    process = Python("-c", text, cwd=base, env={**environ, "PYTHONPATH": str(ROOT)})
    assert process.wait(300) == -9, process.told
    return process


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("cluster.run.completion", "sync_file"),
        ("cluster.run.completion", "write_record"),
        ("jobs.work.train", "sync_tree"),
        ("jobs.work.train", "sync_folder"),
        ("shutil", "rmtree"),
    ],
)
def test_a_training_that_is_killed_while_it_hands_on_ends_in_the_same_bridge(base, grid, module, name):
    run = trained(grid, 1)
    weights = run.bridge / "bridge.safetensors"
    before = sha256_of_head(weights)
    os.truncate(weights, 7)
    words = ["train", "--recipe", str(base / "tiny.yaml"), "--runs", str(base / "runs"), "--stage", "1"]
    words += ["--data", str(base), "--cluster", "local", "--inline"]
    killed(base, module, name, words)
    assert not run.is_done()
    told = launch(*words, cwd=base)
    assert told.returncode == 0, told.told
    assert run.is_done()
    assert not run.damage()
    assert sha256_of_head(weights) == before


@pytest.mark.parametrize("name", ["sync_file", "write_record"])
def test_a_cell_that_is_killed_before_DONE_asks_nothing_again(base, world, grid, name):
    cell = next(cell for cell in wanted_cells(grid) if cell.job == "evaluate")
    lines = cell.folder.answers.read_bytes()
    cell.folder.done.unlink()
    words = ["ablate", "--grid", str(base / "parts.yaml"), "--runs", str(base / "runs"), "--inline", "--yes"]
    words += ["--data", str(world / "data"), "--cluster", "local"]
    killed(base, "cluster.run.completion", name, words)
    assert not cell.done()
    assert ablate(base, world, "--inline").returncode == 0
    assert cell.done()
    assert cell.folder.answers.read_bytes() == lines


def test_a_slot_that_is_killed_between_the_last_DONE_and_the_report_leaves_it_to_the_next(base, world, grid):
    cell = next(cell for cell in wanted_cells(grid) if cell.job == "evaluate")
    cell.folder.done.unlink()
    report = grid.results / REPORT
    report.unlink()
    words = ["ablate", "--grid", str(base / "parts.yaml"), "--runs", str(base / "runs"), "--inline", "--yes"]
    words += ["--data", str(world / "data"), "--cluster", "local"]
    killed(base, "jobs.grid.conclude", "write_results", words)
    assert all(cell.done() for cell in wanted_cells(grid))
    assert not report.exists()
    assert ablate(base, world, "--inline").returncode == 0
    assert report.exists()


def test_tables_are_made_by_whoever_comes_next_where_the_last_job_died_before_them(base, grid):
    from jobs.grid.conclude import conclude

    tables = list((base / "runs").glob("*/results/mini/table.*"))
    for path in [grid.results / REPORT, *tables]:
        path.unlink()
    conclude(grid)
    assert (grid.results / REPORT).exists()
    assert all(path.exists() for path in tables)
    made = (grid.results / REPORT).stat().st_mtime_ns
    conclude(grid)
    assert (grid.results / REPORT).stat().st_mtime_ns == made, "what is not older is left"


def test_a_cell_whose_damaged_lease_may_be_somebodys_is_told_and_no_success(base, world, grid):
    cell = next(cell for cell in wanted_cells(grid) if cell.job == "evaluate")
    before = known(wanted_cells(grid))
    for path in (cell.folder.done, cell.folder.answers):
        path.unlink()
    (lease,) = cell.folder.path.glob("lease/*.json")
    os.truncate(lease, 40)
    told = ablate(base, world, "--inline")
    assert told.returncode == 1, told.told
    assert f"not done: {cell.name}" in told.told
    assert f"whose lease {lease} is damaged" in told.told
    lease.unlink()
    told = ablate(base, world, "--inline")
    assert told.returncode == 0, told.told
    assert known(wanted_cells(grid)) == before
