"""The answers in the cells of an evaluation: kept, and read as answers to what is asked."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cluster.files import append_jsonl, read_jsonl, sealed, unsealed
from cluster.records import known_part
from cluster.run.run_folder import CellFolder
from jobs.cell.asked import Asked, AskedItem, newest_asked
from jobs.cell.cell import Cell, outcomes
from layalign.evaluation.benchmarks import find_benchmark
from layalign.evaluation.gold import Gold
from layalign.evaluation.scoring import rescored
from layalign.evaluation.table import Summary, summarise

Record = dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """By what the answers of a folder are read: those under a limit, to these questions, of this model."""

    max_new_tokens: int
    asked: Asked | None
    """None where it was not recorded."""
    questions: str = ""
    """Fingerprint of the questions, where it is known."""
    setup: str = ""
    """Fingerprint of the model, where it is known."""

    @classmethod
    def of(cls, cell: Cell) -> Reading:
        """What a cell wants; where it does not say, what its folder was asked last."""
        folder = cell.folder
        assert isinstance(folder, CellFolder)
        last = next((one for one in outcomes(folder.outcome()) if cell.is_of(one)), {})
        questions = cell.questions or last.get("questions") or newest_asked(folder)
        asked = Asked.read(folder, questions)
        return cls(cell.max_new_tokens, asked, questions, cell.setup or last.get("setup", ""))

    @cached_property
    def items(self) -> dict[str, AskedItem]:
        """What was asked, by id, in order; empty where that was not recorded."""
        return {item.id: item for item in self.asked.items} if self.asked else {}

    def matching(self, lines: Iterable[Record]) -> dict[str, Record]:
        """Those lines of a folder that are answers, by item in the order that was asked.

        Of several to one item that of the newest holder of the lease counts, of its lines the last.

        A line of old, which does not say what it answers, is one if its right answer is still right.
        """
        by_holder = sorted(lines, key=lambda line: line.get("lease", 0))
        found = {line["id"]: line for line in by_holder if self._fits(line, self.items.get(line["id"]))}
        return {id_: found[id_] for id_ in (self.items or sorted(found)) if id_ in found}

    def answers(self, lines: Iterable[Record]) -> dict[str, Record]:
        """The same by today's rules and right answers; not `checked` is a line that does not say what it answers."""
        return {
            id_: {
                **rescored(line, self.items[id_].gold if self.items else line["gold"]),
                "checked": "question" in line and "setup" in line,
            }
            for id_, line in self.matching(lines).items()
        }

    def _fits(self, line: Record, item: AskedItem | None) -> bool:
        """Whether a line is an answer to an item (None: which it is was not recorded)."""
        if line.get("max_new_tokens") != self.max_new_tokens:
            return False
        if self.setup and line.get("setup", self.setup) != self.setup:
            return False
        if item is None:
            return self.asked is None and not (self.questions and "question" in line)
        return line["question"] == item.question if "question" in line else line.get("gold") == item.gold


def read_answers(folder: CellFolder) -> list[Record]:
    """The answers in a folder that are what was written, in order: one that is damaged counts as none."""
    return [record for line in read_jsonl(folder.answers) if (record := _intact(line))]


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What readers take from every answer; those of old have no checksum that would tell."""

    id: str
    language: str
    gold: Gold
    output: str
    official_correct: bool
    max_new_tokens: int
    strict: Gold | None = None
    strict_correct: bool | None = None
    official: Gold | None = None
    options: tuple[str, ...] = ()
    likelihood: str | None = None
    likelihood_correct: bool | None = None
    rule: int | None = None
    lease: int = 0
    question: str = ""
    setup: str = ""


def _intact(line: Record) -> Record | None:
    """A line without its checksum; None where it is not what was written."""
    try:
        record = unsealed(line)
        known_part(_Answer, record)
    except ValueError:
        return None
    return record


def add_answers(folder: CellFolder, max_new_tokens: int, setup: str, records: Iterable[Record]) -> None:
    """Keep a batch of answers, each with the limit that it was made under and the model that made it.

    Raises:
        Superseded: another process answers here now.
    """
    folder.check_holder()
    facts = {"max_new_tokens": max_new_tokens, "setup": setup, **folder.lease_number()}
    for record in records:
        append_jsonl(folder.answers, sealed({**record, **facts}))


def answers_of(cells: Iterable[Cell]) -> list[Record]:
    """The answers that cells ask for: of each to its first items, whatever else was answered there."""
    found: list[Record] = []
    for cell in cells:
        folder, reading = cell.folder, Reading.of(cell)
        assert isinstance(folder, CellFolder)
        known = reading.answers(read_answers(folder))
        first = list(reading.items or known)[: cell.items]
        found += [known[id_] for id_ in first if id_ in known]
    return found


def asked_in(cell: Cell) -> Asked | None:
    """What the answers of a cell answer; None where that was not recorded."""
    return Reading.of(cell).asked


def unknown_in(cell: Cell) -> Mapping[str, tuple[int, int]]:
    """Unknown tokens, and all, of what a cell's models read, by kind of text; none where that was not recorded."""
    told = next((one for one in outcomes(cell.folder.outcome()) if cell.is_of(one)), {}).get("unknown")
    try:
        return {str(kind): (int(lost), int(every)) for kind, (lost, every) in dict(told or {}).items()}
    except (TypeError, ValueError):
        return {}


def summary_of(cells: Sequence[Cell]) -> Summary:
    """How many of the items of one run and benchmark are right, and how many are missing."""
    expected: dict[str, int] = {}
    for cell in cells:
        expected[cell.language] = expected.get(cell.language, 0) + cell.items
    (benchmark,) = {cell.benchmark for cell in cells}
    return summarise(answers_of(cells), find_benchmark(benchmark), expected)


def outcome_of(cell: Cell, reading: Reading, lines: Iterable[Record]) -> dict[str, Any]:
    """What a cell's answers came to, for `DONE`: how many of its first items have one, and to what."""
    assert reading.asked is not None
    answered = list(itertools.takewhile(reading.matching(lines).__contains__, reading.items))
    before = next((one for one in outcomes(cell.folder.outcome()) if cell.is_of(one)), {})
    kept = {key: value for key, value in before.items() if key not in ("time", "earlier")}
    told = {"items": len(answered), "max_new_tokens": cell.max_new_tokens}
    return {**kept, **reading.asked.record(), **told}


def outcomes_with(folder: CellFolder, outcome: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """An outcome before those under other limits, to other questions or by other models.

    One of old, which does not say all this, is replaced by one that does.
    """
    others = [
        {key: value for key, value in one.items() if key != "earlier"}
        for one in outcomes(folder.outcome())
        if one["max_new_tokens"] != outcome["max_new_tokens"]
        or any(one.get(key) not in (None, outcome.get(key)) for key in ("questions", "setup"))
    ]
    return [outcome, *others]


def by_benchmark(cells: Iterable[Cell]) -> dict[tuple[str, str], list[Cell]]:
    """Evaluation cells by run and benchmark."""
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.job == "evaluate":
            found.setdefault((cell.run, cell.benchmark), []).append(cell)
    return found
