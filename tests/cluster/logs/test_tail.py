from __future__ import annotations

import json

from cluster.logs.tail import count_lines, last_records


def write(path, count, **more):
    path.write_text("".join(json.dumps({"n": n, **more}) + "\n" for n in range(count)))


def test_the_last_record_comes_first(tmp_path):
    write(tmp_path / "a", 5)
    assert [record["n"] for record in last_records(tmp_path / "a")] == [4, 3, 2, 1, 0]


def test_only_the_end_of_a_long_file_is_read_and_no_half_record(tmp_path):
    write(tmp_path / "a", 1000, text="x" * 90)
    found = [record["n"] for record in last_records(tmp_path / "a", size=1000)]
    assert found == list(range(999, 999 - len(found), -1))
    assert 7 <= len(found) <= 9


def test_what_a_crash_left_is_dropped_wherever_it_stands(tmp_path):
    (tmp_path / "a").write_text('{"n": 0}\n{"n": 1\n{"n": 2}\n[3]\n{"n": 4')
    assert [record["n"] for record in last_records(tmp_path / "a")] == [2, 0]


def test_lines_of_no_interest_are_passed_over_but_for_the_last(tmp_path):
    kinds = ("started", "saved", "saved", "interrupted", "saved", "saved")
    (tmp_path / "a").write_text("".join(json.dumps({"event": k, "n": n}) + "\n" for n, k in enumerate(kinds)))
    assert [record["n"] for record in last_records(tmp_path / "a", b'"saved"')] == [5, 3, 0]


def test_no_file_is_no_record(tmp_path):
    assert list(last_records(tmp_path / "a")) == []
    assert count_lines(tmp_path / "a", b"x") == 0


def test_lines_are_counted_by_what_they_contain(tmp_path):
    (tmp_path / "a").write_text('{"kind": "train"}\n{"kind": "evaluate"}\n{"kind": "train"}\n')
    assert count_lines(tmp_path / "a", b'"kind": "train"') == 2
