"""Numbers out of answers, in every language and every script: the right one, and never an error."""

from __future__ import annotations

import math
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from layalign.evaluation.reading.words import words_of
from layalign.evaluation.scoring import correct, official_number, rescored, scored, strict_number
from layalign.languages import LANGUAGES
from tests.fuzz.values import AWKWARD, TEXTS

CODES = st.sampled_from([entry.code for entry in LANGUAGES]) | st.none()
SIGNS = st.sampled_from(
    [
        *(
            "The answer is",
            "Jibu ni",
            "答えは",
            "La respuesta es",
            "####",
            "\\boxed{",
            "}",
            "No, wait",
            "so",
            "final",
        ),
        *(
            "1,000",
            "1.234,5",
            "3/4",
            "½",
            "10^",
            "9999^99",
            "e400",
            "1e5",
            "%",
            "$",
            "(",
            ")",
            "\\frac{1}{0}",
            "00",
        ),
        *(
            "፼",
            "፻",
            "三万",
            "億",
            "thousand",
            "milioni",
            "and a half",
            ":",
            ".",
            "\n",
            "=",
            "-",
            "−",
            "×",
            "٣",
            "०",
        ),
    ]
)
ANSWERS = st.lists(SIGNS | AWKWARD | st.integers().map(str) | st.text(max_size=5), max_size=12).map(" ".join)
LOOPS = st.tuples(st.lists(SIGNS, min_size=1, max_size=3).map("".join), st.integers(1, 600)).map(
    lambda told: told[0] * told[1]
)
ZEROS = [
    c for c in map(chr, range(0x110000)) if unicodedata.category(c) == "Nd" and unicodedata.decimal(c) == 0
]


@given(ANSWERS | LOOPS | TEXTS, CODES)
@example("The answer is 9999^99", "en")
@example("The answer is 9999^-99", "en")
@example("መልሱ " + "፼" * 3000 + " ነው", "am")
@example("#### " + "9" * 5000, "en")
@example("The answer is 1" + ",000" * 2000, "en")
@example("答えは" + "億" * 3000, "ja")
@example("\\boxed{" * 500, None)
@example("1,000 N/A 0 Y", None)
def test_any_text_is_a_number_or_none(text, language):
    strict, official = strict_number(text, language), official_number(text)
    assert strict is None or math.isfinite(strict)
    assert official >= 0
    told = scored(text, language or "en", 7.0)
    assert told["strict"] == strict_number(text, language or "en")  # without one, `a` may be Spanish
    record = {"id": "a", "language": language or "en", "output": text, "gold": 7.0, **told}
    assert rescored({**record, "rule": 0}, 7.0)["strict"] == strict_number(text, language or "en")


@given(st.integers(-(10**6), 10**6), CODES)
def test_a_number_behind_the_official_mark_is_that_number(number, language):
    assert strict_number(f"bla bla\n#### {number}", language) == number
    assert strict_number(f"\\boxed{{{number}}}", language) == number


@given(st.integers(0, 10**6), CODES, st.sampled_from(ZEROS))
def test_digits_of_every_script_are_digits(number, language, zero):
    native = "".join(chr(ord(zero) + int(digit)) for digit in str(number))
    assert strict_number(f"#### {native}", language) == number


@given(st.integers(0, 10**6), st.sampled_from(["en"]))
def test_an_english_sentence_says_its_number(number, language):
    for text in (
        f"The answer is {number}.",
        f"The answer is: {number:,}",
        f"So the final answer is ${number}.",
    ):
        assert strict_number(text, language) == number


@given(st.integers(0, 9999), st.integers(1, 99))
def test_a_fraction_is_its_quotient(top, bottom):
    for text in (f"#### {top}/{bottom}", f"The answer is \\frac{{{top}}}{{{bottom}}}"):
        assert correct(strict_number(text, "en"), top / bottom)


@given(st.floats(0.001, 1e6, allow_nan=False).map(lambda number: round(number, 2)))
def test_a_decimal_is_read_by_its_language(number):
    assert correct(strict_number(f"The answer is {number:.2f}", "en"), number)
    if words_of("de").decimal_comma:
        assert correct(strict_number(f"Die Antwort ist {number:.2f}".replace(".", ","), "de"), number)
