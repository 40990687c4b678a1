"""Numerals that are no digits: Han, Ethiopic, and words, as values put together. Light."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_HAN = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_HAN_SCALES = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_SCALES = "".join(_HAN_SCALES)
_HAN_NUMERAL = re.compile(f"[{''.join(_HAN)}{_SCALES}]+(?![共起些样樣])")
_SCALED_DIGITS = re.compile(
    rf"(?<![0-9.,])[0-9][0-9,]*(?:\.[0-9]+)?(?:[{_SCALES[1:]}](?<!千(?=[克米瓦卡升]))[0-9]*)+(?![0-9.,])"
)
_ETHIOPIC = re.compile("[\u1369-\u137c]{1,60}")
"""Longer ones are loops."""


def composed(values: Iterable[float]) -> float:
    """The number that values spell, greater scales behind what they multiply: 2, 100, 20, 5 is 225.

    A power of ten multiplies what stands before it and is smaller; anything else is added.
    """
    parts: list[float] = []
    for value in values:
        if value in (10, 100) or (value and value % 1000 == 0):
            below = 0.0
            while parts and parts[-1] < value:
                below += parts.pop()
            value *= below or 1
        parts.append(value)
    return sum(parts)


def composed_scale_first(values: Sequence[float | None]) -> float:
    """The number that values spell, scales before what multiplies them: 10, 6 is 60, and 10, None, 6 is 16.

    None is the word that joins: what stands behind it is added.
    """
    total, scale = 0.0, 0.0
    for value in values:
        if value is None:
            total, scale = total + scale, 0.0
        elif scale and value < scale:
            total, scale = total + scale * value, 0.0
        else:
            total, scale = total + scale, 0.0
            if value in (10, 100, 1000):
                scale = value
            else:
                total += value
    return total + scale


def han_value(text: str) -> float | None:
    """The Han numeral that a text begins with: `十八`, `二〇二四`."""
    found = _HAN_NUMERAL.match(text)
    if found is None:
        return None
    if not set(found[0]) & _HAN_SCALES.keys():
        return float("".join(str(_HAN[char]) for char in found[0]))
    return composed(_HAN.get(char, _HAN_SCALES.get(char, 0)) for char in found[0])


def as_digits(text: str) -> str:
    """A text with `3万`, `1万2000` and Ethiopic numerals as digits."""
    text = _SCALED_DIGITS.sub(lambda found: f"{_scaled(found[0]):.15g}", text)
    return _ETHIOPIC.sub(lambda found: str(_ethiopic(found[0])), text)


def _scaled(numeral: str) -> float:
    parts = re.findall(rf"[0-9][0-9,.]*|[{_SCALES}]", numeral)
    return composed(
        _HAN_SCALES[part] if part in _HAN_SCALES else float(part.replace(",", "")) for part in parts
    )


def _ethiopic(numeral: str) -> int:
    """`፪፻፲፰` is 2 x 100 + 10 + 8; what stands before `፼` counts ten thousand times."""
    total = part = 0
    for char in numeral:
        value = int(unicodedata.numeric(char))
        if value == 100:
            part = (part or 1) * 100
        elif value == 10000:
            total, part = ((total + part) or 1) * 10000, 0
        else:
            part += value
    return total + part
