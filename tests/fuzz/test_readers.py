"""Readers of every format of data: what was written, or a refusal that names file and line."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from layalign.config import DataConfig
from layalign.data.check import check_data
from layalign.data.delimited import records
from layalign.data.faults import Fault
from layalign.data.files import each_line, objects
from layalign.data.sources import checksums, read
from layalign.evaluation.benchmarks import BENCHMARKS, read_benchmark
from tests.fuzz.values import FEW, JSON, SCALARS, TEXTS, changed, damaged

PLAIN = st.text(
    st.characters(exclude_characters='\t\n\r\0"', exclude_categories=["Cs"]), min_size=1, max_size=12
)
WORDY = PLAIN.map(lambda text: f"a{text}b")
"""Text that no reader takes for blank, for a header, or for punctuation."""
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=10)
PAIRS = st.lists(st.tuples(WORDY, WORDY), min_size=1, max_size=6)


def config(reader: str, path: object, *languages: str, **more: object) -> DataConfig:
    return DataConfig(
        reader=reader, path=str(path), languages=languages or ("sw",), max_source=8, max_target=8, **more
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("data")
    (made / "en-sw").mkdir()
    (made / "mgsm").mkdir()
    (made / "msvamp").mkdir()
    return made


def sides(data: DataConfig) -> list[tuple[str, str]]:
    return [(example.source, example.target) for example in read(data, None, True)]


def refused_or_read(data: DataConfig, name: object) -> list[tuple[str, str]] | None:
    """What is read; a refusal names the file, and is what the check on a login node says too."""
    told = check_data(data, None)
    try:
        found = sides(data)
    except ValueError as error:
        assert not isinstance(error, UnicodeError)
        assert str(name) in str(error)
        assert told.obstacles, "a training would be refused, and the check saw nothing"
        return None
    assert told.obstacles == ()
    assert sum(told.rows.values()) in (0, len(found))
    assert checksums(data, None)
    return found


def written(folder, pairs) -> list[tuple[DataConfig, object, list[bytes]]]:
    """One data set in each layout of text: its config, its file, its content."""
    tsv, sw, en = folder / "sw.tsv", folder / "en-sw" / "train.sw", folder / "en-sw" / "train.en"
    rows = [{"source": s, "target": t, "lang": "sw"} for s, t in pairs]
    named = [{"query": s, "response": t, "lang": "sw"} for s, t in pairs]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    contents = {
        tsv: "".join(f"{s}\t{t}\n" for s, t in pairs).encode(),
        sw: "".join(f"{s}\n" for s, _ in pairs).encode(),
        en: "".join(f"{t}\n" for _, t in pairs).encode(),
        folder / "rows.jsonl": lines.encode(),
        folder / "rows.jsonl.gz": gzip.compress(lines.encode()),
        folder / "math.json": json.dumps(named, ensure_ascii=False).encode(),
        folder / "data.json": json.dumps({"data": named}, indent=1).encode(),
    }
    for path, content in contents.items():
        path.write_bytes(content)
    layouts = [("tsv", folder, tsv), ("pairs", folder / "en-sw", sw), ("lego", folder, sw)]
    layouts += [("jsonl", path, path) for path in contents if "jsonl" in path.name]
    layouts += [("math", path, path) for path in contents if path.suffix == ".json"]
    columns = {"jsonl": {"columns": ("source", "target")}}
    return [
        (config(reader, at, **columns.get(reader, {})), path, contents[path]) for reader, at, path in layouts
    ]


@given(PAIRS)
def test_what_is_written_is_read_in_every_layout(folder, pairs):
    for data, path, _ in written(folder, pairs):
        assert refused_or_read(data, path) == pairs, (data.reader, path)


@given(PAIRS, st.integers(0, 6), st.data())
def test_a_damaged_file_is_read_or_named(folder, pairs, which, draw):
    data, path, content = written(folder, pairs)[which]
    path.write_bytes(draw.draw(damaged(content)))
    place = path.parent if data.reader in ("tsv", "pairs", "lego") else path
    refused_or_read(data, place)


@given(st.lists(JSON, min_size=1, max_size=4))
@example([{"source": "a", "target": "b", "group": "\ud800"}])
@example([{"source": "a", "target": "b", "prompt": "\ud800"}])
@example([{"source": "a", "target": "b", "language": "\ud800"}])
@example([{"source": "a", "target": 10**400}])
def test_any_json_is_rows_or_named(folder, rows):
    for name, text in (
        ("any.jsonl", "".join(json.dumps(row) + "\n" for row in rows)),
        ("any.json", json.dumps(rows)),
        ("any-data.json", json.dumps({"data": rows})),
    ):
        path = folder / name
        path.write_text(text)
        refused_or_read(config("jsonl", path, columns=("source", "target")), path)
        refused_or_read(config("math", path), path)


@given(changed({"source": "a", "target": "b", "language": "sw", "prompt": "p", "group": 7}))
def test_a_row_with_a_wrong_field_is_named(folder, row):
    path = folder / "row.jsonl"
    path.write_text(json.dumps(row) + "\n")
    refused_or_read(config("jsonl", path, "sw", "th", columns=("source", "target")), path)


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 100_000, '{"source": ' * 50_000, "1e999", "nul"])
def test_json_that_no_reader_holds_is_named(folder, text):
    for name in ("row.jsonl", "list.json"):
        path = folder / name
        path.write_text(f'[{{"source": {text}' if name == "list.json" else f'{{"source": {text}}}\n')
        (told,) = [found for _, found in objects(path)]
        assert isinstance(told, Fault) or text == "1e999"
        assert refused_or_read(config("jsonl", path, columns=("source", "target")), path) is None


@given(
    st.binary(max_size=80)
    | st.builds(lambda data, at: gzip.compress(data)[:at], st.binary(), st.integers(0, 60))
)
def test_what_is_no_gzip_is_named(folder, content):
    path = folder / "packed.jsonl.gz"
    path.write_bytes(content)
    refused_or_read(config("jsonl", path, columns=("source", "target")), path)


@given(st.binary(max_size=200))
def test_any_bytes_are_lines_or_faults(folder, content):
    path = folder / "bytes.txt"
    path.write_bytes(content)
    found = list(each_line(path))
    assert [number for number, _ in found] == list(range(1, len(found) + 1))
    assert all(isinstance(line, str | Fault) for _, line in found)


@given(
    st.integers(2, 4).flatmap(
        lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=5)
    )
)
def test_a_csv_that_quotes_all_is_read_as_it_was_written(folder, rows):
    path = folder / "table.csv"
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    path.write_bytes(out.getvalue().encode())
    found = [cells for _, cells in records(path, ",") if not isinstance(cells, Fault)]
    told = [row for row in found if row]
    faults = [cells for _, cells in records(path, ",") if isinstance(cells, Fault)]
    assert told == rows or faults, "another reading, and nobody says so"


@given(st.binary(max_size=120) | st.text('a,"\t\n ', max_size=40).map(str.encode))
def test_any_table_is_rows_of_one_width_or_faults(folder, content):
    path = folder / "any.csv"
    path.write_bytes(content)
    for delimiter in ",\t":
        widths = {
            len(cells) for _, cells in records(path, delimiter) if not isinstance(cells, Fault) and cells
        }
        assert len(widths) < 2


@given(st.lists(st.tuples(WORDY, st.integers(-(10**6), 10**6)), min_size=1, max_size=5))
def test_a_benchmark_is_its_questions_and_answers(folder, rows):
    (folder / "mgsm" / "mgsm_sw.tsv").write_text(
        "".join(f"{q}\t{gold:,}\n" for q, gold in rows), encoding="utf-8"
    )
    (folder / "msvamp" / "test_Swahili.json").write_text(
        "".join(json.dumps({"m_query": q, "response": float(gold)}) + "\n" for q, gold in rows)
    )
    for name in ("mgsm", "msvamp"):
        assert [(item.source, item.gold) for item in read_benchmark(name, folder, ["sw"])] == rows


@given(st.sampled_from(["mgsm", "msvamp"]), st.data())
@example("mgsm", "a\t" + "9" * 400)
@example("msvamp", '{"m_query": "\\ud800", "response": 1}')
@example("msvamp", '{"m_query": "a", "response": ' + "9" * 5000 + "}")
@example("msvamp", "[" * 100_000)
@example("msvamp", '{"m_query": "", "response": 1}')
def test_any_benchmark_is_items_or_named(folder, name, draw):
    path = folder / name / ("mgsm_sw.tsv" if name == "mgsm" else "test_Swahili.jsonl")
    whole = b"a\t1\nb\t2,000\n" if name == "mgsm" else b'{"m_query": "a", "response": "1"}\n'
    path.write_bytes(
        draw.encode() if isinstance(draw, str) else draw.draw(damaged(whole) | SCALARS.map(str).map(utf8))
    )
    try:
        items = read_benchmark(name, folder, ["sw"])
    except ValueError as error:
        assert not isinstance(error, UnicodeError)
        assert str(path) in str(error)
    else:
        assert all(abs(item.gold) < 1e16 and len(item.question) == 12 for item in items)
    finally:
        path.unlink()
    assert BENCHMARKS[name]


def utf8(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


@FEW
@given(PAIRS, st.booleans(), st.data())
def test_a_packed_table_of_the_hub_is_read_or_named(folder, pairs, whole, draw):
    import pyarrow
    import pyarrow.parquet

    home = folder / "hub"
    place = home / "datasets--o--n" / "snapshots" / ("0" * 40)
    place.mkdir(parents=True, exist_ok=True)
    (home / "datasets--o--n" / "refs").mkdir(exist_ok=True)
    (home / "datasets--o--n" / "refs" / "main").write_text("0" * 40)
    path = place / "train.parquet"
    table = pyarrow.table({"source": [s for s, _ in pairs], "target": [t for _, t in pairs]})
    pyarrow.parquet.write_table(table, path)
    if not whole:
        content = path.read_bytes()
        path.write_bytes(content[: draw.draw(st.integers(0, len(content) - 1))])
    data = dataclasses.replace(config("hub", "o/n", columns=("source", "target")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("layalign.data.sources.READERS", with_place(place))
        if whole:
            assert sides(data) == pairs
            return
        with pytest.raises(ValueError, match="o/n"):
            sides(data)


def with_place(place):
    from layalign.data.sources import READERS

    return {**READERS, "hub": READERS["hub"]._replace(place=lambda data, folder: place)}


@given(TEXTS)
def test_a_language_is_found_or_the_nearest_is_named(word):
    from layalign.languages import find, language

    known = find(word)
    try:
        assert language(word) is known
    except ValueError as error:
        assert known is None
        assert "unknown language" in str(error)
