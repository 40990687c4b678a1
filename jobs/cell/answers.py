"""The answers in the cells of an evaluation, and the tables that come of them. Light: a login node makes them too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cluster.files import append_jsonl, read_jsonl, write_atomic
from cluster.provenance import provenance
from cluster.run.run_folder import CellFolder, RunFolder
from jobs.cell.cell import Cell
from layalign.config import RunConfig
from layalign.evaluation import table
from layalign.evaluation.benchmarks import find_benchmark, offered, read_benchmark
from layalign.evaluation.table import Summary, summarise
from layalign.mini import Settings, is_mini

SHARD = 250
"""Items of one language that are one cell: a language of MGSM, a quarter of one of MSVAMP."""
Record = dict[str, Any]


def evaluation_cells(
    run: RunFolder,
    config: RunConfig,
    benchmarks: Sequence[str],
    languages: Sequence[str] | None,
    data: Path | None,
) -> list[Cell]:
    """The evaluation of a run, cut into cells.

    Args:
        run: whose answers they are.
        config: of the run; `evaluation` says how many items and how long an answer.
        benchmarks: names.
        languages: names or codes; None is all that a benchmark averages.
        data: the data folder; the miniature needs none.

    Raises:
        ValueError: as `read_benchmark`.
    """
    needs = (str(run.path),) if config.bridge.trains else ()
    return [
        Cell(
            job="evaluate",
            run=str(run.path),
            needs=needs,
            benchmark=benchmark,
            language=code,
            shard=first // SHARD,
            items=min(SHARD, items - first),
            max_new_tokens=config.evaluation.max_new_tokens,
        )
        for benchmark in benchmarks
        for code, items in _sizes(benchmark, config, languages, data).items()
        for first in range(0, items, SHARD)
    ]


def _sizes(
    benchmark: str, config: RunConfig, languages: Sequence[str] | None, data: Path | None
) -> dict[str, int]:
    """Items of each language by its code. The miniature's world need not have been made yet."""
    limit = config.evaluation.limit
    if is_mini(config.model.decoder):
        problems = Settings(seed=config.seed).problems
        known = find_benchmark(benchmark)
        codes = [offered(known, name).code for name in languages or known.languages]
        return dict.fromkeys(codes, min(problems, limit or problems))
    sizes: dict[str, int] = {}
    for item in read_benchmark(benchmark, data, languages, limit):
        sizes[item.language] = sizes.get(item.language, 0) + 1
    return sizes


def add_answers(folder: CellFolder, max_new_tokens: int, records: Iterable[Record]) -> None:
    """Keep a batch of answers, each with the limit that it was made under."""
    for record in records:
        append_jsonl(folder.answers, {**record, "max_new_tokens": max_new_tokens})


def read_answers(folder: CellFolder, max_new_tokens: int) -> dict[str, Record]:
    """Answers that were made under a limit, by item in the order of the benchmark; of two the later counts."""
    records = read_jsonl(folder.answers)
    known = {record["id"]: record for record in records if record["max_new_tokens"] == max_new_tokens}
    return dict(sorted(known.items()))


def answers_of(cells: Iterable[Cell]) -> list[Record]:
    """The answers that cells ask for: of each its first items, whatever else was answered there."""
    found = []
    for cell in cells:
        folder = cell.folder
        assert isinstance(folder, CellFolder)
        found += list(read_answers(folder, cell.max_new_tokens).values())[: cell.items]
    return found


def summary_of(cells: Sequence[Cell]) -> Summary:
    """How many of the items of one run and benchmark are right, and how many are missing."""
    expected: dict[str, int] = {}
    for cell in cells:
        expected[cell.language] = expected.get(cell.language, 0) + cell.items
    (benchmark,) = {cell.benchmark for cell in cells}
    return summarise(answers_of(cells), find_benchmark(benchmark), expected)


def write_table(run: RunFolder, config: RunConfig, cells: Sequence[Cell], device: str) -> Summary:
    """The table of one benchmark of a run as JSON, CSV, Markdown and LaTeX.

    Args:
        run: whose answers they are.
        config: of the run.
        cells: of the benchmark.
        device: that the last answers were made on, for the record.
    """
    summary, method = summary_of(cells), config.model.method
    told = {**provenance(), "run": run.path.name, "config": config.to_dict(), "device": device}
    folder = run.results / summary.benchmark
    folder.mkdir(parents=True, exist_ok=True)
    writers = {"json": table.to_json, "csv": table.to_csv, "md": table.to_markdown, "tex": table.to_latex}
    for ending, render in writers.items():
        write_atomic(folder / f"table.{ending}", render({method: summary}, told))
    return summary


def by_benchmark(cells: Iterable[Cell]) -> dict[tuple[str, str], list[Cell]]:
    """Evaluation cells by run and benchmark."""
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.job == "evaluate":
            found.setdefault((cell.run, cell.benchmark), []).append(cell)
    return found
