"""A model and data small enough for hundreds of steps a second, and a way to train them in several processes.

Run as a script it is one of those processes: `toy.py JOBS` with the usual five variables exported.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import nn

from layalign.config import TrainingConfig
from layalign.training.checkpoint import Checkpoints
from layalign.training.distributed import Processes
from layalign.training.fit import Callbacks, FitResult, TrainData, fit
from tests.warm import ROOT, Python

WORDS, WIDTH = 23, 8
DTYPES = {"fp32": torch.float32, "fp64": torch.float64, "bf16": torch.bfloat16}


class Toy(nn.Module):
    """Frozen embedding and head; a bridge between them that is trained."""

    def __init__(self, precision: str = "fp32", dropout: float = 0.0, poison: int | None = None) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.adapter = nn.Sequential(nn.Linear(WIDTH, 13), nn.ReLU(), nn.Linear(13, WIDTH))
        self.gates = nn.ParameterList([nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(5))])
        self.head = nn.Linear(WIDTH, WORDS)
        self.dropout = nn.Dropout(dropout)
        self.poison = poison
        for parameter in self.parameters():
            if parameter.any():
                parameter.data = torch.randn(parameter.shape, generator=generator) * 0.4
        self.to(torch.float64 if precision == "fp64" else torch.float32)
        for frozen in (self.embedding, self.head):
            frozen.requires_grad_(False).to(DTYPES[precision])

    def trainable(self) -> dict[str, nn.Parameter]:
        return {name: p for name, p in self.named_parameters() if name.startswith(("adapter", "gates"))}

    def loss(self, batch, chunk):
        mask = batch.source_mask[..., None]
        source = (self.embedding(batch.source_ids) * mask).sum(1) / mask.sum(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.head.weight.dtype is torch.bfloat16):
            mixed = self.dropout(self.adapter(source))
            before = self.embedding(batch.target_ids.roll(1, 1))
            gate = self.gates[0] + self.gates[1].sum()
            logits = self.head(mixed[:, None] + (1 + gate) * before)[batch.target_mask.bool()]
        labels = batch.target_ids[batch.target_mask.bool()]
        loss = nn.functional.cross_entropy(logits.to(self.adapter[0].weight.dtype), labels, reduction="sum")
        if self.poison is not None and (batch.source_ids == self.poison).any():
            loss = loss * float("nan")
        return loss, len(labels)


def real_model(method: str = "layalign") -> nn.Module:
    """The true model with tiny backbones, mT5 and Llama, in the last stage of a method."""
    from transformers import AutoConfig

    from layalign.methods import bridge_of
    from layalign.model.decoder import build_decoder
    from layalign.model.encoder import build_encoder
    from layalign.model.layalign import LayAlign

    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4}
    llama = AutoConfig.for_model("llama", vocab_size=WORDS, num_key_value_heads=2, **sizes)
    t5 = {"d_model": 12, "d_kv": 6, "d_ff": 16, "num_layers": 3, "num_heads": 2}
    mt5 = AutoConfig.for_model("mt5", vocab_size=WORDS, **t5)
    torch.manual_seed(0)
    return LayAlign(build_encoder(mt5), build_decoder(llama, "auto"), bridge_of(method, 2, {}))


def toy_data(rows: int = 50, dev: int = 9, poisoned: tuple[int, ...] = ()) -> TrainData:
    """Rows of random words; the answer repeats the source's first word, so that there is something to learn."""
    random = np.random.default_rng(5)
    columns: dict[str, list[list[int]]] = {"source_ids": [], "prompt_ids": [], "target_ids": []}
    for row in range(rows):
        source = random.integers(1, WORDS - 1, random.integers(1, 12)).tolist()
        columns["source_ids"].append([WORDS - 1] if row in poisoned else source)
        columns["prompt_ids"].append(random.integers(1, WORDS - 1, random.integers(0, 4)).tolist())
        columns["target_ids"].append([source[0]] * int(random.integers(1, 7)) + [0])
    ids = np.arange(rows)
    return TrainData(Dataset.from_dict(columns), ids[: rows - dev], ids[rows - dev :], 0, 0)


def toy_config(**changes: Any) -> TrainingConfig:
    """Five or six steps an epoch."""
    values = {"lr": 3e-2, "batch_size": 8, "micro_batch": 3, "eval_every": 5, "save_every": 4, "window": 2}
    return TrainingConfig(**{**values, **changes})


