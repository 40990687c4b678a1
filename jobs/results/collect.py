"""What runs have answered, gathered from their folders for tables, plots and the report."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.files import read_jsonl
from cluster.run.run_folder import RunFolder
from jobs.board.status import standings
from jobs.cell.answers import Record, answers_of, asked_in
from jobs.cell.asked import SHARD, TEXTS
from jobs.cell.cell import Cell
from jobs.cell.whole import limited
from jobs.results import rev2
from jobs.results.asked_how import unknown_share, unlike_pages
from jobs.results.points import Choice, PaperPlace, Point
from layalign.evaluation.benchmarks import find_benchmark
from layalign.evaluation.compare import Outcomes
from layalign.evaluation.table import Summary, rules_of, summarise
from layalign.tasks.pages import BENCHMARKS

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


@dataclass(frozen=True)
class Sheet:
    """One benchmark: all methods that were asked."""

    benchmark: str
    methods: tuple[Method, ...]
    paper: PaperPlace | None
    without: str = ""
    """What of the benchmark is left out of these numbers."""

    @property
    def title(self) -> str:
        """The benchmark, and what is left out."""
        return f"{self.benchmark} {self.without}".rstrip()

    @property
    def reference(self) -> Method:
        """What the others are compared with: the row named LayAlign, or that is the paper's, else the first."""
        rows = self.paper.rows if self.paper else {}
        named = [method for method in self.methods if method.label.lower() == "layalign"]
        named += [method for method in self.methods if rows.get(method.label) == "LayAlign"]
        return (named or self.methods)[0]

    @property
    def columns(self) -> list[str]:
        """Codes of the languages that were asked, in the benchmark's order."""
        known = find_benchmark(self.benchmark)
        asked = {code for m in self.methods for a in m.answered for code in a.summary.scores}
        return [code for code in known.languages + known.extra if code in asked]


@dataclass(frozen=True)
class Training:
    """One run that was trained, for one or several points."""

    run: RunFolder
    labels: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class Missing:
    """A cell whose result is not there."""

    label: str
    seed: int
    cell: Cell
    state: str
    answered: int
    """Items that are there already."""


@dataclass(frozen=True)
class Made:
    """What one state of the code has made."""

    record: Mapping[str, Any]
    """Of `starts.jsonl`: commit, tree, versions."""
    what: tuple[str, ...]


@dataclass(frozen=True)
class Results:
    """All that is shown together."""

    title: str
    sheets: tuple[Sheet, ...]
    trainings: tuple[Training, ...]
    missing: tuple[Missing, ...]
    made: tuple[Made, ...]
    """By tree of the code, in order of the first start."""
    configs: Mapping[str, RunFolder]
    """Runs whose config tells how the numbers came to be, by what they are called."""


def collect(
    choice: Choice, benchmarks: Collection[str] | None = None, replaced: rev2.Replaced | None = None
) -> Results:
    """Read the answers of the points, of all benchmarks or of some; those to mgsm also without questions `replaced`.

    Raises:
        ValueError: an unknown benchmark, one that none of the points was asked, or a place that the paper lacks.
    """
    asked = dict.fromkeys(c.benchmark for p in choice.points for c in p.cells if c.job == "evaluate")
    for name in benchmarks or ():
        find_benchmark(name)
        if name not in asked:
            known = ", ".join(asked) or "none at all"
            raise ValueError(f"{choice.title} has no answers to {name}: there are {known}")
    if replaced is not None and rev2.BENCHMARK not in (benchmarks or asked):
        raise ValueError(f"--rev2 is about answers to {rev2.BENCHMARK}, and {choice.title} has or shows none")
    names = [name for name in BENCHMARKS if name in (benchmarks or asked) and name in asked]
    wanted = [cell for point in choice.points for cell in point.cells]
    kept = [cell for cell in wanted if cell.job == "train" or cell.benchmark in names]
    return Results(
        choice.title,
        tuple(_sheets(choice, names, replaced)),
        _trainings(choice.points),
        _missing(choice.points, set(kept)),
        _made(choice.points, names),
        {f"{p.label}, seed {p.seed}": p.evaluated for p in choice.points if p.evaluated.config.exists()},
    )


