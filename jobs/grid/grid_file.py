"""Grid files: a page of YAML becomes the rows of a table, each for one seed.

    title: What the parts are worth
    recipe: math                      # a name in jobs/recipes, or a path from this file
    common: {training.epochs: 1}      # overrides of every point, dotted or nested
    axes:                             # every combination of their values
      model.gate: [static, none]      # labelled gate=static, gate=none, or by names of your own:
      model.method: {LayAlign: layalign, MindMerger: mindmerger}
    variants:                         # label: overrides; combined with the axes, if there are any
      LayAlign:
      w/o Adapter: {model.adapter: false}
      w/o Translation Stage: {stages: [2]}          # the stages that are trained, where one is left out
      w/o LLM Input: {stages: {2: {model: {text: false}}}}
    exclude: [{model.gate: none, variant: w/o Adapter}]
    seeds: [0, 1]                     # default: the recipe's
    evaluate: {benchmarks: [mgsm], languages: [sw, en], limit: 100}   # default: the recipe's, all languages
    paper: {mgsm: {table: table15, section: MGSM, rows: {LayAlign: LayAlign}}}
    twin: mini-ablations              # the grid that shows the same on one machine

Points stand in the order of the file: axes first, their last one fastest, then variants, then seeds.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.grid.axes import (
    Row,
    dimensions_of,
    exclusions,
    overrides,
    require_distinct,
    require_known,
    rows,
)
from jobs.recipe.plan import chain_of, chain_signature, load_recipe
from layalign.config import EvaluationConfig, RunConfig
from layalign.evaluation.benchmarks import find_benchmark, offered
from layalign.languages import language
from layalign.recipe import resolve, stages_of
from layalign.strict import build, nearest_page, read_mapping

GRIDS = Path(__file__).parents[1] / "grids"


@dataclass(frozen=True, kw_only=True)
class Point:
    """One row of a table for one seed."""

    label: str
    """As printed in tables."""
    seed: int
    overrides: tuple[str, ...]
    """Of the recipe, as `layalign.recipe.resolve` takes them."""
    stages: tuple[int, ...]
    """Those that are trained: (1, 2), (2,), (1,), or () for the bare LLM. The last is evaluated, or the recipe's."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What is wanted: points, and what each of them is asked."""

    name: str
    recipe: str
    """Name or absolute path."""
    points: tuple[Point, ...]
    benchmarks: tuple[str, ...]
    languages: tuple[str, ...] | None
    """Codes; None is all that a benchmark averages."""
    limit: int | None
    """First items of each language; None is all."""
    paper: Mapping[str, Any]
    """By benchmark: `table`, `section`, and `rows`, the paper's name of a row by label."""
    twin: str | None
    """Name or absolute path of the grid that shows the same on one machine."""
    title: str
    """One line for people."""


@dataclass(frozen=True, kw_only=True)
class _Evaluate:
    benchmarks: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None
    limit: int | None = None


@dataclass(frozen=True, kw_only=True)
class _Paper:
    table: str
    section: str
    rows: dict


@dataclass(frozen=True, kw_only=True)
class _File:
    """The keys of a grid file."""

    recipe: str
    name: str | None = None
    title: str | None = None
    common: dict | None = None
    axes: dict | None = None
    variants: dict | None = None
    exclude: tuple[dict, ...] = ()
    seeds: tuple[int, ...] | None = None
    evaluate: _Evaluate = field(default_factory=_Evaluate)
    paper: dict | None = None
    twin: str | None = None


def grid_names() -> list[str]:
    """The grids in `jobs/grids`."""
    return sorted(path.stem for path in GRIDS.glob("*.yaml"))


def key_texts() -> dict[str, str]:
    """What is told of each key of a grid file: the comment beside it, or beside what follows it, in the page above."""
    found: dict[str, str] = {}
    for block in re.split(r"\n {4}(?=\w)", (__doc__ or "").partition("\n\n")[2].partition("\n\n")[0]):
        told = re.search(r" # (.*)", block)
        found[block.strip().partition(":")[0]] = told[1] if told else ""
    return found


def load_grid(name: str) -> Grid:
    """A grid by its path, or by its name below `jobs/grids`, with or without `.yaml`.

    Every point is resolved, so that a grid that loads holds nothing that `train` would refuse as misspelt.

    Raises:
        ValueError: there is none, or something in it is wrong: the file, the label and the key are named.
    """
    path = _find(name)
    told = read_mapping(path, "grid")
    try:
        return _grid(path, build(_File, told, ""))
    except ValueError as error:
        raise ValueError(f"grid {path}: {error}") from None


def _find(name: str, folder: Path = Path()) -> Path:
    """A file below `folder`, else one of `jobs/grids`."""
    path = folder / Path(name).expanduser()
    is_path = path.suffix in (".yaml", ".yml") or "/" in name
    if is_path and path.is_file():
        return path.absolute()
    shipped = GRIDS / f"{path.stem if path.suffix == '.yaml' else name}.yaml"
    if "/" not in name and shipped.is_file():
        return shipped
    near = nearest_page(str(path), grid_names())
    hint = (
        f"did you mean {near}?" if near else f"there are {', '.join(grid_names())}, or give a path to a YAML"
    )
    raise ValueError(f"there is no grid {name!r}; {hint}")


