"""An answer belongs to its question, its right answer and the model that gave it; a part never stands for the whole."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest

import launch
from cluster.files import CHECKSUM, read_json, read_jsonl
from cluster.run.run_folder import RunFolder
from layalign.evaluation.scoring import STRICT_VERSION
from tests.world import write_recipe

CODES = ("bn", "th", "sw", "de", "es", "en")
EACH = 8
"""Problems of the tiny world's benchmark."""


@pytest.fixture(scope="module")
def trained(world, tmp_path_factory):
    """A recipe whose both stages are done, after one epoch each."""
    recipe = write_recipe(world, tmp_path_factory.mktemp("belonging"))
    words = ["--recipe", recipe, "--stage", "all", "--runs", recipe.parent / "runs", "--inline"]
    assert launch.main(["train", *map(str, words)]) == 0
    return recipe.parent


class Place:
    """A copy of the run, and a data folder of its own that may change."""

    def __init__(self, base: Path, world: Path, capsys):
        self.base, self.data, self.capsys = base, base / "data", capsys
        shutil.copytree(world / "data", self.data)
        (path,) = (base / "runs").glob("*-s2-*")
        self.run = RunFolder(path)
        self.results = path / "results" / "mini"

    def evaluate(self, *words: str) -> str:
        """`evaluate` with the run; what it printed."""
        common = ["--run", str(self.run.path), "--runs", str(self.base / "runs"), "--data", str(self.data)]
        status = launch.main(["evaluate", *common, "--benchmark", "mini", "--inline", *words])
        told = self.capsys.readouterr()
        assert status == 0, told.out + told.err
        return told.out

    def change(self, code: str, number: int, question: str | None = None, gold: str | None = None) -> None:
        """Another question or right answer in a line of the benchmark, counted from 1."""
        path = self.data / "mini" / f"mini_{code}.tsv"
        lines = [line.split("\t") for line in path.read_text().splitlines()]
        old = lines[number - 1]
        lines[number - 1] = [question or old[0], gold or old[1]]
        path.write_text("".join("\t".join(line) + "\n" for line in lines))

    def lines(self) -> list[dict]:
        return [line for path in self.results.glob("*/answers.jsonl") for line in read_jsonl(path)]

    def table(self, name: str = "table") -> dict:
        told = read_json(self.results / f"{name}.json")
        assert told is not None
        return told

    def scores(self) -> dict[str, dict]:
        return self.table()["methods"]["layalign"]["scores"]


@pytest.fixture
def place(trained, world, tmp_path, capsys):
    shutil.copytree(trained / "runs", tmp_path / "runs")
    capsys.readouterr()
    return Place(tmp_path, world, capsys)


@pytest.fixture
def answered(place):
    place.evaluate()
    assert len(place.lines()) == EACH * len(CODES)
    return place


def test_the_same_question_is_not_asked_twice(answered):
    answered.evaluate()
    assert len(answered.lines()) == EACH * len(CODES)


def test_a_changed_question_is_asked_again_and_no_other(answered):
    before = answered.table()["provenance"]["benchmark files"]
    answered.change("sw", 3, question="Juma ana 2 na 2", gold="4")
    told = answered.evaluate()
    new = answered.lines()[EACH * len(CODES) :]
    assert "mini/sw-0: 1 of 8 questions are not those that were answered: they are asked again" in told
    assert [line["id"] for line in answered.lines() if line["gold"] == 4 and line["id"] == "mini-sw-0003"]
    assert len(answered.lines()) == EACH * len(CODES) + 1, new
    after = answered.table()["provenance"]["benchmark files"]
    assert after["sw"] != before["sw"]
    assert {code: after[code] for code in CODES if code != "sw"} == {c: before[c] for c in CODES if c != "sw"}


