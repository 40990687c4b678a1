"""Tokens and keys: what is told to a run is refused if it holds one, what an error says is cleared of them.

Runs are copied, exported and shown to others; a token belongs into the environment, or the file that its program has
for it, which jobs inherit and nobody writes down.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache

NAMED = re.compile(
    r"(?:^|_)(?:TOKEN|\w*KEY|SECRET|PASSWORD|PASSWD|CREDENTIALS?|JWT|PAT)(?:_ID)?$", re.IGNORECASE
)
"""Variables that hold a secret."""
LEAST = 12
"""Characters of a secret: what is shorter may be a word that stands anywhere (`WANDB_API_KEY=disabled`)."""
KNOWN = tuple(
    (literal, re.compile(pattern))
    for literal, pattern in (
        ("hf_", r"hf_[A-Za-z0-9]{30,}"),
        *((f"gh{kind}_", rf"gh{kind}_[A-Za-z0-9]{{30,}}") for kind in "pousr"),
        ("github_pat_", r"github_pat_\w{30,}"),
        ("glpat-", r"glpat-[\w-]{20,}"),
        ("sk-", r"sk-[\w-]{32,}"),
        ("AKIA", r"AKIA[0-9A-Z]{16}\b"),
        ("ASIA", r"ASIA[0-9A-Z]{16}\b"),
        ("xox", r"xox[abpr]-[\w-]{20,}"),
        ("PRIVATE KEY", r"-----BEGIN (?:\w+ )*PRIVATE KEY-----"),
        ("://", r"(?<=://)[^/\s:@'\"\\]*:[^/\s:@'\"\\]+(?=@)"),
    )
)
"""Tokens of Hugging Face, GitHub, GitLab, OpenAI, AWS and Slack, private keys, and a password in a URL.

Each with what a text has that holds one: of megabytes of code that is found much faster than the pattern.
"""
HIDDEN = "[hidden]"


def secret_in(text: str, environ: Mapping[str, str] | None = None) -> str:
    """What kind of secret a text holds, in words that do not tell it; empty if it holds none."""
    for name, value in _held(environ):
        if value in text:
            return f"the value of ${name}"
    if found := next(filter(None, (pattern.search(text) for pattern in _known(text))), None):
        url = text[max(0, found.start() - 3) : found.start()] == "://"
        return "a password in a URL" if url else f"what looks like a token or key ({found[0][:4]}...)"
    return ""


def secret_obstacle(what: str, text: str | bytes, environ: Mapping[str, str] | None = None) -> str:
    """Why something may not be told to a run, with the next step; empty if nothing speaks against it."""
    text = text if isinstance(text, str) else text.decode("utf-8", "replace")
    if not (kind := secret_in(text, environ)):
        return ""
    return (
        f"{what} holds {kind}, which would be written into the run's files: leave it out, and give it in the "
        "environment (export HF_TOKEN=...), which jobs inherit and no file of a run takes over"
    )


def first_secret(told_of: Mapping[str, str | bytes]) -> str:
    """Why one of several texts, by what they are, may not be told to a run; empty if nothing speaks against any."""
    return next(filter(None, map(secret_obstacle, told_of, told_of.values())), "")


def hidden(text: str, environ: Mapping[str, str] | None = None) -> str:
    """The same text with a mark in the place of each secret."""
    for _, value in _held(environ):
        text = text.replace(value, HIDDEN)
    for pattern in _known(text):
        text = pattern.sub(HIDDEN, text)
    return text


def _known(text: str) -> Iterator[re.Pattern[str]]:
    """The patterns that may be found in a text."""
    return (pattern for literal, pattern in KNOWN if literal in text)


def _held(environ: Mapping[str, str] | None) -> Iterator[tuple[str, str]]:
    environ = os.environ if environ is None else environ
    return ((name, environ[name]) for name in _named(tuple(environ)) if len(environ.get(name, "")) >= LEAST)


@cache
def _named(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of variables that hold a secret; many texts are asked about in one environment."""
    return tuple(name for name in names if NAMED.search(name))
