"""What is told of a field in a list of keys, and in a file to begin from, is the docstring below it."""

from __future__ import annotations

from cluster.docstrings import WIDTH, commented, field_texts, sentence

CODE = '''
class Thing:
    """A thing."""
    size: int = 3
    """How large it is, e.g. 3. More is
    told here."""
    bare: int = 1
    other: str = ""
    """A second one"""
'''


def test_fields_have_the_docstring_below_them(tmp_path):
    path = tmp_path / "thing.py"
    path.write_text(CODE)
    found = field_texts(path)
    assert set(found) == {"Thing.size", "Thing.other"}
    assert sentence(found["Thing.size"]) == "How large it is, e.g. 3"


def test_a_comment_stands_beside_its_line_or_above_where_it_is_long():
    assert commented("  ", "a: 1", "short") == ["  a: 1 # short"]
    assert commented("", "a: 1", "") == ["a: 1"]
    *above, line = commented("  ", "a: 1", "word " * 40)
    assert line == "  a: 1"
    assert len(above) > 1
    assert all(one.startswith("  # ") and len(one) <= WIDTH for one in above)
