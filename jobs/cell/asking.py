"""An evaluation cut into cells, and brought in line with what was answered before."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.run.run_folder import CellFolder, RunFolder
from cluster.run.work_folder import now
from jobs.cell.answers import Reading, Record, outcome_of, outcomes_with, read_answers
from jobs.cell.asked import SHARD, Asked, shares, unlike_page
from jobs.cell.cell import Cell, outcomes
from jobs.cell.setup import answered_setup, changed_parts, setup_of
from layalign.config import RunConfig
from layalign.evaluation.benchmarks import find_benchmark, offered, read_benchmark
from layalign.mini import Settings, is_mini
from layalign.tasks.pages import replaced


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
    cells = []
    for benchmark in benchmarks:
        known = find_benchmark(benchmark)
        for code in dict.fromkeys(offered(known, name).code for name in languages or known.languages):
            whole = Cell(
                job="evaluate",
                run=str(run.path),
                needs=(str(run.path),) if config.bridge.trains else (),
                benchmark=benchmark,
                language=code,
                max_new_tokens=config.evaluation.max_new_tokens,
            )
            cells += _cut(whole, config, data)
    return by_now(cells, run, config)


def _cut(whole: Cell, config: RunConfig, data: Path | None) -> list[Cell]:
    """A language in shares. The miniature's world need not have been made yet: what it asks is then not known."""
    limit = config.evaluation.limit
    if data is None and is_mini(config.model.decoder):
        problems = Settings(seed=config.seed).problems
        known = [(min(SHARD, problems - first), "", "") for first in range(0, problems, SHARD)]
    else:
        every = shares(whole.benchmark, whole.language, data)
        known = [(len(asked.items), asked.questions, asked.golds) for asked in every]
    cells = []
    for shard, (items, questions, golds) in enumerate(known):
        wanted = items if limit is None else min(items, limit - shard * SHARD)
        if wanted > 0:
            cells.append(
                dataclasses.replace(whole, shard=shard, items=wanted, questions=questions, golds=golds)
            )
    return cells


def notices(cells: Iterable[Cell], data: Path | None) -> list[str]:
    """What is to be said of benchmarks before they are asked: pages in place of ours, files of another size."""
    pairs = dict.fromkeys((cell.benchmark, cell.language) for cell in cells if cell.job == "evaluate")
    told = [note for name in dict.fromkeys(name for name, _ in pairs) if (note := replaced(name))]
    for name, code in pairs:
        if data is not None and find_benchmark(name).counts:
            unlike = unlike_page(name, code, len(read_benchmark(name, data, [code])))
            told += [f"benchmark {name}: {unlike}"] if unlike else []
    return told


def by_now(cells: Iterable[Cell], run: RunFolder, config: RunConfig) -> list[Cell]:
    """Cells of a run that are to be answered by it as it lies there now, where its answers say what made them."""
    setup = answered_setup(run, config)
    return [dataclasses.replace(cell, setup=setup.fingerprint if setup else "") for cell in cells]


def settle(
    cells: Iterable[Cell], configs: Mapping[str, RunConfig], data: Path | None, write: bool = True
) -> dict[Cell, list[str]]:
    """Bring what was answered before in line with what is asked now, without asking: it takes no model.

    Where only right answers have changed, answers are read by the new ones from now on. Where a question has
    changed, or the bridge, what was answered no longer counts, and the cell is not done.

    Args:
        cells: that are wanted.
        configs: of their runs, by folder.
        data: the data folder.
        write: False only tells.

    Returns:
        What has changed by cell, in words; nothing where it is only written down now.
    """
    read: dict[tuple[str, str], list[Asked]] = {}
    told = {}
    for cell in cells:
        if not cell.questions or _is_settled(cell):
            continue
        key = (cell.benchmark, cell.language)
        if key not in read:
            read[key] = shares(*key, data)
        told[cell] = _settle(cell, read[key][cell.shard], configs[cell.run], write)
    return told


def _is_settled(cell: Cell) -> bool:
    """Whether nothing was answered, or what was answered last is of these questions, right answers and model."""
    known = [one for one in outcomes(cell.folder.outcome()) if one["max_new_tokens"] == cell.max_new_tokens]
    ours = {"questions": cell.questions, "golds": cell.golds}
    return not known or (
        cell.is_of(known[0]) and all(known[0].get(key) == value for key, value in ours.items())
    )


def _settle(cell: Cell, asked: Asked, config: RunConfig, write: bool) -> list[str]:
    """Write down which of a cell's answers are answers to what it asks; tells what has changed."""
    folder = cell.folder
    assert isinstance(folder, CellFolder)
    reading = Reading(cell.max_new_tokens, asked, asked.questions, cell.setup)
    lines = read_answers(folder)
    if not lines:  # nothing that could be compared
        return []
    told = _changes(cell, reading, lines, config)
    if write:
        try:
            with folder.lease():
                asked.write(folder)
                outcome = outcome_of(cell, reading, read_answers(folder))
                keep_outcomes(folder, outcomes_with(folder, outcome))
        except ClusterError:  # somebody works on it, and does the same
            return []
    return told


def keep_outcomes(folder: CellFolder, every: Sequence[Mapping[str, Any]]) -> None:
    """Write `DONE`: the first outcome that has an answer, and the others behind it; without any there is none."""
    held = [one for one in every if one["items"]]
    if not held:
        folder.done.unlink(missing_ok=True)
        return
    earlier = {"earlier": held[1:]} if held[1:] else {}
    folder.write_done({"time": now(), **held[0], **earlier})


def _changes(cell: Cell, reading: Reading, lines: Sequence[Record], config: RunConfig) -> list[str]:
    """What of a cell's answers no longer counts, or counts by another right answer, in words."""
    wanted = list(reading.items)[: cell.items]
    answered, told = reading.matching(lines), []
    by_any = dataclasses.replace(reading, setup="").matching(lines)
    before = {line["id"] for line in lines if line.get("max_new_tokens") == cell.max_new_tokens}
    others = sum(id_ in by_any and id_ not in answered for id_ in wanted)
    asked_anew = sum(id_ in before and id_ not in by_any for id_ in wanted)
    regraded = sum(id_ in answered and answered[id_]["gold"] != reading.items[id_].gold for id_ in wanted)
    if others:
        told.append(
            f"{others} answers are another model's, {_other_model(cell, config)}: they are asked again"
        )
    if asked_anew:
        told.append(
            f"{asked_anew} of {len(wanted)} questions are not those that were answered: they are asked again"
        )
    if regraded:
        told.append(
            f"{regraded} right answers have changed: the answers are read by them, and not asked again"
        )
    return [f"{cell.name}: {text}" for text in told]


def _other_model(cell: Cell, config: RunConfig) -> str:
    """What differs between the model that answered a cell last and the one that is there now."""
    last = next((one for one in outcomes(cell.folder.outcome()) if "answered_with" in one), {})
    now_there = setup_of(RunFolder(Path(cell.run)), config)
    return changed_parts(last.get("answered_with", {}), now_there.parts if now_there else {})
