"""What a login node sees of a data set, small (read whole) and large (looked at quickly)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from layalign.config import DataConfig
from layalign.data import check
from layalign.data.check import check_data
from tests.timing import slowness
from tests.world import ROOT

pytestmark = pytest.mark.core


@pytest.fixture(params=["small", "large"])
def large(request, monkeypatch):
    """Whether the files count as large."""
    if request.param == "large":
        monkeypatch.setattr(check, "WHOLE", 0)
        monkeypatch.setattr(check, "HEAD", 300)
        monkeypatch.setattr(check, "END", 60)
    return request.param == "large"


def config(reader, path, *languages, **fields):
    told = {"languages": languages or ("sw",), "max_source": 9, "max_target": 9, **fields}
    return DataConfig(reader=reader, path=str(path), **told)


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def pair(folder, code, sources, targets):
    write(folder / f"en-{code}/train.{code}", *sources)
    write(folder / f"en-{code}/train.en", *targets)


def test_whole_data_have_no_obstacle_and_are_counted(tmp_path, large):
    pair(tmp_path, "sw", ["moja", "", "tatu"], ["one", " \t", "three"])
    pair(tmp_path, "bn", ["এক"], ["one"])
    found = check_data(config("lego", tmp_path, "sw", "bn"), None)
    assert (found.obstacles, found.rows, found.passed_over) == ((), {"sw": 2, "bn": 1}, 1)
    assert str(found) == "sw 2, bn 1, and 1 blank on both sides"
    assert check_data(config("lego", tmp_path, "sw", limit=1), None).rows == {"sw": 1}
    write(tmp_path / "sw.tsv", "moja\tone", "mbili\ttwo")
    found = check_data(config("tsv", tmp_path), None)
    assert (found.obstacles, found.rows) == ((), {"sw": 2})


def test_a_file_that_has_changed_is_looked_at_again(tmp_path, large):
    pair(tmp_path, "sw", ["moja"], ["one"])
    assert check_data(config("lego", tmp_path), None).rows == {"sw": 1}
    pair(tmp_path, "sw", ["moja", "mbili"], ["one", "two"])
    assert check_data(config("lego", tmp_path), None).rows == {"sw": 2}


def test_every_language_tells_its_obstacle(tmp_path, large):
    pair(tmp_path, "sw", ["moja", "", "tatu", "nne"], ["one", "two", "", "four"])
    pair(tmp_path, "bn", ["এক"], ["one", "two"])
    pair(tmp_path, "yo", [], [])
    found = check_data(config("lego", tmp_path, "sw", "bn", "yo", "ha"), None).obstacles
    assert len(found) == 4
    for told, parts in zip(
        found,
        [
            ("train.sw:2: empty source", "the first of 2 bad rows", "train.en:3: empty target"),
            ("train.bn has 1 lines", "train.en has 2"),
            ("has no rows for Yoruba; ",),
            ("one folder must be named en-ha; found none",),
        ],
    ):
        assert all(part in told for part in parts), told


def test_blank_lines_beyond_the_limit_do_not_count(tmp_path, large):
    pair(tmp_path, "sw", ["moja", "", "tatu", ""], ["one", "", "three", "four"])
    assert check_data(config("lego", tmp_path, limit=2), None).obstacles == ()
    assert "train.sw:4" in check_data(config("lego", tmp_path, limit=3), None).obstacles[0]


@pytest.mark.parametrize("row", ["mbili two", "mbili\t", "\ttwo", "a\tb\tc", " \ttwo"])
def test_a_bad_row_of_a_table_is_found(tmp_path, large, row):
    write(tmp_path / "sw.tsv", *["moja\tone"] * 5, row, "tatu\tthree")
    (told,) = check_data(config("tsv", tmp_path), None).obstacles
    assert "sw.tsv:6: " in told


def test_a_header_that_names_other_columns_is_found(tmp_path, large):
    write(tmp_path / "sw.tsv", "question\tanswer\tid", "moja\tone\t1", "mbili\ttwo\t2")
    (told,) = check_data(config("tsv", tmp_path), None).obstacles
    assert "a header of question, answer, id" in told
    assert not check_data(config("tsv", tmp_path, columns=("question", "answer")), None).obstacles


ROWS = [{"query": f"swali {n}", "response": f"answer {n}", "lang": "Swahili"} for n in range(20)]


@pytest.mark.parametrize("as_list", [True, False])
def test_objects_are_looked_at_from_both_ends(tmp_path, large, as_list):
    def written(rows):
        text = json.dumps(rows, indent=1) if as_list else "\n".join(map(json.dumps, rows)) + "\n"
        (tmp_path / "math.json").write_text(text)
        return text

    data = config("math", tmp_path / "math.json")
    text = written(ROWS)
    assert check_data(data, None).obstacles == ()
    assert check_data(data, None).rows == ({} if large else {"sw": 20})
    (tmp_path / "math.json").write_text(text[:-30])
    (told,) = check_data(data, None).obstacles
    assert "math.json" in told
    written([ROWS[0], {"query": "swali", "lang": "Swahili"}, *ROWS[2:]])
    assert "no `response`" in check_data(data, None).obstacles[0]
    written([ROWS[0], {**ROWS[1], "query": " "}, *ROWS[2:]])
    assert "empty source" in check_data(data, None).obstacles[0]


def test_an_empty_file_of_objects_is_an_obstacle(tmp_path, large):
    write(tmp_path / "rows.jsonl")
    (told,) = check_data(config("jsonl", tmp_path / "rows.jsonl"), None).obstacles
    assert "has no rows for Swahili" in told


def test_what_is_not_on_disk_is_left_to_the_training(tmp_path):
    path = tmp_path / "math.json"
    with path.open("wb") as file:
        file.truncate(500_000_000)
    assert check_data(config("math", path), None).obstacles == ()


def test_a_missing_folder_and_a_wrong_language_are_obstacles(tmp_path):
    (told,) = check_data(config("lego", "pairs"), None).obstacles
    assert "give --data FOLDER" in told
    (told,) = check_data(config("lego", tmp_path, "Klingon"), None).obstacles
    assert "unknown language 'Klingon'" in told
    assert "more than once" in check_data(config("hub", "a/b", "sw", "Swahili"), None).obstacles[0]


def test_the_papers_first_stage_is_looked_at_in_a_moment(tmp_path):
    codes = ("bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es")
    for code in codes:
        lines = [f"{code} sentence {n} " + "x" * 100 for n in range(100_000)]
        pair(tmp_path, code, lines, lines)
    code = (
        "import sys, time; from layalign.config import DataConfig; from layalign.data.check import check_data\n"
        f"data = DataConfig(reader='lego', path={str(tmp_path)!r}, languages={codes}, max_source=9, max_target=9)\n"
        "began = time.process_time(); found = check_data(data, None); print(time.process_time() - began)\n"
        "assert not found.obstacles and set(found.rows.values()) == {100_000}\n"
        "assert not {'torch', 'datasets', 'transformers', 'numpy', 'pyarrow'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(ran.stdout) / slowness() < 0.4  # 0.12 where nothing else runs