def _grid(path: Path, file: _File) -> Grid:
    recipe_name = _recipe_name(file.recipe, path.parent)
    recipe = load_recipe(recipe_name)
    common = overrides(file.common or {}, "common")
    dimensions = dimensions_of(file.axes or {}, file.variants, stages_of(recipe))
    seeds = (recipe.get("seed", 0),) if file.seeds is None else file.seeds
    require_distinct(seeds, "seeds")
    excluded = exclusions(file.exclude, dimensions, seeds)
    points, evaluation = _resolved(recipe, rows(common, dimensions, seeds, excluded))
    asked = file.evaluate
    benchmarks = evaluation.benchmarks if asked.benchmarks is None else asked.benchmarks
    require_distinct(benchmarks, "evaluate.benchmarks")
    limit = evaluation.limit if asked.limit is None else asked.limit
    if limit is not None and limit < 1:
        raise ValueError(f"evaluate.limit is {limit}: it must be at least 1")
    return Grid(
        name=file.name or path.stem,
        recipe=recipe_name,
        points=points,
        benchmarks=benchmarks,
        languages=_languages(asked.languages, benchmarks),
        limit=limit,
        paper=_paper(file.paper or {}, benchmarks, [point.label for point in points]),
        twin=_twin(file.twin, path.parent),
        title=file.title or file.name or path.stem,
    )


def _recipe_name(name: str, folder: Path) -> str:
    """A name as it is; a path, which counts from the grid's folder, in full."""
    path = Path(name).expanduser()
    if path.suffix in (".yaml", ".yml") or "/" in name:
        return str((folder / path).absolute())
    return name


def _twin(name: str | None, folder: Path) -> str | None:
    if name is None:
        return None
    try:
        path = _find(name, folder)
    except ValueError as error:
        raise ValueError(f"twin: {error}") from None
    return path.stem if path.parent == GRIDS else str(path)


def _languages(names: tuple[str, ...] | None, benchmarks: Iterable[str]) -> tuple[str, ...] | None:
    """Codes of the languages to evaluate, which every benchmark must have."""
    asked = [find_benchmark(name) for name in benchmarks]
    if names is None:
        return None
    codes = tuple(language(name).code for name in names)
    require_distinct(codes, "evaluate.languages")
    for benchmark, code in itertools.product(asked, codes):
        offered(benchmark, code)
    return codes


def _paper(told: dict[Any, Any], benchmarks: Iterable[str], labels: list[str]) -> dict[str, Any]:
    """Where the paper's numbers are, by benchmark."""
    paper = {}
    for benchmark, values in told.items():
        require_known(benchmark, benchmarks, "paper", "benchmark")
        place: _Paper = build(_Paper, values, f"paper.{benchmark}.")
        for label, row in place.rows.items():
            require_known(label, labels, f"paper.{benchmark}.rows", "label")
            if not isinstance(row, str):
                raise ValueError(f"paper.{benchmark}.rows.{label} is {row!r}: it must be the name of a row")
        paper[benchmark] = {"table": place.table, "section": place.section, "rows": dict(place.rows)}
    return paper


def _resolved(recipe: Mapping[str, Any], wanted: Iterable[Row]) -> tuple[tuple[Point, ...], EvaluationConfig]:
    """The points, each resolved and unlike the others, and how the first one is evaluated."""
    points: list[Point] = []
    configs: list[RunConfig] = []
    labels: set[tuple[str, int]] = set()
    known: dict[tuple[int, str], str] = {}
    for row in wanted:
        if (row.label, row.seed) in labels:
            raise ValueError(f"two points have the label {row.label!r}")
        labels.add((row.label, row.seed))
        try:
            point, config, signature = _point(recipe, row)
        except ValueError as error:
            raise ValueError(f"{row.label!r}: {error}") from None
        same = known.setdefault((config.stage, signature), row.label)
        if same != row.label:
            raise ValueError(f"{same!r} and {row.label!r} are the same run: one of them must go")
        points.append(point)
        configs.append(config)
    if not points:
        raise ValueError("it has no points: `exclude` leaves out all of them")
    return tuple(points), configs[0].evaluation


def _point(recipe: Mapping[str, Any], row: Row) -> tuple[Point, RunConfig, str]:
    """A point, the config of the run that is evaluated, and that run's signature."""
    texts, known = row.overrides, stages_of(recipe)
    last = row.stages[-1] if row.stages else known[-1]
    if row.stages and row.stages[0] > 1 and resolve(recipe, row.stages[0], texts).starts_from:
        texts = (*texts, f"stages.{row.stages[0]}.training.init=none")
    chain = chain_of(recipe, texts, last)
    own = tuple(config.stage for config in chain)
    if row.stages not in (None, own):
        raise ValueError(f"stages is {list(row.stages or ())}, but the method trains {list(own)}")
    point = Point(label=row.label, seed=row.seed, overrides=texts, stages=own)
    if chain:
        return point, chain[-1], chain_signature(chain)
    config = resolve(recipe, last, texts)
    return point, config, config.signature()
