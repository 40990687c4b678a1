"""Items: what is asked, made of the rows of a benchmark's file as its page says. Light: imports no torch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layalign.data.faults import Fault, Faults
from layalign.data.layouts import field_of, records_of
from layalign.tasks.benchmark import Benchmark

_GOLD = re.compile(r"-?\d{1,15}(\.\d+)?")
"""More digits than a float tells apart are no answer."""
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
    gold: float
    """The right answer."""

    @property
    def question(self) -> str:
        """Fingerprint of all that is asked: twelve hexadecimal digits."""
        return hashlib.sha256(f"{self.source}\0{self.prompt}".encode()).hexdigest()[:12]


def items_of(benchmark: Benchmark, code: str, path: Path) -> list[Item]:
    """The items of one file; blank lines are no items.

    Raises:
        ValueError: the file cannot be read, or rows that are none, each with its line and the rule.
    """
    items, faults = list[Item](), Faults()
    for row, (line, record) in enumerate(records_of(path, benchmark.layout, benchmark.header), 1):
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
    fields = {name: _text(record, column) for name, column in benchmark.columns.items()}
    return Item(
        f"{benchmark.name}-{code}-{row:04d}",
        code,
        benchmark.encoder.format(**fields),
        benchmark.template.format(**fields),
        _gold(_needed(record, benchmark.answer.column)),
    )


def _needed(record: Mapping[str, Any], column: str) -> Any:
    found = field_of(record, column)
    if found is None and column not in record:
        raise ValueError(f"no `{column}`")
    return found


def _text(record: Mapping[str, Any], column: str) -> str:
    found = _needed(record, column)
    if not isinstance(found, str) or _SURROGATE.search(found):
        raise ValueError(f"{str(found)[:60]!r} is no question: {column} must be text")
    if not found.strip():
        raise ValueError(f"`{column}` is empty")
    return found


def _shape(benchmark: Benchmark, rule: str) -> str:
    """What a row of a benchmark's file must be; `rule` is what its layout says of it."""
    if benchmark.header:
        return f"a line is `{' TAB '.join(benchmark.header)}`"
    needed = dict.fromkeys((*benchmark.columns.values(), benchmark.answer.column))
    fields = " and ".join(f'"{name}"' for name in needed)
    return f"{rule or 'a row is one JSON object'} with {fields}"


def _gold(answer: Any) -> float:
    """A whole or decimal number, with commas between thousands."""
    digits = str(answer).strip().replace(",", "")
    if not _GOLD.fullmatch(digits):
        raise ValueError(
            f"the answer is {str(answer)[:60]!r}; it must be one number such as 18, 2,125 or 8.0"
        )
    return float(digits)
