"""What the names that users give mean: a run, a grid, or a cell of a run's evaluation.

A run goes by the path or name of its folder (`math-layalign-s2-0123abcd`), by its signature, or by its name, with the
stage or without (stage 2 before stage 1). A grid goes by its name; one of which only the miniature twin was made
stands for that. A cell is the run, a blank or a slash, and its share of the answers: `math-layalign mgsm/sw-0`.

The beginning of a name will do where it begins no other. A whole name comes before names that it begins.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from cluster.errors import ClusterError
from cluster.job.race import records_of
from cluster.records import unless_damaged
from cluster.run.grid_folder import GridFolder, all_grids
from cluster.run.run_folder import FOLDER, CellFolder, RunFolder, all_runs
from cluster.slurm.submission import readable
from jobs.cell.cell import wanted_cells

CELL = re.compile(
    r"(?P<run>.+?)[ /](?:results/)?(?P<share>(?P<benchmark>[\w.+-]+)/(?P<language>[\w.+-]+)-(?P<shard>\d+))"
)
PART = re.compile(r"(?P<run>.+?)[ /](?:results/)?(?P<share>[\w.+-]+(?:/[\w.+-]*)?)")
"""A cell whose share is told in part: `math-layalign mgsm/sw`."""
GRID_FILES = Path(__file__).parents[1] / "grids"
SIGNATURE = 4
"""Fewest digits that stand for a signature."""
SHOWN = 10
"""Names that a refusal lists before it says that there are more."""


class _Unknown(ClusterError):
    """Nothing has this name."""


class Names:
    """The runs and grids below a folder by the names that users give them, each kind listed once and only if needed.

    Every method refuses (`ClusterError`) what nothing is called, with what is nearest to it, and what several things
    are called, with their names.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def runs(self) -> list[RunFolder]:
        """All runs, newest first."""
        return all_runs(self.root)

    @cached_property
    def grids(self) -> Mapping[str, GridFolder]:
        """All grids by name."""
        return {grid.name: grid for grid in all_grids(self.root)}

    @cached_property
    def twins(self) -> Mapping[str, GridFolder]:
        """Grids by the name of the one that they are the miniature twin of, where that was not made."""
        from layalign.strict import read_mapping

        if not self.grids:
            return {}
        files = [path for path in sorted(GRID_FILES.glob("*.yaml")) if path.stem not in self.grids]
        told = {path.stem: str(read_mapping(path, "grid").get("twin")) for path in files}
        return {name: self.grids[twin] for name, twin in told.items() if twin in self.grids}

    def run(self, name: str) -> RunFolder:
        """The run of this name."""
        return self._run(name, "run")

    def grid(self, name: str) -> GridFolder:
        """The grid of this name."""
        if found := self.grids.get(name) or self.twins.get(name):
            return found
        if whole := self._whole(name, self._grid_words()):
            return self.grid(whole)
        aside = ", only a run" if self._called(name) else ""
        raise self._unknown("grid", name, {grid: grid for grid in self.grids}, aside)

    def run_or_grid(self, name: str) -> RunFolder | GridFolder:
        """The run or grid of this name: the folder of a run comes before a grid, a grid before other names of runs."""
        if self._folder(name):
            return self._run(name, "run or grid")
        if found := self.grids.get(name):
            return found
        if self._called(name):
            return self._run(name, "run or grid")
        if found := self.twins.get(name):
            return found
        whole = self._whole(name, [*self._run_words(), *self._grid_words()])
        return self.run_or_grid(whole) if whole else self._run(name, "run or grid")

    def find(self, name: str) -> RunFolder | CellFolder | GridFolder:
        """The run, cell or grid of this name; a cell is one that was begun, or that a grid wants."""
        if cell := self._whole_cell(name):
            return cell
        try:
            return self.run_or_grid(name)
        except _Unknown:
            if cell := self._cell_in_part(name):
                return cell
            raise

    def each(self, names: Iterable[str]) -> list[RunFolder | GridFolder]:
        """The runs and grids of these names, each once, in this order."""
        found = [self.run_or_grid(name) for name in names]
        return list({one.path: one for one in found}.values())

    def alike(self, names: Iterable[str]) -> list[RunFolder]:
        """Runs of other stages, or signatures, that these names name too, less those that they stand for."""
        meant = {name: self.run_or_grid(name) for name in names}
        return [
            run
            for name, one in meant.items()
            for run in self.runs
            if isinstance(one, RunFolder) and one.name == run.name and one.name.startswith(name.rstrip("/"))
            if run.path not in {other.path for other in meant.values()}
        ]

    def _run(self, name: str, what: str) -> RunFolder:
        """The run of this name; `what` says what was looked for."""
        if folder := self._folder(name):
            return RunFolder(folder)
        called = self._called(name)
        if len(called) > 1:
            more = f"\n  and {len(called) - SHOWN} more" if len(called) > SHOWN else ""
            listing = "".join(f"\n  {run.path.name}  {run.state()}" for run in called[:SHOWN]) + more
            raise ClusterError(
                f"{name!r} names {len(called)} runs; give one of these folders, newest first:{listing}"
            )
        if called:
            return called[0]
        if name in self.grids:
            told = f"only a grid; its runs are those of status --grid {name}"
            raise _Unknown(f"there is no {what} {name!r} below {self.root}, {told}")
        if whole := self._whole(name, self._run_words()):
            return self._run(whole, what)
        raise self._no_run(name, what)

    def _no_run(self, name: str, what: str) -> ClusterError:
        if name.replace("_", "").isdecimal() and (owner := self._owner(name.partition("_")[0])):
            return _Unknown(f"there is no {what} {name!r}, but job {name} is of {owner}: give that name")
        words: dict[str, str] = {}
        for run in sorted(self.runs, key=lambda run: -run.stage):  # first the one that its name means
            for word in (run.path.name, run.name, f"{run.name}-s{run.stage}"):
                words.setdefault(word, run.path.name)
        if what == "run or grid":
            words |= {grid: f"the grid {grid}" for grid in self.grids}
        return self._unknown(what, name, words, self._only_a_cell(name))

    def _owner(self, number: str) -> str:
        """The name of the run or grid that a job of Slurm is of; empty if it is of none."""
        made = {run.path.name: records_of(run) for run in self.runs}
        made |= {grid.name: grid.records() for grid in self.grids.values()}
        return next((name for name, its in made.items() if number in {one.job for one in readable(its)}), "")

    def _folder(self, name: str) -> Path | None:
        """The folder of a run by its name, or by its path from here; one of ours as it is called from our root."""
        given = Path(os.path.expanduser(name))
        places = (given,) if "/" in name.rstrip("/") else (self.root / given, given)
        found = next((path for path in places if os.path.isdir(path)), None)
        if found is None or not FOLDER.fullmatch(found.name):
            return None
        ours = self.root / found.name
        return ours if found.resolve() == ours.resolve() else found.absolute()

    def _called(self, name: str) -> list[RunFolder]:
        """The runs that go by a name, newest first: by their signature, else those of the latest stage."""
        exact = [run for run in self.runs if name == run.signature]
        same = exact or [run for run in self.runs if name in (run.name, f"{run.name}-s{run.stage}")]
        latest = max((run.stage for run in same), default=0)
        return [run for run in same if run.stage == latest]

    def _run_words(self) -> list[Sequence[str]]:
        """What each run goes by, the shortest first, its signature last."""
        return [(run.name, f"{run.name}-s{run.stage}", run.path.name, run.signature) for run in self.runs]

    def _grid_words(self) -> list[Sequence[str]]:
        """What each grid goes by."""
        return [(name,) for name in (*self.grids, *self.twins)]

    def _whole(self, name: str, words: Iterable[Sequence[str]]) -> str | None:
        """The one name that begins so; None if none does."""
        begun = name.rstrip("/")
        hits = (next((w for w in of_one if begun and w.startswith(begun)), None) for of_one in words)
        signatures = {run.signature for run in self.runs} if len(begun) < SIGNATURE else set()
        return _only(begun, [hit for hit in dict.fromkeys(hits) if hit and hit not in signatures])

    def _whole_cell(self, name: str) -> CellFolder | None:
        """The cell of this name; None if it is no name of a cell."""
        cell = CELL.fullmatch(name.rstrip("/"))
        if cell is None or FOLDER.fullmatch(Path(name).name):
            return None
        return self._named_cell(self._run(cell["run"].rstrip("/"), "run"), cell)

    def _cell_in_part(self, name: str) -> CellFolder | None:
        """The one cell of a run whose share begins so; None if there is none."""
        part = PART.fullmatch(name.rstrip("/"))
        if part is None:
            return None
        try:
            run = self._run(part["run"].rstrip("/"), "run")
        except _Unknown:
            return None
        share = _only(name, [share for share in self._shares(run) if share.startswith(part["share"])])
        return self._whole_cell(f"{run.path}/{share}") if share else None

    def _named_cell(self, run: RunFolder, cell: re.Match[str]) -> CellFolder:
        found = run.cell(cell["benchmark"], cell["language"], int(cell["shard"]))
        if found.path.is_dir():
            return found
        shares = self._shares(run)
        if cell["share"] in shares:
            return found
        empty = "nothing of it is answered or wanted by a grid yet: begin with evaluate --run"
        hint = _hint(cell["share"], {share: share for share in shares}, shares, empty)
        raise ClusterError(f"there is no cell {cell['share']!r} of {run.title}; {hint}")

    def _only_a_cell(self, name: str) -> str:
        """What is added to a refusal where a cell was named and a run, or a grid, is needed."""
        try:
            found = self._whole_cell(name) or self._cell_in_part(name)
        except ClusterError:
            return ""
        return f", only a cell of {found.run.path.name}, which may be named instead" if found else ""

    def _shares(self, run: RunFolder) -> list[str]:
        """The cells of a run's evaluation that were begun, or that a grid wants: `mgsm/sw-0`."""
        begun = [f"{cell.benchmark}/{cell.path.name}" for cell in run.all_cells()]
        wanted = [
            f"{cell.benchmark}/{cell.folder.path.name}"
            for grid in self.grids.values()
            for cell in unless_damaged(wanted_cells, grid) or ()
            if cell.job == "evaluate" and cell.run_name == run.path.name
        ]
        return list(dict.fromkeys([*begun, *wanted]))

    def _unknown(self, what: str, name: str, words: Mapping[str, str], aside: str = "") -> ClusterError:
        """The refusal of a name that nothing has; `words` are those that there are, each with what is to be told."""
        kind, command = ("grids", "ablate") if what == "grid" else ("runs", "train")
        empty = f"it holds no {kind}: make one with {command}, or say where they are with --runs FOLDER"
        grids = [words[grid] for grid in self.grids if grid in words]
        every = grids if what == "grid" else [*grids, *(run.path.name for run in self.runs)]
        return _Unknown(
            f"there is no {what} {name!r} below {self.root}{aside}; {_hint(name, words, every, empty)}"
        )


