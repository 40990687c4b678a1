"""Answering the cells of an evaluation, one after another; the model of the latest run stays loaded."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from cluster.job.interrupt import Interrupts
from cluster.job.unit import Unit
from cluster.run.lease import Lease
from cluster.run.run_folder import CellFolder, RunFolder
from jobs.cell.answers import SHARD, add_answers, by_benchmark, evaluation_cells, read_answers, write_table
from jobs.cell.cell import Cell
from jobs.work.start import (
    data_folder,
    recorded,
    refuse_older_gemma,
    settled_environment,
    within_reach,
)
from jobs.work.usage import usage
from layalign.config import PROMPT_TOKENS, ModelConfig, RunConfig
from layalign.data.tokenise import count_questions
from layalign.evaluation import table
from layalign.evaluation.benchmarks import Item, read_benchmark
from layalign.evaluation.generate import Record, answer_items, remaining
from layalign.model.layalign import LayAlign
from layalign.model.limits import check_lengths
from layalign.model.record import read_record
from layalign.model.store import Tokenizers, load_tokenizers, load_weights
from layalign.training.distributed import Processes

Told = Mapping[str, Any]
"""What a job on a run is told: `run` (folder), `config`, `data`."""


class Answerer:
    """One process that answers cells, on its own device.

    Args:
        interrupts: signals as flags, already installed.
        unit: of the job, if it is one on Slurm; the cell's lease is held by whoever calls.
    """

    def __init__(self, interrupts: Interrupts, unit: Unit | None) -> None:
        settled_environment()
        self.interrupts, self.unit = interrupts, unit
        self.processes = Processes.alone()
        self._loaded: tuple[str, LayAlign, Tokenizers] | None = None

    def answer(self, cell: Cell, told: Told) -> dict[str, Any]:
        """Answer what of a cell is not answered yet.

        Returns:
            `interrupted`: name of the signal that ended it before its end, or None.

        Raises:
            ClusterError: a mistake of the user, which is recorded as everything that fails.
        """
        folder, config = cell.folder, RunConfig.from_dict(told["config"])
        assert isinstance(folder, CellFolder)
        folder.path.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with recorded(folder, "evaluate", config, self.unit, self.processes):
            finished = self._answer(cell, folder, config, told)
            if finished:
                spent = time.monotonic() - began
                folder.finish(
                    items=cell.items,
                    max_new_tokens=cell.max_new_tokens,
                    seconds=round(spent, 1),
                    device=self.device,
                )
        return {"interrupted": None if finished else self.interrupts.cause}

    @property
    def device(self) -> str:
        """Name of the GPU, or `cpu`."""
        return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"

    def _answer(self, cell: Cell, folder: CellFolder, config: RunConfig, told: Told) -> bool:
        """Whether all is answered; False if a signal came."""
        local = within_reach(config, self.processes)
        items = items_of(cell, config, data_folder(told, config))
        mine = remaining(items, read_answers(folder, cell.max_new_tokens))
        if not mine:
            return True
        model, tokenizers = self._model(cell.run, local)
        reads = config.reads
        _check(items, config, tokenizers)
        progress = _Progress(cell, folder, len(items) - len(mine))

        def on_batch(records: list[Record]) -> None:
            add_answers(folder, cell.max_new_tokens, records)
            progress.add(len(records))

        return answer_items(
            model,
            mine,
            tokenizers.encoder,
            tokenizers.decoder,
            batch_size=config.evaluation.batch_size,
            max_new_tokens=cell.max_new_tokens,
            max_source=reads.max_source,
            max_prompt=reads.max_prompt or PROMPT_TOKENS,
            text=config.bridge.text,
            ends=model.ends,
            on_batch=on_batch,
            should_stop=lambda: self.interrupts.cause is not None,
        )

    def _model(self, run: str, config: RunConfig) -> tuple[LayAlign, Tokenizers]:
        """The model of a run; that of another run is let go first."""
        if self._loaded is None or self._loaded[0] != run:
            self._loaded = None
            tokenizers = _tokenizers(config.model)
            check_lengths(config)
            model = LayAlign.build(config.model, config.bridge, device=self.processes.device)
            if config.bridge.trains:
                trained = RunFolder(Path(run))
                if read_record(trained.bridge) is None:
                    refuse_older_gemma(trained, model.backbones["decoder"].kind)
                load_weights(model, trained.bridge, tokenizers)
            model.end_at(tokenizers.decoder)
            self._loaded = (run, model, tokenizers)
        return self._loaded[1:]


def _tokenizers(model: ModelConfig) -> Tokenizers:
    """The tokenizers of a model's backbones; other models on the same ones have the same."""
    names = ("encoder", "encoder_revision", "decoder", "decoder_revision")
    return _loaded_once(ModelConfig(**{name: getattr(model, name) for name in names}))


