"""A translation on disk: what is asked, and its cells, each up to `SHARD` rows of one language."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cluster.files import read_jsonl, write_atomic, write_record
from cluster.records import read_as
from cluster.run.work_folder import JobHome, WorkFolder

TRANSLATIONS = "translations"
"""Folder below that of all runs."""
SHARD = 250
AGAIN = "delete it and give data translate again"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be translated, by what, into what: all that decides the result."""

    rows: int
    checksum: str
    """SHA-256 of the questions and answers."""
    model: str
    revision: str | None
    source: str
    languages: tuple[str, ...]
    """Codes."""
    declares: dict[str, Any]
    """Languages of the user's pages among them."""
    max_new_tokens: int
    beams: int

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits. Which languages are asked for changes no translation into another one."""
        told = {
            key: value for key, value in asdict(self).items() if key not in ("languages", "declares", "rows")
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:8]


class TranslationFolder(JobHome):
    """`runs/translations/<name>-<fingerprint>/`: the order, its rows, the cells, and jobs that work on them."""

    def __init__(self, root: Path, name: str) -> None:
        super().__init__(root / TRANSLATIONS / name, f"translation {name}", root)
        self.order = self.path / "order.json"
        self.rows = self.path / "rows.jsonl"
        """The English questions and answers, as they were when it was asked for."""
        self.array = self.path / "array.json"
        """The record of the jobs in a queue."""

    def write(self, order: Order, rows: Sequence[dict[str, str]]) -> None:
        """Keep what is asked for; languages may be more than before."""
        self.path.mkdir(parents=True, exist_ok=True)
        if not self.rows.exists():
            write_atomic(self.rows, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        write_record(self.order, asdict(order))

    def read(self) -> tuple[Order, list[dict[str, Any]]]:
        """What `write` kept.

        Raises:
            DamagedFile: it is not that.
        """
        order = read_as(Order, self.order, AGAIN)
        rows = read_jsonl(self.rows)
        if order is None or len(rows) != order.rows:
            raise ValueError(f"{self.path} is not whole: {AGAIN}")
        return order, rows

    def cells(self, order: Order) -> Iterator[TranslationCell]:
        """All cells, language by language."""
        for code in order.languages:
            for first in range(0, order.rows, SHARD):
                yield TranslationCell(self, code, first, min(SHARD, order.rows - first))


class TranslationCell(WorkFolder):
    """Some rows in one language: `<code>-<shard>/answers.jsonl`, a line for each, as they come."""

    def __init__(self, home: TranslationFolder, code: str, first: int, count: int) -> None:
        name = f"{code}-{first // SHARD}"
        super().__init__(home.path / name, f"{home.title} {name}")
        self.code, self.first, self.count = code, first, count
        self.answers = self.path / "answers.jsonl"

    def made(self) -> dict[int, dict[str, Any]]:
        """What was translated, by row."""
        lines = read_jsonl(self.answers)
        return {line["row"]: line for line in lines if self.is_answer(line)}

    def is_answer(self, line: dict[str, Any]) -> bool:
        """Whether a line is of one of the rows."""
        row = line.get("row")
        return (
            isinstance(line.get("text"), str) and isinstance(row, int) and 0 <= row - self.first < self.count
        )

    def whole(self) -> bool:
        """Whether all rows are translated."""
        return self.path.is_dir() and len(self.made()) == self.count


def write_result(out: Path, cells: Sequence[TranslationCell], rows: Sequence[dict[str, Any]]) -> str:
    """Write all translations in the `math` layout, language by language, in the order of the rows; tells what was done.

    Those that are empty or were cut are no questions, and left out.
    """
    lines, empty, cut = list[str](), 0, 0
    for cell in cells:
        made = cell.made()
        for row in range(cell.first, cell.first + cell.count):
            text = made[row]["text"]
            empty, cut = empty + (not text), cut + bool(text and made[row]["cut"])
            if text and not made[row]["cut"]:
                told = {"query": text, "response": rows[row]["response"], "lang": cell.code}
                lines.append(json.dumps(told, ensure_ascii=False) + "\n")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(out, "".join(lines))
    return f"translated: {len(lines):,} rows in {out}; left out: {empty:,} empty, {cut:,} cut at their limit"
