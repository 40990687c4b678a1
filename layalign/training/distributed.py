"""The processes of one training and what they tell each other.

Whoever starts them exports RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT, as `torchrun` does
(https://docs.pytorch.org/docs/stable/distributed.html#environment-variable-initialization).
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")
NEEDED = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Processes:
    """One of `world` equal processes, each with its own device. Every method is called by all of them."""

    rank: int = 0
    world: int = 1
    device: torch.device = torch.device("cpu")

    @classmethod
    def start(cls) -> Processes:
        """Join the group that the environment describes; alone where it describes none.

        Raises:
            ValueError: WORLD_SIZE is set, but not all that goes with it.
        """
        if os.environ.get("WORLD_SIZE", "1") == "1":
            return cls.alone()
        missing = [name for name in NEEDED if name not in os.environ]
        if missing:
            raise ValueError(
                f"WORLD_SIZE is set but {', '.join(missing)} is not: export all five, as torchrun does"
            )
        device = _device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(dist.get_rank(), dist.get_world_size(), device)

    @classmethod
    def alone(cls) -> Processes:
        """A process that works by itself, on the device of its place on the node."""
        return cls(device=_device(int(os.environ.get("LOCAL_RANK", "0"))))

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on at least one process."""
        return self.total([float(flag)])[0] > 0

    def total(self, values: list[float]) -> list[float]:
        """Sums over the processes, in fp64."""
        if self.world == 1:
            return values
        sums = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(sums)
        return sums.tolist()

    def gather(self, value: Any) -> list[Any]:
        """Every process's value, in order of rank."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def on_first(self, work: Callable[[], T]) -> T:
        """Do something on rank 0; all get its result, or its exception, so that none is left waiting."""
        answer: list[Any] = [None, None]
        if self.first:
            try:
                answer[0] = work()
            except Exception as error:
                answer[1] = error
        if self.world > 1:
            dist.broadcast_object_list(answer, src=0)
        if answer[1] is not None:
            raise answer[1]
        return answer[0]

    def close(self) -> None:
        """Leave the group.

        A group that something still holds outlives this, and its threads then abort the process at exit
        ("terminate called without an active exception", one run in five): cycles are collected first.
        """
        if dist.is_initialized():
            gc.collect()
            dist.destroy_process_group()


def _device(local_rank: int) -> torch.device:
    """A job that shows each process one GPU has several local ranks and only index 0."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", local_rank % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device
