"""Noise of seeds, the best of a column, chance, and accuracy over the answers without faults."""

from __future__ import annotations

import dataclasses
import io
import json

import pytest
from rich.console import Console

from cluster.run.grid_folder import GridFolder
from jobs.results.figures import Figure
from jobs.results.marks import BEST, chance_notes
from jobs.results.output import write_results
from jobs.results.tables import print_table
from layalign.evaluation.benchmarks import find_benchmark
from layalign.tabular import Column, Row, Strong, Table
from tests.jobs.results.test_ceiling import fill
from tests.jobs.results.test_faults import faulty
from tests.jobs.results.test_output import figures, replace, small, table
from tests.jobs.synthetic_results import answers


def right(count):
    return [number < count for number in range(20)]


def seeds(grid, label, code, *counts):
    for seed, count in enumerate(counts):
        replace(grid, label, seed, code, answers("mgsm", code, right(count)))


@pytest.fixture
def three(tmp_path) -> GridFolder:
    grid = small(tmp_path, variants=("LayAlign", "w/o Adapter", "MetaMath"), seeds=(0, 1, 2))
    seeds(grid, "LayAlign", "sw", 10, 12, 14)  # 50, 60, 70: variance 100
    seeds(grid, "w/o Adapter", "sw", 9, 9, 12)  # 45, 45, 60: variance 75
    seeds(grid, "MetaMath", "sw", 2, 2, 2)
    return grid


def test_the_noise_of_seeds_is_pooled_over_what_was_trained(three):
    told = figures(three, "w/o Adapter")["sw"]
    assert told.noise == pytest.approx(
        (2 * 87.5) ** 0.5
    )  # 13.2: the LLM alone, which has no seeds, is not in it
    assert (told.versus.mean, told.in_noise) == (pytest.approx(-10.0), True)
    assert (figures(three, "MetaMath")["sw"].in_noise, figures(three, "LayAlign")["sw"].in_noise) == (
        False,
        False,
    )
    assert told.mark.endswith("≈")
    (note,) = [note for note in table(three).notes if note.startswith("≈")]
    assert note.endswith("of seeds: LayAlign 3, w/o Adapter 3.")


def test_two_seeds_are_no_floor(tmp_path):
    grid = small(tmp_path, seeds=(0, 1))
    told = figures(grid, "w/o Adapter")["sw"]
    assert (told.noise, told.in_noise) == (None, False)
    assert not any(note.startswith("≈") for note in table(grid).notes)


def test_a_seed_that_is_not_complete_is_none_of_three(tmp_path):
    grid = small(tmp_path, variants=("LayAlign", "w/o Adapter"), seeds=(0, 1, 2), missing={
        (label, 2, "sw"): 7 for label in ("LayAlign", "w/o Adapter")
    })  # fmt: skip
    told = figures(grid, "w/o Adapter")
    assert told["sw"].noise is None
    assert told["de"].noise is not None


def test_the_best_is_alone_only_where_the_others_are_told_from_it(tmp_path):
    grid = small(tmp_path, variants=("LayAlign", "w/o Adapter", "MetaMath"))
    fill(grid, "LayAlign", others=right(12))
    fill(grid, "w/o Adapter", others=right(11), sw=right(20))
    fill(grid, "MetaMath", others=right(0), de=right(12))
    best = {label: figures(grid, label) for label in ("LayAlign", "w/o Adapter", "MetaMath")}
    assert [best[label]["sw"].best for label in best] == [False, True, False]  # 12, 20 and 0 of 20
    assert [best[label]["fr"].best for label in best] == [True, True, False]  # 12 and 11: one item
    assert [best[label]["de"].best for label in best] == [True, True, True]  # the same


def test_what_has_answered_a_part_is_not_the_best(tmp_path):
    grid = small(tmp_path, missing={("w/o Adapter", 0, "sw"): 3})
    fill(grid, "LayAlign", others=right(12))
    replace(grid, "w/o Adapter", 0, "sw", answers("mgsm", "sw", right(20))[:3])
    assert figures(grid, "w/o Adapter")["sw"].accuracy == 100.0
    assert not figures(grid, "w/o Adapter")["sw"].best
    assert not figures(grid, "LayAlign")["sw"].best  # nothing to be better than


