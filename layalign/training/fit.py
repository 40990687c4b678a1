"""The one training loop: every stage, method and machine."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import nn

from layalign.config import TrainingConfig
from layalign.data.batching import BatchPlan
from layalign.training.checkpoint import Best, Checkpoints, TrainState
from layalign.training.distributed import Processes
from layalign.training.engine import LossModule
from layalign.training.engines import engine_for
from layalign.training.inputs import Callbacks, TrainData
from layalign.training.interval import best_interval
from layalign.training.rng import rng_state, set_rng_state
from layalign.training.step import Training, TrainingDiverged, evaluate, train_step

__all__ = ["Callbacks", "FitResult", "TrainData", "TrainingDiverged", "fit"]


@dataclass(frozen=True)
class FitResult:
    """How a training ended. The weights are in the checkpoints, `best()` or `newest()`; of no steps there are none."""

    finished: bool
    """False if it was asked to stop: the same call goes on from there."""
    step: int
    """Optimizer steps done."""
    total: int
    reason: str | None
    """Why it stopped early."""
    best: Best | None
    """None without a dev set."""


def fit(
    model: nn.Module,
    data: TrainData,
    config: TrainingConfig,
    *,
    seed: int,
    processes: Processes,
    checkpoints: Checkpoints,
    callbacks: Callbacks,
    mtbf_s: float = 3600.0,
) -> FitResult:
    """Train, or go on training from the newest complete checkpoint.

    Args:
        model: has `trainable()`, the parameters to train by name, and `loss(batch, chunk)`; all other parameters
            have `requires_grad` off. On the right device already. Afterwards it has the last weights (under
            ZeRO-3 its frozen ones stay partitioned: it is of no more use).
        data: the same on every process.
        config: how to train.
        seed: of the order of the samples and of any dropout.
        processes: of this training.
        checkpoints: where to resume from and save to.
        callbacks: where records go.
        mtbf_s: mean seconds between interruptions that come unannounced, for `save_every: auto`.

    Raises:
        TrainingDiverged: a loss or gradient that is not a number, on all processes alike.
        ValueError: a checkpoint cannot be written, or is of another training.
    """
    run = _begin(model, data, config, seed, processes, checkpoints, callbacks, mtbf_s)
    try:
        result = _loop(run)
        run.engine.gather()
    finally:
        run.engine.close()
    return result


def _loop(run: Training) -> FitResult:
    """Steps until the end or a stop; what is due after a step comes before the next one."""
    while True:
        reason, is_best = run.stop_reason(), False
        if run.dev_due and not reason:
            reason, is_best = evaluate(run)
        done = run.step == run.total and not run.dev_due
        if run.unsaved and (done or reason or is_best or run.step >= run.next_save):
            _save(run, is_best)
        if done:
            return FitResult(True, run.step, run.total, None, run.best)
        if reason:
            run.tell("stopping", step=run.step, reason=reason)
            return FitResult(False, run.step, run.total, reason, run.best)
        record = train_step(run)
        if run.processes.first:
            run.callbacks.on_step(record)


def _begin(
    model: nn.Module,
    data: TrainData,
    config: TrainingConfig,
    seed: int,
    processes: Processes,
    checkpoints: Checkpoints,
    callbacks: Callbacks,
    mtbf_s: float,
) -> Training:
    """Set up, from the newest complete checkpoint if there is one."""
    plan = BatchPlan(data.lengths[data.train], config.batch_size, seed, config.window)
    total = config.epochs * plan.steps_per_epoch
    if config.max_steps is not None:
        total = min(total, config.max_steps)
    facts = _facts(data, config, seed, total)
    state, faults = processes.on_first(lambda: _resume(checkpoints, facts))
    parameters: dict[str, nn.Parameter] = model.trainable()  # type: ignore[operator]
    torch.manual_seed(seed)
    if state:
        _load(parameters, state)
        set_rng_state(state.rng)
    if config.gradient_checkpointing:
        model.recompute_layers()  # type: ignore[operator]
    model.recompute_cross = config.recompute_cross  # type: ignore[assignment]
    module = LossModule(model, config.loss_chunk).train()
    resumed = (state.step, state.moments) if state else None
    engine = engine_for(module, parameters, config, processes, resumed)
    run = Training(
        module, engine, data, plan, config, processes, checkpoints, callbacks, total, facts, mtbf_s
    )
    for fault in faults:
        run.tell("passed_over", fault=fault)
    if state:
        run.step, run.evaluated, run.best = state.step, state.evaluated, state.best
        run.tell("resumed", step=state.step)
    run.next_save = _next_save(run)
    return run


def _facts(data: TrainData, config: TrainingConfig, seed: int, total: int) -> dict[str, int]:
    """What the order of the samples follows from."""
    return {
        "seed": seed,
        "batch_size": config.batch_size,
        "window": config.window,
        "steps": total,
        "examples": len(data.train),
        "data": zlib.crc32(data.lengths[data.train].astype("<i8").tobytes()),
    }


def _resume(checkpoints: Checkpoints, facts: dict[str, int]) -> tuple[TrainState | None, list[str]]:
    state, faults = checkpoints.resume()
    for name, value in facts.items():
        if state and state.plan[name] != value:
            raise ValueError(
                f"the checkpoint {checkpoints.path(state.step)} is of a training with {name} {state.plan[name]}, this "
                f"one has {value}: the samples would not be the same; give it a folder of its own"
            )
    return state, faults


def _load(parameters: dict[str, nn.Parameter], state: TrainState) -> None:
    shapes = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
    saved = {name: tuple(weight.shape) for name, weight in state.weights.items()}
    if shapes != saved:
        odd = [f"{name} {shape}" for name, shape in (saved.items() ^ shapes.items())]
        raise ValueError(f"the checkpoint is of another model: {', '.join(sorted(odd))} differ")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(state.weights[name])


def _save(run: Training, is_best: bool) -> None:
    began = time.perf_counter()
    weights, moments = run.engine.state()
    state = TrainState(run.step, weights, moments, run.evaluated, run.best, rng_state(), run.facts)

    def write() -> tuple[Path, int]:
        path = run.checkpoints.save(state, is_best)
        run.saves = [*run.saves[-8:], time.perf_counter() - began]
        return path, _next_save(run)

    path, run.next_save = run.processes.on_first(write)
    run.unsaved = False
    if run.processes.first:
        run.tell("saved", step=run.step, path=str(path), seconds=round(run.saves[-1], 4))


def _next_save(run: Training) -> int:
    """The step of the next checkpoint; by `auto` that of rank 0 counts, as clocks differ.

    What is not measured yet is measured in the first step: that also tells at once where nothing can be written.
    """
    every = run.config.save_every
    if every != "auto":
        return run.step + every - run.step % every
    if not run.saves or not run.durations:
        return run.step + 1
    return run.step + best_interval(median(run.saves), median(run.durations), run.mtbf_s)
