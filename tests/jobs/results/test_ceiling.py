"""What the LLM reaches without a bridge: which run tells it, on which items, and what is said where none does."""

from __future__ import annotations

import csv
import dataclasses
import io
import shlex

import pytest
from rich.console import Console

from cluster.files import read_record
from jobs.cell.asked import Asked, AskedItem
from jobs.cell.cell import Cell
from jobs.cli.parser import parse
from jobs.recipe.plan import load_recipe, plan_run
from jobs.results.ceiling import command, llm_of
from jobs.results.collect import collect
from jobs.results.output import write_results
from jobs.results.points import points_of_grid
from jobs.results.tables import print_table
from layalign.recipe import resolve
from tests.jobs.results.test_output import LANGUAGES, figures, replace, small, table
from tests.jobs.synthetic_results import answers, write_cell

ENGLISH, SWAHILI, OURS = ([n < count for n in range(20)] for count in (16, 8, 12))


def fill(grid, label, **by_code):
    for code in LANGUAGES:
        replace(grid, label, 0, code, answers("mgsm", code, by_code.get(code, by_code["others"])))


def notes(grid):
    return "\n".join(table(grid).notes)


def llm_run(root, right, *overrides, tokens=512, asked=False, languages=("sw", "en")):
    """A run of the LLM alone, in no grid."""
    told = ["model.method=llm", "evaluation.benchmarks=[mgsm]", *overrides]
    run = plan_run(load_recipe("math"), 2, told, root)
    run.run.create(run.config.to_dict())
    for code in languages:
        place = {"run": str(run.run.path), "benchmark": "mgsm", "language": code, "items": 20}
        cell = Cell(job="evaluate", **place, max_new_tokens=tokens)
        write_cell(cell, answers("mgsm", code, right[code], tokens=tokens), asked=asked)
    return run.run


@pytest.fixture
def with_row(tmp_path):
    grid = small(tmp_path, variants=("LayAlign", "MetaMath"))
    fill(grid, "LayAlign", others=OURS)
    fill(grid, "MetaMath", en=ENGLISH, others=SWAHILI)
    return grid


def test_a_row_of_the_llm_alone_is_the_ceiling(with_row):
    ours = figures(with_row, "LayAlign")
    assert (ours["sw"].accuracy, ours["sw"].alone.theirs, ours["sw"].alone.items) == (60.0, 40.0, 20)
    assert ours["sw"].alone.percent == pytest.approx(150.0)
    assert (ours["sw"].english.theirs, ours["sw"].english.percent) == (80.0, pytest.approx(75.0))
    assert ours["en"].alone.percent == ours["en"].english.percent == pytest.approx(75.0)
    assert ours["Avg"].alone.theirs == pytest.approx((9 * 40 + 80) / 10)
    assert ours["Avg"].alone.percent == pytest.approx(100 * 60 / 44)
    alone = figures(with_row, "MetaMath")["sw"]
    assert (alone.alone, alone.english.percent) == (None, pytest.approx(50.0))
    assert "The LLM alone is meta-math/MetaMath-7B-V1.0 without a bridge (row MetaMath)" in notes(with_row)


def test_percent_is_of_the_items_that_both_have_answered(with_row):
    replace(with_row, "MetaMath", 0, "sw", answers("mgsm", "sw", SWAHILI)[4:12])
    told = figures(with_row, "LayAlign")["sw"].alone
    assert (told.ours, told.theirs, told.items) == (100.0, 50.0, 8)
    assert "on fewer items than the accuracy: LayAlign sw 8 of 20" in notes(with_row)


def test_an_llm_that_is_never_right_has_no_percent(with_row):
    replace(with_row, "MetaMath", 0, "sw", answers("mgsm", "sw", [False] * 20))
    told = figures(with_row, "LayAlign")["sw"].alone
    assert (told.theirs, told.percent) == (0.0, None)


def test_only_seeds_that_the_accuracy_is_of_are_compared(tmp_path):
    grid = small(
        tmp_path, variants=("LayAlign", "MetaMath"), seeds=(0, 1), missing={("LayAlign", 1, "sw"): 5}
    )
    replace(grid, "LayAlign", 0, "sw", answers("mgsm", "sw", OURS))
    told = figures(grid, "LayAlign")["sw"]
    assert told.accuracy == told.alone.ours == 60.0


def test_a_run_beside_is_the_ceiling_where_no_row_is(tmp_path):
    grid = small(tmp_path)
    fill(grid, "LayAlign", others=OURS)
    run = llm_run(tmp_path, {"sw": SWAHILI, "en": ENGLISH})
    ours = figures(grid, "LayAlign")
    assert (ours["sw"].alone.theirs, ours["sw"].english.theirs) == (40.0, 80.0)
    assert (ours["de"].alone, ours["de"].english.theirs) == (None, 80.0)
    assert ours["Avg"].alone is None
    assert f"(run {run.path.name}, beside)" in notes(grid)
    console = Console(width=140, record=True, file=io.StringIO())
    print_table(table(grid), console)
    lines = [line.split() for line in console.export_text().splitlines()]
    assert ["LLM", "alone", "–", "–", "–", "–", "–", "40.0"] in [line[:8] for line in lines]
    assert ["LLM", "alone,", "in", "English", *["80.0"] * 13] in lines


