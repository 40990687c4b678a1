from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from layalign.evaluation.benchmarks import BENCHMARKS, find_benchmark, read_benchmark
from layalign.evaluation.scoring import official_number, strict_number
from layalign.languages import language

DATA = Path(os.environ.get("LAYALIGN_DATA") or Path(__file__).parents[4] / "shared" / "data")
PAPER = ("bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es", "en")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


@pytest.fixture
def data(tmp_path):
    for code in ("sw", "en"):
        write(tmp_path / "mgsm" / f"mgsm_{code}.tsv", f"{code}: one?\t1\n{code}: two?\t2,125\n")
    return tmp_path


def test_mgsm_gives_bare_question_and_math_prompt(data):
    items = read_benchmark("mgsm", data, ["sw", "en"])
    assert [item.id for item in items] == ["mgsm-sw-0001", "mgsm-sw-0002", "mgsm-en-0001", "mgsm-en-0002"]
    assert items[1].source == "sw: two?"
    assert items[1].prompt.endswith("### Instruction:\nsw: two?\n\n### Response: Let's think step by step.")
    assert items[1].gold == 2125


def test_languages_go_by_name_or_code(data):
    assert read_benchmark("mgsm", data, ["Swahili"]) == read_benchmark("mgsm", data, ["sw"])


def test_limit_takes_the_first_of_each_language(data):
    assert [item.id for item in read_benchmark("mgsm", data, ["sw", "en"], 1)] == [
        "mgsm-sw-0001",
        "mgsm-en-0001",
    ]


def test_the_official_tree_is_understood(tmp_path):
    write(tmp_path / "evaluation" / "mgsm" / "mgsm_sw.tsv", "q\t1\n")
    assert len(read_benchmark("mgsm", tmp_path, ["sw"])) == 1


def test_lines_end_in_line_feeds_only(tmp_path):
    write(tmp_path / "mgsm" / "mgsm_sw.tsv", "\ufeffa\u2028b?\t1\r\n\nc?\t-2.5")
    items = read_benchmark("mgsm", tmp_path, ["sw"])
    assert [(item.id, item.source, item.gold) for item in items] == [
        ("mgsm-sw-0001", "a\u2028b?", 1),
        ("mgsm-sw-0003", "c?", -2.5),
    ]


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_msvamp_is_line_delimited_under_either_name(tmp_path, ending):
    rows = [
        {"query": "english", "m_query": " Juma ana 5?", "response": "8.0"},
        {"m_query": "b", "response": "1"},
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    write(tmp_path / "msvamp" / f"test_Swahili.{ending}", lines)
    items = read_benchmark("msvamp", tmp_path, ["sw"])
    assert [(item.source, item.gold) for item in items] == [(" Juma ana 5?", 8), ("b", 1)]


def test_mini_asks_the_llm_the_question_itself(tmp_path):
    for code in BENCHMARKS["mini"].languages:
        write(tmp_path / "mini" / f"mini_{code}.tsv", "tom has 5 pens\t5\n")
    items = read_benchmark("mini", tmp_path)
    assert len(items) == 6
    assert all(item.prompt == item.source for item in items)


@pytest.mark.parametrize(
    ("name", "line", "told"),
    [
        ("mgsm/mgsm_sw.tsv", "no tab", "mgsm_sw.tsv:2: 'no tab' is not `question TAB answer`"),
        ("mgsm/mgsm_sw.tsv", "a\tb\t3", "question TAB answer"),
        ("mgsm/mgsm_sw.tsv", "\t3", "question TAB answer"),
        ("mgsm/mgsm_sw.tsv", "q\tfive", "mgsm_sw.tsv:2: the answer is 'five'; it must be one number"),
        ("mgsm/mgsm_sw.tsv", "q\tnan", "one number"),
        ("msvamp/test_Swahili.json", "{", 'test_Swahili.json:2: .* "m_query" and "response"'),
        ("msvamp/test_Swahili.json", '{"m_query": "q"}', '"m_query" and "response"'),
        ("msvamp/test_Swahili.json", "[1]", '"m_query" and "response"'),
        ("msvamp/test_Swahili.json", '{"m_query": "q", "response": null}', "one number"),
        ("msvamp/test_Swahili.json", '{"m_query": null, "response": "1"}', "m_query must be text"),
    ],
)
def test_a_malformed_line_is_named_with_its_rule(tmp_path, name, line, told):
    first = '{"m_query": "q", "response": "1"}' if "msvamp" in name else "q\t1"
    write(tmp_path / name, f"{first}\n{line}\n")
    with pytest.raises(ValueError, match=told):
        read_benchmark(name.split("/")[0], tmp_path, ["sw"])


def test_text_that_is_no_utf8_is_named(tmp_path):
    path = write(tmp_path / "mgsm" / "mgsm_sw.tsv", "")
    path.write_bytes("ñ\t1\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"mgsm_sw\.tsv.*UTF-8"):
        read_benchmark("mgsm", tmp_path, ["sw"])


def test_what_is_missing_is_named(tmp_path, data):
    with pytest.raises(ValueError, match="--data FOLDER or set LAYALIGN_DATA"):
        read_benchmark("mgsm", None)
    with pytest.raises(ValueError, match=r"no file for Thai: looked for mgsm_th.tsv in .*mgsm"):
        read_benchmark("mgsm", data, ["th"])
    with pytest.raises(ValueError, match="did you mean msvamp"):
        read_benchmark("msvam", data)
    with pytest.raises(ValueError, match="did you mean Swahili"):
        read_benchmark("mgsm", data, ["swahly"])
    with pytest.raises(ValueError, match=r"msvamp has no Telugu \(te\); it has bn, th"):
        read_benchmark("msvamp", data, ["te"])


def test_the_paper_has_ten_languages_in_two_groups():
    for name in ("mgsm", "msvamp"):
        languages = find_benchmark(name).languages
        assert languages == PAPER
        assert [language(code).group for code in languages] == ["Lrl"] * 3 + ["Hrl"] * 7


@pytest.mark.skipif(not (DATA / "mgsm").is_dir(), reason="no mgsm below $LAYALIGN_DATA or ../shared/data")
def test_the_real_mgsm_is_read():
    items = read_benchmark("mgsm", DATA)
    assert Counter(item.language for item in items) == dict.fromkeys(PAPER, 250)
    assert len({item.id for item in items}) == 2500
    golds = {code: [item.gold for item in items if item.language == code] for code in PAPER}
    assert all(gold == golds["en"] for gold in golds.values())
    assert {2125, 114200, 276000, 5600} <= set(golds["en"])
    assert all(gold == int(gold) >= 0 for gold in golds["en"])
    for gold in golds["en"]:
        assert strict_number(f"The answer is: {gold:,.0f}") == official_number(f"{gold:,.0f}") == gold
    assert len(read_benchmark("mgsm", DATA, ["te"])) == 250
