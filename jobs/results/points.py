"""Whose results are shown: the points of a grid, or runs put together by what they have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.files import DamagedFile
from cluster.records import typed
from cluster.run.grid_folder import AGAIN, GridFolder
from cluster.run.run_folder import CellFolder, RunFolder, all_runs
from jobs.cell.asked import learn_pages
from jobs.cell.cell import Cell, outcomes, wanted_cells
from jobs.cell.whole import whole_evaluations
from jobs.results.paper import paper_row
from layalign.config import RunConfig
from layalign.methods import Bridge
from layalign.tasks.pages import BENCHMARKS

OWN_MODELS = ("google/mt5-xl", "meta-math/MetaMath-7B-V1.0")
OWN_ROWS = {"llm": "MetaMath", "langbridge": "LangBridge", "mindmerger": "MindMerger", "layalign": "LayAlign"}
"""The paper's rows of the methods as they are, in Table 2."""


@dataclass(frozen=True)
class Point:
    """One row of a table for one seed."""

    label: str
    seed: int
    runs: tuple[RunFolder, ...]
    """Its trainings, in order."""
    evaluated: RunFolder
    """Whose answers count."""
    cells: tuple[Cell, ...]
    """All that is wanted of it: trainings and evaluations."""


@dataclass(frozen=True)
class PaperPlace:
    """Where the paper has numbers for a benchmark."""

    table: str
    section: str
    rows: Mapping[str, str]
    """The paper's name of a row by our label."""

    def __str__(self) -> str:
        return f"Table {self.table.removeprefix('table')}, {self.section}"

    def row(self, label: str) -> dict[str, float]:
        """Percent by column; empty where the paper has no such row.

        Raises:
            ValueError: the place is not in the paper.
        """
        name = self.rows.get(label)
        return paper_row(self.table, self.section, name) if name else {}


@dataclass(frozen=True)
class Choice:
    """Points that are shown together."""

    title: str
    points: tuple[Point, ...]
    paper: Mapping[str, PaperPlace]
    """By benchmark."""


def points_of_grid(grid: GridFolder) -> Choice:
    """The points of a grid as it was last submitted.

    Raises:
        ClusterError: it was never submitted, or its work list is gone.
    """
    wanted = grid.read_wanted()
    if wanted is None:
        raise ClusterError(
            f"grid {grid.name} was never submitted: {grid.path} has no plan; start it with ablate"
        )
    by_run: dict[str, list[Cell]] = {}
    for cell in wanted_cells(grid):
        by_run.setdefault(cell.run, []).append(cell)
    points = []
    for told in wanted["points"]:
        folders = [told["runs"][stage] for stage in sorted(told["runs"], key=int)]
        cells = [cell for run in dict.fromkeys([*folders, told["evaluated"]]) for cell in by_run.get(run, [])]
        own = [cell for cell in cells if cell.job == "train" or cell.run == told["evaluated"]]
        runs = tuple(RunFolder(Path(folder)) for folder in folders)
        evaluated = RunFolder(Path(told["evaluated"]))
        points.append(Point(told["label"], told.get("seed", 0), runs, evaluated, tuple(own)))
    try:
        paper = {name: typed(PaperPlace, place) for name, place in (wanted.get("paper") or {}).items()}
    except ValueError as error:
        raise DamagedFile(grid.wanted, str(error), AGAIN) from None
    title = wanted.get("title") or grid.name
    about = f": {title}" if title != grid.name else ""
    return Choice(f"grid {grid.name}{about}", tuple(points), paper)


