"""From a grid to what it wants: the runs of its points, shared where they compute the same, and its cells."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.provenance import commit_of
from cluster.run.grid_folder import GridFolder
from cluster.run.run_folder import RunIndex
from cluster.secret import secret_obstacle
from jobs.cell.answers import by_benchmark
from jobs.cell.asking import by_now, evaluation_cells, notices, settle
from jobs.cell.cell import Cell, Worklist
from jobs.cell.mending import mend
from jobs.cell.whole import write_tables
from jobs.grid.grid_file import Grid, Point
from jobs.recipe.plan import Plan, evaluation_obstacles, load_recipe, plan_run, training_obstacles, unsafe
from jobs.recipe.prefetch import pins
from layalign.mini import is_mini
from layalign.recipe import stages_of
from layalign.tasks.pages import carried

PINNED = ("model.encoder", "model.decoder", "data.", "stages.")
"""How keys begin that decide what comes from the hub."""


@dataclass(frozen=True)
class DesiredPoint:
    """A point of a grid with its runs."""

    point: Point
    trained: tuple[Plan, ...]
    """Of its stages, in order."""
    evaluated: Plan
    """The run whose answers are its row."""


@dataclass(frozen=True)
class DesiredGrid:
    """What a grid wants, whatever of it is there."""

    grid: Grid
    folder: GridFolder
    points: tuple[DesiredPoint, ...]
    cells: tuple[Cell, ...]
    """First stages, second ones and so on, then evaluations: what a cell needs stands before it."""
    data: Path | None

    def plans(self) -> dict[str, Plan]:
        """Every run once, by its folder."""
        every = [plan for one in self.points for plan in (*one.trained, one.evaluated)]
        return {str(plan.run.path): plan for plan in reversed(every)}

    def users(self) -> dict[str, list[DesiredPoint]]:
        """The points that each trained run serves, by its folder."""
        found: dict[str, list[DesiredPoint]] = {}
        for one in self.points:
            for plan in one.trained:
                found.setdefault(str(plan.run.path), []).append(one)
        return found

    def worklist(self, cells: Iterable[Cell]) -> Worklist:
        """Some of the cells, with what their jobs are told."""
        chosen, plans = tuple(cells), self.plans()
        runs = dict.fromkeys(cell.run for cell in chosen)
        return Worklist(
            cells=chosen,
            runs={run: plans[run].told_to_train(self.data) for run in runs},
            pages=carried(dict.fromkeys(cell.benchmark for cell in chosen)),
        )

    def settle(self, write: bool = True) -> None:
        """Bring what was answered before in line with what is asked now, and tell what has changed."""
        plans = self.plans()
        for line in notices(self.cells, self.data):
            print(line)
        changed = settle(self.cells, {run: plan.config for run, plan in plans.items()}, self.data, write)
        for line in (line for lines in changed.values() for line in lines):
            print(line)
        for run, benchmark in by_benchmark(changed) if write else ():
            write_tables(plans[run].run, plans[run].config, benchmark)
        for line in mend(self.cells, write):
            print(line)

    def write(self) -> None:
        """Record it in the grid's folder."""
        self.folder.create()
        self.folder.write_wanted(self._told())

    def _told(self) -> dict[str, Any]:
        points = [
            {
                "label": one.point.label,
                "seed": one.point.seed,
                "overrides": list(one.point.overrides),
                "runs": {str(plan.config.stage): str(plan.run.path) for plan in one.trained},
                "evaluated": str(one.evaluated.run.path),
            }
            for one in self.points
        ]
        return {
            "name": self.grid.name,
            "title": self.grid.title,
            "recipe": self.grid.recipe,
            "commit": commit_of()[0],
            "points": points,
            "benchmarks": list(self.grid.benchmarks),
            "languages": list(self.grid.languages) if self.grid.languages else None,
            "paper": dict(self.grid.paper),
            "list": self.folder.write_list(self.worklist(self.cells).to_dict()).name,
        }


