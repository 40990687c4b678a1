"""Cells whose `DONE` no longer stands for what is there: found by content, and taken back as far as it is lost."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.run.run_folder import CellFolder, RunFolder
from jobs.cell.answers import Reading, Record, read_answers
from jobs.cell.asked import Asked
from jobs.cell.asking import keep_outcomes
from jobs.cell.cell import Cell, outcomes


def mend(cells: Sequence[Cell], write: bool = True) -> list[str]:
    """Take back what is lost of the results of cells, and of the bridges that open ones start from.

    Only what is about to be relied upon is read: answers, and bridges of which something is still wanted.

    Args:
        cells: that are wanted.
        write: False only tells.

    Returns:
        A line for each result that is lost.
    """
    told = [line for cell in cells if (line := _mend_result(cell, write))]
    needed = dict.fromkeys(need for cell in cells if not cell.done() for need in cell.needs)
    return [*told, *(line for need in needed if (line := _mend_bridge(RunFolder(Path(need)), write)))]


def _mend_result(cell: Cell, write: bool) -> str:
    folder = cell.folder
    completion = folder.completion()
    if not isinstance(folder, CellFolder):
        return f"{cell.name}: {completion.fault}: it is made again" if completion.fault else ""
    fault = folder.damage() or _lost_questions(folder)
    if fault and completion.holds and write:
        _count_again(folder, fault)
    return f"{cell.name}: {fault}: what is lost is asked again" if fault else ""


def _mend_bridge(run: RunFolder, write: bool) -> str:
    fault = run.damage() if run.is_done() else ""
    if fault and write:
        run.withdraw(fault)
    return f"{run.path.name}: {fault}: it is made again" if fault else ""


def _lost_questions(folder: CellFolder) -> str:
    """Why it is not known what the answers of a folder answer, though that was recorded."""
    asked = [one["questions"] for one in outcomes(folder.outcome()) if one.get("questions")]
    lost = [questions for questions in asked if Asked.read(folder, questions) is None]
    return f"{folder.asked(lost[0]).name} is missing or damaged" if lost else ""


def _count_again(folder: CellFolder, fault: str) -> None:
    """Have `DONE` tell of the answers that are whole; without any there is none."""
    try:
        with folder.lease():
            lines = read_answers(folder)
            folder.event("damaged", reason=fault)
            keep_outcomes(folder, [_counted(folder, one, lines) for one in outcomes(folder.outcome())])
    except ClusterError:  # somebody works on it, and counts at its end
        return


def _counted(folder: CellFolder, outcome: Mapping[str, Any], lines: Iterable[Record]) -> dict[str, Any]:
    """An outcome by the answers that are there: how many of the first items have one."""
    questions, setup = outcome.get("questions") or "", outcome.get("setup") or ""
    reading = Reading(outcome["max_new_tokens"], Asked.read(folder, questions), questions, setup)
    answered = reading.matching(lines)
    first = itertools.takewhile(answered.__contains__, reading.items) if reading.items else answered
    kept = {key: value for key, value in outcome.items() if key not in ("time", "earlier")}
    return {**kept, "items": min(outcome["items"], len(list(first)))}
