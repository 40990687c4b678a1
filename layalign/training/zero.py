"""DeepSpeed ZeRO 0 to 3 (https://deepspeed.readthedocs.io), without its launcher and checkpoint format.

DeepSpeed's own bf16 mode is not used: it would round the bridge to bf16 in the forward pass. Here as elsewhere
the bridge is fp32 and the model autocasts, so that every engine computes the same.
"""

from __future__ import annotations

import os
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from layalign.config import TrainingConfig
from layalign.data.batch import Batch
from layalign.training.checkpoint import Moments
from layalign.training.distributed import Processes
from layalign.training.engine import Engine, LossModule, copied, full_state, set_lr, set_moments


class ZeroEngine(Engine):
    """AdamW's state (1), gradients (2) and weights (3) partitioned over the processes."""

    def __init__(
        self,
        module: LossModule,
        parameters: dict[str, nn.Parameter],
        optimizer: torch.optim.AdamW,
        config: TrainingConfig,
        processes: Processes,
        resumed: tuple[int, Moments] | None,
    ) -> None:
        deepspeed = _deepspeed(parameters)
        self._module = module
        self._parameters = parameters
        self._gradients: list[Tensor] = []
        self._clip = config.clip
        self._stage = config.zero_stage
        _join(processes)
        self._engine: Any = deepspeed.initialize(
            model=module, optimizer=optimizer, config=_config(config), dist_init_required=False
        )[0]
        if self._stage > 0:
            self._make_state(resumed[0] if resumed else 0)
        if resumed:
            self._restore(resumed)

    def backward(self, batch: Batch, scale: float, last: bool) -> Tensor:
        if self._stage < 3 and not last:
            return self._accumulate(batch, scale)
        self._engine.set_gradient_accumulation_boundary(last)
        loss = self._engine(batch)
        for parameter, gradient in zip(self._parameters.values(), self._gradients):
            parameter.grad = gradient
        self._gradients = []
        self._engine.backward(loss * scale)
        if not last:
            self._engine.step()
        return loss.detach()

    def _accumulate(self, batch: Batch, scale: float) -> Tensor:
        """Keep a gradient past DeepSpeed, which then communicates once per step.

        Its own accumulation in ZeRO-2 forgets all micro-batches but the last in some versions (0.18.1).
        """
        loss = self._module(batch)
        new = torch.autograd.grad(
            loss * scale, list(self._parameters.values()), allow_unused=True, materialize_grads=True
        )
        if self._gradients:
            torch._foreach_add_(self._gradients, list(new))
        else:
            self._gradients = [gradient.clone(memory_format=torch.contiguous_format) for gradient in new]
        return loss.detach()

    @torch.no_grad()
    def evaluate(self, batch: Batch) -> Tensor:
        return self._engine(batch)

    def step(self, lr: float) -> float:
        set_lr(self._engine.optimizer, lr)
        if self._stage > 0:
            self._engine.step()
            return float(self._engine.get_global_grad_norm())
        norm = nn.utils.clip_grad_norm_(self._parameters.values(), self._clip)
        self._engine.step()
        return float(norm)

    def state(self) -> tuple[dict[str, Tensor], Moments]:
        if self._stage == 0:
            return full_state(self._engine.optimizer, self._parameters)
        from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

        weights = {name: copied(safe_get_full_fp32_param(p)) for name, p in self._parameters.items()}
        halves = [
            {name: copied(safe_get_full_optimizer_state(p, key)) for name, p in self._parameters.items()}
            for key in ("exp_avg", "exp_avg_sq")
        ]
        return weights, Moments(*halves)

    def gather(self) -> None:
        """The frozen weights stay partitioned under ZeRO-3."""
        if self._stage == 3:
            weights, _ = self.state()
            for name, parameter in self._parameters.items():
                parameter.data = weights[name].to(self._engine.device)

    def close(self) -> None:
        """Where it was stage 3, DeepSpeed's `linear` stays in torch."""
        self._engine.destroy()
        self._engine = None

    def _make_state(self, step: int) -> None:
        """Zero moments, before the first step: DeepSpeed would make them then, but lose those of all parameter
        groups but the first to its `safe_get_full_optimizer_state`."""
        zero = self._engine.optimizer
        flat = zero.fp32_partitioned_groups_flat if self._stage == 3 else zero.single_partition_of_fp32_groups
        for partition in flat:
            zero.optimizer.state[partition] = {
                "step": torch.tensor(float(step)),
                "exp_avg": torch.zeros_like(partition),
                "exp_avg_sq": torch.zeros_like(partition),
            }
        if self._stage < 3:
            zero._lazy_init_hp_params_optimizer_state()

    def _restore(self, resumed: tuple[int, Moments]) -> None:
        if self._stage == 0:
            set_moments(self._engine.optimizer, self._parameters, resumed)
            return
        from deepspeed.utils import safe_set_full_optimizer_state, safe_set_local_optimizer_state

        for key, half in (("exp_avg", resumed[1].exp_avg), ("exp_avg_sq", resumed[1].exp_avg_sq)):
            for name, parameter in self._parameters.items():
                value = half[name].to(self._engine.device)
                if self._stage == 3:
                    safe_set_local_optimizer_state(parameter, self._part(parameter, value), key)
                else:
                    safe_set_full_optimizer_state(parameter, value, key)

    def _part(self, parameter: Any, value: Tensor) -> Tensor:
        """This process's partition of a ZeRO-3 tensor. DeepSpeed's own cut forgets that the last one is padded."""
        size, rank = parameter.ds_tensor.numel(), dist.get_rank()
        part = value.new_zeros(size)
        mine = value.flatten()[rank * size : (rank + 1) * size]
        part[: len(mine)] = mine
        return part


def _deepspeed(parameters: dict[str, nn.Parameter]) -> Any:
    if any(parameter.dtype is torch.float64 for parameter in parameters.values()):
        raise ValueError(
            "training.engine is deepspeed, which has no fp64: choose ddp, or another model.precision"
        )
    try:
        import deepspeed
    except ImportError as error:
        raise ValueError(f"training.engine is deepspeed, which cannot be imported: {error}") from error
    return deepspeed


def _join(processes: Processes) -> None:
    """DeepSpeed reads LOCAL_RANK as the index of the GPU; the group is there unless this process is alone."""
    os.environ["LOCAL_RANK"] = str(processes.device.index or 0)
    if not dist.is_initialized():
        backend = "nccl" if processes.device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    from deepspeed import comm, ops

    if (
        processes.device.type == "cpu"
    ):  # else it compiles, for a minute, an operator that only its inference calls
        ops.__compatible_ops__["deepspeed_shm_comm"] = False
    comm.init_distributed(auto_mpi_discovery=False, verbose=False)


def _config(config: TrainingConfig) -> dict[str, Any]:
    """Accumulation is ours (`set_gradient_accumulation_boundary`), so DeepSpeed is told of one micro-batch."""
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": config.clip if config.zero_stage > 0 else 0.0,
        "zero_optimization": {
            "stage": config.zero_stage,
            "stage3_param_persistence_threshold": config.zero3_persistence_threshold,
        },
    }