def points_of_runs(runs: Sequence[RunFolder], title: str) -> Choice:
    """Runs as points: those that differ by nothing but the seed are one row.

    What they should have answered is known from what each has begun and from how much others have answered.
    """
    for run in runs:
        learn_pages(run)
    configs = {run.path: RunConfig.from_dict(run.read_config()) for run in runs}
    known = [run for root in {run.root for run in runs} for run in all_runs(root)]
    before = {run.path: _before(run, known) for run in runs}
    labels = _labels(runs, configs, before)
    sizes = _sizes(runs)
    points = []
    for run in runs:
        cells = tuple(_begun(run, configs[run.path], sizes))
        stages = (*before[run.path], *([run] if run.metrics.exists() else ()))
        points.append(Point(labels[run.path], configs[run.path].seed, stages, run, cells))
    points.sort(key=lambda point: (list(labels.values()).index(point.label), point.seed))
    rows = {labels[run.path]: row for run in runs if (row := _paper_row(configs[run.path]))}
    paper = {name: PaperPlace("table2", name.upper(), rows) for name in ("mgsm", "msvamp")} if rows else {}
    return Choice(title, tuple(points), paper)


def answering_runs(root: Path) -> list[RunFolder]:
    """The runs below `root` that have answered something, by name."""
    runs = all_runs(root)
    for run in runs:
        learn_pages(run)
    found = [run for run in runs if any(run.cells(name) for name in BENCHMARKS)]
    return sorted(found, key=lambda run: run.path.name)


def _before(run: RunFolder, known: Iterable[RunFolder]) -> tuple[RunFolder, ...]:
    """The runs that one starts from, first to last, told by the signatures; as far as they are there."""
    config = RunConfig.from_dict(run.read_config())
    beside = [other for other in known if other.root == run.root and other.stage == config.starts_from]
    beside.sort(key=lambda other: other.name != run.name)
    for parent in beside:
        if config.signature(parent.signature) == run.signature:
            return (*_before(parent, known), parent)
    return ()


def _labels(
    runs: Iterable[RunFolder],
    configs: Mapping[Path, RunConfig],
    earlier: Mapping[Path, Sequence[RunFolder]],
) -> dict[Path, str]:
    """A row's name by run: the run's name, with a signature where runs of one name differ by more than the seed."""
    kinds: dict[Path, tuple[str, ...]] = {}
    for run in runs:
        before = [RunConfig.from_dict(parent.read_config()) for parent in earlier[run.path]]
        kinds[run.path] = (run.name, _seedless(configs[run.path]), *map(_seedless, before))
    first = {kind: path for path, kind in reversed(kinds.items())}
    names = [kind[0] for kind in first]
    return {
        path: kind[0] if names.count(kind[0]) == 1 else f"{kind[0]} {RunFolder(first[kind]).signature}"
        for path, kind in kinds.items()
    }


def _seedless(config: RunConfig) -> str:
    return dataclasses.replace(config, seed=0).signature()


def _sizes(runs: Iterable[RunFolder]) -> dict[tuple[str, int], int]:
    """Most items of a share that any run has finished, by benchmark and number of the share."""
    sizes: dict[tuple[str, int], int] = {}
    for run in runs:
        for folder in _folders(run):
            for outcome in outcomes(folder.outcome()):
                key = (folder.benchmark, folder.shard)
                sizes[key] = max(outcome["items"], sizes.get(key, 0))
    return sizes


def _begun(run: RunFolder, config: RunConfig, sizes: Mapping[tuple[str, int], int]) -> list[Cell]:
    """The evaluation of each benchmark of which a run has answered most."""
    cells: list[Cell] = []
    for benchmark in BENCHMARKS:
        elsewhere = {shard: items for (name, shard), items in sizes.items() if name == benchmark}
        for whole in whole_evaluations(run, config, benchmark, elsewhere)[:1]:
            cells += whole.cells
    return cells


def _folders(run: RunFolder) -> list[CellFolder]:
    return [folder for name in BENCHMARKS for folder in run.cells(name)]


def _paper_row(config: RunConfig) -> str | None:
    """The paper's row of a run that is what the paper trained: its models, a method as it is, and both stages."""
    if (config.stage, config.last_stage) != (2, 2) or (
        config.model.encoder,
        config.model.decoder,
    ) != OWN_MODELS:
        return None
    as_it_is = config.bridge == dataclasses.replace(config.model, **_UNSET).bridge(2)
    whole = config.starts_from is not None or not config.bridge.trains
    return OWN_ROWS.get(config.model.method) if as_it_is and whole else None


_UNSET: dict[str, Any] = dict.fromkeys(field.name for field in dataclasses.fields(Bridge))
