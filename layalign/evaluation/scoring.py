"""Numbers out of answers, by two rules, and how sure an accuracy is. Light: imports no torch.

The official rule (`official_number`) makes results comparable with the paper's; the strict rule
(`strict_number`) reads what the answer says. Both are always reported.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from layalign.evaluation.gold import Gold
from layalign.evaluation.reading.options import exact_option, stated_option, stated_text
from layalign.evaluation.reading.statements import stated_number

TOLERANCE = 1e-3
"""Largest distance from the right answer, as in the official code."""

STRICT_VERSION = 2
"""Of the strict rule. Raise it when any answer comes to be read otherwise: tables say by which one they were made."""


def official_number(text: str) -> float:
    """The number that the official code reads (`extract_last_num` in its `tools/utils.py`).

    The last run of digits with an optional decimal part. Signs, fractions and exponents are not seen
    (`-5` is 5, `3/4` is 4, `1.5e3` is 3), a comma between digits vanishes (`3,5` is 35), digits of any
    script count, and a text without any number is 0.
    """
    text = re.sub(r"(\d),(\d)", r"\g<1>\g<2>", text)
    found = re.findall(r"(\d+(\.\d+)?)", text)
    return float(found[-1][0]) if found else 0.0


def strict_number(text: str, language: str | None = None) -> float | None:
    """The number that an answer states, or None where it states no single one.

    Args:
        text: the answer, in any language.
        language: that was asked for, by its code; counts where the answer does not show its own.

    Where it stands: behind `The answer is`, `Jibu ni`, `答えは` and their like in every language of
    `reading/words.yaml`, behind `####`, or in a `\\boxed{}`. What comes after the next question or turn is not the
    answer's. Of several that differ a later one counts if it concludes more (`so`, `final`, a box) or if the
    earlier was taken back (`No, wait`), and else none. Without any, the last number of the last sentence that has
    one counts. Reasons (`because 9 * 2 = 18`) and parentheses are passed over, and of an equation its result counts.

    How it reads, native digits and Han, Ethiopic and spelt-out numerals being the same as 0-9:
    - A minus is a sign only where nothing to subtract from stands before it: `-5` and `−$5` are negative,
      `10-5`, `10 -5`, `x-5` and `- 5` are not.
    - Groups of thousands are joined by commas (`1,000`, Indian `1,00,000`), thin spaces, apostrophes, LaTeX's
      `{,}`, two or more dots, or one that a decimal comma follows (`1.234,5`). A plain space joins them behind a
      marker (`The answer is: 10 000`) and where a language writes so.
    - One comma before exactly three digits is thousands (`1,125` is 1125, but `0,125` is 0.125), any other
      single comma is a decimal one (`3,5` is 3.5). One dot is decimal (`1.250` is 1.25), but thousands before
      exactly three digits in a language with decimal commas (German `1.250` is 1250).
    - `3/4`, `\\frac{3}{4}` and `¾` are 0.75, `2 1/2` and `2½` are 2.5, `1.5e3`, `1.5 thousand` and `1.5 × 10^3` are
      1500, `3万` is 30000; `50%` is 50.
    - Ranges, ratios, pairs, dates, times of day, `5 hours 30 minutes`, lists and unfinished calculations are no
      single number. Versions (`1.2.3`) and divisions by zero are passed over.
    """
    return stated_number(text, language)


def strict_answer(output: str, language: str, gold: Gold, options: Sequence[str]) -> Gold | None:
    """What the strict rule reads in an answer: a number, the option that is named, or the text."""
    if options:
        return stated_option(output, options)
    return stated_text(output) if isinstance(gold, str) else strict_number(output, language)


def official_answer(output: str, gold: Gold, options: Sequence[str]) -> Gold | None:
    """What the official rule reads: a number, or, where it compares texts, the answer as it stands."""
    if options:
        return exact_option(output, options)
    return output if isinstance(gold, str) else official_number(output)


def scored(output: str, language: str, gold: Gold, options: Sequence[str] = ()) -> dict[str, Any]:
    """What both rules read in an answer, and whether it is right; `rule` is the strict one's version."""
    strict = strict_answer(output, language, gold, options)
    official = official_answer(output, gold, options)
    return {
        "strict": strict,
        "strict_correct": correct(strict, gold if options else _as_read(gold)),
        "official": None if isinstance(official, float) and not math.isfinite(official) else official,
        "official_correct": correct(official, gold),
        "rule": STRICT_VERSION,
    }


def _as_read(gold: Gold) -> Gold:
    """A right answer that is text, as the strict rule reads one."""
    return gold if isinstance(gold, float | int) else stated_text(gold) or gold


def rescored(record: Mapping[str, Any], gold: Gold) -> dict[str, Any]:
    """A stored answer by today's strict rule, read from its output, and by a right answer that may be another one.

    What today's rule has read is not read again; the official rule never changes.
    """
    read = {"strict": record.get("strict"), "official": record.get("official")}
    options = record.get("options") or ()
    if record.get("rule") != STRICT_VERSION:
        read["strict"] = strict_answer(record["output"], record["language"], gold, options)
    told = {
        **record,
        **read,
        "gold": gold,
        "rule": STRICT_VERSION,
        "strict_correct": correct(read["strict"], gold if options else _as_read(gold)),
    }
    if gold != record["gold"]:
        told["official_correct"] = correct(read["official"], gold)
        if "likelihood" in record:
            told["likelihood_correct"] = correct(record["likelihood"], gold)
    return told


def correct(prediction: Gold | None, gold: Gold, tolerance: float = TOLERANCE) -> bool:
    """Whether a prediction is the right number, or the right name or text; none never is."""
    if prediction is None or isinstance(prediction, str) or isinstance(gold, str):
        return prediction == gold
    return abs(prediction - gold) < tolerance


def wilson(correct: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share, as two numbers in [0, 1]; z = 1.96 is 95 %.

    Of nothing measured nothing is known: total = 0 gives (0, 1).
    """
    assert 0 <= correct <= total
    if total == 0:
        return 0.0, 1.0
    share, ratio = correct / total, z * z / total
    centre = (share + ratio / 2) / (1 + ratio)
    half = z * math.sqrt(share * (1 - share) / total + ratio / (4 * total)) / (1 + ratio)
    return max(0.0, centre - half), min(1.0, centre + half)