def test_what_a_tokenizer_cannot_write_stands_below_the_table(place):
    place.change("sw", 3, question="Juma ana \ua549 2 na 2", gold="4")
    told = place.evaluate("--languages", "sw,en")
    assert "unknown tokens in sources: Swahili" in told or "unknown tokens in sources: sw" in told
    place.evaluate("--languages", "sw,en")
    assert launch.main(["results", str(place.run.path)]) == 0
    printed = " ".join(place.capsys.readouterr().out.split())
    assert re.search(r"cannot be written: [0-9.]+ % of the encoder's tokens \(sw\)", printed), printed
    assert "(en)" not in printed.partition("cannot be written")[2]


def test_a_changed_right_answer_is_read_anew_and_nothing_is_asked(answered):
    line = next(line for line in answered.lines() if line["id"] == "mini-de-0002")
    said = 77.0 if line["official"] is None else line["official"]
    was = answered.scores()["de"]["official"]
    answered.change("de", 2, gold=f"{said:g}" if not line["official_correct"] else "123456")
    told = answered.evaluate()
    assert (
        "mini/de-0: 1 right answers have changed: the answers are read by them, and not asked again" in told
    )
    assert len(answered.lines()) == EACH * len(CODES)
    assert abs(answered.scores()["de"]["official"] - was) == 1
    assert "right answers" not in answered.evaluate()


def test_answers_to_the_former_file_are_found_again(answered):
    shutil.copytree(answered.data, answered.base / "former")
    before = answered.scores()
    path, lines = lines_of(answered, "th")
    path.write_text("".join([*lines[1:], lines[0]]))
    answered.evaluate("--languages", "th")
    assert len(answered.lines()) == EACH * len(CODES) + EACH
    shutil.rmtree(answered.data)
    shutil.copytree(answered.base / "former", answered.data)
    answered.evaluate("--languages", "th")
    assert len(answered.lines()) == EACH * len(CODES) + EACH
    assert answered.scores() == before


def put_weights(path, content):
    """A bridge of other weights, whole: with their checksum beside them."""
    path.write_bytes(content)
    told = json.loads(path.with_name("bridge.json").read_text())
    path.with_name("bridge.json").write_text(
        json.dumps({**told, "sha256": hashlib.sha256(content).hexdigest()})
    )


def test_answers_of_another_bridge_do_not_count(answered):
    weights = answered.run.bridge / "bridge.safetensors"
    content = weights.read_bytes()
    put_weights(weights, content[:-4] + b"\x00\x00\x80\x3f")
    told = answered.evaluate("--languages", "sw")
    assert "8 answers are another model's, bridge (was " in told
    assert len(answered.lines()) == EACH * len(CODES) + EACH
    scores = answered.scores()
    assert (scores["sw"]["total"], scores["de"]["total"], scores["de"]["missing"]) == (EACH, 0, EACH)
    put_weights(weights, content)
    answered.evaluate()
    assert len(answered.lines()) == EACH * len(CODES) + EACH
    assert all(score["missing"] == 0 for score in answered.scores().values())


def test_a_copied_bridge_is_the_same_bridge(answered):
    weights = answered.run.bridge / "bridge.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    put_weights(weights, content)
    answered.evaluate()
    assert len(answered.lines()) == EACH * len(CODES)


def old(place: Place) -> None:
    """Make answers those of the version before: without what they belong to."""
    for path in place.results.glob("*/answers.jsonl"):
        kept = [
            {key: line[key] for key in line.keys() - {"question", "setup", "finish", "rule", CHECKSUM}}
            for line in read_jsonl(path)
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in kept))
        for asked in path.parent.glob("asked-*.json"):
            asked.unlink()
        done = read_json(path.parent / "DONE")
        done = {key: done[key] for key in ("time", "items", "max_new_tokens", "seconds", "device")}
        (path.parent / "DONE").write_text(json.dumps(done))


