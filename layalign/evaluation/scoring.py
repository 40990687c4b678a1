"""Numbers out of answers, by two rules, and how sure an accuracy is. Light: imports no torch.

The official rule (`official_number`) makes results comparable with the paper's; the strict rule
(`strict_number`) reads what the answer says. Both are always reported.
"""

from __future__ import annotations

import math
import re
import unicodedata

TOLERANCE = 1e-3
"""Largest distance from the right answer, as in the official code."""

CURRENCY = "$€£¥￥₹৳฿₽"
MINUSES = "−－﹣"
GROUP_MARKS = "\u00a0\u202f\u2009\u2007'’，٬"
"""What else separates thousands: no-break and thin spaces, apostrophes, fullwidth and Arabic commas."""

_COMMAS = r"[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}"
_DOTS = r"[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,}"
_MARKS = r"[1-9][0-9]{0,2}(?:'[0-9]{3})+"
_WHOLE = re.compile(f"{_COMMAS}|{_DOTS}|{_MARKS}|[0-9]+")
_PLAIN = (
    rf"(?:(?:{_COMMAS})(?:\.[0-9]+)?"
    rf"|{_DOTS}(?:,[0-9]+)?|[1-9][0-9]{{0,2}}\.[0-9]{{3}},[0-9]+"
    rf"|{_MARKS}(?:[.,][0-9]+)?"
    r"|[0-9]+(?:[.,][0-9]+)?"
    r"|(?<![^\s(\[=:-])\.[0-9]+)"
)
_SPACELESS = r"\u0e00-\u0e7f\u3040-\u30ff\u4e00-\u9fff"
"""Thai, kana and Han letters stand before a minus without a space; after other letters it is a hyphen."""
_NUMBER = re.compile(
    rf"(?P<sign>(?<![^\W{_SPACELESS}])(?<![)\]%])(?<![0-9)\]%] )-)?"
    r"(?<![0-9^])(?<![0-9][.,/'])(?<!\^\{)"
    r"(?:(?P<whole>[0-9]+) (?=[0-9]+/[0-9]))?"
    rf"(?P<top>{_PLAIN})(?P<power>[eE][+-]?[0-9]{{1,3}}(?![0-9A-Za-z]))?(?:/(?P<bottom>{_PLAIN}))?"
    r"(?![.,/']?[0-9])"
)
_MARKER = re.compile(r"\banswer\s+is\b\s*:?|(?<!#)####(?=\s*-?[0-9.])", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.。।](?=\s|$)|\n|(?<=[0-9])\s*\(")
_SPACED_GROUPS = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}(?: [0-9]{3})+(?![0-9/])")


def official_number(text: str) -> float:
    """The number that the official code reads (`extract_last_num` in its `tools/utils.py`).

    The last run of digits with an optional decimal part. Signs, fractions and exponents are not seen
    (`-5` is 5, `3/4` is 4, `1.5e3` is 3), a comma between digits vanishes (`3,5` is 35), digits of any
    script count, and a text without any number is 0.
    """
    text = re.sub(r"(\d),(\d)", r"\g<1>\g<2>", text)
    found = re.findall(r"(\d+(\.\d+)?)", text)
    return float(found[-1][0]) if found else 0.0


def strict_number(text: str) -> float | None:
    """The number that an answer states, or None where it states none.

    Where it stands: in the sentence after the last `The answer is:` or `#### 5` that has a number, behind
    its last `=`; the first one there counts (`The answer is: 12. (step 3)` is 12). Without such a marker
    the last number of the text counts.

    How it reads, native digits being the same as 0-9:
    - A minus is a sign only where nothing to subtract from stands before it: `-5` and `−$5` are negative,
      `10-5`, `10 -5`, `x-5` and `- 5` are not.
    - Groups of thousands are joined by commas (`1,000`, Indian `1,00,000`), by no-break or thin spaces and
      apostrophes, by two or more dots (`1.000.000`) or by one that a decimal comma follows (`1.234,5`).
      A plain space joins groups only after a marker (`The answer is: 10 000`).
    - One comma before exactly three digits is thousands (`1,125` is 1125, but `0,125` is 0.125), any other
      single comma is a decimal one (`3,5` is 3.5). One dot is always decimal (`1.000` is 1).
    - `3/4`, `\\frac{3}{4}` and `¾` are 0.75, `2 1/2` and `2½` are 2.5, `1.5e3` is 1500; `50%` is 50.
    - Runs that fit none of this are passed over: lists (`1,2,3`), dates (`3/4/2024`), versions (`1.2.3`),
      exponents (`m^2`), a division by zero.
    """
    text = _normalise(text)
    for marker in reversed(list(_MARKER.finditer(text))):
        sentence = _SENTENCE_END.split(text[marker.end() :].lstrip(), maxsplit=1)[0].rpartition("=")[2]
        found = _numbers(_SPACED_GROUPS.sub(lambda groups: groups[0].replace(" ", ""), sentence))
        if found:
            return found[0]
    found = _numbers(text)
    return found[-1] if found else None


def correct(prediction: float | None, gold: float, tolerance: float = TOLERANCE) -> bool:
    """Whether a prediction is the right number; none never is."""
    return prediction is not None and abs(prediction - gold) < tolerance


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


def _numbers(text: str) -> list[float]:
    """Every number of a normalised text that has a value, in order."""
    values = [_value(found) for found in _NUMBER.finditer(text)]
    return [value for value in values if value is not None and math.isfinite(value)]


def _value(found: re.Match[str]) -> float | None:
    top = float(f"{_plain(found['top'])}{found['power'] or ''}")
    bottom = float(_plain(found["bottom"])) if found["bottom"] else 1.0
    if bottom == 0:
        return None
    value = top / bottom
    if found["whole"] and top < bottom:
        value += float(found["whole"])
    return -value if found["sign"] else value


def _plain(number: str) -> str:
    """Digits with at most one dot."""
    if _WHOLE.fullmatch(number):
        return re.sub(r"[^0-9]", "", number)
    *whole, decimals = re.split(r"[.,']", number)
    return f"{''.join(whole)}.{decimals}"


def _normalise(text: str) -> str:
    """Digits as 0-9, one minus, one mark between thousands, fractions as a/b, no currency before numbers."""
    text = re.sub(r"(?<=\d)(?=[¼-¾⅐-⅞]|\\[dt]?frac)", " ", text)
    text = "".join(map(_character, text))
    text = re.sub(r"\\[dt]?frac\s*\{\s*(-?[0-9]+)\s*\}\s*\{\s*([0-9]+)\s*\}", r"\1/\2", text)
    text = re.sub(rf"(?<![0-9])[{CURRENCY}]\s?", "", text)
    text = re.sub(r"(?<=[0-9])\s*/\s*(?=[0-9])", "/", text)
    return re.sub(rf"(?<=[0-9])[{GROUP_MARKS}](?=[0-9]{{3}}(?![0-9]))", "'", text)


def _character(char: str) -> str:
    if char < "\u0080":
        return char
    if char in MINUSES:
        return "-"
    if char in "．٫":
        return "."
    if unicodedata.category(char) == "Nd":
        return str(unicodedata.decimal(char))
    if char in "÷⁄∕":
        return "/"
    folded = unicodedata.normalize("NFKC", char)
    return folded.replace("⁄", "/") if "⁄" in folded else char
