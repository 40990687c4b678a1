"""AfroBench's rows, as published, under our codes and with means that are ours."""

from __future__ import annotations

import pytest

from jobs.results import published
from jobs.results.published import published_rows, published_source
from layalign.evaluation.benchmarks import find_benchmark


@pytest.mark.parametrize("name", ["afrimgsm", "afrixnli", "afrimmlu"])
def test_means_over_the_row_are_the_published_ones(name):
    table = published.TABLES[name]
    section = published._file()[f"afrobench_{name}"][table]
    page = find_benchmark(name)
    compared = 0
    for values in section.values():
        told = published._columns(page, values)
        if "Avg" in told:
            compared += 1
            assert told["Avg"] == pytest.approx(values["Avg"], abs=0.1), values
    assert compared > len(section) / 2


def test_of_each_model_the_best_prompt_stands_or_the_one_that_is_asked():
    rows = {row.label: row.percent for row in published_rows("afrimgsm")}
    assert "gemma-2-9b-it p2" in rows
    assert not any(label in rows for label in ("gemma-2-9b-it p1", "gemma-2-9b-it p3"))
    assert (rows["gemma-2-9b-it p2"]["sw"], rows["gemma-2-9b-it p2"]["om"]) == (61.6, 9.6)
    assert [label for label in rows if label.startswith("gpt-4o")] == ["gpt-4o-2024-08-07 p2"]
    asked = [row.label for row in published_rows("afrimgsm-afrobench-1")]
    assert "gemma-2-9b-it p1" in asked
    assert all(label.endswith(" p1") for label in asked)


def test_faults_of_the_published_rows_are_told_and_others_have_none():
    assert "Lingala" not in published_source("afrimgsm")
    assert "rows of the Lingala test split" in published_source("afrixnli")
    assert published_rows("mgsm") == []
    assert published_source("mgsm") == ""
