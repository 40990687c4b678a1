import dataclasses
import gzip
import io
import json
import os
import zipfile
from pathlib import Path

import pyarrow.parquet
import pytest

from layalign.config import DataConfig
from layalign.data.check import check_data
from layalign.data.left_out import LeftOut
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


def test_rows_that_are_blank_on_both_sides_are_passed_over_and_counted(lego):
    write(lego / "en-sw/train_100k.sw", "moja", " ", "", "\u200b\ufeff", "tano")
    write(lego / "en-sw/train_100k.en", "one", "\u00a0", "", "", "five")
    left_out = LeftOut()
    examples = list(read(config("lego", lego), None, False, left_out))
    assert [(example.source, example.target) for example in examples] == [("moja", "one"), ("tano", "five")]
    assert left_out.blank_by_file == {"train_100k.sw": 3}
    assert left_out.blank_by_language == {"sw": 3}


@pytest.mark.parametrize(
    ("deduplicate", "kept", "repeated"),
    [
        ("none", ["1 one", "1 one", "1 uno", "2 one", "1  one"], {}),
        ("source", ["1 one", "2 one", "1  one"], {"sw": 2}),
        ("pairs", ["1 one", "1 uno", "2 one", "1  one"], {"sw": 1}),
    ],
)
@pytest.mark.parametrize("reader", ["lego", "pairs", "tsv", "jsonl", "math"])
def test_repeated_rows_are_left_out_and_counted(tmp_path, reader, deduplicate, kept, repeated):
    rows = [("1", "one"), ("1", "one"), ("1", "uno"), ("2", "one"), ("1 ", "one")]
    place, left_out = put(tmp_path, reader, rows), LeftOut()
    data = config(reader, place, deduplicate=deduplicate)
    examples = list(read(data, None, False, left_out))
    assert [f"{example.source} {example.target}" for example in examples] == kept
    assert left_out.repeated == repeated
    first = list(read(dataclasses.replace(data, limit=2), None, False))
    assert first == examples[:2], "what is left out counts towards no limit"


def put(folder, reader, rows):
    """Rows of Swahili as a reader wants them."""
    if reader in ("lego", "pairs"):
        place = folder / "en-sw" if reader == "lego" else folder
        write(place / "train.sw", *(source for source, _ in rows))
        write(place / "train.en", *(target for _, target in rows))
        return folder
    if reader == "tsv":
        write(folder / "sw.tsv", *("\t".join(row) for row in rows))
        return folder
    names = {"jsonl": ("src", "tgt", "language"), "math": ("query", "response", "lang")}[reader]
    return write(folder / "rows.json", *(dict(zip(names, (*row, "sw"))) for row in rows))


def test_each_language_may_have_a_file_of_objects_as_mafand(tmp_path):
    for code, word in (("hau", "daya"), ("yor", "ọkan")):
        row = {"translation": {"en": "one", code: word}}
        write(tmp_path / f"mafand/en-{code}/train.json", row)
    write(tmp_path / "mafand/fr-wol/train.json", {"translation": {"fr": "un", "wol": "benn"}})
    fields = {"columns": ("translation.{language}", "translation.en")}
    data = config("jsonl", tmp_path / "mafand/en-{language}/train.json", "ha", "yo", **fields)
    assert pairs(data) == [("ha", "daya", "one"), ("yo", "ọkan", "one")]
    assert len(checksums(data, None)) == 2
    assert check_data(data, None).rows == {"ha": 1, "yo": 1}
    relative = dataclasses.replace(data, path="mafand/en-{language}/train.json")
    assert len(list(read(relative, tmp_path, False))) == 2
    fails(
        dataclasses.replace(data, languages=("ha", "wo")), "en-{language}/train.json: one path", "Wolof (wo)"
    )
    write(tmp_path / "mafand/en-ha/train.json", {"translation": {"en": "one", "ha": "daya"}})
    fails(data, "found train.json, train.json, for Hausa")
    fails(dataclasses.replace(data, path=str(tmp_path / "none/en-{language}.json")), "none does not exist")


def test_a_row_is_repeated_in_its_own_language_alone(tmp_path):
    rows = [{"src": "a", "tgt": "x", "language": code} for code in ("sw", "yo", "sw")]
    data = config("jsonl", write(tmp_path / "rows.jsonl", *rows), "sw", "yo", deduplicate="source")
    assert pairs(data) == [("sw", "a", "x"), ("yo", "a", "x")]


