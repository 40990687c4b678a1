"""Which option an answer names."""

from __future__ import annotations

import pytest

from layalign.evaluation.scoring import rescored, scored

LABELS = ("entailment", "neutral", "contradiction")
LETTERS = tuple("ABCDE")
ANSWERS = [
    ("entailment", LABELS, "entailment"),
    (" Entailment.", LABELS, "entailment"),
    ("The answer is neutral", LABELS, "neutral"),
    ("It is not a contradiction, it is neutral", LABELS, "neutral"),
    ("contradiction or neutral", LABELS, None),
    ("Label: contradiction, since neutral would be wrong", LABELS, "contradiction"),
    ("neutral\n\nPremise: x\nLabel: entailment", LABELS, "neutral"),
    ("The premise says nothing.", LABELS, None),
    ("disentailment", LABELS, None),
    ("True", ("True", "Neither", "False"), "True"),
    ("B", LETTERS, "B"),
    ("(B) a dog", LETTERS, "B"),
    ("**D**", LETTERS, "D"),
    ("The answer is C.", LETTERS, "C"),
    ("The answer is A because B has no legs", LETTERS, "A"),
    ("The answer is (A)", LETTERS, "A"),
    ("A man walks", LETTERS, None),
    ("I think B", LETTERS, "B"),
    ("Option B", LETTERS, "B"),
    ("a", LETTERS, None),
    ("A or B", LETTERS, None),
    ("A. cats\nB. dogs\nThe answer is B", LETTERS, "B"),
    ("", LETTERS, None),
    ("4 - 1 = 3", ("4", "1", "3"), "3"),
    ("the small one", ("The small one", "The one"), "The small one"),
    ("It is the one.", ("the small one", "the one"), "the one"),
]


@pytest.mark.parametrize(("output", "options", "read"), ANSWERS)
def test_an_option_is_read_or_none(output, options, read):
    told = scored(output, "en", read or options[-1], options)
    assert told["strict"] == read
    assert told["strict_correct"] == (read is not None)
    assert told["official_correct"] == (output == read)


def test_a_text_is_right_whatever_its_case_and_by_the_official_rule_as_it_stands():
    told = scored("  Addis Ababa.\nQuestion: next", "am", "addis  ababa")
    assert (told["strict_correct"], told["official_correct"]) == (True, False)
    assert scored("Addis Ababa", "am", "Addis Ababa")["official_correct"]
    assert scored("", "am", "Addis Ababa")["strict"] is None


def test_a_right_answer_that_has_changed_is_compared_anew_with_what_was_read():
    record = {"output": "B", "language": "sw", "options": list("AB"), "gold": "A", "likelihood": "B"}
    record |= {**scored("B", "sw", "A", "AB"), "likelihood_correct": False}
    told = rescored(record, "B")
    assert (told["strict_correct"], told["official_correct"], told["likelihood_correct"]) == (True,) * 3
