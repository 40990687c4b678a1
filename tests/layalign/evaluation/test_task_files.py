"""Benchmarks in the layouts in which they are published, and as hand-made files of each kind of answer."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from layalign.evaluation.benchmarks import benchmark_files, read_benchmark
from layalign.tasks import pages
from tests.pages import forgotten  # noqa: F401

DATA = Path(os.environ.get("LAYALIGN_DATA") or Path(__file__).parents[4] / "shared" / "data")
PAGE = {
    "kind": "benchmark",
    "languages": ["sw"],
    "files": ["{code}.{layout}"],
    "columns": {"question": "q"},
    "prompt": "{question}",
}


def items(folder, layout, text, answer, **keys):
    pages.take({"t": {**PAGE, "layout": layout, "files": [f"sw.{layout}"], "answer": answer, **keys}})
    (folder / "t").mkdir(exist_ok=True)
    (folder / "t" / f"sw.{layout}").write_bytes(text.encode() if isinstance(text, str) else text)
    return read_benchmark("t", folder)


NUMBER = {"kind": "number", "column": "a"}
LABEL = {"kind": "label", "column": "a", "labels": ["entailment", "neutral", "contradiction"]}
LETTER = {"kind": "choice", "column": "a", "options": ["x", "y"]}


def test_a_csv_with_quotes_and_line_breaks(tmp_path):
    text = 'q,a\n"Juma said ""five"", he did\nthen six",6\nplain,"1,000"\n'
    found = items(tmp_path, "csv", text, NUMBER)
    assert [(item.id, item.source, item.gold) for item in found] == [
        ("t-sw-0001", 'Juma said "five", he did\nthen six', 6),
        ("t-sw-0002", "plain", 1000),
    ]


@pytest.mark.parametrize(
    ("told", "gold"),
    [("0", "entailment"), ("1.0", "neutral"), ("contradiction", "contradiction"), (" Neutral ", "neutral")],
)
def test_labels_are_words_or_numbers(tmp_path, told, gold):
    (item,) = items(tmp_path, "tsv", f"q\ta\nhow?\t{told}\n", LABEL)
    assert (item.gold, item.options) == (gold, tuple(LABEL["labels"]))


def test_labels_that_are_asked_for_by_other_words(tmp_path):
    answer = {**LABEL, "labels": ["True", "Neither", "False"], "values": LABEL["labels"]}
    found = items(tmp_path, "tsv", "q\ta\nw\tneutral\nn\t2\n", answer)
    assert [item.gold for item in found] == ["Neither", "False"]


def test_a_packed_table(tmp_path):
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"q": ["w", "n"], "a": [0, 2]})
    pyarrow.parquet.write_table(table, tmp_path / "packed")
    found = items(tmp_path, "parquet", (tmp_path / "packed").read_bytes(), LABEL)
    assert [(item.id, item.gold) for item in found] == [
        ("t-sw-0001", "entailment"),
        ("t-sw-0002", "contradiction"),
    ]
    with pytest.raises(ValueError, match=r"sw\.parquet cannot be read as a parquet table"):
        items(tmp_path, "parquet", b"PAR1 no", LABEL)


@pytest.mark.parametrize(
    ("answer", "row", "gold", "options"),
    [
        (LETTER, {"x": "one", "y": "two", "a": "B"}, "B", ("A", "B")),
        (LETTER, {"x": "one", "y": "two", "a": "two"}, "B", ("A", "B")),
        ({**LETTER, "first": 1}, {"x": "one", "y": "two", "a": "2"}, "B", ("A", "B")),
        ({**LETTER, "first": 0, "given": "text"}, {"x": "one", "y": "two", "a": 1}, "two", ("one", "two")),
        ({**LETTER, "options": ["all"]}, {"all": "['it''s', \"two\"]", "a": "B"}, "B", ("A", "B")),
        ({**LETTER, "options": ["all"]}, {"all": '["one", 2, 3]', "a": "C"}, "C", ("A", "B", "C")),
        (
            {**LETTER, "options": ["all"]},
            {"all": [{"text": "one"}, {"text": "A"}], "a": "A"},
            "A",
            ("A", "B"),
        ),
    ],
)
def test_options_are_columns_or_a_list(tmp_path, answer, row, gold, options):
    (item,) = items(
        tmp_path, "jsonl", json.dumps({"q": "?", **row}) + "\n", answer, prompt="{question} {A}/{B}"
    )
    assert (item.gold, item.options) == (gold, options)
    assert item.prompt.startswith("? ")


@pytest.mark.parametrize(
    ("layout", "text", "answer", "told"),
    [
        ("tsv", "q\ta\nhow?\t3\n", LABEL, r"sw\.tsv:2: the answer is '3'; .*one of .* or a number from 0 to 2"),
        ("tsv", "q\ta\nhow?\tperhaps\n", LABEL, "one of entailment, neutral, contradiction"),
        ("tsv", "q\tb\nhow?\t1\n", NUMBER, 'no `a`; a row with "q" and "a"'),
        ("csv", "q,a\nhow?,1,2\n", NUMBER, r"sw\.csv:2: 3 column"),
        ("csv", "q,q\nhow?,1\n", NUMBER, "names a column twice"),
        ("csv", "q,a\nq,a\n", NUMBER, "the header once more"),
        ("jsonl", '{"q": "?", "x": "one", "y": "", "a": "A"}\n', LETTER, "an option is ''"),
        ("jsonl", '{"q": "?", "x": "one", "y": "two", "a": "C"}\n', LETTER, "'C'; it must be one of A, B"),
        ("jsonl", '{"q": "?", "x": "same", "y": "same", "a": "same"}\n', LETTER, "'same'; it must be one of A, B"),
        ("jsonl", '{"q": "?", "all": "[1", "a": "A"}\n', {**LETTER, "options": ["all"]}, "must be a list of options"),
        ("jsonl", '{"q": "", "a": 1}\n', NUMBER, "`q` is empty"),
        ("jsonl", '{"q": "?", "a": null}\n', {"kind": "text", "column": "a"}, "it must be a text"),
        ("jsonl", '{"q": "?", "a": true}\n', LABEL, "the answer is 'True'"),
    ],
)  # fmt: skip
def test_a_row_that_is_none_is_told_with_file_line_and_rule(tmp_path, layout, text, answer, told):
    with pytest.raises(ValueError, match=told):
        items(tmp_path, layout, text, answer)


def test_all_bad_rows_are_told_at_once(tmp_path):
    with pytest.raises(ValueError, match="the first of 3 bad rows"):
        items(tmp_path, "tsv", "q\ta\nhow?\tx\nhow?\ty\nhow?\tz\n", NUMBER)


def test_a_prompt_that_asks_for_an_option_too_many(tmp_path):
    answer = {**LETTER, "options": ["all"]}
    row = json.dumps({"q": "?", "all": ["one", "two"], "a": "A"}) + "\n"
    with pytest.raises(ValueError, match=r"2 options, and a prompt asks for \{C\}"):
        items(tmp_path, "jsonl", row, answer, prompt="{question} {C}")


def test_afrimgsm_is_read_in_the_layout_of_the_hub_and_by_five_prompts(tmp_path):
    header = "question\tanswer\tanswer_number\tequation_solution\n"
    path = tmp_path / "afrimgsm" / "data" / "swa" / "test.tsv"
    path.parent.mkdir(parents=True)
    path.write_text(header + 'Juma ana 5?\t\t5\t\n"Je, 2+2?"\t\t4.0\t\n')
    found = read_benchmark("afrimgsm", tmp_path, ["swa"])
    assert [(item.id, item.gold) for item in found] == [("afrimgsm-sw-0001", 5), ("afrimgsm-sw-0002", 4)]
    (first, _) = read_benchmark("afrimgsm-afrobench-5", tmp_path, ["sw"])
    assert first.prompt.startswith("For mathematical questions provided in Swahili language.")
    assert first.source == "Juma ana 5?"


def test_several_instances_are_read_one_after_the_other(tmp_path):
    for number in range(1, 6):
        path = tmp_path / "mgsm_pro/dataset_N#/swahili/SYMBOLIC" / f"distribution_dataset_{number}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"question": f"{number}?", "answer": number}) + "\n")
    found = read_benchmark("mgsm_pro", tmp_path, ["sw"])
    assert [(item.id, item.gold) for item in found] == [(f"mgsm_pro-sw-000{n}", n) for n in range(1, 6)]
    assert len(benchmark_files("mgsm_pro", tmp_path, "sw")) == 5


def test_a_file_that_is_nowhere_is_told_with_the_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    with pytest.raises(ValueError, match=r"no file for Hausa: looked for .*masakhane/afrimgsm at 8e4268d2"):
        read_benchmark("afrimgsm", tmp_path, ["ha"])


needs_data = pytest.mark.skipif(not (DATA / "xcopa").is_dir(), reason="no data below ../shared/data")


@needs_data
def test_the_real_xcopa_is_read():
    found = read_benchmark("xcopa", DATA, ["it", "sw", "th", "vi", "zh"])
    assert set(Counter(item.language for item in found).values()) == {500}
    assert all(
        250 - 30 < count < 250 + 30 for count in Counter(i.gold for i in found if i.language == "sw").values()
    )
    assert "What is the cause?\nA. " in found[500].prompt


@needs_data
def test_the_samples_of_afrimgsm_are_read_from_a_file_in_the_published_layout(tmp_path):
    rows = [json.loads(line) for line in (DATA / "afrimgsm_sample" / "test.jsonl").read_text().splitlines()]
    for code in {row["lang"] for row in rows}:
        path = tmp_path / "afrimgsm" / code / "test.tsv"
        path.parent.mkdir(parents=True)
        lines = ["question\tanswer\tanswer_number\tequation_solution"]
        lines += [f"{row['question']}\t\t{row['answer_number']}\t" for row in rows if row["lang"] == code]
        path.write_text("\n".join(lines) + "\n")
    found = read_benchmark("afrimgsm", tmp_path, ["am", "ig", "sw", "tw", "yo"])
    by_code = Counter(row["lang"] for row in rows)
    assert sorted(Counter(item.language for item in found).values()) == sorted(by_code.values())
    golds = {item.source: item.gold for item in found}
    assert all(golds[row["question"]] == row["answer_number"] for row in rows)


@needs_data
def test_the_real_questions_that_rev2_replaced_are_read(tmp_path):
    path = tmp_path / "mgsm_rev2" / "mgsm_sw.tsv"
    path.parent.mkdir()
    lines = (DATA / "mgsm_rev2" / "sw_replaced_rows.tsv").read_text().splitlines()
    path.write_text("".join(line.partition("\t")[2] + "\n" for line in lines))
    assert len(read_benchmark("mgsm_rev2", tmp_path, ["sw"])) == len(lines)
