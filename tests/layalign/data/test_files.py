import json

import pytest

from layalign.data.files import checksum, count_lines, lines, locate, objects

pytestmark = pytest.mark.core

ROWS = [{"a": "1", "b": "প্রশ্ন"}, {"a": "], {"}]


def written(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


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
    with pytest.raises(ValueError, match=rf"{path}:2: text that is not UTF-8"):
        list(objects(written(tmp_path, b'[{"a": 1},\n "\xff"]')))


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


def test_an_empty_list_has_no_objects(tmp_path):
    assert list(objects(written(tmp_path, "[ ]"))) == []


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ('{"a": 1}\n{"a"', 2, "invalid JSON"),
        ('{"a": 1}\n\n{}', 2, "invalid JSON"),
        ('{"a": 1}\n[3]', 2, "found list"),
        ('[{"a": 1},\n 3]', 2, "found int"),
        ('[{"a": 1},\n{"b": ', 2, "invalid JSON"),
        ('[{"a": 1}\n{"b": 2}]', 1, "invalid JSON after this row"),
        ('{"data": [{"a": 1}', 1, "invalid JSON after this row"),
    ],
)
def test_broken_json_names_file_line_and_rule(tmp_path, content, line, what):
    path = written(tmp_path, content)
    with pytest.raises(ValueError, match=rf"{path}:{line}: {what}.*; "):
        list(objects(path))


def test_a_relative_path_needs_a_data_folder(tmp_path):
    path = written(tmp_path, "")
    assert locate("file", tmp_path) == locate(str(path), None) == path
    with pytest.raises(ValueError, match="--data FOLDER or set LAYALIGN_DATA"):
        locate("file", None)
    with pytest.raises(ValueError, match=r"absent does not exist; .*--data"):
        locate("absent", tmp_path)


def test_checksum_is_of_the_bytes(tmp_path):
    assert checksum(written(tmp_path, "")).startswith("e3b0c44298fc1c14")
