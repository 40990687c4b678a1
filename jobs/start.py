"""What every job does first: join its processes, take the run's lease, bring its models and data within reach."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar

from cluster.errors import ClusterError
from cluster.rendezvous import export, rendezvous
from cluster.runs import RunFolder
from layalign import mini
from layalign.config import RunConfig
from layalign.mini.build import build
from layalign.training.distributed import Processes


@contextmanager
def started(folder: RunFolder, kind: str) -> Iterator[Processes]:
    """The processes of a job on a run, rank 0 of them with the run's lease; how it ends is recorded.

    Args:
        folder: of the run.
        kind: `train` or `evaluate`, for the record.

    Raises:
        ClusterError: another process works on the run, or what was `ValueError`: a mistake of the user.
    """
    disable_progress_bar()
    export(rendezvous(os.environ), os.environ)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    processes = Processes.start()
    with ExitStack() as stack:
        stack.callback(processes.close)
        processes.on_first(lambda: stack.enter_context(folder.lease()) and None)
        if processes.first:
            folder.start(job=kind, processes=processes.world, device=str(processes.device))
        try:
            yield processes
        except Exception as error:
            if processes.first and kind == "train":
                folder.fail(f"{type(error).__name__}: {error}")
            if isinstance(error, ValueError):
                raise ClusterError(str(error)) from error
            raise


def within_reach(config: RunConfig, processes: Processes) -> RunConfig:
    """The config with the miniature's names replaced by paths, its world made first where it is missing."""
    model, data = config.model, config.data
    if not any(mini.is_mini(name) for name in (model.encoder, model.decoder, data.path)):
        return config
    settings, root = mini.Settings(seed=config.seed), mini.default_root()
    processes.on_first(lambda: build(root, settings, WorldProgress()) and None)

    def path(name: str) -> str:
        return str(mini.resolve(name, root, settings)) if mini.is_mini(name) else name

    return dataclasses.replace(
        config,
        model=dataclasses.replace(model, encoder=path(model.encoder), decoder=path(model.decoder)),
        data=dataclasses.replace(data, path=path(data.path)),
    )


def data_folder(told: Mapping[str, Any], config: RunConfig) -> Path | None:
    """The data folder: the user's, or the miniature's own."""
    if mini.is_mini(config.model.decoder):
        return mini.resolve("mini://data", mini.default_root(), mini.Settings(seed=config.seed))
    return Path(told["data"]) if told["data"] else None


def cache_folder() -> Path:
    """Where tokenised data sets are kept: `$LAYALIGN_CACHE`, or `~/.cache/layalign`."""
    return mini.default_root().parent / "tokens"


class WorldProgress:
    """Lines about the miniature's backbones as they are trained, every few seconds."""

    EVERY_S = 5.0

    def __init__(self) -> None:
        self.began = self.told = time.monotonic()
        self.steps: dict[str, tuple[int, int, float]] = {}

    def __call__(self, phase: str, step: int, total: int, loss: float) -> None:
        if not self.steps:
            print("the miniature's world is not in the cache: training its two backbones, once", flush=True)
        self.steps[phase] = (step, total, loss)
        now = time.monotonic()
        if now - self.told < self.EVERY_S and step < total:
            return
        self.told = now
        left = max((now - self.began) * (total - step) / step for step, total, _ in self.steps.values())
        parts = [
            f"{name} {step}/{total} loss {loss:.3f}"
            for name, (step, total, loss) in sorted(self.steps.items())
        ]
        print(f"  {'  '.join(parts)}  about {left:.0f} s left", flush=True)
