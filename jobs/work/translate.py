"""Translating: one process takes one cell after another that nobody works on, until none is left."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.files import append_jsonl
from cluster.job.interrupt import Interrupts
from cluster.job.unit import find_unit
from cluster.slurm.queue_cache import QueueCache
from jobs.cell.translation import TranslationCell, TranslationFolder, write_result
from jobs.work.start import settled_environment
from layalign.languages import declare, language, languages_of
from layalign.model.translate import Translator


def run(told: dict[str, Any], interrupts: Interrupts) -> dict[str, Any]:
    """Work on the cells of a translation.

    Args:
        told: `root` (folder of all runs), `name` (of the translation), `out` (file to write at the end), `batch`
            (texts at a time), on Slurm `terms`.
        interrupts: signals as flags, already installed.

    Returns:
        `interrupted`, the name of the signal if there was one, and how many cells are `left`.
    """
    settled_environment()
    home = TranslationFolder(Path(told["root"]), told["name"])
    order, rows = home.read()
    declare(languages_of(order.declares, "declares"))
    every, unit = list(home.cells(order)), find_unit(told, os.environ)
    if any(not cell.is_done() for cell in every):
        targets = [language(code) for code in order.languages]
        translator = Translator(
            order.model,
            order.revision,
            language(order.source),
            targets,
            order.max_new_tokens,
            order.beams,
        )
        alive = QueueCache(home.root).job_is_alive if unit else None
        for cell in every:
            if interrupts.cause:
                break
            if not cell.is_done():
                _take(
                    cell,
                    cell.lease(unit.job if unit else None, job_is_alive=alive),
                    translator,
                    rows,
                    told,
                    interrupts,
                )
    left = sum(not cell.is_done() for cell in every)
    if not left:
        print(write_result(Path(told["out"]), every, rows), flush=True)
    return {"interrupted": interrupts.cause, "left": left}


def _take(
    cell: TranslationCell, lease: Any, translator: Translator, rows: Sequence[dict[str, Any]],
    told: dict[str, Any], interrupts: Interrupts,
) -> None:  # fmt: skip
    """Translate what of a cell is not there yet, unless somebody else is at it."""
    cell.path.mkdir(parents=True, exist_ok=True)
    try:
        with lease:
            _translate(cell, translator, rows, told["batch"], interrupts)
    except ClusterError as error:
        print(f"passed over: {error}", flush=True)


def _translate(
    cell: TranslationCell,
    translator: Translator,
    rows: Sequence[dict[str, Any]],
    batch: int,
    interrupts: Interrupts,
) -> None:
    """The rows of a cell, the shortest first, a batch at a time."""
    cell.start(kind="translate")
    made = cell.made()
    left = [row for row in range(cell.first, cell.first + cell.count) if row not in made]
    left.sort(key=lambda row: (len(rows[row]["query"]), row))
    for begin in range(0, len(left), batch):
        if interrupts.cause:
            return
        chosen = left[begin : begin + batch]
        for row, (text, cut) in zip(chosen, translator([rows[row]["query"] for row in chosen], cell.code)):
            cell.check_holder()
            append_jsonl(cell.answers, {"row": row, "text": text, "cut": cut})
        cell.beat(step=len(made) + begin + len(chosen), total=cell.count)
    made = cell.made()
    cell.finish(rows=cell.count, cut=sum(bool(one["cut"]) for one in made.values()))
    print(f"{cell.code} rows {cell.first + 1} to {cell.first + cell.count} done", flush=True)
