"""Old answers to mgsm counted with and without the questions that MGSM-Rev2 replaced."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import launch
from jobs.results.collect import collect
from jobs.results.points import points_of_grid
from jobs.results.rev2 import left, read_replaced
from tests.jobs.results.test_output import small

DATA = Path(os.environ.get("LAYALIGN_DATA") or Path(__file__).parents[4] / "shared" / "data")
REAL = DATA / "mgsm_rev2" / "replaced_questions.json"


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "replaced_questions.json"
    path.write_text('{"sw": [1, 2, 250], "en": []}')
    return path


def test_numbers_are_counted_with_and_without_the_replaced(tmp_path, listed, capsys):
    grid = small(tmp_path)
    whole, without = collect(points_of_grid(grid), ["mgsm"], read_replaced(listed)).sheets
    assert (whole.title, without.title) == ("mgsm", "mgsm without the questions that MGSM-Rev2 replaced")
    assert without.paper is None
    for ours, theirs in zip(whole.methods, without.methods):
        for before, after in zip(ours.answered, theirs.answered):
            asked = {code: score.total for code, score in before.summary.scores.items()}
            told = {code: score.total for code, score in after.summary.scores.items()}
            gone = [number for number in (1, 2, 250) if number <= asked["sw"]]
            assert told == {**asked, "sw": asked["sw"] - len(gone)}
            right = sum(before.right["strict"]["sw"].values()) - sum(after.right["strict"]["sw"].values())
            assert before.summary.scores["sw"].strict - after.summary.scores["sw"].strict == right
            assert not any(score.missing for score in after.summary.scores.values())
    assert launch.main(["results", grid.name, "--runs", str(grid.root), "--rev2", str(listed)]) == 0
    assert "mgsm without the questions that MGSM-Rev2 replaced" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is no JSON"),
        ("[1]", "a list of numbers from 1 to 250"),
        ('{"sw": [0]}', "a list of numbers from 1 to 250"),
        ('{"sw": ["3"]}', "a list of numbers from 1 to 250"),
        ('{"xx": [3]}', "has 'xx'"),
    ],
)
def test_another_file_is_refused(listed, text, told):
    listed.write_text(text)
    with pytest.raises(ValueError, match=told):
        read_replaced(listed)


def test_a_list_that_is_nowhere_is_told(tmp_path, capsys, monkeypatch):
    grid = small(tmp_path)
    monkeypatch.delenv("LAYALIGN_DATA", raising=False)
    assert launch.main(["results", grid.name, "--runs", str(grid.root), "--rev2"]) == 2
    assert "name the file, or set LAYALIGN_DATA" in capsys.readouterr().err
    monkeypatch.setenv("LAYALIGN_DATA", str(tmp_path))
    assert launch.main(["results", grid.name, "--runs", str(grid.root), "--rev2"]) == 2
    assert "--rev2 names replaced_questions.json" in capsys.readouterr().err


@pytest.mark.skipif(not REAL.is_file(), reason="no mgsm_rev2 below ../shared/data")
def test_the_real_list_has_as_many_as_its_paper_says():
    replaced = read_replaced(REAL)
    counts = {
        "en": 22,
        "bn": 46,
        "de": 35,
        "es": 38,
        "fr": 45,
        "ja": 46,
        "ru": 32,
        "sw": 43,
        "te": 52,
        "th": 40,
        "zh": 43,
    }
    assert {code: len(numbers) for code, numbers in replaced.items()} == counts
    assert left(replaced, "sw", 1, 250) == 207
    assert json.loads(REAL.read_text())["en"][0] == 3
