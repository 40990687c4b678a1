"""What turns micro-batches into optimizer steps: the interface, and what its implementations share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from layalign.data.batch import Batch
from layalign.training.checkpoint import Moments


class LossModule(nn.Module):
    """The model as engines wrap it: calling it gives the summed loss of one micro-batch.

    DDP and DeepSpeed hook the call, so `model.loss` cannot be called past them.

    Args:
        model: has `loss(batch, chunk) -> (sum over the answer tokens, their number)`, autocast included.
        chunk: positions whose logits exist at one time.
    """

    def __init__(self, model: nn.Module, chunk: int) -> None:
        super().__init__()
        self.model = model
        self.chunk = chunk

    def forward(self, batch: Batch) -> Tensor:
        """Summed cross entropy of the answer tokens: a scalar."""
        loss, _ = self.model.loss(batch, self.chunk)  # type: ignore[operator]
        return loss


class Engine(ABC):
    """Every process calls every method, with the same number of micro-batches in a step."""

    @abstractmethod
    def backward(self, batch: Batch, scale: float, last: bool) -> Tensor:
        """Add the gradient of one micro-batch.

        Args:
            batch: what the model's `loss` takes.
            scale: multiplies the summed loss; the gradient is averaged over the processes afterwards.
            last: whether this is the step's last micro-batch on this process.

        Returns:
            The summed loss, unscaled and detached: a scalar.
        """

    @abstractmethod
    def evaluate(self, batch: Batch) -> Tensor:
        """The summed loss of one micro-batch, without a gradient: a scalar."""

    @abstractmethod
    def step(self, lr: float) -> float:
        """Clip and apply the gradient, then forget it. Returns its norm before clipping."""

    @abstractmethod
    def state(self) -> tuple[dict[str, Tensor], Moments]:
        """Weights and moments in full, as copies on the CPU, on every process."""

    @abstractmethod
    def gather(self) -> None:
        """Make the trained weights whole in the model."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the model and of the process group, also after a failure: no communication."""


def set_lr(optimizer: Any, lr: float) -> None:
    """The learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["scale"]


def set_moments(
    optimizer: torch.optim.Optimizer, parameters: dict[str, nn.Parameter], resumed: tuple[int, Moments]
) -> None:
    """Put AdamW's state back."""
    step, moments = resumed
    for name, parameter in parameters.items():
        optimizer.state[parameter] = {
            "step": torch.tensor(float(step)),
            "exp_avg": moments.exp_avg[name].to(parameter, copy=True),
            "exp_avg_sq": moments.exp_avg_sq[name].to(parameter, copy=True),
        }


def full_state(
    optimizer: torch.optim.Optimizer, parameters: dict[str, nn.Parameter]
) -> tuple[dict[str, Tensor], Moments]:
    """Weights and moments of an optimizer that holds them whole; zeros before its first step."""
    halves = [
        {name: copied(optimizer.state[p].get(key, torch.zeros_like(p))) for name, p in parameters.items()}
        for key in ("exp_avg", "exp_avg_sq")
    ]
    return {name: copied(p) for name, p in parameters.items()}, Moments(*halves)


def copied(value: Tensor) -> Tensor:
    """A copy on the CPU that shares memory with nothing."""
    return value.detach().to("cpu", copy=True).contiguous()