def _sheets(choice: Choice, names: Iterable[str], replaced: rev2.Replaced | None) -> Iterator[Sheet]:
    for name in names:
        yield _sheet(choice, name)
        if replaced is not None and name == rev2.BENCHMARK:
            yield _sheet(choice, name, replaced)


def _sheet(choice: Choice, benchmark: str, replaced: rev2.Replaced | None = None) -> Sheet:
    """The answers of every point that was asked; the paper has no numbers without questions that were replaced."""
    place = choice.paper.get(benchmark) if replaced is None else None
    found: dict[str, list[Answered]] = {}
    for point in choice.points:
        cells = [cell for cell in point.cells if cell.job == "evaluate" and cell.benchmark == benchmark]
        if cells:
            found.setdefault(point.label, []).append(_answered(point, cells, replaced or {}))
    methods = [Method(label, tuple(a), place.row(label) if place else {}) for label, a in found.items()]
    shown = place if any(method.paper for method in methods) else None
    without = "" if replaced is None else "without the questions that MGSM-Rev2 replaced"
    return Sheet(benchmark, tuple(methods), shown, without)


def _answered(point: Point, cells: list[Cell], replaced: rev2.Replaced) -> Answered:
    """The answers of one point to one benchmark: of each cell its first items, less those that were replaced."""
    benchmark, expected = find_benchmark(cells[0].benchmark), dict[str, int]()
    kept: list[Record] = []
    rules = rules_of(benchmark.name)
    right: dict[str, dict[str, dict[str, float]]] = {rule: {} for rule in rules}
    samples: dict[str, Record] = {}
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
        seed=point.seed,
        run=point.evaluated,
        summary=summary,
        right=right,
        samples=samples,
        texts=texts,
        max_new_tokens=limits,
        questions=questions,
        files=files,
        part=limited(cells),
        page=unlike_pages(benchmark, asked),
        unknown=unknown_share(cells),
    )


def _trainings(points: Iterable[Point]) -> tuple[Training, ...]:
    """Every run once, with all the points that it serves."""
    labels: dict[Path, dict[str, None]] = {}
    runs: dict[Path, tuple[RunFolder, int]] = {}
    for point in points:
        for run in point.runs:
            labels.setdefault(run.path, {})[point.label] = None
            runs.setdefault(run.path, (run, point.seed))
    return tuple(Training(run, tuple(labels[path]), seed) for path, (run, seed) in runs.items())


def _missing(points: Iterable[Point], wanted: Collection[Cell]) -> tuple[Missing, ...]:
    """Cells that are not done, each once, under the first point that wants it."""
    left: dict[Cell, Point] = {}
    for point in points:
        for cell in point.cells:
            if cell in wanted and not _whole(cell):
                left.setdefault(cell, point)
    stands = standings(list(left))
    found = []
    for cell, point in left.items():
        there = len(answers_of([cell])) if cell.job == "evaluate" else 0
        state = "damaged" if cell.done() else stands[cell.name].said
        found.append(Missing(point.label, point.seed, cell, state, there))
    return tuple(found)


def _whole(cell: Cell) -> bool:
    """Whether a cell is done, and its answers are those of then."""
    return cell.done() and not (cell.job == "evaluate" and cell.folder.damage())


def _made(points: Iterable[Point], benchmarks: Collection[str]) -> tuple[Made, ...]:
    """What each state of the code has made, from the starts of trainings and cells."""
    records: dict[str, Mapping[str, Any]] = {}
    made: dict[str, dict[str, None]] = {}

    def tell(record: Mapping[str, Any], what: str) -> None:
        tree = str(record.get("tree"))
        records.setdefault(tree, record)
        made.setdefault(tree, {})[what] = None

    for training in _trainings(points):
        what = f"{training.labels[0]}, seed {training.seed}: stage {training.run.stage}"
        for record in read_jsonl(training.run.starts):
            if record.get("kind") != "evaluate":
                tell(record, what)
    for point in points:
        for cell in point.cells:
            if cell.benchmark in benchmarks:
                for record in read_jsonl(cell.folder.starts):
                    tell(record, f"{point.label}, seed {point.seed}: answers to {cell.benchmark}")
    order = sorted(records, key=lambda tree: str(records[tree].get("time")))
    return tuple(Made(records[tree], tuple(made[tree])) for tree in order)
