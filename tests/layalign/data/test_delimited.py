import pytest

from layalign.data.delimited import Shape, records
from layalign.data.faults import Fault

pytestmark = pytest.mark.core


def rows(tmp_path, text, delimiter=",", shape=None):
    """Cells of each row; of a fault its line."""
    path = tmp_path / "table"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = records(path, delimiter, shape) if shape else records(path, delimiter)
    return [cells.line if isinstance(cells, Fault) else cells for _, cells in found]


def test_text_stays_text(tmp_path):
    text = "src,tgt\nNone,007\n2024-01-02,1e3\nNA,1.50\nnull,TRUE\n"
    assert rows(tmp_path, text)[1:] == [
        ["None", "007"],
        ["2024-01-02", "1e3"],
        ["NA", "1.50"],
        ["null", "TRUE"],
    ]


def test_a_mark_that_opens_no_quoted_field_is_text(tmp_path):
    swallowed = 'src,tgt\n"moja,one\nmbili,two\n"tatu,three\nnne,four\n'
    expected = [["src", "tgt"], ['"moja', "one"], ["mbili", "two"], ['"tatu', "three"], ["nne", "four"]]
    assert rows(tmp_path, swallowed) == expected
    assert rows(tmp_path, 'a,b\n"Jambo" alisema,he said\n')[1] == ['"Jambo" alisema', "he said"]
    assert rows(tmp_path, 'a,b\n5" nails,misumari\nsaid "no",hapana\n')[2] == ['said "no"', "hapana"]


def test_quoted_fields_hold_delimiters_marks_and_line_ends(tmp_path):
    text = '\ufeff"src","tgt"\r\n"a, b","say ""no"""\r\n"one\r\ntwo",x\r\n'
    assert rows(tmp_path, text) == [["src", "tgt"], ["a, b", 'say "no"'], ["one\ntwo", "x"]]
    assert rows(tmp_path, 'src,tgt\n"moja, mbili\ntatu",one\n')[1] == ["moja, mbili\ntatu", "one"]
    assert rows(tmp_path, 'src,tgt\n"moja\n\nmbili",one\n')[1] == ["moja\n\nmbili", "one"]


def test_a_file_that_can_be_read_in_two_ways_is_refused(tmp_path):
    assert rows(tmp_path, 'src,tgt\n"moja,one\nmbili",two\nnne,four\n') == [
        ["src", "tgt"],
        2,
        ["nne", "four"],
    ]
    mixed = 'src,tgt\n"a, b",c\n"moja,one\nmbili,two\nx",y\n'
    assert rows(tmp_path, mixed) == [["src", "tgt"], ["a, b", "c"], 3]


def test_a_file_that_fits_no_way_has_all_its_faults(tmp_path):
    text = 'src,tgt\n"a, b",c\n"Jambo" alisema,he said\nd,e,f\ng,h\n"i\n'
    assert rows(tmp_path, text) == [["src", "tgt"], ["a, b", "c"], 3, 4, ["g", "h"], 6]
    assert rows(tmp_path, b'src,tgt\n"a",b\xff\nc,d\n') == [["src", "tgt"], 2, ["c", "d"]]
    assert rows(tmp_path, "src,tgt\na\nb,c,d\ne,f\n") == [["src", "tgt"], 2, 3, ["e", "f"]]


def test_blank_lines_have_no_cells(tmp_path):
    assert rows(tmp_path, "a,b\n\n \n,\nc,d\n\n") == [["a", "b"], [], [], ["", ""], ["c", "d"], []]
    assert rows(tmp_path, "") == []


def test_tabs_are_not_quoted_unless_the_file_shows_it(tmp_path):
    assert rows(tmp_path, '"Hello."\t5\n"x\ty\n', "\t") == [['"Hello."', "5"], ['"x', "y"]]
    assert rows(tmp_path, '"He said ""hi"""\t5\n"x"\ty\n', "\t") == [['He said "hi"', "5"], ["x", "y"]]
    assert rows(tmp_path, '"one\ntwo"\t5\n"x"\ty\n', "\t") == [["one\ntwo", "5"], ["x", "y"]]
    assert rows(tmp_path, '"one\t5\n"x" z\ty\tz\n', "\t") == [['"one', "5"], 2]


def test_a_shape_holds_for_the_first_row_too(tmp_path):
    assert rows(tmp_path, "a\nb\tc\n", "\t", Shape(2, "two")) == [1, ["b", "c"]]
