"""What runs have answered, gathered from their folders for tables, plots and the report."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.files import read_jsonl
from cluster.run.run_folder import RunFolder
from jobs.board.status import standings
from jobs.cell.answers import answers_of
from jobs.cell.cell import Cell
from jobs.results import rev2
from jobs.results.answered import Answered, Method, answered
from jobs.results.ceiling import Ceiling, find_ceilings
from jobs.results.points import Choice, PaperPlace, Point
from layalign.evaluation.benchmarks import find_benchmark
from layalign.tasks.pages import BENCHMARKS


@dataclass(frozen=True)
class Sheet:
    """One benchmark: all methods that were asked."""

    benchmark: str
    methods: tuple[Method, ...]
    paper: PaperPlace | None
    ceilings: Mapping[str, Ceiling]
    """What the LLM of each row reaches without a bridge, by label; those that have answered nothing are not here."""
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
            found.setdefault(point.label, []).append(
                answered(point.seed, point.evaluated, cells, replaced or {})
            )
    methods = [Method(label, tuple(a), place.row(label) if place else {}) for label, a in found.items()]
    shown = place if any(method.paper for method in methods) else None
    without = "" if replaced is None else "without the questions that MGSM-Rev2 replaced"
    return Sheet(benchmark, tuple(methods), shown, find_ceilings(benchmark, methods), without)


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
