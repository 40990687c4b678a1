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
from jobs.cell.answers import (
    Reading,
    add_answers,
    by_benchmark,
    outcome_of,
    outcomes_with,
    read_answers,
    summary_of,
)
from jobs.cell.asked import Asked, asked_of, share_of
from jobs.cell.asking import evaluation_cells
from jobs.cell.cell import Cell
from jobs.cell.setup import Setup, setup_of
from jobs.cell.whole import write_tables
from jobs.work.model import opened
from jobs.work.start import (
    data_folder,
    recorded,
    settled_environment,
    within_reach,
)
from jobs.work.usage import usage
from layalign.config import PROMPT_TOKENS, ModelConfig, RunConfig
from layalign.data.counts import Counts
from layalign.data.tokenise import count_questions
from layalign.evaluation import table
from layalign.evaluation.benchmarks import Item, benchmark_files, read_benchmark
from layalign.evaluation.generate import Record, answer_items, remaining
from layalign.model.layalign import LayAlign
from layalign.model.store import Tokenizers, load_tokenizers
from layalign.tasks.pages import carried
from layalign.training.distributed import Processes

Told = Mapping[str, Any]
"""What a job on a run is told: `run` (folder), `config`, `data`."""
Outcome = dict[str, Any]
"""What `DONE` of a cell holds."""


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
        self._known: tuple[str, Setup] | None = None

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
            outcome = self._answer(cell, folder, config, told)
            if outcome is not None:
                spent = {"seconds": round(time.monotonic() - began, 1), "device": self.device}
                first, *others = outcomes_with(folder, {**outcome, **spent})
                folder.finish(**first, **({"earlier": others} if others else {}))
        return {"interrupted": self.interrupts.cause if outcome is None else None}

    @property
    def device(self) -> str:
        """Name of the GPU, or `cpu`."""
        return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"

    def _answer(self, cell: Cell, folder: CellFolder, config: RunConfig, told: Told) -> Outcome | None:
        """Answer what is left; what it came to, or None if a signal came."""
        local = within_reach(config, self.processes)
        items, asked = asked_by(cell, data_folder(told, config))
        setup = self._setup(cell, config)
        asked.write(folder)
        reading = Reading(cell.max_new_tokens, asked, asked.questions, setup.fingerprint)
        mine = remaining(items[: cell.items], reading.matching(read_answers(folder)))
        unknown = {}
        if mine:
            counts = _check(items[: cell.items], config, self._model(cell.run, local)[1])
            unknown = {"unknown": counts.unknown}
            if not self._give(cell, folder, local, mine, setup.fingerprint):
                return None
        return {**outcome_of(cell, reading, read_answers(folder)), **unknown, **setup.record()}

    def _give(
        self, cell: Cell, folder: CellFolder, config: RunConfig, items: Sequence[Item], setup: str
    ) -> bool:
        """Answer items; False if a signal came."""
        model, tokenizers = self._model(cell.run, config)
        reads = config.reads
        progress = _Progress(cell, folder, cell.items - len(items))

        def on_batch(records: list[Record]) -> None:
            add_answers(folder, cell.max_new_tokens, setup, records)
            progress.add(len(records))

        return answer_items(
            model,
            items,
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

    def _setup(self, cell: Cell, config: RunConfig) -> Setup:
        """What answers a run's cells, looked at once in this process, as its model is loaded once.

        Raises:
            ValueError: it is not what the cell was to be answered by, or there is no bridge.
        """
        run = RunFolder(Path(cell.run))
        if self._known is None or self._known[0] != cell.run:
            run.check_bridge()
            setup = setup_of(run, config)
            if setup is None:
                raise ValueError(f"{run.bridge} holds no bridge: train the run first")
            self._known = (cell.run, setup)
        setup = self._known[1]
        if cell.setup not in ("", setup.fingerprint):
            raise ValueError(
                f"the bridge or a backbone of {run.path.name} is another one than when this was submitted: "
                "give the evaluate command again"
            )
        return setup

    def _model(self, run: str, config: RunConfig) -> tuple[LayAlign, Tokenizers]:
        """The model of a run; that of another run is let go first."""
        if self._loaded is None or self._loaded[0] != run:
            self._loaded = None
            tokenizers = _tokenizers(config.model)
            model = opened(Path(run), config, self.processes.device, tokenizers).model
            self._loaded = (run, model, tokenizers)
        return self._loaded[1:]


def _tokenizers(model: ModelConfig) -> Tokenizers:
    """The tokenizers of a model's backbones; other models on the same ones have the same."""
    names = ("encoder", "encoder_revision", "decoder", "decoder_revision")
    return _loaded_once(ModelConfig(**{name: getattr(model, name) for name in names}))


_loaded_once = functools.cache(load_tokenizers)
"""In this process, however many runs and benchmarks it answers."""


def _check(items: Sequence[Item], config: RunConfig, tokenizers: Tokenizers) -> Counts:
    """Say what is cut and unknown in all items of a cell, and refuse more of it than the recipe allows."""
    bridge = config.bridge
    counts = count_questions(
        [item.source for item in items] if bridge.reads_encoder else [],
        [item.prompt for item in items] if bridge.text else [],
        [item.language for item in items],
        config.reads,
        tokenizers.encoder,
        tokenizers.decoder,
    )
    for line in counts.told():
        print(line, flush=True)
    counts.check(config.reads)
    return counts


def asked_by(cell: Cell, data: Path | None) -> tuple[list[Item], Asked]:
    """All items of a cell's share, wanted or not, and their record.

    Raises:
        ValueError: as `read_benchmark`, or they are not those that the cell was made for.
    """
    every = read_benchmark(cell.benchmark, data, [cell.language])
    assert data is not None
    paths = benchmark_files(cell.benchmark, data, cell.language)
    asked = asked_of(paths, every, cell.shard, carried([cell.benchmark]))
    if cell.questions not in ("", asked.questions):
        raise ValueError(
            f"{asked.file} of {cell.benchmark} is another one than when this was submitted: "
            "give the evaluate command again"
        )
    return every[share_of(cell.shard)], asked


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
    summaries = {}
    for (_, name), its in by_benchmark(cells).items():
        write_tables(folder, config, name)
        summaries[name] = table.to_json({config.model.method: summary_of(its)}, {})
    return {"interrupted": None, "summaries": summaries}


def hold(cell: Cell) -> Lease:
    """The lease of a cell, for a process of this machine."""
    folder = cell.folder
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.forgive()
    return folder.lease()


def conclude(cell: Cell, cells: Sequence[Cell], told: Told) -> None:
    """Write the tables of a cell's benchmark where that cell was the last of those that one command wants."""
    its = by_benchmark(cells).get((cell.run, cell.benchmark), [])
    if its and all(one.done() for one in its):
        write_tables(RunFolder(Path(cell.run)), RunConfig.from_dict(told["config"]), cell.benchmark)


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
