"""Pages of YAML: languages and benchmarks as data. Ours lie here, a user's in a folder of theirs that goes over ours.

A page is known by the name of its file. What a job needs of a user's page travels by value with the job: the file may
have changed meanwhile, or be out of reach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layalign.languages import FILE as LANGUAGES
from layalign.languages import declare, languages_of
from layalign.strict import nearest, read_mapping
from layalign.tasks.benchmark import Benchmark, benchmark_of, variants
from layalign.tasks.training import training_set_of
from layalign.training_sets import SETS

FOLDER = Path(__file__).parent
NAME = "a page's name is letters, digits, - and _"
FIRST = ("mgsm", "msvamp", "mini")
"""The order of tables: these, then all others by name."""


@dataclass(frozen=True)
class Page:
    """A page that was read."""

    name: str
    values: Mapping[str, Any]
    """As they stand in the file."""
    path: Path | None
    """Where it lies; None for one that came by value."""

    @property
    def ours(self) -> bool:
        """Whether it came with the code."""
        return self.path is not None and self.path.parent == FOLDER

    @property
    def replaces(self) -> bool:
        """Whether it stands in place of one of ours."""
        return not self.ours and self.name in OURS


PAGES: dict[str, Page] = {}
"""All that are known and whole, by name."""
BROKEN: dict[str, str] = {}
"""What is wrong with a user's page, by its name: said where somebody asks for it."""
BENCHMARKS: dict[str, Benchmark] = {}
"""By name."""
_PAGE_OF: dict[str, str] = {}
"""The page of each benchmark, of which one that differs by its prompt alone has none of its own."""


def use_folder(folder: Path) -> None:
    """Make the pages of a user's folder known, over those of the same names. One that is broken is told when asked for.

    Raises:
        ValueError: there is no such folder.
    """
    if not folder.is_dir():
        raise ValueError(
            f"the folder of pages {folder} does not exist; name another with --task-pages or LAYALIGN_TASKS"
        )
    for path in _listed(folder):
        try:
            _take(Page(path.stem, read_mapping(path, "the page"), path))
        except ValueError as error:
            BROKEN[path.stem] = str(error) if str(path) in str(error) else f"{path}: {error}"


def take(pages: Mapping[str, Mapping[str, Any]]) -> None:
    """Make pages known that came by value, over those of the same names.

    Raises:
        ValueError: as the page of a file.
    """
    for name, values in pages.items():
        _take(Page(name, values, None))


def learn(pages: Mapping[str, Mapping[str, Any]]) -> None:
    """Make pages known that a record has and nobody here: what it tells of can be shown without its user's folder."""
    for name, values in pages.items():
        if name not in PAGES:
            try:
                take({name: values})
            except ValueError as error:
                BROKEN[name] = f"as it was recorded: {error}"


def carried(names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """What of the named pages a job must be given: those that did not come with the code."""
    pages = dict.fromkeys(_PAGE_OF.get(name, name) for name in names)
    return {name: PAGES[name].values for name in pages if name in PAGES and not PAGES[name].ours}


def replaced(benchmark: str) -> str:
    """That a benchmark of ours is asked as a page of the user says; empty where it is not so."""
    page = PAGES.get(_PAGE_OF.get(benchmark, benchmark))
    if page is None or not page.replaces:
        return ""
    return (
        f"benchmark {benchmark} is asked as the user's page {page.path or page.name} says, in place of ours"
    )


def missing(name: str, kind: str, known: Iterable[str]) -> ValueError:
    """The refusal of a name that no page of a kind has."""
    if name in BROKEN:
        return ValueError(f"the page of {kind} {name} is broken: {BROKEN[name]}")
    near = nearest(name, known)
    hint = f"did you mean {near}?" if near else f"there are {', '.join(one for one in known if one in PAGES)}"
    own = "a page of yours is looked for in --task-pages, $LAYALIGN_TASKS or tasks in the data folder"
    return ValueError(f"unknown {kind} {name!r}; {hint}; {own}")


def _listed(folder: Path) -> list[Path]:
    found = (path for pattern in ("*.yaml", "*.yml") for path in folder.glob(pattern))
    return sorted(path for path in found if not path.name.startswith("."))


def _take(page: Page) -> None:
    """Check a page, and make it and what it declares known."""
    if not page.name.isascii() or not page.name.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"{page.name!r} is no name: {NAME}")
    kind = str(page.values.get("kind"))
    if kind not in KINDS:
        near = nearest(kind, KINDS)
        hint = f"did you mean {near}?" if near else f"it must be {' or '.join(KINDS)}"
        raise ValueError(f"kind is {kind}; {hint}")
    KINDS[kind](page)
    PAGES[page.name] = page
    BROKEN.pop(page.name, None)


def _declare(page: Page, key: str) -> None:
    told = page.values.get(key) or {}
    if not isinstance(told, Mapping):
        raise ValueError(f"{key} is {told!r}: it must be codes, each with keys and values")
    declare(languages_of(told, key))


def _languages(page: Page) -> None:
    odd = next((key for key in page.values if key not in ("kind", "languages")), None)
    if odd:
        raise ValueError(f"unknown key {odd}; valid keys: kind, languages")
    _declare(page, "languages")


def _benchmark(page: Page) -> None:
    _declare(page, "declares")
    for one in variants(benchmark_of(page.name, page.values)):
        if one.name != page.name and one.name in PAGES:
            raise ValueError(
                f"prompts makes a benchmark {one.name}, and a page is called so: call one otherwise"
            )
        BENCHMARKS[one.name], _PAGE_OF[one.name] = one, page.name


def _training(page: Page) -> None:
    _declare(page, "declares")
    SETS[page.name] = training_set_of(page.name, page.values)


KINDS: Mapping[str, Callable[[Page], None]] = {
    "languages": _languages,
    "benchmark": _benchmark,
    "training": _training,
}
"""What is done with a page of each kind."""

for _path in sorted(_listed(FOLDER), key=lambda path: (*(path.stem != name for name in FIRST), path.stem)):
    if _path != LANGUAGES:
        _take(Page(_path.stem, read_mapping(_path, "the page"), _path))
OURS = frozenset(PAGES)
"""Names of the pages that came with the code."""
