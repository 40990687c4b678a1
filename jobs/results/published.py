"""What others have published of benchmarks of African languages (`africa.yaml`), to stand beside ours."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layalign.evaluation.benchmarks import find_benchmark
from layalign.strict import read_mapping
from layalign.tasks.benchmark import Benchmark

FILE = Path(__file__).with_name("africa.yaml")
TABLES = {"afrimgsm": "AfriMGSM", "afrixnli": "AfriXNLI", "afrimmlu": "AfriMMLU"}
"""By the page of a benchmark, what the file calls it."""
SERIAL = re.compile(r"-\d{2,3}$")
"""Ends the names of one model that a spreadsheet has counted up, prompt by prompt."""
PROMPT = "-afrobench-"
"""Between the page and the number of AfroBench's prompt, in the name of a benchmark."""


@dataclass(frozen=True)
class Published:
    """One row that somebody else has published."""

    label: str
    percent: Mapping[str, float]
    """By column: codes of languages, and the means over them whose languages are all there."""


def published_rows(benchmark: str) -> list[Published]:
    """AfroBench's rows of a benchmark, the best first: of each model its best prompt, or the one that is asked.

    Means are over the values of the row, as ours are; a row that lacks a language of a mean has none.
    """
    page = find_benchmark(benchmark)
    prompt = benchmark.partition(PROMPT)[2]
    best: dict[str, Published] = {}
    for label, values in _rows(page.page):
        model, _, number = label.rpartition(" p")
        if prompt and number != prompt:
            continue
        row = Published(label, _columns(page, values))
        key = SERIAL.sub("", model or label)
        if key not in best or _rank(row) > _rank(best[key]):
            best[key] = row
    return sorted(best.values(), key=_rank, reverse=True)


def published_source(benchmark: str) -> str:
    """Where the rows come from, and which of them their publishers got wrong; empty where there are none."""
    table = TABLES.get(find_benchmark(benchmark).page)
    if table is None:
        return ""
    suspect = [told for told in _file()["meta"]["suspect"] if table in told or "model names" in told]
    sources = [str(section["source"]) for section in _sections(table)]
    return f"Published by AfroBench ({'; '.join(sources)}); to be read with care: {'; '.join(suspect)}."


def _rank(row: Published) -> float:
    """Mean of a row as ours are, or over the languages that it has."""
    return row.percent.get("Avg", sum(row.percent.values()) / max(1, len(row.percent)))


def _columns(page: Benchmark, values: Mapping[str, float]) -> dict[str, float]:
    source = {page.names.get(code, code): code for code in page.languages + page.extra}
    percent = {source[name]: float(value) for name, value in values.items() if name in source}
    means = {
        heading: sum(percent[code] for code in codes) / len(codes)
        for heading, codes in page.every.items()
        if set(codes) <= percent.keys()
    }
    return {**means, **percent}


def _rows(page: str) -> Iterator[tuple[str, Mapping[str, float]]]:
    table = TABLES.get(page, "")
    for section in _sections(table):
        yield from section[table].items()


def _sections(table: str) -> list[dict[str, Any]]:
    """The parts of the file that have a table of AfroBench."""
    told = _file().items()
    return [section for name, section in told if name.startswith("afrobench") and table in section]


@functools.cache
def _file() -> dict[str, Any]:
    return read_mapping(FILE, "the published figures")
