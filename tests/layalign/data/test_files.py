import gzip
import json

import pytest

from layalign.data.faults import SHOWN, Fault, Faults
from layalign.data.files import checksum, count_lines, each_line, lines, locate, objects

pytestmark = pytest.mark.core

ROWS = [{"a": "1", "b": "প্রশ্ন"}, {"a": "], {"}]


def written(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def faults(path):
    return [row for _, row in objects(path) if isinstance(row, Fault)]


@pytest.mark.parametrize(
    ("content", "count"), [("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2), ("\n\n", 2), ("a\u2028b\rc\n", 1)]
)
def test_only_a_line_feed_ends_a_line(tmp_path, content, count):
    path = written(tmp_path, content)
    assert count_lines(path) == len(list(lines(path))) == count


def test_line_ends_and_byte_order_mark_are_dropped(tmp_path):
    assert list(lines(written(tmp_path, "\ufeffa \r\n b\n"))) == [(1, "a "), (2, " b")]


def test_invalid_utf8_names_file_and_line(tmp_path):
    path = written(tmp_path, b"good\nba\xff\n")
    with pytest.raises(ValueError, match=rf"{path}:2: byte 3 is not UTF-8; data files are UTF-8"):
        list(lines(path))
    assert [str(fault) for fault in faults(written(tmp_path, b'[{"a": 1},\n "\xff"]'))] == [
        f"{path}:2: text that is not UTF-8; data files are UTF-8"
    ]


def test_every_line_that_is_not_utf8_is_a_fault_and_the_others_are_read(tmp_path):
    found = [line for _, line in each_line(written(tmp_path, b"a\n\xff\nb\nc\xfe\n"))]
    assert [line for line in found if isinstance(line, str)] == ["a", "b"]
    assert [line.line for line in found if isinstance(line, Fault)] == [2, 4]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2, ensure_ascii=False),
        "\ufeff" + json.dumps({"data": ROWS}),
        json.dumps(ROWS[0], ensure_ascii=False) + "\n" + json.dumps(ROWS[1]),
    ],
)
def test_lists_data_lists_and_lines_hold_the_same_objects(tmp_path, content):
    assert [row for _, row in objects(written(tmp_path, content))] == ROWS


def test_items_of_a_list_know_their_line(tmp_path):
    assert [line for line, _ in objects(written(tmp_path, '[\n{"a": 1},\n\n{"a":\n 2}, {}\n]'))] == [2, 4, 5]


def test_a_blank_line_is_no_object_and_no_fault(tmp_path):
    found = list(objects(written(tmp_path, '{"a": "1"}\n \n{"a": "2"}\n\n')))
    assert found == [(1, {"a": "1"}), (2, None), (3, {"a": "2"}), (4, None)]


def test_packed_files_are_unpacked(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(ROWS).encode()))
    assert [row for _, row in objects(path)] == ROWS


def test_what_follows_a_list_is_not_lost(tmp_path):
    one, other = json.dumps(ROWS[:1]), json.dumps(ROWS[1:])
    [fault] = faults(written(tmp_path, f"{one}\n{other}\n"))
    assert "text after the list" in str(fault)
    whole = {"data": ROWS, "licence": "free"}
    assert [row for _, row in objects(written(tmp_path, json.dumps(whole)))] == ROWS


def test_an_empty_list_has_no_objects(tmp_path):
    assert list(objects(written(tmp_path, "[ ]"))) == []


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ('{"a": 1}\n{"a"', 2, "invalid JSON"),
        ('{"a": 1}\n\nnull', 3, "found NoneType"),
        ('{"a": 1}\n[3]', 2, "found list"),
        ('[{"a": 1},\n 3]', 2, "found int"),
        ('[{"a": 1},\n{"b": ', 2, "invalid JSON"),
        ('[{"a": 1}\n{"b": 2}]', 1, "invalid JSON after this row"),
        ('{"data": [{"a": 1}', 1, "invalid JSON after this row"),
    ],
)
def test_broken_json_names_file_line_and_rule(tmp_path, content, line, what):
    path = written(tmp_path, content)
    assert str(faults(path)[-1]).startswith(f"{path}:{line}: {what}")
    assert "; " in str(faults(path)[-1])


def test_after_a_broken_line_the_others_are_read(tmp_path):
    path = written(tmp_path, '{"a"\n{"a": 1}\n[]\n{"a": 2}')
    assert [row for _, row in objects(path) if isinstance(row, dict)] == [{"a": 1}, {"a": 2}]
    assert [fault.line for fault in faults(path)] == [1, 3]


def test_many_faults_are_counted_and_the_first_of_them_shown(tmp_path):
    found = Faults()
    found.check()
    found.add(Fault(tmp_path, 1, "bad", "be good"))
    with pytest.raises(ValueError, match=rf"^{tmp_path}:1: bad; be good$"):
        found.check()
    for line in range(2, 3 * SHOWN + 1):
        found.add(Fault(tmp_path, line, "bad", "be good"))
    with pytest.raises(
        ValueError, match=rf"^{tmp_path}:1: bad; be good \(the first of 30 bad rows\)\n"
    ) as caught:
        found.check()
    assert str(caught.value).count("bad;") == SHOWN
    assert "and 20 more" in str(caught.value)


def test_a_relative_path_needs_a_data_folder(tmp_path):
    path = written(tmp_path, "")
    assert locate("file", tmp_path) == locate(str(path), None) == path
    with pytest.raises(ValueError, match="--data FOLDER or set LAYALIGN_DATA"):
        locate("file", None)
    with pytest.raises(ValueError, match=r"absent does not exist; .*--data"):
        locate("absent", tmp_path)


def test_checksum_is_of_the_bytes(tmp_path):
    assert checksum(written(tmp_path, "")).startswith("e3b0c44298fc1c14")
