"""Whether an answer is one at all: what stands beside every accuracy. Light: imports no torch."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

Finish = Literal["stop", "length"]
"""How an answer ended: by itself, or cut at the limit of its tokens."""

FAULTS = {"none": "no number", "empty": "empty", "loops": "loop", "cut": "cut at limit"}
"""What an answer can lack, by the names under which it is counted."""
UNKNOWN = "?"
FAULTS_NOTE = (
    "Below the accuracies, in percent of the answers: no number that strict finds, empty, ending in a loop, cut at the "
    f"limit of tokens ({UNKNOWN}: old answers do not tell); what there is none of is left out."
)

_TAIL = 20
"""Characters by which a repetition is looked for."""
_LONG = 10
"""A piece of so many characters three times in a row is a loop; a shorter one must fill `_FILLED`."""
_FILLED = 60


def is_empty(output: str) -> bool:
    """Whether an answer has no letter and no digit."""
    return not any(map(str.isalnum, output))


def is_loop(output: str) -> bool:
    """Whether an answer ends in one piece of text over and over, the last time perhaps cut."""
    text = output.rstrip()
    period = len(text) - _TAIL - text.rfind(text[-_TAIL:], 0, -1)
    if period > len(text) - _TAIL:
        return False
    times = 3 if period >= _LONG else _FILLED // period
    repeated = text[-(times * period - 1) :]
    return len(repeated) == times * period - 1 and repeated[period:] == repeated[:-period]


def finish_of(record: Mapping[str, Any]) -> Finish | None:
    """How a stored answer ended; of one that does not say so, what its tokens tell; None where nothing does."""
    if "finish" in record:
        return record["finish"]
    if "tokens" not in record or "max_new_tokens" not in record:
        return None
    return "length" if record["tokens"] >= record["max_new_tokens"] else "stop"


def counts(records: Sequence[Mapping[str, Any]]) -> dict[str, int | None]:
    """How many of some answers have each of the faults, and are `unchecked`; None where one of them does not tell."""

    def count(key: str, is_so: Callable[[Any], bool]) -> int | None:
        return sum(is_so(record[key]) for record in records) if all(key in r for r in records) else None

    ends = [finish_of(record) for record in records]
    return {
        "none": count("strict", lambda number: number is None),
        "empty": count("output", is_empty),
        "loops": count("output", is_loop),
        "cut": None if None in ends else ends.count("length"),
        "unchecked": count("checked", operator.not_),
    }


def is_healthy(record: Mapping[str, Any]) -> bool | None:
    """Whether a stored answer has none of the faults; None where it does not tell of each."""
    found = counts([record])
    if any(found[fault] is None for fault in FAULTS):
        return None
    return not any(found[fault] for fault in FAULTS)


def share_text(share: float | None) -> str:
    """`3.2`, or that it is not known."""
    return UNKNOWN if share is None else f"{share:.1f}"


def old_answers(scores: Iterable[Any]) -> list[str]:
    """What answers of an earlier version do not tell: of these `Score`s, which faults, and what they answer."""
    answered = [score for score in scores if score.total]
    silent = [
        told for fault, told in FAULTS.items() if any(getattr(score, fault) is None for score in answered)
    ]
    unchecked = sum(score.unchecked or 0 for score in answered)
    notes = [f"not known of some answers, or of all: {', '.join(silent)}."] if silent else []
    if unchecked:
        notes.append(
            f"{unchecked} answers do not say what they answer: not checked against question and model."
        )
    return notes
