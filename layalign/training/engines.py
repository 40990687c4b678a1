"""Which engine a training has, and the engine of plain PyTorch: one process, or several with DDP."""

from __future__ import annotations

import contextlib
import warnings

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from layalign.config import TrainingConfig
from layalign.data.batch import Batch
from layalign.training.checkpoint import Moments
from layalign.training.distributed import Processes
from layalign.training.engine import Engine, LossModule, full_state, set_lr, set_moments
from layalign.training.zero import ZeroEngine


def engine_for(
    module: LossModule,
    parameters: dict[str, nn.Parameter],
    config: TrainingConfig,
    processes: Processes,
    resumed: tuple[int, Moments] | None,
) -> Engine:
    """The engine that the configuration names.

    Args:
        module: the wrapped model; its trained weights are already those to start from.
        parameters: the trained weights by name.
        config: `engine`, and what the optimizer needs.
        processes: of this training.
        resumed: optimizer steps done and the moments after them; None at the start.

    Raises:
        ValueError: an engine that this number of processes or the weights' precision does not allow.
    """
    trained = {id(p) for p in parameters.values()}
    assert trained == {id(p) for p in module.parameters() if p.requires_grad}, (
        "frozen weights want a gradient"
    )
    if processes.world > 1 and config.engine == "single":
        raise ValueError(
            f"training.engine is single but there are {processes.world} processes: choose auto or ddp"
        )
    optimizer = optimizer_for(parameters, config)
    if config.engine != "deepspeed":
        return TorchEngine(module, parameters, optimizer, config, processes, resumed)
    return ZeroEngine(module, parameters, optimizer, config, processes, resumed)


def optimizer_for(parameters: dict[str, nn.Parameter], config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW; gates with a learning rate of their own are a group apart, `scale` multiplies a group's rate."""
    apart = [p for name, p in parameters.items() if name.startswith("gates") and config.gate_lr_scale != 1]
    others = [p for p in parameters.values() if all(p is not gate for gate in apart)]
    groups = [{"params": others, "scale": 1.0}, {"params": apart, "scale": config.gate_lr_scale}]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=config.betas,
        eps=config.eps,
        weight_decay=config.weight_decay,
    )


class TorchEngine(Engine):
    """One process, or several with DDP."""

    def __init__(
        self,
        module: LossModule,
        parameters: dict[str, nn.Parameter],
        optimizer: torch.optim.AdamW,
        config: TrainingConfig,
        processes: Processes,
        resumed: tuple[int, Moments] | None,
    ) -> None:
        self._parameters = parameters
        self._optimizer = optimizer
        self._clip = config.clip
        self._module: nn.Module = module
        self._ddp: DistributedDataParallel | None = None
        if processes.world > 1:
            for parameter in parameters.values():
                dist.broadcast(parameter.data, src=0)
            self._module = self._ddp = _ddp(module)
        if resumed:
            set_moments(optimizer, parameters, resumed)

    def backward(self, batch: Batch, scale: float, last: bool) -> Tensor:
        with self._ddp.no_sync() if self._ddp and not last else contextlib.nullcontext():
            loss = self._module(batch)
            (loss * scale).backward()
        return loss.detach()

    @torch.no_grad()
    def evaluate(self, batch: Batch) -> Tensor:
        return self._module(batch)

    def step(self, lr: float) -> float:
        norm = nn.utils.clip_grad_norm_(self._parameters.values(), self._clip)
        set_lr(self._optimizer, lr)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return float(norm)

    def state(self) -> tuple[dict[str, Tensor], Moments]:
        return full_state(self._optimizer, self._parameters)

    def gather(self) -> None:
        """They always are."""

    def close(self) -> None:
        self._ddp = None
        self._module = nn.Identity()


def _ddp(module: LossModule) -> DistributedDataParallel:
    """Without `init_sync=False` and `broadcast_buffers=False` it would send the frozen backbones around."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # torch 2.13 deprecates `broadcast_buffers`, older need it
        return DistributedDataParallel(module, broadcast_buffers=False, init_sync=False)