def test_answers_of_old_are_read_and_said_to_be_unchecked(answered):
    before = answered.scores()
    old(answered)
    answered.evaluate()
    assert len(answered.lines()) == EACH * len(CODES)
    after = answered.scores()
    assert all(score["unchecked"] == EACH for score in after.values())
    assert all(score["unchecked"] == 0 for score in before.values())
    counted = ("strict", "official", "total", "missing", "none", "empty", "loops", "cut")
    assert {c: [s[k] for k in counted] for c, s in after.items()} == {
        c: [s[k] for k in counted] for c, s in before.items()
    }


def test_an_answer_of_old_to_a_question_with_another_right_answer_is_asked_again(answered):
    old(answered)
    answered.change("sw", 3, question="Juma ana 2 na 2", gold="4444")
    answered.evaluate()
    assert len(answered.lines()) == EACH * len(CODES) + 1
    assert answered.scores()["sw"]["unchecked"] == EACH - 1


def test_a_part_leaves_the_table_and_the_status_whole(answered):
    whole = answered.table()
    answered.evaluate("--languages", "sw", "--limit", "3")
    assert answered.table()["methods"] == whole["methods"]
    with (answered.results / "table.csv").open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    assert {row["column"] for row in rows} == {"Avg", "Lrl", "Hrl", *CODES}
    assert [row["accuracy"] for row in rows if row["column"] == "Avg"] != ["", ""]
    assert launch.main(["status", "--runs", str(answered.base / "runs")]) == 0
    assert "6/6" in answered.capsys.readouterr().out


def test_another_limit_of_tokens_has_a_table_of_its_own(answered):
    whole = answered.table()
    answered.evaluate("--limit", "2", "-o", "evaluation.max_new_tokens=3")
    assert answered.table()["methods"] == whole["methods"]
    part = answered.table("table-3-tokens")
    assert part["methods"]["layalign"]["scores"]["sw"]["total"] == 2
    assert part["provenance"]["items"] == "first 2 of 8 (bn, de, en, es, sw, th)"
    answered.evaluate()
    assert len(answered.lines()) == EACH * len(CODES) + 2 * len(CODES)
    assert answered.table()["methods"] == whole["methods"]


def test_a_part_that_came_first_is_no_whole(place):
    place.evaluate("--languages", "sw", "--limit", "3")
    assert place.table()["provenance"]["items"] == "first 3 of 8 (sw)"
    place.evaluate("--languages", "de")
    scores = place.scores()
    assert (scores["de"]["missing"], scores["sw"]["missing"]) == (0, EACH - 3)
    place.evaluate()
    assert all((score["total"], score["missing"]) == (EACH, 0) for score in place.scores().values())
    assert "items" not in place.table()["provenance"]
    assert len(place.lines()) == EACH * len(CODES)


def test_tables_say_what_they_were_made_by(answered):
    told = answered.table()["provenance"]
    assert told["strict rule"] == f"version {STRICT_VERSION}"
    assert set(told["answered with"]) == {"decoder", "encoder", "bridge", "settings"}
    assert told["answered by"] == [f"tree {told['tree']} of commit {(told['commit'] or 'unknown')[:10]}"]
    line = answered.lines()[0]
    assert line["finish"] in ("stop", "length")
    assert line["rule"] == STRICT_VERSION


# -- ten more, invented before they were tried


def lines_of(place, code: str) -> tuple[Path, list[str]]:
    path = place.data / "mini" / f"mini_{code}.tsv"
    return path, path.read_text().splitlines(keepends=True)


def test_other_line_ends_are_no_other_question(answered):
    path, lines = lines_of(answered, "sw")
    path.write_bytes("".join(lines).replace("\n", "\r\n").encode())
    answered.evaluate()
    assert len(answered.lines()) == EACH * len(CODES)


def test_two_questions_that_changed_places_are_both_asked(answered):
    path, lines = lines_of(answered, "sw")
    lines[1], lines[4] = lines[4], lines[1]
    path.write_text("".join(lines))
    answered.evaluate()
    assert len(answered.lines()) == EACH * len(CODES) + 2
    assert [line["id"] for line in answered.lines()].count("mini-sw-0002") == 2


