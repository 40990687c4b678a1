"""The right answer of a row, and the options that it is one of, as the page of the benchmark says. Light."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from layalign.data.layouts import field_of
from layalign.tasks.benchmark import LETTERS, AnswerKind

Gold = float | str
_GOLD = re.compile(r"-?\d{1,15}(\.\d+)?")
"""More digits than a float tells apart are no answer."""
_WHOLE = re.compile(r"\d{1,3}(\.0+)?")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Options:
    """What an answer may be."""

    names: tuple[str, ...] = ()
    """Labels, letters or texts: an answer is one of them."""
    others: tuple[str, ...] = ()
    """What a row may have in their place."""


def options_of(answer: AnswerKind, record: Mapping[str, Any]) -> Options:
    """The options of a row.

    Raises:
        ValueError: a row of a choice that has none.
    """
    if answer.kind == "label":
        return Options(answer.labels, answer.values)
    if answer.kind != "choice":
        return Options()
    texts = _texts(answer, record)
    letters = tuple(LETTERS[: len(texts)])
    return Options(letters, texts) if answer.given == "letter" else Options(texts, letters)


def _texts(answer: AnswerKind, record: Mapping[str, Any]) -> tuple[str, ...]:
    """The texts of the options: of a column each, or all in one."""
    found = [field_of(record, column) for column in answer.options]
    if len(found) == 1:
        found = _listed(found[0], answer.options[0])
    odd = next((one for one in found if not _is_text(one)), None)
    if odd is not None or None in found:
        raise ValueError(f"an option is {odd!r}: `{', '.join(answer.options)}` must be texts")
    if not 2 <= len(found) <= len(LETTERS):
        raise ValueError(f"{len(found)} options: there must be 2 to {len(LETTERS)}")
    if answer.given == "text" and len({str(one).strip().casefold() for one in found}) < len(found):
        raise ValueError("two options are the same, and an answer is the text of one")
    return tuple(map(str, found))


def _is_text(value: Any) -> bool:
    """Also a number, as an option of arithmetic may be."""
    if isinstance(value, str):
        return bool(value.strip()) and not _SURROGATE.search(value)
    return type(value) in (int, float)


def _listed(value: Any, column: str) -> list[Any]:
    """A list, or a text that is one, in JSON or as Python prints it (AfriMMLU)."""
    if isinstance(value, str):
        for read in (json.loads, ast.literal_eval):
            try:
                value = read(value)
                break
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
    if not isinstance(value, list | tuple):
        raise ValueError(f"`{column}` is {str(value)[:60]!r}: it must be a list of options")
    return [one["text"] if isinstance(one, Mapping) and "text" in one else one for one in value]


def gold_of(answer: AnswerKind, value: Any, options: Options) -> Gold:
    """The right answer out of what a row has.

    Raises:
        ValueError: it is none; the rule is told.
    """
    if answer.kind == "number":
        return _number(value)
    if answer.kind == "text":
        if not isinstance(value, str) or not value.strip() or _SURROGATE.search(value):
            raise ValueError(f"the answer is {str(value)[:60]!r}; it must be a text")
        return value
    told, first = str(value).strip(), 0 if answer.kind == "label" else answer.first
    places, rules = list[int](), list[str]()
    if first is not None:
        rules.append(f"a number from {first} to {first + len(options.names) - 1}")
        if type(value) is not bool and _WHOLE.fullmatch(told):
            places = [int(float(told)) - first]
    if answer.first is None:
        words = options.others if answer.values else options.names
        rules.insert(0, f"one of {', '.join(words)}")
        for known in (options.names, options.others):
            places = places or [
                at for at, one in enumerate(known) if one.strip().casefold() == told.casefold()
            ]
    if len(places) != 1 or not 0 <= places[0] < len(options.names):
        raise ValueError(f"the answer is {told[:60]!r}; it must be {' or '.join(rules)}")
    return options.names[places[0]]


def _number(answer: Any) -> float:
    """A whole or decimal number, with commas between thousands."""
    digits = str(answer).strip().replace(",", "")
    if not _GOLD.fullmatch(digits):
        raise ValueError(
            f"the answer is {str(answer)[:60]!r}; it must be one number such as 18, 2,125 or 8.0"
        )
    return float(digits)