def test_all_bad_rows_are_told_at_once_and_none_is_used(lego):
    write(lego / "en-sw/train_100k.sw", *["moja", "", "tatu"] * 20)
    write(lego / "en-sw/train_100k.en", *["one", "two", ""] * 20)
    fails(
        config("lego", lego), "train_100k.sw:2: empty source", "train_100k.en:3: empty target", "and 30 more"
    )
    fails(config("lego", lego), "(the first of 40 bad rows)")
    reading = read(config("lego", lego), None, False)
    assert next(reading).source == "moja"
    with pytest.raises(ValueError, match="first of 40"):
        next(reading)


def test_rows_beyond_the_limit_are_not_judged(tmp_path):
    path = write(tmp_path / "rows.jsonl", {"src": "moja", "tgt": "one"}, {"src": "mbili", "tgt": ""})
    assert pairs(config("jsonl", path, limit=1)) == [("sw", "moja", "one")]


def test_an_empty_file_of_a_language_is_no_data(lego):
    for ending in ("sw", "en"):
        write(lego / f"en-sw/train_100k.{ending}")
    fails(config("lego", lego, "bn", "sw"), "has no rows for Swahili; ")


def test_half_a_character_is_no_text(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"src": "moja", "tgt": "\\ud83d"}\n{"src": "mbili", "tgt": "\\ud83d\\ude00"}\n')
    fails(config("jsonl", path), f"{path}:1: half a character in the target; ")


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("src\ttgt", None),
        ("question\tanswer", None),
        ("Swahili\tEnglish", None),
        ("swh_Latn\teng_Latn", None),
        ("SOURCE_sw\tTarget_en", None),
        ('"question"\t"answer"', None),
        ("swali\tjibu", ("swali", "jibu")),
    ],
)
def test_a_header_of_a_tsv_is_no_row(tmp_path, header, columns):
    write(tmp_path / "sw.tsv", header, "moja\tone", "mbili\ttwo")
    data = config("tsv", tmp_path, **({"columns": columns} if columns else {}))
    assert pairs(data) == [("sw", "moja", "one"), ("sw", "mbili", "two")]


def test_a_header_names_the_columns_of_a_wider_tsv(tmp_path):
    write(tmp_path / "sw.tsv", "answer\tid\tquestion", "one\t1\tmoja", "two\t2\tmbili")
    data = config("tsv", tmp_path, columns=("question", "answer"))
    assert pairs(data) == [("sw", "moja", "one"), ("sw", "mbili", "two")]
    fails(
        config("tsv", tmp_path),
        "sw.tsv:1: a header of answer, id, question; data.columns names source and target",
    )
    write(tmp_path / "sw.tsv", "English\tSwahili", "one\tmoja")
    fails(config("tsv", tmp_path), "sw.tsv:1: a header of English, Swahili; ")
    write(tmp_path / "sw.tsv", "question\tanswr", "moja\tone")
    fails(config("tsv", tmp_path, columns=("question", "answer")), "sw.tsv:1: a header of question, answr; ")


def test_a_header_that_comes_again_is_no_row(tmp_path, hub):
    write(tmp_path / "sw.tsv", "question\tanswer", "moja\tone", "question\tanswer", "mbili\ttwo")
    fails(config("tsv", tmp_path), "sw.tsv:3: the header once more; ")
    hub(**{"train.csv": "src,tgt\nmoja,one\nsrc,tgt\n"})
    fails(words(), "train.csv:3: the header once more; ")


def test_hidden_files_are_no_data(lego):
    for name in ("._train_100k.sw", ".train_100k.en.swp", "._train_100k.en"):
        write(lego / "en-sw" / name, "of a system or an editor")
    assert len(pairs(config("lego", lego))) == 2


def test_carriage_returns_alone_end_no_line(tmp_path):
    for ending in ("sw", "en"):
        (tmp_path / f"train.{ending}").write_bytes(b"moja\rmbili\r")
    fails(config("pairs", tmp_path), "train.sw:1: no line feed but carriage returns; a line feed ends a line")


def test_zero_bytes_and_double_keys_are_no_text(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"src": "moja", "tgt": "a\\u0000"}\n{"src": "moja", "tgt": "one", "tgt": "two"}\n')
    fails(
        config("jsonl", path),
        "rows.jsonl:1: a zero byte in the target",
        "rows.jsonl:2: a key that stands twice",
    )
    write(tmp_path / "train.sw", "mo\0ja")
    write(tmp_path / "train.en", "one")
    fails(config("pairs", tmp_path), "train.sw:1: a zero byte in the source")


