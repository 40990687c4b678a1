"""All that a run has answered of a benchmark, whatever a single command has asked, and the tables of it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cluster.files import read_jsonl, write_atomic
from cluster.provenance import provenance
from cluster.run.run_folder import CellFolder, RunFolder
from jobs.cell.answers import asked_in, read_answers, summary_of
from jobs.cell.asked import SHARD, Asked, newest_asked
from jobs.cell.card import write_card
from jobs.cell.cell import Cell, outcomes
from jobs.cell.setup import answered_setup
from layalign.config import RunConfig
from layalign.evaluation import table
from layalign.evaluation.scoring import STRICT_VERSION

Outcome = Mapping[str, Any]
WRITERS = {"json": table.to_json, "csv": table.to_csv, "md": table.to_markdown, "tex": table.to_latex}
TABLE = "table.json"
"""Of the evaluation with most answers, written first."""


@dataclasses.dataclass(frozen=True)
class Whole:
    """What a run was asked of a benchmark under one limit of tokens."""

    max_new_tokens: int
    cells: tuple[Cell, ...]
    """Every language that was begun is asked as much as that which was asked most."""
    outcomes: tuple[Outcome, ...]
    """What `DONE` tells of them."""

    @property
    def answered(self) -> int:
        """Items that `DONE` files tell of."""
        return sum(outcome["items"] for outcome in self.outcomes)

    def told(self) -> dict[str, Any]:
        """What was asked, for the record: files and their checksums, what part of them, what answered by which code."""
        devices = dict.fromkeys(one["device"] for one in self.outcomes if "device" in one)
        parts = [one["answered_with"] for one in self.outcomes if "answered_with" in one]
        starts = [start for cell in self.cells for start in read_jsonl(cell.folder.starts)]
        known = {
            "device": ", ".join(devices),
            "strict rule": f"version {STRICT_VERSION}",
            "benchmark files": {cell.language: told.named for cell in self.cells if (told := asked_in(cell))},
            "items": limited(self.cells),
            "answered with": parts[0] if parts else {},
            "answered by": list(dict.fromkeys(map(_code, starts))),
        }
        return {key: value for key, value in known.items() if value}


def _code(start: Mapping[str, Any]) -> str:
    return f"tree {start.get('tree')} of commit {str(start.get('commit') or 'unknown')[:10]}"


def limited(cells: Iterable[Cell]) -> str:
    """How many items of which languages are asked, where those are not all: `first 3 of 250 (sw)`."""
    asked, there = Counter[str](), Counter[str]()
    for cell in cells:
        known = asked_in(cell)
        asked[cell.language] += cell.items
        there[cell.language] = max(there[cell.language], known.of if known else 0)
    by_share: dict[str, list[str]] = {}
    for code, items in asked.items():
        if items < there[code]:
            by_share.setdefault(f"first {items} of {there[code]}", []).append(code)
    return "; ".join(f"{share} ({', '.join(codes)})" for share, codes in by_share.items())


def whole_evaluations(
    run: RunFolder, config: RunConfig, benchmark: str, elsewhere: Mapping[int, int] | None = None
) -> list[Whole]:
    """What a run has begun to answer, the evaluation with most answers first.

    Args:
        run: whose answers they are.
        config: of the run.
        benchmark: name.
        elsewhere: most items that other runs were asked of each share.
    """
    there = answered_setup(run, config)
    setup = there.fingerprint if there else ""
    known: dict[int, dict[tuple[str, int], Outcome]] = {}
    for folder in run.cells(benchmark):
        for tokens, outcome in _latest(folder, config, setup).items():
            known.setdefault(tokens, {})[folder.language, folder.shard] = outcome
    guess = min(SHARD, config.evaluation.limit or SHARD)
    found = []
    for tokens, told in known.items():
        blank = Cell(
            job="evaluate", run=str(run.path), benchmark=benchmark, max_new_tokens=tokens, setup=setup
        )
        found.append(Whole(tokens, tuple(_cells(blank, told, elsewhere or {}, guess)), tuple(told.values())))
    default = config.evaluation.max_new_tokens
    return sorted(found, key=lambda one: (-one.answered, one.max_new_tokens != default, -one.max_new_tokens))


def _latest(folder: CellFolder, config: RunConfig, setup: str) -> dict[int, Outcome]:
    """What was answered last in a folder by the model that is there now, by its limit; nothing yet is 0 items."""
    every = outcomes(folder.outcome())
    place = {"language": folder.language, "shard": folder.shard}
    blank: dict[str, Any] = {**place, "items": 0}
    if (asked := Asked.read(folder, newest_asked(folder))) is not None:
        blank["share"] = len(asked.items)
    if not every:
        lines = read_answers(folder)
        begun = lines[-1].get("max_new_tokens") if lines else None
        return {begun or config.evaluation.max_new_tokens: blank}
    found: dict[int, Outcome] = {outcome["max_new_tokens"]: blank for outcome in every}
    for outcome in reversed(every):
        if not setup or outcome.get("setup") in (None, setup):
            found[outcome["max_new_tokens"]] = {**outcome, **place}
    return found


def _cells(
    blank: Cell, told: Mapping[tuple[str, int], Outcome], elsewhere: Mapping[int, int], guess: int
) -> Iterator[Cell]:
    """Every language that was begun, each with all shares that any of them has."""
    most: dict[int, int] = {}
    for (_, shard), outcome in told.items():
        most[shard] = max(most.get(shard, 0), outcome["items"])
    for language in dict.fromkeys(language for language, _ in told):
        for shard, items in sorted(most.items()):
            outcome = told.get((language, shard), {})
            wanted = min(items or elsewhere.get(shard) or guess, outcome.get("share", SHARD))
            asked = outcome.get("questions") or ""
            yield dataclasses.replace(blank, language=language, shard=shard, items=wanted, questions=asked)


def write_tables(run: RunFolder, config: RunConfig, benchmark: str) -> None:
    """The tables of a benchmark of a run as JSON, CSV, Markdown and LaTeX, of all that it has answered.

    `table.*` has the evaluation with most answers; one under another limit of tokens is `table-64-tokens.*`.
    Several jobs may end at once: whoever sees that more is there meanwhile writes again. The card of the bridge tells
    of them too.

    Args:
        run: whose answers they are.
        config: of the run.
        benchmark: name.
    """
    folder = run.results / benchmark
    seen = None
    while seen != (seen := _done_at(run, benchmark)):
        names = set[str]()
        for whole in whole_evaluations(run, config, benchmark):
            name = f"table-{whole.max_new_tokens}-tokens" if names else "table"
            names.add(name)
            _write_table(folder, name, run, config, whole)
        for stale in folder.glob("table-*-tokens.*"):
            if stale.stem not in names:
                stale.unlink(missing_ok=True)
    write_card(run, config)


def _done_at(run: RunFolder, benchmark: str) -> list[tuple[str, int]]:
    """When each share was done."""
    return [(cell.path.name, cell.done.stat().st_mtime_ns) for cell in run.cells(benchmark) if cell.is_done()]


def _write_table(folder: Path, name: str, run: RunFolder, config: RunConfig, whole: Whole) -> None:
    asked = dataclasses.replace(config.evaluation, max_new_tokens=whole.max_new_tokens, limit=None)
    told = {
        **provenance(),
        "run": run.path.name,
        "config": dataclasses.replace(config, evaluation=asked).to_dict(),
        **whole.told(),
    }
    summary = {config.model.method: summary_of(whole.cells)}
    for ending, render in WRITERS.items():
        write_atomic(folder / f"{name}.{ending}", render(summary, told))