def desired_grid(
    grid: Grid, root: Path, data: Path | None, overrides: Sequence[str] = (), names: str | None = None
) -> DesiredGrid:
    """The runs and cells of a grid.

    Args:
        grid: as `load_grid` gives it.
        root: folder of all runs.
        data: the data folder.
        overrides: of the recipe, over those of every point.
        names: of new runs; None is the recipe's name with the point's label.

    Raises:
        ValueError: a recipe, an override or a benchmark is wrong.
        ClusterError: a name that cannot name a folder.
    """
    recipe, index = load_recipe(grid.recipe), RunIndex(root)
    seen: dict[tuple[str, ...], list[str]] = {}
    points = []
    for point in grid.points:
        texts = [*point.overrides, *overrides]
        if grid.limit:
            texts.append(f"evaluation.limit={grid.limit}")
        key = tuple(text for text in texts if text.startswith(PINNED))
        if key not in seen:
            seen[key] = pins(recipe, texts, os.environ)
        texts += seen[key]
        points.append(
            _point(point, recipe, texts, root, names or f"{recipe['name']}-{slug(point.label)}", index)
        )
    return DesiredGrid(grid, GridFolder(root, grid.name), tuple(points), _cells(grid, points, data), data)


def _point(
    point: Point, recipe: dict[str, Any], texts: list[str], root: Path, name: str, index: RunIndex
) -> DesiredPoint:
    plans = {}
    for stage in point.stages or stages_of(recipe)[-1:]:
        plans[stage] = plan_run(recipe, stage, texts, root, name, index)
        if index.find(stage, plans[stage].run.signature) is None:
            index.add(plans[stage].run)
    trained = tuple(plans[stage] for stage in point.stages)
    return DesiredPoint(point, trained, plans[max(plans)])


def _cells(grid: Grid, points: Sequence[DesiredPoint], data: Path | None) -> tuple[Cell, ...]:
    """Each training and each share of an evaluation once, in an order that can be followed."""
    trainings: dict[str, Cell] = {}
    answers: dict[str, list[Cell]] = {}
    every = [plan for one in points for plan in one.trained]
    for plan in sorted(every, key=lambda plan: plan.config.stage):
        run, needs = str(plan.run.path), (str(plan.parent.path),) if plan.parent else ()
        behind = tuple(str(other.path) for other in plan.behind)
        trainings.setdefault(run, Cell(job="train", run=run, needs=needs, behind=behind))
    sizes: dict[Any, list[Cell]] = {}
    for one in points:
        plan = one.evaluated
        answers[str(plan.run.path)] = _evaluation(grid, plan, data, sizes)
    return (*trainings.values(), *(cell for cells in answers.values() for cell in cells))


def _evaluation(grid: Grid, plan: Plan, data: Path | None, sizes: dict[Any, list[Cell]]) -> list[Cell]:
    """The evaluation cells of a run; runs that are asked the same are counted once."""
    config = plan.config
    key = (config.evaluation, is_mini(config.model.decoder) and config.seed)
    if key not in sizes:
        sizes[key] = evaluation_cells(plan.run, config, grid.benchmarks, grid.languages, data)
    run, needs = str(plan.run.path), (str(plan.run.path),) if config.bridge.trains else ()
    behind = tuple(str(other.path) for other in (plan.parent, *plan.behind) if other)
    cells = [dataclasses.replace(cell, run=run, needs=needs, behind=behind) for cell in sizes[key]]
    return by_now(cells, plan.run, config)


def obstacles(wanted: DesiredGrid, missing: Iterable[Cell]) -> list[str]:
    """Why what is missing would be refused: models, data and benchmarks, each asked for once, and what is unsafe."""
    plans, found, asked = wanted.plans(), list[str](), set[Any]()
    missing = list(missing)
    for run in dict.fromkeys(cell.run for cell in missing):
        found += unsafe(plans[run])
    if missing and (secret := secret_obstacle(f"grid {wanted.grid.name}", repr(wanted.grid))):
        found.append(secret)
    for cell in missing:
        plan = plans[cell.run]
        config = plan.config
        key = (
            cell.job,
            config.model.encoder,
            config.model.decoder,
            config.data if cell.job == "train" else None,
        )
        if key in asked:
            continue
        asked.add(key)
        if cell.job == "train":
            found += training_obstacles(plan, wanted.data, os.environ, True, "", leased=False)
        else:
            found += evaluation_obstacles(plan, wanted.grid.benchmarks, wanted.data, os.environ, "", True)
    return list(dict.fromkeys(found))


def slug(label: str) -> str:
    """A label as part of a folder's name: `w/o LLM Input` is `no-llm-input`."""
    plain = re.sub(r"\bw/o\b", "no", label.lower())
    return re.sub(r"[^a-z0-9+.]+", "-", plain).strip("-") or "point"
