from __future__ import annotations

import math
import random

import pytest

from layalign.evaluation.scoring import correct, official_number, strict_number, wilson

# text, strict, official
CASES = [
    # signs
    ("-5", -5, 5),
    ("−5", -5, 5),
    ("－５", -5, 5),
    ("-2.5 degrees", -2.5, 2.5),
    ("答案是-5", -5, 5),
    ("(-5)", -5, 5),
    ("10-5", 5, 5),
    ("10 -5", 5, 5),
    ("7 - 3", 3, 3),
    ("x-5", 5, 5),
    ("COVID-19", 19, 19),
    ("pages 2–5", 5, 5),
    ("5-3=2", 2, 2),
    # currency and percent
    ("It costs $5.00.", 5, 5),
    ("-$5", -5, 5),
    ("$-5", -5, 5),
    ("€1.234,56", 1234.56, 1.23456),
    ("50%", 50, 50),
    ("18 €", 18, 18),
    # thousands
    ("1,000", 1000, 1000),
    ("1,234.56", 1234.56, 1234.56),
    ("12,345,678", 12345678, 12345678),
    ("1,00,000", 100000, 100000),
    ("12,34,567.5", 1234567.5, 1234567.5),
    ("1.000.000", 1000000, 0),
    ("1.234,5", 1234.5, 1.2345),
    ("1\u00a0000", 1000, 0),
    ("1\u202f234\u202f567,5", 1234567.5, 5675),
    ("2\u2009500", 2500, 500),
    ("1'000", 1000, 0),
    ("1，000", 1000, 0),
    ("1,125", 1125, 1125),
    # decimals
    ("3,5", 3.5, 35),
    ("12,50", 12.5, 1250),
    ("0,125", 0.125, 125),
    ("1.000", 1, 1),
    ("2.125", 2.125, 2.125),
    (".5", 0.5, 5),
    ("The end.5", 5, 5),
    ("3, 5", 5, 5),
    # native digits
    ("উত্তর ১২৩", 123, 123),
    ("คำตอบคือ ๑๒", 12, 12),
    ("१,०००", 1000, 1000),
    ("٣٫٥", 3.5, 5),
    ("١٬٠٠٠", 1000, 0),
    ("౧౨", 12, 12),
    ("答えは１２個", 12, 12),
    ("5²", 5, 5),
    # fractions and powers
    ("3/4", 0.75, 4),
    ("3 / 4", 0.75, 4),
    ("-1/2", -0.5, 2),
    ("2 1/2 cups", 2.5, 2),
    ("2½ cups", 2.5, 2),
    ("¾", 0.75, 0),
    (r"$\frac{3}{4}$", 0.75, 4),
    (r"$-\frac{1}{2}$", -0.5, 2),
    (r"2\frac{1}{2}", 2.5, 2),
    ("1.5e3", 1500, 3),
    ("25 cm^2", 25, 2),
    ("25 cm^{2}", 25, 2),
    # full stops and other ends
    ("18.", 18, 18),
    ("18。", 18, 18),
    ("**18**", 18, 18),
    ("12 apples.", 12, 12),
    # markers
    ("The answer is: 12. (step 3)", 12, 3),
    ("The answer is: 12 (step 3)", 12, 3),
    ("2 + 3 = 5. The answer is: 5", 5, 5),
    ("The answer is: 3. The answer is: 4", 4, 4),
    ("so the answer is 3 + 4 = 7.", 7, 7),
    ("The answer is: x = 5", 5, 5),
    ("The answer is: $1,000.", 1000, 1000),
    ("The answer is: 10 000", 10000, 0),
    ("it holds 3 200-gram bags", 200, 200),
    ("#### -5", -5, 5),
    ("#### 1,234\nHope this helps 2 people", 1234, 2),
    ("#### Step 3: done\nIt is 20", 20, 20),
    ("The answer is: none\nwell, 4", 4, 4),
    ("THE ANSWER IS:\n\n18", 18, 18),
    # no number
    ("", None, 0),
    ("I do not know", None, 0),
    ("1,2,3", None, 3),
    ("5 of 1,2,3", 5, 3),
    ("on 3/4/2024", None, 2024),
    ("version 1.2.3", None, 3),
    ("5/0", None, 0),
    ("1e999", None, 999),
]


@pytest.mark.parametrize(("text", "strict", "official"), CASES)
def test_both_rules_read_a_number(text, strict, official):
    assert strict_number(text) == (None if strict is None else pytest.approx(strict))
    assert official_number(text) == pytest.approx(official)


@pytest.mark.parametrize(
    "digits", ["٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "০১২৩৪৫৬৭৮৯", "౦౧౨౩౪౫౬౭౮౯", "๐๑๒๓๔๕๖๗๘๙", "０１２３４５６７８９"]
)
def test_digits_of_every_script_count(digits):
    assert [strict_number(digit) for digit in digits] == list(range(10))
    assert [official_number(digit) for digit in digits] == list(range(10))


def test_strict_reads_back_what_python_prints():
    rng = random.Random(0)
    for _ in range(2000):
        value = rng.choice([rng.randrange(-(10**7), 10**7), round(rng.uniform(-1e4, 1e4), 2)])
        assert strict_number(f"so it is {value:,} in all.") == value
        assert strict_number(f"The answer is: {value}") == value


def test_no_text_is_too_strange():
    rng = random.Random(1)
    alphabet = "0123456789,.-/ eE^{}()$%=#'\\fracansweri:\n½१๑٫−，\u00a0"
    for _ in range(3000):
        text = "".join(rng.choices(alphabet, k=rng.randrange(40)))
        value = strict_number(text)
        assert value is None or math.isfinite(value)
        official_number(text)


def test_a_degenerate_answer_is_read_in_no_time():
    for text in ("1" * 5000, "1," * 3000, "1.000" * 1000, "-" * 5000, "answer is " * 1000, "1/" * 3000):
        strict_number(text)
        official_number(text)
    assert strict_number("1" * 5000) is None
    assert official_number("1" * 5000) == math.inf


def test_right_means_within_a_thousandth():
    assert correct(18.0009, 18)
    assert not correct(18.001, 18 - 1e-6)
    assert not correct(None, 0)
    assert not correct(math.inf, 18)
    assert correct(strict_number("1/3"), 0.333)


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),  # Newcombe 1998; R: prop.test(correct = FALSE)
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_equals_published_intervals(right, total, low, high):
    assert wilson(right, total) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_wilson_of_250_items_is_six_points():
    low, high = wilson(125, 250)
    assert (high - low) / 2 == pytest.approx(0.0615, abs=1e-3)


def test_nothing_measured_is_nothing_known():
    assert wilson(0, 0) == (0.0, 1.0)
