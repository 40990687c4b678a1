"""What every job does first: join its processes, take the run's lease, bring its models and data within reach."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar

from cluster.errors import ClusterError
from cluster.files import read_jsonl, write_json_atomic
from cluster.job.causes import worded
from cluster.job.clock import counted
from cluster.job.lifecycle import record_failure
from cluster.job.rendezvous import export, rendezvous
from cluster.job.unit import Unit
from cluster.logs.failure import may_have_passed
from cluster.run.lease import Lease
from cluster.run.run_folder import RunFolder
from cluster.run.work_folder import WorkFolder
from layalign import mini
from layalign.config import RunConfig
from layalign.mini.build import build, is_built
from layalign.training.distributed import Processes

WORLD_S = 3600.0
"""How long a job waits for another that makes the miniature's world."""


@contextmanager
def started(
    folder: RunFolder,
    kind: str,
    config: RunConfig,
    unit: Unit | None,
    group: Processes | None = None,
    **facts: str,
) -> Iterator[Processes]:
    """The processes of a job on a run, rank 0 of them with the run's lease; that it fails is recorded.

    Args:
        folder: of the run.
        kind: of job, for the record.
        config: of the run.
        unit: of the job, if it is one on Slurm; its rank 0 has the lease already.
        group: the processes, where they were joined before and shall outlive the job.
        facts: further ones for the record.

    Raises:
        ClusterError: another process works on the run, or what was `ValueError`: a mistake of the user.
    """
    settled_environment()
    processes = group or Processes.start()
    with ExitStack() as stack:
        if group is None:
            stack.callback(processes.close)
        if unit is None:
            processes.on_first(lambda: stack.enter_context(folder.lease()) and None)
        try:
            with recorded(folder, kind, config, unit, processes, **facts):
                yield processes
        except Exception:
            if unit:
                stack.pop_all()  # the others may never come to leave the group: this one must not wait for them
            raise


def settled_environment() -> None:
    """What every process of a job sets up before anything else: its rank, its threads, and silence."""
    disable_progress_bar()
    export(rendezvous(os.environ), os.environ)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


@contextmanager
def recorded(
    folder: WorkFolder, kind: str, config: RunConfig, unit: Unit | None, processes: Processes, **facts: Any
) -> Iterator[None]:
    """What is done inside is recorded as a start, and, if it fails, why.

    Raises:
        ClusterError: what was `ValueError`: a mistake of the user.
    """
    with counted() as began:
        if processes.first:
            facts |= {"began": began, **(unit.facts() if unit else {})}
            folder.start(kind=kind, processes=processes.world, device=str(processes.device), **facts)
        try:
            yield
        except Exception as error:
            passing = may_have_passed(*_chain(error))
            record_failure(folder, kind, error, unit, _advice(error, config), passing)
            if isinstance(error, ValueError):
                raise ClusterError(str(error)) from error
            raise


def _chain(error: BaseException | None) -> Iterator[str]:
    """What an exception says, and those that it was raised from."""
    while error is not None:
        yield worded(error)
        error = error.__cause__


def _advice(error: Exception, config: RunConfig) -> str | None:
    """What helps against an error whose message does not say it."""
    if not isinstance(error, torch.OutOfMemoryError):
        return None
    training = config.training
    if training.micro_batch > 1:
        change = f"-o training.micro_batch={training.micro_batch // 2}"
    elif not training.gradient_checkpointing:
        change = "-o training.gradient_checkpointing=true"
    else:
        change = "--gpu with one that has more memory"
    return f"the GPU's memory is too small: give the same launch command again with {change}; nothing is lost"


def within_reach(config: RunConfig, processes: Processes) -> RunConfig:
    """The config with the miniature's names replaced by paths, its world made first where it is missing."""
    model, data = config.model, config.data
    names = [model.encoder, model.decoder, *(one.path for one in data.every)]
    if not any(map(mini.is_mini, names)):
        return config
    settings, root = mini.Settings(seed=config.seed), mini.default_root()
    processes.on_first(lambda: _make_world(root, settings))
    return mini.resolved(config, root, settings)


def _make_world(root: Path, settings: mini.Settings) -> None:
    """Train the miniature's backbones, unless they are there and whole; of several jobs one does, the others wait."""
    if is_built(root, settings):
        return
    draft = root / f".world-{settings.fingerprint}"
    progress = WorldProgress(draft / "heartbeat.json")
    with Lease(draft, progress.heartbeat, "the miniature's world", wait_s=WORLD_S):
        build(root, settings, progress)


def data_folder(told: Mapping[str, Any], config: RunConfig) -> Path | None:
    """The data folder: the user's, or the miniature's own."""
    if told["data"]:
        return Path(told["data"])
    if mini.is_mini(config.model.decoder):
        return mini.resolve("mini://data", mini.default_root(), mini.Settings(seed=config.seed))
    return None


def cache_folder() -> Path:
    """Where tokenised data sets are kept: `$LAYALIGN_CACHE`, or `~/.cache/layalign`."""
    return mini.default_root().parent / "tokens"


def refuse_older_gemma(run: RunFolder, kind: str) -> None:
    """Refuse a run on Gemma 1 or 2 that was trained by transformers up to 5.3 and keeps no record of it itself.

    That version multiplied soft tokens by the root of the LLM's width: the bridge has learned them smaller by it.

    Args:
        run: whose weights are to be used.
        kind: model type of the LLM.

    Raises:
        ValueError: with the version.
    """
    if kind not in ("gemma", "gemma2"):
        return
    found = {(start.get("packages") or {}).get("transformers") for start in read_jsonl(run.starts)}
    older = sorted(v for v in found if v and tuple(map(int, v.split(".")[:2])) < (5, 4))
    if older:
        raise ValueError(
            f"{run.title} was trained with transformers {older[0]}, which gave soft tokens of {kind} another scale "
            "than versions from 5.4 on: its bridge would be off by the root of the LLM's width; train it anew"
        )


class WorldProgress:
    """Lines about the miniature's backbones as they are trained, every few seconds."""

    EVERY_S = 5.0

    def __init__(self, heartbeat: Path) -> None:
        self.heartbeat = heartbeat
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
        write_json_atomic(self.heartbeat, {"step": step, "total": total})
        left = max((now - self.began) * (total - step) / step for step, total, _ in self.steps.values())
        parts = [
            f"{name} {step}/{total} loss {loss:.3f}"
            for name, (step, total, loss) in sorted(self.steps.items())
        ]
        print(f"  {'  '.join(parts)}  about {left:.0f} s left", flush=True)