def chosen(root: Path, names: Sequence[str]) -> tuple[list[RunFolder], list[GridFolder]]:
    """The runs and grids that are named, with the runs of these grids; all where nothing is.

    Raises:
        ClusterError: as `Names`.
    """
    if not names:
        return all_runs(root), all_grids(root)
    runs: dict[Path, RunFolder] = {}
    grids: list[GridFolder] = []
    for found in Names(root).each(names):
        grids += [found] if isinstance(found, GridFolder) else []
        ours = runs_of_grid(found) if isinstance(found, GridFolder) else [found]
        runs |= {run.path: run for run in ours}
    return list(runs.values()), grids


def runs_of_grid(grid: GridFolder) -> list[RunFolder]:
    """The runs of a grid's points that have a folder, each once."""
    points = (grid.read_wanted() or {}).get("points", ())
    folders = [folder for point in points for folder in (*point["runs"].values(), point["evaluated"])]
    return [RunFolder(Path(folder)) for folder in dict.fromkeys(folders) if Path(folder).is_dir()]


def _only(begun: str, names: Sequence[str]) -> str | None:
    """The one of names that begin alike; None if there is none.

    Raises:
        ClusterError: there are several.
    """
    if len(names) > 1:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise ClusterError(
            f"{begun!r} begins {len(names)} names; give more of one: {', '.join(names[:SHOWN])}{more}"
        )
    return names[0] if names else None


def _hint(name: str, words: Mapping[str, str], every: Sequence[str], empty: str) -> str:
    """What is nearest to a name that is none, else what there is."""
    lower = {word.lower(): told for word, told in words.items()}
    near = dict.fromkeys(lower[word] for word in difflib.get_close_matches(name.lower(), lower, n=3))
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"it holds {', '.join(every[:SHOWN])}{', ...' if len(every) > SHOWN else ''}" if every else empty
