"""MGSM without the questions that MGSM-Rev2 (arXiv 2511.05162) replaced: which those are."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from layalign.languages import find

BENCHMARK = "mgsm"
ITEMS = 250
NAME = "replaced_questions.json"
Replaced = Mapping[str, frozenset[int]]
"""By language, numbers of questions, counted from 1."""


def replaced_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the list is looked for if nobody names it: below the data folder, in that of `mgsm_rev2`.

    Raises:
        ValueError: there is no data folder.
    """
    data = environ.get("LAYALIGN_DATA")
    if not data:
        raise ValueError(f"--rev2 needs {NAME} of MGSM-Rev2: name the file, or set LAYALIGN_DATA")
    return Path(data, "mgsm_rev2", NAME)


def read_replaced(path: Path) -> Replaced:
    """The list as its authors publish it: `{"sw": [3, 4, 8], ...}`.

    Raises:
        ValueError: there is none, or it is another file.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read: {error.strerror}; --rev2 names {NAME} of MGSM-Rev2"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}; --rev2 names {NAME} of MGSM-Rev2") from None
    found = {}
    for name, numbers in told.items() if isinstance(told, dict) else [("", told)]:
        spoken = find(name)
        whole = isinstance(numbers, list) and all(type(one) is int and 1 <= one <= ITEMS for one in numbers)
        if spoken is None or not whole:
            rule = f"a language of MGSM has a list of numbers from 1 to {ITEMS}"
            raise ValueError(f"{path} has {name!r}: {str(numbers)[:60]}; {rule}")
        found[spoken.code] = frozenset(numbers)
    return found


def left(replaced: Replaced, language: str, first: int, items: int) -> int:
    """How many of some items of a language, the first of which has a number, were not replaced."""
    return items - sum(first <= one < first + items for one in replaced.get(language, ()))


def is_left(replaced: Replaced, language: str, problem: str) -> bool:
    """Whether a problem, by the end of its item's id, was not replaced."""
    return int(problem) not in replaced.get(language, ())
