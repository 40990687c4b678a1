"""Items: what is asked, made of the rows of a benchmark's file as its page says. Light: imports no torch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layalign.data.faults import Fault, Faults
from layalign.data.layouts import field_of, records_of
from layalign.evaluation.gold import Gold, gold_of, options_of
from layalign.languages import language
from layalign.tasks.benchmark import Benchmark

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Item:
    """One question."""

    id: str
    """Benchmark, language and row of the file: `mgsm-sw-0017`."""
    language: str
    """Its code."""
    source: str
    """What the encoder reads."""
    prompt: str
    """What the LLM reads."""
    gold: Gold
    """The right answer: a number, the name of an option, or a text."""
    options: tuple[str, ...] = ()
    """All that an answer may be, where that is known: labels, letters, or texts."""

    @property
    def question(self) -> str:
        """Fingerprint of all that is asked: twelve hexadecimal digits."""
        told = "\0".join((self.source, self.prompt, *self.options))
        return hashlib.sha256(told.encode()).hexdigest()[:12]


def items_of(benchmark: Benchmark, code: str, paths: Iterable[Path]) -> list[Item]:
    """The items of a language's files, one after the other; blank lines are no items.

    Raises:
        ValueError: a file cannot be read, or rows that are none, each with its line and the rule.
    """
    items, faults, row = list[Item](), Faults(), 0
    for path in paths:
        for line, record in records_of(path, benchmark.layout, benchmark.header):
            row += 1
            if isinstance(record, Fault):
                faults.add(Fault(path, line, record.what, _shape(benchmark, record.rule)))
            elif record is not None:
                try:
                    items.append(_item(benchmark, code, row, record))
                except ValueError as error:
                    faults.add(Fault(path, line, str(error), _shape(benchmark, "")))
    faults.check()
    return items


def _item(benchmark: Benchmark, code: str, row: int, record: Mapping[str, Any]) -> Item:
    fields = {name: text_in(record, column) for name, column in benchmark.columns.items()}
    options = options_of(benchmark.answer, record)
    texts = options.names if benchmark.answer.given == "text" else options.others
    fields |= {**dict(zip(benchmark.answer.names, texts)), "language": language(code).name}
    try:
        prompt = benchmark.template.format(**fields)
        source = benchmark.encoder.format(**fields, prompt=prompt)
    except KeyError as error:
        raise ValueError(f"{len(options.names)} options, and a prompt asks for {{{error.args[0]}}}") from None
    found = needed(record, benchmark.answer.column)
    gold = gold_of(benchmark.answer, found, options)
    return Item(f"{benchmark.name}-{code}-{row:04d}", code, source, prompt, gold, options.names)


def needed(record: Mapping[str, Any], column: str) -> Any:
    """A field that a row must have; it may hold nothing."""
    found = field_of(record, column)
    if found is None and column not in record:
        raise ValueError(f"no `{column}`")
    return found


def text_in(record: Mapping[str, Any], column: str) -> str:
    """A field that must be text."""
    found = needed(record, column)
    if not isinstance(found, str) or _SURROGATE.search(found):
        raise ValueError(f"{str(found)[:60]!r} is no question: {column} must be text")
    if not found.strip():
        raise ValueError(f"`{column}` is empty")
    return found


def _shape(benchmark: Benchmark, rule: str) -> str:
    """What a row of a benchmark's file must be; `rule` is what its layout says of it."""
    if benchmark.header:
        return f"a line is `{' TAB '.join(benchmark.header)}`"
    answer = benchmark.answer
    fields = dict.fromkeys((*benchmark.columns.values(), *answer.options, answer.column))
    told = " and ".join(f'"{name}"' for name in fields)
    rows = "a row is one JSON object" if benchmark.layout in ("json", "jsonl") else "a row"
    return f"{rule or rows} with {told}"
