"""What each command is asked for: one frozen request, which `jobs.cli.parse` makes of what was typed.

The fields of a request, and of what it is composed of, have the names of its options (`jobs.cli.options`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from cluster.errors import ClusterError
from jobs.grid.array_options import ArrayOptions
from jobs.recipe.context import How, Where
from layalign.strict import nearest

DEFAULT_RECIPE = "math"


def _check_asked(benchmarks: Iterable[str], languages: Iterable[str] = ()) -> None:
    """Refuse (`ValueError`) names that nothing has, before all that else may stand in the way."""
    from layalign.evaluation.benchmarks import find_benchmark
    from layalign.languages import language

    for benchmark in benchmarks:
        find_benchmark(benchmark)
    for asked in languages:
        language(asked)


def _chosen(stage: str, known: Sequence[int]) -> tuple[int, ...]:
    """Which of a recipe's stages are meant by a number or `all`, in order; ClusterError if it has none such."""
    words = [*map(str, known), "all"]
    if stage not in words:
        near = nearest(stage, words)
        rule = f"it must be {', '.join(words[:-1])} or all"
        raise ClusterError(f"--stage is {stage!r}: {f'did you mean {near}?' if near else rule}")
    return tuple(known) if stage == "all" else (int(stage),)


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """Train one stage of a recipe, or all."""

    where: Where
    how: How
    stage: str
    """Its number, or `all`."""
    recipe: str = DEFAULT_RECIPE
    name: str | None = None
    """Of new runs."""
    force: bool = False
    """Make them anew."""
    race: str | None = None
    """`gpu=a100,h100`: alternatives that are asked for at once."""

    def stages(self, known: Sequence[int]) -> tuple[int, ...]:
        """Which of a recipe's stages are meant, in order.

        Raises:
            ClusterError: it has none such.
        """
        return _chosen(self.stage, known)


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """Answer benchmarks with a run that is named, or with that of a recipe."""

    where: Where
    how: How
    run: str | None = None
    recipe: str | None = None
    name: str | None = None
    """Of a run of the recipe that is new."""
    benchmarks: tuple[str, ...] = ()
    """None is the recipe's."""
    languages: tuple[str, ...] | None = None
    """Names or codes; None is all."""
    limit: int | None = None
    """First items of each language; None is the recipe's."""

    def __post_init__(self) -> None:
        if self.run and (self.recipe or self.name):
            raise ClusterError(
                "--run names a run that exists, --recipe and --name tell of another: leave one out"
            )
        _check_asked(self.benchmarks, self.languages or ())


@dataclass(frozen=True, kw_only=True)
class GenerateRequest:
    """Ask a run questions."""

    where: Where
    run: str
    questions: tuple[str, ...] = ()
    """None are the lines of the standard input."""
    file: Path | None = None
    """That has one a line."""
    language: str | None = None
    """Name or code."""
    prompt: Literal["math", "translation", "source"] | None = None
    """What the LLM reads of a question; None is the recipe's."""
    dry_run: bool = False
    json_lines: bool = False

    def __post_init__(self) -> None:
        if self.questions and self.file:
            raise ClusterError("--file has the questions: leave those that are typed out")
        if any(not question.strip() for question in self.questions):
            raise ClusterError("a question is empty: leave it out")


@dataclass(frozen=True, kw_only=True)
class DemoRequest:
    """The whole main job in the miniature."""

    where: Where
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True, kw_only=True)
class AblateRequest:
    """Bring a grid to the state that its file says."""

    where: Where
    how: How
    options: ArrayOptions
    grid: str
    """Name of a grid's file, or its path."""


@dataclass(frozen=True, kw_only=True)
class PipelineRequest:
    """All stages of a recipe, its answers and its tables."""

    where: Where
    how: How
    options: ArrayOptions
    recipe: str = DEFAULT_RECIPE
    name: str | None = None
    """Of the grid and its runs."""
    benchmarks: tuple[str, ...] = ()
    """None is the recipe's."""

    def __post_init__(self) -> None:
        _check_asked(self.benchmarks)


@dataclass(frozen=True, kw_only=True)
class MissingRequest:
    """List what of grids is not done, or queue it."""

    where: Where
    how: How
    options: ArrayOptions
    names: tuple[str, ...] = ()
    """Of grids; none is all."""
    csv: str | None = None
    """File to write the list to."""
    json: bool = False
    submit: bool = False

    def __post_init__(self) -> None:
        if self.json and (self.csv or self.submit):
            raise ClusterError("--json only tells what is missing: leave --csv and --submit out")


