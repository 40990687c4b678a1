"""What `FAILED` says, and whether the same command takes the work up again: the one place that decides it.

A cause passes by itself or is mended outside (a full disk, a hub that was silent, a node), or it needs a change: of the
same command the same would come again. Which is which the tables of patterns say. A cause that passes and strikes
again and again without progress in between needs a change too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.files import read_jsonl
from cluster.job.lifecycle import NEEDS_CHANGE, PASSING
from cluster.logs.error_patterns import PATTERNS
from cluster.logs.pattern import Meaning, find_pattern
from cluster.logs.slurm_patterns import MEANINGS
from cluster.run.state import Cause
from cluster.run.work_folder import WorkFolder

STRIKES = 3
"""So many failures in a row without progress, and the same command takes the work up no more."""
REST = re.compile(r"\n  (?:[a-z ]+: |last lines of the log:)")
"""What follows on the reason in `FAILED`."""
CAUSE = re.compile(rf"^  cause: ({PASSING}|{NEEDS_CHANGE})$", re.MULTILINE)


@dataclass(frozen=True)
class Failure:
    """Why some work stopped."""

    reason: str
    """In a line."""
    passing: bool
    """The same command takes it up again."""
    strikes: int
    """How often it has failed in a row without progress."""
    cause: Cause

    def told(self) -> str:
        """Why it is not taken up by the same command, in a line."""
        often = f" ({self.strikes} times in a row without progress)" if self.strikes >= STRIKES else ""
        return f"{self.reason}{often}"


def failure_of(work: WorkFolder) -> Failure | None:
    """What a folder says of its failure; None if it has not failed.

    A `FAILED` of an earlier version does not say of which kind its cause is: that is told from its reason.
    """
    try:
        text = work.failed.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    strikes = _strikes(read_jsonl(work.events))
    recorded = CAUSE.search(text)
    passing = recorded[1] == PASSING if recorded else may_have_passed(text)
    return Failure(text.partition("\n")[0], passing and strikes < STRIKES, strikes, cause_of(text))


def cause_of(text: str) -> Cause:
    """The cause of a failure, by what `FAILED` says: the reason, as a run recorded it or as an exception words it."""
    known = _meaning(text)
    return known.cause if known else Cause.EXCEPTION


def is_symptom(text: str) -> bool:
    """Whether a failure only follows from something that happened elsewhere."""
    known = _meaning(text)
    return known is not None and known.symptom


def cause_of_kind(kind: str) -> Cause:
    """The cause that a run recorded as the kind of message by which Slurm ended it."""
    known = MEANINGS.get(kind)
    return known.cause if known else Cause.UNKNOWN


def may_have_passed(*texts: str) -> bool:
    """Whether a cause may be over when the same command is given again; what no table knows is not.

    Args:
        texts: the reason, as a run recorded how Slurm ended it or as an exception words it, and what that was raised
            from; the first that a table knows counts.
    """
    for text in texts:
        known = _meaning(text)
        if known:
            return known.passing
    return False


def _meaning(text: str) -> Meaning | None:
    """What a reason means; None where no table knows it."""
    reason = REST.split(text)[0]
    found = find_pattern(reason, PATTERNS)
    return MEANINGS.get(reason.partition(":")[0]) or (found.meaning if found else None)


def _strikes(events: Iterable[Mapping[str, Any]]) -> int:
    """Failures in a row at the same place; one that was taken up by `retry`, or of an earlier version, ends a row."""
    count, place = 0, None
    for event in events:
        if event["event"] == "failed":
            again = event.get("progress") is not None and event["progress"] == place
            count, place = (count if again else 0) + 1, event.get("progress")
        elif event["event"] == "retried" and event.get("asked"):
            count, place = 0, None
    return count
