"""What stands beside the accuracies: answers that are none, by which rule they were read, and what they answer."""

from __future__ import annotations

import csv
import io
import json

import pytest
from rich.console import Console

from cluster.files import read_json, read_record, write_json_atomic, write_record
from jobs.cell.asked import Asked, AskedItem
from jobs.cell.cell import Cell
from jobs.results.collect import collect
from jobs.results.output import write_results
from jobs.results.points import points_of_grid, points_of_runs
from jobs.results.rows import result_table
from jobs.results.tables import print_table
from layalign.evaluation.scoring import STRICT_VERSION
from tests.jobs.results.test_output import figures, replace, small
from tests.jobs.synthetic_results import answers


def table(grid, rule="strict"):
    return result_table(collect(points_of_grid(grid)).sheets[0], rule)


def faulty(code="sw"):
    """Twenty answers: 3 without a number, of which 2 are empty, 4 loops, 5 cut at the limit."""
    records = answers("mgsm", code, [True] * 20)
    for record in records[:2]:
        record |= {"output": " ", "official_correct": False}
    records[2] |= {"output": "I do not know."}
    for record in records[3:7]:
        record["output"] = "The answer is: 7. " * 20
    for record in records[7:12]:
        record["tokens"] = 512
    return records


@pytest.fixture
def grid(tmp_path):
    grid = small(tmp_path)
    replace(grid, "LayAlign", 0, "sw", faulty())
    return grid


def test_faults_are_counted_from_the_outputs(grid):
    sw, de = (figures(grid, "LayAlign")[code] for code in ("sw", "de"))
    assert sw.faults == {"none": 15.0, "empty": 10.0, "loops": 20.0, "cut": 25.0}
    assert de.faults == dict.fromkeys(sw.faults, 0.0)
    average = figures(grid, "LayAlign")["Avg"].faults
    assert average == pytest.approx({"none": 1.5, "empty": 1.0, "loops": 2.0, "cut": 2.5})


def test_faults_stand_below_the_accuracies_wherever_there_are_any(grid, tmp_path):
    out = write_results(grid).parent
    console = Console(width=120, record=True, file=io.StringIO())
    print_table(table(grid), console)
    for text in (console.export_text(), (out / "results.md").read_text(), (out / "results.tex").read_text()):
        lines = [line for line in text.splitlines() if "cut at limit" in line and "25.0" in line]
        assert len(lines) == 1
    assert "cut at limit" in (out / "report.html").read_text()
    rows = csv.DictReader(line for line in (out / "results.csv").read_text().splitlines() if line[0] != "#")
    told = {(row["method"], row["rule"], row["column"]): row for row in rows}
    assert told["LayAlign", "strict", "sw"]["loops"] == "20.0"
    assert told["w/o Adapter", "official", "sw"]["loops"] == "0.0"


def test_how_an_answer_ended_is_unknown_where_it_does_not_say(tmp_path):
    grid = small(tmp_path)
    records = answers("mgsm", "sw", [True] * 20)
    replace(grid, "LayAlign", 0, "sw", [{k: v for k, v in r.items() if k != "tokens"} for r in records])
    figure = figures(grid, "LayAlign")["sw"]
    assert (figure.faults["cut"], figure.faults["none"]) == (None, 0.0)
    assert any("not known of some answers, or of all: cut at limit" in note for note in table(grid).notes)


def test_stored_verdicts_of_an_earlier_strict_rule_are_not_believed(tmp_path):
    grid = small(tmp_path)
    wrong = [{**r, "strict": None, "strict_correct": False} for r in answers("mgsm", "sw", [True] * 20)]
    replace(grid, "LayAlign", 0, "sw", wrong)
    assert figures(grid, "LayAlign")["sw"].accuracy == 100.0
    current = [{**record, "rule": STRICT_VERSION} for record in wrong]
    replace(grid, "LayAlign", 0, "sw", current)
    assert figures(grid, "LayAlign")["sw"].accuracy == 0.0


def test_the_version_of_the_rule_is_told(grid):
    assert f"answers read by the strict rule, version {STRICT_VERSION}." in table(grid).notes[0]
    told = json.loads((write_results(grid).parent / "results.json").read_text())
    assert told["strict_rule"] == STRICT_VERSION


def test_old_answers_are_said_to_be_unchecked(grid):
    notes = [note for note in table(grid).notes if "not checked against question and model" in note]
    assert [note.partition(":")[0] for note in notes] == ["LayAlign, seed 0; w/o Adapter, seed 0"]


