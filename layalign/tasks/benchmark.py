"""A benchmark as its page says it: where its files are, how a row is read, what is asked, and what an answer is."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

from layalign.languages import Language, find, language
from layalign.prompts import NAMED
from layalign.strict import build, merge, nearest, plain

FILE_FIELDS = ("code", "name", "source", "instance")
"""What stands in the name of a file: a language's code, its English name, what the page's `names` has; an instance."""
LETTERS = string.ascii_uppercase
GROUPS = ("Lrl", "Hrl")


@dataclass(frozen=True, kw_only=True)
class AnswerKind:
    """What the right answer is, and where a row has it."""

    kind: Literal["number", "label", "choice", "text"]
    """A number; one of the page's labels; the letter of an option of the row; a text."""
    column: str = "answer"
    """What the file calls it; `answers.0` reaches into objects and lists."""
    labels: tuple[str, ...] = ()
    """Of a label: all of them; a row has one of these words, or its number from 0."""
    values: tuple[str, ...] = ()
    """Of a label: the words that a row has instead, in the same order."""
    options: tuple[str, ...] = ()
    """Of a choice: the columns of the options, or the one that has a list of them; `{A}`, `{B}` are their texts."""
    first: Literal[0, 1] | None = None
    """Of a choice: a row has the number of the right option, counted from here; None is its letter, or its text."""
    given: Literal["letter", "text"] = "letter"
    """Of a choice: whether an answer is the letter of an option, or its text."""

    @property
    def names(self) -> tuple[str, ...]:
        """What a prompt may name beside the columns."""
        if self.kind != "choice":
            return ()
        return tuple(LETTERS if len(self.options) == 1 else LETTERS[: len(self.options)])


@dataclass(frozen=True, kw_only=True)
class Hub:
    """A data set of the hub whose files are the benchmark's, by the same names."""

    name: str
    """`masakhane/afrimgsm`."""
    revision: str | None = None
    """Commit."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One set of questions in several languages."""

    name: str
    """The name of its page; of one that differs by its prompt alone, that and the prompt's."""
    page: str
    """The name of its page, which is that of the folder of its files."""
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
    hub: Hub | None = None
    """Where they are looked for too, once they were fetched."""
    instances: tuple[str, ...] = ()
    """Several files of each language, each with `{instance}` in its name: all are asked, so that the mean is theirs."""
    layout: Literal["tsv", "csv", "json", "jsonl", "parquet"]
    """How a file is written."""
    header: tuple[str, ...] = ()
    """Names of the columns of a `tsv` that has no header: every line is a row then, and a quotation mark is text."""
    columns: dict[str, str] = field(default_factory=lambda: {"question": "question"})
    """What the file calls that which the prompts name; `a.b.0` reaches into objects and lists. `{language}` is there
    always: its English name."""
    answer: AnswerKind
    encoder: str = "{question}"
    """What the encoder reads; `{question}` and the like are the columns, `{prompt}` is what the LLM reads."""
    prompt: str
    """What the LLM reads, likewise, or the name of a prompt that is known."""
    prompts: dict[str, str | dict[str, Any]] = field(default_factory=dict)
    """Other prompts, by name, or all keys that are others: each makes a benchmark, as `afrimgsm-afrobench-1`."""
    chance: float | None = None
    """Percent that guessing gives, where it is not one of the labels, or of the columns of options, at random."""
    counts: dict[str, int] = field(default_factory=dict)
    """Items of a file, by language; `all` is every other."""
    licence: str = ""
    """Of the files."""
    notes: tuple[str, ...] = ()
    """Known faults and what else a reader of the numbers must know: printed below the table."""

    @cached_property
    def template(self) -> str:
        """The LLM's text, with the names of columns in braces."""
        return NAMED.get(self.prompt, self.prompt)

    @property
    def by_guessing(self) -> float | None:
        """Percent that guessing gives; None where there is nothing to guess among."""
        options = self.answer.labels or (self.answer.options if len(self.answer.options) > 1 else ())
        return self.chance if self.chance is not None or not options else 100 / len(options)

    @property
    def has_options(self) -> bool:
        """Whether an answer is one of several that are known."""
        return self.answer.kind in ("label", "choice")

    def count_of(self, code: str) -> int | None:
        """Items that the file of a language has by the page; None where it does not say."""
        return self.counts.get(code, self.counts.get("all"))

    @cached_property
    def every(self) -> dict[str, tuple[str, ...]]:
        """All means of several languages, by heading: codes."""
        found = {"Avg": self.languages}
        for group in GROUPS:
            found[group] = tuple(code for code in self.languages if language(code).group == group)
        return {heading: codes for heading, codes in {**found, **self.averages}.items() if codes}

    def file_names(self, spoken: Language, instance: str = "") -> list[str]:
        """Names that a language's file may have."""
        told = {"code": spoken.code, "name": spoken.name, "source": self.names.get(spoken.code, spoken.code)}
        return [one.format(**told, instance=instance) for one in self.files]


