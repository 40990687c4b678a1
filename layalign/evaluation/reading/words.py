"""The words of `words.yaml` as patterns over plain text. Light."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from layalign.evaluation.reading.plain import plain

SPACELESS = r"\u0e00-\u0e7f\u3040-\u30ff\u4e00-\u9fff"
"""Thai, kana and Han: words of these stand anywhere, not only between spaces."""
SHORT = 4
"""English words up to so many letters are not looked for in other languages, where `no` and `to` mean other things."""
_NEVER = "(?!)"
_DAY = r"[0-9]{1,2}(?:st|nd|rd|th|\.)?"
_YEAR = r"(?:1[89]|20)[0-9]{2}(?![0-9.,/%'-]?[0-9])"


@dataclass(frozen=True)
class Words:
    """What one language says around numbers, with English beside it; what it has no word for matches nothing."""

    copula: re.Pattern[str]
    """From behind the noun `answer` to where the number may be, over some other words: ` to it would be`."""
    bare: bool
    """Whether the number may follow that noun at once."""
    decimal_comma: bool
    """Whether `1.234` is 1234."""
    final: re.Pattern[str]
    so: re.Pattern[str]
    because: re.Pattern[str]
    wrong: re.Pattern[str]
    instead: re.Pattern[str]
    """`not 12 but`."""
    joint: re.Pattern[str]
    """All that stands between two numbers that are a range or a pair: ` apples and `."""
    unit: re.Pattern[str]
    """All that stands between two numbers that are one quantity: ` hours, `."""
    date: re.Pattern[str]
    times: Mapping[str, float]
    times_after: re.Pattern[str]
    """Of `times`, behind the number that it multiplies."""
    times_before: re.Pattern[str]
    half: re.Pattern[str]
    """Behind a number, to which it adds a half."""
    minus: re.Pattern[str]
    parts: Mapping[str, int]
    """Of a whole, behind a number in words."""
    numerals: Mapping[str, int]
    numeral: re.Pattern[str]
    """A number in words, where a text begins with one."""
    numeral_part: re.Pattern[str]
    """One word of it."""
    scale_first: bool
    """Whether such a number has its scales before what multiplies them."""


@cache
def words_of(language: str) -> Words:
    """The words of a language (English where it has none), and English ones beside them, as models mix the two."""
    told, english = _told().get(language, _told()["en"]), _told()["en"]

    def words(key: str, both: bool = False) -> list[str]:
        shared = [word for word in english.get(key, ()) if both and (told is english or len(word) > SHORT)]
        return _plain([*told.get(key, ()), *shared])

    numerals = {plain(word): value for word, value in told.get("numerals", {}).items()}
    times = {plain(word): value for word, value in {**english["times"], **told.get("times", {})}.items()}
    numeral = _alternatives([*numerals, *words("joint")])
    joint, unit = any_of(words("and")), any_of(words("units", True))
    pairs = [_plain(pair) for pair in told.get("instead", ())]
    return Words(
        copula=re.compile(rf"{_over(words('over'))}(?:{any_of(words('is'), joined=True)}|\s?=)"),
        bare=told.get("bare", False),
        decimal_comma=told.get("decimal") == "comma",
        final=re.compile(any_of(words("final", True))),
        so=re.compile(any_of(words("so", True))),
        because=re.compile(any_of(words("because", True))),
        wrong=re.compile(any_of(words("wrong", True))),
        instead=re.compile(
            "|".join(rf"{any_of([no])}[^.\n]{{1,40}}?{any_of([but])}" for no, but in pairs) or _NEVER
        ),
        joint=re.compile(rf"[^.;:!?\n0-9]{{0,24}}?{joint}\s?\$?"),
        unit=re.compile(rf"\s?{unit}\.?,?\s?(?:{joint}\s?)?|\s?{joint}\s?{unit}\s?"),
        date=re.compile(_date(any_of(words("months", True)), any_of(words("year", True)))),
        times=times,
        times_after=re.compile(rf"[\s-]?({_alternatives(times)})(?![^\W{SPACELESS}])"),
        half=re.compile(rf"\s?{any_of(words('half'))}"),
        minus=re.compile(rf"{any_of(words('minus'))}\s?(?=[0-9])"),
        parts={plain(word): parts for word, parts in told.get("parts", {}).items()},
        times_before=re.compile(rf"({any_of(times)})\s$" if told.get("scale_first") else _NEVER),
        numerals=numerals,
        numeral=re.compile(rf"(?:(?:{numeral})[\s-]{{0,3}})+(?<![\s-])(?![^\W{SPACELESS}])"),
        numeral_part=re.compile(numeral),
        scale_first=told.get("scale_first", False),
    )


def _over(first: Sequence[str]) -> str:
    """What may stand between the noun and the copula: ` to the question`; of `first` words, where they are told."""
    between = r"[^.,:;!?\n0-9=、を]"
    return rf"\s(?:{any_of(first)}{between}{{0,30}}?\s)?" if first else f"{between}{{0,30}}?"


def _date(month: str, year: str) -> str:
    """`May 5, 2024`, `5. Mai`, `2024年5月3日`, or a year at the end of what is said: `in 2024.`"""
    return (
        rf"{month}\.? {_DAY}(?:,? {_YEAR})?(?![0-9])|(?<![0-9.,]){_DAY} (?:of |de )?{month}(?: (?:de )?{_YEAR})?"
        rf"|{_YEAR}年(?:[0-9]{{1,2}}月)?(?:[0-9]{{1,2}}日)?|[0-9]{{1,2}}月[0-9]{{1,2}}日"
        rf"|{year} ?{_YEAR}(?=\s*(?:[.,;!?)]|$|год))"
    )


@cache
def answer_nouns() -> tuple[re.Pattern[str], Mapping[str, str]]:
    """What matches the nouns of all languages, and the language of each."""
    owner = {noun: code for code, told in reversed(list(_told().items())) for noun in _plain(told["answer"])}
    return re.compile(any_of(owner)), owner


@cache
def next_question() -> re.Pattern[str]:
    """Where a next question or turn begins."""
    heading = any_of({word for told in _told().values() for word in _plain(told.get("question", ()))})
    return re.compile(
        r"<\|[^|>\n]{1,30}\|>|</?s>|\[/?inst\]|<(?:start|end)_of_turn>|<[eb]os>"
        r"|#{2,} ?(?:instruction|input|question|response)|below is an instruction"
        rf"|(?:\n|(?<=[.!?。।] ))[\s#>]{{0,9}}{heading} ?[0-9]{{0,3}} ?:"
    )


@cache
def common_words() -> Mapping[str, re.Pattern[str]]:
    """What is found most in a text of a language, for the languages where it must be known."""
    return {
        code: re.compile(any_of(_plain(told["common"]))) for code, told in _told().items() if "common" in told
    }


@cache
def _told() -> Mapping[str, Mapping[str, Any]]:
    import yaml

    told: Mapping[str, Mapping[str, Any]] = yaml.safe_load(
        Path(__file__).with_name("words.yaml").read_text(encoding="utf-8")
    )
    return told


def _plain(words: Iterable[str]) -> list[str]:
    return [plain(word) for word in words]


def any_of(words: Iterable[str], joined: bool = False) -> str:
    """One of some words, whole. Words that end in `-` may be written on to what follows, if that is `joined`."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for word in words:
        begin = r"(?<!\w)" if _spaced(word[:1]) else ""
        end = r"(?!\w)" if _spaced(word[-1:]) else ""
        if joined and word.endswith("-"):
            word, end = word[:-1], "-?(?=[0-9$r])"
        kinds.setdefault((begin, end), []).append(word)
    parts = [f"{begin}(?:{_alternatives(some)}){end}" for (begin, end), some in kinds.items()]
    return f"(?:{'|'.join(parts) or _NEVER})"


def _spaced(char: str) -> bool:
    """Whether a letter or vowel sign is of a script that writes spaces between words."""
    return (char.isalnum() or not char.isascii()) and not re.match(f"[{SPACELESS}]", char)


def _alternatives(words: Iterable[str]) -> str:
    """The longest that fits first."""
    return "|".join(map(re.escape, sorted(set(words), key=lambda word: (-len(word), word)))) or _NEVER
