"""From the folders of a grid or of runs to tables and files; the page itself is tested in test_report.py."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys

import pytest
from rich.console import Console

import launch
from cluster.errors import ClusterError
from cluster.files import read_record, write_record
from cluster.run.grid_folder import GridFolder
from jobs.cell.cell import Cell
from jobs.results.collect import collect
from jobs.results.output import write_results
from jobs.results.points import answering_runs, points_of_grid, points_of_runs
from jobs.results.rows import result_table
from jobs.results.tables import made_lines, print_table
from layalign.evaluation.benchmarks import find_benchmark
from layalign.evaluation.compare import mcnemar
from tests.jobs.synthetic_results import TREE, answers, make_grid, write_cell
from tests.world import ROOT

LANGUAGES = find_benchmark("mgsm").languages
NEWER = {**TREE, "tree": "cccc3333dddd4444", "commit": "fedcba9876543210", "dirty": True}


def table(grid, rule="strict"):
    return result_table(collect(points_of_grid(grid)).sheets[0], rule)


def figures(grid, label, rule="strict"):
    return next(row for row in table(grid, rule).rows if row.label == label).figures


def replace(grid, label, seed, code, records):
    """Other answers for one cell of a grid."""
    point = next(p for p in grid.read_wanted()["points"] if (p["label"], p["seed"]) == (label, seed))
    cell = Cell(
        job="evaluate", run=point["evaluated"], benchmark="mgsm", language=code, items=20, max_new_tokens=512
    )
    (cell.folder.path / "answers.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return cell


def small(root, **told):
    return make_grid(
        root, **{"variants": ("LayAlign", "w/o Adapter"), "seeds": (0,), "items": 20, "steps": 30, **told}
    )


@pytest.fixture(scope="module")
def ablations(tmp_path_factory):
    """Three variants, two seeds; one seed of one variant lacks items, cells, or has not begun at all."""
    holes = {("w/o Adapter", 1, "ru"): 5, ("w/o Adapter", 1, "en"): -1}
    holes |= {("MetaMath", 1, code): -1 for code in LANGUAGES}
    return small(
        tmp_path_factory.mktemp("runs"),
        variants=("LayAlign", "w/o Adapter", "MetaMath"),
        seeds=(0, 1),
        missing=holes,
    )


def test_accuracies_are_counted_and_paired_by_hand(tmp_path):
    grid = small(tmp_path)
    first, second = [n < 12 for n in range(20)], [4 <= n < 11 for n in range(20)]
    for code in LANGUAGES:
        replace(grid, "LayAlign", 0, code, answers("mgsm", code, first))
        replace(grid, "w/o Adapter", 0, code, answers("mgsm", code, second, official=first))
    ours = figures(grid, "w/o Adapter")
    assert (ours["sw"].accuracy, ours["sw"].correct, ours["sw"].total) == (35.0, 7, 20)
    assert ours["Avg"].accuracy == pytest.approx(35.0)
    assert (ours["Avg"].paper, ours["sw"].paper) == (44.1, 11.6)
    assert ours["sw"].gap == pytest.approx(35 - 11.6)
    assert ours["sw"].versus.mean == pytest.approx(-25.0)
    assert (ours["sw"].versus.test, ours["sw"].versus.p) == ("McNemar", mcnemar(5, 0))
    assert ours["Avg"].versus.mean == pytest.approx(-25.0)
    assert (ours["Avg"].versus.low, ours["Avg"].versus.high) == pytest.approx(
        (ours["sw"].versus.low, ours["sw"].versus.high)
    )
    assert figures(grid, "w/o Adapter", "official")["Avg"].accuracy == pytest.approx(60.0)


def test_seeds_are_a_mean_and_a_deviation(ablations):
    figure = figures(ablations, "LayAlign")["Avg"]
    values = list(figure.by_seed.values())
    assert list(figure.by_seed) == [0, 1]
    assert figure.accuracy == pytest.approx(sum(values) / 2)
    assert figure.sd == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    row = next(row for row in table(ablations).rows if row.label == "LayAlign")
    assert (row.versus_seeds, figure.versus) == (None, None)


def test_what_is_missing_is_marked_and_never_counted_as_wrong(ablations):
    ours = figures(ablations, "w/o Adapter")
    assert (ours["ru"].missing, list(ours["ru"].by_seed)) == (15, [0])
    assert (ours["en"].missing, list(ours["en"].by_seed)) == (20, [0])
    assert (ours["Avg"].missing, list(ours["Avg"].by_seed)) == (35, [0])
    assert ours["Lrl"].missing == 0
    notes = "\n".join(table(ablations).notes)
    assert (
        "* w/o Adapter, seed 1 is not finished; answers that are missing: ru 15 of 20, en 20 of 20" in notes
    )
    assert "* MetaMath, seed 1: no answer yet" in notes


def test_a_method_without_any_answer_shows_a_dash(tmp_path):
    grid = small(tmp_path, missing={("w/o Adapter", 0, code): -1 for code in LANGUAGES})
    console = Console(width=100, record=True, file=io.StringIO())
    print_table(table(grid), console)
    row = next(line for line in console.export_text().splitlines() if line.startswith("w/o Adapter"))
    assert row.split()[2:] == ["–*"] * 13
    assert "0.0" not in row


def test_a_grid_that_has_only_begun_makes_every_file(tmp_path):
    holes = {(label, 0, code): -1 for label in ("LayAlign", "w/o Adapter") for code in LANGUAGES}
    report = write_results(small(tmp_path, missing=holes))
    assert "no answer yet" in report.read_text()
    told = json.loads((report.parent / "results.json").read_text())
    assert all(number["accuracy"] is None for number in told["numbers"])
    assert len(told["missing"]) == 20


def test_runs_that_do_not_exist_yet_are_missing_and_no_more(tmp_path):
    grid = small(tmp_path)
    for point in points_of_grid(grid).points:
        for run in {run.path for run in (*point.runs, point.evaluated)}:
            shutil.rmtree(run, ignore_errors=True)
    report = write_results(grid)
    told = json.loads((report.parent / "results.json").read_text())
    assert (told["configs"], told["code"], len(told["missing"])) == ({}, [], 24)
    assert "No run has metrics." in report.read_text()


def test_the_missing_cells_are_told_with_their_state(ablations):
    missing = collect(points_of_grid(ablations)).missing
    told = {(m.label, m.cell.language): (m.state, m.answered) for m in missing}
    assert told[("w/o Adapter", "ru")] == ("interrupted", 5)
    assert told[("MetaMath", "sw")] == ("new", 0)
    assert len(missing) == 12


def test_an_unfinished_training_is_missing_too(tmp_path):
    grid = small(tmp_path)
    run = points_of_grid(grid).points[1].evaluated
    run.done.unlink()
    (missing,) = collect(points_of_grid(grid)).missing
    assert (missing.label, missing.cell.job, missing.state) == ("w/o Adapter", "train", "interrupted")


def test_mixed_code_is_told(tmp_path):
    same = collect(points_of_grid(small(tmp_path / "same")))
    assert made_lines(same.made) == ["code: tree aaaa1111bbbb2222 of commit 0123456789"]
    mixed = collect(points_of_grid(small(tmp_path / "mixed", trees={("w/o Adapter", 0): NEWER})))
    lines = made_lines(mixed.made)
    assert lines[0] == "Mixed code: 2 states of the code have made these numbers"
    newer = next(
        line for line in lines if line.startswith("tree cccc3333dddd4444 of commit fedcba9876, changed")
    )
    assert "w/o Adapter, seed 0: answers to mgsm" in newer
    assert "LayAlign" not in newer


def test_different_limits_are_told(tmp_path):
    grid = small(tmp_path)
    wanted = json.loads(grid.wanted.read_text())
    path = grid.path / wanted["list"]
    worklist = read_record(path)
    run = wanted["points"][1]["evaluated"]
    for cell in worklist["cells"]:
        if cell["run"] == run and cell["job"] == "evaluate":
            cell |= {"max_new_tokens": 256, "items": 10}
    write_record(path, worklist)
    notes = "\n".join(table(grid).notes)
    assert "Not asked alike: tokens of an answer at most 512 (LayAlign); 256 (w/o Adapter)" in notes
    assert "Not asked alike: items of a language 20 (LayAlign); 10 (w/o Adapter)" in notes


def test_only_answers_under_the_wanted_limit_and_among_the_wanted_items_count(tmp_path):
    grid = small(tmp_path)
    old = answers("mgsm", "sw", [True] * 20, tokens=64)
    more = answers("mgsm", "sw", [False] * 20 + [True] * 30)
    replace(grid, "LayAlign", 0, "sw", [*old, *more])
    assert (figures(grid, "LayAlign")["sw"].correct, figures(grid, "LayAlign")["sw"].total) == (0, 20)


def test_a_place_that_the_paper_lacks_is_refused(tmp_path):
    grid = small(tmp_path)
    wanted = json.loads(grid.wanted.read_text())
    wanted["paper"]["mgsm"]["rows"]["LayAlign"] = "LayAlin"
    grid.wanted.write_text(json.dumps(wanted))
    with pytest.raises(ValueError, match="no row of table15, MGSM 'LayAlin'; did you mean 'LayAlign'"):
        collect(points_of_grid(grid))


def test_a_benchmark_that_was_not_asked_is_refused(ablations):
    with pytest.raises(
        ValueError, match="grid ablations: made-up numbers has no answers to msvamp: there are mgsm"
    ):
        collect(points_of_grid(ablations), ["msvamp"])
    with pytest.raises(ValueError, match="did you mean mgsm"):
        collect(points_of_grid(ablations), ["mgms"])


def test_a_grid_without_a_plan_says_so(tmp_path):
    with pytest.raises(ClusterError, match="was never submitted"):
        points_of_grid(GridFolder(tmp_path, "none"))


# -- runs without a grid


def test_runs_that_differ_by_the_seed_alone_are_one_row(tmp_path):
    root = small(tmp_path, seeds=(0, 1)).root
    choice = points_of_runs(answering_runs(root), "all")
    labels = [(point.label, point.seed) for point in choice.points]
    assert len({label for label, _ in labels}) == 2
    assert [seed for _, seed in labels] == [0, 1, 0, 1]
    sheet = collect(choice).sheets[0]
    assert sheet.reference.paper["Avg"] == 59.0
    assert [bool(method.paper) for method in sheet.methods].count(True) == 1


def test_the_curves_of_a_run_are_those_of_both_stages(tmp_path):
    root = small(tmp_path).root
    trainings = collect(points_of_runs(answering_runs(root), "all")).trainings
    assert sorted(training.run.stage for training in trainings) == [1, 1, 2, 2]


def test_a_run_lacks_what_others_have_answered(tmp_path):
    grid = small(tmp_path, missing={("w/o Adapter", 0, "ru"): 5})
    results = collect(points_of_runs(answering_runs(grid.root), "all"))
    (missing,) = results.missing
    assert (missing.cell.language, missing.answered, missing.cell.items) == ("ru", 5, 20)


def test_a_run_lacks_shares_that_it_has_begun_in_another_language(tmp_path):
    grid = small(tmp_path)
    run = points_of_grid(grid).points[0].evaluated
    second = Cell(
        job="evaluate",
        run=str(run.path),
        benchmark="mgsm",
        language="sw",
        shard=1,
        items=7,
        max_new_tokens=512,
    )
    write_cell(second, answers("mgsm", "sw", [True] * 27)[20:])
    (point,) = points_of_runs([run], "one").points
    assert sum(cell.items for cell in point.cells if cell.language == "sw") == 27
    assert sum(cell.items for cell in point.cells if cell.language == "de") == 27
    assert len(collect(points_of_runs([run], "one")).missing) == 9


# -- files and the command


@pytest.fixture(scope="module")
def files(ablations, tmp_path_factory):
    return write_results(ablations, out=tmp_path_factory.mktemp("out")).parent


def test_csv_and_json_hold_every_number_of_both_rules(ablations, files):
    lines = [line for line in (files / "results.csv").read_text().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    numbers = json.loads((files / "results.json").read_text())["numbers"]
    assert len(rows) == len(numbers) == 2 * 3 * 13
    for row, number in zip(rows, numbers):
        assert (row["method"], row["rule"], row["column"]) == (
            number["method"],
            number["rule"],
            number["column"],
        )
        assert row["accuracy"] == ("" if number["accuracy"] is None else str(number["accuracy"]))
    ours = next(
        n for n in numbers if (n["method"], n["rule"], n["column"]) == ("w/o Adapter", "strict", "sw")
    )
    told = figures(ablations, "w/o Adapter")["sw"]
    assert (ours["accuracy"], ours["paper"], ours["reference"]) == (told.accuracy, 11.6, "LayAlign")
    assert (ours["p"], ours["test"]) == (told.versus.p, "bootstrap")


def test_json_tells_how_the_numbers_came_to_be(files):
    told = json.loads((files / "results.json").read_text())
    assert {"commit", "tree", "packages", "time"} <= set(told["provenance"])
    assert told["code"][0]["record"]["tree"] == TREE["tree"]
    assert told["configs"]["LayAlign, seed 1"]["seed"] == 1


def test_markdown_has_one_width_and_the_papers_rows(files):
    text = (files / "results.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {15}
    assert sum(line.startswith("| paper | ") for line in lines) == 3
    assert re.search(r"^\| LayAlign \| (\*\*)?\d+\.\d ± \d+\.\d(\*\*)? \|", text, re.MULTILINE)
    assert "- missing: w/o Adapter, seed 1: mgsm/ru-0, 15 of 20 answers, interrupted" in text


def test_one_seed_has_wilson_intervals_in_markdown(tmp_path):
    report = write_results(small(tmp_path))
    text = (report.parent / "results.md").read_text()
    assert re.search(
        r"^\| LayAlign \|( \d+\.\d \|){3} \d+\.\d \[\d+\.\d, \d+\.\d\] \|",
        text.replace("**", ""),
        re.MULTILINE,
    )


def test_latex_rows_have_as_many_cells_as_columns(files):
    lines = (files / "results.tex").read_text().splitlines()
    rows = [line for line in lines if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count("&") for line in rows} == {13}
    ceiling = [line for line in rows if "LLM alone" in line or "it in English" in line]
    assert len(rows) - len(ceiling) == 1 + 3 * 3
    assert lines.count(r"\end{tabular}") == 1
    assert not re.search("[†‡–±]", "\n".join(lines))


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_terminal_shows_every_number(ablations, width):
    console = Console(width=width, record=True, file=io.StringIO())
    print_table(table(ablations), console)
    lines = console.export_text().splitlines()
    (row,) = (line for line in lines if line.startswith("LayAlign "))
    told = figures(ablations, "LayAlign").values()
    assert row.split()[1:] == [f"{figure.accuracy:.1f}" for figure in told]
    assert width < 100 or max(map(len, lines)) <= 100


@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_marks_of_significance_survive_every_width(ablations, width):
    sheet = collect(points_of_grid(ablations)).sheets[0]
    table = result_table(sheet, "strict")
    console = Console(width=width, record=True, file=io.StringIO())
    print_table(table, console)
    shown = console.export_text().partition("Accuracy on")[0]
    marks = [f.versus.mark for row in table.rows for f in row.figures.values() if f.versus]
    assert {*"".join(marks)} & {"†", "‡"}
    assert (shown.count("†"), shown.count("‡")) == (marks.count("†"), marks.count("‡"))


def test_notes_wrap_at_the_terminal_and_not_at_the_table(ablations):
    table = result_table(collect(points_of_grid(ablations)).sheets[0], "strict")
    console = Console(width=160, record=True, file=io.StringIO())
    print_table(table, console)
    notes = console.export_text().partition("Accuracy on")[2].splitlines()
    assert 130 < max(map(len, notes)) <= 160
    narrow = Console(width=70, record=True, file=io.StringIO())
    print_table(table, narrow)
    told = narrow.export_text().partition("Accuracy on")[2].splitlines()
    assert max(map(len, told)) <= 70
    assert all(line.count("[") == line.count("]") for line in told), "an interval stays on a line"


def test_the_command_shows_a_grid_and_writes_beside_it(ablations, capsys):
    assert launch.main(["results", "ablations", "--runs", str(ablations.root)]) == 0
    told = capsys.readouterr().out
    assert "mgsm (strict)" in told
    assert "LayAlign" in told
    assert f"report: {ablations.results / 'report.html'}" in told.replace("\n", "")
    names = {path.name for path in ablations.results.iterdir()}
    assert names == {"results.csv", "results.json", "results.md", "results.tex", "report.html"}


def test_the_command_shows_every_run_that_has_answers(ablations, tmp_path, capsys):
    assert launch.main(["results", "--runs", str(ablations.root), "--rule", "official"]) == 0
    told = capsys.readouterr().out
    assert "mgsm (official)" in told
    assert "written with --out FOLDER" in told
    assert launch.main(["results", "--runs", str(ablations.root), "--out", str(tmp_path / "here")]) == 0
    assert (tmp_path / "here" / "report.html").is_file()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nothing"], "there is no run or grid 'nothing'"),
        (["ablatoins"], "did you mean the grid ablations?"),
        (["ablations", "--benchmark", "msvamp"], "has no answers to msvamp"),
        (["ablations", "--out", "/proc/none"], "cannot be written"),
    ],
)
def test_mistakes_are_told_in_a_line(ablations, capsys, words, told):
    assert launch.main(["results", *words, "--runs", str(ablations.root)]) == 2
    assert told in capsys.readouterr().err


def test_a_folder_without_answers_says_what_to_do(tmp_path, capsys):
    assert launch.main(["results", "--runs", str(tmp_path)]) == 2
    assert "evaluate one, or say where with --runs FOLDER" in capsys.readouterr().err


def test_results_need_nothing_heavy(ablations, tmp_path):
    code = (
        "import sys, launch\n"
        f"launch.main(['results', 'ablations', '--runs', {str(ablations.root)!r}, '--out', {str(tmp_path)!r}])\n"
        "heavy = {'torch', 'transformers', 'datasets', 'matplotlib', 'numpy', 'pandas', 'submitit'}\n"
        "assert not heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
