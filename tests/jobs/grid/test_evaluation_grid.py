"""Evaluations through a queue: what is asked later stands beside what was asked before, and takes nothing back."""

from __future__ import annotations

import pytest

import launch
from cluster.run.grid_folder import all_grids
from cluster.run.run_folder import RunFolder
from cluster.slurm.submission import Submission
from jobs.cell.cell import Worklist, wanted_cells
from layalign.evaluation.benchmarks import find_benchmark
from layalign.languages import language
from tests.login import at_home, empty_recipe


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    at_home(tmp_path, monkeypatch)
    empty_recipe(tmp_path)
    for name in ("mgsm", "msvamp"):
        benchmark = find_benchmark(name)
        (tmp_path / "data" / name).mkdir()
        for code in benchmark.languages:
            line = '{"m_query": "How many?", "response": "8.0"}' if name == "msvamp" else "How many?\t8"
            file = benchmark.files[0].format(code=code, name=language(code).name)
            (tmp_path / "data" / name / file).write_text(f"{line}\n" * 5)


@pytest.fixture
def go(tmp_path, capsys):
    """`evaluate` with the bare LLM on a cluster; gives what it printed."""

    def go(*words):
        common = [
            "--recipe",
            str(tmp_path / "tiny.yaml"),
            "-o",
            "model.method=llm",
            "--data",
            str(tmp_path / "data"),
        ]
        status = launch.main(["evaluate", *common, "--cluster", "narval", "--account", "def-prof", *words])
        printed = capsys.readouterr()
        assert status == 0, printed.out + printed.err
        return printed.out

    return go


@pytest.fixture
def grid(tmp_path):
    def grid():
        (found,) = all_grids(tmp_path / "runs")
        return found

    return grid


def asked(grid):
    return {(cell.benchmark, cell.language, cell.items) for cell in wanted_cells(grid)}


def queued(grid):
    """Cells of each array that was submitted."""
    records = [Submission.read(record) for record in grid.records()]
    return [
        {(c.benchmark, c.language, c.items) for c in Worklist.read(grid.path / r.cells).cells}
        for r in records
    ]


def test_a_part_takes_nothing_back_and_is_queued_by_what_is_queued(go, slurm, grid):
    go("--benchmark", "mgsm")
    before = asked(grid())
    printed = go("--benchmark", "mgsm", "--languages", "sw", "--limit", "3")
    assert "nothing to submit" in printed
    assert "take" not in printed
    assert not slurm.lines("cancelled")
    assert grid().withdrawn() == set()
    assert asked(grid()) == before


def test_another_benchmark_stands_beside_the_first(go, slurm, grid):
    go("--benchmark", "mgsm")
    go("--benchmark", "msvamp")
    assert {name for name, _, _ in asked(grid())} == {"mgsm", "msvamp"}
    assert not slurm.lines("cancelled")
    assert grid().read_wanted()["benchmarks"] == ["mgsm", "msvamp"]


def test_more_items_than_are_queued_are_queued_too(go, slurm, grid):
    go("--benchmark", "mgsm", "--languages", "sw", "--limit", "2")
    go("--benchmark", "mgsm", "--languages", "sw")
    assert queued(grid())[-1] == {("mgsm", "sw", 5)}
    assert asked(grid()) == {("mgsm", "sw", 5)}
    assert "nothing to submit" in go("--benchmark", "mgsm", "--languages", "sw")


def test_other_questions_than_are_queued_are_queued_too(go, slurm, grid, tmp_path):
    go("--benchmark", "mgsm", "--languages", "sw,de")
    (tmp_path / "data" / "mgsm" / "mgsm_sw.tsv").write_text("How few?\t7\n" * 5)
    go("--benchmark", "mgsm", "--languages", "sw,de")
    assert queued(grid())[-1] == {("mgsm", "sw", 5)}


def test_another_right_answer_is_no_reason_to_queue(go, slurm, grid, tmp_path):
    go("--benchmark", "mgsm", "--languages", "sw")
    (tmp_path / "data" / "mgsm" / "mgsm_sw.tsv").write_text("How many?\t9\n" * 5)
    assert "nothing to submit" in go("--benchmark", "mgsm", "--languages", "sw")


def test_a_language_that_is_named_twice_is_asked_once(go, slurm, grid):
    go("--benchmark", "mgsm", "--languages", "sw,Swahili")
    assert asked(grid()) == {("mgsm", "sw", 5)}


def test_status_counts_all_that_was_ever_asked(go, slurm, grid, tmp_path, capsys):
    go("--benchmark", "mgsm")
    for cell in wanted_cells(grid()):
        cell.folder.path.mkdir(parents=True)
        cell.folder.finish(items=cell.items, max_new_tokens=cell.max_new_tokens, seconds=1.0)
    go("--benchmark", "mgsm", "--languages", "sw", "--limit", "3")
    capsys.readouterr()
    assert launch.main(["status", "--runs", str(tmp_path / "runs")]) == 0
    assert "10/10" in capsys.readouterr().out


def test_status_counts_shares_that_the_last_plan_of_the_version_before_has_forgotten(
    go, slurm, grid, tmp_path, capsys
):
    go("--benchmark", "mgsm", "--languages", "sw")
    (sw,) = wanted_cells(grid())
    run = RunFolder(tmp_path / "runs" / sw.run_name)
    for code in find_benchmark("mgsm").languages:
        cell = run.cell("mgsm", code, 0)
        cell.path.mkdir(parents=True)
        cell.finish(items=5, max_new_tokens=sw.max_new_tokens, seconds=1.0)
    assert launch.main(["status", "--runs", str(tmp_path / "runs")]) == 0
    assert "10/10" in capsys.readouterr().out
