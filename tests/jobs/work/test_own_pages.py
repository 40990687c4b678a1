"""A language and a benchmark of the user's own, by YAML alone: asked, counted, shown, though the page has changed."""

from __future__ import annotations

import json
import shutil

import pytest

import launch
from cluster.files import read_json, read_jsonl
from tests.pages import forgotten  # noqa: F401
from tests.world import write_recipe

PAGE = """\
kind: benchmark
about: which of three numbers comes last
languages: [so]
declares: {so: {name: Somali, nllb: som_Latn}}
files: ["{code}.jsonl"]
layout: jsonl
columns: {question: su'aal}
answer: {kind: choice, column: jawaab, first: 0, options: [doorasho], given: text}
encoder: "{question}"
prompt: "{question}"
chance: 33.3
counts: {so: 8}
notes: [Made of the miniature's Swahili.]
"""
EACH = 8


class Place:
    """A data folder with a page, its file, and a run without a bridge."""

    def __init__(self, base, world, capsys):
        self.base, self.data, self.capsys, self.recipe = (
            base,
            base / "data",
            capsys,
            write_recipe(world, base),
        )
        (self.data / "tasks").mkdir(parents=True)
        (self.data / "ours").mkdir()
        self.page(PAGE)
        lines = (world / "data" / "mini" / "mini_sw.tsv").read_text().splitlines()[:EACH]
        self.rows = []
        for number, line in enumerate(lines):
            question, _, answer = line.partition("\t")
            options = [str(int(answer) + more) for more in (0, 1, 2)]
            self.rows.append({"su'aal": question, "doorasho": options, "jawaab": number % 3})
        self.write()

    def page(self, text):
        (self.data / "tasks" / "ours.yaml").write_text(text)

    def write(self):
        text = "".join(json.dumps(row) + "\n" for row in self.rows)
        (self.data / "ours" / "so.jsonl").write_text(text)

    def go(self, *words, status=0):
        common = ["--runs", self.base / "runs"]
        assert launch.main([*map(str, (*words, *common))]) == status
        told = self.capsys.readouterr()
        return " ".join((told.out + told.err).split())

    def evaluate(self, *words, status=0, inline=True):
        return self.go(
            "evaluate", "--recipe", self.recipe, "--benchmark", "ours", "--data", self.data,
            "-o", "model.method=llm", *["--inline"] * inline, *words, status=status,
        )  # fmt: skip

    @property
    def folder(self):
        (run,) = (self.base / "runs").glob("*-s2-*")
        return run / "results" / "ours" / "so-0"

    def lines(self):
        return list(read_jsonl(self.folder / "answers.jsonl"))


@pytest.fixture
def place(world, tmp_path, capsys):
    return Place(tmp_path, world, capsys)


def test_a_benchmark_of_ones_own_is_asked_counted_and_shown(place):
    told = place.evaluate(inline=False)  # the job is another process, which has the page by value
    assert "Guessing gives 33.3." in told
    assert "Made of the miniature's Swahili." in told
    assert "likelihood:" in told
    lines = place.lines()
    assert len(lines) == EACH
    assert all(len(line["log_likelihoods"]) == 3 for line in lines)
    assert all(line["gold"] in line["options"] for line in lines)
    assert [line["likelihood_correct"] for line in lines] == [
        line["likelihood"] == line["gold"] for line in lines
    ]
    (asked,) = place.folder.glob("asked-*.json")
    assert read_json(asked)["page"]["ours"]["languages"] == ["so"]
    shutil.rmtree(place.data)
    forget()
    told = place.go("results", "--out", place.base / "out")
    assert "ours (strict)" in told
    assert "Guessing gives 33.3." in told
    numbers = json.loads((place.base / "out" / "results.json").read_text())["numbers"]
    assert {number["rule"] for number in numbers} == {"strict", "official", "likelihood"}
    assert {number["column"] for number in numbers} == {"Avg", "so"}
    assert "Somali" in (place.base / "out" / "report.html").read_text()


def forget():
    """As another process would know only our own pages."""
    from layalign import languages
    from layalign.tasks import pages

    pages.BENCHMARKS.pop("ours"), pages.PAGES.pop("ours")
    for name in [name for name, one in languages._BY_NAME.items() if one.code == "so"]:
        languages._BY_NAME.pop(name)


def test_another_prompt_or_option_is_asked_anew_and_another_right_answer_is_not(place):
    place.evaluate()
    place.rows[2]["jawaab"] = (place.rows[2]["jawaab"] + 1) % 3
    place.write()
    assert "1 right answers have changed" in place.evaluate()
    assert len(place.lines()) == EACH
    place.rows[3]["doorasho"][0] = "99"
    place.write()
    assert "1 of 8 questions are not those that were answered" in place.evaluate()
    assert len(place.lines()) == EACH + 1
    place.page(PAGE.replace('prompt: "{question}"', 'prompt: "{question} {question}"'))
    assert "8 of 8 questions are not those that were answered" in place.evaluate()
    assert len(place.lines()) == 2 * EACH + 1


def test_a_page_that_has_changed_and_a_file_of_another_size_are_told(place):
    place.rows.pop()
    place.write()
    told = place.evaluate()
    assert "benchmark ours: 7 items in the file of so, 8 by the page" in told
    place.page(PAGE.replace("chance: 33.3", "chance: 30"))
    told = place.go("results", "--task-pages", place.data / "tasks")
    assert "7 items in the file of so, 8 by the page" in told
    assert "by another page ours than the one that is known here" in told


def test_a_broken_page_stops_who_asks_for_it_alone(place):
    place.page(PAGE.replace("layout:", "layuot:"))
    assert "unknown key layuot; did you mean layout" in place.evaluate(status=2)
    assert "mgsm" in place.go("list", "benchmarks", "--task-pages", place.data / "tasks")
    told = place.evaluate("--task-pages", place.base / "none", status=2)
    assert "does not exist; name another with --task-pages" in told
