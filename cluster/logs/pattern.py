"""Signs: what a line of a log, or a word of Slurm, says of why a job does not go on. The tables hold them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Sign:
    """One thing that a log may say.

    Its texts are templates: `{name}` is a named group of the pattern, or a fact of the run.
    """

    cause: str
    """In two or three words."""
    pattern: re.Pattern[str]
    told: str
    """What it means, in a sentence."""
    advice: tuple[str, ...]
    """What helps, the most likely first: a command, or what to do."""
    symptom: bool = False
    """It follows from something that happened elsewhere: any other sign counts more."""


@dataclass(frozen=True)
class Finding:
    """A sign that was found."""

    sign: Sign
    groups: dict[str, str]
    line: str
    """The line that says so."""

    def told(self) -> str:
        """What it means here."""
        return fill(self.sign.told, self.groups)

    def advice(self, facts: Mapping[str, str]) -> list[str]:
        """What helps here, as far as all that it takes to say it is known."""
        known = {name: value for name, value in {**facts, **self.groups}.items() if value}
        return [
            text.format_map(known) for text in self.sign.advice if set(FIELD.findall(text)) <= known.keys()
        ]


def fill(template: str, facts: Mapping[str, str]) -> str:
    """A template with facts in it, without the words that an unknown one leaves bare."""
    text = template.format_map(defaultdict(str, {key: value for key, value in facts.items() if value}))
    text = re.sub(r" \((?:[^()]* )?\)", "", text)
    return re.sub(r" +([,:;.)])|  +", lambda found: found[1] or " ", text).strip(" :,")


def find_sign(text: str, signs: Iterable[Sign]) -> Finding | None:
    """The first of these signs, in their order, that a text has; of its places the first."""
    for sign in signs:
        match = sign.pattern.search(text)
        if match:
            begin = text.rfind("\n", 0, match.start()) + 1
            end = text.find("\n", match.start())
            groups = {name: WORDS.get(value, value or "") for name, value in match.groupdict().items()}
            return Finding(sign, groups, text[begin : end if end >= 0 else None].strip())
    return None


def sign(cause: str, pattern: str, told: str, *advice: str, symptom: bool = False) -> Sign:
    """A row of a table."""
    return Sign(cause, re.compile(pattern), told, advice, symptom)
