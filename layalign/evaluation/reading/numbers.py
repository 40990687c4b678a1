"""Numbers in plain text: where they stand, what they are worth, and which two of them are one thing. Light."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from layalign.evaluation.reading.numerals import composed, composed_scale_first, han_value
from layalign.evaluation.reading.plain import GROUP
from layalign.evaluation.reading.words import SPACELESS, Words

_COMMAS = r"[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}"
_DOTS = r"[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,}"
_MARKS = rf"[1-9][0-9]{{0,2}}(?:{GROUP}[0-9]{{3}})+"
_WHOLE = re.compile(f"{_COMMAS}|{_DOTS}|{_MARKS}|[0-9]+")
_ONE_DOT = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")
_PLAIN = (
    rf"(?:(?:{_COMMAS})(?:\.[0-9]+)?"
    rf"|{_DOTS}(?:,[0-9]+)?|[1-9][0-9]{{0,2}}\.[0-9]{{3}},[0-9]+"
    rf"|{_MARKS}(?:[.,][0-9]+)?"
    r"|[0-9]+(?:[.,][0-9]+)?"
    r"|(?<![^\s(\[=:-])\.[0-9]+)"
)
_NUMBER = re.compile(
    rf"(?P<sign>(?<![^\W{SPACELESS}])(?<![)\]%])(?<![0-9)\]%] )-)?"
    r"(?<![0-9^])(?<![0-9][.,/'])"
    r"(?:(?P<whole>[0-9]+) (?:and )?(?=[0-9]+/[0-9]))?"
    rf"(?P<top>{_PLAIN})(?P<power>e[+-]?[0-9]{{1,3}}(?![0-9a-z])|\^(?P<exponent>-?[0-9]{{1,2}})(?![0-9]))?"
    rf"(?:/(?P<bottom>{_PLAIN}))?"
    r"(?![.,/']?[0-9])"
)
_SPACED_GROUPS = re.compile(r"(?<![0-9.,])[1-9][0-9]{0,2}(?: [0-9]{3})+(?![0-9/])")
_MOMENT = re.compile(
    r"(?<![0-9:])[0-9]{1,2}(?::[0-9]{2}){1,2}(?![0-9:])|(?<![0-9])[0-9]{1,2} ?h ?[0-9]{2}(?![0-9])"
    r"|(?<![0-9])[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?![0-9])|(?<![0-9.])[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}(?![0-9])"
)
_RANGE = re.compile(r"\s?[–—~]\s?\$?|-\$?")
_OPERATOR = re.compile(r"\s?[-+*×x·/–]\s?\$?")
_LIST = re.compile(r"\s?[,;]\s?|\s+")
_RATIO = re.compile(r" ?: ?")


@dataclass(frozen=True)
class Number:
    """Something that digits say in a text."""

    start: int
    end: int
    value: float | None
    """None of a date or a time of day."""


def joined_groups(text: str) -> str:
    """A text in which plain spaces between thousands are group marks: `10 000` is `10'000`."""
    return _SPACED_GROUPS.sub(lambda groups: groups[0].replace(" ", GROUP), text)


def numbers(text: str, words: Words) -> list[Number]:
    """All numbers, dates and times of a plain text, in order; what is none of these, as `1.2.3`, is passed over."""
    spans = [found.span() for pattern in (words.date, _MOMENT) for found in pattern.finditer(text)]
    found = [Number(start, end, None) for start, end in spans]
    for match in _NUMBER.finditer(text):
        value = _value(match, words.decimal_comma)
        if value is None or any(start < match.end() and match.start() < end for start, end in spans):
            continue
        end, times, more = _beside(text, match, words)
        value = value * times + more
        if math.isfinite(value):
            found.append(Number(match.start(), end, value))
    return sorted(found, key=lambda number: number.start)


def one_thing(text: str, first: Number, second: Number, words: Words) -> bool:
    """Whether two neighbours are one range, ratio, pair or compound: `5 to 7`, `3:1`, `5 boys and 7`, `5 h 30`."""
    between = text[first.end : second.start]
    if _RANGE.fullmatch(between):
        return first.value is not None and second.value is not None and first.value < abs(second.value)
    return any(pattern.fullmatch(between) for pattern in (_RATIO, words.joint, words.unit))


def is_open(text: str, first: Number, second: Number) -> bool:
    """Whether two neighbours are terms of an expression, or members of a list."""
    between = text[first.end : second.start]
    return bool(_OPERATOR.fullmatch(between) or _LIST.fullmatch(between))


def _value(found: re.Match[str], decimal_comma: bool) -> float | None:
    exponent, power = found["exponent"], found["power"] or ""
    top = float(_digits(found["top"], decimal_comma) + ("" if exponent else power))
    if exponent and top:
        try:
            top = top ** int(exponent)
        except OverflowError:
            return None
    bottom = float(_digits(found["bottom"], decimal_comma)) if found["bottom"] else 1.0
    if bottom == 0:
        return None
    value = top / bottom
    if found["whole"] and top < bottom:
        value += float(found["whole"])
    return -value if found["sign"] else value


def _digits(number: str, decimal_comma: bool) -> str:
    """Digits with at most one dot."""
    if _WHOLE.fullmatch(number) or (decimal_comma and _ONE_DOT.fullmatch(number)):
        return re.sub(r"[^0-9]", "", number)
    *whole, decimals = re.split(r"[.,']", number)
    return f"{''.join(whole)}.{decimals}"


def _beside(text: str, found: re.Match[str], words: Words) -> tuple[int, float, float]:
    """Where a number ends, and what the words beside it multiply and add: `1.5 million`, `elfu 3`, `2 and a half`."""
    end, times = found.end(), 1.0
    after = words.times_after.match(text, end)
    before = words.times_before.search(text, max(0, found.start() - 20), found.start())
    if after:
        end, times = after.end(), words.times[after[1]]
    elif before:
        times = words.times[before[1]]
    half = words.half.match(text, end)
    return (half.end(), times, 0.5) if half else (end, times, 0.0)


def spelt_out(text: str, words: Words) -> float | None:
    """The number in words or Han numerals that a plain text begins with."""
    found = words.numeral.match(text)
    if found is None:
        return han_value(text)
    parts = words.numeral_part.findall(found[0])
    values = [words.numerals.get(part) for part in parts]
    if not any(value is not None for value in values):
        return None
    if words.scale_first:
        return composed_scale_first(values)
    part = re.match(r"\s(\w+)", text[found.end() :])
    return composed(value for value in values if value is not None) / words.parts.get(
        part[1] if part else "", 1
    )