@pytest.mark.parametrize(
    "told",
    [
        {"overrides": ["model.decoder=other/llm"]},
        {"overrides": ["model.decoder_revision=abc"]},
        {"tokens": 64},
        {"overrides": ["model.method=sft"]},
    ],
    ids=["decoder", "revision", "limit", "trained"],
)
def test_what_is_not_the_same_llm_is_no_ceiling(tmp_path, told):
    grid = small(tmp_path)
    overrides = told.pop("overrides", [])
    llm_run(tmp_path, {"sw": SWAHILI, "en": ENGLISH}, *overrides, **told)
    assert figures(grid, "LayAlign")["sw"].alone is None
    (line,) = [note for note in table(grid).notes if "is not known here" in note]
    assert line.endswith(
        "launch.py evaluate --benchmark mgsm -o model.method=llm model.decoder=meta-math/MetaMath-7B-V1.0 "
        "evaluation.max_new_tokens=512 model.encoder=google/mt5-xl model.precision=bf16"
    )


def test_a_damaged_run_beside_is_told_and_passed_by(tmp_path, capsys):
    grid = small(tmp_path)
    run = llm_run(tmp_path, {"sw": SWAHILI, "en": ENGLISH})
    run.config.write_text("model: {decoder: [")
    assert figures(grid, "LayAlign")["sw"].alone is None


def test_other_questions_are_no_ceiling(tmp_path):
    grid = small(tmp_path, asked=True)
    run = llm_run(tmp_path, {"sw": SWAHILI, "en": ENGLISH}, asked=True)
    assert figures(grid, "LayAlign")["sw"].alone is not None
    (path,) = run.cell("mgsm", "sw", 0).path.glob("asked*")
    record = read_record(path)
    for item in record["items"]:
        item["question"] = "0" * 12
    path.unlink()
    items = tuple(AskedItem(**item) for item in record["items"])
    Asked(record["file"], record["checksum"], record["of"], items).write(run.cell("mgsm", "sw", 0))
    assert figures(grid, "LayAlign")["sw"].alone is None
    assert figures(grid, "LayAlign")["en"].alone is not None


def test_rows_that_are_not_the_same_items_have_no_ceiling_in_english(with_row):
    shuffled = answers("mgsm", "sw", OURS)
    for record, gold in zip(shuffled, [r["gold"] for r in reversed(answers("mgsm", "sw", OURS))]):
        record["gold"] = gold
    replace(with_row, "LayAlign", 0, "sw", shuffled)
    ours = figures(with_row, "LayAlign")
    assert (ours["sw"].english, ours["Avg"].english) == (None, None)
    assert ours["de"].english is not None


def test_two_right_answers_that_were_mended_leave_the_other_items(with_row):
    mended = answers("mgsm", "sw", OURS)
    mended[0]["gold"] = 1000.0
    replace(with_row, "LayAlign", 0, "sw", mended)
    assert figures(with_row, "LayAlign")["sw"].english.items == 19


def test_an_llm_that_was_not_asked_in_english_says_how(tmp_path):
    grid = small(tmp_path)
    llm_run(tmp_path, {"sw": SWAHILI}, languages=("sw",))
    assert "was not asked in English: launch.py evaluate --benchmark mgsm -o" in notes(grid)


def test_files_tell_the_ceiling(with_row):
    out = write_results(with_row).parent
    rows = csv.DictReader(line for line in (out / "results.csv").read_text().splitlines() if line[0] != "#")
    told = {(row["method"], row["rule"], row["column"]): row for row in rows}["LayAlign", "strict", "sw"]
    assert (told["llm"], told["percent_of_llm"], told["llm_english"]) == ("40.0", "150.0", "80.0")
    assert told["llm_run"] == points_of_grid(with_row).points[1].evaluated.path.name
    page = (out / "report.html").read_text()
    assert "% of the LLM alone" in page
    assert "LLM alone, in English" in page
    assert "% of the LLM alone" in (out / "results.md").read_text()
    assert r"\% of the LLM alone" in (out / "results.tex").read_text()


def test_the_command_that_makes_a_ceiling_is_one(with_row):
    llm = llm_of(collect(points_of_grid(with_row)).sheets[0].methods[0])
    assert llm is not None
    started, *words = shlex.split(command("mgsm", dataclasses.replace(llm, revision="abc")))
    name, typed = parse(words)
    assert (started, name, typed["benchmarks"]) == ("launch.py", "evaluate", ["mgsm"])
    config = resolve(load_recipe("math"), 2, typed["overrides"])
    assert (config.model.method, config.model.decoder_revision) == ("llm", "abc")
