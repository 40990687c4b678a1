from __future__ import annotations

import pytest

from layalign.evaluation.health import finish_of, is_empty, is_loop
from tests.timing import cpu_seconds


@pytest.mark.parametrize(
    ("text", "empty"), [("", True), (" \n", True), ("...", True), ("答", False), ("0", False)]
)
def test_an_answer_without_letter_or_digit_is_empty(text, empty):
    assert is_empty(text) is empty


LOOPS = [
    "The answer is: 12. The answer is: 12. The answer is: 12.",
    "First 3 + 4 = 7.\n" + "So she has 7 apples left.\n" * 5,
    "Jibu ni 18. " * 30 + "Jibu n",  # cut in the middle of a round
    "ha" * 40,
    "5" * 100,
    "Kisha " + "tunaongeza 3 na 4, tunapata 7, kisha tunagawanya kwa 2 na kuanza tena, " * 3,
    "好的，我们继续计算下一步。" * 6,
]
SOUND = [
    "",
    "18",
    "The answer is: 12. The answer is: 12.",
    "Day 1: 3 + 5 = 8\nDay 2: 8 + 5 = 13\nDay 3: 13 + 5 = 18\nDay 4: 18 + 5 = 23",
    "16 - 3 - 4 = 9\n9 * 2 = 18\n#### 18\nThe answer is: 18",
    "1000000000000",
    "So she has 7. " * 6 + "No, wait: she also gave one away, which leaves her with 6 apples.",
    "a" * 30,
]


@pytest.mark.parametrize("text", LOOPS)
def test_one_piece_over_and_over_is_a_loop(text):
    assert is_loop(text)


@pytest.mark.parametrize("text", SOUND)
def test_what_only_repeats_some_words_is_none(text):
    assert not is_loop(text)


def test_a_long_answer_is_judged_in_no_time():
    for text in ("a" * 100_000, "ab" * 50_000, "the answer is " * 9_000, "x" + "ab" * 50_000 + "c"):
        assert cpu_seconds(is_loop, text) < 0.1


def test_how_an_answer_ended_is_stored_or_told_by_its_tokens_or_unknown():
    assert finish_of({"finish": "length", "tokens": 3, "max_new_tokens": 16}) == "length"
    assert finish_of({"tokens": 16, "max_new_tokens": 16}) == "length"
    assert finish_of({"tokens": 15, "max_new_tokens": 16}) == "stop"
    assert finish_of({"output": "18"}) is None
