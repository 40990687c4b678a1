"""What a share of a benchmark asks: its questions and right answers by their content."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cluster.files import DamagedFile, read_record, write_record
from cluster.records import typed
from cluster.run.run_folder import CellFolder, RunFolder
from layalign.data.files import checksum
from layalign.evaluation.benchmarks import Item, benchmark_files, find_benchmark, read_benchmark
from layalign.evaluation.gold import Gold
from layalign.tasks.pages import BENCHMARKS, carried, learn

SHARD = 250
"""Items of one language that are one cell: a language of MGSM, a quarter of one of MSVAMP."""
TEXTS = 40
"""First items of a share whose questions are kept in full, for who reads some of the answers."""
KEPT = 12
"""Hexadecimal digits of a checksum that are kept."""


@dataclass(frozen=True)
class AskedItem:
    """One item, less its text."""

    id: str
    question: str
    """`Item.question`."""
    gold: Gold


@dataclass(frozen=True)
class Asked:
    """All items of a share, whether they are wanted or not."""

    file: str
    """Name of the benchmark's file."""
    checksum: str
    """Of the file: the beginning of its SHA-256."""
    of: int
    """Items of the file."""
    items: tuple[AskedItem, ...]
    texts: Mapping[str, str] = field(default_factory=dict)
    """Questions of the first items by id, as the encoder reads them; of earlier records none."""
    page: Mapping[str, Any] = field(default_factory=dict)
    """The user's page of the benchmark, by its name; empty for one that came with the code."""

    @cached_property
    def questions(self) -> str:
        """Fingerprint of the questions."""
        return _fingerprint([[item.id, item.question] for item in self.items])

    @cached_property
    def golds(self) -> str:
        """Fingerprint of the right answers."""
        return _fingerprint([[item.id, item.gold] for item in self.items])

    @property
    def named(self) -> str:
        """Its file, by name and checksum."""
        return f"{self.file} {self.checksum}"

    def record(self) -> dict[str, Any]:
        """For `DONE`: what was asked, and of which file."""
        told = {"questions": self.questions, "golds": self.golds, "share": len(self.items)}
        return {**told, "file": self.file, "checksum": self.checksum}

    def write(self, folder: CellFolder) -> None:
        """Keep it beside the answers, for whoever reads them; one of the same questions is replaced."""
        folder.path.mkdir(parents=True, exist_ok=True)
        told = {key: value for key, value in asdict(self).items() if key != "page" or value}
        write_record(folder.asked(self.questions), told)

    @classmethod
    def read(cls, folder: CellFolder, questions: str) -> Asked | None:
        """What was asked in a folder by its fingerprint; None where that was not recorded, or the record is damaged.

        What answers questions that are not known is no answer to what is asked: a damaged record hides them, until
        whoever has the data writes it anew.
        """
        try:
            told = read_record(folder.asked(questions)) if questions else None
            if told is None:
                return None
            found = typed(cls, told)
        except (DamagedFile, ValueError):
            return None
        return found if found.questions == questions else None


def newest_asked(folder: CellFolder) -> str:
    """Fingerprint of the questions that a folder was asked last; empty where that was not recorded."""
    told = sorted(folder.path.glob(folder.asked("*").name), key=lambda path: path.stat().st_mtime_ns)
    return told[-1].stem.rpartition("-")[2] if told else ""


def unlike_page(benchmark: str, language: str, items: int) -> str:
    """That a file has not as many items as its benchmark's page says; empty where it has, or nothing is said."""
    said = find_benchmark(benchmark).count_of(language)
    return "" if said in (None, items) else f"{items} items in the file of {language}, {said} by the page"


def learn_pages(run: RunFolder) -> None:
    """Make the pages known of what a run was asked, where nobody here has them."""
    for folder in sorted(run.results.glob("*/")):
        if folder.name in BENCHMARKS:
            continue
        for cell in run.cells(folder.name)[:1]:
            asked = Asked.read(cell, newest_asked(cell))
            learn(asked.page if asked else {})


def shares(benchmark: str, language: str, data: Path | None) -> list[Asked]:
    """A language of a benchmark as its shares.

    Raises:
        ValueError: as `read_benchmark`.
    """
    items = read_benchmark(benchmark, data, [language])
    assert data is not None
    paths = benchmark_files(benchmark, data, language)
    page = carried([benchmark])
    return [asked_of(paths, items, shard, page) for shard in range(math.ceil(len(items) / SHARD))]


def asked_of(
    paths: Sequence[Path], every: Sequence[Item], shard: int, page: Mapping[str, Any] | None = None
) -> Asked:
    """A share of the items of a language's files, which its benchmark's page says how to read."""
    asked = every[share_of(shard)]
    items = tuple(AskedItem(item.id, item.question, item.gold) for item in asked)
    texts = {item.id: item.source for item in asked[:TEXTS]}
    sums = [checksum(path) for path in paths]
    whole = sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()
    names = ", ".join(path.name for path in paths)
    return Asked(names, whole[:KEPT], len(every), items, texts, page or {})


def share_of(shard: int) -> slice:
    """Which items of a language are a share."""
    return slice(shard * SHARD, (shard + 1) * SHARD)


def _fingerprint(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:KEPT]
