from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.escapes import without_escapes


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m and \x1b[1;38;5;4mblue", "red and blue"),
        ("\x1b[2J\x1b[Hgone\x1b[?25l", "gone"),
        ("a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\c", "ablinkc"),
        ("\x9b31mred\x9d0;title\x9cb", "redb"),
        ("a\x1bPdcs\x1b\\b\x1b_apc\x1b\\c", "abc"),
        ("a\x1b(Bb\x1bcc\x1b", "abc"),
        ("ring\x07 back\x08 up\x0b\x0c del\x7f zero\0", "ring back up del zero"),
        ("lines\n\tstay, and so do é, 数 and العربية", "lines\n\tstay, and so do é, 数 and العربية"),
        ("[31m is no escape", "[31m is no escape"),
    ],
)
def test_a_terminal_obeys_nothing_of_it(text, shown):
    assert without_escapes(text) == shown


@given(st.text(alphabet=st.sampled_from("\x1b[]()\x07\\;0m\x9b\x9c\x9dAz \n\t\x08")))
def test_no_control_character_is_left(text):
    shown = without_escapes(text)
    assert not {letter for letter in shown if not letter.isprintable()} - {"\n", "\t"}
    assert without_escapes(shown) == shown
