"""A benchmark as its page says it: where its files are, how a row is read, what is asked, and what an answer is."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from layalign.languages import Language, language
from layalign.prompts import NAMED
from layalign.strict import build, nearest

FILE_FIELDS = ("code", "name", "source")
"""What stands for a language in the name of a file: its code, its English name, or what the page's `names` has."""
GROUPS = ("Lrl", "Hrl")


@dataclass(frozen=True, kw_only=True)
class AnswerKind:
    """What the right answer is, and where a row has it."""

    kind: Literal["number"]
    """`number`."""
    column: str = "answer"
    """What the file calls it; `answers.0` reaches into objects and lists."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One set of questions in several languages."""

    name: str
    """The name of its page."""
    kind: Literal["benchmark"] = "benchmark"
    about: str = ""
    """What it asks, in a line."""
    languages: tuple[str, ...]
    """Codes of the languages that are averaged, in the order of tables."""
    extra: tuple[str, ...] = ()
    """Codes that are read when asked for, and never averaged."""
    declares: dict[str, Any] = field(default_factory=dict)
    """Languages that are not known yet, by code: `so: {name: Somali, nllb: som_Latn}`."""
    names: dict[str, str] = field(default_factory=dict)
    """What the files call a language, by its code; where it is not here, its code."""
    averages: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Further means, by the heading of their column: codes of languages."""
    files: tuple[str, ...]
    """Names that a language's file may have, in the benchmark's folder; `{code}`, `{name}` and `{source}` are its."""
    layout: Literal["tsv", "jsonl"]
    """How a file is written."""
    header: tuple[str, ...] = ()
    """Names of the columns of a `tsv` that has no header."""
    columns: dict[str, str] = field(default_factory=lambda: {"question": "question"})
    """What the file calls that which the prompts name; `a.b.0` reaches into objects and lists."""
    answer: AnswerKind
    encoder: str = "{question}"
    """What the encoder reads; `{question}` and the like are the columns."""
    prompt: str
    """What the LLM reads, likewise, or the name of a prompt that is known."""

    @cached_property
    def template(self) -> str:
        """The LLM's text, with the names of columns in braces."""
        return NAMED.get(self.prompt, self.prompt)

    @cached_property
    def every(self) -> dict[str, tuple[str, ...]]:
        """All means of several languages, by heading: codes."""
        found = {"Avg": self.languages}
        for group in GROUPS:
            found[group] = tuple(code for code in self.languages if language(code).group == group)
        return {**found, **self.averages}

    def file_names(self, spoken: Language) -> list[str]:
        """Names that a language's file may have."""
        source = self.names.get(spoken.code, spoken.code)
        return [one.format(code=spoken.code, name=spoken.name, source=source) for one in self.files]


def benchmark_of(name: str, values: Mapping[str, Any]) -> Benchmark:
    """A benchmark from its page; its languages are known already.

    Raises:
        ValueError: an unknown key, a wrong type, or what does not fit together.
    """
    if values.get("name", name) != name:
        raise ValueError(f"name is {values['name']!r}, but the page is called {name}: leave one out")
    made: Benchmark = build(Benchmark, {**values, "name": name}, "")
    _check_languages(made)
    for key, texts, known in (
        ("files", made.files, FILE_FIELDS),
        ("encoder", (made.encoder,), tuple(made.columns)),
        ("prompt", (made.template,), tuple(made.columns)),
    ):
        for text in texts:
            _check_template(key, text, known)
    if "{" not in made.template:
        near = nearest(made.prompt, NAMED)
        meant = f"did you mean {near}?" if near else f"there are {', '.join(NAMED)}"
        raise ValueError(f"prompt is {made.prompt!r}, which names no column in braces and no prompt; {meant}")
    if made.header and made.layout != "tsv":
        raise ValueError(f"header names the columns of a tsv without a header, and layout is {made.layout}")
    return made


def _check_languages(made: Benchmark) -> None:
    """Raises ValueError where the page names a language that it does not have."""
    if not made.languages:
        raise ValueError("languages is empty: name at least one")
    listed = made.languages + made.extra
    for code in listed:
        if language(code).code != code:
            raise ValueError(f"languages names {code!r}: write its code, {language(code).code}")
    twice = next((code for code in listed if listed.count(code) > 1), None)
    if twice:
        raise ValueError(f"{twice} stands twice in languages and extra")
    for key, codes in {
        "names": tuple(made.names),
        **{f"averages.{k}": v for k, v in made.averages.items()},
    }.items():
        strange = next((code for code in codes if code not in listed), None)
        if strange:
            raise ValueError(f"{key} names {strange!r}, which is not among languages and extra")


def _check_template(key: str, text: str, known: tuple[str, ...]) -> None:
    """Raises ValueError where a template has something in braces that nothing will stand for."""
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{key} is {text[:60]!r}: {error}; a brace that is text is doubled") from None
    for _, name, spec, conversion in parts:
        if name is not None and (name not in known or spec or conversion):
            told = f"{{{name}}} in {key} stands for nothing"
            raise ValueError(f"{told}; there are {', '.join(known)} (a brace that is text is doubled)")
