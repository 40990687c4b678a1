"""`why`, `logs` and `status` of a grid: where it stands, and what tells most about it."""

from __future__ import annotations

import re

import pytest

import launch
from cluster.run.grid_folder import GridFolder
from jobs.cell.cell import wanted_cells
from tests.jobs.synthetic import make_runs


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_runs(tmp_path_factory.mktemp("synthetic") / "runs", 60)


@pytest.fixture
def go(made, slurm, capsys):
    made.write_answers(slurm.folder)

    def go(*words):
        status = launch.main([*words, "--runs", str(made.root)])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return go


def test_why_of_a_grid_tells_where_it_stands_and_why_the_first_broken_work_does_not_go_on(go):
    for name in ("ablations", "abl", "ablations/"):
        status, printed = go("why", name)
        assert status == 0
        assert printed.startswith("grid ablations  ")
        assert " failed, " in printed.splitlines()[0]
        assert " of 416 cells" in " ".join(printed.split())
        assert "launch.py retry ablations" in " ".join(printed.split())
        assert printed.splitlines()[2].endswith("  failed")


def test_logs_of_a_grid_are_those_of_what_failed_first(go):
    status, printed = go("logs", "ablations", "--errors")
    assert status == 0
    first, second = printed.splitlines()[:2]
    run = first.partition("of these: run ")[2]
    assert run in second


def test_a_grid_that_is_done_leads_to_its_results(slurm, capsys, tmp_path):
    other = make_runs(tmp_path / "runs", 4).root
    grid = next(grid for name in ("ablations", "states") if (grid := GridFolder(other, name)).wanted.exists())
    for cell in wanted_cells(grid):
        cell.folder.path.mkdir(parents=True, exist_ok=True)
        cell.folder.failed.unlink(missing_ok=True)
        cell.folder.finish(items=cell.items, max_new_tokens=cell.max_new_tokens)
    status = launch.main(["why", grid.name, "--runs", str(other)])
    printed = capsys.readouterr().out
    assert status == 0
    assert f"nothing is wrong; next: python launch.py results {grid.name}" in printed


def test_a_grid_that_was_never_submitted_says_so(tmp_path, go):
    GridFolder(tmp_path / "runs", "fresh").create()
    for command in ("why", "logs"):
        assert launch.main([command, "fresh", "--runs", str(tmp_path / "runs")]) == 2


@pytest.mark.parametrize("name", ["ablations", "ablat"])
def test_status_of_a_grid_is_its_board(go, name):
    def cells(printed):
        """The board's lines, without what the clock moves between two commands."""
        return [re.sub(r"\d+(?=[smh]\b)", "#", line) for line in printed.splitlines()]

    assert cells(go("status", name)[1]) == cells(go("status", "--grid", "ablations")[1])


def test_a_cell_or_a_path_asks_the_board_for_its_run(go, made):
    run = next(path.name for path in made.root.glob("*-s2-*") if any((path / "results").glob("*/*")))
    cell = next((made.root / run / "results").glob("*/*-0"))
    for name in (f"{run} {cell.parent.name}/{cell.name}", str(made.root / run)):
        status, printed = go("status", name)
        assert status == 0
        assert run.rpartition("-")[0] in printed
