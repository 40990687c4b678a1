"""What is asked: the files of a benchmark as one list of items. Light: imports no torch.

A benchmark is a page of YAML (`layalign/tasks/`, or a folder of the user's). Its files lie below the data folder, in
its own folder or below `evaluation/` as in the official tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from layalign.data.hub import find_snapshot
from layalign.evaluation.items import Item, items_of
from layalign.languages import Language, language
from layalign.tasks.benchmark import Benchmark
from layalign.tasks.pages import BENCHMARKS, missing


def read_benchmark(
    name: str,
    folder: Path | None,
    languages: Sequence[str] | None = None,
    limit: int | None = None,
) -> list[Item]:
    """The items of a benchmark, language by language, in the order of the files.

    Args:
        name: of a page.
        folder: the data folder.
        languages: names or codes; None is all that the benchmark averages.
        limit: first items of each language; None is all.

    Raises:
        ValueError: unknown benchmark or language, no such file, or a row that is malformed.
    """
    benchmark = find_benchmark(name)
    if folder is None:
        raise ValueError(f"benchmark {name} needs the data folder: give --data FOLDER or set LAYALIGN_DATA")
    items = []
    for asked in languages or benchmark.languages:
        spoken = offered(benchmark, asked)
        items += items_of(benchmark, spoken.code, benchmark_files(name, folder, spoken.code))[:limit]
    return items


def benchmark_files(name: str, folder: Path, spoken: str) -> list[Path]:
    """The file that holds a benchmark in a language; one of each instance, where there are several.

    Raises:
        ValueError: unknown benchmark or language, or no such file.
    """
    benchmark = find_benchmark(name)
    entry = offered(benchmark, spoken)
    return [_find_file(benchmark, entry, folder, instance) for instance in benchmark.instances or ("",)]


def find_benchmark(name: str) -> Benchmark:
    """A benchmark by its name.

    Raises:
        ValueError: there is none of that name; the nearest one is named.
    """
    if name not in BENCHMARKS:
        raise missing(name, "benchmark", BENCHMARKS)
    return BENCHMARKS[name]


def offered(benchmark: Benchmark, asked: str) -> Language:
    """A language that a benchmark has, by its name or code.

    Raises:
        ValueError: it has none of that name.
    """
    spoken = language(asked)
    codes = benchmark.languages + benchmark.extra
    if spoken.code not in codes:
        raise ValueError(
            f"benchmark {benchmark.name} has no {spoken.name} ({spoken.code}); it has {', '.join(codes)}"
        )
    return spoken


def _find_file(benchmark: Benchmark, spoken: Language, folder: Path, instance: str) -> Path:
    names = benchmark.file_names(spoken, instance)
    places = [folder / benchmark.page, folder / "evaluation" / benchmark.page]
    hub = benchmark.hub
    fetched = find_snapshot(hub.name, hub.revision) if hub else None
    for place in (*places, *([fetched] if fetched else [])):
        for name in names:
            if (place / name).is_file():
                return place / name
    at = f" at {hub.revision}" if hub and hub.revision else ""
    else_hub = (
        f", and in the hub's data set {hub.name}{at}, which is {'without it' if fetched else 'not in the cache'}"
        if hub
        else ""
    )
    raise ValueError(
        f"benchmark {benchmark.name} has no file for {spoken.name}: looked for {' or '.join(names)} "
        f"in {places[0]} and {places[1]}{else_hub}; check --data or LAYALIGN_DATA"
    )
