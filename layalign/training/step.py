"""One optimizer step and one evaluation, as every process does them.

The gradient of a step is that of the loss summed over the answer tokens of the global batch, divided by their
number; how the batch is cut into micro-batches and over processes changes its rounding and nothing else.
"""

from __future__ import annotations

import math
import time
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from layalign.config import TrainingConfig
from layalign.data.batch import Batch
from layalign.data.batching import BatchPlan, MicroBatch, micro_batches
from layalign.training.checkpoint import Best, Checkpoints
from layalign.training.distributed import Processes
from layalign.training.engine import Engine, LossModule
from layalign.training.inputs import Callbacks, TrainData
from layalign.training.schedule import lr_at


class TrainingDiverged(ValueError):
    """The loss or its gradient is not a number.

    Attributes:
        step: the optimizer step that could not be done, counted from 1.
        rows: rows of the data set whose loss it is.
    """

    def __init__(self, what: str, step: int, rows: list[int]) -> None:
        super().__init__(
            f"{what} in step {step}, rows {rows} of the training data: nothing was saved, the last checkpoint is "
            "from before; look at these rows, or lower training.lr"
        )
        self.step = step
        self.rows = rows


@dataclass
class Training:
    """What `fit` and `train_step` work on."""

    module: LossModule
    engine: Engine
    data: TrainData
    plan: BatchPlan
    config: TrainingConfig
    processes: Processes
    checkpoints: Checkpoints
    callbacks: Callbacks
    total: int
    facts: dict[str, int]
    mtbf_s: float
    step: int = 0
    evaluated: int = 0
    best: Best | None = None
    unsaved: bool = False
    durations: list[float] = field(default_factory=list)
    """Seconds of the last steps."""
    saves: list[float] = field(default_factory=list)
    """Seconds of the last checkpoints, on rank 0."""
    next_save: int = 0
    """The step after which a checkpoint is due, the same on every process."""

    @property
    def dev_due(self) -> bool:
        """Whether this step's dev loss is wanted and not known."""
        wanted = self.step % self.config.eval_every == 0 or self.step == self.total
        return len(self.data.dev) > 0 and wanted and self.evaluated < self.step

    def stop_reason(self) -> str | None:
        """What all processes agree on."""
        reason = self.callbacks.stop_requested()
        if self.processes.any(reason is not None):
            return reason or "another process was asked to stop"
        return None

    def share(self, rows: np.ndarray) -> list[MicroBatch]:
        """This process's micro-batches of a global batch."""
        config, processes = self.config, self.processes
        shares = micro_batches(
            rows, self.data.lengths, config.micro_batch, config.micro_tokens, processes.world
        )
        return shares[processes.rank]

    def tell(self, kind: str, **facts: Any) -> None:
        """An event, from rank 0."""
        if self.processes.first:
            self.callbacks.on_event(kind, **facts)


def train_step(run: Training) -> dict[str, Any]:
    """One optimizer step over the next global batch. Returns its record (`Callbacks.on_step`)."""
    began = time.perf_counter()
    epoch, index = divmod(run.step, run.plan.steps_per_epoch)
    rows = run.data.train[run.plan.batch(epoch, index)]
    tokens = int(run.data.answers[rows].sum())
    share = run.share(rows)
    losses, padded = [], 0
    for number, micro in enumerate(share, start=1):
        batch = run.data.batch(micro.rows)
        padded += micro.weight * _size(batch)
        scale = micro.weight * run.processes.world / tokens
        loss = run.engine.backward(batch.to(run.processes.device), scale, last=number == len(share))
        losses.append(loss.double() * micro.weight)
    local = torch.stack(losses).tolist()
    loss_sum, padded_sum = run.processes.total([sum(local), padded])
    if not math.isfinite(loss_sum):
        raise TrainingDiverged(f"the loss is {loss_sum}", run.step + 1, _culprits(run, share, local))
    lr = lr_at(run.step, run.total, run.config.warmup, run.config.lr, run.config.schedule)
    norm = run.engine.step(lr)
    if not math.isfinite(norm):
        raise TrainingDiverged(f"the gradient's norm is {norm}", run.step + 1, sorted(rows.tolist()))
    run.step += 1
    run.unsaved = True
    seconds = time.perf_counter() - began
    run.durations = [*run.durations[-49:], seconds]
    inputs = int(run.data.lengths[rows].sum())
    return {
        "step": run.step,
        "total": run.total,
        "epoch": epoch,
        "loss": loss_sum / tokens,
        "lr": lr,
        "grad_norm": norm,
        "tokens": tokens,
        "input_tokens": inputs,
        "padded_tokens": int(padded_sum),
        "seconds": seconds,
        "tokens_per_s": inputs / seconds,
        "digest": zlib.crc32(np.sort(rows).astype("<i8").tobytes()),
        "eta_s": (run.total - run.step) * float(np.median(run.durations)),
    }


def evaluate(run: Training) -> tuple[str | None, bool]:
    """Dev loss of this step, weighted by tokens. Returns why it was abandoned, and whether it is the best."""
    began = time.perf_counter()
    share, losses = run.share(run.data.dev), []
    run.module.eval()
    for micro in share:
        if reason := run.stop_reason():
            run.tell("dev_abandoned", step=run.step)
            run.module.train()
            return reason, False
        batch = run.data.batch(micro.rows).to(run.processes.device)
        losses.append(micro.weight * float(run.engine.evaluate(batch)))
    run.module.train()
    loss = run.processes.total([sum(losses)])[0] / int(run.data.answers[run.data.dev].sum())
    if not math.isfinite(loss):
        raise TrainingDiverged(f"the dev loss is {loss}", run.step, _culprits(run, share, losses))
    run.evaluated, run.unsaved = run.step, True
    is_best = run.best is None or loss < run.best.dev_loss
    if is_best:
        run.best = Best(run.step, loss)
    if run.processes.first:
        ppl = math.exp(min(loss, 700.0))
        told = {"step": run.step, "dev_loss": loss, "dev_ppl": ppl, "best": is_best}
        run.callbacks.on_dev({**told, "seconds": time.perf_counter() - began})
    return None, is_best


def _culprits(run: Training, share: list[MicroBatch], losses: list[float]) -> list[int]:
    """Rows of the micro-batches whose loss is not finite, of all processes."""
    mine = [micro.rows.tolist() for micro, loss in zip(share, losses) if not math.isfinite(loss)]
    return sorted({row for rank in run.processes.gather(mine) for rows in rank for row in rows})


def _size(batch: Batch) -> int:
    return batch.source_ids.numel() + batch.prompt_ids.numel() + batch.target_ids.numel()
