"""Curves elsewhere, when asked: TensorBoard and W&B."""

from __future__ import annotations

import contextlib
import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from cluster.run.run_folder import RunFolder
from layalign.config import TrainingConfig


class Tracker(Protocol):
    """Takes the records of a training."""

    def log(self, record: dict[str, Any]) -> None:
        """One record; its `step` is the place on the axis."""

    def close(self) -> None:
        """Write what is left."""


def trackers_for(folder: RunFolder, config: TrainingConfig) -> list[Tracker]:
    """The trackers that a config asks for.

    Raises:
        ValueError: one whose package is not installed.
    """
    wanted = [("tensorboard", TensorBoard)] * config.tensorboard + [("wandb", WandB)] * config.wandb
    trackers: list[Tracker] = []
    for package, tracker in wanted:
        try:
            trackers.append(tracker(folder))
        except ImportError as error:
            raise ValueError(
                f"training.{package} is true, but {package} cannot be imported ({error}): install it or leave it out"
            ) from None
    return trackers


class TensorBoard:
    """Event files below the run folder."""

    def __init__(self, folder: RunFolder) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder.trackers / "tensorboard"))

    def log(self, record: dict[str, Any]) -> None:
        for key, value in _numbers(record).items():
            self.writer.add_scalar(key, value, record["step"])

    def close(self) -> None:
        self.writer.close()


def wandb_mode(environ: Mapping[str, str]) -> str:
    """`online` where the profile says that jobs reach W&B and the user has a key, for which a job cannot ask."""
    known = bool(environ.get("WANDB_API_KEY"))
    with contextlib.suppress(OSError, netrc.NetrcParseError):
        known = known or "api.wandb.ai" in netrc.netrc(Path(environ.get("HOME", "/"), ".netrc")).hosts
    return "online" if known and environ.get("WANDB_MODE") == "online" else "offline"


class WandB:
    """A run of W&B; offline it lies below the run folder, for `wandb sync` where there is internet."""

    def __init__(self, folder: RunFolder) -> None:
        import wandb

        folder.trackers.mkdir(exist_ok=True)
        self.run = wandb.init(
            mode=wandb_mode(os.environ),
            dir=str(folder.trackers),
            name=folder.name,
            id=folder.signature,
            resume="allow",
        )

    def log(self, record: dict[str, Any]) -> None:
        self.run.log(_numbers(record), step=record["step"])

    def close(self) -> None:
        self.run.finish()


def _numbers(record: dict[str, Any]) -> dict[str, float]:
    return {
        key: float(value) for key, value in record.items() if key not in ("step", "total", "digest", "best")
    }