@dataclass(frozen=True, kw_only=True)
class RetryRequest:
    """Queue again what has stopped."""

    where: Where
    how: How
    options: ArrayOptions
    names: tuple[str, ...] = ()
    """Of runs and grids."""
    failed: bool = False
    """Everything, where nothing is named."""
    more_mem: bool = False

    def __post_init__(self) -> None:
        if not (self.names or self.failed):
            raise ClusterError(
                "retry what? name runs, cells or grids, or give --failed for everything that has stopped"
            )


@dataclass(frozen=True, kw_only=True)
class CancelRequest:
    """Take runs or grids out of the queue."""

    where: Where
    names: tuple[str, ...] = ()
    yes: bool = False

    def __post_init__(self) -> None:
        if not self.names:
            raise ClusterError("cancel what? name runs or grids")


@dataclass(frozen=True, kw_only=True)
class WatchRequest:
    """Show every run and cell, live."""

    where: Where
    names: tuple[str, ...] = ()
    """Parts of names of runs or grids; none is all."""
    states: tuple[str, ...] = ()
    """None is all."""
    grid: str | None = None
    """Whose cells alone are shown."""
    svg: Path | None = None
    """Where the board is drawn too."""


@dataclass(frozen=True, kw_only=True)
class StatusRequest(WatchRequest):
    """Show every run and cell once."""

    json: bool = False

    def __post_init__(self) -> None:
        if self.json and self.svg:
            raise ClusterError("--json and --svg show the board in two ways: leave one out")


@dataclass(frozen=True, kw_only=True)
class LogsRequest:
    """Show what a run, a cell or a grid prints."""

    where: Where
    name: str
    follow: bool = False
    rank: int = 0
    errors: bool = False


@dataclass(frozen=True, kw_only=True)
class WhyRequest:
    """Tell what keeps a run, a cell or a grid from going on."""

    where: Where
    name: str
    json: bool = False


@dataclass(frozen=True, kw_only=True)
class EfficiencyRequest:
    """Tell what runs asked for and what they used."""

    where: Where
    names: tuple[str, ...] = ()
    """None is all."""
    json: bool = False


@dataclass(frozen=True, kw_only=True)
class ResultsRequest:
    """Tables of grids or runs, and a report."""

    where: Where
    names: tuple[str, ...] = ()
    """None is all runs that have answers."""
    benchmarks: tuple[str, ...] | None = None
    """None is all."""
    rule: Literal["strict", "official", "likelihood"] = "strict"
    published: bool = False
    """Also what others have published."""
    rev2: str | None = None
    """File of the questions of mgsm that MGSM-Rev2 replaced; empty is that of the data folder, None does not ask."""
    out: Path | None = None
    """Folder; None is that of each grid."""
    json: bool = False

    def __post_init__(self) -> None:
        if self.json and self.published:
            raise ClusterError("--json has our numbers alone: leave --published out")
        if self.json and self.out:
            raise ClusterError("--json prints what --out writes as results.json: leave one out")


@dataclass(frozen=True, kw_only=True)
class CleanRequest:
    """Show what is safe to delete, and delete it."""

    where: Where
    names: tuple[str, ...] = ()
    """Of runs and grids; none is everything."""
    yes: bool = False


@dataclass(frozen=True, kw_only=True)
class KeepRequest:
    """Copy what is finished to storage that lasts."""

    where: Where
    names: tuple[str, ...] = ()
    """Of runs and grids; none is all that are done."""
    to: Path | None = None
    """None is the project storage of the cluster."""


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """Put a run or a grid into one archive."""

    where: Where
    name: str
    to: Path | None = None
    """File or folder; None is this folder."""
    checkpoints: bool = False


@dataclass(frozen=True, kw_only=True)
class PushRequest:
    """Put a run's bridge on the hub."""

    where: Where
    name: str
    to: str
    """Repository."""
    public: bool = False
    yes: bool = False


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """Take runs out of an archive."""

    where: Where
    archive: Path


@dataclass(frozen=True, kw_only=True)
class PrefetchRequest:
    """Fetch models and data sets of a recipe, or of all points of a grid."""

    where: Where
    recipe: str | None = None
    grid: str | None = None
    update: bool = False
    """Move on from commits that were fetched before."""

    def __post_init__(self) -> None:
        if self.grid and self.recipe:
            raise ClusterError("--grid has a recipe of its own: leave --recipe out")


