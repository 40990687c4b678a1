"""Which of several options an answer names: a label such as `entailment`, or a letter. Light."""

from __future__ import annotations

import re
from collections.abc import Sequence

MARKER = re.compile(r"\b(?:answer|label|relation(?:ship)?)\b(?: is)?\s*[:=]?\s*", re.IGNORECASE)
"""What stands before a stated answer: `The answer is`, `Label:`."""
NOT = re.compile(r"\b(?:not|n't|no|never|nor|neither)\s+(?:an?\s+|the\s+)?$", re.IGNORECASE)
HEDGE = re.compile(r"\W*(?:or|and)?\W*", re.IGNORECASE)
"""Between two options of which neither is said to be the answer."""
PROSE = re.compile(r"[ \t]+(?!or\b|and\b)[a-z]")
"""Behind the word `A` or `I`, which is no letter of an option then."""
TERM = re.compile(r"\d\s*[-+*/=×÷]\s*\d")
"""A number that is reckoned with, which is no answer."""
PUNCTUATION = " \t\n\"'`*([{#:.-"
NEXT = re.compile(
    r"\n\s*(?:###|Question\b|Premise\b|User\b|Q:|Options\b)|<\|?(?:end|eot|im_end)", re.IGNORECASE
)
"""Where the answer is over and the next question or turn begins."""


def stated_option(text: str, options: Sequence[str]) -> str | None:
    """The option that an answer states; None where it names none, or several and says of none that it is the answer.

    Args:
        text: the answer.
        options: words, of which case does not count, or letters, which are capitals standing alone: `B`, `(B)`, `B.`.

    An option behind `The answer is`, `Label:` and the like counts, of several the last; else the one with which the
    answer begins; else the only one that is named. One behind `not` is not named.
    """
    begun = text.strip()
    cut = NEXT.search(begun)
    answer = begun[: cut.start()] if cut else begun
    named = _named(answer, options)
    if not named:
        return None
    stated = [place for place, (at, _) in enumerate(named) if _is_stated(answer[:at])]
    if not stated and not answer[: named[0][0]].strip(PUNCTUATION):
        stated = [0]
    if not stated:
        return named[0][1] if len({option for _, option in named}) == 1 else None
    at, option = named[stated[-1]]
    behind = named[stated[-1] + 1 :][:1]
    hedged = any(HEDGE.fullmatch(answer[at + len(option) : next_at]) for next_at, _ in behind)
    return None if hedged and behind[0][1] != option else option


def exact_option(text: str, options: Sequence[str]) -> str | None:
    """The option that an answer is, as it stands."""
    return text if text in options else None


def stated_text(text: str) -> str | None:
    """The first line of an answer, less what does not tell it from another: case, spaces and the last full stop."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    told = " ".join(lines[0].split()).casefold().strip(" .\"'`") if lines else ""
    return told or None


def _named(text: str, options: Sequence[str]) -> list[tuple[int, str]]:
    """Where each option is named, in order."""
    letters = all(len(option) == 1 for option in options)
    words = sorted(options, key=len, reverse=True)
    pattern = "|".join(re.escape(option) for option in words)
    known = {option if letters else option.casefold(): option for option in options}
    found = []
    for match in re.finditer(rf"(?<!\w)(?:{pattern})(?!\w)", text, 0 if letters else re.IGNORECASE):
        option = known.get(match[0] if letters else match[0].casefold())
        before, behind = text[: match.start()], text[match.end() :]
        prose = letters and match[0] in "AI" and PROSE.match(behind) and not _is_stated(before)
        if option and not (NOT.search(before) or prose or TERM.match(match[0][-1] + behind)):
            found.append((match.start(), option))
    return found


def _is_stated(before: str) -> bool:
    """Whether an option that follows is said to be the answer."""
    ends = [match.end() for match in MARKER.finditer(before)]
    return bool(ends) and not before[ends[-1] :].strip(PUNCTUATION)