class Log:
    """Records in memory, and in a file if there is one.

    Args:
        path: of the file.
        stop: ask to stop after this step.
        kill: a signal for this process itself, and the poll at which it is sent.
    """

    def __init__(
        self, path: Path | None = None, stop: int | None = None, kill: tuple[int, int] | None = None
    ):
        self.path, self.stop, self.kill = path, stop, kill
        self.polls = 0
        self.steps: list[dict[str, Any]] = []
        self.devs: list[dict[str, Any]] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.asked: str | None = None

    @property
    def callbacks(self) -> Callbacks:
        return Callbacks(self.on_step, self.on_dev, self.on_event, self.poll)

    def poll(self) -> str | None:
        self.polls += 1
        if self.kill and self.kill[1] == self.polls:
            os.kill(os.getpid(), self.kill[0])
        return self.asked

    def write(self, record: dict[str, Any]) -> None:
        if self.path:
            with self.path.open("a") as file:
                file.write(json.dumps(record) + "\n")

    def on_step(self, record: dict[str, Any]) -> None:
        self.steps.append(record)
        self.write(record)
        if self.stop == record["step"]:
            self.asked = "asked in a test"

    def on_dev(self, record: dict[str, Any]) -> None:
        assert record["seconds"] > 0
        self.devs.append({key: value for key, value in record.items() if key != "seconds"})
        self.write(record)

    def on_event(self, kind: str, **facts: Any) -> None:
        self.events.append((kind, facts))
        self.write({"event": kind, **facts})


def train(
    folder: Path,
    *,
    precision: str = "fp32",
    dropout: float = 0.0,
    data: TrainData | None = None,
    log: Log | None = None,
    processes: Processes | None = None,
    model: nn.Module | None = None,
    seed: int = 0,
    mtbf_s: float = 3600.0,
    **changes: Any,
) -> FitResult:
    """`fit` with defaults."""
    return fit(
        model or Toy(precision, dropout),
        data or toy_data(),
        toy_config(**changes),
        seed=seed,
        processes=processes or Processes(),
        checkpoints=Checkpoints(folder),
        callbacks=(log or Log()).callbacks,
        mtbf_s=mtbf_s,
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Of the newest checkpoint."""
    state, _ = Checkpoints(folder).newest()
    assert state
    return state.weights


def distance(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    """Largest absolute difference."""
    assert set(a) == set(b)
    return max(float((a[name].double() - b[name].double()).abs().max()) for name in a)


def losses(folder: Path) -> list[float]:
    """Of each step in `log.jsonl`; a step done twice counts as it was done last."""
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return list({r["step"]: r["loss"] for r in records if "loss" in r}.values())


def spawn(world: int, jobs: list[dict[str, Any]], env: dict[str, str] | None = None) -> list[Python]:
    """Start processes that do jobs one after another.

    A job is `train`'s arguments plus `kill` [signal, poll] of process `rank`, `stop`, `poisoned`, and
    `real` for the true model, of the method that it names.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    environ = {**os.environ, **common, **(env or {})}
    return [
        Python(
            __file__, json.dumps(jobs), cwd=ROOT, env={**environ, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        )
        for rank in range(world)
    ]


def finish(running: list[Python], seconds: float = 200) -> list[tuple[int, str]]:
    """Exit status of each, and what it said. When one dies by a signal the others are killed, as Slurm would."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(process.poll() is None for process in running):
        if any((process.poll() or 0) < 0 for process in running):
            break
        time.sleep(0.05)
    for process in running:
        process.kill()
    return [(process.wait(), process.told) for process in running]


def run_all(world: int, jobs: list[dict[str, Any]], env: dict[str, str] | None = None) -> None:
    """Spawn and expect that all end well."""
    outcomes = finish(spawn(world, jobs, env))
    assert [status for status, _ in outcomes] == [0] * world, "\n".join(
        errors[-3000:] for _, errors in outcomes
    )


def _do(job: dict[str, Any], processes: Processes) -> None:
    folder = Path(job.pop("folder"))
    folder.mkdir(parents=True, exist_ok=True)
    kill, target, stop = job.pop("kill", None), job.pop("rank", 0), job.pop("stop", None)
    poisoned = tuple(job.pop("poisoned", ()))
    mine = kill if target == processes.rank else None
    log = Log(folder / "log.jsonl" if processes.first else None, stop, mine)
    signal.signal(signal.SIGTERM, lambda *_: setattr(log, "asked", "signal 15"))
    toy = Toy(job.get("precision", "fp32"), poison=WORDS - 1 if poisoned else None)
    real = job.pop("real", None)
    model = real_model(real) if real else toy
    data = toy_data(poisoned=poisoned)
    try:
        result = train(folder / "checkpoints", data=data, model=model, log=log, processes=processes, **job)
        (folder / f"result-{processes.rank}.json").write_text(json.dumps(dataclasses.asdict(result)))
    except ValueError as error:
        (folder / f"error-{processes.rank}.txt").write_text(str(error))


if __name__ == "__main__":
    everyone = Processes.start()
    for each in json.loads(sys.argv[1]):
        _do(each, everyone)
    everyone.close()