_loaded_once = functools.cache(load_tokenizers)
"""In this process, however many runs and benchmarks it answers."""


def _check(items: Sequence[Item], config: RunConfig, tokenizers: Tokenizers) -> None:
    """Say what is cut and unknown in all items of a cell, and refuse more of it than the recipe allows."""
    bridge = config.bridge
    counts = count_questions(
        [item.source for item in items] if bridge.trains else [],
        [item.prompt for item in items] if bridge.text else [],
        [item.language for item in items],
        config.reads,
        tokenizers.encoder,
        tokenizers.decoder,
    )
    for line in counts.told():
        print(line, flush=True)
    counts.check(config.reads)


def items_of(cell: Cell, config: RunConfig, data: Path | None) -> list[Item]:
    """The items that a cell asks for.

    Raises:
        ValueError: as `read_benchmark`.
    """
    every = read_benchmark(cell.benchmark, data, [cell.language])
    return every[cell.shard * SHARD : (cell.shard + 1) * SHARD][: cell.items]


def run(told: dict[str, Any], interrupts: Interrupts) -> dict[str, Any]:
    """Answer benchmarks with one run, in this process: the demonstration's way.

    Args:
        told: `run` (folder), `config`, `data`, `benchmarks` (names), `languages` (names or codes, None: all).
        interrupts: signals as flags, already installed.

    Returns:
        `summaries`, the tables' JSON by benchmark, and `interrupted` with the name of a signal if there was one.
    """
    folder, config = RunFolder(Path(told["run"])), RunConfig.from_dict(told["config"])
    cells = evaluation_cells(folder, config, told["benchmarks"], told["languages"], told["data"])
    answerer = Answerer(interrupts, None)
    for cell in cells:
        if cell.done():
            continue
        with hold(cell):
            if answerer.answer(cell, told)["interrupted"]:
                return {"interrupted": interrupts.cause, "summaries": {}}
    summaries = {
        name: table.to_json({config.model.method: write_table(folder, config, its, answerer.device)}, {})
        for (_, name), its in by_benchmark(cells).items()
    }
    return {"interrupted": None, "summaries": summaries}


def hold(cell: Cell) -> Lease:
    """The lease of a cell, for a process of this machine."""
    folder = cell.folder
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.forgive()
    return folder.lease()


def conclude(cell: Cell, cells: Sequence[Cell], told: Told, device: str) -> None:
    """Write the table of a cell's benchmark where that cell was the last of it."""
    its = by_benchmark(cells).get((cell.run, cell.benchmark), [])
    if its and all(one.done() for one in its):
        write_table(RunFolder(Path(cell.run)), RunConfig.from_dict(told["config"]), its, device)


class _Progress:
    """Lines and heartbeats about the answers of a cell as they come."""

    def __init__(self, cell: Cell, folder: CellFolder, known: int) -> None:
        self.cell, self.folder = cell, folder
        self.done, self.known, self.began = known, known, time.monotonic()
        print(f"{cell.name}: {cell.items} items, {cell.items - known} of them to be answered", flush=True)

    def add(self, answered: int) -> None:
        self.done += answered
        rate = (self.done - self.known) / (time.monotonic() - self.began)
        left = round((self.cell.items - self.done) / rate)
        self.folder.beat(
            answered=self.done, items=self.cell.items, items_per_s=round(rate, 2), eta_s=left, **usage()
        )
        share = f"{self.cell.benchmark}/{self.cell.language}-{self.cell.shard}"
        print(
            f"{share} {self.done}/{self.cell.items}  {rate:.1f} items/s  left {timedelta(seconds=left)}",
            flush=True,
        )
