"""What a training reads, as tokens: its own rows, those that are set aside, and those that are replayed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from cluster.files import DamagedFile
from cluster.records import awaited
from cluster.run.run_folder import RunFolder
from jobs.work.start import cache_folder
from layalign.config import DataConfig, RunConfig
from layalign.data.dev import Rule, Split, split
from layalign.data.replay import drawn, joined
from layalign.data.tokenise import Tokenised, prepare
from layalign.model.limits import check_tokenised
from layalign.model.record import read_record
from layalign.model.store import Tokenizers
from layalign.training.checkpoint import Checkpoints
from layalign.training.distributed import Processes
from layalign.training.fit import TrainData

WITHOUT_DATA = (
    "it tells how the dev set was set aside: put it back from a copy, or give --force, which begins anew"
)


def training_data(
    config: RunConfig, folder: Path | None, tokenizers: Tokenizers, processes: Processes, run: RunFolder
) -> TrainData:
    """Tokens of the stage: rank 0 makes them if need be, then the others find them in the cache."""
    record: dict[str, Any] = processes.on_first(lambda: _recorded(run))
    rule: Rule = record["rule"]
    data = config.reads if rule == "question" else _read_before(config)
    own = _prepared(data, config, folder, tokenizers, processes)
    replayed = _prepared(data.replayed, config, folder, tokenizers, processes) if data.replayed else None
    files = own.files + (replayed.files if replayed else [])
    if record["files"] not in (None, files):
        raise ValueError(
            f"the data files are not those that run {run.path.name} began with: put them back, or give --force, which "
            "moves it aside and begins anew"
        )
    parts = _split(own, data, config, tokenizers, rule)
    if replayed is None or data.replayed is None or data.replay is None:
        if processes.first:
            _tell(run, own, parts, rule)
        return TrainData(own.dataset, parts.train, parts.dev, *tokenizers.pads)
    left = _split(replayed, data.replayed, config, tokenizers, "question")
    rows = drawn(left.train, len(parts.train), data.replay.share, config.seed)
    if processes.first:
        _tell(run, own, parts, rule, _told_of_replay(replayed, rows, files))
    train = np.concatenate([parts.train, rows + len(own.dataset)])
    return TrainData(joined(own.dataset, replayed.dataset), train, parts.dev, *tokenizers.pads)


def _prepared(
    data: DataConfig, config: RunConfig, folder: Path | None, tokenizers: Tokenizers, processes: Processes
) -> Tokenised:
    """The tokens of a data set, which may be learned from."""

    def tokens() -> Tokenised:
        text = config.bridge.text
        return prepare(data, folder, text, tokenizers.encoder, tokenizers.decoder, cache_folder())

    made: list[Tokenised] = []
    processes.on_first(lambda: made.append(tokens()))
    tokenised = made[0] if made else tokens()
    tokenised.counts.check(data)
    check_tokenised(tokenised.dataset, config, tokenizers)
    return tokenised


def _split(
    tokenised: Tokenised, data: DataConfig, config: RunConfig, tokenizers: Tokenizers, rule: Rule
) -> Split:
    """Rows to train on, and rows set aside."""

    def answer(row: int) -> str:
        ids = tokenised.dataset[row]["target_ids"]
        return str(tokenizers.decoder.decode(ids[:-1])).strip()

    return split(tokenised.dataset, data.dev, config.seed, answer, rule)


def _told_of_replay(replayed: Tokenised, rows: np.ndarray, files: list[str]) -> dict[str, Any]:
    """What a run keeps of what it replays: rows by language, and what became of their texts."""
    spoken = Counter(replayed.dataset[rows.tolist()]["language"])
    for line in replayed.counts.told():
        print(f"replayed: {line}", flush=True)
    print(f"replay: {len(rows)} rows: {', '.join(f'{code} {n}' for code, n in spoken.items())}", flush=True)
    return {"files": files, "replay": {"rows": dict(spoken), **replayed.counts.to_dict()}}


def _recorded(run: RunFolder) -> dict[str, Any]:
    """How a run that goes on has read its data: one that has no record began before there were any."""
    if not Checkpoints(run.checkpoints).steps():
        return {"rule": "question", "files": None}
    told = run.read_data()
    if told is None and read_record(run.checkpoints):  # whose writing came after that of the other
        told = awaited(run.read_data, run.path)
        if told is None:
            raise DamagedFile(run.data, "it is missing", WITHOUT_DATA)
    return told or {"rule": "target", "files": None}


def _read_before(config: RunConfig) -> DataConfig:
    """The data as a run has them that began before prompts had a limit of their own, and nothing was refused."""
    limit = config.data.max_prompt or config.data.max_source
    return dataclasses.replace(config.data, max_prompt=limit, max_prompt_cut=1.0, max_unknown=1.0)


def _tell(
    run: RunFolder, tokenised: Tokenised, parts: Split, rule: Rule, more: dict[str, Any] | None = None
) -> None:
    """Say and keep what is read, cut and set aside."""
    if rule == "target":
        print(
            "begun when prompts were cut like sources and dev sets were of targets, and goes on so",
            flush=True,
        )
    for line in (*tokenised.counts.told(), parts.line()):
        if line:
            print(line, flush=True)
    if any(tokenised.truncated.values()):
        run.event("truncated", **tokenised.truncated)
    told = {"rule": rule, "files": tokenised.files}
    run.write_data({**told, **tokenised.counts.to_dict(), "split": parts.told, **(more or {})})
