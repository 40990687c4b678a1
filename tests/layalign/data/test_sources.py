import json
import os
from pathlib import Path

import pytest

from layalign.config import DataConfig
from layalign.data.sources import checksums, read
from layalign.prompts import math_prompt, translation_prompt

pytestmark = pytest.mark.core

DATA = Path(os.environ.get("LAYALIGN_DATA") or Path(__file__).parents[3].parent / "shared/data")


def config(reader, path, *languages, **fields):
    return DataConfig(
        reader=reader, path=str(path), languages=languages or ("sw",), max_source=9, max_target=9, **fields
    )


def write(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    return path


def pairs(data, text=False):
    return [(example.language, example.source, example.target) for example in read(data, None, text)]


@pytest.fixture
def lego(tmp_path):
    write(tmp_path / "en-sw/train_100k.sw", "moja", "mbili")
    write(tmp_path / "en-sw/train_100k.en", "one", "two")
    write(tmp_path / "en-bn/train_100k.bn", "এক")
    write(tmp_path / "en-bn/train_100k.en", "one")
    return tmp_path


def test_lego_reads_the_languages_in_the_order_asked_for(lego):
    expected = [("bn", "এক", "one"), ("sw", "moja", "one"), ("sw", "mbili", "two")]
    assert pairs(config("lego", lego, "Bengali", "Swahili")) == expected


def test_pairs_are_found_by_the_codes_they_end_in(tmp_path):
    write(tmp_path / "tatoeba.swh-eng.swh", "moja")
    write(tmp_path / "tatoeba.swh-eng.eng", "one")
    write(tmp_path / "train.cmn", "一")
    write(tmp_path / "train.en", "one")
    write(tmp_path / "README.md", "not data")
    assert pairs(config("pairs", tmp_path, "sw", "zh")) == [("sw", "moja", "one"), ("zh", "一", "one")]


@pytest.mark.parametrize("name", ["sw.tsv", "train_sw.tsv", "a.b-swh.tsv", "Swahili.tsv"])
def test_tsv_files_are_named_after_their_language(tmp_path, name):
    write(tmp_path / name, "moja\tone")
    write(tmp_path / "bn.tsv", "এক\tone")
    assert pairs(config("tsv", tmp_path)) == [("sw", "moja", "one")]


def test_jsonl_takes_columns_and_optional_fields(tmp_path):
    first = {"q": "moja", "a": "one", "language": "Swahili", "prompt": "Say it.", "group": "g"}
    second = {"q": "এক", "a": "two", "language": "bn", "group": "g"}
    path = write(tmp_path / "rows.jsonl", first, second)
    one, two = read(config("jsonl", path, "sw", "bn", columns=("q", "a")), None, text=True)
    assert (one.source, one.target, one.language, one.prompt) == ("moja", "one", "sw", "Say it.")
    assert two.prompt == translation_prompt("এক", "Bengali")
    assert one.group == two.group


MATH = [
    {"query": "Moja?", "response": "1", "lang": "Swahili"},
    {"query": "One?", "response": "1", "lang": "English"},
    {"query": "এক?", "response": "1", "lang": "Bengali"},
    {"query": "Mbili?", "response": "2", "lang": "Swahili"},
    {"query": "Tatu?", "response": "3", "lang": "Swahili"},
]


@pytest.mark.parametrize("wrap", [lambda rows: [rows], lambda rows: [{"data": rows}], lambda rows: rows])
def test_math_takes_the_first_rows_of_each_language_and_passes_others_over(tmp_path, wrap):
    path = write(tmp_path / "math.json", *wrap(MATH))
    expected = [("sw", "Moja?", "1"), ("bn", "এক?", "1"), ("sw", "Mbili?", "2")]
    assert pairs(config("math", path, "Bengali", "Swahili", limit=2)) == expected


def test_the_prompt_is_the_readers_own_and_only_where_the_llm_reads_text(lego):
    data = config("lego", lego)
    assert {example.prompt for example in read(data, None, text=False)} == {None}
    assert next(read(data, None, text=True)).prompt == translation_prompt("moja", "Swahili")
    path = write(lego / "math.json", MATH)
    assert next(read(config("math", path), None, text=True)).prompt == math_prompt("Moja?")


def test_metamath_without_a_language_is_read_as_the_only_one_asked_for(tmp_path):
    path = write(tmp_path / "metamath.json", [{"query": "One?", "response": "1", "type": "GSM"}])
    assert pairs(config("math", path, "English")) == [("en", "One?", "1")]
    with pytest.raises(ValueError, match=f"{path}:1: no `lang`; it may be left out only where one language"):
        pairs(config("math", path, "English", "German"))


def test_parallel_translations_share_a_group(lego):
    examples = list(read(config("lego", lego, "sw", "bn"), None, text=False))
    assert examples[0].group == examples[2].group != examples[1].group


def test_limit_is_per_language(lego):
    assert pairs(config("lego", lego, "sw", "bn", limit=1)) == [("sw", "moja", "one"), ("bn", "এক", "one")]


def test_a_relative_path_lies_below_the_data_folder(lego):
    assert len(list(read(config("lego", lego.name), lego.parent, text=False))) == 2


def test_checksums_follow_content_not_place(lego, tmp_path_factory):
    moved = tmp_path_factory.mktemp("moved")
    write(moved / "en-swh/other.swh", "moja", "mbili")
    write(moved / "en-swh/other.eng", "one", "two")
    before = checksums(config("lego", lego), None)
    assert checksums(config("lego", moved), None) == before
    write(moved / "en-swh/other.swh", "moja", "mbilI")
    assert checksums(config("lego", moved), None) != before


def fails(data, *parts):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - all parts of the message are compared below
        list(read(data, None, text=True))
    for part in parts:
        assert part in str(caught.value)


def test_unequal_line_counts_name_both_files_and_counts(lego):
    write(lego / "en-sw/train_100k.en", "one", "two", "three")
    fails(config("lego", lego), "train_100k.sw has 2 lines", "train_100k.en has 3", "translation of line n")


def test_empty_lines_name_file_line_and_side(lego):
    write(lego / "en-sw/train_100k.sw", "moja", " \t")
    fails(config("lego", lego), f"{lego}/en-sw/train_100k.sw:2: empty source; ")
    write(lego / "en-sw/train_100k.sw", "moja", "mbili")
    write(lego / "en-sw/train_100k.en", "", "two")
    fails(config("lego", lego), f"{lego}/en-sw/train_100k.en:1: empty target; ")
    write(lego / "en-sw/train_100k.sw", "", "mbili")
    fails(config("lego", lego), f"{lego}/en-sw/train_100k.sw:1: empty source; ")


def test_missing_files_and_folders_are_named(lego):
    fails(config("lego", lego, "Thai"), "one folder must be named en-th; found none")
    fails(config("lego", lego / "absent"), "absent does not exist")
    fails(config("tsv", lego), "one file must be named after Swahili, e.g. sw.tsv; found none")
    fails(config("pairs", lego / "en-sw/train_100k.sw"), "is no folder")
    fails(config("jsonl", lego), "is no file; data.path of reader jsonl is one file")
    (lego / "en-sw/train_100k.en").unlink()
    fails(
        config("lego", lego), "train_100k.sw must have one twin that ends in a code of English", "found none"
    )


def test_two_files_of_one_language_are_not_chosen_between(lego):
    write(lego / "en-sw/dev.sw", "tatu")
    fails(config("lego", lego), "found dev.sw, train_100k.sw")


def test_languages_are_known_once_each_and_foreign(lego):
    fails(config("lego", lego, "Klingon"), "unknown language 'Klingon'")
    fails(config("lego", lego, "sw", "Swahili"), "names Swahili more than once")
    fails(config("lego", lego, "English"), "translated into English")


def test_malformed_rows_name_file_line_and_rule(tmp_path):
    tsv = write(tmp_path / "sw.tsv", "moja\tone", "mbili two")
    fails(config("tsv", tmp_path), f"{tsv}:2: 1 column(s); a line is source TAB target")
    path = write(tmp_path / "math.json", MATH[0], {"query": "Mbili?", "lang": "Swahili"})
    fails(config("math", path), f"{path}:2: no `response`; a row has the texts `query` and `response`")
    write(path, {"query": "Mbili?", "response": 2, "lang": "Swahili"})
    fails(config("math", path), f"{path}:1: `response` is 2; it must be text")
    write(path, {"query": "Mbili?", "response": "2", "lang": "Klingon"})
    fails(config("math", path), f"{path}:1: unknown language 'Klingon'; ")


def test_a_language_without_rows_stops_the_reading(tmp_path):
    path = write(tmp_path / "math.json", MATH)
    fails(config("math", path, "Swahili", "Thai", "French"), "has no rows for Thai, French; ")


def test_hub_reads_the_cached_commit(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    commit = "0123456789012345678901234567890123456789"
    cached = tmp_path / "datasets--someone--words"
    write(cached / f"snapshots/{commit}/train.jsonl", {"input": "moja", "output": "one", "language": "sw"})
    write(cached / f"snapshots/{commit}/test.jsonl", {"input": "mbili", "output": "two", "language": "sw"})
    (cached / "refs").mkdir()
    (cached / "refs/main").write_text(commit)
    for revision in (None, commit):
        data = config("hub", "someone/words", columns=("input", "output"), revision=revision)
        assert pairs(data) == [("sw", "moja", "one")]
    assert len(checksums(data, None)) == 2
    other = config("hub", "someone/words", revision="9" * 40)
    fails(other, "someone/words at revision 999", "not in the cache", "`prefetch`")


@pytest.mark.skipif(not (DATA / "tatoeba").is_dir(), reason=f"no tatoeba in {DATA}; set LAYALIGN_DATA")
def test_tatoeba_of_the_paper_languages():
    languages = ("bn", "th", "sw", "ja", "zh", "de", "fr", "ru", "es")
    examples = list(read(config("pairs", "tatoeba", *languages), DATA, text=False))
    counts = [sum(example.language == code for example in examples) for code in languages]
    assert counts == [1000, 548, 390, 1000, 1000, 1000, 1000, 1000, 1000]
    assert not any(text.endswith("\n") for example in examples for text in (example.source, example.target))
    assert len({example.group for example in examples}) < len(examples)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [(None, translation_prompt("jambo", "Swahili")), ("math", math_prompt("jambo")), ("source", "jambo")],
)
def test_the_prompt_is_the_readers_own_or_the_one_asked_for(tmp_path: Path, prompt, expected) -> None:
    (tmp_path / "sw.tsv").write_text("jambo\thello\n", encoding="utf-8")
    data = DataConfig(
        reader="tsv", path=str(tmp_path), languages=("sw",), max_source=9, max_target=9, prompt=prompt
    )
    assert [example.prompt for example in read(data, None, True)] == [expected]