def test_one_zero_byte_at_the_end_of_a_line_is_no_part_of_a_sentence(lego):
    write(lego / "en-sw/train_100k.sw", "moja\0", "mbili")
    write(lego / "en-sw/train_100k.en", "one", "two\0")
    assert pairs(config("lego", lego)) == [("sw", "moja", "one"), ("sw", "mbili", "two")]
    write(lego / "en-sw/train_100k.en", "one", "two\0\0")
    fails(config("lego", lego), "train_100k.en:2: a zero byte in the target")
    write(lego / "en-sw/train_100k.en", "one", "\0")
    fails(config("lego", lego), "train_100k.en:2: empty target")


def test_a_tsv_without_a_header_keeps_its_first_row(tmp_path):
    write(tmp_path / "fr.tsv", "question\tquestion", '"Oui"\t"Yes"', "a\tb")
    read_back = [("question", "question"), ('"Oui"', '"Yes"'), ("a", "b")]
    assert [(source, target) for _, source, target in pairs(config("tsv", tmp_path, "fr"))] == read_back
    write(tmp_path / "sw.tsv", "", "swali\tquestion", "jibu\tanswer")
    assert pairs(config("tsv", tmp_path, "sw")) == [("sw", "swali", "question"), ("sw", "jibu", "answer")]


def test_columns_reach_into_objects_and_lists(tmp_path):
    nested = [{"translation": {"en": "one", "sw": "moja"}}, {"translation": {"en": "two", "sw": "mbili"}}]
    path = write(tmp_path / "rows.jsonl", *nested)
    for source in ("translation.sw", "translation.{language}"):
        data = config("jsonl", path, columns=(source, "translation.en"))
        assert pairs(data) == [("sw", "moja", "one"), ("sw", "mbili", "two")]
    write(path, {"q.text": "moja", "answers": {"text": ["one", "uno"]}})
    assert pairs(config("jsonl", path, columns=("q.text", "answers.text.1"))) == [("sw", "moja", "uno")]
    fails(
        config("jsonl", path, columns=("q.text", "answers.text")),
        "`answers.text` is ['one', 'uno']; it must be text",
    )
    fails(
        config("jsonl", path, columns=("q.text", "answers.0")),
        "no `answers.0`; ",
        "this one has `q.text`, `answers`",
    )


@pytest.mark.parametrize("value", [7, 7.0, True, None, ["a"], {"a": "b"}])
def test_what_is_no_text_is_refused_row_by_row(tmp_path, value):
    path = write(tmp_path / "rows.jsonl", {"src": "a", "tgt": "b"}, {"src": "a", "tgt": value}, "[]", "{")
    fails(
        config("jsonl", path),
        "rows.jsonl:2: ",
        "rows.jsonl:3: found list",
        "rows.jsonl:4: invalid JSON",
        "of 3 bad",
    )


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


COMMIT = "0123456789012345678901234567890123456789"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Puts files into the hub's cache as its client does: named by content, with links to them in a snapshot."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    cached = tmp_path / "datasets--someone--words"
    (cached / "refs").mkdir(parents=True)
    (cached / "blobs").mkdir()
    (cached / "refs/main").write_text(COMMIT)

    def put(**files):
        for number, (name, content) in enumerate(files.items()):
            blob, link = cached / f"blobs/{number:040x}", cached / f"snapshots/{COMMIT}" / name
            link.parent.mkdir(parents=True, exist_ok=True)
            blob.write_bytes(content if isinstance(content, bytes) else content.encode())
            link.symlink_to(blob)

    return put


def words(*languages, **fields):
    return config("hub", "someone/words", *languages, **fields)


def test_hub_reads_the_cached_commit(hub):
    train, test = {"input": "moja", "output": "one"}, {"input": "mbili", "output": "two"}
    hub(**{"train.jsonl": json.dumps(train), "test.jsonl": json.dumps(test) + "\n\n"})
    for revision in (None, COMMIT):
        data = words(columns=("input", "output"), revision=revision)
        assert pairs(data) == [("sw", "moja", "one")]
    assert len(checksums(data, None)) == 2
    assert pairs(words(columns=("input", "output"), split="test")) == [("sw", "mbili", "two")]
    fails(words(split="dev"), "someone/words has no split dev; data.split may be train, test")
    other = words(revision="9" * 40)
    fails(other, "someone/words at revision 999", "not in the cache", "`prefetch`")


TABLE = [("None", "007"), ("2024-01-02", "1"), ("NA", "2"), ('"moja', "1.50")]


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_table_of_the_hub_keeps_every_row_and_its_text(hub, delimiter):
    rows = "".join(f"{source}{delimiter}{target}\r\n" for source, target in [("src", "tgt"), *TABLE])
    name = "train.csv" if delimiter == "," else "data/train.tsv"
    hub(**{name: "\ufeff" + rows})
    assert [(source, target) for _, source, target in pairs(words())] == TABLE


