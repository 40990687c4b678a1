"""What an answer states as its result, and what it does not. Light."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from layalign.evaluation.reading.numbers import Number, is_open, joined_groups, numbers, one_thing, spelt_out
from layalign.evaluation.reading.plain import BOX, BOX_END, plain
from layalign.evaluation.reading.words import Words, answer_nouns, common_words, next_question, words_of

SAME = 1e-3
"""Two statements closer than this say the same."""
LONGEST = 400
"""Characters of a sentence that are read."""
MANY = 40
"""Announcements that are read: of a loop that has more, the first and the last."""

_ABBREVIATED = "".join(
    rf"(?<!\b{word}\.)" for word in ("rs", "ca", "sh", "nr", "no", "ksh", "tsh", "approx", "env")
)
_END = re.compile(rf"[.!?](?=\s|$){_ABBREVIATED}|[。।።؟\n{BOX_END}]")
_LEAD = re.compile(r"[ \t\n:=*#]*")
_COLON = re.compile(r"[^.!?:\n0-9]{0,30}:")
_MARK = re.compile(rf"{BOX}|(?<!#)####\s?(?=-?[0-9.])(?![0-9]{{1,2}}[.):] ?[^\W\d])")
"""A box, or the `#### 18` of GSM8K, which is no heading `#### 1. First`."""
_BESIDE = re.compile(r"\([^()\n]*\)")
_ITEM = re.compile(r"^\s{0,9}[0-9]{1,2}[.)]\s+(?=[^\W\d])", re.MULTILINE)
_UNKNOWN = re.compile(r"(?<![^\W_])([a-z])\s?=\s?(?=-?[0-9])")


@dataclass(frozen=True)
class Statement:
    """A place where an answer says what its result is."""

    start: int
    end: int
    """Behind its sentence."""
    value: float | None
    """None where it is no single number."""
    digits: str
    """As written."""
    rank: int
    """How much it concludes: 0 is `the answer is`; `so`, `final` and a box count more."""
    words: Words


def stated_number(text: str, language: str | None = None) -> float | None:
    """The number that an answer states; None where it states none, or two that differ.

    Args:
        text: the answer.
        language: that was asked for (a code), for an answer that does not show its own.
    """
    text = _own(plain(text))
    found = list(_statements(text, language))
    if not found:
        return _last_number(text, words_of(_language_of(text, language)))
    last = _settled(text, found)
    tail = text[last.end :]
    taken_back = _taken_back(tail, last.words)
    if taken_back is not None and re.search("[0-9]", tail[taken_back:]):
        return _last_number(tail[taken_back:], last.words)
    return last.value


def _own(text: str) -> str:
    """An answer up to where the next question or turn begins."""
    for found in next_question().finditer(text):
        if re.search(r"\w", text[: found.start()]):
            return text[: found.start()]
    return text


def _settled(text: str, found: list[Statement]) -> Statement:
    """The statement that holds of several: a later one must agree, conclude more, or take the earlier back."""
    held = found[0]
    for later in found[1:]:
        between = text[held.end : later.start]
        cut = later.end >= len(text) and later.digits != held.digits and held.digits.startswith(later.digits)
        if cut and later.digits:
            continue
        if _same(held.value, later.value):
            held = replace(later, rank=max(held.rank, later.rank))
        elif later.rank > held.rank or _taken_back(between, held.words) is not None:
            held = later
        else:
            held = replace(later, value=None, digits="")
    return held


def _same(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return abs(first - second) < SAME


def _taken_back(text: str, words: Words) -> int | None:
    """Where, near the beginning of a sentence, a text takes back what was said before it; None if it does not."""
    for found in words.wrong.finditer(text):
        begun = max((end.end() for end in _END.finditer(text, 0, found.start())), default=0)
        if found.start() - begun <= 25:
            return found.end()
    return None


def _statements(text: str, language: str | None) -> Iterator[Statement]:
    """All statements, in order; what stands inside another is part of it."""
    pattern, owner = answer_nouns()
    nouns, marks = _outermost(list(pattern.finditer(text))), list(_MARK.finditer(text))
    ends = [*(noun.start() for noun in nouns[1:]), len(text)]
    found = [_announced(text[:end], noun, words_of(owner[noun[0]])) for noun, end in zip(nouns, ends)]
    if marks:
        words = words_of(_language_of(text, language))
        found += [_marked(text, mark, words) for mark in _outermost(marks)]
    end = 0
    for statement in sorted(filter(None, found), key=lambda one: one.start):
        if statement.start >= end:
            yield statement
            end = statement.end


def _outermost(found: list[re.Match[str]]) -> list[re.Match[str]]:
    return found if len(found) <= MANY else [*found[: MANY // 2], *found[-MANY // 2 :]]


def _announced(text: str, noun: re.Match[str], words: Words) -> Statement | None:
    """What stands behind a noun such as `answer`, if it is there to announce it."""
    before, begin, copula = _sentence_before(text, noun.start()), noun.end(), False
    if not noun[0].endswith(":"):
        link = words.copula.match(text, begin)
        copula, link = bool(link), link or _COLON.match(text, begin)
        if link is None and not (words.bare and len(before.split()) <= 3):
            return None
        begin = link.end() if link else begin
    sentence, end = _sentence(text, begin)
    reading = _read(sentence, words)
    if reading is None or not (copula or _is_direct(sentence)):
        return None
    announced = before + text[noun.start() : begin]
    rank = 2 * (BOX in text[begin:end]) + _rank(announced, words)
    return Statement(noun.start(), end, *reading, rank, words)


def _marked(text: str, mark: re.Match[str], words: Words) -> Statement | None:
    """A box, or what stands behind `####`."""
    before = _sentence_before(text, mark.start())
    sentence, end = _sentence(text, mark.end())
    reading = _read(sentence, words)
    if reading is None:
        return None
    return Statement(mark.start(), end, *reading, 2 + _rank(before, words), words)


def _rank(before: str, words: Words) -> int:
    return bool(words.so.search(before)) + 2 * bool(words.final.search(before))


def _sentence_before(text: str, place: int) -> str:
    """What of a sentence stands before a place in it."""
    return _END.split(text[max(0, place - LONGEST) : place])[-1]


def _sentence(text: str, begin: int) -> tuple[str, int]:
    """The sentence that begins at a place, or below it, and its end in the text."""
    lead = _LEAD.match(text, begin)
    begin = lead.end() if lead else begin
    end = _END.search(text, begin, begin + LONGEST)
    stop = end.start() if end else min(len(text), begin + LONGEST)
    return text[begin:stop].rpartition(BOX)[2], stop


def _is_direct(sentence: str) -> bool:
    """Whether a heading such as `Answer:` has its number at once, and no calculation."""
    gap = re.split("[0-9]", sentence, maxsplit=1)[0]
    short = len(gap.split()) <= 3 and len(gap) <= 30
    return short and "=" not in sentence and not re.search(r"[.,;!?]", gap)


def _read(sentence: str, words: Words) -> tuple[float | None, str] | None:
    """What a statement says: its number (None if it is no single one) with its digits; None if it says none at all."""
    unknowns = {found[1] for found in _UNKNOWN.finditer(sentence)}
    told = _result(_core(_corrected(joined_groups(sentence), words), words), words)
    negative = words.minus.match(told.lstrip())
    told = f"-{told.lstrip()[negative.end() :]}" if negative else told
    found = numbers(told, words)
    if not found:
        value = spelt_out(told.lstrip(), words)
        return None if value is None else (value, "")
    first = found[0]
    single = len(unknowns) < 2 and not (len(found) > 1 and _belong(told, found[0], found[1], words))
    return (first.value if single else None), told[first.start : first.end]


def _belong(text: str, first: Number, second: Number, words: Words) -> bool:
    """Whether the first of two numbers alone would be half of what is said."""
    return one_thing(text, first, second, words) or is_open(text, first, second)


def _corrected(sentence: str, words: Words) -> str:
    """A sentence from where it takes back what it said: `12, no, 15`, `not 12 but 15`."""
    begin = max((found.end() for found in words.instead.finditer(sentence)), default=0)
    for found in words.wrong.finditer(sentence):
        if re.search("[0-9]", sentence[: found.start()]):
            begin = max(begin, found.end())
    return sentence[begin:] if re.search("[0-9]", sentence[begin:]) else sentence


def _core(sentence: str, words: Words) -> str:
    """A sentence without the reason that it gives, and without what stands in parentheses."""
    reason = words.because.search(sentence)
    if reason and re.search("[0-9]", sentence[: reason.start()]):
        sentence = sentence[: reason.start()]
    outside = _BESIDE.sub(" ", sentence)
    return outside if re.search("[0-9]", outside) else sentence


def _result(sentence: str, words: Words) -> str:
    """The side of an equation that is its result: the last one, unless only an earlier one is no calculation."""
    sides = [(side, numbers(side, words)) for side in re.split(r"=>|[=≈]", sentence)]
    sides = [(side, found) for side, found in sides if found]
    if len(sides) < 2:
        return sides[0][0] if sides else sentence
    lone = [side for side, found in sides if len(found) == 1 or not is_open(side, found[0], found[1])]
    return lone[-1] if lone else sides[-1][0]


def _last_number(text: str, words: Words) -> float | None:
    """The last number of the last sentence that has one: of an answer that announces no result."""
    if words.decimal_comma:
        text = joined_groups(text)
    if len(_ITEM.findall(text)) > 1:
        text = _ITEM.sub("", text)
    for sentence in reversed(_END.split(text)):
        told = _result(_core(sentence, words), words)
        found = numbers(told, words)
        if found:
            values = [number for number in found if number.value is not None]
            pair = len(values) > 1 and one_thing(told, values[-2], values[-1], words)
            return values[-1].value if values and not pair else None
    return None


def _language_of(text: str, asked: str | None) -> str:
    """The language that a text shows by its common words, or that was asked for."""
    counts = {code: len(pattern.findall(text)) for code, pattern in common_words().items()}
    shown = max(counts, key=lambda code: counts[code])
    if asked and counts[shown] <= counts.get(asked, 0) + 1:
        return asked
    return shown if counts[shown] else "en"
