"""Patterns: what a line of a log, or a word of Slurm, says of why a job does not go on. The tables hold them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from cluster.run.state import Cause

FIELD = re.compile(r"{(\w+)}")
WORDS = {
    "GRES": "GPUs",
    "Cpu": "cores",
    "CPU": "cores",
    "Mem": "memory",
    "Memory": "memory",
    "Node": "nodes",
    "Billing": "billing units",
    "BB": "burst buffer",
    "License": "licences",
    "Energy": "energy",
    "Unknown": "resources",
}
"""Slurm's words for what is limited, and ours."""


class Strength(Enum):
    """What else may stand behind a pattern."""

    CAUSE = "nothing: it is a cause of its own"
    WAITED = "another process, for which this one waited in vain"
    FOLLOWS = "another process, or whoever ended it: whatever else is known counts more"


@dataclass(frozen=True)
class Meaning:
    """What something says of why a job does not go on.

    Its texts are templates: `{name}` is a named group of the pattern, or a fact of the run.
    """

    cause: Cause
    told: str
    """What it means, in a sentence."""
    advice: tuple[str, ...] = ()
    """What helps, the most likely first: a command, or what to do."""
    strength: Strength = Strength.CAUSE
    passing: bool = False
    """It may be over when the same command is given again, with nothing changed: a full disk, a hub that was silent, a
    node. Of any other the same would come of the same."""

    @property
    def symptom(self) -> bool:
        """It follows from something that happened elsewhere."""
        return self.strength is not Strength.CAUSE


@dataclass(frozen=True, kw_only=True)
class LogPattern(Meaning):
    """One thing that a log may say."""

    source: str
    """The pattern as it is written; each line of a text begins anew for `^`."""
    bare: bool = False
    """Such a line is believed wherever it stands among the last words; any other only as the message of an exception
    that ended a process: programs print the like of it, and go on."""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Compiled when a text is first searched: most commands import the tables and search none."""
        return re.compile(self.source, re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    """A pattern that was found."""

    meaning: Meaning
    groups: dict[str, str]
    line: str
    """The line that says so."""

    def told(self) -> str:
        """What it means here."""
        return fill(self.meaning.told, self.groups)

    def advice(self, facts: Mapping[str, str]) -> list[str]:
        """What helps here, as far as all that it takes to say it is known."""
        told = {name: value for name, value in self.groups.items() if value}
        known = {name: value for name, value in {**facts, **told}.items() if value}
        return [
            text.format_map(known) for text in self.meaning.advice if set(FIELD.findall(text)) <= known.keys()
        ]


def fill(template: str, facts: Mapping[str, str]) -> str:
    """A template with facts in it, without the words that an unknown one leaves bare."""
    text = template.format_map(defaultdict(str, {key: value for key, value in facts.items() if value}))
    text = re.sub(r" \((?:[^()]* )?\)", "", text)
    return re.sub(r" +([,:;.)])|  +", lambda found: found[1] or " ", text).strip(" :,")


def find_pattern(text: str, patterns: Iterable[LogPattern]) -> Finding | None:
    """The first of these patterns, in their order, that a text has; of its places the first."""
    for one in patterns:
        match = one.pattern.search(text)
        if match:
            begin = text.rfind("\n", 0, match.start()) + 1
            end = text.find("\n", match.start())
            groups = {name: WORDS.get(value, value or "") for name, value in match.groupdict().items()}
            return Finding(one, groups, text[begin : end if end >= 0 else None].strip())
    return None


def log_pattern(
    cause: str,
    pattern: str,
    told: str,
    *advice: str,
    strength: Strength = Strength.CAUSE,
    bare: bool = False,
    passing: bool = False,
) -> LogPattern:
    """A row of a table; its cause is a word of `Cause`."""
    return LogPattern(Cause(cause), told, advice, strength, passing, source=pattern, bare=bare)
