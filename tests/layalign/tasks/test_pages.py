"""Pages of YAML: what a user's page may say, what it is refused for, and how it travels by value."""

from __future__ import annotations

import pytest
import yaml

from layalign.evaluation.benchmarks import find_benchmark, read_benchmark
from layalign.languages import find, known, language
from layalign.tasks.pages import BENCHMARKS, PAGES, carried, replaced, take, use_folder
from tests.pages import forgotten  # noqa: F401

PAGE = """\
kind: benchmark
about: questions of ours
languages: [so, sw]
declares: {so: {name: Somali, nllb: som_Latn, aliases: [som]}}
names: {so: som}
files: ["{source}/test.jsonl"]
layout: jsonl
columns: {question: text.q}
answer: {kind: number, column: answers.0}
prompt: "Q: {question} {{A}}:"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tasks").mkdir()
    return tmp_path / "tasks"


def written(folder, text, name="ours"):
    (folder / f"{name}.yaml").write_text(text)
    use_folder(folder)


def test_a_page_declares_its_language_and_is_read_by_its_own_keys(folder, tmp_path):
    written(folder, PAGE)
    assert language("Somali") == language("som") == language("som_Latn") == known()[-1]
    path = tmp_path / "ours" / "som" / "test.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text('{"text": {"q": "Laba?"}, "answers": ["2", "two"]}\n')
    (item,) = read_benchmark("ours", tmp_path, ["Somali"])
    assert (item.id, item.source, item.prompt, item.gold) == ("ours-so-0001", "Laba?", "Q: Laba? {A}:", 2)


def test_a_page_travels_by_value(folder):
    written(folder, PAGE)
    told = carried(["mgsm", "ours"])
    assert list(told) == ["ours"]
    before = BENCHMARKS["ours"]
    BENCHMARKS.pop("ours"), PAGES.pop("ours")
    take(yaml.safe_load(yaml.safe_dump(told)))
    assert find_benchmark("ours") == before
    assert carried(["ours"]) == told


def test_a_page_with_one_of_our_names_replaces_it(folder):
    written(folder, PAGE.replace("{source}", "{code}"), "mgsm")
    assert "mgsm.yaml says, in place of ours" in replaced("mgsm")
    assert not replaced("msvamp")
    assert find_benchmark("mgsm").languages == ("so", "sw")
    assert list(carried(["mgsm"])) == ["mgsm"]


def test_a_page_of_languages_alone(folder):
    written(folder, "kind: languages\nlanguages: {so: {name: Somali}}\n", "mine")
    assert language("so").name == "Somali"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("kind: benchmark", "kind: benchmrk", "did you mean benchmark"),
        ("about:", "abuot:", "unknown key abuot; did you mean about"),
        ("nllb:", "nlb:", r"unknown key declares\.so\.nlb; did you mean declares\.so\.nllb"),
        ("[so, sw]", "[so, xx]", "unknown language 'xx'.*docs/YOUR_OWN.md"),
        ("[so, sw]", "[so, Swahili]", "write its code, sw"),
        ("[so, sw]", "[so, so]", "so stands twice"),
        ("[so, sw]", "[]", "languages is empty"),
        ("names: {so", "names: {am", "names names 'am'"),
        ("{question} {{", "{qestion} {{", "{qestion} in prompt stands for nothing; there are question"),
        ("{{A}}", "{A", "prompt is .*a brace that is text is doubled"),
        ("{{A}}", "{question!r}", "stands for nothing"),
        ('"Q: {question} {{A}}:"', "mth", "did you mean math"),
        ("{source}/", "{lang}/", "{lang} in files stands for nothing; there are code, name, source"),
        ("layout: jsonl", "layout: jsnl", "layout is 'jsnl'"),
        ("layout: jsonl", "layout: jsonl\nheader: [a, b]", "layout is jsonl"),
        ("so: {name: Somali", "sw: {name: Somali", "declared as Somali.* but Swahili"),
        ("aliases: [som]", "aliases: [swahili]", "but Swahili .*is known already"),
        ("answer: {kind: number,", "answer: {kind: nmber,", "answer.kind is 'nmber'"),
        ("kind: benchmark", "name: other\nkind: benchmark", "the page is called ours"),
        ("kind: benchmark", "kind: [benchmark", "no valid YAML"),
        ("layout: jsonl", "layout: jsonl\nlayout: tsv", "stands twice"),
    ],
)
def test_a_broken_page_is_told_where_it_is_asked_for(folder, old, new, told):
    assert old in PAGE
    written(folder, PAGE.replace(old, new))
    assert find_benchmark("mgsm")
    with pytest.raises(ValueError, match=told) as refusal:
        find_benchmark("ours")
    assert "ours.yaml" in str(refusal.value)


def test_a_code_that_yaml_reads_as_no_is_told(folder):
    written(folder, PAGE.replace("{so: {name: Somali", "{no: {name: Norwegian"))
    with pytest.raises(ValueError, match=r'False is no code of a language.*such as "so"'):
        find_benchmark("ours")


def test_a_folder_that_is_not_there_is_told(folder):
    with pytest.raises(ValueError, match="does not exist; name another with --task-pages or LAYALIGN_TASKS"):
        use_folder(folder / "none")


def test_a_language_that_is_declared_twice_alike_is_one(folder):
    written(folder, PAGE)
    written(folder, PAGE, "others")
    assert find("so") is find("Somali")
    assert BENCHMARKS["others"].languages == BENCHMARKS["ours"].languages
