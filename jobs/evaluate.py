"""An evaluation job: the answers of one run to benchmarks, and their tables."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from cluster.files import append_jsonl, read_jsonl, write_atomic
from cluster.interrupt import Interrupts
from cluster.provenance import provenance
from cluster.runs import RunFolder
from cluster.units import find_unit
from jobs.start import data_folder, started, within_reach
from layalign.config import RunConfig
from layalign.evaluation import table
from layalign.evaluation.benchmarks import Item, find_benchmark, read_benchmark
from layalign.evaluation.generate import Record, answer_items, remaining, shard
from layalign.evaluation.table import Summary, summarise
from layalign.model.layalign import LayAlign
from layalign.model.store import build, load_tokenizers, load_weights
from layalign.training.distributed import Processes


class Answers:
    """Answers of a run to one benchmark: one file per process, appended as they come.

    A record counts only for evaluations with its own `max_new_tokens`.
    """

    def __init__(self, folder: RunFolder, benchmark: str, max_new_tokens: int) -> None:
        self.folder = folder.results / benchmark
        self.limit = max_new_tokens

    def add(self, rank: int, records: list[Record]) -> None:
        """Append a batch."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for record in records:
            append_jsonl(self.folder / f"answers-{rank}.jsonl", {**record, "max_new_tokens": self.limit})

    def read(self) -> dict[str, Record]:
        """All answers by item, whichever process gave them."""
        return {record["id"]: record for record in self._all() if record["max_new_tokens"] == self.limit}

    def _all(self) -> Iterator[Record]:
        for path in sorted(self.folder.glob("answers-*.jsonl")):
            yield from read_jsonl(path)

    def write(self, method: str, summary: Summary, told: dict[str, Any]) -> None:
        """The table as JSON, CSV, Markdown and LaTeX."""
        writers = {"json": table.to_json, "csv": table.to_csv, "md": table.to_markdown, "tex": table.to_latex}
        for ending, render in writers.items():
            write_atomic(self.folder / f"table.{ending}", render({method: summary}, told))


def run(told: dict[str, Any], interrupts: Interrupts) -> dict[str, Any]:
    """Answer what is not answered yet, until done or until a signal.

    Args:
        told: `run` (folder), `config`, `data`, `benchmarks` (names), `languages` (names or codes, None: all), and
            `quiet` where the table is not to be shown.
        interrupts: signals as flags, already installed.

    Returns:
        `summaries`, the tables' JSON by benchmark, and `interrupted` with the name of a signal if there was one.
    """
    folder, config = RunFolder(Path(told["run"])), RunConfig.from_dict(told["config"])
    summaries: dict[str, str] = {}
    with started(folder, "evaluate", config, find_unit(told, os.environ)) as processes:
        local = within_reach(config, processes)
        questions = {
            name: read_benchmark(name, data_folder(told, config), told["languages"], config.evaluation.limit)
            for name in told["benchmarks"]
        }
        model = _model(local, folder, processes)
        for name, items in questions.items():
            answers = Answers(folder, name, config.evaluation.max_new_tokens)
            finished = _answer(local, model, items, answers, processes, interrupts)
            if processes.any(not finished):
                return {"interrupted": interrupts.cause or "another process", "summaries": summaries}
            if processes.first:
                summaries[name] = _conclude(folder, config, items, answers)
                if not told.get("quiet"):
                    _show(summaries[name], folder)
    return {"interrupted": None, "summaries": summaries}


def _model(config: RunConfig, folder: RunFolder, processes: Processes) -> LayAlign:
    model = build(config.model, config.bridge, device=processes.device)
    if config.bridge.trains:
        load_weights(model, folder.bridge)
    return model


def _answer(
    config: RunConfig,
    model: LayAlign,
    items: list[Item],
    answers: Answers,
    processes: Processes,
    interrupts: Interrupts,
) -> bool:
    """This process's share of the items that have no answer. Returns whether all of it is done."""
    known = processes.on_first(lambda: sorted(answers.read()))
    mine = shard(remaining(items, known), processes.rank, processes.world)
    tokenizers = load_tokenizers(config.model)
    progress = _Progress(answers.folder.name, len(mine), len(items), processes)

    def on_batch(records: list[Record]) -> None:
        answers.add(processes.rank, records)
        progress.add(len(records))

    return answer_items(
        model,
        mine,
        tokenizers.encoder,
        tokenizers.decoder,
        batch_size=config.evaluation.batch_size,
        max_new_tokens=config.evaluation.max_new_tokens,
        max_source=config.data.max_source,
        text=config.bridge.text,
        on_batch=on_batch,
        should_stop=lambda: interrupts.cause is not None,
    )


class _Progress:
    """Lines about the answers as they come."""

    def __init__(self, benchmark: str, mine: int, total: int, processes: Processes) -> None:
        self.benchmark, self.mine, self.speaks = benchmark, mine, processes.first
        self.done, self.began = 0, time.monotonic()
        if self.speaks:
            print(f"{benchmark}: {total} items, {mine} of them to be answered here", flush=True)

    def add(self, answered: int) -> None:
        self.done += answered
        rate = self.done / (time.monotonic() - self.began)
        left = timedelta(seconds=round((self.mine - self.done) / rate))
        if self.speaks:
            print(f"{self.benchmark} {self.done}/{self.mine}  {rate:.1f} items/s  left {left}", flush=True)


def _conclude(folder: RunFolder, config: RunConfig, items: list[Item], answers: Answers) -> str:
    """Write the table; its JSON."""
    wanted = {item.id for item in items}
    records = [record for id_, record in answers.read().items() if id_ in wanted]
    expected: dict[str, int] = {}
    for item in items:
        expected[item.language] = expected.get(item.language, 0) + 1
    benchmark = find_benchmark(answers.folder.name)
    summary = summarise(records, benchmark, expected)
    told = {**provenance(), "run": folder.path.name, "config": config.to_dict(), "device": _device()}
    answers.write(config.model.method, summary, told)
    folder.event("evaluated", benchmark=benchmark.name, items=len(records))
    return table.to_json({config.model.method: summary}, told)


def _show(summaries: str, folder: RunFolder) -> None:
    from rich.console import Console

    Console().print(table.to_rich(table.from_json(summaries), {"run": folder.path.name}))


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