def record_asked(cell, records, question):
    """Write down what a cell's answers answer, and that they do."""
    folder = cell.folder
    asked = Asked(
        "mgsm_sw.tsv", "c" * 12, 20, tuple(AskedItem(r["id"], question, r["gold"]) for r in records)
    )
    asked.write(folder)
    lines = [{**record, "question": question, "setup": "s"} for record in records]
    folder.answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_json_atomic(folder.done, {**read_json(folder.done), **asked.record(), "setup": "s"})


def test_methods_that_were_asked_other_questions_are_told(tmp_path):
    grid = small(tmp_path)
    for label, question in (("LayAlign", "a"), ("w/o Adapter", "b")):
        records = answers("mgsm", "sw", [True] * 20)
        record_asked(replace(grid, label, 0, "sw", records), records, question)
    (note,) = [note for note in table(grid).notes if "the questions of sw" in note]
    assert note.startswith("Not asked alike: the questions of sw are not the same")
    told = json.loads((write_results(grid).parent / "results.json").read_text())
    assert told["files"]["mgsm"]["LayAlign, seed 0"] == {"sw": "mgsm_sw.tsv cccccccccccc"}


def test_answers_to_other_questions_than_a_grid_asked_do_not_count(tmp_path):
    grid = small(tmp_path)
    records = answers("mgsm", "sw", [True] * 20)
    record_asked(replace(grid, "LayAlign", 0, "sw", records), records, "a")
    path = grid.path / grid.read_wanted()["list"]
    worklist = read_record(path)
    for cell in worklist["cells"]:
        if cell["language"] == "sw":
            cell["questions"] = "ffffffffffff"
    write_record(path, worklist)
    assert figures(grid, "LayAlign")["sw"].missing == 20
    assert figures(grid, "w/o Adapter")["sw"].missing == 0, "answers of old do not say what they answer"


def test_a_run_that_was_asked_a_part_under_another_limit_is_shown_whole(tmp_path):
    run = points_of_grid(small(tmp_path)).points[0].evaluated
    folder = run.cell("mgsm", "sw", 0)
    part = answers("mgsm", "sw", [False] * 3, tokens=64)
    with folder.answers.open("a") as file:
        file.writelines(json.dumps(record) + "\n" for record in part)
    before = read_json(folder.done)
    write_json_atomic(folder.done, {"items": 3, "max_new_tokens": 64, "earlier": [before]})
    (point,) = points_of_runs([run], "one").points
    assert {(cell.items, cell.max_new_tokens) for cell in point.cells} == {(20, 512)}
    assert len(point.cells) == 10


def test_a_part_of_one_language_does_not_pass_for_all_of_it(tmp_path):
    run = points_of_grid(small(tmp_path)).points[0].evaluated
    folder = run.cell("mgsm", "sw", 0)
    write_json_atomic(folder.done, {"items": 3, "max_new_tokens": 512})
    (point,) = points_of_runs([run], "one").points
    assert {cell.items for cell in point.cells if cell.language == "sw"} == {20}


def test_a_cell_is_done_by_what_it_asks():
    done = {
        "items": 3,
        "max_new_tokens": 64,
        "earlier": [{"items": 250, "max_new_tokens": 512, "questions": "q"}],
    }
    cell = Cell(
        job="evaluate", run="/r/a-s1-0123abcd", benchmark="mgsm", language="sw", items=250, max_new_tokens=512
    )
    assert cell.answered_by(done)
    assert Cell(**{**vars(cell), "questions": "q"}).answered_by(done)
    assert not Cell(**{**vars(cell), "questions": "p"}).answered_by(done)
    assert not Cell(**{**vars(cell), "max_new_tokens": 64}).answered_by(done)
    assert Cell(**{**vars(cell), "max_new_tokens": 64, "items": 3}).answered_by(done)


def test_of_a_share_that_is_smaller_than_any_just_so_many_answers_are_missing(tmp_path):
    grid = small(tmp_path, variants=("LayAlign",))
    point = points_of_grid(grid).points[0]
    cell = next(cell for cell in point.cells if cell.job == "evaluate" and cell.language == "sw")
    for path in cell.folder.path.iterdir():
        path.unlink()
    Asked("mgsm_sw.tsv", "c" * 12, 4, tuple(AskedItem(str(n), "q", 4.0) for n in range(4))).write(cell.folder)
    collected = collect(points_of_runs([point.evaluated], "one"))
    (told,) = [m for m in collected.missing if m.cell.language == "sw"]
    assert (told.cell.items, told.answered) == (4, 0)
