"""What one run has answered of a benchmark, and the runs that are one row of its table."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from cluster.run.run_folder import RunFolder
from jobs.cell.answers import Record, answers_of, asked_in
from jobs.cell.asked import SHARD, TEXTS
from jobs.cell.cell import Cell
from jobs.cell.whole import limited
from jobs.results import rev2
from jobs.results.asked_how import unknown_share, unlike_pages
from layalign.evaluation.benchmarks import find_benchmark
from layalign.evaluation.compare import Outcomes
from layalign.evaluation.gold import Gold
from layalign.evaluation.table import Summary, rules_of, summarise

SAMPLED = TEXTS
"""First items of each language whose answers are kept in full, to choose examples from."""


@dataclass(frozen=True)
class Answered:
    """What one run has answered of one benchmark."""

    seed: int
    run: RunFolder
    summary: Summary
    right: Mapping[str, Outcomes]
    """By rule."""
    golds: Mapping[str, Mapping[str, Gold]]
    """Right answers, by language and problem."""
    samples: Mapping[str, Record]
    """Some answers in full, by id."""
    texts: Mapping[str, str]
    """Questions of some of them, by id, where they were recorded."""
    max_new_tokens: frozenset[int]
    questions: Mapping[str, str]
    """Fingerprint of what was asked, by language, where that was recorded."""
    files: Mapping[str, str]
    """Name and checksum of the benchmark's file, likewise."""
    part: str
    """What of the benchmark was asked, where that is not all: `first 3 of 250 (sw)`."""
    page: str
    """In what it was not asked as the page of the benchmark says that is known here; empty where it was."""
    unknown: str
    """What tokenizers cannot write of it: `2.5 % of the encoder's tokens (vai)`; empty where that is nothing."""


@dataclass(frozen=True)
class Method:
    """One row of a table: a method with one or several seeds."""

    label: str
    answered: tuple[Answered, ...]
    paper: Mapping[str, float]
    """The paper's percent by column; empty where it has no such row."""

    def right(self, rule: str, seeds: Container[int] | None = None) -> Outcomes:
        """Share of the seeds that have answered a problem that are right, by language and problem.

        Args:
            rule: by which the answers are read.
            seeds: that count; None is all.
        """
        found: dict[str, dict[str, list[float]]] = {}
        for answered in self.answered:
            if seeds is not None and answered.seed not in seeds:
                continue
            for code, outcomes in answered.right[rule].items():
                for problem, value in outcomes.items():
                    found.setdefault(code, {}).setdefault(problem, []).append(value)
        return {
            code: {problem: sum(values) / len(values) for problem, values in problems.items()}
            for code, problems in found.items()
        }


def answered(
    seed: int, run: RunFolder, cells: Sequence[Cell], replaced: rev2.Replaced | None = None
) -> Answered:
    """The answers of one run to one benchmark: of each cell its first items, less those that were replaced."""
    benchmark, expected = find_benchmark(cells[0].benchmark), dict[str, int]()
    kept: list[Record] = []
    rules = rules_of(benchmark.name)
    right: dict[str, dict[str, dict[str, float]]] = {rule: {} for rule in rules}
    samples: dict[str, Record] = {}
    golds: dict[str, dict[str, Gold]] = {}
    replaced = replaced or {}
    for cell in cells:
        wanted = rev2.left(replaced, cell.language, cell.shard * SHARD + 1, cell.items)
        expected[cell.language] = expected.get(cell.language, 0) + wanted
        answers = [
            record
            for record in answers_of([cell])
            if not replaced or rev2.is_left(replaced, cell.language, record["id"].rpartition("-")[2])
        ]
        kept += answers
        for record in answers:
            problem = record["id"].rpartition("-")[2]
            golds.setdefault(cell.language, {})[problem] = record["gold"]
            for rule in rules:
                if (is_right := record.get(f"{rule}_correct")) is not None:
                    right[rule].setdefault(cell.language, {})[problem] = float(is_right)
        if cell.shard == 0:
            samples |= {record["id"]: record for record in answers[:SAMPLED]}
    summary = summarise(kept, benchmark, expected)
    limits = frozenset(cell.max_new_tokens for cell in cells)
    asked = [(cell.language, told) for cell in cells if (told := asked_in(cell))]
    texts = {id_: text for _, told in asked for id_, text in told.texts.items()}
    questions = {code: "".join(told.questions for c, told in asked if c == code) for code, _ in asked}
    files = {code: told.named for code, told in asked}
    return Answered(
        seed=seed,
        run=run,
        summary=summary,
        right=right,
        golds=golds,
        samples=samples,
        texts=texts,
        max_new_tokens=limits,
        questions=questions,
        files=files,
        part=limited(cells),
        page=unlike_pages(benchmark, asked),
        unknown=unknown_share(cells),
    )