def test_a_json_of_the_hub_keeps_its_text(hub):
    rows = [{"src": "2024-01-02", "tgt": "007"}, {"src": "1", "tgt": "2020-01-01T00:00:00"}]
    hub(**{"train.jsonl.gz": gzip.compress("\n".join(map(json.dumps, rows)).encode())})
    assert pairs(words()) == [("sw", "2024-01-02", "007"), ("sw", "1", "2020-01-01T00:00:00")]


CARD = """---
configs:
- config_name: en-swa
  data_files: [{split: train, path: data/swa/*.tsv}]
- config_name: en-hau
  data_files: [{split: train, path: data/hau/a.tsv}, {split: test, path: data/hau/test.tsv}]
---
Words.
"""


def test_each_language_has_its_configuration(hub):
    hub(
        **{
            "README.md": CARD,
            "data/swa/a.tsv": "src\ttgt\nmoja\tone\n",
            "data/hau/a.tsv": "src\ttgt\nɗaya\tone\n",
            "data/hau/test.tsv": "src\ttgt\nbiyu\ttwo\n",
        }
    )
    expected = [("ha", "ɗaya", "one"), ("sw", "moja", "one")]
    assert pairs(words("ha", "sw", config="en-{language}")) == expected
    assert pairs(words("sw", config="en-swa")) == expected[1:]
    fails(words("sw"), "several configurations; data.config names one of en-swa, en-hau")
    fails(words("sw", config="swa"), "no configuration swa; data.config names one of en-swa, en-hau")
    fails(
        words("yo", config="en-{language}"),
        "has 0 configurations en-{language} for Yoruba; it has en-swa, en-hau",
    )
    assert pairs(words("ha", config="en-hau", split="test")) == [("ha", "biyu", "two")]
    fails(words("ha", config="en-hau", split="dev"), "has no split dev")


def test_parquet_of_the_hub_has_types_of_its_own(hub, tmp_path):
    path = tmp_path / "rows.parquet"
    rows = {"translation": [{"en": "one", "sw": "moja"}], "n": [7]}
    pyarrow.parquet.write_table(pyarrow.table(rows), path)
    hub(**{"train.parquet": path.read_bytes()})
    assert pairs(words(columns=("translation.sw", "translation.en"))) == [("sw", "moja", "one")]
    fails(words(columns=("translation.sw", "n")), "someone/words:1: `n` is 7; it must be text")


def test_shards_and_packed_files_of_the_hub(hub):
    rows = [
        json.dumps({"src": source, "tgt": target}) for source, target in (("moja", "one"), ("mbili", "two"))
    ]
    hub(**{f"data/train-0000{n}-of-00002.jsonl": row for n, row in enumerate(rows)})
    assert pairs(words()) == [("sw", "moja", "one"), ("sw", "mbili", "two")]


def test_a_packed_table_is_refused_for_it_would_change_its_text(hub):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("train.csv", "src,tgt\nmoja,007\n")
    hub(**{"train.csv.zip": packed.getvalue()})
    fails(words(), "train.csv.zip is a packed table, which is not read; ")


def test_what_a_card_says_of_a_table(hub):
    card = "---\nconfigs:\n- config_name: default\n  data_files: a.csv\n  {}\n---\n"
    hub(**{"README.md": card.format('sep: ";"'), "a.csv": "src;tgt\nmoja;one, uno\n"})
    assert pairs(words()) == [("sw", "moja", "one, uno")]


def test_a_table_whose_columns_the_card_names(hub):
    card = "---\nconfigs:\n- config_name: default\n  data_files: a.csv\n  names: [src, tgt]\n---\n"
    hub(**{"README.md": card, "a.csv": "moja,one\nmbili,two\n"})
    assert pairs(words()) == [("sw", "moja", "one"), ("sw", "mbili", "two")]


def test_what_the_hub_cannot_give_is_named(hub, tmp_path):
    hub(**{"train.jsonl.gz": gzip.compress(b'{"src": "a", "tgt": "b"}')[:-9]})
    fails(words(), "train.jsonl.gz cannot be read: ")
    link = tmp_path / f"datasets--someone--words/snapshots/{COMMIT}/train.jsonl.gz"
    link.rename(link.with_name("words.py"))
    fails(words(), "hub data set someone/words: ", "give its rows as jsonl instead")


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