def test_one_method_is_not_the_best_of_itself(tmp_path):
    grid = small(tmp_path, variants=("LayAlign",))
    assert not any(figure.best for figure in figures(grid, "LayAlign").values())


def test_the_best_is_bold_and_has_a_mark_on_a_terminal(tmp_path):
    grid = small(tmp_path)
    fill(grid, "LayAlign", others=right(15))
    fill(grid, "w/o Adapter", others=right(2))
    out = write_results(grid).parent
    assert "| **75.0 [53.1, 88.8]** |" in (out / "results.md").read_text()
    assert r"\textbf{75.0}" in (out / "results.tex").read_text()
    assert 'class="best"' in (out / "report.html").read_text()
    numbers = json.loads((out / "results.json").read_text())["numbers"]
    found = {(n["method"], n["column"]): n["best"] for n in numbers if n["rule"] == "strict"}
    assert (found["LayAlign", "sw"], found["w/o Adapter", "sw"]) == (True, False)
    console = Console(width=140, record=True, file=io.StringIO(), no_color=True)
    print_table(table(grid), console)
    line = next(text for text in console.export_text().splitlines() if text.startswith("LayAlign"))
    assert line.split()[1:] == [f"75.0{BEST}"] * 13


def test_bold_cells_are_escaped_as_others_are():
    shown = Table([Column("a"), Column("b", number=True)], [Row([Strong("x_1 & <y>"), Strong("1*")])])
    assert r"| **x\_1 & \<y\>** | **1\*** |" in shown.markdown()
    assert r"\textbf{x\_1 \& \textless{}y\textgreater{}} & \textbf{1*} \\" in shown.latex()


def test_accuracy_over_answers_without_faults_is_told_with_its_count(tmp_path):
    grid = small(tmp_path)
    replace(grid, "LayAlign", 0, "sw", faulty())  # 12 of 20 have a fault
    told = figures(grid, "LayAlign")["sw"]
    assert (told.healthy, told.healthy_total) == (100.0, 8)
    wrong = faulty()
    for record in wrong[12:16]:
        record["output"] = record["output"].rpartition("#### ")[0] + "#### 1000"
    replace(grid, "LayAlign", 0, "sw", wrong)
    told = figures(grid, "LayAlign")["sw"]
    assert (told.healthy, told.healthy_total) == (50.0, 8)
    text = (write_results(grid).parent / "results.md").read_text()
    assert "| accuracy without these |" in text
    assert "It is conditional: methods are compared by the accuracy" in text


def test_accuracy_without_faults_is_unknown_where_answers_do_not_tell(tmp_path):
    grid = small(tmp_path)
    old = [{k: v for k, v in r.items() if k != "tokens"} for r in answers("mgsm", "sw", right(9))]
    replace(grid, "LayAlign", 0, "sw", old)
    told = figures(grid, "LayAlign")["sw"]
    assert (told.healthy, told.healthy_total) == (None, None)


def test_chance_is_told_where_a_score_has_it_in_its_interval():
    def figure(correct, total, seeds=1):
        return Figure(100 * correct / total, by_seed=dict.fromkeys(range(seeds), 0.0),
                      correct=correct, total=total, chance=25.0)  # fmt: skip

    row = {"ln": figure(30, 100), "sw": figure(60, 100), "ee": figure(5, 100), "ha": figure(105, 300, 3)}
    assert [one.from_chance for one in row.values()] == [0, 1, -1, 1]
    assert chance_notes({"LayAlign": row})[0].endswith("does not differ from guessing: LayAlign: ln.")
    assert chance_notes({"LayAlign": row})[-1] == "By its 95 % interval is below guessing: LayAlign: ee."


def test_a_choice_among_columns_has_a_chance_without_being_told():
    page = dataclasses.replace(find_benchmark("xcopa"), chance=None)
    assert len(page.answer.options) == 2
    assert page.by_guessing == 50.0