@dataclass(frozen=True, kw_only=True)
class EnvRequest:
    """Tell how jobs come by their Python, or build it."""

    where: Where
    build: bool = False


@dataclass(frozen=True, kw_only=True)
class DoctorRequest:
    """Compare a profile with its cluster."""

    where: Where
    compute: bool = False
    """Also on a compute node."""
    json: bool = False
    write: Path | None = None
    """File to write a profile to, instead."""

    def __post_init__(self) -> None:
        if self.write and (self.compute or self.json or self.where.cluster or self.where.overrides):
            raise ClusterError(
                "--write makes a profile of the Slurm here, and compares none: leave --cluster, -o, --compute and "
                "--json out; python launch.py doctor --cluster FILE compares it then"
            )


@dataclass(frozen=True, kw_only=True)
class SandboxRequest:
    """Start, end or tell of a throwaway Slurm on this machine."""

    action: Literal["up", "down", "status"]
    like: str = "sandbox"
    """Cluster to imitate."""
    nodes: int = 4
    """Of each kind."""
    no_accounting: bool = False
    warn_preempted: bool = False


@dataclass(frozen=True, kw_only=True)
class ListRequest:
    """Tell what there is."""

    where: Where
    kind: str | None = None
    """Of `options.KINDS`; None is one line of each."""
    json: bool = False


@dataclass(frozen=True, kw_only=True)
class TranslationOptions:
    """How questions are translated."""

    to: tuple[str, ...] = ()
    """Names or codes of languages."""
    out: Path | None = None
    model: str | None = None
    """None is `facebook/nllb-200-3.3B`."""
    limit: int | None = None
    """First questions; None is all."""
    beams: int | None = None
    """None is 1, greedy."""
    slots: int | None = None
    """Jobs that share the work; None is 1."""
    dry_run: bool = False
    yes: bool = False

    def __post_init__(self) -> None:
        _check_asked((), self.to)

    @property
    def told(self) -> str:
        """An option that was given; empty if none was."""
        return next((f"--{f.name.replace('_', '-')}" for f in fields(self) if getattr(self, f.name)), "")


@dataclass(frozen=True, kw_only=True)
class DataRequest:
    """List, show, check, fetch or translate data."""

    where: Where
    translation: TranslationOptions
    action: Literal["list", "show", "check", "fetch", "translate"]
    name: str | None = None
    """Of a page."""
    recipe: str | None = None
    """Whose data are checked, or in whose models' tokens a page is."""
    stage: str | None = None
    """Its number, or `all`, which None is too."""
    against: tuple[str, ...] | None = None
    """Benchmarks whose questions are looked for; None is all whose files are there."""
    update: bool = False
    """Move on from the commit that was fetched before."""
    json: bool = False

    def __post_init__(self) -> None:
        _check_asked(self.against or ())
        translates = self.action == "translate"
        if translates != bool(self.translation.to and self.translation.out):
            rule = "--to with languages and --out with a file are of data translate, which needs both"
            raise ClusterError(f"{rule}: data translate PAGE --to sw,yo --out math_africa.json")
        if not translates and self.translation.told:
            raise ClusterError(f"{self.translation.told} is of data translate: leave it out")
        if self.action in ("show", "fetch", "translate") and not self.name:
            raise ClusterError(f"data {self.action} what? name a page; `python launch.py data list` has them")
        if self.action == "check" and not (self.name or self.recipe):
            raise ClusterError("data check what? name a page, or give --recipe")
        if self.action != "check" and (self.recipe or self.stage or self.against):
            raise ClusterError(
                f"--recipe, --stage and --against are of data check: leave them out of data {self.action}"
            )
        if self.stage and not self.recipe:
            raise ClusterError("--stage is of a recipe: add --recipe")
        if self.update and self.action != "fetch":
            raise ClusterError("--update is of data fetch: leave it out")
        if self.name and self.action == "list":
            raise ClusterError(f"data list takes no name: data show {self.name} tells of one page")

    def stages(self, known: Sequence[int]) -> tuple[int, ...]:
        """As those of a training."""
        return _chosen(self.stage or "all", known)


@dataclass(frozen=True, kw_only=True)
class InitRequest:
    """Write a file to begin from."""

    kind: Literal["recipe", "grid", "cluster"]
    path: Path | None = None
    """None is that of the kind in this folder."""
    yes: bool = False
    """Ask nothing."""


@dataclass(frozen=True, kw_only=True)
class CompletionRequest:
    """Print what a shell needs to complete what is typed."""

    shell: Literal["bash", "zsh", "fish"]
