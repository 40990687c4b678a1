from __future__ import annotations

import hashlib
import json
import math
import random
from pathlib import Path

import pytest

from layalign.evaluation.scoring import STRICT_VERSION, correct, official_number, strict_number, wilson
from tests.timing import cpu_seconds

ANSWERS = Path(__file__).parent / "answers"


def answers(name):
    return [json.loads(line) for line in (ANSWERS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def as_a_careful_reader(answer, read):
    """Whether a rule reads an answer as the careful reader does."""
    if answer["human"] is None:
        return read is None
    return correct(read, answer["human"])


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
    ("pages 2–5", None, 5),
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
    ("The answer is: 3. The answer is: 4", None, 4),
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


@pytest.mark.parametrize("told", [True, False], ids=["language told", "language not told"])
@pytest.mark.parametrize(("name", "least"), [("careful", 73), ("blind", 417)])
def test_strict_reads_what_a_careful_reader_reads(name, least, told):
    every = answers(name)
    wrong = [
        (answer, read)
        for answer in every
        if not as_a_careful_reader(
            answer, read := strict_number(answer["text"], answer["lang"] if told else None)
        )
    ]
    assert len(every) - len(wrong) >= least, wrong


def test_official_reads_as_it_always_did():
    every = [answer["text"] for name in ("careful", "blind") for answer in answers(name)]
    read = "\n".join(repr(official_number(text)) for text in every)
    assert hashlib.sha256(read.encode()).hexdigest() == OFFICIAL


def test_whoever_changes_what_strict_reads_raises_its_version():
    """Tables say by which version they were made, so that none mixes two: a change needs a new number and line."""
    texts = [answer["text"] for name in ("careful", "blind") for answer in answers(name)]
    texts += [text for text, _, _ in CASES]
    read = "\n".join(repr(strict_number(text)) for text in texts)
    assert (STRICT_VERSION, hashlib.sha256(read.encode()).hexdigest()) == STRICT


OFFICIAL = "7e85709b2aec56ef7ab98418353c0a2367b8e3662ad18b6c0dd91aa297582a75"
STRICT = (2, "4eda39e8b8eec63fbd57aae8c48d958c866583d10373e5bd8e84e0f03a532531")


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


DEGENERATE = [
    *("1" * 5000, "1," * 3000, "1.000" * 1000, "-" * 5000, "1/" * 3000, "1 000" * 1500, "1:" * 3000),
    *("answer is " * 1000, "answer:" * 1000, "答案是" * 1500, "the answer is 1. " * 500, "#### 5\n" * 1000),
    *("\\boxed{" * 1000, "\\boxed{1}" * 1000, "{" * 5000, "\\text{" * 1500, "\\frac{1}{2}" * 700),
    *("the answer is not 1 but " * 300, "The answer is 1. Wait, no. " * 300, "because 1 " * 800),
    *(
        "the answer is " + part * 1500
        for part in ("1 and ", "1=", "one ", "x = 1 ", "1 hours ", "1 000 ", "一")
    ),
    *(
        "jibu ni " + "mbili na " * 1000,
        "十" * 5000,
        "፩" * 5000,
        "1万" * 3000,
        "<|" * 3000,
        "\nquestion: " * 800,
    ),
    *(" " * 8000, "\n" * 8000, "a" * 8000, "(1" * 2500, "1. a\n" * 1500, "1e" * 3000, "**" * 3000),
]


def test_a_degenerate_answer_is_read_in_no_time():
    strict_number("The answer is 1. Das ist 1.")  # reads the words
    for read in (strict_number, official_number):
        assert cpu_seconds(lambda texts, read=read: list(map(read, texts)), DEGENERATE) < 2
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


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("答案是1,234万。", 12_340_000),
        ("答案是2,500万", 25_000_000),
        ("So 8 is wrong: \\boxed {7} (of 9).", 7),
        ("The answer is \\fbox {7}, and not 8.", 7),
        ("The answer is 50\\% of 8", 50),
        ("The answer is-5", -5),
        ("The final answer is 7. The sum is 8.", 7),
    ],
)
def test_marks_scales_and_ranks_are_read(text, number):
    assert strict_number(text) == number