def test_of_a_longer_file_only_what_is_new_is_asked(answered):
    path, lines = lines_of(answered, "sw")
    path.write_text("".join([*lines, "Neema ana 3 na 4\t7\n"]))
    answered.evaluate()
    assert len(answered.lines()) == EACH * len(CODES) + 1
    score = answered.scores()["sw"]
    assert (score["total"], score["missing"]) == (EACH + 1, 0)


def test_what_a_shorter_file_lacks_counts_no_more(answered):
    path, lines = lines_of(answered, "sw")
    path.write_text("".join(lines[:5]))
    answered.evaluate()
    assert len(answered.lines()) == EACH * len(CODES)
    score = answered.scores()["sw"]
    assert (score["total"], score["missing"]) == (5, 0)


def test_a_question_beyond_the_limit_may_change(place):
    place.evaluate("--limit", "3", "--languages", "sw")
    place.change("sw", 7, question="Juma ana 2 na 2", gold="4")
    place.evaluate("--limit", "3", "--languages", "sw")
    assert len(place.lines()) == 3
    place.evaluate("--languages", "sw")
    assert len(place.lines()) == EACH
    assert [line["gold"] for line in place.lines() if line["id"] == "mini-sw-0007"] == [4.0]


def test_an_interrupted_share_goes_on_with_what_is_asked_now(answered):
    (path,) = answered.results.glob("sw-0/answers.jsonl")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:5]) + '{"id": "mini-sw')
    (path.parent / "DONE").unlink()
    kept = read_jsonl(path)
    answered.change("sw", int(kept[0]["id"][-4:]), question="Juma ana 2 na 2", gold="4")
    answered.evaluate()
    assert len(read_jsonl(path)) == 5 + (EACH - 5) + 1
    assert answered.scores()["sw"]["total"] == EACH


def test_the_same_number_written_otherwise_is_the_same_right_answer(answered):
    line = next(line for line in answered.lines() if line["id"] == "mini-sw-0002")
    answered.change("sw", 2, gold=f"{line['gold']:.1f}")
    assert "right answers" not in answered.evaluate()
    assert len(answered.lines()) == EACH * len(CODES)


def test_the_same_files_in_another_folder_are_the_same(answered):
    answered.data = answered.data.rename(answered.base / "moved")
    answered.evaluate()
    assert len(answered.lines()) == EACH * len(CODES)


def test_another_prompt_is_another_question(answered, monkeypatch):
    import dataclasses

    from layalign.evaluation.benchmarks import BENCHMARKS

    other = dataclasses.replace(BENCHMARKS["mini"], prompt="{question}!")
    monkeypatch.setitem(BENCHMARKS, "mini", other)
    told = answered.evaluate("--languages", "sw")
    assert "8 of 8 questions are not those that were answered" in told
    assert len(answered.lines()) == EACH * len(CODES) + EACH


def test_answers_outlive_a_bridge_that_was_purged(answered, capsys):
    before = answered.scores()
    shutil.rmtree(answered.run.bridge)
    answered.evaluate()
    assert answered.scores() == before
    out = answered.base / "out"
    assert (
        launch.main(
            ["results", str(answered.run.path), "--runs", str(answered.base / "runs"), "--out", str(out)]
        )
        == 0
    )
    numbers = json.loads((out / "results.json").read_text())["numbers"]
    assert all(number["missing"] == 0 for number in numbers)


def test_results_of_a_run_with_a_part_under_another_limit_are_whole(answered):
    answered.evaluate("--languages", "sw", "--limit", "2", "-o", "evaluation.max_new_tokens=3")
    out = answered.base / "out"
    assert (
        launch.main(
            ["results", str(answered.run.path), "--runs", str(answered.base / "runs"), "--out", str(out)]
        )
        == 0
    )
    told = json.loads((out / "results.json").read_text())
    assert {number["total"] for number in told["numbers"] if number["column"] in CODES} == {EACH}
    assert all(number["missing"] == 0 for number in told["numbers"])