def benchmark_of(name: str, values: Mapping[str, Any], page: str | None = None) -> Benchmark:
    """A benchmark from its page; its languages are known already.

    Raises:
        ValueError: an unknown key, a wrong type, or what does not fit together.
    """
    if values.get("name", name) != name:
        raise ValueError(f"name is {values['name']!r}, but the page is called {name}: leave one out")
    if "page" in values:
        raise ValueError("unknown key page; a page is called by the name of its file")
    made: Benchmark = build(Benchmark, {**values, "name": name, "page": page or name}, "")
    _check_languages(made)
    _check_answer(made.answer)
    columns = (*made.columns, *made.answer.names, "language")
    for key, texts, known in (
        ("files", made.files, FILE_FIELDS),
        ("encoder", (made.encoder,), (*columns, "prompt")),
        ("prompt", (made.template,), columns),
    ):
        for text in texts:
            _check_template(key, text, known)
    if "{" not in made.template:
        near = nearest(made.prompt, NAMED)
        meant = f"did you mean {near}?" if near else f"there are {', '.join(NAMED)}"
        raise ValueError(f"prompt is {made.prompt!r}, which names no column in braces and no prompt; {meant}")
    if made.header and made.layout != "tsv":
        raise ValueError(f"header names the columns of a tsv without a header, and layout is {made.layout}")
    if bool(made.instances) != any("{instance}" in one for one in made.files):
        raise ValueError("instances and {instance} in files belong together: set both, or none")
    return made


def variants(made: Benchmark) -> list[Benchmark]:
    """A benchmark, and one for each of its other prompts.

    Raises:
        ValueError: as `benchmark_of`, or a prompt that sets what the files are.
    """
    own = ("name", "page", "prompts")
    values = {key: value for key, value in plain(asdict(made)).items() if key not in own}
    found = [made]
    for name, told in made.prompts.items():
        others = {"prompt": told} if isinstance(told, str) else told
        if odd := next((key for key in others if key in (*own, "files", "hub", "instances")), None):
            raise ValueError(f"prompts.{name} sets {odd}: a prompt is another way to ask of the same files")
        try:
            found.append(benchmark_of(f"{made.name}-{name}", merge(values, others), made.name))
        except ValueError as error:
            raise ValueError(f"prompts.{name}: {error}") from None
    return found


def _check_answer(answer: AnswerKind) -> None:
    """Raises ValueError where a key is missing that its kind needs, or set that another kind has."""
    needs = {"label": "labels", "choice": "options"}
    for kind, key in needs.items():
        if bool(getattr(answer, key)) != (answer.kind == kind):
            told = (
                "is missing"
                if answer.kind == kind
                else f"is of kind {kind}, and answer.kind is {answer.kind}"
            )
            raise ValueError(f"answer.{key} {told}")
    if answer.kind != "choice" and (answer.first is not None or answer.given != "letter"):
        raise ValueError(
            f"answer.first and answer.given are of kind choice, and answer.kind is {answer.kind}"
        )
    if answer.values and len(answer.values) != len(answer.labels):
        raise ValueError("answer.values has not as many words as answer.labels, whose order it is in")
    words = [label.strip().casefold() for label in answer.labels]
    if (len(set(words)) < max(2, len(words)) and answer.kind == "label") or "" in words:
        raise ValueError(
            f"answer.labels is {', '.join(answer.labels)}: it must be two words or more, each once"
        )


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
        if key.startswith("averages.") and find(key.partition(".")[2]):
            raise ValueError(f"{key} is called as a language is: call it otherwise")
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
