"""Pages of data: what there is, and of one what it says, where its files are looked for and whether they are there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cluster.errors import ClusterError
from cluster.hub.cache import missing_files, read_pin
from cluster.hub.fetch import Download
from jobs.data.models import mini_path
from jobs.data.report import PageEntry
from layalign.config import DataConfig, RunConfig
from layalign.data.check import check_data
from layalign.data.sources import READERS, asked_languages
from layalign.evaluation.benchmarks import benchmark_files, read_benchmark
from layalign.languages import language
from layalign.mini import is_mini
from layalign.strict import build
from layalign.tasks.benchmark import Benchmark
from layalign.tasks.pages import BENCHMARKS, BROKEN, PAGES, Page, missing
from layalign.tasks.training import LEFT
from layalign.training_sets import SETS


def find_page(name: str) -> Page:
    """A page by its name.

    Raises:
        ValueError: there is none, or it is broken.
    """
    if name not in PAGES:
        raise missing(name, "page", PAGES)
    return PAGES[name]


def every_page() -> Iterable[PageEntry]:
    """All pages, those of training sets first."""
    order = ("training", "benchmark", "languages")
    yield from map(entry_of, sorted(PAGES.values(), key=lambda page: order.index(str(page.values["kind"]))))


def broken_pages() -> Mapping[str, str]:
    """What is wrong with pages that cannot be used, by their names."""
    return BROKEN


def entry_of(page: Page) -> PageEntry:
    """A page in a line."""
    values = page.values
    return PageEntry(
        name=page.name,
        kind=str(values["kind"]),
        languages=_languages(page),
        about=str(values.get("about", "")),
        licence=str(values.get("licence", "")),
        file="" if page.ours or page.path is None else str(page.path),
        replaces=page.replaces,
    )


def _languages(page: Page) -> tuple[str, ...]:
    if page.name in SETS:
        return tuple(language(name).code for name in SETS[page.name].data["languages"])
    if page.name in BENCHMARKS:
        return BENCHMARKS[page.name].languages + BENCHMARKS[page.name].extra
    return tuple((page.values.get("languages") or {}).keys())


def shown_page(page: Page, folder: Path | None, environ: Mapping[str, str]) -> PageEntry:
    """A page with what there is of its files."""
    entry = entry_of(page)
    places, absent, counts = _state(page, folder, environ)
    return replace(
        entry,
        looked_for=tuple(places),
        missing=tuple(dict.fromkeys(absent)),
        counts=tuple(counts.items()),
        notes=tuple(map(str, page.values.get("notes") or ())),
        text=page.path.read_text(encoding="utf-8") if page.path else "",
    )


def _state(
    page: Page, folder: Path | None, environ: Mapping[str, str]
) -> tuple[Sequence[str], Sequence[str], Mapping[str, int]]:
    """Files of a page, why some are not there, and rows by language."""
    if page.name in SETS:
        return _of_training(training_data(page.name), folder, environ)
    if page.name not in BENCHMARKS:
        return (), (), {}
    return _of_benchmark(BENCHMARKS[page.name], folder)


def _of_benchmark(
    known: Benchmark, folder: Path | None
) -> tuple[Sequence[str], Sequence[str], Mapping[str, int]]:
    if folder is None:
        return (), ("the data folder is not named: give --data FOLDER or set LAYALIGN_DATA",), {}
    files, absent, counts = list[str](), list[str](), dict[str, int]()
    for code in known.languages + known.extra:
        try:
            files += map(str, benchmark_files(known.name, folder, code))
            counts[code] = len(read_benchmark(known.name, folder, [code]))
        except ValueError as error:
            absent.append(f"{code}: {error}")
    return files, absent, counts


def _of_training(
    data: DataConfig, folder: Path | None, environ: Mapping[str, str]
) -> tuple[Sequence[str], Sequence[str], Mapping[str, int]]:
    if data.reader == "hub":
        lacking = missing_files("dataset", data.path, data.revision, environ)
        what = f"{data.path}: {', '.join(lacking[:4])}"
        return [f"hub data set {data.path}"], ([f"not in the cache: {what}"] if lacking else []), {}
    check = check_data(data, folder)
    reader = READERS[data.reader]
    try:
        files = list(map(str, reader.files(reader.place(data, folder), asked_languages(data))))
    except ValueError:
        files = [str(folder / data.path) if folder else data.path]
    return files, check.obstacles, check.rows


def training_data(name: str) -> DataConfig:
    """What a training set's page says, with the least where it leaves something to the recipe, and of a hub data set
    the commit that was fetched."""
    data: DataConfig = build(DataConfig, {**LEFT, **SETS[name].data}, "data.")
    pin = read_pin("dataset", data.path, data.revision, os.environ) if data.reader == "hub" else None
    return replace(data, revision=pin.commit) if pin else data


def within_reach(data: DataConfig, seed: int) -> DataConfig:
    """The same with the path of the miniature's files.

    Raises:
        ValueError: they have not been made.
    """
    return replace(data, path=str(mini_path(data.path, seed))) if is_mini(data.path) else data


def data_of(config: RunConfig, folder: Path | None) -> Path | None:
    """The data folder, or the miniature's own where none is named and its LLM is asked."""
    return (
        mini_path("mini://data", config.seed) if folder is None and is_mini(config.model.decoder) else folder
    )


def download_of(page: Page) -> Download:
    """What of a page comes from the hub.

    Raises:
        ClusterError: nothing does.
    """
    hub = BENCHMARKS[page.name].hub if page.name in BENCHMARKS else None
    if hub:
        return Download("dataset", hub.name, hub.revision)
    data = training_data(page.name) if page.name in SETS else None
    if data is None or data.reader != "hub":
        raise ClusterError(
            f"{page.name} does not come from the hub: its files lie below the data folder, and `data show {page.name}` "
            "tells which ones, and where they are published"
        )
    return Download("dataset", data.path, SETS[page.name].data.get("revision"))
